// SPDX-License-Identifier: BSD-2-Clause
// The part of a link that is a stream: TCP and TLS.
#ifndef TP_BENCH_LINK_STREAM_H
#define TP_BENCH_LINK_STREAM_H

#include "bench/link.h"

// NULL when out of memory.
struct link_stream *link_stream_new(void);

// As link_send and link_read, with the lock held.
unsigned link_stream_send(struct link *l, const uint8_t *data, size_t len, unsigned n);
int link_stream_read(struct link *l, link_take *take, void *arg);

#endif
