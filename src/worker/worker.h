// SPDX-License-Identifier: BSD-2-Clause
// One worker: a thread with its own event loop, listening sockets, allocations, stores and counters
// (doc/architecture.md).
#ifndef TP_WORKER_WORKER_H
#define TP_WORKER_WORKER_H

#include <openssl/types.h>

#include "net/ports.h"
#include "turn/quota.h"
#include "worker/snapshot.h"

struct worker;

// Makes a worker and opens its listening sockets; its thread does not run yet. ports and quota are
// shared by all workers and outlive them; the worker takes a reference of the snapshot. ticket_key:
// TURN_TICKET_KEY_LEN bytes for mobility tickets, the same for all workers. 0 or a negative errno,
// *why then says what failed (valid until the next call in this thread).
int worker_new(struct worker **out, unsigned index, struct snapshot *snapshot, struct ports *ports,
               struct quota *quota, const uint8_t *ticket_key, const char **why);

// Opens its stores: after privileges were dropped, so that files belong to the right user. As
// above.
int worker_open_stores(struct worker *w, const char **why);

int worker_start(struct worker *w); // 0 or a negative errno

// Takes a connection of HTTP that a client opened to a listener of the worker. Called in the
// worker's thread. fd is non-blocking; client: who that is, by the header of the PROXY protocol if
// there was one. begun NULL: not a byte of HTTP, or of TLS around it (tls), has been read. Else
// begun is that TLS after its handshake, without a BIO: OpenSSL has read nothing beyond a record of
// which not a byte has been taken. 0: fd and begun are the callee's; or a negative errno.
typedef int worker_http(void *arg, int fd, const struct addr *client, bool tls, SSL *begun);

// Before it starts; used until it is freed.
void worker_set_http(struct worker *w, worker_http *take, void *arg);

// Hands it a new snapshot: takes a reference. Live allocations go on. 0 or -ENOMEM.
int worker_reload(struct worker *w, struct snapshot *snapshot);

// Tells it of all workers of the server, itself among them; the list is borrowed until it is freed.
// Before it starts.
void worker_set_peers(struct worker *w, struct worker *const *peers, unsigned count);

// Handles what is left in its mailbox, when all threads have ended: what is on its way between
// workers arrives before they are freed. False when there was nothing.
bool worker_drain(struct worker *w);

// Ends its allocations, then its thread. From another thread; returns when it has ended.
void worker_stop(struct worker *w);
void worker_free(struct worker *w);

#endif
