// SPDX-License-Identifier: BSD-2-Clause
// RFC 5928 with a set of answers instead of the DNS.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "probe/resolve.h"

struct zone_record {
    enum dns_type type;
    const char *name;
    const char
        *data; // "IP", "priority weight port target", "order preference flags services target"
};

struct zone {
    const struct zone_record *records; // to one without a name
    int fails;                         // every question gives this, if set
    enum dns_type fails_type;          // questions of this type
    bool fails_one_type;
    uint32_t random;
};

static uint32_t next_random;

static uint32_t fixed_random(uint32_t bound)
{
    return next_random < bound ? next_random : bound - 1;
}

static struct dns_record record_of(const struct zone_record *z)
{
    struct dns_record r = {0};
    unsigned a, b, c;
    if (z->type == DNS_SRV) {
        assert_int_equal(sscanf(z->data, "%u %u %u %255s", &a, &b, &c, r.name), 4);
        r.priority = (uint16_t)a;
        r.weight = (uint16_t)b;
        r.port = (uint16_t)c;
    } else if (z->type == DNS_NAPTR) {
        assert_int_equal(
            sscanf(z->data, "%u %u %7s %63s %255s", &a, &b, r.flags, r.services, r.name), 5);
        r.order = (uint16_t)a;
        r.preference = (uint16_t)b;
        if (strcmp(r.flags, "-") == 0)
            r.flags[0] = '\0';
    } else {
        assert_int_equal(addr_parse_ip(&r.addr, z->data, 0), 0);
    }
    if (strcmp(r.name, ".") == 0)
        r.name[0] = '\0';
    return r;
}

static int lookup(void *arg, enum dns_type type, const char *name, struct dns_record *out, int cap)
{
    const struct zone *zone = arg;
    int n = 0;
    if (zone->fails && (!zone->fails_one_type || zone->fails_type == type))
        return zone->fails;
    for (const struct zone_record *z = zone->records; z->name && n < cap; z++) {
        if (z->type == type && strcmp(z->name, name) == 0)
            out[n++] = record_of(z);
    }
    return n ? n : -ENOENT;
}

// Resolves, and gives the targets as "UDP 192.0.2.1:3478, ...", or "error N".
static const char *resolve_with(const struct zone *zone, const char *text, uint8_t family,
                                struct resolution *res)
{
    static char out[2048];
    struct dns_ops ops = {.lookup = lookup, .random = fixed_random, .arg = (void *)(uintptr_t)zone};
    struct probe_uri uri;
    const char *why;
    char addr[ADDR_STRLEN];
    int rc;

    next_random = zone->random;
    assert_int_equal(uri_parse(&uri, text, &why), 0);
    rc = resolve_uri(res, &uri, family, &ops);
    out[0] = '\0';
    if (rc < 0) {
        snprintf(out, sizeof(out), "error %d", -rc);
        assert_int_equal(res->count, 0);
    }
    for (unsigned i = 0; i < res->count; i++)
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s %s", i ? ", " : "",
                 transport_name(res->targets[i].transport),
                 addr_format(&res->targets[i].addr, addr));
    return out;
}

static const char *resolve(const struct zone_record *records, const char *text)
{
    struct zone zone = {.records = records};
    struct resolution res;
    return resolve_with(&zone, text, ADDR_NONE, &res);
}

static const struct zone_record plain[] = {
    {DNS_A, "example.org", "192.0.2.1"},
    {DNS_AAAA, "example.org", "2001:db8::1"},
    {0},
};

static void test_addresses(void **state)
{
    struct zone zone = {.records = plain};
    struct resolution res;

    assert_string_equal(resolve_with(&zone, "turn:192.0.2.9", 0, &res), "UDP 192.0.2.9:3478");
    assert_int_equal(res.question_count, 0);
    assert_string_equal(resolve_with(&zone, "turns:[2001:db8::9]", 0, &res),
                        "TLS [2001:db8::9]:5349");
    assert_string_equal(resolve_with(&zone, "turn:192.0.2.9", ADDR_IPV6, &res), "error 2");
    // With a port neither NAPTR nor SRV are asked for (RFC 5928 3).
    assert_string_equal(resolve_with(&zone, "turn:example.org:99", 0, &res),
                        "UDP [2001:db8::1]:99, UDP 192.0.2.1:99");
    assert_int_equal(res.question_count, 2);
    assert_string_equal(resolve_with(&zone, "turn:example.org:99?transport=tcp", ADDR_IPV4, &res),
                        "TCP 192.0.2.1:99");
    assert_int_equal(res.question_count, 1);
}

