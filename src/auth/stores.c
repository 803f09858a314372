// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include "auth/stores.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "auth/backend.h"
#include "auth/shared_secret.h"
#include "auth/static_tokens.h"
#include "auth/static_users.h"
#include "util/log.h"

#define SPARE_MAX 32 // look-ups kept for reuse, so that those which end at once allocate nothing

struct stores {
    struct stores_config cfg;
    struct static_users *users;
    struct static_tokens *tokens;
    struct backend **backend;
    size_t backend_count;
    LIST_HEAD(, store_lookup) active, spare;
    unsigned spare_count;
};

// At most two walks through the backends: one for their secrets, if the name carries an expiry, and
// one for the user. A name that is a number and nothing else may as well be a user's, a telephone
// number: then the user comes first. Others spare the stores the question.
struct store_lookup {
    struct stores *stores;
    LIST_ENTRY(store_lookup) link;
    store_done *done;
    void *arg;
    struct store_query query;
    uint8_t id[AUTH_USER_MAX];
    bool ask_secrets;         // the present walk is for secrets
    bool another;             // walk is to come, for the other thing
    size_t index;             // of the backend that is asked
    struct store_lookup *sub; // its look-up while it is pending
    bool in_call;             // the backend may be answering before its call returns
    bool answered;            // and did
    bool finished;            // done was called
    bool unavailable;
    struct auth_record rec; // keys from shared secrets
};

static struct store_lookup *lookup_get(struct stores *s)
{
    struct store_lookup *l = LIST_FIRST(&s->spare);

    if (l) {
        LIST_REMOVE(l, link);
        s->spare_count--;
    } else {
        l = malloc(sizeof(*l));
        if (!l)
            return NULL;
    }
    LIST_INSERT_HEAD(&s->active, l, link);
    l->stores = s;
    l->sub = NULL;
    l->index = 0;
    l->ask_secrets = l->another = l->in_call = l->answered = l->finished = l->unavailable = false;
    return l;
}

static void lookup_put(struct store_lookup *l)
{
    struct stores *s = l->stores;

    LIST_REMOVE(l, link);
    if (s->spare_count == SPARE_MAX) {
        free(l);
        return;
    }
    s->spare_count++;
    LIST_INSERT_HEAD(&s->spare, l, link);
}

static void finish(struct store_lookup *l, enum store_status status, const struct auth_record *rec)
{
    l->finished = true;
    l->done(status, rec, l->arg);
}

static bool run(struct store_lookup *l);

// A backend has answered: goes on from here unless run() is waiting below for exactly this.
static void resume(struct store_lookup *l)
{
    if (l->in_call) {
        l->answered = true;
        return;
    }
    l->sub = NULL;
    l->index++;
    if (l->finished || run(l))
        lookup_put(l);
}

static void on_user(enum store_status status, const struct auth_record *rec, void *arg)
{
    struct store_lookup *l = arg;

    if (status == STORE_FOUND)
        finish(l, status, rec);
    else if (status == STORE_UNAVAILABLE)
        l->unavailable = true;
    resume(l);
}

// Keys of secrets beyond AUTH_KEYS_MAX are not tried, and who made them wonders.
static void add_secret(struct store_lookup *l, const char *secret, size_t len, bool more)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;

    more |= !shared_secret_add_key(&l->rec, l->stores->cfg.realm, secret, len);
    if (more && !atomic_flag_test_and_set(&told))
        log_warning("store",
                    "there are more than %d shared secrets, those of the configuration and of all "
                    "stores together: what was made from the rest is refused",
                    AUTH_KEYS_MAX);
}

static void on_secrets(enum store_status status, const struct secret_list *list, void *arg)
{
    struct store_lookup *l = arg;

    if (status == STORE_FOUND)
        for (unsigned i = 0; i < list->count; i++)
            add_secret(l, list->item[i].text, list->item[i].len, list->more);
    else if (status == STORE_UNAVAILABLE)
        l->unavailable = true;
    resume(l);
}

// All backends have been asked. True: the answer is out; false: the other walk begins.
static bool end_walk(struct store_lookup *l)
{
    if (l->ask_secrets && l->rec.key_count > 0) {
        l->rec.incomplete = l->unavailable;
        finish(l, STORE_FOUND, &l->rec);
        return true;
    }
    if (!l->another) {
        finish(l, l->unavailable ? STORE_UNAVAILABLE : STORE_NOT_FOUND, NULL);
        return true;
    }
    l->another = false;
    l->ask_secrets = !l->ask_secrets;
    l->index = 0;
    return false;
}

// Asks backend after backend until one has to be waited for (false) or the answer is out (true).
static bool run(struct store_lookup *l)
{
    struct stores *s = l->stores;

    for (;;) {
        if (l->index == s->backend_count) {
            if (end_walk(l))
                return true;
            continue;
        }
        struct backend *b = s->backend[l->index];
        l->in_call = true;
        l->answered = false;
        struct store_lookup *sub = l->ask_secrets
                                       ? b->secrets(b, s->cfg.realm, on_secrets, l)
                                       : b->store.ops->lookup(&b->store, &l->query, on_user, l);
        l->in_call = false;
        if (!l->answered) {
            l->sub = sub;
            return false;
        }
        if (l->finished)
            return true;
        l->index++;
    }
}

