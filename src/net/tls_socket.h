// SPDX-License-Identifier: BSD-2-Clause
// A TCP socket under TLS. What OpenSSL writes is collected, so that several records leave with one
// system call, and OpenSSL never has to be called again because the socket was full.
#ifndef TP_NET_TLS_SOCKET_H
#define TP_NET_TLS_SOCKET_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_socket {
    int fd; // non-blocking, the caller's
    bool ended;
    uint8_t *unsent; // what the socket did not take
    size_t unsent_len;
    unsigned reads, writes; // system calls so far
};

// Has ssl read and write that socket; s stays where it is for as long. 0 or -ENOMEM.
int tls_socket_attach(struct tls_socket *s, SSL *ssl);

// Sends what SSL_* calls have written: to be called after each of them, whatever it returned, or
// after a run of SSL_write, before this thread uses another tls_socket. 0 when all is sent;
// -EAGAIN: the rest is kept, call it again when the socket can be written; another negative errno:
// the connection broke, or there is no memory to keep the rest.
int tls_socket_flush(struct tls_socket *s);

// Whether a run of SSL_write has collected enough for one flush.
bool tls_socket_full(void);

void tls_socket_release(struct tls_socket *s); // after its SSL is freed

#endif
