// SPDX-License-Identifier: BSD-2-Clause
// Mobility tickets (RFC 8016): what a client shows to take its allocation to another address. To
// the client they are noise of a fixed length; AES-256-SIV (RFC 5297) under a key that only this
// process knows seals what is in them.
//
//      0                        16                     32 bytes
//     +------------------------+-----------------------+
//     | synthetic IV: the tag  | sealed                |
//     +------------------------+-----------------------+
//
// coturn's clients keep a ticket as a string of at most 32 characters: hence the cipher, which
// needs no nonce besides its tag, and no byte of a ticket is zero.
#ifndef TP_TURN_TICKET_H
#define TP_TURN_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TICKET_LEN 32
#define TICKET_KEY_LEN 64

struct ticket {
    uint64_t session; // of the allocation
    uint32_t number;  // how many tickets the allocation had before: only the newest is good
    uint8_t worker;   // which knows where the allocation is
};

// Another session, number or worker gives other bytes, and so does nearly every call. 0 or -ENOMEM.
int ticket_seal(const uint8_t key[TICKET_KEY_LEN], const struct ticket *ticket,
                uint8_t out[TICKET_LEN]);

// Whether those bytes are a ticket sealed with that key; *out is set then and only then.
bool ticket_open(const uint8_t key[TICKET_KEY_LEN], const uint8_t *data, size_t len,
                 struct ticket *out);

#endif
