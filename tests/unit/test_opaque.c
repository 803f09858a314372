// SPDX-License-Identifier: BSD-2-Clause
// OpaqueString: the examples of RFC 8265, the contextual rules of RFC 5892, and what must not pass.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "util/opaque.h"

struct example {
    const char *in;
    const char *out; // NULL: refused
};

static void check(const struct example *e, size_t n)
{
    char out[4 * OPAQUE_IN_MAX], again[4 * OPAQUE_IN_MAX];
    const char *why;

    for (size_t i = 0; i < n; i++) {
        int len = opaque_prepare(out, sizeof(out), e[i].in, strlen(e[i].in), &why);
        if (!e[i].out) {
            assert_int_equal(len, -EINVAL);
            assert_non_null(why);
            continue;
        }
        assert_int_equal(len, strlen(e[i].out));
        assert_string_equal(out, e[i].out);
        assert_int_equal(opaque_prepare(again, sizeof(again), out, (size_t)len, &why), len);
        assert_string_equal(again, out);
    }
}
#define CHECK(e) check(e, sizeof(e) / sizeof(e[0]))

// RFC 8265 4.3, tables 3 and 4.
static void rfc8265(void **state)
{
    static const struct example e[] = {
        {"correct horse battery staple", "correct horse battery staple"},
        {"Correct Horse Battery Staple", "Correct Horse Battery Staple"},
        {"\u03c0\u00df\u00e5", "\u03c0\u00df\u00e5"},
        {"Jack of \u2666s", "Jack of \u2666s"},
        {"foo\u1680bar", "foo bar"},
        {"", NULL},
        {"my cat is a \x09"
         "by",
         NULL},
    };
    CHECK(e);
}

// RFC 8489 B.1: the user name, which is "Matrix" in Katakana, and the password of the samples, with
// a SOFT HYPHEN that SASLprep would have taken out and OpaqueString does not allow.
static void rfc8489(void **state)
{
    static const struct example e[] = {
        {"\u30de\u30c8\u30ea\u30c3\u30af\u30b9", "\u30de\u30c8\u30ea\u30c3\u30af\u30b9"},
        {"The\u00adM\u00aatr\u2168", NULL},
        {"TheMatrIX", "TheMatrIX"},
        {"M\u00aatr\u2168", "M\u00aatr\u2168"}, // compatibility equivalents stay
    };
    CHECK(e);
}

static void mapping(void **state)
{
    static const struct example e[] = {
        {"u\u0308ber", "\u00fcber"},
        {"\u212b", "\u00c5"},                   // ANGSTROM SIGN
        {"\u00a0\u2003\u3000x", "   x"},        // spaces
        {"\uff21", "\uff21"},                   // width stays
        {"\u1112\u1161\u11ab", "\ud55c"},       // Jamo that make a syllable
        {"\U0001d15e", "\U0001d157\U0001d165"}, // grows
        {"\U0001f600\U0010ffff", NULL},
        {" leading and trailing ", " leading and trailing "},
        {"%s%n; DROP TABLE \\\"'<>{}", "%s%n; DROP TABLE \\\"'<>{}"},
    };
    CHECK(e);
}

static void refused(void **state)
{
    static const struct example e[] = {
        {"a\nb", NULL},
        {"a\x1b[31m", NULL},
        {"a\x7f", NULL},
        {"\xc2\x85", NULL},
        {"\u200b", NULL},
        {"\u202euser", NULL},
        {"\ufeff", NULL},
        {"\ufdd0", NULL},
        {"\uffff", NULL},
        {"\ue000", NULL},
        {"\u0378", NULL},
        {"\u1100", NULL},
        {"\u0640", NULL},
        {"\u3031", NULL},
        {"\xff", NULL},
        {"\xc0\xaf", NULL},
        {"\xed\xa0\x80", NULL},
        {"\xe2\x82", NULL},
        {"\xf4\x90\x80\x80", NULL},
        {"\u2028", NULL},
        {"\U000e0001", NULL},
    };
    CHECK(e);
}

// RFC 5892 appendix A.
static void context(void **state)
{
    static const struct example e[] = {
        {"l\u00b7l", "l\u00b7l"},
        {"l\u00b7", NULL},
        {"\u00b7l", NULL},
        {"L\u00b7L", NULL},
        {"l\u0387l", "l\u00b7l"}, // canonically the same
        {"\u0375\u03b1", "\u0375\u03b1"},
        {"\u0375a", NULL},
        {"\u0375", NULL},
        {"\u05d0\u05f3", "\u05d0\u05f3"},
        {"a\u05f4", NULL},
        {"\u30a2\u30fb", "\u30a2\u30fb"},
        {"\u6f22\u30fb", "\u6f22\u30fb"},
        {"a\u30fbb", NULL},
        {"\u0661\u0662", "\u0661\u0662"},
        {"\u0661\u06f2", NULL},
        {"\u06f1", "\u06f1"},
        {"\u0915\u094d\u200d", "\u0915\u094d\u200d"},
        {"\u0915\u200d", NULL},
        {"\u200d", NULL},
        {"\u0915\u094d\u200c", "\u0915\u094d\u200c"},
        {"\u0628\u200c\u0628", "\u0628\u200c\u0628"},
        {"\u0628\u064b\u200c\u064b\u0628", "\u0628\u064b\u200c\u064b\u0628"},
        {"\u0628\u200c", NULL},
        {"a\u200cb", NULL},
        {"\u200c", NULL},
    };
    CHECK(e);
}

static void lengths(void **state)
{
    static char in[OPAQUE_IN_MAX + 1], out[8];
    const char *why;

    memset(in, 'x', sizeof(in));
    assert_int_equal(opaque_prepare(out, sizeof(out), in, 7, &why), 7);
    assert_string_equal(out, "xxxxxxx");
    assert_int_equal(opaque_prepare(out, sizeof(out), in, 8, &why), -E2BIG);
    assert_string_equal(why, "is too long, allowed are 7 bytes");
    assert_int_equal(opaque_prepare(out, sizeof(out), in, sizeof(in), &why), -E2BIG);
    assert_int_equal(opaque_prepare(out, sizeof(out), "a\0b", 3, &why), -EINVAL);
    assert_string_equal(why, "has U+0000, which OpaqueString (RFC 8265) does not allow there");
    assert_int_equal(opaque_prepare(out, 1, "a", 1, &why), -E2BIG);
    static char grown[4 * 3 * OPAQUE_IN_MAX];
    for (size_t i = 0; i < OPAQUE_IN_MAX; i += 4)
        memcpy(in + i, "\U0001d160", 4); // each becomes three
    assert_int_equal(opaque_prepare(grown, sizeof(grown), in, OPAQUE_IN_MAX, &why),
                     3 * OPAQUE_IN_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc8265), cmocka_unit_test(rfc8489), cmocka_unit_test(mapping),
        cmocka_unit_test(refused), cmocka_unit_test(context), cmocka_unit_test(lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
