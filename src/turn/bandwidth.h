// SPDX-License-Identifier: BSD-2-Clause
// How fast a user, or everyone together, may relay: a leaky bucket (the "virtual scheduling" of
// GCRA) in one atomic word, so that workers share it without a lock. No clock: time is an argument,
// in ms, monotonic, and may differ by some ms between threads. A burst of 250 ms' worth passes at
// once, or 64 KiB where that is more: any datagram fits when nothing was sent for a while.
#ifndef TP_TURN_BANDWIDTH_H
#define TP_TURN_BANDWIDTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BANDWIDTH_BURST_MS 250
#define BANDWIDTH_BURST_BYTES 65536
#define BANDWIDTH_TELL_SECONDS 10 // between two lines in the log about one bucket

// Zeroed: nothing was sent yet. Every member may be touched by all threads.
struct bandwidth {
    atomic_llong due_ns; // when all that has been let through will have been worth its time
    atomic_ullong bps;   // the limit that this was counted by
    atomic_uint dropped; // datagrams, ever
    atomic_uint told;    // of these, in the log
    atomic_uint told_s;  // when; 0: never
};

// Counts bytes if they may pass now. False: they may not, and nothing is counted. bps: bits per
// second, 0 for no limit; another one than before counts from now on.
bool bandwidth_take(struct bandwidth *b, uint64_t bps, size_t bytes, int64_t now_ms);

// Takes back what bandwidth_take has just counted.
void bandwidth_give_back(struct bandwidth *b, uint64_t bps, size_t bytes);

// Counts bytes of a stream that have been read already, at most BANDWIDTH_BURST_BYTES in one call,
// beyond the limit too. Returns for how many ms nothing more should be read: 0 go on.
int64_t bandwidth_charge(struct bandwidth *b, uint64_t bps, size_t bytes, int64_t now_ms);

// Counts a datagram that was dropped. True: it is time to say so in the log, and *count is the
// number since the last time.
bool bandwidth_drop(struct bandwidth *b, int64_t now_ms, uint32_t *count);

#endif
