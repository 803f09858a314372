// SPDX-License-Identifier: BSD-2-Clause
#include "util/aead.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

// As with the MACs of stun/integrity.c: looked up by name once in a process, a context per thread.
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static pthread_key_t context_key;
static EVP_CIPHER *aes128, *aes256;
static bool fetched;
static _Thread_local EVP_CIPHER_CTX *context;

static void context_free(void *arg)
{
    EVP_CIPHER_CTX_free(arg);
    context = NULL;
}

static void fetch(void)
{
    aes128 = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    aes256 = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    fetched = aes128 && aes256 && pthread_key_create(&context_key, context_free) == 0;
}

// The thread's context, with the cipher that a key of that length means. 0, -EINVAL or -ENOMEM.
static int begin(EVP_CIPHER_CTX **ctx, const EVP_CIPHER **cipher, size_t key_len, size_t len,
                 size_t aad_len)
{
    if ((key_len != 16 && key_len != 32) || len > INT_MAX / 2 || aad_len > INT_MAX / 2)
        return -EINVAL;
    pthread_once(&fetch_once, fetch);
    if (!fetched)
        return -ENOMEM;
    if (!context) {
        EVP_CIPHER_CTX *made = EVP_CIPHER_CTX_new();
        if (!made || pthread_setspecific(context_key, made) != 0) {
            EVP_CIPHER_CTX_free(made);
            return -ENOMEM;
        }
        context = made;
    }
    *ctx = context;
    *cipher = key_len == 16 ? aes128 : aes256;
    return 0;
}

int aead_seal(void *out, const void *key, size_t key_len, const uint8_t nonce[AEAD_NONCE_LEN],
              const void *aad, size_t aad_len, const void *data, size_t len)
{
    const EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx;
    uint8_t none[1];
    int n = 0;
    int r = begin(&ctx, &cipher, key_len, len, aad_len);

    if (r < 0)
        return r;
    bool ok = EVP_EncryptInit_ex2(ctx, cipher, key, nonce, NULL) &&
              (aad_len == 0 || EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len)) &&
              (len == 0 || EVP_EncryptUpdate(ctx, out, &n, data, (int)len)) &&
              EVP_EncryptFinal_ex(ctx, none, &n) &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, (uint8_t *)out + len);
    return ok ? 0 : -ENOMEM;
}

int aead_open(void *out, const void *key, size_t key_len, const uint8_t nonce[AEAD_NONCE_LEN],
              const void *aad, size_t aad_len, const void *data, size_t len)
{
    const EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx;
    uint8_t none[1];
    int n = 0;

    if (len < AEAD_TAG_LEN)
        return -EBADMSG;
    len -= AEAD_TAG_LEN;
    int r = begin(&ctx, &cipher, key_len, len, aad_len);
    if (r < 0)
        return r;
    // OpenSSL only reads the tag, but wants it without const.
    void *tag = (void *)(uintptr_t)((const uint8_t *)data + len);
    bool ok = EVP_DecryptInit_ex2(ctx, cipher, key, nonce, NULL) &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN, tag) &&
              (aad_len == 0 || EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aad_len)) &&
              (len == 0 || EVP_DecryptUpdate(ctx, out, &n, data, (int)len));
    if (!ok)
        return -ENOMEM;
    if (EVP_DecryptFinal_ex(ctx, none, &n))
        return 0;
    OPENSSL_cleanse(out, len);
    return -EBADMSG;
}
