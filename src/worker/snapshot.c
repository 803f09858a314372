// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include "worker/snapshot.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "net/host.h"
#include "util/log.h"
#include "util/resolve.h"
#include "worker/internal.h"

#define STORES_MAX 8          // as the schema allows
#define STORE_ENDPOINTS_MAX 8 // of one store
#define RESOLVE_MS 3000       // a start or reload waits no longer for names

// A list of addresses that grows while a snapshot is made.
struct list {
    struct addr *items;
    size_t count;
    bool failed;
};

static void list_add(struct list *l, const struct addr *a)
{
    struct addr *items = realloc(l->items, (l->count + 1) * sizeof *items);
    if (!items) {
        l->failed = true;
        return;
    }
    l->items = items;
    items[l->count++] = *a;
}

static void list_add_ip(struct list *l, struct addr a)
{
    a.port = 0;
    for (size_t i = 0; i < l->count; i++)
        if (addr_equal_ip(&l->items[i], &a))
            return;
    list_add(l, &a);
}

static bool find_relays(struct snapshot *s, const char **why)
{
    struct list l = {0};
    const struct conf *c = s->conf;
    for (size_t i = 0; i < c->relay.address_count; i++)
        list_add_ip(&l, c->relay.addresses[i]);
    if (!c->relay.address_count) {
        struct addr a;
        if (host_default_address(ADDR_IPV4, &a))
            list_add_ip(&l, a);
        if (host_default_address(ADDR_IPV6, &a))
            list_add_ip(&l, a);
    }
    s->relays = l.items;
    s->relay_count = l.count;
    if (!l.count)
        *why = "no relay address: this host has no default route to take one from; set "
               "relay.addresses";
    return l.count > 0 && !l.failed;
}

// A store's end point while its name is being looked up.
struct name {
    struct stores_endpoint end;
    bool numeric;
    struct resolve *resolve;
};

static void begin_name(struct name *n, struct list *closed)
{
    struct addr a;
    n->numeric = addr_parse_ip(&a, n->end.host, n->end.port) == 0;
    if (n->numeric)
        list_add(closed, &a);
    else
        n->resolve = resolve_start(n->end.host);
}

static void end_name(struct name *n, int64_t until_ms, struct list *closed)
{
    struct addr found[RESOLVE_ADDRESSES_MAX];
    const char *why;
    if (n->numeric)
        return;
    size_t count = resolve_finish(n->resolve, until_ms, found, &why);
    if (!count)
        log_warning(
            "conf",
            "auth.stores: the name %s cannot be resolved: %s; peers can be there, and are not "
            "refused, until a reload finds it",
            n->end.host, why);
    for (size_t i = 0; i < count; i++) {
        found[i].port = n->end.port;
        list_add(closed, &found[i]);
    }
}

// All at once, so that they share the time that there is.
static void add_stores(struct list *closed, const struct conf *c)
{
    struct name names[STORES_MAX * STORE_ENDPOINTS_MAX] = {0};
    struct stores_endpoint ends[STORE_ENDPOINTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < c->auth.store_count && i < STORES_MAX; i++) {
        size_t n = stores_endpoints(c->auth.stores[i], ends, STORE_ENDPOINTS_MAX);
        for (size_t j = 0; j < n; j++)
            names[count++].end = ends[j];
    }
    for (size_t i = 0; i < count; i++)
        begin_name(&names[i], closed);
    int64_t until_ms = clock_ms() + RESOLVE_MS;
    for (size_t i = 0; i < count; i++)
        end_name(&names[i], until_ms, closed);
}

static void close_listener(struct list *l, const struct conf_listen *listen)
{
    if (!listen->any) {
        list_add(l, &listen->addr);
        return;
    }
    struct addr any = {.family = ADDR_IPV4, .port = listen->addr.port};
    list_add(l, &any);
    any.family = ADDR_IPV6;
    list_add(l, &any);
}

// Peers that are never reached whatever is allowed: our listeners and our stores (threat: a relay
// loop, or the relay as a way in).
static bool find_closed(struct snapshot *s)
{
    struct list l = {0};
    const struct conf *c = s->conf;
    for (size_t i = 0; i < c->listen_count; i++)
        close_listener(&l, &c->listen[i]);
    if (c->signal.listen.addr.port)
        close_listener(&l, &c->signal.listen);
    add_stores(&l, c);
    s->closed = l.items;
    s->policy.closed = l.items;
    s->policy.closed_count = l.count;
    return !l.failed;
}

