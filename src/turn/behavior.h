// SPDX-License-Identifier: BSD-2-Clause
// NAT behaviour discovery (RFC 5780): the addresses that a server needs two by two of.
#ifndef TP_TURN_BEHAVIOR_H
#define TP_TURN_BEHAVIOR_H

#include "util/addr.h"

#define TURN_BEHAVIORS_MAX 4 // UDP and TCP, IPv4 and IPv6

// Two IP addresses on each of which the same two ports are listened on, of one family and
// transport.
struct turn_behavior {
    uint8_t transport;       // TURN_UDP or TURN_TCP
    struct addr ip[2];       // as bound, port 0
    struct addr external[2]; // as clients reach them: another where a 1:1 NAT stands in front
    uint16_t port[2];
};

#endif
