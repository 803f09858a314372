// SPDX-License-Identifier: BSD-2-Clause
#include <sys/prctl.h>

#include "bench/frame.h"
#include "bench/traffic.h"

// Writes the packets of one burst back to back; returns the length of each.
static size_t fill_burst(struct lane *lane, const struct pace *p, uint32_t flow, uint32_t slot)
{
    struct traffic *t = lane->traffic;
    const struct bench_client *c = &t->set->clients[flow / 2];
    enum frame_kind kind = flow % 2 == FLOW_UP ? t->framing : FRAME_PLAIN;
    struct stamp stamp = {.flow = flow, .run = t->run, .slot = slot, .seq = t->next_seq[flow]};
    uint8_t *out = lane->send_buf;
    size_t len = 0;

    stamp.sent_ns = bench_now(CLOCK_REALTIME);
    for (uint32_t i = 0; i < p->burst; i++, stamp.seq++) {
        len = frame_write(out, kind, &c->peer, transport_is_stream(c->link.transport), p->payload,
                          &stamp);
        out += len;
    }
    return len;
}

static void send_burst(struct lane *lane, struct pace *p, uint32_t slot)
{
    struct traffic *t = lane->traffic;
    uint32_t flow = pace_take(p), done;
    struct bench_client *c = &t->set->clients[flow / 2];

    if (!__atomic_load_n(&c->live, __ATOMIC_ACQUIRE))
        return; // on its way out or in again
    size_t len = fill_burst(lane, p, flow, slot);
    if (flow % 2 == FLOW_UP)
        done = link_send(&c->link, lane->send_buf, len, p->burst, t->options->offload);
    else
        done = link_send_udp(c->peer_fd, c->peer_shared ? &c->relayed : NULL, lane->send_buf, len,
                             p->burst, t->options->offload);
    t->next_seq[flow] += done;
    if (!slot)
        return;
    count_add(&lane->sent[slot], done);
    if (flow / 2 < t->options->paced)
        count_add(&lane->paced_sent, done);
    if (done < p->burst)
        count_add(&lane->unsendable, p->burst - done);
}

// Whether the sender has been kept from its work for so long that it gives up what was due at this
// tick. Then the tick becomes the last one of which that is true, since who would go through all of
// them on a busy machine might never be in time again; not beyond an end of warm-up or measurement,
// so that each has what it lost.
static bool catch_up(const struct traffic *t, int64_t tick_ns, int64_t now, int64_t *tick)
{
    int64_t bound = *tick < t->measure_ns ? t->measure_ns : t->end_ns;
    int64_t last = now - PACE_MAX_LAG_NS - 1;
    if (last < *tick)
        return false;
    if (last >= bound)
        last = bound - 1;
    *tick += (last - *tick) / tick_ns * tick_ns;
    return true;
}

void *traffic_send_main(void *arg)
{
    struct lane *lane = arg;
    struct traffic *t = lane->traffic;
    int64_t tick_ns = (int64_t)t->options->tick_us * 1000;

    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    for (int64_t tick = t->begin_ns; tick < t->end_ns; tick += tick_ns) {
        bench_sleep_until(tick);
        bool late = catch_up(t, tick_ns, bench_now(CLOCK_MONOTONIC), &tick);
        uint32_t slot = pace_slot(tick, t->measure_ns, t->interval_ns, t->slot_count);
        if (__atomic_load_n(&t->stop, __ATOMIC_RELAXED))
            break;
        for (unsigned i = 0; i < lane->class_count; i++) {
            struct pace *p = &lane->classes[i];
            uint64_t due = pace_due(p, tick - t->begin_ns);
            if (late) {
                uint64_t skipped = pace_skip(p, due);
                if (slot)
                    count_add(&lane->skipped, skipped);
            }
            while (p->next < due)
                send_burst(lane, p, slot);
        }
    }
    __atomic_store_n(&lane->sender_done, true, __ATOMIC_RELEASE);
    return NULL;
}
