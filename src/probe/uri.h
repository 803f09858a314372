// SPDX-License-Identifier: BSD-2-Clause
// stun: and turn: URIs (RFC 7064, RFC 7065).
#ifndef TP_PROBE_URI_H
#define TP_PROBE_URI_H

#include <stdbool.h>
#include <stdint.h>

#include "util/addr.h"

#define URI_HOST_LEN 256

enum transport {
    TRANSPORT_NONE, // not said
    TRANSPORT_UDP,
    TRANSPORT_TCP,
    TRANSPORT_TLS,  // over TCP
    TRANSPORT_DTLS, // over UDP (RFC 7350)
};

struct probe_uri {
    bool turn;    // turn: or turns:
    bool secure;  // stuns: or turns:
    bool literal; // the host is an IP address, in address (its port is 0)
    char
        host[URI_HOST_LEN]; // a name, without a dot at its end; or the address as text, unbracketed
    struct addr address;
    uint16_t port;            // 0: not said
    enum transport transport; // NONE, or what scheme and ?transport= make of it together
};

// Reads one. `?transport=udp` and `?transport=tcp` are taken for stun: and stuns: too, where the
// RFC knows none; with a secure scheme they mean DTLS and TLS. 0, or -EINVAL with *why set to a
// static text that says what is wrong and what is allowed.
int uri_parse(struct probe_uri *out, const char *text, const char **why);

// "UDP", "TCP", "TLS", "DTLS", "-".
const char *transport_name(enum transport t);

static inline bool transport_is_stream(enum transport t)
{
    return t == TRANSPORT_TCP || t == TRANSPORT_TLS;
}

static inline bool transport_is_secure(enum transport t)
{
    return t == TRANSPORT_TLS || t == TRANSPORT_DTLS;
}

// The port where nothing says another: 3478 or 5349.
static inline uint16_t transport_default_port(enum transport t)
{
    return transport_is_secure(t) ? 5349 : 3478;
}

#endif
