// SPDX-License-Identifier: BSD-2-Clause
// OpenSSL's own client against a session, and hand-made ClientHellos against the stateless part.
// All datagrams stay in memory, where they can be lost, doubled, and put in another order.
#include <errno.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/dtls.h"
#include "net/dtls_hello.h"

#define QUEUE 256

struct datagram {
    uint8_t data[2048];
    size_t len;
};

struct queue {
    struct datagram items[QUEUE];
    unsigned count, total;
    size_t longest;
};

struct link {
    SSL_CTX *server_ctx, *client_ctx;
    struct dtls server;
    bool opened;
    SSL *client;
    struct queue to_client, to_server;
    struct dtls_cookies *cookies;
    struct addr client_addr, server_addr;
    int64_t now_ms;
    int server_result;
};

static void push(struct queue *q, const void *data, size_t len)
{
    assert_true(q->count < QUEUE && len <= sizeof q->items[0].data);
    struct datagram *d = &q->items[q->count++];
    memcpy(d->data, data, len);
    d->len = len;
    q->total++;
    if (len > q->longest)
        q->longest = len;
}

static struct datagram pop(struct queue *q, unsigned index)
{
    assert_true(index < q->count);
    struct datagram d = q->items[index];
    memmove(&q->items[index], &q->items[index + 1], (--q->count - index) * sizeof d);
    return d;
}

static void server_sends(void *arg, const uint8_t *data, size_t len)
{
    struct link *l = arg;
    push(&l->to_client, data, len);
}

// --- the client ---

// A BIO of the client that keeps datagrams apart.
static BIO_METHOD *client_method;
static const struct datagram *client_in;

static int client_read(BIO *b, char *buf, int cap)
{
    BIO_clear_retry_flags(b);
    if (!client_in) {
        BIO_set_retry_read(b);
        return -1;
    }
    size_t len = client_in->len;
    assert_true(len <= (size_t)cap);
    memcpy(buf, client_in->data, len);
    client_in = NULL;
    return (int)len;
}

static int client_write(BIO *b, const char *data, int len)
{
    struct link *l = BIO_get_data(b);
    push(&l->to_server, data, (size_t)len);
    return len;
}

static long client_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    return cmd == BIO_CTRL_FLUSH;
}

static int client_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

static void make_identity(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    assert_true(key && x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"turn.example.org", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()));
    assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(x);
    EVP_PKEY_free(key);
}

// OpenSSL would wait for a second.
static unsigned quick_timer(SSL *ssl, unsigned us)
{
    return 25000; // less than 15 ms are none to OpenSSL
}

static void new_client(struct link *l)
{
    SSL_free(l->client);
    l->client = SSL_new(l->client_ctx);
    BIO *b = BIO_new(client_method);
    assert_true(l->client && b);
    BIO_set_data(b, l);
    SSL_set_bio(l->client, b, b);
    SSL_set_mtu(l->client, 1200);
    SSL_set_connect_state(l->client);
    DTLS_set_timer_cb(l->client, quick_timer);
    l->to_client.count = l->to_server.count = 0;
}

static int setup(void **state)
{
    struct link *l = calloc(1, sizeof *l);
    client_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "client");
    BIO_meth_set_read(client_method, client_read);
    BIO_meth_set_write(client_method, client_write);
    BIO_meth_set_ctrl(client_method, client_ctrl);
    BIO_meth_set_create(client_method, client_create);
    client_in = NULL;
    l->server_ctx = SSL_CTX_new(DTLS_server_method());
    l->client_ctx = SSL_CTX_new(DTLS_client_method());
    SSL_CTX_set_min_proto_version(l->server_ctx, DTLS1_2_VERSION);
    SSL_CTX_set_options(l->client_ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    make_identity(l->server_ctx);
    dtls_prepare(l->server_ctx);
    l->cookies = dtls_cookies_new();
    assert_non_null(l->cookies);
    addr_parse(&l->client_addr, "192.0.2.1:40000");
    addr_parse(&l->server_addr, "198.51.100.1:5349");
    new_client(l);
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    struct link *l = *state;
    SSL_free(l->client);
    dtls_release(&l->server);
    SSL_CTX_free(l->server_ctx);
    SSL_CTX_free(l->client_ctx);
    dtls_cookies_free(l->cookies);
    BIO_meth_free(client_method);
    free(l);
    return 0;
}

