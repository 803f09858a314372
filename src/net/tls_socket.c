// SPDX-License-Identifier: BSD-2-Clause
#include "net/tls_socket.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENOUGH 65536
#define SCRATCH (ENOUGH + 32768) // and one more record with all that goes with it
#define READS_MAX 8              // 16 KiB each
#define IDLE_RECORDS 256         // a handshake with a long chain of certificates in small pieces
#define IDLE_RECORDS_SHIFT 20    // and one more (KeyUpdate) for each MiB

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

// What was written since the last flush, of one socket.
static _Thread_local uint8_t scratch[SCRATCH];
static _Thread_local size_t collected;
static _Thread_local struct tls_socket *owner;

bool tls_socket_idles(const struct tls_socket *s)
{
    return s->idle_records > IDLE_RECORDS + (s->received >> IDLE_RECORDS_SHIFT);
}

// OpenSSL tells of the header of each record, and in TLS 1.3, where the header does not say it, of
// the type.
static void count_record(int writing, int version, int type, const void *data, size_t len, SSL *ssl,
                         void *arg)
{
    struct tls_socket *s = arg;
    if (!writing && (type == SSL3_RT_HEADER || type == SSL3_RT_INNER_CONTENT_TYPE) && len > 0)
        s->idle_records += *(const uint8_t *)data != SSL3_RT_APPLICATION_DATA;
}

static int bio_read(BIO *bio, char *buf, int cap)
{
    struct tls_socket *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (tls_socket_idles(s)) {
        errno = EPROTO;
        return -1;
    }
    if (s->reads >= READS_MAX) { // the socket stays readable, so that it goes on in the next turn
        BIO_set_retry_read(bio);
        return -1;
    }
    ssize_t got = read(s->fd, buf, (size_t)cap);
    s->reads++;
    if (got > 0)
        s->received += (size_t)got;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_retry_read(bio);
    s->ended = got == 0;
    return (int)got;
}

// 0 or a negative errno.
static int keep(struct tls_socket *s, const uint8_t *data, size_t len)
{
    uint8_t *unsent = realloc(s->unsent, s->unsent_len + len);
    if (!unsent)
        return -ENOMEM;
    memcpy(unsent + s->unsent_len, data, len);
    s->unsent = unsent;
    s->unsent_len += len;
    return 0;
}

// How much of it the socket took; a negative errno when it broke.
static ssize_t send_some(struct tls_socket *s, const uint8_t *data, size_t len)
{
    ssize_t sent = send(s->fd, data, len, MSG_NOSIGNAL);
    s->writes++;
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
}

static int flush_unsent(struct tls_socket *s)
{
    ssize_t sent = send_some(s, s->unsent, s->unsent_len);
    if (sent < 0)
        return (int)sent;
    s->unsent_len -= (size_t)sent;
    if (s->unsent_len) {
        memmove(s->unsent, s->unsent + sent, s->unsent_len);
        return -EAGAIN;
    }
    free(s->unsent);
    s->unsent = NULL;
    return 0;
}

int tls_socket_flush(struct tls_socket *s)
{
    size_t len = collected;
    assert(!len || owner == s);
    collected = 0;
    int err = s->unsent ? flush_unsent(s) : 0;
    if (!len || (err && err != -EAGAIN))
        return err;
    ssize_t sent = err ? 0 : send_some(s, scratch, len);
    if (sent < 0)
        return (int)sent;
    if ((size_t)sent == len)
        return 0;
    err = keep(s, scratch + sent, len - (size_t)sent);
    return err ? err : -EAGAIN;
}

bool tls_socket_full(void)
{
    return collected >= ENOUGH;
}

// Takes it all: that a socket is full is none of OpenSSL's business.
static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls_socket *s = BIO_get_data(bio);
    size_t n = (size_t)len;
    assert(!collected || owner == s);
    if (tls_socket_idles(s)) {
        errno = EPROTO;
        return -1;
    }
    owner = s;
    if (n > SCRATCH - collected) {
        int err = tls_socket_flush(s);
        if (err && err != -EAGAIN) {
            errno = -err;
            return -1;
        }
    }
    if (n > SCRATCH) { // no record is that long; a flight of handshake messages may be
        if (!keep(s, (const uint8_t *)data, n))
            return len;
        errno = ENOMEM;
        return -1;
    }
    memcpy(scratch + collected, data, n);
    collected += n;
    return len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_socket *s = BIO_get_data(bio);
    if (command == BIO_CTRL_EOF)
        return s->ended;
    return command == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "collecting socket");
    if (!method)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

int tls_socket_attach(struct tls_socket *s, SSL *ssl)
{
    pthread_once(&once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio)
        return -ENOMEM;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio); // takes it
    SSL_set_msg_callback(ssl, count_record);
    SSL_set_msg_callback_arg(ssl, s);
    return 0;
}

void tls_socket_detach(struct tls_socket *s, SSL *ssl)
{
    assert(!s->unsent && (!collected || owner != s));
    SSL_set_bio(ssl, NULL, NULL);
    SSL_set_msg_callback(ssl, NULL);
    SSL_set_msg_callback_arg(ssl, NULL);
}

void tls_socket_release(struct tls_socket *s)
{
    free(s->unsent);
    s->unsent = NULL;
    s->unsent_len = 0;
}
