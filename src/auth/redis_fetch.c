// SPDX-License-Identifier: BSD-2-Clause
#include "auth/redis_fetch.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "auth/redis_query.h"

#define NEGATIVE_TTL_MS 2000
#define STALE_MS (3600 * 1000) // beyond the TTL

int64_t redis_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void user_unpack(struct auth_record *rec, const struct redis_cached_user *u)
{
    memset(rec, 0, sizeof(*rec));
    rec->keys[0] = u->key;
    rec->key_count = 1;
    rec->created = u->created;
    rec->expires = u->expires;
    rec->max_bps = u->max_bps;
    rec->max_allocations = u->max_allocations;
    rec->disabled = u->disabled;
    rec->user_len = u->user_len;
    memcpy(rec->user, u->user, u->user_len);
}

static void token_unpack(struct auth_record *rec, const struct redis_cached_token *t)
{
    memset(rec, 0, sizeof(*rec));
    rec->is_token_key = true;
    rec->token_key = t->key;
    rec->created = t->created;
    rec->expires = t->expires;
    rec->user_len = t->kid_len;
    memcpy(rec->user, t->kid, t->kid_len);
}

// --- answers ---

static void tell(const struct redis_waiter *w, const struct redis_answer *a)
{
    if (w->user_done)
        w->user_done(a->status, a->rec, w->arg);
    else
        w->secrets_done(a->status, a->secrets, w->arg);
}

// Tells w what the cache holds. The value is copied first: the callback may change the cache.
static void tell_cached(const struct redis_waiter *w, enum cache_kind kind,
                        const struct cache_view *v)
{
    struct redis_answer a = {.status = STORE_NOT_FOUND};
    struct secret_list list;
    struct auth_record rec;

    if (v->value && w->user_done) {
        if (kind == CACHE_TOKEN_KEY)
            token_unpack(&rec, v->value);
        else
            user_unpack(&rec, v->value);
        a.status = STORE_FOUND;
        a.rec = &rec;
    } else if (v->value) {
        list = *(const struct secret_list *)v->value;
        a.status = list.count > 0 ? STORE_FOUND : STORE_NOT_FOUND;
        a.secrets = &list;
    }
    tell(w, &a);
}

static bool is_fresh(const struct redis_store *s, const struct cache_view *v)
{
    unsigned ttl = v->negative && s->ttl_ms > NEGATIVE_TTL_MS ? NEGATIVE_TTL_MS : s->ttl_ms;

    // Without a subscription nobody tells us about a change. coturn never does: there the TTL alone
    // has to do.
    if (!s->uri.coturn && (!s->subscribed || v->aged))
        return false;
    return redis_now_ms() - v->asked_ms < ttl;
}

// Whether an entry may stand in for a Redis that does not answer.
static bool is_usable(const struct redis_store *s, const struct cache_view *v)
{
    return !v->negative && redis_now_ms() - v->asked_ms < (int64_t)s->ttl_ms + STALE_MS;
}

// --- questions ---

static struct redis_fetch **fetch_slot(struct redis_store *s, enum cache_kind kind, const void *key,
                                       size_t len)
{
    uint64_t h = siphash(&s->hash_key, key, len) + (uint64_t)kind;
    struct redis_fetch **at = &s->bucket[h % REDIS_FETCH_BUCKETS];

    while (*at &&
           ((*at)->kind != kind || (*at)->key_len != len || memcmp((*at)->key, key, len) != 0))
        at = &(*at)->next;
    return at;
}

static void set_deadline(struct redis_store *s)
{
    const struct redis_fetch *f = TAILQ_FIRST(&s->open);

    if (!f) {
        event_del(s->deadline);
        return;
    }
    int64_t left = f->deadline_ms - redis_now_ms();
    if (left < 1)
        left = 1;
    struct timeval tv = {.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000};
    event_add(s->deadline, &tv);
}

// Nobody may join any more.
static void fetch_close(struct redis_fetch *f)
{
    struct redis_store *s = f->store;

    if (!f->open)
        return;
    f->open = false;
    *fetch_slot(s, f->kind, f->key, f->key_len) = f->next;
    TAILQ_REMOVE(&s->open, f, link);
    TAILQ_INSERT_TAIL(&s->dead, f, link);
}

static void fetch_release(struct redis_fetch *f)
{
    if (f->open || f->sent || !TAILQ_EMPTY(&f->waiters))
        return;
    TAILQ_REMOVE(&f->store->dead, f, link);
    f->store->fetches--;
    free(f);
}

static struct redis_waiter *pop_waiter(struct redis_fetch *f)
{
    struct redis_waiter *w = TAILQ_FIRST(&f->waiters);

    if (w) {
        TAILQ_REMOVE(&f->waiters, w, link);
        f->store->waiting--;
    }
    return w;
}

