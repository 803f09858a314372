// SPDX-License-Identifier: BSD-2-Clause
#include "turn/policy.h"

#include <string.h>

// Where an IPv6 address carries an IPv4 address.
enum embedding {
    EMBED_NONE,
    EMBED_LAST,   // in the last 32 bits
    EMBED_SIXTO4, // in bits 16-47 (RFC 3056)
    EMBED_NAT64,  // of a local-use NAT64 prefix: last 32 bits, or around the "u" octet (RFC
                  // 6052 2.2)
    EMBED_TEREDO, // server in bits 32-63, client inverted in the last 32 bits (RFC 4380 4)
};

struct special_range {
    uint8_t ip[16];
    uint8_t bits; // length of the prefix
    bool refused; // false: only what it embeds is judged
    enum embedding embedding;
};

// IANA IPv4 Special-Purpose Address Registry, and multicast.
static const struct special_range special_ipv4[] = {
    {{0}, 8, true, EMBED_NONE},             // "this network", RFC 791
    {{10}, 8, true, EMBED_NONE},            // private use, RFC 1918
    {{100, 64}, 10, true, EMBED_NONE},      // shared address space (carrier-grade NAT), RFC 6598
    {{127}, 8, true, EMBED_NONE},           // loopback, RFC 1122
    {{169, 254}, 16, true, EMBED_NONE},     // link local, RFC 3927
    {{172, 16}, 12, true, EMBED_NONE},      // private use, RFC 1918
    {{192, 0, 0}, 24, true, EMBED_NONE},    // IETF protocol assignments, RFC 6890
    {{192, 0, 2}, 24, true, EMBED_NONE},    // TEST-NET-1, RFC 5737
    {{192, 88, 99}, 24, true, EMBED_NONE},  // 6to4 relay anycast, RFC 7526
    {{192, 168}, 16, true, EMBED_NONE},     // private use, RFC 1918
    {{198, 18}, 15, true, EMBED_NONE},      // benchmarking, RFC 2544
    {{198, 51, 100}, 24, true, EMBED_NONE}, // TEST-NET-2, RFC 5737
    {{203, 0, 113}, 24, true, EMBED_NONE},  // TEST-NET-3, RFC 5737
    {{224}, 4, true, EMBED_NONE},           // multicast, RFC 5771
    {{255, 255, 255, 255}, 32, true, EMBED_NONE}, // limited broadcast, RFC 919
    {{240}, 4, true, EMBED_NONE},                 // reserved, RFC 1112
};

// IANA IPv6 Special-Purpose Address Registry, multicast, and the notations that embed IPv4. The
// first that matches counts.
static const struct special_range special_ipv6[] = {
    {{0}, 128, true, EMBED_NONE},                      // unspecified, RFC 4291
    {{[15] = 1}, 128, true, EMBED_NONE},               // loopback, RFC 4291
    {{0}, 96, true, EMBED_LAST},                       // IPv4-compatible, RFC 4291 2.5.5.1
    {{[10] = 0xff, 0xff}, 96, true, EMBED_LAST},       // IPv4-mapped, RFC 4291 2.5.5.2
    {{[8] = 0xff, 0xff}, 96, true, EMBED_LAST},        // IPv4-translated, RFC 2765
    {{0x00, 0x64, 0xff, 0x9b}, 96, false, EMBED_LAST}, // NAT64, RFC 6052
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, true, EMBED_NAT64}, // local-use NAT64, RFC 8215
    {{0x01, 0x00}, 64, true, EMBED_NONE},                          // discard only, RFC 6666
    {{0x01, 0x00, [7] = 0x01}, 64, true, EMBED_NONE},              // dummy prefix, RFC 9780
    {{0x20, 0x01, 0x00, 0x00}, 32, false, EMBED_TEREDO},           // Teredo, RFC 4380
    {{0x20, 0x01, 0x00, 0x10}, 28, true, EMBED_NONE},              // ORCHID, RFC 4843
    {{0x20, 0x01, 0x00, 0x20}, 28, true, EMBED_NONE},              // ORCHIDv2, RFC 7343
    {{0x20, 0x01, 0x00, 0x00}, 23, true, EMBED_NONE}, // IETF protocol assignments, RFC 2928
    {{0x20, 0x01, 0x0d, 0xb8}, 32, true, EMBED_NONE}, // documentation, RFC 3849
    {{0x20, 0x02}, 16, false, EMBED_SIXTO4},          // 6to4, RFC 3056
    {{0x3f, 0xff}, 20, true, EMBED_NONE},             // documentation, RFC 9637
    {{0x5f, 0x00}, 16, true, EMBED_NONE},             // segment routing SIDs, RFC 9602
    {{0xfc}, 7, true, EMBED_NONE},                    // unique local, RFC 4193
    {{0xfe, 0x80}, 10, true, EMBED_NONE},             // link local, RFC 4291
    {{0xfe, 0xc0}, 10, true, EMBED_NONE},             // site local, RFC 3879
    {{0xff}, 8, true, EMBED_NONE},                    // multicast, RFC 4291
};

#define FORMS_MAX 4

// A peer address in every notation that it stands for: itself first, then the IPv4 addresses it
// embeds.
struct forms {
    struct addr form[FORMS_MAX];
    size_t count;
    const struct special_range *special; // that the peer itself is in, or NULL
};

static bool prefix_matches(const uint8_t *ip, const uint8_t *prefix, unsigned bits)
{
    unsigned rest = bits % 8;
    if (memcmp(ip, prefix, bits / 8) != 0)
        return false;
    return rest == 0 || (ip[bits / 8] ^ prefix[bits / 8]) >> (8 - rest) == 0;
}

