// SPDX-License-Identifier: BSD-2-Clause
#include "stun/integrity.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "stun/writer.h"
#include "util/rand.h"

#define SHA1_LEN 20
#define SHA256_LEN 32

enum hash { HASH_SHA1, HASH_SHA256, HASH_COUNT };
static const size_t hash_len[HASH_COUNT] = {SHA1_LEN, SHA256_LEN};

// Contexts of one hash that a thread keeps; a power of two.
#define KEYED 8
#define KEY_MAX 32 // of the keys that are remembered: those of users, and of nonces

// An HMAC context and the key that it was set up for last.
struct keyed {
    EVP_MAC_CTX *mac;
    size_t key_len; // 0: none
    uint8_t key[KEY_MAX];
};

// Looking an algorithm up by name takes OpenSSL 3 locks and is dearer than the HMAC of a small
// message, so it is done once in a process; each thread then keeps contexts of its own. Setting up
// a key is the larger part of what is left, and the next message often has the same: the answer to
// a request, the next request of its client, every nonce. So there are a few of them.
struct contexts {
    struct keyed hmac[HASH_COUNT][KEYED];
    EVP_MD_CTX *digest;
};

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key;
static EVP_MAC_CTX *hmac_proto[HASH_COUNT]; // duplicated for each thread, never used
static EVP_MD *md_md5, *md_sha256;
static bool fetched;
static _Thread_local struct contexts *contexts;

static void contexts_free(void *arg)
{
    struct contexts *ctx = arg;
    for (int i = 0; i < HASH_COUNT; i++)
        for (int j = 0; j < KEYED; j++)
            EVP_MAC_CTX_free(ctx->hmac[i][j].mac);
    EVP_MD_CTX_free(ctx->digest);
    OPENSSL_cleanse(ctx, sizeof(*ctx));
    free(ctx);
    contexts = NULL;
}

static EVP_MAC_CTX *hmac_context(EVP_MAC *mac, const char *digest)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    if (ctx && !EVP_MAC_CTX_set_params(ctx, params)) {
        EVP_MAC_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static void fetch(void)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (!mac)
        return;
    hmac_proto[HASH_SHA1] = hmac_context(mac, "SHA1");
    hmac_proto[HASH_SHA256] = hmac_context(mac, "SHA256");
    EVP_MAC_free(mac); // the contexts hold a reference
    md_md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    md_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    fetched = hmac_proto[HASH_SHA1] && hmac_proto[HASH_SHA256] &&
              pthread_key_create(&contexts_key, contexts_free) == 0;
}

// The thread's contexts, or NULL when there is no memory for them.
static struct contexts *contexts_get(void)
{
    if (contexts)
        return contexts;
    pthread_once(&fetch_once, fetch);
    if (!fetched)
        return NULL;
    struct contexts *ctx = calloc(1, sizeof(*ctx));
    if (!ctx)
        return NULL;
    ctx->digest = EVP_MD_CTX_new();
    if (!ctx->digest || pthread_setspecific(contexts_key, ctx) != 0) {
        contexts_free(ctx);
        return NULL;
    }
    contexts = ctx;
    return ctx;
}

struct slice {
    const void *data;
    size_t len;
};

// A context with that key, ready for a message; NULL: no memory. The keys of users and of nonces
// are digests or random, so that one byte spreads them.
static EVP_MAC_CTX *hmac_begin(struct contexts *ctx, enum hash hash, const void *key,
                               size_t key_len)
{
    struct keyed *k = &ctx->hmac[hash][key_len ? *(const uint8_t *)key % KEYED : 0];

    if (!k->mac)
        k->mac = EVP_MAC_CTX_dup(hmac_proto[hash]);
    if (!k->mac)
        return NULL;
    if (key_len > 0 && key_len == k->key_len && CRYPTO_memcmp(key, k->key, key_len) == 0)
        return EVP_MAC_init(k->mac, NULL, 0, NULL) ? k->mac : NULL; // NULL: the key that it has
    k->key_len = 0;
    if (!EVP_MAC_init(k->mac, key_len ? key : "", key_len, NULL))
        return NULL;
    if (key_len > 0 && key_len <= sizeof(k->key)) {
        memcpy(k->key, key, key_len);
        k->key_len = key_len;
    }
    return k->mac;
}

// HMAC over several pieces. 0 or -ENOMEM.
static int hmac(uint8_t *out, enum hash hash, const void *key, size_t key_len,
                const struct slice *pieces, size_t n)
{
    struct contexts *ctx = contexts_get();
    size_t out_len;

    if (!ctx)
        return -ENOMEM;
    EVP_MAC_CTX *mac = hmac_begin(ctx, hash, key, key_len);
    if (!mac)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!EVP_MAC_update(mac, pieces[i].data, pieces[i].len))
            return -ENOMEM;
    }
    return EVP_MAC_final(mac, out, &out_len, hash_len[hash]) ? 0 : -ENOMEM;
}

