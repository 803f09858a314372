// SPDX-License-Identifier: BSD-2-Clause
// Connect and ConnectionAttempt (RFC 6062 sections 5.2 and 5.3): how connections to peers and from
// them begin. The answer to a Connect request comes when the peer has answered.
#include <stdlib.h>
#include <string.h>

#include "turn/internal.h"

// --- Connect, section 5.2 ---

// 0 or the error code.
static int check_peer(struct turn_request *r, struct addr *peer)
{
    struct turn_allocation *a = r->allocation;
    int rc = stun_get_addr(&r->msg, STUN_ATTR_XOR_PEER_ADDRESS, peer);

    // The one that is being made, waits or is in use: nothing else has the same two ends.
    if (rc == 0 && connection_find_peer(a, peer))
        return 446;
    if (rc < 0 || peer->port == 0)
        return 400;
    if (!turn_relay_live(a, peer->family, r->in->now_ms))
        return 443;
    // A relayed transport address that connected to itself would talk to itself.
    if (addr_equal(peer, &a->relay[turn_relay_index(peer->family)].relayed))
        return 403;
    return turn_peer_allowed(r, peer) ? 0 : 403;
}

// Keeps what the answer will need.
static struct turn_connect_request *remember(const struct turn_request *r)
{
    struct turn_connect_request *kept = malloc(sizeof(*kept));
    if (!kept)
        return NULL;
    memcpy(kept->txid, r->msg.txid, sizeof(kept->txid));
    kept->grant = r->grant;
    kept->fingerprint = r->msg.fingerprint != 0;
    return kept;
}

enum turn_action turn_handle_connect(struct turn_request *r)
{
    struct turn_server *s = r->server;
    struct turn_connection *c;
    struct addr peer;

    int code = turn_require_allocation(r);
    if (!code && !r->allocation->connections)
        code = 437;
    if (!code)
        code = check_peer(r, &peer);
    if (code)
        return reply_error(r, code);
    if (connection_new(s, r->allocation, &peer, r->in->now_ms, &c) < 0)
        return reply_error(r, 508);
    c->request = remember(r);
    if (!c->request || s->ops.peer_open(s->arg, c) < 0) {
        code = c->request ? 447 : 508;
        connection_end(s, c);
        return reply_error(r, code);
    }
    return TURN_DROP; // the answer follows
}

// --- what follows it ---

// A request as it was when Connect came in, as far as its answer needs it.
struct late_request {
    struct turn_request r;
    struct turn_input in;
    struct turn_output out;
};

static void resume(struct late_request *late, struct turn_server *s, struct turn_connection *c)
{
    late->in = (struct turn_input){.tuple = &c->allocation->tuple};
    late->r = (struct turn_request){
        .server = s,
        .in = &late->in,
        .out = &late->out,
        .msg = {.class_ = STUN_REQUEST,
                .method = STUN_CONNECT,
                .txid = c->request->txid,
                .fingerprint = c->request->fingerprint},
        .authenticated = true,
        .grant = c->request->grant,
        .allocation = c->allocation,
    };
}

void turn_connection_opened(struct turn_server *s, struct turn_connection *c, int64_t now_ms)
{
    struct late_request late;

    resume(&late, s, c);
    reply_begin(&late.r);
    stun_put_u32(&late.r.w, STUN_ATTR_CONNECTION_ID, c->id);
    reply_end(&late.r);
    connection_established(s, c, now_ms);
    turn_report(&late.r, TURN_EVENT_CONNECTED, &c->peer, 0);
    s->ops.send(s->arg, c->allocation, late.out.reply, late.out.reply_len);
}

void turn_connection_failed(struct turn_server *s, struct turn_connection *c)
{
    struct turn_allocation *a = c->allocation;
    struct late_request late;

    resume(&late, s, c);
    reply_error(&late.r, 447);
    connection_end(s, c);
    s->ops.send(s->arg, a, late.out.reply, late.out.reply_len);
}

// --- ConnectionAttempt, section 5.3 ---

// Indications are never answered, so that it is enough that their ids look random and differ.
static void indication_id(const struct turn_server *s, uint32_t id, uint8_t txid[STUN_TXID_LEN])
{
    uint64_t h[2];
    h[0] = siphash(&s->key, &id, sizeof(id));
    h[1] = siphash(&s->key, h, sizeof(h[0]));
    memcpy(txid, h, STUN_TXID_LEN);
}

static void send_attempt(struct turn_server *s, struct turn_connection *c)
{
    uint8_t txid[STUN_TXID_LEN], msg[128];
    struct stun_writer w;

    indication_id(s, c->id, txid);
    stun_begin(&w, msg, sizeof(msg), STUN_INDICATION, STUN_CONNECTION_ATTEMPT, txid, NULL);
    stun_put_addr(&w, STUN_ATTR_XOR_PEER_ADDRESS, &c->peer);
    stun_put_u32(&w, STUN_ATTR_CONNECTION_ID, c->id);
    s->ops.send(s->arg, c->allocation, msg, stun_end(&w));
}

struct turn_connection *turn_connection_accepted(struct turn_server *s, struct turn_allocation *a,
                                                 const struct addr *peer, void *socket,
                                                 int64_t now_ms)
{
    struct turn_input in = {.tuple = &a->tuple};
    struct turn_request r = {
        .server = s, .in = &in, .allocation = a, .msg.method = STUN_CONNECTION_ATTEMPT};
    struct turn_connection *c;

    // A permission speaks of the IP; the policy is asked again with this port.
    if (now_ms >= a->expires_ms || !turn_permission_covers(a, peer, now_ms) ||
        !turn_peer_allowed(&r, peer))
        return NULL;
    if (connection_new(s, a, peer, now_ms, &c) < 0)
        return NULL;
    c->socket = socket;
    connection_established(s, c, now_ms);
    turn_report(&r, TURN_EVENT_ATTEMPT, peer, 0);
    send_attempt(s, c);
    return c;
}
