// SPDX-License-Identifier: BSD-2-Clause
// What the ClientHellos of TLS (RFC 8446 section 4.1.2) and DTLS (RFC 6347 section 4.2.1) have in
// common: the notation of their parts (RFC 8446 section 3). Private to src/net.
#ifndef TP_NET_HELLO_H
#define TP_NET_HELLO_H

#include "stun/cursor.h"

#define HELLO_CLIENT 1 // HandshakeType
#define HELLO_RANDOM_LEN 32
#define HELLO_SESSION_ID_MAX 32

static inline uint32_t hello_u24(struct cursor *c)
{
    uint32_t high = cursor_u8(c);
    return high << 16 | cursor_u16(c);
}

// A vector: its length, in one or two bytes, and its content.
static inline const uint8_t *hello_vector(struct cursor *c, bool long_len, size_t *len)
{
    *len = long_len ? cursor_u16(c) : cursor_u8(c);
    return cursor_take(c, *len);
}

#endif
