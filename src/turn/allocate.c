// SPDX-License-Identifier: BSD-2-Clause
// Allocate (RFC 8656 section 7.2).
#include <errno.h>
#include <string.h>

#include "turn/internal.h"

enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

enum { FAMILY_IPV4 = 1, FAMILY_IPV6 = 2 }; // on the wire, RFC 8656 18.6

// What the request asks for.
struct wish {
    uint8_t family;
    bool additional; // IPv6 on top of IPv4
    bool mobile;     // MOBILITY-TICKET
    struct turn_relay_request relay;
};

static bool has(const struct turn_request *r, uint16_t type)
{
    struct stun_attr attr;
    return stun_find(&r->msg, type, &attr);
}

static bool offered(const struct turn_config *cfg, uint8_t family)
{
    return family == ADDR_IPV6 ? cfg->relay_ipv6 : cfg->relay_ipv4;
}

// Steps 3 to 9: what can be judged from the request alone. 0 or the error code.
static int read_wish(const struct turn_request *r, struct wish *wish)
{
    const struct turn_config *cfg = r->server->cfg;
    struct stun_attr token, even;
    uint32_t value;
    bool has_token = stun_find(&r->msg, STUN_ATTR_RESERVATION_TOKEN, &token);
    bool has_even = stun_find(&r->msg, STUN_ATTR_EVEN_PORT, &even);
    bool has_family = has(r, STUN_ATTR_REQUESTED_ADDRESS_FAMILY);
    bool has_additional = has(r, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY);

    *wish = (struct wish){.family = ADDR_IPV4};
    // 3. REQUESTED-TRANSPORT
    if (stun_get_u32(&r->msg, STUN_ATTR_REQUESTED_TRANSPORT, &value) < 0)
        return 400;
    wish->relay.tcp = value >> 24 == PROTOCOL_TCP && cfg->relay_tcp;
    if (value >> 24 != PROTOCOL_UDP && !wish->relay.tcp)
        return 442;
    // RFC 6062 5.1: only by a connection, and nothing that is about datagrams or a second address.
    if (wish->relay.tcp && (!turn_transport_stream(r->in->tuple->transport) || has_token ||
                            has_even || has_additional || has(r, STUN_ATTR_DONT_FRAGMENT)))
        return 400;
    // 4. DONT-FRAGMENT is supported.
    // 5. RESERVATION-TOKEN: the reserved address says everything that these would.
    if (has_token && (has_even || has_family || has_additional))
        return 400;
    // 6. One or both families, not both ways of asking.
    if (has_family && has_additional)
        return 400;
    // 7. REQUESTED-ADDRESS-FAMILY
    if (has_family) {
        if (stun_get_u32(&r->msg, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, &value) < 0)
            return 400;
        if (value >> 24 != FAMILY_IPV4 && value >> 24 != FAMILY_IPV6)
            return 440;
        wish->family = value >> 24 == FAMILY_IPV6 ? ADDR_IPV6 : ADDR_IPV4;
    }
    // The family of a token is the worker's to know; nor is IPv4 needed by who asks for both.
    if (!has_token && !has_additional && !offered(cfg, wish->family))
        return 440;
    // 8. EVEN-PORT with the R bit reserves for one family only.
    wish->relay.even_port = has_even;
    wish->relay.reserve_next = has_even && even.len > 0 && even.value[0] & 0x80;
    if (wish->relay.reserve_next && has_additional)
        return 400;
    // 9. ADDITIONAL-ADDRESS-FAMILY names IPv6, or nothing that we know.
    if (has_additional) {
        if (stun_get_u32(&r->msg, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, &value) < 0 ||
            value >> 24 != FAMILY_IPV6)
            return 400;
        wish->additional = true;
    }
    if (has_token && token.len == sizeof(wish->relay.token_out))
        wish->relay.token_in = token.value;
    else if (has_token)
        return 400;
    return mobility_wanted(r, wish->relay.tcp, &wish->mobile);
}

// Opens one family. 0 or the error code.
static int open_relay(struct turn_request *r, struct turn_allocation *a, struct wish *wish,
                      uint8_t family)
{
    struct turn_relay_request req = wish->relay;
    req.family = family;
    req.owner = a->user->name;
    req.owner_len = a->user->name_len;
    // A client may have a newer access token for the second of two allocations (RFC 7635 section
    // 9), or one for each: what shows that it is the same is where it comes from.
    if (allocation_box(a)->session) {
        req.owner = a->tuple.client.ip;
        req.owner_len = sizeof(a->tuple.client.ip);
    }
    if (!req.token_in && !offered(r->server->cfg, family))
        return 440;
    int rc = r->server->ops.relay_open(r->server->arg, a, &req);
    if (rc == -EAFNOSUPPORT)
        return 440;
    if (rc < 0)
        return 508;
    if (req.reserve_next) {
        memcpy(allocation_box(a)->token, req.token_out, sizeof(req.token_out));
        allocation_box(a)->has_token = true;
    }
    return 0;
}