// --- moving datagrams ---

static void open_server(struct link *l)
{
    dtls_release(&l->server);
    SSL *ssl = SSL_new(l->server_ctx);
    SSL_set_accept_state(ssl);
    DTLS_set_timer_cb(ssl, quick_timer);
    assert_int_equal(dtls_open(&l->server, ssl, server_sends, l), 0);
    l->opened = true;
}

// As a worker does it: a ClientHello is for the stateless part until its cookie is right.
static void server_takes(struct link *l, const struct datagram *d)
{
    struct dtls_hello hello;
    if (!l->opened && dtls_hello_parse(&hello, d->data, d->len) == 0) {
        if (dtls_cookie_check(l->cookies, &hello, &l->client_addr, &l->server_addr, l->now_ms)) {
            open_server(l);
            l->server_result = dtls_accept(&l->server, d->data, d->len);
            return;
        }
        uint8_t cookie[DTLS_COOKIE_LEN], out[DTLS_VERIFY_REQUEST_LEN];
        assert_int_equal(dtls_cookie_make(l->cookies, cookie, &hello, &l->client_addr,
                                          &l->server_addr, l->now_ms),
                         0);
        dtls_hello_verify_request(out, &hello, cookie);
        assert_true(sizeof out <= d->len);
        push(&l->to_client, out, sizeof out);
    } else if (l->opened) {
        l->server_result = dtls_input(&l->server, d->data, d->len);
    }
}

static void client_takes(struct link *l, const struct datagram *d)
{
    client_in = d;
    ERR_clear_error();
    SSL_do_handshake(l->client);
    client_in = NULL;
}

static void start(struct link *l)
{
    ERR_clear_error();
    SSL_do_handshake(l->client);
}

// Delivers until nothing is on its way.
static void deliver(struct link *l)
{
    while (l->to_client.count || l->to_server.count) {
        if (l->to_server.count) {
            struct datagram d = pop(&l->to_server, 0);
            server_takes(l, &d);
        }
        if (l->to_client.count) {
            struct datagram d = pop(&l->to_client, 0);
            client_takes(l, &d);
        }
    }
}

static void connect_both(struct link *l)
{
    start(l);
    deliver(l);
    assert_true(SSL_is_init_finished(l->client));
    assert_true(l->server.ready);
}

// Encrypts at the client and reads at the server, in place as the worker does.
static ssize_t client_says(struct link *l, const void *data, size_t len)
{
    assert_int_equal(SSL_write(l->client, data, (int)len), (int)len);
    assert_int_equal(l->to_server.count, 1);
    struct datagram d = pop(&l->to_server, 0);
    l->server_result = dtls_input(&l->server, d.data, d.len);
    ssize_t got = dtls_read(&l->server, d.data, d.len);
    if (got > 0) {
        assert_int_equal(got, len);
        assert_memory_equal(d.data, data, len);
        assert_int_equal(dtls_read(&l->server, d.data, d.len), -EAGAIN);
    }
    return got;
}

static void server_says(struct link *l, const void *data, size_t len)
{
    uint8_t buf[2048];
    assert_int_equal(dtls_write(&l->server, data, len), 0);
    assert_int_equal(l->to_client.count, 1);
    struct datagram d = pop(&l->to_client, 0);
    client_in = &d;
    assert_int_equal(SSL_read(l->client, buf, sizeof buf), (int)len);
    assert_memory_equal(buf, data, len);
    client_in = NULL;
}

// --- tests of sessions ---

static void test_echo(void **state)
{
    struct link *l = *state;
    uint8_t text[1000];
    memset(text, 'x', sizeof text);
    connect_both(l);
    assert_true(client_says(l, text, sizeof text) > 0);
    server_says(l, text, sizeof text);
    assert_int_equal(dtls_write(&l->server, text, DTLS_PLAINTEXT_MAX + 1), -EMSGSIZE);
    assert_int_equal(ERR_peek_error(), 0);
    assert_true(l->to_client.longest <= DTLS_MTU);
}

