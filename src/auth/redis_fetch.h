// SPDX-License-Identifier: BSD-2-Clause
// Questions to Redis: from the cache where it knows, else one command for everybody who asks the
// same. Inside the Redis store.
#ifndef TP_AUTH_REDIS_FETCH_H
#define TP_AUTH_REDIS_FETCH_H

#include <sys/queue.h>

#include "auth/backend.h"
#include "auth/redis_cache.h"
#include "auth/redis_conn.h"
#include "util/log.h"
#include "util/siphash.h"

struct event;

#define REDIS_FETCH_BUCKETS 256

// Somebody who waits for an answer.
struct redis_waiter {
    TAILQ_ENTRY(redis_waiter) link;
    struct redis_fetch *fetch;
    store_done *user_done; // one of the two
    secrets_done *secrets_done;
    void *arg;
};

TAILQ_HEAD(redis_waiter_list, redis_waiter);

// A question that is on its way. It is freed when nobody waits any more and no command is out.
struct redis_fetch {
    TAILQ_ENTRY(redis_fetch) link; // by deadline, while it is open
    struct redis_fetch *next;      // of the same bucket, while it is open
    struct redis_store *store;
    struct redis_waiter_list waiters;
    int64_t deadline_ms, asked_ms;
    unsigned age;
    bool open;     // more may join
    bool sent;     // a command is out, its callback will come
    bool changed;  // an invalidation came meanwhile: the answer may be the old one
    bool fallback; // coturn's secret as a string, after it was no set
    uint8_t kind;
    uint16_t key_len;
    uint16_t name_len; // of the user that a USERHASH led to; 0: not known yet
    uint8_t key[AUTH_USER_MAX];
    uint8_t name[AUTH_USER_MAX];
};

struct redis_store {
    struct backend backend;
    struct store_uri uri;
    const char *realm;
    struct event_base *base;
    unsigned ttl_ms, timeout_ms, max_pending;
    struct redis_conn *conn, *subscriber;
    bool subscribed;
    struct redis_cache *cache;
    struct siphash_key hash_key;
    struct redis_fetch *bucket[REDIS_FETCH_BUCKETS];
    TAILQ_HEAD(, redis_fetch) open, dead; // dead: answered as too late, its command still out
    unsigned waiting, fetches;
    struct event *deadline;
    struct log_limit limit;
    stores_found *found; // NULL: nobody wants to know
    void *found_arg;
};

// Answers w at once (NULL), or queues a copy of it behind a question and returns its handle.
struct store_lookup *redis_fetch_ask(struct redis_store *s, enum cache_kind kind, const void *key,
                                     size_t len, const struct redis_waiter *w);

// Forgets a waiter. Its question stays: the answer is of use to the cache.
void redis_fetch_cancel(struct redis_store *s, struct redis_waiter *w);

// There is a connection: sends what has been waiting for it.
void redis_fetch_resume(struct redis_store *s);

// There is none: ends what was never sent. The rest hears of it from the connection.
void redis_fetch_give_up(struct redis_store *s);

// Ends what is past its deadline.
void redis_fetch_expire(struct redis_store *s);

// What has been asked about this key, and not been answered, may be answered with what is no longer
// true.
void redis_fetch_taint(struct redis_store *s, enum cache_kind kind, const void *key, size_t len);

// Frees everything, without a callback.
void redis_fetch_free_all(struct redis_store *s);

#endif
