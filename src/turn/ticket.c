// SPDX-License-Identifier: BSD-2-Clause
#include "turn/ticket.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "stun/cursor.h"
#include "util/rand.h"

#define TAG_LEN 16
#define SEALED_LEN 16
#define SALT_LEN 3

_Static_assert(TAG_LEN + SEALED_LEN == TICKET_LEN, "the parts make the whole");

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *cipher;

static void fetch(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-SIV", NULL);
}

static EVP_CIPHER_CTX *begin(const uint8_t *key, bool seal)
{
    pthread_once(&once, fetch);
    EVP_CIPHER_CTX *ctx = cipher ? EVP_CIPHER_CTX_new() : NULL;
    if (ctx && !EVP_CipherInit_ex2(ctx, cipher, key, NULL, seal, NULL)) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

static bool seal(const uint8_t *key, const uint8_t plain[SEALED_LEN], uint8_t out[TICKET_LEN])
{
    int len, rest;
    EVP_CIPHER_CTX *ctx = begin(key, true);
    bool ok = ctx && EVP_EncryptUpdate(ctx, out + TAG_LEN, &len, plain, SEALED_LEN) > 0 &&
              EVP_EncryptFinal_ex(ctx, out + TICKET_LEN, &rest) > 0 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, out) > 0;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

int ticket_seal(const uint8_t key[TICKET_KEY_LEN], const struct ticket *ticket,
                uint8_t out[TICKET_LEN])
{
    // Seven of eight salts leave no zero in the ticket.
    do {
        uint8_t plain[SEALED_LEN], salt[SALT_LEN];
        struct cursor c = cursor_writer(plain, sizeof(plain));
        rand_bytes(salt, sizeof(salt));
        cursor_put_u32(&c, (uint32_t)(ticket->session >> 32));
        cursor_put_u32(&c, (uint32_t)ticket->session);
        cursor_put_u32(&c, ticket->number);
        cursor_put_u8(&c, ticket->worker);
        cursor_put(&c, salt, sizeof(salt));
        if (!seal(key, plain, out))
            return -ENOMEM;
    } while (memchr(out, 0, TICKET_LEN));
    return 0;
}

bool ticket_open(const uint8_t key[TICKET_KEY_LEN], const uint8_t *data, size_t len,
                 struct ticket *out)
{
    uint8_t plain[SEALED_LEN], tag[TAG_LEN];
    int plain_len;

    if (len != TICKET_LEN)
        return false;
    memcpy(tag, data, sizeof(tag));
    EVP_CIPHER_CTX *ctx = begin(key, false);
    // The tag is checked by the only update that this mode allows.
    bool ok = ctx && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) > 0 &&
              EVP_DecryptUpdate(ctx, plain, &plain_len, data + TAG_LEN, SEALED_LEN) > 0;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        return false;
    struct cursor c = cursor_reader(plain, sizeof(plain));
    out->session = (uint64_t)cursor_u32(&c) << 32;
    out->session |= cursor_u32(&c);
    out->number = cursor_u32(&c);
    out->worker = cursor_u8(&c);
    return true;
}
