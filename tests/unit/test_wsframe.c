// SPDX-License-Identifier: BSD-2-Clause
// WebSocket frames: what comes out does not depend on how the bytes were cut, and every rule of RFC
// 6455 section 5 that a client can break is told.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "http/wsframe.h"

#define FIN 0x80

static const struct wsframe_limits limits = {.text = 70000, .binary = 100000};

struct bytes {
    uint8_t data[400000];
    size_t len;
};
static struct bytes in, out;

static void put(struct bytes *b, const void *data, size_t len)
{
    assert_true(len <= sizeof b->data - b->len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void put_number(struct bytes *b, uint64_t n, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        put(b, &(uint8_t){(uint8_t)(n >> (8 * i))}, 1);
}

// A frame as a client writes it.
static void add(uint8_t first, const void *payload, size_t len)
{
    static uint8_t key[4] = {0x12, 0xf4, 0x80, 0x01};
    put_number(&in, first, 1);
    put_number(&in, 0x80 | (len < 126 ? len : len <= 0xffff ? 126 : 127), 1);
    put_number(&in, len, len < 126 ? 0 : len <= 0xffff ? 2 : 8);
    key[3]++;
    put(&in, key, 4);
    for (size_t i = 0; i < len; i++)
        put_number(&in, ((const uint8_t *)payload)[i] ^ key[i & 3], 1);
}

static void add_text(uint8_t first, const char *text)
{
    add(first, text, strlen(text));
}

// Reads `in` in pieces of so many bytes, and writes what was found into `out`: kind, code, length,
// data of each. The last kind.
static enum wsframe_kind read_in_pieces(size_t piece)
{
    struct wsframe_reader r = {0};
    struct wsframe_found found;
    enum wsframe_kind kind = WSFRAME_MORE;

    out.len = 0;
    for (size_t from = 0; from < in.len && kind != WSFRAME_FAILED && kind != WSFRAME_CLOSE;) {
        size_t n = in.len - from < piece ? in.len - from : piece;
        uint8_t *copy = malloc(n), *at = copy; // so that a sanitizer sees what reads beyond
        memcpy(copy, in.data + from, n);
        do {
            kind = wsframe_read(&r, &limits, &at, copy + n, &found);
            if (kind == WSFRAME_MORE)
                break;
            put_number(&out, kind, 1);
            put_number(&out, found.code, 2);
            put_number(&out, found.len, 4);
            if (found.len)
                put(&out, found.data, found.len);
        } while (kind != WSFRAME_FAILED && kind != WSFRAME_CLOSE);
        assert_true(at <= copy + n);
        free(copy);
        from += n;
    }
    wsframe_reader_free(&r);
    return kind;
}

// Expects this of `in`, however it is cut.
static void expect(const struct bytes *want)
{
    static const size_t pieces[] = {400000, 1, 2, 3, 5, 7, 8, 13, 100, 4096};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        read_in_pieces(pieces[i]);
        assert_int_equal(out.len, want->len);
        assert_memory_equal(out.data, want->data, want->len);
    }
}

static struct bytes want;

static void found(enum wsframe_kind kind, unsigned code, const void *data, size_t len)
{
    put_number(&want, kind, 1);
    put_number(&want, code, 2);
    put_number(&want, len, 4);
    put(&want, data, len);
}

static int begin(void **state)
{
    (void)state;
    in.len = want.len = 0;
    return 0;
}

static void lengths(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536, 70000};
    static char text[70000];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        begin(NULL);
        add(FIN | WS_TEXT, text, sizes[i]);
        add(FIN | WS_BINARY, text, sizes[i]);
        found(WSFRAME_TEXT, 0, text, sizes[i]);
        found(WSFRAME_BINARY, 0, text, sizes[i]);
        expect(&want);
    }
}

