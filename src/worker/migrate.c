// SPDX-License-Identifier: BSD-2-Clause
// Mobile allocations between workers (RFC 8016). The kernel gives a client's new 5-tuple to any
// worker, and goes on to do so: requests travel to the worker that has the allocation and their
// answers back, and once there is data the allocation itself comes to where its client is.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "stun/channel_data.h"
#include "worker/internal.h"

#define ERRANDS_MAX 1024 // requests of this worker's clients that others have
#define HOPS_MAX 4       // an allocation may move while it is looked for
#define CLAIMS_MAX 256   // allocations on their way to this worker
#define HELD_MAX 16384   // bytes of their clients' data kept meanwhile
#define CLAIM_MS 5000    // no worker takes that long: the letter was lost for want of memory

// --- requests ---

// Everything but sink and the list is the business of the worker that has it at the moment.
struct errand {
    struct errand *next, **prev; // of origin
    struct worker *origin;
    struct io_sink *sink; // NULL: gone meanwhile
    atomic_bool lost;     // could not be sent on: origin frees it
    struct turn_tuple tuple;
    uint64_t session;
    unsigned via;  // who sent it
    int denied_by; // who was believed to have the allocation, or -1
    unsigned hops;
    struct auth_grant grant;
    // The answer.
    uint8_t answered_by;
    int64_t visit_ms;
    size_t reply_len;
    uint8_t reply[TURN_REPLY_MAX];
    size_t len;
    uint8_t data[];
};

static void errand_free(struct errand *e)
{
    *e->prev = e->next;
    if (e->next)
        e->next->prev = e->prev;
    e->origin->errand_count--;
    free(e);
}

static void send_allocation(struct worker *w, uint64_t session, unsigned to,
                            const struct turn_tuple *tuple);

static void on_answer(void *worker, void *arg)
{
    struct worker *w = worker;
    struct errand *e = arg;
    const struct turn_elsewhere at = {e->session, e->answered_by};
    // Without the note of the visit the client would be unknown here: it asks again.
    bool noted = !turn_server_visit(w->turn, &at, &e->tuple, e->sink, e->visit_ms);
    if (noted && e->sink && e->reply_len)
        io_queue_copy(w->io, e->sink, &e->tuple.client, &e->tuple.local, e->reply, e->reply_len);
    errand_free(e);
}

static void handle(struct worker *w, struct errand *e)
{
    bool home = w == e->origin;
    struct turn_input in = {.tuple = &e->tuple,
                            .data = e->data,
                            .len = e->len,
                            .now_ms = clock_ms(),
                            .unix_time = time(NULL),
                            .link = home ? e->sink : NULL,
                            .routed = true,
                            .worker = (uint8_t)e->origin->index,
                            .session = e->session};
    enum turn_action action = turn_server_granted(w->turn, &in, &e->grant, &w->output);
    if (home) {
        request_act(w, e->sink, &in, action, false);
        errand_free(e);
        return;
    }
    e->reply_len = action == TURN_REPLY ? w->output.reply_len : 0;
    memcpy(e->reply, w->output.reply, e->reply_len);
    e->answered_by = (uint8_t)w->index;
    e->visit_ms = w->output.visit_ms;
    uint64_t session = e->session;
    unsigned to = e->origin->index;
    bool follow = w->output.follow;
    if (worker_post(w, to, on_answer, e))
        atomic_store(&e->lost, true);
    else if (follow) // behind the answer, which says where the client is
        send_allocation(w, session, to, NULL);
}

static void on_errand(void *worker, void *arg);

static void send_on(struct worker *w, struct errand *e, unsigned to)
{
    e->via = w->index;
    e->hops++;
    if (worker_post(w, to, on_errand, e))
        atomic_store(&e->lost, true);
}

static void on_errand(void *worker, void *arg)
{
    struct worker *w = worker;
    struct errand *e = arg;
    bool home = w == e->origin;
    if (home && !e->sink) {
        errand_free(e);
        return;
    }
    int at = turn_server_locate(w->turn, e->session);
    if (at >= 0 && at == e->denied_by && at != (int)w->index) {
        turn_server_forget(w->turn, e->session, NULL);
        at = -1;
    }
    if (at == (int)w->index || e->hops >= HOPS_MAX || (at < 0 && home)) {
        handle(w, e);
    } else if (at >= 0) {
        send_on(w, e, (unsigned)at);
    } else {
        // It has moved: whoever sent this here knows by now, its mail is read in order.
        e->denied_by = (int)w->index;
        send_on(w, e, e->via);
    }
}

