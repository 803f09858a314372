// SPDX-License-Identifier: BSD-2-Clause
#include "probe/punch_message.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "stun/cursor.h"
#include "stun/integrity.h"

#define MAC_LEN 16

static const uint8_t magic[4] = {0xD4, 'T', 'P', 1};

size_t punch_message_encode(uint8_t *out, size_t cap, const struct punch_message *m,
                            const uint8_t key[PUNCH_KEY_LEN])
{
    struct cursor c = cursor_writer(out, cap);
    uint8_t mac[32];

    cursor_put(&c, magic, sizeof(magic));
    cursor_put_u8(&c, (uint8_t)m->type);
    cursor_put_u8(&c, m->sender);
    cursor_put_u8(&c, m->flags);
    cursor_put_u8(&c, (uint8_t)m->candidate_count);
    cursor_put(&c, m->nonce, sizeof(m->nonce));
    cursor_put_u32(&c, m->number);
    for (unsigned i = 0; i < m->candidate_count; i++) {
        const struct addr *a = &m->candidates[i];
        cursor_put_u8(&c, a->family);
        cursor_put_u16(&c, a->port);
        cursor_put(&c, a->ip, addr_ip_len(a));
    }
    if (!c.ok || hmac_sha256(mac, key, PUNCH_KEY_LEN, out, c.pos) < 0)
        return 0;
    cursor_put(&c, mac, MAC_LEN);
    return c.ok ? c.pos : 0;
}

static void read_candidates(struct cursor *c, struct punch_message *out)
{
    for (unsigned i = 0; i < out->candidate_count; i++) {
        struct addr *a = &out->candidates[i];
        const uint8_t *ip;
        a->family = cursor_u8(c);
        a->port = cursor_u16(c);
        if (a->family != ADDR_IPV4 && a->family != ADDR_IPV6)
            c->ok = false;
        ip = cursor_take(c, addr_ip_len(a));
        if (ip)
            memcpy(a->ip, ip, addr_ip_len(a));
    }
}

int punch_message_decode(struct punch_message *out, const uint8_t *data, size_t len,
                         const uint8_t key[PUNCH_KEY_LEN])
{
    struct cursor c = cursor_reader(data, len);
    const uint8_t *p = cursor_take(&c, sizeof(magic));
    uint8_t mac[32];

    memset(out, 0, sizeof(*out));
    if (!p || memcmp(p, magic, sizeof(magic)) != 0 || len < MAC_LEN ||
        hmac_sha256(mac, key, PUNCH_KEY_LEN, data, len - MAC_LEN) < 0 ||
        CRYPTO_memcmp(mac, data + len - MAC_LEN, MAC_LEN) != 0)
        return -EBADMSG;
    c.len -= MAC_LEN;
    out->type = (enum punch_type)cursor_u8(&c);
    out->sender = cursor_u8(&c);
    out->flags = cursor_u8(&c);
    out->candidate_count = cursor_u8(&c);
    p = cursor_take(&c, sizeof(out->nonce));
    if (p)
        memcpy(out->nonce, p, sizeof(out->nonce));
    out->number = cursor_u32(&c);
    if (out->candidate_count > PUNCH_CANDIDATES)
        return -EBADMSG;
    read_candidates(&c, out);
    return c.ok && cursor_left(&c) == 0 ? 0 : -EBADMSG;
}
