// SPDX-License-Identifier: BSD-2-Clause
#include "auth/redis_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "util/rand.h"
#include "util/siphash.h"

#define NEGATIVE_MIN 64 // entries
#define NEGATIVE_PART 8 // one in so many of the users

struct entry {
    TAILQ_ENTRY(entry) lru; // the front was used last
    struct entry *next;     // of the same bucket
    uint64_t hash;
    int64_t asked_ms;
    unsigned age;
    void *value;
    uint16_t key_len;
    uint8_t kind;
    uint8_t key[];
};

TAILQ_HEAD(entry_list, entry);

struct part {
    struct entry_list list;
    size_t count, max;
};

struct redis_cache {
    struct siphash_key key;
    unsigned age;
    struct part known, negative;
    size_t mask;
    struct entry *bucket[];
};

struct redis_cache *redis_cache_new(size_t entries)
{
    size_t negative =
        entries / NEGATIVE_PART > NEGATIVE_MIN ? entries / NEGATIVE_PART : NEGATIVE_MIN;
    size_t buckets = 64;

    while (buckets < entries + negative)
        buckets *= 2;
    struct redis_cache *c = calloc(1, sizeof(*c) + buckets * sizeof(c->bucket[0]));
    if (!c)
        return NULL;
    c->mask = buckets - 1;
    c->known.max = entries > 0 ? entries : 1;
    c->negative.max = negative;
    TAILQ_INIT(&c->known.list);
    TAILQ_INIT(&c->negative.list);
    rand_bytes(&c->key, sizeof(c->key));
    return c;
}

static struct part *part_of(struct redis_cache *c, const struct entry *e)
{
    return e->value ? &c->known : &c->negative;
}

static void entry_remove(struct redis_cache *c, struct entry *e)
{
    struct part *p = part_of(c, e);
    struct entry **at = &c->bucket[e->hash & c->mask];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    TAILQ_REMOVE(&p->list, e, lru);
    p->count--;
    free(e->value);
    free(e);
}

void redis_cache_free(struct redis_cache *c)
{
    if (!c)
        return;
    while (!TAILQ_EMPTY(&c->known.list))
        entry_remove(c, TAILQ_FIRST(&c->known.list));
    while (!TAILQ_EMPTY(&c->negative.list))
        entry_remove(c, TAILQ_FIRST(&c->negative.list));
    free(c);
}

static struct entry *find(struct redis_cache *c, enum cache_kind kind, const void *key, size_t len,
                          uint64_t *hash)
{
    *hash = siphash(&c->key, key, len) + (uint64_t)kind;
    struct entry *e = c->bucket[*hash & c->mask];
    while (e && (e->hash != *hash || e->kind != kind || e->key_len != len ||
                 memcmp(e->key, key, len) != 0))
        e = e->next;
    return e;
}

bool redis_cache_get(struct redis_cache *c, enum cache_kind kind, const void *key, size_t len,
                     struct cache_view *out)
{
    uint64_t hash;
    struct entry *e = find(c, kind, key, len, &hash);

    if (!e)
        return false;
    struct part *p = part_of(c, e);
    TAILQ_REMOVE(&p->list, e, lru);
    TAILQ_INSERT_HEAD(&p->list, e, lru);
    out->negative = !e->value;
    out->aged = e->age != c->age;
    out->asked_ms = e->asked_ms;
    out->value = e->value;
    return true;
}

void redis_cache_put(struct redis_cache *c, enum cache_kind kind, const void *key, size_t len,
                     void *value, int64_t asked_ms, unsigned age)
{
    uint64_t hash;
    struct entry *e = find(c, kind, key, len, &hash);

    if (e)
        entry_remove(c, e);
    e = len <= UINT16_MAX ? malloc(sizeof(*e) + len) : NULL;
    if (!e) {
        free(value);
        return;
    }
    e->hash = hash;
    e->asked_ms = asked_ms;
    e->age = age;
    e->value = value;
    e->kind = (uint8_t)kind;
    e->key_len = (uint16_t)len;
    memcpy(e->key, key, len);
    struct part *p = part_of(c, e);
    if (p->count == p->max)
        entry_remove(c, TAILQ_LAST(&p->list, entry_list));
    e->next = c->bucket[hash & c->mask];
    c->bucket[hash & c->mask] = e;
    TAILQ_INSERT_HEAD(&p->list, e, lru);
    p->count++;
}

void redis_cache_drop(struct redis_cache *c, enum cache_kind kind, const void *key, size_t len)
{
    uint64_t hash;
    struct entry *e = find(c, kind, key, len, &hash);

    if (e)
        entry_remove(c, e);
}

void redis_cache_age(struct redis_cache *c)
{
    c->age++;
}

unsigned redis_cache_age_now(const struct redis_cache *c)
{
    return c->age;
}