static const struct special_range *find_special(const struct addr *a)
{
    bool v4 = a->family == ADDR_IPV4;
    const struct special_range *table = v4 ? special_ipv4 : special_ipv6;
    size_t count = v4 ? sizeof(special_ipv4) / sizeof(special_ipv4[0])
                      : sizeof(special_ipv6) / sizeof(special_ipv6[0]);
    for (size_t i = 0; i < count; i++)
        if (prefix_matches(a->ip, table[i].ip, table[i].bits))
            return &table[i];
    return NULL;
}

static struct addr *add_ipv4(struct forms *f, uint8_t b0, uint8_t b1, uint8_t b2, uint8_t b3)
{
    struct addr *a = &f->form[f->count++];
    *a = (struct addr){.ip = {b0, b1, b2, b3}, .port = f->form[0].port, .family = ADDR_IPV4};
    return a;
}

static void collect_forms(struct forms *f, const struct addr *peer)
{
    const uint8_t *ip = peer->ip;
    f->form[0] = *peer;
    f->count = 1;
    f->special = find_special(peer);
    switch (f->special ? f->special->embedding : EMBED_NONE) {
    case EMBED_NONE:
        break;
    case EMBED_LAST:
        add_ipv4(f, ip[12], ip[13], ip[14], ip[15]);
        break;
    case EMBED_SIXTO4:
        add_ipv4(f, ip[2], ip[3], ip[4], ip[5]);
        break;
    case EMBED_NAT64:
        add_ipv4(f, ip[12], ip[13], ip[14], ip[15]);
        add_ipv4(f, ip[6], ip[7], ip[9], ip[10]);
        break;
    case EMBED_TEREDO:
        add_ipv4(f, ip[4], ip[5], ip[6], ip[7]);
        add_ipv4(f, ip[12] ^ 0xff, ip[13] ^ 0xff, ip[14] ^ 0xff, ip[15] ^ 0xff);
        // A Teredo relay sends to the mapped port of the client, not to the peer's.
        add_ipv4(f, ip[12] ^ 0xff, ip[13] ^ 0xff, ip[14] ^ 0xff, ip[15] ^ 0xff)->port =
            (uint16_t)((ip[10] << 8 | ip[11]) ^ 0xffff);
        break;
    }
}

static bool in_ranges(const struct addr_range *ranges, size_t count, const struct addr *a)
{
    for (size_t i = 0; i < count; i++)
        if (addr_range_contains(&ranges[i], a))
            return true;
    return false;
}

static bool in_list(const struct addr *list, size_t count, const struct addr *a)
{
    for (size_t i = 0; i < count; i++)
        if (addr_equal_ip(&list[i], a))
            return true;
    return false;
}

static bool is_own(const struct policy *p, const struct addr *a)
{
    return in_list(p->own, p->own_count, a) || in_list(p->relays, p->relay_count, a);
}

static bool is_relay(const struct policy *p, const struct addr *a)
{
    bool port_fits = a->port == 0 || (a->port >= p->relay_port_min && a->port <= p->relay_port_max);
    return port_fits && in_list(p->relays, p->relay_count, a);
}

static bool is_loopback(const struct addr *a)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    return a->family == ADDR_IPV4 ? a->ip[0] == 127 : memcmp(a->ip, loopback6, 16) == 0;
}

// Whether a socket bound to the wildcard address gets what is sent there. To send to the
// unspecified address is to send to oneself, on Linux at least.
static bool is_local(const struct policy *p, const struct addr *a)
{
    return is_loopback(a) || addr_is_any(a) || is_own(p, a);
}

static bool is_closed(const struct policy *p, const struct addr *a)
{
    if (a->port == 0)
        return false;
    for (size_t i = 0; i < p->closed_count; i++) {
        const struct addr *c = &p->closed[i];
        if (c->port != a->port)
            continue;
        if (addr_equal_ip(c, a))
            return true;
        if ((addr_is_any(c) || addr_is_any(a)) && is_local(p, c) && is_local(p, a))
            return true;
    }
    return false;
}

enum policy_verdict policy_check_peer(const struct policy *p, const struct addr *peer)
{
    struct forms f;

    if (peer->family != ADDR_IPV4 && peer->family != ADDR_IPV6)
        return POLICY_DENY_BUILTIN;
    collect_forms(&f, peer);
    for (size_t i = 0; i < f.count; i++)
        if (is_closed(p, &f.form[i]))
            return POLICY_DENY_OWN;
    for (size_t i = 0; i < f.count; i++)
        if (in_ranges(p->deny, p->deny_count, &f.form[i]))
            return POLICY_DENY_CONFIG;

    // Who opened the address itself by name opened what it embeds too, but for this host.
    bool opened = is_relay(p, peer) || in_ranges(p->allow, p->allow_count, peer);
    if (!opened && is_own(p, peer))
        return POLICY_DENY_OWN;
    if (!opened && f.special && f.special->refused)
        return POLICY_DENY_BUILTIN;
    for (size_t i = 1; i < f.count; i++) {
        const struct addr *a = &f.form[i];
        if (is_relay(p, a) || in_ranges(p->allow, p->allow_count, a))
            continue;
        if (is_own(p, a))
            return POLICY_DENY_OWN;
        if (!opened && find_special(a))
            return POLICY_DENY_BUILTIN;
    }
    return POLICY_ALLOW;
}

const char *policy_verdict_text(enum policy_verdict v)
{
    switch (v) {
    case POLICY_ALLOW:
        return "allowed";
    case POLICY_DENY_BUILTIN:
        return "a special-purpose address range";
    case POLICY_DENY_CONFIG:
        return "denied by the configuration";
    case POLICY_DENY_OWN:
        return "this host itself";
    }
    return "unknown";
}
