// SPDX-License-Identifier: BSD-2-Clause
#include "probe/options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/codec.h"

const struct opt probe_options[PROBE_OPTIONS] = {
    {OPT_USER, "user", "NAME", CMD_TURN | CMD_PUNCH, "the user of the TURN server"},
    {OPT_PASSWORD_FILE, "password-file", "FILE", CMD_TURN | CMD_PUNCH,
     "read the password from the first line of a file"},
    {OPT_COUNT, "count", "N", CMD_STUN | CMD_TURN | CMD_PUNCH,
     "packets to send [stun, punch 5; turn 50]"},
    {OPT_SIZE, "size", "BYTES", CMD_TURN, "bytes in each, 12 to 1400 [160]"},
    {OPT_INTERVAL, "interval", "MS", CMD_STUN | CMD_TURN, "between two packets [20]"},
    {OPT_PEER, "peer", "KIND", CMD_TURN,
     "the other end: socket (of this host), relay (a second allocation), auto [auto]"},
    {OPT_RELAY, "relay", "4|6", CMD_TURN,
     "ask for a relayed address of IPv4 or IPv6 [the server's choice]"},
    {OPT_LIFETIME, "lifetime", "SECONDS", CMD_NAT,
     "also how long a binding of the NAT lives, up to that; takes as long"},
    {OPT_STUN, "stun", "ADDRESS:PORT", CMD_PUNCH,
     "a STUN server by UDP [the TURN server's address, its port or 3478]"},
    {OPT_WAIT, "wait", "SECONDS", CMD_PUNCH, "how long the first host waits for the second [300]"},
    {OPT_SOURCE, "source", "ADDRESS", CMD_ALL, "send from this address of this host"},
    {'4', NULL, NULL, CMD_ALL, "IPv4 only"},
    {'6', NULL, NULL, CMD_ALL, "IPv6 only"},
    {OPT_DNS, "dns", "ADDRESS", CMD_ALL, "ask this name server (IPv4, :PORT if it is not 53)"},
    {OPT_CA, "ca", "FILE", CMD_STUN | CMD_TURN | CMD_PUNCH,
     "trust the certificates in this PEM file, instead of the host's"},
    {OPT_INSECURE, "insecure", NULL, CMD_STUN | CMD_TURN | CMD_PUNCH,
     "go on with a certificate that is not accepted"},
    {OPT_TIMEOUT, "timeout", "SECONDS", CMD_ALL, "how long to wait for each answer [5]"},
    {OPT_JSON, "json", NULL, CMD_ALL, "print JSON"},
};

int probe_usage(const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fputs("turnpike-probe: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return PROBE_USAGE;
}

static int parse_timeout(int64_t *out, const char *text)
{
    char *end;
    double s = strtod(text, &end);
    if (end == text || *end || !isfinite(s) || s < 0.1 || s > 300)
        return -EINVAL;
    *out = (int64_t)(s * 1e6);
    return 0;
}

static int bad_value(const struct opt *o, const char *value, const char *allowed)
{
    char shown[128];
    return probe_usage("--%s %s: allowed is %s", o->name,
                       text_escape(shown, sizeof(shown), value, strlen(value)), allowed);
}

// A decimal number within bounds.
static int take_number(const struct opt *o, const char *value, unsigned *out, unsigned min,
                       unsigned max)
{
    char *end, allowed[32];
    unsigned long n;

    errno = 0;
    n = strtoul(value, &end, 10);
    *out = (unsigned)n;
    if (!errno && end != value && !*end && *value != '-' && *value != '+' && n >= min && n <= max)
        return 0;
    snprintf(allowed, sizeof(allowed), "%u to %u", min, max);
    return bad_value(o, value, allowed);
}

static int take_dns(struct probe *p, const struct opt *o, const char *value)
{
    if ((addr_parse_ip(&p->dns, value, 0) < 0 && addr_parse(&p->dns, value) < 0) ||
        p->dns.family != ADDR_IPV4)
        return bad_value(o, value,
                         "the IPv4 address of a name server, as 192.0.2.53 or 192.0.2.53:5353");
    return 0;
}

static int take_peer(struct probe *p, const struct opt *o, const char *value)
{
    static const char *const kinds[] = {"auto", "socket", "relay"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(value, kinds[i]) == 0) {
            p->peer = (enum peer_kind)i;
            return 0;
        }
    }
    return bad_value(o, value, "auto, socket or relay");
}

static int take_user(struct probe *p, const struct opt *o, const char *value)
{
    if (!*value || strlen(value) > 508) // RFC 8489 14.3
        return bad_value(o, value, "a name of 1 to 508 bytes");
    strcpy(p->cred.user, value);
    return 0;
}

int probe_take_option(struct probe *p, const struct opt *o, const char *value,
                      const char **password_file)
{
    struct addr server;
    switch (o->id) {
    case '4':
        p->family = ADDR_IPV4;
        return 0;
    case '6':
        p->family = ADDR_IPV6;
        return 0;
    case OPT_JSON:
        p->json = true;
        return 0;
    case OPT_INSECURE:
        p->insecure = true;
        return 0;
    case OPT_CA:
        p->ca_file = value;
        return 0;
    case OPT_PASSWORD_FILE:
        *password_file = value;
        return 0;
    case OPT_USER:
        return take_user(p, o, value);
    case OPT_PEER:
        return take_peer(p, o, value);
    case OPT_DNS:
        return take_dns(p, o, value);
    case OPT_TIMEOUT:
        return parse_timeout(&p->timeout, value) == 0 ? 0
                                                      : bad_value(o, value, "0.1 to 300 seconds");
    case OPT_SOURCE:
        return addr_parse_ip(&p->source, value, 0) == 0 ? 0 : bad_value(o, value, "an IP address");
    case OPT_STUN:
        p->stun_server = value;
        return addr_parse(&server, value) == 0 ? 0 : bad_value(o, value, "ADDRESS:PORT");
    case OPT_RELAY:
        p->relay_family = *value == '6' ? ADDR_IPV6 : ADDR_IPV4;
        return strcmp(value, "4") == 0 || strcmp(value, "6") == 0 ? 0
                                                                  : bad_value(o, value, "4 or 6");
    case OPT_WAIT:
        return take_number(o, value, &p->wait, 1, 3600);
    case OPT_COUNT:
        return take_number(o, value, &p->count, 1, 100000);
    case OPT_SIZE:
        return take_number(o, value, &p->size, 12, 1400);
    case OPT_INTERVAL:
        return take_number(o, value, &p->interval_ms, 0, 10000);
    default:
        return take_number(o, value, &p->lifetime, 2, 7200);
    }
}
