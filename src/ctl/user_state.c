// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

static int report(const struct ctl *c, const struct auth_record *rec, const char *done)
{
    char *name;
    if (c->json)
        return ctl_print_json(ctl_record_json(c, rec));
    name = ctl_printable(rec->user, rec->user_len);
    printf("user %s of realm %s is %s\n", name, c->realm, done);
    free(name);
    return CTL_OK;
}

static int set_disabled(struct ctl *c, bool disabled)
{
    struct auth_record rec;
    int err;
    int rc = ctl_open(c);

    if (rc == CTL_OK)
        rc = ctl_get_user(c, &rec);
    if (rc != CTL_OK)
        return rc;
    rec.disabled = disabled;
    err = admin_user_change(c->store, c->realm, &rec, ADMIN_USER_DISABLED);
    return err < 0 ? ctl_store_failed(c, err) : report(c, &rec, disabled ? "disabled" : "enabled");
}

static int run_disable(struct ctl *c)
{
    return set_disabled(c, true);
}

static int run_enable(struct ctl *c)
{
    return set_disabled(c, false);
}

static int run_set(struct ctl *c)
{
    struct auth_record rec;
    unsigned what = 0;
    int err;

    if (!(c->given & (CTL_OPT_EXPIRES | CTL_OPT_MAX_ALLOCATIONS | CTL_OPT_MAX_BPS)))
        return ctl_fail(CTL_USAGE,
                        "nothing to set: --expires, --max-allocations or --max-bps is needed");
    int rc = ctl_open(c);
    if (rc == CTL_OK)
        rc = ctl_get_user(c, &rec);
    if (rc != CTL_OK)
        return rc;
    if (c->given & CTL_OPT_EXPIRES) {
        rec.expires = c->expires;
        what |= ADMIN_USER_EXPIRES;
    }
    if (c->given & CTL_OPT_MAX_ALLOCATIONS) {
        rec.max_allocations = c->max_allocations;
        what |= ADMIN_USER_MAX_ALLOCATIONS;
    }
    if (c->given & CTL_OPT_MAX_BPS) {
        rec.max_bps = c->max_bps;
        what |= ADMIN_USER_MAX_BPS;
    }
    err = admin_user_change(c->store, c->realm, &rec, what);
    return err < 0 ? ctl_store_failed(c, err) : report(c, &rec, "changed");
}

static int run_delete(struct ctl *c)
{
    struct auth_record rec;
    int err;
    int rc = ctl_open(c);

    if (rc != CTL_OK)
        return rc;
    err = ctl_find_user(c, &rec);
    if (err == -EBADMSG) { // what cannot be read can be deleted all the same
        memset(&rec, 0, sizeof(rec));
        rec.user_len = strlen(c->argument);
        memcpy(rec.user, c->argument, rec.user_len);
    } else if (err < 0) {
        return ctl_user_failed(c, err);
    }
    err = admin_user_delete(c->store, c->realm, rec.user, rec.user_len);
    return err < 0 ? ctl_store_failed(c, err) : report(c, &rec, "deleted");
}

const struct ctl_command ctl_user_set = {
    "user",
    "set",
    "NAME",
    "Changes the expiry or the limits of a user, and nothing else.",
    CTL_OPTS_STORE | CTL_OPT_EXPIRES | CTL_OPT_MAX_ALLOCATIONS | CTL_OPT_MAX_BPS,
    run_set,
};
const struct ctl_command ctl_user_disable = {
    "user",         "disable",  "NAME", "Refuses a user from now on; keeps the record.",
    CTL_OPTS_STORE, run_disable};
const struct ctl_command ctl_user_enable = {
    "user", "enable", "NAME", "Lets a disabled user in again.", CTL_OPTS_STORE, run_enable};
const struct ctl_command ctl_user_delete = {"user",         "delete",  "NAME", "Deletes a user.",
                                            CTL_OPTS_STORE, run_delete};
