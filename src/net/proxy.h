// SPDX-License-Identifier: BSD-2-Clause
// The header with which a load balancer says whose connection it passes on: the PROXY protocol,
// versions 1 and 2 (haproxy's doc/proxy-protocol.txt, section 2).
#ifndef TP_NET_PROXY_H
#define TP_NET_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

// The longest header that is taken. Version 1 ends at 107 bytes. Version 2 could go on to 65551,
// but what balancers add to its addresses (names, ids, the client's certificate) is far shorter.
#define PROXY_HEADER_MAX 4096

struct proxy_header {
    bool local; // the balancer speaks for itself (LOCAL), or does not know (UNKNOWN, a
                // family without addresses): the connection's own addresses hold
    struct addr client, dest; // else: who connected, and to where
};

// Looks at the beginning of a connection. > 0: the length of the header; what follows is not its
// business. 0: more is needed to tell, and all there is belongs to the header. -EPROTO with *why
// (static): what starts there is no header, or a damaged or longer one. Never 0 for
// PROXY_HEADER_MAX bytes or more.
int proxy_parse(struct proxy_header *out, const uint8_t *data, size_t len, const char **why);

#endif
