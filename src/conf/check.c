// SPDX-License-Identifier: BSD-2-Clause
// One value against another. Elements that could not be read are zero and are passed over: they
// have been reported.
#include <config.h>

#include <string.h>

#include "conf/loader.h"

static const config_setting_t *whence(const struct loader *l, const char *key)
{
    return l->from[conf_option_find(key) - conf_options];
}

static const config_setting_t *element(const struct loader *l, const char *key, size_t i)
{
    const config_setting_t *s = whence(l, key);
    return s ? config_setting_get_elem(s, (unsigned)i) : NULL;
}

static bool listens_clash(const struct conf_listen *a, const struct conf_listen *b)
{
    if (conf_transport_stream(a->transport) != conf_transport_stream(b->transport) ||
        a->addr.port != b->addr.port)
        return false;
    return a->any || b->any || addr_equal(&a->addr, &b->addr);
}

static void check_listen(struct loader *l)
{
    const struct conf *c = l->conf;
    for (size_t i = 0; i < c->listen_count; i++) {
        const struct conf_listen *a = &c->listen[i];
        char what[ADDR_STRLEN] = "*";
        if (a->addr.port == 0 || (!a->any && a->addr.family == ADDR_NONE))
            continue;
        for (size_t j = 0; j < i; j++) {
            const struct conf_listen *b = &c->listen[j];
            if ((!b->any && b->addr.family == ADDR_NONE) || !listens_clash(a, b))
                continue;
            if (!a->any)
                addr_format_ip(&a->addr, what);
            conf_fail(l, element(l, "listen", i), "listen",
                      "%s %s port %u is listened on already, by entry %zu",
                      conf_transport_stream(a->transport) ? "tcp" : "udp", what, a->addr.port,
                      j + 1);
            break;
        }
    }
}

static void check_tls(struct loader *l)
{
    const struct conf *c = l->conf;
    bool certificate = whence(l, "tls.certificate"), key = whence(l, "tls.key");

    if (certificate != key)
        conf_fail(l, whence(l, certificate ? "tls.certificate" : "tls.key"),
                  certificate ? "tls.certificate" : "tls.key", "is set without %s",
                  certificate ? "tls.key" : "tls.certificate");
    for (size_t i = 0; i < c->listen_count; i++) {
        const struct conf_listen *a = &c->listen[i];
        if (conf_transport_secure(a->transport) && !certificate && !key)
            conf_fail(l, element(l, "listen", i), "listen", "%s needs tls.certificate and tls.key",
                      conf_transport_name(a->transport));
        if ((a->proxy_protocol || a->http) && !conf_transport_stream(a->transport))
            conf_fail(l, element(l, "listen", i), "listen",
                      "%s cannot have %s, allowed are \"tcp\", \"tls\" and \"tcp+tls\"",
                      conf_transport_name(a->transport),
                      a->proxy_protocol ? "proxy_protocol" : "http");
#ifndef WITH_SIGNAL
        if (a->http)
            conf_fail(
                l, element(l, "listen", i), "listen",
                "http: this program was built without the signaling server, allowed is false");
#endif
    }
}

// A certificate that nobody is asked for protects nothing.
static void check_client_ca(struct loader *l)
{
    const struct conf *c = l->conf;
    bool https = c->signal.tls && c->signal.listen.addr.port;
    for (size_t i = 0; i < c->listen_count; i++)
        https |= c->listen[i].http && conf_transport_secure(c->listen[i].transport);
    if (c->signal.client_ca && !https)
        conf_fail(l, whence(l, "signal.client_ca"), "signal.client_ca",
                  "is set, but nothing speaks HTTPS: see signal.tls and listen.http");
}

static void check_signal(struct loader *l)
{
    const struct conf *c = l->conf;
    uint16_t port = c->signal.listen.addr.port;

    if (port == 0)
        return;
#ifndef WITH_SIGNAL
    conf_fail(l, whence(l, "signal.port"), "signal.port",
              "this program was built without the signaling server, allowed is 0");
#endif
    if (c->signal.tls && !whence(l, "tls.certificate") && !whence(l, "tls.key"))
        conf_fail(l, whence(l, "signal.tls"), "signal.tls", "needs tls.certificate and tls.key");
    for (size_t i = 0; i < c->listen_count; i++) {
        const struct conf_listen *a = &c->listen[i];
        if (conf_transport_stream(a->transport) && a->addr.port == port &&
            (a->any || c->signal.listen.any || addr_equal(&a->addr, &c->signal.listen.addr)))
            conf_fail(l, whence(l, "signal.port"), "signal.port",
                      "tcp port %u is listened on already, by entry %zu of listen", port, i + 1);
    }
}

