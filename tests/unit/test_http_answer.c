// SPDX-License-Identifier: BSD-2-Clause
// What every request is asked, and what every answer says.
#include "http_fixture.h"

static void words_in_lists(void **state)
{
    assert_true(header_has("upgrade", "upgrade"));
    assert_true(header_has("Keep-Alive, UpGrade", "upgrade"));
    assert_true(header_has(" ,, upgrade\t ,x", "upgrade"));
    assert_true(header_has("a,upgrade", "upgrade"));
    assert_false(header_has("upgrades", "upgrade"));
    assert_false(header_has("no-upgrade", "upgrade"));
    assert_false(header_has("upgrade x", "upgrade"));
    assert_false(header_has("upgrad", "upgrade"));
    assert_false(header_has("", "upgrade"));
    assert_false(header_has(", ,", "upgrade"));
    assert_false(header_has(NULL, "upgrade"));
}

static void several_headers(void **state)
{
    struct http_fixture *f = *state;
    assert_null(answer_header(&f->x, "Connection"));
    assert_null(answer_only(&f->x, "Connection"));
    assert_false(answer_has(&f->x, "Connection", "upgrade"));
    fixture_header(f, "connection", "keep-alive");
    assert_string_equal(answer_header(&f->x, "Connection"), "keep-alive");
    assert_string_equal(answer_only(&f->x, "Connection"), "keep-alive");
    assert_false(answer_has(&f->x, "Connection", "upgrade"));
    fixture_header(f, "X", "upgrade");
    fixture_header(f, "CONNECTION", "x, Upgrade");
    assert_string_equal(answer_header(&f->x, "Connection"), "keep-alive");
    assert_null(answer_only(&f->x, "Connection"));
    assert_true(answer_has(&f->x, "Connection", "upgrade"));
    fixture_header(f, "Key", "\t value");
    assert_string_equal(answer_only(&f->x, "Key"), "value");
}

static void assert_token(struct http_fixture *f, const char *expected)
{
    char buf[16];
    const char *token = answer_token(&f->x, buf, sizeof buf);
    if (expected)
        assert_string_equal(token, expected);
    else
        assert_null(token);
}

