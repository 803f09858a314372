// SPDX-License-Identifier: BSD-2-Clause
// All workers and what they share: the life of the server from configuration to end.
#ifndef TP_WORKER_SERVER_H
#define TP_WORKER_SERVER_H

#include "conf/conf.h"
#include "worker/worker.h"

struct server;

// Whether the files that a configuration names, certificates and keys, can be used, without making
// anything. 0 or a negative errno; *why then says what failed (valid until the next call in this
// thread).
int server_check(const struct conf *conf, const char **why);

// Makes the workers and opens every listening socket. Takes ownership of conf, also when it fails.
// 0, -EINVAL when the configuration cannot be used as it is (nothing was opened then), or another
// negative errno; *why then says what failed, as above.
int server_new(struct server **out, struct conf *conf, const char **why);

// Where connections of HTTP go (listen.http). Before it starts; take and arg are used until
// server_free returns.
void server_set_http(struct server *s, worker_http *take, void *arg);

// Opens the stores and starts the threads. Call it with the privileges that the server is to run
// with. As above.
int server_start(struct server *s, const char **why);

// Takes a new configuration over; live allocations go on. Owns conf. Certificates are read again,
// and serve the connections that come from then on. -EINVAL when it differs in something that a
// running server cannot change or names a file that cannot be used (*why names the key), another
// errno when its stores cannot be opened: then the old one stays.
int server_reload(struct server *s, struct conf *conf, const char **why);

// Ends every allocation and thread, and frees all. NULL is nothing.
void server_free(struct server *s);

// How many workers it has.
unsigned server_workers(const struct server *s);
// The configuration in force. Borrowed until the next reload.
const struct conf *server_conf(const struct server *s);
// Borrowed until the next reload: take a reference to keep it.
struct snapshot *server_snapshot(const struct server *s);

#endif
