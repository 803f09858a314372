// SPDX-License-Identifier: BSD-2-Clause
#include "probe/tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "probe/clock.h"
#include "util/addr.h"
#include "util/codec.h"

struct tls_trust {
    SSL_CTX *ctx;
    bool dtls;
};

struct tls {
    SSL *ssl;
    int fd;
    bool dtls;
};

static int set_trust(SSL_CTX *ctx, const char *ca_file, const char **why)
{
    if (!ca_file)
        return SSL_CTX_set_default_verify_paths(ctx) == 1 ? 0 : -EIO;
    if (SSL_CTX_load_verify_locations(ctx, ca_file, NULL) == 1)
        return 0;
    unsigned long code = ERR_peek_error();
    *why = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : "no certificates in PEM";
    ERR_clear_error();
    return -ENOENT;
}

static int set_name(SSL *ssl, const struct tls_options *options)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (options->name_is_ip)
        return X509_VERIFY_PARAM_set1_ip_asc(param, options->name) == 1 ? 0 : -EINVAL;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_host(param, options->name, 0) != 1 ||
        SSL_set_tlsext_host_name(ssl, options->name) != 1)
        return -ENOMEM;
    return 0;
}

static int set_alpn(SSL *ssl, bool turn)
{
    static const unsigned char stun_turn[] = "\x09stun.turn";
    static const unsigned char discovery[] = "\x12stun.nat-discovery";
    return turn ? SSL_set_alpn_protos(ssl, stun_turn, sizeof(stun_turn) - 1)
                : SSL_set_alpn_protos(ssl, discovery, sizeof(discovery) - 1);
}

static int set_socket(struct tls *tls)
{
    BIO *bio;
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);

    if (!tls->dtls)
        return SSL_set_fd(tls->ssl, tls->fd) == 1 ? 0 : -ENOMEM;
    if (getpeername(tls->fd, (struct sockaddr *)&peer, &len) < 0)
        return -errno;
    bio = BIO_new_dgram(tls->fd, BIO_NOCLOSE);
    if (!bio)
        return -ENOMEM;
    BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &peer);
    SSL_set_bio(tls->ssl, bio, bio);
    return 0;
}

int tls_trust_new(struct tls_trust **out, bool dtls, const char *ca_file, const char **why)
{
    struct tls_trust *trust = calloc(1, sizeof(*trust));
    int rc = -ENOMEM;

    *why = "out of memory";
    if (!trust)
        return -ENOMEM;
    trust->dtls = dtls;
    trust->ctx = SSL_CTX_new(dtls ? DTLS_client_method() : TLS_client_method());
    if (trust->ctx)
        rc = set_trust(trust->ctx, ca_file, why);
    if (rc < 0) {
        tls_trust_free(trust);
        return rc;
    }
    *out = trust;
    return 0;
}

void tls_trust_free(struct tls_trust *trust)
{
    if (!trust)
        return;
    SSL_CTX_free(trust->ctx);
    free(trust);
}

int tls_new(struct tls **out, int fd, const struct tls_trust *trust,
            const struct tls_options *options)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    int rc = -ENOMEM;

    if (!tls)
        return -ENOMEM;
    tls->fd = fd;
    tls->dtls = trust->dtls;
    tls->ssl = SSL_new(trust->ctx);
    if (tls->ssl) {
        // The chain is checked all the same, but a bad one does not end the handshake: the probe
        // shows what it got.
        SSL_set_verify(tls->ssl, SSL_VERIFY_NONE, NULL);
        SSL_set_mode(tls->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        rc = set_name(tls->ssl, options);
    }
    if (rc == 0)
        rc = set_alpn(tls->ssl, options->turn) == 0 ? set_socket(tls) : -ENOMEM;
    if (rc < 0) {
        tls_free(tls);
        return rc;
    }
    *out = tls;
    return 0;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    if (tls->ssl && SSL_is_init_finished(tls->ssl))
        SSL_shutdown(tls->ssl);
    SSL_free(tls->ssl);
    ERR_clear_error();
    free(tls);
}

// What a call that returned rc <= 0 means.
static int failure(struct tls *tls, int rc, int saved_errno, const char **why)
{
    static char text[TLS_TEXT];
    unsigned long code = ERR_peek_error();
    int kind = SSL_get_error(tls->ssl, rc);

    if (why)
        *why = NULL;
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    ERR_clear_error();
    if (kind == SSL_ERROR_ZERO_RETURN)
        return -EPIPE;
    if (kind == SSL_ERROR_SYSCALL && code == 0)
        return saved_errno ? -saved_errno : -EPIPE;
    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return -EPIPE;
    if (why) {
        const char *reason = ERR_reason_error_string(code);
        snprintf(text, sizeof(text), "%s", reason ? reason : "unknown error");
        *why = text;
    }
    return -EPROTO;
}

