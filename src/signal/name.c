// SPDX-License-Identifier: BSD-2-Clause
#include "signal/name.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "util/opaque.h"

static bool all_printable_ascii(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] < 0x20 || s[i] > 0x7e)
            return false;
    return true;
}

int name_prepare(char *out, size_t max, const char *in, size_t len)
{
    char prepared[OPAQUE_IN_MAX + 1];

    // OpaqueString leaves ASCII as it is, and most names are nothing else.
    if (!all_printable_ascii(in, len)) {
        const char *why;
        int n = opaque_prepare(prepared, sizeof prepared, in, len, &why);
        if (n < 0)
            return n;
        in = prepared;
        len = (size_t)n;
    }
    while (len > 0 && in[len - 1] == ' ')
        len--;
    for (; len > 0 && *in == ' '; len--)
        in++;
    if (len == 0)
        return -EINVAL;
    if (len > max)
        return -E2BIG;
    memcpy(out, in, len);
    return (int)len;
}

size_t name_quote(char *out, const char *name, size_t len)
{
    char *o = out;

    *o++ = '"';
    for (size_t i = 0; i < len; i++) {
        // Control characters are in no prepared name.
        if (name[i] == '"' || name[i] == '\\')
            *o++ = '\\';
        *o++ = name[i];
    }
    *o++ = '"';
    return (size_t)(o - out);
}