static void tokens(void **state)
{
    struct http_fixture *f = *state;
    static const struct {
        const char *target, *header, *token;
    } cases[] = {
        {"/ice", NULL, NULL},
        {"/ice", "Bearer a.b.c", "a.b.c"},
        {"/ice", "bearer   a.b.c", "a.b.c"},
        {"/ice", "Bearer ", NULL},
        {"/ice", "Bearer", NULL},
        {"/ice", "Basic YTpi", NULL},
        {"/ice?token=a.b.c", NULL, "a.b.c"},
        {"/ice?x=1&token=a&y", NULL, "a"},
        {"/ice?token=", NULL, NULL},
        {"/ice?token", NULL, NULL},
        {"/ice?xtoken=a", NULL, NULL},
        {"/ice?&&token=a&token=b", NULL, "a"},
        {"/ice?token=query", "Bearer header", "header"},
        {"/ice?token=query", "Basic header", "query"},
        {"/ice", "Bearer 123456789012345", "123456789012345"}, // as much as there is room for
        {"/ice", "Bearer 1234567890123456", NULL},
        {"/ice?token=1234567890123456", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_request(f, EVHTTP_REQ_GET, cases[i].target);
        if (cases[i].header)
            fixture_header(f, "Authorization", cases[i].header);
        assert_token(f, cases[i].token);
    }
}

// Whether that origin is let in at that host.
static bool lets_in(struct http_fixture *f, const char *host, const char *origin)
{
    fixture_request(f, EVHTTP_REQ_GET, "/ice");
    if (host)
        fixture_header(f, "Host", host);
    if (origin)
        fixture_header(f, "Origin", origin);
    bool in = answer_origin(&f->x);
    assert_string_equal(fixture_answer(f, "Vary"), "Origin");
    assert_int_equal(f->answers, !in);
    if (!in)
        assert_int_equal(f->status, 403);
    return in;
}

static void origins(void **state)
{
    struct http_fixture *f = *state;
    assert_true(lets_in(f, "a:1", NULL));
    assert_true(lets_in(f, "a:1", "http://a:1"));
    assert_true(lets_in(f, "a:1", "http://A:1"));
    assert_true(lets_in(f, "a:1", "https://a:1")); // a proxy may speak TLS for us
    assert_null(fixture_answer(f, "Access-Control-Allow-Origin"));
    static const char *const others[] = {
        "http://a", "http://a:12", "http://xa:1",  "ftp://a:1",    "http:/a:1", "null",
        "",         "a:1",         "http://a:1/x", "http://a:1 b", "HTTP://a:1"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(lets_in(f, "a:1", others[i]));
    assert_false(lets_in(f, NULL, "http://a:1"));

    fixture_configure(f, "origins = [ \"https://app.example.org\", \"http://localhost:8000\" ];");
    assert_true(lets_in(f, "a", "https://app.example.org"));
    assert_string_equal(fixture_answer(f, "Access-Control-Allow-Origin"),
                        "https://app.example.org");
    assert_true(lets_in(f, "a", "http://localhost:8000"));
    assert_true(lets_in(f, "a", "http://a"));
    assert_false(lets_in(f, "a", "https://app.example.org:443"));
    assert_false(lets_in(f, "a", "http://app.example.org"));
    assert_false(lets_in(f, "a", "https://app.example.org.evil"));

    fixture_configure(f, "origins = [ \"*\" ];");
    assert_true(lets_in(f, "a", "https://anybody"));
    assert_string_equal(fixture_answer(f, "Access-Control-Allow-Origin"), "https://anybody");
}

static void assert_address(struct http_fixture *f, const char *const *lists, const char *expected)
{
    char text[ADDR_STRLEN];
    fixture_request(f, EVHTTP_REQ_GET, "/");
    for (; *lists; lists++)
        fixture_header(f, "X-Forwarded-For", *lists);
    struct addr a = answer_client_address(&f->x);
    assert_string_equal(addr_format_ip(&a, text), expected);
    assert_int_equal(a.port, 0);
}

#define LISTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void addresses(void **state)
{
    struct http_fixture *f = *state;
    assert_int_equal(addr_parse_ip(&f->client.addr, "10.0.0.1", 4000), 0);
    assert_address(f, LISTS(NULL), "10.0.0.1");
    assert_address(f, LISTS("203.0.113.5"), "10.0.0.1"); // nobody is believed
    fixture_configure(f, "proxies = [ \"10.0.0.0/8\", \"fd00::/8\" ];");
    assert_address(f, LISTS(NULL), "10.0.0.1");
    assert_address(f, LISTS("203.0.113.5"), "203.0.113.5");
    assert_address(f, LISTS(" 1.2.3.4 ,\t203.0.113.5 "), "203.0.113.5");
    assert_address(f, LISTS("1.2.3.4", "203.0.113.5"), "203.0.113.5");
    assert_address(f, LISTS("1.2.3.4,203.0.113.5, 10.1.1.1"), "203.0.113.5"); // two proxies
    assert_address(f, LISTS("10.3.3.3, 10.2.2.2"), "10.3.3.3");
    assert_address(f, LISTS("2001:db8::5, fd00::1"), "2001:db8::5");
    assert_address(f, LISTS("1.2.3.4, unknown"), "10.0.0.1");
    assert_address(f, LISTS("1.2.3.4, unknown, 10.1.1.1"), "10.1.1.1");
    assert_address(f, LISTS(""), "10.0.0.1");
    assert_address(f, LISTS(" , ,"), "10.0.0.1");
    assert_address(f, LISTS("203.0.113.5:80"), "203.0.113.5");
    assert_address(f, LISTS("[2001:db8::5]:80, [fd00::1]"), "2001:db8::5");
    assert_address(f, LISTS("203.0.113.5:80:80"), "10.0.0.1");
    assert_address(f, LISTS("1.2.3.4", "203.0.113.5, 10.2.2.2", "10.1.1.1"), "203.0.113.5");
    char longest[3000];
    memset(longest, '1', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_address(f, LISTS(longest), "10.0.0.1");
    assert_int_equal(addr_parse_ip(&f->client.addr, "192.0.2.77", 4000), 0);
    assert_address(f, LISTS("203.0.113.5"), "192.0.2.77"); // no proxy
}

// Only who came to a loopback address is asked for a name that is ours.
static void names_of_the_host(void **state)
{
    struct http_fixture *f = *state;
    static const struct {
        const char *host;
        bool rebound;
    } cases[] = {
        {"evil.example", true},  {"evil.example:8080", true}, {"127.0.0.1.evil.example", true},
        {"xlocalhost", true},    {"localhost.evil", true},    {"localhost", false},
        {"LocalHost.:1", false}, {"a.localhost:1", false},    {"127.0.0.1:1", false},
        {"[::1]", false},        {"[::1]:1", false},          {"Rtc.example.net:1", false},
    };
    fixture_configure(f, "host = \"rtc.example.net\";");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int loopback = 0; loopback < 2; loopback++) {
            fixture_request(f, EVHTTP_REQ_GET, "/ice");
            fixture_header(f, "Host", cases[i].host);
            f->client.loopback = loopback;
            assert_int_equal(host_is_rebound(&f->x), loopback && cases[i].rebound);
            assert_int_equal(answer_origin(&f->x), !(loopback && cases[i].rebound));
        }
    }
    f->client.loopback = false;
}

static void policies(void **state)
{
    struct http_fixture *f = *state;
    static const struct {
        const char *host;
        bool named;
    } cases[] = {{"example.org:8080", true},
                 {"[2001:db8::1]:80", true},
                 {NULL, false},
                 {"", false},
                 {"a b", false},
                 {"a;script-src *", false},
                 {"a'b", false},
                 {"a,b", false},
                 {"a/b", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sockets[300];
        fixture_request(f, EVHTTP_REQ_GET, "/");
        if (cases[i].host)
            fixture_header(f, "Host", cases[i].host);
        answer_send(&f->x, 200, "text/plain", "body", 4);
        assert_int_equal(f->status, 200);
        assert_string_equal(f->body, "body");
        const char *policy = fixture_answer(f, "Content-Security-Policy");
        snprintf(sockets, sizeof sockets, "connect-src 'self' ws://%s wss://%s;",
                 cases[i].host ? cases[i].host : "", cases[i].host ? cases[i].host : "");
        if (cases[i].named)
            assert_non_null(strstr(policy, sockets));
        else
            assert_non_null(strstr(policy, "connect-src 'self';"));
        assert_null(strstr(policy, "unsafe"));
        assert_string_equal(fixture_answer(f, "X-Content-Type-Options"), "nosniff");
        assert_string_equal(fixture_answer(f, "Content-Length"), "4");
    }
    char host[400];
    memset(host, 'a', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    fixture_request(f, EVHTTP_REQ_GET, "/");
    fixture_header(f, "Host", host);
    answer_send(&f->x, 204, NULL, NULL, 0);
    assert_non_null(strstr(fixture_answer(f, "Content-Security-Policy"), "frame-ancestors 'none'"));
    assert_null(fixture_answer(f, "Content-Type"));
    assert_null(fixture_answer(f, "Content-Length"));
}

static void errors(void **state)
{
    struct http_fixture *f = *state;
    answer_error(&f->x, 404, "nothing");
    assert_int_equal(f->status, 404);
    assert_string_equal(f->body, "{\"error\":\"nothing\"}\n");
    assert_string_equal(fixture_answer(f, "Cache-Control"), "no-store");
    fixture_request(f, EVHTTP_REQ_HEAD, "/");
    answer_error(&f->x, 404, "nothing");
    assert_int_equal(f->body_len, 0);
    assert_string_equal(fixture_answer(f, "Content-Length"), "20");
    fixture_request(f, EVHTTP_REQ_DELETE, "/");
    answer_not_allowed(&f->x, "GET, OPTIONS");
    assert_int_equal(f->status, 405);
    assert_string_equal(fixture_answer(f, "Allow"), "GET, OPTIONS");
    assert_null(fixture_answer(f, "Access-Control-Allow-Methods"));
    fixture_request(f, EVHTTP_REQ_OPTIONS, "/");
    answer_not_allowed(&f->x, "GET, OPTIONS");
    assert_int_equal(f->status, 204);
    assert_int_equal(f->body_len, 0);
    assert_string_equal(fixture_answer(f, "Access-Control-Allow-Methods"), "GET, OPTIONS");
    assert_non_null(strstr(fixture_answer(f, "Access-Control-Allow-Headers"), "Authorization"));
}

static void beginnings(void **state)
{
    struct http_fixture *f = *state;
    struct evbuffer *out = evbuffer_new();
    answer_add(&f->x, "A", "b");
    answer_add(&f->x, "Evil", "c\r\nX-Evil: 1"); // evhttp takes none that begins another
    answer_begin(&f->x, 101, "Switching Protocols", out);
    evbuffer_add(out, "", 1);
    assert_string_equal((char *)evbuffer_pullup(out, -1),
                        "HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n");
    evbuffer_free(out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, http_fixture_setup, http_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(words_in_lists), TEST(several_headers), TEST(tokens),
        TEST(origins),        TEST(addresses),       TEST(names_of_the_host),
        TEST(policies),       TEST(errors),          TEST(beginnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
