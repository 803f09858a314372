// SPDX-License-Identifier: BSD-2-Clause
// The CLI's side of Redis, in three files: the connection, users, secrets.
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

void redis_args_add(struct redis_args *a, const void *data, size_t len);
void redis_args_add_text(struct redis_args *a, const char *text);

// Runs a command. NULL: failed, the error is set. An error reply is a failure.
redisReply *admin_redis_run(struct admin_store *s, const struct redis_args *a);

// Runs a command that answers with a number. False: failed, the error is set.
bool admin_redis_run_number(struct admin_store *s, const struct redis_args *a, long long *out);

// "<realm> user <name>" or, without a user, "<realm> secrets", in a buffer that a key fits in, too.
// len is 0 when it did not fit.
void admin_redis_message(struct redis_key *m, const char *realm, const void *user, size_t len);

// As in admin_ops.h.
int admin_redis_user_add(struct admin_store *s, const char *realm, const struct auth_record *rec);
int admin_redis_user_get(struct admin_store *s, const char *realm, const void *user, size_t len,
                         struct auth_record *out);
int admin_redis_user_put(struct admin_store *s, const char *realm, const struct auth_record *rec);
int admin_redis_user_delete(struct admin_store *s, const char *realm, const void *user, size_t len);
int admin_redis_user_list(struct admin_store *s, const char *realm, admin_each *each, void *arg);
int admin_redis_secret_add(struct admin_store *s, const char *realm, const char *secret);
int admin_redis_secret_delete(struct admin_store *s, const char *realm, const char *secret);
int admin_redis_secret_list(struct admin_store *s, const char *realm, struct admin_secret *out,
                            size_t cap);

#endif
