// SPDX-License-Identifier: BSD-2-Clause
// Which session a datagram of DTLS is for, which ClientHellos make one (RFC 6347 section 4.2.1),
// and when sessions end by themselves.
#include "worker/dtls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 64
#define TIMER_MS 100
#define REST_MS 2000 // after this long without a packet a session gives its buffers back

// --- handshakes ---

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    struct dtls_server *d = w->dtls;
    int64_t now_ms = clock_ms();
    int64_t most_ms = (int64_t)w->snapshot->conf->limits.tls_timeout * 1000;
    for (struct dtls_session *s = TAILQ_FIRST(&d->handshakes), *next; s; s = next) {
        next = TAILQ_NEXT(s, sessions);
        if (now_ms - s->active_ms >= most_ms)
            dtls_session_end(s, "not finished within limits.tls_timeout", false);
        else if (dtls_timer(&s->dtls))
            dtls_session_end(s, "the client does not answer", false);
    }
    if (TAILQ_EMPTY(&d->handshakes))
        event_del(&d->timer);
}

struct dtls_session *dtls_crowding(struct worker *w, uint32_t *crowd)
{
    unsigned looked_at = 0;
    struct dtls_session *s, *found = NULL;
    *crowd = 0;
    for (s = w->dtls ? TAILQ_FIRST(&w->dtls->handshakes) : NULL;
         s && looked_at++ < HANDSHAKES_LOOKED_AT; s = TAILQ_NEXT(s, sessions)) {
        uint32_t n = source_of(w, &s->tuple.client)->handshakes;
        if (n > *crowd) {
            *crowd = n;
            found = s;
        }
    }
    return found;
}

void dtls_give_way(struct dtls_session *s)
{
    dtls_session_end(s, "the oldest of limits.tls_handshakes", false);
}

static bool has_room(struct worker *w, const struct addr *client)
{
    const struct conf *c = w->snapshot->conf;
    return w->snapshot->tls && source_of(w, client)->connections < c->limits.tcp_connections &&
           w->dtls->count < c->limits.dtls_sessions && handshakes_make_room(w);
}

// RFC 6347 4.2.8: the session that the client may have on this 5-tuple goes on until the new
// handshake is complete. What only repeats the ClientHello of a session that there is, or once was
// recorded, changes nothing.
static void take_hello(struct worker *w, struct udp_socket *udp, const struct turn_tuple *tuple,
                       const struct dtls_hello *hello, const uint8_t *data, size_t len,
                       int64_t now_ms)
{
    struct dtls_session *old = dtls_session_find(w, tuple, true);
    struct dtls_session *begun = dtls_session_find(w, tuple, false);
    if ((old && !memcmp(old->random, hello->random, sizeof old->random)) ||
        (begun && !memcmp(begun->random, hello->random, sizeof begun->random)))
        return;
    if (begun)
        dtls_session_end(begun, "the client began anew", false);
    struct event *timer = &w->dtls->timer;
    const struct timeval interval = {0, TIMER_MS * 1000};
    if (!has_room(w, &tuple->client) ||
        (!event_pending(timer, EV_TIMEOUT, NULL) && event_add(timer, &interval)))
        return; // the client tries again
    dtls_session_new(w, udp, tuple, hello, data, len, now_ms);
}

// A stranger costs us an answer that is shorter than the question, and no memory.
static void hello_input(struct worker *w, struct udp_socket *udp, const struct turn_tuple *tuple,
                        const uint8_t *data, size_t len, int64_t now_ms)
{
    struct dtls_hello hello;
    struct dtls_cookies *cookies = w->dtls->cookies;
    uint8_t cookie[DTLS_COOKIE_LEN], answer[DTLS_VERIFY_REQUEST_LEN];
    if (dtls_hello_parse(&hello, data, len))
        return;
    if (dtls_cookie_check(cookies, &hello, &tuple->client, &tuple->local, now_ms)) {
        if (hello.message_seq == 1)
            take_hello(w, udp, tuple, &hello, data, len, now_ms);
        return;
    }
    if (!request_may_answer(w, &tuple->client, now_ms) ||
        dtls_cookie_make(cookies, cookie, &hello, &tuple->client, &tuple->local, now_ms))
        return;
    dtls_hello_verify_request(answer, &hello, cookie);
    io_queue_copy(w->io, &udp->sink, &tuple->client, &tuple->local, answer, sizeof answer);
}

