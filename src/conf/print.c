// SPDX-License-Identifier: BSD-2-Clause
// The configuration back as text, and the schema as a manual.
#include <config.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/loader.h"

#define WIDTH 100

// A comment, broken into lines.
static void print_comment(FILE *out, int indent, const char *text)
{
    while (*text) {
        size_t len = strlen(text), room = (size_t)(WIDTH - indent - 3);
        if (len > room) {
            len = room;
            while (len > 0 && text[len] != ' ')
                len--;
        }
        fprintf(out, "%*s// %.*s\n", indent, "", (int)len, text);
        text += len + (text[len] == ' ');
    }
}

static void print_escaped(FILE *out, const char *text, const char *end)
{
    for (; text < end; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(out, "\\x%02x", c);
        else
            fputc(c, out);
    }
}

static void print_string(FILE *out, const char *text)
{
    fputc('"', out);
    print_escaped(out, text, text + strlen(text));
    fputc('"', out);
}

// A store's URI without its password.
static void print_uri(FILE *out, const char *uri)
{
    const char *slashes = strstr(uri, "//");
    const char *at = strrchr(uri, '@'); // the last: a password may hold others
    const char *user_end;

    if (!slashes || !at || at < slashes) {
        print_string(out, uri);
        return;
    }
    user_end = memchr(slashes, ':', (size_t)(at - slashes));
    fputc('"', out);
    print_escaped(out, uri, user_end ? user_end + 1 : slashes + 2);
    fputs(CONF_HIDDEN, out);
    print_escaped(out, at, at + strlen(at));
    fputc('"', out);
}

static void print_value(FILE *out, const struct conf_option *o, const void *field)
{
    char text[CONF_CODED_MAX];
    switch (o->type) {
    case CONF_STRING:
        if (o->secret)
            print_string(out, CONF_HIDDEN);
        else if (o->uri)
            print_uri(out, *(char *const *)field);
        else
            print_string(out, *(char *const *)field);
        break;
    case CONF_CODED:
        o->codec->format(field, text, sizeof(text));
        print_string(out, text);
        break;
    case CONF_UINT:
        fprintf(out, *(const uint32_t *)field > INT32_MAX ? "%uL" : "%u", *(const uint32_t *)field);
        break;
    case CONF_UINT64:
        fprintf(out, "%" PRIu64 "L", *(const uint64_t *)field);
        break;
    case CONF_BOOL:
        fputs(*(const bool *)field ? "true" : "false", out);
        break;
    case CONF_PORT:
        fprintf(out, "%u", *(const uint16_t *)field);
        break;
    case CONF_PORTS:
        fprintf(out, "[ %u, %u ]", ((const uint16_t *)field)[0], ((const uint16_t *)field)[1]);
        break;
    case CONF_GROUP:
    case CONF_GROUPS:
        break;
    }
}

static bool is_set(const struct conf_option *o, const void *field)
{
    return o->type != CONF_STRING || *(char *const *)field;
}

static void print_element(FILE *out, const struct conf_option *list, const char *element)
{
    fputs("{ ", out);
    for (const struct conf_option *o = list + 1; o < conf_options + conf_option_count; o++) {
        if (conf_option_parent(o) != list || !is_set(o, element + o->offset))
            continue;
        fprintf(out, "%s = ", conf_option_name(o));
        print_value(out, o, element + o->offset);
        fputs("; ", out);
    }
    fputs("}", out);
}

static void print_list(FILE *out, const struct conf_option *o, const void *base, int indent)
{
    const char *elements = *(char *const *)((const char *)base + o->offset);
    size_t n = *(const size_t *)((const char *)base + o->count);

    fputs(o->type == CONF_GROUPS ? "(" : "[", out);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%s\n%*s", i ? "," : "", indent + 4, "");
        if (o->type == CONF_GROUPS)
            print_element(out, o, elements + i * o->size);
        else
            print_value(out, o, elements + i * o->size);
    }
    if (n > 0)
        fprintf(out, "\n%*s", indent, "");
    else
        fputc(' ', out);
    fputs(o->type == CONF_GROUPS ? ")" : "]", out);
}

