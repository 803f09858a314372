// SPDX-License-Identifier: BSD-2-Clause
#include "bench/histogram.h"

#define BAR_STEPS ((1u << HISTOGRAM_BITS) / 4) // steps of a bar

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    h->count += other->count;
    if (other->max > h->max)
        h->max = other->max;
    for (size_t i = 0; other->count && i < HISTOGRAM_SLOTS; i++)
        h->slot[i] += other->slot[i];
}

// The least value that a step counts.
static uint64_t step_from(uint64_t i)
{
    uint64_t shift = i >> (HISTOGRAM_BITS + 1) ? (i >> HISTOGRAM_BITS) - 1 : 0;
    return (i - (shift << HISTOGRAM_BITS)) << shift;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
    double wanted = (double)h->count * share;
    uint64_t seen = 0;
    for (uint64_t i = 0; i < HISTOGRAM_SLOTS; i++) {
        seen += h->slot[i];
        if (h->slot[i] && (double)seen >= wanted)
            return step_from(i);
    }
    return 0;
}

size_t histogram_bars(const struct histogram *h, struct histogram_bar out[HISTOGRAM_BARS])
{
    size_t n = 0, used = 0;
    // Below the first power of two that has all its steps, one bar holds everything.
    for (uint64_t i = 0; i < HISTOGRAM_SLOTS;) {
        uint64_t end = i < (1u << HISTOGRAM_BITS) ? 1u << HISTOGRAM_BITS : i + BAR_STEPS;
        struct histogram_bar bar = {.from = step_from(i), .to = step_from(end)};
        for (; i < end; i++)
            bar.count += h->slot[i];
        if (n || bar.count)
            out[n++] = bar;
        if (bar.count)
            used = n;
    }
    return used;
}
