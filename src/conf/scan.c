// SPDX-License-Identifier: BSD-2-Clause
// A look at the text before libconfig gets it. libconfig 1.5 ends quietly at a NUL byte and inside
// an unterminated string or comment, cuts strings at \x00 and long hexadecimal numbers to 32 bits,
// and its scanner ends the process (exit) when an included file cannot be read: none of that may
// happen to a daemon that reloads.
#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/loader.h"

#define FILE_MAX (1 << 20)
#define DEPTH_MAX 16
#define INCLUDE_DEPTH_MAX 8 // libconfig's own is 10
#define INCLUDES_MAX 100

struct scan {
    struct loader *l;
    const char *name;
    const char *text, *p, *end;
    unsigned line;
    char open[DEPTH_MAX]; // the brackets that are
    unsigned depth;
    char previous; // the last character that was neither blank nor comment, 'a' for a word, 0 at
                   // the start
    unsigned include_depth;
};

char *conf_read_file(const char *path, size_t *len, const char **why)
{
    struct stat st;
    char *text = NULL;
    FILE *f = fopen(path, "re");

    if (!f || fstat(fileno(f), &st) < 0) {
        *why = strerror(errno);
    } else if (S_ISDIR(st.st_mode)) {
        *why = "is a folder";
    } else if (!(text = malloc(FILE_MAX + 2))) {
        *why = "out of memory";
    } else {
        *len = fread(text, 1, FILE_MAX + 1, f);
        if (ferror(f) || *len > FILE_MAX) {
            *why = ferror(f) ? strerror(errno) : "is larger than 1 MiB";
            free(text);
            text = NULL;
        } else {
            // libconfig does not see the end of a comment in the last line without it.
            text[(*len)++] = '\n';
            text[*len] = '\0';
        }
    }
    if (f)
        fclose(f);
    return text;
}

// A mistake after which the text cannot be parsed.
__attribute__((format(printf, 4, 5))) static void broken(struct scan *s, unsigned line,
                                                         const char *key, const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    s->l->unreadable = true;
    if (text)
        conf_fail_at(s->l, s->name, line, key, "%s", text);
    else
        s->l->oom = true;
    free(text);
}

static bool starts(const struct scan *s, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(s->end - s->p) >= len && memcmp(s->p, word, len) == 0;
}

static void skip_block_comment(struct scan *s)
{
    unsigned opened = s->line;
    for (s->p += 2; s->p < s->end; s->p++) {
        if (starts(s, "*/")) {
            s->p += 2;
            return;
        }
        s->line += *s->p == '\n';
    }
    broken(s, opened, NULL, "the comment that begins here has no end");
}

static bool string_may_follow(const struct scan *s)
{
    if (s->previous == ',')
        return s->depth > 0 && s->open[s->depth - 1] != '{';
    return s->previous ? strchr("=:([\"", s->previous) != NULL : s->include_depth > 0;
}

static void skip_string(struct scan *s)
{
    unsigned opened = s->line;

    // libconfig would call it a syntax error, too, but leak it.
    if (!string_may_follow(s))
        broken(s, opened, NULL,
               "text in quotes where none can be: a setting is written key = value;");
    s->previous = '"';
    for (s->p++; s->p < s->end; s->p++) {
        if (*s->p == '"') {
            s->p++;
            return;
        }
        s->line += *s->p == '\n';
        if (*s->p != '\\' || s->p + 1 == s->end)
            continue;
        if (starts(s, "\\x00") || starts(s, "\\X00"))
            broken(s, s->line, NULL, "\\x00 cannot be part of a string");
        if (s->p[1] == '"' || s->p[1] == '\\')
            s->p++;
    }
    broken(s, opened, NULL, "the string that begins here has no end");
}

// Numbers that libconfig would cut to 32 bits without a word. The text can still be parsed.
static void check_number(struct scan *s, const char *word, size_t len)
{
    bool hex = len > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
    const char *digit = word + (hex ? 2 : 0);
    size_t digits = strspn(digit, hex ? "0123456789abcdefABCDEF" : "0123456789");
    size_t rest = len - (size_t)(digit - word) - digits;
    unsigned long long n;

    errno = 0;
    n = strtoull(digit, NULL, hex ? 16 : 10);
    if (digits == 0 || rest > 2 || strspn(digit + digits, "L") < rest)
        return; // not a whole number
    if (errno == ERANGE || n > INT64_MAX)
        conf_fail_at(s->l, s->name, s->line, NULL,
                     "%.*s is out of range, no number may be above %" PRId64,
                     len < 40 ? (int)len : 40, word, INT64_MAX);
    else if (rest == 0 && n > INT32_MAX)
        conf_fail_at(s->l, s->name, s->line, NULL,
                     "%.*s is out of range, no number may be above %d without an L behind it",
                     len < 40 ? (int)len : 40, word, INT32_MAX);
}

static void skip_word(struct scan *s)
{
    const char *start = s->p;
    while (s->p < s->end && (isalnum((unsigned char)*s->p) || strchr("_-*.+", *s->p)))
        s->p++;
    s->previous = 'a';
    check_number(s, start, (size_t)(s->p - start));
}

