// SPDX-License-Identifier: BSD-2-Clause
// The allocations of one worker: a hash table by 5-tuple, and a wheel of seconds that finds the
// expired ones.
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "turn/internal.h"
#include "util/rand.h"

#define BUCKETS_MIN 64

_Static_assert(sizeof(struct turn_tuple) == 56,
               "struct turn_tuple is compared and hashed as bytes");

struct turn_server *turn_server_new(const struct turn_ops *ops, void *arg, struct quota *quota,
                                    uint8_t worker, const uint8_t *ticket_key)
{
    struct turn_server *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->bucket = calloc(BUCKETS_MIN, sizeof(struct turn_allocation *));
    if (!s->bucket) {
        free(s);
        return NULL;
    }
    s->bucket_count = BUCKETS_MIN;
    s->ops = *ops;
    s->arg = arg;
    s->quota = quota;
    s->worker = worker;
    s->next_alternate = worker; // or all workers would begin with the same
    memcpy(s->ticket_key, ticket_key, sizeof(s->ticket_key));
    rand_bytes(&s->key, sizeof(s->key));
    rand_bytes(&s->next_session, sizeof(s->next_session));
    rand_bytes(&s->connections.counter, sizeof(s->connections.counter));
    connections_init(s);
    return s;
}

void turn_server_free(struct turn_server *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->bucket_count; i++)
        while (s->bucket[i])
            allocation_end(s, s->bucket[i], TURN_EVENT_CLOSED);
    mobility_table_free(s);
    OPENSSL_cleanse(s->ticket_key, sizeof(s->ticket_key));
    free(s->connections.bucket);
    free(s->bucket);
    free(s);
}

void turn_server_configure(struct turn_server *s, const struct turn_config *cfg)
{
    s->cfg = cfg;
    s->begun.data = NULL; // it was judged by the old one
    for (size_t i = 0; i < s->bucket_count; i++)
        for (struct turn_allocation *a = s->bucket[i]; a; a = a->next)
            limit_update(s, a);
}

size_t turn_server_count(const struct turn_server *s)
{
    return s->count;
}

static size_t bucket_of(const struct turn_server *s, size_t bucket_count,
                        const struct turn_tuple *tuple)
{
    return siphash(&s->key, tuple, sizeof(*tuple)) & (bucket_count - 1);
}

static struct turn_allocation **find(struct turn_server *s, const struct turn_tuple *tuple)
{
    struct turn_allocation **at = &s->bucket[bucket_of(s, s->bucket_count, tuple)];
    while (*at && memcmp(&(*at)->tuple, tuple, sizeof(*tuple)) != 0)
        at = &(*at)->next;
    return at;
}

struct turn_allocation *turn_server_find(struct turn_server *s, const struct turn_tuple *tuple,
                                         int64_t now_ms)
{
    struct turn_allocation *a = *find(s, tuple);
    return a && now_ms < a->expires_ms ? a : NULL;
}

// Without memory the chains get longer, nothing else.
static void grow(struct turn_server *s)
{
    size_t count = s->bucket_count * 2;
    struct turn_allocation **bucket = calloc(count, sizeof(struct turn_allocation *));
    if (!bucket)
        return;
    for (size_t i = 0; i < s->bucket_count; i++) {
        for (struct turn_allocation *a = s->bucket[i], *next; a; a = next) {
            size_t to = bucket_of(s, count, &a->tuple);
            next = a->next;
            a->next = bucket[to];
            bucket[to] = a;
        }
    }
    free(s->bucket);
    s->bucket = bucket;
    s->bucket_count = count;
}

static void wheel_put(struct turn_server *s, struct turn_allocation *a)
{
    uint64_t second = (uint64_t)allocation_box(a)->wheel_ms / 1000;
    struct turn_allocation **slot = &s->wheel[second % WHEEL_SLOTS];
    a->wheel_next = *slot;
    a->wheel_prev = slot;
    if (*slot)
        (*slot)->wheel_prev = &a->wheel_next;
    *slot = a;
}

