// SPDX-License-Identifier: BSD-2-Clause
// Input: a line with the header of a token, then its claims. Signed with the key they are looked
// at; nobody gets in by claims, or by any bytes, that are not.
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "signal/jwt.h"
#include "stun/integrity.h"
#include "util/codec.h"

#define NOW_MS INT64_C(1700000000000)

static const struct jwt_key keys[] = {{"other", 5}, {"secret", 6}};
static char token[4 * JWT_LEN_MAX];

static size_t put_part(size_t at, const void *data, size_t len)
{
    size_t n = at + base64_encode(token + at, data, len);

    while (n > at && token[n - 1] == '=')
        n--;
    for (size_t i = at; i < n; i++)
        token[i] = token[i] == '+' ? '-' : token[i] == '/' ? '_' : token[i];
    return n;
}

static size_t put_signature(size_t len)
{
    uint8_t mac[32];

    CHECK(hmac_sha256(mac, keys[1].bytes, keys[1].len, token, len) == 0);
    token[len] = '.';
    return put_part(len + 1, mac, sizeof(mac));
}

static void check_token(size_t len)
{
    struct jwt_claims claims;

    if (jwt_check(&claims, keys, 2, token, len, NOW_MS) != 0)
        return;
    CHECK(len <= JWT_LEN_MAX && claims.exp_ms > NOW_MS);
    CHECK(claims.user_len > 0 && claims.user_len <= JWT_NAME_MAX);
    CHECK(claims.room_len <= JWT_NAME_MAX);
    CHECK(utf8_valid(claims.user, claims.user_len) && utf8_valid(claims.room, claims.room_len));
    CHECK(jwt_check(&claims, keys, 1, token, len, NOW_MS) != 0);
    CHECK(jwt_check(&claims, keys, 2, token, len, claims.exp_ms) != 0);
    token[len - 10] ^= 1;
    CHECK(jwt_check(&claims, keys, 2, token, len, NOW_MS) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    struct jwt_claims claims;

    if (size > JWT_LEN_MAX)
        return 0;
    CHECK(jwt_check(&claims, keys, 2, (const char *)data, size, NOW_MS) != 0);
    if (!line)
        return 0;
    size_t header = (size_t)(line - data), n = put_part(0, data, header);
    token[n] = '.';
    check_token(put_signature(put_part(n + 1, line + 1, size - header - 1)));
    return 0;
}
