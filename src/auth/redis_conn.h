// SPDX-License-Identifier: BSD-2-Clause
// One connection to Redis that keeps itself up: name resolution, Sentinel, AUTH, SELECT, back-off.
// Nothing here blocks.
//
// hiredis parses the replies; the socket is a bufferevent and not hiredis' async context, because
// that (0.14) hands a published message to a command that is waiting for its own answer, so that a
// subscriber cannot be probed with PING, and because it asserts when a server says something that
// was not asked for.
#ifndef TP_AUTH_REDIS_CONN_H
#define TP_AUTH_REDIS_CONN_H

#include <stdbool.h>
#include <stddef.h>

#include <hiredis/hiredis.h>

#include "auth/uri.h"
#include "util/addr.h"

struct event_base;
struct redis_conn;

enum redis_conn_state {
    REDIS_CONN_WAITING, // failed; the next attempt is a while away
    REDIS_CONN_TRYING,
    REDIS_CONN_UP,
};

// One argument of a command: any bytes.
struct redis_arg {
    const void *data;
    size_t len;
};

// Takes the answer to one command: reply is borrowed, and NULL when the connection was lost before
// it came.
typedef void redis_reply_cb(const redisReply *reply, void *arg);

struct redis_conn_events {
    void (*up)(void *arg);
    void (*down)(void *arg); // an attempt failed or a connection was lost; called before the
                             // commands' callbacks
    // A sentinel has named this as the master; it is connected to next.
    void (*master)(const struct addr *server, void *arg);
    // A published message (subscriber only).
    void (*message)(const void *data, size_t len, void *arg);
};

struct redis_conn_config {
    struct event_base *base;
    const struct store_uri *uri; // borrowed
    unsigned timeout_ms;         // of a connect with its log-in, and of each command
    bool subscriber;             // subscribes to REDIS_CHANNEL before it is up
};

// Starts the first attempt from the event loop. NULL: out of memory.
struct redis_conn *redis_conn_new(const struct redis_conn_config *cfg,
                                  const struct redis_conn_events *events, void *arg);
void redis_conn_free(struct redis_conn *c); // no callback is called

enum redis_conn_state redis_conn_state(const struct redis_conn *c);

// Sends a command; cb is called exactly once, later, unless the connection is freed. False, and cb
// is not called: not up, or out of memory.
bool redis_conn_send(struct redis_conn *c, const struct redis_arg *argv, size_t argc,
                     redis_reply_cb *cb, void *arg);

#endif
