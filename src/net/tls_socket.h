// SPDX-License-Identifier: BSD-2-Clause
// A TCP socket under TLS. What OpenSSL writes is collected, so that several records leave with one
// system call, and OpenSSL never has to be called again because the socket was full. What one call
// of OpenSSL may read is bounded: left alone, SSL_read goes on for as long as records arrive that
// bring no application data. A peer that sends nearly nothing else is cut off: SSL_* calls then
// fail with SSL_ERROR_SYSCALL and errno EPROTO.
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
    unsigned reads, writes; // system calls so far; once SSL_* has read 8 times it reads nothing
                            // more until reads is set to 0
    unsigned idle_records;  // received ones without application data
    uint64_t received;      // bytes
};

// Has ssl read and write that socket; s stays where it is for as long. 0 or -ENOMEM.
int tls_socket_attach(struct tls_socket *s, SSL *ssl);
// The reverse: ssl is left without a BIO, and with what it has read and not given out. All that it
// has written has been sent.
void tls_socket_detach(struct tls_socket *s, SSL *ssl);

// Sends what SSL_* calls have written: to be called after each of them, whatever it returned, or
// after a run of SSL_write, before this thread uses another tls_socket. 0 when all is sent;
// -EAGAIN: the rest is kept, call it again when the socket can be written; another negative errno:
// the connection broke, or there is no memory to keep the rest.
int tls_socket_flush(struct tls_socket *s);

// Whether a run of SSL_write has collected enough for one flush.
bool tls_socket_full(void);

// Whether the peer was cut off.
bool tls_socket_idles(const struct tls_socket *s);

void tls_socket_release(struct tls_socket *s); // after its SSL is freed, or detached

#endif
