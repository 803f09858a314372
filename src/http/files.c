// SPDX-License-Identifier: BSD-2-Clause
// Static files (RFC 9110: ETag, If-None-Match, Accept-Encoding).
#include "http/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/internal.h"

#define ETAG_CAP 64

static int compare(const void *key, const void *file)
{
    return strcmp(key, ((const struct web_file *)file)->path);
}

static const struct web_file *find(const char *path)
{
    if (*path != '/')
        return NULL;
    path++;
    return bsearch(*path ? path : "index.html", web_files, web_file_count, sizeof *web_files,
                   compare);
}

// Whether Accept-Encoding takes gzip: its weight is not 0 (RFC 9110 section 12.4.2), or if it is
// not named, that of all others.
static bool takes_gzip(const char *value)
{
    bool others = false;
    while (value && *value) {
        value += strspn(value, " \t,");
        size_t n = strcspn(value, ","), name = strcspn(value, ",; \t");
        bool gzip = name == 4 && strncasecmp(value, "gzip", 4) == 0;
        if (gzip || (name == 1 && *value == '*')) {
            const char *q = memchr(value, ';', n);
            size_t rest = q ? n - (size_t)(q - value) : 0;
            const char *weight = rest ? memchr(q, '=', rest) : NULL;
            others = !weight || strtod(weight + 1, NULL) > 0;
            if (gzip)
                return others;
        }
        value += n;
    }
    return others;
}

// If-None-Match compares weakly: W/ in front means nothing (RFC 9110 section 13.1.2).
static bool matches(const char *value, const char *etag)
{
    while (value && *value) {
        value += strspn(value, " \t,");
        size_t n = strcspn(value, ",");
        const char *p = value;
        size_t len = n;
        while (len && (p[len - 1] == ' ' || p[len - 1] == '\t'))
            len--;
        if (len > 2 && strncmp(p, "W/", 2) == 0) {
            p += 2;
            len -= 2;
        }
        if ((len == 1 && *p == '*') || (len == strlen(etag) && memcmp(p, etag, len) == 0))
            return true;
        value += n;
    }
    return false;
}

void files_answer(struct exchange *x)
{
    char etag[ETAG_CAP];
    const struct web_file *f = find(x->path);
    if (!f) {
        answer_error(x, 404, "there is nothing here");
        return;
    }
    bool gzip = f->gzip && takes_gzip(answer_header(x, "Accept-Encoding"));
    // A representation of its own has a tag of its own.
    snprintf(etag, sizeof etag, "\"%.40s%s\"", f->etag, gzip ? "-gzip" : "");
    answer_add(x, "ETag", etag);
    answer_add(x, "Cache-Control", "no-cache"); // keep it, but ask whether it is still the one
    if (f->gzip)
        answer_add(x, "Vary", "Accept-Encoding");
    if (matches(answer_header(x, "If-None-Match"), etag)) {
        answer_send(x, 304, NULL, NULL, 0);
        return;
    }
    if (gzip)
        answer_add(x, "Content-Encoding", "gzip");
    answer_send(x, 200, f->type, gzip ? f->gzip : f->data, gzip ? f->gzip_len : f->len);
}
