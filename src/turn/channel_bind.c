// SPDX-License-Identifier: BSD-2-Clause
// ChannelBind (RFC 8656 section 12.2).
#include "stun/channel_data.h"
#include "turn/internal.h"

static int bind_channel(struct turn_request *r, uint16_t number, const struct addr *peer)
{
    struct turn_server *s = r->server;
    struct turn_allocation *a = r->allocation;
    int64_t now_ms = r->in->now_ms;

    // A binding makes or refreshes a permission too; neither is installed without the other.
    int rc = permission_prepare(a, &s->key, peer, s->cfg->max_permissions, now_ms);
    if (rc == 0)
        rc = channel_bind(a, &s->key, number, peer, s->cfg->max_channels, now_ms,
                          now_ms + (int64_t)s->cfg->channel_lifetime * 1000);
    if (rc == 0)
        permission_commit(a, peer, turn_permission_expiry(r));
    else
        permission_abandon(a, peer);
    return rc;
}

enum turn_action turn_handle_channel_bind(struct turn_request *r)
{
    struct addr peer;
    uint32_t value;

    int code = turn_require_allocation(r);
    if (code)
        return reply_error(r, code);
    mobility_follow(r);
    // A TCP allocation has no channels (RFC 6062).
    if (r->allocation->connections)
        return reply_error(r, 400);
    // Both attributes, and a number in the range.
    if (stun_get_u32(&r->msg, STUN_ATTR_CHANNEL_NUMBER, &value) < 0 ||
        stun_get_addr(&r->msg, STUN_ATTR_XOR_PEER_ADDRESS, &peer) < 0)
        return reply_error(r, 400);
    uint16_t number = (uint16_t)(value >> 16);
    if (number < CHANNEL_MIN || number > CHANNEL_MAX || peer.port == 0)
        return reply_error(r, 400);
    // Neither is bound to something else now: before the peer is judged, as the RFC lists it.
    const struct turn_channel *c = turn_channel_by_number(r->allocation, number, r->in->now_ms);
    if (c && !addr_equal(&c->peer, &peer))
        return reply_error(r, 400);
    c = turn_channel_by_peer(r->allocation, &peer, r->in->now_ms);
    if (c && c->number != number)
        return reply_error(r, 400);
    if (!turn_relay_live(r->allocation, peer.family, r->in->now_ms))
        return reply_error(r, 443);
    if (!turn_peer_allowed(r, &peer))
        return reply_error(r, 403);
    if (bind_channel(r, number, &peer) < 0)
        return reply_error(r, 508);
    turn_report(r, TURN_EVENT_CHANNEL, &peer, number);
    reply_begin(r);
    return reply_end(r);
}
