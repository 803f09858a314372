// SPDX-License-Identifier: BSD-2-Clause
#include "net/udp_internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define BIG_BUFFER (4 * 1024 * 1024)

static void set_int(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value);
}

static void set_buffers(int fd)
{
    // The forced form passes the system's limit; it needs a privilege that we may not have.
    int size = BIG_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
        set_int(fd, SOL_SOCKET, SO_RCVBUF, size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size))
        set_int(fd, SOL_SOCKET, SO_SNDBUF, size);
}

// Whether the kernel knows UDP_SEGMENT; asked once.
static bool kernel_segments(int fd)
{
    enum { UNKNOWN, NO, YES };
    static atomic_int known;
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == UNKNOWN) {
        int none = 0;
        answer = setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) ? NO : YES;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == YES;
}

// Forged ICMP must not change how an allocation's IPv4 datagrams are sent, so that what the kernel
// believes of the path is not asked. IPv6 has no routers that fragment: there it has to be.
void udp_set_fragmentation(const struct udp_socket *s, bool never)
{
    if (s->local.family == ADDR_IPV6)
        set_int(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                never ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT);
    else
        set_int(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, never ? IP_PMTUDISC_PROBE : IP_PMTUDISC_OMIT);
}

static void set_options(struct udp_socket *s, unsigned flags)
{
    bool v6 = s->local.family == ADDR_IPV6;
    if (v6)
        set_int(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    else
        udp_set_fragmentation(s, false);
    if (flags & UDP_REUSEPORT)
        set_int(s->fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (flags & UDP_BIG_BUFFERS)
        set_buffers(s->fd);
    s->pktinfo = addr_is_any(&s->local);
    if (s->pktinfo)
        set_int(s->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
    s->icmp_errors = flags & UDP_ICMP_ERRORS;
    if (s->icmp_errors)
        set_int(s->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, 1);
    set_int(s->fd, IPPROTO_UDP, UDP_GRO, 1);
    s->gso_max = kernel_segments(s->fd) ? UINT16_MAX : 0;
}

int udp_open(struct udp_socket *s, const struct addr *local, unsigned flags)
{
    bool v6 = local->family == ADDR_IPV6;
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    *s = (struct udp_socket){.fd = fd, .local = *local, .sink.flush = udp_flush};
    set_options(s, flags);
    union udp_sockaddr sa;
    socklen_t len = udp_sockaddr(&sa, local);
    if (bind(fd, &sa.sa, len)) {
        int err = -errno;
        close(fd);
        s->fd = -1;
        return err;
    }
    return 0;
}

// Both sockets may be bound to the address only while both say so; for no longer, or another
// process of this user could do the same.
int udp_open_connected(struct udp_socket *out, const struct udp_socket *s, const struct addr *peer)
{
    set_int(s->fd, SOL_SOCKET, SO_REUSEPORT, 1);
    int err = udp_open(out, &s->local, UDP_REUSEPORT | (s->icmp_errors ? UDP_ICMP_ERRORS : 0));
    set_int(s->fd, SOL_SOCKET, SO_REUSEPORT, 0);
    if (err)
        return err;
    set_int(out->fd, SOL_SOCKET, SO_REUSEPORT, 0);
    union udp_sockaddr sa;
    socklen_t len = udp_sockaddr(&sa, peer);
    if (connect(out->fd, &sa.sa, len)) {
        err = -errno;
        close(out->fd);
        out->fd = -1;
        return err;
    }
    out->connected = true;
    return 0;
}

void udp_close(struct io *io, struct udp_socket *s)
{
    if (s->fd < 0)
        return;
    io_sink_retire(io, &s->sink);
    close(s->fd);
    s->fd = -1;
}

// --- receiving ---

static void read_control(struct msghdr *mh, const struct udp_socket *s, struct udp_in *in)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof segment);
            if (segment > 0)
                in->segment = (uint32_t)segment;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(in->to.ip, &info.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(in->to.ip, &info.ipi6_addr, 16);
            if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
                in->to.scope = info.ipi6_ifindex;
        }
    }
}

// What recvmmsg fills in. Prepared once: each call sets what the one before has changed.
struct receive_batch {
    struct mmsghdr msgs[UDP_BATCH];
    struct iovec iov[UDP_BATCH];
    union udp_sockaddr from[UDP_BATCH];
    union udp_control control[UDP_BATCH];
    unsigned prepared; // the first so many are as they were made, but for the place of the data
};

static void prepare(struct receive_batch *b, struct io *io, unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        b->iov[i] = (struct iovec){io_slot(io, first + i), IO_SLOT_DATA};
    for (; b->prepared < count; b->prepared++) {
        unsigned i = b->prepared;
        b->msgs[i].msg_hdr = (struct msghdr){.msg_name = &b->from[i],
                                             .msg_namelen = sizeof b->from[i],
                                             .msg_iov = &b->iov[i],
                                             .msg_iovlen = 1,
                                             .msg_control = &b->control[i],
                                             .msg_controllen = sizeof b->control[i]};
    }
}

static void restore(struct receive_batch *b, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        b->msgs[i].msg_hdr.msg_namelen = sizeof b->from[i];
        b->msgs[i].msg_hdr.msg_controllen = sizeof b->control[i];
    }
}

static bool read_one(struct receive_batch *b, unsigned i, const struct udp_socket *s,
                     struct udp_in *in)
{
    struct msghdr *mh = &b->msgs[i].msg_hdr;
    if (mh->msg_flags & MSG_TRUNC || addr_from_sockaddr(&in->from, &b->from[i].sa))
        return false;
    in->data = b->iov[i].iov_base;
    in->len = in->segment = b->msgs[i].msg_len;
    in->to = s->local;
    if (mh->msg_controllen)
        read_control(mh, s, in);
    return true;
}

unsigned udp_receive(struct io *io, struct udp_socket *s, struct udp_in *in, unsigned max,
                     bool *drained)
{
    static _Thread_local struct receive_batch batch;
    unsigned first;
    unsigned want = io_claim(io, max, &first);
    prepare(&batch, io, first, want);
    int got = recvmmsg(s->fd, batch.msgs, want, 0, NULL);
    struct io_counters *counters = io_counters(io);
    counters->reads++;
    // A pending error of the socket is reported once in place of a datagram; there may be more
    // behind it.
    *drained = got < 0 ? errno == EAGAIN || errno == EWOULDBLOCK : (unsigned)got < want;
    if (got < 0) {
        if (!*drained)
            s->errors_seen = s->icmp_errors;
        got = 0;
    }
    io_unclaim(io, want - (unsigned)got);

    unsigned n = 0;
    for (int i = 0; i < got; i++) {
        struct udp_in *p = &in[n];
        if (!read_one(&batch, (unsigned)i, s, p))
            continue;
        counters->datagrams_in += p->segment ? (p->len + p->segment - 1) / p->segment : 1;
        io_filled(io, p->len);
        n++;
    }
    restore(&batch, (unsigned)got);
    return n;
}
