// SPDX-License-Identifier: BSD-2-Clause
// What ICMP says about datagrams that were sent: the error queue of a UDP socket.
#include <time.h> // linux/errqueue.h needs it

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "net/udp.h"

enum { UNREACHABLE_V4 = 3, FRAGMENTATION_NEEDED = 4, TOO_BIG_V6 = 2 }; // RFC 792, RFC 4443

union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6)) +
                  CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static bool too_big(const struct sock_extended_err *e)
{
    return e->ee_origin == SO_EE_ORIGIN_ICMP6
               ? e->ee_type == TOO_BIG_V6
               : e->ee_type == UNREACHABLE_V4 && e->ee_code == FRAGMENTATION_NEEDED;
}

// False: not from ICMP. The kernel queues its own errors as well, such as that a datagram is longer
// than the link takes.
static bool read_error(struct msghdr *mh, struct udp_error *out)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
            !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            continue;
        struct sock_extended_err e;
        memcpy(&e, CMSG_DATA(c), sizeof e);
        if (e.ee_origin != SO_EE_ORIGIN_ICMP && e.ee_origin != SO_EE_ORIGIN_ICMP6)
            return false;
        out->type = e.ee_type;
        out->code = e.ee_code;
        out->mtu = too_big(&e) ? e.ee_info : 0;
        return !addr_from_sockaddr(&out->to, mh->msg_name);
    }
    return false;
}

unsigned udp_receive_errors(struct io *io, struct udp_socket *s, struct udp_error *out,
                            unsigned max, bool *drained)
{
    struct mmsghdr msgs[UDP_BATCH];
    struct sockaddr_storage to[UDP_BATCH];
    union control control[UDP_BATCH];
    for (unsigned i = 0; i < max; i++)
        msgs[i].msg_hdr = (struct msghdr){.msg_name = &to[i],
                                          .msg_namelen = sizeof to[i],
                                          .msg_control = &control[i],
                                          .msg_controllen = sizeof control[i]};
    int got = recvmmsg(s->fd, msgs, max, MSG_ERRQUEUE, NULL);
    io_counters(io)->reads++;
    // An older kernel reports the pending error here too, before it looks at the queue.
    *drained = got < 0 ? errno == EAGAIN || errno == EWOULDBLOCK : (unsigned)got < max;
    if (*drained)
        s->errors_seen = false;
    unsigned n = 0;
    for (int i = 0; i < got; i++)
        n += read_error(&msgs[i].msg_hdr, &out[n]);
    return n;
}
