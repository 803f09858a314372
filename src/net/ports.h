// SPDX-License-Identifier: BSD-2-Clause
// Relay ports of the whole process: which are free on which relay address, and which are held for a
// reservation token. Touched when an allocation is made or ends, never by a packet; one mutex,
// which is not held while sockets are opened. A port is chosen at random (RFC 6056) in constant
// time, however few are left.
#ifndef TP_NET_PORTS_H
#define TP_NET_PORTS_H

#include "net/udp.h"

#define PORTS_TOKEN_LEN 8
#define PORTS_RESERVATION_SECONDS 30 // RFC 8656 7.2: at least 30 s

struct ports;

// Ports min..max of each address. NULL when out of memory.
struct ports *ports_new(const struct addr *addresses, size_t count, uint16_t min, uint16_t max);
void ports_free(struct ports *p); // reservations are dropped

// Opens a socket on a random free port of an address of that family (even, if asked for). 0;
// -EADDRNOTAVAIL when none is free; -EAFNOSUPPORT without an address of that family; another errno
// of the socket calls.
int ports_open(struct ports *p, uint8_t family, bool even, struct udp_socket *out);

// As ports_open for a TCP socket that listens (host_listen_alone). A port number is given to one
// allocation only, whatever the protocol.
int ports_open_tcp(struct ports *p, uint8_t family, int *fd, struct addr *local);

// As ports_open for an even port whose next one is free too; that one is bound and held for whoever
// shows the token, on behalf of the same user, within PORTS_RESERVATION_SECONDS. now_ms: monotonic.
int ports_open_pair(struct ports *p, uint8_t family, const void *user, size_t user_len,
                    int64_t now_ms, struct udp_socket *out, uint8_t token[PORTS_TOKEN_LEN]);

// The held socket of a token. 0, or -EADDRNOTAVAIL: unknown, expired, used before, or another
// user's.
int ports_claim(struct ports *p, const uint8_t token[PORTS_TOKEN_LEN], const void *user,
                size_t user_len, int64_t now_ms, struct udp_socket *out);

// Gives the port of a closed socket back. local: as the socket had it.
void ports_release(struct ports *p, const struct addr *local);

// Frees reservations that nobody claimed. Call about once a second.
void ports_sweep(struct ports *p, int64_t now_ms);

#endif