static void print_option(FILE *out, const struct conf_option *o, const struct conf *c, int indent)
{
    const char *field = (const char *)c + o->offset;

    print_comment(out, indent, o->help);
    if (!o->list && !is_set(o, field)) {
        fprintf(out, "%*s// %s is not set\n", indent, "", conf_option_name(o));
        return;
    }
    fprintf(out, "%*s%s = ", indent, "", conf_option_name(o));
    if (o->list)
        print_list(out, o, c, indent);
    else
        print_value(out, o, field);
    fputs(";\n", out);
}

void conf_print(const struct conf *c, FILE *out)
{
    const struct conf_option *group = NULL;

    for (const struct conf_option *o = conf_options; o < conf_options + conf_option_count; o++) {
        const struct conf_option *parent = conf_option_parent(o);
        if (parent && parent->type == CONF_GROUPS)
            continue; // printed with the list
        if (group && parent != group) {
            fputs("};\n", out);
            group = NULL;
        }
        if (o != conf_options)
            fputc('\n', out);
        if (o->type != CONF_GROUP) {
            print_option(out, o, c, parent ? 4 : 0);
            continue;
        }
        group = o;
        print_comment(out, 0, o->help);
        fprintf(out, "%s = {", o->key);
    }
    if (group)
        fputs("};\n", out);
}

// mdoc(7): a line that begins with a dot or an apostrophe is a macro, a backslash begins an escape.
// Each sentence begins a line, so that the formatter spaces them.
static void print_roff(FILE *out, const char *text)
{
    size_t column = 0;
    bool sentence_end = false;

    while (*text) {
        size_t len = strcspn(text, " ");
        if (column > 0 && (sentence_end || column + 1 + len > 79)) {
            fputc('\n', out);
            column = 0;
        } else if (column > 0) {
            fputc(' ', out);
            column++;
        }
        if (column == 0 && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        for (size_t i = 0; i < len; i++) {
            if (text[i] == '\\')
                fputs("\\e", out);
            else
                fputc(text[i], out);
        }
        column += len;
        sentence_end = len > 0 && text[len - 1] == '.' &&
                       isupper((unsigned char)text[len == strlen(text) ? len : len + 1]);
        text += len + (text[len] == ' ');
    }
    fputc('\n', out);
}

static void print_type(FILE *out, const struct conf_option *o)
{
    char allowed[160], text[320];

    conf_option_allowed(o, allowed, sizeof(allowed));
    if (o->type == CONF_GROUPS)
        snprintf(text, sizeof(text), "A list of groups, %u to %u.", o->min_items, o->max_items);
    else if (o->list)
        snprintf(text, sizeof(text), "A list, at most %u; entries may be %s.", o->max_items,
                 allowed);
    else if (o->type == CONF_CODED)
        snprintf(text, sizeof(text), "Allowed are %s.", allowed);
    else if (o->type == CONF_STRING)
        snprintf(text, sizeof(text), "Text, %s.", allowed);
    else if (o->type == CONF_BOOL)
        snprintf(text, sizeof(text), "%s.", allowed);
    else
        snprintf(text, sizeof(text), "%s, %s.", o->type == CONF_PORTS ? "Two numbers" : "A number",
                 allowed);
    print_roff(out, text);
}

static void print_default(FILE *out, const struct conf_option *o)
{
    const char *value = o->manual ? o->manual : o->value;

    if (o->required)
        fputs("Has to be set.\n", out);
    if (o->required || !value)
        return;
    fputs("Default:\n.Ql \"", out);
    for (; *value; value++)
        fputs(*value == '"' ? "\\(dq" : (char[]){*value, '\0'}, out);
    fputs("\"\n", out);
}

void conf_print_manual(FILE *out)
{
    fputs(".Bl -tag -width Ds\n", out);
    for (const struct conf_option *o = conf_options; o < conf_options + conf_option_count; o++) {
        fprintf(out, ".It Ic %s\n", o->key);
        print_roff(out, o->help);
        if (o->type == CONF_GROUP)
            continue;
        print_type(out, o);
        print_default(out, o);
    }
    fputs(".El\n", out);
}
