// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "stun/integrity.h"

static const uint8_t txid[STUN_TXID_LEN] = "transactions";
static uint8_t buf[66000];

static struct stun_msg parsed(size_t len)
{
    struct stun_msg msg;
    assert_true(len > 0);
    assert_int_equal(len % 4, 0);
    assert_int_equal(stun_parse(&msg, buf, len), STUN_PARSE_OK);
    return msg;
}

static void test_every_method_and_class(void **state)
{
    struct stun_writer w;
    for (int class_ = STUN_REQUEST; class_ <= STUN_ERROR; class_++) {
        for (uint16_t method = 0; method <= 0xfff; method++) {
            stun_begin(&w, buf, sizeof(buf), (enum stun_class)class_, method, txid, NULL);
            struct stun_msg msg = parsed(stun_end(&w));
            assert_int_equal(msg.class_, class_);
            assert_int_equal(msg.method, method);
            assert_memory_equal(msg.txid, txid, sizeof(txid));
        }
    }
    stun_begin(&w, buf, sizeof(buf), STUN_ERROR, STUN_ALLOCATE, txid, NULL);
    assert_int_equal(stun_end(&w), 20);
    assert_memory_equal(buf, "\x01\x13\x00\x00\x21\x12\xa4\x42", 8);
}

static struct addr make_addr(uint8_t family)
{
    struct addr a = {.family = family, .port = 0xbeef};
    for (size_t i = 0; i < addr_ip_len(&a); i++)
        a.ip[i] = (uint8_t)(0xf0 + i);
    return a;
}

// Each row of the table, written and read by the functions of its kind.
static void test_round_trip_of_each_attribute(void **state)
{
    static const char filler[800] = "some bytes";
    for (uint32_t type = 0; type <= 0xffff; type++) {
        const struct stun_attr_info *info = stun_attr_info((uint16_t)type);
        if (!info || type == STUN_ATTR_FINGERPRINT || type == STUN_ATTR_MESSAGE_INTEGRITY ||
            type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256)
            continue;
        struct stun_writer w;
        struct addr a4 = make_addr(ADDR_IPV4), a6 = make_addr(ADDR_IPV6), a;
        size_t len = info->max_len < 700 ? info->max_len : 700;
        stun_begin(&w, buf, sizeof(buf), STUN_REQUEST, STUN_ALLOCATE, txid, NULL);
        switch (info->kind) {
        case STUN_KIND_U32:
            stun_put_u32(&w, info->type, 0x89abcdef);
            break;
        case STUN_KIND_U64:
            stun_put_u64(&w, info->type, 0x0123456789abcdef);
            break;
        case STUN_KIND_ADDR:
        case STUN_KIND_XADDR:
            stun_put_addr(&w, info->type, &a4);
            stun_put_addr(&w, info->type, &a6);
            break;
        case STUN_KIND_ERROR:
            stun_put_error(&w, 438, NULL);
            break;
        default:
            stun_put(&w, info->type, filler, len);
            break;
        }
        struct stun_msg msg = parsed(stun_end(&w));
        struct stun_attr attr;
        size_t pos = 0, reason_len;
        uint32_t v32;
        uint64_t v64;
        int code;
        const char *reason;
        assert_true(stun_next(&msg, &pos, &attr));
        assert_int_equal(attr.type, type);
        switch (info->kind) {
        case STUN_KIND_U32:
            assert_int_equal(stun_get_u32(&msg, info->type, &v32), 0);
            assert_int_equal(v32, 0x89abcdef);
            break;
        case STUN_KIND_U64:
            assert_int_equal(stun_get_u64(&msg, info->type, &v64), 0);
            assert_true(v64 == 0x0123456789abcdef);
            break;
        case STUN_KIND_ADDR:
        case STUN_KIND_XADDR:
            assert_int_equal(attr.value[4] == 0xf0, info->kind == STUN_KIND_ADDR);
            assert_int_equal(stun_get_addr(&msg, info->type, &a), 0);
            assert_true(addr_equal(&a, &a4));
            assert_true(stun_next(&msg, &pos, &attr));
            assert_int_equal(stun_attr_addr(&msg, &attr, &a), 0);
            assert_true(addr_equal(&a, &a6));
            break;
        case STUN_KIND_ERROR:
            assert_int_equal(stun_get_error(&msg, &code, &reason, &reason_len), 0);
            assert_int_equal(code, 438);
            assert_int_equal(reason_len, strlen("Stale Nonce"));
            assert_memory_equal(reason, "Stale Nonce", reason_len);
            break;
        default:
            assert_int_equal(attr.len, len);
            assert_memory_equal(attr.value, filler, len);
            break;
        }
        assert_false(stun_next(&msg, &pos, &attr));
    }
}

// CVE-2020-4067: padding must not show what was in memory before.
static void test_padding_is_zero(void **state)
{
    for (size_t len = 0; len < 9; len++) {
        struct stun_writer w;
        char text[16] = {0};
        memset(text, 'x', len);
        for (int kind = 0; kind < 3; kind++) {
            memset(buf, 0xee, 64);
            stun_begin(&w, buf, sizeof(buf), STUN_REQUEST, STUN_BINDING, txid, NULL);
            size_t value = len, fixed = 0;
            if (kind == 0) {
                stun_put(&w, STUN_ATTR_SOFTWARE, text, len);
            } else if (kind == 1) {
                stun_put_error(&w, 400, text);
                fixed = 4;
            } else {
                static const uint16_t list[8] = {1, 2, 3, 4, 5, 6, 7, 8};
                stun_put_u16_list(&w, STUN_ATTR_UNKNOWN_ATTRIBUTES, list, len % 8);
                value = len % 8 * 2;
            }
            size_t end = stun_end(&w), from = 24 + fixed + value;
            assert_int_equal(end, (from + 3) / 4 * 4);
            for (size_t i = from; i < end; i++)
                assert_int_equal(buf[i], 0);
            assert_int_equal(buf[end], 0xee);
            assert_int_equal(buf[23], fixed + value); // the length leaves the padding out
        }
    }
}

