// SPDX-License-Identifier: BSD-2-Clause
#include "net/dtls_hello.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "net/hello.h"
#include "util/rand.h"

#define VERSION_MAJOR 0xfe
#define VERSION_MINOR_1_0 0xff
#define HELLO_VERIFY_REQUEST 3
#define HANDSHAKE_HEADER_LEN 12
#define KEY_LEN 32
#define MAC_LEN (DTLS_COOKIE_LEN - 1)

bool dtls_record_next(struct dtls_record *out, const void *data, size_t len, size_t *at)
{
    struct cursor c = cursor_reader((const uint8_t *)data + *at, len - *at);
    out->type = cursor_u8(&c);
    uint8_t major = cursor_u8(&c);
    cursor_u8(&c);
    out->epoch = cursor_u16(&c);
    cursor_take(&c, 6); // sequence number
    out->len = cursor_u16(&c);
    out->fragment = cursor_take(&c, out->len);
    *at += c.ok ? c.pos : 0;
    return c.ok && major == VERSION_MAJOR;
}

bool dtls_hello_begins(const void *data, size_t len)
{
    struct dtls_record r;
    size_t at = 0;
    return dtls_record_next(&r, data, len, &at) && r.type == DTLS_HANDSHAKE && r.epoch == 0 &&
           r.len > 0 && r.fragment[0] == HELLO_CLIENT;
}

static int parse_body(struct dtls_hello *out, struct cursor *c)
{
    size_t session_id_len, suites_len, methods_len, extensions_len;
    out->before = c->base + c->pos;
    uint8_t major = cursor_u8(c);
    cursor_u8(c);
    out->random = cursor_take(c, HELLO_RANDOM_LEN);
    hello_vector(c, false, &session_id_len);
    out->before_len = (size_t)(c->base + c->pos - out->before);
    out->cookie = hello_vector(c, false, &out->cookie_len);
    out->behind = c->base + c->pos;
    hello_vector(c, true, &suites_len);
    hello_vector(c, false, &methods_len);
    out->behind_len = (size_t)(c->base + c->pos - out->behind);
    if (cursor_left(c))
        hello_vector(c, true, &extensions_len);
    bool good = c->ok && cursor_left(c) == 0 && major == VERSION_MAJOR &&
                session_id_len <= HELLO_SESSION_ID_MAX && suites_len >= 2 && suites_len % 2 == 0 &&
                methods_len >= 1;
    return good ? 0 : -EBADMSG;
}

int dtls_hello_parse(struct dtls_hello *out, const void *data, size_t len)
{
    struct dtls_record r;
    size_t at = 0;
    if (!dtls_hello_begins(data, len) || !dtls_record_next(&r, data, len, &at))
        return -EBADMSG;
    memcpy(out->sequence, (const uint8_t *)data + 5, sizeof out->sequence);
    struct cursor c = cursor_reader(r.fragment, r.len);
    cursor_u8(&c); // type
    uint32_t message_len = hello_u24(&c);
    out->message_seq = cursor_u16(&c);
    uint32_t fragment_at = hello_u24(&c);
    uint32_t fragment_len = hello_u24(&c);
    if (!c.ok || fragment_at != 0 || fragment_len != message_len || cursor_left(&c) != message_len)
        return -EBADMSG;
    return parse_body(out, &c);
}

void dtls_hello_verify_request(uint8_t out[DTLS_VERIFY_REQUEST_LEN], const struct dtls_hello *hello,
                               const uint8_t cookie[DTLS_COOKIE_LEN])
{
    enum { BODY_LEN = 3 + DTLS_COOKIE_LEN };
    // RFC 6347 4.2.1: version 1.0 whatever is to be negotiated, and the number of the record that
    // is answered. message_seq is 0, the first of ours; that of the next answer is as well.
    static const uint8_t fixed[DTLS_VERIFY_REQUEST_LEN] = {
        [0] = DTLS_HANDSHAKE,
        [1] = VERSION_MAJOR,
        [2] = VERSION_MINOR_1_0,
        [12] = HANDSHAKE_HEADER_LEN + BODY_LEN, // the record's
        [13] = HELLO_VERIFY_REQUEST,
        [16] = BODY_LEN, // the message's, and that of its one fragment
        [24] = BODY_LEN,
        [25] = VERSION_MAJOR,
        [26] = VERSION_MINOR_1_0,
        [27] = DTLS_COOKIE_LEN,
    };
    memcpy(out, fixed, sizeof fixed);
    memcpy(out + 5, hello->sequence, sizeof hello->sequence);
    memcpy(out + 28, cookie, DTLS_COOKIE_LEN);
}

