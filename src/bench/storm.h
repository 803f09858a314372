// SPDX-License-Identifier: BSD-2-Clause
// Storms: as many requests as the server answers, or so many a second.
#ifndef TP_BENCH_STORM_H
#define TP_BENCH_STORM_H

#include "bench/histogram.h"
#include "bench/pace.h"
#include "bench/proc.h"
#include "bench/set.h"

#define STORM_FAILURES 32
#define STORM_TIMEOUT 0 // the "code" of a request without an answer

struct storm_failure {
    int code; // of STUN, STORM_TIMEOUT, or a negative errno
    uint64_t count;
};

// A request of a binding or refresh storm that may be under way.
struct storm_slot {
    uint32_t client, generation;
    bool busy;
    int64_t sent_ns;
};

struct storm;

struct storm_lane {
    struct storm *storm;
    unsigned index;
    pthread_t thread;
    struct link_reader reader;
    struct session_env env; // its own, so that lanes share nothing
    struct pace pace;       // with a rate
    int64_t checked_ns;     // when timeouts were looked for last
    uint32_t *idle;         // slots (binding, refresh) or clients (allocate) that may begin
    size_t idle_len;
    struct storm_slot *slots;
    size_t slot_count;
    struct bench_client *reading;
    uint64_t done; // operations, measured or not
    uint64_t skipped;
    struct storm_failure failures[STORM_FAILURES];
    struct histogram latency;
};

struct storm {
    const struct bench_options *options;
    struct set set;
    uint32_t run;
    bool measuring, stopping;
    int64_t begin_ns;
    unsigned lane_count;
    struct storm_lane *lanes;
    struct proc_cpu cpu; // of the server over the measured interval
    double seconds;
    uint64_t operations, skipped;
    int64_t own_cpu_ns;
};

// What a lane does. Thread functions share storm_lane_main.
struct storm_ops {
    int (*open)(struct storm_lane *lane);               // 0 or -ENOMEM
    void (*start)(struct storm_lane *lane, uint32_t i); // begins the operation of idle entry i
    link_take *take;                                    // a message for lane->reading; arg: lane
    void (*check)(struct storm_lane *lane, int64_t now);
    size_t (*busy)(const struct storm_lane *lane);
};
extern const struct storm_ops storm_cycle_ops, storm_request_ops;

// An operation has ended: well after so long, or with a code.
void storm_done(struct storm_lane *lane, uint32_t idle, int64_t took_ns);
void storm_failed(struct storm_lane *lane, uint32_t idle, int code);

#endif
