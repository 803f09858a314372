// SPDX-License-Identifier: BSD-2-Clause
#include "probe/peer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe/advice.h"
#include "probe/binding.h"
#include "probe/clock.h"
#include "util/rand.h"

#define GREETING_LEN 16
#define GREETINGS 6
#define GREETING_PAUSE 250000 // us

// A greeting goes from the peer to the client, which learns how the relay sees the peer, and back.
struct greeting {
    uint8_t token[GREETING_LEN];
    bool at_client, at_peer;
    struct addr from;
};

static void greeting_at_client(void *arg, const struct addr *peer, uint16_t channel,
                               const uint8_t *data, size_t len)
{
    struct greeting *g = arg;
    if (peer && len == GREETING_LEN && memcmp(data, g->token, GREETING_LEN) == 0) {
        g->at_client = true;
        g->from = *peer;
    }
}

static void greeting_at_peer(void *arg, const uint8_t *data, size_t len)
{
    struct greeting *g = arg;
    if (len == GREETING_LEN && memcmp(data, g->token, GREETING_LEN) == 0)
        g->at_peer = true;
}

static void relay_data(void *arg, const struct addr *from, uint16_t channel, const uint8_t *data,
                       size_t len)
{
    struct peer *peer = arg;
    if (peer->on_data)
        peer->on_data(peer->arg, data, len);
}

int peer_send(struct peer *peer, const void *data, size_t len)
{
    struct sockaddr_storage ss;
    socklen_t ss_len = addr_to_sockaddr(&peer->relayed, &ss);
    if (peer->kind == PEER_RELAY)
        return client_send(&peer->session->client, &peer->relayed, data, len);
    return sendto(peer->fd, data, len, 0, (struct sockaddr *)&ss, ss_len) < 0 ? -errno : 0;
}

static void read_socket(struct peer *peer)
{
    uint8_t buf[2048];
    struct sockaddr_storage ss;
    struct addr from;
    for (;;) {
        socklen_t len = sizeof(ss);
        ssize_t n = recvfrom(peer->fd, buf, sizeof(buf), 0, (struct sockaddr *)&ss, &len);
        if (n < 0)
            return;
        if (addr_from_sockaddr(&from, (struct sockaddr *)&ss) == 0 &&
            addr_equal(&from, &peer->relayed) && peer->on_data)
            peer->on_data(peer->arg, buf, (size_t)n);
    }
}

int peer_wait(struct session *s, struct peer *peer, int64_t deadline)
{
    struct pollfd fds[2] = {{.fd = s->conn->fd, .events = POLLIN}, {.events = POLLIN}};
    bool pending = conn_pending(s->conn);
    int rc;

    if (peer->kind == PEER_RELAY) {
        fds[1].fd = peer->session->conn->fd;
        pending = pending || conn_pending(peer->session->conn);
    } else {
        fds[1].fd = peer->fd;
    }
    if (poll(fds, 2, pending ? 0 : clock_left_ms(deadline)) < 0 && errno != EINTR)
        return -errno;
    rc = client_poll(&s->client);
    if (peer->kind == PEER_SOCKET)
        read_socket(peer);
    else if (rc == 0)
        rc = client_poll(&peer->session->client);
    return rc;
}

// Whether a greeting passes both ways.
static bool greet(struct probe *p, struct session *s, struct peer *peer)
{
    struct greeting g = {.at_client = false};
    int rc = 0;

    rand_bytes(g.token, sizeof(g.token));
    s->client.on_data = greeting_at_client;
    s->client.arg = &g;
    peer->on_data = greeting_at_peer;
    peer->arg = &g;
    for (int i = 0; i < GREETINGS && rc == 0 && !g.at_peer; i++) {
        int64_t end = clock_us() + GREETING_PAUSE;
        step_progress(&p->report, "attempt %d of %d", i + 1, GREETINGS);
        if (!g.at_client)
            peer_send(peer, g.token, sizeof(g.token)); // a socket's error shows as a loss
        else
            rc = client_send(&s->client, &g.from, g.token, sizeof(g.token));
        while (rc == 0 && clock_us() < end && !g.at_peer) {
            bool before = g.at_client;
            rc = peer_wait(s, peer, end);
            if (rc == 0 && g.at_client && !before)
                rc = client_send(&s->client, &g.from, g.token, sizeof(g.token));
        }
    }
    s->client.on_data = NULL;
    peer->on_data = NULL;
    if (g.at_client)
        peer->addr = g.from;
    if (!g.at_client)
        step_text(&p->report, "nothing comes from the peer through the relay to the client");
    else if (!g.at_peer)
        step_text(&p->report, "nothing comes from the client through the relay to the peer");
    return g.at_peer;
}

