// SPDX-License-Identifier: BSD-2-Clause
// ConnectionBind (RFC 6062 section 5.4): the connection that it comes by becomes the client data
// connection of a peer data connection that waits for one.
#include "turn/internal.h"

// The waiting connection of that id; NULL also for one that is bound already or another user's: who
// guesses learns nothing.
static struct turn_connection *find(struct turn_request *r, uint32_t id)
{
    struct turn_connection *c = connection_find(r->server, id);
    int64_t now_ms = r->in->now_ms;

    if (!c || c->state != TURN_CONNECTION_PENDING || now_ms >= c->deadline_ms ||
        now_ms >= c->allocation->expires_ms)
        return NULL;
    return turn_is_owner(c->allocation, &r->grant) ? c : NULL;
}

enum turn_action turn_handle_connection_bind(struct turn_request *r)
{
    struct turn_server *s = r->server;
    uint32_t id;

    if (!turn_transport_stream(r->in->tuple->transport))
        return reply_error(r, 400);
    // A connection that controls an allocation goes on doing so.
    if (stun_get_u32(&r->msg, STUN_ATTR_CONNECTION_ID, &id) < 0 || r->allocation)
        return reply_error(r, 400);
    uint8_t owner = connection_owner(s, id);
    if (owner != s->worker && !r->granted) {
        r->out->worker = owner;
        r->out->grant = r->grant;
        return TURN_MOVE;
    }
    struct turn_connection *c = find(r, id);
    if (!c)
        return reply_error(r, 400);
    reply_begin(r);
    if (reply_end(r) != TURN_REPLY)
        return TURN_DROP;
    connection_bound(s, c);
    r->out->connection = c;
    r->allocation = c->allocation;
    turn_report(r, TURN_EVENT_BOUND, &c->peer, 0);
    return TURN_BIND;
}
