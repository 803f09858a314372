// SPDX-License-Identifier: BSD-2-Clause
// Threats T1-T3: every range that is refused, at both ends and just outside, in every notation.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "turn/policy.h"

#define COUNT(x) (sizeof(x) / sizeof((x)[0]))

static const char *const refused4[] = {
    "0.0.0.0-0.255.255.255",           "10.0.0.0-10.255.255.255",     "100.64.0.0-100.127.255.255",
    "127.0.0.0-127.255.255.255",       "169.254.0.0-169.254.255.255", "172.16.0.0-172.31.255.255",
    "192.0.0.0-192.0.0.255",           "192.0.2.0-192.0.2.255",       "192.88.99.0-192.88.99.255",
    "192.168.0.0-192.168.255.255",     "198.18.0.0-198.19.255.255",   "198.51.100.0-198.51.100.255",
    "203.0.113.0-203.0.113.255",       "224.0.0.0-239.255.255.255",   "240.0.0.0-255.255.255.254",
    "255.255.255.255-255.255.255.255",
};

static const char *const refused6[] = {
    "::-::ffff:ffff",
    "::ffff:0:0-::ffff:ffff:ffff",
    "::ffff:0:0:0-::ffff:0:ffff:ffff",
    "64:ff9b:1::-64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
    "100::-100::ffff:ffff:ffff:ffff",
    "100:0:0:1::-100:0:0:1:ffff:ffff:ffff:ffff",
    "2001:1::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:10::-2001:1f:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:20::-2001:2f:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff::-3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    "5f00::-5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fec0::-feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
};

static struct addr_range range(const char *text)
{
    struct addr_range r;
    const char *why;
    assert_int_equal(addr_range_parse(&r, text, &why), 0);
    return r;
}

static struct addr at(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, text), 0);
    return a;
}

static struct addr ip(const uint8_t *bytes, uint8_t family)
{
    struct addr a = {.family = family, .port = 5000};
    memcpy(a.ip, bytes, family == ADDR_IPV4 ? 4 : 16);
    return a;
}

// Adds one or takes one away; false when that wraps.
static bool step(struct addr *a, int by)
{
    for (size_t i = addr_ip_len(a); i-- > 0;) {
        a->ip[i] = (uint8_t)(a->ip[i] + by);
        if (a->ip[i] != (by > 0 ? 0 : 255))
            return true;
    }
    return false;
}

static bool in_any(const char *const *list, size_t count, const struct addr *a)
{
    for (size_t i = 0; i < count; i++) {
        struct addr_range r = range(list[i]);
        if (addr_range_contains(&r, a))
            return true;
    }
    return false;
}

static bool bad4(const struct addr *a)
{
    return in_any(refused4, COUNT(refused4), a);
}

static void expect(const struct policy *p, const struct addr *a, enum policy_verdict want)
{
    char text[ADDR_STRLEN];
    enum policy_verdict got = policy_check_peer(p, a);
    if (got != want)
        fail_msg("%s: %s, not %s", addr_format(a, text), policy_verdict_text(got),
                 policy_verdict_text(want));
}

static struct addr embed(const char *prefix, size_t at_byte, const struct addr *v4, uint8_t invert)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, prefix, 5000), 0);
    for (size_t i = 0; i < 4; i++)
        a.ip[at_byte + i] = v4->ip[i] ^ invert;
    return a;
}

// One IPv4 address in all notations.
static void check_notations(const struct policy *p, const struct addr *v4)
{
    enum policy_verdict plain = bad4(v4) ? POLICY_DENY_BUILTIN : POLICY_ALLOW;
    struct addr a;

    expect(p, v4, plain);
    a = embed("::ffff:0:0", 12, v4, 0);
    expect(p, &a, POLICY_DENY_BUILTIN);
    a = embed("::", 12, v4, 0);
    expect(p, &a, POLICY_DENY_BUILTIN);
    a = embed("::ffff:0:0:0", 12, v4, 0);
    expect(p, &a, POLICY_DENY_BUILTIN);
    a = embed("64:ff9b:1::", 12, v4, 0);
    expect(p, &a, POLICY_DENY_BUILTIN);
    a = embed("64:ff9b::", 12, v4, 0);
    expect(p, &a, plain);
    a = embed("2002::1", 2, v4, 0);
    expect(p, &a, plain);
    a = embed("2001:0:808:808:0:3fff:f7f7:f7f7", 4, v4, 0); // as Teredo server
    expect(p, &a, plain);
    a = embed("2001:0:808:808:0:3fff:f7f7:f7f7", 12, v4, 0xff); // as Teredo client
    expect(p, &a, plain);
}

