// SPDX-License-Identifier: BSD-2-Clause
#include "signal/jwt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "signal/jtext.h"
#include "signal/name.h"
#include "stun/integrity.h"
#include "util/codec.h"

#define MAC_LEN 32
#define SECONDS_MAX 1e13 // beyond any date, and in range as milliseconds

// Signatures first: nothing of a token is looked into that nobody has vouched for.
static int check_signature(const struct jwt_key *keys, size_t key_count, const char *token,
                           size_t signed_len, const uint8_t given[MAC_LEN])
{
    int rc = -EACCES;

    for (size_t i = 0; i < key_count; i++) {
        uint8_t mac[MAC_LEN];
        if (hmac_sha256(mac, keys[i].bytes, keys[i].len, token, signed_len) < 0)
            return -ENOMEM;
        if (CRYPTO_memcmp(mac, given, MAC_LEN) == 0)
            rc = 0;
    }
    return rc;
}

// One part between the dots as a JSON object. buf holds what the values point into.
static bool read_part(char buf[JWT_LEN_MAX], const char *text, size_t len, const char *const *names,
                      size_t count, struct jvalue *values)
{
    struct jvalue top;
    int n = base64url_decode(buf, JWT_LEN_MAX, text, len);

    return n > 0 && utf8_valid(buf, (size_t)n) &&
           jtext_scan(buf, (size_t)n, &top, names, count, values) == 0 && top.type == J_OBJECT;
}

static bool check_header(const char *text, size_t len)
{
    static const char *const names[] = {"alg", "crit"};
    char buf[JWT_LEN_MAX];
    struct jvalue v[2];

    // Whoever marks something as critical must not be taken by those who do not know it (RFC
    // 7515 4.1.11).
    return read_part(buf, text, len, names, 2, v) && jvalue_is(&v[0], "HS256") &&
           v[1].type == J_ABSENT;
}

// NumericDate (RFC 7519 2): seconds, fractions allowed.
static bool read_date(const struct jvalue *v, int64_t *ms)
{
    char digits[32];

    if (v->type != J_NUMBER || v->len >= sizeof digits)
        return false;
    memcpy(digits, v->at, v->len);
    digits[v->len] = 0;
    double seconds = strtod(digits, NULL);
    if (!(seconds >= 0 && seconds <= SECONDS_MAX))
        return false;
    *ms = (int64_t)(seconds * 1000);
    return true;
}

static int read_name(const struct jvalue *v, char out[JWT_NAME_MAX], size_t *len)
{
    char raw[JWT_LEN_MAX];
    int n = v->type == J_STRING ? jvalue_string(v, raw, sizeof raw) : -EINVAL;

    if (n >= 0)
        n = name_prepare(out, JWT_NAME_MAX, raw, (size_t)n);
    if (n < 0)
        return n == -ENOMEM ? n : -EACCES;
    *len = (size_t)n;
    return 0;
}

static int read_claims(struct jwt_claims *claims, const char *text, size_t len, int64_t unix_ms)
{
    enum { SUB, ROOM, EXP, NBF, COUNT };
    static const char *const names[] = {"sub", "room", "exp", "nbf"};
    char buf[JWT_LEN_MAX];
    struct jvalue v[COUNT];
    int64_t nbf;

    if (!read_part(buf, text, len, names, COUNT, v))
        return -EACCES;
    if (!read_date(&v[EXP], &claims->exp_ms) || claims->exp_ms <= unix_ms)
        return -EACCES;
    if (v[NBF].type != J_ABSENT && (!read_date(&v[NBF], &nbf) || nbf > unix_ms + JWT_LEEWAY_MS))
        return -EACCES;
    claims->room_len = 0;
    int rc = read_name(&v[SUB], claims->user, &claims->user_len);
    if (rc == 0 && v[ROOM].type != J_ABSENT)
        rc = read_name(&v[ROOM], claims->room, &claims->room_len);
    return rc;
}

int jwt_check(struct jwt_claims *claims, const struct jwt_key *keys, size_t key_count,
              const char *token, size_t len, int64_t unix_ms)
{
    uint8_t mac[MAC_LEN];

    if (len > JWT_LEN_MAX)
        return -EACCES;
    const char *end = token + len, *payload = memchr(token, '.', len);
    const char *signature = payload ? memchr(payload + 1, '.', (size_t)(end - payload - 1)) : NULL;
    if (!signature)
        return -EACCES;
    if (base64url_decode(mac, sizeof mac, signature + 1, (size_t)(end - signature - 1)) != MAC_LEN)
        return -EACCES;
    int rc = check_signature(keys, key_count, token, (size_t)(signature - token), mac);
    if (rc < 0)
        return rc;
    if (!check_header(token, (size_t)(payload - token)))
        return -EACCES;
    return read_claims(claims, payload + 1, (size_t)(signature - payload - 1), unix_ms);
}
