// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "util/codec.h"

static void test_hex(void **state)
{
    uint8_t bytes[4] = {0x00, 0x9f, 0xa5, 0xff}, back[4];
    char text[9];
    assert_string_equal(hex_encode(text, bytes, 4), "009fa5ff");
    assert_int_equal(hex_decode(back, 4, text), 0);
    assert_memory_equal(back, bytes, 4);
    assert_int_equal(hex_decode(back, 4, "009FA5Ff"), 0);
    assert_memory_equal(back, bytes, 4);
    assert_string_equal(hex_encode(text, bytes, 0), "");
    assert_int_equal(hex_decode(back, 0, ""), 0);
    assert_int_equal(hex_decode(back, 4, "009fa5f"), -EINVAL);
    assert_int_equal(hex_decode(back, 4, "009fa5ff0"), -EINVAL);
    assert_int_equal(hex_decode(back, 4, "009fa5fg"), -EINVAL);
    assert_int_equal(hex_decode(back, 4, ""), -EINVAL);
}

// RFC 4648 section 10.
static void test_base64_vectors(void **state)
{
    static const char *const encoded[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                          "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    char text[16];
    uint8_t back[16];
    for (size_t n = 0; n <= 6; n++) {
        assert_int_equal(base64_encode(text, "foobar", n), strlen(encoded[n]));
        assert_int_equal(BASE64_LEN(n), strlen(encoded[n]));
        assert_string_equal(text, encoded[n]);
        assert_int_equal(base64_decode(back, n, text, strlen(text)), n);
        assert_memory_equal(back, "foobar", n);
        if (n > 0)
            assert_int_equal(base64_decode(back, n - 1, text, strlen(text)), -EINVAL);
    }
    uint8_t all[256], again[256];
    char long_text[BASE64_LEN(256) + 1];
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    size_t len = base64_encode(long_text, all, 256);
    assert_int_equal(base64_decode(again, 256, long_text, len), 256);
    assert_memory_equal(all, again, 256);
}

static void test_base64_refuses(void **state)
{
    static const char *const bad[] = {"Zg=",
                                      "Zg",
                                      "Zh==",
                                      "Zm9=",
                                      "Z===",
                                      "====",
                                      "Zg==Zg==",
                                      "Zm 9v",
                                      "Zm9\n",
                                      "Zm-_",
                                      "=Zg=",
                                      "Zm9v=",
                                      "\xff\xff\xff\xff"};
    uint8_t out[16];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(base64_decode(out, sizeof(out), bad[i], strlen(bad[i])), -EINVAL);
}

static void test_base64url(void **state)
{
    static const char *const bad[] = {
        "Z", "Zh", "Zm9", "Zg==", "Zg=", "Zm9vY", "Zm 9", "Zm+_", "Zm9/", "\xff\xff"};
    uint8_t all[256], back[256];
    char text[BASE64_LEN(256) + 1];

    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)(i * 7);
    for (size_t n = 0; n <= 256; n++) {
        size_t len = base64_encode(text, all, n);
        while (len > 0 && text[len - 1] == '=')
            len--;
        for (size_t i = 0; i < len; i++)
            text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
        assert_int_equal(base64url_decode(back, n, text, len), n);
        assert_memory_equal(back, all, n);
        if (n > 0)
            assert_int_equal(base64url_decode(back, n - 1, text, len), -EINVAL);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(base64url_decode(back, sizeof back, bad[i], strlen(bad[i])), -EINVAL);
}

static void test_text_escape(void **state)
{
    char buf[64], small[8];
    assert_string_equal(text_escape(buf, sizeof(buf), "plain 'name'", 12), "plain 'name'");
    assert_string_equal(text_escape(buf, sizeof(buf), "a\"b\\c\r\n\0\x7f\xc3\xa9%s", 13),
                        "a\\x22b\\x5cc\\x0d\\x0a\\x00\\x7f\\xc3\\xa9%s");
    assert_string_equal(text_escape(small, sizeof(small), "", 0), "");
    assert_string_equal(text_escape(small, sizeof(small), "1234567", 7), "1234567");
    assert_string_equal(text_escape(small, sizeof(small), "12345678", 8), "1234...");
    assert_string_equal(text_escape(small, sizeof(small), "123\n", 4), "123\\x0a");
    assert_string_equal(text_escape(small, sizeof(small), "1234\n", 5), "1234...");
    assert_string_equal(text_escape(small, sizeof(small), "\n\n", 2), "\\x0a...");
    assert_string_equal(text_escape(small, sizeof(small), "ab\n\n", 4), "ab...");
}

static void test_text_escape_stays_inside(void **state)
{
    uint8_t in[40];
    char buf[64];
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = i % 3 ? 'x' : 0x80;
    for (size_t cap = 8; cap < 60; cap++) {
        for (size_t len = 0; len <= sizeof(in); len++) {
            memset(buf, 'Z', sizeof(buf));
            text_escape(buf, cap, in, len);
            assert_true(strlen(buf) < cap);
            assert_int_equal(buf[cap], 'Z');
        }
    }
}

static void test_utf8(void **state)
{
    static const char *const good[] = {"",
                                       "ascii\x01",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xe3\x83\x9e\xe3\x83\x88"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x41",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xe1\x80",
                                      "\xe1\x80\xc0",
                                      "\xf0\x80\x80\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf1\x80\x80",
                                      "\xff",
                                      "a\xfe"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
    assert_true(utf8_valid("a\0b", 3));
    // The length decides where it ends, not what follows.
    assert_false(utf8_valid("\xc3\xa9", 1));
    // Wherever it stands in a longer text.
    for (size_t i = 0; i < 30; i++) {
        char text[40];
        memset(text, 'x', sizeof text);
        memcpy(text + i, "\xc3\xa9", 2);
        assert_true(utf8_valid(text, sizeof text));
        text[i + 1] = 'x';
        assert_false(utf8_valid(text, sizeof text));
        text[i] = 'x';
        text[i + 1] = '\x80';
        assert_false(utf8_valid(text, sizeof text));
        assert_true(utf8_valid(text, i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_base64_vectors),
        cmocka_unit_test(test_base64_refuses),
        cmocka_unit_test(test_base64url),
        cmocka_unit_test(test_text_escape),
        cmocka_unit_test(test_text_escape_stays_inside),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
