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

// For another to come. It is not counted any more, and gone in the next turn of the loop.
static void give_way(struct client *c)
{
    source_leave(c);
    client_close_soon(c);
}

// Has the one that has waited longest leave: of those alike the first that came, as the list has
// the last in front.
static void make_room(struct http *h, const struct source *source)
{
    struct client *oldest = NULL;
    for (struct client *c = h->clients; c; c = c->next)
        if (c->source == source && c->idle && (!oldest || c->since_ms <= oldest->since_ms))
            oldest = c;
    if (oldest)
        give_way(oldest);
}

static void count(struct client *c, bool counted)
{
    if (c->counted == counted)
        return;
    c->counted = counted;
    if (counted)
        c->http->client_count++;
    else
        c->http->client_count--;
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
        if (c->source->count > conf->signal.address_connections)
            return false;
    }
    // Whoever comes from many addresses pushes out those who have asked for nothing, not those who
    // are at work.
    struct client *longest = TAILQ_FIRST(&h->waiting);
    if (h->client_count >= conf->signal.connections && longest)
        give_way(longest);
    if (h->client_count >= conf->signal.connections)
        return false;
    count(c, true);
    return true;
}

void source_wait(struct client *c, bool answered)
{
    if (c->unwanted)
        return;
    if (!c->waiting)
        TAILQ_INSERT_TAIL(&c->http->waiting, c, place);
    c->waiting = true;
    if (!answered || c->idle || !c->source)
        return;
    c->idle = true;
    c->source->idle++;
}

void source_busy(struct client *c)
{
    if (c->waiting)
        TAILQ_REMOVE(&c->http->waiting, c, place);
    c->waiting = false;
    if (c->idle)
        c->source->idle--;
    c->idle = false;
}

static void leave(struct client *c)
{
    source_busy(c);
    if (c->source)
        c->source->count--;
    c->source = NULL;
}

void source_take(struct client *c)
{
    leave(c);
    count(c, true);
}

void source_leave(struct client *c)
{
    leave(c);
    count(c, false);
}
