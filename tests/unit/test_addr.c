// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "util/addr.h"

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, text, 0), 0);
    return a;
}

static void test_parse_and_format(void **state)
{
    static const char *const same[] = {
        "192.0.2.1:3478",     "0.0.0.0:0",     "255.255.255.255:65535", "[::]:1",
        "[2001:db8::1]:3478", "[fe80::1%1]:5", "[::ffff:192.0.2.1]:80",
    };
    char buf[ADDR_STRLEN];
    struct addr a;
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        assert_int_equal(addr_parse(&a, same[i]), 0);
        assert_string_equal(addr_format(&a, buf), same[i]);
    }
    a = ip("[2001:db8::1]");
    assert_string_equal(addr_format_ip(&a, buf), "2001:db8::1");
    memset(&a, 0, sizeof(a));
    assert_string_equal(addr_format(&a, buf), "-");
    assert_string_equal(addr_format_ip(&a, buf), "-");
}

static void test_longest_text_fits(void **state)
{
    char buf[ADDR_STRLEN];
    struct addr a = {.family = ADDR_IPV6, .port = 65535, .scope = UINT32_MAX};
    memset(a.ip, 0xff, sizeof(a.ip));
    assert_string_equal(addr_format(&a, buf),
                        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}

static void test_parse_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "1.2.3:1",
        "1.2.3.4:-1",
        "1.2.3.4: 1",
        "1.2.3.4:+1",
        "1.2.3.4:0x1",
        "::1:80",
        "[::1:80",
        "[1.2.3.4]:80",
        "[::1]80",
        "[]:80",
        "host:80",
        "1.2.3.4:18446744073709551617",
        "[2001:db8::1%1]:80",
    };
    struct addr a;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(addr_parse(&a, bad[i]), -EINVAL);
    char longer[300];
    memset(longer, '1', sizeof(longer));
    memcpy(longer + 290, ":80", 4);
    assert_int_equal(addr_parse(&a, longer), -EINVAL);
    assert_int_equal(addr_parse_ip(&a, longer, 0), -EINVAL);
    assert_int_equal(addr_parse_ip(&a, "fe80::1%no-such-interface", 0), -EINVAL);
    assert_int_equal(addr_parse_ip(&a, "fe80::1%", 0), -EINVAL);
}

static void test_scope_by_name(void **state)
{
    struct addr a;
    unsigned index = if_nametoindex("lo");
    if (!index)
        skip();
    assert_int_equal(addr_parse_ip(&a, "fe80::1%lo", 0), 0);
    assert_int_equal(a.scope, index);
}

static void test_sockaddr(void **state)
{
    static const char *const texts[] = {"192.0.2.1:3478", "[2001:db8::1]:443", "[fe80::2%7]:9"};
    struct sockaddr_storage ss;
    struct addr a, b;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(addr_parse(&a, texts[i]), 0);
        socklen_t len = addr_to_sockaddr(&a, &ss);
        assert_int_equal(len, i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        memset(&b, 0xff, sizeof(b));
        assert_int_equal(addr_from_sockaddr(&b, (struct sockaddr *)&ss), 0);
        assert_true(addr_equal(&a, &b));
    }
    memset(&a, 0, sizeof(a));
    assert_int_equal(addr_to_sockaddr(&a, &ss), 0);
    ss.ss_family = AF_UNIX;
    assert_int_equal(addr_from_sockaddr(&b, (struct sockaddr *)&ss), -EAFNOSUPPORT);
    // A flow label or a scope on a global address does not make it another one.
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_scope_id = 3, .sin6_flowinfo = 9};
    in6.sin6_addr.s6_addr[0] = 0x20;
    assert_int_equal(addr_from_sockaddr(&b, (struct sockaddr *)&in6), 0);
    assert_int_equal(b.scope, 0);
}

static void test_equal(void **state)
{
    struct addr a = ip("192.0.2.1"), b = a;
    assert_true(addr_equal(&a, &b));
    b.port = 1;
    assert_false(addr_equal(&a, &b));
    assert_true(addr_equal_ip(&a, &b));
    b = ip("::ffff:192.0.2.1");
    assert_false(addr_equal_ip(&a, &b));
    assert_int_equal(b.family, ADDR_IPV6);
    // Same bytes, other family.
    b = ip("c000:201::");
    assert_memory_equal(a.ip, b.ip, 16);
    assert_false(addr_equal_ip(&a, &b));
    a = ip("0.0.0.0");
    b = ip("::");
    assert_true(addr_is_any(&a));
    assert_true(addr_is_any(&b));
    b = ip("::1");
    assert_false(addr_is_any(&b));
    memset(&a, 0, sizeof(a));
    assert_false(addr_is_any(&a));
}

