// SPDX-License-Identifier: BSD-2-Clause
#include "net/dtls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>

#include "net/dtls_hello.h"

// OpenSSL puts a message of a handshake together in a buffer of the length that its first fragment
// claims, ten messages ahead, and keeps encrypted records that are early with a buffer of 16 KiB
// each. These bounds are what a client's handshake needs.
#define MESSAGE_MAX 2048 // ClientKeyExchange of 8192-bit Diffie-Hellman has 1026 bytes
#define MESSAGE_WITH_CERTIFICATE 16384 // where clients are asked for one
#define MESSAGE_SEQ_MAX 8
#define EARLY_RECORDS                                                                              \
    8 // encrypted ones before the handshake is complete: Finished, repeated, and
      // data that overtook it
#define LATE_RECORDS                                                                               \
    4 // and after it, until the first application data: Finished again, since our
      // own was lost

// --- datagrams to and from OpenSSL ---

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static int bio_read(BIO *bio, char *buf, int cap)
{
    struct dtls *d = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!d->in || cap < 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t len = d->in_len < (size_t)cap ? d->in_len : (size_t)cap;
    memcpy(buf, d->in, len);
    if (!d->peek)
        d->in = NULL;
    return (int)len;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct dtls *d = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    d->send(d->arg, (const uint8_t *)data, (size_t)len);
    return len;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    struct dtls *d = BIO_get_data(bio);
    switch (cmd) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
        return 1;
    case BIO_CTRL_DGRAM_SET_PEEK_MODE:
        d->peek = num;
        return 1;
    default:
        return 0;
    }
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static void make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams");
    if (m && BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
        BIO_meth_set_ctrl(m, bio_ctrl) && BIO_meth_set_create(m, bio_create))
        method = m;
    else
        BIO_meth_free(m);
}

// --- making ---

// OpenSSL insists on callbacks for the cookie. It is asked only about a ClientHello whose cookie
// was checked already (dtls_accept), and makes none of its own.
static int take_cookie(SSL *ssl, const unsigned char *cookie, unsigned len)
{
    return 1;
}

static int make_no_cookie(SSL *ssl, unsigned char *cookie, unsigned *len)
{
    return 0;
}

void dtls_prepare(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_cookie_verify_cb(ctx, take_cookie);
    SSL_CTX_set_cookie_generate_cb(ctx, make_no_cookie);
}

int dtls_open(struct dtls *d, SSL *ssl, dtls_send *send, void *arg)
{
    pthread_once(&once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio) {
        SSL_free(ssl);
        return -ENOMEM;
    }
    *d = (struct dtls){.ssl = ssl, .send = send, .arg = arg, .allowance = EARLY_RECORDS};
    BIO_set_data(bio, d);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_mtu(ssl, DTLS_MTU);
    return 0;
}

void dtls_release(struct dtls *d)
{
    SSL_free(d->ssl);
    d->ssl = NULL;
}

// --- the handshake ---

// What a call that returned ret means for the session. The error queue is left for the caller.
static int outcome(struct dtls *d, int ret)
{
    switch (SSL_get_error(d->ssl, ret)) {
    case SSL_ERROR_NONE:
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return -EPIPE;
    default:
        d->ended = true;
        return -ECONNRESET;
    }
}

static int go_on(struct dtls *d)
{
    ERR_clear_error();
    int ret = SSL_do_handshake(d->ssl);
    if (ret == 1) {
        d->ready = true;
        d->allowance = LATE_RECORDS;
        return 0;
    }
    return outcome(d, ret);
}

static bool handshake_record_fits(const struct dtls *d, const struct dtls_record *r)
{
    size_t most =
        SSL_get_verify_mode(d->ssl) == SSL_VERIFY_NONE ? MESSAGE_MAX : MESSAGE_WITH_CERTIFICATE;
    const uint8_t *p = r->fragment;
    if (r->len < 12)
        return false;
    size_t message_len = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    unsigned message_seq = (unsigned)p[4] << 8 | p[5];
    return message_len <= most && message_seq <= MESSAGE_SEQ_MAX;
}

