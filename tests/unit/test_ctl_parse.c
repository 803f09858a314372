// SPDX-License-Identifier: BSD-2-Clause
// Times, durations and numbers on turnpikectl's command line.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/ctl.h"

#define NOW 1700000000 // 2023-11-14T22:13:20Z

static void durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } good[] = {{"0", 0},       {"90", 90},       {"90s", 90},    {"15m", 900},
                {"12h", 43200}, {"30d", 2592000}, {"2w", 1209600}};
    static const char *const bad[] = {"",
                                      "d",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "1dd",
                                      "1.5h",
                                      "99999999999999999999",
                                      "99999999999999w"};
    uint64_t n;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(ctl_parse_duration(&n, good[i].text), 0);
        assert_int_equal(n, good[i].seconds);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(ctl_parse_duration(&n, bad[i]), -EINVAL);
}

static void expiry(void **state)
{
    static const struct {
        const char *text;
        int64_t at;
    } good[] = {
        {"never", 0},
        {"1h", NOW + 3600},
        {"2024-02-29", 1709164800},
        {"2024-02-29T12:30", 1709209800},
        {"2024-02-29T12:30Z", 1709209800},
        {"2024-02-29T12:30:05Z", 1709209805},
    };
    static const char *const bad[] = {"",
                                      "0",
                                      "0d",
                                      "2023-02-29",
                                      "2020-01-01", // past
                                      "2024-13-01",
                                      "2024-01-32",
                                      "2024-01-01x",
                                      "2024-01-01T25:00",
                                      "2024-01-01T12:00:61",
                                      "2024-01",
                                      "tomorrow",
                                      "NEVER",
                                      "2024-01-01T12:00ZZ",
                                      "2024- 1-01",
                                      "2024-01-+1",
                                      "2024-01-01T 1:00"};
    int64_t t;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(ctl_parse_expires(&t, good[i].text, NOW), 0);
        assert_int_equal(t, good[i].at);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(ctl_parse_expires(&t, bad[i], NOW), -EINVAL);
}

static void numbers(void **state)
{
    uint64_t n;
    assert_int_equal(ctl_parse_number(&n, "2M", INT64_MAX), 0);
    assert_int_equal(n, 2000000);
    assert_int_equal(ctl_parse_number(&n, "2147483647", INT32_MAX), 0);
    assert_int_equal(ctl_parse_number(&n, "2147483648", INT32_MAX), -EINVAL);
    assert_int_equal(ctl_parse_number(&n, "3G", INT32_MAX), -EINVAL);
    assert_int_equal(ctl_parse_number(&n, "9223372036854775808", INT64_MAX), -EINVAL);
    assert_int_equal(ctl_parse_number(&n, "18446744073709551616", UINT64_MAX), -EINVAL);
}

static void times(void **state)
{
    char buf[32];
    assert_string_equal(ctl_format_time(0, buf), "never");
    assert_string_equal(ctl_format_time(NOW, buf), "2023-11-14T22:13:20Z");
    assert_string_equal(ctl_format_time(INT64_MAX, buf), "9223372036854775807");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(expiry),
        cmocka_unit_test(numbers),
        cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
