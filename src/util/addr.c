// SPDX-License-Identifier: BSD-2-Clause
#include "util/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct addr) == 24, "struct addr is compared and hashed as bytes");

static bool is_link_local(const uint8_t ip[16])
{
    return (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) || (ip[0] == 0xff && (ip[1] & 0x0f) == 0x02);
}

int addr_from_sockaddr(struct addr *out, const struct sockaddr *sa)
{
    memset(out, 0, sizeof(*out));
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        out->family = ADDR_IPV4;
        out->port = ntohs(in.sin_port);
        memcpy(out->ip, &in.sin_addr, 4);
        return 0;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        out->family = ADDR_IPV6;
        out->port = ntohs(in6.sin6_port);
        memcpy(out->ip, &in6.sin6_addr, 16);
        // A scope means nothing elsewhere, and would make two equal addresses differ.
        if (is_link_local(out->ip))
            out->scope = in6.sin6_scope_id;
        return 0;
    }
    return -EAFNOSUPPORT;
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof(*ss));
    if (a->family == ADDR_IPV4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ss;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, 4);
        return sizeof(*in);
    }
    if (a->family == ADDR_IPV6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        in6->sin6_scope_id = a->scope;
        memcpy(&in6->sin6_addr, a->ip, 16);
        return sizeof(*in6);
    }
    return 0;
}

// Plain decimal digits up to max: neither strtoul's signs and blanks nor an empty text.
static int parse_number(const char *text, uint32_t max, uint32_t *out)
{
    uint64_t n = 0;
    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        n = n * 10 + (uint64_t)(*text - '0');
        if (n > max)
            return -EINVAL;
    }
    *out = (uint32_t)n;
    return 0;
}

static int parse_scope(struct addr *a, const char *scope)
{
    if (!is_link_local(a->ip))
        return -EINVAL;
    if (parse_number(scope, UINT32_MAX, &a->scope) < 0)
        a->scope = if_nametoindex(scope);
    return a->scope ? 0 : -EINVAL;
}

static int parse_ip6(struct addr *a, char *text)
{
    char *scope = strchr(text, '%');
    if (scope)
        *scope++ = '\0';
    if (inet_pton(AF_INET6, text, a->ip) != 1)
        return -EINVAL;
    a->family = ADDR_IPV6;
    return scope ? parse_scope(a, scope) : 0;
}

int addr_parse_ip(struct addr *out, const char *text, uint16_t port)
{
    char buf[ADDR_STRLEN];
    size_t len = strlen(text);
    struct addr a = {.port = port};

    memset(out, 0, sizeof(*out));
    if (len >= sizeof(buf))
        return -EINVAL;
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        memcpy(buf, text + 1, len - 2);
        buf[len - 2] = '\0';
        if (parse_ip6(&a, buf) < 0)
            return -EINVAL;
    } else {
        memcpy(buf, text, len + 1);
        if (inet_pton(AF_INET, buf, a.ip) == 1)
            a.family = ADDR_IPV4;
        else if (parse_ip6(&a, buf) < 0)
            return -EINVAL;
    }
    *out = a;
    return 0;
}

