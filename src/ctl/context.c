// SPDX-License-Identifier: BSD-2-Clause
// Where a command works: realm and store, from the command line or the configuration.
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/stores.h"
#include "conf/option.h"
#include "ctl/ctl.h"
#include "stun/integrity.h"
#include "util/opaque.h"

#define DEFAULT_FILE TP_SYSCONFDIR "/turnpike.conf"

static int load(struct ctl *c)
{
    struct conf_errors errors = {0};
    const char *file = c->conf_file ? c->conf_file : DEFAULT_FILE;

    conf_set_store_check(stores_check_uri);
    c->conf = conf_load(file, false, NULL, 0, &errors);
    if (c->conf)
        return CTL_OK;
    fputs(errors.text ? errors.text : "out of memory\n", stderr);
    free(errors.text);
    if (!c->conf_file)
        return ctl_fail(
            CTL_USAGE,
            "without a configuration file, --realm and --store are needed; or name one with -c");
    return CTL_USAGE;
}

int ctl_configure(struct ctl *c, bool whole)
{
    const char *why;
    int rc = CTL_OK;

    if (!c->conf && (whole || c->conf_file || !c->realm || !c->store_uri)) {
        rc = load(c);
        if (rc != CTL_OK)
            return rc;
    }
    if (!c->realm)
        c->realm = c->conf->realm;
    else if (!*c->realm || strlen(c->realm) > 127)
        return ctl_fail(CTL_USAGE, "--realm: a realm has 1 to 127 bytes");
    else if (conf_check_realm(c->realm, &why) < 0)
        return ctl_fail(CTL_USAGE, "--realm: %s", why);
    else if ((rc = ctl_prepare("--realm", c->prepared_realm, sizeof(c->prepared_realm),
                               c->realm)) == CTL_OK)
        c->realm = c->prepared_realm;
    if (rc != CTL_OK)
        return rc;
    if (!c->store_uri && c->conf->auth.store_count > 0)
        c->store_uri = c->conf->auth.stores[0];
    if (c->store_uri && stores_check_uri(c->store_uri, &why) < 0)
        return ctl_fail(CTL_USAGE, "--store: %s", why);
    return CTL_OK;
}

int ctl_open(struct ctl *c)
{
    const char *why = NULL;
    int rc = ctl_configure(c, false);

    if (rc != CTL_OK)
        return rc;
    if (!c->store_uri)
        return ctl_fail(CTL_USAGE, "%s: auth.stores names no store; name one there or with --store",
                        c->conf->file);
    rc = admin_open(&c->store, c->store_uri, &why);
    if (rc < 0) {
        c->store = NULL;
        return ctl_fail(rc == -EINVAL ? CTL_USAGE : CTL_UNREACHABLE, "%s", why);
    }
    return CTL_OK;
}

void ctl_close(struct ctl *c)
{
    if (c->store)
        admin_close(c->store);
    conf_free(c->conf);
}

int ctl_store_failed(const struct ctl *c, int err)
{
    if (err == -EIO)
        return ctl_fail(CTL_UNREACHABLE, "%s", admin_error(c->store));
    return ctl_fail(CTL_FAILED, "%s", admin_error(c->store));
}

int ctl_user_failed(const struct ctl *c, int err)
{
    if (err != -ENOENT)
        return ctl_store_failed(c, err);
    char *name = ctl_printable(c->argument, strlen(c->argument));
    ctl_fail(CTL_FAILED, "there is no user %s in realm %s", name, c->realm);
    free(name);
    return CTL_FAILED;
}

int ctl_prepare(const char *what, char *buf, size_t cap, const char *text)
{
    char prepared[OPAQUE_IN_MAX + 1];
    const char *why;
    int n = opaque_prepare(prepared, cap < sizeof(prepared) ? cap : sizeof(prepared), text,
                           strlen(text), &why);
    if (n >= 0)
        memcpy(buf, prepared, (size_t)n + 1);
    explicit_bzero(prepared, sizeof(prepared));
    if (n < 0)
        return ctl_fail(n == -ENOMEM ? CTL_FAILED : CTL_USAGE, "%s %s", what, why);
    return CTL_OK;
}

int ctl_find_user(struct ctl *c, struct auth_record *rec)
{
    const char *name = c->prepared_name, *why;
    int n = opaque_prepare(c->prepared_name, sizeof(c->prepared_name), c->argument,
                           strlen(c->argument), &why);
    if (n >= 0 && strcmp(name, c->argument) != 0) {
        int err = admin_user_get(c->store, c->realm, name, (size_t)n, rec);
        if (err != -ENOENT) {
            c->argument = name;
            return err;
        }
    }
    return admin_user_get(c->store, c->realm, c->argument, strlen(c->argument), rec);
}

int ctl_get_user(struct ctl *c, struct auth_record *rec)
{
    int err = ctl_find_user(c, rec);
    return err < 0 ? ctl_user_failed(c, err) : CTL_OK;
}

void ctl_set_password(struct auth_record *rec, const char *realm, const char *password)
{
    struct auth_key *key = &rec->keys[0];
    size_t len = strlen(password);
    rec->key_count = 1;
    stun_key_md5(key->md5, rec->user, rec->user_len, realm, password, len);
    stun_key_sha256(key->sha256, rec->user, rec->user_len, realm, password, len);
    key->has_md5 = key->has_sha256 = true;
}
