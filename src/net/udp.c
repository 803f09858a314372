// SPDX-License-Identifier: BSD-2-Clause
#include "net/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BIG_BUFFER (4 * 1024 * 1024)
#define SEND_MSGS 64
#define SEND_IOVS 1024  // UIO_MAXIOV
#define SEGMENTS_MAX 64 // UDP_MAX_SEGMENTS of the oldest kernels that know UDP_SEGMENT
#define GSO_BYTES_MAX 64000

union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

union sockaddr_any {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static void udp_flush(struct io *io, struct io_sink *sink);

static socklen_t sockaddr_fill(union sockaddr_any *out, const struct addr *a)
{
    if (a->family == ADDR_IPV4) {
        out->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&out->in.sin_addr, a->ip, 4);
        return sizeof out->in;
    }
    out->in6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
    memcpy(&out->in6.sin6_addr, a->ip, 16);
    return sizeof out->in6;
}

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

int udp_open(struct udp_socket *s, const struct addr *local, unsigned flags)
{
    bool v6 = local->family == ADDR_IPV6;
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    *s = (struct udp_socket){.fd = fd, .local = *local, .sink.flush = udp_flush};
    if (v6)
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (flags & UDP_REUSEPORT)
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (flags & UDP_BIG_BUFFERS)
        set_buffers(fd);
    s->pktinfo = addr_is_any(local);
    if (s->pktinfo)
        set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
    set_int(fd, IPPROTO_UDP, UDP_GRO, 1);
    int none = 0;
    s->gso_max = setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) ? 0 : UINT16_MAX;

    union sockaddr_any sa;
    socklen_t len = sockaddr_fill(&sa, local);
    if (bind(fd, &sa.sa, len)) {
        int err = -errno;
        close(fd);
        s->fd = -1;
        return err;
    }
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

unsigned udp_receive(struct io *io, struct udp_socket *s, struct udp_in *in, unsigned max,
                     bool *drained)
{
    struct mmsghdr msgs[UDP_BATCH];
    struct iovec iov[UDP_BATCH];
    union sockaddr_any from[UDP_BATCH];
    union control control[UDP_BATCH];
    unsigned first;
    unsigned want = io_claim(io, max, &first);
    for (unsigned i = 0; i < want; i++) {
        iov[i] = (struct iovec){io_slot(io, first + i), IO_SLOT_DATA};
        msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                          .msg_namelen = sizeof from[i],
                                          .msg_iov = &iov[i],
                                          .msg_iovlen = 1,
                                          .msg_control = &control[i],
                                          .msg_controllen = sizeof control[i]};
    }
    int got = recvmmsg(s->fd, msgs, want, 0, NULL);
    struct io_counters *counters = io_counters(io);
    counters->reads++;
    // A pending error of the socket is reported once in place of a datagram; there may be more
    // behind it.
    *drained = got < 0 ? errno == EAGAIN || errno == EWOULDBLOCK : (unsigned)got < want;
    if (got < 0)
        got = 0;
    io_unclaim(io, want - (unsigned)got);

    unsigned n = 0;
    for (int i = 0; i < got; i++) {
        struct msghdr *mh = &msgs[i].msg_hdr;
        struct udp_in *p = &in[n];
        if (mh->msg_flags & MSG_TRUNC || addr_from_sockaddr(&p->from, &from[i].sa))
            continue;
        p->data = iov[i].iov_base;
        p->len = msgs[i].msg_len;
        p->segment = p->len;
        p->to = s->local;
        if (mh->msg_controllen)
            read_control(mh, s, p);
        counters->datagrams_in += p->segment ? (p->len + p->segment - 1) / p->segment : 1;
        n++;
    }
    return n;
}

// --- sending ---

// What one sendmmsg takes.
struct send_batch {
    struct mmsghdr msgs[SEND_MSGS];
    struct io_out *first[SEND_MSGS + 1]; // outputs [first[i], first[i + 1]) make up message i
    union sockaddr_any to[SEND_MSGS];
    union control control[SEND_MSGS];
    struct iovec iov[SEND_IOVS];
    unsigned count, iovs;
};

static void control_add(struct msghdr *mh, int level, int type, const void *data, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)mh->msg_control + mh->msg_controllen);
    *c = (struct cmsghdr){.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(len)};
    memcpy(CMSG_DATA(c), data, len);
    mh->msg_controllen += CMSG_SPACE(len);
}

