// SPDX-License-Identifier: BSD-2-Clause
#include "auth/admin_redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/redis_connect.h"
#include "util/codec.h"

void redis_args_add(struct redis_args *a, const void *data, size_t len)
{
    a->data[a->count] = data;
    a->len[a->count] = len;
    a->count++;
}

void redis_args_add_text(struct redis_args *a, const char *text)
{
    redis_args_add(a, text, strlen(text));
}

// Sets the error to what Redis, or the connection to it, says; -EIO.
static int fail(struct admin_store *s, const char *why)
{
    const redisContext *c = ((struct admin_redis *)s)->c;

    if (c->connection_type == REDIS_CONN_UNIX)
        return admin_fail(s, -EIO, "redis %s: %s", c->unix_sock.path, why);
    return admin_fail(s, -EIO, "redis %s:%d: %s", c->tcp.host, c->tcp.port, why);
}

redisReply *admin_redis_run(struct admin_store *s, const struct redis_args *a)
{
    struct admin_redis *redis = (struct admin_redis *)s;
    redisContext *c = redis->c;
    redisReply *reply =
        redisCommandArgv(c, (int)a->count, (const char **)(uintptr_t)a->data, a->len);
    char shown[256];

    redis->wrong_type = false;
    if (!reply) {
        fail(s, redis_connect_why(c));
    } else if (reply->type == REDIS_REPLY_ERROR) {
        redis->wrong_type = strncmp(reply->str, "WRONGTYPE", 9) == 0;
        fail(s, text_escape(shown, sizeof(shown), reply->str, reply->len));
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

bool admin_redis_run_number(struct admin_store *s, const struct redis_args *a, long long *out)
{
    redisReply *reply = admin_redis_run(s, a);

    if (!reply)
        return false;
    bool ok = reply->type == REDIS_REPLY_INTEGER;
    if (ok)
        *out = reply->integer;
    else
        admin_fail(s, -EIO, "redis: an answer of the wrong type");
    freeReplyObject(reply);
    return ok;
}

void admin_redis_message(struct redis_key *m, const char *realm, const char *kind, const void *id,
                         size_t len)
{
    int n = snprintf(m->text, sizeof(m->text), id ? "%s %s " : "%s %s", realm, kind);

    if (n < 0 || (size_t)n + len >= sizeof(m->text)) {
        m->len = 0;
        return;
    }
    if (id)
        memcpy(m->text + n, id, len);
    m->len = (size_t)n + len;
}

static int log_in_step(struct admin_store *s, struct redis_args *a, const char **why)
{
    redisReply *reply = admin_redis_run(s, a);

    if (!reply) {
        *why = store_why("%s (at %s)", s->error, a->data[0]);
        return -EIO;
    }
    freeReplyObject(reply);
    return 0;
}

static int log_in(struct admin_store *s, const struct store_uri *u, const char **why)
{
    struct redis_args auth = {0}, choose = {0}, ping = {0};
    char db[12];
    int r = 0;

    if (u->password[0]) {
        redis_args_add_text(&auth, "AUTH");
        if (u->user[0])
            redis_args_add_text(&auth, u->user);
        redis_args_add_text(&auth, u->password);
        r = log_in_step(s, &auth, why);
    }
    if (r == 0 && u->db) {
        snprintf(db, sizeof(db), "%u", u->db);
        redis_args_add_text(&choose, "SELECT");
        redis_args_add_text(&choose, db);
        r = log_in_step(s, &choose, why);
    }
    redis_args_add_text(&ping, "PING");
    return r < 0 ? r : log_in_step(s, &ping, why);
}

static void close_store(struct admin_store *s)
{
    redisFree(((struct admin_redis *)s)->c);
    free(s);
}

static const struct admin_ops redis_admin = {.close = close_store,
                                             .user_add = admin_redis_user_add,
                                             .user_get = admin_redis_user_get,
                                             .user_change = admin_redis_user_change,
                                             .user_delete = admin_redis_user_delete,
                                             .user_list = admin_redis_user_list,
                                             .token_key_add = admin_redis_token_key_add,
                                             .token_key_get = admin_redis_token_key_get,
                                             .token_key_delete = admin_redis_token_key_delete,
                                             .token_key_list = admin_redis_token_key_list,
                                             .secret_add = admin_redis_secret_add,
                                             .secret_delete = admin_redis_secret_delete,
                                             .secret_list = admin_redis_secret_list};

int admin_redis_open(struct admin_store **out, const struct store_uri *uri, const char **why)
{
    struct admin_redis *s = calloc(1, sizeof(*s));

    *why = "out of memory";
    if (!s)
        return -ENOMEM;
    s->admin.ops = &redis_admin;
    s->c = redis_connect(uri, why);
    if (!s->c) {
        free(s);
        return -EIO;
    }
    int r = log_in(&s->admin, uri, why);
    if (r < 0) {
        close_store(&s->admin);
        return r;
    }
    *out = &s->admin;
    return 0;
}
