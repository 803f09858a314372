// SPDX-License-Identifier: BSD-2-Clause
// The values that are written as text: parsing, formatting, checks.
#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/option.h"
#include "util/codec.h"

int conf_refuse(const char **why, const char *reason)
{
    *why = reason;
    return -EINVAL;
}

static const char *const transports[] = {
    [CONF_UDP] = "udp",   [CONF_TCP] = "tcp",         [CONF_TLS] = "tls",
    [CONF_DTLS] = "dtls", [CONF_TCP_TLS] = "tcp+tls", [CONF_UDP_DTLS] = "udp+dtls"};

const char *conf_transport_name(enum conf_transport t)
{
    return transports[t];
}

static int transport_parse(void *out, const char *text, const char **why)
{
    for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
        if (strcmp(text, transports[i]) == 0) {
            *(enum conf_transport *)out = (enum conf_transport)i;
            return 0;
        }
    }
    return conf_refuse(why, "not a transport");
}

static void transport_format(const void *value, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s", transports[*(const enum conf_transport *)value]);
}

const struct conf_codec conf_codec_transport = {
    "\"udp\", \"tcp\", \"tls\", \"dtls\", \"tcp+tls\" and \"udp+dtls\"", transport_parse,
    transport_format};

static int listen_address_parse(void *out, const char *text, const char **why)
{
    struct conf_listen *listen = out;
    struct addr a;
    if (strcmp(text, "*") == 0) {
        listen->any = true;
        return 0;
    }
    if (addr_parse_ip(&a, text, listen->addr.port) < 0)
        return conf_refuse(why, "not a numeric IP address");
    listen->addr = a;
    return 0;
}

static void listen_address_format(const void *value, char *buf, size_t cap)
{
    const struct conf_listen *listen = value;
    char ip[ADDR_STRLEN];
    snprintf(buf, cap, "%s", listen->any ? "*" : addr_format_ip(&listen->addr, ip));
}

const struct conf_codec conf_codec_listen_address = {"\"*\", IPv4 and IPv6 addresses",
                                                     listen_address_parse, listen_address_format};

static bool is_multicast(const struct addr *a)
{
    return a->family == ADDR_IPV4 ? (a->ip[0] & 0xf0) == 0xe0 : a->ip[0] == 0xff;
}

static int address_parse(void *out, const char *text, const char **why)
{
    struct addr a;
    if (addr_parse_ip(&a, text, 0) < 0)
        return conf_refuse(why, "not a numeric IP address");
    if (addr_is_any(&a))
        return conf_refuse(why, "stands for every address, and peers are told one");
    if (is_multicast(&a))
        return conf_refuse(why, "a multicast address");
    memcpy(out, &a, sizeof(a));
    return 0;
}

static void address_format(const void *value, char *buf, size_t cap)
{
    char ip[ADDR_STRLEN];
    snprintf(buf, cap, "%s", addr_format_ip(value, ip));
}

const struct conf_codec conf_codec_address = {"IPv4 and IPv6 addresses of this host", address_parse,
                                              address_format};

static int transport_address_parse(void *out, const char *text, const char **why)
{
    struct addr a;
    if (addr_parse(&a, text) < 0 || a.port == 0)
        return conf_refuse(why, "not a numeric IP address with a port");
    if (addr_is_any(&a) || is_multicast(&a))
        return conf_refuse(why, "not an address that clients can be told");
    memcpy(out, &a, sizeof(a));
    return 0;
}

static void transport_address_format(const void *value, char *buf, size_t cap)
{
    char text[ADDR_STRLEN];
    snprintf(buf, cap, "%s", addr_format(value, text));
}

const struct conf_codec conf_codec_transport_address = {
    "address:port and [IPv6 address]:port", transport_address_parse, transport_address_format};

