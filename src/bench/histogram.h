// SPDX-License-Identifier: BSD-2-Clause
// A histogram of times with a relative error under 2 %: 64 steps to each power of two.
#ifndef TP_BENCH_HISTOGRAM_H
#define TP_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BITS 6
#define HISTOGRAM_LIMIT 40 // times of 2^40 ns (18 minutes) and more are counted in the last step
#define HISTOGRAM_SLOTS ((HISTOGRAM_LIMIT - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

struct histogram {
    uint64_t count, max;
    uint32_t slot[HISTOGRAM_SLOTS];
};

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    unsigned shift = 0;
    if (value > h->max)
        h->max = value;
    if (value >> HISTOGRAM_LIMIT)
        value = (UINT64_C(1) << HISTOGRAM_LIMIT) - 1;
    if (value >> (HISTOGRAM_BITS + 1))
        shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    h->slot[((uint64_t)shift << HISTOGRAM_BITS) + (value >> shift)]++;
    h->count++;
}

// Adds what the other has counted.
void histogram_merge(struct histogram *h, const struct histogram *other);

// The value below which `share` (0..1) of the entries lie, to the step; 0 when there are none.
uint64_t histogram_quantile(const struct histogram *h, double share);

struct histogram_bar {
    uint64_t from, to, count; // from <= value < to
};

#define HISTOGRAM_BARS 160 // four to each power of two

// Sums up in bars of a quarter of a power of two, from the first to the last that holds something.
// Returns how many.
size_t histogram_bars(const struct histogram *h, struct histogram_bar out[HISTOGRAM_BARS]);

#endif
