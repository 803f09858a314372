// SPDX-License-Identifier: BSD-2-Clause
// Which listeners can serve NAT behaviour discovery (RFC 5780): of a family and a transport, those
// that name their addresses and are two IPs by two ports, no more and no less. A wildcard has no
// addresses to tell a client of.
#include <string.h>

#include "worker/snapshot.h"

// What the listeners of one family and transport come to.
struct corners {
    struct addr ip[2]; // port 0
    uint16_t port[2];
    unsigned ip_count, port_count, count;
};

static bool note_corner(struct corners *c, struct addr a)
{
    unsigned i = 0, p = 0;
    uint16_t port = a.port;

    a.port = 0;
    while (i < c->ip_count && !addr_equal(&c->ip[i], &a))
        i++;
    while (p < c->port_count && c->port[p] != port)
        p++;
    if (i == 2 || p == 2)
        return false;
    if (i == c->ip_count)
        c->ip[c->ip_count++] = a;
    if (p == c->port_count)
        c->port[c->port_count++] = port;
    c->count++;
    return true;
}

static bool find_corners(const struct conf *c, uint8_t family, bool stream, struct corners *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < c->listen_count; i++) {
        const struct conf_listen *l = &c->listen[i];
        // Behind a PROXY header the address that was connected to is not the one we listen on.
        if (l->any || l->addr.family != family || conf_transport_stream(l->transport) != stream ||
            !conf_transport_plain(l->transport) || l->proxy_protocol)
            continue;
        if (!note_corner(out, l->addr))
            return false;
    }
    // No address is listened on twice, so four are all.
    return out->ip_count == 2 && out->port_count == 2 && out->count == 4;
}

void snapshot_fill_behaviors(struct snapshot *s)
{
    struct corners c;

    for (unsigned i = 0; i < TURN_BEHAVIORS_MAX; i++) {
        bool stream = i / 2;
        struct turn_behavior *b = &s->turn.behaviors[s->turn.behavior_count];
        if (!find_corners(s->conf, i % 2 ? ADDR_IPV6 : ADDR_IPV4, stream, &c))
            continue;
        b->transport = stream ? TURN_TCP : TURN_UDP;
        for (unsigned j = 0; j < 2; j++) {
            b->ip[j] = c.ip[j];
            b->port[j] = c.port[j];
            b->external[j] = snapshot_external(s, &c.ip[j]);
        }
        // With one public address for both there is no other one to be reached by.
        if (!addr_equal_ip(&b->external[0], &b->external[1]))
            s->turn.behavior_count++;
    }
}

void snapshot_report_behaviors(const struct snapshot *s)
{
    char ip[2][ADDR_STRLEN];

    for (unsigned i = 0; i < s->turn.behavior_count; i++) {
        const struct turn_behavior *b = &s->turn.behaviors[i];
        log_notice("net",
                   "NAT behaviour discovery (RFC 5780) is on for %s %s and %s, ports %u and %u",
                   b->transport == TURN_UDP ? "udp" : "tcp", addr_format_ip(&b->external[0], ip[0]),
                   addr_format_ip(&b->external[1], ip[1]), b->port[0], b->port[1]);
    }
}
