// SPDX-License-Identifier: BSD-2-Clause
// Which peers may be reached: the one function that CreatePermission, ChannelBind, Send and Connect
// ask.
#ifndef TP_TURN_POLICY_H
#define TP_TURN_POLICY_H

#include "util/addr.h"

struct policy {
    const struct addr_range *allow; // opened by name in the configuration
    size_t allow_count;
    const struct addr_range *deny; // closed on top of the built-in refusals; wins over allow
    size_t deny_count;
    const struct addr *own; // IPs of this host: interfaces, listeners, relay and external addresses
    size_t own_count;
    const struct addr *relays; // relay and external IPs: their relay ports are reachable, so that
                               // two clients of one server meet
    size_t relay_count;
    uint16_t relay_port_min, relay_port_max;
    const struct addr *closed; // ip:port never reachable, even where allowed: listeners (the IP may
                               // be any: every own
    size_t closed_count;       // address), stores, admin and signaling ports
};

enum policy_verdict {
    POLICY_ALLOW,
    POLICY_DENY_BUILTIN, // loopback, private, link-local, ... in any notation
    POLICY_DENY_CONFIG,  // deny list
    POLICY_DENY_OWN,     // this host itself
};

// Decides for one peer transport address. A port of 0 stands for CreatePermission, which names no
// port: refused only if no port of that IP could be reached; the port is then judged by Send,
// ChannelBind and on the channel's way out. Addresses that embed an IPv4 address (v4-mapped,
// v4-compatible, 6to4, NAT64, Teredo) are judged by both.
enum policy_verdict policy_check_peer(const struct policy *p, const struct addr *peer);

// "this host itself": the words for the log.
const char *policy_verdict_text(enum policy_verdict v);

#endif
