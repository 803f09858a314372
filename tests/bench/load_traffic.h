// SPDX-License-Identifier: BSD-2-Clause
// Paced traffic through bound channels: one thread sends, one receives and judges.
#ifndef TP_BENCH_LOAD_TRAFFIC_H
#define TP_BENCH_LOAD_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "load_client.h"
#include "load_proc.h"

#define LOAD_MIN_PAYLOAD 48
#define LOAD_MAX_PAYLOAD 1400
#define LOAD_MAX_BURST 32

struct load_plan {
    bool up, down;    // client to peer, peer to client; with both the rate is shared
    bool offload;     // a burst is one UDP_SEGMENT send, and reads take UDP_GRO, as a network card
                      // would do it
    uint32_t rate;    // packets/s in total
    uint32_t payload; // bytes, LOAD_MIN_PAYLOAD..LOAD_MAX_PAYLOAD
    uint32_t burst;   // packets of one flow sent back to back, 1..LOAD_MAX_BURST
    uint32_t tick_us; // how often the sender wakes; what is due by then goes out together
    double warmup, seconds;
    pid_t pid; // of the server, 0: unknown
};

struct load_result {
    uint64_t sent;         // in the measured interval
    uint64_t delivered;    // of those
    uint64_t late;         // of those, behind a later one of their flow (reordered or duplicated)
    uint64_t wrong;        // anything that was not sent to the socket it arrived on
    uint64_t unsendable;   // refused by our own kernel
    uint64_t skipped;      // not sent because the sender could not keep the pace
    double seconds;        // as measured
    double p50_us, p99_us; // one-way latency up to the receiving socket
    struct proc_cpu cpu;   // of the server, over the interval
    int64_t own_cpu_ns;    // of the generator
};

// Runs the plan over the set's clients, which are all READY. 0 or a negative errno, with a line on
// stderr.
int load_traffic_run(struct load_set *set, const struct load_plan *plan, struct load_result *out);

#endif
