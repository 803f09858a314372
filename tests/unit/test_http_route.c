// SPDX-License-Identifier: BSD-2-Clause
// Which part answers which request, and which requests none of them sees.
#include "http_fixture.h"

#include <event2/http_struct.h>

static struct http_fixture *fixture;
static char seen[128]; // who answers

struct client *__wrap_client_of(struct http *h, struct evhttp_request *req);
void __wrap_websocket_upgrade(struct exchange *x);
void __wrap_events_answer(struct exchange *x, const char *session);
void __wrap_ice_answer(struct exchange *x, bool matrix);
void __wrap_files_answer(struct exchange *x);

struct client *__wrap_client_of(struct http *h, struct evhttp_request *req)
{
    return &fixture->client;
}

void __wrap_websocket_upgrade(struct exchange *x)
{
    snprintf(seen, sizeof seen, "websocket%s", x->old ? " old" : "");
}

void __wrap_events_answer(struct exchange *x, const char *session)
{
    snprintf(seen, sizeof seen, "events %s", session);
}

void __wrap_ice_answer(struct exchange *x, bool matrix)
{
    snprintf(seen, sizeof seen, matrix ? "matrix" : "ice");
}

void __wrap_files_answer(struct exchange *x)
{
    snprintf(seen, sizeof seen, "files %s", x->path);
}

static int setup(void **state)
{
    int err = http_fixture_setup(state);
    fixture = *state;
    return err;
}

static void begin(enum evhttp_cmd_type method, const char *target)
{
    fixture_request(fixture, method, target);
    fixture_header(fixture, "Host", "a");
    *seen = '\0';
}

// Who answers; where nobody does, the status that was sent.
static const char *routed(void)
{
    route_request(fixture->x.req, &fixture->http);
    if (!*seen)
        snprintf(seen, sizeof seen, "%d", fixture->status);
    return seen;
}

static const char *routes(enum evhttp_cmd_type method, const char *target)
{
    begin(method, target);
    return routed();
}

static void paths(void **state)
{
    assert_string_equal(routes(EVHTTP_REQ_GET, "/"), "files /");
    assert_string_equal(routes(EVHTTP_REQ_GET, ""), "files ");
    assert_string_equal(routes(EVHTTP_REQ_GET, "//"), "files ");
    assert_string_equal(routes(EVHTTP_REQ_GET, "http://a"), "files /");
    assert_string_equal(routes(EVHTTP_REQ_GET, "http://a/ice?x"), "ice");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/lib/a.js?x"), "files /lib/a.js");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/signal"), "websocket");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/signal?token=/x"), "websocket");
    assert_string_equal(routes(EVHTTP_REQ_GET, "http://a/signal"), "websocket");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/signal/abc"), "events abc");
    assert_string_equal(routes(EVHTTP_REQ_POST, "/signal/abc/d"), "events abc/d");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/signal/"), "events ");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/signals"), "files /signals");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/Signal"), "files /Signal");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/ice"), "ice");
    assert_string_equal(routes(EVHTTP_REQ_HEAD, "/ice?x"), "ice");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/ice/"), "files /ice/");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/_matrix/client/v3/voip/turnServer"), "matrix");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/_matrix/client/r0/voip/turnServer"), "matrix");
    assert_string_equal(routes(EVHTTP_REQ_GET, "/_matrix/client/v3"), "files /_matrix/client/v3");
}

