// SPDX-License-Identifier: BSD-2-Clause
// The search for the highest rate without loss. No I/O.
#ifndef TP_BENCH_RAMP_H
#define TP_BENCH_RAMP_H

#include "bench/traffic.h"

#define RAMP_STEPS 40
#define RAMP_LOSS 0.01 // percent that may be lost

enum ramp_verdict {
    RAMP_GOOD,
    RAMP_LOST,      // the server has lost packets
    RAMP_GENERATOR, // this generator could not do it, so that nothing is known of the server
};

struct ramp_step {
    double rate;
    enum ramp_verdict verdict;
    double lost_percent, p99_us, cpu_us;
};

struct ramp_search {
    double first;
    double good, bad; // highest rate without loss, lowest with; 0: none yet
    double again;     // a rate that has lost once and is tried a second time; 0: none
    enum ramp_verdict limit;
};

// Begins with that rate, in packets per second.
void ramp_start(struct ramp_search *s, double rate);

// The rate to try next, or 0 when good and bad are within 3 %.
double ramp_next(const struct ramp_search *s);

// A rate counts as bad when it was bad twice: one hiccup of the machine is no limit.
void ramp_learn(struct ramp_search *s, double rate, enum ramp_verdict verdict);

// stream: what a full stream does not take is the server's fault, which reads too slowly.
enum ramp_verdict ramp_judge(const struct traffic_result *r, bool stream);

#endif
