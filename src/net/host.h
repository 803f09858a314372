// SPDX-License-Identifier: BSD-2-Clause
// What this host is: its own addresses, and listening sockets for streams.
#ifndef TP_NET_HOST_H
#define TP_NET_HOST_H

#include <stdbool.h>

#include "util/addr.h"

// The addresses of all interfaces, loopback included. The number (>= 0) with *out allocated (free
// it), or a negative errno.
int host_addresses(struct addr **out);

// The source address that the host would use towards the internet for a family; false when it has
// no such route. Sends nothing.
bool host_default_address(uint8_t family, struct addr *out);

// Whether someone else already holds that address and port: our own sockets share it among the
// workers (SO_REUSEPORT), and so would a second server. 0, or the negative errno of the bind.
int host_probe(const struct addr *local, bool stream);

// A non-blocking listening TCP socket that several workers may open on the same address. The
// descriptor, or a negative errno.
int host_listen(const struct addr *local);

// A non-blocking listening TCP socket that nobody else has, from whose address host_connect_from
// connects too. The descriptor, or a negative errno.
int host_listen_alone(const struct addr *local);

// Begins to connect to a peer from the address of a socket of host_listen_alone: a non-blocking
// socket that can be written once it is connected or has failed (SO_ERROR). Or a negative errno.
int host_connect_from(const struct addr *local, const struct addr *peer);

#endif
