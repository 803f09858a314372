// SPDX-License-Identifier: BSD-2-Clause
// One worker: a thread with its own event loop, listening sockets, allocations, stores and counters
// (doc/architecture.md).
#ifndef TP_WORKER_WORKER_H
#define TP_WORKER_WORKER_H

#include "net/io.h"
#include "net/ports.h"
#include "turn/quota.h"
#include "worker/snapshot.h"

struct worker;

// Makes a worker and opens its listening sockets; its thread does not run yet. ports and quota are
// shared by all workers and outlive them; the worker takes a reference of the snapshot. 0 or a
// negative errno, *why then says what failed (valid until the next call in this thread).
int worker_new(struct worker **out, unsigned index, struct snapshot *snapshot, struct ports *ports,
               struct quota *quota, const char **why);

// Opens its stores: after privileges were dropped, so that files belong to the right user. As
// above.
int worker_open_stores(struct worker *w, const char **why);

int worker_start(struct worker *w); // 0 or a negative errno

// Hands it a new snapshot: takes a reference. Live allocations go on. 0 or -ENOMEM.
int worker_reload(struct worker *w, struct snapshot *snapshot);

// Ends its allocations, then its thread. From another thread; returns when it has ended.
void worker_stop(struct worker *w);
void worker_free(struct worker *w);

#endif