static void each_edge(const char *text, uint8_t family, void (*check)(const struct addr *a))
{
    struct addr_range r = range(text);
    struct addr first = ip(r.first, family), last = ip(r.last, family);
    check(&first);
    check(&last);
    if (step(&first, -1))
        check(&first);
    if (step(&last, 1))
        check(&last);
}

static const struct policy empty;

static void check4(const struct addr *a)
{
    check_notations(&empty, a);
}

static void ipv4_ranges(void **state)
{
    struct addr metadata = at("169.254.169.254:80"), open = at("8.8.8.8:53");
    for (size_t i = 0; i < COUNT(refused4); i++)
        each_edge(refused4[i], ADDR_IPV4, check4);
    check4(&metadata);
    check4(&open);
    expect(&empty, &open, POLICY_ALLOW);
}

static void check6(const struct addr *a)
{
    bool refused = in_any(refused6, COUNT(refused6), a);
    // Just outside of a range may lie one that embeds; those have a test of their own.
    struct addr_range teredo = range("2001::/32");
    if (addr_range_contains(&teredo, a))
        refused = true; // its last address embeds 255.255.255.255 as the server
    expect(&empty, a, refused ? POLICY_DENY_BUILTIN : POLICY_ALLOW);
}

static void ipv6_ranges(void **state)
{
    struct addr open = at("[2606:4700::1111]:53"), loopback = at("[::1]:80");
    for (size_t i = 0; i < COUNT(refused6); i++)
        each_edge(refused6[i], ADDR_IPV6, check6);
    check6(&loopback);
    expect(&empty, &open, POLICY_ALLOW);
}

// The ranges that embed end where they end.
static void embedding_edges(void **state)
{
    static const struct {
        const char *peer;
        enum policy_verdict want;
    } rows[] = {
        {"[64:ff9b::a00:1]:1", POLICY_DENY_BUILTIN}, // 10.0.0.1
        {"[64:ff9b::1:a00:1]:1", POLICY_ALLOW},      // past the /96
        {"[2001:ffff:a00:1::]:1", POLICY_ALLOW},     {"[2002:a00:1::1]:1", POLICY_DENY_BUILTIN},
        {"[2003:a00:1::1]:1", POLICY_ALLOW},         {"[2002:808:808::a00:1]:1", POLICY_ALLOW},
        {"[2001:200::a00:1]:1", POLICY_ALLOW},       {"[::ffff:8.8.8.8]:1", POLICY_DENY_BUILTIN},
        {"[::8.8.8.8]:1", POLICY_DENY_BUILTIN},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addr a = at(rows[i].peer);
        expect(&empty, &a, rows[i].want);
    }
}

// T2: limits that lie off a prefix boundary are compared as whole addresses.
static void ranges_off_a_boundary(void **state)
{
    struct addr_range deny[] = {range("8.0.1.200-8.0.2.10"), range("2a00::1:fff0-2a00::2:5")};
    struct policy p = {.deny = deny, .deny_count = COUNT(deny)};
    static const char *const in[] = {"8.0.1.200:1",  "8.0.1.255:1",      "8.0.2.0:1",
                                     "8.0.2.10:1",   "[2a00::1:fff0]:1", "[2a00::2:0]:1",
                                     "[2a00::2:5]:1"};
    static const char *const out[] = {"8.0.1.199:1", "8.0.2.11:1", "8.0.0.201:1",
                                      "[2a00::1:ffef]:1", "[2a00::2:6]:1"};
    for (size_t i = 0; i < COUNT(in); i++) {
        struct addr a = at(in[i]);
        expect(&p, &a, POLICY_DENY_CONFIG);
    }
    for (size_t i = 0; i < COUNT(out); i++) {
        struct addr a = at(out[i]);
        expect(&p, &a, POLICY_ALLOW);
    }
}

