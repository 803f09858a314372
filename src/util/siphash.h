// SPDX-License-Identifier: BSD-2-Clause
// SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"): for every table whose keys
// an outsider chooses.
#ifndef TP_UTIL_SIPHASH_H
#define TP_UTIL_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0, k1;
};

// Hash of len bytes under key. No alignment is asked of data.
uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);

#endif
