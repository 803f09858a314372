// SPDX-License-Identifier: BSD-2-Clause
// The users that the configuration itself lists.
#ifndef TP_AUTH_STATIC_USERS_H
#define TP_AUTH_STATIC_USERS_H

#include "auth/stores.h"

struct static_users;

// Takes what it needs from users: nothing is borrowed. 0 or a negative errno with *why.
int static_users_new(struct static_users **out, const char *realm, const struct stores_user *users,
                     size_t count, const char **why);
void static_users_free(struct static_users *s);

// Fills *rec; false when there is no such user.
bool static_users_find(const struct static_users *s, const struct store_query *q,
                       struct auth_record *rec);

#endif
