// SPDX-License-Identifier: BSD-2-Clause
#include "auth/redis_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stun/cursor.h"
#include "util/codec.h"

const char *const redis_user_fields[REDIS_USER_FIELDS] = {
    "key_md5", "key_sha256", "created", "expires", "disabled", "max_allocations", "max_bps"};

static void key_build(struct redis_key *k, const char *before, const char *realm,
                      const char *between, const void *id, size_t len, const char *after)
{
    struct cursor c = cursor_writer(k->text, sizeof(k->text) - 1);

    cursor_put(&c, before, strlen(before));
    cursor_put(&c, realm, strlen(realm));
    cursor_put(&c, between, strlen(between));
    cursor_put(&c, id, len);
    cursor_put(&c, after, strlen(after));
    k->len = c.ok ? c.pos : 0;
    k->text[k->len] = 0;
}

void redis_key_user(struct redis_key *k, const char *realm, const void *name, size_t len)
{
    key_build(k, "turnpike:{", realm, "}:user:", name, len, "");
}

void redis_key_userhash(struct redis_key *k, const char *realm, const void *hash)
{
    char hex[2 * STUN_USERHASH_LEN + 1];

    hex_encode(hex, hash, STUN_USERHASH_LEN);
    key_build(k, "turnpike:{", realm, "}:userhash:", hex, sizeof(hex) - 1, "");
}

void redis_key_secrets(struct redis_key *k, const char *realm)
{
    key_build(k, "turnpike:{", realm, "}:secrets", "", 0, "");
}

void coturn_key_user(struct redis_key *k, const char *realm, const void *name, size_t len)
{
    key_build(k, "turn/realm/", realm, "/user/", name, len, "/key");
}

void coturn_key_secrets(struct redis_key *k, const char *realm)
{
    key_build(k, "turn/realm/", realm, "/secret", "", 0, "");
}

static bool read_hex(const redisReply *r, uint8_t *out, size_t len, bool *has)
{
    *has = false;
    if (r->type == REDIS_REPLY_NIL)
        return true;
    if (r->type != REDIS_REPLY_STRING)
        return false;
    if (r->len == 0)
        return true;
    *has = r->len == 2 * len && hex_decode(out, len, r->str) == 0;
    return *has;
}

// Digits only. An absent field is 0.
static bool read_number(const redisReply *r, uint64_t max, uint64_t *out)
{
    *out = 0;
    if (r->type == REDIS_REPLY_NIL)
        return true;
    if (r->type != REDIS_REPLY_STRING || r->len == 0 || r->len > 19)
        return false;
    for (size_t i = 0; i < r->len; i++) {
        if (r->str[i] < '0' || r->str[i] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(r->str[i] - '0');
    }
    return *out <= max;
}

static void record_begin(struct auth_record *rec, const void *name, size_t len)
{
    memset(rec, 0, sizeof(*rec));
    memcpy(rec->user, name, len);
    rec->user_len = len;
}

enum store_status redis_record_read(struct auth_record *rec, const redisReply *reply,
                                    const void *name, size_t len)
{
    uint64_t created, expires, disabled, allocations;
    bool absent = true;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != REDIS_USER_FIELDS ||
        len > AUTH_USER_MAX)
        return STORE_UNAVAILABLE;
    redisReply *const *f = reply->element;
    for (size_t i = 0; i < REDIS_USER_FIELDS; i++)
        absent = absent && f[i]->type == REDIS_REPLY_NIL;
    if (absent)
        return STORE_NOT_FOUND;

    record_begin(rec, name, len);
    struct auth_key *k = &rec->keys[0];
    if (!read_hex(f[0], k->md5, sizeof(k->md5), &k->has_md5) ||
        !read_hex(f[1], k->sha256, sizeof(k->sha256), &k->has_sha256) ||
        !(k->has_md5 || k->has_sha256) || !read_number(f[2], INT64_MAX, &created) ||
        !read_number(f[3], INT64_MAX, &expires) || !read_number(f[4], 1, &disabled) ||
        !read_number(f[5], UINT32_MAX, &allocations) ||
        !read_number(f[6], INT64_MAX, &rec->max_bps))
        return STORE_UNAVAILABLE;
    rec->key_count = 1;
    rec->created = (int64_t)created;
    rec->expires = (int64_t)expires;
    rec->disabled = disabled != 0;
    rec->max_allocations = (uint32_t)allocations;
    return STORE_FOUND;
}

enum store_status coturn_record_read(struct auth_record *rec, const redisReply *reply,
                                     const void *name, size_t len)
{
    if (reply->type == REDIS_REPLY_NIL)
        return STORE_NOT_FOUND;
    if (len > AUTH_USER_MAX)
        return STORE_UNAVAILABLE;
    record_begin(rec, name, len);
    if (!read_hex(reply, rec->keys[0].md5, STUN_KEY_MD5_LEN, &rec->keys[0].has_md5) ||
        !rec->keys[0].has_md5)
        return STORE_UNAVAILABLE;
    rec->key_count = 1;
    return STORE_FOUND;
}

void redis_record_write(struct redis_fields *out, const struct auth_record *rec)
{
    const struct auth_key *k = &rec->keys[0];

    memset(out, 0, sizeof(*out));
    if (rec->key_count > 0 && k->has_md5)
        hex_encode(out->text[0], k->md5, sizeof(k->md5));
    if (rec->key_count > 0 && k->has_sha256)
        hex_encode(out->text[1], k->sha256, sizeof(k->sha256));
    snprintf(out->text[2], sizeof(out->text[2]), "%" PRId64, rec->created);
    snprintf(out->text[3], sizeof(out->text[3]), "%" PRId64, rec->expires);
    snprintf(out->text[4], sizeof(out->text[4]), "%d", rec->disabled ? 1 : 0);
    snprintf(out->text[5], sizeof(out->text[5]), "%" PRIu32, rec->max_allocations);
    snprintf(out->text[6], sizeof(out->text[6]), "%" PRIu64, rec->max_bps);
}

static void add_secret(struct secret_list *list, const redisReply *r)
{
    if (r->type != REDIS_REPLY_STRING || r->len == 0 || r->len > SECRET_MAX ||
        list->count == AUTH_KEYS_MAX)
        return;
    list->item[list->count].len = r->len;
    memcpy(list->item[list->count].text, r->str, r->len);
    list->item[list->count].text[r->len] = 0;
    list->count++;
}

bool redis_secrets_read(struct secret_list *list, const redisReply *reply)
{
    list->count = 0;
    if (reply->type == REDIS_REPLY_STRING)
        add_secret(list, reply);
    else if (reply->type == REDIS_REPLY_ARRAY)
        for (size_t i = 0; i < reply->elements; i++)
            add_secret(list, reply->element[i]);
    else
        return reply->type == REDIS_REPLY_NIL;
    return true;
}
