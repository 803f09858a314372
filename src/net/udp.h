// SPDX-License-Identifier: BSD-2-Clause
// UDP sockets read and written in batches (recvmmsg, sendmmsg), with datagrams of one flow
// coalesced by the kernel where it can: UDP_GRO on the way in, UDP_SEGMENT on the way out.
#ifndef TP_NET_UDP_H
#define TP_NET_UDP_H

#include "net/io.h"

struct udp_socket {
    struct io_sink sink;
    struct addr local; // bound address; IP any when it listens on every one
    int fd;
    uint16_t gso_max; // longest datagram that may be sent as a segment; 0: the kernel or the device
                      // cannot
    bool pktinfo;     // listens on every address: each datagram tells which one it was sent to
};

enum {
    UDP_REUSEPORT = 1, // one of several workers' sockets on the same address
    UDP_BIG_BUFFERS = 2,
};

// Opens and binds a socket, non-blocking, close-on-exec. A wildcard address gets packet info. 0 or
// a negative errno.
int udp_open(struct udp_socket *s, const struct addr *local, unsigned flags);

// Closes it (fd -1 is nothing); what is queued is sent first.
void udp_close(struct io *io, struct udp_socket *s);

// What one read returned: one datagram, or several of equal size (the last may be shorter) one
// behind the other.
struct udp_in {
    uint8_t *data; // IO_HEADROOM writable bytes lie in front of it
    uint32_t len;
    uint32_t segment; // size of each; == len for a single datagram. An empty datagram has len 0
    struct addr from;
    struct addr to; // local address that it was sent to
};

// Sends one datagram at once, behind what is queued, and never in fragments: one that is longer
// than the path takes is dropped. Not for a socket that listens on every address.
void udp_send_whole(struct io *io, struct udp_socket *s, const struct addr *to, const void *data,
                    size_t len);

#define UDP_BATCH 32

// Reads at most max (<= UDP_BATCH) entries. Returns their number; *drained when the socket had no
// more.
unsigned udp_receive(struct io *io, struct udp_socket *s, struct udp_in *in, unsigned max,
                     bool *drained);

#endif
