// SPDX-License-Identifier: BSD-2-Clause
#include "worker/relay_socket.h"

#include <errno.h>
#include <stdlib.h>

#include "worker/tcp_relay.h"

// Packets in a row to one peer before it gets a socket: that costs about as much as thirty packets
// gain by it, and a call sends so many within seconds.
#define DIRECT_AFTER 64
#define NEVER_DIRECT UINT32_MAX

static void direct_close(struct relay_socket *rs);

// The one that anybody may send to.
static struct relay_socket *first_of(struct relay_socket *rs)
{
    return rs->allocation->relay[turn_relay_index(rs->udp.local.family)].socket;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct relay_socket *rs = arg;
    relay_read(rs);
    if (rs->leaving)
        direct_close(first_of(rs));
}

static int watch(struct relay_socket *rs)
{
    event_assign(&rs->readable, rs->worker->base, rs->udp.fd, EV_READ | EV_PERSIST | EV_ET,
                 on_readable, rs);
    return event_add(&rs->readable, NULL) ? -ENOMEM : 0;
}

static void unwatch(struct relay_socket *rs)
{
    event_del(&rs->readable);
    io_sink_retire(rs->worker->io, &rs->udp.sink);
}

// --- the connected one ---

static void direct_close(struct relay_socket *rs)
{
    struct relay_socket *direct = rs->direct;
    if (!direct)
        return;
    rs->direct = NULL;
    event_del(&direct->readable);
    udp_close(direct->worker->io, &direct->udp);
    direct->worker->direct_sockets--;
    free(direct);
}

static int direct_open(struct relay_socket *rs)
{
    struct worker *w = rs->worker;
    if (w->direct_sockets >= w->direct_max)
        return -EMFILE;
    struct relay_socket *direct = malloc(sizeof *direct);
    if (!direct)
        return -ENOMEM;
    *direct = (struct relay_socket){.allocation = rs->allocation, .worker = w, .peer = rs->peer};
    int err = udp_open_connected(&direct->udp, &rs->udp, &rs->peer);
    if (!err && (err = watch(direct)))
        udp_close(w->io, &direct->udp);
    if (err) {
        free(direct);
        return err;
    }
    w->direct_sockets++;
    rs->direct = direct;
    return 0;
}

// One peer has been sent many packets. Another that is not sent any more makes room for it, once
// the last that it sent has been read: not here, where the packets of others are being looked at.
static void direct_consider(struct relay_socket *rs)
{
    struct relay_socket *old = rs->direct;
    rs->run = 0;
    if (!old) {
        if (direct_open(rs))
            rs->run = NEVER_DIRECT;
    } else if (old->run < DIRECT_AFTER) {
        old->leaving = true;
        event_active(&old->readable, EV_READ, 0);
    } else {
        old->run = 0;
    }
}

struct relay_socket *relay_socket_towards(struct relay_socket *rs, const struct addr *peer)
{
    struct relay_socket *direct = rs->direct;
    if (direct && addr_equal(&direct->peer, peer)) {
        direct->run++;
        return direct;
    }
    if (rs->run == NEVER_DIRECT)
        return rs;
    if (!addr_equal(&rs->peer, peer)) {
        rs->peer = *peer;
        rs->run = 0;
    } else if (++rs->run >= DIRECT_AFTER) {
        direct_consider(rs);
    }
    return rs;
}

// --- relayed transport addresses ---

static int open_socket(struct worker *w, struct turn_relay_request *req, struct udp_socket *out)
{
    if (req->token_in)
        return ports_claim(w->ports, req->token_in, req->owner, req->owner_len, clock_ms(), out);
    if (req->reserve_next)
        return ports_open_pair(w->ports, req->family, req->owner, req->owner_len, clock_ms(), out,
                               req->token_out);
    return ports_open(w->ports, req->family, req->even_port, out);
}

int relay_socket_open(void *worker, struct turn_allocation *a, struct turn_relay_request *req)
{
    struct worker *w = worker;
    if (req->tcp)
        return tcp_relay_open(w, a, req->family);
    struct relay_socket *rs = malloc(sizeof *rs);
    if (!rs)
        return -ENOMEM;
    *rs = (struct relay_socket){.allocation = a, .worker = w};
    int err = open_socket(w, req, &rs->udp);
    if (err) {
        free(rs);
        return err;
    }
    err = watch(rs);
    if (err) {
        struct addr local = rs->udp.local;
        udp_close(w->io, &rs->udp);
        ports_release(w->ports, &local);
        free(rs);
        return err;
    }
    struct turn_relay *relay = &a->relay[turn_relay_index(rs->udp.local.family)];
    relay->socket = rs;
    relay->relayed = snapshot_external(w->snapshot, &rs->udp.local);
    return 0;
}

void relay_socket_close(void *worker, struct turn_allocation *a, uint8_t family)
{
    struct worker *w = worker;
    if (a->connections)
        tcp_relay_close(w, a);
    for (int i = 0; i < 2; i++) {
        struct relay_socket *rs = a->relay[i].socket;
        if (!rs || (family != ADDR_NONE && i != (int)turn_relay_index(family)))
            continue;
        direct_close(rs);
        event_del(&rs->readable);
        udp_close(w->io, &rs->udp);
        ports_release(w->ports, &rs->udp.local);
        free(rs);
        a->relay[i].socket = NULL;
    }
}

// The sockets keep what has arrived, for the next worker.
void relay_socket_detach(void *worker, struct turn_allocation *a)
{
    for (int i = 0; i < 2; i++) {
        struct relay_socket *rs = a->relay[i].socket;
        if (!rs)
            continue;
        unwatch(rs);
        if (rs->direct) {
            unwatch(rs->direct);
            rs->worker->direct_sockets--;
        }
    }
}

int relay_socket_adopt(void *worker, struct turn_allocation *a)
{
    int err = 0;
    for (int i = 0; i < 2; i++) {
        struct relay_socket *rs = a->relay[i].socket;
        if (!rs)
            continue;
        rs->worker = worker;
        err = watch(rs) ? -ENOMEM : err;
        if (!rs->direct)
            continue;
        rs->direct->worker = worker;
        rs->worker->direct_sockets++;
        if (watch(rs->direct))
            direct_close(rs);
    }
    return err;
}

struct rate *relay_socket_errors(struct relay_socket *rs)
{
    return &first_of(rs)->errors;
}
