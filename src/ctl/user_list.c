// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

static const char *state_of(const struct ctl *c, const struct auth_record *rec)
{
    if (rec->disabled)
        return "disabled";
    return rec->expires && rec->expires <= c->now ? "expired" : "active";
}

static const char *format_limit(uint64_t n, char buf[24])
{
    if (n == 0)
        return strcpy(buf, "-");
    snprintf(buf, 24, "%llu", (unsigned long long)n);
    return buf;
}

static int run_show(struct ctl *c)
{
    struct auth_record rec;
    char expires[32], created[32], allocations[24], bps[24];
    char *name;
    int rc = ctl_open(c);

    if (rc == CTL_OK)
        rc = ctl_get_user(c, &rec);
    if (rc != CTL_OK)
        return rc;
    if (c->json)
        return ctl_print_json(ctl_record_json(c, &rec));
    name = ctl_printable(rec.user, rec.user_len);
    printf("name             %s\nrealm            %s\nstate            %s\n", name, c->realm,
           state_of(c, &rec));
    printf("created          %s\n", rec.created ? ctl_format_time(rec.created, created) : "-");
    printf("expires          %s\n", ctl_format_time(rec.expires, expires));
    printf("max allocations  %s\n", format_limit(rec.max_allocations, allocations));
    printf("max bits/s       %s\n", format_limit(rec.max_bps, bps));
    free(name);
    return CTL_OK;
}

struct row {
    char *name;
    char expires[32];
    char allocations[24], bps[24];
    const char *state;
};

struct listing {
    const struct ctl *c;
    json_t *json;
    struct row *rows;
    size_t count;
};

static int add_row(const struct auth_record *rec, void *arg)
{
    struct listing *l = arg;
    struct row *rows;

    if (l->json)
        return json_array_append_new(l->json, ctl_record_json(l->c, rec)) == 0 ? 0 : -ENOMEM;
    rows = realloc(l->rows, (l->count + 1) * sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    l->rows = rows;
    struct row *r = &rows[l->count++];
    r->name = ctl_printable(rec->user, rec->user_len);
    r->state = state_of(l->c, rec);
    ctl_format_time(rec->expires, r->expires);
    format_limit(rec->max_allocations, r->allocations);
    format_limit(rec->max_bps, r->bps);
    return 0;
}

static void print_rows(const struct listing *l)
{
    size_t width = strlen("NAME");
    for (size_t i = 0; i < l->count; i++) {
        if (ctl_width(l->rows[i].name) > width)
            width = ctl_width(l->rows[i].name);
    }
    printf("%-*s  %-8s  %-20s  %11s  %12s\n", (int)width, "NAME", "STATE", "EXPIRES", "ALLOCATIONS",
           "BITS/S");
    for (size_t i = 0; i < l->count; i++) {
        const struct row *r = &l->rows[i];
        printf("%s%*s  %-8s  %-20s  %11s  %12s\n", r->name, (int)(width - ctl_width(r->name)), "",
               r->state, r->expires, r->allocations, r->bps);
    }
}

static int run_list(struct ctl *c)
{
    struct listing l = {.c = c};
    int err;
    int rc = ctl_open(c);

    if (rc != CTL_OK)
        return rc;
    l.json = c->json ? json_array() : NULL;
    err = admin_user_list(c->store, c->realm, add_row, &l);
    if (err == -ENOMEM)
        rc = ctl_fail(CTL_FAILED, "out of memory");
    else if (err < 0)
        rc = ctl_store_failed(c, err);
    else if (c->json)
        rc = ctl_print_json(json_incref(l.json));
    else if (l.count > 0)
        print_rows(&l);
    else
        fprintf(stderr, "there are no users in realm %s\n", c->realm);
    json_decref(l.json);
    for (size_t i = 0; i < l.count; i++)
        free(l.rows[i].name);
    free(l.rows);
    return rc;
}

const struct ctl_command ctl_user_show = {"user",          "show",         "NAME",
                                          "Shows a user.", CTL_OPTS_STORE, run_show};
const struct ctl_command ctl_user_list = {
    "user", "list", NULL, "Lists the users of the realm.", CTL_OPTS_STORE, run_list};
