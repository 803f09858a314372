// SPDX-License-Identifier: BSD-2-Clause
// STUN messages of clients: through the state machine, to a store and back where a user has to be
// looked up, and the answer out.
#include <stdlib.h>
#include <string.h>

#include "auth/stores.h"
#include "worker/stream.h"
#include "worker/tcp_relay.h"

#define SPARE_MAX 64

// A request whose user is being looked up.
struct pending_request {
    TAILQ_ENTRY(pending_request) list; // the next one, of those to spare
    bool listed;
    struct worker *worker;
    struct io_sink *sink;
    struct turn_tuple tuple;
    struct turn_input in;
    uint8_t *copy;               // of the message, once the answer is known to come later
    struct store_lookup *lookup; // set then, but for while the stores are replaced
};

// Before authentication an address may be forged, so that what we answer is limited by source
// prefix (/24, /64): a flood gains nothing by way of us.
bool request_may_answer(struct worker *w, const struct addr *client, int64_t now_ms)
{
    uint32_t limit = w->snapshot->conf->limits.unauthenticated_rate;
    if (!limit)
        return true;
    uint64_t h = siphash(&w->hash_key, client->ip, client->family == ADDR_IPV6 ? 8 : 3);
    return rate_take(&w->answers[h % ANSWER_RATES], limit, limit * 2, 1, now_ms);
}

static void answer(struct worker *w, struct io_sink *sink, const struct turn_input *in,
                   bool limited)
{
    const struct turn_output *out = &w->output;
    if (limited && in->tuple->transport == TURN_UDP &&
        !request_may_answer(w, &in->tuple->client, in->now_ms))
        return;
    // RFC 5780: from another of our addresses.
    if (!addr_equal(&out->reply_from, &in->tuple->local))
        sink = listener_sink(w, &out->reply_from);
    if (sink)
        io_queue_copy(w->io, sink, &out->reply_to, &out->reply_from, out->reply, out->reply_len);
}

void request_act(struct worker *w, struct io_sink *sink, const struct turn_input *in,
                 enum turn_action action, bool limited)
{
    switch (action) {
    case TURN_REPLY:
        answer(w, sink, in, limited);
        break;
    case TURN_SEND:
        relay_send(w, &w->output);
        break;
    case TURN_BIND:
        answer(w, sink, in, limited);
        tcp_relay_bind((struct stream *)sink, w->output.connection);
        break;
    case TURN_MOVE:
        stream_move((struct stream *)sink, w->output.worker, in, &w->output.grant);
        break;
    case TURN_FORWARD:
        migrate_forward(w, sink, in);
        break;
    case TURN_CLAIM:
        migrate_claim(w, in->tuple, &w->output.elsewhere, in->data, in->len);
        break;
    case TURN_LOOKUP:
    case TURN_DROP:
        break;
    }
}

// --- look-ups that take time ---

static struct pending_request *pending_new(struct worker *w, struct io_sink *sink,
                                           const struct turn_input *in)
{
    struct pending_request *p = w->spare;
    if (p) {
        w->spare = TAILQ_NEXT(p, list);
        w->spare_count--;
    } else {
        p = malloc(sizeof *p);
        if (!p)
            return NULL;
    }
    *p = (struct pending_request){.worker = w, .sink = sink, .tuple = *in->tuple, .in = *in};
    p->in.tuple = &p->tuple;
    return p;
}

static void pending_unlink(struct pending_request *p)
{
    if (p->listed)
        TAILQ_REMOVE(&p->worker->pending, p, list);
    p->listed = false;
}

static void pending_free(struct pending_request *p)
{
    struct worker *w = p->worker;
    pending_unlink(p);
    free(p->copy);
    if (w->spare_count >= SPARE_MAX) {
        free(p);
        return;
    }
    TAILQ_NEXT(p, list) = w->spare;
    w->spare = p;
    w->spare_count++;
}

static void on_looked_up(enum store_status status, const struct auth_record *rec, void *arg)
{
    struct pending_request *p = arg;
    struct worker *w = p->worker;
    if (p->copy)
        p->in.now_ms = clock_ms();
    pending_unlink(p); // it is no longer one that can be cancelled
    w->auth_refused = false;
    enum turn_action action = turn_server_resume(w->turn, &p->in, status, rec, &w->output);
    // A wrong password is limited as an unknown user is: else silence would tell which names exist.
    request_act(w, p->sink, &p->in, action, w->auth_refused);
    pending_free(p);
}

// Keeps what the answer will need: the message lies in memory that the next read overwrites.
static void pending_keep(struct pending_request *p, struct store_lookup *lookup)
{
    struct worker *w = p->worker;
    p->lookup = lookup;
    p->copy = malloc(p->in.len);
    if (!p->copy) {
        stores_cancel(w->stores, lookup);
        pending_free(p);
        return;
    }
    memcpy(p->copy, p->in.data, p->in.len);
    p->in.data = p->copy;
    TAILQ_INSERT_TAIL(&w->pending, p, list);
    p->listed = true;
}

static void look_up(struct worker *w, struct io_sink *sink, const struct turn_input *in)
{
    struct pending_request *p = pending_new(w, sink, in);
    if (!p)
        return; // the client asks again
    struct store_lookup *lookup =
        stores_lookup(w->stores, &w->output.query, in->unix_time, on_looked_up, p);
    if (lookup)
        pending_keep(p, lookup);
}

void requests_cancel(struct worker *w, const struct io_sink *sink)
{
    for (struct pending_request *p = TAILQ_FIRST(&w->pending), *next; p; p = next) {
        next = TAILQ_NEXT(p, list);
        if (sink && p->sink != sink)
            continue;
        if (p->lookup)
            stores_cancel(w->stores, p->lookup);
        pending_free(p);
    }
    while (!sink && w->spare) {
        struct pending_request *p = w->spare;
        w->spare = TAILQ_NEXT(p, list);
        w->spare_count--;
        free(p);
    }
}

void requests_suspend(struct worker *w)
{
    struct pending_request *p;
    TAILQ_FOREACH(p, &w->pending, list)
    {
        stores_cancel(w->stores, p->lookup);
        p->lookup = NULL;
    }
}

// A client on a stream does not ask again by itself.
void requests_resume(struct worker *w)
{
    struct pending_request *p;
    while ((p = TAILQ_FIRST(&w->pending)) && !p->lookup) {
        pending_unlink(p);
        request_input(w, p->sink, &p->tuple, p->copy, p->in.len);
        pending_free(p);
    }
}

void request_input(struct worker *w, struct io_sink *sink, const struct turn_tuple *tuple,
                   const uint8_t *data, size_t len)
{
    struct turn_input in = {.tuple = tuple,
                            .data = data,
                            .len = len,
                            .now_ms = clock_ms(),
                            .unix_time = time(NULL),
                            .link = sink};
    enum turn_action action = turn_server_input(w->turn, &in, &w->output);
    if (action == TURN_LOOKUP)
        look_up(w, sink, &in);
    else
        request_act(w, sink, &in, action, true);
}

void request_granted(struct worker *w, struct io_sink *sink, const struct turn_tuple *tuple,
                     const uint8_t *data, size_t len, const struct auth_grant *grant)
{
    const struct turn_input in = {.tuple = tuple,
                                  .data = data,
                                  .len = len,
                                  .now_ms = clock_ms(),
                                  .unix_time = time(NULL),
                                  .link = sink};
    request_act(w, sink, &in, turn_server_granted(w->turn, &in, grant, &w->output), false);
}
