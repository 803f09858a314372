// SPDX-License-Identifier: BSD-2-Clause
// The peer data connections of one worker's TCP allocations (RFC 6062): a hash table by
// CONNECTION-ID, and a queue of those that wait, which all wait equally long.
#include <errno.h>
#include <stdlib.h>

#include "turn/internal.h"

#define BUCKETS_MIN 16
#define ROUNDS 8
#define COUNTER_BITS 24 // of an id; the worker's number is above

// --- identifiers ---

// A CONNECTION-ID is the worker's number and a counter, enciphered: it leads to its worker, is
// unique, and whoever has some can guess no other. A Feistel network over two halves of 16 bits.
static uint16_t scramble(const struct siphash_key *key, unsigned round, uint16_t half)
{
    const uint8_t in[3] = {(uint8_t)round, (uint8_t)(half >> 8), (uint8_t)half};
    return (uint16_t)siphash(key, in, sizeof(in));
}

static uint32_t encipher(const struct siphash_key *key, uint32_t plain)
{
    uint16_t left = (uint16_t)(plain >> 16), right = (uint16_t)plain;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint16_t next = left ^ scramble(key, round, right);
        left = right;
        right = next;
    }
    return (uint32_t)left << 16 | right;
}

static uint32_t decipher(const struct siphash_key *key, uint32_t id)
{
    uint16_t left = (uint16_t)(id >> 16), right = (uint16_t)id;
    for (unsigned round = ROUNDS; round-- > 0;) {
        uint16_t before = right ^ scramble(key, round, left);
        right = left;
        left = before;
    }
    return (uint32_t)left << 16 | right;
}

uint8_t connection_owner(const struct turn_server *s, uint32_t id)
{
    return (uint8_t)(decipher(&s->cfg->connection_key, id) >> COUNTER_BITS);
}

// --- the table ---

static size_t bucket_of(const struct connection_table *t, size_t bucket_count, uint32_t id)
{
    return siphash(t->key, &id, sizeof(id)) & (bucket_count - 1);
}

static struct turn_connection **find(struct connection_table *t, uint32_t id)
{
    struct turn_connection **at = &t->bucket[bucket_of(t, t->bucket_count, id)];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

struct turn_connection *connection_find(struct turn_server *s, uint32_t id)
{
    return s->connections.bucket ? *find(&s->connections, id) : NULL;
}

struct turn_connection *connection_find_peer(const struct turn_allocation *a,
                                             const struct addr *peer)
{
    struct turn_connection *c = a->connections->first;
    while (c && !addr_equal(&c->peer, peer))
        c = c->sibling;
    return c;
}

// The first bucket array must be there; without memory for a larger one the chains get longer.
static int make_room(struct connection_table *t)
{
    size_t count = t->bucket ? t->bucket_count * 2 : BUCKETS_MIN;
    if (t->bucket && t->count < t->bucket_count)
        return 0;
    struct turn_connection **bucket = calloc(count, sizeof(struct turn_connection *));
    if (!bucket)
        return t->bucket ? 0 : -ENOMEM;
    for (size_t i = 0; i < t->bucket_count; i++) {
        for (struct turn_connection *c = t->bucket[i], *next; c; c = next) {
            size_t to = bucket_of(t, count, c->id);
            next = c->next;
            c->next = bucket[to];
            bucket[to] = c;
        }
    }
    free(t->bucket);
    t->bucket = bucket;
    t->bucket_count = count;
    return 0;
}

void connections_init(struct turn_server *s)
{
    s->connections.key = &s->key;
    s->connections.waiting_tail = &s->connections.waiting;
}

// --- waiting ---

static void wait_begin(struct connection_table *t, struct turn_connection *c, int64_t now_ms)
{
    c->deadline_ms = now_ms + TURN_CONNECTION_WAIT_MS;
    c->later = NULL;
    c->later_prev = t->waiting_tail;
    *t->waiting_tail = c;
    t->waiting_tail = &c->later;
}

static void wait_end(struct connection_table *t, struct turn_connection *c)
{
    if (!c->later_prev)
        return;
    *c->later_prev = c->later;
    if (c->later)
        c->later->later_prev = c->later_prev;
    else
        t->waiting_tail = c->later_prev;
    c->later_prev = NULL;
}

void connections_sweep(struct turn_server *s, int64_t now_ms)
{
    struct turn_connection *c;
    while ((c = s->connections.waiting) && now_ms >= c->deadline_ms) {
        if (c->state == TURN_CONNECTION_OPENING)
            turn_connection_failed(s, c);
        else
            connection_end(s, c);
    }
}

// --- life ---

static uint32_t new_id(struct turn_server *s)
{
    struct connection_table *t = &s->connections;
    uint32_t id;
    do { // fewer than 2^24 exist, so that one is free
        t->counter = (t->counter + 1) & ((1u << COUNTER_BITS) - 1);
        id = encipher(&s->cfg->connection_key, (uint32_t)s->worker << COUNTER_BITS | t->counter);
    } while (*find(t, id));
    return id;
}

int connection_new(struct turn_server *s, struct turn_allocation *a, const struct addr *peer,
                   int64_t now_ms, struct turn_connection **out)
{
    struct connection_table *t = &s->connections;
    struct turn_connections *of = a->connections;

    if (of->count >= s->cfg->max_connections || t->count >= CONNECTIONS_MAX)
        return -ENOSPC;
    if (make_room(t) < 0)
        return -ENOMEM;
    struct turn_connection *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->allocation = a;
    c->peer = *peer;
    c->id = new_id(s);
    c->next = NULL;
    *find(t, c->id) = c;
    t->count++;
    c->sibling = of->first;
    c->sibling_prev = &of->first;
    if (c->sibling)
        c->sibling->sibling_prev = &c->sibling;
    of->first = c;
    of->count++;
    wait_begin(t, c, now_ms);
    *out = c;
    return 0;
}

void connection_established(struct turn_server *s, struct turn_connection *c, int64_t now_ms)
{
    free(c->request);
    c->request = NULL;
    c->state = TURN_CONNECTION_PENDING;
    wait_end(&s->connections, c);
    wait_begin(&s->connections, c, now_ms);
}

void connection_bound(struct turn_server *s, struct turn_connection *c)
{
    c->state = TURN_CONNECTION_BOUND;
    wait_end(&s->connections, c);
}

void connection_end(struct turn_server *s, struct turn_connection *c)
{
    if (c->socket)
        s->ops.peer_close(s->arg, c);
    *find(&s->connections, c->id) = c->next;
    s->connections.count--;
    *c->sibling_prev = c->sibling;
    if (c->sibling)
        c->sibling->sibling_prev = c->sibling_prev;
    c->allocation->connections->count--;
    wait_end(&s->connections, c);
    free(c->request);
    free(c);
}

void turn_connection_close(struct turn_server *s, struct turn_connection *c)
{
    connection_end(s, c);
}

int connections_begin(struct turn_allocation *a)
{
    a->connections = calloc(1, sizeof(*a->connections));
    return a->connections ? 0 : -ENOMEM;
}

void connections_end(struct turn_server *s, struct turn_allocation *a)
{
    while (a->connections && a->connections->first)
        connection_end(s, a->connections->first);
}
