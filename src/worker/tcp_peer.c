// SPDX-License-Identifier: BSD-2-Clause
// Peer data connections of TCP allocations, and their bytes (RFC 6062 sections 5.2 to 5.5). A side
// is read only while the other takes what it brings, so that at most one read is kept in each
// direction and a slow receiver slows the sender down. Before ConnectionBind nothing is read: what
// a peer sends early waits in the socket's own buffer.
#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/host.h"
#include "worker/stream.h"
#include "worker/tcp_relay.h"

#define CHUNK 65536 // most bytes of one read

struct tcp_peer {
    struct worker *worker;
    struct turn_connection *connection;
    struct stream *stream; // the client data connection; NULL: not bound
    int fd;
    bool opening;
    bool ended;        // the peer sends no more
    bool finished;     // the client knows
    bool client_ended; // the client sends no more
    bool limited;      // neither side is read for a while: a bandwidth limit
    bool broken;       // of either side: the other one is to learn that this was no orderly end
    struct event readable, writable;
    struct event resume;      // ends limited
    struct evbuffer *backlog; // what the peer has not taken; NULL: nothing
};

// --- ends ---

static void end(struct tcp_peer *p)
{
    turn_connection_close(p->worker->turn, p->connection);
}

static void break_off(struct tcp_peer *p)
{
    p->broken = true;
    end(p);
}

// The next close of a socket resets the connection: what was sent is not all.
static void reset_on_close(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void peer_free(struct tcp_peer *p)
{
    event_del(&p->readable);
    event_del(&p->writable);
    event_del(&p->resume);
    if (p->broken)
        reset_on_close(p->fd);
    close(p->fd);
    if (p->backlog)
        evbuffer_free(p->backlog);
    free(p);
}

void tcp_peer_close(void *arg, struct turn_connection *c)
{
    struct tcp_peer *p = c->socket;
    struct stream *s = p->stream;
    c->socket = NULL;
    if (s) {
        s->data = NULL;
        s->aborted = p->broken;
        if (p->broken)
            reset_on_close(s->fd);
        s->why = p->broken ? "the connection to its peer broke" : "it is not needed any more";
        stream_fail(s);
    }
    peer_free(p);
}

// --- bandwidth ---

// Bytes have been read from either side: the limits may want a pause.
static void charge(struct tcp_peer *p, size_t len)
{
    struct turn_allocation *a = p->connection->allocation;
    size_t bytes = len < BANDWIDTH_BURST_BYTES ? len : BANDWIDTH_BURST_BYTES;
    int64_t ms = a->limited ? turn_bandwidth_charge(p->worker->turn, a, bytes, clock_ms()) : 0;
    const struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    if (ms <= 0 || event_add(&p->resume, &pause))
        return;
    p->limited = true;
    event_del(&p->readable);
    stream_pause(p->stream);
}

// --- from the peer to the client ---

// The client has taken all: goes on with the peer, or passes its end on.
static void serve_client(struct tcp_peer *p)
{
    if (!p->ended) {
        if (!p->limited && event_add(&p->readable, NULL))
            break_off(p);
        return;
    }
    // A client that has gone already has been sent everything, and may have sent something.
    if (!p->finished && stream_finish(p->stream) == -EAGAIN)
        return;
    p->finished = true;
    if (p->client_ended)
        end(p);
}

static void on_peer_readable(evutil_socket_t fd, short what, void *arg)
{
    struct tcp_peer *p = arg;
    struct io *io = p->worker->io;
    unsigned slot;
    io_claim(io, 1, &slot);
    uint8_t *data = io_slot(io, slot);
    ssize_t got = read(fd, data, CHUNK);
    bool again = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    int left = got < 0 ? -errno : 0;
    io_counters(io)->reads++;
    if (got > 0) {
        p->connection->allocation->received_bytes += (uint64_t)got;
        charge(p, (size_t)got);
        left = stream_write(p->stream, data, (size_t)got);
    }
    io_unclaim(io, 1);
    if (again)
        return;
    if (left < 0) {
        break_off(p);
    } else if (got == 0) {
        p->ended = true;
        event_del(&p->readable);
        serve_client(p);
    } else if (left) {
        event_del(&p->readable);
    }
}

void tcp_relay_client_drained(struct stream *s)
{
    serve_client(s->data);
}

// --- from the client to the peer ---

// The peer has taken all: goes on with the client, or passes its end on.
static void serve_peer(struct tcp_peer *p)
{
    if (!p->client_ended) {
        if (!p->limited)
            stream_resume(p->stream);
        return;
    }
    shutdown(p->fd, SHUT_WR);
    if (p->finished)
        end(p);
}

// Keeps what the peer does not take. False: out of memory.
static bool keep(struct tcp_peer *p, const uint8_t *data, size_t len)
{
    p->backlog = evbuffer_new();
    if (!p->backlog || evbuffer_add(p->backlog, data, len) || event_add(&p->writable, NULL))
        return false;
    stream_pause(p->stream);
    return true;
}

void tcp_relay_from_client(struct stream *s, const uint8_t *data, size_t len)
{
    struct tcp_peer *p = s->data;
    if (!len)
        return;
    p->connection->allocation->sent_bytes += len;
    charge(p, len);
    ssize_t sent = send(p->fd, data, len, MSG_NOSIGNAL);
    io_counters(p->worker->io)->writes++;
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        break_off(p);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done < len && !keep(p, data + done, len - done))
        break_off(p);
}