void redis_fetch_finish(struct redis_fetch *f, const struct redis_answer *a)
{
    static const struct redis_answer unavailable = {.status = STORE_UNAVAILABLE};
    struct redis_store *s = f->store;
    struct cache_view v;
    struct redis_waiter *w;

    fetch_close(f);
    while ((w = pop_waiter(f)) != NULL) {
        if (a)
            tell(w, a);
        else if (redis_cache_get(s->cache, f->kind, f->key, f->key_len, &v) && is_usable(s, &v))
            tell_cached(w, f->kind, &v);
        else
            tell(w, &unavailable);
        free(w);
    }
    fetch_release(f);
}

void redis_fetch_expire(struct redis_store *s)
{
    int64_t now = redis_now_ms();
    struct redis_fetch *f;

    while ((f = TAILQ_FIRST(&s->open)) != NULL && f->deadline_ms <= now)
        redis_fetch_finish(f, NULL);
    set_deadline(s);
}

static struct redis_fetch *fetch_new(struct redis_store *s, enum cache_kind kind, const void *key,
                                     size_t len, struct redis_fetch **slot)
{
    struct redis_fetch *f;

    if (s->fetches >= s->max_pending || !(f = calloc(1, sizeof(*f))))
        return NULL;
    f->store = s;
    f->kind = (uint8_t)kind;
    f->key_len = (uint16_t)len;
    memcpy(f->key, key, len);
    f->deadline_ms = redis_now_ms() + s->timeout_ms;
    f->open = true;
    TAILQ_INIT(&f->waiters);
    *slot = f; // the end of its bucket
    TAILQ_INSERT_TAIL(&s->open, f, link);
    s->fetches++;
    if (TAILQ_FIRST(&s->open) == f)
        set_deadline(s);
    return f;
}

// The question that w can wait for: one that is open already, or a new one. NULL: too many, no
// memory, no connection.
static struct redis_fetch *fetch_join(struct redis_store *s, enum cache_kind kind, const void *key,
                                      size_t len)
{
    struct redis_fetch **slot = fetch_slot(s, kind, key, len);
    struct redis_fetch *f = *slot;

    if (f)
        return f;
    f = fetch_new(s, kind, key, len, slot);
    if (f && !redis_query_try_send(f)) {
        fetch_close(f);
        fetch_release(f);
        f = NULL;
    }
    return f;
}

struct store_lookup *redis_fetch_ask(struct redis_store *s, enum cache_kind kind, const void *key,
                                     size_t len, const struct redis_waiter *w)
{
    enum redis_conn_state state = redis_conn_state(s->conn);
    struct redis_waiter *queued = NULL;
    struct redis_fetch *f = NULL;
    struct cache_view v;
    bool cached = redis_cache_get(s->cache, kind, key, len, &v);

    if (cached && is_fresh(s, &v)) {
        tell_cached(w, kind, &v);
        return NULL;
    }
    cached = cached && is_usable(s, &v);
    if (s->waiting < s->max_pending &&
        (state == REDIS_CONN_UP || (state == REDIS_CONN_TRYING && !cached)))
        queued = malloc(sizeof(*queued));
    if (queued)
        f = fetch_join(s, kind, key, len);
    if (f) {
        *queued = *w;
        queued->fetch = f;
        TAILQ_INSERT_TAIL(&f->waiters, queued, link);
        s->waiting++;
        return (struct store_lookup *)queued;
    }
    free(queued);
    if (cached)
        tell_cached(w, kind, &v);
    else
        tell(w, &(struct redis_answer){.status = STORE_UNAVAILABLE});
    return NULL;
}

void redis_fetch_cancel(struct redis_store *s, struct redis_waiter *w)
{
    TAILQ_REMOVE(&w->fetch->waiters, w, link);
    s->waiting--;
    free(w);
}

void redis_fetch_resume(struct redis_store *s)
{
    struct redis_fetch *f, *next;

    // A send that fails ends its fetch and nothing else; the callbacks of its waiters may open new
    // ones at the end.
    for (f = TAILQ_FIRST(&s->open); f; f = next) {
        next = TAILQ_NEXT(f, link);
        if (!f->sent)
            redis_query_send(f);
    }
}

void redis_fetch_give_up(struct redis_store *s)
{
    struct redis_fetch *f, *next;

    for (f = TAILQ_FIRST(&s->open); f; f = next) {
        next = TAILQ_NEXT(f, link);
        if (!f->sent)
            redis_fetch_finish(f, NULL);
    }
}

void redis_fetch_taint(struct redis_store *s, enum cache_kind kind, const void *key, size_t len)
{
    struct redis_fetch *f = *fetch_slot(s, kind, key, len);

    if (f)
        f->changed = true;
    TAILQ_FOREACH(f, &s->dead, link)
    if (f->kind == kind && f->key_len == len && memcmp(f->key, key, len) == 0)
        f->changed = true;
}

void redis_fetch_free_all(struct redis_store *s)
{
    struct redis_fetch *f;
    struct redis_waiter *w;

    while ((f = TAILQ_FIRST(&s->open)) != NULL)
        fetch_close(f);
    while ((f = TAILQ_FIRST(&s->dead)) != NULL) {
        while ((w = pop_waiter(f)) != NULL)
            free(w);
        f->sent = false;
        fetch_release(f);
    }
}