static void scan_included(struct scan *s, const char *file)
{
    char *path;
    char *text;
    const char *why = NULL;
    size_t len;

    if (asprintf(&path, "%s/%s", s->l->dir, file) < 0) {
        s->l->oom = true;
        return;
    }
    text = conf_read_file(path, &len, &why);
    free(path);
    if (!text) {
        broken(s, s->line, "@include", "%s: %s%s", file, why,
               *file == '/' ? "; names begin at the folder of the main file" : "");
        return;
    }
    conf_scan(s->l, text, len, file, s->include_depth + 1);
    free(text);
}

// @include "file" alone on its line, the only form that libconfig knows; it reports any other as a
// syntax error.
static void scan_include(struct scan *s)
{
    const char *start = s->p, *quote;
    char file[4096];
    size_t len = 0;

    s->p++;
    if ((size_t)(s->end - start) < 8 || memcmp(start, "@include", 8) != 0)
        return;
    quote = start + 8 + strspn(start + 8, " \t");
    if (*quote != '"')
        return;
    if (!s->l->dir || s->include_depth >= INCLUDE_DEPTH_MAX || ++s->l->includes > INCLUDES_MAX) {
        broken(s, s->line, "@include",
               s->l->dir ? "too many files include each other" : "is not possible here");
        s->p = s->end;
        return;
    }
    for (s->p = quote + 1; s->p < s->end && *s->p != '"' && *s->p != '\n' && len + 1 < sizeof(file);
         s->p++) {
        if (*s->p == '\\' && (s->p[1] == '\\' || s->p[1] == '"'))
            s->p++;
        file[len++] = *s->p;
    }
    file[len] = '\0';
    if (s->p >= s->end || *s->p != '"') {
        broken(s, s->line, "@include", "the file name has no end");
        return;
    }
    s->p++;
    scan_included(s, file);
}

static void scan_step(struct scan *s)
{
    switch (*s->p) {
    case '"':
        skip_string(s);
        return;
    case '@':
        scan_include(s);
        return;
    case '{':
    case '(':
    case '[':
        if (*s->p == '{' && s->previous == '[')
            broken(s, s->line, NULL, "groups stand in a list, ( { ... }, { ... } ), not in [ ]");
        if (s->depth == DEPTH_MAX) {
            broken(s, s->line, NULL, "brackets are nested too deeply");
            s->p = s->end;
            return;
        }
        s->open[s->depth++] = *s->p;
        break;
    case '}':
    case ')':
    case ']':
        s->depth -= s->depth > 0;
        break;
    case '\n':
        s->line++;
        break;
    default:
        break;
    }
    if (!isspace((unsigned char)*s->p))
        s->previous = *s->p;
    s->p++;
}

void conf_scan(struct loader *l, const char *text, size_t len, const char *name, unsigned depth)
{
    struct scan s = {.l = l,
                     .name = name,
                     .text = text,
                     .p = text,
                     .end = text + len,
                     .line = 1,
                     .include_depth = depth};
    const char *nul = memchr(text, '\0', len);

    if (nul) {
        for (const char *p = text; p < nul; p++)
            s.line += *p == '\n';
        broken(&s, s.line, NULL, "a NUL byte: this is not a text file");
        return;
    }
    if (starts(&s, "\xef\xbb\xbf"))
        broken(&s, 1, NULL, "a byte order mark (U+FEFF): save the file as UTF-8 without one");
    while (s.p < s.end && !l->oom) {
        if (*s.p == '#' || starts(&s, "//"))
            s.p += strcspn(s.p, "\n");
        else if (starts(&s, "/*"))
            skip_block_comment(&s);
        else if (isalnum((unsigned char)*s.p))
            skip_word(&s);
        else
            scan_step(&s);
    }
}

// The one name on that line that is followed by = or :, else NULL. libconfig does not say which
// setting it has seen twice.
static char *name_on_line(const char *text, int line)
{
    char *name = NULL;
    for (; line > 1 && text; line--)
        text = (text = strchr(text, '\n')) ? text + 1 : NULL;
    while (text && *text && *text != '\n') {
        size_t len =
            strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-*");
        size_t blanks = strspn(text + len, " \t");
        if (len > 0 && strchr("=:", text[len + blanks])) {
            if (name) {
                free(name);
                return NULL;
            }
            name = strndup(text, len);
        }
        text += len ? len : 1;
    }
    return name;
}

void conf_fail_syntax(struct loader *l, const char *text)
{
    const char *file = config_error_file(&l->file);
    const char *what = config_error_text(&l->file);
    unsigned line = (unsigned)config_error_line(&l->file);
    char *name = NULL;

    l->unreadable = true;
    if (what && strstr(what, "duplicate")) {
        if (!file)
            name = name_on_line(text, (int)line);
        conf_fail_at(l, file ? file : l->name, line, name, "the key is set twice in its group");
        free(name);
    } else if (what && strstr(what, "mismatched")) {
        conf_fail_at(l, file ? file : l->name, line, NULL,
                     "the elements between [ and ] are not of one type");
    } else {
        conf_fail_at(
            l, file ? file : l->name, line, NULL,
            "%s here or on the line before; a setting is written key = value; or key = \"text\";",
            what ? what : "syntax error");
    }
}
