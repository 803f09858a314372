// SPDX-License-Identifier: BSD-2-Clause
// A time-limited credential (draft-uberti-behave-turn-rest) as the argument of new
// RTCPeerConnection().
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "util/codec.h"

#define SECRET_CAP 257

static int no_secret(const struct ctl *c)
{
    return ctl_fail(CTL_FAILED,
                    "realm %s has no shared secret to make a credential from; `turnpikectl secret "
                    "add --generate` makes one, "
                    "or set auth.secrets in the configuration",
                    c->realm);
}

// The first secret of the configuration, else, or when --store names one, the newest of the store.
static int find_secret(struct ctl *c, char secret[SECRET_CAP])
{
    struct admin_secret all[AUTH_KEYS_MAX];
    int newest = 0, n;
    bool store_given = c->store_uri != NULL;
    int rc = ctl_configure(c, false);

    if (rc != CTL_OK)
        return rc;
    if (!store_given && c->conf->auth.secret_count > 0 && strcmp(c->realm, c->conf->realm) == 0) {
        snprintf(secret, SECRET_CAP, "%s", c->conf->auth.secrets[0]);
        return CTL_OK;
    }
    if (!c->store_uri)
        return no_secret(c);
    rc = ctl_open(c);
    if (rc != CTL_OK)
        return rc;
    n = admin_secret_list(c->store, c->realm, all, AUTH_KEYS_MAX);
    if (n < 0)
        return ctl_store_failed(c, n);
    for (int i = 1; i < n && i < AUTH_KEYS_MAX; i++) {
        if (all[i].created > all[newest].created)
            newest = i;
    }
    if (n > 0)
        snprintf(secret, SECRET_CAP, "%s", all[newest].secret);
    explicit_bzero(all, sizeof(all));
    return n > 0 ? CTL_OK : no_secret(c);
}

// What clients reach a listener by: --host, its own address, the public address, a relay address,
// the realm's name.
static const char *host_of(const struct ctl *c, const struct conf_listen *l,
                           char buf[ADDR_STRLEN + 2])
{
    const struct conf *conf = c->conf;
    const struct addr *a = NULL;
    char ip[ADDR_STRLEN];

    if (c->host) {
        struct addr parsed;
        bool bare_v6 = addr_parse_ip(&parsed, c->host, 0) == 0 && parsed.family == ADDR_IPV6 &&
                       *c->host != '[';
        if (!bare_v6)
            return c->host;
        snprintf(buf, ADDR_STRLEN + 2, "[%.*s]", ADDR_STRLEN - 1, c->host);
        return buf;
    }
    if (!l->any)
        a = &l->addr;
    else if (conf && conf->relay.external_count > 0)
        a = &conf->relay.external[0].external;
    else if (conf && conf->relay.address_count > 0)
        a = &conf->relay.addresses[0];
    if (!a)
        return c->realm;
    addr_format_ip(a, ip);
    snprintf(buf, ADDR_STRLEN + 2, a->family == ADDR_IPV6 ? "[%s]" : "%s", ip);
    return buf;
}

static void append_url(const struct ctl *c, json_t *urls, const struct conf_listen *l,
                       const char *scheme)
{
    char host[ADDR_STRLEN + 2];
    json_t *url = json_sprintf("%s:%s:%u?transport=%s", scheme, host_of(c, l, host), l->addr.port,
                               conf_transport_stream(l->transport) ? "tcp" : "udp");
    size_t i;
    json_t *other;

    json_array_foreach(urls, i, other)
    {
        if (json_equal(url, other)) {
            json_decref(url);
            return;
        }
    }
    json_array_append_new(urls, url);
}

static json_t *make_urls(const struct ctl *c)
{
    static const struct conf_listen usual[] = {
        {.transport = CONF_UDP, .any = true, .addr = {.port = 3478}},
        {.transport = CONF_TCP, .any = true, .addr = {.port = 3478}},
    };
    const struct conf_listen *listen = c->conf ? c->conf->listen : usual;
    size_t n = c->conf ? c->conf->listen_count : 2;
    json_t *urls = json_array();

    for (size_t i = 0; i < n; i++) {
        const struct conf_listen *l = &listen[i];
        if (conf_transport_plain(l->transport))
            append_url(c, urls, l, "turn");
        // No browser speaks TURN over DTLS, and some refuse a list that names it.
        if (conf_transport_secure(l->transport) && conf_transport_stream(l->transport))
            append_url(c, urls, l, "turns");
    }
    return urls;
}

static int make(struct ctl *c, const char *secret)
{
    char name[AUTH_USER_MAX + 32];
    char credential[BASE64_LEN(20) + 1];
    uint8_t mac[20];
    int len = snprintf(name, sizeof(name), "%lld%s%s", (long long)(c->now + (int64_t)c->ttl),
                       c->user ? ":" : "", c->user ? c->user : "");

    if (len > AUTH_USER_MAX)
        return ctl_fail(CTL_USAGE, "--user: with the expiry before it, it is longer than %d bytes",
                        AUTH_USER_MAX);
    if (hmac_sha1(mac, secret, strlen(secret), name, (size_t)len) < 0)
        return ctl_fail(CTL_FAILED, "out of memory");
    base64_encode(credential, mac, sizeof(mac));
    return ctl_print_json(json_pack("{s:[{s:o, s:s, s:s}], s:I}", "iceServers", "urls",
                                    make_urls(c), "username", name, "credential", credential, "ttl",
                                    (json_int_t)c->ttl));
}

static int run(struct ctl *c)
{
    char secret[SECRET_CAP];
    int rc;

    if (c->user) {
        rc = ctl_prepare("--user", c->prepared_name, sizeof(c->prepared_name), c->user);
        if (rc != CTL_OK)
            return rc;
        c->user = c->prepared_name;
    }
    if (c->host && (!*c->host || !utf8_valid(c->host, strlen(c->host))))
        return ctl_fail(CTL_USAGE, "--host: not a host name or an IP address");
    rc = find_secret(c, secret);
    if (rc == CTL_OK)
        rc = make(c, secret);
    explicit_bzero(secret, sizeof(secret));
    return rc;
}

const struct ctl_command ctl_ice_servers = {
    NULL,
    "ice-servers",
    NULL,
    "Prints a time-limited credential as JSON for new RTCPeerConnection().",
    CTL_OPTS_STORE | CTL_OPT_USER | CTL_OPT_TTL | CTL_OPT_HOST,
    run,
};
