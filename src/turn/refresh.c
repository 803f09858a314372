// SPDX-License-Identifier: BSD-2-Clause
// Refresh (RFC 8656 section 8).
#include "turn/internal.h"

uint32_t turn_lifetime(const struct turn_request *r)
{
    const struct turn_config *cfg = r->server->cfg;
    uint32_t lifetime = cfg->lifetime_default;

    stun_get_u32(&r->msg, STUN_ATTR_LIFETIME, &lifetime);
    if (lifetime > cfg->lifetime_max)
        lifetime = cfg->lifetime_max;
    if (lifetime < cfg->lifetime_default)
        lifetime = cfg->lifetime_default;
    // RFC 7635 section 9: no longer than the token.
    if (r->grant.token && lifetime > r->grant.lifetime_max)
        lifetime = r->grant.lifetime_max;
    return lifetime;
}

// RFC 7635 section 9: an allocation that a token has made is refreshed with the newest that its
// client has, whatever key that one is sealed with.
static bool is_newer_token(const struct turn_request *r)
{
    return r->grant.token && allocation_box(r->allocation)->session;
}

// From now on the allocation is this token's. 0 or an error code.
static int take_token(struct turn_request *r)
{
    struct allocation_box *box = allocation_box(r->allocation);
    struct auth_session *session = auth_session_new(&r->grant);
    if (!session)
        return 508;
    auth_session_free(box->session);
    box->session = session;
    return 0;
}

static enum turn_action answer(struct turn_request *r, uint32_t lifetime)
{
    reply_begin(r);
    stun_put_u32(&r->w, STUN_ATTR_LIFETIME, lifetime);
    return reply_end(r);
}

// RFC 8016 3.2.2: with the ticket for the next move.
static enum turn_action answer_move(struct turn_request *r)
{
    reply_begin(r);
    stun_put_u32(&r->w, STUN_ATTR_LIFETIME, r->allocation->lifetime);
    mobility_put(r, r->allocation);
    return reply_end(r);
}

// The allocation, or one family of two (RFC 8656 8.1).
static enum turn_action end(struct turn_request *r, uint8_t family)
{
    struct turn_allocation *a = r->allocation;
    uint8_t other = family == ADDR_IPV4 ? ADDR_IPV6 : ADDR_IPV4;

    if (family != ADDR_NONE && turn_relay_live(a, other, r->in->now_ms)) {
        allocation_drop_family(r->server, a, family);
        turn_report(r, TURN_EVENT_REFRESHED, NULL, 0);
    } else {
        r->allocation = NULL;
        allocation_end(r->server, a, TURN_EVENT_DELETED);
    }
    tombstone_put(r->server, r->in->tuple, r->msg.txid, r->in->now_ms);
    return answer(r, 0);
}

// Once the allocation is known: by its 5-tuple, maybe with a newer token, or by a mobility ticket.
static enum turn_action refresh(struct turn_request *r, bool ends, bool newer, bool moves)
{
    struct turn_allocation *a = r->allocation;
    uint8_t family = ADDR_NONE;
    uint32_t value;

    // RFC 8656 8.2: the family that is named must be one of the allocation's.
    if (stun_get_u32(&r->msg, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, &value) == 0) {
        family = value >> 24 == 1 ? ADDR_IPV4 : value >> 24 == 2 ? ADDR_IPV6 : ADDR_NONE;
        if (family == ADDR_NONE || !turn_relay_live(a, family, r->in->now_ms))
            return reply_error(r, 443);
    }
    int code = newer ? take_token(r) : 0;
    if (code)
        return reply_error(r, code);
    if (ends)
        return end(r, family);
    code = moves ? mobility_arrive(r) : 0;
    if (code)
        return reply_error(r, code);
    if (!moves)
        mobility_follow(r);
    // The family that is named, or all that are there (RFC 8656 8.1).
    a->lifetime = turn_lifetime(r);
    allocation_extend(r->server, a, family, r->in->now_ms + (int64_t)a->lifetime * 1000);
    turn_report(r, TURN_EVENT_REFRESHED, NULL, 0);
    return moves ? answer_move(r) : answer(r, a->lifetime);
}

enum turn_action turn_handle_refresh(struct turn_request *r)
{
    struct turn_elsewhere elsewhere;
    struct stun_attr ticket;
    uint32_t value;
    bool ends = stun_get_u32(&r->msg, STUN_ATTR_LIFETIME, &value) == 0 && value == 0;
    bool moves = stun_find(&r->msg, STUN_ATTR_MOBILITY_TICKET, &ticket);

    if (moves && !r->server->cfg->mobility)
        return reply_error(r, 405);
    // The answer to a deletion was lost: the same one again.
    if (ends && tombstone_find(r->server, r->in->tuple, r->msg.txid, r->in->now_ms))
        return answer(r, 0);
    int code = moves ? mobility_check(r, &ticket, &elsewhere) : turn_require_allocation(r);
    if (code == MOBILITY_ELSEWHERE)
        return mobility_forward(r, &elsewhere);
    if (code == MOBILITY_AGAIN)
        return answer_move(r);
    // A newer token is good where the old one was; with a ticket from elsewhere it could be
    // anybody's.
    bool newer = code == 441 && !moves && is_newer_token(r);
    return code && !newer ? reply_error(r, code) : refresh(r, ends, newer, moves);
}
