// SPDX-License-Identifier: BSD-2-Clause
// The CLI's side of Redis, in files: the connection, users, secrets, keys of access tokens, and
// lists.
#ifndef TP_AUTH_ADMIN_REDIS_H
#define TP_AUTH_ADMIN_REDIS_H

#include <hiredis/hiredis.h>

#include "auth/admin_ops.h"
#include "auth/redis_record.h"

struct admin_redis {
    struct admin_store admin;
    redisContext *c;
    bool wrong_type; // the last command met a key that is no hash, set, ... as it should be
};

#define REDIS_ARGS_MAX (8 + 2 * REDIS_USER_FIELDS)

// A command, all of it borrowed.
struct redis_args {
    size_t count;
    const char *data[REDIS_ARGS_MAX];
    size_t len[REDIS_ARGS_MAX];
};

// Appends a word, borrowed; at most REDIS_ARGS_MAX of them.
void redis_args_add(struct redis_args *a, const void *data, size_t len);
void redis_args_add_text(struct redis_args *a, const char *text);

// Runs a command. NULL: failed, the error is set. An error reply is a failure.
redisReply *admin_redis_run(struct admin_store *s, const struct redis_args *a);

// Runs a command that answers with a number. False: failed, the error is set.
bool admin_redis_run_number(struct admin_store *s, const struct redis_args *a, long long *out);

// "<realm> <kind> <id>" or, without an id, "<realm> <kind>", in a buffer that a key fits in, too.
// len is 0 when it did not fit.
void admin_redis_message(struct redis_key *m, const char *realm, const char *kind, const void *id,
                         size_t len);

typedef int admin_redis_get(struct admin_store *s, const char *realm, const void *id, size_t len,
                            struct auth_record *out);

// Calls each for every record whose key is "turnpike:{<realm>" between "<id>", as *_list of
// admin_ops.h.
int admin_redis_list(struct admin_store *s, const char *realm, const char *between,
                     admin_redis_get *get, admin_each *each, void *arg);

// As in admin_ops.h.
int admin_redis_user_add(struct admin_store *s, const char *realm, const struct auth_record *rec);
int admin_redis_user_get(struct admin_store *s, const char *realm, const void *user, size_t len,
                         struct auth_record *out);
int admin_redis_user_change(struct admin_store *s, const char *realm, const struct auth_record *rec,
                            unsigned what);
int admin_redis_user_delete(struct admin_store *s, const char *realm, const void *user, size_t len);
int admin_redis_user_list(struct admin_store *s, const char *realm, admin_each *each, void *arg);
int admin_redis_token_key_add(struct admin_store *s, const char *realm,
                              const struct auth_record *rec);
int admin_redis_token_key_get(struct admin_store *s, const char *realm, const void *kid, size_t len,
                              struct auth_record *out);
int admin_redis_token_key_delete(struct admin_store *s, const char *realm, const void *kid,
                                 size_t len);
int admin_redis_token_key_list(struct admin_store *s, const char *realm, admin_each *each,
                               void *arg);
int admin_redis_secret_add(struct admin_store *s, const char *realm, const char *secret);
int admin_redis_secret_delete(struct admin_store *s, const char *realm, const char *secret);
int admin_redis_secret_list(struct admin_store *s, const char *realm, struct admin_secret *out,
                            size_t cap);

#endif
