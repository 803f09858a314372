// SPDX-License-Identifier: BSD-2-Clause
// Output of a client's connection. What the receiver does not take is kept up to a bound, in whole
// frames.
#include <errno.h>
#include <event2/buffer.h>
#include <sys/socket.h>

#include "worker/stream.h"
#include "worker/tcp_relay.h"

#define STRANGER_BACKLOG 16384 // bytes of answers kept for a client that has no allocation
#define WRITE_IOVS 256
#define BACKLOG_IOVS 16

// Keeps what the receiver does not take yet, from `skip` bytes into the output; whole frames beyond
// the limit are dropped.
static void keep_backlog(struct io *io, struct stream *s, const struct io_out *out, size_t skip)
{
    if (!s->backlog && !(s->backlog = evbuffer_new())) {
        stream_fail(s);
        return;
    }
    size_t limit = s->worker->snapshot->conf->limits.tcp_backlog;
    if (!s->allocation && limit > STRANGER_BACKLOG)
        limit = STRANGER_BACKLOG;
    for (; out; out = out->next, skip = 0) {
        if (skip == 0 && evbuffer_get_length(s->backlog) + out->len > limit) {
            io_counters(io)->dropped++;
            continue;
        }
        for (unsigned i = 0; i < out->iov_count; i++) {
            const struct iovec *v = &out->iov[i];
            size_t from = skip < v->iov_len ? skip : v->iov_len;
            if (evbuffer_add(s->backlog, (uint8_t *)v->iov_base + from, v->iov_len - from)) {
                stream_fail(s); // a frame cut short would spoil all that follows
                return;
            }
            skip -= from;
        }
    }
    if (event_add(&s->writable, NULL))
        stream_fail(s); // nothing else would send it
}

// Sends one gathering of frames; returns the first output not sent in full, *skip bytes of which
// were. NULL when all went.
static struct io_out *write_some(struct io *io, struct stream *s, struct io_out *out, size_t *skip,
                                 bool *blocked)
{
    struct iovec iov[WRITE_IOVS];
    int count = 0;
    struct io_out *end = out;
    do {
        for (unsigned i = 0; i < end->iov_count; i++)
            iov[count++] = end->iov[i];
        end = end->next;
    } while (end && count + 3 <= WRITE_IOVS);
    ssize_t sent = s->transport->write(s, iov, count);
    if (sent < 0 && sent != -EAGAIN) {
        stream_fail(s);
        *skip = 0;
        return NULL;
    }
    size_t left = sent < 0 ? 0 : (size_t)sent;
    for (; out != end && left >= out->len; out = out->next) {
        left -= out->len;
        io_counters(io)->datagrams_out++;
    }
    *blocked = out != end;
    *skip = left;
    return out;
}

// The same for a transport that tells frames apart: what it has taken counts as sent.
static struct io_out *put_frames(struct io *io, struct stream *s, struct io_out *out)
{
    int err = 0;
    for (; out; out = out->next) {
        err = s->transport->put(s, out->iov, out->iov_count);
        if (err)
            break;
        io_counters(io)->datagrams_out++;
    }
    int left = s->transport->push(s);
    if (left && left != -EAGAIN)
        err = left;
    if (!err || err == -EAGAIN)
        return out;
    stream_fail(s);
    return NULL;
}

void stream_flush(struct io *io, struct io_sink *sink)
{
    struct stream *s = (struct stream *)sink;
    struct io_out *out = sink->head;
    size_t skip = 0;
    bool blocked = stream_backlog(s) > 0;
    if (s->failed)
        return;
    if (s->transport->put && !blocked) {
        out = put_frames(io, s, out);
        blocked = true;
    }
    while (out && !blocked)
        out = write_some(io, s, out, &skip, &blocked);
    if (out)
        keep_backlog(io, s, out, skip);
}

size_t stream_backlog(const struct stream *s)
{
    return s->backlog ? evbuffer_get_length(s->backlog) : 0;
}

// Writes what it can of the backlog. False when the connection broke.
static bool write_backlog(struct stream *s)
{
    while (stream_backlog(s)) {
        struct iovec iov[BACKLOG_IOVS];
        int count = evbuffer_peek(s->backlog, -1, NULL, iov, BACKLOG_IOVS);
        ssize_t sent = s->transport->write(s, iov, count < BACKLOG_IOVS ? count : BACKLOG_IOVS);
        if (sent == -EAGAIN)
            return true;
        if (sent < 0)
            return false;
        evbuffer_drain(s->backlog, (size_t)sent);
    }
    return true;
}

void stream_on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    if (s->stage != STREAM_OPEN) {
        if (stream_begin(s))
            event_active(&s->readable, EV_READ,
                         0); // there may be more where the handshake came from
        return;
    }
    int left = write_backlog(s) ? s->transport->push(s) : -EPIPE;
    if (left && left != -EAGAIN) {
        stream_fail(s);
        return;
    }
    if (left || stream_backlog(s))
        return;
    event_del(&s->writable);
    if (s->backlog)
        evbuffer_free(s->backlog);
    s->backlog = NULL;
    if (s->data)
        tcp_relay_client_drained(s);
}

// --- data connections ---

int stream_waits(struct stream *s)
{
    if (stream_backlog(s))
        return 1;
    int left = s->transport->push(s);
    return left == -EAGAIN ? 1 : left;
}

int stream_write(struct stream *s, const void *data, size_t len)
{
    const struct iovec iov = {(void *)(uintptr_t)data, len};
    ssize_t sent = s->transport->write(s, &iov, 1);
    if (sent < 0 && sent != -EAGAIN)
        return (int)sent;
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done == len)
        return stream_waits(s);
    if (!s->backlog)
        s->backlog = evbuffer_new();
    if (!s->backlog || evbuffer_add(s->backlog, (const uint8_t *)data + done, len - done) ||
        event_add(&s->writable, NULL))
        return -ENOMEM;
    return 1;
}

int stream_finish(struct stream *s)
{
    int err = s->transport->finish ? s->transport->finish(s) : 0;
    if (!err && shutdown(s->fd, SHUT_WR))
        err = -errno;
    return err;
}