static bool in(const char *range, const char *text)
{
    struct addr_range r;
    const char *why = "";
    struct addr a = ip(text);
    assert_int_equal(addr_range_parse(&r, range, &why), 0);
    return addr_range_contains(&r, &a);
}

// T2: compared byte by byte, 10.0.1.250 would be outside and 10.0.2.200 inside.
static void test_range_is_whole_numbers(void **state)
{
    assert_true(in("10.0.1.200-10.0.2.10", "10.0.1.200"));
    assert_true(in("10.0.1.200-10.0.2.10", "10.0.1.250"));
    assert_true(in("10.0.1.200-10.0.2.10", "10.0.2.5"));
    assert_true(in("10.0.1.200-10.0.2.10", "10.0.2.10"));
    assert_false(in("10.0.1.200-10.0.2.10", "10.0.2.200"));
    assert_false(in("10.0.1.200-10.0.2.10", "10.0.2.11"));
    assert_false(in("10.0.1.200-10.0.2.10", "10.0.1.199"));
    assert_true(in("2001:db8::ff00-2001:db8::1:10", "2001:db8::ffff"));
    assert_true(in("2001:db8::ff00-2001:db8::1:10", "2001:db8::1:5"));
    assert_false(in("2001:db8::ff00-2001:db8::1:10", "2001:db8::1:ff00"));
}

static void test_range_prefix(void **state)
{
    assert_true(in("0.0.0.0/0", "255.255.255.255"));
    assert_false(in("0.0.0.0/0", "::"));
    assert_false(in("::/0", "0.0.0.0"));
    assert_true(in("10.0.0.0/8", "10.255.255.255"));
    assert_false(in("10.0.0.0/8", "11.0.0.0"));
    assert_true(in("100.64.0.0/10", "100.127.255.255"));
    assert_false(in("100.64.0.0/10", "100.128.0.0"));
    assert_true(in("192.0.2.1/32", "192.0.2.1"));
    assert_false(in("192.0.2.1", "192.0.2.2"));
    assert_true(in("fc00::/7", "fdff::1"));
    assert_false(in("fc00::/7", "fe00::"));
    assert_true(in("::1/128", "::1"));
    assert_true(in("64:ff9b::/96", "64:ff9b::ffff:ffff"));
    assert_false(in("64:ff9b::/96", "64:ff9b::1:0:0"));
}

static void test_range_refuses(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "not a numeric IP address"},
        {"example.org", "not a numeric IP address"},
        {"[::1]", "not a numeric IP address"},
        {"fe80::1%1", "not a numeric IP address"},
        {"10.0.0.1/8", "bits are set beyond the prefix"},
        {"192.0.2.128/24", "bits are set beyond the prefix"},
        {"2001:db8::1/64", "bits are set beyond the prefix"},
        {"10.0.0.0/33", "the prefix length must be 0 to 32"},
        {"10.0.0.0/", "the prefix length must be 0 to 32"},
        {"10.0.0.0/ 8", "the prefix length must be 0 to 32"},
        {"::/129", "the prefix length must be 0 to 128"},
        {"10.0.0.2-10.0.0.1", "the last address comes before the first"},
        {"10.0.0.2-::1", "the two addresses are of different families"},
        {"10.0.0.2-", "the last address is not a numeric IP address"},
        {"x-10.0.0.1", "the first address is not a numeric IP address"},
        {"10.0.0.1-10.0.0.2-10.0.0.3", "the last address is not a numeric IP address"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct addr_range r;
        const char *why = NULL;
        assert_int_equal(addr_range_parse(&r, bad[i].text, &why), -EINVAL);
        assert_string_equal(why, bad[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format),
        cmocka_unit_test(test_longest_text_fits),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_scope_by_name),
        cmocka_unit_test(test_sockaddr),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_range_is_whole_numbers),
        cmocka_unit_test(test_range_prefix),
        cmocka_unit_test(test_range_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
