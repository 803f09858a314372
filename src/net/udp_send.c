// SPDX-License-Identifier: BSD-2-Clause
// Sending in batches, neighbours that go the same way as segments of one message.
#include <errno.h>
#include <string.h>

#include "net/udp_internal.h"

#define SEND_MSGS 64
#define SEND_IOVS 1024  // UIO_MAXIOV
#define SEGMENTS_MAX 64 // UDP_MAX_SEGMENTS of the oldest kernels that know UDP_SEGMENT
#define GSO_BYTES_MAX 64000
#define GSO_RETRY 1024 // messages sent singly before longer segments are tried again
#define SEND_RETRIES 2

socklen_t udp_sockaddr(union udp_sockaddr *out, const struct addr *a)
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

// What one sendmmsg takes.
struct send_batch {
    struct mmsghdr msgs[SEND_MSGS];
    struct io_out *first[SEND_MSGS + 1]; // outputs [first[i], first[i + 1]) make up message i
    union udp_sockaddr to[SEND_MSGS];
    union udp_control control[SEND_MSGS];
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
                          union udp_sockaddr *to, union udp_control *control, struct iovec *iov)
{
    *mh = (struct msghdr){.msg_iov = iov, .msg_control = control};
    if (!s->connected) {
        mh->msg_name = to;
        mh->msg_namelen = udp_sockaddr(to, &out->to);
    }
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
static struct io_out *add_message(struct send_batch *b, struct udp_socket *s, struct io_out *out)
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
    } else if (s->gso_missed && out && joins(b, first, out, segments, total) &&
               --s->gso_missed == 0) {
        s->gso_max = UINT16_MAX;
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

// With UDP_ICMP_ERRORS a call may fail, once, with the error of a datagram that was sent earlier,
// perhaps to someone else: then what it should have sent was not looked at, and is sent again.
static bool error_of_another(struct udp_socket *s, int error)
{
    if (!s->icmp_errors)
        return false;
    switch (error) { // what the kernel makes of ICMP
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EMSGSIZE:
    case EPROTO:
    case EACCES:
        s->errors_seen = true;
        return true;
    default:
        return false;
    }
}

static bool send_one(struct io *io, struct udp_socket *s, const struct msghdr *mh)
{
    for (int tries = 0; tries <= SEND_RETRIES; tries++) {
        io_counters(io)->writes++;
        if (sendmsg(s->fd, mh, MSG_DONTWAIT) >= 0) {
            io_counters(io)->datagrams_out++;
            return true;
        }
        if (!error_of_another(s, errno))
            break;
    }
    io_counters(io)->dropped++;
    return false;
}

// The device or the path cannot take a message as segments: send them one by one. If that works the
// segments were to blame, and the socket remembers for a while, since it may be this one path; a
// destination that takes nothing at all (anyone can send from port 0) proves nothing, and must not
// cost the others their segments.
static void send_singly(struct io *io, struct udp_socket *s, struct io_out *out,
                        const struct io_out *end, int error)
{
    uint16_t gso_max = error == EIO ? 0 : (uint16_t)(out->len - 1);
    for (; out != end; out = out->next) {
        union udp_sockaddr to;
        union udp_control control;
        struct msghdr mh;
        begin_message(&mh, s, out, &to, &control, out->iov);
        mh.msg_iovlen = out->iov_count;
        if (!mh.msg_controllen)
            mh.msg_control = NULL;
        if (send_one(io, s, &mh)) {
            s->gso_max = gso_max;
            s->gso_missed = GSO_RETRY;
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

// The first message of what is left cannot be sent; the others may well be.
static void send_otherwise(struct io *io, struct udp_socket *s, struct io_out *first,
                           const struct io_out *end, int error)
{
    bool segmented = first->next != end;
    if (segmented && (error == EIO || error == EINVAL || error == EMSGSIZE))
        send_singly(io, s, first, end, error);
    else
        io_counters(io)->dropped += count_outs(first, end);
}

static void send_batch(struct io *io, struct udp_socket *s, struct send_batch *b)
{
    struct io_counters *counters = io_counters(io);
    unsigned done = 0, retries = 0;
    while (done < b->count) {
        int sent = send_some(s->fd, b->msgs + done, b->count - done);
        counters->writes++;
        if (sent > 0) {
            counters->datagrams_out += count_outs(b->first[done], b->first[done + (unsigned)sent]);
            done += (unsigned)sent;
            retries = 0;
            if (done < b->count) // stopped by an error that it does not tell
                s->errors_seen = s->icmp_errors;
            continue;
        }
        if (errno == EINTR || (error_of_another(s, errno) && retries++ < SEND_RETRIES))
            continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            counters->dropped += count_outs(b->first[done], b->first[b->count]);
            return;
        }
        send_otherwise(io, s, b->first[done], b->first[done + 1], errno);
        done++;
        retries = 0;
    }
}

void udp_send(struct io *io, struct udp_socket *s, struct io_out *out)
{
    static _Thread_local struct send_batch batch;
    while (out) {
        batch.count = batch.iovs = 0;
        while (out && batch.count < SEND_MSGS && batch.iovs + 3 <= SEND_IOVS)
            out = add_message(&batch, s, out);
        send_batch(io, s, &batch);
    }
}

void udp_flush(struct io *io, struct io_sink *sink)
{
    struct udp_socket *s =
        (struct udp_socket *)((uint8_t *)sink - offsetof(struct udp_socket, sink));
    udp_send(io, s, sink->head);
}

void udp_send_whole(struct io *io, struct udp_socket *s, const struct addr *to, const void *data,
                    size_t len)
{
    union udp_sockaddr sa;
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr mh = {.msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1};
    mh.msg_namelen = udp_sockaddr(&sa, to);
    io_sink_retire(io, &s->sink);
    udp_set_fragmentation(s, true);
    send_one(io, s, &mh);
    udp_set_fragmentation(s, false);
}
