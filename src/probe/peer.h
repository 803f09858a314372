// SPDX-License-Identifier: BSD-2-Clause
// The other end of a relay: a second socket of this host, or a second allocation on the same server
// when the relay cannot or may not reach this host.
#ifndef TP_PROBE_PEER_H
#define TP_PROBE_PEER_H

#include "probe/probe.h"

struct peer {
    enum peer_kind kind;     // PEER_SOCKET or PEER_RELAY
    int fd;                  // the socket
    struct session *session; // the second allocation
    struct addr addr;        // as the relay sees it
    struct addr relayed;     // where it sends to
    // What the relay delivers to it.
    void (*on_data)(void *arg, const uint8_t *data, size_t len);
    void *arg;
};

// Step "permission": opens a peer, gives it the permission, and makes sure that packets pass both
// ways by Send and Data indications, which is step "send". Takes over s->client.on_data and leaves
// it empty. 0, or -1, reported.
int peer_open(struct probe *p, struct session *s, struct peer *peer);
void peer_close(struct peer *peer);

// From the peer to the relay. 0 or a negative errno.
int peer_send(struct peer *peer, const void *data, size_t len);

// Waits until something comes for the client or the peer, at most until then, and handles it. 0, or
// a negative errno of a connection.
int peer_wait(struct session *s, struct peer *peer, int64_t deadline);

#endif
