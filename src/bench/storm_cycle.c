// SPDX-License-Identifier: BSD-2-Clause
// The allocate storm: each client allocates, binds a channel and releases, over and over.
#include "bench/storm.h"

static int open_cycles(struct storm_lane *lane)
{
    const struct set *set = &lane->storm->set;
    for (uint32_t i = lane->index; i < set->n; i += set->lanes)
        lane->idle[lane->idle_len++] = i;
    return 0;
}

static void start_cycle(struct storm_lane *lane, uint32_t i)
{
    struct bench_client *c = &lane->storm->set.clients[i];
    bool known = lane->storm->options->reuse_nonce && c->nonce_len;
    // A new client comes from a new port, and servers remember an old one (RFC 8656 7.2, 437).
    bool anew = c->link.transport == TRANSPORT_UDP && !known && c->moves++ > 0;
    if ((c->link.fd < 0 || anew) && set_reopen(&lane->storm->set, c) < 0) {
        storm_failed(lane, i, c->failure);
        return;
    }
    session_begin(&lane->env, c, known ? SESSION_ALLOCATE : SESSION_CHALLENGE);
}

// Goes on where a cycle has come to a joint.
static void go_on(struct storm_lane *lane, struct bench_client *c)
{
    if (c->step == SESSION_READY) {
        session_begin(&lane->env, c, SESSION_RELEASE);
    } else if (c->step == SESSION_GONE) {
        c->step = SESSION_NEW;
        storm_done(lane, c->index, bench_now(CLOCK_MONOTONIC) - c->begun_ns);
    } else if (c->step == SESSION_FAILED) {
        int code = c->failure;
        c->step = SESSION_NEW;
        if (code == 437) // the server still knows this port: the next try comes from another
            link_close(&c->link);
        storm_failed(lane, c->index, code);
    }
}

static void take_cycle(void *arg, const uint8_t *data, size_t len, int64_t arrived_ns)
{
    struct storm_lane *lane = arg;
    (void)arrived_ns;
    if (!session_busy(lane->reading))
        return;
    session_take(&lane->env, lane->reading, data, len);
    if (lane->reading->step != SESSION_FAILED) // the link cannot be closed while it is read
        go_on(lane, lane->reading);
}

static void check_cycles(struct storm_lane *lane, int64_t now)
{
    const struct set *set = &lane->storm->set;
    for (uint32_t i = lane->index; i < set->n; i += set->lanes) {
        struct bench_client *c = &set->clients[i];
        session_tick(&lane->env, c, now);
        go_on(lane, c);
    }
}

static size_t busy_cycles(const struct storm_lane *lane)
{
    const struct set *set = &lane->storm->set;
    size_t n = 0;
    for (uint32_t i = lane->index; i < set->n; i += set->lanes)
        n += set->clients[i].step != SESSION_NEW;
    return n;
}

const struct storm_ops storm_cycle_ops = {
    .open = open_cycles,
    .start = start_cycle,
    .take = take_cycle,
    .check = check_cycles,
    .busy = busy_cycles,
};
