// SPDX-License-Identifier: BSD-2-Clause
// Bandwidth limits of users and of the server, as allocations meet them.
#include "turn/internal.h"

// The record's own number wins over the configuration's, as that of allocations does.
static uint64_t user_limit(const struct turn_server *s, const struct turn_allocation *a)
{
    uint64_t own = atomic_load_explicit(&a->user->bps, memory_order_relaxed);
    return own ? own : s->cfg->user_bps;
}

void limit_update(struct turn_server *s, struct turn_allocation *a)
{
    a->limited = user_limit(s, a) || s->cfg->total_bps;
}

void limit_grant(struct turn_server *s, struct turn_allocation *a, const struct auth_grant *grant)
{
    atomic_store_explicit(&a->user->bps, grant->max_bps, memory_order_relaxed);
    limit_update(s, a);
}

static void tell(struct turn_server *s, struct turn_allocation *a, bool total, uint64_t bps,
                 int64_t now_ms)
{
    struct turn_event_info info = {.event = TURN_EVENT_LIMITED,
                                   .tuple = &a->tuple,
                                   .allocation = a,
                                   .user = a->user->name,
                                   .user_len = a->user->name_len,
                                   .total = total,
                                   .bps = bps};
    struct bandwidth *b = total ? quota_bandwidth(s->quota) : &a->user->bandwidth;
    a->limited_packets++;
    if (bandwidth_drop(b, now_ms, &info.dropped))
        s->ops.event(s->arg, &info);
}

bool turn_bandwidth_take(struct turn_server *s, struct turn_allocation *a, size_t bytes,
                         int64_t now_ms)
{
    uint64_t bps = user_limit(s, a);
    if (!bandwidth_take(&a->user->bandwidth, bps, bytes, now_ms)) {
        tell(s, a, false, bps, now_ms);
        return false;
    }
    if (!bandwidth_take(quota_bandwidth(s->quota), s->cfg->total_bps, bytes, now_ms)) {
        bandwidth_give_back(&a->user->bandwidth, bps, bytes);
        tell(s, a, true, s->cfg->total_bps, now_ms);
        return false;
    }
    return true;
}

int64_t turn_bandwidth_charge(struct turn_server *s, struct turn_allocation *a, size_t bytes,
                              int64_t now_ms)
{
    int64_t user = bandwidth_charge(&a->user->bandwidth, user_limit(s, a), bytes, now_ms);
    int64_t total = bandwidth_charge(quota_bandwidth(s->quota), s->cfg->total_bps, bytes, now_ms);
    return user > total ? user : total;
}
