// SPDX-License-Identifier: BSD-2-Clause
// Stateless nonces: the RFC 8489 cookie "obMatJos2", the security feature bits (section 9.2), the
// time, and a MAC over all of it, the client's IP and the realm. A flood of requests costs no
// memory, and nodes that share a key accept each other's.
//
//  "obMatJos2" | base64: features (3 bytes) | base64: time (5 bytes), client port (2 bytes), MAC
//  (17 bytes)
//
// The port is there because RFC 8489 9.2.4 forbids the same nonce for two source ports; it is not
// checked, since a client may use one nonce on many sockets.
#ifndef TP_AUTH_NONCE_H
#define TP_AUTH_NONCE_H

#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

#define NONCE_COOKIE "obMatJos2"
#define NONCE_LEN 45 // fixed

enum {
    NONCE_FEATURE_PASSWORD_ALGORITHMS = 1u << 23,
    NONCE_FEATURE_USERNAME_ANONYMITY = 1u << 22
}; // of 24 bits, RFC 8489 18.1

enum nonce_verdict { NONCE_VALID, NONCE_STALE };

// Writes NONCE_LEN characters, no zero. features: NONCE_FEATURE_ bits.
void nonce_make(char out[NONCE_LEN], const uint8_t key[32], const char *realm, uint32_t features,
                const struct addr *client, int64_t now);

// The feature bits of a nonce that starts with the cookie; 0 for one that does not. Tells nothing
// about its validity.
uint32_t nonce_features(const void *nonce, size_t len);

// Stale: older than lifetime, from another IP or realm or key, from the future by more than a
// minute, or not ours.
enum nonce_verdict nonce_check(const void *nonce, size_t len, const uint8_t key[32],
                               const char *realm, const struct addr *client, int64_t now,
                               int64_t lifetime);

#endif
