// SPDX-License-Identifier: BSD-2-Clause
// Channel bindings (RFC 8656 section 12): the bindings lie side by side, and two small hash
// indexes, by number and by peer, say where. A table has room for one at first and is rebuilt,
// without what has expired, when it is full. Another data plane would be told here.
#include <errno.h>
#include <stdlib.h>

#include "stun/channel_data.h"
#include "turn/internal.h"

#define CHANNELS (CHANNEL_MAX - CHANNEL_MIN + 1)

struct turn_channels {
    const struct siphash_key *key;
    int64_t purge_ms;  // nothing expires before
    uint16_t capacity; // a power of two
    uint16_t used;     // expired ones included
    // Then two indexes of 2 * capacity slots: 0 empty, else the place in entry[] plus one.
    struct turn_channel entry[];
};

static uint16_t *number_index(struct turn_channels *t)
{
    return (uint16_t *)&t->entry[t->capacity];
}

static uint16_t *peer_index(struct turn_channels *t)
{
    return number_index(t) + 2 * t->capacity;
}

static struct turn_channel *find_number(struct turn_channels *t, uint16_t number)
{
    uint32_t mask = 2u * t->capacity - 1;
    const uint16_t *index = number_index(t);
    uint32_t at = (uint32_t)siphash(t->key, &number, sizeof(number)) & mask;
    for (; index[at]; at = (at + 1) & mask)
        if (t->entry[index[at] - 1].number == number)
            return &t->entry[index[at] - 1];
    return NULL;
}

static struct turn_channel *find_peer(struct turn_channels *t, const struct addr *peer)
{
    uint32_t mask = 2u * t->capacity - 1;
    const uint16_t *index = peer_index(t);
    uint32_t at = (uint32_t)siphash(t->key, peer, sizeof(*peer)) & mask;
    for (; index[at]; at = (at + 1) & mask)
        if (addr_equal(&t->entry[index[at] - 1].peer, peer))
            return &t->entry[index[at] - 1];
    return NULL;
}

const struct turn_channel *turn_channel_by_number(const struct turn_allocation *a, uint16_t number,
                                                  int64_t now_ms)
{
    const struct turn_channel *c = a->channels ? find_number(a->channels, number) : NULL;
    return c && now_ms < c->expires_ms ? c : NULL;
}

const struct turn_channel *turn_channel_by_peer(const struct turn_allocation *a,
                                                const struct addr *peer, int64_t now_ms)
{
    const struct turn_channel *c = a->channels ? find_peer(a->channels, peer) : NULL;
    return c && now_ms < c->expires_ms ? c : NULL;
}

static void index_put(uint16_t *index, uint32_t mask, uint64_t hash, uint16_t value)
{
    uint32_t at = (uint32_t)hash & mask;
    while (index[at])
        at = (at + 1) & mask;
    index[at] = value;
}

// There is room, and neither the number nor the peer is there.
static void install(struct turn_channels *t, const struct turn_channel *c)
{
    uint32_t mask = 2u * t->capacity - 1;
    t->entry[t->used++] = *c;
    index_put(number_index(t), mask, siphash(t->key, &c->number, sizeof(c->number)), t->used);
    index_put(peer_index(t), mask, siphash(t->key, &c->peer, sizeof(c->peer)), t->used);
    if (c->expires_ms < t->purge_ms)
        t->purge_ms = c->expires_ms;
}

static uint32_t count_live(const struct turn_channels *t, int64_t now_ms)
{
    uint32_t live = 0;
    for (uint32_t i = 0; t && i < t->used; i++)
        live += t->entry[i].expires_ms > now_ms;
    return live;
}

// Leaves out what has expired and makes room for one more.
static int rebuild(struct turn_allocation *a, const struct siphash_key *key, uint32_t max,
                   int64_t now_ms)
{
    struct turn_channels *old = a->channels;
    uint32_t live = count_live(old, now_ms);
    uint32_t capacity = 1;

    if (live >= max)
        return -ENOSPC;
    // Some more than needed, or the next few would each rebuild it.
    while (capacity < live + 1 + live / 4 && capacity < CHANNELS)
        capacity *= 2;
    struct turn_channels *t =
        calloc(1, sizeof(*t) + capacity * (sizeof(t->entry[0]) + 4 * sizeof(uint16_t)));
    if (!t)
        return -ENOMEM;
    t->key = key;
    t->capacity = (uint16_t)capacity;
    t->purge_ms = INT64_MAX;
    for (uint32_t i = 0; old && i < old->used; i++)
        if (old->entry[i].expires_ms > now_ms)
            install(t, &old->entry[i]);
    free(old);
    a->channels = t;
    return 0;
}

static int make_room(struct turn_allocation *a, const struct siphash_key *key, uint32_t max,
                     int64_t now_ms)
{
    const struct turn_channels *t = a->channels;
    if (max > CHANNELS)
        max = CHANNELS;
    if (t && t->used < max && t->used < t->capacity)
        return 0;
    // With nothing to purge a full table is not looked through again for every request.
    if (t && t->used >= max && now_ms < t->purge_ms)
        return -ENOSPC;
    return rebuild(a, key, max, now_ms);
}

int channel_bind(struct turn_allocation *a, const struct siphash_key *key, uint16_t number,
                 const struct addr *peer, uint32_t max, int64_t now_ms, int64_t expires_ms)
{
    struct turn_channel *by_number = a->channels ? find_number(a->channels, number) : NULL;
    struct turn_channel *by_peer = a->channels ? find_peer(a->channels, peer) : NULL;
    struct turn_channel c = {.peer = *peer, .number = number, .expires_ms = expires_ms};
    int rc;

    bool live =
        (by_number && now_ms < by_number->expires_ms) || (by_peer && now_ms < by_peer->expires_ms);
    // The same pair again, unless it has expired and a reload has made the limit smaller than the
    // table.
    if (by_number && by_number == by_peer && (live || a->channels->used <= max)) {
        by_number->expires_ms = c.expires_ms;
        return 0;
    }
    // RFC 8656 12.2: neither may be bound to something else now. To wait five minutes after the end
    // of a binding is the client's duty; the server takes the number and the peer back at once.
    if (live)
        return -EEXIST;
    if (by_number || by_peer)
        rc = rebuild(a, key, max < CHANNELS ? max : CHANNELS, now_ms);
    else
        rc = make_room(a, key, max, now_ms);
    if (rc == 0)
        install(a->channels, &c);
    return rc;
}

void channels_drop_family(struct turn_allocation *a, uint8_t family)
{
    struct turn_channels *t = a->channels;
    for (uint32_t i = 0; t && i < t->used; i++) {
        if (t->entry[i].peer.family == family) {
            t->entry[i].expires_ms = 0;
            t->purge_ms = 0;
        }
    }
}

void channels_free(struct turn_allocation *a)
{
    free(a->channels);
    a->channels = NULL;
}
