// SPDX-License-Identifier: BSD-2-Clause
// A connection to a server: whole STUN and ChannelData messages by UDP, TCP, TLS or DTLS.
#ifndef TP_PROBE_CONN_H
#define TP_PROBE_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/resolve.h"
#include "probe/tls.h"
#include "util/addr.h"

#define CONN_BUFFER 65540 // the longest ChannelData on a stream

struct conn {
    enum transport transport;
    int fd;
    struct addr local;
    struct tls *tls; // after conn_secure
    bool channels;   // ChannelData may come; until then it is a protocol error
    size_t in_len;   // bytes of the stream that have not been taken yet
    uint8_t in[CONN_BUFFER];
};

// Opens a socket and connects it, from that address when source is given (its port 0: any). 0, or a
// negative errno, -ETIMEDOUT at the deadline.
int conn_open(struct conn **out, const struct target *target, const struct addr *source,
              int64_t deadline);
// The handshake, for TLS and DTLS; errors are those of tls_trust_new, tls_new and
// tls_handshake.
int conn_secure(struct conn *c, const struct tls_options *options, int64_t deadline,
                const char **why);
void conn_close(struct conn *c);

// Sends a message whole; ChannelData on a stream comes padded. 0, or a negative errno.
int conn_send(struct conn *c, const void *data, size_t len);

// The next message into buf: its length; -ETIMEDOUT when there is none by then (a deadline that is
// over asks for what is there); -ECONNREFUSED (an ICMP answer), -EPIPE (hung up), -EPROTO (what
// came is neither STUN nor ChannelData) and other negative errnos.
ssize_t conn_recv(struct conn *c, uint8_t *buf, size_t cap, int64_t deadline);

// Whether a message may be there without the socket being readable.
bool conn_pending(const struct conn *c);

// A UDP socket for unconnected use, and its address. The descriptor, or a negative errno.
int udp_open(uint8_t family, const struct addr *source, struct addr *local);

#endif
