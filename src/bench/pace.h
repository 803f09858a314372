// SPDX-License-Identifier: BSD-2-Clause
// When which flow sends: classes of flows of equal rate, each evenly spread over time. No I/O.
#ifndef TP_BENCH_PACE_H
#define TP_BENCH_PACE_H

#include <stdint.h>

// Flows that send bursts of `burst` packets of `payload` bytes in turn, one every gap_ns.
struct pace {
    uint32_t payload, burst;
    uint32_t flow_count;
    uint32_t *flows;
    double gap_ns; // between two bursts of the class
    uint64_t next; // bursts sent or given up
};

#define PACE_MAX_LAG_NS 20000000 // beyond this a sender gives up what it owes

// Packets a second in total to the gap between bursts. Never 0.
double pace_gap(double packets_per_s, uint32_t burst);

// How many bursts are due from the start until elapsed_ns later, the first at 0.
uint64_t pace_due(const struct pace *p, int64_t elapsed_ns);

// Gives up what is owed at that due count. Returns how many packets that is.
uint64_t pace_skip(struct pace *p, uint64_t due);

// The flow of the next burst; moves on.
uint32_t pace_take(struct pace *p);

// The interval of a time line in which a time lies: 1 .. count; 0 before it begins.
uint32_t pace_slot(int64_t now_ns, int64_t begin_ns, int64_t interval_ns, uint32_t count);

// How long an interval is and how many there are, for a measurement of so many seconds: at most
// PACE_SLOTS, of 100 ms at least.
#define PACE_SLOTS 128
int64_t pace_interval(double seconds, uint32_t *count);

#endif