static void test_u16_list(void **state)
{
    static const uint16_t list[3] = {0x7fff, 0x0001, 0x1234};
    struct stun_writer w;
    struct stun_attr attr;
    stun_begin(&w, buf, sizeof(buf), STUN_ERROR, STUN_BINDING, txid, NULL);
    stun_put_u16_list(&w, STUN_ATTR_UNKNOWN_ATTRIBUTES, list, 3);
    struct stun_msg msg = parsed(stun_end(&w));
    assert_true(stun_find(&msg, STUN_ATTR_UNKNOWN_ATTRIBUTES, &attr));
    assert_int_equal(attr.len, 6);
    assert_memory_equal(attr.value, "\x7f\xff\0\1\x12\x34", 6);
}

static size_t write_all(size_t cap)
{
    struct stun_writer w;
    struct addr a = make_addr(ADDR_IPV6);
    stun_begin(&w, buf, cap, STUN_ERROR, STUN_ALLOCATE, txid, NULL);
    stun_put_error(&w, 401, NULL);
    stun_put_addr(&w, STUN_ATTR_XOR_MAPPED_ADDRESS, &a);
    stun_put_text(&w, STUN_ATTR_SOFTWARE, "x");
    stun_put_u64(&w, STUN_ATTR_ICE_CONTROLLED, 1);
    stun_put_integrity(&w, "key", 3);
    stun_put_integrity256(&w, "key", 3);
    stun_put_fingerprint(&w);
    return stun_end(&w);
}

static void test_what_does_not_fit_is_no_message(void **state)
{
    size_t full = write_all(sizeof(buf));
    parsed(full);
    for (size_t cap = 0; cap < full; cap++) {
        memset(buf, 0xee, full);
        assert_int_equal(write_all(cap), 0);
        for (size_t i = cap; i < full; i++)
            assert_int_equal(buf[i], 0xee);
    }
    assert_int_equal(write_all(full), full);
}

static void test_too_long_for_16_bits(void **state)
{
    static uint8_t big[70000];
    struct stun_writer w;
    static const size_t lens[] = {65535, 65536, 70000, SIZE_MAX};
    for (int i = 0; i < 4; i++) {
        stun_begin(&w, buf, sizeof(buf), STUN_INDICATION, STUN_DATA, txid, NULL);
        stun_put(&w, STUN_ATTR_DATA, big, lens[i]);
        assert_int_equal(stun_end(&w), 0);
    }
    stun_begin(&w, buf, sizeof(buf), STUN_INDICATION, STUN_DATA, txid, NULL);
    stun_put(&w, STUN_ATTR_DATA, big, 65500);
    assert_int_equal(stun_end(&w), 65524);
    parsed(65524);
    stun_put_u64(&w, STUN_ATTR_ICE_CONTROLLED, 1); // one attribute too many
    assert_int_equal(stun_end(&w), 0);
    static const uint16_t list[1] = {1};
    stun_begin(&w, buf, sizeof(buf), STUN_ERROR, STUN_BINDING, txid, NULL);
    stun_put_u16_list(&w, STUN_ATTR_UNKNOWN_ATTRIBUTES, list, 40000);
    assert_int_equal(stun_end(&w), 0);
}

static void test_no_address_is_an_error(void **state)
{
    struct stun_writer w;
    struct addr none = {0};
    stun_begin(&w, buf, sizeof(buf), STUN_SUCCESS, STUN_BINDING, txid, NULL);
    stun_put_addr(&w, STUN_ATTR_XOR_MAPPED_ADDRESS, &none);
    assert_int_equal(stun_end(&w), 0);
}

static void test_reply(void **state)
{
    struct stun_writer w;
    uint8_t out[64];
    stun_begin(&w, buf, sizeof(buf), STUN_REQUEST, STUN_REFRESH, txid, NULL);
    struct stun_msg req = parsed(stun_end(&w));
    stun_begin_reply(&w, out, sizeof(out), STUN_SUCCESS, &req);
    assert_int_equal(stun_end(&w), 20);
    assert_memory_equal(out, "\x01\x04\x00\x00\x21\x12\xa4\x42transactions", 20);
}

static void test_names(void **state)
{
    static const int codes[] = {300, 400, 401, 403, 405, 420, 437, 438, 440,
                                441, 442, 443, 446, 447, 486, 487, 500, 508};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        assert_string_not_equal(stun_reason(codes[i]), "Error");
    assert_string_equal(stun_reason(401), "Unauthorized");
    assert_string_equal(stun_reason(699), "Error");
    assert_string_equal(stun_method_name(STUN_ALLOCATE), "Allocate");
    assert_string_equal(stun_method_name(STUN_CREATE_PERMISSION), "CreatePermission");
    assert_null(stun_method_name(2));
    assert_null(stun_method_name(5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method_and_class),
        cmocka_unit_test(test_round_trip_of_each_attribute),
        cmocka_unit_test(test_padding_is_zero),
        cmocka_unit_test(test_u16_list),
        cmocka_unit_test(test_what_does_not_fit_is_no_message),
        cmocka_unit_test(test_too_long_for_16_bits),
        cmocka_unit_test(test_no_address_is_an_error),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
