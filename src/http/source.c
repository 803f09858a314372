// SPDX-License-Identifier: BSD-2-Clause
// Where connections come from: how many there may be of one source, an IPv4 address or a /64 of
// IPv6. Browsers keep half a dozen that they have no use for, and many may be behind one address:
// who comes takes the place of who only waits.
#include "http/internal.h"

#include <errno.h>
#include <stdlib.h>

int sources_init(struct http *h)
{
    h->sources = calloc(HTTP_SOURCES, sizeof *h->sources);
    return h->sources ? 0 : -ENOMEM;
}

static bool is_proxy(const struct http *h, const struct addr *a)
{
    const struct conf *conf = http_conf(h);
    for (size_t i = 0; i < conf->signal.proxy_count; i++)
        if (addr_range_contains(&conf->signal.proxies[i], a))
            return true;
    return false;
}

// Has the one that has waited longest leave: of those alike the first that came, as the list has
// the last in front.
static void make_room(struct http *h, const struct source *source)
{
    struct client *oldest = NULL;
    for (struct client *c = h->clients; c; c = c->next)
        if (c->source == source && c->idle && (!oldest || c->since_ms <= oldest->since_ms))
            oldest = c;
    if (!oldest)
        return;
    source_leave(oldest);
    client_close_soon(oldest);
}

bool source_enter(struct client *c)
{
    struct http *h = c->http;
    const struct conf *conf = http_conf(h);
    size_t len = c->addr.family == ADDR_IPV6 ? 8 : 4;
    if (!is_proxy(h, &c->addr)) {
        c->source = &h->sources[siphash(&h->hash_key, c->addr.ip, len) % HTTP_SOURCES];
        c->source->count++;
        if (c->source->count > conf->signal.address_connections && c->source->idle > 0)
            make_room(h, c->source);
    }
    return h->client_count <= conf->signal.connections &&
           (!c->source || c->source->count <= conf->signal.address_connections);
}

void source_set_idle(struct client *c, bool idle)
{
    if (!c->source || c->idle == idle)
        return;
    c->idle = idle;
    if (idle)
        c->source->idle++;
    else
        c->source->idle--;
}

void source_leave(struct client *c)
{
    source_set_idle(c, false);
    if (c->source)
        c->source->count--;
    c->source = NULL;
}
