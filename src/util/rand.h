// SPDX-License-Identifier: BSD-2-Clause
// Randomness that an attacker cannot guess: everything from the kernel's CSPRNG by way of
// OpenSSL's.
#ifndef TP_UTIL_RAND_H
#define TP_UTIL_RAND_H

#include <stddef.h>
#include <stdint.h>

// Fills buf with len random bytes. Aborts the process if the system has no randomness: a relay that
// goes on with predictable nonces and ports is worse than none.
void rand_bytes(void *buf, size_t len);

// Uniform in [0, bound), bound > 0, without modulo bias. From a stock that each thread keeps: not
// for a process that forks and goes on in both halves.
uint32_t rand_uniform(uint32_t bound);

#endif
