// SPDX-License-Identifier: BSD-2-Clause
// ClientHellos of OpenSSL and hand-made ones, whole, byte by byte and in records of all sizes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <string.h>

#include "net/tls_hello.h"

struct bytes {
    uint8_t data[2 * TLS_HELLO_MAX];
    size_t len;
};

static void put(struct bytes *b, const void *data, size_t len)
{
    assert_true(len <= sizeof b->data - b->len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void put_number(struct bytes *b, size_t value, unsigned bytes)
{
    for (; bytes; bytes--)
        put(b, &(uint8_t){(uint8_t)(value >> 8 * (bytes - 1))}, 1);
}

// What is said of the first len bytes; they must not be needed afterwards.
static size_t look(const struct bytes *b, size_t len, bool *http)
{
    static uint8_t copy[TLS_HELLO_MAX];
    assert_true(len <= sizeof copy);
    memcpy(copy, b->data, len);
    size_t wants = tls_hello_look(copy, len, http);
    assert_true(wants == 0 || (wants > len && wants <= TLS_HELLO_MAX && !*http));
    return wants;
}

// As a worker looks: again when there is as much as was wanted. And whoever looks more often learns
// nothing else.
static bool is_http(const struct bytes *b)
{
    bool http, other;
    size_t cap = b->len < TLS_HELLO_MAX ? b->len : TLS_HELLO_MAX;
    size_t len = 1, wants;
    while ((wants = look(b, len, &http)) && wants <= cap) {
        for (size_t n = len + 1; n < wants; n++)
            assert_int_equal(look(b, n, &other), wants);
        len = wants;
    }
    if (wants == 0)
        for (; len <= cap; len += 1 + (cap - len) / 8) {
            assert_int_equal(look(b, len, &other), 0);
            assert_int_equal(other, http);
        }
    return http;
}

// --- of OpenSSL ---

// alpn: names behind their lengths, or NULL.
static struct bytes openssl_hello(const char *alpn)
{
    struct bytes b = {.len = 0};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    assert_true(ssl && in && out);
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    SSL_set_tlsext_host_name(ssl, "turn.example.org");
    if (alpn)
        assert_int_equal(SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned)strlen(alpn)),
                         0);
    SSL_do_handshake(ssl);
    b.len = (size_t)BIO_read(out, b.data, sizeof b.data);
    assert_true(b.len > 100 && b.len < sizeof b.data);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return b;
}

// The same message in records of so many bytes.
static struct bytes cut(const struct bytes *b, size_t size)
{
    struct bytes out = {.len = 0};
    for (size_t at = 5; at < b->len; at += size) {
        size_t n = b->len - at < size ? b->len - at : size;
        put(&out, "\x16\3\1", 3);
        put_number(&out, n, 2);
        put(&out, b->data + at, n);
    }
    return out;
}