static void test_rest_and_memory(void **state)
{
    struct link *l = *state;
    connect_both(l);
    assert_true(client_says(l, "hello", 5) > 0);
    size_t busy = mallinfo2().uordblks;
    dtls_rest(&l->server);
    assert_true(l->server.resting);
    size_t resting = mallinfo2().uordblks;
    assert_true(client_says(l, "again", 5) > 0);
    assert_false(l->server.resting);
    server_says(l, "answer", 6);
    dtls_rest(&l->server);
    server_says(l, "after a rest", 12);
    dtls_rest(&l->server);
    size_t before = mallinfo2().uordblks;
    dtls_release(&l->server);
    size_t after = mallinfo2().uordblks;
    print_message("# a session: %zu bytes with buffers, %zu resting\n",
                  before - after + busy - resting, before - after);
}

static void test_close(void **state)
{
    struct link *l = *state;
    uint8_t buf[64];
    connect_both(l);
    SSL_shutdown(l->client);
    struct datagram d = pop(&l->to_server, 0);
    assert_int_equal(dtls_input(&l->server, d.data, d.len), 0);
    assert_int_equal(dtls_read(&l->server, d.data, d.len), -EPIPE);
    dtls_close(&l->server);
    d = pop(&l->to_client, 0);
    client_in = &d;
    assert_int_equal(SSL_shutdown(l->client), 1);
    assert_int_equal(dtls_write(&l->server, buf, sizeof buf), -EAGAIN);
    dtls_close(&l->server); // once is enough
    assert_int_equal(l->to_client.count, 0);
}

static void test_close_by_server(void **state)
{
    struct link *l = *state;
    uint8_t buf[64];
    connect_both(l);
    dtls_close(&l->server);
    struct datagram d = pop(&l->to_client, 0);
    client_in = &d;
    int ret = SSL_read(l->client, buf, sizeof buf);
    assert_int_equal(SSL_get_error(l->client, ret), SSL_ERROR_ZERO_RETURN);
}

// Both wait until it is time, and say again what was not answered.
static void retransmit(struct link *l)
{
    const struct timespec pause = {0, 30000000};
    nanosleep(&pause, NULL);
    DTLSv1_handle_timeout(l->client);
    if (l->opened)
        assert_int_equal(dtls_timer(&l->server), 0);
}

// Every single datagram of a handshake is lost once.
static void test_loss(void **state)
{
    struct link *l = *state;
    for (unsigned lost = 0; lost < 12; lost++) {
        new_client(l);
        l->opened = false;
        start(l);
        unsigned n = 0;
        for (unsigned round = 0;
             round < 50 && !(l->server.ready && SSL_is_init_finished(l->client)); round++) {
            while (l->to_client.count || l->to_server.count) {
                bool to_server = l->to_server.count;
                struct datagram d = pop(to_server ? &l->to_server : &l->to_client, 0);
                if (n++ == lost)
                    continue;
                if (to_server) {
                    server_takes(l, &d);
                    if (l->opened && l->server.ready)
                        dtls_read(&l->server, d.data, d.len);
                } else {
                    client_takes(l, &d);
                }
            }
            retransmit(l);
        }
        assert_true(SSL_is_init_finished(l->client));
        assert_true(l->opened && l->server.ready);
        l->to_server.count = l->to_client.count = 0;
        assert_true(client_says(l, "hello", 5) > 0);
    }
}

// The datagrams of each flight arrive backwards, each of them twice.
static void test_disorder(void **state)
{
    struct link *l = *state;
    start(l);
    for (unsigned round = 0; round < 50 && !(l->opened && l->server.ready); round++) {
        while (l->to_server.count) {
            struct datagram d = pop(&l->to_server, l->to_server.count - 1);
            server_takes(l, &d);
            server_takes(l, &d);
        }
        while (l->to_client.count) {
            struct datagram d = pop(&l->to_client, l->to_client.count - 1);
            client_takes(l, &d);
            client_takes(l, &d);
        }
        retransmit(l);
    }
    deliver(l);
    assert_true(l->opened && l->server.ready && SSL_is_init_finished(l->client));
    assert_true(client_says(l, "hello", 5) > 0);
}

