// SPDX-License-Identifier: BSD-2-Clause
// How users and secrets lie in Redis: names of keys and fields, and records to and from them. Used
// by the server and the CLI.
//
//  turnpike:{<realm>}:user:<name>       hash, REDIS_USER_FIELDS; keys in hex
//  turnpike:{<realm>}:userhash:<hex>    string: the name whose USERHASH this is
//  turnpike:{<realm>}:token:<kid>       hash, REDIS_TOKEN_FIELDS; the key in hex
//  turnpike:{<realm>}:secrets           sorted set: secret, scored by the time of its creation
//  turnpike:invalidate                  channel: "<realm> user <name>", "<realm> token <kid>" or
//  "<realm> secrets"
//
// The braces are literal: everything of a realm lies in one slot of a Redis cluster.
#ifndef TP_AUTH_REDIS_RECORD_H
#define TP_AUTH_REDIS_RECORD_H

#include <hiredis/hiredis.h>

#include "auth/backend.h"

#define REDIS_CHANNEL "turnpike:invalidate"

enum { REDIS_USER_FIELDS = 7 };
extern const char *const redis_user_fields[REDIS_USER_FIELDS];

enum { REDIS_TOKEN_FIELDS = 4, COTURN_TOKEN_FIELDS = 5 };
extern const char *const redis_token_fields[REDIS_TOKEN_FIELDS];
extern const char *const coturn_token_fields[COTURN_TOKEN_FIELDS];

// A key of Redis: any bytes, with a zero behind them. len is 0 when it did not fit.
struct redis_key {
    size_t len;
    char text[1536];
};

// Keys of the table above; hash: the STUN_USERHASH_LEN bytes of a USERHASH.
void redis_key_user(struct redis_key *k, const char *realm, const void *name, size_t len);
void redis_key_userhash(struct redis_key *k, const char *realm, const void *hash);
void redis_key_secrets(struct redis_key *k, const char *realm);
void redis_key_token(struct redis_key *k, const char *realm, const void *kid, size_t len);
// The same in coturn's layout.
void coturn_key_user(struct redis_key *k, const char *realm, const void *name, size_t len);
void coturn_key_secrets(struct redis_key *k, const char *realm);
void coturn_key_token(struct redis_key *k, const void *kid, size_t len);

// Reads the answer to HMGET of all fields (or to GET, for coturn's layout). STORE_UNAVAILABLE: it
// is no sound record.
enum store_status redis_record_read(struct auth_record *rec, const redisReply *reply,
                                    const void *name, size_t len);
enum store_status coturn_record_read(struct auth_record *rec, const redisReply *reply,
                                     const void *name, size_t len);

// The same for the key of access tokens. coturn's keys belong to no realm, or to the one in their
// record: one of another realm is STORE_NOT_FOUND.
enum store_status redis_token_read(struct auth_record *rec, const redisReply *reply,
                                   const void *kid, size_t len);
enum store_status coturn_token_read(struct auth_record *rec, const redisReply *reply,
                                    const void *kid, size_t len, const char *realm);

// Writes the fields of a token key's record as text, in the order of redis_token_fields.
struct redis_token_text {
    char text[REDIS_TOKEN_FIELDS][2 * TOKEN_KEY_MAX + 1];
};
void redis_token_write(struct redis_token_text *out, const struct auth_record *rec);

// Writes the fields of a record as text, in the order of redis_user_fields; an absent key is "".
struct redis_fields {
    char text[REDIS_USER_FIELDS][72];
};
void redis_record_write(struct redis_fields *out, const struct auth_record *rec);

// Reads the answer to ZREVRANGE or SMEMBERS (or to GET): what is no string or too long is left out.
bool redis_secrets_read(struct secret_list *list, const redisReply *reply);

#endif