static void methods(void **state)
{
    static const struct {
        enum evhttp_cmd_type method;
        const char *target, *who, *allowed;
    } cases[] = {
        {EVHTTP_REQ_HEAD, "/", "files /", NULL},
        {EVHTTP_REQ_POST, "/", "405", "GET, HEAD, OPTIONS"},
        {EVHTTP_REQ_PUT, "/ice", "405", "GET, HEAD, OPTIONS"},
        {EVHTTP_REQ_DELETE, "/ice", "405", "GET, HEAD, OPTIONS"},
        {EVHTTP_REQ_POST, "/signal", "405", "GET, OPTIONS"},
        {EVHTTP_REQ_HEAD, "/signal", "405", "GET, OPTIONS"},
        {EVHTTP_REQ_OPTIONS, "/signal", "204", "GET, OPTIONS"},
        {EVHTTP_REQ_OPTIONS, "/ice", "204", "GET, HEAD, OPTIONS"},
        {EVHTTP_REQ_OPTIONS, "/", "204", "GET, HEAD, OPTIONS"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(routes(cases[i].method, cases[i].target), cases[i].who);
        if (cases[i].allowed)
            assert_string_equal(fixture_answer(fixture, "Allow"), cases[i].allowed);
    }
}

static void foreign_origins(void **state)
{
    static const char *const targets[] = {"/signal", "/signal/abc", "/ice",
                                          "/_matrix/client/v3/voip/turnServer"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        begin(EVHTTP_REQ_GET, targets[i]);
        fixture_header(fixture, "Origin", "http://evil");
        assert_string_equal(routed(), "403");
        begin(EVHTTP_REQ_OPTIONS, targets[i]);
        fixture_header(fixture, "Origin", "http://evil");
        assert_string_equal(routed(), "403");
    }
    begin(EVHTTP_REQ_GET, "/"); // the page is anybody's
    fixture_header(fixture, "Origin", "http://evil");
    assert_string_equal(routed(), "files /");
}

static const char *with(enum evhttp_cmd_type method, const char *const *headers)
{
    begin(method, "/signal/abc");
    for (; *headers; headers += 2)
        fixture_header(fixture, headers[0], headers[1]);
    return routed();
}

#define WITH(method, ...) with(EVHTTP_REQ_##method, (const char *const[]){__VA_ARGS__, NULL})

static void bodies(void **state)
{
    assert_string_equal(WITH(GET, "Content-Length", "0"), "events abc");
    assert_string_equal(WITH(POST, "Content-Length", "5"), "events abc");
    assert_string_equal(WITH(POST, "Transfer-Encoding", "chunked"), "events abc");
    assert_string_equal(WITH(GET, "Content-Length", "5"), "400");
    assert_string_equal(fixture_answer(fixture, "Connection"), "close");
    assert_string_equal(WITH(GET, "content-length", "00"), "400");
    assert_string_equal(WITH(GET, "Transfer-Encoding", "chunked"), "400");
    assert_string_equal(WITH(GET, "Content-Length", "0", "Content-Length", "9"), "400");
    assert_string_equal(WITH(DELETE, "Content-Length", "9"), "400");
    assert_string_equal(WITH(POST, "Content-Length", "5", "Content-Length", "5"), "400");
    assert_string_equal(WITH(POST, "Content-Length", "5", "Transfer-Encoding", "chunked"), "400");
    assert_string_equal(WITH(POST, "Transfer-Encoding", "gzip, chunked"), "400");
    assert_string_equal(WITH(PUT, "Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"),
                        "400");
}

static void headers(void **state)
{
    assert_string_equal(WITH(GET, "X-~!#$%&'*+.^_`|9", "a\tb \x80\xff"), "events abc");
    assert_string_equal(WITH(GET, "Content-Length ", "0"), "400");
    assert_string_equal(WITH(GET, "X Y", "a"), "400");
    assert_string_equal(WITH(GET, "", "a"), "400");
    assert_string_equal(WITH(GET, "X\x01", "a"), "400");
    assert_string_equal(WITH(GET, "X\xc3\xbc", "a"), "400");
    assert_string_equal(WITH(GET, "X", "a\x01"), "400");
    assert_string_equal(WITH(GET, "X", "a\x7f"), "400");
    assert_string_equal(WITH(GET, "host", "b"), "400"); // another one
    fixture_request(fixture, EVHTTP_REQ_GET, "/signal");
    *seen = '\0';
    assert_string_equal(routed(), "400"); // none
    fixture_request(fixture, EVHTTP_REQ_GET, "/signal");
    fixture->x.req->minor = 0;
    *seen = '\0';
    assert_string_equal(routed(), "websocket old"); // which had none then
    begin(EVHTTP_REQ_GET, "/signal");
    fixture->x.req->major = 0;
    assert_string_equal(routed(), "505");
}

static void refused(void **state)
{
    fixture->client.refused = true;
    assert_string_equal(routes(EVHTTP_REQ_GET, "/signal"), "503");
    assert_string_equal(fixture_answer(fixture, "Connection"), "close");
    assert_non_null(fixture_answer(fixture, "Retry-After"));
    assert_string_equal(routes(EVHTTP_REQ_GET, "/"), "503");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, http_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(paths),  TEST(methods), TEST(foreign_origins),
                                       TEST(bodies), TEST(headers), TEST(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
