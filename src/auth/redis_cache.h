// SPDX-License-Identifier: BSD-2-Clause
// What Redis has said lately. Bounded: the entry that was not used for longest goes first. That
// somebody is unknown is kept in a part of its own, so that a flood of made-up names pushes out no
// user.
#ifndef TP_AUTH_REDIS_CACHE_H
#define TP_AUTH_REDIS_CACHE_H

#include "auth/backend.h"

enum cache_kind { CACHE_USER, CACHE_USERHASH, CACHE_SECRETS, CACHE_TOKEN_KEY };

struct redis_cache;

// What the cache knows under one key.
struct cache_view {
    bool negative;     // Redis has no such user
    bool aged;         // redis_cache_age was called since it was asked
    int64_t asked_ms;  // when Redis was asked
    const void *value; // what put was given; NULL when negative
};

// entries: users and secrets at most. NULL: out of memory.
struct redis_cache *redis_cache_new(size_t entries);
void redis_cache_free(struct redis_cache *c);

// What is known under a key, which was used by that. False: nothing. out->value is borrowed until
// the next put, drop or free.
bool redis_cache_get(struct redis_cache *c, enum cache_kind kind, const void *key, size_t len,
                     struct cache_view *out);

// Takes ownership of value (malloc'd; NULL: negative), also when memory is short and nothing is
// stored. age: what redis_cache_age_now said when Redis was asked.
void redis_cache_put(struct redis_cache *c, enum cache_kind kind, const void *key, size_t len,
                     void *value, int64_t asked_ms, unsigned age);

// Forgets what is known under a key.
void redis_cache_drop(struct redis_cache *c, enum cache_kind kind, const void *key, size_t len);

// From now on everything that is in the cache has to be asked again, but may still stand in while
// Redis is away.
void redis_cache_age(struct redis_cache *c);
unsigned redis_cache_age_now(const struct redis_cache *c);

#endif