static void wheel_take(struct turn_allocation *a)
{
    *a->wheel_prev = a->wheel_next;
    if (a->wheel_next)
        a->wheel_next->wheel_prev = a->wheel_prev;
}

struct turn_allocation *allocation_new(struct turn_server *s, const struct turn_input *in)
{
    struct allocation_box *box = calloc(1, sizeof(*box));
    if (!box)
        return NULL;
    struct turn_allocation *a = &box->a;
    a->tuple = *in->tuple;
    a->link = in->link;
    a->created_ms = in->now_ms;
    a->session = (uint64_t)s->worker << 56 | (s->next_session++ & UINT64_C(0x00ffffffffffffff));
    return a;
}

void allocation_free(struct turn_server *s, struct turn_allocation *a, bool close_relays)
{
    connections_end(s, a);
    if (close_relays)
        s->ops.relay_close(s->arg, a, ADDR_NONE);
    mobility_free(s, a->mobility);
    quota_release(s->quota, a->user);
    channels_free(a);
    permissions_free(a);
    free(a->connections);
    auth_session_free(allocation_box(a)->session);
    free(allocation_box(a));
}

// The last of its relays ends it, the first has the sweep look at it.
static void set_times(struct turn_allocation *a)
{
    int64_t first = INT64_MAX, last = 0;
    for (int i = 0; i < 2; i++) {
        const struct turn_relay *relay = &a->relay[i];
        if (relay->relayed.family == ADDR_NONE)
            continue;
        if (relay->expires_ms < first)
            first = relay->expires_ms;
        if (relay->expires_ms > last)
            last = relay->expires_ms;
    }
    a->expires_ms = last;
    allocation_box(a)->wheel_ms = first;
}

static void set_expiry(struct turn_allocation *a, uint8_t family, int64_t expires_ms)
{
    for (int i = 0; i < 2; i++) {
        struct turn_relay *relay = &a->relay[i];
        if (relay->relayed.family != ADDR_NONE &&
            (family == ADDR_NONE || family == relay->relayed.family))
            relay->expires_ms = expires_ms;
    }
    set_times(a);
}

static void bucket_put(struct turn_server *s, struct turn_allocation *a)
{
    struct turn_allocation **at = &s->bucket[bucket_of(s, s->bucket_count, &a->tuple)];
    a->next = *at;
    *at = a;
}

void allocation_link(struct turn_server *s, struct turn_allocation *a, int64_t now_ms,
                     int64_t expires_ms)
{
    turn_server_leave(s, &a->tuple); // a visit that has expired
    set_expiry(a, ADDR_NONE, expires_ms);
    allocation_relink(s, a, now_ms);
}

void allocation_relink(struct turn_server *s, struct turn_allocation *a, int64_t now_ms)
{
    if (s->count >= s->bucket_count)
        grow(s);
    if (s->count == 0)
        s->swept_s = now_ms / 1000;
    bucket_put(s, a);
    wheel_put(s, a);
    s->count++;
}

void allocation_unlink(struct turn_server *s, struct turn_allocation *a)
{
    *find(s, &a->tuple) = a->next;
    wheel_take(a);
    s->count--;
}

void allocation_rekey(struct turn_server *s, struct turn_allocation *a,
                      const struct turn_tuple *tuple)
{
    *find(s, &a->tuple) = a->next;
    a->tuple = *tuple;
    bucket_put(s, a);
}

void allocation_extend(struct turn_server *s, struct turn_allocation *a, uint8_t family,
                       int64_t expires_ms)
{
    wheel_take(a);
    set_expiry(a, family, expires_ms);
    wheel_put(s, a);
}

void allocation_drop_family(struct turn_server *s, struct turn_allocation *a, uint8_t family)
{
    s->ops.relay_close(s->arg, a, family);
    a->relay[turn_relay_index(family)].relayed = (struct addr){.family = ADDR_NONE};
    permissions_drop_family(a, family);
    channels_drop_family(a, family);
    wheel_take(a);
    set_times(a);
    wheel_put(s, a);
}

