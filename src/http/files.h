// SPDX-License-Identifier: BSD-2-Clause
// The page: every file of src/web, which src/web/embed turns into C.
#ifndef TP_HTTP_FILES_H
#define TP_HTTP_FILES_H

#include <stddef.h>

struct web_file {
    const char *path; // "index.html", "lib/call.js"
    const char *type;
    const char *etag; // of the SHA-256 of data, without quotes
    const unsigned char *data;
    size_t len;
    const unsigned char *gzip; // NULL: it would be no shorter
    size_t gzip_len;
};

extern const struct web_file web_files[]; // ordered by strcmp of path
extern const size_t web_file_count;

#endif
