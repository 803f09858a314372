// SPDX-License-Identifier: BSD-2-Clause
// A time-limited credential (draft-uberti-behave-turn-rest) as the argument of new
// RTCPeerConnection().
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth/shared_secret.h"
#include "conf/ice.h"
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

static void append_url(const char *url, void *urls)
{
    json_array_append_new(urls, json_string(url));
}

static json_t *make_urls(const struct ctl *c)
{
    json_t *urls = json_array();

    conf_ice_urls(c->conf, CONF_ICE_TURN, c->host, c->realm, append_url, urls);
    return urls;
}

static int make(struct ctl *c, const char *secret)
{
    struct shared_secret_credential made;
    int err = shared_secret_make(&made, secret, c->now + (int64_t)c->ttl, c->user);

    if (err == -EINVAL)
        return ctl_fail(CTL_USAGE, "--user: with the expiry before it, it is longer than %d bytes",
                        AUTH_USER_MAX);
    if (err)
        return ctl_fail(CTL_FAILED, "out of memory");
    return ctl_print_json(json_pack("{s:[{s:o, s:s, s:s}], s:I}", "iceServers", "urls",
                                    make_urls(c), "username", made.name, "credential",
                                    made.password, "ttl", (json_int_t)c->ttl));
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
