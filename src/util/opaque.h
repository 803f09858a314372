// SPDX-License-Identifier: BSD-2-Clause
// The OpaqueString profile of PRECIS (RFC 8265 section 4): what user names, realms and passwords
// have to be made into before they are stored or hashed (RFC 8489 14.3, 14.9, 18.5.1), so that what
// two keyboards make of one word is the same.
#ifndef TP_UTIL_OPAQUE_H
#define TP_UTIL_OPAQUE_H

#include <stddef.h>

#define OPAQUE_IN_MAX 1024 // bytes

// Writes the prepared form of a text and a zero. The length, which is at most cap - 1; or
// -EINVAL: it is empty, no UTF-8, or holds what is not allowed (a control character, a code point
// that is not assigned); -E2BIG: longer than OPAQUE_IN_MAX or, prepared, than cap - 1; -ENOMEM.
// *why then goes on with a sentence about the text, "has U+0007, which ..."; valid until the next
// call in this thread.
int opaque_prepare(char *out, size_t cap, const void *text, size_t len, const char **why);

#endif