static void test_replay(void **state)
{
    struct link *l = *state;
    connect_both(l);
    assert_int_equal(SSL_write(l->client, "once", 4), 4);
    struct datagram d = pop(&l->to_server, 0), copy = d;
    assert_int_equal(dtls_input(&l->server, d.data, d.len), 0);
    assert_int_equal(dtls_read(&l->server, d.data, d.len), 4);
    assert_int_equal(dtls_input(&l->server, copy.data, copy.len), 0);
    assert_int_equal(dtls_read(&l->server, copy.data, copy.len), -EAGAIN);
    assert_true(client_says(l, "more", 4) > 0);
}

// Nothing that a stranger can send from the client's address ends a session or gets through.
static void test_injected(void **state)
{
    struct link *l = *state;
    connect_both(l);
    assert_int_equal(SSL_write(l->client, "hello", 5), 5);
    struct datagram real = pop(&l->to_server, 0);
    struct datagram d;
    for (unsigned type = 19; type < 26; type++) {
        for (unsigned epoch = 0; epoch < 4; epoch++) {
            for (unsigned len = 0; len < 64; len += 9) {
                const uint8_t head[13] = {
                    (uint8_t)type,      0xfe, 0xfd,        0, (uint8_t)epoch, 0, 0, 0, 0, 0,
                    (uint8_t)(len + 1), 0,    (uint8_t)len};
                memcpy(d.data, head, sizeof head);
                memset(d.data + sizeof head, 2, len);
                d.len = sizeof head + len;
                assert_int_equal(dtls_input(&l->server, d.data, d.len), 0);
                ssize_t got = dtls_read(&l->server, d.data, d.len);
                if (got != -EAGAIN)
                    fail_msg("type %u epoch %u length %u: %zd %s", type, epoch, len, got,
                             ERR_reason_error_string(ERR_peek_error()));
            }
        }
    }
    for (size_t len = 0; len < real.len; len++) { // cut short, and with one byte changed
        d = real;
        assert_int_equal(dtls_input(&l->server, d.data, len), 0);
        assert_int_equal(dtls_read(&l->server, d.data, d.len), -EAGAIN);
        d.data[len] ^= 1;
        assert_int_equal(dtls_input(&l->server, d.data, d.len), 0);
        ssize_t got = dtls_read(&l->server, d.data, d.len);
        if (got != -EAGAIN)
            fail_msg("byte %zu: %zd %s", len, got, ERR_reason_error_string(ERR_peek_error()));
    }
    assert_int_equal(dtls_input(&l->server, real.data, real.len), 0);
    assert_int_equal(dtls_read(&l->server, real.data, real.len), 5);
    assert_int_equal(l->to_client.count, 0);
}

static void test_data_before_handshake(void **state)
{
    struct link *l = *state;
    start(l);
    struct datagram d = pop(&l->to_server, 0); // ClientHello
    server_takes(l, &d);
    d = pop(&l->to_client, 0);
    client_takes(l, &d);
    d = pop(&l->to_server, 0); // with the cookie
    server_takes(l, &d);
    assert_true(l->opened && !l->server.ready);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 10000; i++) {
        uint8_t data[1200] = {i % 3 ? DTLS_APPLICATION_DATA : DTLS_HANDSHAKE, 0xfe, 0xfd, 0, i % 2};
        data[9] = (uint8_t)(i >> 8);
        data[10] = (uint8_t)i;
        data[11] = (1200 - 13) >> 8;
        data[12] = (1200 - 13) & 255;
        data[13] = 16; // ClientKeyExchange of 64 KiB, message i
        data[15] = 255;
        data[18] = (uint8_t)i;
        assert_int_equal(dtls_input(&l->server, data, sizeof data), 0);
    }
    size_t grown = mallinfo2().uordblks - before;
    print_message("# a handshake kept %zu bytes of 12 MB\n", grown);
    assert_true(grown < 200000);
    assert_int_equal(dtls_write(&l->server, "x", 1), -EAGAIN);
    for (unsigned i = 0; i < 50 && !l->server.ready; i++) {
        deliver(l);
        retransmit(l);
    }
    assert_true(l->server.ready);
}

