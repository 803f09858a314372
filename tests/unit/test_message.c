// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stun/integrity.h"

// Every parse goes through here: from an odd address (CVE-2026-40613) in a block that ends where
// the message does, so that AddressSanitizer sees a read past it. The copy stays until the next
// call.
static uint8_t *block;

static enum stun_parse parse(struct stun_msg *msg, const void *data, size_t len)
{
    free(block);
    block = malloc(len + 1);
    assert_non_null(block);
    memcpy(block + 1, data, len);
    return stun_parse(msg, block + 1, len);
}

static int teardown(void **state)
{
    free(block);
    block = NULL;
    return 0;
}

struct packet {
    uint8_t data[66000];
    size_t len;
};
static struct packet pkt;

static void begin(uint16_t type)
{
    memset(&pkt, 0, sizeof(pkt));
    pkt.data[0] = (uint8_t)(type >> 8);
    pkt.data[1] = (uint8_t)type;
    memcpy(pkt.data + 4, "\x21\x12\xa4\x42transactions", 16);
    pkt.len = 20;
}

// Appends an attribute, header as told and stored bytes as told, and sets the message length.
static void raw_attr(uint16_t type, uint16_t said, const void *value, size_t stored)
{
    uint8_t *p = pkt.data + pkt.len;
    p[0] = (uint8_t)(type >> 8);
    p[1] = (uint8_t)type;
    p[2] = (uint8_t)(said >> 8);
    p[3] = (uint8_t)said;
    if (value)
        memcpy(p + 4, value, stored);
    pkt.len += 4 + stored;
    pkt.data[2] = (uint8_t)((pkt.len - 20) >> 8);
    pkt.data[3] = (uint8_t)(pkt.len - 20);
}

static void attr(uint16_t type, const void *value, size_t len)
{
    uint8_t padded[70000] = {0};
    if (value)
        memcpy(padded, value, len);
    raw_attr(type, (uint16_t)len, padded, (len + 3) / 4 * 4);
}

static enum stun_parse parse_pkt(struct stun_msg *msg)
{
    return parse(msg, pkt.data, pkt.len);
}

static void test_header(void **state)
{
    struct stun_msg msg;
    begin(0x0113); // ConnectionBind would be 0x000b; this is Allocate error
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    assert_int_equal(msg.class_, STUN_ERROR);
    assert_int_equal(msg.method, STUN_ALLOCATE);
    assert_int_equal(msg.len, 20);
    assert_memory_equal(msg.txid, "transactions", 12);
    assert_false(msg.classic);
    begin(0x0016);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    assert_int_equal(msg.class_, STUN_INDICATION);
    assert_int_equal(msg.method, STUN_SEND);
    begin(0x3eef);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    assert_int_equal(msg.class_, STUN_REQUEST);
    assert_int_equal(msg.method, 0xfff);
}

static void test_too_short(void **state)
{
    struct stun_msg msg;
    begin(0x0001);
    for (size_t len = 0; len < 20; len++)
        assert_int_equal(parse(&msg, pkt.data, len), STUN_PARSE_NOT_STUN);
    assert_int_equal(parse(&msg, pkt.data, 20), STUN_PARSE_OK);
}

static void test_top_bits(void **state)
{
    struct stun_msg msg;
    for (int bits = 1; bits < 4; bits++) {
        begin((uint16_t)(bits << 14 | 1));
        assert_int_equal(parse_pkt(&msg), STUN_PARSE_NOT_STUN);
    }
}

static void test_every_wrong_length(void **state)
{
    struct stun_msg msg;
    begin(0x0001);
    attr(STUN_ATTR_USERNAME, "user", 4);
    for (uint32_t said = 0; said <= 0xffff; said++) {
        pkt.data[2] = (uint8_t)(said >> 8);
        pkt.data[3] = (uint8_t)said;
        assert_int_equal(parse_pkt(&msg), said == 8 ? STUN_PARSE_OK : STUN_PARSE_NOT_STUN);
    }
    pkt.data[2] = 0;
    pkt.data[3] = 8;
    pkt.len++; // a byte more in the datagram than in the message
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_NOT_STUN);
    begin(0x0001);
    pkt.data[3] = 2;
    pkt.len = 22;
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_NOT_STUN);
}