static int external_parse(void *out, const char *text, const char **why)
{
    struct conf_external *e = out;
    struct conf_external parsed = {.relay.family = ADDR_NONE};
    const char *slash = strchr(text, '/');
    char relay[ADDR_STRLEN];

    if (slash) {
        size_t len = (size_t)(slash - text);
        if (len >= sizeof(relay))
            return conf_refuse(why, "the part before the slash is not a numeric IP address");
        memcpy(relay, text, len);
        relay[len] = '\0';
        if (addr_parse_ip(&parsed.relay, relay, 0) < 0)
            return conf_refuse(why, "the part before the slash is not a numeric IP address");
    }
    if (addr_parse_ip(&parsed.external, slash ? slash + 1 : text, 0) < 0)
        return conf_refuse(why, slash ? "the part after the slash is not a numeric IP address"
                                      : "not a numeric IP address");
    if (slash && parsed.relay.family != parsed.external.family)
        return conf_refuse(why, "the two addresses are of different families");
    if (addr_is_any(&parsed.external) || is_multicast(&parsed.external))
        return conf_refuse(why, "not an address that clients can be told");
    *e = parsed;
    return 0;
}

static void external_format(const void *value, char *buf, size_t cap)
{
    const struct conf_external *e = value;
    char relay[ADDR_STRLEN], external[ADDR_STRLEN];
    addr_format_ip(&e->external, external);
    if (e->relay.family == ADDR_NONE)
        snprintf(buf, cap, "%s", external);
    else
        snprintf(buf, cap, "%s/%s", addr_format_ip(&e->relay, relay), external);
}

const struct conf_codec conf_codec_external = {
    "\"public\" and \"relay/public\", both numeric IP addresses", external_parse, external_format};

static int range_parse(void *out, const char *text, const char **why)
{
    return addr_range_parse(out, text, why);
}

// The prefix length when the range is exactly a prefix, else -1.
static int range_prefix(const struct addr_range *r)
{
    int bits = r->family == ADDR_IPV4 ? 32 : 128;
    int same = 0;
    for (; same < bits; same++) {
        if ((r->first[same / 8] ^ r->last[same / 8]) & 0x80 >> same % 8)
            break;
    }
    for (int i = same; i < bits; i++) {
        if ((r->first[i / 8] & 0x80 >> i % 8) || !(r->last[i / 8] & 0x80 >> i % 8))
            return -1;
    }
    return same;
}

static void range_format(const void *value, char *buf, size_t cap)
{
    const struct addr_range *r = value;
    struct addr first = {.family = r->family}, last = {.family = r->family};
    char a[ADDR_STRLEN], b[ADDR_STRLEN];
    int prefix = range_prefix(r);

    memcpy(first.ip, r->first, sizeof(first.ip));
    memcpy(last.ip, r->last, sizeof(last.ip));
    addr_format_ip(&first, a);
    if (addr_equal(&first, &last))
        snprintf(buf, cap, "%s", a);
    else if (prefix >= 0)
        snprintf(buf, cap, "%s/%d", a, prefix);
    else
        snprintf(buf, cap, "%s-%s", a, addr_format_ip(&last, b));
}

const struct conf_codec conf_codec_range = {"an address, address/prefix length, and first-last",
                                            range_parse, range_format};

static int level_parse(void *out, const char *text, const char **why)
{
    int level = log_level_parse(text);
    if (level < 0)
        return conf_refuse(why, "not a level");
    *(enum log_level *)out = (enum log_level)level;
    return 0;
}

static void level_format(const void *value, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s", log_level_name(*(const enum log_level *)value));
}

const struct conf_codec conf_codec_level = {
    "\"error\", \"warning\", \"notice\", \"info\" and \"debug\"", level_parse, level_format};

static int format_parse(void *out, const char *text, const char **why)
{
    enum log_format *f = out;
    if (strcmp(text, "text") == 0)
        *f = LOG_FMT_TEXT;
    else if (strcmp(text, "json") == 0)
        *f = LOG_FMT_JSON;
    else
        return conf_refuse(why, "not a format");
    return 0;
}

static void format_format(const void *value, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s", *(const enum log_format *)value == LOG_FMT_JSON ? "json" : "text");
}

const struct conf_codec conf_codec_format = {"\"text\" and \"json\"", format_parse, format_format};

static int tls_version_parse(void *out, const char *text, const char **why)
{
    enum conf_tls_version *v = out;
    if (strcmp(text, "1.2") == 0)
        *v = CONF_TLS_1_2;
    else if (strcmp(text, "1.3") == 0)
        *v = CONF_TLS_1_3;
    else
        return conf_refuse(why, "not a version");
    return 0;
}

