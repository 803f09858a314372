// SPDX-License-Identifier: BSD-2-Clause
// Allocations, their permissions and channels: the state that RFC 8656 speaks of, and what a
// relayed packet looks up in it. The structs are open because the packet path reads them; only
// turn/ changes them.
#ifndef TP_TURN_ALLOCATION_H
#define TP_TURN_ALLOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "util/addr.h"

enum turn_transport { TURN_UDP, TURN_TCP, TURN_TLS, TURN_DTLS };

// The 5-tuple. Zero-padded: hashed and compared as bytes.
struct turn_tuple {
    struct addr client;
    struct addr local; // address that the client sent to
    uint8_t transport; // enum turn_transport
    uint8_t zero[7];   // or the session of an allocation whose client is away
};

// Whether clients come by connections (RFC 6062 5.1, RFC 8656 12.5).
static inline bool turn_transport_stream(uint8_t transport)
{
    return transport == TURN_TCP || transport == TURN_TLS;
}

struct quota_user;
struct turn_connections; // turn/connection.h
struct turn_permissions; // private to turn/permission.c
struct turn_channels;    // private to turn/channel.c
struct turn_mobility;    // private to turn/

// One relayed transport address.
struct turn_relay {
    void *socket;        // the worker's; NULL: none of this family
    struct addr relayed; // as told to the client: the external address where one is mapped
    int64_t expires_ms;  // monotonic; of two relayed addresses each has its own time (RFC 8656 6)
};

struct turn_allocation {
    // Touched by every packet.
    struct turn_allocation *next; // in the hash chain
    struct turn_tuple tuple;
    void *link; // the worker's: the client's stream or the listener it came by; NULL: away, it may
                // come back with a ticket (RFC 8016)
    struct turn_permissions *permissions;
    struct turn_channels *channels;
    struct turn_connections *connections;      // of a TCP allocation (RFC 6062); NULL: of UDP
    int64_t expires_ms;                        // of the last relayed address, monotonic
    struct turn_relay relay[2];                // [0] IPv4, [1] IPv6
    uint64_t sent_packets, sent_bytes;         // client to peer, payload
    uint64_t received_packets, received_bytes; // peer to client
    uint32_t limited_packets;                  // dropped because of a bandwidth limit
    bool limited;                              // there is one: turn_bandwidth_take
    // Touched by requests.
    struct quota_user *user;
    struct turn_mobility *mobility; // NULL: it has no ticket
    uint64_t session;               // for logs
    uint8_t txid[12];  // of the Allocate that made it: a retransmission gets the same answer
    uint32_t lifetime; // seconds, as last answered
    int64_t created_ms;
    struct turn_allocation *wheel_next, **wheel_prev;
};

// A channel binding (RFC 8656 section 12).
struct turn_channel {
    struct addr peer;
    int64_t expires_ms;
    uint16_t number;
};

// The live binding of a number, or of a peer; NULL when there is none or it has expired.
const struct turn_channel *turn_channel_by_number(const struct turn_allocation *a, uint16_t number,
                                                  int64_t now_ms);
const struct turn_channel *turn_channel_by_peer(const struct turn_allocation *a,
                                                const struct addr *peer, int64_t now_ms);

// Whether a live permission covers the IP of that peer (RFC 8656 section 9).
bool turn_permission_covers(const struct turn_allocation *a, const struct addr *peer,
                            int64_t now_ms);

static inline unsigned turn_relay_index(uint8_t family)
{
    return family == ADDR_IPV6;
}

// Whether it has a relayed address of that family that has not expired.
static inline bool turn_relay_live(const struct turn_allocation *a, uint8_t family, int64_t now_ms)
{
    const struct turn_relay *relay = &a->relay[turn_relay_index(family)];
    return relay->relayed.family == family && now_ms < relay->expires_ms;
}

#endif