// A client that resumes a session may send data before the server has its Finished.
static void test_data_before_finished(void **state)
{
    struct link *l = *state;
    uint8_t data[1000] = {0};
    connect_both(l);
    SSL_SESSION *session = SSL_get1_session(l->client);
    SSL_set_shutdown(l->client, SSL_SENT_SHUTDOWN); // else it is not resumed
    new_client(l);
    SSL_set_session(l->client, session);
    l->opened = false;
    start(l);
    while (!SSL_is_init_finished(l->client)) {
        struct datagram d = pop(&l->to_server, 0);
        server_takes(l, &d);
        while (l->to_client.count) {
            d = pop(&l->to_client, 0);
            client_takes(l, &d);
        }
    }
    assert_true(SSL_session_reused(l->client));
    struct datagram last = pop(&l->to_server, 0); // ChangeCipherSpec, then Finished
    struct datagram first = last;
    first.len = 13u + ((size_t)last.data[11] << 8 | last.data[12]);
    assert_int_equal(last.data[0], 20);
    server_takes(l, &first);
    assert_false(l->server.ready);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(SSL_write(l->client, data, sizeof data), sizeof data);
        struct datagram d = pop(&l->to_server, l->to_server.count - 1);
        assert_int_equal(dtls_input(&l->server, d.data, d.len), 0);
    }
    size_t grown = mallinfo2().uordblks - before;
    print_message("# a handshake kept %zu bytes of 200 kB\n", grown);
    assert_true(grown < 50000);
    while (l->to_server.count) {
        struct datagram d = pop(&l->to_server, 0);
        server_takes(l, &d);
    }
    server_takes(l, &last);
    assert_true(l->server.ready);
    SSL_SESSION_free(session);
}

// The longest messages that are let through, as many as OpenSSL keeps.
static void test_fragments_are_bounded(void **state)
{
    struct link *l = *state;
    start(l);
    for (unsigned i = 0; i < 3; i++) {
        struct queue *q = i == 1 ? &l->to_client : &l->to_server;
        struct datagram d = pop(q, 0);
        i == 1 ? client_takes(l, &d) : server_takes(l, &d);
    }
    assert_true(l->opened && !l->server.ready);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 200; i++) {
        unsigned size = i < 100 ? 2048 : 16384;
        uint8_t data[] = {22,
                          0xfe,
                          0xfd,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          1,
                          (uint8_t)i,
                          0,
                          13,
                          16,
                          0,
                          (uint8_t)(size >> 8),
                          (uint8_t)size,
                          0,
                          (uint8_t)(i % 100),
                          0,
                          0,
                          0,
                          0,
                          0,
                          1,
                          0};
        dtls_input(&l->server, data, sizeof data);
        if (l->server.ended)
            break;
    }
    size_t grown = mallinfo2().uordblks - before;
    print_message("# fragments: %zu bytes kept\n", grown);
    assert_true(grown < 40000);
}

static void test_no_renegotiation(void **state)
{
    struct link *l = *state;
    connect_both(l);
    assert_true(client_says(l, "hello", 5) > 0);
    assert_int_equal(SSL_renegotiate(l->client), 1);
    for (unsigned i = 0; i < 5; i++) {
        start(l);
        while (l->to_server.count) {
            struct datagram d = pop(&l->to_server, 0);
            assert_int_equal(dtls_input(&l->server, d.data, d.len), 0);
            assert_int_equal(dtls_read(&l->server, d.data, d.len), -EAGAIN);
        }
    }
    assert_int_equal(l->to_client.count, 0);
}

static void test_no_renegotiation_at_once(void **state)
{
    struct link *l = *state;
    connect_both(l); // and no application data yet
    assert_int_equal(SSL_renegotiate(l->client), 1);
    start(l);
    struct datagram d = pop(&l->to_server, 0);
    assert_int_equal(dtls_input(&l->server, d.data, d.len), 0);
    ssize_t got = dtls_read(&l->server, d.data, d.len);
    assert_true(got == -EAGAIN || got == -ECONNRESET);
    for (unsigned i = 0; i < l->to_client.count; i++) // an alert at most, and no handshake
        assert_int_equal(l->to_client.items[i].data[0], DTLS_ALERT);
}

