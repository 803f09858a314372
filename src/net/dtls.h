// SPDX-License-Identifier: BSD-2-Clause
// The server side of one DTLS 1.2 session (RFC 6347): datagrams in, plain text and datagrams out.
// It opens no socket and begins where the stateless exchange of a cookie has ended
// (net/dtls_hello.h). What a client can make it remember is bounded in every state.
#ifndef TP_NET_DTLS_H
#define TP_NET_DTLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DTLS_MTU 1200            // datagrams of a handshake are no longer, in bytes of UDP payload
#define DTLS_PLAINTEXT_MAX 16384 // of one record, and so of one datagram of a client or peer

// Takes one datagram to the client; data is borrowed until it returns.
typedef void dtls_send(void *arg, const uint8_t *data, size_t len);

struct dtls {
    SSL *ssl;
    dtls_send *send;
    void *arg;
    const uint8_t *in; // the datagram that is being read; NULL once it was
    size_t in_len;
    bool peek;
    bool ready;        // the handshake is complete
    bool ended;        // nothing more is to be said, for the client or a fatal error ended it
    bool resting;      // its buffers were given back
    uint8_t allowance; // how many more encrypted records of a handshake are looked at
};

// Prepares an SSL_CTX for sessions. Once, when it is made.
void dtls_prepare(SSL_CTX *ctx);

// Takes ssl (its accept state set, of a prepared SSL_CTX). 0, or -ENOMEM: ssl was freed.
int dtls_open(struct dtls *d, SSL *ssl, dtls_send *send, void *arg);
void dtls_release(struct dtls *d); // frees what it holds; says nothing to the client

// All of these may send, and return 0; -EPIPE: the client has closed the session; -ECONNRESET: it
// is at an end for another reason, which tls_error_text(d->ssl, ...) tells at once.

// The datagram with the ClientHello whose cookie was right and whose message_seq is 1. The first
// call.
int dtls_accept(struct dtls *d, const uint8_t *data, size_t len);

// Any other datagram. Then, if the session is ready, dtls_read until it returns no more.
int dtls_input(struct dtls *d, const uint8_t *data, size_t len);

// The plain text of the next record of that datagram: its length (> 0), or -EAGAIN: no more. buf
// may be the datagram itself, from its begin and with its length: plain text is shorter.
ssize_t dtls_read(struct dtls *d, uint8_t *buf, size_t cap);

// Encrypts one datagram. Also -EMSGSIZE: longer than DTLS_PLAINTEXT_MAX; -EAGAIN: not ready.
int dtls_write(struct dtls *d, const void *data, size_t len);

// Retransmits where it is time to. Every few hundred milliseconds until the session is ready.
int dtls_timer(struct dtls *d);

// Says goodbye (close_notify), if there is still someone to hear it.
void dtls_close(struct dtls *d);

// Gives the buffers of a session back that is quiet for now (about 35 KiB); they return by
// themselves.
void dtls_rest(struct dtls *d);

#endif
