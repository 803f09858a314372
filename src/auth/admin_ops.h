// SPDX-License-Identifier: BSD-2-Clause
// What a kind of store does for admin.c.
#ifndef TP_AUTH_ADMIN_OPS_H
#define TP_AUTH_ADMIN_OPS_H

#include "auth/admin.h"
#include "auth/uri.h"

typedef int admin_each(const struct auth_record *rec, void *arg);

struct admin_ops {
    void (*close)(struct admin_store *s);
    int (*user_add)(struct admin_store *s, const char *realm, const struct auth_record *rec);
    int (*user_get)(struct admin_store *s, const char *realm, const void *user, size_t len,
                    struct auth_record *out);
    int (*user_change)(struct admin_store *s, const char *realm, const struct auth_record *rec,
                       unsigned what);
    int (*user_delete)(struct admin_store *s, const char *realm, const void *user, size_t len);
    int (*user_list)(struct admin_store *s, const char *realm, admin_each *each, void *arg);
    int (*token_key_add)(struct admin_store *s, const char *realm, const struct auth_record *rec);
    int (*token_key_get)(struct admin_store *s, const char *realm, const void *kid, size_t len,
                         struct auth_record *out);
    int (*token_key_delete)(struct admin_store *s, const char *realm, const void *kid, size_t len);
    int (*token_key_list)(struct admin_store *s, const char *realm, admin_each *each, void *arg);
    int (*secret_add)(struct admin_store *s, const char *realm, const char *secret);
    int (*secret_delete)(struct admin_store *s, const char *realm, const char *secret);
    // Newest first; id is filled by admin.c.
    int (*secret_list)(struct admin_store *s, const char *realm, struct admin_secret *out,
                       size_t cap);
};

// Begins each kind's own struct.
struct admin_store {
    const struct admin_ops *ops;
    char error[512];
};

// Each opens a store of its kind, for admin_open: 0, or a negative errno with *why.
int admin_sqlite_open(struct admin_store **out, const struct store_uri *uri, const char **why);
int admin_redis_open(struct admin_store **out, const struct store_uri *uri, const char **why);

// Sets the text of the store's error and returns r.
int admin_fail(struct admin_store *s, int r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

// Ready-made: "user ... exists in realm ...", "there is no user ... in realm ...",
// "the record of user ... is not sound".
int admin_user_exists(struct admin_store *s, const char *realm, const void *user, size_t len);
int admin_user_missing(struct admin_store *s, const char *realm, const void *user, size_t len);
int admin_user_damaged(struct admin_store *s, const char *realm, const void *user, size_t len);

// The same about the key of access tokens with that kid: r is -EEXIST, -ENOENT or -EBADMSG.
int admin_about_token_key(struct admin_store *s, int r, const char *realm, const void *kid,
                          size_t len);

#endif