static void protocols(void **state)
{
    static const struct {
        const char *alpn;
        bool http;
    } cases[] = {{NULL, false},
                 {"\x08http/1.1", true},
                 {"\x08http/1.0", true},
                 {"\2h2\x08http/1.1", true},
                 {"\x0cgreasegrease\2h2\x08http/1.1", true},
                 {"\2h2", false},
                 {"\x09http/1.10", false},
                 {"\x07http/1.", false},
                 {"\x08HTTP/1.1", false},
                 {"\x09stun.turn", false},
                 {"\x12stun.nat-discovery", false},
                 {"\x09stun.turn\x08http/1.1", false},
                 {"\x08http/1.1\x12stun.nat-discovery", false},
                 {"\x06webrtc\x08http/1.1", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes b = openssl_hello(cases[i].alpn), pieces;
        assert_int_equal(is_http(&b), cases[i].http);
        for (size_t size = 1; size < 400; size = size * 3 + 1) {
            pieces = cut(&b, size);
            assert_int_equal(is_http(&pieces), cases[i].http);
        }
    }
}

static void what_follows(void **state)
{
    struct bytes b = openssl_hello("\x08http/1.1");
    put(&b, "\x14\3\3\0\1\1\x17\3\3\0\5early", 16); // as with early data
    assert_true(is_http(&b));
    b = openssl_hello("\x08http/1.1");
    put_number(&b, 0xffffffff, 4);
    assert_true(is_http(&b));
}

// --- hand-made ---

// From the version to the extensions and what else is to come behind them, in one record or as many
// as it takes.
static struct bytes hello_with(const void *extensions, size_t len, const char *behind)
{
    struct bytes body = {.len = 0}, record = {.len = 0};
    put(&body, "\3\3", 2);
    put(&body, (uint8_t[32]){0}, 32);
    put_number(&body, 0, 1);         // session id
    put(&body, "\0\2\x13\1\1\0", 6); // a cipher suite, no compression
    put_number(&body, len, 2);
    put(&body, extensions, len);
    put(&body, behind, strlen(behind));
    put_number(&record, 0, 5);
    put_number(&record, 1, 1);
    put_number(&record, body.len, 3);
    put(&record, body.data, body.len);
    return cut(&record, TLS_HELLO_MAX - 5);
}

#define ALPN "\0\x10\0\x0b\0\x09\x08http/1.1"
#define ALPN_LEN 15

static void extensions(void **state)
{
    static const struct {
        const char *data;
        size_t len;
        bool http;
    } cases[] = {
        {ALPN, ALPN_LEN, true},
        {"", 0, false},
        {"\0\x2a\0\0" ALPN, 4 + ALPN_LEN, true},          // behind another one
        {ALPN "\0", ALPN_LEN + 1, true},                  // OpenSSL refuses it
        {"\0\x10\0\2\0\0", 6, false},                     // an empty list
        {"\0\x10\0\3\0\1\0", 7, false},                   // of an empty name
        {"\0\x10\0\x0c\0\x09\x08http/1.1\0", 16, false},  // more than the list
        {"\0\x10\0\x0b\0\x09\x09http/1.1", 15, false},    // a name that goes on
        {"\0\x10\0\x0b\0\x0a\x08http/1.1", 15, false},    // a list that goes on
        {"\0\x10\0\x0c\0\x09\x08http/1.1", 15, false},    // an extension that goes on
        {"\0\x10\0\x0d\0\x0b\x08http/1.1\2h", 17, false}, // a second name that goes on
        {"\0\x2a\0\xff" ALPN, 4 + ALPN_LEN, false},       // one before that goes on
        {"\0\x10\0\0" ALPN, 4 + ALPN_LEN, false},         // the first counts
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes b = hello_with(cases[i].data, cases[i].len, "");
        assert_int_equal(is_http(&b), cases[i].http);
    }
    struct bytes b = hello_with(ALPN, ALPN_LEN, "x");
    assert_false(is_http(&b));
}

static void damaged(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {{0, 0x17}, {0, 0x15}, {1, 2},   {1, 4},    {3, 0xff}, // type, version, length
                 {5, 2},    {5, 0},    {43, 33}, {43, 255}, {44, 1},   {48, 200}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes b = hello_with(ALPN, ALPN_LEN, "");
        b.data[cases[i].at] = cases[i].value;
        assert_false(is_http(&b));
    }
    struct bytes b = hello_with(ALPN, ALPN_LEN, "");
    b.data[3] = b.data[4] = 0; // an empty record
    assert_false(is_http(&b));
    b = (struct bytes){.data = "\x16\3\1\0\1\1\x17\3\1\0\1\1", .len = 12}; // another kind of record
    assert_false(is_http(&b));
}

// A ClientHello that ends with the last byte that is looked at, and one that ends behind it.
static void bounds(void **state)
{
    static uint8_t padded[TLS_HELLO_MAX];
    const size_t fixed = 5 + 4 + 2 + 32 + 1 + 6 + 2 + ALPN_LEN + 4;
    for (size_t more = 0; more < 3; more++) {
        size_t n = TLS_HELLO_MAX - fixed + more;
        memset(padded, 0, sizeof padded);
        padded[1] = 21; // padding, RFC 7685
        padded[2] = (uint8_t)(n >> 8);
        padded[3] = (uint8_t)n;
        memcpy(padded + 4 + n, ALPN, ALPN_LEN);
        struct bytes b = hello_with(padded, 4 + n + ALPN_LEN, "");
        assert_true(more || b.len == TLS_HELLO_MAX);
        assert_int_equal(is_http(&b), more == 0);
    }
    struct bytes b = {.len = 0};
    put(&b, "\x16\3\1\0\4\1\xff\xff\xff", 9); // 16 MiB
    while (b.len < TLS_HELLO_MAX)
        put(&b, "\x16\3\1\0\1\0", 6);
    bool http;
    assert_int_equal(look(&b, TLS_HELLO_MAX, &http), 0);
    assert_false(is_http(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocols), cmocka_unit_test(what_follows), cmocka_unit_test(extensions),
        cmocka_unit_test(damaged),   cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
