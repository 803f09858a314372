// SPDX-License-Identifier: BSD-2-Clause
#include "auth/redis_query.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/redis_record.h"
#include "util/codec.h"

static void complain(struct redis_store *s, const char *what, const void *name, size_t len)
{
    char shown[128];
    uint32_t swallowed;

    if (log_limit_pass(&s->limit, 5, time(NULL), &swallowed))
        log_warning("store", "redis: %s: \"%s\" (%u more like this)", what,
                    text_escape(shown, sizeof(shown), name, len), swallowed);
}

static struct redis_cached_user *user_pack(const struct auth_record *rec)
{
    struct redis_cached_user *u = malloc(sizeof(*u) + rec->user_len);

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

static struct redis_cached_token *token_pack(const struct auth_record *rec)
{
    struct redis_cached_token *t = malloc(sizeof(*t) + rec->user_len);

    if (!t)
        return NULL;
    t->key = rec->token_key;
    t->created = rec->created;
    t->expires = rec->expires;
    t->kid_len = (uint16_t)rec->user_len;
    memcpy(t->kid, rec->user, rec->user_len);
    return t;
}

// Handles what every reply has in common. True: there is a reply of the present state to look at.
static bool reply_usable(struct redis_fetch *f, const redisReply *reply)
{
    f->sent = false;
    if (reply && f->changed && f->open) {
        f->changed = false;
        f->name_len = 0;
        redis_query_send(f);
        return false;
    }
    // An error of the server (loading, out of memory, a failover) says nothing about the user; a
    // wrong type does.
    if (reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "WRONGTYPE", 9) != 0) {
        complain(f->store, "an error instead of an answer", reply->str, reply->len);
        reply = NULL;
    }
    if (!reply) {
        redis_fetch_finish(f, NULL);
        return false;
    }
    return true;
}

// Of a user or of a token's key.
static void finish_record(struct redis_fetch *f, enum store_status status,
                          const struct auth_record *rec)
{
    struct redis_store *s = f->store;
    void *u = NULL;
    struct redis_answer a = {.status = status, .rec = rec};

    if (status == STORE_UNAVAILABLE) {
        complain(s, "a record that cannot be read", f->key, f->key_len);
        redis_cache_drop(s->cache, f->kind, f->key, f->key_len);
    } else {
        if (status == STORE_FOUND)
            u = f->kind == CACHE_TOKEN_KEY ? (void *)token_pack(rec) : (void *)user_pack(rec);
        if ((u || status == STORE_NOT_FOUND) && !f->changed)
            redis_cache_put(s->cache, f->kind, f->key, f->key_len, u, f->asked_ms, f->age);
        else
            free(u);
    }
    redis_fetch_finish(f, &a);
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
    finish_record(f, status, status == STORE_FOUND ? &rec : NULL);
}

static void on_token_key(const redisReply *reply, void *arg)
{
    struct redis_fetch *f = arg;
    struct redis_store *s = f->store;
    struct auth_record rec;

    if (!reply_usable(f, reply))
        return;
    enum store_status status = s->uri.coturn
                                   ? coturn_token_read(&rec, reply, f->key, f->key_len, s->realm)
                                   : redis_token_read(&rec, reply, f->key, f->key_len);
    finish_record(f, status, status == STORE_FOUND ? &rec : NULL);
}

static void on_userhash(const redisReply *reply, void *arg)
{
    struct redis_fetch *f = arg;

    if (!reply_usable(f, reply))
        return;
    if (reply->type == REDIS_REPLY_NIL) {
        finish_record(f, STORE_NOT_FOUND, NULL);
        return;
    }
    if (reply->type != REDIS_REPLY_STRING || reply->len == 0 || reply->len > sizeof(f->name)) {
        finish_record(f, STORE_UNAVAILABLE, NULL);
        return;
    }
    f->name_len = (uint16_t)reply->len;
    memcpy(f->name, reply->str, reply->len);
    redis_query_send(f);
}

static void on_secrets(const redisReply *reply, void *arg)
{
    struct redis_fetch *f = arg;
    struct redis_store *s = f->store;
    struct redis_answer a = {.status = STORE_UNAVAILABLE};
    struct secret_list list;

    if (!reply_usable(f, reply))
        return;
    if (reply->type == REDIS_REPLY_ERROR && s->uri.coturn && !f->fallback &&
        strncmp(reply->str, "WRONGTYPE", 9) == 0) {
        f->fallback = true;
        redis_query_send(f);
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
    redis_fetch_finish(f, &a);
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
    // One more than there may be, to notice that there are too many.
    _Static_assert(AUTH_KEYS_MAX == 8, "the last rank below is AUTH_KEYS_MAX");
    argv[0] = (struct redis_arg){"ZREVRANGE", 9};
    argv[2] = (struct redis_arg){"0", 1};
    argv[3] = (struct redis_arg){"8", 1};
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

static size_t build_token_key(const struct redis_fetch *f, struct redis_key *key,
                              struct redis_arg argv[])
{
    bool coturn = f->store->uri.coturn;
    size_t count = coturn ? COTURN_TOKEN_FIELDS : REDIS_TOKEN_FIELDS;

    if (coturn)
        coturn_key_token(key, f->key, f->key_len);
    else
        redis_key_token(key, f->store->realm, f->key, f->key_len);
    argv[0] = (struct redis_arg){"HMGET", 5};
    argv[1] = (struct redis_arg){key->text, key->len};
    for (size_t i = 0; i < count; i++) {
        const char *field = coturn ? coturn_token_fields[i] : redis_token_fields[i];
        argv[2 + i] = (struct redis_arg){field, strlen(field)};
    }
    return 2 + count;
}

bool redis_query_try_send(struct redis_fetch *f)
{
    struct redis_store *s = f->store;
    struct redis_arg argv[2 + REDIS_USER_FIELDS];
    struct redis_key key;
    redis_reply_cb *cb = on_user;
    size_t argc;

    if (redis_conn_state(s->conn) == REDIS_CONN_TRYING)
        return true;
    if (f->name_len == 0) {
        f->asked_ms = redis_now_ms();
        f->age = redis_cache_age_now(s->cache);
    }
    if (f->kind == CACHE_SECRETS) {
        argc = build_secrets(f, &key, argv);
        cb = on_secrets;
    } else if (f->kind == CACHE_TOKEN_KEY) {
        argc = build_token_key(f, &key, argv);
        cb = on_token_key;
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

void redis_query_send(struct redis_fetch *f)
{
    if (!redis_query_try_send(f))
        redis_fetch_finish(f, NULL);
}