static bool record_admissible(struct dtls *d, const struct dtls_record *r)
{
    if (r->epoch == 0)
        return r->type != DTLS_APPLICATION_DATA &&
               (r->type != DTLS_HANDSHAKE || d->ready || handshake_record_fits(d, r));
    if (r->epoch > 1) // would come with a renegotiation
        return false;
    if (d->ready && r->type != DTLS_HANDSHAKE)
        return true;
    // Between the client's ChangeCipherSpec and its Finished a message of the handshake is tried at
    // once; OpenSSL keeps data for later.
    if (r->type != DTLS_APPLICATION_DATA && SSL_get_state(d->ssl) == TLS_ST_SR_CHANGE)
        return true;
    return d->allowance > 0 && d->allowance--;
}

// How much of a datagram OpenSSL gets to see: all up to the first record that is beyond the bounds
// above or none at all.
static size_t admissible(struct dtls *d, const uint8_t *data, size_t len)
{
    struct dtls_record r;
    size_t at = 0, end = 0;
    while (at < len && dtls_record_next(&r, data, len, &at) && record_admissible(d, &r))
        end = at;
    return end;
}

int dtls_accept(struct dtls *d, const uint8_t *data, size_t len)
{
    ERR_clear_error();
    BIO_ADDR *unused = BIO_ADDR_new();
    d->in = data;
    d->in_len = admissible(d, data, len);
    // Looks at the ClientHello without taking it, and sets both sides' numbers to go on from there.
    int ret = unused ? DTLSv1_listen(d->ssl, unused) : -1;
    BIO_ADDR_free(unused);
    int err = ret == 1 ? go_on(d) : -ECONNRESET;
    d->in = NULL;
    d->peek = false;
    return err;
}

static void wake(struct dtls *d)
{
    if (d->resting && SSL_alloc_buffers(d->ssl))
        d->resting = false;
}

int dtls_input(struct dtls *d, const uint8_t *data, size_t len)
{
    d->in_len = d->ended ? 0 : admissible(d, data, len);
    d->in = d->in_len ? data : NULL;
    if (!d->in)
        return 0;
    return d->ready ? 0 : go_on(d);
}

ssize_t dtls_read(struct dtls *d, uint8_t *buf, size_t cap)
{
    if (!d->ready || d->ended || cap == 0)
        return -EAGAIN;
    wake(d);
    if (d->resting)
        return -EAGAIN; // out of memory: the datagram is lost, as datagrams may be
    ERR_clear_error();
    int got = SSL_read(d->ssl, buf, cap < INT32_MAX ? (int)cap : INT32_MAX);
    if (got > 0) {
        d->allowance = 0;
        return got;
    }
    int err = outcome(d, got);
    return err ? err : -EAGAIN;
}

int dtls_write(struct dtls *d, const void *data, size_t len)
{
    if (len > DTLS_PLAINTEXT_MAX)
        return -EMSGSIZE;
    if (!d->ready || d->ended || len == 0)
        return -EAGAIN;
    wake(d);
    if (d->resting)
        return -EAGAIN;
    ERR_clear_error();
    int ret = SSL_write(d->ssl, data, (int)len);
    return ret > 0 ? 0 : outcome(d, ret);
}

int dtls_timer(struct dtls *d)
{
    if (d->ready || d->ended)
        return 0;
    ERR_clear_error();
    if (DTLSv1_handle_timeout(d->ssl) >= 0)
        return 0;
    d->ended = true;
    return -ECONNRESET;
}

void dtls_close(struct dtls *d)
{
    if (!d->ready || d->ended)
        return;
    wake(d);
    ERR_clear_error();
    if (!d->resting)
        SSL_shutdown(d->ssl);
    d->ended = true;
    ERR_clear_error();
}

void dtls_rest(struct dtls *d)
{
    if (d->ready && !d->ended && !d->resting && SSL_free_buffers(d->ssl))
        d->resting = true;
}
