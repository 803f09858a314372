// SPDX-License-Identifier: BSD-2-Clause
// TLS 1.2 and 1.3 for streams, of TURN and of HTTP, and DTLS 1.2 for datagrams, server side, made
// ready from the configuration: certificates, ciphers, SNI (RFC 6066), ALPN (RFC 7301, RFC 7443).
// No I/O here but reading the files.
#ifndef TP_NET_TLS_H
#define TP_NET_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct tls_pair {
    const char *certificate; // path of a PEM file: the certificate, then its chain
    const char *key;         // path of a PEM file: its private key, without a pass phrase
};

// Borrowed until tls_context_new returns.
struct tls_config {
    struct tls_pair main; // also for clients that send no name or one that no certificate has
    const struct tls_pair *additional;
    size_t additional_count;
    bool only_1_3;            // no TLS 1.2; DTLS stays at 1.2, since there is no later one
    const char *ciphers;      // of 1.2, in OpenSSL's syntax; NULL: ECDHE with AEAD
    const char *ciphersuites; // of 1.3; NULL: OpenSSL's
    const char *groups;       // for the key exchange; NULL: X25519:P-256:P-384
    const char *client_ca; // path of a PEM file: clients of TURN must present a certificate signed
                           // by one of these; NULL: they need none
    const char *http_client_ca; // the same for those of HTTP
};

#define TLS_WHY_MAX 512

// Immutable once made, so that every worker may use it at the same time.
struct tls_context;

// Reads all the files. 0, -ENOMEM, or -EINVAL with why naming key, file and reason
// ("tls.certificate: cannot read /x: No such file or directory"). A certificate that is out of date
// is a warning in the log: clients decide on it.
int tls_context_new(struct tls_context **out, const struct tls_config *config,
                    char why[TLS_WHY_MAX]);
// Connections that were made from it go on. NULL is nothing.
void tls_context_free(struct tls_context *t);

// One server side, accept state set, without a BIO. The caller's to free; it may outlive the
// context. NULL when out of memory. (A context's SSL_CTX holds no pointer into the context.)
SSL *tls_context_stream(const struct tls_context *t);
SSL *tls_context_http(const struct tls_context *t); // reads nothing ahead of a record
SSL *tls_context_datagram(const struct tls_context *t);

// Whether a client that tls_context_stream has let in has shown what tls_context_http asks for: it
// asks for no certificate, or by the same file (client_ca, http_client_ca).
bool tls_context_stream_does_for_http(const struct tls_context *t);

// What an SSL_* call that returned ret failed of, as text in buf, and empties this thread's error
// queue. Call it at once after SSL_get_error.
const char *tls_error_text(SSL *ssl, char *buf, size_t cap);

// "TLSv1.3 TLS_AES_256_GCM_SHA384, ALPN stun.turn, resumed": for the log. The name that the client
// asked for is left to SSL_get_servername.
const char *tls_describe(const SSL *ssl, char *buf, size_t cap);

#endif
