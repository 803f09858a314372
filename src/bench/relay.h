// SPDX-License-Identifier: BSD-2-Clause
// What relay and ramp share.
#ifndef TP_BENCH_RELAY_H
#define TP_BENCH_RELAY_H

#include "bench/set.h"

// The user memory of the server in bytes; -1: not known.
int64_t relay_memory(const struct bench_options *o);

// Opens the clients and binds them. 0 or an exit status, reported. Call relay_close in either case.
int relay_open(struct set *set, const struct bench_options *o, const struct bench_target *t);

// Releases and closes. Returns rc, or what failed here.
int relay_close(struct set *set, int rc);

#endif
