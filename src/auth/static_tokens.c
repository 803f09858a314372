// SPDX-License-Identifier: BSD-2-Clause
#include "auth/static_tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "auth/uri.h"
#include "util/codec.h"

struct static_token {
    size_t kid_len;
    char kid[TOKEN_KID_MAX + 1];
    struct token_key key;
};

// Searched one by one: there is one for each authorization server, and one more while it changes
// its key.
struct static_tokens {
    size_t count;
    struct static_token item[];
};

static int take_key(struct static_tokens *s, const struct stores_token_key *from, const char **why)
{
    struct static_token *t = &s->item[s->count];
    char shown[80];
    size_t len = strlen(from->kid);

    text_escape(shown, sizeof(shown), from->kid, len);
    if (len == 0 || len > TOKEN_KID_MAX) {
        *why = store_why("token key \"%s\": an id has 1 to %d bytes", shown, TOKEN_KID_MAX);
        return -EINVAL;
    }
    if (token_key_parse(&t->key, from->algorithm, from->key) < 0) {
        *why = store_why("token key \"%s\": %s takes %zu bytes in hex digits or base64", shown,
                         token_algorithm_name(from->algorithm), token_key_len(from->algorithm));
        return -EINVAL;
    }
    t->kid_len = len;
    memcpy(t->kid, from->kid, len + 1);
    s->count++;
    return 0;
}

int static_tokens_new(struct static_tokens **out, const struct stores_token_key *keys, size_t count,
                      const char **why)
{
    struct static_tokens *s = calloc(1, sizeof(*s) + count * sizeof(s->item[0]));

    *why = "out of memory";
    if (!s)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int r = take_key(s, &keys[i], why);
        if (r < 0) {
            static_tokens_free(s);
            return r;
        }
    }
    *out = s;
    return 0;
}

void static_tokens_free(struct static_tokens *s)
{
    if (!s)
        return;
    OPENSSL_cleanse(s->item, s->count * sizeof(s->item[0]));
    free(s);
}

bool static_tokens_find(const struct static_tokens *s, const struct store_query *q,
                        struct auth_record *rec)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct static_token *t = &s->item[i];
        if (t->kid_len != q->id_len || memcmp(t->kid, q->id, q->id_len) != 0)
            continue;
        memset(rec, 0, sizeof(*rec));
        memcpy(rec->user, t->kid, t->kid_len);
        rec->user_len = t->kid_len;
        rec->is_token_key = true;
        rec->token_key = t->key;
        return true;
    }
    return false;
}
