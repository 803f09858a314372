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

#include "auth/redis_record.h"
#include "auth/redis_resolve.h"
#include "util/addr.h"
#include "util/codec.h"
#include "util/log.h"
#include "util/rand.h"

#define BACKOFF_MIN_MS 100u
#define BACKOFF_MAX_MS 5000u
#define REPLY_MAX ((size_t)1 << 20) // bytes without a whole reply: this is no server of ours

struct pending {
    struct pending *next;
    redis_reply_cb *cb;
    void *arg;
    int64_t sent_ms;
};

struct redis_conn {
    struct redis_conn_config cfg;
    struct redis_conn_events events;
    void *arg;
    enum redis_conn_state state;
    unsigned epoch;   // changes with every connection: callbacks may have ended the one they were
                      // called for
    unsigned attempt; // that failed in a row
    unsigned turn;    // which address or sentinel is next
    int64_t since_ms; // when the state was entered
    bool asking_sentinel;
    bool reported; // the outage has been logged
    bool refused;  // and that it may not subscribe
    struct bufferevent *bev;
    redisReader *reader;
    size_t unparsed;
    struct pending *first, **last;
    struct event *retry, *tick;
    struct redis_resolve *resolving;
    struct stores_endpoint target; // what is being connected to, for messages
};

static void start_attempt(struct redis_conn *c);
static void connect_to(struct redis_conn *c, const char *host, uint16_t port);

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

static void close_socket(struct redis_conn *c)
{
    c->epoch++;
    redis_resolve_cancel(c->resolving);
    c->resolving = NULL;
    if (c->bev)
        bufferevent_free(c->bev);
    c->bev = NULL;
    if (c->reader)
        redisReaderFree(c->reader);
    c->reader = NULL;
    c->unparsed = 0;
}

// Ends the connection or the attempt, answers what waits, and comes back later.
__attribute__((format(printf, 2, 3))) static void fail(struct redis_conn *c, const char *fmt, ...)
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
    close_socket(c);
    c->state = REDIS_CONN_WAITING;

    unsigned delay = c->attempt < 6 ? BACKOFF_MIN_MS << c->attempt : BACKOFF_MAX_MS;
    if (delay > BACKOFF_MAX_MS)
        delay = BACKOFF_MAX_MS;
    c->attempt++;
    schedule(c->retry, delay / 2 + rand_uniform(delay / 2 + 1));

    struct pending *p = c->first;
    c->first = NULL;
    c->last = &c->first;
    c->events.down(c->arg);
    while (p) {
        struct pending *next = p->next;
        p->cb(NULL, p->arg);
        free(p);
        p = next;
    }
}

// Writes a command and remembers who waits for its answer, whatever the state is.
static bool send_command(struct redis_conn *c, const struct redis_arg *argv, size_t argc,
                         redis_reply_cb *cb, void *arg)
{
    struct pending *p = malloc(sizeof(*p));
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
    *p = (struct pending){.cb = cb, .arg = arg, .sent_ms = now_ms()};
    *c->last = p;
    c->last = &p->next;
    return true;
no_memory:
    free(p);
    if (out)
        evbuffer_free(out);
    return false;
}

static bool send_words(struct redis_conn *c, redis_reply_cb *cb, const char *const *words,
                       size_t count)
{
    struct redis_arg argv[3];

    for (size_t i = 0; i < count; i++)
        argv[i] = (struct redis_arg){words[i], strlen(words[i])};
    return send_command(c, argv, count, cb, c);
}

// An answer of the log-in that has to be there and be no error. Ends the attempt otherwise.
static bool accept_reply(struct redis_conn *c, const redisReply *reply, const char *command)
{
    char shown[128];

    if (!reply)
        return false;
    if (reply->type != REDIS_REPLY_ERROR)
        return true;
    fail(c, "%s: %s", command, text_escape(shown, sizeof(shown), reply->str, reply->len));
    return false;
}

static void on_auth(const redisReply *reply, void *arg)
{
    accept_reply(arg, reply, "AUTH");
}

static void on_select(const redisReply *reply, void *arg)
{
    accept_reply(arg, reply, "SELECT");
}

static void on_probe(const redisReply *reply, void *arg)
{
    accept_reply(arg, reply, "PING");
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
    if (!accept_reply(c, reply, c->cfg.subscriber ? "SUBSCRIBE" : "PING"))
        return;
    if (reply->type != (c->cfg.subscriber ? REDIS_REPLY_ARRAY : REDIS_REPLY_STATUS)) {
        fail(c, "does not speak like Redis");
        return;
    }
    c->state = REDIS_CONN_UP;
    c->since_ms = now_ms();
    if (!c->cfg.subscriber)
        log_notice("store", "redis %s:%u: connected", c->target.host, c->target.port);
    c->reported = c->refused = false;
    c->events.up(c->arg);
}

// A sentinel may name an old master for a while after a failover: ask the server itself.
static void on_role(const redisReply *reply, void *arg)
{
    struct redis_conn *c = arg;

    if (!accept_reply(c, reply, "ROLE"))
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        strcmp(reply->element[0]->str, "master") != 0)
        fail(c, "is not the master");
}

