// SPDX-License-Identifier: BSD-2-Clause
#include "stun/writer.h"

#include <string.h>

// The largest message whose offsets fit 16 bits, as stun_parse wants them.
#define MESSAGE_MAX 65532

void stun_begin(struct stun_writer *w, void *buf, size_t cap, enum stun_class class_,
                uint16_t method, const uint8_t txid[STUN_TXID_LEN], const struct stun_msg *like)
{
    // RFC 8489 section 5: the bits of the class sit between those of the method.
    unsigned type = (method & 0x00fu) | (method & 0x070u) << 1 | (method & 0xf80u) << 2 |
                    (class_ & 1u) << 4 | (class_ & 2u) << 7;
    w->c = cursor_writer(buf, cap < MESSAGE_MAX ? cap : MESSAGE_MAX);
    cursor_put_u16(&w->c, (uint16_t)type);
    cursor_put_u16(&w->c, 0);
    if (like && like->classic)
        cursor_put(&w->c, like->buf + 4, 4);
    else
        cursor_put_u32(&w->c, STUN_MAGIC_COOKIE);
    cursor_put(&w->c, txid, STUN_TXID_LEN);
}

void stun_begin_reply(struct stun_writer *w, void *buf, size_t cap, enum stun_class class_,
                      const struct stun_msg *req)
{
    stun_begin(w, buf, cap, class_, req->method, req->txid, req);
}

bool stun_writer_set_length(struct stun_writer *w, size_t extra)
{
    if (extra > cursor_left(&w->c))
        w->c.ok = false;
    if (!w->c.ok)
        return false;
    struct cursor header = cursor_writer(w->c.base + 2, 2);
    cursor_put_u16(&header, (uint16_t)(w->c.pos - STUN_HEADER_LEN + extra));
    return true;
}

size_t stun_end(struct stun_writer *w)
{
    return stun_writer_set_length(w, 0) ? w->c.pos : 0;
}

static void put_header(struct stun_writer *w, uint16_t type, size_t len)
{
    if (len > UINT16_MAX)
        w->c.ok = false;
    cursor_put_u16(&w->c, type);
    cursor_put_u16(&w->c, (uint16_t)len);
}

// Zeros, never what the buffer held before (CVE-2020-4067).
static void put_padding(struct stun_writer *w, size_t len)
{
    cursor_put_zero(&w->c, -len % 4);
}

void stun_put(struct stun_writer *w, uint16_t type, const void *value, size_t len)
{
    put_header(w, type, len);
    cursor_put(&w->c, value, len);
    put_padding(w, len);
}

void stun_put_u32(struct stun_writer *w, uint16_t type, uint32_t value)
{
    put_header(w, type, 4);
    cursor_put_u32(&w->c, value);
}

void stun_put_u64(struct stun_writer *w, uint16_t type, uint64_t value)
{
    put_header(w, type, 8);
    cursor_put_u32(&w->c, (uint32_t)(value >> 32));
    cursor_put_u32(&w->c, (uint32_t)value);
}

void stun_put_text(struct stun_writer *w, uint16_t type, const char *text)
{
    stun_put(w, type, text, strlen(text));
}

void stun_put_addr(struct stun_writer *w, uint16_t type, const struct addr *a)
{
    const struct stun_attr_info *info = stun_attr_info(type);
    bool xored = info && info->kind == STUN_KIND_XADDR;
    size_t ip_len = addr_ip_len(a);
    uint8_t mask[16] = {0};

    if (!ip_len)
        w->c.ok = false;
    if (!w->c.ok)
        return;
    if (xored)
        memcpy(mask, w->c.base + 4, sizeof(mask)); // cookie and transaction id
    put_header(w, type, 4 + ip_len);
    cursor_put_u8(&w->c, 0);
    cursor_put_u8(&w->c, a->family == ADDR_IPV4 ? 1 : 2);
    cursor_put_u16(&w->c, a->port ^ (uint16_t)(mask[0] << 8 | mask[1]));
    for (size_t i = 0; i < ip_len; i++)
        cursor_put_u8(&w->c, a->ip[i] ^ mask[i]);
}

void stun_put_error(struct stun_writer *w, int code, const char *reason)
{
    if (!reason)
        reason = stun_reason(code);
    size_t len = strlen(reason);
    put_header(w, STUN_ATTR_ERROR_CODE, 4 + len);
    cursor_put_u16(&w->c, 0);
    cursor_put_u8(&w->c, (uint8_t)(code / 100));
    cursor_put_u8(&w->c, (uint8_t)(code % 100));
    cursor_put(&w->c, reason, len);
    put_padding(w, len);
}

void stun_put_u16_list(struct stun_writer *w, uint16_t type, const uint16_t *list, size_t n)
{
    put_header(w, type, n > UINT16_MAX / 2 ? SIZE_MAX : 2 * n);
    for (size_t i = 0; w->c.ok && i < n; i++)
        cursor_put_u16(&w->c, list[i]);
    put_padding(w, 2 * n);
}
