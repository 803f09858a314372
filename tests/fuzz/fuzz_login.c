// SPDX-License-Identifier: BSD-2-Clause
// What a client logs in with. Input: how it differs from what the server gave (a byte of the nonce,
// a mask), features, then the bytes of a nonce, which are a user name as well. A nonce that is not
// the server's own, to the last bit, is stale; a name with an expiry is one that can be made.
#include "fuzz.h"

#include <string.h>

#include "auth/nonce.h"
#include "auth/shared_secret.h"
#include "stun/cursor.h"

#define NOW 1700000000
#define LIFETIME 600

static const uint8_t key[32] = "0123456789abcdef0123456789abcde";
static const struct addr client = {.ip = {192, 0, 2, 1}, .port = 40000, .family = ADDR_IPV4};

static bool is_valid(const void *nonce, size_t len, int64_t now)
{
    return nonce_check(nonce, len, key, "example.org", &client, now, LIFETIME) == NONCE_VALID;
}

static void check_own_nonce(uint32_t features, unsigned place, uint8_t mask)
{
    char nonce[NONCE_LEN];

    nonce_make(nonce, key, "example.org", features, &client, NOW);
    CHECK(nonce_features(nonce, NONCE_LEN) == features);
    CHECK(is_valid(nonce, NONCE_LEN, NOW + LIFETIME));
    CHECK(!is_valid(nonce, NONCE_LEN, NOW + LIFETIME + 1));
    nonce[place % NONCE_LEN] ^= (char)mask;
    CHECK(is_valid(nonce, NONCE_LEN, NOW) == (mask == 0));
}

static void check_name(const char *name, size_t len)
{
    struct shared_secret_credential made;
    struct auth_record rec;
    int64_t expires = shared_secret_expiry(name, len);

    if (expires < 0 || len > AUTH_USER_MAX)
        return;
    shared_secret_begin(&rec, name, len, expires);
    CHECK(rec.user_len == len && rec.expires == expires);
    CHECK(shared_secret_add_key(&rec, "example.org", "secret", 6) && rec.key_count == 1);
    const char *colon = memchr(name, ':', len);
    char id[AUTH_USER_MAX + 1] = "";
    if (colon)
        memcpy(id, colon + 1, len - (size_t)(colon + 1 - name));
    CHECK(shared_secret_make(&made, "secret", expires, colon ? id : NULL) == 0);
    CHECK(shared_secret_expiry(made.name, strlen(made.name)) == expires);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_reader(data, size);
    unsigned place = cursor_u8(&c);
    uint8_t mask = cursor_u8(&c);
    uint32_t features = cursor_u32(&c) & 0xffffff;
    size_t len = cursor_left(&c);
    const uint8_t *rest = cursor_take(&c, len);

    if (!c.ok)
        return 0;
    check_own_nonce(features, place, mask);
    CHECK(!is_valid(rest, len, NOW));
    CHECK(nonce_features(rest, len) <= 0xffffff);
    check_name((const char *)rest, len);
    return 0;
}
