// SPDX-License-Identifier: BSD-2-Clause
// The access token of RFC 7635 section 6.2: what an authorization server seals for this server and
// a client hands on in ACCESS-TOKEN. No I/O, no clock.
//
//  uint16 nonce_length | nonce | AEAD of: uint16 key_length | mac_key | uint64 timestamp | uint32
//  lifetime
//
// The associated data is the name of the STUN server. Nonces have 12 bytes, as AES-GCM asks for.
#ifndef TP_AUTH_TOKEN_H
#define TP_AUTH_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "util/aead.h"

#define TOKEN_KID_MAX 128    // bytes of a key's id, which is the USERNAME
#define TOKEN_SERVER_MAX 127 // bytes of a server's name
#define TOKEN_KEY_MAX 32     // bytes of a key
#define TOKEN_MAC_KEY_MIN 20 // bytes: 160 bits must be supported, less is refused
#define TOKEN_MAC_KEY_MAX 64 // bytes
#define TOKEN_MAX (2 + AEAD_NONCE_LEN + 2 + TOKEN_MAC_KEY_MAX + 8 + 4 + AEAD_TAG_LEN) // bytes

#define TOKEN_DELTA 5 // seconds that a token is good for beyond its lifetime (RFC 7635 section 7)
#define TOKEN_FUTURE_MAX 60 // seconds that the authorization server's clock may be ahead of ours

enum token_algorithm { TOKEN_A256GCM, TOKEN_A128GCM };

// The long-term key that this server and an authorization server share.
struct token_key {
    enum token_algorithm algorithm;
    uint8_t bytes[TOKEN_KEY_MAX]; // token_key_len of them
};

// Bytes of a key: 32 or 16.
size_t token_key_len(enum token_algorithm algorithm);
const char *token_algorithm_name(enum token_algorithm algorithm); // "A256GCM"
// 0 or -EINVAL.
int token_algorithm_parse(enum token_algorithm *out, const char *name);

// A key as people write it: base64 or hex of exactly token_key_len(algorithm) bytes. 0 or -EINVAL.
int token_key_parse(struct token_key *out, enum token_algorithm algorithm, const char *text);

struct token {
    uint8_t mac_key[TOKEN_MAC_KEY_MAX];
    size_t mac_key_len;
    uint64_t timestamp; // Unix seconds in the upper 48 bits, 1/64000 s in the lower 16
    uint32_t lifetime;  // seconds
};

// A timestamp for a token made now.
static inline uint64_t token_timestamp(int64_t unix_seconds)
{
    return (uint64_t)unix_seconds << 16;
}

// The length written, or -EINVAL (mac_key_len out of range), -ENOMEM. nonce must not have been used
// with this key before.
int token_encode(uint8_t out[TOKEN_MAX], const struct token *t, const struct token_key *key,
                 const char *server, const uint8_t nonce[AEAD_NONCE_LEN]);

// 0; -EBADMSG: truncated, oversized, tampered with, or made with another key or for another server;
// -ENOMEM.
int token_decode(struct token *out, const void *data, size_t len, const struct token_key *key,
                 const char *server);

// Seconds that a token is still good for, at most its lifetime; 0: expired, or from the future.
// now: Unix seconds.
uint32_t token_remaining(const struct token *t, int64_t now);

#endif
