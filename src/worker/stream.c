// SPDX-License-Identifier: BSD-2-Clause
// Clients on TCP: frames of STUN and padded ChannelData (RFC 8656 section 12.5, RFC 8489
// section 6.2.2). Complete frames are handled where they were received; only an unfinished one is
// kept. Output that the receiver does not take is bounded.
#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stun/channel_data.h"
#include "worker/internal.h"

#define STRANGER_FRAME 4096    // longest frame of a client that has no allocation
#define STRANGER_BACKLOG 16384 // bytes of answers kept for such a client while it does not read
#define WRITE_IOVS 256

struct stream {
    struct io_sink sink; // first: an allocation's link is this sink
    struct worker *worker;
    struct stream *next, **prev;
    int fd;
    bool failed; // to be closed by its own read event: never in the middle of something else
    struct event readable, writable;
    struct turn_tuple tuple;
    struct turn_allocation *allocation;
    uint8_t *partial; // an unfinished frame
    size_t partial_len;
    struct evbuffer *backlog; // NULL until the receiver first fell behind
    int64_t active_ms;        // of the last complete frame
};

// A host of IPv6 has a /64 to choose its addresses from: they count as one.
static uint32_t *source_count(struct worker *w, const struct addr *client)
{
    size_t len = client->family == ADDR_IPV6 ? 8 : 4;
    return &w->source_counts[siphash(&w->hash_key, client->ip, len) % STREAM_SOURCES];
}

static void stream_close(struct stream *s, const char *why)
{
    struct worker *w = s->worker;
    struct log_about about = {.client = &s->tuple.client};
    if (log_on(LOG_LVL_DEBUG))
        log_line(LOG_LVL_DEBUG, "tcp", &about, "connection closed: %s", why);
    requests_cancel(w, &s->sink);
    if (s->allocation)
        turn_allocation_close(w->turn, s->allocation);
    io_sink_retire(w->io, &s->sink);
    event_del(&s->readable);
    event_del(&s->writable);
    close(s->fd);
    if (s->backlog)
        evbuffer_free(s->backlog);
    free(s->partial);
    --*source_count(w, &s->tuple.client);
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    free(s);
}

// --- input ---

static void handle_frame(struct stream *s, const uint8_t *frame, size_t len, int64_t now_ms)
{
    struct worker *w = s->worker;
    if (demux_first_byte(frame[0]) == DEMUX_STUN)
        request_input(w, &s->sink, &s->tuple, frame, len);
    else if (s->allocation && now_ms < s->allocation->expires_ms)
        relay_channel_data(w, s->allocation, frame, len, now_ms);
}

// Handles every complete frame. The number of bytes used, or -EPROTO.
static ssize_t handle_frames(struct stream *s, const uint8_t *data, size_t len)
{
    int64_t now_ms = clock_ms();
    size_t used = 0;
    while (used < len) {
        int frame = stream_frame_len(data + used, len - used);
        if (frame < 0 || (!s->allocation && frame > STRANGER_FRAME))
            return -EPROTO;
        if (frame == 0 || (size_t)frame > len - used)
            break;
        s->active_ms = now_ms;
        handle_frame(s, data + used, (size_t)frame, now_ms);
        used += (size_t)frame;
    }
    return (ssize_t)used;
}

static bool keep_partial(struct stream *s, const uint8_t *data, size_t len)
{
    if (len == 0) {
        free(s->partial);
        s->partial = NULL;
    } else {
        uint8_t *partial = realloc(s->partial, len);
        if (!partial)
            return false;
        memcpy(partial, data, len);
        s->partial = partial;
    }
    s->partial_len = len;
    return true;
}

static void on_stream_readable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    if (s->failed) {
        stream_close(s, "the connection broke while sending");
        return;
    }
    struct io *io = s->worker->io;
    unsigned slot;
    io_claim(io, 1, &slot);
    uint8_t *data = io_slot(io, slot);
    // The longest frame is shorter than a slot, so there is always room behind an unfinished one.
    if (s->partial_len)
        memcpy(data, s->partial, s->partial_len);
    ssize_t got = read(fd, data + s->partial_len, IO_SLOT_DATA - s->partial_len);
    io_counters(io)->reads++;
    if (got <= 0) {
        bool again = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
        io_unclaim(io, 1);
        if (!again)
            stream_close(s, got == 0 ? "by the client" : "it broke");
        return;
    }
    size_t len = s->partial_len + (size_t)got;
    ssize_t used = handle_frames(s, data, len);
    if (used < 0)
        stream_close(s, "it carried something that is neither STUN nor ChannelData");
    else if (!keep_partial(s, data + used, len - (size_t)used))
        stream_close(s, "out of memory");
}

