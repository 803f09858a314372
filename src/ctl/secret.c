// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

// The id that list shows and retire takes; empty when it cannot be found.
static void find_id(const struct ctl *c, const char *secret, char id[17])
{
    struct admin_secret all[AUTH_KEYS_MAX];
    int n = admin_secret_list(c->store, c->realm, all, AUTH_KEYS_MAX);

    *id = '\0';
    for (int i = 0; i < n && i < AUTH_KEYS_MAX; i++) {
        if (strcmp(all[i].secret, secret) == 0)
            memcpy(id, all[i].id, sizeof(all[i].id));
    }
    explicit_bzero(all, sizeof(all));
}

static int add(struct ctl *c, char *secret, size_t cap)
{
    char id[17];
    int rc = ctl_read_secret(c, "secret", secret, cap);
    int err;

    if (rc != CTL_OK)
        return rc;
    err = admin_secret_add(c->store, c->realm, secret);
    if (err == -EEXIST)
        return ctl_fail(CTL_FAILED, "realm %s has this secret already", c->realm);
    if (err == -ENOSPC)
        return ctl_fail(CTL_FAILED,
                        "realm %s has %d secrets, which is all it can have; retire one first",
                        c->realm, AUTH_KEYS_MAX);
    if (err < 0)
        return ctl_store_failed(c, err);
    find_id(c, secret, id);
    if (c->json) {
        json_t *j = json_pack("{s:s, s:s}", "id", id, "realm", c->realm);
        if (c->generate)
            json_object_set_new(j, "secret", json_string(secret));
        return ctl_print_json(j);
    }
    printf("secret %s added to realm %s\n", id, c->realm);
    if (c->generate)
        printf("secret: %s\n", secret);
    return CTL_OK;
}

static int run_add(struct ctl *c)
{
    char secret[257];
    int rc = ctl_open(c);
    if (rc == CTL_OK)
        rc = add(c, secret, sizeof(secret));
    explicit_bzero(secret, sizeof(secret));
    return rc;
}

static int run_list(struct ctl *c)
{
    struct admin_secret all[ADMIN_SECRETS_MAX];
    json_t *list = NULL;
    char created[32];
    int rc = ctl_open(c);
    int n;

    if (rc != CTL_OK)
        return rc;
    n = admin_secret_list(c->store, c->realm, all, ADMIN_SECRETS_MAX);
    if (n < 0)
        return ctl_store_failed(c, n);
    if (c->json)
        list = json_array();
    else if (n > 0)
        printf("%-16s  %s\n", "ID", "CREATED");
    else
        fprintf(stderr, "there are no secrets in realm %s\n", c->realm);
    for (int i = 0; i < n; i++) {
        const char *when = all[i].created ? ctl_format_time(all[i].created, created) : "-";
        if (list)
            json_array_append_new(list, json_pack("{s:s, s:s}", "id", all[i].id, "created", when));
        else
            printf("%-16s  %s\n", all[i].id, when);
    }
    explicit_bzero(all, sizeof(all));
    return c->json ? ctl_print_json(list) : CTL_OK;
}

static int run_retire(struct ctl *c)
{
    int err;
    char *id;
    int rc = ctl_open(c);

    if (rc != CTL_OK)
        return rc;
    err = admin_secret_retire(c->store, c->realm, c->argument);
    if (err < 0 && err != -ENOENT)
        return ctl_store_failed(c, err);
    id = ctl_printable(c->argument, strlen(c->argument));
    if (err < 0)
        rc = ctl_fail(
            CTL_FAILED,
            "there is no secret %s in realm %s; `turnpikectl secret list` shows those there are",
            id, c->realm);
    else if (c->json)
        rc = ctl_print_json(json_pack("{s:s, s:s}", "id", id, "realm", c->realm));
    else
        printf("secret %s of realm %s is retired: what was made from it is refused\n", id,
               c->realm);
    free(id);
    return rc;
}

const struct ctl_command ctl_secret_add = {
    "secret",
    "add",
    NULL,
    "Adds a shared secret. It is asked for, or read from standard input.",
    CTL_OPTS_STORE | CTL_OPT_GENERATE | CTL_OPT_SECRET_FILE,
    run_add,
};
const struct ctl_command ctl_secret_list = {
    "secret",       "list",  NULL, "Lists the shared secrets by id; never shows them.",
    CTL_OPTS_STORE, run_list};
const struct ctl_command ctl_secret_retire = {
    "secret", "retire", "ID", "Deletes a shared secret.", CTL_OPTS_STORE, run_retire};
