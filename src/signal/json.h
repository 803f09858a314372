// SPDX-License-Identifier: BSD-2-Clause
// Checks a JSON text (RFC 8259) and says where the values of some members of the object at its top
// are, so that what is relayed goes on byte by byte as it came. A parser that makes values and
// writes them out again would lose members that are there twice, digits of numbers, and time.
#ifndef TP_SIGNAL_JSON_H
#define TP_SIGNAL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64 // levels of arrays and objects in a member of the object at the top

enum json_type {
    JSON_ABSENT,
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

// A value as it stands in the text, a string with its quotes. Borrowed from the text.
struct json_value {
    const char *at;
    size_t len;
    enum json_type type;
};

// Checks the whole text, which the caller knows to be UTF-8, and describes it in *top. Of an
// object, values[i] gets the member called names[i] (ASCII, at most JSON_KEY_MAX characters), the
// last of several as everywhere in JavaScript. 0, or -EINVAL: no JSON, or too deep.
#define JSON_KEY_MAX 16
int json_scan(const char *text, size_t len, struct json_value *top, const char *const *names,
              size_t count, struct json_value *values);

// The characters of a string, as UTF-8 without a zero. The length, or -EINVAL (half of a surrogate
// pair), -E2BIG.
int json_string(const struct json_value *v, char *out, size_t cap);

// Whether it is the string text, which is plain ASCII.
bool json_is(const struct json_value *v, const char *text);

#endif
