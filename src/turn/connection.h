// SPDX-License-Identifier: BSD-2-Clause
// Peer data connections of TCP allocations (RFC 6062). Open, because the worker moves their bytes;
// only turn/ changes them, but for the socket.
#ifndef TP_TURN_CONNECTION_H
#define TP_TURN_CONNECTION_H

#include "auth/verdict.h"
#include "turn/allocation.h"

// A connection that is not there, or not bound, after that long is given up (RFC 6062 5.2, 5.3).
#define TURN_CONNECTION_WAIT_MS (30 * 1000)

enum turn_connection_state {
    TURN_CONNECTION_OPENING, // a Connect request waits for the peer
    TURN_CONNECTION_PENDING, // the peer is there; ConnectionBind is waited for
    TURN_CONNECTION_BOUND,   // to a client data connection
};

// What the answer to a Connect request needs once the peer has answered.
struct turn_connect_request {
    uint8_t txid[STUN_TXID_LEN];
    struct auth_grant grant;
    bool fingerprint;
};

struct turn_connection {
    struct turn_connection *next;                    // in the hash chain
    struct turn_connection *sibling, **sibling_prev; // of the same allocation
    struct turn_connection *later, **later_prev; // of those that wait, in the order of deadlines
    struct turn_allocation *allocation;
    void *socket;                         // the worker's: the peer's side and what is bound to it
    struct turn_connect_request *request; // while it is opening
    int64_t deadline_ms;                  // monotonic; until it is bound
    struct addr peer;
    uint32_t id;   // CONNECTION-ID
    uint8_t state; // enum turn_connection_state
};

// Those of one allocation.
struct turn_connections {
    struct turn_connection *first;
    uint32_t count;
};

#endif
