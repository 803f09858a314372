// SPDX-License-Identifier: BSD-2-Clause
// The keys of access tokens that the configuration itself lists.
#ifndef TP_AUTH_STATIC_TOKENS_H
#define TP_AUTH_STATIC_TOKENS_H

#include "auth/stores.h"

struct static_tokens;

// Takes what it needs: nothing is borrowed. 0 or a negative errno with *why.
int static_tokens_new(struct static_tokens **out, const struct stores_token_key *keys, size_t count,
                      const char **why);
void static_tokens_free(struct static_tokens *s);

// Fills *rec; false when there is no such key.
bool static_tokens_find(const struct static_tokens *s, const struct store_query *q,
                        struct auth_record *rec);

#endif