static void tls_version_format(const void *value, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s", *(const enum conf_tls_version *)value == CONF_TLS_1_3 ? "1.3" : "1.2");
}

const struct conf_codec conf_codec_tls_version = {"\"1.2\" and \"1.3\"", tls_version_parse,
                                                  tls_version_format};

static int token_algorithm_parse(void *out, const char *text, const char **why)
{
    enum conf_token_algorithm *a = out;
    if (strcmp(text, "A256GCM") == 0)
        *a = CONF_A256GCM;
    else if (strcmp(text, "A128GCM") == 0)
        *a = CONF_A128GCM;
    else
        return conf_refuse(why, "not an algorithm");
    return 0;
}

static void token_algorithm_format(const void *value, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s",
             *(const enum conf_token_algorithm *)value == CONF_A128GCM ? "A128GCM" : "A256GCM");
}

const struct conf_codec conf_codec_token_algorithm = {
    "\"A256GCM\" and \"A128GCM\"", token_algorithm_parse, token_algorithm_format};

size_t conf_token_key_len(const char *text)
{
    uint8_t key[32];
    size_t len = strlen(text), found = 0;

    for (size_t n = 16; n <= 32 && !found; n += 16) {
        bool hex = len == 2 * n && hex_decode(key, n, text) == 0;
        bool base64 = len == BASE64_LEN(n) && base64_decode(key, sizeof(key), text, len) == (int)n;
        if (hex || base64)
            found = n;
    }
    explicit_bzero(key, sizeof(key));
    return found;
}

int conf_check_token_key(const char *text, const char **why)
{
    return conf_token_key_len(text)
               ? 0
               : conf_refuse(why, "is not 16 or 32 bytes in hex digits or base64");
}

int conf_check_token_server(const char *text, const char **why)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return conf_refuse(why, "holds a control character");
    if (!utf8_valid(text, strlen(text)))
        return conf_refuse(why, "is not UTF-8");
    return 0;
}

// It stands between quotes in the attribute's grammar (RFC 8489 14.9: qdtext).
int conf_check_realm(const char *text, const char **why)
{
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return conf_refuse(why, "has a control character");
        if (*p == '"' || *p == '\\')
            return conf_refuse(why, "has a quote or a backslash");
    }
    return utf8_valid(text, strlen(text)) ? 0 : conf_refuse(why, "is not valid UTF-8");
}

int conf_check_user_key(const char *text, const char **why)
{
    uint8_t key[16];
    return hex_decode(key, sizeof(key), text) < 0 ? conf_refuse(why, "is not 32 hex digits") : 0;
}

int conf_check_nonce_key(const char *text, const char **why)
{
    uint8_t key[32];
    return hex_decode(key, sizeof(key), text) < 0 ? conf_refuse(why, "is not 64 hex digits") : 0;
}

static int (*store_check)(const char *uri, const char **why);

void conf_set_store_check(int (*check)(const char *uri, const char **why))
{
    store_check = check;
}

int conf_check_store(const char *text, const char **why)
{
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz+");
    if (scheme == 0 || text[scheme] != ':' || !text[scheme + 1])
        return conf_refuse(why, "not a URI like \"sqlite:/path\" or \"redis://host:port/db\"");
    return store_check ? store_check(text, why) : 0;
}

#define NO_DOMAIN "is not a domain name, allowed are letters, digits, hyphens and dots"

// Of what a certificate can name (RFC 8489 14.16).
int conf_check_domain(const char *text, const char **why)
{
    for (const char *p = text; *p; p++) {
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '.')
            return conf_refuse(why, NO_DOMAIN);
    }
    return *text == '.' || *text == '-' ? conf_refuse(why, NO_DOMAIN) : 0;
}

int conf_check_target(const char *text, const char **why)
{
    if (strcmp(text, "stderr") == 0 || strcmp(text, "stdout") == 0 || strcmp(text, "syslog") == 0)
        return 0;
    if (strncmp(text, "file:", 5) == 0 && text[5])
        return 0;
    return conf_refuse(
        why, "is not known, allowed are \"stderr\", \"stdout\", \"syslog\" and \"file:/path\"");
}
