// SPDX-License-Identifier: BSD-2-Clause
#include "auth/redis_login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/redis_record.h"
#include "util/addr.h"
#include "util/codec.h"
#include "util/log.h"

bool redis_login_words(struct redis_conn *c, redis_reply_cb *cb, const char *const *words,
                       size_t count)
{
    struct redis_arg argv[3];

    for (size_t i = 0; i < count; i++)
        argv[i] = (struct redis_arg){words[i], strlen(words[i])};
    return redis_conn_command(c, argv, count, cb, c);
}

bool redis_login_accept(struct redis_conn *c, const redisReply *reply, const char *command)
{
    char shown[128];

    if (!reply)
        return false;
    if (reply->type != REDIS_REPLY_ERROR)
        return true;
    redis_conn_fail(c, "%s: %s", command,
                    text_escape(shown, sizeof(shown), reply->str, reply->len));
    return false;
}

static void on_auth(const redisReply *reply, void *arg)
{
    redis_login_accept(arg, reply, "AUTH");
}

static void on_select(const redisReply *reply, void *arg)
{
    redis_login_accept(arg, reply, "SELECT");
}

static void on_last_step(const redisReply *reply, void *arg)
{
    struct redis_conn *c = arg;
    char shown[128];

    // The other connection tells of an outage, but not of this: it may be well.
    if (c->cfg.subscriber && reply && reply->type == REDIS_REPLY_ERROR && !c->refused) {
        c->refused = true;
        log_warning("store",
                    "redis %s:%u: SUBSCRIBE " REDIS_CHANNEL " is refused: %s; until it is "
                    "not, every look-up asks Redis",
                    c->target.host, c->target.port,
                    text_escape(shown, sizeof(shown), reply->str, reply->len));
    }
    if (!redis_login_accept(c, reply, c->cfg.subscriber ? "SUBSCRIBE" : "PING"))
        return;
    if (reply->type != (c->cfg.subscriber ? REDIS_REPLY_ARRAY : REDIS_REPLY_STATUS)) {
        redis_conn_fail(c, "does not speak like Redis");
        return;
    }
    redis_conn_up(c);
}

// A sentinel may name an old master for a while after a failover: ask the server itself.
static void on_role(const redisReply *reply, void *arg)
{
    struct redis_conn *c = arg;

    if (!redis_login_accept(c, reply, "ROLE"))
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        strcmp(reply->element[0]->str, "master") != 0)
        redis_conn_fail(c, "is not the master");
}

static void on_master(const redisReply *reply, void *arg)
{
    struct redis_conn *c = arg;
    struct addr numeric;

    if (!redis_login_accept(c, reply, "SENTINEL"))
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING ||
        reply->element[0]->len >= sizeof(c->target.host)) {
        redis_conn_fail(c, "the sentinel knows no master \"%s\"", c->cfg.uri->master);
        return;
    }
    long port = strtol(reply->element[1]->str, NULL, 10);
    if (port < 1 || port > 65535 ||
        addr_parse_ip(&numeric, reply->element[0]->str, (uint16_t)port) < 0) {
        redis_conn_fail(c, "the sentinel's answer is no numeric address and port");
        return;
    }
    char host[sizeof(c->target.host)];
    memcpy(host, reply->element[0]->str, reply->element[0]->len + 1);
    c->events.master(&numeric, c->arg);
    redis_conn_close(c);
    c->asking_sentinel = false;
    redis_conn_connect(c, host, (uint16_t)port);
}

bool redis_login_start(struct redis_conn *c)
{
    const struct store_uri *u = c->cfg.uri;
    char db[12];
    bool ok = true;

    if (c->asking_sentinel)
        return redis_login_words(
            c, on_master, (const char *[]){"SENTINEL", "get-master-addr-by-name", u->master}, 3);
    if (u->user[0])
        ok = redis_login_words(c, on_auth, (const char *[]){"AUTH", u->user, u->password}, 3);
    else if (u->password[0])
        ok = redis_login_words(c, on_auth, (const char *[]){"AUTH", u->password}, 2);
    if (ok && u->db) {
        snprintf(db, sizeof(db), "%u", u->db);
        ok = redis_login_words(c, on_select, (const char *[]){"SELECT", db}, 2);
    }
    if (ok && u->kind == STORE_KIND_SENTINEL)
        ok = redis_login_words(c, on_role, (const char *[]){"ROLE"}, 1);
    if (!ok)
        return false;
    return c->cfg.subscriber
               ? redis_login_words(c, on_last_step, (const char *[]){"SUBSCRIBE", REDIS_CHANNEL}, 2)
               : redis_login_words(c, on_last_step, (const char *[]){"PING"}, 1);
}
