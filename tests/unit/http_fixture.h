// SPDX-License-Identifier: BSD-2-Clause
// A request that no socket has brought, and the answer to it, kept where evhttp would send it. The
// program is linked with $(http_fixture_ldflags).
#ifndef TP_TESTS_HTTP_FIXTURE_H
#define TP_TESTS_HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/internal.h"

struct http_fixture {
    struct snapshot snapshot;
    struct http http;
    struct client client;
    struct exchange x;
    // The answer.
    unsigned answers;
    int status;
    char *body; // with a zero behind
    size_t body_len;
};

// For cmocka. Every test begins with a GET without headers for "/" and the default settings.
int http_fixture_setup(void **state);
int http_fixture_teardown(void **state);

// Other lines in the group `signal` of the configuration.
void fixture_configure(struct http_fixture *f, const char *settings);
// Another request; its headers are none.
void fixture_request(struct http_fixture *f, enum evhttp_cmd_type method, const char *target);
void fixture_header(struct http_fixture *f, const char *name, const char *value);
// A header of the answer, or NULL.
const char *fixture_answer(const struct http_fixture *f, const char *name);

#endif