static void test_no_service_records(void **state)
{
    struct zone zone = {.records = plain};
    struct resolution res;

    assert_string_equal(resolve_with(&zone, "turn:example.org", ADDR_IPV4, &res),
                        "UDP 192.0.2.1:3478");
    assert_int_equal(res.question_count, 4);
    assert_int_equal(res.questions[0].type, DNS_NAPTR);
    assert_string_equal(res.questions[0].name, "example.org");
    assert_int_equal(res.questions[0].result, -ENOENT);
    assert_string_equal(res.questions[1].name, "_turn._udp.example.org");
    assert_string_equal(res.questions[2].name, "_turn._tcp.example.org");
    assert_int_equal(res.questions[3].result, 1);
    assert_string_equal(resolve_with(&zone, "turns:example.org?transport=udp", ADDR_IPV4, &res),
                        "DTLS 192.0.2.1:5349");
    assert_string_equal(res.questions[0].name, "_turns._udp.example.org");
    assert_string_equal(resolve_with(&zone, "stuns:example.org", ADDR_IPV4, &res),
                        "TLS 192.0.2.1:5349");
    assert_string_equal(res.questions[0].name, "_stuns._tcp.example.org");
    assert_string_equal(resolve(plain, "turn:example.net"), "error 2");
}

static void test_srv(void **state)
{
    static const struct zone_record records[] = {
        {DNS_SRV, "_turn._udp.example.org", "20 0 5001 b.example.org"},
        {DNS_SRV, "_turn._udp.example.org", "10 0 5000 a.example.org"},
        {DNS_SRV, "_turn._tcp.example.org", "0 0 5002 a.example.org"},
        {DNS_SRV, "_stun._udp.example.org", "0 0 0 ."}, // says: there is none
        {DNS_A, "a.example.org", "192.0.2.10"},
        {DNS_A, "b.example.org", "192.0.2.11"},
        {DNS_A, "example.org", "192.0.2.1"},
        {0},
    };
    assert_string_equal(resolve(records, "turn:example.org?transport=udp"),
                        "UDP 192.0.2.10:5000, UDP 192.0.2.11:5001");
    assert_string_equal(resolve(records, "turn:example.org"),
                        "UDP 192.0.2.10:5000, UDP 192.0.2.11:5001, TCP 192.0.2.10:5002");
    assert_string_equal(resolve(records, "turn:example.org?transport=tcp"), "TCP 192.0.2.10:5002");
    assert_string_equal(resolve(records, "stun:example.org"), "UDP 192.0.2.1:3478");
}

static void test_srv_weights(void **state)
{
    static const struct zone_record records[] = {
        {DNS_SRV, "_turn._udp.example.org", "1 10 1 a.example.org"},
        {DNS_SRV, "_turn._udp.example.org", "1 0 2 a.example.org"},
        {DNS_SRV, "_turn._udp.example.org", "1 30 3 a.example.org"},
        {DNS_A, "a.example.org", "192.0.2.1"},
        {0},
    };
    struct zone zone = {.records = records};
    struct resolution res;
    const char *uri = "turn:example.org?transport=udp";

    // RFC 2782: those of weight 0 first, then the first whose running sum reaches the number.
    zone.random = 0;
    assert_string_equal(resolve_with(&zone, uri, 0, &res),
                        "UDP 192.0.2.1:2, UDP 192.0.2.1:1, UDP 192.0.2.1:3");
    zone.random = 11;
    assert_string_equal(resolve_with(&zone, uri, 0, &res),
                        "UDP 192.0.2.1:3, UDP 192.0.2.1:1, UDP 192.0.2.1:2");
    zone.random = 5;
    assert_string_equal(resolve_with(&zone, uri, 0, &res),
                        "UDP 192.0.2.1:1, UDP 192.0.2.1:3, UDP 192.0.2.1:2");
}

