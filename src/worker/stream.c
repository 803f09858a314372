// SPDX-License-Identifier: BSD-2-Clause
// Clients on TCP and TLS: life and input of a connection, frames of STUN and padded ChannelData
// (RFC 8656 section 12.5, RFC 8489 section 6.2.2). Complete frames are handled where they were
// received; only an unfinished one is kept.
#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stun/channel_data.h"
#include "worker/stream.h"
#include "worker/tcp_relay.h"

#define STRANGER_FRAME 4096 // longest frame of a client that has no allocation

// A host of IPv6 has a /64 to choose its addresses from: they count as one.
struct source *source_of(struct worker *w, const struct addr *client)
{
    size_t len = client->family == ADDR_IPV6 ? 8 : 4;
    return &w->sources[siphash(&w->hash_key, client->ip, len) % STREAM_SOURCES];
}

static ssize_t tcp_read(struct stream *s, void *buf, size_t cap)
{
    ssize_t got = read(s->fd, buf, cap);
    io_counters(s->worker->io)->reads++;
    return got >= 0 ? got : errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static ssize_t tcp_write(struct stream *s, const struct iovec *iov, int count)
{
    struct msghdr mh = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t sent = sendmsg(s->fd, &mh, MSG_NOSIGNAL);
    io_counters(s->worker->io)->writes++;
    return sent >= 0 ? sent : errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static bool tcp_buffered(const struct stream *s)
{
    return false;
}

static int tcp_push(struct stream *s)
{
    return 0;
}

static void tcp_close(struct stream *s)
{
}

const struct stream_transport stream_tcp = {.read = tcp_read,
                                            .write = tcp_write,
                                            .buffered = tcp_buffered,
                                            .push = tcp_push,
                                            .close = tcp_close};

// The transport writes its farewell itself, so that it is called while the socket is open.
static void stream_free(struct stream *s)
{
    s->transport->close(s);
    if (s->fd >= 0)
        close(s->fd);
    if (s->backlog)
        evbuffer_free(s->backlog);
    free(s->partial);
    free(s->move);
    free(s);
}

static void leave_worker(struct stream *s)
{
    event_del(&s->readable);
    event_del(&s->writable);
    if (s->stage != STREAM_PROXY)
        source_of(s->worker, &s->tuple.client)->connections--;
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
}

void stream_close(struct stream *s, const char *why)
{
    struct worker *w = s->worker;
    struct log_about about = {.client = &s->tuple.client};
    if (log_on(LOG_LVL_DEBUG))
        log_line(LOG_LVL_DEBUG, "tcp", &about, "connection closed: %s", why);
    requests_cancel(w, &s->sink);
    migrate_cancel(w, &s->sink);
    if (s->allocation)
        migrate_disconnect(w, s->allocation);
    else
        turn_server_leave(w->turn, &s->tuple);
    if (s->data)
        tcp_relay_client_closed(s);
    io_sink_retire(w->io, &s->sink);
    leave_worker(s);
    stream_free(s);
}

void stream_refuse(struct stream *s, const char *why)
{
    report_bad_connection(s->worker, "tcp", &s->tuple.client, why);
    stream_close(s, why);
}

void stream_fail(struct stream *s)
{
    s->failed = true;
    event_active(&s->readable, EV_READ, 0);
}

// --- input ---

// No allocation, and none that is about to move here.
static bool stranger(const struct stream *s)
{
    return !s->allocation && !turn_server_expects(s->worker->turn, &s->tuple);
}

static void handle_frame(struct stream *s, const uint8_t *frame, size_t len, int64_t now_ms)
{
    struct worker *w = s->worker;
    if (demux_first_byte(frame[0]) == DEMUX_STUN)
        request_input(w, &s->sink, &s->tuple, frame, len);
    else if (!s->allocation && !migrate_data(w, &s->tuple, frame, len, now_ms))
        return;
    // Load balancers can say of two connections that they are one client's: it may have come to the
    // other one.
    else if (s->allocation && now_ms < s->allocation->expires_ms)
        relay_channel_data(w, s->allocation, frame, len, now_ms);
}

// Handles every complete frame. The number of bytes used, or -EPROTO.
static ssize_t handle_frames(struct stream *s, const uint8_t *data, size_t len)
{
    int64_t now_ms = clock_ms();
    size_t used = 0;
    while (used < len && !s->paused && !s->data && !s->failed) {
        int frame = stream_frame_len(data + used, len - used);
        if (frame < 0 || (frame > STRANGER_FRAME && stranger(s)))
            return -EPROTO;
        if (frame == 0 || (size_t)frame > len - used)
            break;
        s->active_ms = now_ms;
        s->spoken = true;
        handle_frame(s, data + used, (size_t)frame, now_ms);
        used += (size_t)frame;
    }
    return (ssize_t)used;
}

bool stream_keep(struct stream *s, const uint8_t *data, size_t len)
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

// Handles len bytes, which begin with what had been kept, and keeps the rest.
static void handle_input(struct stream *s, const uint8_t *data, size_t len)
{
    s->partial_len = 0; // all of it is in data
    ssize_t used = handle_frames(s, data, len);
    if (used < 0)
        stream_refuse(s, stream_mistaken(s, s->spoken ? 0 : data[0]));
    else if (s->data)
        tcp_relay_from_client(s, data + used, len - (size_t)used);
    else if (!stream_keep(s, data + used, len - (size_t)used))
        stream_close(s, "out of memory");
}

static void on_stream_readable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    if (s->failed) {
        stream_close(s, s->why ? s->why : "the connection broke while sending");
        return;
    }
    if (s->move) {
        stream_depart(s);
        return;
    }
    if (s->paused || (s->stage != STREAM_OPEN && !stream_begin(s)))
        return;
    if (s->data) {
        tcp_relay_client_readable(s);
        return;
    }
    struct io *io = s->worker->io;
    unsigned slot;
    io_claim(io, 1, &slot);
    uint8_t *data = io_slot(io, slot);
    // The longest frame is shorter than a slot, so there is always room behind an unfinished one.
    size_t kept = s->partial_len;
    if (kept)
        memcpy(data, s->partial, kept);
    ssize_t got = s->transport->read(s, data + kept, IO_SLOT_DATA - kept);
    if (got <= 0) {
        io_unclaim(io, 1);
        if (got != -EAGAIN)
            stream_close(s, got == 0 ? "by the client" : "it broke");
        return;
    }
    if (s->transport->buffered(s))
        event_active(&s->readable, EV_READ, 0);
    handle_input(s, data, kept + (size_t)got);
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    event_del(&s->readable);
}

// What was kept is handled by an event of its own, as if it had just been read.
static void on_resumed(struct stream *s)
{
    struct io *io = s->worker->io;
    unsigned slot;
    io_claim(io, 1, &slot);
    uint8_t *data = io_slot(io, slot);
    memcpy(data, s->partial, s->partial_len);
    handle_input(s, data, s->partial_len);
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    if (event_add(&s->readable, NULL)) {
        stream_fail(s);
        return;
    }
    if (s->transport->buffered(s))
        event_active(&s->readable, EV_READ, 0);
    if (s->partial_len)
        on_resumed(s);
}

// --- life ---

static bool has_room(struct worker *w, const struct addr *client)
{
    return source_of(w, client)->connections < w->snapshot->conf->limits.tcp_connections;
}

bool stream_set_client(struct stream *s, const struct addr *client, const struct addr *local)
{
    if (!has_room(s->worker, client))
        return false;
    source_of(s->worker, client)->connections++;
    s->tuple.client = *client;
    s->tuple.local = *local;
    return true;
}

static bool join_worker(struct worker *w, struct stream *s)
{
    if (s->stage != STREAM_PROXY)
        source_of(w, &s->tuple.client)->connections++;
    s->worker = w;
    s->next = w->streams;
    s->prev = &w->streams;
    if (s->next)
        s->next->prev = &s->next;
    w->streams = s;
    event_assign(&s->readable, w->base, s->fd, EV_READ | EV_PERSIST, on_stream_readable, s);
    event_assign(&s->writable, w->base, s->fd, EV_WRITE | EV_PERSIST, stream_on_writable, s);
    return (s->paused || !event_add(&s->readable, NULL)) &&
           (!stream_backlog(s) || !event_add(&s->writable, NULL));
}

void stream_detach(struct stream *s)
{
    assert(!s->allocation);
    requests_cancel(s->worker, &s->sink);
    migrate_cancel(s->worker, &s->sink);
    turn_server_leave(s->worker->turn, &s->tuple);
    io_sink_retire(s->worker->io, &s->sink);
    leave_worker(s);
    s->worker = NULL;
}

int stream_dissolve(struct stream *s)
{
    int fd = s->fd;
    stream_detach(s);
    s->fd = -1;
    stream_free(s);
    return fd;
}

bool stream_adopt(struct worker *w, struct stream *s)
{
    s->active_ms = clock_ms();
    if (join_worker(w, s))
        return true;
    stream_close(s, "out of memory");
    return false;
}

void stream_accept(struct worker *w, int fd, const struct addr *client,
                   const struct conf_listen *listen)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    // A load balancer's connections are counted when it has said whose they are.
    struct stream *s = listen->proxy_protocol || has_room(w, client) ? calloc(1, sizeof *s) : NULL;
    if (!s || getsockname(fd, (struct sockaddr *)&ss, &len) ||
        addr_from_sockaddr(&s->tuple.local, (struct sockaddr *)&ss)) {
        if (!s)
            report_bad_connection(w, "tcp", client,
                                  "its source has limits.tcp_connections already");
        free(s);
        close(fd);
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    s->sink.flush = stream_flush;
    s->transport = &stream_tcp;
    s->fd = fd;
    s->tuple.client = *client;
    s->tuple.transport = TURN_TCP;
    s->active_ms = clock_ms();
    stream_begin_first(s, listen);
    if (!join_worker(w, s))
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
        if (!stream_begin_expired(s, now_ms) && !s->data && now_ms - s->active_ms >= idle_ms &&
            stranger(s))
            stream_close(s, "idle without an allocation for limits.tcp_idle seconds");
    }
}

void streams_close(struct worker *w)
{
    while (w->streams)
        stream_close(w->streams, "the server ends");
}
