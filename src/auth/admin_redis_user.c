// SPDX-License-Identifier: BSD-2-Clause
// Users in Redis. Each change is one script, so that it is atomic, keeps the index by USERHASH
// right, and is published exactly when it was made.
#include "auth/admin_redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// KEYS: user, index. ARGV: name, message, wanted ("0": must be new, "1": must exist), then the
// fields' names and values.
static const char put_script[] =
    "if redis.call('EXISTS', KEYS[1]) ~= tonumber(ARGV[3]) then return 0 end "
    "redis.call('DEL', KEYS[1]) "
    "for i = 4, #ARGV, 2 do if ARGV[i + 1] ~= '' then"
    " redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end end "
    "redis.call('SET', KEYS[2], ARGV[1]) "
    "redis.call('PUBLISH', '" REDIS_CHANNEL "', ARGV[2]) return 1";

// KEYS: user, index. ARGV: message.
static const char delete_script[] = "redis.call('DEL', KEYS[2]) "
                                    "local n = redis.call('DEL', KEYS[1]) "
                                    "redis.call('PUBLISH', '" REDIS_CHANNEL "', ARGV[1]) return n";

struct user_keys {
    struct redis_key user, index, message;
};

static int make_user_keys(struct admin_store *s, struct user_keys *k, const char *realm,
                          const void *user, size_t len)
{
    uint8_t hash[STUN_USERHASH_LEN];

    stun_userhash(hash, user, len, realm);
    redis_key_user(&k->user, realm, user, len);
    redis_key_userhash(&k->index, realm, hash);
    admin_redis_message(&k->message, realm, user, len);
    if (k->user.len == 0 || k->index.len == 0 || k->message.len == 0)
        return admin_fail(s, -EINVAL, "the realm is too long");
    return 0;
}

static int put(struct admin_store *s, const char *realm, const struct auth_record *rec,
               const char *wanted)
{
    struct redis_args a = {0};
    struct user_keys k;
    struct redis_fields f;
    long long n;
    int r = make_user_keys(s, &k, realm, rec->user, rec->user_len);

    if (r < 0)
        return r;
    redis_record_write(&f, rec);
    redis_args_add_text(&a, "EVAL");
    redis_args_add_text(&a, put_script);
    redis_args_add_text(&a, "2");
    redis_args_add(&a, k.user.text, k.user.len);
    redis_args_add(&a, k.index.text, k.index.len);
    redis_args_add(&a, rec->user, rec->user_len);
    redis_args_add(&a, k.message.text, k.message.len);
    redis_args_add_text(&a, wanted);
    for (size_t i = 0; i < REDIS_USER_FIELDS; i++) {
        redis_args_add_text(&a, redis_user_fields[i]);
        redis_args_add_text(&a, f.text[i]);
    }
    if (!admin_redis_run_number(s, &a, &n))
        return -EIO;
    if (n == 1)
        return 0;
    return wanted[0] == '0' ? admin_user_exists(s, realm, rec->user, rec->user_len)
                            : admin_user_missing(s, realm, rec->user, rec->user_len);
}

int admin_redis_user_add(struct admin_store *s, const char *realm, const struct auth_record *rec)
{
    return put(s, realm, rec, "0");
}

int admin_redis_user_put(struct admin_store *s, const char *realm, const struct auth_record *rec)
{
    return put(s, realm, rec, "1");
}

int admin_redis_user_get(struct admin_store *s, const char *realm, const void *user, size_t len,
                         struct auth_record *out)
{
    struct redis_args a = {0};
    struct redis_key key;

    redis_key_user(&key, realm, user, len);
    redis_args_add_text(&a, "HMGET");
    redis_args_add(&a, key.text, key.len);
    for (size_t i = 0; i < REDIS_USER_FIELDS; i++)
        redis_args_add_text(&a, redis_user_fields[i]);
    redisReply *reply = admin_redis_run(s, &a);
    if (!reply && ((struct admin_redis *)s)->wrong_type)
        return admin_user_damaged(s, realm, user, len);
    if (!reply)
        return -EIO;
    enum store_status status = redis_record_read(out, reply, user, len);
    freeReplyObject(reply);
    if (status == STORE_NOT_FOUND)
        return admin_user_missing(s, realm, user, len);
    if (status != STORE_FOUND)
        return admin_user_damaged(s, realm, user, len);
    return 0;
}

