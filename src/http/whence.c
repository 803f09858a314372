// SPDX-License-Identifier: BSD-2-Clause
// Where a request comes from, as far as it can be believed: the client's address behind proxies,
// and the name that a browser knows this server by.
#include "http/internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include <event2/keyvalq_struct.h>

#define HOST_MAX 256

static bool is_proxy(const struct conf *c, const struct addr *a)
{
    for (size_t i = 0; i < c->signal.proxy_count; i++)
        if (addr_range_contains(&c->signal.proxies[i], a))
            return true;
    return false;
}

// --- X-Forwarded-For ---

// An address, some write it with a port.
static bool read_entry(const char *begin, const char *end, struct addr *out)
{
    char text[ADDR_STRLEN];
    while (begin < end && isspace((unsigned char)*begin))
        begin++;
    while (begin < end && isspace((unsigned char)end[-1]))
        end--;
    size_t len = (size_t)(end - begin);
    if (len >= sizeof text)
        return false;
    memcpy(text, begin, len);
    text[len] = '\0';
    return addr_parse_ip(out, text, 0) == 0 || addr_parse(out, text) == 0;
}

// Goes back through one header as long as who wrote an entry is a proxy of ours. False: done.
static bool follow(const struct conf *c, const char *list, struct addr *found)
{
    const char *end = list + strlen(list), *begin;
    struct addr next;
    for (;; end = begin - 1) {
        for (begin = end; begin > list && begin[-1] != ',';)
            begin--;
        if (!is_proxy(c, found) || !read_entry(begin, end, &next))
            return false;
        *found = next;
        if (begin == list)
            return true;
    }
}

// The last entry was written by the proxy that speaks to us, the one before by the one that speaks
// to that: as far as we trust them. What stands before may be anybody's invention. Some proxies
// append to the header that came, others add one behind it.
struct addr answer_client_address(const struct exchange *x)
{
    const struct conf *c = http_conf(x->http);
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(x->req);
    const struct evkeyval *h;
    struct addr found = x->client->addr;
    TAILQ_FOREACH_REVERSE(h, headers, evkeyvalq, next)
    {
        if (strcasecmp(h->key, "X-Forwarded-For") == 0 && !follow(c, h->value, &found))
            break;
    }
    found.port = 0;
    return found;
}

// --- Host ---

// "Host" without the port, and without the dot that a name may end with.
static bool read_host(const char *header, char name[HOST_MAX])
{
    size_t len = strlen(header);
    const char *colon = strrchr(header, ':');
    if (colon && !strchr(colon, ']') && (*header == '[' || strchr(header, ':') == colon))
        len = (size_t)(colon - header);
    if (len && header[len - 1] == '.')
        len--;
    if (len >= HOST_MAX)
        return false;
    memcpy(name, header, len);
    name[len] = '\0';
    return true;
}

// RFC 6761 section 6.3: no resolver of a browser asks anybody for these.
static bool is_localhost(const char *name)
{
    static const char localhost[] = "localhost";
    size_t len = strlen(name), n = sizeof localhost - 1;
    return len >= n && strcasecmp(name + len - n, localhost) == 0 &&
           (len == n || name[len - n - 1] == '.');
}

static bool is_ours(const struct conf *c, const char *name)
{
    struct addr ip;
    if (!*name || is_localhost(name) || addr_parse_ip(&ip, name, 0) == 0)
        return true;
    return (c->signal.host && strcasecmp(c->signal.host, name) == 0) ||
           (c->realm && strcasecmp(c->realm, name) == 0);
}

bool host_is_localhost(const struct exchange *x)
{
    const char *header = answer_header(x, "Host");
    char name[HOST_MAX];
    return header && read_host(header, name) && is_localhost(name);
}

bool host_is_rebound(const struct exchange *x)
{
    const char *header = answer_header(x, "Host");
    const struct conf *c = http_conf(x->http);
    char name[HOST_MAX];
    if (!header || (read_host(header, name) && is_ours(c, name)))
        return false;
    return x->client->loopback && !is_proxy(c, &x->client->addr);
}
