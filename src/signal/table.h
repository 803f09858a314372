// SPDX-License-Identifier: BSD-2-Clause
// A hash table of things that hold their own node. Whoever owns it hashes the keys, with SipHash
// where outsiders choose them, and compares them.
#ifndef TP_SIGNAL_TABLE_H
#define TP_SIGNAL_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_node {
    struct table_node *next;
    uint64_t hash;
};

// Zeroed: empty.
struct table {
    struct table_node **buckets;
    size_t size; // 0 or a power of two
    size_t count;
};

// Puts a node in. 0, or -ENOMEM. Without memory to grow, a table that is there goes on with longer
// chains.
int table_add(struct table *t, struct table_node *node, uint64_t hash);

// Takes out a node that is in.
void table_remove(struct table *t, struct table_node *node);

// The first of those that may be the one asked for, and the next.
struct table_node *table_first(const struct table *t, uint64_t hash);
struct table_node *table_next(const struct table_node *node);

// Frees the table itself.
void table_free(struct table *t);

#endif
