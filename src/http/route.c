// SPDX-License-Identifier: BSD-2-Clause
// What is where.
#include "http/internal.h"

#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <string.h>
#include <strings.h>

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

// evhttp takes a body for the next request where it expects none, and looks at the first header of
// a name only: such a connection ends here, so that a proxy in front and we cannot differ about
// where a request begins (RFC 9112 section 11.2).
static const char *check_body(const struct exchange *x)
{
    bool takes = x->method == EVHTTP_REQ_POST || x->method == EVHTTP_REQ_PUT ||
                 x->method == EVHTTP_REQ_PATCH;
    unsigned lengths = 0, codings = 0, others = 0;
    static const char digits[] = "0123456789";
    for (const struct evkeyval *h = evhttp_request_get_input_headers(x->req)->tqh_first; h;
         h = h->next.tqe_next) {
        if (strcasecmp(h->key, "Content-Length") == 0) {
            lengths++;
            others += !takes && strcmp(h->value, "0") != 0;
            others += !*h->value || h->value[strspn(h->value, digits)]; // evhttp takes "+5"
        } else if (strcasecmp(h->key, "Transfer-Encoding") == 0) {
            codings++;
            others += !takes || strcasecmp(h->value, "chunked") != 0;
        }
    }
    return others || lengths + codings > 1 ? "this request must not have a body, or has two lengths"
                                           : NULL;
}

// RFC 9112 sections 3.2 and 5.1, RFC 9110 sections 5.1 and 5.5: what evhttp lets pass.
static const char *check_headers(const struct exchange *x)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    unsigned hosts = 0;
    for (const struct evkeyval *h = evhttp_request_get_input_headers(x->req)->tqh_first; h;
         h = h->next.tqe_next) {
        if (!*h->key || h->key[strspn(h->key, token)])
            return "the name of a header is not one";
        for (const char *p = h->value; *p; p++)
            if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
                return "a header has control characters";
        hosts += strcasecmp(h->key, "Host") == 0;
    }
    return hosts == 1 || (hosts == 0 && x->old) ? NULL : "there has to be one Host header";
}

void route_request(struct evhttp_request *req, void *arg)
{
    struct http *h = arg;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    struct exchange x = {.http = h,
                         .req = req,
                         .method = evhttp_request_get_command(req),
                         .path = uri ? evhttp_uri_get_path(uri) : NULL,
                         .query = uri ? evhttp_uri_get_query(uri) : NULL,
                         .old = req->major == 1 && req->minor == 0};
    x.client = client_of(h, req);
    if (!x.client) {
        evhttp_connection_free(evhttp_request_get_connection(req));
        return;
    }
    if (!x.path)
        x.path = "";
    if (!*x.path && uri && evhttp_uri_get_scheme(uri))
        x.path = "/"; // http://host means http://host/ (RFC 9112 section 3.2.2)
    if (reserve_low(&h->reserve))
        answer_add(&x, "Connection", "close"); // the next request would be one more
    const char *wrong = check_body(&x);
    if (!wrong)
        wrong = check_headers(&x);
    if (x.client->refused) {
        answer_add(&x, "Connection", "close");
        answer_add(&x, "Retry-After", "10");
        answer_error(&x, 503, "too many connections");
    } else if (req->major != 1 || req->minor < 0 || req->minor > 9) {
        req->major = req->minor = 1; // of the answer
        answer_add(&x, "Connection", "close");
        answer_error(&x, 505, "HTTP/1.1 is spoken here");
    } else if (wrong) {
        answer_add(&x, "Connection", "close");
        answer_error(&x, 400, wrong);
    } else {
        if (answer_header(&x, "Transfer-Encoding")) // evhttp is lenient about chunks: the last one
            answer_add(&x, "Connection", "close");
        route(&x);
    }
}