static void check_alternate(struct loader *l)
{
    if (l->conf->alternate.domain && l->conf->alternate.server_count == 0)
        conf_fail(l, whence(l, "alternate.domain"), "alternate.domain",
                  "is set without alternate.servers");
}

static void check_addresses(struct loader *l)
{
    const struct conf *c = l->conf;
    char text[ADDR_STRLEN];
    for (size_t i = 0; i < c->relay.address_count; i++) {
        const struct addr *a = &c->relay.addresses[i];
        for (size_t j = 0; j < i && a->family != ADDR_NONE; j++) {
            if (addr_equal(a, &c->relay.addresses[j])) {
                conf_fail(l, element(l, "relay.addresses", i), "relay.addresses",
                          "%s is listed twice", addr_format_ip(a, text));
                break;
            }
        }
    }
}

// Finds the relay address that an external one without a slash belongs to.
static void complete_external(struct loader *l, struct conf_external *e,
                              const config_setting_t *where)
{
    const struct conf *c = l->conf;
    const struct addr *found = NULL;
    unsigned n = 0;
    char text[ADDR_STRLEN];

    for (size_t i = 0; i < c->relay.address_count; i++) {
        if (c->relay.addresses[i].family == e->external.family) {
            found = &c->relay.addresses[i];
            n++;
        }
    }
    if (n == 1)
        e->relay = *found;
    else if (n > 1)
        conf_fail(
            l, where, "relay.external",
            "there are %u relay addresses of its family: write which one is meant, as \"relay/%s\"",
            n, addr_format_ip(&e->external, text));
    else if (c->relay.address_count > 0)
        conf_fail(l, where, "relay.external",
                  "%s is of a family that relay.addresses has no address of",
                  addr_format_ip(&e->external, text));
}

static bool is_relay_address(const struct conf *c, const struct addr *a)
{
    for (size_t i = 0; i < c->relay.address_count; i++) {
        if (addr_equal(a, &c->relay.addresses[i]))
            return true;
    }
    return false;
}

static void check_external(struct loader *l)
{
    struct conf *c = l->conf;
    char text[ADDR_STRLEN];

    for (size_t i = 0; i < c->relay.address_count; i++) {
        if (c->relay.addresses[i].family == ADDR_NONE)
            return; // what could be said about external would mislead
    }
    for (size_t i = 0; i < c->relay.external_count; i++) {
        struct conf_external *e = &c->relay.external[i];
        const config_setting_t *where = element(l, "relay.external", i);
        if (e->external.family == ADDR_NONE)
            continue;
        if (e->relay.family == ADDR_NONE)
            complete_external(l, e, where);
        else if (!is_relay_address(c, &e->relay))
            conf_fail(l, where, "relay.external", "%s is not one of relay.addresses",
                      addr_format_ip(&e->relay, text));
        for (size_t j = 0; j < i; j++) {
            const struct conf_external *other = &c->relay.external[j];
            if (other->external.family == e->external.family &&
                addr_equal(&e->relay, &other->relay)) {
                conf_fail(l, where, "relay.external",
                          "there are two external addresses for one relay address");
                break;
            }
        }
    }
}

static void check_users(struct loader *l)
{
    const struct conf *c = l->conf;
    for (size_t i = 0; i < c->auth.user_count; i++) {
        const config_setting_t *s = element(l, "auth.users", i);
        const char *name = c->auth.users[i].name;
        if (s && config_setting_is_group(s)) {
            bool password = config_setting_get_member(s, "password");
            if (password == !!config_setting_get_member(s, "key"))
                conf_fail(l, s, "auth.users", "a user has %s, needed is one of password and key",
                          password ? "both a password and a key" : "neither a password nor a key");
        }
        for (size_t j = 0; name && j < i; j++) {
            if (c->auth.users[j].name && strcmp(name, c->auth.users[j].name) == 0) {
                conf_fail(l, s, "auth.users", "the name is that of entry %zu", j + 1);
                break;
            }
        }
    }
}

