// SPDX-License-Identifier: BSD-2-Clause
#include "util/codec.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *hex_encode(char *out, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = hex_digits[p[i] >> 4];
        out[2 * i + 1] = hex_digits[p[i] & 15];
    }
    out[2 * len] = '\0';
    return out;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode(void *out, size_t len, const char *text)
{
    uint8_t *p = out;
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0)
            return -EINVAL;
        p[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * len] == '\0' ? 0 : -EINVAL;
}

size_t base64_encode(char *out, const void *data, size_t len)
{
    const uint8_t *p = data;
    char *o = out;
    for (; len >= 3; len -= 3, p += 3) {
        *o++ = base64_digits[p[0] >> 2];
        *o++ = base64_digits[(p[0] & 3) << 4 | p[1] >> 4];
        *o++ = base64_digits[(p[1] & 15) << 2 | p[2] >> 6];
        *o++ = base64_digits[p[2] & 63];
    }
    if (len > 0) {
        uint8_t second = len == 2 ? p[1] : 0;
        *o++ = base64_digits[p[0] >> 2];
        *o++ = base64_digits[(p[0] & 3) << 4 | second >> 4];
        *o++ = len == 2 ? base64_digits[(second & 15) << 2] : '=';
        *o++ = '=';
    }
    *o = '\0';
    return (size_t)(o - out);
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(void *out, size_t cap, const char *text, size_t text_len)
{
    uint8_t *o = out;
    size_t pad = 0, n = 0;

    if (text_len % 4 || text_len / 4 > INT32_MAX / 3)
        return -EINVAL;
    if (text_len)
        pad = text[text_len - 1] != '=' ? 0 : text[text_len - 2] != '=' ? 1 : 2;
    if (text_len / 4 * 3 - pad > cap)
        return -EINVAL;
    for (size_t i = 0; i < text_len; i += 4) {
        size_t digits = i + 4 == text_len ? 4 - pad : 4;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int v = j < digits ? base64_value(text[i + j]) : 0;
            if (v < 0)
                return -EINVAL;
            group = group << 6 | (uint32_t)v;
        }
        // Bits that encode nothing have to be zero, or several texts would mean the same bytes.
        if (group & ((1u << 8 * (4 - digits)) - 1))
            return -EINVAL;
        for (size_t j = 0; j + 1 < digits; j++)
            o[n++] = (uint8_t)(group >> (16 - 8 * j));
    }
    return (int)n;
}

int base64url_decode(void *out, size_t cap, const char *text, size_t text_len)
{
    uint8_t *o = out;
    size_t n = 0, bits = 0;
    uint32_t group = 0;

    if (text_len % 4 == 1 || text_len / 4 > INT32_MAX / 4)
        return -EINVAL;
    for (size_t i = 0; i < text_len; i++) {
        char c = text[i];
        int v = c == '-' ? 62 : c == '_' ? 63 : c == '+' || c == '/' ? -1 : base64_value(c);
        if (v < 0)
            return -EINVAL;
        group = (group << 6 | (uint32_t)v) & 0xffff;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        if (n == cap)
            return -EINVAL;
        o[n++] = (uint8_t)(group >> bits);
    }
    // As above: one text for the same bytes.
    return group & ((1u << bits) - 1) ? -EINVAL : (int)n;
}

const char *text_escape(char *buf, size_t cap, const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t n = 0, cut = 0; // cut: the last place where "..." and the zero still fit

    for (size_t i = 0; i < len; i++) {
        int plain = p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\' && p[i] != '"';
        if (n + 4 <= cap)
            cut = n;
        if (n + (plain ? 1 : 4) >= cap) {
            memcpy(buf + cut, "...", 4);
            return buf;
        }
        if (plain) {
            buf[n++] = (char)p[i];
        } else {
            buf[n++] = '\\';
            buf[n++] = 'x';
            buf[n++] = hex_digits[p[i] >> 4];
            buf[n++] = hex_digits[p[i] & 15];
        }
    }
    buf[n] = '\0';
    return buf;
}

int utf8_valid(const void *data, size_t len)
{
    const uint8_t *p = data, *end = p + len;

    while (p < end) {
        uint64_t eight;
        // Most of most texts is ASCII.
        if (end - p >= 8 && (memcpy(&eight, p, 8), (eight & 0x8080808080808080u) == 0)) {
            p += 8;
            continue;
        }
        uint8_t c = *p++;
        uint8_t low = 0x80, high = 0xbf; // of the second byte
        int more;
        if (c < 0x80)
            continue;
        if (c >= 0xc2 && c <= 0xdf)
            more = 1;
        else if (c >= 0xe0 && c <= 0xef)
            more = 2;
        else if (c >= 0xf0 && c <= 0xf4)
            more = 3;
        else
            return 0;
        // RFC 3629 section 4: what keeps out overlong forms, surrogates and everything over
        // U+10FFFF.
        if (c == 0xe0)
            low = 0xa0;
        else if (c == 0xed)
            high = 0x9f;
        else if (c == 0xf0)
            low = 0x90;
        else if (c == 0xf4)
            high = 0x8f;
        for (; more > 0; more--, low = 0x80, high = 0xbf) {
            if (p == end || *p < low || *p > high)
                return 0;
            p++;
        }
    }
    return 1;
}