static void test_old_version(void **state)
{
    struct link *l = *state;
    SSL_set_max_proto_version(l->client, DTLS1_VERSION);
    SSL_set_cipher_list(l->client, "ALL:@SECLEVEL=0");
    start(l);
    deliver(l);
    assert_false(SSL_is_init_finished(l->client));
    if (l->opened) {
        assert_int_equal(l->server_result, -ECONNRESET);
        assert_true(l->server.ended);
    }
}

// --- tests of the stateless part ---

static size_t first_hello(struct link *l, uint8_t out[2048], struct dtls_hello *hello)
{
    start(l);
    struct datagram d = pop(&l->to_server, 0);
    memcpy(out, d.data, d.len);
    assert_int_equal(dtls_hello_parse(hello, out, d.len), 0);
    return d.len;
}

static void test_cookie(void **state)
{
    struct link *l = *state;
    uint8_t data[2048], cookie[DTLS_COOKIE_LEN];
    struct dtls_hello hello, other;
    first_hello(l, data, &hello);
    assert_int_equal(hello.cookie_len, 0);
    assert_int_equal(hello.message_seq, 0);
    const struct addr *c = &l->client_addr, *s = &l->server_addr;
    assert_int_equal(dtls_cookie_make(l->cookies, cookie, &hello, c, s, 1000), 0);
    assert_false(dtls_cookie_check(l->cookies, &hello, c, s, 1000));
    hello.cookie = cookie;
    hello.cookie_len = sizeof cookie;
    assert_true(dtls_cookie_check(l->cookies, &hello, c, s, 1000));

    struct addr a = *c;
    a.port++;
    assert_false(dtls_cookie_check(l->cookies, &hello, &a, s, 1000));
    a = *c;
    a.ip[3]++;
    assert_false(dtls_cookie_check(l->cookies, &hello, &a, s, 1000));
    assert_false(dtls_cookie_check(l->cookies, &hello, c, c, 1000));
    for (unsigned i = 0; i < sizeof cookie; i++) {
        cookie[i] ^= 1;
        assert_false(dtls_cookie_check(l->cookies, &hello, c, s, 1000));
        cookie[i] ^= 1;
    }
    other = hello;
    other.cookie_len--;
    assert_false(dtls_cookie_check(l->cookies, &other, c, s, 1000));
    uint8_t changed[2048];
    memcpy(changed, hello.before, hello.before_len);
    changed[5] ^= 1; // of its random
    other = hello;
    other.before = changed;
    assert_false(dtls_cookie_check(l->cookies, &other, c, s, 1000));

    struct dtls_cookies *stranger = dtls_cookies_new();
    assert_false(dtls_cookie_check(stranger, &hello, c, s, 1000));
    dtls_cookies_free(stranger);
}

static void test_cookie_expires(void **state)
{
    struct link *l = *state;
    uint8_t data[2048], cookie[DTLS_COOKIE_LEN];
    struct dtls_hello hello;
    first_hello(l, data, &hello);
    const struct addr *c = &l->client_addr, *s = &l->server_addr;
    hello.cookie = cookie;
    hello.cookie_len = sizeof cookie;
    int64_t now = 5000;
    for (unsigned i = 0; i < 600; i++) { // the generation wraps
        assert_int_equal(dtls_cookie_make(l->cookies, cookie, &hello, c, s, now), 0);
        assert_true(dtls_cookie_check(l->cookies, &hello, c, s, now + DTLS_COOKIE_LIFE_MS));
        now += DTLS_COOKIE_LIFE_MS;
        uint8_t last[DTLS_COOKIE_LEN];
        memcpy(last, cookie, sizeof last);
        dtls_cookie_make(l->cookies, cookie, &hello, c, s, now + DTLS_COOKIE_LIFE_MS);
        hello.cookie = last;
        assert_false(dtls_cookie_check(l->cookies, &hello, c, s, now + DTLS_COOKIE_LIFE_MS));
        hello.cookie = cookie;
        now += DTLS_COOKIE_LIFE_MS;
    }
    dtls_cookie_make(l->cookies, cookie, &hello, c, s, now);
    assert_false(dtls_cookie_check(l->cookies, &hello, c, s, now + 2 * DTLS_COOKIE_LIFE_MS));
}