void migrate_forward(struct worker *w, struct io_sink *sink, const struct turn_input *in)
{
    if (w->errand_count >= ERRANDS_MAX)
        return; // the client asks again
    struct errand *e = malloc(sizeof *e + in->len);
    if (!e)
        return;
    *e = (struct errand){.origin = w,
                         .sink = sink,
                         .tuple = *in->tuple,
                         .session = w->output.elsewhere.session,
                         .via = w->index,
                         .denied_by = -1,
                         .grant = w->output.grant,
                         .len = in->len};
    memcpy(e->data, in->data, in->len);
    e->next = w->errands;
    e->prev = &w->errands;
    if (e->next)
        e->next->prev = &e->next;
    w->errands = e;
    w->errand_count++;
    if (worker_post(w, w->output.elsewhere.worker, on_errand, e))
        errand_free(e);
}

void migrate_cancel(struct worker *w, const struct io_sink *sink)
{
    for (struct errand *e = w->errands; e; e = e->next)
        if (e->sink == sink)
            e->sink = NULL;
}

// --- allocations ---

// Asks for an allocation, and brings it.
struct parcel {
    uint64_t session;
    unsigned to;
    struct turn_tuple tuple;
    struct turn_allocation *allocation; // NULL: it is not to be had
};

// What a client sends until its allocation is here.
struct held {
    struct held *next;
    size_t len;
    uint8_t data[];
};

struct claim {
    struct claim *next;
    uint64_t session;
    struct turn_tuple tuple;
    int64_t since_ms;
    size_t bytes;
    struct held *first, **last;
};

static struct claim **find_claim(struct worker *w, uint64_t session)
{
    struct claim **at = &w->claims;
    while (*at && (*at)->session != session)
        at = &(*at)->next;
    return at;
}

static void claim_free(struct worker *w, struct claim **at)
{
    struct claim *c = *at;
    *at = c->next;
    while (c->first) {
        struct held *h = c->first;
        c->first = h->next;
        free(h);
    }
    free(c);
    w->claim_count--;
}

static void replay(struct worker *w, const struct claim *c)
{
    int64_t now_ms = clock_ms();
    for (const struct held *h = c->first; h; h = h->next) {
        struct turn_allocation *a = turn_server_find(w->turn, &c->tuple, now_ms);
        if (a && demux_first_byte(h->data[0]) == DEMUX_CHANNEL)
            relay_channel_data(w, a, h->data, h->len, now_ms);
        else if (a)
            request_input(w, a->link, &c->tuple, h->data, h->len);
    }
    io_flush(w->io); // what was queued points into what is freed now
}

static void on_parcel(void *worker, void *arg)
{
    struct worker *w = worker;
    struct parcel *p = arg;
    struct claim **c = find_claim(w, p->session);
    if (!p->allocation)
        turn_server_forget(w->turn, p->session, &p->tuple);
    else if (!turn_server_adopt(w->turn, p->allocation, clock_ms()) && *c)
        replay(w, *c);
    if (*c)
        claim_free(w, c);
    free(p);
}

// Takes the allocation out of this worker and mails it; p: the letter.
static void send_parcel(struct worker *w, struct parcel *p, const struct turn_tuple *tuple)
{
    p->allocation = turn_server_detach(w->turn, p->session, (uint8_t)p->to, tuple, clock_ms());
    if (!worker_post(w, p->to, on_parcel, p))
        return;
    if (p->allocation) // out of memory: it waits here for the client's next ticket
        turn_server_adopt(w->turn, p->allocation, clock_ms());
    free(p);
}

static void on_claim(void *worker, void *arg)
{
    struct parcel *p = arg;
    const struct turn_tuple tuple = p->tuple;
    send_parcel(worker, p, &tuple);
}

static void send_allocation(struct worker *w, uint64_t session, unsigned to,
                            const struct turn_tuple *tuple)
{
    struct parcel *p = malloc(sizeof *p);
    if (!p)
        return;
    *p = (struct parcel){.session = session, .to = to};
    send_parcel(w, p, tuple);
}

