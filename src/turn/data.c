// SPDX-License-Identifier: BSD-2-Clause
// Data indication (RFC 8656 section 11.4): what stands before the payload.
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
