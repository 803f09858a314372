// SPDX-License-Identifier: BSD-2-Clause
// JSON Web Tokens (RFC 7519) signed with HS256 (RFC 7515, 7518): who somebody is, and until when.
#ifndef TP_SIGNAL_JWT_H
#define TP_SIGNAL_JWT_H

#include <stddef.h>
#include <stdint.h>

#define JWT_LEN_MAX 4096 // characters
#define JWT_NAME_MAX 255 // bytes of sub and room

struct jwt_key {
    const char *bytes; // borrowed
    size_t len;
};

struct jwt_claims {
    int64_t exp_ms; // wall clock
    size_t user_len;
    size_t room_len;         // 0: any room
    char user[JWT_NAME_MAX]; // `sub`, prepared like a name
    char room[JWT_NAME_MAX]; // `room`, likewise
};

// How much later than here it may be where tokens are made: `nbf` is taken that early.
#define JWT_LEEWAY_MS 5000

// Checks a token against each key. It has to have `sub` and `exp`; `nbf` and `room` count where
// they are there. 0, or -EACCES: it is not good, -ENOMEM.
int jwt_check(struct jwt_claims *claims, const struct jwt_key *keys, size_t key_count,
              const char *token, size_t len, int64_t unix_ms);

#endif
