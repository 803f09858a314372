// SPDX-License-Identifier: BSD-2-Clause
#include "bench/traffic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/frame.h"
#include "util/rand.h"

#define LEAD_NS 20000000 // until threads have started

static int set_up(struct traffic *t, double seconds)
{
    struct set *set = t->set;
    t->next_seq = calloc(set->n * 2, sizeof(*t->next_seq));
    t->orders = calloc(set->n * 2, sizeof(*t->orders));
    t->lanes = calloc(set->lanes, sizeof(*t->lanes));
    if (!t->next_seq || !t->orders || !t->lanes)
        return -ENOMEM;
    t->lane_count = set->lanes;
    for (unsigned i = 0; i < t->lane_count; i++) {
        struct lane *lane = &t->lanes[i];
        lane->traffic = t;
        lane->index = i;
        lane->send_buf = calloc(BENCH_MAX_BURST, BENCH_MAX_PAYLOAD + FRAME_OVERHEAD);
        lane->latency = calloc(PACE_SLOTS + 1, sizeof(*lane->latency));
        if (!lane->send_buf || !lane->latency ||
            link_reader_init(&lane->reader, t->options->offload) < 0)
            return -ENOMEM;
    }
    int rc = traffic_plan(t);
    rand_bytes(&t->run, sizeof(t->run));
    t->interval_ns = pace_interval(seconds, &t->slot_count);
    t->begin_ns = bench_now(CLOCK_MONOTONIC) + LEAD_NS;
    t->measure_ns = t->begin_ns + (int64_t)(t->options->warmup * 1e9);
    t->end_ns = t->measure_ns + (int64_t)(seconds * 1e9);
    return rc;
}

static void tear_down(struct traffic *t)
{
    for (unsigned i = 0; i < t->lane_count; i++) {
        struct lane *lane = &t->lanes[i];
        for (unsigned k = 0; k < lane->class_count; k++)
            free(lane->classes[k].flows);
        free(lane->send_buf);
        free(lane->latency);
        link_reader_free(&lane->reader);
    }
    free(t->lanes);
    free(t->next_seq);
    free(t->orders);
}

static uint64_t count_unread(const struct set *set)
{
    uint64_t n = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (set->clients[i].peer_owned)
            n += link_dropped(set->clients[i].peer_fd);
        if (!transport_is_stream(set->env.target->transport))
            n += link_dropped(set->clients[i].link.fd);
    }
    return n;
}

static void collect_slot(const struct traffic *t, uint32_t slot, struct histogram *merged)
{
    struct traffic_slot *out = &t->out->slots[slot - 1];
    memset(merged, 0, sizeof(*merged));
    for (unsigned i = 0; i < t->lane_count; i++) {
        const struct lane *lane = &t->lanes[i];
        out->sent += lane->sent[slot];
        out->delivered += lane->delivered[slot];
        histogram_merge(merged, &lane->latency[slot]);
    }
    out->p50_ns = histogram_quantile(merged, 0.5);
    out->p90_ns = histogram_quantile(merged, 0.9);
    out->p99_ns = histogram_quantile(merged, 0.99);
    t->out->sent += out->sent;
    t->out->delivered += out->delivered;
    histogram_merge(&t->out->latency, merged);
}

static int collect(struct traffic *t)
{
    struct traffic_result *out = t->out;
    struct histogram *merged = malloc(sizeof(*merged));
    uint32_t elapsed = (uint32_t)(out->seconds * 1e9 / (double)t->interval_ns + 0.5);

    if (!merged)
        return -ENOMEM;
    out->interval_ns = t->interval_ns;
    out->slot_count = elapsed < t->slot_count ? elapsed : t->slot_count;
    for (uint32_t slot = 1; slot <= t->slot_count; slot++) {
        collect_slot(t, slot, merged);
        if (out->slots[slot - 1].sent && slot > out->slot_count)
            out->slot_count = slot; // the keeper's clock was read late, on a busy machine
    }
    free(merged);
    for (unsigned i = 0; i < t->lane_count; i++) {
        const struct lane *lane = &t->lanes[i];
        out->late += lane->late;
        out->wrong += lane->wrong;
        out->unsendable += lane->unsendable;
        out->skipped += lane->skipped;
        out->paced_sent += lane->paced_sent;
        out->paced_delivered += lane->paced_delivered;
    }
    for (size_t i = 0; i < t->set->n; i++)
        out->lost_clients += t->set->clients[i].step == SESSION_FAILED;
    return 0;
}

// Starts the threads, lets the keeper work, and waits for them.
static int run_threads(struct traffic *t)
{
    pthread_t senders[BENCH_THREADS], receivers[BENCH_THREADS];
    unsigned sending = 0, receiving = 0;
    int rc = 0;

    for (; receiving < t->lane_count && rc == 0; receiving += rc == 0)
        rc =
            pthread_create(&receivers[receiving], NULL, traffic_receive_main, &t->lanes[receiving]);
    for (; sending < t->lane_count && rc == 0; sending += rc == 0)
        rc = pthread_create(&senders[sending], NULL, traffic_send_main, &t->lanes[sending]);
    if (rc)
        rc = bench_fail("no thread: %s", strerror(rc));
    else
        rc = keeper_run(t);
    if (rc)
        __atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < sending; i++)
        pthread_join(senders[i], NULL);
    for (unsigned i = 0; i < receiving; i++)
        pthread_join(receivers[i], NULL);
    return rc;
}

int traffic_run(struct set *set, const struct bench_options *o, double rate, double seconds,
                struct traffic_result *out)
{
    struct traffic t = {.set = set, .options = o, .rate = rate, .out = out};
    uint64_t unread = count_unread(set);
    int rc;

    memset(out, 0, sizeof(*out));
    t.framing = o->indications ? FRAME_INDICATION : FRAME_CHANNEL;
    t.echo = o->direction == DIRECTION_ECHO;
    rc = set_up(&t, seconds);
    if (rc < 0)
        rc = bench_fail("%s", strerror(-rc));
    else
        rc = run_threads(&t);
    if (rc == 0 && collect(&t) < 0)
        rc = bench_fail("out of memory");
    uint64_t after = count_unread(set);
    out->unread = after > unread ? after - unread : 0; // sockets that were reopened count anew
    tear_down(&t);
    return rc;
}
