// SPDX-License-Identifier: BSD-2-Clause
// Certificates are made here, in a folder of its own; handshakes go through a pair of memory BIOs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tls.h"
#include "net/tls_socket.h"

static char folder[] = "/tmp/turnpike-tls-XXXXXX";
static char paths[16][96];
static unsigned path_count;

// A path in the folder, valid for the whole run.
static const char *path(const char *name)
{
    for (unsigned i = 0; i < path_count; i++)
        if (!strcmp(strrchr(paths[i], '/') + 1, name))
            return paths[i];
    assert_true(path_count < 16);
    snprintf(paths[path_count], sizeof paths[0], "%s/%s", folder, name);
    return paths[path_count++];
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void extend(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

// <name>.crt and <name>.key: self-signed, for these names ("DNS:a.example,DNS:..."), good from now
// + begin to now + end seconds.
static void make_certificate(const char *name, const char *names, long begin, long end)
{
    char file[32];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    assert_true(key && x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), begin);
    X509_gmtime_adj(X509_getm_notAfter(x), end);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    extend(x, NID_subject_alt_name, names);
    extend(x, NID_basic_constraints, "CA:TRUE");
    assert_true(X509_sign(x, key, EVP_sha256()));
    snprintf(file, sizeof file, "%s.crt", name);
    FILE *f = fopen(path(file), "w");
    assert_true(f && PEM_write_X509(f, x));
    fclose(f);
    snprintf(file, sizeof file, "%s.key", name);
    f = fopen(path(file), "w");
    assert_true(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void write_locked_key(const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *f = fopen(path(name), "w");
    assert_true(f && PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), (const unsigned char *)"pw", 2,
                                          NULL, NULL));
    fclose(f);
    EVP_PKEY_free(key);
}

static int setup(void **state)
{
    assert_non_null(mkdtemp(folder));
    make_certificate("main", "DNS:turn.example.org", -3600, 86400);
    make_certificate("other", "DNS:other.example,DNS:*.wild.example", -3600, 86400);
    make_certificate("old", "DNS:old.example", -7200, -3600);
    write_file("empty.pem", "nothing here\n");
    write_file("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write_locked_key("locked.key");
    return 0;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < path_count; i++)
        unlink(paths[i]);
    rmdir(folder);
    return 0;
}

static struct tls_config sound(void)
{
    return (struct tls_config){.main = {path("main.crt"), path("main.key")}};
}

static struct tls_context *make(const struct tls_config *c)
{
    struct tls_context *t = NULL;
    char why[TLS_WHY_MAX];
    if (tls_context_new(&t, c, why))
        fail_msg("%s", why);
    return t;
}

// An @ in want stands for the folder.
static void refused(const struct tls_config *c, const char *want)
{
    struct tls_context *t = NULL;
    char why[TLS_WHY_MAX], text[TLS_WHY_MAX];
    assert_int_equal(tls_context_new(&t, c, why), -EINVAL);
    assert_null(t);
    const char *at = strchr(want, '@');
    snprintf(text, sizeof text, "%.*s%s%s", at ? (int)(at - want) : 0, want, at ? folder : "",
             at ? at + 1 : want);
    assert_string_equal(why, text);
    assert_int_equal(ERR_peek_error(), 0);
}

// --- handshakes ---

struct ends {
    SSL_CTX *client_ctx;
    SSL *client, *server;
    bool done;
};

static void settle(struct ends *e)
{
    int c = 0, s = 0;
    for (int i = 0; i < 20 && (c != 1 || s != 1); i++) {
        c = SSL_do_handshake(e->client);
        s = SSL_do_handshake(e->server);
    }
    e->done = c == 1 && s == 1;
}

// A client of that version that asks for a name (or NULL) and offers these protocols, in wire form.
static struct ends begin(SSL *server, int version, const char *name, const char *alpn)
{
    struct ends e = {.client_ctx = SSL_CTX_new(TLS_client_method()), .server = server};
    BIO *a, *b;
    e.client = SSL_new(e.client_ctx);
    SSL_set_connect_state(e.client);
    SSL_set_min_proto_version(e.client, version);
    SSL_set_max_proto_version(e.client, version);
    if (name)
        SSL_set_tlsext_host_name(e.client, name);
    if (alpn)
        SSL_set_alpn_protos(e.client, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(e.client, a, a);
    SSL_set_bio(e.server, b, b);
    return e;
}

static void end(struct ends *e)
{
    SSL_free(e->client);
    SSL_free(e->server);
    SSL_CTX_free(e->client_ctx);
    ERR_clear_error();
}

static void served_as(const struct tls_context *t, const char *name, const char *want)
{
    struct ends e = begin(tls_context_stream(t), TLS1_3_VERSION, name, NULL);
    char common_name[64] = "";
    settle(&e);
    assert_true(e.done);
    X509_NAME *subject = X509_get_subject_name(SSL_get0_peer_certificate(e.client));
    X509_NAME_get_text_by_NID(subject, NID_commonName, common_name, sizeof common_name);
    assert_string_equal(common_name, want);
    end(&e);
}

// --- tests ---

static void bad_files(void **state)
{
    struct tls_config c = sound();
    c.main.certificate = path("none.crt");
    refused(&c, "tls.certificate: cannot read @/none.crt: No such file or directory");
    c.main.certificate = path("empty.pem");
    refused(&c, "tls.certificate: @/empty.pem: there is no certificate in PEM form in it");
    c.main.certificate = path("main.key");
    refused(&c, "tls.certificate: @/main.key: there is no certificate in PEM form in it");
    c = sound();
    c.main.key = path("none.key");
    refused(&c, "tls.key: cannot read @/none.key: No such file or directory");
    c.main.key = path("main.crt");
    refused(&c, "tls.key: @/main.crt: there is no private key in PEM form in it");
    c.main.key = path("other.key");
    refused(&c, "tls.key: @/other.key: the key does not belong to the certificate");
    c.main.key = path("locked.key");
    refused(&c, "tls.key: @/locked.key: the key has a pass phrase, and nobody to type it; store "
                "it without one");
    c = sound();
    c.client_ca = path("none.pem");
    refused(&c, "tls.client_ca: cannot read @/none.pem: No such file or directory");
    c.client_ca = path("empty.pem");
    refused(&c, "tls.client_ca: @/empty.pem: there is no certificate in PEM form in it");
    c.client_ca = NULL;
    c.http_client_ca = path("none.pem");
    refused(&c, "signal.client_ca: cannot read @/none.pem: No such file or directory");
}

static void damaged_files(void **state)
{
    struct tls_config c = sound();
    struct tls_context *t = NULL;
    char why[TLS_WHY_MAX];
    c.main.certificate = path("damaged.pem");
    assert_int_equal(tls_context_new(&t, &c, why), -EINVAL); // the rest is OpenSSL's wording
    assert_non_null(strstr(why, "tls.certificate: "));
    assert_non_null(strstr(why, "/damaged.pem: "));
    c = sound();
    c.client_ca = path("damaged.pem");
    assert_int_equal(tls_context_new(&t, &c, why), -EINVAL);
    assert_non_null(strstr(why, "tls.client_ca: "));
}

static void bad_additional(void **state)
{
    struct tls_config c = sound();
    struct tls_pair more[] = {{path("other.crt"), path("other.key")},
                              {path("old.crt"), path("other.key")}};
    c.additional = more;
    c.additional_count = 2;
    refused(&c, "tls.additional[1].key: @/other.key: the key does not belong to the certificate");
}

static void bad_algorithms(void **state)
{
    struct tls_config c = sound();
    c.ciphers = "NONSENSE";
    refused(&c,
            "tls.ciphers: \"NONSENSE\": no cipher match, allowed are those of openssl-ciphers(1)");
    c = sound();
    c.ciphersuites = "TLS_NONE";
    refused(
        &c,
        "tls.ciphersuites: \"TLS_NONE\": no cipher match, allowed are those of openssl-ciphers(1)");
    c = sound();
    c.groups = "P-1";
    refused(&c, "tls.groups: \"P-1\": OpenSSL does not know it, allowed are names such as X25519 "
                "and P-256");
}

static void expired_certificate_is_taken(void **state)
{
    struct tls_config c = sound();
    c.main = (struct tls_pair){path("old.crt"), path("old.key")};
    tls_context_free(make(&c));
}

static void certificate_by_name(void **state)
{
    struct tls_config c = sound();
    struct tls_pair more[] = {{path("old.crt"), path("old.key")},
                              {path("other.crt"), path("other.key")}};
    c.additional = more;
    c.additional_count = 2;
    struct tls_context *t = make(&c);
    served_as(t, NULL, "main");
    served_as(t, "turn.example.org", "main");
    served_as(t, "other.example", "other");
    served_as(t, "OTHER.example", "other");
    served_as(t, "a.wild.example", "other");
    served_as(t, "a.b.wild.example", "main");
    served_as(t, "old.example", "old");
    served_as(t, "unknown.example", "main");
    tls_context_free(t);
}

// A reload frees the context while handshakes go on.
static void context_freed_early(void **state)
{
    struct tls_config c = sound();
    struct tls_pair more = {path("other.crt"), path("other.key")};
    c.additional = &more;
    c.additional_count = 1;
    struct tls_context *t = make(&c);
    struct ends e = begin(tls_context_stream(t), TLS1_2_VERSION, "other.example", NULL);
    tls_context_free(t);
    settle(&e);
    assert_true(e.done);
    end(&e);
}

static void application_protocols(void **state)
{
    static const struct {
        const char *offer, *want;
    } cases[] = {
        {NULL, ""},
        {"\x09stun.turn", "stun.turn"},
        {"\x12stun.nat-discovery", "stun.nat-discovery"},
        {"\x12stun.nat-discovery\x09stun.turn", "stun.turn"},
        {"\x02h2\x09stun.turn", "stun.turn"},
        {"\x02h2\x08http/1.1", ""},
    };
    struct tls_config c = sound();
    struct tls_context *t = make(&c);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            struct ends e = begin(tls_context_stream(t), version, NULL, cases[i].offer);
            const unsigned char *got;
            unsigned len;
            settle(&e);
            assert_true(e.done);
            SSL_get0_alpn_selected(e.client, &got, &len);
            assert_int_equal(len, strlen(cases[i].want));
            assert_memory_equal(got, cases[i].want, len);
            end(&e);
        }
    }
    tls_context_free(t);
}

