// SPDX-License-Identifier: BSD-2-Clause
// Mistakes are collected, then told in the order of the file.
#include <config.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"

#define MISTAKES_MAX 100
#define TEXT_MAX 1000
#define KEY_SHOWN_MAX 200

__attribute__((format(printf, 5, 0))) static void add(struct loader *l, const char *file,
                                                      unsigned line, const char *key,
                                                      const char *fmt, va_list ap)
{
    struct conf_mistake m = {.line = line, .order = (unsigned)l->mistake_count};
    struct conf_mistake *grown;
    char *text;

    if (l->mistake_count >= MISTAKES_MAX) {
        l->mistakes_dropped++;
        return;
    }
    grown = realloc(l->mistakes, (l->mistake_count + 1) * sizeof(*grown));
    if (!grown) {
        l->oom = true;
        return;
    }
    l->mistakes = grown;
    if (vasprintf(&text, fmt, ap) < 0) {
        l->oom = true;
        return;
    }
    if (strlen(text) > TEXT_MAX)
        memcpy(text + TEXT_MAX, "...", 4);
    m.file = file ? strdup(file) : NULL;
    if (asprintf(&m.text, "%.*s%s%s", KEY_SHOWN_MAX, key ? key : "", key ? ": " : "", text) < 0)
        m.text = NULL;
    free(text);
    if (!m.text || (file && !m.file)) {
        free(m.text);
        free(m.file);
        l->oom = true;
        return;
    }
    l->mistakes[l->mistake_count++] = m;
}

void conf_fail(struct loader *l, const config_setting_t *where, const char *key, const char *fmt,
               ...)
{
    const char *file = l->overriding ? NULL : l->name;
    unsigned line = 0;
    va_list ap;

    if (where && where->config == &l->file) {
        if (config_setting_source_file(where))
            file = config_setting_source_file(where);
        line = (unsigned)config_setting_source_line(where);
    } else if (where) {
        file = NULL;
    }
    va_start(ap, fmt);
    add(l, file, line, key, fmt, ap);
    va_end(ap);
}

void conf_fail_at(struct loader *l, const char *file, unsigned line, const char *key,
                  const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(l, file, line, key, fmt, ap);
    va_end(ap);
}

// By file, then line; what has no line comes last.
static int compare(const void *a, const void *b)
{
    const struct conf_mistake *x = a, *y = b;
    unsigned x_line = x->line - 1, y_line = y->line - 1; // 0 wraps to the highest
    if (!x->file != !y->file)
        return x->file ? -1 : 1;
    if (x->file && strcmp(x->file, y->file) != 0)
        return strcmp(x->file, y->file);
    if (x_line != y_line)
        return x_line < y_line ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void print(const struct conf_mistake *m, FILE *out)
{
    if (!m->file)
        fprintf(out, "command line: %s\n", m->text);
    else if (m->line)
        fprintf(out, "%s:%u: %s\n", m->file, m->line, m->text);
    else
        fprintf(out, "%s: %s\n", m->file, m->text);
}

void conf_errors_take(struct loader *l, struct conf_errors *out)
{
    size_t size;
    FILE *f = NULL;

    out->text = NULL;
    out->count = (unsigned)(l->mistake_count + l->mistakes_dropped + (l->oom ? 1 : 0));
    if (out->count > 0)
        f = open_memstream(&out->text, &size);
    if (l->mistake_count > 0)
        qsort(l->mistakes, l->mistake_count, sizeof(*l->mistakes), compare);
    for (size_t i = 0; i < l->mistake_count; i++) {
        if (f)
            print(&l->mistakes[i], f);
        free(l->mistakes[i].file);
        free(l->mistakes[i].text);
    }
    free(l->mistakes);
    l->mistakes = NULL;
    if (f && l->mistakes_dropped)
        fprintf(f, "%s: and %zu more\n", l->name ? l->name : "command line", l->mistakes_dropped);
    if (f && l->oom)
        fprintf(f, "%s: out of memory\n", l->name ? l->name : "command line");
    if (f && fclose(f) != 0) {
        free(out->text);
        out->text = NULL;
    }
}