// CVE-2026-68552: sizes whose sum with the header passes 65535.
static void test_longest(void **state)
{
    struct stun_msg msg;
    for (size_t len = 65480; len <= 65528; len += 4) {
        begin(0x0016);
        attr(STUN_ATTR_DATA, NULL, len);
        assert_int_equal(pkt.len, 24 + len);
        assert_int_equal(parse_pkt(&msg), pkt.len <= 65535 ? STUN_PARSE_OK : STUN_PARSE_MALFORMED);
        assert_int_equal(msg.class_, STUN_INDICATION);
    }
    // An integrity attribute whose offset needs 17 bits.
    begin(0x0001);
    attr(STUN_ATTR_DATA, NULL, 65516 - 4);
    attr(STUN_ATTR_MESSAGE_INTEGRITY_SHA256, NULL, 12);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_MALFORMED);
    assert_int_equal(msg.integrity256, 0);
    assert_false(stun_check_integrity256(&msg, "k", 1));
}

static void test_truncated_attributes(void **state)
{
    struct stun_msg msg;
    static const uint16_t said[] = {5, 8, 9, 100, 0x7fff, 0xfffc, 0xfffd, 0xffff};
    struct stun_attr a;
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        begin(0x0001);
        attr(STUN_ATTR_SOFTWARE, "abcd", 4);
        raw_attr(0x7ffe, said[i], "wxyz", 4);
        assert_int_equal(parse_pkt(&msg), STUN_PARSE_MALFORMED);
        // What an answer with 400 needs, and nothing to walk.
        assert_int_equal(msg.method, STUN_BINDING);
        assert_memory_equal(msg.txid, "transactions", 12);
        assert_false(stun_find(&msg, STUN_ATTR_SOFTWARE, &a));
        size_t pos = 0;
        assert_false(stun_next(&msg, &pos, &a));
    }
    begin(0x0001);
    raw_attr(0x7ffe, 1, "wxyz", 4);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    // Padding that is missing at the end.
    begin(0x0001);
    raw_attr(0x7ffe, 0, NULL, 0);
    raw_attr(0x7ffe, 5, "vwxyz", 4);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_MALFORMED);
}

static void test_known_lengths(void **state)
{
    struct stun_msg msg;
    for (uint32_t type = 0; type <= 0xffff; type++) {
        const struct stun_attr_info *info = stun_attr_info((uint16_t)type);
        if (!info || type == STUN_ATTR_FINGERPRINT)
            continue;
        const size_t lens[] = {info->min_len, info->max_len, info->min_len - 1u,
                               info->max_len + 1u};
        for (int i = 0; i < 4; i++) {
            if (lens[i] > 2000)
                continue;
            begin(0x0001);
            attr((uint16_t)type, NULL, lens[i]);
            assert_int_equal(parse_pkt(&msg), i < 2 ? STUN_PARSE_OK : STUN_PARSE_MALFORMED);
        }
    }
}

static void test_fingerprint(void **state)
{
    struct stun_msg msg;
    uint8_t buf[64];
    static const uint8_t txid[12] = {4};
    struct stun_writer w;
    stun_begin(&w, buf, sizeof(buf), STUN_REQUEST, STUN_BINDING, txid, NULL);
    stun_put_text(&w, STUN_ATTR_SOFTWARE, "x");
    stun_put_fingerprint(&w);
    size_t len = stun_end(&w);
    struct stun_attr a;
    assert_int_equal(parse(&msg, buf, len), STUN_PARSE_OK);
    assert_int_equal(msg.fingerprint, 28);
    assert_int_equal(msg.attrs_end, 28);
    assert_false(stun_find(&msg, STUN_ATTR_FINGERPRINT, &a));
    for (size_t i = 4; i < len; i++) {
        if (i >= 20 && i < 24)
            continue; // breaks the layout rather than the sum
        if (i >= 28 && i < 32)
            continue;
        buf[i] ^= 0x10;
        assert_int_equal(parse(&msg, buf, len), STUN_PARSE_NOT_STUN);
        buf[i] ^= 0x10;
    }
    // Not the last one, or there twice.
    memcpy(buf + len, "\x80\x22\x00\x00", 4);
    buf[3] = (uint8_t)(len - 20 + 4);
    assert_int_equal(parse(&msg, buf, len + 4), STUN_PARSE_MALFORMED);
    memcpy(buf + len, buf + 28, 8);
    buf[3] = (uint8_t)(len - 20 + 8);
    assert_int_equal(parse(&msg, buf, len + 8), STUN_PARSE_MALFORMED);
    begin(0x0001);
    attr(STUN_ATTR_FINGERPRINT, NULL, 8);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_MALFORMED);
}

