// SPDX-License-Identifier: BSD-2-Clause
// Data indications (RFC 8656 sections 11.3 and 11.5): what stands before the payload, and the ones
// that have none.
#include "turn/internal.h"

size_t turn_data_header(uint8_t *buf, const uint8_t txid[12], const struct addr *peer,
                        uint16_t payload_len)
{
    struct stun_writer w;

    stun_begin(&w, buf, TURN_DATA_HEADER_MAX, STUN_INDICATION, STUN_DATA, txid, NULL);
    stun_put_addr(&w, STUN_ATTR_XOR_PEER_ADDRESS, peer);
    cursor_put_u16(&w.c, STUN_ATTR_DATA);
    cursor_put_u16(&w.c, payload_len);
    size_t header = w.c.pos;
    size_t length = header - STUN_HEADER_LEN + payload_len + TURN_DATA_PAD(payload_len);
    // The 16 bits of the message length cannot say the last few lengths: more than UDP can carry
    // anyway.
    if (!w.c.ok || length > UINT16_MAX)
        return 0;
    struct cursor c = cursor_writer(buf + 2, 2);
    cursor_put_u16(&c, (uint16_t)length);
    return header;
}

size_t turn_data_icmp(uint8_t *buf, const uint8_t txid[12], const struct addr *peer, uint8_t type,
                      uint8_t code, uint32_t data)
{
    struct stun_writer w;
    uint8_t value[8];
    struct cursor c = cursor_writer(value, sizeof(value));

    // The figure of 18.13 gives type and code 7 and 9 bits. They are an octet each in ICMP, and
    // here, as other implementations have it.
    cursor_put_u16(&c, 0);
    cursor_put_u8(&c, type);
    cursor_put_u8(&c, code);
    cursor_put_u32(&c, data);
    stun_begin(&w, buf, TURN_DATA_ICMP_MAX, STUN_INDICATION, STUN_DATA, txid, NULL);
    stun_put_addr(&w, STUN_ATTR_XOR_PEER_ADDRESS, peer);
    stun_put(&w, STUN_ATTR_ICMP, value, sizeof(value));
    return stun_end(&w);
}
