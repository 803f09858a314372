// SPDX-License-Identifier: BSD-2-Clause
#include "bench/link.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/link_stream.h"
#include "probe/clock.h"

#define OPEN_US 5000000 // to connect and handshake

void link_init(struct link *l, bool shared)
{
    *l = (struct link){.fd = -1, .locked = shared};
    // Recursive: what is read may be answered at once.
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&l->lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

void link_destroy(struct link *l)
{
    link_close(l);
    pthread_mutex_destroy(&l->lock);
}

void link_close(struct link *l)
{
    tls_free(l->tls);
    l->tls = NULL;
    free(l->stream);
    l->stream = NULL;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

static int bind_to(int fd, const struct addr *local)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(local, &ss);
    return bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

static int family_of(const struct addr *a)
{
    return a->family == ADDR_IPV6 ? AF_INET6 : AF_INET;
}

int link_open_udp(const struct addr *local, bool gro, struct addr *bound)
{
    int size = LINK_BUFFER, on = 1;
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    int fd = socket(family_of(local), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    // The first needs CAP_NET_ADMIN and goes beyond net.core.rmem_max.
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
    int rc = gro && setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) < 0 ? -errno : 0;
    if (!rc)
        rc = bind_to(fd, local);
    if (!rc && bound && getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        rc = -errno;
    if (rc) {
        close(fd);
        return rc;
    }
    if (bound)
        addr_from_sockaddr(bound, (struct sockaddr *)&ss);
    return fd;
}

static int open_tcp(const struct addr *local)
{
    int on = 1, rc;
    int fd = socket(family_of(local), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    // Ports are chosen when it connects, so that they may be used towards other servers too.
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    rc = bind_to(fd, local);
    if (rc) {
        close(fd);
        return rc;
    }
    return fd;
}

static int connect_to(int fd, const struct addr *to, int64_t deadline)
{
    struct sockaddr_storage ss;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    socklen_t len = addr_to_sockaddr(to, &ss);
    int error = 0;

    if (connect(fd, (struct sockaddr *)&ss, len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    if (poll(&p, 1, clock_left_ms(deadline)) <= 0)
        return -ETIMEDOUT;
    len = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}

static int secure(struct link *l, const struct bench_target *t, int64_t deadline, const char **why)
{
    static char verdict[TLS_TEXT + 64];
    struct tls_facts facts;
    int rc = tls_new(&l->tls, l->fd, t->trust, &t->tls);

    if (rc == 0)
        rc = tls_handshake(l->tls, deadline, why);
    if (rc < 0 || t->insecure)
        return rc;
    tls_facts(l->tls, &facts);
    if (facts.verified)
        return 0;
    snprintf(verdict, sizeof(verdict), "the certificate is not accepted: %s", facts.verdict);
    *why = verdict;
    return -EPROTO;
}

int link_open(struct link *l, const struct bench_target *t, const struct addr *source, bool gro,
              const char **why)
{
    int64_t deadline = clock_us() + OPEN_US;
    bool stream = transport_is_stream(t->transport);
    int rc;

    *why = NULL;
    link_close(l);
    l->transport = t->transport;
    l->locked = l->locked || t->transport != TRANSPORT_UDP;
    l->fd = stream ? open_tcp(source) : link_open_udp(source, gro, NULL);
    rc = l->fd < 0 ? l->fd : connect_to(l->fd, &t->server, deadline);
    if (!rc && stream) {
        l->stream = link_stream_new();
        rc = l->stream ? 0 : -ENOMEM;
    }
    if (!rc && transport_is_secure(t->transport))
        rc = secure(l, t, deadline, why);
    if (rc) {
        if (l->fd < 0)
            l->fd = -1;
        link_close(l);
    }
    return rc;
}

uint64_t link_dropped(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info);
    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0
               ? info[SK_MEMINFO_DROPS]
               : 0;
}

// --- datagrams out ---

static bool send_offloaded(int fd, struct msghdr *msg, const uint8_t *data, size_t len, unsigned n)
{
    union {
        struct cmsghdr align;
        uint8_t space[CMSG_SPACE(sizeof(uint16_t))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len * n};
    uint16_t segment = (uint16_t)len;
    msg->msg_iov = &iov;
    msg->msg_iovlen = 1;
    msg->msg_control = control.space;
    msg->msg_controllen = sizeof(control.space);
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(segment));
    memcpy(CMSG_DATA(c), &segment, sizeof(segment));
    return sendmsg(fd, msg, MSG_DONTWAIT) >= 0;
}

unsigned link_send_udp(int fd, const struct addr *to, const uint8_t *data, size_t len, unsigned n,
                       bool offload)
{
    struct mmsghdr msgs[BENCH_MAX_BURST];
    struct iovec iov[BENCH_MAX_BURST];
    struct sockaddr_storage ss;
    struct msghdr head = {0};
    int sent;

    if (to) {
        head.msg_namelen = addr_to_sockaddr(to, &ss);
        head.msg_name = &ss;
    }
    if (n == 1)
        return sendto(fd, data, len, MSG_DONTWAIT, head.msg_name, head.msg_namelen) >= 0;
    if (offload)
        return send_offloaded(fd, &head, data, len, n) ? n : 0;
    for (unsigned i = 0; i < n; i++) {
        iov[i] = (struct iovec){.iov_base = (void *)(uintptr_t)(data + i * len), .iov_len = len};
        msgs[i] = (struct mmsghdr){.msg_hdr = head};
        msgs[i].msg_hdr.msg_iov = &iov[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    sent = sendmmsg(fd, msgs, n, MSG_DONTWAIT);
    return sent > 0 ? (unsigned)sent : 0;
}

static unsigned send_dtls(struct link *l, const uint8_t *data, size_t len, unsigned n)
{
    unsigned sent = 0;
    while (sent < n && tls_write(l->tls, data + sent * len, len) > 0)
        sent++;
    return sent;
}

unsigned link_send(struct link *l, const uint8_t *data, size_t len, unsigned n, bool offload)
{
    unsigned sent = 0;
    if (l->locked)
        pthread_mutex_lock(&l->lock);
    if (l->fd < 0)
        sent = 0;
    else if (l->stream)
        sent = link_stream_send(l, data, len, n);
    else if (l->tls)
        sent = send_dtls(l, data, len, n);
    else
        sent = link_send_udp(l->fd, NULL, data, len, n, offload);
    if (l->locked)
        pthread_mutex_unlock(&l->lock);
    return sent;
}

// --- datagrams in ---

int link_reader_init(struct link_reader *r, bool gro)
{
    memset(r, 0, sizeof(*r));
    r->read_len = gro ? 65536 : 2048;
    r->buf = malloc(LINK_READS * r->read_len);
    if (!r->buf)
        return -ENOMEM;
    for (size_t i = 0; i < LINK_READS; i++) {
        r->iov[i] = (struct iovec){.iov_base = r->buf + i * r->read_len, .iov_len = r->read_len};
        r->msgs[i].msg_hdr.msg_iov = &r->iov[i];
        r->msgs[i].msg_hdr.msg_iovlen = 1;
        r->msgs[i].msg_hdr.msg_control = r->control[i];
        r->msgs[i].msg_hdr.msg_controllen = sizeof(r->control[i]);
    }
    return 0;
}

void link_reader_free(struct link_reader *r)
{
    free(r->buf);
    r->buf = NULL;
}

// What the kernel says of a read: when the packet arrived, and the length of each when UDP_GRO
// joined several.
static void read_control(struct msghdr *msg, int64_t *arrived_ns, size_t *segment)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec ts;
            memcpy(&ts, CMSG_DATA(c), sizeof(ts));
            *arrived_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
        } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof(size));
            if (size > 0)
                *segment = (size_t)size;
        }
    }
}

static void take_read(struct mmsghdr *read, link_take *take, void *arg)
{
    const uint8_t *data = read->msg_hdr.msg_iov->iov_base;
    size_t left = read->msg_len, segment = left;
    int64_t arrived = 0;

    read_control(&read->msg_hdr, &arrived, &segment);
    if (!arrived)
        arrived = bench_now(CLOCK_REALTIME);
    while (left) {
        size_t len = left < segment ? left : segment;
        take(arg, data, len, arrived);
        data += len;
        left -= len;
    }
}

int link_read_udp(int fd, struct link_reader *r, link_take *take, void *arg)
{
    int n = recvmmsg(fd, r->msgs, LINK_READS, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        take_read(&r->msgs[i], take, arg);
        r->msgs[i].msg_hdr.msg_controllen = sizeof(r->control[i]);
        r->msgs[i].msg_hdr.msg_flags = 0;
    }
    return n == LINK_READS; // an ICMP error is not the end of a datagram socket
}

static int read_dtls(struct link *l, struct link_reader *r, link_take *take, void *arg)
{
    for (int i = 0; i < LINK_READS; i++) {
        ssize_t n = tls_read(l->tls, r->buf, r->read_len);
        if (n <= 0)
            return n == -EAGAIN || n == -ECONNREFUSED ? 0 : n == 0 ? -EPIPE : (int)n;
        take(arg, r->buf, (size_t)n, bench_now(CLOCK_REALTIME));
    }
    return 1;
}

int link_read(struct link *l, struct link_reader *r, link_take *take, void *arg)
{
    int rc;
    if (l->locked)
        pthread_mutex_lock(&l->lock);
    if (l->fd < 0)
        rc = 0;
    else if (l->stream)
        rc = link_stream_read(l, take, arg);
    else if (l->tls)
        rc = read_dtls(l, r, take, arg);
    else
        rc = link_read_udp(l->fd, r, take, arg);
    if (l->locked)
        pthread_mutex_unlock(&l->lock);
    return rc;
}
