// SPDX-License-Identifier: BSD-2-Clause
// The one interface to the places where users live. Each worker opens its own; no call crosses
// threads.
#ifndef TP_AUTH_STORE_H
#define TP_AUTH_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/token.h"
#include "stun/integrity.h"

#define AUTH_USER_MAX 508 // bytes of a USERNAME, RFC 8489 14.3
#define AUTH_KEYS_MAX 8   // keys of one record: shared secrets can rotate, so several may be valid

// The long-term keys that one password gives.
struct auth_key {
    uint8_t md5[STUN_KEY_MD5_LEN];
    uint8_t sha256[STUN_KEY_SHA256_LEN];
    bool has_md5, has_sha256;
};

// What is known about a user; never the password. Or, for who asks for one, the key that access
// tokens are sealed with: then user is its id, and only created, expires and token_key are set
// besides.
struct auth_record {
    uint8_t
        user[AUTH_USER_MAX + 1]; // as stored, zero-terminated for convenience; may hold any byte
    size_t user_len;
    struct auth_key keys[AUTH_KEYS_MAX];
    unsigned key_count;
    bool incomplete; // a store that may hold more keys was away: a mismatch is no proof of a wrong
                     // password
    int64_t created; // Unix seconds
    int64_t expires; // Unix seconds, 0: never
    bool disabled;
    uint32_t max_allocations; // 0: the server's limit
    uint64_t max_bps;         // bits per second, 0: the server's limit
    bool is_token_key;
    struct token_key token_key; // when is_token_key
};

struct store_query {
    const char *realm;
    const uint8_t *id; // user name bytes, or the 32 bytes of a USERHASH
    size_t id_len;
    bool userhash;
    bool token_key; // id is the id of a key of access tokens (kid), not a user's
};

enum store_status {
    STORE_FOUND,
    STORE_NOT_FOUND,
    STORE_UNAVAILABLE, // not reachable, too slow, too many look-ups pending, a record that cannot
                       // be read
};

// Takes the answer. rec is set for STORE_FOUND only and is borrowed until the call returns.
typedef void store_done(enum store_status status, const struct auth_record *rec, void *arg);

// A look-up that has not been answered yet.
struct store_lookup;

struct store; // a backend's own state begins with its ops

struct store_ops {
    void (*close)(struct store *s);
    // Calls done exactly once, before it returns (then NULL is returned) or later in the same
    // thread (then a handle for cancel is returned). The query is copied if it has to be kept.
    struct store_lookup *(*lookup)(struct store *s, const struct store_query *q, store_done *done,
                                   void *arg);
    // The caller no longer wants the answer; done is not called.
    void (*cancel)(struct store *s, struct store_lookup *l);
};

struct store {
    const struct store_ops *ops;
};

#endif
