// SPDX-License-Identifier: BSD-2-Clause
// Binding (RFC 8489 section 2, RFC 3489 for classic clients): not authenticated, so kept small.
#include "turn/internal.h"

enum turn_action turn_handle_binding(struct turn_request *r)
{
    const struct turn_tuple *tuple = r->in->tuple;
    uint32_t change = 0;

    // RFC 5780 6.1: a server without a second address takes a request for a change as an unknown
    // attribute. Classic clients send one that asks for nothing.
    if (stun_get_u32(&r->msg, STUN_ATTR_CHANGE_REQUEST, &change) == 0 && change != 0) {
        const uint16_t type = STUN_ATTR_CHANGE_REQUEST;
        return reply_unknown(r, &type, 1);
    }
    reply_begin(r);
    // RFC 3489 clients do not know attributes of RFC 8489, and some choke on them.
    if (r->msg.classic) {
        stun_put_addr(&r->w, STUN_ATTR_MAPPED_ADDRESS, &tuple->client);
        stun_put_addr(&r->w, STUN_ATTR_SOURCE_ADDRESS, &tuple->local);
    } else {
        stun_put_addr(&r->w, STUN_ATTR_XOR_MAPPED_ADDRESS, &tuple->client);
        stun_put_addr(&r->w, STUN_ATTR_MAPPED_ADDRESS, &tuple->client);
        stun_put_addr(&r->w, STUN_ATTR_RESPONSE_ORIGIN, &tuple->local);
    }
    return reply_end(r);
}
