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
    uint16_t gso_max;    // longest datagram that may be sent as a segment; 0: the kernel or the
                         // device cannot
    uint16_t gso_missed; // messages still to be sent singly before longer segments are tried again
    bool connected;      // to one peer: udp_open_connected
    bool pktinfo;        // listens on every address: each datagram tells which one it was sent to
    bool icmp_errors;    // ICMP errors are kept for udp_receive_errors
    bool errors_seen;    // a call has failed with what may be one: there may be some to receive
};

enum {
    UDP_REUSEPORT = 1, // one of several workers' sockets on the same address
    UDP_BIG_BUFFERS = 2,
    UDP_ICMP_ERRORS = 4, // see udp_receive_errors
};

// Opens and binds a socket, non-blocking, close-on-exec. A wildcard address gets packet info. IPv4
// datagrams leave without DF, whatever ICMP says of the path (RFC 8656 14, alternate behavior);
// IPv6 ones are fragmented here where the path is known to need it. 0 or a negative errno.
int udp_open(struct udp_socket *s, const struct addr *local, unsigned flags);

// Opens a second socket on the address of `s`, connected to one peer: what that peer sends arrives
// there from now on, and what is sent to it needs no route to be looked up. `s` keeps all others.
// What arrives meanwhile may be in either, from anybody. Options as those of `s`. 0 or a negative
// errno.
int udp_open_connected(struct udp_socket *out, const struct udp_socket *s, const struct addr *peer);

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

// Sends one datagram at once, behind what is queued, and never in fragments (IPv4: with DF). One
// that is longer than the link takes is dropped here; a router that cannot pass it on answers with
// an ICMP error. Not for a socket that listens on every address.
void udp_send_whole(struct io *io, struct udp_socket *s, const struct addr *to, const void *data,
                    size_t len);

// Sends a list of datagrams at once, in order, as the flush of its sink would. For those whose
// bytes are made while queues are sent already.
void udp_send(struct io *io, struct udp_socket *s, struct io_out *out);

#define UDP_BATCH 64

// Reads at most max (<= UDP_BATCH) entries. Returns their number; *drained when the socket had no
// more.
unsigned udp_receive(struct io *io, struct udp_socket *s, struct udp_in *in, unsigned max,
                     bool *drained);

// --- udp_error.c ---

// Why a datagram did not arrive, as a router or the host of the destination says, or somebody who
// pretends to be one: it is no proof.
struct udp_error {
    struct addr to;     // where the datagram was sent
    uint8_t type, code; // of ICMP or ICMPv6, by the family of `to`
    uint32_t mtu;       // of the next hop when the datagram was too big for it, else 0
};

// Reads at most max (<= UDP_BATCH) errors that ICMP reported for datagrams of a socket with
// UDP_ICMP_ERRORS. Others that the kernel queues are read and left out. Returns their number;
// *drained when there are no more. Worth a call when s->errors_seen, or when the socket was ready
// and had nothing to read: unread errors take room from datagrams.
unsigned udp_receive_errors(struct io *io, struct udp_socket *s, struct udp_error *out,
                            unsigned max, bool *drained);

#endif
