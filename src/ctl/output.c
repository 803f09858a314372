// SPDX-License-Identifier: BSD-2-Clause
// Messages, names on a terminal, records as JSON.
#include <config.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "util/codec.h"

int ctl_fail(int status, const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fputs("turnpikectl: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return status;
}

// Characters that change what a terminal does or shows: C0, C1, zero-width and direction marks
// (U+061C, U+200B-U+200F, U+2028-U+202E, U+2060-U+2069), U+FEFF; and the backslash, which begins an
// escape.
static bool is_plain(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] < 0x20 || p[i] == 0x7f || p[i] == '\\')
            return false;
        if (p[i] == 0xc2 && p[i + 1] < 0xa0)
            return false;
        if (p[i] == 0xd8 && p[i + 1] == 0x9c)
            return false;
        if (p[i] == 0xe2 && p[i + 1] == 0x80 &&
            ((p[i + 2] >= 0x8b && p[i + 2] <= 0x8f) || (p[i + 2] >= 0xa8 && p[i + 2] <= 0xae)))
            return false;
        if (p[i] == 0xe2 && p[i + 1] == 0x81 && p[i + 2] >= 0xa0 && p[i + 2] <= 0xa9)
            return false;
        if (p[i] == 0xef && p[i + 1] == 0xbb && p[i + 2] == 0xbf)
            return false;
    }
    return true;
}

char *ctl_printable(const void *name, size_t len)
{
    char *text = malloc(4 * len + 8);
    if (!text) {
        fputs("turnpikectl: out of memory\n", stderr);
        exit(CTL_FAILED);
    }
    if (utf8_valid(name, len) && is_plain(name, len)) {
        memcpy(text, name, len);
        text[len] = '\0';
    } else {
        text_escape(text, 4 * len + 8, name, len);
    }
    return text;
}

size_t ctl_width(const char *printable)
{
    size_t n = 0;
    for (; *printable; printable++)
        n += (*printable & 0xc0) != 0x80; // not a continuation byte
    return n;
}

static json_t *json_time(int64_t t)
{
    char text[32];
    return t ? json_string(ctl_format_time(t, text)) : json_null();
}

json_t *ctl_record_json(const struct ctl *c, const struct auth_record *rec)
{
    bool utf8 = utf8_valid(rec->user, rec->user_len);
    char *name = utf8 ? NULL : ctl_printable(rec->user, rec->user_len);
    char hex[2 * AUTH_USER_MAX + 1];
    json_t *j =
        json_pack("{s:o, s:s, s:b, s:o, s:o, s:I, s:I}", "name",
                  utf8 ? json_stringn((const char *)rec->user, rec->user_len) : json_string(name),
                  "realm", c->realm, "disabled", rec->disabled, "created", json_time(rec->created),
                  "expires", json_time(rec->expires), "max_allocations",
                  (json_int_t)rec->max_allocations, "max_bps", (json_int_t)rec->max_bps);
    // A name that JSON cannot hold is shown escaped, and exactly as bytes.
    if (j && !utf8)
        json_object_set_new(j, "name_hex", json_string(hex_encode(hex, rec->user, rec->user_len)));
    free(name);
    return j;
}

int ctl_print_json(json_t *j)
{
    // ASCII: a terminal obeys C1 controls and direction marks in names, too.
    int rc =
        j ? json_dumpf(j, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII) : -1;
    json_decref(j);
    if (rc != 0 || putchar('\n') == EOF || fflush(stdout) != 0)
        return ctl_fail(CTL_FAILED, "the output cannot be written");
    return CTL_OK;
}
