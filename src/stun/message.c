// SPDX-License-Identifier: BSD-2-Clause
#include "stun/message.h"

#include <errno.h>

#include "stun/integrity.h"

// The header alone. False: this is no STUN message.
static bool parse_header(struct stun_msg *msg, const void *data, size_t len)
{
    struct cursor c = cursor_reader(data, len);
    uint16_t type = cursor_u16(&c);
    uint16_t body = cursor_u16(&c);
    uint32_t cookie = cursor_u32(&c);
    const uint8_t *txid = cursor_take(&c, STUN_TXID_LEN);

    if (!c.ok || type & 0xc000 || body % 4 || body != cursor_left(&c))
        return false;
    *msg = (struct stun_msg){
        .buf = data,
        .len = STUN_HEADER_LEN,
        .class_ = (enum stun_class)((type >> 4 & 1) | (type >> 7 & 2)),
        .method = (uint16_t)((type & 0xf) | (type >> 1 & 0x70) | (type >> 2 & 0xf80)),
        .classic = cookie != STUN_MAGIC_COOKIE,
        .txid = txid,
        .attrs_end = STUN_HEADER_LEN,
    };
    return true;
}

// Takes the attribute at the cursor, with its padding. False at the end and (c->ok is false then)
// when it is cut.
static bool take_attr(struct cursor *c, struct stun_attr *out)
{
    if (cursor_left(c) == 0)
        return false;
    out->type = cursor_u16(c);
    out->len = cursor_u16(c);
    out->value = cursor_take(c, out->len);
    cursor_take(c, -(size_t)out->len % 4);
    return c->ok;
}

static bool length_fits(const struct stun_attr *attr)
{
    const struct stun_attr_info *info = stun_attr_info(attr->type);
    if (!info)
        return true;
    if (attr->type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256 && attr->len % 4)
        return false; // RFC 8489 14.6
    return attr->len >= info->min_len && attr->len <= info->max_len;
}

// One attribute at its place in the order that RFC 8489 14.5 to 14.7 prescribe. What follows an
// integrity attribute is not protected by it and therefore not looked at (CVE-2026-68554). False:
// the message is malformed.
static bool note_attr(struct stun_msg *msg, const struct stun_attr *attr, size_t offset)
{
    bool protected_ = msg->integrity || msg->integrity256;
    uint16_t *slot = NULL;

    if (msg->fingerprint)
        return false; // it has to be the last one
    if (attr->type == STUN_ATTR_FINGERPRINT)
        slot = &msg->fingerprint;
    else if (attr->type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256 && !msg->integrity256)
        slot = &msg->integrity256;
    else if (attr->type == STUN_ATTR_MESSAGE_INTEGRITY && !protected_)
        slot = &msg->integrity;
    else if (protected_)
        return true;
    if (!length_fits(attr))
        return false;
    if (slot) {
        *slot = (uint16_t)offset;
        if (!protected_)
            msg->attrs_end = offset;
    } else {
        msg->types |= stun_type_bit(attr->type);
    }
    return true;
}

enum stun_parse stun_parse(struct stun_msg *msg, const void *data, size_t len)
{
    struct stun_msg m;
    struct stun_attr attr;

    if (!parse_header(&m, data, len))
        return STUN_PARSE_NOT_STUN;
    *msg = m;
    // Offsets are 16 bits wide; no datagram is longer, and no request on a stream has a reason to
    // be.
    if (len > UINT16_MAX)
        return STUN_PARSE_MALFORMED;

    struct cursor c = cursor_reader(data, len);
    cursor_take(&c, STUN_HEADER_LEN);
    size_t offset = c.pos;
    m.len = m.attrs_end = len;
    for (; take_attr(&c, &attr); offset = c.pos) {
        if (!note_attr(&m, &attr, offset))
            return STUN_PARSE_MALFORMED;
    }
    if (!c.ok)
        return STUN_PARSE_MALFORMED;
    if (m.fingerprint) {
        struct cursor f = cursor_reader(m.buf + m.fingerprint + 4, 4);
        if (cursor_u32(&f) != stun_fingerprint(m.buf, m.fingerprint))
            return STUN_PARSE_NOT_STUN;
    }
    *msg = m;
    return STUN_PARSE_OK;
}