void allocation_end(struct turn_server *s, struct turn_allocation *a, enum turn_event event)
{
    struct turn_event_info info = {.event = event, .tuple = &a->tuple, .allocation = a};
    info.user = a->user->name;
    info.user_len = a->user->name_len;
    s->ops.event(s->arg, &info);
    mobility_end_visit(s, a);
    allocation_unlink(s, a);
    allocation_free(s, a, true);
}

void turn_allocation_close(struct turn_server *s, struct turn_allocation *a)
{
    allocation_end(s, a, TURN_EVENT_CLOSED);
}

// One of two has expired, the other not.
static void drop_expired(struct turn_server *s, struct turn_allocation *a, int64_t now_ms)
{
    for (int i = 0; i < 2; i++) {
        uint8_t family = a->relay[i].relayed.family;
        if (family != ADDR_NONE && now_ms >= a->relay[i].expires_ms)
            allocation_drop_family(s, a, family);
    }
}

struct turn_allocation *allocation_take(struct turn_server *s, const struct turn_tuple *tuple,
                                        int64_t now_ms)
{
    struct turn_allocation *a = *find(s, tuple);
    return a ? allocation_age(s, a, now_ms) : NULL;
}

struct turn_allocation *allocation_age(struct turn_server *s, struct turn_allocation *a,
                                       int64_t now_ms)
{
    if (now_ms >= a->expires_ms) {
        allocation_end(s, a, TURN_EVENT_EXPIRED);
        return NULL;
    }
    if (now_ms >= allocation_box(a)->wheel_ms)
        drop_expired(s, a, now_ms);
    return a;
}

void turn_server_sweep(struct turn_server *s, int64_t now_ms)
{
    int64_t now_s = now_ms / 1000;
    int64_t from = s->swept_s;

    if (now_s - from >= WHEEL_SLOTS)
        from = now_s - WHEEL_SLOTS + 1;
    // The second that the last sweep ended in is looked at again: some of it was still to come.
    for (int64_t t = from; t <= now_s; t++) {
        struct turn_allocation *next;
        for (struct turn_allocation *a = s->wheel[(uint64_t)t % WHEEL_SLOTS]; a; a = next) {
            next = a->wheel_next;
            if (now_ms >= a->expires_ms)
                allocation_end(s, a, TURN_EVENT_EXPIRED);
            else if (now_ms >= allocation_box(a)->wheel_ms)
                drop_expired(s, a, now_ms);
        }
    }
    s->swept_s = now_s;
    connections_sweep(s, now_ms);
    mobility_sweep(s, now_ms);
}

void turn_server_each(struct turn_server *s, bool (*each)(struct turn_allocation *a, void *arg),
                      void *arg)
{
    for (size_t i = 0; i < s->bucket_count; i++) {
        struct turn_allocation *next;
        for (struct turn_allocation *a = s->bucket[i]; a; a = next) {
            next = a->next;
            if (!each(a, arg))
                return;
        }
    }
}

void tombstone_put(struct turn_server *s, const struct turn_tuple *tuple, const uint8_t *txid,
                   int64_t now_ms)
{
    struct tombstone *t = &s->tombstone[s->next_tombstone++ % TOMBSTONES];
    t->tuple = *tuple;
    memcpy(t->txid, txid, sizeof(t->txid));
    t->until_ms = now_ms + TOMBSTONE_MS;
}

bool tombstone_find(const struct turn_server *s, const struct turn_tuple *tuple,
                    const uint8_t *txid, int64_t now_ms)
{
    for (size_t i = 0; i < TOMBSTONES; i++) {
        const struct tombstone *t = &s->tombstone[i];
        if (now_ms < t->until_ms && memcmp(t->txid, txid, sizeof(t->txid)) == 0 &&
            memcmp(&t->tuple, tuple, sizeof(*tuple)) == 0)
            return true;
    }
    return false;
}
