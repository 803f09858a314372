// SPDX-License-Identifier: BSD-2-Clause
// Names to addresses within a time of one's own: getaddrinfo takes as long as the name servers that
// are away make it, half a minute and more.
#ifndef TP_NET_RESOLVE_H
#define TP_NET_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

struct resolve;

// Begins to look a name up, in a thread. NULL: no memory, or no thread could be made.
struct resolve *resolve_start(const char *host);

// Waits until CLOCK_MONOTONIC is at until_ms and no longer. The number of addresses (> 0), at most
// cap, written to out with port 0; else *why says what is wrong, and 0. Frees r; NULL stands for a
// look-up that could not be begun.
size_t resolve_finish(struct resolve *r, int64_t until_ms, struct addr *out, size_t cap,
                      const char **why);

#endif
