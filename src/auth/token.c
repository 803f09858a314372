// SPDX-License-Identifier: BSD-2-Clause
#include "auth/token.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "stun/cursor.h"
#include "util/codec.h"

#define HEAD_LEN (2 + AEAD_NONCE_LEN)
#define BLOCK_MIN (2 + TOKEN_MAC_KEY_MIN + 8 + 4)
#define BLOCK_MAX (2 + TOKEN_MAC_KEY_MAX + 8 + 4)

size_t token_key_len(enum token_algorithm algorithm)
{
    return algorithm == TOKEN_A128GCM ? 16 : 32;
}

const char *token_algorithm_name(enum token_algorithm algorithm)
{
    return algorithm == TOKEN_A128GCM ? "A128GCM" : "A256GCM";
}

int token_algorithm_parse(enum token_algorithm *out, const char *name)
{
    if (strcmp(name, "A256GCM") == 0)
        *out = TOKEN_A256GCM;
    else if (strcmp(name, "A128GCM") == 0)
        *out = TOKEN_A128GCM;
    else
        return -EINVAL;
    return 0;
}

int token_key_parse(struct token_key *out, enum token_algorithm algorithm, const char *text)
{
    size_t len = token_key_len(algorithm), text_len = strlen(text);

    memset(out, 0, sizeof(*out));
    out->algorithm = algorithm;
    // The lengths of the two forms differ, so that neither can be taken for the other.
    if (text_len == 2 * len)
        return hex_decode(out->bytes, len, text);
    if (text_len == BASE64_LEN(len) && base64_decode(out->bytes, len, text, text_len) == (int)len)
        return 0;
    return -EINVAL;
}

static void put_u64(struct cursor *c, uint64_t v)
{
    cursor_put_u32(c, (uint32_t)(v >> 32));
    cursor_put_u32(c, (uint32_t)v);
}

int token_encode(uint8_t out[TOKEN_MAX], const struct token *t, const struct token_key *key,
                 const char *server, const uint8_t nonce[AEAD_NONCE_LEN])
{
    uint8_t block[BLOCK_MAX];
    struct cursor head = cursor_writer(out, HEAD_LEN);
    struct cursor c = cursor_writer(block, sizeof(block));

    if (t->mac_key_len < TOKEN_MAC_KEY_MIN || t->mac_key_len > TOKEN_MAC_KEY_MAX)
        return -EINVAL;
    cursor_put_u16(&head, AEAD_NONCE_LEN);
    cursor_put(&head, nonce, AEAD_NONCE_LEN);
    cursor_put_u16(&c, (uint16_t)t->mac_key_len);
    cursor_put(&c, t->mac_key, t->mac_key_len);
    put_u64(&c, t->timestamp);
    cursor_put_u32(&c, t->lifetime);
    int r = aead_seal(out + HEAD_LEN, key->bytes, token_key_len(key->algorithm), nonce, server,
                      strlen(server), block, c.pos);
    OPENSSL_cleanse(block, sizeof(block));
    return r < 0 ? r : (int)(HEAD_LEN + c.pos + AEAD_TAG_LEN);
}

static int read_block(struct token *out, const uint8_t *block, size_t len)
{
    struct cursor c = cursor_reader(block, len);

    out->mac_key_len = cursor_u16(&c);
    if (out->mac_key_len < TOKEN_MAC_KEY_MIN || out->mac_key_len > TOKEN_MAC_KEY_MAX)
        return -EBADMSG;
    const uint8_t *mac_key = cursor_take(&c, out->mac_key_len);
    uint64_t high = cursor_u32(&c);
    out->timestamp = high << 32 | cursor_u32(&c);
    out->lifetime = cursor_u32(&c);
    if (!c.ok || c.pos != len)
        return -EBADMSG;
    memcpy(out->mac_key, mac_key, out->mac_key_len);
    return 0;
}

int token_decode(struct token *out, const void *data, size_t len, const struct token_key *key,
                 const char *server)
{
    uint8_t block[BLOCK_MAX];
    struct cursor c = cursor_reader(data, len);

    memset(out, 0, sizeof(*out));
    uint16_t nonce_len = cursor_u16(&c);
    const uint8_t *nonce = cursor_take(&c, AEAD_NONCE_LEN);
    if (!c.ok || nonce_len != AEAD_NONCE_LEN || len < HEAD_LEN + BLOCK_MIN + AEAD_TAG_LEN ||
        len > TOKEN_MAX)
        return -EBADMSG;
    int r = aead_open(block, key->bytes, token_key_len(key->algorithm), nonce, server,
                      strlen(server), (const uint8_t *)data + HEAD_LEN, len - HEAD_LEN);
    if (r == 0)
        r = read_block(out, block, len - HEAD_LEN - AEAD_TAG_LEN);
    OPENSSL_cleanse(block, sizeof(block));
    return r;
}

uint32_t token_remaining(const struct token *t, int64_t now)
{
    int64_t made = (int64_t)(t->timestamp >> 16);
    int64_t end = made + t->lifetime + TOKEN_DELTA;

    if (t->lifetime == 0 || made > now + TOKEN_FUTURE_MAX || end <= now)
        return 0;
    return end - now < t->lifetime ? (uint32_t)(end - now) : t->lifetime;
}
