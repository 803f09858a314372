// SPDX-License-Identifier: BSD-2-Clause
#include "signal/table.h"

#include <errno.h>
#include <stdlib.h>

#define SIZE_MIN 16

static struct table_node **bucket(const struct table *t, uint64_t hash)
{
    return &t->buckets[hash & (t->size - 1)];
}

static int resize(struct table *t, size_t size)
{
    struct table old = *t;
    struct table_node **buckets = calloc(size, sizeof *buckets);

    if (!buckets)
        return -ENOMEM;
    t->buckets = buckets;
    t->size = size;
    for (size_t i = 0; i < old.size; i++) {
        for (struct table_node *n = old.buckets[i], *next; n; n = next) {
            struct table_node **at = bucket(t, n->hash);
            next = n->next;
            n->next = *at;
            *at = n;
        }
    }
    free(old.buckets);
    return 0;
}

int table_add(struct table *t, struct table_node *node, uint64_t hash)
{
    if (t->count == t->size && resize(t, t->size ? t->size * 2 : SIZE_MIN) < 0 && t->size == 0)
        return -ENOMEM;
    struct table_node **at = bucket(t, hash);
    node->hash = hash;
    node->next = *at;
    *at = node;
    t->count++;
    return 0;
}

void table_remove(struct table *t, struct table_node *node)
{
    struct table_node **at = bucket(t, node->hash);

    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    t->count--;
    // What a crowd has left behind is given back; if there is no memory to do so, later.
    if (t->size > SIZE_MIN && t->count < t->size / 8)
        resize(t, t->size / 2);
}

static struct table_node *of_hash(struct table_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct table_node *table_first(const struct table *t, uint64_t hash)
{
    return t->size ? of_hash(*bucket(t, hash), hash) : NULL;
}

struct table_node *table_next(const struct table_node *node)
{
    return of_hash(node->next, node->hash);
}

void table_free(struct table *t)
{
    free(t->buckets);
    *t = (struct table){0};
}
