// SPDX-License-Identifier: BSD-2-Clause
// An access token as an authorization server makes it (RFC 7635), to try the server with.
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "util/codec.h"
#include "util/rand.h"

#define MAC_KEY_LEN 20 // what every server and client has to support

static int no_key(const struct ctl *c)
{
    char *kid = ctl_printable(c->kid, strlen(c->kid));
    ctl_fail(CTL_FAILED,
             "there is no token key %s in realm %s; `turnpikectl token-key list` shows those there "
             "are",
             kid, c->realm);
    free(kid);
    return CTL_FAILED;
}

static bool find_in_configuration(const struct ctl *c, struct token_key *key)
{
    const struct conf *conf = c->conf;

    for (size_t i = 0; conf && i < conf->tokens.key_count; i++) {
        const struct conf_token_key *k = &conf->tokens.keys[i];
        if (strcmp(k->id, c->kid) == 0)
            return token_key_parse(key,
                                   k->algorithm == CONF_A128GCM ? TOKEN_A128GCM : TOKEN_A256GCM,
                                   k->key) == 0;
    }
    return false;
}

// From the configuration, else, or when --store names one, from the store.
static int find_key(struct ctl *c, struct token_key *key)
{
    struct auth_record rec;
    bool store_given = c->store_uri != NULL;
    int rc = ctl_configure(c, false);

    if (rc != CTL_OK)
        return rc;
    if (!c->server && !c->conf)
        return ctl_fail(CTL_USAGE, "without a configuration, --server is needed");
    if (!store_given && strcmp(c->realm, c->conf->realm) == 0 && find_in_configuration(c, key))
        return CTL_OK;
    if (!c->store_uri)
        return no_key(c);
    rc = ctl_open(c);
    if (rc != CTL_OK)
        return rc;
    int err = admin_token_key_get(c->store, c->realm, c->kid, strlen(c->kid), &rec);
    if (err == -ENOENT)
        return no_key(c);
    if (err < 0)
        return ctl_store_failed(c, err);
    if (rec.expires && rec.expires <= c->now)
        rc = ctl_fail(CTL_FAILED, "the token key has expired");
    *key = rec.token_key;
    explicit_bzero(&rec, sizeof(rec));
    return rc;
}

static int make(const struct ctl *c, const struct token_key *key, const char *server)
{
    struct token t = {.mac_key_len = MAC_KEY_LEN,
                      .timestamp = token_timestamp(c->now),
                      .lifetime = (uint32_t)c->ttl};
    uint8_t sealed[TOKEN_MAX], nonce[AEAD_NONCE_LEN];
    char text[BASE64_LEN(TOKEN_MAX) + 1], mac_key[BASE64_LEN(MAC_KEY_LEN) + 1];

    rand_bytes(t.mac_key, MAC_KEY_LEN);
    rand_bytes(nonce, sizeof(nonce));
    int len = token_encode(sealed, &t, key, server, nonce);
    if (len < 0)
        return ctl_fail(CTL_FAILED, "out of memory");
    base64_encode(text, sealed, (size_t)len);
    base64_encode(mac_key, t.mac_key, MAC_KEY_LEN);
    return ctl_print_json(json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s}", "access_token", text,
                                    "token_type", "pop", "expires_in", (json_int_t)c->ttl, "kid",
                                    c->kid, "key", mac_key, "realm", c->realm, "server", server));
}

static int run(struct ctl *c)
{
    struct token_key key;

    if (!c->kid || !*c->kid || strlen(c->kid) > TOKEN_KID_MAX)
        return ctl_fail(CTL_USAGE, "--kid: the id of a key is needed, 1 to %d bytes",
                        TOKEN_KID_MAX);
    if (!utf8_valid(c->kid, strlen(c->kid)))
        return ctl_fail(CTL_USAGE, "--kid: not valid UTF-8, which JSON needs");
    if (c->server && (!*c->server || strlen(c->server) > TOKEN_SERVER_MAX ||
                      !utf8_valid(c->server, strlen(c->server))))
        return ctl_fail(CTL_USAGE, "--server: not a name of 1 to %d bytes", TOKEN_SERVER_MAX);
    if (c->ttl > UINT32_MAX)
        return ctl_fail(CTL_USAGE, "--ttl: a token lives for %u seconds at most", UINT32_MAX);
    int rc = find_key(c, &key);
    const char *server = c->server ? c->server : c->conf ? c->conf->tokens.server : NULL;
    if (rc == CTL_OK && !server)
        rc = ctl_fail(CTL_USAGE, "%s: tokens.server is not set; set it, or give --server",
                      c->conf->file);
    if (rc == CTL_OK)
        rc = make(c, &key, server);
    explicit_bzero(&key, sizeof(key));
    return rc;
}

const struct ctl_command ctl_token = {
    NULL,
    "token",
    NULL,
    "Prints an access token and its MAC key as JSON, to try the server with.",
    CTL_OPTS_STORE | CTL_OPT_KID | CTL_OPT_TTL | CTL_OPT_SERVER,
    run,
};
