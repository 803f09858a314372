// SPDX-License-Identifier: BSD-2-Clause
// What a DTLS server does before it knows that a client is where it says it is (RFC 6347
// section 4.2.1): it looks at a ClientHello, answers it with a HelloVerifyRequest, and remembers
// nothing. No OpenSSL object is made for a stranger.
#ifndef TP_NET_DTLS_HELLO_H
#define TP_NET_DTLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

#define DTLS_COOKIE_LEN 21
// A HelloVerifyRequest. The shortest ClientHello has 67 bytes, so that no answer is longer than
// what it answers.
#define DTLS_VERIFY_REQUEST_LEN (13 + 12 + 3 + DTLS_COOKIE_LEN)
#define DTLS_COOKIE_LIFE_MS 60000 // a cookie is good for this long at least, and for twice at most

struct dtls_hello {
    uint8_t sequence[6]; // of the record
    uint16_t message_seq;
    const uint8_t *random; // 32 bytes; this and the following point into the datagram
    const uint8_t *cookie;
    size_t cookie_len;
    const uint8_t *before, *behind; // client_version to session_id; cipher_suites and
    size_t before_len,
        behind_len; // compression_methods: what both ClientHellos must have in common
};

// What a record's header tells (RFC 6347 section 4.1).
struct dtls_record {
    uint8_t type;
    uint16_t epoch;
    const uint8_t *fragment;
    size_t len;
};
enum { DTLS_ALERT = 21, DTLS_HANDSHAKE = 22, DTLS_APPLICATION_DATA = 23 };

// The record at *at of a datagram, and moves *at behind it. False where none begins, or it is cut
// short, or its version is none of DTLS.
bool dtls_record_next(struct dtls_record *out, const void *data, size_t len, size_t *at);

// Whether a datagram begins with a ClientHello, or a piece of one, outside of any encryption.
bool dtls_hello_begins(const void *data, size_t len);

// Reads the ClientHello that a datagram begins with. 0, or -EBADMSG: it does not, or it is damaged,
// or in pieces, which could not be put together without remembering them.
int dtls_hello_parse(struct dtls_hello *out, const void *data, size_t len);

// Writes the HelloVerifyRequest that answers hello.
void dtls_hello_verify_request(uint8_t out[DTLS_VERIFY_REQUEST_LEN], const struct dtls_hello *hello,
                               const uint8_t cookie[DTLS_COOKIE_LEN]);

// The keys that cookies are made with, random and replaced every DTLS_COOKIE_LIFE_MS. For one
// thread.
struct dtls_cookies;
struct dtls_cookies *dtls_cookies_new(void); // NULL when out of memory
void dtls_cookies_free(struct dtls_cookies *c);

// The cookie of a ClientHello from client to local: a MAC over both addresses and what the client
// has to repeat. now_ms: monotonic. 0, or -ENOMEM.
int dtls_cookie_make(struct dtls_cookies *c, uint8_t out[DTLS_COOKIE_LEN],
                     const struct dtls_hello *hello, const struct addr *client,
                     const struct addr *local, int64_t now_ms);

// Whether hello brings a cookie that was made for it. Compared in constant time.
bool dtls_cookie_check(struct dtls_cookies *c, const struct dtls_hello *hello,
                       const struct addr *client, const struct addr *local, int64_t now_ms);

#endif
