// SPDX-License-Identifier: BSD-2-Clause
#include "probe/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// Non-terminal NAPTR records that are followed; RFC 3958 sets no limit, a loop needs one.
#define NAPTR_DEPTH 5

struct resolver {
    struct resolution *out;
    const struct probe_uri *uri;
    const struct dns_ops *ops;
    uint8_t family;
    int error; // the gravest so far: a name server that failed is worse than a name that is not
               // there
};

const char *dns_type_name(enum dns_type type)
{
    static const char *const names[] = {"A", "AAAA", "SRV", "NAPTR"};
    return names[type];
}

static int ask(struct resolver *r, enum dns_type type, const char *name, struct dns_record *records)
{
    struct resolution *out = r->out;
    int n;

    if (out->question_count == RESOLVE_QUESTIONS)
        return -ELOOP;
    n = r->ops->lookup(r->ops->arg, type, name, records, DNS_RECORDS);
    if (n == 0)
        n = -ENOENT;
    if (n < 0 && n != -ENOENT && !r->error)
        r->error = n;
    struct question *q = &out->questions[out->question_count++];
    q->type = type;
    q->result = n;
    snprintf(q->name, sizeof(q->name), "%s", name);
    return n;
}

static void add_target(struct resolver *r, enum transport transport, const struct addr *a,
                       uint16_t port)
{
    struct target t = {.transport = transport, .addr = *a};
    t.addr.port = port;
    for (unsigned i = 0; i < r->out->count; i++) {
        if (r->out->targets[i].transport == transport &&
            addr_equal(&r->out->targets[i].addr, &t.addr))
            return;
    }
    if (r->out->count < RESOLVE_TARGETS)
        r->out->targets[r->out->count++] = t;
}

// A and AAAA. IPv6 first, as RFC 6724 has it where both work.
static void add_host(struct resolver *r, const char *name, enum transport transport, uint16_t port)
{
    struct dns_record records[DNS_RECORDS];
    int n;

    if (r->family != ADDR_IPV4) {
        n = ask(r, DNS_AAAA, name, records);
        for (int i = 0; i < n; i++)
            add_target(r, transport, &records[i].addr, port);
    }
    if (r->family != ADDR_IPV6) {
        n = ask(r, DNS_A, name, records);
        for (int i = 0; i < n; i++)
            add_target(r, transport, &records[i].addr, port);
    }
}

static int compare_srv(const void *pa, const void *pb)
{
    const struct dns_record *a = pa, *b = pb;
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    return (a->weight != 0) - (b->weight != 0); // those of weight 0 first (RFC 2782)
}

// Puts records of one priority into the order in which to try them (RFC 2782, "Weight").
static void shuffle_srv(struct resolver *r, struct dns_record *records, int n)
{
    for (int first = 0; first < n - 1; first++) {
        uint32_t sum = 0, at;
        int i;
        for (i = first; i < n; i++)
            sum += records[i].weight;
        at = r->ops->random(sum + 1);
        for (i = first, sum = 0; i < n - 1; i++) {
            sum += records[i].weight;
            if (sum >= at)
                break;
        }
        struct dns_record chosen = records[i];
        memmove(&records[first + 1], &records[first], (size_t)(i - first) * sizeof(chosen));
        records[first] = chosen;
    }
}

static void add_srv(struct resolver *r, const char *name, enum transport transport)
{
    struct dns_record records[DNS_RECORDS];
    int n = ask(r, DNS_SRV, name, records);

    if (n < 0)
        return;
    qsort(records, (size_t)n, sizeof(records[0]), compare_srv);
    for (int i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && records[end].priority == records[i].priority;)
            end++;
        shuffle_srv(r, records + i, end - i);
    }
    for (int i = 0; i < n; i++) {
        if (records[i].name[0]) // the root says that the service is not offered (RFC 2782)
            add_host(r, records[i].name, transport, records[i].port);
    }
}

