// SPDX-License-Identifier: BSD-2-Clause
// The JSON scanner: what it takes is what jansson takes, and it finds what is there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "signal/jtext.h"

static const char *const names[] = {"type", "data", "id"};

static int scan(const char *text, struct jvalue *top, struct jvalue v[3])
{
    return jtext_scan(text, strlen(text), top, names, 3, v);
}

static void assert_value(const struct jvalue *v, const char *text)
{
    assert_int_equal(v->len, strlen(text));
    assert_memory_equal(v->at, text, v->len);
}

static void finds_members(void **state)
{
    struct jvalue top, v[3];

    assert_int_equal(
        scan(" {\"x\":{\"type\":1}, \"type\" : \"a\\\"b\" ,\"data\":[1, {\"id\":2}]}\n", &top, v),
        0);
    assert_int_equal(top.type, J_OBJECT);
    assert_value(&v[0], "\"a\\\"b\"");
    assert_int_equal(v[0].type, J_STRING);
    assert_value(&v[1], "[1, {\"id\":2}]");
    assert_int_equal(v[1].type, J_ARRAY);
    assert_int_equal(v[2].type, J_ABSENT);
    assert_int_equal(scan("{\"id\":1,\"\\u0069\\u0064\":-2.5e3}", &top, v), 0);
    assert_value(&v[2], "-2.5e3");
    assert_int_equal(v[2].type, J_NUMBER);
    assert_int_equal(scan("{\"id\\u0000\":1,\"idd\":2,\"i\":3,\"\":4}", &top, v), 0);
    assert_int_equal(v[2].type, J_ABSENT);
    assert_int_equal(scan("[{\"id\":1}]", &top, v), 0);
    assert_int_equal(top.type, J_ARRAY);
    assert_int_equal(v[2].type, J_ABSENT);
    assert_int_equal(scan("{\"id\":true,\"data\":null,\"type\":false}", &top, v), 0);
    assert_int_equal(v[2].type, J_TRUE);
    assert_int_equal(v[1].type, J_NULL);
    assert_int_equal(v[0].type, J_FALSE);
    assert_int_equal(scan("{\"id\":{},\"data\":[],\"type\":\"\"}", &top, v), 0);
    assert_value(&v[2], "{}");
    assert_value(&v[1], "[]");
    assert_value(&v[0], "\"\"");
}

static void unescapes(void **state)
{
    static const struct {
        const char *in, *out;
        int rc;
    } cases[] = {
        {"\"\"", "", 0},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "a\"\\/\b\f\n\r\t", 0},
        {"\"\\u00e9\\u20AC\\ud83d\\uDE00\"", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 0},
        {"\"\\ud83d\"", NULL, -EINVAL},
        {"\"\\ude00\"", NULL, -EINVAL},
        {"\"\\ud83d\\u0041\"", NULL, -EINVAL},
        {"\"\\ud83dxxxxxx\"", NULL, -EINVAL},
        {"\"0123456789abcdef\"", "0123456789abcdef", 0},
        {"\"0123456789abcdef0\"", NULL, -E2BIG},
        {"\"0123456789abcde\\u00e9\"", NULL, -E2BIG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct jvalue top;
        char out[16];
        assert_int_equal(jtext_scan(cases[i].in, strlen(cases[i].in), &top, NULL, 0, NULL), 0);
        int n = jvalue_string(&top, out, sizeof out);
        if (cases[i].out) {
            assert_int_equal(n, strlen(cases[i].out));
            assert_memory_equal(out, cases[i].out, (size_t)n);
        } else {
            assert_int_equal(n, cases[i].rc);
        }
    }
}

static void depth(void **state)
{
    char text[400];
    struct jvalue top, v[3];

    for (int n = 60; n < 70; n++) {
        char *p = text + sprintf(text, "{\"data\":");
        for (int i = 0; i < n; i++)
            p += sprintf(p, i % 2 ? "[" : "{\"a\":");
        *p++ = '1';
        for (int i = n - 1; i >= 0; i--)
            *p++ = i % 2 ? ']' : '}';
        strcpy(p, "}");
        assert_int_equal(scan(text, &top, v), n <= JTEXT_DEPTH_MAX ? 0 : -EINVAL);
    }
}

static uint64_t seed = 1;

static unsigned pick(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

// Texts from the words of JSON, by chance; most are wrong somewhere, some by one word.
static void agrees_with_jansson(void **state)
{
    static const char *const words[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        ":",
                                        ",",
                                        "\"a\"",
                                        "\"id\"",
                                        "1",
                                        "-1.5e-2",
                                        "null",
                                        "true",
                                        "false",
                                        " ",
                                        "\n",
                                        "\"\\n\\u0041\"",
                                        "\"\xc3\xa9\"",
                                        "0",
                                        "{}",
                                        "[]",
                                        "\"x\":1",
                                        "[1,2]",
                                        "{\"a\":[]}",
                                        "01",
                                        "1.",
                                        "\"",
                                        "\\"};
    unsigned good = 0;

    for (int round = 0; round < 200000; round++) {
        char text[256] = "";
        size_t len = 0;
        unsigned n = 1 + pick(8);
        for (unsigned i = 0; i < n; i++)
            len += (size_t)sprintf(text + len, "%s", words[pick(sizeof words / sizeof *words)]);
        struct jvalue top, v[3];
        int rc = jtext_scan(text, len, &top, names, 3, v);
        json_t *j = json_loadb(text, len, JSON_DECODE_ANY, NULL);
        if ((rc == 0) != (j != NULL))
            fail_msg("%s: %d, jansson %s", text, rc, j ? "takes it" : "does not");
        good += j != NULL;
        json_decref(j);
    }
    assert_in_range(good, 1000, 199000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_members),
        cmocka_unit_test(unescapes),
        cmocka_unit_test(depth),
        cmocka_unit_test(agrees_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