static void fragments(void **state)
{
    static const char text[] = "f\xc3\xbc\xe4\xb8\x96\xf0\x9f\x8c\x8d and some ASCII behind it";
    (void)state;
    for (size_t cut = 0; cut <= sizeof text - 1; cut++) {
        begin(NULL);
        add(WS_TEXT, text, cut);
        add_text(FIN | WS_PING, "between");
        add(WS_CONTINUATION, "", 0);
        add_text(FIN | WS_PONG, "");
        add(FIN | WS_CONTINUATION, text + cut, sizeof text - 1 - cut);
        add_text(FIN | WS_TEXT, "next");
        found(WSFRAME_PING, 0, "between", 7);
        found(WSFRAME_PONG, 0, "", 0);
        found(WSFRAME_TEXT, 0, text, sizeof text - 1);
        found(WSFRAME_TEXT, 0, "next", 4);
        expect(&want);
    }
}

static void expect_failure(unsigned code)
{
    add_text(FIN | WS_TEXT, "behind");
    want.len = 0;
    found(WSFRAME_FAILED, code, "", 0);
    expect(&want);
    begin(NULL);
}

static void broken_frames(void **state)
{
    uint8_t long_ping[126] = {0};
    (void)state;
    for (unsigned rsv = 0x10; rsv <= 0x40; rsv <<= 1) {
        add_text((uint8_t)(FIN | rsv | WS_TEXT), "x");
        expect_failure(WS_CODE_PROTOCOL);
    }
    for (uint8_t opcode = 3; opcode < 16; opcode++) {
        if (opcode >= WS_CLOSE && opcode <= WS_PONG)
            continue;
        add_text(FIN | opcode, "x");
        expect_failure(WS_CODE_PROTOCOL);
    }
    put(&in, "\x81\x01x", 3); // not masked
    expect_failure(WS_CODE_PROTOCOL);
    add(FIN | WS_PING, long_ping, sizeof long_ping);
    expect_failure(WS_CODE_PROTOCOL);
    add_text(WS_PING, "x");
    expect_failure(WS_CODE_PROTOCOL);
    add_text(FIN | WS_CONTINUATION, "x");
    expect_failure(WS_CODE_PROTOCOL);
    add_text(WS_TEXT, "x");
    expect_failure(WS_CODE_PROTOCOL); // text within text
    put(&in, "\x81\xfe\x00\x7d", 4);  // 125 bytes in 16 bits
    put(&in, long_ping, 4);
    expect_failure(WS_CODE_PROTOCOL);
    put(&in, "\x81\xff\0\0\0\0\0\0\xff\xff", 10); // 65535 in 64
    put(&in, long_ping, 4);
    expect_failure(WS_CODE_PROTOCOL);
    put(&in, "\x82\xff\x80\0\0\0\0\0\0\0", 10); // 2^63
    put(&in, long_ping, 4);
    expect_failure(WS_CODE_PROTOCOL);
}

static void too_long(void **state)
{
    static uint8_t zeros[70000];
    (void)state;
    put(&in, "\x81\xff\0\0\0\0\0\1\x11\x71", 10); // 70001
    put(&in, zeros, 4);
    expect_failure(WS_CODE_TOO_BIG);
    put(&in, "\x82\xff\x40\0\0\0\0\0\0\0", 10); // 2^62
    put(&in, zeros, 4);
    expect_failure(WS_CODE_TOO_BIG);
    add(WS_TEXT, zeros, sizeof zeros);
    add(WS_CONTINUATION, zeros, 0);
    add(FIN | WS_CONTINUATION, zeros, 1);
    expect_failure(WS_CODE_TOO_BIG);
}

static void text_that_is_none(void **state)
{
    static const char *const bad[] = {
        "\xc3\x28",         "\xed\xa0\x80",     "\xc0\xaf",   "\xf4\x90\x80\x80",
        "\xe4\xb8",         "12345678\xff",     "\x80",       "\xe0\x9f\xbf",
        "\xf0\x8f\xbf\xbf", "\xf5\x80\x80\x80", "1234567\xc3"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        add_text(FIN | WS_TEXT, bad[i]);
        expect_failure(WS_CODE_INVALID);
        add(FIN | WS_BINARY, bad[i], strlen(bad[i])); // where it may be anything
        found(WSFRAME_BINARY, 0, bad[i], strlen(bad[i]));
        expect(&want);
        begin(NULL);
    }
    // Told before the rest is there.
    add_text(WS_TEXT, "\xe4");
    add_text(WS_CONTINUATION, "\xff");
    expect_failure(WS_CODE_INVALID);
}

