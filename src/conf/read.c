// SPDX-License-Identifier: BSD-2-Clause
// From a setting of the file to a field of struct conf, as the option says.
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"
#include "util/codec.h"
#include "util/opaque.h"

#define KEY_CAP 96

// The value as messages show it.
static const char *describe(const struct conf_option *o, const config_setting_t *s, char *buf,
                            size_t cap)
{
    char text[64];
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(buf, cap, "%lld", config_setting_get_int64(s));
        break;
    case CONFIG_TYPE_FLOAT:
        snprintf(buf, cap, "%g", config_setting_get_float(s));
        break;
    case CONFIG_TYPE_BOOL:
        snprintf(buf, cap, "%s", config_setting_get_bool(s) ? "true" : "false");
        break;
    case CONFIG_TYPE_STRING: {
        const char *string = config_setting_get_string(s);
        if (!string || o->secret || (o->uri && strchr(string, '@')))
            snprintf(buf, cap, "the text");
        else
            snprintf(buf, cap, "\"%s\"", text_escape(text, sizeof(text), string, strlen(string)));
        break;
    }
    case CONFIG_TYPE_GROUP:
        snprintf(buf, cap, "{ ... }");
        break;
    default:
        snprintf(buf, cap, "%s", config_setting_is_array(s) ? "[ ... ]" : "( ... )");
        break;
    }
    return buf;
}

static void fail_type(struct loader *l, const struct conf_option *o, const config_setting_t *s,
                      const char *key)
{
    char value[96], allowed[160];
    const char *wanted = o->type == CONF_BOOL                              ? "switch"
                         : o->type == CONF_STRING || o->type == CONF_CODED ? "text in quotes"
                                                                           : "whole number";
    conf_fail(l, s, key, "%s is not a %s, allowed are %s", describe(o, s, value, sizeof(value)),
              wanted, conf_option_allowed(o, allowed, sizeof(allowed)));
}

static bool read_whole(struct loader *l, const struct conf_option *o, const config_setting_t *s,
                       const char *key, long long *out)
{
    *out = config_setting_get_int64(s);
    if (config_setting_type(s) == CONFIG_TYPE_INT)
        *out = config_setting_get_int(s);
    else if (config_setting_type(s) != CONFIG_TYPE_INT64) {
        fail_type(l, o, s, key);
        return false;
    }
    return true;
}

static void read_number64(struct loader *l, const struct conf_option *o, const config_setting_t *s,
                          const char *key, uint64_t *out)
{
    char allowed[64];
    long long n;

    if (!read_whole(l, o, s, key, &n))
        return;
    if (n < 0)
        conf_fail(l, s, key, "%lld is out of range, allowed are %s", n,
                  conf_option_allowed(o, allowed, sizeof(allowed)));
    else
        *out = (uint64_t)n;
}