// CVE-2026-68554: whatever stands behind an integrity attribute was not signed.
static void test_nothing_counts_after_integrity(void **state)
{
    static const uint16_t types[] = {STUN_ATTR_MESSAGE_INTEGRITY,
                                     STUN_ATTR_MESSAGE_INTEGRITY_SHA256};
    struct stun_msg msg;
    struct stun_attr a;
    struct addr peer;
    uint32_t value;
    uint16_t unknown[4];
    for (int i = 0; i < 2; i++) {
        begin(0x0008);
        attr(STUN_ATTR_USERNAME, "alice", 5);
        attr(types[i], NULL, 20);
        attr(STUN_ATTR_USERNAME, "mallory", 7);
        attr(STUN_ATTR_XOR_PEER_ADDRESS, "\0\1\0\0\0\0\0\0", 8);
        attr(STUN_ATTR_LIFETIME, "\0\0\0", 3); // a wrong length there is nobody's business
        attr(0x7abc, NULL, 4);
        attr(STUN_ATTR_LIFETIME, "\0\0\0\1", 4);
        assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
        assert_int_equal(msg.attrs_end, 32);
        assert_true(stun_find(&msg, STUN_ATTR_USERNAME, &a));
        assert_memory_equal(a.value, "alice", 5);
        assert_int_equal(stun_get_addr(&msg, STUN_ATTR_XOR_PEER_ADDRESS, &peer), -ENOENT);
        assert_int_equal(stun_get_u32(&msg, STUN_ATTR_LIFETIME, &value), -ENOENT);
        assert_int_equal(stun_unknown_required(&msg, NULL, unknown, 4), 0);
        size_t pos = 0;
        assert_true(stun_next(&msg, &pos, &a));
        assert_false(stun_next(&msg, &pos, &a));
        // Cut attributes are malformed wherever they stand.
        raw_attr(0x7abc, 50, NULL, 4);
        assert_int_equal(parse_pkt(&msg), STUN_PARSE_MALFORMED);
    }
}

static void test_integrity_order(void **state)
{
    struct stun_msg msg;
    begin(0x0001);
    attr(STUN_ATTR_MESSAGE_INTEGRITY, NULL, 20);
    attr(STUN_ATTR_SOFTWARE, "ignored", 7);
    attr(STUN_ATTR_MESSAGE_INTEGRITY_SHA256, NULL, 32);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    assert_int_equal(msg.integrity, 20);
    assert_int_equal(msg.integrity256, 56);
    assert_int_equal(msg.attrs_end, 20);
    // RFC 8489 14.6: behind the SHA-256 one only FINGERPRINT counts.
    begin(0x0001);
    attr(STUN_ATTR_MESSAGE_INTEGRITY_SHA256, NULL, 32);
    attr(STUN_ATTR_MESSAGE_INTEGRITY, NULL, 20);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    assert_int_equal(msg.integrity256, 20);
    assert_int_equal(msg.integrity, 0);
    // Of two of a kind the first.
    begin(0x0001);
    attr(STUN_ATTR_MESSAGE_INTEGRITY, NULL, 20);
    attr(STUN_ATTR_MESSAGE_INTEGRITY, NULL, 20);
    attr(STUN_ATTR_MESSAGE_INTEGRITY_SHA256, NULL, 16);
    attr(STUN_ATTR_MESSAGE_INTEGRITY_SHA256, NULL, 16);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    assert_int_equal(msg.integrity, 20);
    assert_int_equal(msg.integrity256, 68);
    begin(0x0001);
    attr(STUN_ATTR_MESSAGE_INTEGRITY, NULL, 20);
    attr(STUN_ATTR_MESSAGE_INTEGRITY_SHA256, NULL, 18);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_MALFORMED);
}

static void test_duplicates(void **state)
{
    struct stun_msg msg;
    struct stun_attr a;
    struct addr peer;
    char text[ADDR_STRLEN];
    size_t pos = 0;
    int peers = 0;
    begin(0x0008);
    attr(STUN_ATTR_REALM, "first", 5);
    attr(STUN_ATTR_REALM, "second", 6);
    // 192.0.2.1 and 192.0.2.2, port 0, XORed with the cookie.
    attr(STUN_ATTR_XOR_PEER_ADDRESS, "\0\1\x21\x12\xe1\x12\xa6\x43", 8);
    attr(STUN_ATTR_XOR_PEER_ADDRESS, "\0\1\x21\x12\xe1\x12\xa6\x40", 8);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    assert_true(stun_find(&msg, STUN_ATTR_REALM, &a));
    assert_int_equal(a.len, 5);
    while (stun_next(&msg, &pos, &a)) {
        if (a.type != STUN_ATTR_XOR_PEER_ADDRESS)
            continue;
        assert_int_equal(stun_attr_addr(&msg, &a, &peer), 0);
        assert_string_equal(addr_format(&peer, text), ++peers == 1 ? "192.0.2.1:0" : "192.0.2.2:0");
    }
    assert_int_equal(peers, 2);
}

