// SPDX-License-Identifier: BSD-2-Clause
// The socket of the direct path, and what its NAT makes of it.
#include "probe/punch.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "probe/advice.h"
#include "probe/binding.h"
#include "util/rand.h"

#define TOKEN_LEN 16

static void add_candidate(struct punch *u, const struct addr *a)
{
    for (unsigned i = 0; i < u->own_count; i++) {
        if (addr_equal_ip(&u->own[i], a) && u->own[i].port == a->port)
            return;
    }
    if (u->own_count < PUNCH_CANDIDATES)
        u->own[u->own_count++] = *a;
}

static bool is_link_local(const struct addr *a)
{
    return a->family == ADDR_IPV4 ? a->ip[0] == 169 && a->ip[1] == 254
                                  : a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

// The addresses of this host with the port of the socket; the one that leads to the server first.
static void add_host_candidates(struct punch *u)
{
    struct addr route;
    struct ifaddrs *list;

    if (binding_local_ip(&u->s->target.addr, &u->p->source, &route) == 0) {
        route.port = u->local.port;
        add_candidate(u, &route);
    }
    if (u->p->source.family || getifaddrs(&list) < 0)
        return;
    for (struct ifaddrs *i = list; i; i = i->ifa_next) {
        struct addr a;
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK) ||
            addr_from_sockaddr(&a, i->ifa_addr) < 0 || a.family != u->local.family ||
            is_link_local(&a))
            continue;
        a.port = u->local.port;
        add_candidate(u, &a);
    }
    freeifaddrs(list);
}

// Asks the servers that may know, until one answers.
static int find_mapped(struct punch *u)
{
    struct addr servers[2] = {u->s->target.addr, u->s->target.addr};
    int rc = -ETIMEDOUT, n = 2;

    servers[1].port = 3478; // the plain port where that of the URI speaks TLS
    if (u->p->stun_server) {
        addr_parse(&servers[0], u->p->stun_server);
        n = 1;
    } else if (servers[0].port == servers[1].port) {
        n = 1;
    }
    for (int i = 0; i < n && rc != 0; i++) {
        struct binding b = binding_to(u->fd, &servers[i]);
        binding_run(&b, 1, u->p->timeout / n);
        rc = b.result;
        if (rc == 0)
            u->mapped = b.mapped;
    }
    return rc;
}

struct seen {
    uint8_t token[TOKEN_LEN];
    struct addr from;
};

static void at_relay(void *arg, const struct addr *peer, uint16_t channel, const uint8_t *data,
                     size_t len)
{
    struct seen *seen = arg;
    if (peer && len == TOKEN_LEN && memcmp(data, seen->token, TOKEN_LEN) == 0)
        seen->from = *peer;
}

// Sends from the socket to the own relayed address: the relay tells under which address it came. It
// is another destination than the STUN server's port, so another address means that the NAT maps by
// destination.
static void compare_at_relay(struct punch *u)
{
    struct client *c = &u->s->client;
    struct seen seen = {.from = {.family = ADDR_NONE}};
    struct sockaddr_storage ss;
    socklen_t ss_len = addr_to_sockaddr(&c->relayed, &ss);

    if (c->relayed.family != u->mapped.family || session_permit(u->s, &u->mapped) != 0)
        return;
    rand_bytes(seen.token, sizeof(seen.token));
    c->on_data = at_relay;
    c->arg = &seen;
    for (int i = 0; i < 8 && !seen.from.family; i++) {
        struct pollfd p = {.fd = u->s->conn->fd, .events = POLLIN};
        sendto(u->fd, seen.token, sizeof(seen.token), 0, (struct sockaddr *)&ss, ss_len);
        poll(&p, 1, conn_pending(u->s->conn) ? 0 : 250);
        client_poll(c);
    }
    c->on_data = NULL;
    if (!seen.from.family)
        return;
    u->flags |= PUNCH_MAPPING_KNOWN;
    if (!addr_equal_ip(&seen.from, &u->mapped) || seen.from.port != u->mapped.port)
        u->flags |= PUNCH_SYMMETRIC;
}

static void show(struct punch *u)
{
    struct report *r = &u->p->report;
    json_t *list = json_array();
    char text[ADDR_STRLEN];

    for (unsigned i = 0; i < u->own_count; i++) {
        json_array_append_new(list, json_addr(&u->own[i]));
        step_note(r, "%s %s", i == 0 && u->mapped.family ? "mapped address" : "own address",
                  addr_format(&u->own[i], text));
    }
    step_fact(r, "candidates", list);
    step_fact_addr(r, "mapped_address", &u->mapped);
    step_fact(r, "symmetric",
              u->flags & PUNCH_MAPPING_KNOWN ? json_boolean(u->flags & PUNCH_SYMMETRIC)
                                             : json_null());
    if (!(u->flags & PUNCH_MAPPING_KNOWN))
        step_text(r, "the kind of the NAT was not found out");
    else if (u->flags & PUNCH_SYMMETRIC)
        step_text(r, "a symmetric NAT: every destination sees another address");
    else
        step_text(r, "every destination sees the same address");
}

int punch_open_socket(struct punch *u)
{
    struct probe *p = u->p;
    int rc;

    step_begin(&p->report, "mapping");
    rc = u->fd = udp_open(u->s->target.addr.family, &p->source, &u->local);
    if (rc < 0) {
        step_fail(&p->report, errno_code(rc), NULL, "%s", errno_text(rc));
        return -1;
    }
    rc = find_mapped(u);
    if (rc == 0) {
        add_candidate(u, &u->mapped);
        compare_at_relay(u);
    }
    add_host_candidates(u);
    show(u);
    if (rc == 0)
        step_ok(&p->report);
    else
        step_warn(&p->report, "no STUN server answers by UDP, so the mapped address is not known");
    return 0;
}