// The name to ask for SRV records: _turn._udp, _turn._tcp, _turns._tcp, _turns._udp and so on.
static void add_service(struct resolver *r, enum transport transport)
{
    char name[URI_HOST_LEN + 16];
    snprintf(name, sizeof(name), "_%s%s._%s.%s", r->uri->turn ? "turn" : "stun",
             transport_is_secure(transport) ? "s" : "",
             transport_is_stream(transport) ? "tcp" : "udp", r->uri->host);
    if (strlen(name) <= 253)
        add_srv(r, name, transport);
}

// The transports that may serve a URI, in order of preference; at most two.
static int usable(const struct probe_uri *uri, enum transport out[2])
{
    if (uri->transport != TRANSPORT_NONE) {
        out[0] = uri->transport;
        return 1;
    }
    // RFC 8489 8.1 and RFC 5928 3: UDP first. With a secure scheme TLS first, the one that everyone
    // has.
    out[0] = uri->secure ? TRANSPORT_TLS : TRANSPORT_UDP;
    out[1] = uri->secure ? TRANSPORT_DTLS : TRANSPORT_TCP;
    return 2;
}

// Whether a NAPTR record's services offer a transport: "RELAY:turn.udp:turn.tcp" (RFC 5928 section
// 5, RFC 7350 4.5).
static bool offers(const char *services, enum transport transport)
{
    static const char *const protocols[] = {"", "turn.udp", "turn.tcp", "turn.tls", "turn.dtls"};
    const char *want = protocols[transport], *p = services;

    if (strncasecmp(p, "RELAY", 5) != 0 || p[5] != ':')
        return false;
    for (p += 5; *p == ':';) {
        size_t len = strcspn(++p, ":");
        if (len == strlen(want) && strncasecmp(p, want, len) == 0)
            return true;
        p += len;
    }
    return false;
}

static int compare_naptr(const void *pa, const void *pb)
{
    const struct dns_record *a = pa, *b = pb;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return (a->preference > b->preference) - (a->preference < b->preference);
}

static void add_naptr(struct resolver *r, const char *name, const enum transport *transports,
                      int transport_count, int depth)
{
    struct dns_record records[DNS_RECORDS];
    int n = depth < NAPTR_DEPTH ? ask(r, DNS_NAPTR, name, records) : -ELOOP;

    if (n < 0)
        return;
    qsort(records, (size_t)n, sizeof(records[0]), compare_naptr);
    for (int i = 0; i < n; i++) {
        const struct dns_record *rec = &records[i];
        for (int t = 0; t < transport_count; t++) {
            if (!offers(rec->services, transports[t]) || !rec->name[0])
                continue;
            if (strcasecmp(rec->flags, "s") == 0)
                add_srv(r, rec->name, transports[t]);
            else if (strcasecmp(rec->flags, "a") == 0)
                add_host(r, rec->name, transports[t], transport_default_port(transports[t]));
            else if (rec->flags[0] == '\0')
                add_naptr(r, rec->name, &transports[t], 1, depth + 1);
        }
    }
}

static void resolve_name(struct resolver *r)
{
    const struct probe_uri *uri = r->uri;
    enum transport transports[2];
    int n = usable(uri, transports);

    if (uri->port) { // RFC 5928 section 3, step 3: no NAPTR, no SRV
        add_host(r, uri->host, transports[0], uri->port);
        return;
    }
    if (uri->turn && uri->transport == TRANSPORT_NONE)
        add_naptr(r, uri->host, transports, n, 0);
    for (int i = 0; i < n; i++)
        add_service(r, transports[i]);
    if (r->out->count == 0)
        add_host(r, uri->host, transports[0], transport_default_port(transports[0]));
}

int resolve_uri(struct resolution *out, const struct probe_uri *uri, uint8_t family,
                const struct dns_ops *ops)
{
    struct resolver r = {.out = out, .uri = uri, .ops = ops, .family = family};
    enum transport transports[2];

    memset(out, 0, sizeof(*out));
    if (!uri->literal) {
        resolve_name(&r);
    } else if (family == ADDR_NONE || family == uri->address.family) {
        usable(uri, transports);
        add_target(&r, transports[0], &uri->address,
                   uri->port ? uri->port : transport_default_port(transports[0]));
    }
    return out->count ? 0 : r.error ? r.error : -ENOENT;
}
