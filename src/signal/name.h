// SPDX-License-Identifier: BSD-2-Clause
// Names of users and rooms as they are compared and shown.
#ifndef TP_SIGNAL_NAME_H
#define TP_SIGNAL_NAME_H

#include <stddef.h>

// Writes a name in its one form, without a zero: the OpaqueString profile (util/opaque.h), which
// composes accents, makes all spaces the one of ASCII and refuses what cannot be seen, and no
// spaces at either end; so what two keyboards make of one word is the same, and what looks the same
// mostly is. The length, 1 to max; or -EINVAL, -E2BIG (longer than max), -ENOMEM.
int name_prepare(char *out, size_t max, const char *in, size_t len);

// Writes a prepared name as a JSON string, with its quotes and without a zero; NAME_QUOTED(len)
// bytes are enough. Returns the length.
#define NAME_QUOTED(len) (2 * (len) + 2)
size_t name_quote(char *out, const char *name, size_t len);

#endif