// Opens what is wished. 0 or the error code; then nothing is open.
static int open_relays(struct turn_request *r, struct turn_allocation *a, struct wish *wish)
{
    int code = open_relay(r, a, wish, wish->family);
    if (!wish->additional)
        return code;
    // 9. One of two families is enough; the answer says which one is missing, and why.
    int code6 = open_relay(r, a, wish, ADDR_IPV6);
    if (code && code6)
        return code;
    allocation_box(a)->error_family = code ? FAMILY_IPV4 : FAMILY_IPV6;
    allocation_box(a)->error_code = (uint16_t)(code ? code : code6);
    return 0;
}

// 10. The quota of the user, and the server's.
static int take_quota(struct turn_request *r, struct turn_allocation *a)
{
    const struct turn_config *cfg = r->server->cfg;
    uint32_t max = r->grant.max_allocations ? r->grant.max_allocations : cfg->user_allocations;
    int rc = quota_acquire(r->server->quota, r->grant.user, r->grant.user_len, max,
                           cfg->total_allocations, &a->user);
    return rc == 0 ? 0 : rc == -EDQUOT ? 486 : 508;
}

static void put_address_error(struct turn_request *r, const struct allocation_box *box)
{
    const char *reason = stun_reason(box->error_code);
    size_t len = strlen(reason);
    uint8_t value[4 + 64] = {box->error_family, 0, (uint8_t)(box->error_code / 100),
                             (uint8_t)(box->error_code % 100)};
    if (len > sizeof(value) - 4)
        len = sizeof(value) - 4;
    memcpy(value + 4, reason, len);
    stun_put(&r->w, STUN_ATTR_ADDRESS_ERROR_CODE, value, 4 + len);
}

static enum turn_action answer(struct turn_request *r)
{
    struct turn_allocation *a = r->allocation;
    const struct allocation_box *box = allocation_box(a);

    reply_begin(r);
    for (unsigned i = 0; i < 2; i++)
        if (a->relay[i].relayed.family != ADDR_NONE)
            stun_put_addr(&r->w, STUN_ATTR_XOR_RELAYED_ADDRESS, &a->relay[i].relayed);
    if (box->error_code)
        put_address_error(r, box);
    stun_put_u32(&r->w, STUN_ATTR_LIFETIME, box->first_lifetime);
    if (box->has_token)
        stun_put(&r->w, STUN_ATTR_RESERVATION_TOKEN, box->token, sizeof(box->token));
    stun_put_addr(&r->w, STUN_ATTR_XOR_MAPPED_ADDRESS, &a->tuple.client);
    if (a->mobility)
        mobility_put(r, a);
    return reply_end(r);
}

static enum turn_action make(struct turn_request *r, struct wish *wish)
{
    struct turn_server *s = r->server;
    struct turn_allocation *a = allocation_new(s, r->in);
    if (!a)
        return reply_error(r, 508);
    if ((wish->relay.tcp && connections_begin(a) < 0) ||
        (r->grant.token && !(allocation_box(a)->session = auth_session_new(&r->grant)))) {
        allocation_free(s, a, false);
        return reply_error(r, 508);
    }
    int code = take_quota(r, a);
    if (!code && wish->mobile)
        code = mobility_begin(r, a);
    if (!code)
        code = open_relays(r, a, wish);
    if (code) {
        allocation_free(s, a, false);
        return reply_error(r, code);
    }
    limit_grant(s, a, &r->grant);
    memcpy(a->txid, r->msg.txid, sizeof(a->txid));
    a->lifetime = turn_lifetime(r);
    allocation_box(a)->first_lifetime = a->lifetime;
    allocation_link(s, a, r->in->now_ms, r->in->now_ms + (int64_t)a->lifetime * 1000);
    r->allocation = a;
    turn_report(r, TURN_EVENT_ALLOCATED, NULL, 0);
    return answer(r);
}

// Another server for this client, in turn; NULL: it is served here. The family has to be the one
// that it reached us by (RFC 8489 10).
static const struct addr *find_alternate(struct turn_request *r)
{
    const struct turn_config *cfg = r->server->cfg;
    const struct turn_tuple *t = r->in->tuple;

    for (size_t i = 0; i < cfg->alternate_count; i++) {
        size_t at = (r->server->next_alternate + i) % cfg->alternate_count;
        const struct addr *a = &cfg->alternates[at];
        if (a->family != t->client.family || addr_equal(a, &t->local))
            continue;
        r->server->next_alternate = at + 1;
        return a;
    }
    return NULL;
}

enum turn_action turn_handle_allocate(struct turn_request *r)
{
    const struct addr *alternate;
    struct wish wish;

    // 1. The request is authentic: dispatch.c.
    // 2. The 5-tuple is not in use; who asks again because the answer was lost gets it again.
    if (r->allocation) {
        if (turn_require_allocation(r) == 0 &&
            memcmp(r->allocation->txid, r->msg.txid, sizeof(r->allocation->txid)) == 0)
            return answer(r);
        return reply_error(r, 437);
    }
    // RFC 8656 7.2 lets a server redirect at any point: what this one could not do another may.
    // Only a port that was reserved here is to be had nowhere else.
    alternate = has(r, STUN_ATTR_RESERVATION_TOKEN) ? NULL : find_alternate(r);
    if (alternate)
        return reply_alternate(r, alternate);
    int code = read_wish(r, &wish);
    if (code)
        return reply_error(r, code);
    return make(r, &wish);
}
