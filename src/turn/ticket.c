// SPDX-License-Identifier: BSD-2-Clause
#include "turn/ticket.h"

#include "stun/cursor.h"
#include "util/aead.h"
#include "util/rand.h"

#define SEALED_LEN 16

_Static_assert(AEAD_NONCE_LEN + SEALED_LEN + AEAD_TAG_LEN == TICKET_LEN,
               "the parts make the whole");

int ticket_seal(const uint8_t key[TICKET_KEY_LEN], const struct ticket *ticket,
                uint8_t out[TICKET_LEN])
{
    uint8_t plain[SEALED_LEN] = {0};
    struct cursor c = cursor_writer(plain, sizeof(plain));

    cursor_put_u32(&c, (uint32_t)(ticket->session >> 32));
    cursor_put_u32(&c, (uint32_t)ticket->session);
    cursor_put_u32(&c, ticket->number);
    cursor_put_u8(&c, ticket->worker);
    rand_bytes(out, AEAD_NONCE_LEN);
    return aead_seal(out + AEAD_NONCE_LEN, key, TICKET_KEY_LEN, out, NULL, 0, plain, sizeof(plain));
}

bool ticket_open(const uint8_t key[TICKET_KEY_LEN], const uint8_t *data, size_t len,
                 struct ticket *out)
{
    uint8_t plain[SEALED_LEN];

    if (len != TICKET_LEN || aead_open(plain, key, TICKET_KEY_LEN, data, NULL, 0,
                                       data + AEAD_NONCE_LEN, len - AEAD_NONCE_LEN) < 0)
        return false;
    struct cursor c = cursor_reader(plain, sizeof(plain));
    out->session = (uint64_t)cursor_u32(&c) << 32;
    out->session |= cursor_u32(&c);
    out->number = cursor_u32(&c);
    out->worker = cursor_u8(&c);
    return true;
}
