// SPDX-License-Identifier: BSD-2-Clause
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "net/dtls.h"
#include "net/tls_files.h"

#define DEFAULT_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define DEFAULT_GROUPS "X25519:P-256:P-384"

enum purpose { STREAM, DATAGRAM, HTTP, PURPOSES };

struct tls_context {
    SSL_CTX *of[PURPOSES];
    bool does_for_http;
};

// The additional certificates of one SSL_CTX. It belongs to that SSL_CTX and not to the context: a
// handshake may still be under way when the configuration it began with is gone.
struct choices {
    size_t count;
    SSL_CTX *ctx[]; // differ in their certificate only
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int choices_index;

static void free_choices(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long l, void *p)
{
    struct choices *c = ptr;
    for (size_t i = 0; c && i < c->count; i++)
        SSL_CTX_free(c->ctx[i]);
    free(c);
}

static void make_index(void)
{
    choices_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_choices);
}

// --- what a handshake asks ---

static bool has_name(SSL_CTX *ctx, const char *name)
{
    return X509_check_host(SSL_CTX_get0_certificate(ctx), name, 0,
                           X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

// A name that no certificate has is no reason to refuse (RFC 6066 section 3): the client gets the
// main certificate and decides.
static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
    const struct choices *c = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    if (has_name(SSL_get_SSL_CTX(ssl), name))
        return SSL_TLSEXT_ERR_OK;
    for (size_t i = 0; i < c->count; i++) {
        if (!has_name(c->ctx[i], name))
            continue;
        if (!SSL_set_SSL_CTX(ssl, c->ctx[i]))
            return SSL_TLSEXT_ERR_ALERT_FATAL;
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

// In order of preference, each behind its length.
static char stun_protocols[] = "\x09stun.turn\x12stun.nat-discovery";
static char http_protocols[] = "\x08http/1.1\x08http/1.0";

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    const unsigned char *ours = arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ours, (unsigned)strlen(arg), in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        // RFC 7301 would have us refuse. But TURN clients whose TLS library offers what its other
        // users need ("http/1.1") were served before there was RFC 7443, and the first frame shows
        // what a client really speaks.
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

// --- making ---

// What is the same for all SSL_CTX of a context.
struct making {
    const struct tls_config *config;
    struct tls_client_ca client_ca, http_client_ca;
    bool one_ca;                     // client_ca is both
    struct tls_identity *identities; // the main one first
    size_t identity_count;
    char *why;
};

#define CIPHERS_ALLOWED "those of openssl-ciphers(1)"

static int refuse_text(const struct making *m, const char *key, const char *text,
                       const char *allowed)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    snprintf(m->why, TLS_WHY_MAX, "%s: \"%s\": %s%s%s", key, text,
             reason ? reason : "OpenSSL does not know it", allowed ? ", allowed are " : "",
             allowed ? allowed : "");
    ERR_clear_error();
    return -EINVAL;
}

static int set_algorithms(const struct making *m, SSL_CTX *ctx)
{
    const struct tls_config *c = m->config;
    const char *ciphers = c->ciphers ? c->ciphers : DEFAULT_CIPHERS;
    const char *groups = c->groups ? c->groups : DEFAULT_GROUPS;
    if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
        return refuse_text(m, "tls.ciphers", ciphers, CIPHERS_ALLOWED);
    if (c->ciphersuites && SSL_CTX_set_ciphersuites(ctx, c->ciphersuites) != 1)
        return refuse_text(m, "tls.ciphersuites", c->ciphersuites, CIPHERS_ALLOWED);
    if (SSL_CTX_set1_groups_list(ctx, groups) != 1) {
        ERR_clear_error(); // "passed invalid argument" helps nobody
        return refuse_text(m, "tls.groups", groups, "names such as X25519 and P-256");
    }
    return 0;
}

static int set_client_ca(const struct tls_client_ca *ca, SSL_CTX *ctx)
{
    STACK_OF(X509_NAME) *names = SSL_dup_CA_list(ca->names);
    if (!names)
        return -ENOMEM;
    SSL_CTX_set1_cert_store(ctx, ca->store);
    SSL_CTX_set_client_CA_list(ctx, names); // takes the names
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

static void set_behaviour(const struct making *m, SSL_CTX *ctx, enum purpose purpose)
{
    static const unsigned char session_context[] = "turnpike";
    const bool datagram = purpose == DATAGRAM;
    if (datagram)
        SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION);
    else
        SSL_CTX_set_min_proto_version(ctx, m->config->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx, datagram ? DTLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // Sessions are resumed by tickets, which cost us no memory, and never by a cache.
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1);
    if (purpose == STREAM)
        SSL_CTX_set_read_ahead(ctx, 1); // one read(2) for a record and what follows it, not two
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol,
                               purpose == HTTP ? http_protocols : stun_protocols);
    if (datagram)
        dtls_prepare(ctx);
}

static int make_one(SSL_CTX **out, const struct making *m, size_t which, enum purpose purpose)
{
    const struct tls_identity *id = &m->identities[which];
    const struct tls_client_ca *ca =
        purpose == HTTP && !m->one_ca ? &m->http_client_ca : &m->client_ca;
    SSL_CTX *ctx = SSL_CTX_new(purpose == DATAGRAM ? DTLS_server_method() : TLS_server_method());
    if (!ctx)
        return -ENOMEM;
    set_behaviour(m, ctx, purpose);
    int err = set_algorithms(m, ctx);
    if (!err && ca->store)
        err = set_client_ca(ca, ctx);
    if (!err && SSL_CTX_use_cert_and_key(ctx, id->certificate, id->key, id->chain, 1) != 1) {
        const char *path =
            which ? m->config->additional[which - 1].certificate : m->config->main.certificate;
        err = refuse_text(m, which ? "tls.additional" : "tls.certificate", path, NULL);
    }
    if (err)
        SSL_CTX_free(ctx);
    else
        *out = ctx;
    return err;
}

static int make_all(SSL_CTX **out, const struct making *m, enum purpose purpose)
{
    SSL_CTX *ctx;
    struct choices *c = calloc(1, sizeof *c + (m->identity_count - 1) * sizeof(SSL_CTX *));
    if (!c)
        return -ENOMEM;
    int err = make_one(&ctx, m, 0, purpose);
    if (err) {
        free(c);
        return err;
    }
    if (!SSL_CTX_set_ex_data(ctx, choices_index, c)) {
        free(c);
        SSL_CTX_free(ctx);
        return -ENOMEM;
    }
    for (size_t i = 1; !err && i < m->identity_count; i++) {
        err = make_one(&c->ctx[c->count], m, i, purpose);
        c->count += !err;
    }
    if (err) {
        SSL_CTX_free(ctx);
        return err;
    }
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(ctx, c);
    *out = ctx;
    return 0;
}

static int read_files(struct making *m)
{
    const struct tls_config *c = m->config;
    m->identities = calloc(1 + c->additional_count, sizeof *m->identities);
    if (!m->identities)
        return -ENOMEM;
    int err = 0;
    for (size_t i = 0; !err && i <= c->additional_count; i++) {
        char where[64] = "tls";
        if (i)
            snprintf(where, sizeof where, "tls.additional[%zu]", i - 1);
        m->identity_count++;
        err = tls_identity_read(&m->identities[i], i ? &c->additional[i - 1] : &c->main, where,
                                m->why);
    }
    if (!err && c->client_ca)
        err = tls_client_ca_read(&m->client_ca, c->client_ca, "tls.client_ca", m->why);
    m->one_ca = c->client_ca && c->http_client_ca && !strcmp(c->client_ca, c->http_client_ca);
    if (!err && c->http_client_ca && !m->one_ca)
        err = tls_client_ca_read(&m->http_client_ca, c->http_client_ca, "signal.client_ca", m->why);
    return err;
}

int tls_context_new(struct tls_context **out, const struct tls_config *config,
                    char why[TLS_WHY_MAX])
{
    struct making m = {.config = config, .why = why};
    snprintf(why, TLS_WHY_MAX, "tls: out of memory");
    pthread_once(&once, make_index);
    struct tls_context *t = calloc(1, sizeof *t);
    int err = t && choices_index >= 0 ? read_files(&m) : -ENOMEM;
    for (enum purpose p = 0; p < PURPOSES && !err; p++)
        err = make_all(&t->of[p], &m, p);
    for (size_t i = 0; i < m.identity_count; i++)
        tls_identity_release(&m.identities[i]);
    free(m.identities);
    tls_client_ca_release(&m.client_ca);
    tls_client_ca_release(&m.http_client_ca);
    ERR_clear_error();
    if (err) {
        tls_context_free(t);
        return err;
    }
    t->does_for_http = m.one_ca || !config->http_client_ca;
    *out = t;
    return 0;
}

void tls_context_free(struct tls_context *t)
{
    if (!t)
        return;
    for (enum purpose p = 0; p < PURPOSES; p++)
        SSL_CTX_free(t->of[p]);
    free(t);
}

static SSL *server_side(SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);
    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}

