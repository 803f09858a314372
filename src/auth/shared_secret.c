// SPDX-License-Identifier: BSD-2-Clause
#include "auth/shared_secret.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/codec.h"

#define DIGITS_MAX 12

int64_t shared_secret_expiry(const void *name, size_t len)
{
    const uint8_t *p = name;
    int64_t t = 0;
    size_t i = 0;

    for (; i < len && p[i] >= '0' && p[i] <= '9'; i++) {
        if (i == DIGITS_MAX)
            return -1;
        t = t * 10 + (p[i] - '0');
    }
    if (i == 0 || (i < len && p[i] != ':'))
        return -1;
    return t;
}

void shared_secret_begin(struct auth_record *rec, const void *name, size_t len, int64_t expires)
{
    memset(rec, 0, sizeof(*rec));
    rec->user_len = len <= AUTH_USER_MAX ? len : AUTH_USER_MAX;
    memcpy(rec->user, name, rec->user_len);
    rec->expires = expires;
}

bool shared_secret_add_key(struct auth_record *rec, const char *realm, const char *secret,
                           size_t secret_len)
{
    uint8_t mac[20];
    char password[BASE64_LEN(sizeof(mac)) + 1];

    if (rec->key_count == AUTH_KEYS_MAX)
        return false;
    if (hmac_sha1(mac, secret, secret_len, rec->user, rec->user_len) < 0)
        return true;
    size_t len = base64_encode(password, mac, sizeof(mac));
    struct auth_key *k = &rec->keys[rec->key_count++];
    stun_key_md5(k->md5, rec->user, rec->user_len, realm, password, len);
    stun_key_sha256(k->sha256, rec->user, rec->user_len, realm, password, len);
    k->has_md5 = k->has_sha256 = true;
    return true;
}

int shared_secret_make(struct shared_secret_credential *out, const char *secret, int64_t expires,
                       const char *id)
{
    uint8_t mac[20];
    int len = snprintf(out->name, sizeof out->name, "%" PRId64 "%s%s", expires, id ? ":" : "",
                       id ? id : "");

    if (len < 0 || len > AUTH_USER_MAX)
        return -EINVAL;
    if (hmac_sha1(mac, secret, strlen(secret), out->name, (size_t)len) < 0)
        return -ENOMEM;
    base64_encode(out->password, mac, sizeof mac);
    return 0;
}
