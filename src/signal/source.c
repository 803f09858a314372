// SPDX-License-Identifier: BSD-2-Clause
// Where connections come from, and how many. One who has an IPv6 network has at least a /64 of
// addresses.
#include <stdlib.h>
#include <string.h>

#include "signal/internal.h"

static void make_key(uint8_t key[9], const struct addr *client)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    memset(key, 0, 9);
    key[0] = client->family;
    if (client->family == ADDR_IPV4) {
        memcpy(key + 1, client->ip, 4);
    } else if (memcmp(client->ip, mapped, sizeof mapped) == 0) {
        // A listener for both families sees IPv4 clients like this: they have no /64.
        key[0] = ADDR_IPV4;
        memcpy(key + 1, client->ip + 12, 4);
    } else {
        memcpy(key + 1, client->ip, 8);
    }
}

struct source *source_get(struct signal_hub *hub, const struct addr *client)
{
    uint8_t key[9];

    make_key(key, client);
    uint64_t hash = hub_hash(hub, key, sizeof key);
    for (struct table_node *n = table_first(&hub->sources, hash); n; n = table_next(n)) {
        struct source *source = (struct source *)n;
        if (memcmp(source->key, key, sizeof key) == 0)
            return source;
    }
    struct source *source = calloc(1, sizeof *source);
    if (!source)
        return NULL;
    memcpy(source->key, key, sizeof key);
    if (table_add(&hub->sources, &source->node, hash) < 0) {
        free(source);
        return NULL;
    }
    return source;
}

void source_put(struct signal_hub *hub, struct source *source)
{
    if (source->connections > 0 || source->away > 0)
        return;
    table_remove(&hub->sources, &source->node);
    free(source);
}