// Answers leave from the address that was asked.
static void control_source(struct msghdr *mh, const struct addr *from)
{
    if (from->family == ADDR_IPV4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, from->ip, 4);
        control_add(mh, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = from->scope};
        memcpy(&info.ipi6_addr, from->ip, 16);
        control_add(mh, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

static void add_iovs(struct send_batch *b, struct msghdr *mh, const struct io_out *out)
{
    memcpy(mh->msg_iov + mh->msg_iovlen, out->iov, out->iov_count * sizeof *out->iov);
    mh->msg_iovlen += out->iov_count;
    b->iovs += out->iov_count;
}

static void begin_message(struct msghdr *mh, const struct udp_socket *s, const struct io_out *out,
                          union sockaddr_any *to, union control *control, struct iovec *iov)
{
    *mh = (struct msghdr){.msg_name = to, .msg_iov = iov, .msg_control = control};
    mh->msg_namelen = sockaddr_fill(to, &out->to);
    if (s->pktinfo)
        control_source(mh, &out->from);
}

// Whether out may travel as one more segment of a message that begins with first.
static bool joins(const struct send_batch *b, const struct io_out *first, const struct io_out *out,
                  unsigned segments, uint32_t total)
{
    return segments < SEGMENTS_MAX && out->len <= first->len && out->len > 0 &&
           total + out->len <= GSO_BYTES_MAX && b->iovs + 3 <= SEND_IOVS &&
           addr_equal(&out->to, &first->to) && addr_equal(&out->from, &first->from);
}

// Appends the message that begins with out; returns the output after its last one.
static struct io_out *add_message(struct send_batch *b, const struct udp_socket *s,
                                  struct io_out *out)
{
    unsigned i = b->count++;
    struct msghdr *mh = &b->msgs[i].msg_hdr;
    struct io_out *first = out;
    b->first[i] = first;
    begin_message(mh, s, first, &b->to[i], &b->control[i], b->iov + b->iovs);
    add_iovs(b, mh, first);
    unsigned segments = 1;
    uint32_t total = first->len;
    out = first->next;
    if (first->len <= s->gso_max) {
        while (out && joins(b, first, out, segments, total)) {
            struct io_out *last = out;
            add_iovs(b, mh, last);
            segments++;
            total += last->len;
            out = last->next;
            if (last->len < first->len) // only the last segment may be shorter
                break;
        }
    }
    if (segments > 1) {
        uint16_t size = (uint16_t)first->len;
        control_add(mh, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
    }
    if (!mh->msg_controllen)
        mh->msg_control = NULL;
    b->first[i + 1] = out;
    return out;
}

// The device or the path cannot take a message as segments: send them one by one. If that works the
// segments were to blame, and the socket remembers; a destination that takes nothing at all (anyone
// can send from port 0) proves nothing, and must not cost the others their segments.
static void send_singly(struct io *io, struct udp_socket *s, struct io_out *out,
                        const struct io_out *end, int error)
{
    uint16_t gso_max = error == EIO ? 0 : (uint16_t)(out->len - 1);
    for (; out != end; out = out->next) {
        union sockaddr_any to;
        union control control;
        struct msghdr mh;
        begin_message(&mh, s, out, &to, &control, out->iov);
        mh.msg_iovlen = out->iov_count;
        if (!mh.msg_controllen)
            mh.msg_control = NULL;
        io_counters(io)->writes++;
        if (sendmsg(s->fd, &mh, MSG_DONTWAIT) < 0) {
            io_counters(io)->dropped++;
        } else {
            io_counters(io)->datagrams_out++;
            s->gso_max = gso_max;
        }
    }
}

static unsigned count_outs(const struct io_out *out, const struct io_out *end)
{
    unsigned n = 0;
    for (; out != end; out = out->next)
        n++;
    return n;
}

// A lone plain datagram is what a relay socket mostly has to send, and the shorter system call
// costs the kernel less.
static int send_some(int fd, struct mmsghdr *msgs, unsigned count)
{
    const struct msghdr *mh = &msgs->msg_hdr;
    if (count > 1 || mh->msg_iovlen > 1 || mh->msg_control)
        return sendmmsg(fd, msgs, count, MSG_DONTWAIT);
    ssize_t n = sendto(fd, mh->msg_iov->iov_base, mh->msg_iov->iov_len, MSG_DONTWAIT, mh->msg_name,
                       mh->msg_namelen);
    return n < 0 ? -1 : 1;
}

static void send_batch(struct io *io, struct udp_socket *s, struct send_batch *b)
{
    struct io_counters *counters = io_counters(io);
    unsigned done = 0;
    while (done < b->count) {
        int sent = send_some(s->fd, b->msgs + done, b->count - done);
        counters->writes++;
        if (sent > 0) {
            counters->datagrams_out += count_outs(b->first[done], b->first[done + (unsigned)sent]);
            done += (unsigned)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            counters->dropped += count_outs(b->first[done], b->first[b->count]);
            return;
        }
        // The first message of what is left cannot be sent; the others may well be.
        struct io_out *first = b->first[done], *end = b->first[done + 1];
        bool segmented = first->next != end;
        if (segmented && (errno == EIO || errno == EINVAL || errno == EMSGSIZE))
            send_singly(io, s, first, end, errno);
        else
            counters->dropped += count_outs(first, end);
        done++;
    }
}

static void udp_flush(struct io *io, struct io_sink *sink)
{
    struct udp_socket *s =
        (struct udp_socket *)((uint8_t *)sink - offsetof(struct udp_socket, sink));
    static _Thread_local struct send_batch batch;
    struct io_out *out = sink->head;
    while (out) {
        batch.count = batch.iovs = 0;
        while (out && batch.count < SEND_MSGS && batch.iovs + 3 <= SEND_IOVS)
            out = add_message(&batch, s, out);
        send_batch(io, s, &batch);
    }
}

static void set_mtu_discovery(const struct udp_socket *s, bool never_fragment)
{
    if (s->local.family == ADDR_IPV6)
        set_int(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                never_fragment ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_WANT);
    else
        set_int(s->fd, IPPROTO_IP, IP_MTU_DISCOVER,
                never_fragment ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT);
}

void udp_send_whole(struct io *io, struct udp_socket *s, const struct addr *to, const void *data,
                    size_t len)
{
    union sockaddr_any sa;
    socklen_t sa_len = sockaddr_fill(&sa, to);
    io_sink_retire(io, &s->sink);
    set_mtu_discovery(s, true);
    io_counters(io)->writes++;
    if (sendto(s->fd, data, len, MSG_DONTWAIT, &sa.sa, sa_len) < 0)
        io_counters(io)->dropped++;
    else
        io_counters(io)->datagrams_out++;
    set_mtu_discovery(s, false);
}
