// SPDX-License-Identifier: BSD-2-Clause
// Loading: command line over file over default, every mistake reported.
#include <config.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"

// libconfig before 1.7 opens included files by itself; below this no file can be.
#define NO_INCLUDE_DIR "/dev/null"

static bool loader_init(struct loader *l, const char *name, const char *dir, bool dev)
{
    memset(l, 0, sizeof(*l));
    l->name = name;
    l->dir = dir;
    l->conf = calloc(1, sizeof(*l->conf));
    l->values = calloc(conf_option_count, sizeof(*l->values));
    l->has_value = calloc(conf_option_count, sizeof(*l->has_value));
    l->from = calloc(conf_option_count, sizeof(*l->from));
    l->overridden = calloc(conf_option_count, sizeof(*l->overridden));
    config_init(&l->file);
    config_set_include_dir(&l->file, dir ? dir : NO_INCLUDE_DIR);
    if (!l->conf || !l->values || !l->has_value || !l->from || !l->overridden) {
        l->oom = true;
        return false;
    }
    l->conf->dev = dev;
    if (name && !(l->conf->file = strdup(name)))
        l->oom = true;
    return !l->oom;
}

// Frees all but the mistakes; the configuration too unless it is taken.
static void loader_destroy(struct loader *l)
{
    for (size_t i = 0; l->has_value && i < conf_option_count; i++) {
        if (l->has_value[i])
            config_destroy(&l->values[i]);
    }
    config_destroy(&l->file);
    free(l->values);
    free(l->has_value);
    free(l->from);
    free(l->overridden);
    conf_free(l->conf);
}

// Copies the bare text of a list given on the command line, "a,b", into a list of strings.
static void split(config_setting_t *list, const char *text, struct loader *l)
{
    char *copy = strdup(text), *rest = copy, *item;
    l->oom |= !copy;
    while (rest && *text && (item = strsep(&rest, ",")) != NULL)
        config_setting_set_string_elem(list, -1, item);
    free(copy);
}

// Text that means itself, without quotes or brackets.
static const config_setting_t *literal(struct loader *l, const struct conf_option *o,
                                       const char *text)
{
    config_setting_t *root = config_root_setting(&l->values[o - conf_options]);
    if (o->list)
        split(config_setting_add(root, "v", CONFIG_TYPE_LIST), text, l);
    else
        config_setting_set_string(config_setting_add(root, "v", CONFIG_TYPE_STRING), text);
    return config_setting_get_member(root, "v");
}

// Turns text into a setting that the loader keeps, one per option. NULL when it cannot be parsed.
static const config_setting_t *parse_value(struct loader *l, const struct conf_option *o,
                                           const char *text, bool bracket)
{
    config_t *cfg = &l->values[o - conf_options];
    char *line;
    bool ok;

    if (asprintf(&line, bracket ? "v = [%s];\n" : "v = %s;\n", text) < 0) {
        l->oom = true;
        return NULL;
    }
    ok = config_read_string(cfg, line) == CONFIG_TRUE &&
         config_setting_length(config_root_setting(cfg)) == 1;
    free(line);
    return ok ? config_setting_get_member(config_root_setting(cfg), "v") : NULL;
}

static void new_value(struct loader *l, size_t i)
{
    if (l->has_value[i])
        config_destroy(&l->values[i]);
    config_init(&l->values[i]);
    config_set_include_dir(&l->values[i], NO_INCLUDE_DIR);
    l->has_value[i] = true;
}

const config_setting_t *conf_default(struct loader *l, const struct conf_option *o)
{
    size_t i = (size_t)(o - conf_options);
    const char *text = l->conf->dev && o->dev_value ? o->dev_value : o->value;
    if (!text)
        return NULL;
    if (l->has_value[i])
        return config_setting_get_member(config_root_setting(&l->values[i]), "v");
    new_value(l, i);
    return parse_value(l, o, text, false);
}

static const config_setting_t *parse_override(struct loader *l, const struct conf_option *o,
                                              const char *text)
{
    bool is_text = o->type == CONF_STRING || o->type == CONF_CODED;
    const config_setting_t *s;

    new_value(l, (size_t)(o - conf_options));
    if (!*text || (is_text && !strchr(o->list ? "[(" : "\"", *text)))
        return literal(l, o, text);
    s = parse_value(l, o, text, o->type == CONF_PORTS && isdigit((unsigned char)*text));
    if (s || o->list || o->type == CONF_PORTS)
        return s;
    new_value(l, (size_t)(o - conf_options));
    return literal(l, o, text); // to be reported as being of the wrong type
}

