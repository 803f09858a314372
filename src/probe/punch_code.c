// SPDX-License-Identifier: BSD-2-Clause
#include "probe/punch_code.h"

#include <errno.h>
#include <string.h>

#include "stun/cursor.h"
#include "stun/integrity.h"

#define VERSION 1
#define MAX_LEN (1 + 16 + 2 + PUNCH_KEY_LEN + 2)
#define GROUP 5

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static uint16_t checksum(const uint8_t *data, size_t len)
{
    uint32_t crc = stun_fingerprint(data, len);
    return (uint16_t)(crc ^ crc >> 16);
}

const char *punch_code_encode(char out[PUNCH_CODE_LEN], const struct punch_code *code)
{
    uint8_t data[MAX_LEN];
    struct cursor c = cursor_writer(data, sizeof(data));
    size_t n = 0;

    cursor_put_u8(&c, (uint8_t)(VERSION << 4 | code->relayed.family));
    cursor_put(&c, code->relayed.ip, addr_ip_len(&code->relayed));
    cursor_put_u16(&c, code->relayed.port);
    cursor_put(&c, code->key, PUNCH_KEY_LEN);
    cursor_put_u16(&c, checksum(data, c.pos));
    for (size_t bit = 0, digits = 0; bit < c.pos * 8; bit += 5, digits++) {
        size_t i = bit / 8;
        unsigned two = (unsigned)data[i] << 8 | (i + 1 < c.pos ? data[i + 1] : 0u);
        if (digits > 0 && digits % GROUP == 0)
            out[n++] = '-';
        out[n++] = alphabet[two >> (11 - bit % 8) & 31];
    }
    out[n] = '\0';
    return out;
}

// The bytes of the digits. Their number, or -EINVAL.
static int read_digits(uint8_t *data, size_t cap, const char *text)
{
    unsigned bits = 0, have = 0;
    size_t n = 0;

    for (; *text; text++) {
        char upper = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
        const char *digit = strchr(alphabet, upper);
        if (*text == '-' || *text == ' ')
            continue;
        if (!digit)
            return -EINVAL;
        bits = (bits << 5 | (unsigned)(digit - alphabet)) & 0xfff;
        have += 5;
        if (have >= 8) {
            if (n == cap)
                return -EINVAL;
            have -= 8;
            data[n++] = (uint8_t)(bits >> have);
        }
    }
    return have < 5 && (bits & ((1u << have) - 1)) == 0 ? (int)n : -EINVAL;
}

int punch_code_decode(struct punch_code *out, const char *text)
{
    uint8_t data[MAX_LEN];
    int len = read_digits(data, sizeof(data), text);
    struct cursor c = cursor_reader(data, len > 0 ? (size_t)len : 0);
    const uint8_t *ip, *key;
    uint8_t head = cursor_u8(&c);

    *out = (struct punch_code){.relayed = {.family = head & 15}};
    if (head >> 4 != VERSION ||
        (out->relayed.family != ADDR_IPV4 && out->relayed.family != ADDR_IPV6))
        return -EINVAL;
    ip = cursor_take(&c, addr_ip_len(&out->relayed));
    out->relayed.port = cursor_u16(&c);
    key = cursor_take(&c, PUNCH_KEY_LEN);
    if (cursor_u16(&c) != checksum(data, c.ok ? c.pos - 2 : 0) || !c.ok || cursor_left(&c) != 0)
        return -EINVAL;
    memcpy(out->relayed.ip, ip, addr_ip_len(&out->relayed));
    memcpy(out->key, key, PUNCH_KEY_LEN);
    return 0;
}
