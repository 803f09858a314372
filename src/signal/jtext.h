// SPDX-License-Identifier: BSD-2-Clause
// Checks a JSON text (RFC 8259) and says where the values of some members of the object at its top
// are, so that what is relayed goes on byte by byte as it came. A parser that makes values and
// writes them out again would lose members that are there twice, digits of numbers, and time.
#ifndef TP_SIGNAL_JTEXT_H
#define TP_SIGNAL_JTEXT_H

#include <stdbool.h>
#include <stddef.h>

#define JTEXT_DEPTH_MAX 64 // levels of arrays and objects in a member of the object at the top

enum jtype { J_ABSENT, J_NULL, J_FALSE, J_TRUE, J_NUMBER, J_STRING, J_ARRAY, J_OBJECT };

// A value as it stands in the text, a string with its quotes. Borrowed from the text.
struct jvalue {
    const char *at;
    size_t len;
    enum jtype type;
};

// Checks the whole text, which the caller knows to be UTF-8, and describes it in *top. Of an
// object, values[i] gets the member called names[i] (ASCII, at most JTEXT_KEY_MAX characters), the
// last of several as everywhere in JavaScript. 0, or -EINVAL: no JSON, or too deep.
#define JTEXT_KEY_MAX 16
int jtext_scan(const char *text, size_t len, struct jvalue *top, const char *const *names,
               size_t count, struct jvalue *values);

// The characters of a string, as UTF-8 without a zero. The length, or -EINVAL (half of a surrogate
// pair), -E2BIG.
int jvalue_string(const struct jvalue *v, char *out, size_t cap);

// Whether it is the string text, which is plain ASCII.
bool jvalue_is(const struct jvalue *v, const char *text);

#endif