static bool find_own(struct snapshot *s)
{
    struct list own = {0}, relays = {0};
    const struct conf *c = s->conf;
    struct addr *host;
    int n = host_addresses(&host);
    for (int i = 0; i < n; i++)
        list_add_ip(&own, host[i]);
    if (n >= 0)
        free(host);
    for (size_t i = 0; i < c->listen_count; i++)
        if (!c->listen[i].any)
            list_add_ip(&own, c->listen[i].addr);
    for (size_t i = 0; i < s->relay_count; i++) {
        list_add_ip(&own, s->relays[i]);
        list_add_ip(&relays, s->relays[i]);
    }
    for (size_t i = 0; i < c->relay.external_count; i++) {
        list_add_ip(&own, c->relay.external[i].external);
        list_add_ip(&relays, c->relay.external[i].external);
    }
    s->own = own.items;
    s->policy_relays = relays.items;
    s->policy.own = own.items;
    s->policy.own_count = own.count;
    s->policy.relays = relays.items;
    s->policy.relay_count = relays.count;
    return n >= 0 && !own.failed && !relays.failed;
}

static void fill_policy(struct snapshot *s)
{
    const struct conf *c = s->conf;
    s->policy.allow = c->relay.allow;
    s->policy.allow_count = c->relay.allow_count;
    s->policy.deny = c->relay.deny;
    s->policy.deny_count = c->relay.deny_count;
    s->policy.relay_port_min = c->relay.port_min;
    s->policy.relay_port_max = c->relay.port_max;
}

static void fill_auth(struct snapshot *s, const uint8_t nonce_key[32])
{
    const struct conf *c = s->conf;
    s->auth.realm = c->realm;
    s->auth.token_server = c->tokens.server;
    s->auth.username_anonymity = c->auth.username_anonymity;
    s->auth.nonce_lifetime = c->auth.nonce_lifetime;
    memcpy(s->auth.nonce_key, nonce_key, 32);
    if (c->auth.nonce_key)
        EVP_Digest(c->auth.nonce_key, strlen(c->auth.nonce_key), s->auth.nonce_key, NULL,
                   EVP_sha256(), NULL);
}

// The configuration's own secrets, else that of the process where iceServers are given out.
static void fill_secrets(struct snapshot *s, const char *ice_secret)
{
    const struct conf *c = s->conf;
    if (c->auth.secret_count) {
        s->stores.secrets = (const char *const *)c->auth.secrets;
        s->stores.secret_count = c->auth.secret_count;
    } else if (conf_serves_http(c)) {
        s->ice_secret = ice_secret;
        s->stores.secrets = &s->ice_secret;
        s->stores.secret_count = 1;
    }
    if (conf_serves_http(c))
        s->ice_secret = s->stores.secrets[0];
}

static bool fill_stores(struct snapshot *s)
{
    const struct conf *c = s->conf;
    s->users = calloc(c->auth.user_count + 1, sizeof *s->users);
    s->token_keys = calloc(c->tokens.key_count + 1, sizeof *s->token_keys);
    if (!s->users || !s->token_keys)
        return false;
    for (size_t i = 0; i < c->tokens.key_count; i++)
        s->token_keys[i] = (struct stores_token_key){
            .kid = c->tokens.keys[i].id,
            .key = c->tokens.keys[i].key,
            .algorithm =
                c->tokens.keys[i].algorithm == CONF_A128GCM ? TOKEN_A128GCM : TOKEN_A256GCM};
    for (size_t i = 0; i < c->auth.user_count; i++)
        s->users[i] = (struct stores_user){.name = c->auth.users[i].name,
                                           .password = c->auth.users[i].password,
                                           .key = c->auth.users[i].key};
    s->stores = (struct stores_config){
        .realm = c->realm,
        .uris = (const char *const *)c->auth.stores,
        .uri_count = c->auth.store_count,
        .users = s->users,
        .user_count = c->auth.user_count,
        .token_keys = s->token_keys,
        .token_key_count = c->tokens.key_count,
        .cache_ttl_ms = c->auth.cache_ttl * 1000,
        .timeout_ms = c->auth.timeout,
        .cache_entries = c->auth.cache_entries,
        .max_pending = c->auth.max_pending,
    };
    s->auth.md5_only = stores_md5_only(&s->stores);
    return true;
}

// Of the process and not of the configuration, so that ids live on when it is reloaded.
static void fill_connection_key(struct siphash_key *key, const uint8_t nonce_key[32])
{
    static const char label[] = "CONNECTION-ID";
    uint8_t in[32 + sizeof label], digest[EVP_MAX_MD_SIZE];
    memcpy(in, nonce_key, 32);
    memcpy(in + 32, label, sizeof label);
    EVP_Digest(in, sizeof in, digest, NULL, EVP_sha256(), NULL);
    memcpy(key, digest, sizeof *key);
}