bool stun_next(const struct stun_msg *msg, size_t *pos, struct stun_attr *out)
{
    struct cursor c = cursor_reader(msg->buf, msg->attrs_end);
    cursor_take(&c, *pos ? *pos : STUN_HEADER_LEN);
    if (!take_attr(&c, out))
        return false;
    *pos = c.pos;
    return true;
}

bool stun_find(const struct stun_msg *msg, uint16_t type, struct stun_attr *out)
{
    size_t pos = 0;
    if (!(msg->types & stun_type_bit(type)))
        return false;
    while (stun_next(msg, &pos, out)) {
        if (out->type == type)
            return true;
    }
    return false;
}

int stun_attr_addr(const struct stun_msg *msg, const struct stun_attr *attr, struct addr *out)
{
    const struct stun_attr_info *info = stun_attr_info(attr->type);
    struct cursor c = cursor_reader(attr->value, attr->len);
    const uint8_t *mask = msg->buf + 4; // cookie and transaction id
    struct addr a = {0};

    memset(out, 0, sizeof(*out));
    cursor_u8(&c);
    uint8_t family = cursor_u8(&c);
    a.port = cursor_u16(&c);
    a.family = family == 1 ? ADDR_IPV4 : family == 2 ? ADDR_IPV6 : ADDR_NONE;
    size_t ip_len = addr_ip_len(&a);
    const uint8_t *ip = cursor_take(&c, ip_len);
    if (!ip || !ip_len || cursor_left(&c) > 0)
        return -EBADMSG;
    memcpy(a.ip, ip, ip_len);
    if (info && info->kind == STUN_KIND_XADDR) {
        a.port ^= (uint16_t)(mask[0] << 8 | mask[1]);
        for (size_t i = 0; i < ip_len; i++)
            a.ip[i] ^= mask[i];
    }
    *out = a;
    return 0;
}

int stun_get_addr(const struct stun_msg *msg, uint16_t type, struct addr *out)
{
    struct stun_attr attr;
    return stun_find(msg, type, &attr) ? stun_attr_addr(msg, &attr, out) : -ENOENT;
}

int stun_get_u32(const struct stun_msg *msg, uint16_t type, uint32_t *out)
{
    struct stun_attr attr;
    if (!stun_find(msg, type, &attr))
        return -ENOENT;
    if (attr.len != 4)
        return -EBADMSG;
    struct cursor c = cursor_reader(attr.value, attr.len);
    *out = cursor_u32(&c);
    return 0;
}

int stun_get_u64(const struct stun_msg *msg, uint16_t type, uint64_t *out)
{
    struct stun_attr attr;
    if (!stun_find(msg, type, &attr))
        return -ENOENT;
    if (attr.len != 8)
        return -EBADMSG;
    struct cursor c = cursor_reader(attr.value, attr.len);
    uint64_t high = cursor_u32(&c);
    *out = high << 32 | cursor_u32(&c);
    return 0;
}

int stun_get_error(const struct stun_msg *msg, int *code, const char **reason, size_t *reason_len)
{
    struct stun_attr attr;
    if (!stun_find(msg, STUN_ATTR_ERROR_CODE, &attr))
        return -ENOENT;
    struct cursor c = cursor_reader(attr.value, attr.len);
    cursor_take(&c, 2);
    int hundreds = cursor_u8(&c) & 7; // the bits above are reserved, RFC 8489 14.8
    int number = cursor_u8(&c);
    if (!c.ok || hundreds < 3 || hundreds > 6 || number > 99)
        return -EBADMSG;
    *code = hundreds * 100 + number;
    *reason_len = cursor_left(&c);
    *reason = (const char *)cursor_take(&c, *reason_len);
    return 0;
}

static bool listed(const uint16_t *list, size_t n, uint16_t type)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == type)
            return true;
    }
    return false;
}

size_t stun_unknown_required(const struct stun_msg *msg,
                             bool (*accept)(uint16_t method, uint16_t type), uint16_t *out,
                             size_t cap)
{
    struct stun_attr attr;
    size_t pos = 0, n = 0;

    while (n < cap && stun_next(msg, &pos, &attr)) {
        if (!stun_attr_required(attr.type) || listed(out, n, attr.type))
            continue;
        if (!stun_attr_info(attr.type) || (accept && !accept(msg->method, attr.type)))
            out[n++] = attr.type;
    }
    return n;
}
