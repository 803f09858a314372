// SPDX-License-Identifier: BSD-2-Clause
#include "bench/pace.h"

double pace_gap(double packets_per_s, uint32_t burst)
{
    return packets_per_s > 0 ? 1e9 * burst / packets_per_s : 1e18;
}

uint64_t pace_due(const struct pace *p, int64_t elapsed_ns)
{
    return elapsed_ns < 0 ? 0 : (uint64_t)((double)elapsed_ns / p->gap_ns) + 1;
}

uint64_t pace_skip(struct pace *p, uint64_t due)
{
    uint64_t skipped = due > p->next ? (due - p->next) * p->burst : 0;
    if (due > p->next)
        p->next = due;
    return skipped;
}

uint32_t pace_take(struct pace *p)
{
    return p->flows[p->next++ % p->flow_count];
}

uint32_t pace_slot(int64_t now_ns, int64_t begin_ns, int64_t interval_ns, uint32_t count)
{
    if (now_ns < begin_ns)
        return 0;
    int64_t slot = 1 + (now_ns - begin_ns) / interval_ns;
    return slot > count ? count : (uint32_t)slot;
}

int64_t pace_interval(double seconds, uint32_t *count)
{
    double interval = seconds / PACE_SLOTS > 0.1 ? seconds / PACE_SLOTS : 0.1;
    double n = seconds / interval + 0.5;
    *count = n < 1 ? 1 : n > PACE_SLOTS ? PACE_SLOTS : (uint32_t)n;
    int64_t length = (int64_t)(seconds * 1e9 / *count);
    return length > 0 ? length : 1;
}
