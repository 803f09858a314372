// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

#define PASSWORD_CAP 509

static int exists(const struct ctl *c, const char *name)
{
    // In the hint only where a shell takes it as it is.
    bool plain =
        *name != '-' &&
        !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+:-")];
    return ctl_fail(
        CTL_FAILED,
        "user %s exists in realm %s; use `turnpikectl user passwd %s` to change the password", name,
        c->realm, plain ? name : "NAME");
}

static int read_password(const struct ctl *c, char password[PASSWORD_CAP])
{
    int rc = ctl_read_secret(c, "password", password, PASSWORD_CAP);
    return rc == CTL_OK ? ctl_prepare("the password", password, PASSWORD_CAP, password) : rc;
}

static int add(struct ctl *c, const char *name, char password[PASSWORD_CAP])
{
    struct auth_record rec, old;
    int err, rc;

    // Asked before the password, which would be typed in vain.
    err = admin_user_get(c->store, c->realm, c->argument, strlen(c->argument), &old);
    if (err == 0)
        return exists(c, name);
    if (err != -ENOENT)
        return ctl_store_failed(c, err);
    rc = read_password(c, password);
    if (rc != CTL_OK)
        return rc;

    memset(&rec, 0, sizeof(rec));
    rec.user_len = strlen(c->argument);
    memcpy(rec.user, c->argument, rec.user_len);
    rec.created = c->now;
    rec.expires = c->expires;
    rec.max_allocations = c->max_allocations;
    rec.max_bps = c->max_bps;
    ctl_set_password(&rec, c->realm, password);
    err = admin_user_add(c->store, c->realm, &rec);
    if (err == -EEXIST)
        return exists(c, name);
    if (err < 0)
        return ctl_store_failed(c, err);

    if (c->json) {
        json_t *j = ctl_record_json(c, &rec);
        if (c->generate)
            json_object_set_new(j, "password", json_string(password));
        return ctl_print_json(j);
    }
    printf("user %s added to realm %s\n", name, c->realm);
    if (c->generate)
        printf("password: %s\n", password);
    return CTL_OK;
}

static int run_add(struct ctl *c)
{
    char password[PASSWORD_CAP];
    char *name;
    int rc = ctl_open(c);

    if (rc == CTL_OK)
        rc = ctl_prepare("the user name", c->prepared_name, sizeof(c->prepared_name), c->argument);
    if (rc != CTL_OK)
        return rc;
    c->argument = c->prepared_name;
    name = ctl_printable(c->argument, strlen(c->argument));
    rc = add(c, name, password);
    explicit_bzero(password, sizeof(password));
    free(name);
    return rc;
}

static int passwd(struct ctl *c, char password[PASSWORD_CAP])
{
    struct auth_record rec;
    char *name;
    int err;
    int rc = ctl_get_user(c, &rec);

    if (rc == CTL_OK)
        rc = read_password(c, password);
    // Typing takes time: --json shows the user as it is by now.
    if (rc == CTL_OK)
        rc = ctl_get_user(c, &rec);
    if (rc != CTL_OK)
        return rc;
    ctl_set_password(&rec, c->realm, password);
    err = admin_user_change(c->store, c->realm, &rec, ADMIN_USER_PASSWORD);
    if (err < 0)
        return ctl_store_failed(c, err);
    if (c->json) {
        json_t *j = ctl_record_json(c, &rec);
        if (c->generate)
            json_object_set_new(j, "password", json_string(password));
        return ctl_print_json(j);
    }
    name = ctl_printable(c->argument, strlen(c->argument));
    printf("the password of user %s in realm %s is changed\n", name, c->realm);
    free(name);
    if (c->generate)
        printf("password: %s\n", password);
    return CTL_OK;
}

static int run_passwd(struct ctl *c)
{
    char password[PASSWORD_CAP];
    int rc = ctl_open(c);
    if (rc == CTL_OK)
        rc = passwd(c, password);
    explicit_bzero(password, sizeof(password));
    return rc;
}

const struct ctl_command ctl_user_add = {
    "user",
    "add",
    "NAME",
    "Adds a user. The password is asked for, or read from standard input.",
    CTL_OPTS_STORE | CTL_OPT_EXPIRES | CTL_OPT_MAX_ALLOCATIONS | CTL_OPT_MAX_BPS |
        CTL_OPT_GENERATE | CTL_OPT_PASSWORD_FILE,
    run_add,
};

const struct ctl_command ctl_user_passwd = {
    "user",
    "passwd",
    "NAME",
    "Changes the password of a user.",
    CTL_OPTS_STORE | CTL_OPT_GENERATE | CTL_OPT_PASSWORD_FILE,
    run_passwd,
};
