// SPDX-License-Identifier: BSD-2-Clause
#include "probe/dns.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/nameser.h>
#include <resolv.h>

struct dns {
    struct __res_state state;
    bool own; // one server by name
};

int dns_open(struct dns **out, const struct addr *server, int64_t timeout_us)
{
    struct dns *dns = calloc(1, sizeof(*dns));
    int64_t seconds = timeout_us / 1000000;

    if (!dns)
        return -ENOMEM;
    if (res_ninit(&dns->state) != 0) {
        free(dns);
        return -EIO;
    }
    dns->state.retry = 2;
    dns->state.retrans = seconds >= 2 ? (int)(seconds / 2) : 1;
    if (server) {
        struct sockaddr_storage ss;
        struct addr a = *server;
        a.port = a.port ? a.port : NAMESERVER_PORT;
        addr_to_sockaddr(&a, &ss);
        memcpy(&dns->state.nsaddr_list[0], &ss, sizeof(dns->state.nsaddr_list[0]));
        dns->state.nscount = 1;
        dns->own = true;
    }
    *out = dns;
    return 0;
}

void dns_close(struct dns *dns)
{
    if (!dns)
        return;
    res_nclose(&dns->state);
    free(dns);
}

static void set_name(struct dns_record *rec, const char *name)
{
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.')
        len--;
    snprintf(rec->name, sizeof(rec->name), "%.*s", (int)len, name);
}

static bool parse_address(const ns_rr *rr, struct dns_record *rec)
{
    size_t len = ns_rr_type(*rr) == ns_t_a ? 4 : 16;
    if (ns_rr_rdlen(*rr) != len)
        return false;
    rec->addr.family = len == 4 ? ADDR_IPV4 : ADDR_IPV6;
    memcpy(rec->addr.ip, ns_rr_rdata(*rr), len);
    return true;
}

static bool parse_srv(const ns_msg *msg, const ns_rr *rr, struct dns_record *rec)
{
    const unsigned char *p = ns_rr_rdata(*rr);
    char name[NS_MAXDNAME];

    if (ns_rr_rdlen(*rr) < 7 ||
        ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), p + 6, name, sizeof(name)) < 0)
        return false;
    rec->priority = (uint16_t)ns_get16(p);
    rec->weight = (uint16_t)ns_get16(p + 2);
    rec->port = (uint16_t)ns_get16(p + 4);
    set_name(rec, name);
    return true;
}

// A <character-string> that fits, or false. *p moves behind it.
static bool take_string(const unsigned char **p, const unsigned char *end, char *out, size_t cap)
{
    size_t len;
    if (*p >= end || (len = **p) > (size_t)(end - *p - 1) || len >= cap || memchr(*p + 1, 0, len))
        return false;
    memcpy(out, *p + 1, len);
    out[len] = '\0';
    *p += 1 + len;
    return true;
}

static bool parse_naptr(const ns_msg *msg, const ns_rr *rr, struct dns_record *rec)
{
    const unsigned char *p = ns_rr_rdata(*rr), *end = p + ns_rr_rdlen(*rr);
    char name[NS_MAXDNAME], regexp[256];

    if (ns_rr_rdlen(*rr) < 8)
        return false;
    rec->order = (uint16_t)ns_get16(p);
    rec->preference = (uint16_t)ns_get16(p + 2);
    p += 4;
    if (!take_string(&p, end, rec->flags, sizeof(rec->flags)) ||
        !take_string(&p, end, rec->services, sizeof(rec->services)) ||
        !take_string(&p, end, regexp, sizeof(regexp)) || p >= end ||
        ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), p, name, sizeof(name)) < 0)
        return false;
    set_name(rec, name);
    return true;
}

static int read_answer(const unsigned char *answer, int len, int type, struct dns_record *out,
                       int cap)
{
    ns_msg msg;
    int n = 0;

    if (ns_initparse(answer, len, &msg) < 0)
        return -EBADMSG;
    for (int i = 0; i < ns_msg_count(msg, ns_s_an) && n < cap; i++) {
        ns_rr rr;
        bool good;
        if (ns_parserr(&msg, ns_s_an, i, &rr) < 0)
            return -EBADMSG;
        if ((int)ns_rr_type(rr) != type) // a CNAME on the way
            continue;
        out[n] = (struct dns_record){0};
        good = type == ns_t_srv     ? parse_srv(&msg, &rr, &out[n])
               : type == ns_t_naptr ? parse_naptr(&msg, &rr, &out[n])
                                    : parse_address(&rr, &out[n]);
        n += good;
    }
    return n ? n : -ENOENT;
}

static int query(struct dns *dns, enum dns_type type, const char *name, struct dns_record *out,
                 int cap)
{
    static const int types[] = {ns_t_a, ns_t_aaaa, ns_t_srv, ns_t_naptr};
    unsigned char answer[NS_MAXMSG];
    int len;

    errno = 0;
    len = res_nquery(&dns->state, name, ns_c_in, types[type], answer, sizeof(answer));
    if (len >= 0)
        return read_answer(answer, len < (int)sizeof(answer) ? len : (int)sizeof(answer),
                           types[type], out, cap);
    switch (dns->state.res_h_errno) {
    case HOST_NOT_FOUND:
    case NO_DATA:
        return -ENOENT;
    case TRY_AGAIN:
        return errno == ETIMEDOUT || errno == ECONNREFUSED ? -errno : -EAGAIN;
    default:
        return -EAGAIN;
    }
}

// The way that every program of the host resolves addresses.
static int host_lookup(enum dns_type type, const char *name, struct dns_record *out, int cap)
{
    struct addrinfo hints = {.ai_family = type == DNS_A ? AF_INET : AF_INET6,
                             .ai_socktype = SOCK_DGRAM},
                    *list;
    int rc = getaddrinfo(name, NULL, &hints, &list), n = 0;

    if (rc == EAI_NONAME || rc == EAI_NODATA || rc == EAI_ADDRFAMILY)
        return -ENOENT;
    if (rc != 0)
        return rc == EAI_MEMORY ? -ENOMEM : -EAGAIN;
    for (struct addrinfo *ai = list; ai && n < cap; ai = ai->ai_next) {
        out[n] = (struct dns_record){0};
        if (addr_from_sockaddr(&out[n].addr, ai->ai_addr) == 0)
            n++;
    }
    freeaddrinfo(list);
    return n ? n : -ENOENT;
}

int dns_lookup(void *arg, enum dns_type type, const char *name, struct dns_record *out, int cap)
{
    struct dns *dns = arg;
    if (!dns->own && (type == DNS_A || type == DNS_AAAA))
        return host_lookup(type, name, out, cap);
    return query(dns, type, name, out, cap);
}
