// SPDX-License-Identifier: BSD-2-Clause
// Users in Redis. One worker's look-ups of the same user share one question; the answer is used for
// a while without asking again, and drops out when its change is published. While Redis is away, or
// too slow, what the cache holds stands in for an hour.
#include "auth/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "auth/redis_fetch.h"
#include "util/rand.h"

static struct store_lookup *lookup(struct store *store, const struct store_query *q,
                                   store_done *done, void *arg)
{
    struct redis_store *s = (struct redis_store *)store;
    struct redis_waiter w = {.user_done = done, .arg = arg};

    if (q->token_key && q->id_len > TOKEN_KID_MAX) {
        done(STORE_NOT_FOUND, NULL, arg);
        return NULL;
    }
    // coturn has no index by hash.
    if ((q->userhash && (s->uri.coturn || q->id_len != STUN_USERHASH_LEN)) || q->id_len == 0 ||
        q->id_len > AUTH_USER_MAX) {
        done(STORE_NOT_FOUND, NULL, arg);
        return NULL;
    }
    enum cache_kind kind = q->token_key  ? CACHE_TOKEN_KEY
                           : q->userhash ? CACHE_USERHASH
                                         : CACHE_USER;
    return redis_fetch_ask(s, kind, q->id, q->id_len, &w);
}

static struct store_lookup *secrets(struct backend *b, const char *realm, secrets_done *done,
                                    void *arg)
{
    struct redis_waiter w = {.secrets_done = done, .arg = arg};

    return redis_fetch_ask((struct redis_store *)b, CACHE_SECRETS, "", 0, &w);
}

static void cancel(struct store *store, struct store_lookup *l)
{
    redis_fetch_cancel((struct redis_store *)store, (struct redis_waiter *)l);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    redis_fetch_expire(arg);
}

// --- connections ---

static void on_up(void *arg)
{
    redis_fetch_resume(arg);
}

static void on_down(void *arg)
{
    redis_fetch_give_up(arg);
}

static void on_master(const struct addr *server, void *arg)
{
    struct redis_store *s = arg;

    if (s->found)
        s->found(server, s->found_arg);
}

static void on_subscribed(void *arg)
{
    struct redis_store *s = arg;

    // Whatever was published until now has been missed.
    redis_cache_age(s->cache);
    s->subscribed = true;
}

static void on_unsubscribed(void *arg)
{
    struct redis_store *s = arg;

    s->subscribed = false;
}

static void invalidate(struct redis_store *s, enum cache_kind kind, const void *key, size_t len)
{
    redis_cache_drop(s->cache, kind, key, len);
    redis_fetch_taint(s, kind, key, len);
}

static void on_message(const void *data, size_t len, void *arg)
{
    struct redis_store *s = arg;
    const uint8_t *p = data;
    size_t realm_len = strlen(s->realm);
    uint8_t hash[STUN_USERHASH_LEN];

    if (len < realm_len + 1 || memcmp(p, s->realm, realm_len) != 0 || p[realm_len] != ' ')
        return;
    p += realm_len + 1;
    len -= realm_len + 1;
    if (len == 7 && memcmp(p, "secrets", 7) == 0) {
        invalidate(s, CACHE_SECRETS, "", 0);
    } else if (len > 5 && len <= 5 + AUTH_USER_MAX && memcmp(p, "user ", 5) == 0) {
        invalidate(s, CACHE_USER, p + 5, len - 5);
        stun_userhash(hash, p + 5, len - 5, s->realm);
        invalidate(s, CACHE_USERHASH, hash, sizeof(hash));
    } else if (len > 6 && len <= 6 + TOKEN_KID_MAX && memcmp(p, "token ", 6) == 0) {
        invalidate(s, CACHE_TOKEN_KEY, p + 6, len - 6);
    }
}

static void move(struct backend *b, const char *realm)
{
    ((struct redis_store *)b)->realm = realm;
}

static void watch(struct backend *b, stores_found *found, void *arg)
{
    struct redis_store *s = (struct redis_store *)b;

    s->found = found;
    s->found_arg = arg;
}

static void close_store(struct store *store)
{
    struct redis_store *s = (struct redis_store *)store;

    redis_conn_free(s->conn);
    redis_conn_free(s->subscriber);
    redis_fetch_free_all(s);
    redis_cache_free(s->cache);
    if (s->deadline)
        event_free(s->deadline);
    OPENSSL_cleanse(&s->uri, sizeof(s->uri));
    free(s);
}

static const struct store_ops redis_ops = {
    .close = close_store, .lookup = lookup, .cancel = cancel};

static const struct redis_conn_events conn_events = {
    .up = on_up, .down = on_down, .master = on_master};
static const struct redis_conn_events subscriber_events = {
    .up = on_subscribed, .down = on_unsubscribed, .master = on_master, .message = on_message};

int redis_store_open(struct backend **out, const struct store_uri *uri,
                     const struct stores_config *cfg, struct event_base *base, const char **why)
{
    struct redis_store *s = calloc(1, sizeof(*s));

    *why = "out of memory";
    if (!s)
        return -ENOMEM;
    s->backend.store.ops = &redis_ops;
    s->backend.secrets = secrets;
    s->backend.move = move;
    s->backend.watch = watch;
    s->uri = *uri;
    s->realm = cfg->realm;
    s->base = base;
    s->ttl_ms = cfg->cache_ttl_ms;
    s->timeout_ms = cfg->timeout_ms > 0 ? cfg->timeout_ms : 1000;
    s->max_pending = cfg->max_pending > 0 ? cfg->max_pending : 1;
    TAILQ_INIT(&s->open);
    TAILQ_INIT(&s->dead);
    rand_bytes(&s->hash_key, sizeof(s->hash_key));
    struct redis_conn_config cc = {.base = base, .uri = &s->uri, .timeout_ms = s->timeout_ms};
    s->cache = redis_cache_new(cfg->cache_entries);
    s->deadline = event_new(base, -1, 0, on_deadline, s);
    s->conn = redis_conn_new(&cc, &conn_events, s);
    cc.subscriber = true;
    // coturn publishes nothing.
    if (!uri->coturn)
        s->subscriber = redis_conn_new(&cc, &subscriber_events, s);
    if (!s->cache || !s->deadline || !s->conn || (!uri->coturn && !s->subscriber)) {
        close_store(&s->backend.store);
        return -ENOMEM;
    }
    *out = &s->backend;
    return 0;
}
