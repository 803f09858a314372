// SPDX-License-Identifier: BSD-2-Clause
// A histogram of times with a relative error under 2 %: 64 steps to each power of two.
#ifndef TP_BENCH_LOAD_HISTOGRAM_H
#define TP_BENCH_LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 6
#define HISTOGRAM_SLOTS ((64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

struct histogram {
    uint64_t count;
    uint64_t slot[HISTOGRAM_SLOTS];
};

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    unsigned shift = 0;
    if (value >> (HISTOGRAM_BITS + 1))
        shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    h->slot[((uint64_t)shift << HISTOGRAM_BITS) + (value >> shift)]++;
    h->count++;
}

// The value below which `share` (0..1) of the entries lie; 0 when there are none.
static inline uint64_t histogram_quantile(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)((double)h->count * share), seen = 0;
    for (uint64_t i = 0; i < HISTOGRAM_SLOTS; i++) {
        seen += h->slot[i];
        if (h->slot[i] && seen >= wanted) {
            uint64_t shift = i >> (HISTOGRAM_BITS + 1) ? (i >> HISTOGRAM_BITS) - 1 : 0;
            return (i - (shift << HISTOGRAM_BITS)) << shift;
        }
    }
    return 0;
}

#endif
