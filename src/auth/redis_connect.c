// SPDX-License-Identifier: BSD-2-Clause
#include "auth/redis_connect.h"

#include <errno.h>
#include <stdlib.h>

#define TIMEOUT_S 5

const char *redis_connect_why(const redisContext *c)
{
    // hiredis shows the errno of a read that has timed out: "Resource temporarily unavailable".
    bool late = c->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);
    return late ? store_why("no answer within %d s", TIMEOUT_S) : c->errstr;
}

static redisContext *connect_one(const struct store_uri *u, const char *host, uint16_t port,
                                 const char **why)
{
    struct timeval limit = {.tv_sec = TIMEOUT_S};
    redisContext *c = u->path[0] ? redisConnectUnixWithTimeout(u->path, limit)
                                 : redisConnectWithTimeout(host, port, limit);

    if (c && !c->err && redisSetTimeout(c, limit) == REDIS_OK)
        return c;
    if (u->path[0])
        *why = store_why("redis %s: %s", u->path, c ? c->errstr : "out of memory");
    else
        *why = store_why("redis %s:%u: %s", host, port, c ? c->errstr : "out of memory");
    redisFree(c);
    return NULL;
}

static redisContext *connect_by_sentinel(const struct store_uri *u, const char **why)
{
    for (unsigned i = 0; i < u->endpoint_count; i++) {
        redisContext *sentinel = connect_one(u, u->endpoint[i].host, u->endpoint[i].port, why);
        redisContext *c = NULL;
        if (!sentinel)
            continue;
        redisReply *r = redisCommand(sentinel, "SENTINEL get-master-addr-by-name %s", u->master);
        if (r && r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
            r->element[0]->type == REDIS_REPLY_STRING && r->element[1]->type == REDIS_REPLY_STRING)
            c = connect_one(u, r->element[0]->str, (uint16_t)atoi(r->element[1]->str), why);
        else if (!r)
            *why = store_why("the sentinel %s:%u: %s", u->endpoint[i].host, u->endpoint[i].port,
                             redis_connect_why(sentinel));
        else
            *why = store_why("the sentinel %s:%u knows no master \"%s\"", u->endpoint[i].host,
                             u->endpoint[i].port, u->master);
        if (r)
            freeReplyObject(r);
        redisFree(sentinel);
        if (c)
            return c;
    }
    return NULL;
}

redisContext *redis_connect(const struct store_uri *u, const char **why)
{
    if (u->kind == STORE_KIND_SENTINEL)
        return connect_by_sentinel(u, why);
    return connect_one(u, u->endpoint[0].host, u->endpoint[0].port, why);
}
