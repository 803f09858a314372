// SPDX-License-Identifier: BSD-2-Clause
// What two probes say to each other, through the relay and directly.
//
//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  |     0xD4      |      'T'      |      'P'      |  version (1)  |
//  |     type      |    sender     |     flags     |  candidates   |
//  |              nonce of the first probe (64 bits)               |
//  |              nonce of the second probe (64 bits)              |
//  |                            number                             |
//  |  candidates: family (8 bits), port (16), address (32 or 128)  |
//  |        HMAC-SHA256 of all that with the key of the code, cut to 128 bits
//
// The first byte is neither one of STUN nor one of ChannelData. The key is made for one run; the
// nonces bind a message to it, the sender keeps a probe from taking its own words for the other's.
#ifndef TP_PROBE_PUNCH_MESSAGE_H
#define TP_PROBE_PUNCH_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "probe/punch_code.h"
#include "util/addr.h"

#define PUNCH_CANDIDATES 8
#define PUNCH_NONCE_LEN 8
#define PUNCH_MESSAGE_LEN (28 + PUNCH_CANDIDATES * 19 + 16) // the longest

enum punch_type {
    PUNCH_HELLO = 1, // the second to the first, through the relay: its nonce and candidates
    PUNCH_WELCOME,   // the answer: both nonces, the first one's candidates
    PUNCH_PROBE,     // directly
    PUNCH_REPLY,     // the answer to where it came from, with its number
    PUNCH_RESULT,    // through the relay: number of replies that the sender got
};

enum { PUNCH_MAPPING_KNOWN = 1, PUNCH_SYMMETRIC = 2 }; // flags: the NAT of the sender

struct punch_message {
    enum punch_type type;
    uint8_t sender; // 1 or 2
    uint8_t flags;
    uint8_t nonce[2][PUNCH_NONCE_LEN];
    uint32_t number;
    unsigned candidate_count;
    struct addr candidates[PUNCH_CANDIDATES];
};

// The length written to out, at most PUNCH_MESSAGE_LEN; 0 when it does not fit or there is no
// memory.
size_t punch_message_encode(uint8_t *out, size_t cap, const struct punch_message *m,
                            const uint8_t key[PUNCH_KEY_LEN]);

// 0; -EBADMSG for anything that was not encoded with this key.
int punch_message_decode(struct punch_message *out, const uint8_t *data, size_t len,
                         const uint8_t key[PUNCH_KEY_LEN]);

#endif
