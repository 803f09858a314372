// SPDX-License-Identifier: BSD-2-Clause
// The CLI's side of SQLite, in two files: users; secrets and the keys of access tokens.
#ifndef TP_AUTH_ADMIN_SQLITE_H
#define TP_AUTH_ADMIN_SQLITE_H

#include <sqlite3.h>

#include "auth/admin_ops.h"

struct admin_sqlite {
    struct admin_store admin;
    sqlite3 *db;
};

// Its database, borrowed.
sqlite3 *admin_sqlite_db(struct admin_store *s);

// Sets the error to SQLite's; -EIO.
int admin_sqlite_fail(struct admin_store *s);

// Prepares a statement with ?1 = realm. NULL: failed, the error is set.
sqlite3_stmt *admin_sqlite_prepare(struct admin_store *s, const char *sql, const char *realm);

// As in admin_ops.h.
int admin_sqlite_secret_add(struct admin_store *s, const char *realm, const char *secret);
int admin_sqlite_secret_delete(struct admin_store *s, const char *realm, const char *secret);
int admin_sqlite_secret_list(struct admin_store *s, const char *realm, struct admin_secret *out,
                             size_t cap);
int admin_sqlite_token_key_add(struct admin_store *s, const char *realm,
                               const struct auth_record *rec);
int admin_sqlite_token_key_get(struct admin_store *s, const char *realm, const void *kid,
                               size_t len, struct auth_record *out);
int admin_sqlite_token_key_delete(struct admin_store *s, const char *realm, const void *kid,
                                  size_t len);
int admin_sqlite_token_key_list(struct admin_store *s, const char *realm, admin_each *each,
                                void *arg);

#endif
