// SPDX-License-Identifier: BSD-2-Clause
#include "conf/ice.h"

#include <string.h>

struct asked {
    const struct conf *conf;
    enum conf_ice_kind kind;
    const char *host, *realm;
};

static const char *bracket(const struct addr *a, char buf[ADDR_STRLEN + 2])
{
    char ip[ADDR_STRLEN];
    addr_format_ip(a, ip);
    snprintf(buf, ADDR_STRLEN + 2, a->family == ADDR_IPV6 ? "[%s]" : "%s", ip);
    return buf;
}

static const char *host_of(const struct asked *q, const struct conf_listen *l,
                           char buf[ADDR_STRLEN + 2])
{
    const struct conf *c = q->conf;
    struct addr parsed;
    if (q->host && (*q->host == '[' || addr_parse_ip(&parsed, q->host, 0)))
        return q->host;
    if (q->host)
        return bracket(&parsed, buf);
    if (!l->any)
        return bracket(&l->addr, buf);
    if (c && c->relay.external_count > 0)
        return bracket(&c->relay.external[0].external, buf);
    if (c && c->relay.address_count > 0)
        return bracket(&c->relay.addresses[0], buf);
    return q->realm;
}

// The URL of a listener, in the clear or secure. False when it has none.
static bool make_url(const struct asked *q, const struct conf_listen *l, bool secure,
                     char url[CONF_ICE_URL_MAX])
{
    char buf[ADDR_STRLEN + 2];
    bool stream = conf_transport_stream(l->transport);
    if (secure ? !conf_transport_secure(l->transport) || !stream
               : !conf_transport_plain(l->transport))
        return false;
    if (q->kind == CONF_ICE_TURN)
        snprintf(url, CONF_ICE_URL_MAX, "%s:%s:%u?transport=%s", secure ? "turns" : "turn",
                 host_of(q, l, buf), l->addr.port, stream ? "tcp" : "udp");
    else if (!stream)
        snprintf(url, CONF_ICE_URL_MAX, "stun:%s:%u", host_of(q, l, buf), l->addr.port);
    return q->kind == CONF_ICE_TURN || !stream;
}

// Two listeners may be one to clients: "*" of both families, or behind one external address.
static bool said_before(const struct asked *q, const struct conf_listen *listen, size_t n,
                        bool secure, const char *url)
{
    char other[CONF_ICE_URL_MAX];
    for (size_t i = 0; i < n; i++)
        if (make_url(q, &listen[i], secure, other) && strcmp(url, other) == 0)
            return true;
    return false;
}

void conf_ice_urls(const struct conf *c, enum conf_ice_kind kind, const char *host,
                   const char *realm, void (*each)(const char *url, void *arg), void *arg)
{
    static const struct conf_listen usual[] = {
        {.transport = CONF_UDP, .any = true, .addr = {.port = 3478}},
        {.transport = CONF_TCP, .any = true, .addr = {.port = 3478}},
    };
    const struct asked q = {.conf = c, .kind = kind, .host = host, .realm = realm};
    const struct conf_listen *listen = c ? c->listen : usual;
    size_t n = c ? c->listen_count : sizeof usual / sizeof *usual;
    char url[CONF_ICE_URL_MAX];
    for (size_t i = 0; i < n; i++)
        for (int secure = 0; secure < 2; secure++)
            if (make_url(&q, &listen[i], secure, url) && !said_before(&q, listen, i, secure, url))
                each(url, arg);
}
