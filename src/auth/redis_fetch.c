// SPDX-License-Identifier: BSD-2-Clause
#include "auth/redis_fetch.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "auth/redis_record.h"
#include "util/codec.h"

#define NEGATIVE_TTL_MS 2000
#define STALE_MS (3600 * 1000) // beyond the TTL

// What the cache keeps of a user: a fraction of an auth_record.
struct cached_user {
    struct auth_key key;
    int64_t created, expires;
    uint64_t max_bps;
    uint32_t max_allocations;
    uint16_t user_len;
    bool disabled;
    uint8_t user[];
};

static void fetch_send(struct redis_fetch *f);

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void complain(struct redis_store *s, const char *what, const void *name, size_t len)
{
    char shown[128];
    uint32_t swallowed;

    if (log_limit_pass(&s->limit, 5, time(NULL), &swallowed))
        log_warning("store", "redis: %s: \"%s\" (%u more like this)", what,
                    text_escape(shown, sizeof(shown), name, len), swallowed);
}

static struct cached_user *user_pack(const struct auth_record *rec)
{
    struct cached_user *u = malloc(sizeof(*u) + rec->user_len);

    if (!u)
        return NULL;
    u->key = rec->keys[0];
    u->created = rec->created;
    u->expires = rec->expires;
    u->max_bps = rec->max_bps;
    u->max_allocations = rec->max_allocations;
    u->disabled = rec->disabled;
    u->user_len = (uint16_t)rec->user_len;
    memcpy(u->user, rec->user, rec->user_len);
    return u;
}

static void user_unpack(struct auth_record *rec, const struct cached_user *u)
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

// --- answers ---

// One answer in either form: what a waiter of its kind is told.
struct answer {
    enum store_status status;
    const struct auth_record *rec;
    const struct secret_list *secrets;
};

static void tell(const struct redis_waiter *w, const struct answer *a)
{
    if (w->user_done)
        w->user_done(a->status, a->rec, w->arg);
    else
        w->secrets_done(a->status, a->secrets, w->arg);
}

