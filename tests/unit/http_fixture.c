// SPDX-License-Identifier: BSD-2-Clause
#include "http_fixture.h"

#include <event2/http_struct.h>

static struct http_fixture *current;

void __wrap_evhttp_send_reply(struct evhttp_request *req, int status, const char *reason,
                              struct evbuffer *body);

void __wrap_evhttp_send_reply(struct evhttp_request *req, int status, const char *reason,
                              struct evbuffer *body)
{
    struct http_fixture *f = current;
    assert_ptr_equal(req, f->x.req);
    f->answers++;
    f->status = status;
    f->body_len = body ? evbuffer_get_length(body) : 0;
    free(f->body);
    f->body = calloc(1, f->body_len + 1);
    if (body)
        evbuffer_copyout(body, f->body, f->body_len);
}

void fixture_configure(struct http_fixture *f, const char *settings)
{
    char text[2048];
    struct conf_errors errors;
    snprintf(text, sizeof text,
             "realm = \"example.org\"; relay = { addresses = [ \"192.0.2.1\" ]; };\n"
             "signal = { address = \"127.0.0.1\"; port = 8080; %s };\n",
             settings);
    conf_free(f->snapshot.conf);
    f->snapshot.conf = conf_load_text(text, "t.conf", false, NULL, 0, &errors);
    if (!f->snapshot.conf)
        print_error("%s", errors.text);
    assert_non_null(f->snapshot.conf);
}

void fixture_request(struct http_fixture *f, enum evhttp_cmd_type method, const char *target)
{
    if (f->x.req)
        evhttp_request_free(f->x.req);
    struct evhttp_request *req = evhttp_request_new(NULL, NULL);
    assert_non_null(req);
    req->type = method;
    req->major = req->minor = 1;
    req->uri_elems = evhttp_uri_parse_with_flags(target, EVHTTP_URI_NONCONFORMANT);
    assert_non_null(req->uri_elems);
    f->x = (struct exchange){.http = &f->http,
                             .client = &f->client,
                             .req = req,
                             .method = method,
                             .path = evhttp_uri_get_path(req->uri_elems),
                             .query = evhttp_uri_get_query(req->uri_elems)};
    f->answers = 0;
}

void fixture_header(struct http_fixture *f, const char *name, const char *value)
{
    assert_int_equal(evhttp_add_header(evhttp_request_get_input_headers(f->x.req), name, value), 0);
}

const char *fixture_answer(const struct http_fixture *f, const char *name)
{
    return evhttp_find_header(evhttp_request_get_output_headers(f->x.req), name);
}

int http_fixture_setup(void **state)
{
    struct http_fixture *f = calloc(1, sizeof *f);
    *state = current = f;
    f->http.snapshot = &f->snapshot;
    f->client.http = &f->http;
    fixture_configure(f, "");
    fixture_request(f, EVHTTP_REQ_GET, "/");
    return 0;
}

int http_fixture_teardown(void **state)
{
    struct http_fixture *f = *state;
    evhttp_request_free(f->x.req);
    conf_free(f->snapshot.conf);
    free(f->body);
    free(f);
    return 0;
}
