// SPDX-License-Identifier: BSD-2-Clause
#include "bench/options_table.h"

#include "bench/bench.h"
#include "bench/frame.h"

#define AT(field) offsetof(struct bench_options, field)
#define RATED (BENCH_TRAFFIC | BENCH_STORMS)

// clang-format off
const struct option_row option_rows[OPTION_ROWS] = {
    {OPT_SERVER, 's', "server", "SERVER", BENCH_ALL, KIND_STRING, AT(server), 0, 0,
     "ADDRESS:PORT, or a URI as turn:HOST [127.0.0.1:3478]"},
    {OPT_TRANSPORT, 0, "transport", "KIND", BENCH_ALL, KIND_WORD, 0, 0, 0,
     "udp, tcp, tls or dtls [udp, or as the URI has it]"},
    {OPT_USER, 'u', "user", "NAME", BENCH_ALL, KIND_OTHER, 0, 0, 0, "the user of the TURN server"},
    {OPT_PASSWORD, 'p', "password", "TEXT", BENCH_ALL, KIND_OTHER, 0, 0, 0,
     "the password, which other users of this host can see"},
    {OPT_PASSWORD_FILE, 0, "password-file", "FILE", BENCH_ALL, KIND_OTHER, 0, 0, 0,
     "read the password from the first line of a file"},
    {OPT_CA, 0, "ca", "FILE", BENCH_ALL, KIND_STRING, AT(ca_file), 0, 0,
     "trust the certificates in this PEM file"},
    {OPT_INSECURE, 0, "insecure", NULL, BENCH_ALL, KIND_WORD, AT(insecure), 0, 0,
     "take any certificate"},
    {OPT_CLIENTS, 'n', "clients", "N", BENCH_ALL, KIND_SIZE, AT(clients), 1, 1000000,
     "how many, each with an allocation [50; hold: 10000]"},
    {OPT_DIRECTION, 'd', "direction", "WAY", BENCH_TRAFFIC, KIND_WORD, 0, 0, 0,
     "up (client to peer), down, both, or echo (there and back) [up; profiles: both]"},
    {OPT_SEND, 0, "send", NULL, BENCH_TRAFFIC, KIND_WORD, AT(indications), 0, 0,
     "Send and Data indications instead of a channel"},
    {OPT_PAYLOAD, 'l', "payload", "BYTES", BENCH_TRAFFIC, KIND_NUMBER, AT(payload),
     FRAME_MIN_PAYLOAD, BENCH_MAX_PAYLOAD, "of each packet, 32 to 1400 [200]"},
    {OPT_RATE, 'r', "rate", "N", RATED, KIND_NUMBER, AT(rate), 1, 50000000,
     "packets or operations a second in total [relay 20000; storms: all that is answered]; "
     "ramp begins there [10000]"},
    {OPT_BURST, 'b', "burst", "N", BENCH_TRAFFIC, KIND_NUMBER, AT(burst), 1, BENCH_MAX_BURST,
     "packets of one flow sent back to back [1]"},
    {OPT_PROFILE, 0, "profile", "KIND", BENCH_TRAFFIC, KIND_WORD, 0, 0, 0,
     "of each client: audio (50/s of 160 bytes), video (30/s of 8 times 1200 bytes), mix (half of each)"},
    {OPT_OFFLOAD, 'o', "offload", NULL, RATED, KIND_WORD, AT(offload), 0, 0,
     "UDP_SEGMENT and UDP_GRO in this generator, as a network card would do it"},
    {OPT_WINDOW, 0, "window", "N", BENCH_REFRESH | BENCH_BINDING, KIND_NUMBER, AT(window), 1,
     BENCH_MAX_WINDOW, "requests that a client has under way [4]"},
    {OPT_REUSE_NONCE, 0, "reuse-nonce", NULL, BENCH_ALLOCATE, KIND_WORD, AT(reuse_nonce), 0, 0,
     "stay on one port with one nonce, instead of a new port and a challenge in each cycle"},
    {OPT_CHURN, 0, "churn", "N", BENCH_RELAY, KIND_NUMBER, AT(churn), 1, 100000,
     "so many clients a second release and come back from another port"},
    {OPT_PACED, 0, "paced", "N", BENCH_RELAY, KIND_SIZE, AT(paced), 1, 1000000,
     "so many clients stay all the time; their loss is told apart"},
    {OPT_TICK, 't', "tick", "US", BENCH_TRAFFIC, KIND_NUMBER, AT(tick_us), 10, 100000,
     "how often senders wake; what is due by then goes out together [193]"},
    {OPT_SECONDS, 'D', "duration", "SECONDS", BENCH_ALL, KIND_SECONDS, AT(seconds), 1, 0,
     "how long it is measured [5; ramp: each step 2; hold 2]"},
    {OPT_WARMUP, 'w', "warmup", "SECONDS", RATED, KIND_SECONDS, AT(warmup), 0, 0,
     "before that [0.5]"},
    {OPT_THREADS, 0, "threads", "N", RATED, KIND_NUMBER, AT(threads), 1, BENCH_THREADS,
     "senders, and as many receivers [1]"},
    {OPT_PID, 'P', "pid", "PID", BENCH_ALL, KIND_OTHER, 0, 0, 0,
     "the server's process on this host: its CPU time and memory are reported"},
    {OPT_PEER, 0, "peer-address", "ADDRESS", BENCH_ALL, KIND_OTHER, 0, 0, 0,
     "an address of this host for peers; several are used in turn [the one towards the server]"},
    {OPT_SOURCE, 0, "source-address", "ADDRESS", BENCH_ALL, KIND_OTHER, 0, 0, 0,
     "the same for clients [that; on loopback 127.0.1.1 and so on beyond 8192 clients]"},
    {OPT_PROTOCOL, 0, "protocol", "NAME", BENCH_TRAFFIC, KIND_WORD, 0, 0, 0,
     "turn, or floor: the bare forwarder contrib/bench/floor [turn]"},
    {OPT_JSON, 'j', "json", NULL, BENCH_ALL, KIND_WORD, AT(json), 0, 0, "print JSON"},
    {OPT_HISTOGRAM, 0, "histogram", NULL, RATED, KIND_WORD, AT(histogram), 0, 0,
     "print the histogram of latencies"},
    {OPT_PLOT, 0, "plot", "FILE", BENCH_TRAFFIC, KIND_STRING, AT(plot), 0, 0,
     "draw rates, loss and latencies over time into an SVG file"},
    {OPT_OWN, 0, "i-own-this-server", NULL, BENCH_ALL, KIND_WORD, AT(own), 0, 0,
     "load a server that is not on this host"},
};
// clang-format on
