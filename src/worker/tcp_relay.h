// SPDX-License-Identifier: BSD-2-Clause
// TCP allocations (RFC 6062): relayed transport addresses that listen, and the pairs of connections
// whose bytes are passed on. Private to src/worker.
#ifndef TP_WORKER_TCP_RELAY_H
#define TP_WORKER_TCP_RELAY_H

#include "worker/internal.h"

struct stream;

// --- tcp_relay.c: the listening socket ---
// Opens the relayed transport address of one family. As turn_ops.relay_open.
int tcp_relay_open(struct worker *w, struct turn_allocation *a, uint8_t family);
void tcp_relay_close(struct worker *w, struct turn_allocation *a);
// The address that the allocation's socket of that family is bound to.
const struct addr *tcp_relay_local(const struct turn_allocation *a, uint8_t family);

// --- tcp_peer.c: the connections ---
// As in turn_ops.
int tcp_peer_open(void *arg, struct turn_connection *c);
void tcp_peer_close(void *arg, struct turn_connection *c);
// Takes a connection that a peer has made, or closes it.
void tcp_peer_accepted(struct worker *w, struct turn_allocation *a, int fd,
                       const struct addr *peer);

// Makes a client's connection the data connection of c. What is queued for the client is sent
// first.
void tcp_relay_bind(struct stream *s, struct turn_connection *c);
// The client's data connection can be read, has brought this, has taken all that it was sent, is
// being closed.
void tcp_relay_client_readable(struct stream *s);
void tcp_relay_from_client(struct stream *s, const uint8_t *data, size_t len);
void tcp_relay_client_drained(struct stream *s);
void tcp_relay_client_closed(struct stream *s);

#endif