void tcp_relay_client_readable(struct stream *s)
{
    struct tcp_peer *p = s->data;
    struct io *io = p->worker->io;
    unsigned slot;
    io_claim(io, 1, &slot);
    uint8_t *data = io_slot(io, slot);
    ssize_t got = s->transport->read(s, data, CHUNK);
    if (got > 0) {
        if (s->transport->buffered(s))
            event_active(&s->readable, EV_READ, 0);
        tcp_relay_from_client(s, data, (size_t)got);
    }
    io_unclaim(io, 1);
    if (got == 0) {
        p->client_ended = true;
        stream_pause(s);
        serve_peer(p);
    } else if (got < 0 && got != -EAGAIN) {
        break_off(p);
    }
}

static bool write_backlog(struct tcp_peer *p)
{
    int sent = evbuffer_write(p->backlog, p->fd);
    io_counters(p->worker->io)->writes++;
    return sent >= 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void on_peer_connected(struct tcp_peer *p)
{
    struct turn_server *turn = p->worker->turn;
    int err = 0;
    socklen_t len = sizeof err;
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len) || err) {
        turn_connection_failed(turn, p->connection);
        return;
    }
    p->opening = false;
    event_del(&p->writable);
    turn_connection_opened(turn, p->connection, clock_ms());
}

static void on_peer_writable(evutil_socket_t fd, short what, void *arg)
{
    struct tcp_peer *p = arg;
    if (p->opening) {
        on_peer_connected(p);
        return;
    }
    if (!write_backlog(p)) {
        break_off(p);
        return;
    }
    if (evbuffer_get_length(p->backlog))
        return;
    event_del(&p->writable);
    evbuffer_free(p->backlog);
    p->backlog = NULL;
    serve_peer(p);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct tcp_peer *p = arg;
    int left = stream_waits(p->stream);
    p->limited = false;
    if (left < 0) {
        break_off(p);
        return;
    }
    if (!p->backlog && !p->client_ended)
        serve_peer(p);
    if (!left && !p->ended)
        serve_client(p);
}

void tcp_relay_client_closed(struct stream *s)
{
    struct tcp_peer *p = s->data;
    s->data = NULL;
    p->stream = NULL;
    break_off(p);
}

// --- beginnings ---

static struct tcp_peer *peer_new(struct worker *w, int fd)
{
    int on = 1;
    struct tcp_peer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->worker = w;
    p->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    event_assign(&p->readable, w->base, fd, EV_READ | EV_PERSIST, on_peer_readable, p);
    event_assign(&p->writable, w->base, fd, EV_WRITE | EV_PERSIST, on_peer_writable, p);
    event_assign(&p->resume, w->base, -1, 0, on_resume, p);
    return p;
}

int tcp_peer_open(void *arg, struct turn_connection *c)
{
    struct worker *w = arg;
    const struct addr *local = tcp_relay_local(c->allocation, c->peer.family);
    // Behind an external address that is mapped to ours, this is us too.
    if (addr_equal(local, &c->peer))
        return -EADDRINUSE;
    int fd = host_connect_from(local, &c->peer);
    if (fd < 0)
        return fd;
    struct tcp_peer *p = peer_new(w, fd);
    if (!p) {
        close(fd);
        return -ENOMEM;
    }
    p->opening = true;
    p->connection = c;
    if (event_add(&p->writable, NULL)) {
        peer_free(p);
        return -ENOMEM;
    }
    c->socket = p;
    return 0;
}

void tcp_peer_accepted(struct worker *w, struct turn_allocation *a, int fd, const struct addr *peer)
{
    struct tcp_peer *p = peer_new(w, fd);
    if (!p) {
        close(fd);
        return;
    }
    p->connection = turn_connection_accepted(w->turn, a, peer, p, clock_ms());
    if (!p->connection)
        peer_free(p);
}

void tcp_relay_bind(struct stream *s, struct turn_connection *c)
{
    struct tcp_peer *p = c->socket;
    s->data = p;
    p->stream = s;
    // No answer may come between the bytes of the peer: the one to ConnectionBind goes now, and
    // what was asked with it will not be answered.
    requests_cancel(p->worker, &s->sink);
    migrate_cancel(p->worker, &s->sink);
    turn_server_leave(p->worker->turn, &s->tuple);
    io_sink_retire(p->worker->io, &s->sink);
    if (s->failed)
        return;
    int left = stream_waits(s);
    if (left < 0)
        break_off(p);
    else if (!left)
        serve_client(p);
    // What came while the user was being looked up. Of a connection that is paused, because it has
    // been moved, it is handled when that ends.
    if (s->data && s->partial_len && !s->paused) {
        size_t len = s->partial_len;
        s->partial_len = 0;
        tcp_relay_from_client(s, s->partial, len);
    }
}
