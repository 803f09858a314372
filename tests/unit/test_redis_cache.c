// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/redis_cache.h"

static void put(struct redis_cache *c, const char *key, const char *value)
{
    redis_cache_put(c, CACHE_USER, key, strlen(key), value ? strdup(value) : NULL, 5,
                    redis_cache_age_now(c));
}

static bool has(struct redis_cache *c, const char *key)
{
    struct cache_view v;

    return redis_cache_get(c, CACHE_USER, key, strlen(key), &v);
}

static void keeps_and_replaces(void **state)
{
    struct redis_cache *c = redis_cache_new(10);
    struct cache_view v;

    put(c, "a", "one");
    put(c, "a", "two");
    assert_true(redis_cache_get(c, CACHE_USER, "a", 1, &v));
    assert_string_equal(v.value, "two");
    assert_int_equal(v.asked_ms, 5);
    assert_false(v.negative || v.aged);
    assert_false(redis_cache_get(c, CACHE_USERHASH, "a", 1, &v));
    put(c, "a", NULL);
    assert_true(redis_cache_get(c, CACHE_USER, "a", 1, &v));
    assert_true(v.negative);
    redis_cache_drop(c, CACHE_USERHASH, "a", 1);
    assert_true(has(c, "a"));
    redis_cache_drop(c, CACHE_USER, "a", 1);
    assert_false(has(c, "a"));
    redis_cache_drop(c, CACHE_USER, "a", 1);
    redis_cache_free(c);
    redis_cache_free(NULL);
}

static void drops_what_was_not_used(void **state)
{
    struct redis_cache *c = redis_cache_new(3);

    put(c, "a", "v");
    put(c, "b", "v");
    put(c, "c", "v");
    assert_true(has(c, "a"));
    put(c, "d", "v");
    assert_true(has(c, "a"));
    assert_false(has(c, "b"));
    assert_true(has(c, "c") && has(c, "d"));
    redis_cache_free(c);
}

static void unknown_names_push_nobody_out(void **state)
{
    struct redis_cache *c = redis_cache_new(100);
    char name[16];
    size_t kept = 0;

    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        put(c, name, "v");
    }
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "x%d", i);
        put(c, name, NULL);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        assert_true(has(c, name));
    }
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "x%d", i);
        kept += has(c, name);
    }
    assert_int_equal(kept, 64);
    redis_cache_free(c);
}

static void ages(void **state)
{
    struct redis_cache *c = redis_cache_new(10);
    struct cache_view v;
    unsigned before = redis_cache_age_now(c);

    put(c, "a", "v");
    redis_cache_age(c);
    assert_true(redis_cache_get(c, CACHE_USER, "a", 1, &v));
    assert_true(v.aged);
    // Asked before, answered after.
    redis_cache_put(c, CACHE_USER, "b", 1, strdup("v"), 5, before);
    assert_true(redis_cache_get(c, CACHE_USER, "b", 1, &v));
    assert_true(v.aged);
    put(c, "c", "v");
    assert_true(redis_cache_get(c, CACHE_USER, "c", 1, &v));
    assert_false(v.aged);
    redis_cache_free(c);
}

static void keys_are_bytes(void **state)
{
    struct redis_cache *c = redis_cache_new(10);
    struct cache_view v;

    redis_cache_put(c, CACHE_USER, "a\0b", 3, strdup("v"), 1, 0);
    assert_true(redis_cache_get(c, CACHE_USER, "a\0b", 3, &v));
    assert_false(redis_cache_get(c, CACHE_USER, "a", 1, &v));
    assert_false(redis_cache_get(c, CACHE_USER, "a\0c", 3, &v));
    redis_cache_put(c, CACHE_SECRETS, "", 0, strdup("s"), 1, 0);
    assert_true(redis_cache_get(c, CACHE_SECRETS, "", 0, &v));
    redis_cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_and_replaces),
        cmocka_unit_test(drops_what_was_not_used),
        cmocka_unit_test(unknown_names_push_nobody_out),
        cmocka_unit_test(ages),
        cmocka_unit_test(keys_are_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