static void closing(void **state)
{
    static const struct {
        const char *payload;
        size_t len;
        enum wsframe_kind kind;
        unsigned code;
    } rows[] = {
        {"", 0, WSFRAME_CLOSE, WS_CODE_NONE},
        {"\x03\xe8", 2, WSFRAME_CLOSE, 1000},
        {"\x03\xf5", 2, WSFRAME_CLOSE, 1013},
        {"\x0b\xb8", 2, WSFRAME_CLOSE, 3000},
        {"\x13\x87", 2, WSFRAME_CLOSE, 4999},
        {"\x03", 1, WSFRAME_FAILED, WS_CODE_PROTOCOL},
        {"\x03\xe7", 2, WSFRAME_FAILED, WS_CODE_PROTOCOL}, // 999
        {"\x03\xec", 2, WSFRAME_FAILED, WS_CODE_PROTOCOL}, // 1004
        {"\x03\xed", 2, WSFRAME_FAILED, WS_CODE_PROTOCOL},
        {"\x03\xee", 2, WSFRAME_FAILED, WS_CODE_PROTOCOL},
        {"\x03\xf7", 2, WSFRAME_FAILED, WS_CODE_PROTOCOL}, // 1015
        {"\x0b\xb7", 2, WSFRAME_FAILED, WS_CODE_PROTOCOL}, // 2999
        {"\x13\x88", 2, WSFRAME_FAILED, WS_CODE_PROTOCOL}, // 5000
        {"\x03\xe8\xff", 3, WSFRAME_FAILED, WS_CODE_INVALID},
        {"\x03\xe8\xc3", 3, WSFRAME_FAILED, WS_CODE_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(NULL);
        add(FIN | WS_CLOSE, rows[i].payload, rows[i].len);
        add_text(FIN | WS_TEXT, "behind");
        found(rows[i].kind, rows[i].code, "", 0);
        expect(&want);
    }
    begin(NULL);
    add_text(WS_TEXT, "\xe4"); // between the bytes of a character
    add_text(FIN | WS_CLOSE, "\x03\xe9good-bye");
    found(WSFRAME_CLOSE, 1001, "good-bye", 8);
    expect(&want);
}

static void writes(void **state)
{
    static const struct {
        uint64_t len;
        const char *header;
        size_t bytes;
    } rows[] = {{0, "\x81\0", 2},
                {125, "\x81\x7d", 2},
                {126, "\x81\x7e\0\x7e", 4},
                {65535, "\x81\x7e\xff\xff", 4},
                {65536, "\x81\x7f\0\0\0\0\0\1\0\0", 10}};
    uint8_t header[WSFRAME_HEADER_MAX], close[WSFRAME_CLOSE_MAX];
    char reason[201] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(wsframe_header(header, WS_TEXT, rows[i].len), rows[i].bytes);
        assert_memory_equal(header, rows[i].header, rows[i].bytes);
    }
    assert_int_equal(wsframe_close(close, 4401, "no"), 6);
    assert_memory_equal(close, "\x88\4\x11\x31no", 6);
    assert_int_equal(wsframe_close(close, WS_CODE_NONE, ""), 2);
    assert_memory_equal(close, "\x88\0", 2);
    memset(reason, 'r', 200);
    assert_int_equal(wsframe_close(close, 1008, reason), WSFRAME_CLOSE_MAX);
    assert_int_equal(close[1], WSFRAME_CONTROL_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lengths, begin),
        cmocka_unit_test_setup(fragments, begin),
        cmocka_unit_test_setup(broken_frames, begin),
        cmocka_unit_test_setup(too_long, begin),
        cmocka_unit_test_setup(closing, begin),
        cmocka_unit_test_setup(text_that_is_none, begin),
        cmocka_unit_test(writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
