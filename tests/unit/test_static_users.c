// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/static_users.h"

#define MANY 500

static bool find(struct static_users *s, const void *id, size_t len, bool userhash,
                 struct auth_record *rec)
{
    struct store_query q = {.realm = "realm", .id = id, .id_len = len, .userhash = userhash};

    return static_users_find(s, &q, rec);
}

static void passwords_and_keys(void **state)
{
    // The key is RFC 8489 9.2.2's example: user:realm:pass.
    const struct stores_user users[] = {{.name = "user", .password = "pass"},
                                        {.name = "old", .key = "8493FBC53BA582FB4c044c456bdc40eb"}};
    struct static_users *s;
    struct auth_record a, b;
    const char *why;
    uint8_t hash[STUN_USERHASH_LEN];

    assert_int_equal(static_users_new(&s, "realm", users, 2, &why), 0);
    assert_true(find(s, "user", 4, false, &a));
    assert_true(find(s, "old", 3, false, &b));
    assert_true(a.keys[0].has_md5 && a.keys[0].has_sha256);
    assert_true(b.keys[0].has_md5 && !b.keys[0].has_sha256);
    assert_memory_equal(a.keys[0].md5, b.keys[0].md5, STUN_KEY_MD5_LEN);
    stun_userhash(hash, "user", 4, "realm");
    assert_true(find(s, hash, sizeof(hash), true, &a));
    assert_string_equal((char *)a.user, "user");
    assert_false(find(s, hash, sizeof(hash), false, &a));
    assert_false(find(s, "user\0x", 6, false, &a));
    assert_false(find(s, "use", 3, false, &a));
    assert_false(find(s, "user", 4, true, &a));
    assert_false(find(s, "", 0, false, &a));
    static_users_free(s);
}

static void many_are_all_found(void **state)
{
    static char name[MANY][8];
    static struct stores_user users[MANY];
    struct static_users *s;
    struct auth_record rec;
    const char *why;

    for (size_t i = 0; i < MANY; i++) {
        snprintf(name[i], sizeof(name[i]), "u%zu", i);
        users[i] = (struct stores_user){.name = name[i], .password = "p"};
    }
    assert_int_equal(static_users_new(&s, "realm", users, MANY, &why), 0);
    for (size_t i = 0; i < MANY; i++) {
        assert_true(find(s, name[i], strlen(name[i]), false, &rec));
        assert_int_equal(rec.user_len, strlen(name[i]));
    }
    assert_false(find(s, "u500", 4, false, &rec));
    static_users_free(s);
}

static void mistakes_are_named(void **state)
{
    struct static_users *s;
    const char *why;
    char lengthy[AUTH_USER_MAX + 2];

    memset(lengthy, 'x', sizeof(lengthy));
    lengthy[AUTH_USER_MAX + 1] = 0;
    const struct stores_user twice[] = {{.name = "a", .password = "p"},
                                        {.name = "a", .password = "q"}};
    const struct stores_user bad[] = {{.name = "", .password = "p"},
                                      {.name = lengthy, .password = "p"},
                                      {.name = "a\n%s%n"},
                                      {.name = "a", .key = "12"},
                                      {.name = "a", .key = "zz93fbc53ba582fb4c044c456bdc40eb"}};

    assert_int_equal(static_users_new(&s, "realm", twice, 2, &why), -22);
    assert_non_null(strstr(why, "listed twice"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(static_users_new(&s, "realm", &bad[i], 1, &why), -22);
        assert_null(strchr(why, '\n'));
    }
    static_users_free(NULL);
}

static void none_at_all(void **state)
{
    struct static_users *s;
    struct auth_record rec;
    const char *why;

    assert_int_equal(static_users_new(&s, "realm", NULL, 0, &why), 0);
    assert_false(find(s, "user", 4, false, &rec));
    static_users_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_and_keys),
        cmocka_unit_test(many_are_all_found),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(none_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
