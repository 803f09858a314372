// SPDX-License-Identifier: BSD-2-Clause
#include "probe/echo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe/advice.h"
#include "probe/clock.h"
#include "probe/stats.h"
#include "stun/cursor.h"
#include "util/rand.h"

#define RUN_LEN 8
#define STRAGGLERS 1000000 // us to wait for the last packets

struct echo {
    struct peer *peer;
    uint16_t channel;
    uint8_t run[RUN_LEN];
    unsigned count;
    int64_t *sent, *rtt; // us by packet; rtt 0: not back
    bool *arrived;       // at the peer
    unsigned at_peer, back, duplicates;
};

// The number of a packet of this run, or -1.
static int64_t packet_number(const struct echo *e, const uint8_t *data, size_t len)
{
    struct cursor c = cursor_reader(data, len);
    const uint8_t *run = cursor_take(&c, RUN_LEN);
    uint32_t number = cursor_u32(&c);
    return c.ok && memcmp(run, e->run, RUN_LEN) == 0 && number < e->count ? (int64_t)number : -1;
}

static void at_peer(void *arg, const uint8_t *data, size_t len)
{
    struct echo *e = arg;
    int64_t i = packet_number(e, data, len);
    if (i < 0)
        return;
    e->at_peer += !e->arrived[i];
    e->arrived[i] = true;
    peer_send(e->peer, data, len); // an error shows as a loss
}

static void at_client(void *arg, const struct addr *peer, uint16_t channel, const uint8_t *data,
                      size_t len)
{
    struct echo *e = arg;
    int64_t i = channel == e->channel ? packet_number(e, data, len) : -1;
    if (i < 0)
        return;
    if (e->rtt[i]) {
        e->duplicates++;
        return;
    }
    e->rtt[i] = clock_us() - e->sent[i];
    e->rtt[i] += e->rtt[i] == 0;
    e->back++;
}

static int send_all(struct probe *p, struct session *s, struct echo *e)
{
    uint8_t packet[2048];
    int64_t next = clock_us(), end;
    int rc = 0;

    rand_bytes(packet, p->size);
    memcpy(packet, e->run, RUN_LEN);
    for (unsigned i = 0; i < e->count && rc == 0; i++) {
        struct cursor c = cursor_writer(packet + RUN_LEN, 4);
        cursor_put_u32(&c, i);
        while (rc == 0 && clock_us() < next)
            rc = peer_wait(s, e->peer, next);
        next += (int64_t)p->interval_ms * 1000;
        e->sent[i] = clock_us();
        if (rc == 0)
            rc = client_send_channel(&s->client, e->channel, packet, p->size);
        if (i % 10 == 0)
            step_progress(&p->report, "%u of %u sent, %u back", i + 1, e->count, e->back);
    }
    end = clock_us() + STRAGGLERS;
    while (rc == 0 && e->back < e->count && clock_us() < end)
        rc = peer_wait(s, e->peer, end);
    return rc;
}

static double percent(unsigned part, unsigned whole)
{
    return whole ? 100.0 * part / whole : 0;
}

static void show(struct probe *p, struct echo *e)
{
    unsigned n = 0;
    double out = percent(e->count - e->at_peer, e->count);
    double back = percent(e->at_peer - e->back, e->at_peer);

    for (unsigned i = 0; i < e->count; i++) {
        if (e->rtt[i])
            e->rtt[n++] = e->rtt[i];
    }
    step_text(&p->report, "%u of %u packets of %u bytes came back", e->back, e->count, p->size);
    step_note(&p->report, "lost to the peer %.1f %%, on the way back %.1f %%", out, back);
    if (e->duplicates)
        step_note(&p->report, "%u came twice", e->duplicates);
    step_fact(&p->report, "sent", json_integer(e->count));
    step_fact(&p->report, "at_peer", json_integer(e->at_peer));
    step_fact(&p->report, "back", json_integer(e->back));
    step_fact(&p->report, "duplicates", json_integer(e->duplicates));
    step_fact(&p->report, "loss_to_peer_percent", json_real(out));
    step_fact(&p->report, "loss_back_percent", json_real(back));
    stats_show(&p->report, "round trip ", e->rtt, n);
}

bool echo_run(struct probe *p, struct session *s, struct peer *peer, uint16_t channel)
{
    struct echo e = {.peer = peer, .channel = channel, .count = p->count};
    int rc = -ENOMEM;

    step_begin(&p->report, "echo");
    rand_bytes(e.run, sizeof(e.run));
    e.sent = calloc(e.count, sizeof(*e.sent));
    e.rtt = calloc(e.count, sizeof(*e.rtt));
    e.arrived = calloc(e.count, sizeof(*e.arrived));
    if (e.sent && e.rtt && e.arrived) {
        s->client.on_data = at_client;
        s->client.arg = &e;
        peer->on_data = at_peer;
        peer->arg = &e;
        rc = send_all(p, s, &e);
        s->client.on_data = NULL;
        peer->on_data = NULL;
        show(p, &e);
    }
    if (rc < 0)
        session_fail(p, s, STUN_SEND, rc, true);
    else if (e.back == 0)
        step_fail(&p->report, "relay-loss", &advice_relay, "nothing came back");
    else if (e.back < e.count)
        step_warn(&p->report, "some were lost; voice suffers from about 2 %%");
    else
        step_ok(&p->report);
    free(e.sent);
    free(e.rtt);
    free(e.arrived);
    return rc == 0 && e.back > 0;
}
