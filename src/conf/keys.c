// SPDX-License-Identifier: BSD-2-Clause
// Keys that are not in the schema, and what was probably meant.
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"

#define NAME_MAX_LEN 64

// Levenshtein's distance; both at most NAME_MAX_LEN long.
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1];
    size_t b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_len];
}

static bool is_member(const struct conf_option *o, const char *prefix)
{
    size_t len = (size_t)(conf_option_name(o) - o->key);
    return len == strlen(prefix) && memcmp(o->key, prefix, len) == 0;
}

// The option closest to the name: first those of the same group, then the same name elsewhere.
static const struct conf_option *closest(const char *name, const char *prefix)
{
    const struct conf_option *best = NULL;
    unsigned best_distance = strlen(name) < 4 ? 2 : 3; // must be less

    if (strlen(name) > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < conf_option_count; i++) {
        const struct conf_option *o = &conf_options[i];
        unsigned d = is_member(o, prefix) ? distance(name, conf_option_name(o)) : best_distance;
        if (d < best_distance) {
            best_distance = d;
            best = o;
        }
    }
    for (size_t i = 0; i < conf_option_count && !best; i++) {
        if (strcmp(conf_option_name(&conf_options[i]), name) == 0)
            best = &conf_options[i];
    }
    return best;
}

static void list_members(const char *prefix, char *buf, size_t cap)
{
    size_t len = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < conf_option_count; i++) {
        if (is_member(&conf_options[i], prefix) && len < cap)
            len += (size_t)snprintf(buf + len, cap - len, "%s%s", len ? ", " : "",
                                    conf_option_name(&conf_options[i]));
    }
}

void conf_fail_unknown(struct loader *l, const config_setting_t *where, const char *name,
                       const char *prefix, const char *shown)
{
    const struct conf_option *meant = closest(name, prefix);
    char members[512];

    if (meant) {
        conf_fail(l, where, shown, "unknown key, did you mean \"%s\"?",
                  is_member(meant, prefix) ? conf_option_name(meant) : meant->key);
    } else {
        list_members(prefix, members, sizeof(members));
        conf_fail(l, where, shown, "unknown key, allowed are %s", members);
    }
}

void conf_check_keys(struct loader *l, const config_setting_t *group, const char *prefix)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(s);
        const struct conf_option *o;
        char *key;

        // libconfig takes no notice of a name that there was no memory for.
        if (!name || asprintf(&key, "%s%s", prefix, name) < 0) {
            l->oom = true;
            return;
        }
        o = conf_option_find(key);
        if (!o) {
            conf_fail_unknown(l, s, name, prefix, key);
        } else if (o->type == CONF_GROUP) {
            char inner[NAME_MAX_LEN];
            snprintf(inner, sizeof(inner), "%s.", o->key);
            if (config_setting_is_group(s))
                conf_check_keys(l, s, inner);
            else
                conf_fail(l, s, key, "a group is needed: %s = { ... };", conf_option_name(o));
        }
        free(key);
    }
}
