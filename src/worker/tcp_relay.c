// SPDX-License-Identifier: BSD-2-Clause
// Relayed transport addresses of TCP allocations (RFC 6062 sections 5.1 and 5.3): a socket that
// listens, and from whose address connections to peers are made too.
#include "worker/tcp_relay.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS 16 // connections taken in one go

struct tcp_relay {
    struct worker *worker;
    struct turn_allocation *allocation;
    struct addr local;
    int fd;
    struct event readable;
    struct event retry; // accepts again after a pause
};

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct tcp_relay *r = arg;
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        struct addr peer;
        int peer_fd = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer_fd < 0) {
            // Out of descriptors: we would be told of the same connection again at once.
            const struct timeval pause = {1, 0};
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ECONNABORTED &&
                errno != EINTR && !event_add(&r->retry, &pause))
                event_del(&r->readable);
            return;
        }
        if (addr_from_sockaddr(&peer, (struct sockaddr *)&ss))
            close(peer_fd);
        else
            tcp_peer_accepted(r->worker, r->allocation, peer_fd, &peer);
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct tcp_relay *r = arg;
    const struct timeval pause = {1, 0};
    if (event_add(&r->readable, NULL))
        event_add(&r->retry, &pause);
}

int tcp_relay_open(struct worker *w, struct turn_allocation *a, uint8_t family)
{
    struct tcp_relay *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    int err = ports_open_tcp(w->ports, family, &r->fd, &r->local);
    if (err) {
        free(r);
        return err;
    }
    r->worker = w;
    r->allocation = a;
    event_assign(&r->readable, w->base, r->fd, EV_READ | EV_PERSIST, on_accept, r);
    event_assign(&r->retry, w->base, -1, 0, on_retry, r);
    if (event_add(&r->readable, NULL)) {
        close(r->fd);
        ports_release(w->ports, &r->local);
        free(r);
        return -ENOMEM;
    }
    struct turn_relay *relay = &a->relay[turn_relay_index(family)];
    relay->socket = r;
    relay->relayed = snapshot_external(w->snapshot, &r->local);
    return 0;
}

void tcp_relay_close(struct worker *w, struct turn_allocation *a)
{
    for (int i = 0; i < 2; i++) {
        struct tcp_relay *r = a->relay[i].socket;
        if (!r)
            continue;
        event_del(&r->readable);
        event_del(&r->retry);
        close(r->fd);
        ports_release(w->ports, &r->local);
        free(r);
        a->relay[i].socket = NULL;
    }
}

const struct addr *tcp_relay_local(const struct turn_allocation *a, uint8_t family)
{
    const struct tcp_relay *r = a->relay[turn_relay_index(family)].socket;
    return &r->local;
}
