// SPDX-License-Identifier: BSD-2-Clause
#include "probe/uri.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

const char *transport_name(enum transport t)
{
    static const char *const names[] = {"-", "UDP", "TCP", "TLS", "DTLS"};
    return names[t];
}

// Reads the scheme and its colon; NULL when it is none of ours.
static const char *take_scheme(struct probe_uri *out, const char *text)
{
    static const struct {
        const char *name;
        bool turn, secure;
    } schemes[] = {
        {"stun:", false, false},
        {"stuns:", false, true},
        {"turn:", true, false},
        {"turns:", true, true},
    };
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i].name);
        if (strncasecmp(text, schemes[i].name, len) == 0) {
            out->turn = schemes[i].turn;
            out->secure = schemes[i].secure;
            return text + len;
        }
    }
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_byte(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

// A host name: labels of 1 to 63 bytes.
static bool is_name(const char *host)
{
    size_t label = 0;
    for (; *host; host++) {
        if (*host == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (!is_name_byte(*host) || ++label > 63) {
            return false;
        }
    }
    return label > 0;
}

static int set_host(struct probe_uri *out, const char *text, size_t len, const char **why)
{
    if (len == 0)
        return *why = "the host is missing", -EINVAL;
    if (len >= sizeof(out->host))
        return *why = "the host is longer than 253 bytes", -EINVAL;
    if (memchr(text, '@', len))
        return *why = "a user does not belong in the URI, use --user", -EINVAL;
    memcpy(out->host, text, len);
    out->host[len] = '\0';
    if (strspn(out->host, "0123456789.") == len) {
        if (addr_parse_ip(&out->address, out->host, 0) < 0)
            return *why = "the host is neither an IPv4 address nor a name", -EINVAL;
        out->literal = true;
        return 0;
    }
    if (len > 1 && out->host[len - 1] == '.')
        out->host[--len] = '\0';
    if (len > 253 || !is_name(out->host))
        return *why = "the host is no name: letters, digits, hyphens and dots are allowed", -EINVAL;
    return 0;
}

// An address in brackets; text is behind the opening one.
static int set_ipv6(struct probe_uri *out, const char *text, size_t len, const char **why)
{
    static const char wrong[] = "what stands in brackets is no IPv6 address";
    const char *zone;

    if (len == 0 || len >= ADDR_STRLEN - 8)
        return *why = wrong, -EINVAL;
    memcpy(out->host, text, len);
    out->host[len] = '\0';
    // In a URI the percent sign of a zone is written %25 (RFC 6874).
    zone = strstr(out->host, "%25");
    if (zone)
        memmove(out->host + (zone - out->host) + 1, zone + 3, strlen(zone + 3) + 1);
    if (addr_parse_ip(&out->address, out->host, 0) < 0 || out->address.family != ADDR_IPV6)
        return *why = wrong, -EINVAL;
    out->literal = true;
    return 0;
}

// ":port", which may be empty (RFC 3986 3.2.3); *text moves behind it.
static int take_port(struct probe_uri *out, const char **text, const char **why)
{
    static const char wrong[] = "the port is not 1 to 65535";
    const char *p = *text + 1;
    unsigned long port = 0;

    for (; is_digit(*p); p++) {
        port = port * 10 + (unsigned long)(*p - '0');
        if (port > 65535)
            return *why = wrong, -EINVAL;
    }
    if (p > *text + 1 && port == 0)
        return *why = wrong, -EINVAL;
    if (*p && *p != '?')
        return *why = *p == ':' || out->literal
                          ? wrong
                          : "behind the host only :port and ?transport= may follow",
               -EINVAL;
    out->port = (uint16_t)port;
    *text = p;
    return 0;
}

static int set_transport(struct probe_uri *out, const char *value, const char **why)
{
    if (strcasecmp(value, "udp") == 0)
        out->transport = out->secure ? TRANSPORT_DTLS : TRANSPORT_UDP;
    else if (strcasecmp(value, "tcp") == 0)
        out->transport = out->secure ? TRANSPORT_TLS : TRANSPORT_TCP;
    else if (strcasecmp(value, "tls") == 0 || strcasecmp(value, "dtls") == 0)
        return *why = "TLS and DTLS are written with the scheme: turns:HOST?transport=tcp or "
                      "turns:HOST?transport=udp (stuns: likewise)",
               -EINVAL;
    else
        return *why = "the transport is neither udp nor tcp", -EINVAL;
    return 0;
}

int uri_parse(struct probe_uri *out, const char *text, const char **why)
{
    const char *p, *end;
    int rc;

    *out = (struct probe_uri){0};
    p = take_scheme(out, text);
    if (!p)
        return *why = "it has to begin with stun:, stuns:, turn: or turns:", -EINVAL;
    if (p[0] == '/' && p[1] == '/')
        return *why = "these URIs have no //, write stun:HOST or turn:HOST", -EINVAL;
    if (*p == '[') {
        end = strchr(++p, ']');
        if (!end)
            return *why = "the closing bracket is missing", -EINVAL;
        rc = set_ipv6(out, p, (size_t)(end - p), why);
        p = end + 1;
    } else {
        end = p + strcspn(p, ":?");
        if (*end == ':' && strchr(end + 1, ':'))
            return *why = "an IPv6 address stands in brackets: turn:[2001:db8::1]:3478", -EINVAL;
        rc = set_host(out, p, (size_t)(end - p), why);
        p = end;
    }
    if (rc == 0 && *p == ':')
        rc = take_port(out, &p, why);
    if (rc == 0 && strncasecmp(p, "?transport=", 11) == 0)
        rc = set_transport(out, p + 11, why);
    else if (rc == 0 && *p)
        rc = (*why = "behind the host only :port and ?transport= may follow", -EINVAL);
    if (rc < 0)
        *out = (struct probe_uri){0};
    return rc;
}