int addr_parse(struct addr *out, const char *text)
{
    char host[ADDR_STRLEN];
    const char *colon = strrchr(text, ':');
    uint32_t port;

    memset(out, 0, sizeof(*out));
    if (!colon || (size_t)(colon - text) >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    // Without brackets the last group of an IPv6 address would be taken for the port.
    if (host[0] != '[' && strchr(host, ':'))
        return -EINVAL;
    if (parse_number(colon + 1, UINT16_MAX, &port) < 0)
        return -EINVAL;
    return addr_parse_ip(out, host, (uint16_t)port);
}

const char *addr_format_ip(const struct addr *a, char buf[ADDR_STRLEN])
{
    int af = a->family == ADDR_IPV4 ? AF_INET : AF_INET6;
    if (!addr_ip_len(a) || !inet_ntop(af, a->ip, buf, ADDR_STRLEN)) {
        memcpy(buf, "-", 2);
        return buf;
    }
    if (a->scope) {
        size_t len = strlen(buf);
        snprintf(buf + len, ADDR_STRLEN - len, "%%%u", a->scope);
    }
    return buf;
}

const char *addr_format(const struct addr *a, char buf[ADDR_STRLEN])
{
    char ip[ADDR_STRLEN];
    addr_format_ip(a, ip);
    if (a->family == ADDR_IPV4)
        snprintf(buf, ADDR_STRLEN, "%.15s:%u", ip, a->port);
    else if (a->family == ADDR_IPV6)
        snprintf(buf, ADDR_STRLEN, "[%.60s]:%u", ip, a->port);
    else
        memcpy(buf, "-", 2);
    return buf;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool addr_equal_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool addr_is_any(const struct addr *a)
{
    static const uint8_t zero[16];
    return a->family != ADDR_NONE && memcmp(a->ip, zero, sizeof(zero)) == 0;
}

static int fail(const char **why, const char *reason)
{
    *why = reason;
    return -EINVAL;
}

static int parse_bare_ip(struct addr *out, const char *text)
{
    return strpbrk(text, "[]%") ? -EINVAL : addr_parse_ip(out, text, 0);
}

static int range_from_prefix(struct addr_range *r, const char *prefix, size_t ip_len,
                             const char **why)
{
    uint32_t bits;
    if (parse_number(prefix, (uint32_t)ip_len * 8, &bits) < 0)
        return fail(why, ip_len == 4 ? "the prefix length must be 0 to 32"
                                     : "the prefix length must be 0 to 128");
    for (size_t i = 0; i < ip_len; i++) {
        uint8_t host = 0xff;
        if (bits >= 8 * (i + 1))
            host = 0;
        else if (bits > 8 * i)
            host = (uint8_t)(0xff >> (bits - 8 * i));
        if (r->first[i] & host)
            return fail(why, "bits are set beyond the prefix");
        r->last[i] = r->first[i] | host;
    }
    return 0;
}

static int range_from_last(struct addr_range *r, const char *text, size_t ip_len, const char **why)
{
    struct addr last;
    if (parse_bare_ip(&last, text) < 0)
        return fail(why, "the last address is not a numeric IP address");
    if (last.family != r->family)
        return fail(why, "the two addresses are of different families");
    if (memcmp(r->first, last.ip, ip_len) > 0)
        return fail(why, "the last address comes before the first");
    memcpy(r->last, last.ip, sizeof(r->last));
    return 0;
}

int addr_range_parse(struct addr_range *out, const char *text, const char **why)
{
    char head[ADDR_STRLEN];
    size_t head_len = strcspn(text, "/-");
    const char *sep = text + head_len;
    struct addr first;
    struct addr_range r = {.family = ADDR_NONE};
    int rc = 0;

    memset(out, 0, sizeof(*out));
    if (head_len >= sizeof(head))
        return fail(why, "not a numeric IP address");
    memcpy(head, text, head_len);
    head[head_len] = '\0';
    if (parse_bare_ip(&first, head) < 0)
        return fail(why, *sep == '-' ? "the first address is not a numeric IP address"
                                     : "not a numeric IP address");
    r.family = first.family;
    memcpy(r.first, first.ip, sizeof(r.first));
    memcpy(r.last, first.ip, sizeof(r.last));
    if (*sep == '/')
        rc = range_from_prefix(&r, sep + 1, addr_ip_len(&first), why);
    else if (*sep == '-')
        rc = range_from_last(&r, sep + 1, addr_ip_len(&first), why);
    if (rc == 0)
        *out = r;
    return rc;
}

bool addr_range_contains(const struct addr_range *r, const struct addr *a)
{
    size_t n = addr_ip_len(a);
    // memcmp on network order compares whole numbers; byte by byte would not
    // (10.0.1.200-10.0.2.10).
    return n && a->family == r->family && memcmp(a->ip, r->first, n) >= 0 &&
           memcmp(a->ip, r->last, n) <= 0;
}