static void fill_turn(struct snapshot *s, const uint8_t nonce_key[32])
{
    const struct conf *c = s->conf;
    s->turn = (struct turn_config){
        .auth = &s->auth,
        .policy = &s->policy,
        .lifetime_default = c->limits.lifetime,
        .lifetime_max = c->limits.lifetime_max,
        .permission_lifetime = c->limits.permission_lifetime,
        .channel_lifetime = c->limits.channel_lifetime,
        .user_allocations = c->limits.user_allocations,
        .total_allocations = c->limits.total_allocations,
        .user_bps = c->limits.user_bps,
        .total_bps = c->limits.total_bps,
        .max_permissions = c->limits.permissions,
        .max_channels = c->limits.channels,
        .relay_tcp = c->relay.tcp,
        .max_connections = c->limits.peer_connections,
        .mobility = c->relay.mobility,
        .software = PACKAGE_NAME,
        .alternates = c->alternate.servers,
        .alternate_count = c->alternate.server_count,
        .alternate_domain = c->alternate.domain,
    };
    fill_connection_key(&s->turn.connection_key, nonce_key);
    for (size_t i = 0; i < s->relay_count; i++)
        *(s->relays[i].family == ADDR_IPV6 ? &s->turn.relay_ipv6 : &s->turn.relay_ipv4) = true;
}

int snapshot_make_tls(struct tls_context **out, const struct conf *c, char why[TLS_WHY_MAX])
{
    *out = NULL;
    if (!c->tls.certificate)
        return 0;
    size_t n = c->tls.additional_count;
    struct tls_pair *additional = calloc(n + 1, sizeof *additional);
    if (!additional) {
        snprintf(why, TLS_WHY_MAX, "out of memory");
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        additional[i] = (struct tls_pair){.certificate = c->tls.additional[i].certificate,
                                          .key = c->tls.additional[i].key};
    const struct tls_config config = {
        .main = {.certificate = c->tls.certificate, .key = c->tls.key},
        .additional = additional,
        .additional_count = n,
        .only_1_3 = c->tls.min_version == CONF_TLS_1_3,
        .ciphers = c->tls.ciphers,
        .ciphersuites = c->tls.ciphersuites,
        .groups = c->tls.groups,
        .client_ca = c->tls.client_ca,
        .http_client_ca = c->signal.client_ca,
    };
    int err = tls_context_new(out, &config, why);
    free(additional);
    return err;
}

const char *snapshot_explain(const struct conf *c, const char *why)
{
    static _Thread_local char text[TLS_WHY_MAX + 1024];
    conf_explain(c, why, text, sizeof text);
    return text;
}

struct snapshot *snapshot_new(struct conf *conf, const uint8_t nonce_key[32],
                              const char *ice_secret, const char **why)
{
    char tls_why[TLS_WHY_MAX];
    *why = "out of memory";
    struct snapshot *s = calloc(1, sizeof *s);
    if (!s) {
        conf_free(conf);
        return NULL;
    }
    s->references = 1;
    s->conf = conf;
    fill_auth(s, nonce_key);
    fill_policy(s);
    bool good = find_relays(s, why) && find_own(s) && find_closed(s) && fill_stores(s);
    if (good && snapshot_make_tls(&s->tls, conf, tls_why)) {
        *why = tls_why;
        good = false;
    }
    if (!good) {
        *why = snapshot_explain(conf, *why);
        snapshot_unref(s);
        return NULL;
    }
    fill_secrets(s, ice_secret);
    fill_turn(s, nonce_key);
    snapshot_fill_behaviors(s);
    return s;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    atomic_fetch_add(&s->references, 1);
    return s;
}

void snapshot_unref(struct snapshot *s)
{
    if (!s || atomic_fetch_sub(&s->references, 1) != 1)
        return;
    tls_context_free(s->tls);
    free(s->relays);
    free(s->own);
    free(s->policy_relays);
    free(s->closed);
    free(s->users);
    free(s->token_keys);
    conf_free(s->conf);
    free(s);
}

struct addr snapshot_external(const struct snapshot *s, const struct addr *relayed)
{
    const struct conf *c = s->conf;
    for (size_t i = 0; i < c->relay.external_count; i++) {
        const struct conf_external *e = &c->relay.external[i];
        // Without a relay address of its own it stands for whichever one was found for its family.
        if (e->relay.family == ADDR_NONE ? e->external.family == relayed->family
                                         : addr_equal_ip(&e->relay, relayed)) {
            struct addr mapped = e->external;
            mapped.port = relayed->port;
            return mapped;
        }
    }
    return *relayed;
}
