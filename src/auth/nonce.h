// SPDX-License-Identifier: BSD-2-Clause
// Stateless nonces: the RFC 8489 cookie "obMatJos2", the security feature bits (section 9.2), the time, and a MAC over time, client IP
// and realm. A flood of requests costs no memory, and nodes that share a key accept each other's.
#ifndef TP_AUTH_NONCE_H
#define TP_AUTH_NONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

#define NONCE_COOKIE "obMatJos2"
#define NONCE_LEN 46 // fixed; at most 48. Change it here if the encoding needs it

enum { NONCE_FEATURE_PASSWORD_ALGORITHMS = 1u << 23, NONCE_FEATURE_USERNAME_ANONYMITY = 1u << 22 }; // of 24 bits, RFC 8489 18.1

enum nonce_verdict { NONCE_VALID, NONCE_STALE };

// Writes NONCE_LEN characters, no zero.
void nonce_make(char out[NONCE_LEN], const uint8_t key[32], const char *realm, const struct addr *client, int64_t now);

// Stale: older than lifetime, from another IP or realm or key, from the future by more than a minute, or not ours.
enum nonce_verdict nonce_check(const void *nonce, size_t len, const uint8_t key[32], const char *realm, const struct addr *client,
                               int64_t now, int64_t lifetime);

#endif
