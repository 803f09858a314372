// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "stun/attribute.h"

static void test_every_row_is_sound(void **state)
{
    int known = 0;
    for (uint32_t type = 0; type <= 0xffff; type++) {
        const struct stun_attr_info *info = stun_attr_info((uint16_t)type);
        if (!info)
            continue;
        known++;
        assert_int_equal(info->type, type);
        assert_true(strlen(info->name) > 0);
        assert_true(info->min_len <= info->max_len);
        switch (info->kind) {
        case STUN_KIND_U32:
            assert_int_equal(info->min_len, 4);
            assert_int_equal(info->max_len, 4);
            break;
        case STUN_KIND_U64:
            assert_int_equal(info->min_len, 8);
            assert_int_equal(info->max_len, 8);
            break;
        case STUN_KIND_ADDR:
        case STUN_KIND_XADDR:
            assert_int_equal(info->min_len, 8);
            assert_int_equal(info->max_len, 20);
            break;
        case STUN_KIND_FLAG:
            assert_int_equal(info->max_len, 0);
            break;
        default:
            break;
        }
    }
    assert_int_equal(known, 47);
}

static void test_lengths_of_the_rfc(void **state)
{
    static const struct {
        uint16_t type;
        const char *name;
        uint16_t min_len, max_len;
    } rows[] = {
        {0x0006, "USERNAME", 0, 508},
        {0x0008, "MESSAGE-INTEGRITY", 20, 20},
        {0x0009, "ERROR-CODE", 4, 767},
        {0x0014, "REALM", 0, 763},
        {0x0015, "NONCE", 0, 763},
        {0x0018, "EVEN-PORT", 1, 1},
        {0x001a, "DONT-FRAGMENT", 0, 0},
        {0x001c, "MESSAGE-INTEGRITY-SHA256", 16, 32},
        {0x001e, "USERHASH", 32, 32},
        {0x0022, "RESERVATION-TOKEN", 8, 8},
        {0x8003, "ALTERNATE-DOMAIN", 0, 255},
        {0x8022, "SOFTWARE", 0, 763},
        {0x8028, "FINGERPRINT", 4, 4},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct stun_attr_info *info = stun_attr_info(rows[i].type);
        assert_non_null(info);
        assert_string_equal(info->name, rows[i].name);
        assert_int_equal(info->min_len, rows[i].min_len);
        assert_int_equal(info->max_len, rows[i].max_len);
    }
}

static void test_unknown(void **state)
{
    static const uint16_t types[] = {0x0000, 0x0007, 0x000b, 0x002b,
                                     0x7fff, 0x8005, 0x8031, 0xffff};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        assert_null(stun_attr_info(types[i]));
    assert_true(stun_attr_required(0x7fff));
    assert_false(stun_attr_required(0x8000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_sound),
        cmocka_unit_test(test_lengths_of_the_rfc),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
