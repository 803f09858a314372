// SPDX-License-Identifier: BSD-2-Clause
// turnpike-bench: what its parts share.
#ifndef TP_BENCH_BENCH_H
#define TP_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "probe/client.h"
#include "probe/tls.h"
#include "probe/uri.h"
#include "util/addr.h"

// Exit statuses.
enum { BENCH_DONE = 0, BENCH_FAILED = 1, BENCH_USAGE = 2 };

enum bench_command {
    BENCH_RELAY = 1,
    BENCH_RAMP = 2,
    BENCH_HOLD = 4,
    BENCH_ALLOCATE = 8,
    BENCH_REFRESH = 16,
    BENCH_BINDING = 32,
    BENCH_TRAFFIC = BENCH_RELAY | BENCH_RAMP,
    BENCH_STORMS = BENCH_ALLOCATE | BENCH_REFRESH | BENCH_BINDING,
    BENCH_TURN = 63, // all of those above
    BENCH_SIGNAL = 64,
    BENCH_ALL = 127,
};

enum bench_direction { DIRECTION_UP, DIRECTION_DOWN, DIRECTION_BOTH, DIRECTION_ECHO };
enum bench_dialect { DIALECT_TURNPIKE, DIALECT_PEERJS, DIALECT_SOCKETIO };
enum bench_profile { PROFILE_NONE, PROFILE_AUDIO, PROFILE_VIDEO, PROFILE_MIX };

#define BENCH_CHANNEL 0x4001 // of every client: numbers are per allocation
#define BENCH_ADDRESSES 16
#define BENCH_THREADS 64
#define BENCH_MAX_PAYLOAD 1400
#define BENCH_MAX_BURST 32
#define BENCH_MAX_WINDOW 64

// What the user has asked for.
struct bench_options {
    enum bench_command command;
    const char *command_name;
    const char *server; // as written
    struct probe_uri uri;
    struct credentials cred;
    const char *ca_file;
    bool insecure, own; // own: --i-own-this-server
    size_t clients;
    enum bench_direction direction;
    enum bench_profile profile;
    bool indications, offload, floor, reuse_nonce;
    uint32_t payload, burst;
    enum bench_dialect dialect;
    size_t pairs, idle; // of a signaling server
    uint32_t size;      // bytes of its messages
    uint32_t rate;      // packets or operations a second in total; 0: not limited (storms)
    uint32_t tick_us, window, threads, churn;
    size_t paced;
    double seconds, warmup;
    double patience; // seconds until what has not come is lost; negative: as the command has it
    pid_t pid;       // of the server, 0: unknown
    struct addr peers[BENCH_ADDRESSES], sources[BENCH_ADDRESSES];
    unsigned peer_count, source_count;
    bool json, histogram;
    const char *plot;
};

// Where it goes: what target_find has made of the options.
struct bench_target {
    enum transport transport;
    struct addr server;
    struct addr local;  // this host's address towards the server, port 0
    bool loopback_only; // nothing but loopback may be sent to
    struct tls_trust *trust;
    struct tls_options tls;
    bool insecure;
};

// Resolves the server and judges whether it may be loaded. 0, or a BENCH_ exit status, reported on
// standard error. Call target_close in either case.
int target_find(struct bench_target *out, const struct bench_options *o);
void target_close(struct bench_target *t);

// Whether packets may be sent there: false when only loopback may be loaded, and it is none.
bool target_allows(const struct bench_target *t, const struct addr *a);

// "turnpike-bench: ", the text and a line end to standard error. Returns BENCH_USAGE.
int bench_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
// The same; returns BENCH_FAILED.
int bench_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// The user has asked to end (SIGINT, SIGTERM): what runs is cut short and cleaned up. bench_stop
// may be called by a signal handler.
void bench_stop(void);
bool bench_stopped(void);

static inline int64_t bench_now(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

// Sleeps until CLOCK_MONOTONIC says so, or a signal comes.
static inline void bench_sleep_until(int64_t when_ns)
{
    struct timespec ts = {.tv_sec = when_ns / 1000000000, .tv_nsec = when_ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

// Counters that one thread changes and others look at.
static inline void count_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline uint64_t count_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

// The commands. They report and return an exit status.
int bench_relay(const struct bench_options *o, const struct bench_target *t);
int bench_ramp(const struct bench_options *o, const struct bench_target *t);
int bench_hold(const struct bench_options *o, const struct bench_target *t);
int bench_signal(const struct bench_options *o, const struct bench_target *t);
int bench_storm(const struct bench_options *o, const struct bench_target *t);

#endif
