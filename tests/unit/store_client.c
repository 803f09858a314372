// SPDX-License-Identifier: BSD-2-Clause
#include "store_client.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void store_client_init(struct store_client *c, const char *uri)
{
    memset(c, 0, sizeof(*c));
    c->uris[0] = uri;
    c->cfg = (struct stores_config){.realm = "example.org",
                                    .uris = c->uris,
                                    .uri_count = uri ? 1 : 0,
                                    .cache_ttl_ms = 60000,
                                    .timeout_ms = 10000,
                                    .cache_entries = 100,
                                    .max_pending = 100};
}

int store_client_open(struct store_client *c, const char **why)
{
    c->base = event_base_new();
    if (!c->base)
        abort();
    int r = stores_open(&c->stores, &c->cfg, c->base, why);
    if (r < 0) {
        event_base_free(c->base);
        c->base = NULL;
    }
    return r;
}

void store_client_close(struct store_client *c)
{
    stores_close(c->stores);
    event_base_free(c->base);
}

static void on_done(enum store_status status, const struct auth_record *rec, void *arg)
{
    struct store_ask *a = arg;

    a->done = true;
    a->calls++;
    a->status = status;
    a->lookup = NULL;
    if (rec)
        a->rec = *rec;
}

static void start(struct store_client *c, struct store_ask *a, const struct store_query *q)
{
    memset(a, 0, sizeof(*a));
    a->lookup = stores_lookup(c->stores, q, time(NULL), on_done, a);
    // NULL exactly when the answer is there: anything else is a broken contract.
    if ((a->lookup == NULL) != a->done)
        abort();
}

void store_client_start(struct store_client *c, struct store_ask *a, const void *id, size_t len,
                        bool userhash)
{
    struct store_query q = {.realm = "example.org", .id = id, .id_len = len, .userhash = userhash};

    start(c, a, &q);
}

enum store_status store_client_ask_token(struct store_client *c, struct store_ask *a,
                                         const void *kid, size_t len)
{
    struct store_query q = {.realm = "example.org", .id = kid, .id_len = len, .token_key = true};

    start(c, a, &q);
    if (!store_client_run(c, &a->done, STORE_PATIENCE))
        abort();
    return a->status;
}

bool store_client_until_token(struct store_client *c, struct store_ask *a, const void *kid,
                              size_t len, enum store_status status)
{
    int64_t end = now_ms() + STORE_PATIENCE;
    static const bool never = false;

    while (store_client_ask_token(c, a, kid, len) != status) {
        if (now_ms() >= end)
            return false;
        store_client_run(c, &never, 5);
    }
    return true;
}

struct auth_record store_token_key(const void *kid, size_t len, enum token_algorithm algorithm,
                                   uint8_t fill)
{
    struct auth_record r = {.user_len = len, .is_token_key = true, .created = 1700000000};

    memcpy(r.user, kid, len);
    r.token_key.algorithm = algorithm;
    memset(r.token_key.bytes, fill, token_key_len(algorithm));
    return r;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
}

bool store_client_run(struct store_client *c, const bool *flag, unsigned ms)
{
    int64_t end = now_ms() + ms;
    struct event *wake = event_new(c->base, -1, EV_PERSIST, on_wake, NULL);
    struct timeval tv = {.tv_usec = 10000};

    if (!wake)
        abort();
    event_add(wake, &tv);
    while (!*flag && now_ms() < end)
        event_base_loop(c->base, EVLOOP_ONCE);
    event_free(wake);
    return *flag;
}

enum store_status store_client_ask(struct store_client *c, struct store_ask *a, const char *name)
{
    store_client_start(c, a, name, strlen(name), false);
    if (!store_client_run(c, &a->done, STORE_PATIENCE))
        abort();
    return a->status;
}

bool store_client_until(struct store_client *c, const char *name, enum store_status status,
                        unsigned ms)
{
    int64_t end = now_ms() + ms;
    static const bool never = false;
    struct store_ask a;

    while (store_client_ask(c, &a, name) != status) {
        if (now_ms() >= end)
            return false;
        store_client_run(c, &never, 5);
    }
    return true;
}
