// SPDX-License-Identifier: BSD-2-Clause
// What the log says at start of the addresses: where clients come to, and what they are given.
#include "worker/snapshot.h"

#include <stdarg.h>
#include <stdio.h>

#include "turn/policy.h"
#include "util/log.h"

struct text {
    char buf[1536]; // a line of the log has 2 KiB
    size_t len;
};

// Adds to a list with commas; what there is no room for is left out.
__attribute__((format(printf, 2, 3))) static void text_add(struct text *t, const char *fmt, ...)
{
    char part[2 * ADDR_STRLEN + 32];
    size_t room = sizeof t->buf - t->len;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(part, sizeof part, fmt, ap);
    va_end(ap);
    int n = snprintf(t->buf + t->len, room, "%s%s", t->len ? ", " : "", part);
    if (n > 0 && (size_t)n < room)
        t->len += (size_t)n;
    else
        t->buf[t->len] = '\0';
}

static void report_listeners(const struct conf *c)
{
    struct text t = {.len = 0};
    for (size_t i = 0; i < c->listen_count; i++) {
        const struct conf_listen *l = &c->listen[i];
        char where[ADDR_STRLEN];
        if (l->any)
            snprintf(where, sizeof where, "*:%u", l->addr.port);
        else
            addr_format(&l->addr, where);
        text_add(&t, "%s %s", conf_transport_name(l->transport), where);
    }
    log_notice("net", "listening on %s", t.buf);
}

// Whether hosts anywhere can send to it, as far as the address itself tells.
static bool is_public(const struct addr *a)
{
    return policy_check_peer(&(struct policy){.allow = NULL}, a) == POLICY_ALLOW;
}

static void report_relays(const struct snapshot *s)
{
    struct text t = {.len = 0};
    char ip[ADDR_STRLEN], told[ADDR_STRLEN];
    for (size_t i = 0; i < s->relay_count; i++) {
        struct addr external = snapshot_external(s, &s->relays[i]);
        addr_format_ip(&s->relays[i], ip);
        if (addr_equal_ip(&external, &s->relays[i]))
            text_add(&t, "%s", ip);
        else
            text_add(&t, "%s (clients are told %s)", ip, addr_format_ip(&external, told));
    }
    log_notice("net", "relaying from %s, ports %u to %u", t.buf, s->conf->relay.port_min,
               s->conf->relay.port_max);
    for (size_t i = 0; i < s->relay_count && !s->conf->dev; i++) {
        struct addr external = snapshot_external(s, &s->relays[i]);
        if (!is_public(&external))
            log_notice("net",
                       "%s is not a public address: only its own network can reach relays there; "
                       "behind 1:1 NAT set relay.external",
                       addr_format_ip(&external, ip));
    }
}

void snapshot_report_addresses(const struct snapshot *s)
{
    report_listeners(s->conf);
    report_relays(s);
}
