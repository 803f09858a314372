// SPDX-License-Identifier: BSD-2-Clause
// Clients on TLS: a stream's bytes by way of OpenSSL. A frame is a record of its own: so do other
// servers, and there are clients (coturn's turnutils_uclient) that take what one SSL_read returns
// for one message. Records of a loop turn leave together.
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_socket.h"
#include "worker/stream.h"

#define RECORD_MAX 16384 // bytes in one record (RFC 8446 section 5.1)

struct tls_stream {
    SSL *ssl;
    struct tls_socket socket;
    bool more;   // read has more, whatever the socket has
    bool broken; // for good
    bool http;   // who is let in by TURN's certificates is by those of HTTP
    int end;     // what reading then gives: 0 or a negative errno
};

// An SSL_* call returned ret: 0 or a negative errno.
static int outcome(struct tls_stream *t, int ret)
{
    int saved = errno;
    switch (SSL_get_error(t->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
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

// Sends what OpenSSL has written, and waits for the socket if that is too much for it.
static int tls_push(struct stream *s)
{
    struct tls_stream *t = s->state;
    struct io_counters *counters = io_counters(s->worker->io);
    int err = tls_socket_flush(&t->socket);
    counters->reads += t->socket.reads;
    counters->writes += t->socket.writes;
    t->socket.reads = t->socket.writes = 0;
    return err == -EAGAIN && event_add(&s->writable, NULL) ? -ENOMEM : err;
}

// Why an outcome was -EPROTO.
static const char *fault(struct tls_stream *t, char *buf, size_t cap)
{
    const char *text = tls_error_text(t->ssl, buf, cap);
    return tls_socket_idles(&t->socket) ? "too many records without application data" : text;
}

static ssize_t read_failed(struct stream *s, int ret)
{
    struct tls_stream *t = s->state;
    char text[256], reason[240];
    int err = outcome(t, ret);
    if (err == -EPROTO) {
        snprintf(text, sizeof text, "TLS: %s", fault(t, reason, sizeof reason));
        report_bad_connection(s->worker, "tcp", &s->tuple.client, text);
    }
    return err;
}

// Takes records until what has arrived is used up or the buffer is full. OpenSSL reads ahead of
// them, so there can be more even when the socket has none.
static ssize_t tls_read(struct stream *s, void *buf, size_t cap)
{
    struct tls_stream *t = s->state;
    size_t have = 0;
    ssize_t err = -EAGAIN;
    t->more = false;
    if (t->broken)
        return t->end;
    while (have < cap) {
        ERR_clear_error();
        errno = 0;
        size_t n = 0;
        int ret = SSL_read_ex(t->ssl, (uint8_t *)buf + have, cap - have, &n);
        if (ret <= 0) {
            err = read_failed(s, ret);
            t->more = have && err != -EAGAIN; // the next read tells
            break;
        }
        have += n;
        if (!SSL_has_pending(t->ssl))
            break;
        t->more = have == cap;
    }
    int pushed = tls_push(s); // an alert, or what else it had to say
    if (pushed && pushed != -EAGAIN && !have && err == -EAGAIN)
        return pushed;
    return have ? (ssize_t)have : err;
}

// Makes one record. 0, or a negative errno: the connection broke.
static int encrypt(struct tls_stream *t, const uint8_t *data, size_t len)
{
    size_t n = 0;
    ERR_clear_error();
    errno = 0;
    int ret = SSL_write_ex(t->ssl, data, len, &n);
    if (ret > 0)
        return 0;
    t->broken = true;
    ERR_clear_error();
    return t->end = -ECONNRESET;
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

// What has been encrypted is taken, whether the socket takes it now or later.
static ssize_t tls_write(struct stream *s, const struct iovec *iov, int count)
{
    struct tls_stream *t = s->state;
    uint8_t scratch[RECORD_MAX];
    struct rest rest = {.iov = iov, .count = count};
    const uint8_t *data;
    size_t taken = 0, n;
    int err = t->broken ? t->end : tls_push(s);
    while (!err && (n = gather(&rest, scratch, &data))) {
        err = encrypt(t, data, n);
        if (err) {
            tls_push(s); // what was written before it failed must not stay behind
            break;
        }
        taken += n;
        if (tls_socket_full() || rest.count == 0)
            err = tls_push(s);
    }
    return err && (err != -EAGAIN || !taken) ? err : (ssize_t)taken;
}

static int tls_put(struct stream *s, const struct iovec *iov, int count)
{
    struct tls_stream *t = s->state;
    uint8_t scratch[RECORD_MAX];
    struct rest rest = {.iov = iov, .count = count};
    const uint8_t *data;
    size_t n;
    int err = t->broken ? t->end : 0;
    if (!err && (t->socket.unsent || tls_socket_full()))
        err = tls_push(s);
    while (!err && (n = gather(&rest, scratch, &data)))
        err = encrypt(t, data, n);
    return err;
}

static bool tls_buffered(const struct stream *s)
{
    const struct tls_stream *t = s->state;
    return t->more;
}

static void leave_handshakes(struct stream *s)
{
    TAILQ_REMOVE(&s->worker->handshaking, s, handshaking);
    handshake_over(s->worker, &s->tuple.client);
}

// Sends close_notify. That of the client is read like all that it sends.
static int tls_finish(struct stream *s)
{
    struct tls_stream *t = s->state;
    if (t->broken)
        return t->end ? t->end : -ECONNRESET;
    ERR_clear_error();
    if (!(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) && SSL_shutdown(t->ssl) < 0)
        return -ECONNRESET;
    return tls_push(s);
}

static void tls_close(struct stream *s)
{
    struct tls_stream *t = s->state;
    if (s->stage == STREAM_HANDSHAKE)
        leave_handshakes(s);
    else if (!t->broken && !t->socket.unsent && !s->aborted) {
        if (!(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN))
            SSL_shutdown(t->ssl);
        tls_socket_flush(&t->socket);
    }
    SSL_free(t->ssl);
    ERR_clear_error();
    tls_socket_release(&t->socket);
    free(t);
}

static const struct stream_transport stream_tls = {.read = tls_read,
                                                   .write = tls_write,
                                                   .put = tls_put,
                                                   .buffered = tls_buffered,
                                                   .push = tls_push,
                                                   .finish = tls_finish,
                                                   .close = tls_close};

// --- beginning ---

struct stream *stream_tls_crowding(struct worker *w, uint32_t *crowd)
{
    unsigned looked_at = 0;
    struct stream *s, *found = NULL;
    *crowd = 0;
    TAILQ_FOREACH(s, &w->handshaking, handshaking)
    {
        uint32_t n = source_of(w, &s->tuple.client)->handshakes;
        if (n > *crowd) {
            *crowd = n;
            found = s;
        }
        if (++looked_at == HANDSHAKES_LOOKED_AT)
            break;
    }
    return found;
}

void stream_tls_give_way(struct stream *s)
{
    stream_refuse(s, "the oldest of limits.tls_handshakes unfinished TLS handshakes");
}

bool stream_tls_start(struct stream *s)
{
    struct worker *w = s->worker;
    if (!w->snapshot->tls || !handshakes_make_room(w))
        return false;
    struct tls_stream *t = calloc(1, sizeof *t);
    if (!t)
        return false;
    t->socket.fd = s->fd;
    t->ssl = tls_context_stream(w->snapshot->tls);
    if (!t->ssl || tls_socket_attach(&t->socket, t->ssl)) {
        SSL_free(t->ssl);
        free(t);
        return false;
    }
    if (s->http)
        SSL_set_read_ahead(t->ssl, 0);
    t->http = tls_context_stream_does_for_http(w->snapshot->tls);
    s->state = t;
    s->transport = &stream_tls;
    s->tuple.transport = TURN_TLS;
    TAILQ_INSERT_TAIL(&w->handshaking, s, handshaking);
    handshake_begun(w, &s->tuple.client);
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

// Waits for what the handshake needs next. While its output is stuck it reads nothing.
static int wait_for(struct stream *s, bool stuck)
{
    event_del(stuck ? &s->readable : &s->writable);
    return event_add(stuck ? &s->writable : &s->readable, NULL) ? -ENOMEM : -EAGAIN;
}

int stream_tls_handshake(struct stream *s, const char **why)
{
    static _Thread_local char text[256];
    struct tls_stream *t = s->state;
    int pushed = tls_push(s);
    if (pushed)
        return pushed == -EAGAIN ? wait_for(s, true) : -ECONNRESET;
    ERR_clear_error();
    errno = 0;
    int ret = SSL_do_handshake(t->ssl);
    int err = ret == 1 ? 0 : outcome(t, ret);
    if (err == -EPROTO)
        *why = fault(t, text, sizeof text);
    pushed = tls_push(s); // also the alert of one that failed
    if (err == -EPROTO)
        return err;
    if ((ret != 1 && err != -EAGAIN) || (pushed && pushed != -EAGAIN))
        return -ECONNRESET;
    if (err)
        return wait_for(s, pushed == -EAGAIN);
    if (event_add(&s->readable, NULL))
        return -ENOMEM;
    leave_handshakes(s);
    report_handshake(s, t);
    return 0;
}

// --- HTTP in it ---

static int peek(struct stream *s, uint8_t *first)
{
    struct tls_stream *t = s->state;
    size_t n = 0;
    ERR_clear_error();
    errno = 0;
    int ret = SSL_peek_ex(t->ssl, first, 1, &n);
    return ret > 0 ? 1 : (int)read_failed(s, ret);
}

int stream_tls_look(struct stream *s, uint8_t *first)
{
    int pushed = tls_push(s), got = pushed;
    if (!pushed) {
        got = peek(s, first);
        pushed = tls_push(s); // an alert, or what else it had to say
        if (pushed && (got > 0 || got == -EAGAIN))
            got = pushed;
    }
    if (got <= 0 && got != -EAGAIN)
        return got;
    int waiting = wait_for(s, pushed == -EAGAIN);
    return waiting == -EAGAIN ? got : waiting;
}

const char *stream_tls_bars_http(const struct stream *s)
{
    const struct tls_stream *t = s->state;
    const unsigned char *protocol;
    unsigned len;
    SSL_get0_alpn_selected(t->ssl, &protocol, &len);
    if (len)
        return "HTTP in TLS of a client that offered a protocol of STUN by ALPN";
    return t->http ? NULL
                   : "HTTP in TLS of a client that has to offer \"http/1.1\" by ALPN, so that it "
                     "is asked for the certificate of signal.client_ca";
}

void stream_tls_settle(struct stream *s)
{
    struct tls_stream *t = s->state;
    SSL_set_read_ahead(t->ssl, 1);
}

SSL *stream_tls_take(struct stream *s)
{
    struct tls_stream *t = s->state;
    SSL *ssl = t->ssl;
    tls_socket_detach(&t->socket, ssl);
    tls_socket_release(&t->socket);
    free(t);
    s->state = NULL;
    s->transport = &stream_tcp;
    return ssl;
}
