// SPDX-License-Identifier: BSD-2-Clause
// One client on DTLS: its life, what it says, and what it is sent. An encrypted record is a
// datagram: STUN and ChannelData are handled as on UDP.
#include "worker/dtls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls.h"
#include "stun/channel_data.h"

#define TEXT_MAX 256

static struct dtls_session **bucket(struct dtls_server *d, struct worker *w,
                                    const struct turn_tuple *tuple)
{
    uint64_t h = siphash(&w->hash_key, &tuple->client, sizeof tuple->client) ^
                 siphash(&w->hash_key, &tuple->local, sizeof tuple->local) * 3;
    return &d->buckets[h & (d->bucket_count - 1)];
}

struct dtls_session *dtls_session_find(struct worker *w, const struct turn_tuple *tuple, bool ready)
{
    struct dtls_session *s = *bucket(w->dtls, w, tuple);
    while (s && (s->ready != ready || !addr_equal(&s->tuple.client, &tuple->client) ||
                 !addr_equal(&s->tuple.local, &tuple->local)))
        s = s->chain;
    return s;
}

// More buckets; without memory for them the chains are longer.
static void grow(struct dtls_server *d, struct worker *w)
{
    struct dtls_session **old = d->buckets;
    size_t count = d->bucket_count;
    struct dtls_session **more = calloc(count * 2, sizeof(struct dtls_session *));
    if (!more)
        return;
    d->buckets = more;
    d->bucket_count = count * 2;
    for (size_t i = 0; i < count; i++) {
        for (struct dtls_session *s = old[i], *next; s; s = next) {
            next = s->chain;
            struct dtls_session **at = bucket(d, w, &s->tuple);
            s->chain = *at;
            *at = s;
        }
    }
    free(old);
}

// --- output ---

static void send_batch(struct worker *w)
{
    struct dtls_server *d = w->dtls;
    if (!d->batch_count)
        return;
    for (unsigned i = 0; i + 1 < d->batch_count; i++)
        d->outs[i].next = &d->outs[i + 1];
    d->outs[d->batch_count - 1].next = NULL;
    udp_send(w->io, d->batch_udp, d->outs);
    d->batch_count = 0;
    d->batch_bytes = 0;
}

void dtls_flush(struct worker *w)
{
    if (w->dtls)
        send_batch(w);
}

// What OpenSSL has for the client. It may be in the middle of something, and the queues of the
// worker may be in the middle of being sent: so a batch of our own, which touches neither.
static void on_send(void *arg, const uint8_t *data, size_t len)
{
    struct dtls_session *s = arg;
    struct worker *w = s->worker;
    struct dtls_server *d = w->dtls;
    if (d->batch_udp != s->udp || d->batch_count == DTLS_BATCH ||
        DTLS_BATCH_BYTES - d->batch_bytes < len)
        send_batch(w);
    if (d->batch_count == 0 && !d->flushing)
        event_active(&w->flush, EV_TIMEOUT, 0);
    d->batch_udp = s->udp;
    struct io_out *out = &d->outs[d->batch_count++];
    uint8_t *copy = d->bytes + d->batch_bytes;
    memcpy(copy, data, len);
    d->batch_bytes += len;
    out->to = s->tuple.client;
    out->from = s->tuple.local;
    out->iov[0] = (struct iovec){copy, len};
    out->iov_count = 1;
    out->len = (uint32_t)len;
}

static int encrypt(struct dtls_session *s, const struct io_out *out)
{
    if (out->iov_count == 1)
        return dtls_write(&s->dtls, out->iov[0].iov_base, out->len);
    uint8_t *plain = s->worker->dtls->plain, *at = plain;
    if (out->len > DTLS_PLAINTEXT_MAX)
        return -EMSGSIZE;
    for (unsigned i = 0; i < out->iov_count; i++) {
        memcpy(at, out->iov[i].iov_base, out->iov[i].iov_len);
        at += out->iov[i].iov_len;
    }
    return dtls_write(&s->dtls, plain, out->len);
}

// The batch goes out at the end of the loop turn, with what other sessions have (dtls_flush).
static void flush_session(struct io *io, struct io_sink *sink)
{
    struct dtls_session *s = (struct dtls_session *)sink;
    struct dtls_server *d = s->worker->dtls;
    s->busy_ms = clock_ms();
    d->flushing = true;
    for (const struct io_out *out = sink->head; out; out = out->next) {
        int err = encrypt(s, out);
        if (err)
            io_counters(io)->dropped++;
        if (err == -ECONNRESET)
            s->failed = true;
    }
    d->flushing = false;
}

// --- life ---

static void leave_table(struct dtls_session *s)
{
    struct dtls_server *d = s->worker->dtls;
    struct dtls_session **at = bucket(d, s->worker, &s->tuple);
    while (*at != s)
        at = &(*at)->chain;
    *at = s->chain;
    d->count--;
    TAILQ_REMOVE(s->ready ? &d->ready : &d->handshakes, s, sessions);
    if (!s->ready)
        handshake_over(s->worker, &s->tuple.client);
    source_of(s->worker, &s->tuple.client)->connections--;
}