// --- cookies ---

struct dtls_cookies {
    EVP_MAC_CTX *mac;
    uint8_t keys[2][KEY_LEN]; // of this generation and the one before, by its lowest bit
    uint8_t generation;
    int64_t since_ms; // when this generation began
    bool begun;
};

struct dtls_cookies *dtls_cookies_new(void)
{
    struct dtls_cookies *c = calloc(1, sizeof *c);
    EVP_MAC *mac = c ? EVP_MAC_fetch(NULL, "HMAC", NULL) : NULL;
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    if (c && mac)
        c->mac = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac); // the context holds a reference
    if (!c || !c->mac || !EVP_MAC_CTX_set_params(c->mac, params)) {
        dtls_cookies_free(c);
        return NULL;
    }
    rand_bytes(c->keys, sizeof c->keys);
    return c;
}

void dtls_cookies_free(struct dtls_cookies *c)
{
    if (!c)
        return;
    EVP_MAC_CTX_free(c->mac);
    OPENSSL_cleanse(c->keys, sizeof c->keys);
    free(c);
}

// The key before the last is overwritten: what was made with it is worth nothing from now on.
static void rotate_keys(struct dtls_cookies *c, int64_t now_ms)
{
    if (!c->begun) {
        c->begun = true;
        c->since_ms = now_ms;
    }
    if (now_ms - c->since_ms < DTLS_COOKIE_LIFE_MS)
        return;
    if (now_ms - c->since_ms >= 2 * DTLS_COOKIE_LIFE_MS)
        rand_bytes(c->keys, sizeof c->keys);
    c->generation++;
    rand_bytes(c->keys[c->generation & 1], KEY_LEN);
    c->since_ms = now_ms;
}

static int cookie_mac(struct dtls_cookies *c, uint8_t generation, uint8_t out[MAC_LEN],
                      const struct dtls_hello *hello, const struct addr *client,
                      const struct addr *local)
{
    uint8_t full[32];
    size_t len;
    if (!EVP_MAC_init(c->mac, c->keys[generation & 1], KEY_LEN, NULL) ||
        !EVP_MAC_update(c->mac, &generation, 1) ||
        !EVP_MAC_update(c->mac, (const uint8_t *)client, sizeof *client) ||
        !EVP_MAC_update(c->mac, (const uint8_t *)local, sizeof *local) ||
        !EVP_MAC_update(c->mac, hello->before, hello->before_len) ||
        !EVP_MAC_update(c->mac, hello->behind, hello->behind_len) ||
        !EVP_MAC_final(c->mac, full, &len, sizeof full))
        return -ENOMEM;
    memcpy(out, full, MAC_LEN);
    return 0;
}

int dtls_cookie_make(struct dtls_cookies *c, uint8_t out[DTLS_COOKIE_LEN],
                     const struct dtls_hello *hello, const struct addr *client,
                     const struct addr *local, int64_t now_ms)
{
    rotate_keys(c, now_ms);
    out[0] = c->generation;
    return cookie_mac(c, c->generation, out + 1, hello, client, local);
}

bool dtls_cookie_check(struct dtls_cookies *c, const struct dtls_hello *hello,
                       const struct addr *client, const struct addr *local, int64_t now_ms)
{
    uint8_t mac[MAC_LEN];
    if (hello->cookie_len != DTLS_COOKIE_LEN)
        return false;
    rotate_keys(c, now_ms);
    uint8_t generation = hello->cookie[0];
    if (generation != c->generation && generation != (uint8_t)(c->generation - 1))
        return false;
    return cookie_mac(c, generation, mac, hello, client, local) == 0 &&
           CRYPTO_memcmp(mac, hello->cookie + 1, MAC_LEN) == 0;
}