static struct addr_range allow[4], deny[3];
static struct addr own[3], relays[2], closed[5];

// A host with two addresses of its own and one relay address, all opened by name.
static struct policy host(void)
{
    allow[0] = range("10.0.0.0/8");
    allow[1] = range("127.0.0.0/8");
    allow[2] = range("64:ff9b:1::/48");
    allow[3] = range("::ffff:0:0/96");
    deny[0] = range("10.9.0.0/16");
    deny[1] = range("9.9.9.9");
    deny[2] = range("2a01::/32");
    own[0] = at("10.0.0.1:0");
    own[1] = at("5.5.5.5:0");
    own[2] = at("[2a02::5]:0");
    relays[0] = at("5.5.5.5:0");
    relays[1] = at("[2a02::5]:0");
    closed[0] = at("0.0.0.0:3478");
    closed[1] = at("10.0.0.7:6379");
    closed[2] = at("127.0.0.1:9641");
    closed[3] = at("[::]:50001"); // inside the relay range
    closed[4] = at("8.8.4.4:0");  // closes nothing
    return (struct policy){.allow = allow,
                           .allow_count = COUNT(allow),
                           .deny = deny,
                           .deny_count = COUNT(deny),
                           .own = own,
                           .own_count = COUNT(own),
                           .relays = relays,
                           .relay_count = COUNT(relays),
                           .relay_port_min = 50000,
                           .relay_port_max = 50999,
                           .closed = closed,
                           .closed_count = COUNT(closed)};
}

static void order_of_the_lists(void **state)
{
    struct policy p = host();
    static const struct {
        const char *peer;
        enum policy_verdict want;
    } rows[] = {
        // closed end points, allowed or not
        {"10.0.0.1:3478", POLICY_DENY_OWN},
        {"5.5.5.5:3478", POLICY_DENY_OWN},
        {"[2a02::5]:3478", POLICY_DENY_OWN},
        {"127.0.0.1:3478", POLICY_DENY_OWN},
        {"127.1.2.3:3478", POLICY_DENY_OWN},
        {"10.0.0.7:6379", POLICY_DENY_OWN},
        {"127.0.0.1:9641", POLICY_DENY_OWN},
        {"0.0.0.0:9641", POLICY_DENY_OWN},
        {"[::ffff:10.0.0.7]:6379", POLICY_DENY_OWN},
        {"[::ffff:127.0.0.1]:3478", POLICY_DENY_OWN},
        {"[64:ff9b::a00:7]:6379", POLICY_DENY_OWN},
        {"[64:ff9b:1::a00:7]:6379", POLICY_DENY_OWN},
        {"[2002:a00:7::]:6379", POLICY_DENY_OWN},
        {"5.5.5.5:50001", POLICY_DENY_OWN},
        // ... and nothing else on those hosts
        {"10.0.0.7:0", POLICY_ALLOW},
        {"8.8.4.4:0", POLICY_ALLOW},
        {"10.0.0.7:6380", POLICY_ALLOW},
        {"10.0.0.8:6379", POLICY_ALLOW},
        {"10.0.0.8:3478", POLICY_ALLOW},
        {"127.0.0.1:8000", POLICY_ALLOW},
        // deny list over allow list, in every notation
        {"10.9.0.1:1", POLICY_DENY_CONFIG},
        {"9.9.9.9:1", POLICY_DENY_CONFIG},
        {"[2a01::1]:1", POLICY_DENY_CONFIG},
        {"[64:ff9b::909:909]:1", POLICY_DENY_CONFIG},
        {"[64:ff9b:1::909:909]:1", POLICY_DENY_CONFIG},
        {"[2002:909:909::1]:1", POLICY_DENY_CONFIG},
        {"[::ffff:9.9.9.9]:1", POLICY_DENY_CONFIG},
        {"[2001:0:909:909:0:3fff:f7f7:f7f7]:1", POLICY_DENY_CONFIG},
        {"[2001:0:808:808:0:3fff:f6f6:f6f6]:1", POLICY_DENY_CONFIG},
        // relay addresses: only their relay ports
        {"5.5.5.5:50000", POLICY_ALLOW},
        {"5.5.5.5:50999", POLICY_ALLOW},
        {"5.5.5.5:49999", POLICY_DENY_OWN},
        {"5.5.5.5:51000", POLICY_DENY_OWN},
        {"5.5.5.5:0", POLICY_ALLOW},
        {"[2a02::5]:50500", POLICY_ALLOW},
        {"[2a02::5]:22", POLICY_DENY_OWN},
        // allow over own and built-in; what is opened by its outer form must not lead back here
        {"10.0.0.1:80", POLICY_ALLOW},
        {"[64:ff9b::a00:1]:80", POLICY_ALLOW},
        {"[64:ff9b::505:505]:80", POLICY_DENY_OWN},
        {"[::ffff:5.5.5.5]:80", POLICY_DENY_OWN},
        {"[::ffff:192.168.1.1]:80", POLICY_ALLOW},
        {"[64:ff9b:1::c0a8:101]:80", POLICY_ALLOW},
        {"[64:ff9b::c0a8:101]:80", POLICY_DENY_BUILTIN},
        {"192.168.1.1:80", POLICY_DENY_BUILTIN},
        {"[::1]:80", POLICY_DENY_BUILTIN},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct addr a = at(rows[i].peer);
        expect(&p, &a, rows[i].want);
    }
}

