// SPDX-License-Identifier: BSD-2-Clause
// The public HTTP server: the page, iceServers, and the way to the signaling hub by WebSocket (RFC
// 6455) or server-sent events. It has a thread and an event loop of its own; nothing that it does
// holds a relayed packet up.
#ifndef TP_HTTP_HTTP_H
#define TP_HTTP_HTTP_H

#include <openssl/types.h>

#include "util/addr.h"
#include "worker/snapshot.h"

struct http;

// Opens the listening sockets that the configuration names; those of listen.http are not among
// them. Takes a reference of the snapshot. 0 or
// a negative errno; *why then says what failed (valid until the next call in this thread).
int http_new(struct http **out, struct snapshot *snapshot, const char **why);

// Starts the thread. 0 or a negative errno.
int http_start(struct http *h);

// Hands it a new snapshot: takes a reference. Connections go on, by the new limits. 0 or -ENOMEM.
int http_reload(struct http *h, struct snapshot *snapshot);

// A connection that a client opened to another listener: a worker_http. 0: fd and begun are taken;
// or -ENOMEM. From any thread, until http_free.
int http_take(void *http, int fd, const struct addr *client, bool tls, SSL *begun);

// Tells clients that the server goes away and waits for the thread to end, about a second at most.
// NULL is nothing.
void http_stop(struct http *h);

// Stops it, and frees all. NULL is nothing.
void http_free(struct http *h);

#endif
