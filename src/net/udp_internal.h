// SPDX-License-Identifier: BSD-2-Clause
// What udp.c and udp_send.c share with nobody else.
#ifndef TP_NET_UDP_INTERNAL_H
#define TP_NET_UDP_INTERNAL_H

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "net/udp.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

union udp_control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

union udp_sockaddr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

// Fills it and returns its length.
socklen_t udp_sockaddr(union udp_sockaddr *out, const struct addr *a);

// The flush of a socket's sink.
void udp_flush(struct io *io, struct io_sink *sink);

// Whether what is sent from now on may be fragmented.
void udp_set_fragmentation(const struct udp_socket *s, bool never);

#endif
