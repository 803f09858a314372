// SPDX-License-Identifier: BSD-2-Clause
// Requests, a call over WebSockets and one over an event stream with each allocation of the
// server's failing in turn: what was asked for may be refused or its connection closed; the next
// one gets what it asks for, and nothing is left behind. libevent's allocations fail like the rest,
// since it asks by way of http/reserve.c.
#include <errno.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <event2/bufferevent_ssl.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "../fuzz/http_world.h"
#include "alloc_hook.h"
#include "http/wsframe.h"

struct peer {
    struct world_client c;
    char got[65536]; // of the last thing said
    size_t len;
};

static struct http *server;
static struct peer peers[3];

static void hear(struct peer *p)
{
    ssize_t n = 1;
    while (n > 0) {
        world_turn(server);
        n = recv(p->c.fd, p->got + p->len, sizeof p->got - 1 - p->len, 0);
        p->len += n > 0 ? (size_t)n : 0;
        p->c.ended |= n == 0 || (n < 0 && errno != EAGAIN);
    }
    p->got[p->len] = 0;
}

static bool ask(struct peer *p, const void *data, size_t len, const char *want)
{
    p->len = 0;
    if (send(p->c.fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        p->c.ended = true;
    hear(p);
    return memmem(p->got, p->len, want, strlen(want)) != NULL;
}

static void join(struct peer *p)
{
    world_connect(&p->c, server);
}

// As by a worker.
static void join_handed(struct peer *p)
{
    struct addr from = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}};
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    p->c = (struct world_client){.http = server, .fd = fds[0]};
    if (http_take(server, fds[1], &from, false, NULL))
        close(fds[1]);
    world_turn(server);
}

static void part(struct peer *p)
{
    close(p->c.fd);
    world_turn(server);
}

static bool get(void (*how)(struct peer *), const char *target, const char *want)
{
    char text[256];
    int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    how(&peers[0]);
    bool good = ask(&peers[0], text, (size_t)len, want);
    // All of it or nothing.
    assert_true(!strstr(peers[0].got, " 200 OK") || good);
    part(&peers[0]);
    return good;
}

// Two frames, each with a mask of zeros.
static bool speak(struct peer *p, const char *text, const char *want)
{
    uint8_t frames[4096] = {WS_TEXT, 0x80 | 1, 0, 0, 0, 0, (uint8_t)*text++};
    uint8_t *head = frames + 7;
    size_t len = strlen(text), head_len = wsframe_header(head, WS_CONTINUATION, len);
    head[1] |= 0x80;
    memcpy(head + head_len + 4, text, len);
    return ask(p, frames, 7 + head_len + 4 + len, want);
}

static bool upgrade(struct peer *p)
{
    static const char text[] = "GET /signal HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    join(p);
    return ask(p, text, sizeof text - 1, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static bool stream(struct peer *p)
{
    static const char text[] = "GET /signal/abcdefghijklmnopqrstuvwxyz HTTP/1.1\r\n"
                               "Host: localhost\r\n\r\n";
    join(p);
    return ask(p, text, sizeof text - 1, "text/event-stream");
}

static bool post(struct peer *listener, const char *message, const char *want)
{
    char text[512];
    int len = snprintf(text, sizeof text,
                       "POST /signal/abcdefghijklmnopqrstuvwxyz HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       strlen(message), message);
    join(&peers[2]);
    bool good = ask(&peers[2], text, (size_t)len, "204");
    part(&peers[2]);
    listener->len = 0;
    hear(listener);
    return good && strstr(listener->got, want);
}

static bool call(void)
{
    static char text[3100];
    struct peer *a = &peers[0], *b = &peers[1];
    snprintf(text, sizeof text, "{\"type\":\"message\",\"data\":\"%03000d\"}", 0);
    bool good = upgrade(a) && stream(b);
    good = good && speak(a, "{\"type\":\"register\",\"name\":\"a\"}", "registered") &&
           speak(a, "{\"type\":\"join\",\"room\":\"r\"}", "joined") &&
           post(b, "{\"type\":\"register\",\"name\":\"b\"}", "registered") &&
           post(b, "{\"type\":\"join\",\"room\":\"r\"}", "joined");
    if (good) {
        speak(a, text, "");
        b->len = 0;
        hear(b);
        good = strstr(b->got, "000000") && speak(a, "{\"type\":\"ice\"}", "iceServers");
    }
    part(a);
    part(b);
    return good;
}

// Whether all of it was there.
static bool everything(void)
{
    static const char urls[] = "{\"iceServers\":[{\"urls\":[\"stun:127.";
    bool good = get(join, "/", "200 OK");
    good &= get(join_handed, "/", "200 OK");
    good &= get(join, "/ice", urls);
    good &= get(join, "/_matrix/client/v3/voip/turnServer", "?transport=udp\"]");
    good &= get(join, "/nothing", "404");
    return call() && good;
}

// Sessions may be within their grace, and connections may wait for their end.
static void settle(void)
{
    for (int i = 0; i < 2000 && (server->link_count || server->client_count); i++) {
        links_sweep(server, INT64_MAX); // as if time had passed
        usleep(2000);
        world_turn(server);
    }
    world_check_empty(server);
}

// Blocks that are in use; some are kept for the next who has something to say.
static long live(void)
{
    reserve_open(&server->reserve);
    return alloc_live - (long)server->spare_count;
}

static void each_allocation_fails(void **state)
{
    int rounds = 0, survived = 0;
    json_set_alloc_funcs(malloc, free); // so that its failures are counted, too
    signal(SIGPIPE, SIG_IGN);           // as the server does
    server = world_server("grace = 0;");
    assert_true(everything());
    settle();
    long before = live();
    do {
        alloc_failed = 0;
        alloc_fail_at = rounds++;
        bool good = everything();
        alloc_fail_at = -1;
        survived += good;
        assert_true(good || alloc_failed);
        assert_true(everything());
        settle();
        assert_int_equal(live(), before);
    } while (alloc_failed);
    printf("# %d allocations failed, one by one; %d times nobody noticed\n", rounds - 1,
           survived - 1);
    assert_true(rounds > 500);
}

// Nothing more can be had for a while.
static void none_for_a_while(void **state)
{
    static const long counts[] = {2, 7, 30, 200, 3000};
    settle();
    long before = live();
    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
        alloc_fail_count = counts[i];
        for (int from = 0; from < 600; from += 53) {
            alloc_failed = 0;
            alloc_fail_at = from;
            everything();
            alloc_fail_at = -1;
            assert_true(alloc_failed > 0);
            settle();
            assert_true(everything());
            settle();
            assert_int_equal(live(), before);
        }
    }
    alloc_fail_count = 1;
}

// The beginning of a connection of TLS: none, or one that can be freed.
static void none_for_tls(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(ctx);
    for (alloc_fail_count = 1; alloc_fail_count <= 100; alloc_fail_count += 99) {
        long at = 0;
        do {
            reserve_open(&server->reserve);
            SSL *ssl = SSL_new(ctx);
            assert_non_null(ssl);
            alloc_failed = 0;
            alloc_fail_at = at++;
            struct bufferevent *bev = bufferevent_openssl_socket_new(
                server->base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
            alloc_fail_at = -1;
            if (bev)
                bufferevent_free(bev);
            world_turn(server);
        } while (alloc_failed);
        assert_true(at > 3);
    }
    alloc_fail_count = 1;
    SSL_CTX_free(ctx);
}

// --- TLS that a worker has begun ---

static int begun_live; // of those that were handed over

static void on_free(void *ssl, void *ours, CRYPTO_EX_DATA *ad, int index, long l, void *p)
{
    begun_live -= ours != NULL;
}

static SSL_CTX *make_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    assert_true(ctx && key && x);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()));
    assert_int_equal(SSL_CTX_use_cert_and_key(ctx, x, key, NULL, 1), 1);
    X509_free(x);
    EVP_PKEY_free(key);
    return ctx;
}