// --- output ---

static void stream_fail(struct stream *s)
{
    s->failed = true;
    event_active(&s->readable, EV_READ, 0);
}

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
    event_add(&s->writable, NULL);
}

// Sends one gathering of frames; returns the first output not sent in full, *skip bytes of which
// were. NULL when all went.
static struct io_out *write_some(struct io *io, struct stream *s, struct io_out *out, size_t *skip,
                                 bool *blocked)
{
    struct iovec iov[WRITE_IOVS];
    struct msghdr mh = {.msg_iov = iov};
    struct io_out *end = out;
    for (; end && mh.msg_iovlen + 3 <= WRITE_IOVS; end = end->next)
        for (unsigned i = 0; i < end->iov_count; i++)
            iov[mh.msg_iovlen++] = end->iov[i];
    ssize_t sent = sendmsg(s->fd, &mh, MSG_NOSIGNAL);
    io_counters(io)->writes++;
    if (sent < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            stream_fail(s);
            *skip = 0;
            return NULL;
        }
        sent = 0;
    }
    size_t left = (size_t)sent;
    for (; out != end && left >= out->len; out = out->next) {
        left -= out->len;
        io_counters(io)->datagrams_out++;
    }
    *blocked = out != end;
    *skip = left;
    return out;
}

static void stream_flush(struct io *io, struct io_sink *sink)
{
    struct stream *s = (struct stream *)sink;
    struct io_out *out = sink->head;
    size_t skip = 0;
    bool blocked = s->backlog && evbuffer_get_length(s->backlog) > 0;
    if (s->failed)
        return;
    while (out && !blocked)
        out = write_some(io, s, out, &skip, &blocked);
    if (out)
        keep_backlog(io, s, out, skip);
}

static void on_stream_writable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    if (evbuffer_get_length(s->backlog) && evbuffer_write(s->backlog, fd) < 0 && errno != EAGAIN &&
        errno != EINTR) {
        stream_fail(s);
        return;
    }
    if (evbuffer_get_length(s->backlog))
        return;
    event_del(&s->writable);
    evbuffer_free(s->backlog);
    s->backlog = NULL;
}

// --- life ---

void stream_accept(struct worker *w, int fd, const struct addr *client)
{
    uint32_t *count = source_count(w, client);
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    struct stream *s =
        *count < w->snapshot->conf->limits.tcp_connections ? calloc(1, sizeof *s) : NULL;
    if (!s || getsockname(fd, (struct sockaddr *)&ss, &len) ||
        addr_from_sockaddr(&s->tuple.local, (struct sockaddr *)&ss)) {
        struct log_about about = {.client = client};
        if (!s && log_on(LOG_LVL_DEBUG))
            log_line(LOG_LVL_DEBUG, "tcp", &about,
                     "connection refused: this source has limits.tcp_connections already");
        free(s);
        close(fd);
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ++*count;
    s->sink.flush = stream_flush;
    s->worker = w;
    s->fd = fd;
    s->tuple.client = *client;
    s->tuple.transport = TURN_TCP;
    s->active_ms = clock_ms();
    s->next = w->streams;
    s->prev = &w->streams;
    if (s->next)
        s->next->prev = &s->next;
    w->streams = s;
    event_assign(&s->readable, w->base, fd, EV_READ | EV_PERSIST, on_stream_readable, s);
    event_assign(&s->writable, w->base, fd, EV_WRITE | EV_PERSIST, on_stream_writable, s);
    if (event_add(&s->readable, NULL))
        stream_close(s, "out of memory");
}

void stream_allocation_made(struct io_sink *sink, struct turn_allocation *a)
{
    ((struct stream *)sink)->allocation = a;
}

void stream_allocation_ended(struct io_sink *sink)
{
    struct stream *s = (struct stream *)sink;
    s->allocation = NULL;
    s->active_ms = clock_ms();
}

void streams_sweep(struct worker *w, int64_t now_ms)
{
    int64_t idle_ms = (int64_t)w->snapshot->conf->limits.tcp_idle * 1000;
    for (struct stream *s = w->streams, *next; s; s = next) {
        next = s->next;
        if (!s->allocation && now_ms - s->active_ms >= idle_ms)
            stream_close(s, "idle without an allocation for limits.tcp_idle seconds");
    }
}

void streams_close(struct worker *w)
{
    while (w->streams)
        stream_close(w->streams, "the server ends");
}