static void on_master(const redisReply *reply, void *arg)
{
    struct redis_conn *c = arg;
    struct addr numeric;

    if (!accept_reply(c, reply, "SENTINEL"))
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING ||
        reply->element[0]->len >= sizeof(c->target.host)) {
        fail(c, "the sentinel knows no master \"%s\"", c->cfg.uri->master);
        return;
    }
    long port = strtol(reply->element[1]->str, NULL, 10);
    if (port < 1 || port > 65535 || addr_parse_ip(&numeric, reply->element[0]->str, 0) < 0) {
        fail(c, "the sentinel's answer is no numeric address and port");
        return;
    }
    char host[sizeof(c->target.host)];
    memcpy(host, reply->element[0]->str, reply->element[0]->len + 1);
    close_socket(c);
    c->asking_sentinel = false;
    connect_to(c, host, (uint16_t)port);
}

static bool send_login(struct redis_conn *c)
{
    const struct store_uri *u = c->cfg.uri;
    char db[12];
    bool ok = true;

    if (c->asking_sentinel)
        return send_words(c, on_master,
                          (const char *[]){"SENTINEL", "get-master-addr-by-name", u->master}, 3);
    if (u->user[0])
        ok = send_words(c, on_auth, (const char *[]){"AUTH", u->user, u->password}, 3);
    else if (u->password[0])
        ok = send_words(c, on_auth, (const char *[]){"AUTH", u->password}, 2);
    if (ok && u->db) {
        snprintf(db, sizeof(db), "%u", u->db);
        ok = send_words(c, on_select, (const char *[]){"SELECT", db}, 2);
    }
    if (ok && u->kind == STORE_KIND_SENTINEL)
        ok = send_words(c, on_role, (const char *[]){"ROLE"}, 1);
    if (!ok)
        return false;
    return c->cfg.subscriber
               ? send_words(c, on_last_step, (const char *[]){"SUBSCRIBE", REDIS_CHANNEL}, 2)
               : send_words(c, on_last_step, (const char *[]){"PING"}, 1);
}

static bool is_message(const struct redis_conn *c, const redisReply *r)
{
    return c->cfg.subscriber && r->type == REDIS_REPLY_ARRAY && r->elements == 3 &&
           r->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(r->element[0]->str, "message") == 0 && r->element[2]->type == REDIS_REPLY_STRING;
}

static void take_reply(struct redis_conn *c, const redisReply *reply)
{
    char shown[128];

    if (is_message(c, reply)) {
        c->events.message(reply->element[2]->str, reply->element[2]->len, c->arg);
        return;
    }
    struct pending *p = c->first;
    if (!p) {
        if (reply->type == REDIS_REPLY_ERROR)
            fail(c, "%s", text_escape(shown, sizeof(shown), reply->str, reply->len));
        else
            fail(c, "an answer that was not asked for");
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
            fail(c, "an answer that cannot be read");
            return;
        }
        for (;;) {
            void *reply = NULL;
            if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
                fail(c, "an answer that cannot be read");
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
        if (!send_login(c))
            fail(c, "out of memory");
        return;
    }
    if (what & BEV_EVENT_EOF)
        fail(c, "the connection was closed");
    else
        fail(c, "%s", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static void connect_sockaddr(struct redis_conn *c, const struct sockaddr *sa, int len)
{
    unsigned epoch = c->epoch;

    c->reader = redisReaderCreate();
    c->bev = bufferevent_socket_new(c->cfg.base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!c->reader || !c->bev) {
        fail(c, "out of memory");
        return;
    }
    bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect(c->bev, (struct sockaddr *)(uintptr_t)sa, len) < 0 &&
        c->epoch == epoch)
        fail(c, "%s", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static void connect_addr(struct redis_conn *c, const struct addr *a)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(a, &ss);

    connect_sockaddr(c, (struct sockaddr *)&ss, (int)len);
}

static void on_resolved(const struct addr *list, size_t count, const char *why, void *arg)
{
    struct redis_conn *c = arg;

    c->resolving = NULL;
    if (count == 0)
        fail(c, "the name cannot be resolved: %s", why);
    else
        connect_addr(c, &list[c->turn++ % count]); // one an attempt, each in its turn
}

static void connect_to(struct redis_conn *c, const char *host, uint16_t port)
{
    struct addr a;

    snprintf(c->target.host, sizeof(c->target.host), "%s", host);
    c->target.port = port;
    if (strcmp(host, "localhost") == 0)
        host = c->turn++ % 2 == 0 ? "127.0.0.1" : "::1";
    if (addr_parse_ip(&a, host, port) == 0) {
        connect_addr(c, &a);
        return;
    }
    // Anew for every attempt: a name may move.
    c->resolving = redis_resolve_start(c->cfg.base, host, port, on_resolved, c);
    if (!c->resolving)
        fail(c, "the name cannot be resolved: no name server, or out of memory");
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
    const struct stores_endpoint *e =
        &u->endpoint[c->asking_sentinel ? c->turn++ % u->endpoint_count : 0];
    connect_to(c, e->host, e->port);
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
        fail(c, "no answer within %u ms", c->cfg.timeout_ms);
    } else if (c->state == REDIS_CONN_UP) {
        if (c->first && c->first->sent_ms <= limit)
            fail(c, "no answer within %u ms", c->cfg.timeout_ms);
        else if (!c->first && !send_words(c, on_probe, (const char *[]){"PING"}, 1))
            fail(c, "out of memory");
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
    close_socket(c);
    while (c->first) {
        struct pending *next = c->first->next;
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
    return c->state == REDIS_CONN_UP && send_command(c, argv, argc, cb, arg);
}