SSL *tls_context_stream(const struct tls_context *t)
{
    return server_side(t->of[STREAM]);
}

SSL *tls_context_datagram(const struct tls_context *t)
{
    return server_side(t->of[DATAGRAM]);
}

SSL *tls_context_http(const struct tls_context *t)
{
    return server_side(t->of[HTTP]);
}

bool tls_context_stream_does_for_http(const struct tls_context *t)
{
    return t->does_for_http;
}

// --- for the log ---

const char *tls_error_text(SSL *ssl, char *buf, size_t cap)
{
    unsigned long e = ERR_peek_last_error(); // that of libssl; libcrypto's come first
    long verify = SSL_get_verify_result(ssl);
    if (e && ERR_GET_LIB(e) == ERR_LIB_SSL &&
        ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK) {
        snprintf(buf, cap, "the client's certificate: %s", X509_verify_cert_error_string(verify));
    } else {
        const char *reason = e ? ERR_reason_error_string(e) : NULL;
        snprintf(buf, cap, "%s", reason ? reason : "the connection broke");
    }
    ERR_clear_error();
    return buf;
}

const char *tls_describe(const SSL *ssl, char *buf, size_t cap)
{
    const unsigned char *alpn;
    unsigned alpn_len;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    snprintf(buf, cap, "%s %s%s%.*s%s", SSL_get_version(ssl),
             SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)), alpn_len ? ", ALPN " : "",
             (int)alpn_len, alpn_len ? (const char *)alpn : "",
             SSL_session_reused(ssl) ? ", resumed" : "");
    return buf;
}
