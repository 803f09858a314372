// SPDX-License-Identifier: BSD-2-Clause
// Credentials made from a shared secret (draft-uberti-behave-turn-rest): the user name is "<unix
// expiry>[:<id>]", the password base64(HMAC-SHA1(secret, user name)).
#ifndef TP_AUTH_SHARED_SECRET_H
#define TP_AUTH_SHARED_SECRET_H

#include "auth/store.h"

// The expiry in such a name, or -1 for a name that is not of this form: decimal digits without sign
// or space, at most 12 of them (the year 33658), then the end or a colon.
int64_t shared_secret_expiry(const void *name, size_t len);

// Starts a record for such a name, without keys.
void shared_secret_begin(struct auth_record *rec, const void *name, size_t len, int64_t expires);

// Adds the keys that secret gives for the record's name. False: the record is full. Does nothing
// when memory is short.
bool shared_secret_add_key(struct auth_record *rec, const char *realm, const char *secret,
                           size_t secret_len);

// What a client logs in with.
struct shared_secret_credential {
    char name[AUTH_USER_MAX + 1];
    char password[29]; // base64 of 20 bytes
};

// Makes one that is good until expires (Unix seconds). id: behind the expiry, as it is; NULL: none.
// 0; -EINVAL: the name would be longer than AUTH_USER_MAX; -ENOMEM.
int shared_secret_make(struct shared_secret_credential *out, const char *secret, int64_t expires,
                       const char *id);

#endif