// Puts the lengths right after the body was changed.
static void set_lengths(uint8_t *data, size_t len)
{
    size_t record = len - 13, message = record - 12;
    data[11] = (uint8_t)(record >> 8);
    data[12] = (uint8_t)record;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *p = data + 13 + (i ? 9 : 1);
        p[0] = 0;
        p[1] = (uint8_t)(message >> 8);
        p[2] = (uint8_t)message;
    }
}

static void test_hello_parse(void **state)
{
    struct link *l = *state;
    uint8_t data[2048], bad[2048];
    struct dtls_hello hello;
    size_t len = first_hello(l, data, &hello);
    assert_true(dtls_hello_begins(data, len));
    for (size_t i = 0; i < len; i++) { // cut short, with and without lengths that say so
        memcpy(bad, data, len);
        assert_int_equal(dtls_hello_parse(&hello, bad, i), -EBADMSG);
    }
    static const struct {
        unsigned at;
        uint8_t value;
    } changes[] = {{0, 23}, {0, 20}, {1, 3},  {3, 1},    {4, 1},  {13, 2},  {13, 0},   {14, 1},
                   {19, 1}, {21, 1}, {24, 3}, {22, 255}, {25, 3}, {59, 33}, {59, 255}, {60, 255}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        memcpy(bad, data, len);
        bad[changes[i].at] = changes[i].value;
        if (dtls_hello_parse(&hello, bad, len) != -EBADMSG)
            fail_msg("taken with byte %u %u", changes[i].at, changes[i].value);
    }
    memcpy(bad, data, len);
    bad[len] = 0;
    set_lengths(bad, len + 1); // a byte behind the extensions
    assert_int_equal(dtls_hello_parse(&hello, bad, len + 1), -EBADMSG);
}

// The shortest that is one: without extensions. Its answer is shorter still.
static void test_shortest_hello(void **state)
{
    uint8_t data[67] = {22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 1};
    struct dtls_hello hello;
    data[25] = 0xfe;
    data[26] = 0xfd;
    data[62] = 2; // cipher_suites
    data[65] = 1; // compression_methods
    set_lengths(data, sizeof data);
    assert_int_equal(dtls_hello_parse(&hello, data, sizeof data), 0);
    uint8_t cookie[DTLS_COOKIE_LEN] = {7}, out[DTLS_VERIFY_REQUEST_LEN];
    dtls_hello_verify_request(out, &hello, cookie);
    assert_true(sizeof out <= sizeof data);
    assert_int_equal(out[0], 22);
    assert_int_equal(out[10], 9); // the record's number is the client's
    assert_int_equal(out[13], 3);
    assert_int_equal(out[sizeof out - DTLS_COOKIE_LEN - 1], DTLS_COOKIE_LEN);
    assert_memory_equal(out + sizeof out - DTLS_COOKIE_LEN, cookie, sizeof cookie);
}

static void test_flood_keeps_nothing(void **state)
{
    struct link *l = *state;
    uint8_t data[2048], cookie[DTLS_COOKIE_LEN], out[DTLS_VERIFY_REQUEST_LEN];
    struct dtls_hello hello;
    size_t len = first_hello(l, data, &hello);
    struct addr from = l->client_addr;
    dtls_cookie_make(l->cookies, cookie, &hello, &from, &l->server_addr, 0);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 100000; i++) {
        memcpy(from.ip, &i, 4);
        assert_int_equal(dtls_hello_parse(&hello, data, len), 0);
        dtls_cookie_check(l->cookies, &hello, &from, &l->server_addr, i);
        dtls_cookie_make(l->cookies, cookie, &hello, &from, &l->server_addr, i);
        dtls_hello_verify_request(out, &hello, cookie);
    }
    // OpenSSL may fill a cache of its own once.
    assert_true(mallinfo2().uordblks < before + 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rest_and_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_by_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loss, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disorder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_injected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_before_handshake, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_before_finished, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fragments_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_renegotiation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_renegotiation_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cookie, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cookie_expires, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hello_parse, setup, teardown),
        cmocka_unit_test(test_shortest_hello),
        cmocka_unit_test_setup_teardown(test_flood_keeps_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
