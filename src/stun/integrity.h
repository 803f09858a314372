// SPDX-License-Identifier: BSD-2-Clause
// MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256, FINGERPRINT, keys and USERHASH (RFC
// 8489 14.4-14.7, 9.2, 18.5).
#ifndef TP_STUN_INTEGRITY_H
#define TP_STUN_INTEGRITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stun/message.h"

#define STUN_KEY_MD5_LEN 16
#define STUN_KEY_SHA256_LEN 32
#define STUN_USERHASH_LEN 32

enum stun_password_algorithm { STUN_ALG_MD5 = 1, STUN_ALG_SHA256 = 2 }; // RFC 8489 18.5.1

// Long-term keys: MD5(user ":" realm ":" password) and SHA-256 of the same. The caller has applied
// OpaqueString.
void stun_key_md5(uint8_t out[STUN_KEY_MD5_LEN], const void *user, size_t user_len,
                  const char *realm, const void *password, size_t password_len);
void stun_key_sha256(uint8_t out[STUN_KEY_SHA256_LEN], const void *user, size_t user_len,
                     const char *realm, const void *password, size_t password_len);

// SHA-256(user ":" realm).
void stun_userhash(uint8_t out[STUN_USERHASH_LEN], const void *user, size_t user_len,
                   const char *realm);

// Appends the attribute over what has been written so far.
void stun_put_integrity(struct stun_writer *w, const void *key, size_t key_len);
void stun_put_integrity256(struct stun_writer *w, const void *key, size_t key_len); // full 32 bytes
void stun_put_fingerprint(struct stun_writer *w);

// Whether the attribute is present and right; compared in constant time. SHA-256 may be truncated
// to 16..32 bytes in steps of 4 on the wire. The message is not modified.
bool stun_check_integrity(const struct stun_msg *msg, const void *key, size_t key_len);
bool stun_check_integrity256(const struct stun_msg *msg, const void *key, size_t key_len);

// CRC-32 of FINGERPRINT, already XORed with 0x5354554e.
uint32_t stun_fingerprint(const void *data, size_t len);

// HMAC with OpenSSL's EVP_MAC, fetched once per process; out holds 20 or 32 bytes. 0, or -ENOMEM.
int hmac_sha1(uint8_t out[20], const void *key, size_t key_len, const void *data, size_t len);
int hmac_sha256(uint8_t out[32], const void *key, size_t key_len, const void *data, size_t len);

#endif