static struct claim *claim_new(struct worker *w, const struct turn_tuple *tuple,
                               const struct turn_elsewhere *at)
{
    struct claim *c = w->claim_count < CLAIMS_MAX ? malloc(sizeof *c) : NULL;
    struct parcel *p = c ? malloc(sizeof *p) : NULL;
    if (!p) {
        free(c);
        return NULL;
    }
    *c = (struct claim){.session = at->session, .tuple = *tuple, .since_ms = clock_ms()};
    c->last = &c->first;
    *p = (struct parcel){.session = at->session, .to = w->index, .tuple = *tuple};
    if (worker_post(w, at->worker, on_claim, p)) {
        free(p);
        free(c);
        return NULL;
    }
    c->next = w->claims;
    w->claims = c;
    w->claim_count++;
    return c;
}

void migrate_claim(struct worker *w, const struct turn_tuple *tuple,
                   const struct turn_elsewhere *at, const uint8_t *data, size_t len)
{
    struct claim *c = *find_claim(w, at->session);
    if (!c)
        c = claim_new(w, tuple, at);
    if (!c || memcmp(&c->tuple, tuple, sizeof *tuple) != 0 || c->bytes + len > HELD_MAX)
        return; // lost, as on any network
    struct held *h = malloc(sizeof *h + len);
    if (!h)
        return;
    h->next = NULL;
    h->len = len;
    memcpy(h->data, data, len);
    *c->last = h;
    c->last = &h->next;
    c->bytes += len;
}

struct turn_allocation *migrate_data(struct worker *w, const struct turn_tuple *tuple,
                                     const uint8_t *data, size_t len, int64_t now_ms)
{
    struct turn_elsewhere at;
    struct turn_allocation *a = turn_server_arrive(w->turn, tuple, now_ms, &at);
    if (!a && at.session)
        migrate_claim(w, tuple, &at, data, len);
    return a;
}

void migrate_disconnect(struct worker *w, struct turn_allocation *a)
{
    struct turn_elsewhere at;
    if (turn_server_disconnect(w->turn, a, &at) && !w->ended)
        send_allocation(w, at.session, at.worker, NULL);
}

// --- visits ---

struct visit {
    struct turn_elsewhere at;
    struct turn_tuple tuple;
    int64_t expires_ms; // 0: it is over
};

static void on_visit(void *worker, void *arg)
{
    struct worker *w = worker;
    struct visit *v = arg;
    if (v->expires_ms)
        turn_server_visit(w->turn, &v->at, &v->tuple, NULL, v->expires_ms);
    else
        turn_server_forget(w->turn, v->at.session, NULL);
    free(v);
}

static void post_visit(struct worker *w, unsigned to, const struct visit *visit)
{
    struct visit *v = malloc(sizeof *v);
    if (!v)
        return;
    *v = *visit;
    if (worker_post(w, to, on_visit, v))
        free(v);
}

void migrate_refreshed(struct worker *w, const struct turn_allocation *a)
{
    struct turn_elsewhere at;
    struct turn_tuple tuple;
    if (!turn_server_visited(w->turn, a, &at, &tuple))
        return;
    const struct visit v = {{at.session, (uint8_t)w->index}, tuple, a->expires_ms};
    post_visit(w, at.worker, &v);
}

void migrate_unexpected(struct worker *w, const struct turn_allocation *a, unsigned worker)
{
    const struct visit v = {.at.session = a->session};
    if (!w->ended)
        post_visit(w, worker, &v);
}

// --- life ---

void migrate_sweep(struct worker *w, int64_t now_ms)
{
    for (struct errand *e = w->errands, *next; e; e = next) {
        next = e->next;
        if (atomic_load(&e->lost))
            errand_free(e);
    }
    for (struct claim **at = &w->claims; *at;) {
        if (now_ms - (*at)->since_ms >= CLAIM_MS)
            claim_free(w, at);
        else
            at = &(*at)->next;
    }
}

void migrate_end(struct worker *w)
{
    while (w->errands)
        errand_free(w->errands);
    while (w->claims)
        claim_free(w, &w->claims);
}
