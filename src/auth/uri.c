// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include "auth/uri.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/codec.h"

#define ALLOWED                                                                                    \
    "allowed are sqlite:PATH, redis://[[USER:]PASSWORD@]HOST[:PORT][/DB][?layout=coturn], "        \
    "redis+unix:[//[[USER:]PASSWORD@]]/PATH[?db=DB][&layout=coturn] and "                          \
    "redis+sentinel://[[USER:]PASSWORD@]HOST[:PORT],.../MASTER[/DB]"

const char *store_why(const char *fmt, ...)
{
    static _Thread_local char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return text;
}

static int refuse(const char **why, const char *what)
{
    *why = store_why("%s; " ALLOWED, what);
    return -EINVAL;
}

// Copies [from, end) with %XX decoded; false when it does not fit, an escape is broken or hides a
// zero.
static bool copy_decoded(char *out, size_t cap, const char *from, const char *end)
{
    size_t n = 0;

    while (from < end) {
        char c = *from++;
        if (c == '%') {
            char digits[3] = {0};
            if (end - from < 2)
                return false;
            memcpy(digits, from, 2);
            if (hex_decode(&c, 1, digits) < 0 || c == 0)
                return false;
            from += 2;
        }
        if (n + 1 >= cap)
            return false;
        out[n++] = c;
    }
    out[n] = 0;
    return true;
}

static bool parse_number(const char *from, const char *end, unsigned max, unsigned *out)
{
    unsigned long v = 0;

    if (from == end || end - from > 5)
        return false;
    for (; from < end; from++) {
        if (*from < '0' || *from > '9')
            return false;
        v = v * 10 + (unsigned)(*from - '0');
    }
    *out = (unsigned)v;
    return v <= max;
}

static const char *find_in(const char *from, const char *end, char c)
{
    return memchr(from, c, (size_t)(end - from));
}

static bool parse_endpoint(struct stores_endpoint *e, const char *from, const char *end,
                           uint16_t port)
{
    const char *host = from, *host_end, *colon = NULL;
    unsigned number = port;

    if (from < end && *from == '[') {
        host = from + 1;
        host_end = find_in(from, end, ']');
        if (!host_end)
            return false;
        if (host_end + 1 < end) {
            if (host_end[1] != ':')
                return false;
            colon = host_end + 1;
        }
    } else {
        colon = find_in(from, end, ':');
        host_end = colon ? colon : end;
    }
    if (host_end == host || (size_t)(host_end - host) >= sizeof(e->host))
        return false;
    if (colon && (!parse_number(colon + 1, end, 65535, &number) || number == 0))
        return false;
    memcpy(e->host, host, (size_t)(host_end - host));
    e->host[host_end - host] = 0;
    e->port = (uint16_t)number;
    return true;
}

static bool parse_endpoints(struct store_uri *u, const char *from, const char *end)
{
    uint16_t port = u->kind == STORE_KIND_SENTINEL ? 26379 : 6379;

    for (;;) {
        const char *comma = find_in(from, end, ',');
        if (u->endpoint_count == URI_ENDPOINTS_MAX ||
            !parse_endpoint(&u->endpoint[u->endpoint_count], from, comma ? comma : end, port))
            return false;
        u->endpoint_count++;
        if (!comma)
            return true;
        if (u->kind != STORE_KIND_SENTINEL)
            return false;
        from = comma + 1;
    }
}

static bool parse_credentials(struct store_uri *u, const char *from, const char *end)
{
    const char *colon = find_in(from, end, ':');

    if (colon && !copy_decoded(u->user, sizeof(u->user), from, colon))
        return false;
    return copy_decoded(u->password, sizeof(u->password), colon ? colon + 1 : from, end) &&
           u->password[0];
}

static bool parse_option(struct store_uri *u, const char *from, const char *end, bool has_db)
{
    static const char coturn[] = "layout=coturn", turnpike[] = "layout=turnpike";
    size_t len = (size_t)(end - from);

    if (has_db && len > 3 && memcmp(from, "db=", 3) == 0)
        return parse_number(from + 3, end, 65535, &u->db);
    u->coturn = len == sizeof(coturn) - 1 && memcmp(from, coturn, len) == 0;
    return u->coturn || (len == sizeof(turnpike) - 1 && memcmp(from, turnpike, len) == 0);
}

// Cuts them off: what stands behind "?", with "&" between them. has_db: db=DB is one of them.
static bool parse_options(struct store_uri *u, const char *from, const char **end, bool has_db)
{
    const char *option = find_in(from, *end, '?'), *last = *end;

    if (!option)
        return true;
    *end = option;
    while (option < last) {
        const char *next = find_in(option + 1, last, '&');
        if (!parse_option(u, option + 1, next ? next : last, has_db))
            return false;
        option = next ? next : last;
    }
    return true;
}