static void enter_table(struct dtls_session *s)
{
    struct worker *w = s->worker;
    struct dtls_server *d = w->dtls;
    if (d->count++ == d->bucket_count)
        grow(d, w);
    struct dtls_session **at = bucket(d, w, &s->tuple);
    s->chain = *at;
    *at = s;
    TAILQ_INSERT_TAIL(&d->handshakes, s, sessions);
    handshake_begun(w, &s->tuple.client);
    source_of(w, &s->tuple.client)->connections++;
}

static void report(const struct dtls_session *s, const char *what, const char *text)
{
    const struct log_about about = {.client = &s->tuple.client};
    if (log_on(LOG_LVL_DEBUG))
        log_line(LOG_LVL_DEBUG, "dtls", &about, "%s%s", what, text);
}

void dtls_session_end(struct dtls_session *s, const char *why, bool notify)
{
    struct worker *w = s->worker;
    report(s, s->ready ? "session closed: " : "handshake given up: ", why);
    requests_cancel(w, &s->sink);
    migrate_cancel(w, &s->sink);
    if (s->allocation)
        migrate_disconnect(w, s->allocation);
    else if (s->ready)
        turn_server_leave(w->turn, &s->tuple);
    io_sink_retire(w->io, &s->sink);
    if (notify)
        dtls_close(&s->dtls);
    leave_table(s);
    dtls_release(&s->dtls);
    free(s);
}

static void end_for(struct dtls_session *s, int err)
{
    char text[TEXT_MAX] = "by the client";
    if (err != -EPIPE)
        tls_error_text(s->dtls.ssl, text, sizeof text);
    if (!s->ready)
        report_bad_connection(s->worker, "dtls", &s->tuple.client, text);
    dtls_session_end(s, text, true);
}

// The client has shown with its Finished that it is a new association's: the one before is at an
// end (RFC 6347 section 4.2.8), and with it what it had allocated.
static void become_ready(struct dtls_session *s)
{
    struct dtls_server *d = s->worker->dtls;
    char text[TEXT_MAX];
    struct dtls_session *before = dtls_session_find(s->worker, &s->tuple, true);
    if (before)
        dtls_session_end(before, "the client began anew", false);
    TAILQ_REMOVE(&d->handshakes, s, sessions);
    TAILQ_INSERT_TAIL(&d->ready, s, sessions);
    handshake_over(s->worker, &s->tuple.client);
    s->ready = true;
    report(s, "session opened: ", tls_describe(s->dtls.ssl, text, sizeof text));
}

struct dtls_session *dtls_session_new(struct worker *w, struct udp_socket *udp,
                                      const struct turn_tuple *tuple,
                                      const struct dtls_hello *hello, const uint8_t *data,
                                      size_t len, int64_t now_ms)
{
    struct dtls_session *s = calloc(1, sizeof *s);
    SSL *ssl = s ? tls_context_datagram(w->snapshot->tls) : NULL;
    if (!ssl || dtls_open(&s->dtls, ssl, on_send, s)) {
        free(s);
        return NULL;
    }
    s->sink.flush = flush_session;
    s->worker = w;
    s->udp = udp;
    s->tuple = *tuple;
    s->active_ms = s->busy_ms = now_ms;
    memcpy(s->random, hello->random, sizeof s->random);
    enter_table(s);
    int err = dtls_accept(&s->dtls, data, len);
    if (err) {
        end_for(s, err);
        return NULL;
    }
    return s;
}

// --- input ---

static void handle(struct dtls_session *s, const uint8_t *data, size_t len, int64_t now_ms)
{
    struct worker *w = s->worker;
    switch (demux_first_byte(data[0])) {
    case DEMUX_CHANNEL:
        if (!s->allocation && !migrate_data(w, &s->tuple, data, len, now_ms))
            break;
        if (now_ms < s->allocation->expires_ms)
            relay_channel_data(w, s->allocation, data, len, now_ms);
        break;
    case DEMUX_STUN:
        request_input(w, &s->sink, &s->tuple, data, len);
        break;
    default:
        break;
    }
}

bool dtls_session_input(struct dtls_session *s, uint8_t *data, size_t len, int64_t now_ms)
{
    size_t at = 0;
    int err = dtls_input(&s->dtls, data, len);
    if (!err && s->dtls.ready && !s->ready)
        become_ready(s);
    while (!err) {
        // In place: OpenSSL has its own copy of the datagram by the first read, and plain text is
        // shorter than what it was encrypted to. What is relayed points here until it is sent.
        ssize_t got = dtls_read(&s->dtls, data + at, len - at);
        if (got == -EAGAIN)
            break;
        if (got < 0) {
            err = (int)got;
            break;
        }
        s->active_ms = s->busy_ms = now_ms;
        handle(s, data + at, (size_t)got, now_ms);
        at += (size_t)got;
    }
    if (err)
        end_for(s, err);
    return at > 0;
}
