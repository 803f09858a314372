// SPDX-License-Identifier: BSD-2-Clause
#include "auth/redis_conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>

#include "auth/redis_login.h"
#include "util/addr.h"
#include "util/codec.h"
#include "util/log.h"
#include "util/rand.h"
#include "util/resolve.h"

#define BACKOFF_MIN_MS 100u
#define BACKOFF_MAX_MS 5000u
#define REPLY_MAX ((size_t)1 << 20) // bytes without a whole reply: this is no server of ours

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void schedule(struct event *ev, unsigned ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

    event_add(ev, &tv);
}

void redis_conn_close(struct redis_conn *c)
{
    c->epoch++;
    if (c->resolving)
        event_del(&c->resolved);
    resolve_cancel(c->resolving);
    c->resolving = NULL;
    if (c->bev)
        bufferevent_free(c->bev);
    c->bev = NULL;
    if (c->reader)
        redisReaderFree(c->reader);
    c->reader = NULL;
    c->unparsed = 0;
}

void redis_conn_fail(struct redis_conn *c, const char *fmt, ...)
{
    char why[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    // A long outage is one line, not one a second.
    if (!c->reported && !c->cfg.subscriber)
        log_warning("store", "redis %s:%u: %s; trying again until it answers", c->target.host,
                    c->target.port, why);
    c->reported = true;
    if (c->state == REDIS_CONN_UP && now_ms() - c->since_ms > 1000)
        c->attempt = 0;
    redis_conn_close(c);
    c->state = REDIS_CONN_WAITING;

    unsigned delay = c->attempt < 6 ? BACKOFF_MIN_MS << c->attempt : BACKOFF_MAX_MS;
    if (delay > BACKOFF_MAX_MS)
        delay = BACKOFF_MAX_MS;
    c->attempt++;
    schedule(c->retry, delay / 2 + rand_uniform(delay / 2 + 1));

    struct redis_pending *p = c->first;
    c->first = NULL;
    c->last = &c->first;
    c->events.down(c->arg);
    while (p) {
        struct redis_pending *next = p->next;
        p->cb(NULL, p->arg);
        free(p);
        p = next;
    }
}

bool redis_conn_command(struct redis_conn *c, const struct redis_arg *argv, size_t argc,
                        redis_reply_cb *cb, void *arg)
{
    struct redis_pending *p = malloc(sizeof(*p));
    struct evbuffer *out = evbuffer_new();

    if (!p || !out)
        goto no_memory;
    int r = evbuffer_add_printf(out, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc && r >= 0; i++) {
        r = evbuffer_add_printf(out, "$%zu\r\n", argv[i].len);
        if (r >= 0)
            r = evbuffer_add(out, argv[i].data, argv[i].len);
        if (r >= 0)
            r = evbuffer_add(out, "\r\n", 2);
    }
    if (r < 0 || bufferevent_write_buffer(c->bev, out) < 0)
        goto no_memory;
    evbuffer_free(out);
    *p = (struct redis_pending){.cb = cb, .arg = arg, .sent_ms = now_ms()};
    *c->last = p;
    c->last = &p->next;
    return true;
no_memory:
    free(p);
    if (out)
        evbuffer_free(out);
    return false;
}

static void on_probe(const redisReply *reply, void *arg)
{
    redis_login_accept(arg, reply, "PING");
}

static bool is_message(const struct redis_conn *c, const redisReply *r)
{
    return c->cfg.subscriber && r->type == REDIS_REPLY_ARRAY && r->elements == 3 &&
           r->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(r->element[0]->str, "message") == 0 && r->element[2]->type == REDIS_REPLY_STRING;
}

void redis_conn_up(struct redis_conn *c)
{
    c->state = REDIS_CONN_UP;
    c->since_ms = now_ms();
    if (!c->cfg.subscriber)
        log_notice("store", "redis %s:%u: connected", c->target.host, c->target.port);
    c->reported = c->refused = false;
    c->events.up(c->arg);
}

static void take_reply(struct redis_conn *c, const redisReply *reply)
{
    char shown[128];

    if (is_message(c, reply)) {
        c->events.message(reply->element[2]->str, reply->element[2]->len, c->arg);
        return;
    }
    struct redis_pending *p = c->first;
    if (!p) {
        if (reply->type == REDIS_REPLY_ERROR)
            redis_conn_fail(c, "%s", text_escape(shown, sizeof(shown), reply->str, reply->len));
        else
            redis_conn_fail(c, "an answer that was not asked for");
        return;
    }
    c->first = p->next;
    if (!c->first)
        c->last = &c->first;
    p->cb(reply, p->arg);
    free(p);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct redis_conn *c = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    unsigned epoch = c->epoch;
    char chunk[4096];
    int n;

    while ((n = evbuffer_remove(in, chunk, sizeof(chunk))) > 0) {
        c->unparsed += (size_t)n;
        if (redisReaderFeed(c->reader, chunk, (size_t)n) != REDIS_OK || c->unparsed > REPLY_MAX) {
            redis_conn_fail(c, "an answer that cannot be read");
            return;
        }
        for (;;) {
            void *reply = NULL;
            if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
                redis_conn_fail(c, "an answer that cannot be read");
                return;
            }
            if (!reply)
                break;
            c->unparsed = 0;
            take_reply(c, reply);
            freeReplyObject(reply);
            if (c->epoch != epoch)
                return;
        }
    }
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct redis_conn *c = arg;

    if (what & BEV_EVENT_CONNECTED) {
        int one = 1;
        evutil_socket_t fd = bufferevent_getfd(bev);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
                   sizeof(one)); // fails on a Unix socket: no matter
        if (!redis_login_start(c))
            redis_conn_fail(c, "out of memory");
        return;
    }
    if (what & BEV_EVENT_EOF)
        redis_conn_fail(c, "the connection was closed");
    else
        redis_conn_fail(c, "%s", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static void connect_sockaddr(struct redis_conn *c, const struct sockaddr *sa, int len)
{
    unsigned epoch = c->epoch;

    c->reader = redisReaderCreate();
    c->bev = bufferevent_socket_new(c->cfg.base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!c->reader || !c->bev) {
        redis_conn_fail(c, "out of memory");
        return;
    }
    bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect(c->bev, (struct sockaddr *)(uintptr_t)sa, len) < 0 &&
        c->epoch == epoch)
        redis_conn_fail(c, "%s", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static void connect_addr(struct redis_conn *c, const struct addr *a)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(a, &ss);

    connect_sockaddr(c, (struct sockaddr *)&ss, (int)len);
}

static void on_resolved(evutil_socket_t fd, short what, void *arg)
{
    struct redis_conn *c = arg;
    struct addr list[RESOLVE_ADDRESSES_MAX];
    const char *why;
    size_t count = resolve_finish(c->resolving, 0, list, &why);

    c->resolving = NULL;
    if (count == 0) {
        redis_conn_fail(c, "the name cannot be resolved: %s", why);
        return;
    }
    struct addr *a = &list[c->round % count]; // one an attempt, each in its turn
    a->port = c->target.port;
    connect_addr(c, a);
}

void redis_conn_connect(struct redis_conn *c, const char *host, uint16_t port)
{
    struct addr a;

    snprintf(c->target.host, sizeof(c->target.host), "%s", host);
    c->target.port = port;
    if (strcmp(host, "localhost") == 0)
        host = c->round % 2 == 0 ? "127.0.0.1" : "::1";
    if (addr_parse_ip(&a, host, port) == 0) {
        connect_addr(c, &a);
        return;
    }
    // Anew for every attempt: a name may move.
    c->resolving = resolve_start(host);
    if (c->resolving)
        event_assign(&c->resolved, c->cfg.base, resolve_fd(c->resolving), EV_READ, on_resolved, c);
    if (!c->resolving || event_add(&c->resolved, NULL) < 0)
        redis_conn_fail(c, "the name cannot be resolved: no memory or no thread for it");
}

static void start_attempt(struct redis_conn *c)
{
    const struct store_uri *u = c->cfg.uri;
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    c->state = REDIS_CONN_TRYING;
    c->since_ms = now_ms();
    if (u->path[0]) {
        memcpy(un.sun_path, u->path, strnlen(u->path, sizeof(un.sun_path) - 1)); // parsed to fit
        snprintf(c->target.host, sizeof(c->target.host), "%.200s", u->path);
        connect_sockaddr(c, (struct sockaddr *)&un, sizeof(un));
        return;
    }
    c->asking_sentinel = u->kind == STORE_KIND_SENTINEL;
    const struct stores_endpoint *e = &u->endpoint[c->turn % u->endpoint_count];
    c->round = c->turn++ / (unsigned)u->endpoint_count;
    redis_conn_connect(c, e->host, e->port);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    start_attempt(arg);
}

// A server that has gone without a word shows by what it does not answer: a command, or the PING
// that stands in for one.
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct redis_conn *c = arg;
    int64_t limit = now_ms() - c->cfg.timeout_ms;

    if (c->state == REDIS_CONN_TRYING && c->since_ms <= limit) {
        redis_conn_fail(c, "%sno answer within %u ms",
                        c->resolving ? "the name cannot be resolved: " : "", c->cfg.timeout_ms);
    } else if (c->state == REDIS_CONN_UP) {
        if (c->first && c->first->sent_ms <= limit)
            redis_conn_fail(c, "no answer within %u ms", c->cfg.timeout_ms);
        else if (!c->first && !redis_login_words(c, on_probe, (const char *[]){"PING"}, 1))
            redis_conn_fail(c, "out of memory");
    }
}

