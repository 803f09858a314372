// SPDX-License-Identifier: BSD-2-Clause
#include "turn/quota.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "util/rand.h"
#include "util/siphash.h"

#define BUCKETS_MIN 64

struct quota {
    pthread_mutex_t lock;
    struct siphash_key key;
    struct quota_user **bucket;
    size_t bucket_count; // a power of two
    size_t user_count;
    uint32_t total;
    struct bandwidth bandwidth;
};

struct quota *quota_new(void)
{
    struct quota *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    q->bucket = calloc(BUCKETS_MIN, sizeof(struct quota_user *));
    if (!q->bucket || pthread_mutex_init(&q->lock, NULL) != 0) {
        free(q->bucket);
        free(q);
        return NULL;
    }
    q->bucket_count = BUCKETS_MIN;
    rand_bytes(&q->key, sizeof(q->key));
    return q;
}

void quota_free(struct quota *q)
{
    if (!q)
        return;
    assert(q->total == 0);
    pthread_mutex_destroy(&q->lock);
    free(q->bucket);
    free(q);
}

static size_t bucket_of(const struct quota *q, size_t bucket_count, const void *user, size_t len)
{
    return siphash(&q->key, user, len) & (bucket_count - 1);
}

static struct quota_user **find(struct quota *q, const void *user, size_t len)
{
    struct quota_user **at = &q->bucket[bucket_of(q, q->bucket_count, user, len)];
    while (*at && ((*at)->name_len != len || memcmp((*at)->name, user, len) != 0))
        at = &(*at)->next;
    return at;
}

// Without memory the chains get longer, nothing else.
static void grow(struct quota *q)
{
    size_t count = q->bucket_count * 2;
    struct quota_user **bucket = calloc(count, sizeof(struct quota_user *));
    if (!bucket)
        return;
    for (size_t i = 0; i < q->bucket_count; i++) {
        for (struct quota_user *u = q->bucket[i], *next; u; u = next) {
            size_t to = bucket_of(q, count, u->name, u->name_len);
            next = u->next;
            u->next = bucket[to];
            bucket[to] = u;
        }
    }
    free(q->bucket);
    q->bucket = bucket;
    q->bucket_count = count;
}

static struct quota_user *add(struct quota *q, const void *user, size_t len)
{
    struct quota_user *u = calloc(1, sizeof(*u) + len + 1);
    if (!u)
        return NULL;
    if (q->user_count >= q->bucket_count)
        grow(q);
    struct quota_user **at = &q->bucket[bucket_of(q, q->bucket_count, user, len)];
    u->next = *at;
    u->name_len = (uint16_t)len;
    memcpy(u->name, user, len);
    *at = u;
    q->user_count++;
    return u;
}

static int acquire(struct quota *q, const void *user, size_t len, uint32_t user_max,
                   uint32_t total_max, struct quota_user **out)
{
    struct quota_user *u = *find(q, user, len);
    if (u && user_max && u->count >= user_max)
        return -EDQUOT;
    if (q->total == UINT32_MAX || (total_max && q->total >= total_max))
        return -ENOSPC;
    if (!u)
        u = add(q, user, len);
    if (!u)
        return -ENOMEM;
    u->count++;
    q->total++;
    *out = u;
    return 0;
}

int quota_acquire(struct quota *q, const void *user, size_t len, uint32_t user_max,
                  uint32_t total_max, struct quota_user **out)
{
    *out = NULL;
    if (len > UINT16_MAX)
        return -ENOMEM;
    pthread_mutex_lock(&q->lock);
    int rc = acquire(q, user, len, user_max, total_max, out);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

void quota_release(struct quota *q, struct quota_user *u)
{
    if (!u)
        return;
    pthread_mutex_lock(&q->lock);
    assert(u->count > 0 && q->total > 0);
    q->total--;
    if (--u->count == 0) {
        *find(q, u->name, u->name_len) = u->next;
        q->user_count--;
        free(u);
    }
    pthread_mutex_unlock(&q->lock);
}

uint32_t quota_total(struct quota *q)
{
    pthread_mutex_lock(&q->lock);
    uint32_t total = q->total;
    pthread_mutex_unlock(&q->lock);
    return total;
}

struct bandwidth *quota_bandwidth(struct quota *q)
{
    return &q->bandwidth;
}