// The same offers to HTTP.
static void protocols_of_http(void **state)
{
    static const struct {
        const char *offer, *want;
    } cases[] = {
        {NULL, ""},
        {"\x02h2\x08http/1.1", "http/1.1"},
        {"\x08http/1.0", "http/1.0"},
        {"\x08http/1.0\x08http/1.1", "http/1.1"},
        {"\x02h2", ""},
    };
    struct tls_config c = sound();
    struct tls_context *t = make(&c);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ends e = begin(tls_context_http(t), TLS1_3_VERSION, NULL, cases[i].offer);
        const unsigned char *got;
        unsigned len;
        settle(&e);
        assert_true(e.done);
        SSL_get0_alpn_selected(e.client, &got, &len);
        assert_int_equal(len, strlen(cases[i].want));
        assert_memory_equal(got, cases[i].want, len);
        assert_false(SSL_get_read_ahead(e.server));
        end(&e);
    }
    tls_context_free(t);
}

static void versions_and_ciphers(void **state)
{
    struct tls_config c = sound();
    struct tls_context *t = make(&c);
    struct ends e = begin(tls_context_stream(t), TLS1_1_VERSION, NULL, NULL);
    SSL_set_cipher_list(e.client, "ALL:@SECLEVEL=0");
    settle(&e);
    assert_false(e.done);
    end(&e);
    e = begin(tls_context_stream(t), TLS1_2_VERSION, NULL, NULL);
    SSL_set_cipher_list(e.client, "ECDHE-ECDSA-AES128-SHA256"); // no AEAD
    settle(&e);
    assert_false(e.done);
    end(&e);
    tls_context_free(t);

    c.only_1_3 = true;
    t = make(&c);
    e = begin(tls_context_stream(t), TLS1_2_VERSION, NULL, NULL);
    char text[128];
    int ret = 0;
    SSL_do_handshake(e.client);
    ret = SSL_do_handshake(e.server);
    assert_int_equal(SSL_get_error(e.server, ret), SSL_ERROR_SSL);
    assert_string_equal(tls_error_text(e.server, text, sizeof text), "unsupported protocol");
    assert_int_equal(ERR_peek_error(), 0);
    end(&e);
    tls_context_free(t);
}

