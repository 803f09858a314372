// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "probe/punch_message.h"

static const uint8_t key[PUNCH_KEY_LEN] = "0123456789abcde";

static void test_code(void **state)
{
    static const char *const addrs[] = {"192.0.2.1:49152", "[2001:db8::1]:65535", "0.0.0.0:0"};
    for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
        struct punch_code code, back;
        char text[PUNCH_CODE_LEN];
        memset(&code, 0, sizeof(code));
        assert_int_equal(addr_parse(&code.relayed, addrs[i]), 0);
        memcpy(code.key, key, sizeof(key));
        punch_code_encode(text, &code);
        assert_true(strlen(text) < PUNCH_CODE_LEN);
        assert_int_equal(punch_code_decode(&back, text), 0);
        assert_true(addr_equal(&back.relayed, &code.relayed));
        assert_memory_equal(back.key, key, sizeof(key));
    }
}

static void test_code_as_typed(void **state)
{
    struct punch_code code = {.relayed = {.family = ADDR_IPV4, .ip = {1, 2, 3, 4}, .port = 5}},
                      back;
    char text[PUNCH_CODE_LEN], typed[2 * PUNCH_CODE_LEN];
    size_t n = 0;

    punch_code_encode(text, &code);
    assert_int_equal(strlen(text), 47);
    for (const char *p = text; *p; p++) { // small letters, blanks
        typed[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        typed[n++] = ' ';
    }
    typed[n] = '\0';
    assert_int_equal(punch_code_decode(&back, typed), 0);
    assert_int_equal(back.relayed.port, 5);
}

static void test_code_mistakes(void **state)
{
    struct punch_code code = {
        .relayed = {.family = ADDR_IPV4, .ip = {203, 0, 113, 7}, .port = 50000}};
    struct punch_code back;
    char text[PUNCH_CODE_LEN + 8];

    memcpy(code.key, key, sizeof(key));
    punch_code_encode(text, &code);
    for (size_t i = 0; text[i]; i++) { // one letter wrong
        char was = text[i];
        if (was == '-')
            continue;
        text[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(punch_code_decode(&back, text), -EINVAL);
        text[i] = was;
    }
    strcat(text, "A");
    assert_int_equal(punch_code_decode(&back, text), -EINVAL);
    for (size_t len = strlen(text) - 2; len > 0; len--) { // cut
        text[len] = '\0';
        assert_int_equal(punch_code_decode(&back, text), -EINVAL);
    }
    assert_int_equal(punch_code_decode(&back, ""), -EINVAL);
    assert_int_equal(punch_code_decode(&back, "10890"), -EINVAL);
    memset(text, 'A', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(punch_code_decode(&back, text), -EINVAL);
}

static struct punch_message sample(void)
{
    struct punch_message m = {
        .type = PUNCH_HELLO, .sender = 2, .flags = PUNCH_MAPPING_KNOWN, .number = 0xdeadbeef};
    memcpy(m.nonce, "firstnonsecondno", sizeof(m.nonce));
    m.candidate_count = PUNCH_CANDIDATES;
    for (unsigned i = 0; i < PUNCH_CANDIDATES; i++) {
        m.candidates[i].family = i % 2 ? ADDR_IPV6 : ADDR_IPV4;
        m.candidates[i].port = (uint16_t)(1000 + i);
        memset(m.candidates[i].ip, (int)i + 1, addr_ip_len(&m.candidates[i]));
    }
    return m;
}

static void test_message(void **state)
{
    struct punch_message m = sample(), back;
    uint8_t buf[PUNCH_MESSAGE_LEN], other[PUNCH_KEY_LEN] = {0};
    size_t len = punch_message_encode(buf, sizeof(buf), &m, key);

    assert_true(len > 0);
    assert_int_equal(punch_message_decode(&back, buf, len, key), 0);
    assert_int_equal(back.type, m.type);
    assert_int_equal(back.sender, m.sender);
    assert_int_equal(back.flags, m.flags);
    assert_int_equal(back.number, m.number);
    assert_memory_equal(back.nonce, m.nonce, sizeof(m.nonce));
    assert_int_equal(back.candidate_count, m.candidate_count);
    assert_memory_equal(back.candidates, m.candidates, sizeof(m.candidates));
    assert_int_equal(punch_message_decode(&back, buf, len, other), -EBADMSG);
    assert_int_equal(punch_message_encode(buf, len - 1, &m, key), 0);

    for (unsigned i = 0; i < PUNCH_CANDIDATES; i++) // the longest one
        m.candidates[i].family = ADDR_IPV6;
    assert_int_equal(punch_message_encode(buf, sizeof(buf), &m, key), PUNCH_MESSAGE_LEN);
}

static void test_message_changed(void **state)
{
    struct punch_message m = sample(), back;
    uint8_t buf[PUNCH_MESSAGE_LEN + 1];
    size_t len = punch_message_encode(buf, PUNCH_MESSAGE_LEN, &m, key);

    for (size_t i = 0; i < len; i++) {
        buf[i] ^= 1;
        assert_int_equal(punch_message_decode(&back, buf, len, key), -EBADMSG);
        buf[i] ^= 1;
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(punch_message_decode(&back, buf, cut, key), -EBADMSG);
    buf[len] = 0;
    assert_int_equal(punch_message_decode(&back, buf, len + 1, key), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code),
        cmocka_unit_test(test_code_as_typed),
        cmocka_unit_test(test_code_mistakes),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_message_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
