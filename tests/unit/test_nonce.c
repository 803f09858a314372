// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/nonce.h"

static const uint8_t key[32] = {1, 2, 3};
static const int64_t now = 1700000000;

static struct addr client_at(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse(&a, text), 0);
    return a;
}

static enum nonce_verdict check(const char nonce[NONCE_LEN], const char *realm, const char *client,
                                int64_t at)
{
    struct addr a = client_at(client);

    return nonce_check(nonce, NONCE_LEN, key, realm, &a, at, 600);
}

static void make(char nonce[NONCE_LEN], const char *client)
{
    struct addr a = client_at(client);

    nonce_make(nonce, key, "example.org", NONCE_FEATURE_PASSWORD_ALGORITHMS, &a, now);
}

static void binds_ip_realm_and_time(void **state)
{
    char n[NONCE_LEN];

    make(n, "192.0.2.1:1000");
    assert_int_equal(check(n, "example.org", "192.0.2.1:1000", now), NONCE_VALID);
    assert_int_equal(check(n, "example.org", "192.0.2.1:9", now + 600), NONCE_VALID);
    assert_int_equal(check(n, "example.org", "192.0.2.1:1000", now + 601), NONCE_STALE);
    assert_int_equal(check(n, "example.org", "192.0.2.1:1000", now - 60), NONCE_VALID);
    assert_int_equal(check(n, "example.org", "192.0.2.1:1000", now - 61), NONCE_STALE);
    assert_int_equal(check(n, "example.org", "192.0.2.2:1000", now), NONCE_STALE);
    assert_int_equal(check(n, "example.org", "[c000:201::]:1000", now), NONCE_STALE);
    assert_int_equal(check(n, "example.com", "192.0.2.1:1000", now), NONCE_STALE);
}

static void another_key_is_stale(void **state)
{
    char n[NONCE_LEN];
    uint8_t other[32] = {1, 2, 4};
    struct addr a = client_at("192.0.2.1:1");

    make(n, "192.0.2.1:1");
    assert_int_equal(nonce_check(n, sizeof(n), other, "example.org", &a, now, 600), NONCE_STALE);
}

static void every_altered_character_is_stale(void **state)
{
    char n[NONCE_LEN];

    make(n, "192.0.2.1:1000");
    for (size_t i = 0; i < NONCE_LEN; i++) {
        char kept = n[i];
        n[i] = kept == 'A' ? 'B' : 'A';
        assert_int_equal(check(n, "example.org", "192.0.2.1:1000", now), NONCE_STALE);
        n[i] = kept;
    }
    assert_int_equal(check(n, "example.org", "192.0.2.1:1000", now), NONCE_VALID);
}

static void other_lengths_and_bytes_are_stale(void **state)
{
    char n[NONCE_LEN + 1] = {0};
    char zeros[NONCE_LEN] = {0};
    struct addr a = client_at("192.0.2.1:1000");

    make(n, "192.0.2.1:1000");
    for (size_t len = 0; len <= NONCE_LEN + 1; len++)
        if (len != NONCE_LEN)
            assert_int_equal(nonce_check(n, len, key, "example.org", &a, now, 600), NONCE_STALE);
    assert_int_equal(check(zeros, "example.org", "192.0.2.1:1000", now), NONCE_STALE);
}

static void features_can_be_read(void **state)
{
    char n[NONCE_LEN];
    struct addr a = client_at("[2001:db8::1]:1");
    uint32_t both = NONCE_FEATURE_PASSWORD_ALGORITHMS | NONCE_FEATURE_USERNAME_ANONYMITY;

    nonce_make(n, key, "r", both, &a, now);
    assert_int_equal(nonce_features(n, sizeof(n)), both);
    // The cookie of RFC 8489 appendix B.1: "obMatJos2" and "AAAC".
    assert_int_equal(nonce_features("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA", 41), 2);
    assert_int_equal(nonce_features(n, 12), 0);
    assert_int_equal(nonce_features("xbMatJos2////", 13), 0);
    nonce_make(n, key, "r", 0, &a, now);
    assert_memory_equal(n, "obMatJos2AAAA", 13); // RFC 8489 9.2: all bits zero
}

// RFC 8489 9.2.4: not the same nonce for two source ports; printable, and no quotes (14.10).
static void differs_by_port_and_is_printable(void **state)
{
    char a[NONCE_LEN], b[NONCE_LEN];

    make(a, "192.0.2.1:1000");
    make(b, "192.0.2.1:1001");
    assert_memory_not_equal(a, b, NONCE_LEN);
    for (size_t i = 0; i < NONCE_LEN; i++)
        assert_true(a[i] > ' ' && a[i] < 127 && a[i] != '"' && a[i] != '\\');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binds_ip_realm_and_time),
        cmocka_unit_test(another_key_is_stale),
        cmocka_unit_test(every_altered_character_is_stale),
        cmocka_unit_test(other_lengths_and_bytes_are_stale),
        cmocka_unit_test(features_can_be_read),
        cmocka_unit_test(differs_by_port_and_is_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