static void test_naptr(void **state)
{
    static const struct zone_record records[] = {
        {DNS_NAPTR, "example.org", "200 10 s RELAY:turn.tcp _turn._tcp.example.org"},
        {DNS_NAPTR, "example.org", "100 20 a RELAY:turn.udp a.example.org"},
        {DNS_NAPTR, "example.org", "100 10 - RELAY:turn.tls:turn.udp next.example.org"},
        {DNS_NAPTR, "example.org", "1 1 s SIP+D2U _sip._udp.example.org"},
        {DNS_NAPTR, "next.example.org", "1 1 s RELAY:turn.tls _turns._tcp.example.org"},
        {DNS_NAPTR, "next.example.org", "1 2 a RELAY:turn.udp b.example.org"},
        {DNS_SRV, "_turn._tcp.example.org", "0 0 80 a.example.org"},
        {DNS_SRV, "_turns._tcp.example.org", "0 0 443 b.example.org"},
        {DNS_A, "a.example.org", "192.0.2.10"},
        {DNS_A, "b.example.org", "192.0.2.11"},
        {0},
    };
    assert_string_equal(resolve(records, "turn:example.org"),
                        "UDP 192.0.2.11:3478, UDP 192.0.2.10:3478, TCP 192.0.2.10:80");
    assert_string_equal(resolve(records, "turns:example.org"), "TLS 192.0.2.11:443");
    // Only with neither port nor transport (RFC 5928 3).
    assert_string_equal(resolve(records, "turn:example.org?transport=tcp"), "TCP 192.0.2.10:80");
}

static void test_naptr_loop(void **state)
{
    static const struct zone_record records[] = {
        {DNS_NAPTR, "example.org", "1 1 - RELAY:turn.udp:turn.tcp example.org"},
        {DNS_NAPTR, "example.org", "1 2 - RELAY:turn.udp:turn.tcp example.org"},
        {0},
    };
    struct zone zone = {.records = records};
    struct resolution res;
    const char *text = resolve_with(&zone, "turn:example.org", 0, &res);
    assert_string_equal(text, "error 2");
    assert_true(res.question_count <= RESOLVE_QUESTIONS);
}

static void test_failures(void **state)
{
    struct zone zone = {.records = plain, .fails = -ETIMEDOUT};
    struct resolution res;

    assert_string_equal(resolve_with(&zone, "turn:example.org", 0, &res), "error 110");
    // A server that chokes on NAPTR does not keep anyone from the addresses.
    zone.fails_one_type = true;
    zone.fails_type = DNS_NAPTR;
    zone.fails = -EAGAIN;
    assert_string_equal(resolve_with(&zone, "turn:example.org", ADDR_IPV4, &res),
                        "UDP 192.0.2.1:3478");
    assert_int_equal(res.questions[0].result, -EAGAIN);
}

static void test_many(void **state)
{
    static struct zone_record records[DNS_RECORDS * 2 + 2];
    static char ips[DNS_RECORDS * 2][20];
    for (int i = 0; i < DNS_RECORDS * 2; i++) {
        snprintf(ips[i], sizeof(ips[i]), "192.0.2.%d", i % DNS_RECORDS + 1);
        records[i] = (struct zone_record){
            DNS_A, i < DNS_RECORDS ? "a.example.org" : "b.example.org", ips[i]};
    }
    records[DNS_RECORDS * 2] =
        (struct zone_record){DNS_SRV, "_turn._udp.example.org", "1 1 1 a.example.org"};
    struct zone zone = {.records = records};
    struct resolution res;
    resolve_with(&zone, "turn:a.example.org:1", ADDR_IPV4, &res);
    assert_int_equal(res.count, RESOLVE_TARGETS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_no_service_records),
        cmocka_unit_test(test_srv),       cmocka_unit_test(test_srv_weights),
        cmocka_unit_test(test_naptr),     cmocka_unit_test(test_naptr_loop),
        cmocka_unit_test(test_failures),  cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
