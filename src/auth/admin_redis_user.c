// SPDX-License-Identifier: BSD-2-Clause
// Users in Redis. Each change is one script, so that it is atomic, keeps the index by USERHASH
// right, and is published exactly when it was made.
#include "auth/admin_redis.h"

#include <errno.h>

// KEYS: user, index. ARGV: name, message, wanted ("0": must be new, "1": must exist), then the
// names and values of those fields that change.
static const char put_script[] =
    "if redis.call('EXISTS', KEYS[1]) ~= tonumber(ARGV[3]) then return 0 end "
    "for i = 4, #ARGV, 2 do if ARGV[i + 1] ~= '' then"
    " redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) else"
    " redis.call('HDEL', KEYS[1], ARGV[i]) end end "
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
    admin_redis_message(&k->message, realm, "user", user, len);
    if (k->user.len == 0 || k->index.len == 0 || k->message.len == 0)
        return admin_fail(s, -EINVAL, "the realm is too long");
    return 0;
}

// What each of redis_user_fields is part of; the time of its creation never changes.
static const unsigned field_part[REDIS_USER_FIELDS] = {
    ADMIN_USER_PASSWORD,        ADMIN_USER_PASSWORD, 0, ADMIN_USER_EXPIRES, ADMIN_USER_DISABLED,
    ADMIN_USER_MAX_ALLOCATIONS, ADMIN_USER_MAX_BPS,
};

// what: NULL for a new one.
static int put(struct admin_store *s, const char *realm, const struct auth_record *rec,
               const unsigned *what)
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
    redis_args_add_text(&a, what ? "1" : "0");
    for (size_t i = 0; i < REDIS_USER_FIELDS; i++) {
        if (what && !(*what & field_part[i]))
            continue;
        redis_args_add_text(&a, redis_user_fields[i]);
        redis_args_add_text(&a, f.text[i]);
    }
    if (!admin_redis_run_number(s, &a, &n))
        return -EIO;
    if (n == 1)
        return 0;
    return what ? admin_user_missing(s, realm, rec->user, rec->user_len)
                : admin_user_exists(s, realm, rec->user, rec->user_len);
}

int admin_redis_user_add(struct admin_store *s, const char *realm, const struct auth_record *rec)
{
    return put(s, realm, rec, NULL);
}

int admin_redis_user_change(struct admin_store *s, const char *realm, const struct auth_record *rec,
                            unsigned what)
{
    return put(s, realm, rec, &what);
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

int admin_redis_user_list(struct admin_store *s, const char *realm, admin_each *each, void *arg)
{
    return admin_redis_list(s, realm, "}:user:", admin_redis_user_get, each, arg);
}