static void take_override(struct loader *l, const struct conf_override *ov)
{
    const struct conf_option *o = conf_option_find(ov->key);
    const struct conf_option *parent = o ? conf_option_parent(o) : NULL;
    const char *name = strrchr(ov->key, '.');
    char prefix[64] = "";
    size_t i;

    if (!o) {
        const struct conf_option *group;
        snprintf(prefix, sizeof(prefix), "%.*s", name ? (int)(name - ov->key) : 0, ov->key);
        group = conf_option_find(prefix);
        snprintf(prefix, sizeof(prefix), "%s%s", group ? group->key : "", group ? "." : "");
        conf_fail_unknown(l, NULL, name ? name + 1 : ov->key, prefix, ov->key);
        return;
    }
    if (o->type == CONF_GROUP || (parent && parent->type == CONF_GROUPS)) {
        conf_fail_at(l, NULL, 0, ov->key,
                     o->type == CONF_GROUP ? "is a group: set one of its keys"
                                           : "belongs to an entry of a list: set the whole list");
        return;
    }
    i = (size_t)(o - conf_options);
    l->from[i] = parse_override(l, o, ov->value);
    l->overridden[i] = true;
    if (!l->from[i])
        conf_fail_at(l, NULL, 0, ov->key, "cannot be parsed, write the value as in the file");
}

bool conf_is_default(const struct loader *l, const char *key)
{
    size_t i = (size_t)(conf_option_find(key) - conf_options);
    return !l->overridden[i] && l->from[i] && l->from[i]->config != &l->file;
}

// The setting of a top-level option or a member of a group, or NULL.
static const config_setting_t *find_in_file(const struct loader *l, const struct conf_option *o)
{
    const struct conf_option *parent = conf_option_parent(o);
    const config_setting_t *group = config_root_setting(&l->file);
    if (parent)
        group = config_setting_get_member(group, parent->key);
    return group && config_setting_is_group(group)
               ? config_setting_get_member(group, conf_option_name(o))
               : NULL;
}

static void read_all(struct loader *l)
{
    for (size_t i = 0; i < conf_option_count && !l->oom; i++) {
        const struct conf_option *o = &conf_options[i];
        const struct conf_option *parent = conf_option_parent(o);
        if (o->type == CONF_GROUP || (parent && parent->type == CONF_GROUPS))
            continue;
        if (l->overridden[i] && !l->from[i])
            continue; // reported
        if (!l->overridden[i])
            l->from[i] = find_in_file(l, o);
        if (!l->from[i])
            l->from[i] = conf_default(l, o);
        if (l->from[i])
            conf_read(l, o, l->conf, l->from[i], o->key);
        else if (o->required)
            conf_fail(l, NULL, o->key,
                      "is not set, and it has to be: 1 to %u bytes, as in realm = \"example.org\";",
                      o->max);
    }
}

static void read_text(struct loader *l, const char *text, size_t len)
{
    conf_scan(l, text, len, l->name, 0);
    if (l->unreadable || l->oom)
        return;
    if (config_read_string(&l->file, text) != CONFIG_TRUE)
        conf_fail_syntax(l, text);
    else
        conf_check_keys(l, config_root_setting(&l->file), "");
}

static struct conf *load(struct loader *l, const char *text, size_t len,
                         const struct conf_override *overrides, size_t override_count,
                         struct conf_errors *errors)
{
    struct conf *c = NULL;

    l->overriding = true;
    for (size_t i = 0; i < override_count && !l->oom; i++)
        take_override(l, &overrides[i]);
    l->overriding = false;
    if (text && !l->oom)
        read_text(l, text, len);
    // After a syntax error nothing is known about the rest.
    if (!l->oom && !l->unreadable) {
        read_all(l);
        if (!l->oom)
            conf_check_whole(l);
    }
    if (l->mistake_count == 0 && !l->oom) {
        c = l->conf;
        l->conf = NULL;
    }
    conf_errors_take(l, errors);
    return c;
}

struct conf *conf_load_text(const char *text, const char *name, bool dev,
                            const struct conf_override *overrides, size_t override_count,
                            struct conf_errors *errors)
{
    struct loader l;
    struct conf *c;
    size_t len = strlen(text);
    char *copy = malloc(len + 2);

    if (copy) {
        // libconfig does not see the end of a comment in the last line without a newline.
        memcpy(copy, text, len);
        memcpy(copy + len, "\n", 2);
    }
    if (!loader_init(&l, name, NULL, dev) || !copy)
        l.oom = true;
    c = load(&l, copy, len + 1, overrides, override_count, errors);
    loader_destroy(&l);
    free(copy);
    return c;
}

struct conf *conf_load(const char *file, bool dev, const struct conf_override *overrides,
                       size_t override_count, struct conf_errors *errors)
{
    struct loader l;
    struct conf *c;
    const char *why = NULL;
    char *text = NULL, *dir = NULL;
    size_t len = 0;

    if (file) {
        const char *slash = strrchr(file, '/');
        text = conf_read_file(file, &len, &why);
        dir = slash ? strndup(file, (size_t)(slash - file) + 1) : strdup(".");
    }
    if (!loader_init(&l, file, dir, dev) || (file && !dir))
        l.oom = true;
    if (why) {
        l.unreadable = true;
        conf_fail_at(&l, file, 0, NULL, "cannot be read: %s", why);
    }
    c = load(&l, text, len, overrides, override_count, errors);
    loader_destroy(&l);
    free(dir);
    free(text);
    return c;
}

void conf_free(struct conf *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < conf_option_count; i++) {
        const struct conf_option *parent = conf_option_parent(&conf_options[i]);
        if (conf_options[i].type != CONF_GROUP && !(parent && parent->type == CONF_GROUPS))
            conf_option_free(&conf_options[i], c);
    }
    conf_origins_free(c);
    free(c->file);
    free(c);
}
