// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include "auth/admin.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "auth/admin_ops.h"
#include "util/codec.h"

int admin_fail(struct admin_store *s, int r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(s->error, sizeof(s->error), fmt, ap);
    va_end(ap);
    return r;
}

static int about(struct admin_store *s, int r, const char *what, const char *realm,
                 const void *user, size_t len)
{
    char shown[128], shown_realm[128];

    text_escape(shown, sizeof(shown), user, len);
    text_escape(shown_realm, sizeof(shown_realm), realm, strlen(realm));
    if (r == -EEXIST)
        return admin_fail(s, r, "%s %s exists in realm %s", what, shown, shown_realm);
    if (r == -EBADMSG)
        return admin_fail(s, r, "the record of %s %s in realm %s is not sound; delete the %s", what,
                          shown, shown_realm, what);
    return admin_fail(s, r, "there is no %s %s in realm %s", what, shown, shown_realm);
}

int admin_about_token_key(struct admin_store *s, int r, const char *realm, const void *kid,
                          size_t len)
{
    return about(s, r, "token key", realm, kid, len);
}

int admin_user_exists(struct admin_store *s, const char *realm, const void *user, size_t len)
{
    return about(s, -EEXIST, "user", realm, user, len);
}

int admin_user_missing(struct admin_store *s, const char *realm, const void *user, size_t len)
{
    return about(s, -ENOENT, "user", realm, user, len);
}

int admin_user_damaged(struct admin_store *s, const char *realm, const void *user, size_t len)
{
    return about(s, -EBADMSG, "user", realm, user, len);
}

int admin_open(struct admin_store **out, const char *uri, const char **why)
{
    struct store_uri parsed;
    int r = store_uri_parse(&parsed, uri, why);

    if (r < 0)
        return r;
    if (parsed.coturn) {
        *why = "a database in coturn's layout is only read; change it with coturn's turnadmin";
        return -EINVAL;
    }
    r = -EINVAL;
#ifdef WITH_SQLITE
    if (parsed.kind == STORE_KIND_SQLITE)
        r = admin_sqlite_open(out, &parsed, why);
#endif
#ifdef WITH_HIREDIS
    if (parsed.kind != STORE_KIND_SQLITE)
        r = admin_redis_open(out, &parsed, why);
#endif
    OPENSSL_cleanse(&parsed, sizeof(parsed));
    return r;
}

void admin_close(struct admin_store *s)
{
    if (s)
        s->ops->close(s);
}

const char *admin_error(const struct admin_store *s)
{
    return s->error;
}

static int check_record(struct admin_store *s, const struct auth_record *rec)
{
    if (rec->user_len == 0 || rec->user_len > AUTH_USER_MAX)
        return admin_fail(s, -EINVAL, "a user name has 1 to %d bytes", AUTH_USER_MAX);
    if (rec->key_count != 1 || !(rec->keys[0].has_md5 || rec->keys[0].has_sha256))
        return admin_fail(s, -EINVAL, "a user has one password");
    if (rec->max_bps > INT64_MAX || rec->expires < 0)
        return admin_fail(s, -EINVAL, "a limit or the expiry is out of range");
    return 0;
}

int admin_user_add(struct admin_store *s, const char *realm, const struct auth_record *rec)
{
    int r = check_record(s, rec);

    return r < 0 ? r : s->ops->user_add(s, realm, rec);
}

int admin_user_get(struct admin_store *s, const char *realm, const void *user, size_t len,
                   struct auth_record *out)
{
    if (len == 0 || len > AUTH_USER_MAX)
        return admin_user_missing(s, realm, user, len);
    return s->ops->user_get(s, realm, user, len, out);
}

int admin_user_change(struct admin_store *s, const char *realm, const struct auth_record *rec,
                      unsigned what)
{
    int r = check_record(s, rec);

    return r < 0 ? r : s->ops->user_change(s, realm, rec, what);
}

int admin_user_delete(struct admin_store *s, const char *realm, const void *user, size_t len)
{
    if (len == 0 || len > AUTH_USER_MAX)
        return admin_user_missing(s, realm, user, len);
    return s->ops->user_delete(s, realm, user, len);
}

int admin_user_list(struct admin_store *s, const char *realm, admin_each *each, void *arg)
{
    return s->ops->user_list(s, realm, each, arg);
}

int admin_token_key_add(struct admin_store *s, const char *realm, const struct auth_record *rec)
{
    if (rec->user_len == 0 || rec->user_len > TOKEN_KID_MAX)
        return admin_fail(s, -EINVAL, "the id of a token key has 1 to %d bytes", TOKEN_KID_MAX);
    if (!rec->is_token_key || rec->expires < 0)
        return admin_fail(s, -EINVAL, "no token key, or its expiry is out of range");
    return s->ops->token_key_add(s, realm, rec);
}

int admin_token_key_get(struct admin_store *s, const char *realm, const void *kid, size_t len,
                        struct auth_record *out)
{
    if (len == 0 || len > TOKEN_KID_MAX)
        return admin_about_token_key(s, -ENOENT, realm, kid, len);
    return s->ops->token_key_get(s, realm, kid, len, out);
}

int admin_token_key_delete(struct admin_store *s, const char *realm, const void *kid, size_t len)
{
    if (len == 0 || len > TOKEN_KID_MAX)
        return admin_about_token_key(s, -ENOENT, realm, kid, len);
    return s->ops->token_key_delete(s, realm, kid, len);
}

int admin_token_key_list(struct admin_store *s, const char *realm, admin_each *each, void *arg)
{
    return s->ops->token_key_list(s, realm, each, arg);
}

static int secret_id(char out[17], const char *secret)
{
    uint8_t digest[32];

    if (EVP_Digest(secret, strlen(secret), digest, NULL, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    hex_encode(out, digest, 8);
    return 0;
}

int admin_secret_add(struct admin_store *s, const char *realm, const char *secret)
{
    size_t len = strlen(secret);

    if (len == 0 || len >= sizeof(((struct admin_secret *)0)->secret))
        return admin_fail(s, -EINVAL, "a secret has 1 to 256 bytes");
    return s->ops->secret_add(s, realm, secret);
}

int admin_secret_list(struct admin_store *s, const char *realm, struct admin_secret *out,
                      size_t cap)
{
    int n = s->ops->secret_list(s, realm, out, cap);

    for (int i = 0; i < n; i++)
        if (secret_id(out[i].id, out[i].secret) < 0)
            return admin_fail(s, -EIO, "out of memory");
    return n;
}

int admin_secret_retire(struct admin_store *s, const char *realm, const char *id)
{
    struct admin_secret list[ADMIN_SECRETS_MAX];
    char shown[64];
    int n = admin_secret_list(s, realm, list, sizeof(list) / sizeof(list[0]));
    int r = n < 0 ? n : -ENOENT;

    for (int i = 0; i < n; i++) {
        if (strcmp(list[i].id, id) == 0) {
            r = s->ops->secret_delete(s, realm, list[i].secret);
            break;
        }
    }
    OPENSSL_cleanse(list, sizeof(list));
    if (r == -ENOENT)
        admin_fail(s, r, "there is no secret %s",
                   text_escape(shown, sizeof(shown), id, strlen(id)));
    return r;
}
