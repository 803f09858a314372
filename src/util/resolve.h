// SPDX-License-Identifier: BSD-2-Clause
// Names to addresses as the host knows them (nsswitch.conf, /etc/hosts, name servers), without
// waiting longer than one likes: getaddrinfo takes as long as the name servers that are away make
// it, half a minute and more, and so has a thread of its own.
//
// Safe from every thread. Who asks for a name that is being looked up shares that look-up.
#ifndef TP_UTIL_RESOLVE_H
#define TP_UTIL_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

#define RESOLVE_ADDRESSES_MAX 16
#define RESOLVE_NAMES_MAX 64 // that are being looked up at a time, each by a thread

struct resolve;

// Begins to look a name up. Ends with resolve_finish or resolve_cancel. NULL: no memory, descriptor
// or thread for it, or RESOLVE_NAMES_MAX others are under way.
struct resolve *resolve_start(const char *host);

// Is readable once the answer is there: for an event loop. Not to be read, nor closed; it is r's,
// and may be that of others as well.
int resolve_fd(const struct resolve *r);

// Waits until CLOCK_MONOTONIC is at until_ms (0: not at all) and no longer. The number of addresses
// (> 0), written to out with port 0; else *why says what is wrong, and 0. Ends r; NULL stands for a
// look-up that could not be begun.
size_t resolve_finish(struct resolve *r, int64_t until_ms, struct addr out[RESOLVE_ADDRESSES_MAX],
                      const char **why);

void resolve_cancel(struct resolve *r); // takes NULL

#endif
