// SPDX-License-Identifier: BSD-2-Clause
// Authenticated encryption: AES-GCM (RFC 5116 section 5) with OpenSSL's EVP, fetched once per
// process.
#ifndef TP_UTIL_AEAD_H
#define TP_UTIL_AEAD_H

#include <stddef.h>
#include <stdint.h>

#define AEAD_NONCE_LEN 12
#define AEAD_TAG_LEN 16

// key has 16 (AEAD_AES_128_GCM) or 32 bytes (AEAD_AES_256_GCM); a nonce is never used twice with
// one key. Writes len bytes of ciphertext and the tag: out holds len + AEAD_TAG_LEN and does not
// overlap data. 0, -EINVAL (key_len), -ENOMEM.
int aead_seal(void *out, const void *key, size_t key_len, const uint8_t nonce[AEAD_NONCE_LEN],
              const void *aad, size_t aad_len, const void *data, size_t len);

// data is ciphertext and tag, len bytes in all; out holds len - AEAD_TAG_LEN. 0; -EBADMSG (too
// short, or not what was sealed with this key, nonce and aad: then out is zeroed), -EINVAL,
// -ENOMEM.
int aead_open(void *out, const void *key, size_t key_len, const uint8_t nonce[AEAD_NONCE_LEN],
              const void *aad, size_t aad_len, const void *data, size_t len);

#endif
