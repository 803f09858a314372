// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/rand.h"

static void test_bytes_differ(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0}, zero[32] = {0};
    rand_bytes(a, sizeof(a));
    rand_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a, zero, sizeof(a));
    rand_bytes(a, 0);
}

static void test_every_byte_is_filled(void **state)
{
    uint8_t buf[67], seen[64] = {0};
    for (int round = 0; round < 40; round++) {
        memset(buf, 0, sizeof(buf));
        rand_bytes(buf, 64);
        for (int i = 0; i < 64; i++)
            seen[i] |= buf[i];
        assert_int_equal(buf[64] | buf[65] | buf[66], 0);
    }
    for (int i = 0; i < 64; i++)
        assert_int_not_equal(seen[i], 0);
}

static void test_uniform(void **state)
{
    unsigned count[6] = {0};
    for (int i = 0; i < 60000; i++) {
        uint32_t x = rand_uniform(6);
        assert_true(x < 6);
        count[x]++;
    }
    // 10 standard deviations of a binomial with p = 1/6 are 913.
    for (int i = 0; i < 6; i++)
        assert_in_range(count[i], 9087, 10913);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rand_uniform(1), 0);
        assert_true(rand_uniform(0x80000001u) <= 0x80000000u);
    }
}

// What OpenSSL allocates with.
static atomic_bool no_memory;

static void *hook_malloc(size_t size, const char *file, int line)
{
    return no_memory ? NULL : malloc(size);
}

static void *hook_realloc(void *p, size_t size, const char *file, int line)
{
    return no_memory ? NULL : realloc(p, size);
}

static void hook_free(void *p, const char *file, int line)
{
    free(p);
}

// OpenSSL's generator of this thread is yet to be made.
static void *ask_without_memory(void *out)
{
    no_memory = true;
    rand_bytes(out, 64);
    uint32_t n = rand_uniform(1000);
    no_memory = false;
    return n < 1000 ? out : NULL;
}

static void test_without_memory(void **state)
{
    uint8_t a[64] = {0}, b[64] = {0}, zero[64] = {0};
    pthread_t thread;
    void *done;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread, NULL, ask_without_memory, i ? b : a), 0);
        assert_int_equal(pthread_join(thread, &done), 0);
        assert_non_null(done);
    }
    assert_memory_not_equal(a, b, 64);
    assert_memory_not_equal(a, zero, 64);
    assert_memory_not_equal(b, zero, 64);
}

int main(void)
{
    // Before OpenSSL has allocated anything.
    if (CRYPTO_set_mem_functions(hook_malloc, hook_realloc, hook_free) != 1)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_differ),
        cmocka_unit_test(test_every_byte_is_filled),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
