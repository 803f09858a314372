// SPDX-License-Identifier: BSD-2-Clause
#include "auth/nonce.h"

#include <string.h>

#include <openssl/crypto.h>

#include "stun/cursor.h"
#include "stun/integrity.h"
#include "util/codec.h"

#define COOKIE_LEN (sizeof(NONCE_COOKIE) - 1)
#define FEATURES_LEN 3
#define TIME_LEN 5
#define PORT_LEN 2
#define MAC_LEN 17 // 136 bits
#define BODY_LEN (TIME_LEN + PORT_LEN + MAC_LEN)
#define BODY_AT (COOKIE_LEN + BASE64_LEN(FEATURES_LEN))
#define REALM_MAX 763 // bytes, RFC 8489 14.9

_Static_assert(BODY_AT + BASE64_LEN(BODY_LEN) == NONCE_LEN, "NONCE_LEN follows from the layout");
_Static_assert(FEATURES_LEN % 3 == 0 && BODY_LEN % 3 == 0, "base64 without padding");

static const int64_t future_max = 60; // seconds that another node's clock may be ahead

// MAC over what the nonce says and what it is bound to. The realm comes last: everything before has
// a fixed length.
static int nonce_mac(uint8_t mac[MAC_LEN], const uint8_t key[32], const char *realm,
                     const uint8_t features[FEATURES_LEN], const uint8_t stamp[TIME_LEN + PORT_LEN],
                     const struct addr *client)
{
    uint8_t text[64 + REALM_MAX];
    uint8_t full[32];
    size_t realm_len = strnlen(realm, REALM_MAX);
    struct cursor c = cursor_writer(text, sizeof(text));

    cursor_put(&c, NONCE_COOKIE, COOKIE_LEN);
    cursor_put(&c, features, FEATURES_LEN);
    cursor_put(&c, stamp, TIME_LEN + PORT_LEN);
    cursor_put_u8(&c, client->family);
    cursor_put(&c, client->ip, sizeof(client->ip));
    cursor_put(&c, realm, realm_len);
    int r = hmac_sha256(full, key, 32, text, c.pos);
    if (r == 0)
        memcpy(mac, full, MAC_LEN);
    return r;
}

void nonce_make(char out[NONCE_LEN], const uint8_t key[32], const char *realm, uint32_t features,
                const struct addr *client, int64_t now)
{
    uint8_t bits[FEATURES_LEN] = {(uint8_t)(features >> 16), (uint8_t)(features >> 8),
                                  (uint8_t)features};
    uint8_t body[BODY_LEN] = {(uint8_t)(now >> 32), (uint8_t)(now >> 24),
                              (uint8_t)(now >> 16), (uint8_t)(now >> 8),
                              (uint8_t)now,         (uint8_t)(client->port >> 8),
                              (uint8_t)client->port};
    char text[BASE64_LEN(BODY_LEN) + 1];

    // Out of memory: the MAC stays zero, which nonce_check does not accept, so the client is
    // challenged again.
    if (nonce_mac(body + TIME_LEN + PORT_LEN, key, realm, bits, body, client) < 0)
        memset(body + TIME_LEN + PORT_LEN, 0, MAC_LEN);
    memcpy(out, NONCE_COOKIE, COOKIE_LEN);
    base64_encode(text, bits, sizeof(bits));
    memcpy(out + COOKIE_LEN, text, BASE64_LEN(FEATURES_LEN));
    base64_encode(text, body, sizeof(body));
    memcpy(out + BODY_AT, text, BASE64_LEN(BODY_LEN));
}

uint32_t nonce_features(const void *nonce, size_t len)
{
    uint8_t bits[FEATURES_LEN];

    if (len < BODY_AT || memcmp(nonce, NONCE_COOKIE, COOKIE_LEN) != 0 ||
        base64_decode(bits, sizeof(bits), (const char *)nonce + COOKIE_LEN,
                      BASE64_LEN(FEATURES_LEN)) != FEATURES_LEN)
        return 0;
    return (uint32_t)bits[0] << 16 | (uint32_t)bits[1] << 8 | bits[2];
}

enum nonce_verdict nonce_check(const void *nonce, size_t len, const uint8_t key[32],
                               const char *realm, const struct addr *client, int64_t now,
                               int64_t lifetime)
{
    const char *text = nonce;
    uint8_t bits[FEATURES_LEN], body[BODY_LEN], mac[MAC_LEN];

    if (len != NONCE_LEN || memcmp(text, NONCE_COOKIE, COOKIE_LEN) != 0)
        return NONCE_STALE;
    if (base64_decode(bits, sizeof(bits), text + COOKIE_LEN, BASE64_LEN(FEATURES_LEN)) !=
            FEATURES_LEN ||
        base64_decode(body, sizeof(body), text + BODY_AT, BASE64_LEN(BODY_LEN)) != BODY_LEN)
        return NONCE_STALE;
    if (nonce_mac(mac, key, realm, bits, body, client) < 0 ||
        CRYPTO_memcmp(mac, body + TIME_LEN + PORT_LEN, MAC_LEN) != 0)
        return NONCE_STALE;

    int64_t made = (int64_t)body[0] << 32 | (int64_t)body[1] << 24 | (int64_t)body[2] << 16 |
                   (int64_t)body[3] << 8 | body[4];
    if (made > now + future_max || now - made > lifetime)
        return NONCE_STALE;
    return NONCE_VALID;
}
