// SPDX-License-Identifier: BSD-2-Clause
#include "probe/dns.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/nameser.h>
#include <resolv.h>

#include "probe/dns_answer.h"

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

static int query(struct dns *dns, enum dns_type type, const char *name, struct dns_record *out,
                 int cap)
{
    static const int types[] = {ns_t_a, ns_t_aaaa, ns_t_srv, ns_t_naptr};
    unsigned char answer[NS_MAXMSG];
    int len;

    errno = 0;
    len = res_nquery(&dns->state, name, ns_c_in, types[type], answer, sizeof(answer));
    if (len >= 0)
        return dns_answer_read(answer, (size_t)len < sizeof(answer) ? (size_t)len : sizeof(answer),
                               type, out, cap);
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