// Two records of a request are under way; the server has looked into the first.
static SSL *begin_tls(SSL_CTX *ctx, SSL *client, int fd, int index)
{
    static const char first[] = "GET /ice HTTP/1.1\r\nHo", second[] = "st: localhost\r\n\r\n";
    SSL *begun = SSL_new(ctx);
    char letter;
    int done = 0;
    assert_true(begun && SSL_set_ex_data(begun, index, begun) && SSL_set_fd(begun, fd));
    for (int i = 0; i < 20 && done != 2; i++)
        done = (SSL_connect(client) == 1) + (SSL_accept(begun) == 1);
    assert_int_equal(done, 2);
    assert_int_equal(SSL_write(client, first, sizeof first - 1), sizeof first - 1);
    assert_int_equal(SSL_write(client, second, sizeof second - 1), sizeof second - 1);
    assert_int_equal(SSL_peek(begun, &letter, 1), 1);
    SSL_set_bio(begun, NULL, NULL);
    begun_live++;
    return begun;
}

static bool get_begun(SSL_CTX *ctx, SSL_CTX *client_ctx, int index)
{
    const struct addr from = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}};
    char got[65536] = "";
    size_t len = 0;
    int fds[2], n;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    SSL *client = SSL_new(client_ctx);
    assert_true(client && SSL_set_fd(client, fds[0]));
    SSL *begun = begin_tls(ctx, client, fds[1], index);
    if (http_take(server, fds[1], &from, true, begun)) {
        SSL_free(begun);
        close(fds[1]);
    }
    for (int i = 0; i < 6; i++) {
        world_turn(server);
        while ((n = SSL_read(client, got + len, (int)(sizeof got - 1 - len))) > 0)
            len += (size_t)n;
    }
    SSL_free(client);
    ERR_clear_error();
    close(fds[0]);
    world_turn(server);
    return strstr(got, " 200 OK") && strstr(got, "iceServers");
}

static void begun_tls_is_freed_once(void **state)
{
    SSL_CTX *ctx = make_context(), *client_ctx = SSL_CTX_new(TLS_client_method());
    int index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_free), rounds = 0;
    bool good = get_begun(ctx, client_ctx, index);
    assert_true(good);
    settle();
    long before = live();
    do {
        alloc_failed = 0;
        alloc_fail_at = rounds++;
        good = get_begun(ctx, client_ctx, index);
        alloc_fail_at = -1;
        assert_true(good || alloc_failed);
        settle();
        assert_int_equal(live(), before);
        assert_int_equal(begun_live, 0);
    } while (alloc_failed);
    assert_true(rounds > 20);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails),
        cmocka_unit_test(none_for_a_while),
        cmocka_unit_test(none_for_tls),
        cmocka_unit_test(begun_tls_is_freed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