static int parse_redis(struct store_uri *u, const char *text, const char **why)
{
    const char *end = text + strlen(text);
    const char *at = NULL;

    if (!parse_options(u, text, &end, false))
        return refuse(why, "the option after \"?\" is not layout=coturn");
    for (const char *p = text; p < end && *p != '/'; p++)
        if (*p == '@')
            at = p;
    if (at && !parse_credentials(u, text, at))
        return refuse(why, "the password is empty, too long or has a broken %XX");
    const char *host = at ? at + 1 : text;
    const char *slash = find_in(host, end, '/');
    if (!parse_endpoints(u, host, slash ? slash : end))
        return refuse(why, "HOST or PORT is wrong");
    if (u->kind == STORE_KIND_SENTINEL) {
        const char *name = slash ? slash + 1 : end;
        slash = find_in(name, end, '/');
        if (!copy_decoded(u->master, sizeof(u->master), name, slash ? slash : end) || !u->master[0])
            return refuse(why, "the name of the master is missing or too long");
    }
    if (slash && slash + 1 < end && !parse_number(slash + 1, end, 65535, &u->db))
        return refuse(why, "DB is not a number");
    return 0;
}

// What stands before the path of a socket between "//" and it: "", or "[USER:]PASSWORD@".
static int parse_unix_authority(struct store_uri *u, const char **text, const char *end,
                                const char **why)
{
    const char *from = *text + 2;
    const char *path = find_in(from, end, '/');

    if (!path || (path > from && path[-1] != '@'))
        return refuse(why, "behind \"//\" stands neither the absolute path of a socket nor a "
                           "password and \"@\" before it");
    if (path > from && !parse_credentials(u, from, path - 1))
        return refuse(why, "the password is empty, too long or has a broken %XX");
    *text = path;
    return 0;
}

static int parse_unix(struct store_uri *u, const char *text, const char **why)
{
    const char *end = text + strlen(text);
    int r = 0;

    if (!parse_options(u, text, &end, true))
        return refuse(why, "an option after \"?\" is neither db=DB nor layout=coturn");
    if (end - text >= 2 && memcmp(text, "//", 2) == 0)
        r = parse_unix_authority(u, &text, end, why);
    if (r < 0)
        return r;
    if (end - text > 107 || text[0] != '/' || !copy_decoded(u->path, sizeof(u->path), text, end))
        return refuse(why, "the path of the socket is not absolute or longer than 107 bytes");
    return 0;
}

static int parse_sqlite(struct store_uri *u, const char *text, const char **why)
{
    // "./" keeps SQLite from seeing a special name such as ":memory:".
    const char *prefix = text[0] == '/' ? "" : "./";
    int n = snprintf(u->path, sizeof(u->path), "%s%s", prefix, text);

    if (text[0] == 0 || n < 0 || (size_t)n >= sizeof(u->path) || text[strlen(text) - 1] == '/')
        return refuse(why, "the path of the file is missing or too long");
    return 0;
}

int store_uri_parse(struct store_uri *out, const char *text, const char **why)
{
    memset(out, 0, sizeof(*out));
    if (strncmp(text, "sqlite:", 7) == 0) {
#ifdef WITH_SQLITE
        out->kind = STORE_KIND_SQLITE;
        return parse_sqlite(out, text + 7, why);
#else
        (void)parse_sqlite;
        *why = "this build has no SQLite store (configure found no sqlite3)";
        return -EINVAL;
#endif
    }
    if (strncmp(text, "redis", 5) == 0) {
#ifdef WITH_HIREDIS
        out->kind = STORE_KIND_REDIS;
        if (strncmp(text, "redis://", 8) == 0)
            return parse_redis(out, text + 8, why);
        if (strncmp(text, "redis+unix:", 11) == 0)
            return parse_unix(out, text + 11, why);
        out->kind = STORE_KIND_SENTINEL;
        if (strncmp(text, "redis+sentinel://", 17) == 0)
            return parse_redis(out, text + 17, why);
#else
        (void)parse_redis;
        (void)parse_unix;
        *why = "this build has no Redis store (configure found no hiredis)";
        return -EINVAL;
#endif
    }
    return refuse(why, "not the URI of a store");
}

int stores_check_uri(const char *uri, const char **why)
{
    struct store_uri parsed;

    return store_uri_parse(&parsed, uri, why);
}

size_t stores_endpoints(const char *uri, struct stores_endpoint *out, size_t cap)
{
    struct store_uri parsed;
    const char *why;

    if (store_uri_parse(&parsed, uri, &why) < 0)
        return 0;
    size_t n = parsed.endpoint_count < cap ? parsed.endpoint_count : cap;
    memcpy(out, parsed.endpoint, n * sizeof(*out));
    return n;
}

bool stores_md5_only(const struct stores_config *cfg)
{
    struct store_uri parsed;
    const char *why;

    for (size_t i = 0; i < cfg->user_count; i++)
        if (!cfg->users[i].password)
            return true;
    for (size_t i = 0; i < cfg->uri_count; i++)
        if (store_uri_parse(&parsed, cfg->uris[i], &why) == 0 && parsed.coturn)
            return true;
    return false;
}
