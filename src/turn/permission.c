// SPDX-License-Identifier: BSD-2-Clause
// Permissions (RFC 8656 section 9): one open-addressed table an allocation, keyed by the peer's IP.
// It has room for one at first and is rebuilt, without what has expired, when it is full.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "turn/internal.h"

#define PENDING INT64_MAX // prepared, not yet committed

struct permission {
    uint8_t ip[16];
    uint8_t family; // ADDR_NONE: an empty slot
    int64_t expires_ms;
};

struct turn_permissions {
    const struct siphash_key *key;
    int64_t purge_ms;  // nothing expires before
    uint32_t capacity; // a power of two
    uint32_t used;     // expired ones included
    struct permission slot[];
};

// How many a table of that capacity takes. A small one is filled up: its chains are short anyway.
static uint64_t room(uint32_t capacity)
{
    return capacity <= 4 ? capacity : capacity - capacity / 4;
}

static uint32_t first_slot(const struct turn_permissions *t, uint8_t family, const uint8_t ip[16])
{
    uint64_t hash = siphash(t->key, ip, family == ADDR_IPV4 ? 4 : 16);
    return (uint32_t)hash & (t->capacity - 1);
}

// The slot of the IP, or the empty one where it would go, or NULL: the table is full of others.
static struct permission *find(struct turn_permissions *t, uint8_t family, const uint8_t ip[16])
{
    uint32_t at = first_slot(t, family, ip);
    for (uint32_t i = 0; i < t->capacity; i++) {
        struct permission *p = &t->slot[(at + i) & (t->capacity - 1)];
        if (p->family == ADDR_NONE || (p->family == family && memcmp(p->ip, ip, 16) == 0))
            return p;
    }
    return NULL;
}

static struct permission *find_used(const struct turn_allocation *a, const struct addr *peer)
{
    struct permission *p = NULL;
    if (a->permissions)
        p = find(a->permissions, peer->family, peer->ip);
    return p && p->family != ADDR_NONE ? p : NULL;
}

bool turn_permission_covers(const struct turn_allocation *a, const struct addr *peer,
                            int64_t now_ms)
{
    const struct permission *p = find_used(a, peer);
    return p && now_ms < p->expires_ms;
}

static uint32_t count_live(const struct turn_permissions *t, int64_t now_ms)
{
    uint32_t live = 0;
    for (uint32_t i = 0; t && i < t->capacity; i++)
        live += t->slot[i].family != ADDR_NONE && t->slot[i].expires_ms > now_ms;
    return live;
}

static void copy_live(struct turn_permissions *to, const struct turn_permissions *from,
                      int64_t now_ms)
{
    for (uint32_t i = 0; i < from->capacity; i++) {
        const struct permission *p = &from->slot[i];
        if (p->family == ADDR_NONE || p->expires_ms <= now_ms)
            continue;
        *find(to, p->family, p->ip) = *p;
        to->used++;
        if (p->expires_ms < to->purge_ms)
            to->purge_ms = p->expires_ms;
    }
}

// Makes room for one more.
static int make_room(struct turn_allocation *a, const struct siphash_key *key, uint32_t max,
                     int64_t now_ms)
{
    struct turn_permissions *old = a->permissions;
    uint32_t capacity = 1;

    if (old && old->used < max && old->used < room(old->capacity))
        return 0;
    // With nothing to purge a full table is not looked through again for every request.
    if (old && old->used >= max && now_ms < old->purge_ms)
        return -ENOSPC;
    uint32_t live = count_live(old, now_ms);
    if (live >= max)
        return -ENOSPC;
    // Some more than needed, or the next few would each rebuild it.
    while (room(capacity) < (uint64_t)live + 1 + live / 4)
        capacity *= 2;
    struct turn_permissions *t = calloc(1, sizeof(*t) + capacity * sizeof(t->slot[0]));
    if (!t)
        return -ENOMEM;
    t->key = key;
    t->capacity = capacity;
    t->purge_ms = INT64_MAX;
    if (old)
        copy_live(t, old, now_ms);
    free(old);
    a->permissions = t;
    return 0;
}

int permission_prepare(struct turn_allocation *a, const struct siphash_key *key,
                       const struct addr *peer, uint32_t max, int64_t now_ms)
{
    struct permission *p = find_used(a, peer);

    if (p && now_ms < p->expires_ms)
        return 0;
    // An expired one is used again, unless a reload has made the limit smaller than the table.
    if (!p || a->permissions->used > max) {
        int rc = make_room(a, key, max, now_ms);
        if (rc < 0)
            return rc;
        p = find(a->permissions, peer->family, peer->ip);
        memcpy(p->ip, peer->ip, sizeof(p->ip));
        p->family = peer->family;
        a->permissions->used++;
    }
    p->expires_ms = PENDING;
    return 0;
}

void permission_commit(struct turn_allocation *a, const struct addr *peer, int64_t expires_ms)
{
    struct permission *p = find_used(a, peer);
    p->expires_ms = expires_ms;
    if (p->expires_ms < a->permissions->purge_ms)
        a->permissions->purge_ms = p->expires_ms;
}

void permission_abandon(struct turn_allocation *a, const struct addr *peer)
{
    struct permission *p = find_used(a, peer);
    if (p && p->expires_ms == PENDING) {
        p->expires_ms = 0;
        a->permissions->purge_ms = 0;
    }
}

void permissions_drop_family(struct turn_allocation *a, uint8_t family)
{
    struct turn_permissions *t = a->permissions;
    for (uint32_t i = 0; t && i < t->capacity; i++) {
        if (t->slot[i].family == family) {
            t->slot[i].expires_ms = 0;
            t->purge_ms = 0;
        }
    }
}

void permissions_free(struct turn_allocation *a)
{
    free(a->permissions);
    a->permissions = NULL;
}