// Tells w what the cache holds. The value is copied first: the callback may change the cache.
static void tell_cached(const struct redis_waiter *w, const struct cache_view *v)
{
    struct answer a = {.status = STORE_NOT_FOUND};
    struct secret_list list;
    struct auth_record rec;

    if (v->value && w->user_done) {
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
    return now_ms() - v->asked_ms < ttl;
}

// Whether an entry may stand in for a Redis that does not answer.
static bool is_usable(const struct redis_store *s, const struct cache_view *v)
{
    return !v->negative && now_ms() - v->asked_ms < (int64_t)s->ttl_ms + STALE_MS;
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
    int64_t left = f->deadline_ms - now_ms();
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

// Ends a fetch with an answer from Redis, or with NULL: then the cache stands in where it can.
static void fetch_finish(struct redis_fetch *f, const struct answer *a)
{
    static const struct answer unavailable = {.status = STORE_UNAVAILABLE};
    struct redis_store *s = f->store;
    struct cache_view v;
    struct redis_waiter *w;

    fetch_close(f);
    while ((w = pop_waiter(f)) != NULL) {
        if (a)
            tell(w, a);
        else if (redis_cache_get(s->cache, f->kind, f->key, f->key_len, &v) && is_usable(s, &v))
            tell_cached(w, &v);
        else
            tell(w, &unavailable);
        free(w);
    }
    fetch_release(f);
}

void redis_fetch_expire(struct redis_store *s)
{
    int64_t now = now_ms();
    struct redis_fetch *f;

    while ((f = TAILQ_FIRST(&s->open)) != NULL && f->deadline_ms <= now)
        fetch_finish(f, NULL);
    set_deadline(s);
}

// Handles what every reply has in common. True: there is a reply of the present state to look at.
static bool reply_usable(struct redis_fetch *f, const redisReply *reply)
{
    f->sent = false;
    if (reply && f->changed && f->open) {
        f->changed = false;
        f->name_len = 0;
        fetch_send(f);
        return false;
    }
    // An error of the server (loading, out of memory, a failover) says nothing about the user; a
    // wrong type does.
    if (reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "WRONGTYPE", 9) != 0) {
        complain(f->store, "an error instead of an answer", reply->str, reply->len);
        reply = NULL;
    }
    if (!reply) {
        fetch_finish(f, NULL);
        return false;
    }
    return true;
}

static void finish_user(struct redis_fetch *f, enum store_status status,
                        const struct auth_record *rec)
{
    struct redis_store *s = f->store;
    struct cached_user *u = NULL;
    struct answer a = {.status = status, .rec = rec};

    if (status == STORE_UNAVAILABLE) {
        complain(s, "a record that cannot be read", f->key, f->key_len);
        redis_cache_drop(s->cache, f->kind, f->key, f->key_len);
    } else {
        if (status == STORE_FOUND)
            u = user_pack(rec);
        if ((u || status == STORE_NOT_FOUND) && !f->changed)
            redis_cache_put(s->cache, f->kind, f->key, f->key_len, u, f->asked_ms, f->age);
        else
            free(u);
    }
    fetch_finish(f, &a);
}

static void on_user(const redisReply *reply, void *arg)
{
    struct redis_fetch *f = arg;
    struct auth_record rec;
    uint8_t hash[STUN_USERHASH_LEN];

    if (!reply_usable(f, reply))
        return;
    const uint8_t *name = f->kind == CACHE_USER ? f->key : f->name;
    size_t len = f->kind == CACHE_USER ? f->key_len : f->name_len;
    enum store_status status = f->store->uri.coturn ? coturn_record_read(&rec, reply, name, len)
                                                    : redis_record_read(&rec, reply, name, len);
    if (status == STORE_FOUND && f->kind == CACHE_USERHASH) {
        // An index that points to somebody else is as good as none.
        stun_userhash(hash, name, len, f->store->realm);
        if (memcmp(hash, f->key, sizeof(hash)) != 0)
            status = STORE_NOT_FOUND;
    }
    finish_user(f, status, status == STORE_FOUND ? &rec : NULL);
}

static void on_userhash(const redisReply *reply, void *arg)
{
    struct redis_fetch *f = arg;

    if (!reply_usable(f, reply))
        return;
    if (reply->type == REDIS_REPLY_NIL) {
        finish_user(f, STORE_NOT_FOUND, NULL);
        return;
    }
    if (reply->type != REDIS_REPLY_STRING || reply->len == 0 || reply->len > sizeof(f->name)) {
        finish_user(f, STORE_UNAVAILABLE, NULL);
        return;
    }
    f->name_len = (uint16_t)reply->len;
    memcpy(f->name, reply->str, reply->len);
    fetch_send(f);
}

static void on_secrets(const redisReply *reply, void *arg)
{
    struct redis_fetch *f = arg;
    struct redis_store *s = f->store;
    struct answer a = {.status = STORE_UNAVAILABLE};
    struct secret_list list;

    if (!reply_usable(f, reply))
        return;
    if (reply->type == REDIS_REPLY_ERROR && s->uri.coturn && !f->fallback &&
        strncmp(reply->str, "WRONGTYPE", 9) == 0) {
        f->fallback = true;
        fetch_send(f);
        return;
    }
    if (redis_secrets_read(&list, reply)) {
        a.status = list.count > 0 ? STORE_FOUND : STORE_NOT_FOUND;
        a.secrets = &list;
        struct secret_list *copy = f->changed ? NULL : malloc(sizeof(*copy));
        if (copy) {
            *copy = list;
            redis_cache_put(s->cache, f->kind, f->key, f->key_len, copy, f->asked_ms, f->age);
        }
    } else {
        complain(s, "secrets that cannot be read", s->realm, strlen(s->realm));
    }
    fetch_finish(f, &a);
}

static size_t build_secrets(const struct redis_fetch *f, struct redis_key *key,
                            struct redis_arg argv[])
{
    bool coturn = f->store->uri.coturn;

    (coturn ? coturn_key_secrets : redis_key_secrets)(key, f->store->realm);
    argv[1] = (struct redis_arg){key->text, key->len};
    if (coturn) {
        argv[0] = f->fallback ? (struct redis_arg){"GET", 3} : (struct redis_arg){"SMEMBERS", 8};
        return 2;
    }
    _Static_assert(AUTH_KEYS_MAX == 8, "the last rank below is AUTH_KEYS_MAX - 1");
    argv[0] = (struct redis_arg){"ZREVRANGE", 9};
    argv[2] = (struct redis_arg){"0", 1};
    argv[3] = (struct redis_arg){"7", 1};
    return 4;
}

static size_t build_user(const struct redis_fetch *f, struct redis_key *key,
                         struct redis_arg argv[])
{
    const void *name = f->kind == CACHE_USER ? f->key : f->name;
    size_t len = f->kind == CACHE_USER ? f->key_len : f->name_len;
    bool coturn = f->store->uri.coturn;

    (coturn ? coturn_key_user : redis_key_user)(key, f->store->realm, name, len);
    argv[0] = coturn ? (struct redis_arg){"GET", 3} : (struct redis_arg){"HMGET", 5};
    argv[1] = (struct redis_arg){key->text, key->len};
    if (coturn)
        return 2;
    for (size_t i = 0; i < REDIS_USER_FIELDS; i++)
        argv[2 + i] = (struct redis_arg){redis_user_fields[i], strlen(redis_user_fields[i])};
    return 2 + REDIS_USER_FIELDS;
}

// Sends the next command of a fetch, if there is a connection. While one is being made it is sent
// from on_up instead.
static bool fetch_try_send(struct redis_fetch *f)
{
    struct redis_store *s = f->store;
    struct redis_arg argv[2 + REDIS_USER_FIELDS];
    struct redis_key key;
    redis_reply_cb *cb = on_user;
    size_t argc;

    if (redis_conn_state(s->conn) == REDIS_CONN_TRYING)
        return true;
    if (f->name_len == 0) {
        f->asked_ms = now_ms();
        f->age = redis_cache_age_now(s->cache);
    }
    if (f->kind == CACHE_SECRETS) {
        argc = build_secrets(f, &key, argv);
        cb = on_secrets;
    } else if (f->kind == CACHE_USERHASH && f->name_len == 0) {
        redis_key_userhash(&key, s->realm, f->key);
        argv[0] = (struct redis_arg){"GET", 3};
        argv[1] = (struct redis_arg){key.text, key.len};
        argc = 2;
        cb = on_userhash;
    } else {
        argc = build_user(f, &key, argv);
    }
    f->sent = key.len > 0 && redis_conn_send(s->conn, argv, argc, cb, f);
    return f->sent;
}

static void fetch_send(struct redis_fetch *f)
{
    if (!fetch_try_send(f))
        fetch_finish(f, NULL);
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
    f->deadline_ms = now_ms() + s->timeout_ms;
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
    if (f && !fetch_try_send(f)) {
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
        tell_cached(w, &v);
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
        tell_cached(w, &v);
    else
        tell(w, &(struct answer){.status = STORE_UNAVAILABLE});
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
            fetch_send(f);
    }
}

void redis_fetch_give_up(struct redis_store *s)
{
    struct redis_fetch *f, *next;

    for (f = TAILQ_FIRST(&s->open); f; f = next) {
        next = TAILQ_NEXT(f, link);
        if (!f->sent)
            fetch_finish(f, NULL);
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
