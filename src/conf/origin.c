// SPDX-License-Identifier: BSD-2-Clause
// Where in the files each value was set, for mistakes that show only when the values are used.
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"

struct conf_origin {
    char *key;
    char *file; // NULL: the command line
    unsigned line;
};

static void note(struct loader *l, const char *key, const char *file, unsigned line)
{
    struct conf *c = l->conf;
    struct conf_origin o = {.key = strdup(key), .file = file ? strdup(file) : NULL, .line = line};
    struct conf_origin *grown = realloc(c->origins, (c->origin_count + 1) * sizeof *grown);

    if (grown)
        c->origins = grown;
    if (!grown || !o.key || (file && !o.file)) {
        free(o.key);
        free(o.file);
        l->oom = true;
        return;
    }
    c->origins[c->origin_count++] = o;
}

void conf_note_origin(struct loader *l, const config_setting_t *s, const char *key, bool overridden)
{
    if (overridden) {
        note(l, key, NULL, 0);
    } else if (s->config == &l->file) {
        const char *file = config_setting_source_file(s);
        note(l, key, file ? file : l->name, (unsigned)config_setting_source_line(s));
    }
}

void conf_explain(const struct conf *c, const char *why, char *out, size_t cap)
{
    size_t len = strcspn(why, ": ");

    for (size_t i = 0; i < c->origin_count; i++) {
        const struct conf_origin *o = &c->origins[i];
        if (strncmp(o->key, why, len) != 0 || o->key[len])
            continue;
        if (o->file)
            snprintf(out, cap, "%s:%u: %s", o->file, o->line, why);
        else
            snprintf(out, cap, "command line: %s", why);
        return;
    }
    snprintf(out, cap, "%s: %s", c->file ? c->file : "--dev", why);
}

void conf_origins_free(struct conf *c)
{
    for (size_t i = 0; i < c->origin_count; i++) {
        free(c->origins[i].key);
        free(c->origins[i].file);
    }
    free(c->origins);
}