int admin_redis_user_delete(struct admin_store *s, const char *realm, const void *user, size_t len)
{
    struct redis_args a = {0};
    struct user_keys k;
    long long n;
    int r = make_user_keys(s, &k, realm, user, len);

    if (r < 0)
        return r;
    redis_args_add_text(&a, "EVAL");
    redis_args_add_text(&a, delete_script);
    redis_args_add_text(&a, "2");
    redis_args_add(&a, k.user.text, k.user.len);
    redis_args_add(&a, k.index.text, k.index.len);
    redis_args_add(&a, k.message.text, k.message.len);
    if (!admin_redis_run_number(s, &a, &n))
        return -EIO;
    return n > 0 ? 0 : admin_user_missing(s, realm, user, len);
}

// --- the list of users ---

struct name {
    size_t len;
    uint8_t bytes[AUTH_USER_MAX];
};

struct name_list {
    struct name *item;
    size_t count, room;
};

static bool name_add(struct name_list *l, const void *bytes, size_t len)
{
    if (l->count == l->room) {
        size_t room = l->room ? l->room * 2 : 64;
        struct name *grown = realloc(l->item, room * sizeof(*grown));
        if (!grown)
            return false;
        l->item = grown;
        l->room = room;
    }
    l->item[l->count].len = len;
    memcpy(l->item[l->count].bytes, bytes, len);
    l->count++;
    return true;
}

static int name_compare(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    int d = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);

    return d ? d : (x->len > y->len) - (x->len < y->len);
}

// The pattern of every user's key, with what is special in a realm quoted.
static bool make_pattern(char *out, size_t cap, const char *realm)
{
    size_t n = (size_t)snprintf(out, cap, "turnpike:{");

    for (; *realm; realm++) {
        if (n + 16 >= cap)
            return false;
        if (strchr("*?[]\\^", *realm))
            out[n++] = '\\';
        out[n++] = *realm;
    }
    memcpy(out + n, "}:user:*", sizeof("}:user:*"));
    return true;
}

static int take_page(struct admin_store *s, struct name_list *l, const redisReply *reply,
                     size_t prefix, char *cursor, size_t cap)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING || reply->element[0]->len >= cap ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return admin_fail(s, -EIO, "redis: an answer of the wrong type");
    memcpy(cursor, reply->element[0]->str, reply->element[0]->len + 1);
    for (size_t i = 0; i < reply->element[1]->elements; i++) {
        const redisReply *key = reply->element[1]->element[i];
        if (key->type == REDIS_REPLY_STRING && key->len > prefix &&
            key->len - prefix <= AUTH_USER_MAX &&
            !name_add(l, key->str + prefix, key->len - prefix))
            return admin_fail(s, -ENOMEM, "out of memory");
    }
    return 0;
}

static int collect_names(struct admin_store *s, const char *realm, struct name_list *l)
{
    char pattern[1700], cursor[32] = "0";
    size_t prefix = strlen("turnpike:{") + strlen(realm) + strlen("}:user:");
    int r = 0;

    if (!make_pattern(pattern, sizeof(pattern), realm))
        return admin_fail(s, -EINVAL, "the realm is too long");
    do {
        struct redis_args a = {0};
        redis_args_add_text(&a, "SCAN");
        redis_args_add_text(&a, cursor);
        redis_args_add_text(&a, "MATCH");
        redis_args_add_text(&a, pattern);
        redis_args_add_text(&a, "COUNT");
        redis_args_add_text(&a, "1000");
        redisReply *reply = admin_redis_run(s, &a);
        if (!reply)
            return -EIO;
        r = take_page(s, l, reply, prefix, cursor, sizeof(cursor));
        freeReplyObject(reply);
    } while (r == 0 && strcmp(cursor, "0") != 0);
    return r;
}

int admin_redis_user_list(struct admin_store *s, const char *realm, admin_each *each, void *arg)
{
    struct name_list l = {0};
    struct auth_record rec;
    int r = collect_names(s, realm, &l);

    if (r == 0 && l.count > 0)
        qsort(l.item, l.count, sizeof(l.item[0]), name_compare);
    for (size_t i = 0; r == 0 && i < l.count; i++) {
        // SCAN may name a key twice.
        if (i > 0 && name_compare(&l.item[i - 1], &l.item[i]) == 0)
            continue;
        r = admin_redis_user_get(s, realm, l.item[i].bytes, l.item[i].len, &rec);
        if (r == 0)
            r = each(&rec, arg);
        else if (r == -ENOENT) // deleted meanwhile
            r = 0;
    }
    free(l.item);
    return r;
}
