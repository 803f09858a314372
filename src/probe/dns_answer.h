// SPDX-License-Identifier: BSD-2-Clause
// What a name server has answered, as bytes (RFC 1035; SRV: RFC 2782, NAPTR: RFC 3403). No I/O.
#ifndef TP_PROBE_DNS_ANSWER_H
#define TP_PROBE_DNS_ANSWER_H

#include <stddef.h>

#include "probe/resolve.h"

// The records of that type in a whole message, at most cap of them: how many; -ENOENT: there is
// none, -EBADMSG: it is no message of DNS. A record that cannot be is passed over.
int dns_answer_read(const void *answer, size_t len, enum dns_type wanted, struct dns_record *out,
                    int cap);

#endif
