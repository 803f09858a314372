// SPDX-License-Identifier: BSD-2-Clause
#include "auth/redis_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "stun/cursor.h"
#include "util/codec.h"

const char *const redis_user_fields[REDIS_USER_FIELDS] = {
    "key_md5", "key_sha256", "created", "expires", "disabled", "max_allocations", "max_bps"};

const char *const redis_token_fields[REDIS_TOKEN_FIELDS] = {"algorithm", "key", "created",
                                                            "expires"};
const char *const coturn_token_fields[COTURN_TOKEN_FIELDS] = {"as_rs_alg", "ikm_key", "timestamp",
                                                              "lifetime", "realm"};

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

void redis_key_token(struct redis_key *k, const char *realm, const void *kid, size_t len)
{
    key_build(k, "turnpike:{", realm, "}:token:", kid, len, "");
}

void coturn_key_user(struct redis_key *k, const char *realm, const void *name, size_t len)
{
    key_build(k, "turn/realm/", realm, "/user/", name, len, "/key");
}

void coturn_key_secrets(struct redis_key *k, const char *realm)
{
    key_build(k, "turn/realm/", realm, "/secret", "", 0, "");
}

void coturn_key_token(struct redis_key *k, const void *kid, size_t len)
{
    key_build(k, "turn/oauth/kid/", "", "", kid, len, "");
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

// Whether none of the fields is there, which is how Redis says that there is no such hash.
static bool is_absent(const redisReply *reply)
{
    for (size_t i = 0; i < reply->elements; i++)
        if (reply->element[i]->type != REDIS_REPLY_NIL)
            return false;
    return true;
}

enum store_status redis_record_read(struct auth_record *rec, const redisReply *reply,
                                    const void *name, size_t len)
{
    uint64_t created, expires, disabled, allocations;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != REDIS_USER_FIELDS ||
        len > AUTH_USER_MAX)
        return STORE_UNAVAILABLE;
    if (is_absent(reply))
        return STORE_NOT_FOUND;
    redisReply *const *f = reply->element;
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

static bool read_algorithm(const redisReply *r, enum token_algorithm *out)
{
    return r->type == REDIS_REPLY_STRING && strlen(r->str) == r->len &&
           token_algorithm_parse(out, r->str) == 0;
}

enum store_status redis_token_read(struct auth_record *rec, const redisReply *reply,
                                   const void *kid, size_t len)
{
    uint64_t created, expires;
    bool has;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != REDIS_TOKEN_FIELDS ||
        len > TOKEN_KID_MAX)
        return STORE_UNAVAILABLE;
    if (is_absent(reply))
        return STORE_NOT_FOUND;
    redisReply *const *f = reply->element;
    record_begin(rec, kid, len);
    struct token_key *k = &rec->token_key;
    if (!read_algorithm(f[0], &k->algorithm) ||
        !read_hex(f[1], k->bytes, token_key_len(k->algorithm), &has) || !has ||
        !read_number(f[2], INT64_MAX, &created) || !read_number(f[3], INT64_MAX, &expires))
        return STORE_UNAVAILABLE;
    rec->is_token_key = true;
    rec->created = (int64_t)created;
    rec->expires = (int64_t)expires;
    return STORE_FOUND;
}

// coturn takes as many bytes of the text's beginning as the algorithm needs; its own examples have
// more.
static bool read_coturn_key(const redisReply *r, struct token_key *k)
{
    uint8_t bytes[256];
    int len =
        r->type == REDIS_REPLY_STRING ? base64_decode(bytes, sizeof(bytes), r->str, r->len) : -1;
    bool enough = len >= (int)token_key_len(k->algorithm);

    if (enough)
        memcpy(k->bytes, bytes, token_key_len(k->algorithm));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return enough;
}

static bool is_empty(const redisReply *r)
{
    return r->type == REDIS_REPLY_NIL || (r->type == REDIS_REPLY_STRING && r->len == 0);
}

enum store_status coturn_token_read(struct auth_record *rec, const redisReply *reply,
                                    const void *kid, size_t len, const char *realm)
{
    uint64_t since, lifetime;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != COTURN_TOKEN_FIELDS ||
        len > TOKEN_KID_MAX)
        return STORE_UNAVAILABLE;
    if (is_absent(reply))
        return STORE_NOT_FOUND;
    redisReply *const *f = reply->element;
    record_begin(rec, kid, len);
    struct token_key *k = &rec->token_key;
    k->algorithm = TOKEN_A256GCM;
    if ((!is_empty(f[0]) && !read_algorithm(f[0], &k->algorithm)) || !read_coturn_key(f[1], k) ||
        !read_number(f[2], INT64_MAX / 2, &since) || !read_number(f[3], INT64_MAX / 2, &lifetime) ||
        (f[4]->type != REDIS_REPLY_STRING && f[4]->type != REDIS_REPLY_NIL))
        return STORE_UNAVAILABLE;
    if (!is_empty(f[4]) && strcmp(f[4]->str, realm) != 0)
        return STORE_NOT_FOUND;
    rec->is_token_key = true;
    rec->created = (int64_t)since;
    rec->expires = lifetime ? (int64_t)(since + lifetime) : 0;
    return STORE_FOUND;
}

void redis_token_write(struct redis_token_text *out, const struct auth_record *rec)
{
    const struct token_key *k = &rec->token_key;

    snprintf(out->text[0], sizeof(out->text[0]), "%s", token_algorithm_name(k->algorithm));
    hex_encode(out->text[1], k->bytes, token_key_len(k->algorithm));
    snprintf(out->text[2], sizeof(out->text[2]), "%" PRId64, rec->created);
    snprintf(out->text[3], sizeof(out->text[3]), "%" PRId64, rec->expires);
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
    if (r->type != REDIS_REPLY_STRING || r->len == 0 || r->len > SECRET_MAX)
        return;
    if (list->count == AUTH_KEYS_MAX) {
        list->more = true;
        return;
    }
    list->item[list->count].len = r->len;
    memcpy(list->item[list->count].text, r->str, r->len);
    list->item[list->count].text[r->len] = 0;
    list->count++;
}

bool redis_secrets_read(struct secret_list *list, const redisReply *reply)
{
    list->count = 0;
    list->more = false;
    if (reply->type == REDIS_REPLY_STRING)
        add_secret(list, reply);
    else if (reply->type == REDIS_REPLY_ARRAY)
        for (size_t i = 0; i < reply->elements; i++)
            add_secret(list, reply->element[i]);
    else
        return reply->type == REDIS_REPLY_NIL;
    return true;
}
