// SPDX-License-Identifier: BSD-2-Clause
// The sockets behind a relayed transport address: one that anybody may send to, and, for a peer
// that much is sent to, a second one that is connected to it. Which of them carries a datagram is
// the kernel's business and ours, and nobody outside can tell.
#ifndef TP_WORKER_RELAY_SOCKET_H
#define TP_WORKER_RELAY_SOCKET_H

#include "worker/internal.h"

struct relay_socket {
    struct udp_socket udp;
    struct event readable;
    struct turn_allocation *allocation;
    struct worker *worker;
    struct relay_socket *direct; // connected to a peer, or NULL; of a connected one: NULL
    struct addr peer;            // of a connected one: its; else the one sent to most lately,
    uint32_t run;                // and so many packets in a row; of a connected one: all of late
    struct rate errors;          // indications about ICMP errors
    bool leaving;                // of a connected one: another peer takes its place
};

// Which socket a datagram to that peer leaves by: rs is the address's first.
struct relay_socket *relay_socket_towards(struct relay_socket *rs, const struct addr *peer);

// The limit on indications about ICMP errors, one for each relayed address.
struct rate *relay_socket_errors(struct relay_socket *rs);

// What turn_ops asks for.
int relay_socket_open(void *worker, struct turn_allocation *a, struct turn_relay_request *req);
void relay_socket_close(void *worker, struct turn_allocation *a, uint8_t family);
void relay_socket_detach(void *worker, struct turn_allocation *a);
int relay_socket_adopt(void *worker, struct turn_allocation *a);

// relay.c: reads what has arrived, and has itself called again if there may be more.
void relay_read(struct relay_socket *rs);

#endif
