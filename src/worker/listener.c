// SPDX-License-Identifier: BSD-2-Clause
// Sockets that clients send to: datagrams are told apart by their first byte here, connections
// become streams.
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/host.h"
#include "stun/channel_data.h"
#include "worker/internal.h"

#define ROUNDS 8   // batches read from one socket before others get their turn
#define ACCEPTS 64 // connections taken in one go

struct listener {
    struct listener *next;
    struct worker *worker;
    struct udp_socket udp; // fd -1 for a TCP listener
    int fd;                // of a TCP listener, else -1
    struct conf_listen conf;
    bool told; // of UDP: that a client was mistaken in the port
    struct event readable;
    struct event retry; // of a TCP listener: accepts again after a pause
};

// --- datagrams ---

// What a datagram is, if clients of the listener may send such. The first mistaken one is logged,
// and not every one: strangers choose what they send.
static enum demux accepted(struct listener *l, const struct addr *client, uint8_t first)
{
    enum demux kind = demux_first_byte(first);
    bool secure = kind == DEMUX_DTLS;
    enum conf_transport t = l->conf.transport;
    if ((!secure && kind != DEMUX_STUN && kind != DEMUX_CHANNEL) ||
        (secure ? conf_transport_secure(t) : conf_transport_plain(t)))
        return kind;
    if (!l->told) {
        const struct log_about about = {.client = client};
        l->told = true;
        log_line(LOG_LVL_INFO, "net", &about, "datagram dropped: %s; later ones are not logged",
                 secure ? "DTLS on a plain port" : "plain STUN on a port for DTLS only");
    }
    return DEMUX_UNKNOWN;
}

// A coalesced run comes from one client, so its allocation is looked up once, and again after a
// STUN message may have made or ended one.
static void client_datagrams(struct listener *l, const struct udp_in *in, int64_t now_ms)
{
    struct worker *w = l->worker;
    struct udp_socket *udp = &l->udp;
    const struct turn_tuple tuple = {.client = in->from, .local = in->to, .transport = TURN_UDP};
    struct turn_allocation *a = NULL;
    bool found = false;
    for (uint32_t at = 0; at < in->len;) {
        uint32_t len = in->len - at < in->segment ? in->len - at : in->segment;
        uint8_t *data = in->data + at;
        switch (accepted(l, &in->from, data[0])) {
        case DEMUX_CHANNEL:
            if (!found) {
                a = turn_server_find(w->turn, &tuple, now_ms);
                found = true;
            }
            if (!a)
                a = migrate_data(w, &tuple, data, len, now_ms);
            if (a)
                relay_channel_data(w, a, data, len, now_ms);
            break;
        case DEMUX_STUN:
            request_input(w, &udp->sink, &tuple, data, len);
            found = false;
            break;
        case DEMUX_DTLS:
            dtls_datagram(w, udp, &in->from, &in->to, data, len, now_ms);
            break;
        default:
            break;
        }
        at += len;
    }
}

static void on_datagrams(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;
    struct worker *w = l->worker;
    struct udp_in in[UDP_BATCH];
    bool drained = false;
    int64_t now_ms = clock_ms();
    for (int round = 0; round < ROUNDS && !drained; round++) {
        unsigned n = udp_receive(w->io, &l->udp, in, UDP_BATCH, &drained);
        for (unsigned i = 0; i < n; i++)
            client_datagrams(l, &in[i], now_ms);
    }
}

// --- connections ---

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        int client_fd = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client_fd < 0) {
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                // Out of descriptors: the connection stays in the queue, and we would be told of it
                // again at once.
                log_warning("net", "cannot accept a connection: %m; trying again in a second");
                const struct timeval pause = {1, 0};
                if (!event_add(&l->retry, &pause))
                    event_del(&l->readable);
            }
            return;
        }
        struct addr client;
        if (addr_from_sockaddr(&client, (struct sockaddr *)&ss))
            close(client_fd);
        else
            stream_accept(l->worker, client_fd, &client, &l->conf);
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;
    const struct timeval pause = {1, 0};
    if (event_add(&l->readable, NULL))
        event_add(&l->retry, &pause);
}

// --- opening ---

static int open_one(struct worker *w, const struct conf_listen *conf, const struct addr *local)
{
    bool stream = conf_transport_stream(conf->transport);
    struct listener *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->worker = w;
    l->conf = *conf;
    l->fd = l->udp.fd = -1;
    // Only the first worker can tell a stranger's socket from its fellows'.
    int err = w->index == 0 ? host_probe(local, stream) : 0;
    if (!err && !stream && conf_transport_secure(conf->transport) && !w->dtls)
        err = dtls_server_new(w);
    if (!err && !stream) {
        err = udp_open(&l->udp, local, UDP_REUSEPORT | UDP_BIG_BUFFERS);
    } else if (!err) {
        l->fd = host_listen(local);
        err = l->fd < 0 ? l->fd : 0;
    }
    if (err) {
        free(l);
        return err;
    }
    l->next = w->listeners;
    w->listeners = l;
    return 0;
}

int listeners_open(struct worker *w, struct addr *where, bool *stream)
{
    const struct conf *c = w->snapshot->conf;
    for (size_t i = 0; i < c->listen_count; i++) {
        const struct conf_listen *cl = &c->listen[i];
        *stream = conf_transport_stream(cl->transport);
        *where = cl->addr;
        if (cl->any)
            *where = (struct addr){.family = ADDR_IPV4, .port = cl->addr.port};
        int err = open_one(w, cl, where);
        if (!err && cl->any) {
            where->family = ADDR_IPV6;
            err = open_one(w, cl, where);
        }
        if (where->family == ADDR_IPV6 && (cl->any || c->dev) &&
            (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL))
            err = 0; // a host without IPv6
        if (err)
            return err;
    }
    return 0;
}

int listeners_start(struct worker *w)
{
    for (struct listener *l = w->listeners; l; l = l->next) {
        bool udp = l->udp.fd >= 0;
        event_assign(&l->readable, w->base, udp ? l->udp.fd : l->fd, EV_READ | EV_PERSIST,
                     udp ? on_datagrams : on_accept, l);
        event_assign(&l->retry, w->base, -1, 0, on_retry, l);
        if (event_add(&l->readable, NULL))
            return -ENOMEM;
    }
    return 0;
}

void listeners_close(struct worker *w)
{
    while (w->listeners) {
        struct listener *l = w->listeners;
        w->listeners = l->next;
        if (event_initialized(&l->readable)) {
            event_del(&l->readable);
            event_del(&l->retry);
        }
        udp_close(w->io, &l->udp);
        if (l->fd >= 0)
            close(l->fd);
        free(l);
    }
}

struct io_sink *listener_sink(struct worker *w, const struct addr *local)
{
    for (struct listener *l = w->listeners; l; l = l->next)
        if (l->udp.fd >= 0 && addr_equal(&l->udp.local, local))
            return &l->udp.sink;
    return NULL;
}
