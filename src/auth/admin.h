// SPDX-License-Identifier: BSD-2-Clause
// What the admin CLI does to a store: blocking, in its own process, on SQLite or Redis.
#ifndef TP_AUTH_ADMIN_H
#define TP_AUTH_ADMIN_H

#include "auth/store.h"

struct admin_store;

// Opens the store of a URI for writing (SQLite: created, with its schema, mode 0640, if it is not
// there). 0 or a negative errno, *why then a text that names what failed, valid until the next
// call.
int admin_open(struct admin_store **out, const char *uri, const char **why);
void admin_close(struct admin_store *s);

// The text for the last call that failed.
const char *admin_error(const struct admin_store *s);

// Parts of a user's record, as bits.
enum {
    ADMIN_USER_PASSWORD = 1 << 0,
    ADMIN_USER_EXPIRES = 1 << 1,
    ADMIN_USER_DISABLED = 1 << 2,
    ADMIN_USER_MAX_ALLOCATIONS = 1 << 3,
    ADMIN_USER_MAX_BPS = 1 << 4,
};

// 0, -EEXIST, -ENOENT, -EIO; -EBADMSG from get and list: the record of a user is not sound.
// Changes are announced to running servers (Redis: published on turnpike:invalidate).
int admin_user_add(struct admin_store *s, const char *realm, const struct auth_record *rec);
int admin_user_get(struct admin_store *s, const char *realm, const void *user, size_t len,
                   struct auth_record *out);
// Changes what is named, together, and leaves the rest as it is by then: who changes something else
// of the same user at the same time does not lose it. -ENOENT
int admin_user_change(struct admin_store *s, const char *realm, const struct auth_record *rec,
                      unsigned what); // ADMIN_USER_
int admin_user_delete(struct admin_store *s, const char *realm, const void *user, size_t len);
// Calls each for every user of the realm, sorted by name; stops when it returns non-zero, which is
// then returned.
int admin_user_list(struct admin_store *s, const char *realm,
                    int (*each)(const struct auth_record *rec, void *arg), void *arg);

// Keys of access tokens (RFC 7635): records with is_token_key, created, expires and token_key; user
// is the kid. They are not changed but replaced by others with another kid. 0, -EEXIST, -ENOENT,
// -EINVAL, -EIO; -EBADMSG as above.
int admin_token_key_add(struct admin_store *s, const char *realm, const struct auth_record *rec);
int admin_token_key_get(struct admin_store *s, const char *realm, const void *kid, size_t len,
                        struct auth_record *out);
int admin_token_key_delete(struct admin_store *s, const char *realm, const void *kid, size_t len);
int admin_token_key_list(struct admin_store *s, const char *realm,
                         int (*each)(const struct auth_record *rec, void *arg), void *arg);

struct admin_secret {
    char id[17]; // first 16 hex digits of SHA-256 of the secret: what list shows and retire takes
    char secret[257];
    int64_t created;
};
int admin_secret_add(struct admin_store *s, const char *realm,
                     const char *secret); // -EEXIST, -ENOSPC beyond AUTH_KEYS_MAX
int admin_secret_retire(struct admin_store *s, const char *realm, const char *id); // -ENOENT
// More than add allows, in case another tool wrote some: what a list of them should have room for.
#define ADMIN_SECRETS_MAX (4 * AUTH_KEYS_MAX)
int admin_secret_list(struct admin_store *s, const char *realm, struct admin_secret *out,
                      size_t cap); // the number

#endif
