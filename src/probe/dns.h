// SPDX-License-Identifier: BSD-2-Clause
// Asks the host's resolver, or one name server by name (libresolv).
#ifndef TP_PROBE_DNS_H
#define TP_PROBE_DNS_H

#include <stdint.h>

#include "probe/resolve.h"

struct dns;

// server: ask this one alone (IPv4; port 0 means 53), or NULL for what the host is configured to
// use, where addresses also come from its hosts file. timeout_us: for a question, retries included.
// 0, or a negative errno.
int dns_open(struct dns **out, const struct addr *server, int64_t timeout_us);
void dns_close(struct dns *dns);

// A struct dns_ops' lookup; arg is a struct dns.
int dns_lookup(void *arg, enum dns_type type, const char *name, struct dns_record *out, int cap);

#endif
