// SPDX-License-Identifier: BSD-2-Clause
// Shared secrets in Redis. Each change is one script, so that it is atomic and published exactly
// when it was made.
#include "auth/admin_redis.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// KEYS: secrets. ARGV: secret, created, most, message.
static const char secret_add_script[] =
    "if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end "
    "if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return -1 end "
    "redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) "
    "redis.call('PUBLISH', '" REDIS_CHANNEL "', ARGV[4]) return 1";

// KEYS: secrets. ARGV: secret, message.
static const char secret_delete_script[] =
    "local n = redis.call('ZREM', KEYS[1], ARGV[1]) "
    "redis.call('PUBLISH', '" REDIS_CHANNEL "', ARGV[2]) return n";

int admin_redis_secret_add(struct admin_store *s, const char *realm, const char *secret)
{
    struct redis_args a = {0};
    struct redis_key key, message;
    char created[24], most[8];
    long long n;

    redis_key_secrets(&key, realm);
    admin_redis_message(&message, realm, "secrets", NULL, 0);
    snprintf(created, sizeof(created), "%" PRId64, (int64_t)time(NULL));
    snprintf(most, sizeof(most), "%d", AUTH_KEYS_MAX);
    redis_args_add_text(&a, "EVAL");
    redis_args_add_text(&a, secret_add_script);
    redis_args_add_text(&a, "1");
    redis_args_add(&a, key.text, key.len);
    redis_args_add_text(&a, secret);
    redis_args_add_text(&a, created);
    redis_args_add_text(&a, most);
    redis_args_add(&a, message.text, message.len);
    if (!admin_redis_run_number(s, &a, &n))
        return -EIO;
    if (n == 0)
        return admin_fail(s, -EEXIST, "this secret is there already");
    if (n < 0)
        return admin_fail(s, -ENOSPC, "there are %d secrets already; retire one first",
                          AUTH_KEYS_MAX);
    return 0;
}

int admin_redis_secret_delete(struct admin_store *s, const char *realm, const char *secret)
{
    struct redis_args a = {0};
    struct redis_key key, message;
    long long n;

    redis_key_secrets(&key, realm);
    admin_redis_message(&message, realm, "secrets", NULL, 0);
    redis_args_add_text(&a, "EVAL");
    redis_args_add_text(&a, secret_delete_script);
    redis_args_add_text(&a, "1");
    redis_args_add(&a, key.text, key.len);
    redis_args_add_text(&a, secret);
    redis_args_add(&a, message.text, message.len);
    if (!admin_redis_run_number(s, &a, &n))
        return -EIO;
    return n > 0 ? 0 : -ENOENT;
}

int admin_redis_secret_list(struct admin_store *s, const char *realm, struct admin_secret *out,
                            size_t cap)
{
    struct redis_args a = {0};
    struct redis_key key;
    size_t n = 0;

    redis_key_secrets(&key, realm);
    redis_args_add_text(&a, "ZREVRANGE");
    redis_args_add(&a, key.text, key.len);
    redis_args_add_text(&a, "0");
    redis_args_add_text(&a, "-1");
    redis_args_add_text(&a, "WITHSCORES");
    redisReply *reply = admin_redis_run(s, &a);
    if (!reply)
        return -EIO;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements && n < cap;
         i += 2) {
        const redisReply *text = reply->element[i], *score = reply->element[i + 1];
        if (text->type != REDIS_REPLY_STRING || text->len == 0 ||
            text->len >= sizeof(out->secret) || score->type != REDIS_REPLY_STRING)
            continue;
        memcpy(out[n].secret, text->str, text->len);
        out[n].secret[text->len] = 0;
        double created = strtod(score->str, NULL); // another tool's may be no time
        out[n].created = created > 0 && created < 1e12 ? (int64_t)created : 0;
        n++;
    }
    freeReplyObject(reply);
    return (int)n;
}
