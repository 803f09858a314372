// SPDX-License-Identifier: BSD-2-Clause
#include "probe/dns_answer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <arpa/nameser.h>

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

int dns_answer_read(const void *answer, size_t len, enum dns_type wanted, struct dns_record *out,
                    int cap)
{
    static const int types[] = {ns_t_a, ns_t_aaaa, ns_t_srv, ns_t_naptr};
    int type = types[wanted], n = 0;
    ns_msg msg;

    if (len > NS_MAXMSG || ns_initparse(answer, (int)len, &msg) < 0)
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
