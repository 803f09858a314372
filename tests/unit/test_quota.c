// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "turn/quota.h"

static void limits(void **state)
{
    struct quota *q = quota_new();
    struct quota_user *a1, *a2, *b, *none;

    assert_non_null(q);
    assert_int_equal(quota_acquire(q, "alice", 5, 2, 3, &a1), 0);
    assert_int_equal(quota_acquire(q, "alice", 5, 2, 3, &a2), 0);
    assert_ptr_equal(a1, a2);
    assert_int_equal(a1->count, 2);
    assert_memory_equal(a1->name, "alice", 6);
    assert_int_equal(quota_acquire(q, "alice", 5, 2, 3, &none), -EDQUOT);
    assert_null(none);
    assert_int_equal(quota_acquire(q, "bob", 3, 2, 3, &b), 0);
    assert_int_equal(quota_acquire(q, "carol", 5, 2, 3, &none), -ENOSPC);
    // Both full: the user's own number is what it is told.
    assert_int_equal(quota_acquire(q, "alice", 5, 2, 3, &none), -EDQUOT);
    assert_int_equal(quota_total(q), 3);
    quota_release(q, a1);
    assert_int_equal(quota_acquire(q, "carol", 5, 2, 3, &a1), 0);
    quota_release(q, a1);
    quota_release(q, a2);
    quota_release(q, b);
    quota_release(q, NULL);
    assert_int_equal(quota_total(q), 0);
    quota_free(q);
    quota_free(NULL);
}

static void names_are_bytes(void **state)
{
    struct quota *q = quota_new();
    struct quota_user *u[4];
    static const char long_name[508] = "%s%n";

    assert_int_equal(quota_acquire(q, "a\0b", 3, 1, 0, &u[0]), 0);
    assert_int_equal(quota_acquire(q, "a\0c", 3, 1, 0, &u[1]), 0);
    assert_int_equal(quota_acquire(q, "", 0, 1, 0, &u[2]), 0);
    assert_int_equal(quota_acquire(q, long_name, sizeof(long_name), 1, 0, &u[3]), 0);
    for (int i = 0; i < 4; i++)
        quota_release(q, u[i]);
    quota_free(q);
}

static void many_users(void **state)
{
    enum { USERS = 20000 };
    static struct quota_user *u[USERS], *none;
    struct quota *q = quota_new();
    char name[16];

    for (int i = 0; i < USERS; i++) {
        int len = snprintf(name, sizeof(name), "user%d", i);
        assert_int_equal(quota_acquire(q, name, (size_t)len, 1, 0, &u[i]), 0);
    }
    assert_int_equal(quota_total(q), USERS);
    for (int i = 0; i < USERS; i++) {
        int len = snprintf(name, sizeof(name), "user%d", i);
        assert_int_equal(quota_acquire(q, name, (size_t)len, 1, 0, &none), -EDQUOT);
        quota_release(q, u[i]);
    }
    assert_int_equal(quota_total(q), 0);
    quota_free(q);
}

static void *hammer(void *arg)
{
    struct quota *q = arg;
    struct quota_user *u[8];
    for (int round = 0; round < 5000; round++) {
        size_t n = 0;
        for (int i = 0; i < 8; i++)
            n += quota_acquire(q, i & 1 ? "alice" : "bob", i & 1 ? 5 : 3, 12, 20, &u[n]) == 0;
        while (n > 0)
            quota_release(q, u[--n]);
    }
    return NULL;
}

static void threads(void **state)
{
    struct quota *q = quota_new();
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, hammer, q), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(quota_total(q), 0);
    quota_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits),
        cmocka_unit_test(names_are_bytes),
        cmocka_unit_test(many_users),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