void dtls_datagram(struct worker *w, struct udp_socket *udp, const struct addr *client,
                   const struct addr *local, uint8_t *data, size_t len, int64_t now_ms)
{
    const struct turn_tuple tuple = {.client = *client, .local = *local, .transport = TURN_DTLS};
    if (dtls_hello_begins(data, len)) {
        hello_input(w, udp, &tuple, data, len, now_ms);
        return;
    }
    struct dtls_session *s = dtls_session_find(w, &tuple, true);
    // With a new handshake under way its Finished may be in there. The session that there is tells
    // by the keys.
    struct dtls_session *begun = dtls_session_find(w, &tuple, false);
    if (s && dtls_session_input(s, data, len, now_ms))
        return;
    if (begun)
        dtls_session_input(begun, data, len, now_ms);
}

// --- once a second ---

void dtls_sweep(struct worker *w, int64_t now_ms)
{
    if (!w->dtls)
        return;
    int64_t idle_ms = (int64_t)w->snapshot->conf->limits.tcp_idle * 1000;
    for (struct dtls_session *s = TAILQ_FIRST(&w->dtls->ready), *next; s; s = next) {
        next = TAILQ_NEXT(s, sessions);
        if (s->failed)
            dtls_session_end(s, "it broke while sending", false);
        else if (!s->allocation && now_ms - s->active_ms >= idle_ms &&
                 !turn_server_expects(w->turn, &s->tuple))
            dtls_session_end(s, "idle without an allocation for limits.tcp_idle seconds", true);
        else if (now_ms - s->busy_ms >= REST_MS)
            dtls_rest(&s->dtls);
    }
}

void dtls_allocation_made(struct io_sink *sink, struct turn_allocation *a)
{
    ((struct dtls_session *)sink)->allocation = a;
}

void dtls_allocation_ended(struct io_sink *sink)
{
    struct dtls_session *s = (struct dtls_session *)sink;
    s->allocation = NULL;
    s->active_ms = clock_ms();
}

// --- making and ending ---

int dtls_server_new(struct worker *w)
{
    struct dtls_server *d = calloc(1, sizeof *d);
    if (!d)
        return -ENOMEM;
    TAILQ_INIT(&d->ready);
    TAILQ_INIT(&d->handshakes);
    d->bucket_count = FIRST_BUCKETS;
    d->buckets = calloc(d->bucket_count, sizeof(struct dtls_session *));
    d->cookies = dtls_cookies_new();
    if (!d->buckets || !d->cookies) {
        dtls_cookies_free(d->cookies);
        free(d->buckets);
        free(d);
        return -ENOMEM;
    }
    event_assign(&d->timer, w->base, -1, EV_PERSIST, on_timer, w);
    w->dtls = d;
    return 0;
}

void dtls_server_close(struct worker *w)
{
    struct dtls_session *s;
    if (!w->dtls)
        return;
    while ((s = TAILQ_FIRST(&w->dtls->handshakes)))
        dtls_session_end(s, "the server ends", false);
    while ((s = TAILQ_FIRST(&w->dtls->ready)))
        dtls_session_end(s, "the server ends", true);
    dtls_flush(w);
}

void dtls_server_free(struct worker *w)
{
    struct dtls_server *d = w->dtls;
    if (!d)
        return;
    event_del(&d->timer);
    dtls_cookies_free(d->cookies);
    free(d->buckets);
    free(d);
    w->dtls = NULL;
}