struct redis_conn *redis_conn_new(const struct redis_conn_config *cfg,
                                  const struct redis_conn_events *events, void *arg)
{
    struct redis_conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->cfg = *cfg;
    c->events = *events;
    c->arg = arg;
    c->last = &c->first;
    c->state = REDIS_CONN_TRYING;
    c->since_ms = now_ms();
    c->retry = event_new(cfg->base, -1, 0, on_retry, c);
    c->tick = event_new(cfg->base, -1, EV_PERSIST, on_tick, c);
    if (!c->retry || !c->tick) {
        redis_conn_free(c);
        return NULL;
    }
    schedule(c->retry, 0);
    schedule(c->tick, cfg->timeout_ms / 2 > 20 ? cfg->timeout_ms / 2 : 20);
    return c;
}

void redis_conn_free(struct redis_conn *c)
{
    if (!c)
        return;
    redis_conn_close(c);
    while (c->first) {
        struct redis_pending *next = c->first->next;
        free(c->first);
        c->first = next;
    }
    if (c->retry)
        event_free(c->retry);
    if (c->tick)
        event_free(c->tick);
    free(c);
}

enum redis_conn_state redis_conn_state(const struct redis_conn *c)
{
    return c->state;
}

bool redis_conn_send(struct redis_conn *c, const struct redis_arg *argv, size_t argc,
                     redis_reply_cb *cb, void *arg)
{
    return c->state == REDIS_CONN_UP && redis_conn_command(c, argv, argc, cb, arg);
}