struct store_lookup *stores_lookup(struct stores *s, const struct store_query *q, int64_t now,
                                   store_done *done, void *arg)
{
    struct store_lookup *l = NULL;

    if (strcmp(q->realm, s->cfg.realm) == 0 && q->id_len <= AUTH_USER_MAX)
        l = lookup_get(s);
    if (!l) {
        done(q->id_len <= AUTH_USER_MAX ? STORE_UNAVAILABLE : STORE_NOT_FOUND, NULL, arg);
        return NULL;
    }
    bool found = q->token_key ? static_tokens_find(s->tokens, q, &l->rec)
                              : static_users_find(s->users, q, &l->rec);
    if (found) {
        done(STORE_FOUND, &l->rec, arg);
        lookup_put(l);
        return NULL;
    }
    memcpy(l->id, q->id, q->id_len);
    l->query = *q;
    l->query.realm = s->cfg.realm;
    l->query.id = l->id;
    l->done = done;
    l->arg = arg;

    int64_t expires = q->userhash || q->token_key ? -1 : shared_secret_expiry(q->id, q->id_len);
    if (expires > now) {
        l->ask_secrets = memchr(q->id, ':', q->id_len) != NULL;
        l->another = true;
        shared_secret_begin(&l->rec, q->id, q->id_len, expires);
        for (size_t i = 0; i < s->cfg.secret_count; i++)
            add_secret(l, s->cfg.secrets[i], strlen(s->cfg.secrets[i]), false);
    }
    if (!run(l))
        return l;
    lookup_put(l);
    return NULL;
}

void stores_cancel(struct stores *s, struct store_lookup *l)
{
    struct backend *b = s->backend[l->index];

    b->store.ops->cancel(&b->store, l->sub);
    lookup_put(l);
}

static int open_backend(struct backend **out, const char *text, const struct stores_config *cfg,
                        struct event_base *base, const char **why)
{
    struct store_uri uri;
    int r = store_uri_parse(&uri, text, why);

    if (r < 0)
        return r;
#ifdef WITH_SQLITE
    if (uri.kind == STORE_KIND_SQLITE)
        return sqlite_store_open(out, &uri, why);
#endif
#ifdef WITH_HIREDIS
    if (uri.kind != STORE_KIND_SQLITE)
        return redis_store_open(out, &uri, cfg, base, why);
#endif
    return -EINVAL;
}

int stores_open(struct stores **out, const struct stores_config *cfg, struct event_base *base,
                const char **why)
{
    *why = "out of memory";
    struct stores *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->cfg = *cfg;
    int r = static_users_new(&s->users, cfg->realm, cfg->users, cfg->user_count, why);
    if (r < 0)
        goto fail;
    r = static_tokens_new(&s->tokens, cfg->token_keys, cfg->token_key_count, why);
    if (r < 0)
        goto fail;
    r = -ENOMEM;
    *why = "out of memory";
    s->backend = calloc(cfg->uri_count + 1, sizeof(s->backend[0]));
    if (!s->backend)
        goto fail;
    for (size_t i = 0; i < cfg->uri_count; i++) {
        r = open_backend(&s->backend[i], cfg->uris[i], cfg, base, why);
        if (r < 0)
            goto fail;
        s->backend_count++;
    }
    *out = s;
    return 0;
fail:
    stores_close(s);
    return r;
}

static bool asks_alike(const struct stores_config *a, const struct stores_config *b)
{
    return strcmp(a->realm, b->realm) == 0 && a->cache_ttl_ms == b->cache_ttl_ms &&
           a->timeout_ms == b->timeout_ms && a->cache_entries == b->cache_entries &&
           a->max_pending == b->max_pending;
}

void stores_inherit(struct stores *s, struct stores *old)
{
    if (!asks_alike(&s->cfg, &old->cfg))
        return;
    for (size_t i = 0; i < s->backend_count; i++) {
        for (size_t j = 0; j < old->backend_count; j++) {
            struct backend *mine = s->backend[i], *other = old->backend[j];
            if (!other->move || strcmp(s->cfg.uris[i], old->cfg.uris[j]) != 0)
                continue;
            other->move(other, s->cfg.realm);
            s->backend[i] = other;
            old->backend[j] = mine;
            break;
        }
    }
}

void stores_watch(struct stores *s, stores_found *found, void *arg)
{
    for (size_t i = 0; i < s->backend_count; i++)
        if (s->backend[i]->watch)
            s->backend[i]->watch(s->backend[i], found, arg);
}

static void free_list(struct store_lookup *l)
{
    while (l) {
        struct store_lookup *next = LIST_NEXT(l, link);
        free(l);
        l = next;
    }
}

void stores_close(struct stores *s)
{
    if (!s)
        return;
    // The backends forget their pending look-ups without a call.
    for (size_t i = 0; i < s->backend_count; i++)
        s->backend[i]->store.ops->close(&s->backend[i]->store);
    free_list(LIST_FIRST(&s->active));
    free_list(LIST_FIRST(&s->spare));
    static_users_free(s->users);
    static_tokens_free(s->tokens);
    free(s->backend);
    free(s);
}
