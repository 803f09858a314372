// SPDX-License-Identifier: BSD-2-Clause
// What is where.
#include "http/internal.h"

#include <string.h>

static bool reads(const struct exchange *x)
{
    return x->method == EVHTTP_REQ_GET || x->method == EVHTTP_REQ_HEAD;
}

static void route_ice(struct exchange *x, bool matrix)
{
    if (!answer_origin(x))
        return;
    if (reads(x))
        ice_answer(x, matrix);
    else
        answer_not_allowed(x, "GET, HEAD, OPTIONS");
}

static void route_signal(struct exchange *x, const char *below)
{
    if (!answer_origin(x))
        return;
    if (*below == '/')
        events_answer(x, below + 1);
    else if (x->method == EVHTTP_REQ_GET)
        websocket_upgrade(x);
    else
        answer_not_allowed(x, "GET, OPTIONS");
}

static void route_files(struct exchange *x)
{
    if (reads(x))
        files_answer(x);
    else
        answer_not_allowed(x, "GET, HEAD, OPTIONS");
}

static void route(struct exchange *x)
{
    // Matrix clients ask their home server, which may pass the request on as it is.
    static const char *const matrix[] = {"/_matrix/client/v3/voip/turnServer",
                                         "/_matrix/client/r0/voip/turnServer"};
    static const char signal[] = "/signal";
    const size_t len = sizeof signal - 1;
    if (strncmp(x->path, signal, len) == 0 && (!x->path[len] || x->path[len] == '/')) {
        route_signal(x, x->path + len);
        return;
    }
    if (strcmp(x->path, "/ice") == 0) {
        route_ice(x, false);
        return;
    }
    for (size_t i = 0; i < sizeof matrix / sizeof *matrix; i++) {
        if (strcmp(x->path, matrix[i]) == 0) {
            route_ice(x, true);
            return;
        }
    }
    route_files(x);
}

// evhttp takes a body for the next request where it expects none: such a connection ends here, so
// that a proxy in front and we cannot differ about where a request begins.
static bool has_stray_body(const struct exchange *x)
{
    const char *length = answer_header(x, "Content-Length");
    bool chunked = answer_header(x, "Transfer-Encoding");
    if (x->method == EVHTTP_REQ_POST || x->method == EVHTTP_REQ_PUT ||
        x->method == EVHTTP_REQ_PATCH)
        return chunked && length;
    return chunked || (length && strcmp(length, "0") != 0);
}

void route_request(struct evhttp_request *req, void *arg)
{
    struct http *h = arg;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    struct exchange x = {.http = h,
                         .req = req,
                         .method = evhttp_request_get_command(req),
                         .path = uri ? evhttp_uri_get_path(uri) : NULL,
                         .query = uri ? evhttp_uri_get_query(uri) : NULL};
    x.client = client_of(h, req);
    if (!x.client) {
        evhttp_connection_free(evhttp_request_get_connection(req));
        return;
    }
    if (!x.path)
        x.path = "";
    if (x.client->refused) {
        answer_add(&x, "Connection", "close");
        answer_add(&x, "Retry-After", "10");
        answer_error(&x, 503, "too many connections");
    } else if (has_stray_body(&x)) {
        answer_add(&x, "Connection", "close");
        answer_error(&x, 400, "this request must not have a body, or has two lengths");
    } else {
        route(&x);
    }
}