static int open_socket_peer(struct probe *p, struct session *s, struct peer *peer)
{
    struct client *c = &s->client;
    struct addr local;
    int rc = binding_local_ip(&c->relayed, &p->source, &local);

    if (rc < 0)
        return rc;
    *peer = (struct peer){.kind = PEER_SOCKET, .fd = -1, .relayed = c->relayed};
    rc = peer->fd = udp_open(local.family, &local, &peer->addr);
    if (rc < 0)
        return rc;
    // Behind a NAT the relay sees the address of that, and so did the server.
    if (c->mapped.family == local.family && !addr_equal_ip(&c->mapped, &s->conn->local))
        memcpy(peer->addr.ip, c->mapped.ip, sizeof(peer->addr.ip));
    return session_permit(s, &peer->addr);
}

static int open_relay_peer(struct probe *p, struct session *s, struct peer *peer)
{
    struct client *c;
    int rc;

    *peer = (struct peer){.kind = PEER_RELAY, .fd = -1, .relayed = s->client.relayed};
    rc = session_connect(p, &s->target, &peer->session);
    if (rc < 0)
        return rc;
    c = &peer->session->client;
    c->on_data = relay_data;
    c->arg = peer;
    rc = session_allocate(peer->session, s->client.relayed.family);
    if (rc == 401 && client_learn(c, &c->msg) == 0)
        rc = session_allocate(peer->session, s->client.relayed.family);
    if (rc == 0) {
        peer->addr = c->relayed;
        rc = session_permit(peer->session, &s->client.relayed);
    }
    if (rc != 0) { // what the server has said is shown for the first session
        s->client.msg = c->msg;
        return rc;
    }
    return session_permit(s, &peer->addr);
}

static void show_peer(struct probe *p, const struct peer *peer, const char *why)
{
    char text[ADDR_STRLEN];
    bool socket = peer->kind == PEER_SOCKET;
    addr_format(&peer->addr, text);
    if (socket)
        step_text(&p->report, "for a second socket of this host, %s", text);
    else
        step_text(&p->report, "for a second allocation on the server, %s", text);
    if (why)
        step_note(&p->report, "%s", why);
    step_fact_text(&p->report, "peer", socket ? "socket" : "relay");
    step_fact_addr(&p->report, "peer_address", &peer->addr);
    step_ok(&p->report);
}

static int try_peer(struct probe *p, struct session *s, struct peer *peer, enum peer_kind kind,
                    const char **why)
{
    bool last = kind == PEER_RELAY || p->peer == PEER_SOCKET;
    int rc;

    step_begin(&p->report, "permission");
    rc = kind == PEER_SOCKET ? open_socket_peer(p, s, peer) : open_relay_peer(p, s, peer);
    if (rc != 0 && !last &&
        (rc == 403 || rc == 443 || rc == -EADDRNOTAVAIL || rc == -ENETUNREACH)) {
        step_text(&p->report, rc == 403
                                  ? "the server does not relay to the address of this host (403)"
                                  : "this host has no address for the relay to reach");
        step_warn(&p->report, "trying a second allocation instead");
        *why = rc == 403 ? "because the server may not relay to this host"
                         : "because the relay cannot reach this host";
        return 1;
    }
    if (rc != 0) {
        session_fail(p, s,
                     kind == PEER_RELAY && peer->session && !peer->session->client.lifetime
                         ? STUN_ALLOCATE
                         : STUN_CREATE_PERMISSION,
                     rc, true);
        return -1;
    }
    show_peer(p, peer, *why);
    step_begin(&p->report, "send");
    if (greet(p, s, peer)) {
        step_text(&p->report, "Send and Data indications pass, both ways");
        step_ok(&p->report);
        return 0;
    }
    if (last) {
        step_fail(&p->report, "relay-loss", &advice_relay, "tried %d times", GREETINGS);
        return -1;
    }
    step_warn(&p->report, "trying a second allocation instead");
    *why = "because nothing passed between the relay and this host";
    return 1;
}

int peer_open(struct probe *p, struct session *s, struct peer *peer)
{
    const char *why = NULL;
    int rc = 1;

    if (p->peer != PEER_RELAY)
        rc = try_peer(p, s, peer, PEER_SOCKET, &why);
    if (rc == 1) {
        if (p->peer != PEER_RELAY)
            peer_close(peer);
        rc = try_peer(p, s, peer, PEER_RELAY, &why);
    }
    return rc;
}

void peer_close(struct peer *peer)
{
    if (peer->session) {
        if (peer->session->client.lifetime)
            session_refresh(peer->session, 0);
        session_close(peer->session);
    }
    if (peer->fd >= 0)
        close(peer->fd);
    *peer = (struct peer){.fd = -1};
}
