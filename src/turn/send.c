// SPDX-License-Identifier: BSD-2-Clause
// Send indication (RFC 8656 section 11.2).
#include "turn/internal.h"

enum turn_action turn_handle_send(struct turn_request *r)
{
    struct turn_output *out = r->out;
    struct stun_attr data, df;

    r->allocation = turn_server_find(r->server, r->in->tuple, r->in->now_ms);
    if (!r->allocation)
        r->allocation = turn_server_arrive(r->server, r->in->tuple, r->in->now_ms, &out->elsewhere);
    if (!r->allocation)
        return out->elsewhere.session ? TURN_CLAIM : TURN_DROP;
    if (r->allocation->connections) // RFC 6062: by data connections only
        return TURN_DROP;
    // 1. Both attributes. The data may be empty.
    if (stun_get_addr(&r->msg, STUN_ATTR_XOR_PEER_ADDRESS, &out->peer) < 0 ||
        !stun_find(&r->msg, STUN_ATTR_DATA, &data))
        return TURN_DROP;
    if (out->peer.port == 0 || !turn_relay_live(r->allocation, out->peer.family, r->in->now_ms))
        return TURN_DROP;
    // 2. A permission. It does not speak of ports, so the policy is asked again with this one.
    if (!turn_permission_covers(r->allocation, &out->peer, r->in->now_ms) ||
        !turn_peer_allowed(r, &out->peer))
        return TURN_DROP;
    out->allocation = r->allocation;
    out->payload = data.value;
    out->payload_len = data.len;
    out->dont_fragment = stun_find(&r->msg, STUN_ATTR_DONT_FRAGMENT, &df);
    return TURN_SEND;
}
