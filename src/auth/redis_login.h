// SPDX-License-Identifier: BSD-2-Clause
// What is said on a connection to Redis before it is up: SENTINEL, AUTH, SELECT, ROLE, SUBSCRIBE.
// Inside redis_conn.
#ifndef TP_AUTH_REDIS_LOGIN_H
#define TP_AUTH_REDIS_LOGIN_H

#include <stdint.h>

#include <event2/event_struct.h>

#include "auth/redis_conn.h"

struct bufferevent;
struct resolve;

// A command whose reply is still to come.
struct redis_pending {
    struct redis_pending *next;
    redis_reply_cb *cb;
    void *arg;
    int64_t sent_ms;
};

struct redis_conn {
    struct redis_conn_config cfg;
    struct redis_conn_events events;
    void *arg;
    enum redis_conn_state state;
    unsigned epoch;   // changes with every connection: callbacks may have ended the one they were
                      // called for
    unsigned attempt; // that failed in a row
    unsigned turn;    // which sentinel is next
    unsigned round;   // which of a name's addresses is: one more when all sentinels have been asked
    int64_t since_ms; // when the state was entered
    bool asking_sentinel;
    bool reported; // the outage has been logged
    bool refused;  // and that it may not subscribe
    struct bufferevent *bev;
    redisReader *reader;
    size_t unparsed;
    struct redis_pending *first, **last;
    struct event *retry, *tick;
    struct resolve *resolving;
    struct event resolved;         // pending while resolving is set
    struct stores_endpoint target; // what is being connected to, for messages
};

// Sends the log-in; it ends with redis_conn_up, redis_conn_fail, or a connection to the master that
// a sentinel names. False: out of memory.
bool redis_login_start(struct redis_conn *c);

// Sends a command of words; cb is given the connection.
bool redis_login_words(struct redis_conn *c, redis_reply_cb *cb, const char *const *words,
                       size_t count);

// Whether an answer is there and no error. Ends the connection when it is an error.
bool redis_login_accept(struct redis_conn *c, const redisReply *reply, const char *command);

// --- in redis_conn.c ---

// Ends the connection or the attempt, answers what waits, and comes back later.
void redis_conn_fail(struct redis_conn *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

// Writes a command and remembers who waits for its answer, whatever the state is.
bool redis_conn_command(struct redis_conn *c, const struct redis_arg *argv, size_t argc,
                        redis_reply_cb *cb, void *arg);

// The log-in is done.
void redis_conn_up(struct redis_conn *c);

// Closes the socket, if there is one; the state and what waits stay as they are.
void redis_conn_close(struct redis_conn *c);

// Connects, after a look-up of the name where host is one.
void redis_conn_connect(struct redis_conn *c, const char *host, uint16_t port);

#endif
