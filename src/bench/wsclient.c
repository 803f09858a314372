// SPDX-License-Identifier: BSD-2-Clause
#include "bench/wsclient.h"

#include <limits.h>
#include <string.h>

#define FIN 0x80
#define MASKED 0x80

size_t wsclient_header(uint8_t out[WSCLIENT_HEADER_MAX], uint8_t opcode, size_t len, uint32_t key)
{
    size_t bytes = len < 126 ? 0 : len <= 0xffff ? 2 : 8;

    out[0] = (uint8_t)(FIN | opcode);
    out[1] = (uint8_t)(MASKED | (bytes == 0 ? len : bytes == 2 ? 126 : 127));
    for (size_t i = bytes; i > 0; i--, len >>= 8)
        out[1 + i] = (uint8_t)len;
    memcpy(out + 2 + bytes, &key, 4);
    return 2 + bytes + 4;
}

void wsclient_mask(uint8_t *p, size_t len, uint32_t key)
{
    uint64_t both = (uint64_t)key << 32 | key, w;
    uint8_t bytes[8];
    size_t i = 0;

    for (; len - i >= 8; i += 8) {
        memcpy(&w, p + i, 8);
        w ^= both;
        memcpy(p + i, &w, 8);
    }
    memcpy(bytes, &both, 8);
    for (; i < len; i++)
        p[i] ^= bytes[i & 7];
}

long wsclient_read(struct wsclient_frame *out, const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    uint64_t size = data[1] & 0x7f;
    size_t bytes = size == 126 ? 2 : size == 127 ? 8 : 0;
    if ((data[0] & 0xf0) != FIN || data[1] & MASKED || (data[0] & 0x0f) == 0)
        return -1;
    if (len < 2 + bytes)
        return 0;
    for (size_t i = 0; i < bytes; i++)
        size = (i ? size << 8 : 0) | data[2 + i];
    if (size > INT_MAX)
        return -1;
    if (len - 2 - bytes < size)
        return 0;
    *out = (struct wsclient_frame){data[0] & 0x0f, data + 2 + bytes, (size_t)size};
    return (long)(2 + bytes + size);
}
