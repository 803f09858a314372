// SPDX-License-Identifier: BSD-2-Clause
#include "auth/static_users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/uri.h"
#include "util/codec.h"
#include "util/rand.h"
#include "util/siphash.h"

struct static_user {
    struct auth_key key;
    uint8_t hash[STUN_USERHASH_LEN];
    size_t name_len;
    char name[AUTH_USER_MAX + 1];
};

// Two open-addressing tables of indexes + 1, by name and by USERHASH; 0 is empty. Never more than
// half full.
struct static_users {
    struct siphash_key key;
    size_t mask;
    uint32_t *by_name, *by_hash;
    size_t count;
    struct static_user user[];
};

static size_t slot_of(const struct static_users *s, const void *id, size_t len)
{
    return (size_t)siphash(&s->key, id, len) & s->mask;
}

static const struct static_user *find(const struct static_users *s, const void *id, size_t len,
                                      bool userhash)
{
    const uint32_t *table = userhash ? s->by_hash : s->by_name;

    for (size_t i = slot_of(s, id, len); table[i]; i = (i + 1) & s->mask) {
        const struct static_user *u = &s->user[table[i] - 1];
        if (userhash ? len == sizeof(u->hash) && memcmp(u->hash, id, len) == 0
                     : len == u->name_len && memcmp(u->name, id, len) == 0)
            return u;
    }
    return NULL;
}

static void insert(struct static_users *s, uint32_t *table, const void *id, size_t len,
                   uint32_t index)
{
    size_t i = slot_of(s, id, len);

    while (table[i])
        i = (i + 1) & s->mask;
    table[i] = index + 1;
}

static int take_user(struct static_users *s, const char *realm, const struct stores_user *from,
                     const char **why)
{
    struct static_user *u = &s->user[s->count];
    char shown[80];

    u->name_len = strlen(from->name);
    text_escape(shown, sizeof(shown), from->name, u->name_len);
    if (u->name_len == 0 || u->name_len > AUTH_USER_MAX) {
        *why = store_why("user \"%s\": a name has 1 to %d bytes", shown, AUTH_USER_MAX);
        return -EINVAL;
    }
    if (find(s, from->name, u->name_len, false)) {
        *why = store_why("user \"%s\" is listed twice", shown);
        return -EINVAL;
    }
    memcpy(u->name, from->name, u->name_len + 1);
    if (from->password) {
        size_t len = strlen(from->password);
        stun_key_md5(u->key.md5, u->name, u->name_len, realm, from->password, len);
        stun_key_sha256(u->key.sha256, u->name, u->name_len, realm, from->password, len);
        u->key.has_sha256 = true;
    } else if (!from->key || hex_decode(u->key.md5, sizeof(u->key.md5), from->key) < 0) {
        *why = store_why("user \"%s\": a password or a key of 32 hex digits is needed", shown);
        return -EINVAL;
    }
    u->key.has_md5 = true;
    stun_userhash(u->hash, u->name, u->name_len, realm);
    insert(s, s->by_name, u->name, u->name_len, (uint32_t)s->count);
    insert(s, s->by_hash, u->hash, sizeof(u->hash), (uint32_t)s->count);
    s->count++;
    return 0;
}

int static_users_new(struct static_users **out, const char *realm, const struct stores_user *users,
                     size_t count, const char **why)
{
    size_t slots = 8;
    int r = -ENOMEM;

    while (slots < count * 2)
        slots *= 2;
    *why = "out of memory";
    struct static_users *s = calloc(1, sizeof(*s) + count * sizeof(s->user[0]));
    if (!s)
        return -ENOMEM;
    s->mask = slots - 1;
    s->by_name = calloc(slots, sizeof(s->by_name[0]));
    s->by_hash = calloc(slots, sizeof(s->by_hash[0]));
    if (!s->by_name || !s->by_hash)
        goto fail;
    rand_bytes(&s->key, sizeof(s->key));
    for (size_t i = 0; i < count; i++) {
        r = take_user(s, realm, &users[i], why);
        if (r < 0)
            goto fail;
    }
    *out = s;
    return 0;
fail:
    static_users_free(s);
    return r;
}

void static_users_free(struct static_users *s)
{
    if (!s)
        return;
    free(s->by_name);
    free(s->by_hash);
    free(s);
}

bool static_users_find(const struct static_users *s, const struct store_query *q,
                       struct auth_record *rec)
{
    const struct static_user *u = find(s, q->id, q->id_len, q->userhash);

    if (!u)
        return false;
    memset(rec, 0, sizeof(*rec));
    memcpy(rec->user, u->name, u->name_len);
    rec->user_len = u->name_len;
    rec->keys[0] = u->key;
    rec->key_count = 1;
    return true;
}
