// SPDX-License-Identifier: BSD-2-Clause
// --print-config can be loaded again and shows no secret; the manual page has the schema's options.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"

static struct conf *load(const char *text, bool dev)
{
    struct conf_errors errors;
    struct conf *c = conf_load_text(text, "t.conf", dev, NULL, 0, &errors);
    if (!c)
        print_error("%s", errors.text);
    assert_non_null(c);
    return c;
}

static char *printed(const struct conf *c)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    conf_print(c, f);
    assert_int_equal(fclose(f), 0);
    return text;
}

// Print, load, print: the same text.
static void check_round_trip(const char *text, bool dev)
{
    struct conf *c = load(text, dev);
    char *first = printed(c), *second;
    conf_free(c);
    c = load(first, false);
    second = printed(c);
    assert_string_equal(first, second);
    conf_free(c);
    free(first);
    free(second);
}

static void round_trip(void **state)
{
    check_round_trip("realm = \"example.org\";", false);
    check_round_trip("", true);
    check_round_trip(
        "realm = \"\xc3\xa9 %s'\";\n"
        "workers = 12; user = \"a\\\\b\\\"c\\t\"; group = \"g\";\n"
        "listen = ( { transport = \"tcp\"; address = \"2001:db8::1\"; port = 1; } );\n"
        "relay = { addresses = [ \"10.0.0.1\", \"10.0.0.2\", \"fd00::1\" ];\n"
        "  external = [ \"10.0.0.1/192.0.2.1\", \"2001:db8::2\" ]; ports = [ 1, 65535 ];\n"
        "  allow = [ \"10.0.0.0/8\", \"0.0.0.0/0\", \"::/0\", \"192.0.2.7\", "
        "\"10.0.0.1-10.0.1.7\", "
        "\"fd00::-fd00::5\" ]; deny = ( \"2001:db8::/33\" ); };\n"
        "auth = { stores = [ \"sqlite:/x y\", \"redis://127.0.0.1:6379/0?layout=coturn\" ]; "
        "nonce_lifetime = 60; "
        "cache_ttl = 0; };\n"
        "limits = { user_allocations = 2147483647; tcp_backlog = 0x10000; };\n"
        "log = { level = \"error\"; format = \"json\"; target = \"file:/var/log/t\"; };\n",
        false);
}

static void values_survive(void **state)
{
    struct conf *c = load(
        "realm = \"r\"; relay = { deny = [ \"10.0.0.0/9\", \"::1\", \"10.0.0.1-10.0.1.7\" ]; };",
        false);
    char *text = printed(c);
    assert_non_null(strstr(text, "\"10.0.0.0/9\",\n"));
    assert_non_null(strstr(text, "\"::1\",\n"));
    assert_non_null(strstr(text, "\"10.0.0.1-10.0.1.7\"\n"));
    conf_free(c);
    free(text);
}

static void no_secret_is_shown(void **state)
{
    struct conf *c =
        load("realm = \"r\";\n"
             "auth = { users = ( { name = \"alice\"; password = \"SECRET1\"; },\n"
             "  { name = \"bob\"; key = \"00112233445566778899aabbccddeeff\"; } );\n"
             "  secrets = [ \"SECRET2\" ];\n"
             "  nonce_key = \"000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\";\n"
             "  stores = [ \"redis://:SECRET3@h:1/0\", \"redis://me:SEC@RET:4@h:2/0\", "
             "\"redis://h:3/0\", \"redis+unix://me:SECRET5@/r@b?db=1\" ]; };\n",
             false);
    char *text = printed(c);
    assert_null(strstr(text, "SEC"));
    assert_null(strstr(text, "RET"));
    assert_null(strstr(text, "0011"));
    assert_null(strstr(text, "0001"));
    assert_non_null(strstr(text, "{ name = \"alice\"; password = \"<hidden>\"; }"));
    assert_non_null(strstr(text, "{ name = \"bob\"; key = \"<hidden>\"; }"));
    assert_non_null(strstr(text, "nonce_key = \"<hidden>\";"));
    assert_non_null(strstr(text, "\"redis://:<hidden>@h:1/0\""));
    assert_non_null(strstr(text, "\"redis://me:<hidden>@h:2/0\""));
    assert_non_null(strstr(text, "\"redis://h:3/0\""));
    assert_non_null(strstr(text, "\"redis+unix://me:<hidden>@"));
    conf_free(c);
    free(text);
}

static char *slurp(const char *path)
{
    char *text = calloc(1, 1 << 18);
    FILE *f = fopen(path, "r");
    assert_non_null(text);
    assert_non_null(f);
    assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
    fclose(f);
    return text;
}

static void manual_has_the_options(void **state)
{
    const char *srcdir = getenv("TP_SRCDIR");
    char path[4096], *page, *options = NULL;
    size_t size;
    FILE *f = open_memstream(&options, &size);

    assert_non_null(srcdir);
    assert_non_null(f);
    conf_print_manual(f);
    fclose(f);
    snprintf(path, sizeof(path), "%s/doc/turnpike.conf.5.in", srcdir);
    page = slurp(path);
    if (!strstr(page, options))
        print_error("run `make update-man`, the options in %s are not those of the schema\n", path);
    assert_non_null(strstr(page, options));
    free(page);
    free(options);
}

static void shipped_file_loads(void **state)
{
    const char *srcdir = getenv("TP_SRCDIR");
    char path[4096];
    struct conf_errors errors;
    struct conf *c;

    assert_non_null(srcdir);
    snprintf(path, sizeof(path), "%s/etc/turnpike.conf", srcdir);
    c = conf_load(path, false, NULL, 0, &errors);
    if (!c)
        print_error("%s", errors.text);
    assert_non_null(c);
    conf_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),         cmocka_unit_test(values_survive),
        cmocka_unit_test(no_secret_is_shown), cmocka_unit_test(manual_has_the_options),
        cmocka_unit_test(shipped_file_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