static void check_tokens(struct loader *l)
{
    const struct conf *c = l->conf;
    for (size_t i = 0; i < c->tokens.key_count; i++) {
        const struct conf_token_key *k = &c->tokens.keys[i];
        const config_setting_t *s = element(l, "tokens.keys", i);
        size_t want = k->algorithm == CONF_A128GCM ? 16 : 32;
        if (k->key && conf_token_key_len(k->key) != want)
            conf_fail(l, s, "tokens.keys", "the key has %zu bytes, its algorithm takes %zu",
                      conf_token_key_len(k->key), want);
        for (size_t j = 0; k->id && j < i; j++) {
            if (c->tokens.keys[j].id && strcmp(k->id, c->tokens.keys[j].id) == 0) {
                conf_fail(l, s, "tokens.keys", "the id is that of entry %zu", j + 1);
                break;
            }
        }
    }
    if (c->tokens.key_count > 0 && !c->tokens.server)
        conf_fail(l, whence(l, "tokens.keys"), "tokens.keys", "are set without tokens.server");
}

// What cannot be searched by hash would lock those out who do as they are told.
static void check_anonymity(struct loader *l)
{
    const struct conf *c = l->conf;
    const config_setting_t *s = whence(l, "auth.username_anonymity");

    if (!c->auth.username_anonymity)
        return;
    if (c->auth.secret_count > 0)
        conf_fail(l, s, "auth.username_anonymity", "is set together with auth.secrets");
    if (conf_serves_http(c))
        conf_fail(l, s, "auth.username_anonymity",
                  "is set together with %s: names in iceServers are made from a secret",
                  c->signal.listen.addr.port > 0 ? "signal.port" : "listen.http");
    for (size_t i = 0; i < c->auth.store_count; i++)
        if (c->auth.stores[i] && strstr(c->auth.stores[i], "layout=coturn"))
            conf_fail(l, s, "auth.username_anonymity",
                      "is set together with a store in coturn's layout");
}

static void check_strings(struct loader *l, const char *key, char *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (items[i] && items[j] && strcmp(items[i], items[j]) == 0) {
                conf_fail(l, element(l, key, i), key, "entries %zu and %zu are the same", j + 1,
                          i + 1);
                break;
            }
        }
    }
}

static void check_lifetime(struct loader *l)
{
    const struct conf *c = l->conf;
    const config_setting_t *lifetime = whence(l, "limits.lifetime"),
                           *max = whence(l, "limits.lifetime_max");
    // Zero: could not be read. The message goes to the one that the user wrote.
    if (c->limits.lifetime == 0 || c->limits.lifetime_max == 0 ||
        c->limits.lifetime <= c->limits.lifetime_max)
        return;
    if (conf_is_default(l, "limits.lifetime"))
        conf_fail(l, max, "limits.lifetime_max", "%u is below limits.lifetime, which is %u",
                  c->limits.lifetime_max, c->limits.lifetime);
    else
        conf_fail(l, lifetime, "limits.lifetime", "%u is above limits.lifetime_max, which is %u",
                  c->limits.lifetime, c->limits.lifetime_max);
}

static void check_run_as(struct loader *l)
{
    if (l->conf->group && !l->conf->user)
        conf_fail(l, whence(l, "group"), "group", "is set without user");
}

void conf_check_whole(struct loader *l)
{
    check_run_as(l);
    check_listen(l);
    check_tls(l);
    check_addresses(l);
    check_external(l);
    check_alternate(l);
    check_signal(l);
    check_client_ca(l);
    check_strings(l, "auth.stores", l->conf->auth.stores, l->conf->auth.store_count);
    check_users(l);
    check_anonymity(l);
    check_strings(l, "signal.origins", l->conf->signal.origins, l->conf->signal.origin_count);
    check_strings(l, "signal.jwt_secrets", l->conf->signal.jwt_secrets,
                  l->conf->signal.jwt_secret_count);
    check_strings(l, "auth.secrets", l->conf->auth.secrets, l->conf->auth.secret_count);
    check_tokens(l);
    check_lifetime(l);
}
