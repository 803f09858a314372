// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "probe/uri.h"

static struct probe_uri parse(const char *text)
{
    struct probe_uri uri;
    const char *why = NULL;
    if (uri_parse(&uri, text, &why) < 0)
        fail_msg("%s: %s", text, why);
    return uri;
}

static void assert_refused(const char *text, const char *part)
{
    struct probe_uri uri;
    const char *why = NULL;
    if (uri_parse(&uri, text, &why) == 0)
        fail_msg("%s was taken", text);
    if (!why || !strstr(why, part))
        fail_msg("%s: \"%s\" does not say \"%s\"", text, why ? why : "", part);
}

static void test_schemes(void **state)
{
    static const struct {
        const char *text;
        bool turn, secure;
        enum transport transport;
    } rows[] = {
        {"stun:example.org", false, false, TRANSPORT_NONE},
        {"STUNS:example.org", false, true, TRANSPORT_NONE},
        {"turn:example.org", true, false, TRANSPORT_NONE},
        {"Turns:example.org", true, true, TRANSPORT_NONE},
        {"turn:example.org?transport=udp", true, false, TRANSPORT_UDP},
        {"turn:example.org?transport=TCP", true, false, TRANSPORT_TCP},
        {"turns:example.org?transport=tcp", true, true, TRANSPORT_TLS},
        {"turns:example.org?transport=udp", true, true, TRANSPORT_DTLS},
        {"stun:example.org?transport=tcp", false, false, TRANSPORT_TCP},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct probe_uri uri = parse(rows[i].text);
        assert_int_equal(uri.turn, rows[i].turn);
        assert_int_equal(uri.secure, rows[i].secure);
        assert_int_equal(uri.transport, rows[i].transport);
        assert_string_equal(uri.host, "example.org");
        assert_false(uri.literal);
        assert_int_equal(uri.port, 0);
    }
}

static void test_hosts(void **state)
{
    struct probe_uri uri = parse("turn:192.0.2.1:3479");
    struct addr a;

    assert_true(uri.literal);
    addr_parse_ip(&a, "192.0.2.1", 0);
    assert_true(addr_equal(&uri.address, &a));
    assert_int_equal(uri.port, 3479);

    uri = parse("turns:[2001:db8::1]:443?transport=tcp");
    addr_parse_ip(&a, "2001:db8::1", 0);
    assert_true(uri.literal && addr_equal(&uri.address, &a));
    assert_string_equal(uri.host, "2001:db8::1");
    assert_int_equal(uri.port, 443);
    assert_int_equal(uri.transport, TRANSPORT_TLS);

    assert_true(parse("stun:[::1]").literal);
    assert_int_equal(parse("stun:[fe80::1%25lo]").address.scope, 1);
    assert_int_equal(parse("stun:example.org:").port, 0); // RFC 3986: the port may be empty
    assert_string_equal(parse("stun:example.org.").host, "example.org");
    assert_string_equal(parse("stun:a_b.xn--bcher-kva.example:1").host,
                        "a_b.xn--bcher-kva.example");
    assert_int_equal(parse("stun:example.org:65535").port, 65535);
}

static void test_mistakes(void **state)
{
    assert_refused("", "begin with");
    assert_refused("example.org", "begin with");
    assert_refused("http:example.org", "begin with");
    assert_refused("turn://example.org", "no //");
    assert_refused("turn:", "host is missing");
    assert_refused("turn::3478", "host is missing");
    assert_refused("turn:?transport=udp", "host is missing");
    assert_refused("turn:alice@example.org", "--user");
    assert_refused("turn:2001:db8::1", "brackets");
    assert_refused("turn:[2001:db8::1", "closing bracket");
    assert_refused("turn:[192.0.2.1]", "no IPv6");
    assert_refused("turn:[]", "no IPv6");
    assert_refused("turn:[::1]x", "only :port");
    assert_refused("turn:256.1.1.1", "neither");
    assert_refused("turn:1.2.3", "neither");
    assert_refused("turn:a..b", "no name");
    assert_refused("turn:.a", "no name");
    assert_refused("turn:a b", "no name");
    assert_refused("turn:a%20b", "no name");
    assert_refused("turn:a:0", "1 to 65535");
    assert_refused("turn:a:65536", "1 to 65535");
    assert_refused("turn:a:99999999999999999999", "1 to 65535");
    assert_refused("turn:a:12x", "only :port");
    assert_refused("turn:a:-1", "only :port");
    assert_refused("turn:a?transport=", "neither udp nor tcp");
    assert_refused("turn:a?transport=sctp", "neither udp nor tcp");
    assert_refused("turn:a?transport=tls", "turns:");
    assert_refused("turn:a?foo=1", "only :port");
    assert_refused("turn:a/b", "no name");
}

static void test_long_names(void **state)
{
    char text[400] = "turn:";
    struct probe_uri uri;
    const char *why;

    for (int i = 0; i < 63; i++)
        strcat(text, "abc.");
    strcat(text, "a"); // 253 bytes
    assert_int_equal(uri_parse(&uri, text, &why), 0);
    strcat(text, "a");
    assert_int_not_equal(uri_parse(&uri, text, &why), 0);
    for (int i = 0; i < 20; i++)
        strcat(text, "a");
    assert_int_not_equal(uri_parse(&uri, text, &why), 0);
    memset(text + 5, 'a', 64);
    text[5 + 64] = '\0';
    assert_int_not_equal(uri_parse(&uri, text, &why), 0);
    text[5 + 63] = '\0';
    assert_int_equal(uri_parse(&uri, text, &why), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schemes),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
