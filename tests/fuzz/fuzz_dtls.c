// SPDX-License-Identifier: BSD-2-Clause
// Input: a byte for the state of the server, then datagrams, each behind its length in two bytes.
// Without a state they go to what strangers reach: the ClientHello and its cookie. Else to a
// session that waits for its ClientHello, that is in the middle of its handshake, or that is ready;
// the last must survive whatever comes, since none of it is authentic, and must still understand
// its client.
#include "fuzz.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "net/dtls.h"
#include "net/dtls_hello.h"

enum { STRANGERS, FRESH, HANDSHAKE, READY, STATES };
#define DATAGRAM_MAX 2048
#define DATAGRAMS 16

struct end {
    SSL *ssl;
    BIO *in, *out;
};

static SSL_CTX *server_ctx, *client_ctx;
static struct dtls server;
static struct end client;
static const struct addr from = {.ip = {192, 0, 2, 1}, .port = 40000, .family = ADDR_IPV4};
static const struct addr to = {.ip = {192, 0, 2, 2}, .port = 3478, .family = ADDR_IPV4};

static void make_contexts(void)
{
    if (server_ctx)
        return;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    CHECK(key && x);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    CHECK(X509_sign(x, key, EVP_sha256()));
    server_ctx = SSL_CTX_new(DTLS_server_method());
    client_ctx = SSL_CTX_new(DTLS_client_method());
    CHECK(server_ctx && client_ctx);
    CHECK(SSL_CTX_use_certificate(server_ctx, x) == 1);
    CHECK(SSL_CTX_use_PrivateKey(server_ctx, key) == 1);
    SSL_CTX_set_min_proto_version(server_ctx, DTLS1_2_VERSION);
    SSL_CTX_set_options(client_ctx, SSL_OP_NO_QUERY_MTU);
    dtls_prepare(server_ctx);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void server_sends(void *arg, const uint8_t *data, size_t len)
{
    CHECK(len <= DTLS_MTU);
    if (arg)
        BIO_write(client.in, data, (int)len);
}

static void open_server(void *arg)
{
    SSL *ssl = SSL_new(server_ctx);
    CHECK(ssl);
    SSL_set_accept_state(ssl);
    CHECK(dtls_open(&server, ssl, server_sends, arg) == 0);
}

// --- what strangers reach ---

static void stranger(struct dtls_cookies *cookies, const uint8_t *data, size_t len)
{
    struct dtls_hello hello;
    struct dtls_record record;
    uint8_t cookie[DTLS_COOKIE_LEN], answer[DTLS_VERIFY_REQUEST_LEN];
    size_t at = 0, before = 0;
    while (at < len && dtls_record_next(&record, data, len, &at)) {
        CHECK(at >= before + 13 && at <= len && record.fragment + record.len <= data + len);
        before = at;
    }
    if (dtls_hello_parse(&hello, data, len))
        return;
    CHECK(dtls_hello_begins(data, len));
    CHECK(hello.cookie_len <= 255 && hello.random >= data && hello.behind > hello.before);
    CHECK(hello.behind + hello.behind_len <= data + len);
    CHECK(!dtls_cookie_check(cookies, &hello, &from, &to, 0)); // it would have been guessed
    CHECK(dtls_cookie_make(cookies, cookie, &hello, &from, &to, 0) == 0);
    dtls_hello_verify_request(answer, &hello, cookie);
    CHECK(sizeof answer <= len);
    hello.cookie = cookie;
    hello.cookie_len = sizeof cookie;
    CHECK(dtls_cookie_check(cookies, &hello, &from, &to, 0));
    CHECK(!dtls_cookie_check(cookies, &hello, &to, &from, 0));
}

// --- a sound client ---

static void open_client(void)
{
    client.ssl = SSL_new(client_ctx);
    client.in = BIO_new(BIO_s_mem());
    client.out = BIO_new(BIO_s_mem());
    CHECK(client.ssl && client.in && client.out);
    BIO_set_mem_eof_return(client.in, -1);
    SSL_set_bio(client.ssl, client.in, client.out);
    SSL_set_mtu(client.ssl, 1200);
    SSL_set_connect_state(client.ssl);
}

// What the client wants to say, in one piece.
static size_t client_output(uint8_t *buf, size_t cap)
{
    ERR_clear_error();
    if (!SSL_is_init_finished(client.ssl))
        SSL_do_handshake(client.ssl);
    int len = BIO_read(client.out, buf, (int)cap);
    return len > 0 ? (size_t)len : 0;
}

// A handshake up to the server's flight, or all of it. The cookie is not of interest here.
static void connect_client(bool whole)
{
    uint8_t data[8192], verify[DTLS_VERIFY_REQUEST_LEN], cookie[DTLS_COOKIE_LEN] = {0};
    struct dtls_hello hello;
    open_client();
    size_t len = client_output(data, sizeof data);
    CHECK(dtls_hello_parse(&hello, data, len) == 0);
    dtls_hello_verify_request(verify, &hello, cookie);
    BIO_write(client.in, verify, sizeof verify);
    len = client_output(data, sizeof data);
    open_server(&client);
    CHECK(dtls_accept(&server, data, len) == 0);
    while (whole && !server.ready) {
        len = client_output(data, sizeof data);
        CHECK(dtls_input(&server, data, len) == 0);
    }
    if (whole)
        client_output(data, sizeof data);
}

static void still_understood(void)
{
    uint8_t data[8192];
    CHECK(SSL_is_init_finished(client.ssl));
    CHECK(SSL_write(client.ssl, "hello", 5) == 5);
    size_t len = client_output(data, sizeof data);
    CHECK(dtls_input(&server, data, len) == 0);
    CHECK(dtls_read(&server, data, len) == 5);
}

// --- datagrams to a session ---

static void to_session(unsigned state, unsigned number, uint8_t *data, size_t len)
{
    if (state == FRESH && number == 0) {
        dtls_accept(&server, data, len);
        return;
    }
    int err = dtls_input(&server, data, len);
    size_t at = 0;
    ssize_t got;
    while (!err && (got = dtls_read(&server, data + at, len - at)) > 0)
        at += (size_t)got;
    if (state == READY)
        CHECK(err == 0 && got == -EAGAIN && at == 0);
    dtls_timer(&server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned state = *data++ % STATES;
    size--;
    make_contexts();
    struct dtls_cookies *cookies = state == STRANGERS ? dtls_cookies_new() : NULL;
    if (state == FRESH)
        open_server(NULL);
    else if (state != STRANGERS)
        connect_client(state == READY);
    for (unsigned i = 0; size >= 2 && i < DATAGRAMS; i++) {
        uint8_t copy[DATAGRAM_MAX];
        size_t len = (size_t)data[0] << 8 | data[1];
        data += 2;
        size -= 2;
        len = len > size ? size : len;
        memcpy(copy, data, len > sizeof copy ? sizeof copy : len);
        if (state == STRANGERS)
            stranger(cookies, data, len);
        else
            to_session(state, i, copy, len > sizeof copy ? sizeof copy : len);
        data += len;
        size -= len;
    }
    if (state == READY)
        still_understood();
    dtls_close(&server);
    dtls_release(&server);
    SSL_free(client.ssl);
    client.ssl = NULL;
    dtls_cookies_free(cookies);
    ERR_clear_error();
    return 0;
}
