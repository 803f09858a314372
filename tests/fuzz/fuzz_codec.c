// SPDX-License-Identifier: BSD-2-Clause
// Any bytes as hex, base64 and UTF-8, and as a name that is printed: what is decoded is encoded as
// the same text again, and what is printed is printable.
#include "fuzz.h"

#include <string.h>
#include <strings.h>

#include "util/codec.h"

static void check_hex(const char *text, size_t len)
{
    uint8_t *bytes = malloc(len / 2 + 1);
    char *again = malloc(len + 2);

    CHECK(bytes && again);
    if (hex_decode(bytes, len / 2, text) == 0)
        CHECK(strcasecmp(hex_encode(again, bytes, len / 2), text) == 0);
    free(again);
    free(bytes);
}

static void check_base64(const char *text, size_t len)
{
    size_t cap = len / 4 * 3 + 3;
    uint8_t *bytes = malloc(cap), *small;
    char *again = malloc(BASE64_LEN(cap) + 1);

    CHECK(bytes && again);
    int n = base64_decode(bytes, cap, text, len);
    if (n >= 0) {
        CHECK(base64_encode(again, bytes, (size_t)n) == len && memcmp(again, text, len) == 0);
        small = malloc((size_t)n + 1);
        CHECK(small && base64_decode(small, (size_t)n, text, len) == n);
        CHECK(n == 0 || base64_decode(small, (size_t)n - 1, text, len) < 0);
        free(small);
    }
    n = base64url_decode(bytes, cap, text, len);
    if (n >= 0) {
        size_t all = base64_encode(again, bytes, (size_t)n);
        while (all > 0 && again[all - 1] == '=')
            all--;
        CHECK(all == len);
        for (size_t i = 0; i < len; i++)
            CHECK(text[i] == (again[i] == '+' ? '-' : again[i] == '/' ? '_' : again[i]));
    }
    free(again);
    free(bytes);
}

static void check_escape(const uint8_t *data, size_t size)
{
    char out[64];

    for (size_t cap = 8; cap <= sizeof(out); cap += 7) {
        CHECK(text_escape(out, cap, data, size) == out);
        CHECK(memchr(out, 0, cap));
        for (const char *p = out; *p; p++)
            CHECK(*p >= 0x20 && *p < 0x7f && *p != '"');
    }
}

// Text is as good as its two halves, cut between characters.
static void check_utf8(const uint8_t *data, size_t size)
{
    size_t half = size / 2;

    while (half < size && (data[half] & 0xc0) == 0x80)
        half++;
    CHECK(utf8_valid(data, size) ==
          (utf8_valid(data, half) && utf8_valid(data + half, size - half)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    check_hex(text, strlen(text));
    check_base64(text, size);
    check_escape(data, size);
    check_utf8(data, size);
    free(text);
    return 0;
}
