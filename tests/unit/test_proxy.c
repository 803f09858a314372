// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_LEN 12

// Fewer bytes are never a whole header and never damaged, however they are cut.
static int parse(struct proxy_header *h, const void *data, size_t len)
{
    const char *why = NULL;
    int whole = proxy_parse(h, data, len, &why);
    struct proxy_header other;
    assert_true(whole >= 0 || why);
    for (int n = 0; n < whole; n++)
        assert_int_equal(proxy_parse(&other, data, (size_t)n, &why), 0);
    return whole;
}

static void is_header(const void *data, size_t len, const char *client, const char *dest)
{
    struct proxy_header h;
    char text[ADDR_STRLEN], longer[512] = {0};
    memcpy(longer, data, len);
    assert_int_equal(parse(&h, longer, sizeof longer), len);
    assert_int_equal(h.local, client == NULL);
    if (client) {
        assert_string_equal(addr_format(&h.client, text), client);
        assert_string_equal(addr_format(&h.dest, text), dest);
    }
}

static void is_bad(const void *data, size_t len)
{
    struct proxy_header h;
    assert_int_equal(parse(&h, data, len), -EPROTO);
}

static void lines(void **state)
{
    static const struct {
        const char *line, *client, *dest;
    } cases[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.7 56324 3478\r\n", "192.0.2.1:56324",
         "198.51.100.7:3478"},
        {"PROXY TCP6 2001:db8::1 2001:db8::2 65535 0\r\n", "[2001:db8::1]:65535",
         "[2001:db8::2]:0"},
        {"PROXY UNKNOWN\r\n", NULL, NULL},
        {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", NULL, NULL},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff"
         "f 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        is_header(cases[i].line, strlen(cases[i].line), cases[i].client, cases[i].dest);
}

static void bad_lines(void **state)
{
    static const char *const cases[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "PROXYTCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY UNKNOWN2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 99999999999999999999 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4\r1.2.3.4 1 2\r\n",
    };
    char endless[PROXY_HEADER_MAX] = "PROXY UNKNOWN ";
    const char *why;
    struct proxy_header h;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        is_bad(cases[i], strlen(cases[i]));
    is_bad("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n", 34);
    memset(endless + 14, 'a', sizeof endless - 14);
    assert_int_equal(proxy_parse(&h, (uint8_t *)endless, 106, &why), 0);
    is_bad(endless, 107);
    is_bad(endless, sizeof endless);
}

// A header of version 2 with this much behind its 16 bytes. Returns its length.
static size_t binary(uint8_t *out, uint8_t command, uint8_t kind, const void *rest, size_t len)
{
    memcpy(out, SIGNATURE, SIGNATURE_LEN);
    out[12] = command;
    out[13] = kind;
    out[14] = (uint8_t)(len >> 8);
    out[15] = (uint8_t)len;
    memcpy(out + 16, rest, len);
    return 16 + len;
}

#define ADDRESSES4 "\xc0\0\2\1\xc6\x33\x64\7\xdc\4\x0d\x96"

static void binary_headers(void **state)
{
    uint8_t h[512], rest[256] = {0};
    is_header(h, binary(h, 0x21, 0x11, ADDRESSES4, 12), "192.0.2.1:56324", "198.51.100.7:3478");
    is_header(h, binary(h, 0x20, 0x00, "", 0), NULL, NULL);
    is_header(h, binary(h, 0x20, 0x11, ADDRESSES4, 12), NULL, NULL); // LOCAL: not its business
    is_header(h, binary(h, 0x20, 0x77, "what", 4), NULL, NULL);
    is_header(h, binary(h, 0x21, 0x00, "", 0), NULL, NULL);
    is_header(h, binary(h, 0x21, 0x31, rest, 216), NULL, NULL); // AF_UNIX
    rest[0] = rest[16] = 0x20;
    rest[15] = 1;
    rest[31] = 2;
    rest[33] = 9;
    rest[35] = 10;
    is_header(h, binary(h, 0x21, 0x21, rest, 36), "[2000::1]:9", "[2000::2]:10");
}

static void bad_binary_headers(void **state)
{
    uint8_t h[PROXY_HEADER_MAX + 64], rest[PROXY_HEADER_MAX] = {0};
    const char *why;
    struct proxy_header out;
    is_bad(h, binary(h, 0x11, 0x11, ADDRESSES4, 12)); // version 1
    is_bad(h, binary(h, 0x22, 0x11, ADDRESSES4, 12)); // no such command
    is_bad(h, binary(h, 0x21, 0x12, ADDRESSES4, 12)); // UDP
    is_bad(h, binary(h, 0x21, 0x41, ADDRESSES4, 12)); // no such family
    is_bad(h, binary(h, 0x21, 0x11, ADDRESSES4, 11));
    is_bad(h, binary(h, 0x21, 0x21, rest, 35));
    is_bad(h, binary(h, 0x21, 0x11, rest, PROXY_HEADER_MAX - 15));
    // It is refused before all of it has come.
    assert_int_equal(proxy_parse(&out, h, 16, &why), -EPROTO);
    memcpy(h, SIGNATURE, SIGNATURE_LEN);
    h[11]++;
    is_bad(h, SIGNATURE_LEN);
}

static void extras(void **state)
{
    uint8_t h[512];
    static const char good[] = ADDRESSES4 "\4\0\3abc\2\0\0\xee\0\1x";
    is_header(h, binary(h, 0x21, 0x11, good, sizeof good - 1), "192.0.2.1:56324",
              "198.51.100.7:3478");
    is_header(h, binary(h, 0x21, 0x00, "\4\0\3abc", 6), NULL, NULL);
    is_bad(h, binary(h, 0x21, 0x11, ADDRESSES4 "\4\0\4abc", 18)); // past the end
    is_bad(h, binary(h, 0x21, 0x11, ADDRESSES4 "\4\0", 14));
    is_bad(h, binary(h, 0x21, 0x11, ADDRESSES4 "\4\xff\xff", 15));
}

static void checksums(void **state)
{
    // Computed apart from this code, over the header with the four bytes zeroed.
    uint8_t h[64];
    static const char good[] = ADDRESSES4 "\3\0\4\x95\xfc\xbf\x14";
    size_t len = binary(h, 0x21, 0x11, good, sizeof good - 1);
    is_header(h, len, "192.0.2.1:56324", "198.51.100.7:3478");
    for (size_t i = 16; i < len; i++) {
        if (i == 28)
            continue; // that would be an extra of another type
        h[i] ^= 1;
        is_bad(h, len);
        h[i] ^= 1;
    }
    is_bad(h, binary(h, 0x21, 0x11, ADDRESSES4 "\3\0\3\xe1\x12\xa2", 18));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),          cmocka_unit_test(bad_lines),
        cmocka_unit_test(binary_headers), cmocka_unit_test(bad_binary_headers),
        cmocka_unit_test(extras),         cmocka_unit_test(checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
