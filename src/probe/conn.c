// SPDX-License-Identifier: BSD-2-Clause
#include "probe/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe/clock.h"
#include "stun/channel_data.h"

#define SEND_TIMEOUT 5000000 // us: a stream that takes nothing for that long is dead

static int get_local(int fd, struct addr *out)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    return addr_from_sockaddr(out, (struct sockaddr *)&ss);
}

// A socket, bound where that was asked for.
static int open_socket(uint8_t family, bool stream, const struct addr *source)
{
    struct sockaddr_storage ss;
    socklen_t len;
    int one = 1, rc;
    int fd = socket(family == ADDR_IPV6 ? AF_INET6 : AF_INET,
                    (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (stream)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (family == ADDR_IPV6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (source && source->family != ADDR_NONE) {
        len = addr_to_sockaddr(source, &ss);
        if (source->family != family)
            rc = -EAFNOSUPPORT;
        else
            rc = bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
        if (rc < 0) {
            close(fd);
            return rc;
        }
    }
    return fd;
}

static int finish_connect(int fd, int64_t deadline)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int error = 0, n;
    socklen_t len = sizeof(error);

    while ((n = poll(&p, 1, clock_left_ms(deadline))) < 0 && errno == EINTR)
        ;
    if (n <= 0)
        return n < 0 ? -errno : -ETIMEDOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    return -error;
}

int conn_open(struct conn **out, const struct target *target, const struct addr *source,
              int64_t deadline)
{
    bool stream = transport_is_stream(target->transport);
    struct conn *c = calloc(1, sizeof(*c));
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(&target->addr, &ss);
    int rc = 0;

    if (!c)
        return -ENOMEM;
    c->transport = target->transport;
    c->fd = open_socket(target->addr.family, stream, source);
    if (c->fd < 0)
        rc = c->fd;
    if (rc == 0 && connect(c->fd, (struct sockaddr *)&ss, len) < 0)
        rc = errno == EINPROGRESS ? finish_connect(c->fd, deadline) : -errno;
    if (rc == 0)
        rc = get_local(c->fd, &c->local);
    if (rc < 0) {
        conn_close(c);
        return rc;
    }
    *out = c;
    return 0;
}

int conn_secure(struct conn *c, const struct tls_options *options, int64_t deadline,
                const char **why)
{
    struct tls_trust *trust;
    int rc = tls_trust_new(&trust, c->transport == TRANSPORT_DTLS, options->ca_file, why);

    if (rc < 0)
        return rc;
    rc = tls_new(&c->tls, c->fd, trust, options);
    tls_trust_free(trust);
    return rc < 0 ? rc : tls_handshake(c->tls, deadline, why);
}

void conn_close(struct conn *c)
{
    if (!c)
        return;
    tls_free(c->tls);
    if (c->fd >= 0)
        close(c->fd);
    free(c);
}

static ssize_t write_some(struct conn *c, const void *data, size_t len)
{
    ssize_t n;
    if (c->tls)
        return tls_write(c->tls, data, len);
    n = send(c->fd, data, len, MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

int conn_send(struct conn *c, const void *data, size_t len)
{
    const uint8_t *p = data;
    int64_t deadline = clock_us() + SEND_TIMEOUT;

    while (len > 0) {
        ssize_t n = write_some(c, p, len);
        if (n == -ECONNREFUSED &&
            !c->tls) // of an earlier datagram; conn_recv will see the next one
            n = write_some(c, p, len);
        if (n > 0) {
            if (!transport_is_stream(c->transport))
                return 0;
            p += n;
            len -= (size_t)n;
        } else if (n == -EAGAIN || n == -EINTR) {
            struct pollfd pfd = {.fd = c->fd, .events = POLLOUT};
            if (clock_us() >= deadline)
                return -ETIMEDOUT;
            poll(&pfd, 1, clock_left_ms(deadline));
        } else {
            return n == 0 ? -EPIPE : (int)n;
        }
    }
    return 0;
}

static ssize_t read_some(struct conn *c, void *buf, size_t cap)
{
    ssize_t n;
    if (c->tls)
        return tls_read(c->tls, buf, cap);
    n = recv(c->fd, buf, cap, 0);
    if (n == 0 && transport_is_stream(c->transport))
        return -EPIPE;
    return n < 0 ? -errno : n;
}

// A frame of the stream that has come whole: its length; 0 when more has to come, or -EPROTO.
static ssize_t take_frame(struct conn *c, uint8_t *buf, size_t cap)
{
    int len = stream_frame_len(c->in, c->in_len);
    // Text such as an HTTP answer looks like ChannelData that never ends.
    if (!c->channels && c->in_len > 0 && demux_first_byte(c->in[0]) == DEMUX_CHANNEL)
        return -EPROTO;
    if (len < 0)
        return len;
    if (len == 0 || (size_t)len > c->in_len)
        return 0;
    if ((size_t)len > cap)
        return -EMSGSIZE;
    memcpy(buf, c->in, (size_t)len);
    c->in_len -= (size_t)len;
    memmove(c->in, c->in + len, c->in_len);
    return len;
}

// As conn_recv, but -EAGAIN when there is none now.
static ssize_t recv_now(struct conn *c, uint8_t *buf, size_t cap)
{
    ssize_t n;
    if (!transport_is_stream(c->transport))
        return read_some(c, buf, cap);
    for (;;) {
        n = take_frame(c, buf, cap);
        if (n != 0)
            return n;
        n = read_some(c, c->in + c->in_len, sizeof(c->in) - c->in_len);
        if (n <= 0)
            return n == 0 ? -EPROTO : n;
        c->in_len += (size_t)n;
    }
}

ssize_t conn_recv(struct conn *c, uint8_t *buf, size_t cap, int64_t deadline)
{
    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        ssize_t n = recv_now(c, buf, cap);
        if (n == -EINTR || n == 0) // an empty datagram says nothing
            continue;
        if (n != -EAGAIN)
            return n;
        if (clock_us() >= deadline)
            return -ETIMEDOUT;
        poll(&p, 1, clock_left_ms(deadline));
    }
}

bool conn_pending(const struct conn *c)
{
    int len = c->in_len > 0 ? stream_frame_len(c->in, c->in_len) : 0;
    return len < 0 || (len > 0 && (size_t)len <= c->in_len) || (c->tls && tls_pending(c->tls));
}

int udp_open(uint8_t family, const struct addr *source, struct addr *local)
{
    int fd = open_socket(family, false, source), rc;
    struct addr any = {.family = family};
    struct sockaddr_storage ss;

    if (fd < 0)
        return fd;
    if (!source || source->family == ADDR_NONE) {
        socklen_t len = addr_to_sockaddr(&any, &ss);
        if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
            rc = -errno;
            close(fd);
            return rc;
        }
    }
    rc = get_local(fd, local);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}
