// SPDX-License-Identifier: BSD-2-Clause
// How long a NAT keeps a binding that is not used (RFC 5780 4.6).
#ifndef TP_PROBE_NAT_LIFETIME_H
#define TP_PROBE_NAT_LIFETIME_H

#include "probe/probe.h"

// Step "lifetime". Takes p->lifetime seconds. local: an address of this host, its port does not
// matter.
void nat_lifetime(struct probe *p, const struct addr *server, const struct addr *local);

#endif
