// SPDX-License-Identifier: BSD-2-Clause
// The code that brings two probes together: where the first one can be reached through the relay,
// and a random key that proves who was told.
#ifndef TP_PROBE_PUNCH_CODE_H
#define TP_PROBE_PUNCH_CODE_H

#include <stdint.h>

#include "util/addr.h"

#define PUNCH_KEY_LEN 16
#define PUNCH_CODE_LEN 80 // the longest, and a zero

struct punch_code {
    struct addr relayed;
    uint8_t key[PUNCH_KEY_LEN];
};

// Base32 (RFC 4648) in groups of five. Returns out.
const char *punch_code_encode(char out[PUNCH_CODE_LEN], const struct punch_code *code);

// Takes small letters, and blanks and hyphens anywhere. 0, or -EINVAL (a slip of the pen is noticed
// by a checksum).
int punch_code_decode(struct punch_code *out, const char *text);

#endif
