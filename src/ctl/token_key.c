// SPDX-License-Identifier: BSD-2-Clause
// The keys that access tokens are sealed with (RFC 7635).
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "util/codec.h"
#include "util/rand.h"

#define KEY_TEXT_CAP (2 * TOKEN_KEY_MAX + 1) // hex, the longer form

// The key as text: made up, or read.
static int get_key(const struct ctl *c, struct token_key *key, char text[KEY_TEXT_CAP])
{
    size_t len = token_key_len(c->algorithm);
    int rc;

    if (c->generate) {
        rand_bytes(key->bytes, len);
        key->algorithm = c->algorithm;
        base64_encode(text, key->bytes, len);
        return CTL_OK;
    }
    rc = ctl_read_secret(c, "key", text, KEY_TEXT_CAP);
    if (rc == CTL_OK && token_key_parse(key, c->algorithm, text) < 0)
        return ctl_fail(CTL_USAGE, "the key: %s takes %zu bytes in hex digits or base64",
                        token_algorithm_name(c->algorithm), len);
    return rc;
}

static json_t *key_json(const struct auth_record *rec, const char *realm)
{
    char created[32], expires[32], hex[2 * TOKEN_KID_MAX + 1];
    bool utf8 = utf8_valid(rec->user, rec->user_len);
    char *kid = ctl_printable(rec->user, rec->user_len);
    json_t *j = json_pack(
        "{s:o, s:s, s:s, s:o, s:o}", "kid",
        utf8 ? json_stringn((const char *)rec->user, rec->user_len) : json_string(kid), "realm",
        realm, "algorithm", token_algorithm_name(rec->token_key.algorithm), "created",
        rec->created ? json_string(ctl_format_time(rec->created, created)) : json_null(), "expires",
        rec->expires ? json_string(ctl_format_time(rec->expires, expires)) : json_null());
    if (j && !utf8)
        json_object_set_new(j, "kid_hex", json_string(hex_encode(hex, rec->user, rec->user_len)));
    free(kid);
    return j;
}

static int report_added(const struct ctl *c, const struct auth_record *rec, const char *text)
{
    if (c->json) {
        json_t *j = key_json(rec, c->realm);
        if (c->generate)
            json_object_set_new(j, "key", json_string(text));
        return ctl_print_json(j);
    }
    char *kid = ctl_printable(rec->user, rec->user_len);
    printf("token key %s added to realm %s\n", kid, c->realm);
    free(kid);
    if (c->generate)
        printf("key: %s\n", text);
    return CTL_OK;
}

static int run_add(struct ctl *c)
{
    struct auth_record rec = {.is_token_key = true, .created = c->now, .expires = c->expires};
    char text[KEY_TEXT_CAP] = "";
    int rc = ctl_open(c);

    if (rc == CTL_OK)
        rc = get_key(c, &rec.token_key, text);
    if (rc == CTL_OK) {
        rec.user_len = strlen(c->argument);
        memcpy(rec.user, c->argument, rec.user_len);
        int err = admin_token_key_add(c->store, c->realm, &rec);
        rc = err < 0 ? ctl_store_failed(c, err) : report_added(c, &rec, text);
    }
    explicit_bzero(text, sizeof(text));
    explicit_bzero(&rec, sizeof(rec));
    return rc;
}

struct row {
    char *kid;
    char created[32], expires[32];
    const char *algorithm;
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
        return json_array_append_new(l->json, key_json(rec, l->c->realm)) == 0 ? 0 : -ENOMEM;
    rows = realloc(l->rows, (l->count + 1) * sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    l->rows = rows;
    struct row *r = &rows[l->count++];
    r->kid = ctl_printable(rec->user, rec->user_len);
    r->algorithm = token_algorithm_name(rec->token_key.algorithm);
    if (rec->created)
        ctl_format_time(rec->created, r->created);
    else
        strcpy(r->created, "-");
    ctl_format_time(rec->expires, r->expires);
    return 0;
}

static void print_rows(const struct listing *l)
{
    size_t width = strlen("KID");

    for (size_t i = 0; i < l->count; i++)
        if (ctl_width(l->rows[i].kid) > width)
            width = ctl_width(l->rows[i].kid);
    printf("%-*s  %-9s  %-20s  %-20s\n", (int)width, "KID", "ALGORITHM", "CREATED", "EXPIRES");
    for (size_t i = 0; i < l->count; i++) {
        const struct row *r = &l->rows[i];
        printf("%s%*s  %-9s  %-20s  %-20s\n", r->kid, (int)(width - ctl_width(r->kid)), "",
               r->algorithm, r->created, r->expires);
    }
}

static int run_list(struct ctl *c)
{
    struct listing l = {.c = c};
    int rc = ctl_open(c);

    if (rc != CTL_OK)
        return rc;
    l.json = c->json ? json_array() : NULL;
    int err = admin_token_key_list(c->store, c->realm, add_row, &l);
    if (err == -ENOMEM)
        rc = ctl_fail(CTL_FAILED, "out of memory");
    else if (err < 0)
        rc = ctl_store_failed(c, err);
    else if (c->json)
        rc = ctl_print_json(json_incref(l.json));
    else if (l.count > 0)
        print_rows(&l);
    else
        fprintf(stderr, "there are no token keys in realm %s\n", c->realm);
    json_decref(l.json);
    for (size_t i = 0; i < l.count; i++)
        free(l.rows[i].kid);
    free(l.rows);
    return rc;
}

static int run_retire(struct ctl *c)
{
    int rc = ctl_open(c);

    if (rc != CTL_OK)
        return rc;
    int err = admin_token_key_delete(c->store, c->realm, c->argument, strlen(c->argument));
    if (err < 0)
        return ctl_store_failed(c, err);
    char *kid = ctl_printable(c->argument, strlen(c->argument));
    if (c->json)
        rc = ctl_print_json(json_pack("{s:s, s:s}", "kid", kid, "realm", c->realm));
    else
        printf("token key %s of realm %s is retired: tokens sealed with it are refused\n", kid,
               c->realm);
    free(kid);
    return rc;
}

const struct ctl_command ctl_token_key_add = {
    "token-key",
    "add",
    "KID",
    "Adds a key that access tokens are sealed with. It is asked for, or read from standard input.",
    CTL_OPTS_STORE | CTL_OPT_ALGORITHM | CTL_OPT_EXPIRES | CTL_OPT_GENERATE | CTL_OPT_SECRET_FILE,
    run_add,
};
const struct ctl_command ctl_token_key_list = {
    "token-key",    "list",  NULL, "Lists the keys of access tokens; never shows them.",
    CTL_OPTS_STORE, run_list};
const struct ctl_command ctl_token_key_retire = {
    "token-key", "retire", "KID", "Deletes a key of access tokens.", CTL_OPTS_STORE, run_retire};
