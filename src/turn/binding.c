// SPDX-License-Identifier: BSD-2-Clause
// Binding (RFC 8489 section 2, RFC 3489 for classic clients) with NAT behaviour discovery
// (RFC 5780): not authenticated, so kept small.
#include "turn/internal.h"

// RFC 5780 7.2
#define CHANGE_IP 4u
#define CHANGE_PORT 2u

// RFC 5780 7.6 wants the MTU of the way out, so that the answer travels in fragments: that of
// Ethernet serves the purpose on every way that is not longer. A multiple of 4.
#define PADDING_MAX 1500

// What a Binding request asks for by RFC 5780.
struct discovery {
    const struct turn_behavior *behavior; // of the address that was asked; NULL: none
    unsigned ip, port;                    // which of its two each that is
    uint32_t change;
    uint16_t response_port; // 0: none
    bool padding;
};

static void find_behavior(const struct turn_request *r, struct discovery *d)
{
    const struct turn_config *cfg = r->server->cfg;
    const struct turn_tuple *t = r->in->tuple;

    for (unsigned i = 0; i < cfg->behavior_count; i++) {
        const struct turn_behavior *b = &cfg->behaviors[i];
        for (unsigned at = 0; at < 4 && b->transport == t->transport; at++) {
            if (!addr_equal_ip(&b->ip[at / 2], &t->local) || b->port[at % 2] != t->local.port)
                continue;
            d->behavior = b;
            d->ip = at / 2;
            d->port = at % 2;
            return;
        }
    }
}

// 0, or the error code; 420: *count types are in unknown.
static int read_discovery(const struct turn_request *r, struct discovery *d, uint16_t unknown[3],
                          size_t *count)
{
    struct stun_attr attr;

    *d = (struct discovery){0};
    *count = 0;
    find_behavior(r, d);
    // Nothing of this can be done for a connection, nor by a server without a second address: to
    // those the attributes are unknown (RFC 5780 6.1). Classic clients send a CHANGE-REQUEST that
    // asks for nothing.
    bool able = d->behavior && d->behavior->transport == TURN_UDP;
    if (stun_get_u32(&r->msg, STUN_ATTR_CHANGE_REQUEST, &d->change) == 0)
        d->change &= CHANGE_IP | CHANGE_PORT;
    if (d->change && !able)
        unknown[(*count)++] = STUN_ATTR_CHANGE_REQUEST;
    d->padding = stun_find(&r->msg, STUN_ATTR_PADDING, &attr);
    if (d->padding && !able)
        unknown[(*count)++] = STUN_ATTR_PADDING;
    bool elsewhere = stun_find(&r->msg, STUN_ATTR_RESPONSE_PORT, &attr);
    if (elsewhere && !able)
        unknown[(*count)++] = STUN_ATTR_RESPONSE_PORT;
    if (*count)
        return 420;
    if (elsewhere) {
        struct cursor c = cursor_reader(attr.value, attr.len);
        d->response_port = cursor_u16(&c);
        // With PADDING it would make the server a sender of large packets to somebody else.
        if (d->response_port == 0 || d->padding)
            return 400;
    }
    return 0;
}

// The address of a behaviour's corner, as bound or as clients know it.
static struct addr corner(const struct addr ip[2], const struct turn_behavior *b, unsigned i,
                          unsigned port)
{
    struct addr a = ip[i];
    a.port = b->port[port];
    return a;
}

// An answer with PADDING is never larger than the request: what RFC 5780 7.6 says of the length is
// a SHOULD, and a server that sends strangers more than it got from them is a weapon.
static void put_padding(struct turn_request *r)
{
    static const uint8_t zeros[PADDING_MAX];
    size_t rest = r->w.c.pos + 4 + (r->msg.fingerprint ? 8 : 0);
    size_t len = r->in->len > rest ? (r->in->len - rest) & ~(size_t)3 : 0;
    stun_put(&r->w, STUN_ATTR_PADDING, zeros, len < PADDING_MAX ? len : PADDING_MAX);
}

enum turn_action turn_handle_binding(struct turn_request *r)
{
    const struct turn_tuple *tuple = r->in->tuple;
    struct addr origin = tuple->local, other;
    struct discovery d;
    uint16_t unknown[3];
    size_t count;

    int code = read_discovery(r, &d, unknown, &count);
    if (code)
        return count ? reply_unknown(r, unknown, count) : reply_error(r, code);
    reply_begin(r);
    if (d.behavior) {
        unsigned ip = d.ip ^ !!(d.change & CHANGE_IP), port = d.port ^ !!(d.change & CHANGE_PORT);
        r->out->reply_from = corner(d.behavior->ip, d.behavior, ip, port);
        origin = corner(d.behavior->external, d.behavior, ip, port);
        other = corner(d.behavior->external, d.behavior, !d.ip, !d.port);
        if (d.response_port)
            r->out->reply_to.port = d.response_port;
    }
    // RFC 3489 clients do not know attributes of RFC 8489, and some choke on them.
    bool classic = r->msg.classic;
    if (!classic)
        stun_put_addr(&r->w, STUN_ATTR_XOR_MAPPED_ADDRESS, &tuple->client);
    stun_put_addr(&r->w, STUN_ATTR_MAPPED_ADDRESS, &tuple->client);
    stun_put_addr(&r->w, classic ? STUN_ATTR_SOURCE_ADDRESS : STUN_ATTR_RESPONSE_ORIGIN, &origin);
    if (d.behavior)
        stun_put_addr(&r->w, classic ? STUN_ATTR_CHANGED_ADDRESS : STUN_ATTR_OTHER_ADDRESS, &other);
    if (d.padding)
        put_padding(r);
    return reply_end(r);
}