// http: HTTP asks for certificates, and TURN does not; else the other way round.
static void check_client_certificates(bool http)
{
    struct tls_config c = sound();
    *(http ? &c.http_client_ca : &c.client_ca) = path("other.crt");
    struct tls_context *t = make(&c);
    SSL *(*asking)(const struct tls_context *) = http ? tls_context_http : tls_context_stream;
    SSL *(*other)(const struct tls_context *) = http ? tls_context_stream : tls_context_http;
    struct ends plain = begin(other(t), TLS1_3_VERSION, NULL, NULL);
    settle(&plain);
    assert_true(plain.done);
    end(&plain);
    static const struct {
        const char *certificate, *key;
        bool good;
    } cases[] = {{NULL, NULL, false},
                 {"main.crt", "main.key", false}, // signed by someone else
                 {"other.crt", "other.key", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ends e = begin(asking(t), TLS1_2_VERSION, NULL, NULL);
        if (cases[i].key) {
            assert_int_equal(
                SSL_use_certificate_file(e.client, path(cases[i].certificate), SSL_FILETYPE_PEM),
                1);
            assert_int_equal(
                SSL_use_PrivateKey_file(e.client, path(cases[i].key), SSL_FILETYPE_PEM), 1);
        }
        settle(&e);
        assert_int_equal(e.done, cases[i].good);
        end(&e);
    }
    tls_context_free(t);
}

static void client_certificates(void **state)
{
    check_client_certificates(false);
    check_client_certificates(true);
}

static void who_does_for_http(void **state)
{
    const char *one = path("main.crt"), *other = path("other.crt");
    const struct {
        const char *turn, *http;
        bool want;
    } cases[] = {{NULL, NULL, true},
                 {one, NULL, true},
                 {NULL, one, false},
                 {one, one, true},
                 {one, other, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tls_config c = sound();
        c.client_ca = cases[i].turn;
        c.http_client_ca = cases[i].http;
        struct tls_context *t = make(&c);
        SSL *stream = tls_context_stream(t), *http = tls_context_http(t);
        assert_int_equal(tls_context_stream_does_for_http(t), cases[i].want);
        assert_int_equal(SSL_get_verify_mode(stream) != SSL_VERIFY_NONE, cases[i].turn != NULL);
        assert_int_equal(SSL_get_verify_mode(http) != SSL_VERIFY_NONE, cases[i].http != NULL);
        SSL_free(stream);
        SSL_free(http);
        tls_context_free(t);
    }
}

// --- sockets ---

struct connection {
    struct ends ends;
    struct tls_socket socket; // of the server
    int client_fd;
};

// After a handshake over a pair of sockets with small buffers.
static void connect_pair(struct connection *c, const struct tls_context *t)
{
    int fds[2], size = 4096, ok = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    *c = (struct connection){.socket.fd = fds[0], .client_fd = fds[1]};
    c->ends.server = tls_context_stream(t);
    c->ends.client_ctx = SSL_CTX_new(TLS_client_method());
    c->ends.client = SSL_new(c->ends.client_ctx);
    SSL_set_connect_state(c->ends.client);
    SSL_set_fd(c->ends.client, fds[1]);
    assert_int_equal(tls_socket_attach(&c->socket, c->ends.server), 0);
    for (int i = 0; i < 20 && ok != 2; i++) {
        ok = SSL_do_handshake(c->ends.client) == 1;
        ok += SSL_do_handshake(c->ends.server) == 1;
        tls_socket_flush(&c->socket);
    }
    assert_int_equal(ok, 2);
}

static void disconnect(struct connection *c)
{
    end(&c->ends);
    tls_socket_release(&c->socket);
    close(c->socket.fd);
    if (c->client_fd >= 0)
        close(c->client_fd);
}

static void write_record(struct connection *c, int number)
{
    uint8_t data[1000];
    memset(data, number, sizeof data);
    assert_int_equal(SSL_write(c->ends.server, data, sizeof data), sizeof data);
}

// OpenSSL goes on with what it has read, and with another BIO.
static void session_outlives_its_socket(void **state)
{
    struct tls_config config = sound();
    struct tls_context *t = make(&config);
    struct connection c;
    char data[100] = "";
    connect_pair(&c, t);
    SSL_set_read_ahead(c.ends.server, 0);
    assert_int_equal(SSL_write(c.ends.client, "first", 5), 5);
    assert_int_equal(SSL_write(c.ends.client, "second", 6), 6);
    assert_int_equal(SSL_peek(c.ends.server, data, 1), 1);
    assert_int_equal(tls_socket_flush(&c.socket), 0);
    tls_socket_detach(&c.socket, c.ends.server);
    tls_socket_release(&c.socket);
    assert_null(SSL_get_rbio(c.ends.server));
    assert_null(SSL_get_wbio(c.ends.server));
    c.socket.reads = 0;
    assert_int_equal(SSL_pending(c.ends.server), 5);
    assert_int_equal(SSL_read(c.ends.server, data, sizeof data), 5);
    assert_memory_equal(data, "first", 5);
    assert_int_equal(SSL_set_fd(c.ends.server, c.socket.fd), 1);
    assert_int_equal(SSL_read(c.ends.server, data, sizeof data), 6);
    assert_memory_equal(data, "second", 6);
    assert_int_equal(SSL_write(c.ends.server, "third", 5), 5);
    assert_int_equal(SSL_read(c.ends.client, data, sizeof data), 5);
    assert_memory_equal(data, "third", 5);
    assert_int_equal(c.socket.reads, 0);
    disconnect(&c);
    tls_context_free(t);
}

static void records_leave_together(void **state)
{
    struct tls_config config = sound();
    struct tls_context *t = make(&config);
    struct connection c;
    uint8_t data[2000];
    connect_pair(&c, t);
    c.socket.writes = 0;
    for (int i = 0; i < 3; i++)
        write_record(&c, i);
    assert_int_equal(c.socket.writes, 0);
    assert_int_equal(tls_socket_flush(&c.socket), 0);
    assert_int_equal(c.socket.writes, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SSL_read(c.ends.client, data, sizeof data), 1000);
        assert_int_equal(data[0], i);
    }
    assert_int_equal(tls_socket_flush(&c.socket), 0);
    disconnect(&c);
    tls_context_free(t);
}

// What a full socket does not take is sent later, in order and once.
static void full_socket(void **state)
{
    struct tls_config config = sound();
    struct tls_context *t = make(&config);
    struct connection c;
    uint8_t data[2000];
    int err = 0, sent = 0;
    connect_pair(&c, t);
    while (!err && sent < 200) {
        write_record(&c, sent++);
        err = tls_socket_flush(&c.socket);
    }
    assert_int_equal(err, -EAGAIN);
    while (!tls_socket_full())
        write_record(&c, sent++);
    assert_int_equal(tls_socket_flush(&c.socket), -EAGAIN);
    for (int i = 0; i < sent; i++) {
        int got;
        while ((got = SSL_read(c.ends.client, data, sizeof data)) < 0) {
            assert_int_equal(SSL_get_error(c.ends.client, got), SSL_ERROR_WANT_READ);
            err = tls_socket_flush(&c.socket);
            assert_true(err == 0 || err == -EAGAIN);
        }
        assert_int_equal(got, 1000);
        assert_int_equal(data[999], (uint8_t)i);
    }
    assert_int_equal(tls_socket_flush(&c.socket), 0);
    assert_null(c.socket.unsent);
    close(c.client_fd);
    c.client_fd = -1;
    write_record(&c, 0);
    assert_int_equal(tls_socket_flush(&c.socket), -EPIPE);
    disconnect(&c);
    tls_context_free(t);
}

// Sends new keys until the socket takes no more: true if it took some.
static bool change_keys(struct connection *c, unsigned *sent)
{
    unsigned before = *sent;
    while (SSL_key_update(c->ends.client, SSL_KEY_UPDATE_REQUESTED) == 1 &&
           SSL_do_handshake(c->ends.client) == 1)
        ++*sent;
    ERR_clear_error();
    return *sent > before;
}

// New keys for ever cost a server work that nobody sees, and an answer each.
static void keys_without_end(void **state)
{
    struct tls_config config = sound();
    struct tls_context *t = make(&config);
    struct connection c;
    uint8_t data[100];
    unsigned sent = 0;
    int ret, error = SSL_ERROR_WANT_READ;
    connect_pair(&c, t);
    while (error == SSL_ERROR_WANT_READ && sent < 10000 && change_keys(&c, &sent)) {
        c.socket.reads = 0;
        ERR_clear_error();
        errno = 0;
        ret = SSL_read(c.ends.server, data, sizeof data);
        assert_true(ret < 0);
        error = SSL_get_error(c.ends.server, ret);
        assert_true(error == SSL_ERROR_WANT_READ || errno == EPROTO);
        tls_socket_flush(&c.socket);
    }
    assert_int_equal(error, SSL_ERROR_SYSCALL);
    assert_true(tls_socket_idles(&c.socket));
    assert_true(c.socket.unsent_len < 100000);
    disconnect(&c);
    tls_context_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(bad_additional),
        cmocka_unit_test(bad_algorithms),
        cmocka_unit_test(expired_certificate_is_taken),
        cmocka_unit_test(certificate_by_name),
        cmocka_unit_test(context_freed_early),
        cmocka_unit_test(application_protocols),
        cmocka_unit_test(protocols_of_http),
        cmocka_unit_test(versions_and_ciphers),
        cmocka_unit_test(client_certificates),
        cmocka_unit_test(who_does_for_http),
        cmocka_unit_test(session_outlives_its_socket),
        cmocka_unit_test(records_leave_together),
        cmocka_unit_test(full_socket),
        cmocka_unit_test(keys_without_end),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
