// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "probe/nat_verdict.h"
#include "probe/stats.h"

static void test_mapping(void **state)
{
    assert_int_equal(nat_mapping(true, NAT_ANSWERED, true, NAT_NOT_TRIED, false), NAT_NONE);
    assert_int_equal(nat_mapping(true, NAT_NO_ANSWER, false, NAT_NOT_TRIED, false), NAT_NONE);
    assert_int_equal(nat_mapping(false, NAT_ANSWERED, true, NAT_NOT_TRIED, false),
                     NAT_ENDPOINT_INDEPENDENT);
    assert_int_equal(nat_mapping(false, NAT_ANSWERED, false, NAT_ANSWERED, true),
                     NAT_ADDRESS_DEPENDENT);
    assert_int_equal(nat_mapping(false, NAT_ANSWERED, false, NAT_ANSWERED, false),
                     NAT_ADDRESS_AND_PORT_DEPENDENT);
    assert_int_equal(nat_mapping(false, NAT_ANSWERED, false, NAT_NO_ANSWER, false), NAT_DEPENDENT);
    assert_int_equal(nat_mapping(false, NAT_NO_ANSWER, false, NAT_NOT_TRIED, false), NAT_UNKNOWN);
}

static void test_filtering(void **state)
{
    assert_int_equal(nat_filtering(NAT_ANSWERED, NAT_ANSWERED), NAT_ENDPOINT_INDEPENDENT);
    assert_int_equal(nat_filtering(NAT_ANSWERED, NAT_NO_ANSWER), NAT_ENDPOINT_INDEPENDENT);
    assert_int_equal(nat_filtering(NAT_NO_ANSWER, NAT_ANSWERED), NAT_ADDRESS_DEPENDENT);
    assert_int_equal(nat_filtering(NAT_NO_ANSWER, NAT_NO_ANSWER), NAT_ADDRESS_AND_PORT_DEPENDENT);
    assert_int_equal(nat_filtering(NAT_NOT_TRIED, NAT_ANSWERED), NAT_UNKNOWN);
    assert_int_equal(nat_filtering(NAT_NO_ANSWER, NAT_NOT_TRIED), NAT_UNKNOWN);
}

static void test_types(void **state)
{
    static const struct {
        enum nat_behaviour mapping, filtering;
        const char *type;
    } rows[] = {
        {NAT_NONE, NAT_ENDPOINT_INDEPENDENT, "open internet"},
        {NAT_NONE, NAT_ADDRESS_DEPENDENT, "symmetric firewall"},
        {NAT_NONE, NAT_ADDRESS_AND_PORT_DEPENDENT, "symmetric firewall"},
        {NAT_NONE, NAT_UNKNOWN, "no NAT"},
        {NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT, "full cone"},
        {NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_DEPENDENT, "restricted cone"},
        {NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, "port-restricted cone"},
        {NAT_ENDPOINT_INDEPENDENT, NAT_UNKNOWN, "cone of some kind"},
        {NAT_ADDRESS_DEPENDENT, NAT_ADDRESS_DEPENDENT, "symmetric"},
        {NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_ENDPOINT_INDEPENDENT, "symmetric"},
        {NAT_DEPENDENT, NAT_UNKNOWN, "symmetric"},
        {NAT_UNKNOWN, NAT_ADDRESS_DEPENDENT, "NAT of unknown kind"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(nat_type(rows[i].mapping, rows[i].filtering), rows[i].type);
    for (int m = NAT_UNKNOWN; m <= NAT_DEPENDENT; m++) {
        for (int f = NAT_UNKNOWN; f <= NAT_ADDRESS_AND_PORT_DEPENDENT; f++) {
            assert_true(nat_meaning((enum nat_behaviour)m, (enum nat_behaviour)f)[0]);
            assert_true(nat_behaviour_name((enum nat_behaviour)m)[0]);
        }
    }
}

static void test_percentiles(void **state)
{
    int64_t times[100], one[] = {7}, three[] = {30, 10, 20};

    for (int i = 0; i < 100; i++)
        times[i] = 100 - i;
    stats_sort(times, 100);
    assert_int_equal(stats_percentile(times, 100, 0), 1);
    assert_int_equal(stats_percentile(times, 100, 50), 50);
    assert_int_equal(stats_percentile(times, 100, 95), 95);
    assert_int_equal(stats_percentile(times, 100, 99), 99);
    assert_int_equal(stats_percentile(times, 100, 100), 100);
    for (unsigned p = 0; p <= 100; p++)
        assert_int_equal(stats_percentile(one, 1, p), 7);
    stats_sort(three, 3);
    assert_int_equal(stats_percentile(three, 3, 50), 20);
    assert_int_equal(stats_percentile(three, 3, 95), 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_filtering),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_percentiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
