// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/shared_secret.h"

static int64_t expiry(const char *name)
{
    return shared_secret_expiry(name, strlen(name));
}

// T6: times that are no times.
static void only_plain_digits_are_a_time(void **state)
{
    assert_int_equal(expiry("1700000000:alice"), 1700000000);
    assert_int_equal(expiry("1700000000"), 1700000000);
    assert_int_equal(expiry("1700000000:"), 1700000000);
    assert_int_equal(expiry("0:x"), 0);
    assert_int_equal(expiry("999999999999:x"), 999999999999);
    assert_int_equal(expiry("1000000000000:x"), -1);
    assert_int_equal(expiry("18446744073709551616:x"), -1);
    assert_int_equal(expiry("99999999999999999999999999999999:x"), -1);
    static const char *const bad[] = {"",     ":",     ":alice",   "-1:a",  "+1:a",  " 1:a",
                                      "1 :a", "1.5:a", "1e9:a",    "0x1:a", "alice", "alice:1",
                                      "1a:b", "\t1:a", "\xd9\xa1", "1\n:a", "%d:a",  "--1:a"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(expiry(bad[i]), -1);
    assert_int_equal(shared_secret_expiry("17\0:a", 5), -1);
    assert_int_equal(shared_secret_expiry("1700000000:alice", 4), 1700);
}

// What openssl prints: echo -n 1700000000:alice | openssl dgst -sha1 -hmac secret -binary | base64
static void password_is_the_mac_of_the_whole_name(void **state)
{
    static const char name[] = "1700000000:alice";
    static const char password[] = "d8soP47RbdIKLDUOpnJPVQyq5Ts=";
    struct auth_record rec;
    uint8_t md5[STUN_KEY_MD5_LEN], sha256[STUN_KEY_SHA256_LEN];

    shared_secret_begin(&rec, name, strlen(name), 1700000000);
    shared_secret_add_key(&rec, "example.org", "secret", 6);
    assert_int_equal(rec.key_count, 1);
    assert_int_equal(rec.expires, 1700000000);
    stun_key_md5(md5, name, strlen(name), "example.org", password, strlen(password));
    stun_key_sha256(sha256, name, strlen(name), "example.org", password, strlen(password));
    assert_memory_equal(rec.keys[0].md5, md5, sizeof(md5));
    assert_memory_equal(rec.keys[0].sha256, sha256, sizeof(sha256));
    assert_true(rec.keys[0].has_md5 && rec.keys[0].has_sha256);
}

static void a_full_record_stays_as_it_is(void **state)
{
    struct auth_record rec;

    shared_secret_begin(&rec, "1:a", 3, 1);
    for (unsigned i = 0; i < AUTH_KEYS_MAX + 3; i++)
        shared_secret_add_key(&rec, "r", "secret", 6);
    assert_int_equal(rec.key_count, AUTH_KEYS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_plain_digits_are_a_time),
        cmocka_unit_test(password_is_the_mac_of_the_whole_name),
        cmocka_unit_test(a_full_record_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
