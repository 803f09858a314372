// SPDX-License-Identifier: BSD-2-Clause
// What the steps of loading share. Private to src/conf.
#ifndef TP_CONF_LOADER_H
#define TP_CONF_LOADER_H

#include <libconfig.h>

#include "conf/conf.h"
#include "conf/option.h"

#define CONF_HIDDEN "<hidden>"

struct conf_mistake {
    char *file; // NULL: on the command line
    unsigned line;
    unsigned order;
    char *text;
};

struct loader {
    struct conf *conf;
    const char *name; // of the file in messages; NULL: there is none
    const char *dir;  // where @include looks; NULL: not allowed
    unsigned includes;
    config_t file;
    bool unreadable;               // the file's text could not be parsed
    bool overriding;               // at the command line's values, not yet at the file
    config_t *values;              // per option: an override or the default
    bool *has_value;               // whether values[i] is set up
    const config_setting_t **from; // per option: where its value was taken from, NULL: not set
    bool *overridden;              // per option: from the command line
    struct conf_mistake *mistakes;
    size_t mistake_count;
    size_t mistakes_dropped;
    bool oom;
};

// Notes a mistake. where tells the file and line; NULL: nowhere in particular. key may be NULL.
__attribute__((format(printf, 4, 5))) void conf_fail(struct loader *l,
                                                     const config_setting_t *where, const char *key,
                                                     const char *fmt, ...);
// The same at a line of a file.
__attribute__((format(printf, 5, 6))) void conf_fail_at(struct loader *l, const char *file,
                                                        unsigned line, const char *key,
                                                        const char *fmt, ...);
// Moves the mistakes to *out, in the order of the file.
void conf_errors_take(struct loader *l, struct conf_errors *out);

// Reads a whole file, with a newline and a zero at the end. NULL with *why.
char *conf_read_file(const char *path, size_t *len, const char **why);

// Finds what libconfig would accept silently, report badly or die of: NUL bytes, unterminated
// strings and comments, nesting, hexadecimal numbers that it would cut, includes that cannot be
// read.
void conf_scan(struct loader *l, const char *text, size_t len, const char *name, unsigned depth);

// Reports the key called name of the group with that prefix ("", "relay.", ...) as unknown; shown
// is how messages call it.
void conf_fail_unknown(struct loader *l, const config_setting_t *where, const char *name,
                       const char *prefix, const char *shown);

// Reports the keys that are not in the schema.
void conf_check_keys(struct loader *l, const config_setting_t *group, const char *prefix);

// Reads the setting of o into base (struct conf, or an element of a CONF_GROUPS). key is what
// messages call it.
void conf_read(struct loader *l, const struct conf_option *o, void *base, const config_setting_t *s,
               const char *key);

// The default of o as a setting, or NULL.
const config_setting_t *conf_default(struct loader *l, const struct conf_option *o);

// Whether the value in use is the default.
bool conf_is_default(const struct loader *l, const char *key);

// Reports what libconfig found wrong with the text.
void conf_fail_syntax(struct loader *l, const char *text);

// What only shows when everything has been read: one value against another.
void conf_check_whole(struct loader *l);

// Keeps where a value is from: the command line, or the file and line of s. Defaults are nowhere.
void conf_note_origin(struct loader *l, const config_setting_t *s, const char *key,
                      bool overridden);
void conf_origins_free(struct conf *c);

// Frees what an option holds in base.
void conf_option_free(const struct conf_option *o, void *base);

#endif