static bool accept_for_binding(uint16_t method, uint16_t type)
{
    return method == STUN_BINDING && type != STUN_ATTR_LIFETIME;
}

static void test_unknown(void **state)
{
    struct stun_msg msg;
    uint16_t out[200];
    begin(0x0001);
    for (uint16_t i = 0; i < 128; i++)
        attr(0x7000 + i, &i, 2);
    for (uint16_t i = 0; i < 128; i++)
        attr(0x7000 + i, NULL, 0);
    attr(0xf000, NULL, 0);
    attr(STUN_ATTR_LIFETIME, NULL, 4);
    attr(STUN_ATTR_CHANNEL_NUMBER, NULL, 4);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    assert_int_equal(stun_unknown_required(&msg, NULL, out, 200), 128);
    for (uint16_t i = 0; i < 128; i++)
        assert_int_equal(out[i], 0x7000 + i);
    assert_int_equal(stun_unknown_required(&msg, accept_for_binding, out, 200), 129);
    assert_int_equal(out[128], STUN_ATTR_LIFETIME);
    assert_int_equal(stun_unknown_required(&msg, NULL, out, 16), 16);
    assert_int_equal(stun_unknown_required(&msg, NULL, out, 0), 0);
}

static void test_getters_refuse(void **state)
{
    static const struct {
        const char *value;
        size_t len;
    } bad[] = {
        {"\0\1\0\0\0\0\0\0\0\0\0\0", 12}, // IPv4 too long
        {"\0\2\0\0\0\0\0\0", 8},          // IPv6 too short
        {"\0\0\0\0\0\0\0\0", 8},          // no family
        {"\0\3\0\0\0\0\0\0", 8},
    };
    struct stun_msg msg;
    struct addr a;
    for (size_t i = 0; i < 4; i++) {
        begin(0x0001);
        attr(STUN_ATTR_XOR_PEER_ADDRESS, bad[i].value, bad[i].len);
        assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
        assert_int_equal(stun_get_addr(&msg, STUN_ATTR_XOR_PEER_ADDRESS, &a), -EBADMSG);
        assert_int_equal(a.family, ADDR_NONE);
    }
    static const char *const errors[] = {"\0\0\2\0", "\0\0\7\0", "\0\0\4\x64", "\0\0\0\0"};
    int code;
    const char *reason;
    size_t reason_len;
    for (size_t i = 0; i < 4; i++) {
        begin(0x0111);
        attr(STUN_ATTR_ERROR_CODE, errors[i], 4);
        assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
        assert_int_equal(stun_get_error(&msg, &code, &reason, &reason_len), -EBADMSG);
    }
    uint64_t v64;
    uint32_t v32;
    begin(0x0001);
    attr(0xf001, NULL, 5);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    assert_int_equal(stun_get_u32(&msg, 0xf001, &v32), -EBADMSG);
    assert_int_equal(stun_get_u64(&msg, 0xf001, &v64), -EBADMSG);
    assert_int_equal(stun_get_u64(&msg, 0xf002, &v64), -ENOENT);
    assert_int_equal(stun_get_error(&msg, &code, &reason, &reason_len), -ENOENT);
}

static void test_classic(void **state)
{
    struct stun_msg msg;
    uint8_t out[64];
    struct stun_writer w;
    struct addr a = {.family = ADDR_IPV4, .port = 80, .ip = {192, 0, 2, 1}};
    begin(0x0001);
    memcpy(pkt.data + 4, "OLD!", 4);
    assert_int_equal(parse_pkt(&msg), STUN_PARSE_OK);
    assert_true(msg.classic);
    stun_begin_reply(&w, out, sizeof(out), STUN_SUCCESS, &msg);
    stun_put_addr(&w, STUN_ATTR_MAPPED_ADDRESS, &a);
    assert_int_equal(stun_end(&w), 32);
    assert_memory_equal(out, "\x01\x01\x00\x0cOLD!transactions\0\1\0\x08\0\1\0\x50\xc0\0\2\1", 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_too_short),
        cmocka_unit_test(test_top_bits),
        cmocka_unit_test(test_every_wrong_length),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_truncated_attributes),
        cmocka_unit_test(test_known_lengths),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_nothing_counts_after_integrity),
        cmocka_unit_test(test_integrity_order),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_getters_refuse),
        cmocka_unit_test(test_classic),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
