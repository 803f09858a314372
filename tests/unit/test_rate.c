// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/rate.h"

static void test_starts_full_and_empties(void **state)
{
    struct rate r = {0};
    for (int i = 0; i < 5; i++)
        assert_true(rate_take(&r, 10, 5, 1, 1000));
    assert_false(rate_take(&r, 10, 5, 1, 1000));
    assert_false(rate_take(&r, 10, 5, 1, 1099));
    assert_true(rate_take(&r, 10, 5, 1, 1100));
    assert_false(rate_take(&r, 10, 5, 1, 1100));
}

static void test_refusal_takes_nothing(void **state)
{
    struct rate r = {0};
    assert_false(rate_take(&r, 1, 5, 6, 1));
    assert_true(rate_take(&r, 1, 5, 5, 1));
    assert_true(rate_take(&r, 1, 5, 0, 1));
}

static void test_never_over_burst(void **state)
{
    struct rate r = {0};
    assert_true(rate_take(&r, UINT32_MAX, 5, 5, 1));
    assert_false(rate_take(&r, 1, 5, 6, INT64_MAX));
    assert_true(rate_take(&r, 1, 5, 5, INT64_MAX));
    // Idle for so long that time times rate is 2^64.
    struct rate t = {0};
    assert_true(rate_take(&t, 1u << 31, 5, 5, 1));
    assert_true(rate_take(&t, 1u << 31, 5, 5, 1 + ((int64_t)1 << 33)));
    // A smaller burst holds at once.
    struct rate s = {0};
    assert_true(rate_take(&s, 1, 100, 1, 1));
    assert_false(rate_take(&s, 1, 10, 11, 1));
}

static void test_slow_fill_adds_up(void **state)
{
    struct rate r = {0};
    int taken = 0;
    assert_true(rate_take(&r, 3, 1, 1, 1));
    for (int64_t now = 2; now <= 10001; now++)
        taken += rate_take(&r, 3, 1, 1, now);
    // A take every 334 ms, since the bucket holds one token only.
    assert_in_range(taken, 29, 30);
}

static void test_clock_at_zero_and_backwards(void **state)
{
    struct rate r = {0};
    assert_true(rate_take(&r, 1, 1, 1, 0));
    assert_false(rate_take(&r, 1, 1, 1, 0));
    assert_false(rate_take(&r, 1, 1, 1, 0));
    struct rate s = {0};
    assert_true(rate_take(&s, 1000, 1, 1, 5000));
    assert_false(rate_take(&s, 1000, 1, 1, 10));
    assert_true(rate_take(&s, 1000, 1, 1, 5001));
}

static void test_zero_rate(void **state)
{
    struct rate r = {0};
    assert_true(rate_take(&r, 0, 1, 1, 1));
    assert_false(rate_take(&r, 0, 1, 1, INT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_full_and_empties),
        cmocka_unit_test(test_refusal_takes_nothing),
        cmocka_unit_test(test_never_over_burst),
        cmocka_unit_test(test_slow_fill_adds_up),
        cmocka_unit_test(test_clock_at_zero_and_backwards),
        cmocka_unit_test(test_zero_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