// Waits until the socket can be used or DTLS has to send again.
static void wait_socket(struct tls *tls, int64_t deadline)
{
    struct pollfd p = {.fd = tls->fd, .events = SSL_want_write(tls->ssl) ? POLLOUT : POLLIN};
    struct timeval left;
    int ms = clock_left_ms(deadline);

    if (tls->dtls && DTLSv1_get_timeout(tls->ssl, &left)) {
        int timer = (int)(left.tv_sec * 1000 + left.tv_usec / 1000 + 1);
        ms = timer < ms ? timer : ms;
    }
    poll(&p, 1, ms);
    if (tls->dtls)
        DTLSv1_handle_timeout(tls->ssl);
}

int tls_handshake(struct tls *tls, int64_t deadline, const char **why)
{
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int rc = SSL_connect(tls->ssl);
        if (rc == 1)
            return 0;
        rc = failure(tls, rc, errno, why);
        if (rc != -EAGAIN)
            return rc;
        if (clock_us() >= deadline)
            return -ETIMEDOUT;
        wait_socket(tls, deadline);
    }
}

static void name_text(X509_NAME *name, char *out)
{
    char text[TLS_TEXT];
    int len = X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof(text));
    if (len <= 0)
        len = X509_NAME_get_text_by_NID(name, NID_organizationName, text, sizeof(text));
    text_escape(out, TLS_TEXT, text, len > 0 ? (size_t)len : 0);
}

// The DNS names and addresses of the certificate, "a.example, 192.0.2.1".
static void alternative_names(X509 *cert, char *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char text[TLS_TEXT], ip[ADDR_STRLEN];
        size_t used = strlen(out);
        if (name->type == GEN_DNS) {
            text_escape(text, sizeof(text), ASN1_STRING_get0_data(name->d.dNSName),
                        (size_t)ASN1_STRING_length(name->d.dNSName));
        } else if (name->type == GEN_IPADD) {
            int len = ASN1_STRING_length(name->d.iPAddress);
            struct addr a = {.family = len == 4 ? ADDR_IPV4 : ADDR_IPV6};
            if (len != 4 && len != 16)
                continue;
            memcpy(a.ip, ASN1_STRING_get0_data(name->d.iPAddress), (size_t)len);
            snprintf(text, sizeof(text), "%s", addr_format_ip(&a, ip));
        } else {
            continue;
        }
        if (used + strlen(text) + 6 > TLS_TEXT) {
            strcat(out, ",...");
            break;
        }
        strcat(out, used ? ", " : "");
        strcat(out, text);
    }
    GENERAL_NAMES_free(names);
}

void tls_facts(const struct tls *tls, struct tls_facts *out)
{
    X509 *cert = SSL_get1_peer_certificate(tls->ssl);
    const unsigned char *alpn;
    unsigned alpn_len;
    long result = SSL_get_verify_result(tls->ssl);
    int days = 0, seconds;

    memset(out, 0, sizeof(*out));
    snprintf(out->version, sizeof(out->version), "%s", SSL_get_version(tls->ssl));
    snprintf(out->cipher, sizeof(out->cipher), "%s", SSL_get_cipher_name(tls->ssl));
    SSL_get0_alpn_selected(tls->ssl, &alpn, &alpn_len);
    text_escape(out->alpn, sizeof(out->alpn), alpn ? alpn : (const unsigned char *)"", alpn_len);
    out->verified = cert && result == X509_V_OK;
    snprintf(out->verdict, sizeof(out->verdict), "%s",
             cert ? X509_verify_cert_error_string(result) : "no certificate");
    if (!cert)
        return;
    name_text(X509_get_subject_name(cert), out->subject);
    name_text(X509_get_issuer_name(cert), out->issuer);
    alternative_names(cert, out->names);
    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)))
        out->days_left = days == 0 && seconds < 0 ? -1 : days;
    X509_free(cert);
}

ssize_t tls_read(struct tls *tls, void *buf, size_t len)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_read(tls->ssl, buf, len > 65536 ? 65536 : (int)len);
    return rc > 0 ? rc : failure(tls, rc, errno, NULL);
}

ssize_t tls_write(struct tls *tls, const void *buf, size_t len)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write(tls->ssl, buf, (int)len);
    return rc > 0 ? rc : failure(tls, rc, errno, NULL);
}

bool tls_pending(const struct tls *tls)
{
    return SSL_has_pending(tls->ssl);
}
