// SPDX-License-Identifier: BSD-2-Clause
// Input: a byte of options, then an access token (RFC 7635 6.2) as it comes from the network, or,
// with SEAL, what an authorization server may have put inside, which is sealed first: nothing else
// gets past the tag. What is accepted has to come out the same when it is encoded again.
#include "fuzz.h"

#include <string.h>

#include "auth/token.h"

enum { SEAL = 1, A128 = 2 };

#define SERVER "turn.example.org"

static void decode(const struct token_key *key, const uint8_t *data, size_t len)
{
    uint8_t again[TOKEN_MAX];
    struct token t;

    if (token_decode(&t, data, len, key, SERVER) < 0)
        return;
    CHECK(t.mac_key_len >= TOKEN_MAC_KEY_MIN && t.mac_key_len <= TOKEN_MAC_KEY_MAX);
    CHECK(token_encode(again, &t, key, SERVER, data + 2) == (int)len);
    CHECK(memcmp(again, data, len) == 0);
    for (int64_t now = 0; now < INT64_C(1) << 40; now = now * 3 + 1000)
        CHECK(token_remaining(&t, now) <= t.lifetime);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token_key key = {.bytes = "01234567890123456789012345678901"};
    uint8_t sealed[14 + 256 + AEAD_TAG_LEN] = {0, AEAD_NONCE_LEN};

    if (size == 0)
        return 0;
    key.algorithm = data[0] & A128 ? TOKEN_A128GCM : TOKEN_A256GCM;
    if (!(data[0] & SEAL)) {
        decode(&key, data + 1, size - 1);
        return 0;
    }
    size_t len = size - 1 > 256 ? 256 : size - 1;
    CHECK(aead_seal(sealed + 14, key.bytes, token_key_len(key.algorithm), sealed + 2, SERVER,
                    strlen(SERVER), data + 1, len) == 0);
    decode(&key, sealed, 14 + len + AEAD_TAG_LEN);
    return 0;
}
