// SPDX-License-Identifier: BSD-2-Clause
#include "signal/jtext.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

// Where the scan is; each function returns where what it has read ends, or NULL.
static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *scan_escape(const char *p, const char *end)
{
    if (p == end)
        return NULL;
    switch (*p) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 1;
    case 'u':
        break;
    default:
        return NULL;
    }
    if (end - p < 5)
        return NULL;
    for (int i = 1; i < 5; i++)
        if (hex_digit(p[i]) < 0)
            return NULL;
    return p + 5;
}

// A byte that is a quote, a backslash or a control character in any of eight: what ends a plain
// run. High bits of the result mark candidates; a false one only costs a look.
static inline bool has_special(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
    return (((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
           high;
}

static const char *scan_string(const char *p, const char *end)
{
    if (p == end || *p++ != '"')
        return NULL;
    for (;;) {
        uint64_t w;
        for (; end - p >= (ptrdiff_t)sizeof w; p += sizeof w) {
            memcpy(&w, p, sizeof w);
            if (has_special(w))
                break;
        }
        // A run without special bytes, then one of them; at most eight turns.
        while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
            p++;
        if (p == end || (unsigned char)*p < 0x20)
            return NULL;
        if (*p++ == '"')
            return p;
        if (!(p = scan_escape(p, end)))
            return NULL;
    }
}

static const char *scan_digits(const char *p, const char *end)
{
    const char *start = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p > start ? p : NULL;
}

static const char *scan_number(const char *p, const char *end)
{
    p += *p == '-';
    if (p < end && *p == '0')
        p++;
    else if (!(p = scan_digits(p, end)))
        return NULL;
    if (p < end && *p == '.' && !(p = scan_digits(p + 1, end)))
        return NULL;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        p = scan_digits(p, end);
    }
    return p;
}

static const char *scan_word(const char *p, const char *end, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(end - p) >= len && memcmp(p, word, len) == 0 ? p + len : NULL;
}

static enum jtype type_of(char c)
{
    switch (c) {
    case '{':
        return J_OBJECT;
    case '[':
        return J_ARRAY;
    case '"':
        return J_STRING;
    case 'n':
        return J_NULL;
    case 't':
        return J_TRUE;
    case 'f':
        return J_FALSE;
    default:
        return J_NUMBER;
    }
}

static const char *scan_scalar(const char *p, const char *end)
{
    switch (type_of(*p)) {
    case J_STRING:
        return scan_string(p, end);
    case J_NULL:
        return scan_word(p, end, "null");
    case J_TRUE:
        return scan_word(p, end, "true");
    case J_FALSE:
        return scan_word(p, end, "false");
    default:
        return scan_number(p, end);
    }
}

// Behind the name of a member: ends where the value begins.
static const char *scan_colon(const char *p, const char *end)
{
    p = skip_space(p, end);
    return p < end && *p == ':' ? skip_space(p + 1, end) : NULL;
}

static const char *scan_key(const char *p, const char *end)
{
    p = scan_string(skip_space(p, end), end);
    return p ? scan_colon(p, end) : NULL;
}

// Where nested values are: a bit for each level, 1 for an object.
struct levels {
    uint64_t objects;
    unsigned depth;
};

// Behind the bracket that opens a level: ends where its first value begins, or behind the bracket
// that closes it at once (*empty).
static const char *open_level(struct levels *l, const char *p, const char *end, bool *empty)
{
    bool object = *p == '{';

    if (l->depth == JTEXT_DEPTH_MAX)
        return NULL;
    p = skip_space(p + 1, end);
    *empty = p < end && *p == (object ? '}' : ']');
    if (*empty)
        return p + 1;
    l->objects = l->objects << 1 | object;
    l->depth++;
    return object ? scan_key(p, end) : p;
}

// Behind a value: goes on to the next one of its level, or out of levels that end (depth 0: all
// done).
static const char *next_value(struct levels *l, const char *p, const char *end)
{
    while (l->depth > 0) {
        bool object = l->objects & 1;
        p = skip_space(p, end);
        if (p == end)
            return NULL;
        if (*p == ',')
            return object ? scan_key(p + 1, end) : skip_space(p + 1, end);
        if (*p != (object ? '}' : ']'))
            return NULL;
        p++;
        l->objects >>= 1;
        l->depth--;
    }
    return p;
}

// A value at p, whatever is inside.
static const char *scan_value(const char *p, const char *end)
{
    struct levels levels = {.depth = 0};

    do {
        bool done = true;
        if (p == end)
            return NULL;
        if (*p == '{' || *p == '[') {
            p = open_level(&levels, p, end, &done);
            if (p && !done)
                continue;
        } else {
            p = scan_scalar(p, end);
        }
        if (p)
            p = next_value(&levels, p, end);
    } while (p && levels.depth > 0);
    return p;
}

// A member called so in the text, quotes and escapes included, is one of those asked for?
static struct jvalue *wanted(const char *key, const char *key_end, const char *const *names,
                             size_t count, struct jvalue *values)
{
    struct jvalue raw = {key, (size_t)(key_end - key), J_STRING};

    for (size_t i = 0; i < count; i++)
        if (jvalue_is(&raw, names[i]))
            return &values[i];
    return NULL;
}

static const char *scan_object(const char *p, const char *end, const char *const *names,
                               size_t count, struct jvalue *values)
{
    p = skip_space(p + 1, end);
    if (p < end && *p == '}')
        return p + 1;
    for (;;) {
        const char *key = skip_space(p, end), *key_end = scan_string(key, end), *at;
        at = key_end ? scan_colon(key_end, end) : NULL;
        p = at ? scan_value(at, end) : NULL;
        if (!p)
            return NULL;
        struct jvalue *v = wanted(key, key_end, names, count, values);
        if (v)
            *v = (struct jvalue){at, (size_t)(p - at), type_of(*at)};
        p = skip_space(p, end);
        if (p == end || (*p != ',' && *p != '}'))
            return NULL;
        if (*p++ == '}')
            return p;
    }
}

int jtext_scan(const char *text, size_t len, struct jvalue *top, const char *const *names,
               size_t count, struct jvalue *values)
{
    const char *end = text + len, *p = skip_space(text, end), *start = p;

    for (size_t i = 0; i < count; i++)
        values[i].type = J_ABSENT;
    if (p == end)
        return -EINVAL;
    p = *p == '{' ? scan_object(p, end, names, count, values) : scan_value(p, end);
    if (!p || skip_space(p, end) != end)
        return -EINVAL;
    *top = (struct jvalue){start, (size_t)(p - start), type_of(*start)};
    return 0;
}

static unsigned hex4(const char *p)
{
    unsigned c = 0;
    for (int i = 0; i < 4; i++)
        c = c << 4 | (unsigned)hex_digit(p[i]);
    return c;
}

// The code point of \uXXXX, at the digits; *p ends behind it, and behind its second half. < 0: half
// a pair.
static int32_t unescape_unicode(const char **p, const char *end)
{
    unsigned c = hex4(*p);

    *p += 4;
    if (c < 0xd800 || c > 0xdfff)
        return (int32_t)c;
    if (c > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return -1;
    unsigned low = hex4(*p + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    *p += 6;
    return (int32_t)(0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
}

static size_t put_utf8(char out[4], uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

int jvalue_string(const struct jvalue *v, char *out, size_t cap)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *p = v->at + 1, *end = v->at + v->len - 1;
    size_t len = 0;

    while (p < end) {
        char bytes[4] = {*p++};
        size_t n = 1;
        if (*bytes == '\\') {
            char c = *p++;
            const char *simple = strchr(from, c);
            if (c == 'u') {
                int32_t point = unescape_unicode(&p, end);
                if (point < 0)
                    return -EINVAL;
                n = put_utf8(bytes, (uint32_t)point);
            } else {
                bytes[0] = simple ? to[simple - from] : c;
            }
        }
        if (cap - len < n)
            return -E2BIG;
        memcpy(out + len, bytes, n);
        len += n;
    }
    return (int)len;
}

bool jvalue_is(const struct jvalue *v, const char *text)
{
    size_t len = strlen(text);
    char plain[JTEXT_KEY_MAX];

    // Most differ in the first letter already, unless that is an escape.
    if (v->type != J_STRING || (v->len > 2 && v->at[1] != *text && v->at[1] != '\\'))
        return false;
    if (v->len == len + 2 && memcmp(v->at + 1, text, len) == 0)
        return true;
    if (v->len <= len + 2 || !memchr(v->at, '\\', v->len))
        return false;
    int n = jvalue_string(v, plain, sizeof plain);
    return n == (int)len && memcmp(plain, text, len) == 0;
}