static bool read_number(struct loader *l, const struct conf_option *o, const config_setting_t *s,
                        const char *key, uint32_t *out)
{
    long long n;

    if (!read_whole(l, o, s, key, &n))
        return false;
    if (n < o->min || n > o->max) {
        conf_fail(l, s, key, "%lld is out of range, allowed are %u to %u", n, o->min, o->max);
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

static void read_string(struct loader *l, const struct conf_option *o, char **out,
                        const config_setting_t *s, const char *key)
{
    const char *text = config_setting_get_string(s);
    char value[96], prepared[OPAQUE_IN_MAX + 1];
    const char *why;
    size_t len = strlen(text);

    if ((o->secret || o->uri) && strstr(text, CONF_HIDDEN)) {
        conf_fail(l, s, key, "is the place-holder of --print-config, not a value");
        return;
    }
    if (o->check && o->check(text, &why) < 0) {
        conf_fail(l, s, key, o->uri ? "%s: %s" : "%s %s", describe(o, s, value, sizeof(value)),
                  why);
        return;
    }
    if (len < o->min || len > o->max) {
        conf_fail(l, s, key, "%zu bytes are too %s, allowed are %u to %u", len,
                  len < o->min ? "few" : "many", o->min, o->max);
        return;
    }
    if (!o->opaque) {
        *out = strdup(text);
    } else if (opaque_prepare(prepared, o->max + 1, text, len, &why) >= 0) {
        *out = strdup(prepared);
    } else {
        conf_fail(l, s, key, "%s %s", describe(o, s, value, sizeof(value)), why);
        return;
    }
    l->oom |= !*out;
}

static void read_coded(struct loader *l, const struct conf_option *o, void *out,
                       const config_setting_t *s, const char *key)
{
    char value[96];
    const char *why;
    if (o->codec->parse(out, config_setting_get_string(s), &why) < 0)
        conf_fail(l, s, key, "%s: %s, allowed are %s", describe(o, s, value, sizeof(value)), why,
                  o->codec->allowed);
}

static void read_ports(struct loader *l, const struct conf_option *o, uint16_t *out,
                       const config_setting_t *s, const char *key)
{
    uint32_t first = 0, last = 0;
    bool ok;

    if (!(config_setting_is_array(s) || config_setting_is_list(s)) ||
        config_setting_length(s) != 2) {
        conf_fail(l, s, key, "is not a pair of numbers, like [ 49152, 65535 ]");
        return;
    }
    ok = read_number(l, o, config_setting_get_elem(s, 0), key, &first);
    ok = read_number(l, o, config_setting_get_elem(s, 1), key, &last) && ok;
    if (ok && first > last) {
        conf_fail(l, s, key, "the first port, %u, is above the last, %u", first, last);
        return;
    }
    out[0] = (uint16_t)first;
    out[1] = (uint16_t)last;
}

// A single value; field is where it goes.
static void read_scalar(struct loader *l, const struct conf_option *o, void *field,
                        const config_setting_t *s, const char *key)
{
    uint32_t number;

    switch (o->type) {
    case CONF_STRING:
    case CONF_CODED:
        if (config_setting_type(s) != CONFIG_TYPE_STRING)
            fail_type(l, o, s, key);
        else if (!config_setting_get_string(s))
            l->oom = true; // libconfig takes no notice of it
        else if (o->type == CONF_STRING)
            read_string(l, o, field, s, key);
        else
            read_coded(l, o, field, s, key);
        break;
    case CONF_UINT:
        if (read_number(l, o, s, key, &number))
            *(uint32_t *)field = number;
        break;
    case CONF_UINT64:
        read_number64(l, o, s, key, field);
        break;
    case CONF_BOOL:
        if (config_setting_type(s) != CONFIG_TYPE_BOOL)
            fail_type(l, o, s, key);
        else
            *(bool *)field = config_setting_get_bool(s);
        break;
    case CONF_PORT:
        if (read_number(l, o, s, key, &number))
            *(uint16_t *)field = (uint16_t)number;
        break;
    case CONF_PORTS:
        read_ports(l, o, field, s, key);
        break;
    case CONF_GROUP:
    case CONF_GROUPS:
        break;
    }
}

static void read_element(struct loader *l, const struct conf_option *list, void *element,
                         const config_setting_t *group, const char *key)
{
    char prefix[KEY_CAP], shown[2 * KEY_CAP];

    if (!config_setting_is_group(group)) {
        conf_fail(l, group, key, "is not a group in { }");
        return;
    }
    snprintf(prefix, sizeof(prefix), "%s.", list->key);
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(s);
        char path[KEY_CAP];
        if (!name) {
            l->oom = true;
            return;
        }
        snprintf(shown, sizeof(shown), "%s.%s", key, name);
        if ((size_t)snprintf(path, sizeof(path), "%s%s", prefix, name) >= sizeof(path) ||
            !conf_option_find(path))
            conf_fail_unknown(l, s, name, prefix, shown);
    }
    for (const struct conf_option *o = list + 1; o < conf_options + conf_option_count; o++) {
        const config_setting_t *s;
        if (conf_option_parent(o) != list)
            continue;
        s = config_setting_get_member(group, conf_option_name(o));
        snprintf(shown, sizeof(shown), "%s.%s", key, conf_option_name(o));
        if (s || (s = conf_default(l, o)))
            conf_read(l, o, element, s, shown);
        else if (o->required)
            conf_fail(l, group, shown, "is missing");
    }
}

static void read_list(struct loader *l, const struct conf_option *o, void *base,
                      const config_setting_t *s, const char *key)
{
    unsigned n = (unsigned)config_setting_length(s);
    char *elements;

    if (!config_setting_is_list(s) && !config_setting_is_array(s)) {
        conf_fail(l, s, key, "is not a list, like %s",
                  o->type == CONF_GROUPS ? "( { ... }, { ... } )" : "[ \"first\", \"second\" ]");
        return;
    }
    if (n < o->min_items || n > o->max_items) {
        conf_fail(l, s, key, "%u entries are too %s, allowed are %u to %u", n,
                  n < o->min_items ? "few" : "many", o->min_items, o->max_items);
        return;
    }
    if (n == 0)
        return;
    elements = calloc(n, o->size);
    if (!elements) {
        l->oom = true;
        return;
    }
    *(void **)((char *)base + o->offset) = elements;
    *(size_t *)((char *)base + o->count) = n;
    for (unsigned i = 0; i < n && !l->oom; i++) {
        const config_setting_t *element = config_setting_get_elem(s, i);
        char shown[KEY_CAP];
        snprintf(shown, sizeof(shown), "%s[%u]", key, i);
        if (o->type == CONF_GROUPS)
            read_element(l, o, elements + i * o->size, element, shown);
        else
            read_scalar(l, o, elements + i * o->size, element, shown);
    }
}

void conf_read(struct loader *l, const struct conf_option *o, void *base, const config_setting_t *s,
               const char *key)
{
    conf_note_origin(l, s, key, l->overridden[o - conf_options]);
    if (o->list)
        read_list(l, o, base, s, key);
    else
        read_scalar(l, o, (char *)base + o->offset, s, key);
}

void conf_option_free(const struct conf_option *o, void *base)
{
    void **field = (void **)((char *)base + o->offset);

    if (o->list) {
        size_t n = *(size_t *)((char *)base + o->count);
        for (size_t i = 0; i < n; i++) {
            char *element = (char *)*field + i * o->size;
            if (o->type == CONF_STRING)
                free(*(char **)element);
            for (const struct conf_option *m = o + 1;
                 o->type == CONF_GROUPS && m < conf_options + conf_option_count; m++) {
                if (conf_option_parent(m) == o)
                    conf_option_free(m, element);
            }
        }
        free(*field);
    } else if (o->type == CONF_STRING) {
        if (*field && o->secret)
            explicit_bzero(*field, strlen(*field));
        free(*field);
    }
}