// The mapped port of a Teredo client is where a Teredo relay would send to.
static void teredo_mapped_port(void **state)
{
    struct policy p = host();
    struct addr a = at("[2001:0:808:808:0:e714:f5ff:fff8]:1"); // 10.0.0.7, port 6379
    expect(&p, &a, POLICY_DENY_OWN);
    a.ip[11] ^= 1;
    expect(&p, &a, POLICY_ALLOW);
}

// Relays on a private or loopback address still reach each other.
static void relay_on_a_private_address(void **state)
{
    struct addr list[] = {at("127.0.0.1:0"), at("192.168.0.2:0")};
    struct policy p = {.own = list,
                       .own_count = 2,
                       .relays = list,
                       .relay_count = 2,
                       .relay_port_min = 50000,
                       .relay_port_max = 50010};
    struct addr a = at("127.0.0.1:50005");
    expect(&p, &a, POLICY_ALLOW);
    a = at("192.168.0.2:50010");
    expect(&p, &a, POLICY_ALLOW);
    a = at("192.168.0.2:50011");
    expect(&p, &a, POLICY_DENY_OWN);
    a = at("192.168.0.3:50005");
    expect(&p, &a, POLICY_DENY_BUILTIN);
    a = at("[::ffff:127.0.0.1]:50005");
    expect(&p, &a, POLICY_DENY_BUILTIN);
}

static void no_family(void **state)
{
    struct addr none = {0};
    struct addr_range everything[] = {range("0.0.0.0/0"), range("::/0")};
    struct policy p = {.allow = everything, .allow_count = 2};
    expect(&p, &none, POLICY_DENY_BUILTIN);
}

static void words_for_the_log(void **state)
{
    assert_string_equal(policy_verdict_text(POLICY_ALLOW), "allowed");
    assert_string_equal(policy_verdict_text(POLICY_DENY_BUILTIN),
                        "a special-purpose address range");
    assert_string_equal(policy_verdict_text(POLICY_DENY_CONFIG), "denied by the configuration");
    assert_string_equal(policy_verdict_text(POLICY_DENY_OWN), "this host itself");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_ranges),
        cmocka_unit_test(ipv6_ranges),
        cmocka_unit_test(embedding_edges),
        cmocka_unit_test(ranges_off_a_boundary),
        cmocka_unit_test(order_of_the_lists),
        cmocka_unit_test(teredo_mapped_port),
        cmocka_unit_test(relay_on_a_private_address),
        cmocka_unit_test(no_family),
        cmocka_unit_test(words_for_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
