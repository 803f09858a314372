// SPDX-License-Identifier: BSD-2-Clause
// Static files: which, in which form, and when none is sent at all (RFC 9110).
#include "http_fixture.h"

#include "http/files.h"

#define FILE_OF(path, type, etag, text, zipped)                                                    \
    {                                                                                              \
        path, type, etag, (const unsigned char *)(text), sizeof(text) - 1,                         \
            (const unsigned char *)(zipped), sizeof(zipped) - 1                                    \
    }

// In place of the page.
const struct web_file web_files[] = {
    {"icon.png", "image/png", "e3", (const unsigned char *)"PNG", 3, NULL, 0},
    FILE_OF("index.html", "text/html; charset=utf-8", "e1", "<!doctype html>", "zip"),
    FILE_OF("lib/a.js", "text/javascript; charset=utf-8", "e2", "let a;", "zap"),
};
const size_t web_file_count = sizeof web_files / sizeof *web_files;

static void get(struct http_fixture *f, const char *path, const char *name, const char *value)
{
    fixture_request(f, EVHTTP_REQ_GET, path);
    if (name)
        fixture_header(f, name, value);
    files_answer(&f->x);
    assert_int_equal(f->answers, 1);
}

static void names(void **state)
{
    struct http_fixture *f = *state;
    get(f, "/", NULL, NULL);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->body, "<!doctype html>");
    assert_string_equal(fixture_answer(f, "Content-Type"), "text/html; charset=utf-8");
    assert_string_equal(fixture_answer(f, "ETag"), "\"e1\"");
    assert_string_equal(fixture_answer(f, "Cache-Control"), "no-cache");
    assert_string_equal(fixture_answer(f, "Vary"), "Accept-Encoding");
    get(f, "/index.html", NULL, NULL);
    assert_string_equal(f->body, "<!doctype html>");
    get(f, "/lib/a.js", NULL, NULL);
    assert_string_equal(f->body, "let a;");
    get(f, "/icon.png", "Accept-Encoding", "gzip");
    assert_string_equal(f->body, "PNG");
    assert_null(fixture_answer(f, "Content-Encoding"));
    assert_null(fixture_answer(f, "Vary"));
    static const char *const none[] = {"/lib",         "/lib/",      "/lib/a.j", "/lib/a.jss",
                                       "//index.html", "/LIB/a.js",  "/../x",    "/x",
                                       "/%6cib/a.js",  "index.html", "",         "/index.html/"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        get(f, none[i], NULL, NULL);
        assert_int_equal(f->status, 404);
        assert_null(fixture_answer(f, "ETag"));
    }
}

static void encodings(void **state)
{
    struct http_fixture *f = *state;
    static const char *const zipped[] = {"gzip",           "GZIP",
                                         "br, gzip",       "gzip;q=0.5",
                                         "gzip ; q=0.1",   "*",
                                         "deflate,*;q=.2", "br;q=1, gzip;q=0.001",
                                         ",,gzip",         "identity, gzip",
                                         "\tgzip",         "*;q=0, gzip"};
    static const char *const plain[] = {
        "",       "identity", "gzip;q=0", "gzip;q=0.000", "xgzip",       "gzip2",      "br",
        "x-gzip", "*;q=0",    "gzi",      "br;q=gzip",    "gzip; q = 0", "*, gzip;q=0"};
    get(f, "/", NULL, NULL);
    assert_null(fixture_answer(f, "Content-Encoding"));
    for (size_t i = 0; i < sizeof zipped / sizeof *zipped; i++) {
        get(f, "/", "Accept-Encoding", zipped[i]);
        if (strcmp(f->body, "zip") != 0)
            fail_msg("not compressed for %s", zipped[i]);
        assert_string_equal(fixture_answer(f, "Content-Encoding"), "gzip");
        assert_string_equal(fixture_answer(f, "ETag"), "\"e1-gzip\"");
        assert_string_equal(fixture_answer(f, "Content-Length"), "3");
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        get(f, "/", "Accept-Encoding", plain[i]);
        if (strcmp(f->body, "<!doctype html>") != 0)
            fail_msg("compressed for %s", plain[i]);
        assert_string_equal(fixture_answer(f, "ETag"), "\"e1\"");
    }
}

static void conditions(void **state)
{
    struct http_fixture *f = *state;
    static const char *const same[] = {"\"e1\"",         "W/\"e1\"",       "*",
                                       "\"x\", \"e1\"",  "\"x\",W/\"e1\"", " \"e1\" ",
                                       "\"e1\" , \"x\"", ",\"e1\"",        "\"e1-gzip\", \"e1\""};
    static const char *const others[] = {
        "",        "\"x\"",    "e1",         "\"e1",    "\"e1-gzip\"",
        "\"e11\"", "w/\"e1\"", "W/W/\"e1\"", "\"e1\"x", "**"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        get(f, "/", "If-None-Match", same[i]);
        if (f->status != 304)
            fail_msg("%d for %s", f->status, same[i]);
        assert_int_equal(f->body_len, 0);
        assert_string_equal(fixture_answer(f, "ETag"), "\"e1\"");
        assert_null(fixture_answer(f, "Content-Length"));
        assert_null(fixture_answer(f, "Content-Encoding"));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        get(f, "/", "If-None-Match", others[i]);
        if (f->status != 200)
            fail_msg("%d for %s", f->status, others[i]);
    }
    fixture_request(f, EVHTTP_REQ_GET, "/");
    fixture_header(f, "Accept-Encoding", "gzip");
    fixture_header(f, "If-None-Match", "\"e1\"");
    files_answer(&f->x);
    assert_int_equal(f->status, 200); // the tag of the other form
    fixture_request(f, EVHTTP_REQ_GET, "/");
    fixture_header(f, "Accept-Encoding", "gzip");
    fixture_header(f, "If-None-Match", "\"e1-gzip\"");
    files_answer(&f->x);
    assert_int_equal(f->status, 304);
}

static void heads(void **state)
{
    struct http_fixture *f = *state;
    fixture_request(f, EVHTTP_REQ_HEAD, "/");
    files_answer(&f->x);
    assert_int_equal(f->status, 200);
    assert_int_equal(f->body_len, 0);
    assert_string_equal(fixture_answer(f, "Content-Length"), "15");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, http_fixture_setup, http_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(names), TEST(encodings), TEST(conditions), TEST(heads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