int hmac_sha1(uint8_t out[20], const void *key, size_t key_len, const void *data, size_t len)
{
    return hmac(out, HASH_SHA1, key, key_len, &(struct slice){data, len}, 1);
}

int hmac_sha256(uint8_t out[32], const void *key, size_t key_len, const void *data, size_t len)
{
    return hmac(out, HASH_SHA256, key, key_len, &(struct slice){data, len}, 1);
}

// md over the pieces joined by colons. A caller cannot be told of a failure (no memory, an
// algorithm that the system's policy forbids), so the result is then a value that nobody can have
// computed.
static void digest_joined(uint8_t *out, size_t out_len, EVP_MD *const *md,
                          const struct slice *pieces, size_t n)
{
    struct contexts *ctx = contexts_get();
    bool ok = ctx && *md && EVP_DigestInit_ex2(ctx->digest, *md, NULL);
    for (size_t i = 0; ok && i < n; i++) {
        ok = (i == 0 || EVP_DigestUpdate(ctx->digest, ":", 1)) &&
             EVP_DigestUpdate(ctx->digest, pieces[i].data, pieces[i].len);
    }
    if (!ok || !EVP_DigestFinal_ex(ctx->digest, out, NULL))
        rand_bytes(out, out_len);
}

void stun_key_md5(uint8_t out[STUN_KEY_MD5_LEN], const void *user, size_t user_len,
                  const char *realm, const void *password, size_t password_len)
{
    struct slice pieces[] = {{user, user_len}, {realm, strlen(realm)}, {password, password_len}};
    digest_joined(out, STUN_KEY_MD5_LEN, &md_md5, pieces, 3);
}

void stun_key_sha256(uint8_t out[STUN_KEY_SHA256_LEN], const void *user, size_t user_len,
                     const char *realm, const void *password, size_t password_len)
{
    struct slice pieces[] = {{user, user_len}, {realm, strlen(realm)}, {password, password_len}};
    digest_joined(out, STUN_KEY_SHA256_LEN, &md_sha256, pieces, 3);
}

void stun_userhash(uint8_t out[STUN_USERHASH_LEN], const void *user, size_t user_len,
                   const char *realm)
{
    struct slice pieces[] = {{user, user_len}, {realm, strlen(realm)}};
    digest_joined(out, STUN_USERHASH_LEN, &md_sha256, pieces, 2);
}

static void put_integrity(struct stun_writer *w, uint16_t type, enum hash hash, const void *key,
                          size_t key_len)
{
    uint8_t mac[SHA256_LEN];
    // RFC 8489 14.5: the length in the header already points past this attribute.
    if (!stun_writer_set_length(w, 4 + hash_len[hash]))
        return;
    if (hmac(mac, hash, key, key_len, &(struct slice){w->c.base, w->c.pos}, 1) < 0)
        w->c.ok = false;
    stun_put(w, type, mac, hash_len[hash]);
}

void stun_put_integrity(struct stun_writer *w, const void *key, size_t key_len)
{
    put_integrity(w, STUN_ATTR_MESSAGE_INTEGRITY, HASH_SHA1, key, key_len);
}

void stun_put_integrity256(struct stun_writer *w, const void *key, size_t key_len)
{
    put_integrity(w, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, HASH_SHA256, key, key_len);
}

void stun_put_fingerprint(struct stun_writer *w)
{
    if (stun_writer_set_length(w, 8))
        stun_put_u32(w, STUN_ATTR_FINGERPRINT, stun_fingerprint(w->c.base, w->c.pos));
}

// Checks the integrity attribute whose header is at offset. The header that was signed counts up to
// the end of this attribute and not what follows, so it is fed with that length in place of its
// own.
static bool check(const struct stun_msg *msg, uint16_t offset, enum hash hash, const void *key,
                  size_t key_len)
{
    uint8_t mac[SHA256_LEN], header[4];
    struct cursor r = cursor_reader(msg->buf + offset + 2, 2);
    size_t value_len = cursor_u16(&r); // stun_parse has seen to it that it is one of those allowed
    struct cursor w = cursor_writer(header, sizeof(header));

    cursor_put(&w, msg->buf, 2);
    cursor_put_u16(&w, (uint16_t)(offset + 4 + value_len - STUN_HEADER_LEN));
    struct slice pieces[] = {{header, sizeof(header)},
                             {msg->buf + sizeof(header), offset - sizeof(header)}};
    if (hmac(mac, hash, key, key_len, pieces, 2) < 0)
        return false;
    return CRYPTO_memcmp(mac, msg->buf + offset + 4, value_len) == 0;
}

bool stun_check_integrity(const struct stun_msg *msg, const void *key, size_t key_len)
{
    return msg->integrity && check(msg, msg->integrity, HASH_SHA1, key, key_len);
}

bool stun_check_integrity256(const struct stun_msg *msg, const void *key, size_t key_len)
{
    return msg->integrity256 && check(msg, msg->integrity256, HASH_SHA256, key, key_len);
}
