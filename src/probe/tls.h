// SPDX-License-Identifier: BSD-2-Clause
// TLS and DTLS as a client (OpenSSL), on a connected, non-blocking socket.
#ifndef TP_PROBE_TLS_H
#define TP_PROBE_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tls;
struct tls_trust;

// What the certificate has to hold, and who must have signed it.
struct tls_options {
    const char *name; // host name or IP address of the URI
    bool name_is_ip;
    bool turn;           // ALPN "stun.turn", else "stun.nat-discovery" (RFC 7443)
    const char *ca_file; // PEM, NULL: what the host trusts
};

#define TLS_TEXT 256

struct tls_facts {
    char version[16], cipher[64], alpn[32]; // alpn "": none was agreed on
    char subject[TLS_TEXT], issuer[TLS_TEXT], names[TLS_TEXT];
    long days_left; // of the certificate; negative when it has expired
    bool verified;
    char verdict[TLS_TEXT]; // why not; "ok"
};

// What many connections may share: protocol and CA file. 0, or a negative errno; -ENOENT and *why
// set when the CA file cannot be read. Connections may outlive it.
int tls_trust_new(struct tls_trust **out, bool dtls, const char *ca_file, const char **why);
void tls_trust_free(struct tls_trust *trust);

// 0, or a negative errno. The CA file is trust's, not that of the options.
int tls_new(struct tls **out, int fd, const struct tls_trust *trust,
            const struct tls_options *options);
void tls_free(struct tls *tls); // says close_notify

// Handshakes until then. The certificate is not judged: see tls_facts. 0, -ETIMEDOUT, -ECONNREFUSED
// and the like, -EPROTO with *why set (valid until the next call), -EPIPE when the other side hung
// up.
int tls_handshake(struct tls *tls, int64_t deadline, const char **why);
void tls_facts(const struct tls *tls, struct tls_facts *out);

// As read(2) and write(2) on a non-blocking socket: bytes, or -EAGAIN (write: may need to be read
// first), -EPIPE at the end, -EPROTO.
ssize_t tls_read(struct tls *tls, void *buf, size_t len);
ssize_t tls_write(struct tls *tls, const void *buf, size_t len);

// Whether bytes wait inside, which poll(2) does not see.
bool tls_pending(const struct tls *tls);

#endif
