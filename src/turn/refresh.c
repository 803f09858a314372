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

enum turn_action turn_handle_refresh(struct turn_request *r)
{
    struct turn_allocation *a = r->allocation;
    uint32_t value;
    bool ends = stun_get_u32(&r->msg, STUN_ATTR_LIFETIME, &value) == 0 && value == 0;
    uint8_t family = ADDR_NONE;

    // The answer to a deletion was lost: the same one again.
    if (ends && tombstone_find(r->server, r->in->tuple, r->msg.txid, r->in->now_ms))
        return answer(r, 0);
    int code = turn_require_allocation(r);
    bool newer = code == 441 && is_newer_token(r);
    if (code && !newer)
        return reply_error(r, code);
    // RFC 8656 8.2: the family that is named must be one of the allocation's.
    if (stun_get_u32(&r->msg, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, &value) == 0) {
        family = value >> 24 == 1 ? ADDR_IPV4 : value >> 24 == 2 ? ADDR_IPV6 : ADDR_NONE;
        if (family == ADDR_NONE || !turn_relay_live(a, family, r->in->now_ms))
            return reply_error(r, 443);
    }
    code = newer ? take_token(r) : 0;
    if (code)
        return reply_error(r, code);
    if (ends)
        return end(r, family);
    // The family that is named, or all that are there (RFC 8656 8.1).
    a->lifetime = turn_lifetime(r);
    allocation_extend(r->server, a, family, r->in->now_ms + (int64_t)a->lifetime * 1000);
    turn_report(r, TURN_EVENT_REFRESHED, NULL, 0);
    return answer(r, a->lifetime);
}
