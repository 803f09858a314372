// SPDX-License-Identifier: BSD-2-Clause
// Keys of access tokens in Redis. Each change is one script, so that it is atomic and published
// exactly when it was made.
#include <errno.h>

#include "auth/admin_redis.h"

// KEYS: key. ARGV: message, then the fields' names and values.
static const char add_script[] =
    "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end "
    "for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end "
    "redis.call('PUBLISH', '" REDIS_CHANNEL "', ARGV[1]) return 1";

// KEYS: key. ARGV: message.
static const char delete_script[] = "local n = redis.call('DEL', KEYS[1]) "
                                    "redis.call('PUBLISH', '" REDIS_CHANNEL "', ARGV[1]) return n";

static int begin(struct admin_store *s, struct redis_args *a, const char *script,
                 struct redis_key *key, struct redis_key *message, const char *realm,
                 const void *kid, size_t len)
{
    redis_key_token(key, realm, kid, len);
    admin_redis_message(message, realm, "token", kid, len);
    if (key->len == 0 || message->len == 0)
        return admin_fail(s, -EINVAL, "the realm is too long");
    redis_args_add_text(a, "EVAL");
    redis_args_add_text(a, script);
    redis_args_add_text(a, "1");
    redis_args_add(a, key->text, key->len);
    redis_args_add(a, message->text, message->len);
    return 0;
}

int admin_redis_token_key_add(struct admin_store *s, const char *realm,
                              const struct auth_record *rec)
{
    struct redis_args a = {0};
    struct redis_key key, message;
    struct redis_token_text f;
    long long n;
    int r = begin(s, &a, add_script, &key, &message, realm, rec->user, rec->user_len);

    if (r < 0)
        return r;
    redis_token_write(&f, rec);
    for (size_t i = 0; i < REDIS_TOKEN_FIELDS; i++) {
        redis_args_add_text(&a, redis_token_fields[i]);
        redis_args_add_text(&a, f.text[i]);
    }
    if (!admin_redis_run_number(s, &a, &n))
        return -EIO;
    return n == 1 ? 0 : admin_about_token_key(s, -EEXIST, realm, rec->user, rec->user_len);
}

int admin_redis_token_key_get(struct admin_store *s, const char *realm, const void *kid, size_t len,
                              struct auth_record *out)
{
    struct redis_args a = {0};
    struct redis_key key;

    redis_key_token(&key, realm, kid, len);
    redis_args_add_text(&a, "HMGET");
    redis_args_add(&a, key.text, key.len);
    for (size_t i = 0; i < REDIS_TOKEN_FIELDS; i++)
        redis_args_add_text(&a, redis_token_fields[i]);
    redisReply *reply = admin_redis_run(s, &a);
    if (!reply && ((struct admin_redis *)s)->wrong_type)
        return admin_about_token_key(s, -EBADMSG, realm, kid, len);
    if (!reply)
        return -EIO;
    enum store_status status = redis_token_read(out, reply, kid, len);
    freeReplyObject(reply);
    if (status == STORE_FOUND)
        return 0;
    return admin_about_token_key(s, status == STORE_NOT_FOUND ? -ENOENT : -EBADMSG, realm, kid,
                                 len);
}

int admin_redis_token_key_delete(struct admin_store *s, const char *realm, const void *kid,
                                 size_t len)
{
    struct redis_args a = {0};
    struct redis_key key, message;
    long long n;
    int r = begin(s, &a, delete_script, &key, &message, realm, kid, len);

    if (r < 0)
        return r;
    if (!admin_redis_run_number(s, &a, &n))
        return -EIO;
    return n > 0 ? 0 : admin_about_token_key(s, -ENOENT, realm, kid, len);
}

int admin_redis_token_key_list(struct admin_store *s, const char *realm, admin_each *each,
                               void *arg)
{
    return admin_redis_list(s, realm, "}:token:", admin_redis_token_key_get, each, arg);
}
