// SPDX-License-Identifier: BSD-2-Clause
// Clients on TLS: a stream's bytes by way of OpenSSL, which reads and writes the socket itself.
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "worker/stream.h"

#define RECORD_MAX 16384 // bytes in one record (RFC 8446 section 5.1)

struct tls_stream {
    SSL *ssl;
    uint8_t *unsent; // of a record that is encrypted and not sent in full: to be offered again
    size_t unsent_len;
    bool more;             // read has more, whatever the socket has
    bool read_wants_write; // it has to answer a KeyUpdate first
    bool write_wants_read;
    bool broken; // for good
    int end;     // what reading then gives: 0 or a negative errno
};

// An SSL_* call returned ret: 0 or a negative errno, and what to wait for.
static int outcome(struct tls_stream *t, int ret, bool *wants_write)
{
    int saved = errno;
    *wants_write = false;
    switch (SSL_get_error(t->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *wants_write = true;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        t->broken = true;
        return t->end = saved ? -saved : -ECONNRESET;
    default:
        t->broken = true;
        // Few clients say goodbye before they close. A frame cut short is never handled, so nobody
        // is deceived by it.
        if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            return 0;
        return t->end = -EPROTO;
    }
}

// --- transport ---

static ssize_t read_failed(struct stream *s, int ret)
{
    struct tls_stream *t = s->state;
    char text[256];
    int err = outcome(t, ret, &t->read_wants_write);
    if (err == -EPROTO) {
        int len = snprintf(text, sizeof text, "TLS: ");
        tls_error_text(t->ssl, text + len, sizeof text - (size_t)len);
        report_bad_connection(s->worker, &s->tuple.client, text);
    }
    if (t->read_wants_write) {
        // Until then the socket stays readable, and we would be told of it again and again.
        event_del(&s->readable);
        if (event_add(&s->writable, NULL))
            return -ENOMEM;
    }
    return err;
}

// Takes records until what has arrived is used up or the buffer is full. OpenSSL reads ahead of
// them, so there can be more even when the socket has none.
static ssize_t tls_read(struct stream *s, void *buf, size_t cap)
{
    struct tls_stream *t = s->state;
    size_t have = 0;
    t->more = false;
    if (t->broken)
        return t->end;
    while (have < cap) {
        ERR_clear_error();
        errno = 0;
        size_t n = 0;
        int ret = SSL_read_ex(t->ssl, (uint8_t *)buf + have, cap - have, &n);
        io_counters(s->worker->io)->reads++;
        if (ret <= 0) {
            ssize_t err = read_failed(s, ret);
            if (!have)
                return err;
            t->more = err != -EAGAIN; // the next read tells
            break;
        }
        have += n;
        if (!SSL_has_pending(t->ssl))
            break;
        t->more = have == cap;
    }
    if (t->write_wants_read) {
        t->write_wants_read = false;
        if (event_add(&s->writable, NULL))
            return -ENOMEM;
    }
    return (ssize_t)have;
}

// Offers one record. 0 or -EAGAIN: it is taken; another negative errno: the connection broke.
static int write_record(struct stream *s, const uint8_t *data, size_t len)
{
    struct tls_stream *t = s->state;
    size_t n = 0;
    ERR_clear_error();
    errno = 0;
    int ret = SSL_write_ex(t->ssl, data, len, &n);
    io_counters(s->worker->io)->writes++;
    if (ret > 0)
        return 0;
    bool wants_write;
    int err = outcome(t, ret, &wants_write);
    if (err != -EAGAIN)
        return err ? err : -ECONNRESET;
    t->write_wants_read = !wants_write;
    if (wants_write && event_add(&s->writable, NULL))
        return -ENOMEM;
    return -EAGAIN;
}

static int tls_push(struct stream *s)
{
    struct tls_stream *t = s->state;
    if (t->read_wants_write) {
        t->read_wants_write = false;
        t->more = true;
        if (!s->paused) {
            if (event_add(&s->readable, NULL))
                return -ENOMEM;
            event_active(&s->readable, EV_READ, 0);
        }
    }
    if (!t->unsent)
        return 0;
    int err = write_record(s, t->unsent, t->unsent_len);
    if (!err) {
        free(t->unsent);
        t->unsent = NULL;
    }
    return err;
}

// What is still to be written.
struct rest {
    const struct iovec *iov;
    int count;
    size_t skip; // of the first
};

// Gathers the bytes of one record: 0 when there are none. They lie in scratch, or where they were.
static size_t gather(struct rest *r, uint8_t scratch[RECORD_MAX], const uint8_t **data)
{
    size_t have = 0;
    *data = scratch;
    while (r->count > 0 && have < RECORD_MAX) {
        const uint8_t *from = (const uint8_t *)r->iov->iov_base + r->skip;
        size_t left = r->iov->iov_len - r->skip;
        size_t n = left < RECORD_MAX - have ? left : RECORD_MAX - have;
        bool alone = have == 0 && (n == RECORD_MAX || r->count == 1);
        if (alone)
            *data = from;
        else
            memcpy(scratch + have, from, n);
        have += n;
        r->skip += n;
        if (n == left) {
            r->iov++;
            r->count--;
            r->skip = 0;
        }
    }
    return have;
}

// A record that the socket does not take in full is taken all the same: OpenSSL has encrypted it
// and wants exactly these bytes again.
static ssize_t tls_write(struct stream *s, const struct iovec *iov, int count)
{
    struct tls_stream *t = s->state;
    uint8_t scratch[RECORD_MAX];
    struct rest rest = {.iov = iov, .count = count};
    const uint8_t *data;
    size_t taken = 0, n;
    int err = tls_push(s);
    if (err)
        return err;
    while (!err && (n = gather(&rest, scratch, &data))) {
        err = write_record(s, data, n);
        if (err && err != -EAGAIN)
            return err;
        taken += n;
        if (!err)
            continue;
        t->unsent = malloc(n);
        if (!t->unsent)
            return -ENOMEM;
        memcpy(t->unsent, data, n);
        t->unsent_len = n;
    }
    return (ssize_t)taken;
}

static bool tls_buffered(const struct stream *s)
{
    const struct tls_stream *t = s->state;
    return t->more;
}

static void leave_handshakes(struct stream *s)
{
    TAILQ_REMOVE(&s->worker->handshaking, s, handshaking);
    s->worker->handshakes--;
}

static int tls_finish(struct stream *s)
{
    struct tls_stream *t = s->state;
    if (t->broken)
        return -ECONNRESET;
    ERR_clear_error();
    errno = 0;
    int ret = SSL_shutdown(t->ssl);
    bool wants_write;
    int err = ret >= 0 ? 0 : outcome(t, ret, &wants_write);
    if (err == -EAGAIN && event_add(&s->writable, NULL))
        return -ENOMEM;
    return err;
}

static void tls_close(struct stream *s)
{
    struct tls_stream *t = s->state;
    if (s->stage == STREAM_HANDSHAKE)
        leave_handshakes(s);
    else if (!t->broken && !t->unsent && !s->aborted)
        SSL_shutdown(t->ssl); // sends close_notify and does not wait for that of the client
    SSL_free(t->ssl);
    ERR_clear_error();
    free(t->unsent);
    free(t);
}

static const struct stream_transport stream_tls = {.read = tls_read,
                                                   .write = tls_write,
                                                   .buffered = tls_buffered,
                                                   .push = tls_push,
                                                   .finish = tls_finish,
                                                   .close = tls_close};

// --- beginning ---

// The oldest unfinished handshake gives way to a new one: a real client's takes a fraction of a
// second, those that are held open on purpose are the oldest. False: all are of DTLS.
static bool make_room(struct worker *w)
{
    if (w->handshakes < w->snapshot->conf->limits.tls_handshakes)
        return true;
    struct stream *oldest = TAILQ_FIRST(&w->handshaking);
    if (oldest)
        stream_refuse(oldest, "the oldest of limits.tls_handshakes unfinished TLS handshakes");
    return oldest != NULL;
}

bool stream_tls_start(struct stream *s)
{
    struct worker *w = s->worker;
    if (!w->snapshot->tls || !make_room(w))
        return false;
    struct tls_stream *t = calloc(1, sizeof *t);
    if (!t)
        return false;
    t->ssl = tls_context_stream(w->snapshot->tls);
    if (!t->ssl || SSL_set_fd(t->ssl, s->fd) != 1) {
        SSL_free(t->ssl);
        free(t);
        return false;
    }
    s->state = t;
    s->transport = &stream_tls;
    s->tuple.transport = TURN_TLS;
    TAILQ_INSERT_TAIL(&w->handshaking, s, handshaking);
    w->handshakes++;
    return true;
}

static void report_handshake(struct stream *s, const struct tls_stream *t)
{
    char text[128];
    const struct log_about about = {.client = &s->tuple.client};
    const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    if (log_on(LOG_LVL_DEBUG))
        log_line(LOG_LVL_DEBUG, "tls", &about, "%s%s%s", tls_describe(t->ssl, text, sizeof text),
                 name ? ", asked for " : "", name ? name : "");
}

int stream_tls_handshake(struct stream *s, const char **why)
{
    static _Thread_local char text[256];
    struct tls_stream *t = s->state;
    ERR_clear_error();
    errno = 0;
    int ret = SSL_do_handshake(t->ssl);
    bool wants_write = false;
    int err = ret == 1 ? 0 : outcome(t, ret, &wants_write);
    if (err == -EPROTO) {
        *why = tls_error_text(t->ssl, text, sizeof text);
        return err;
    }
    if (ret != 1 && err != -EAGAIN)
        return -ECONNRESET;
    event_del(wants_write ? &s->readable : &s->writable);
    if (event_add(wants_write ? &s->writable : &s->readable, NULL)) {
        *why = "out of memory";
        return -EPROTO;
    }
    if (!err) {
        leave_handshakes(s);
        report_handshake(s, t);
    }
    return err;
}
