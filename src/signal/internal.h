// SPDX-License-Identifier: BSD-2-Clause
// What the files of signal/ share. A connection is what a link is for us; a session is a registered
// user, who may be without a connection for the grace time. What one of them does may end others,
// even itself, while their lists are walked: so nothing is taken apart at once, it is marked, and
// hub_settle() does it at the end of each call from outside.
#ifndef TP_SIGNAL_INTERNAL_H
#define TP_SIGNAL_INTERNAL_H

#include "signal/frame.h"
#include "signal/hub.h"
#include "signal/jtext.h"
#include "signal/jwt.h"
#include "signal/table.h"
#include "signal/timers.h"
#include "util/rate.h"
#include "util/siphash.h"

#define ID_BYTES 10
#define ID_LEN (2 * ID_BYTES) // a peer's id in hex
#define KEY_BYTES 16
#define RESUME_LEN (ID_LEN + 2 * KEY_BYTES) // the id, and what only its owner knows
#define ICE_MAX 8192                        // bytes of iceServers
#define USERS_LISTED_MAX 1000               // names in an answer to `users`
#define COST_TO_ALL 10                      // messages that one to everybody counts for

// Fields of messages that are read.
enum field {
    F_TYPE,
    F_EVENT,
    F_ID,
    F_NAME,
    F_TOKEN,
    F_ROOM,
    F_TO,
    F_SCOPE,
    F_DATA,
    F_ACK,
    F_ARGS,
    F_CANDIDATE,
    F_SDP,
    F_COUNT
};

struct request {
    struct jvalue top;
    struct jvalue field[F_COUNT];
};

// Connections of one IPv4 address or one IPv6 /64.
struct source {
    struct table_node node;
    uint8_t key[9]; // family, address
    uint32_t connections;
    uint32_t away; // sessions within their grace that had their last connection from here
};

struct held { // a frame for a session without a connection
    struct held *next;
    size_t len;
    char data[];
};

struct member { // of a room
    struct session *session;
    struct room *room;
    struct member *next, *prev;            // in the room, in the order of joining
    struct member *next_room, **prev_room; // of the session
};

struct room {
    struct table_node node;
    struct member *first, *last;
    uint32_t count;
    uint32_t name_len, quoted_len;
    char name[]; // then the name as JSON
};

struct session {
    struct table_node by_id, by_name;
    struct timer timer;
    struct signal_hub *hub;
    struct signal_conn *conn;                 // NULL: within its grace
    struct source *source;                    // where it counts as away; NULL: it is not
    struct session *next, **prev;             // all of the hub
    struct session *next_watch, **prev_watch; // those that have asked for `users`; prev NULL: not
    struct session *next_doomed;
    struct member *rooms;
    uint32_t room_count;
    struct held *held, **held_end;
    size_t held_bytes;
    int64_t grace_at;       // TIMER_NEVER while there is a connection
    int64_t ice_at, exp_at; // next credentials, next look at the token; TIMER_NEVER: not
    int64_t exp_ms;         // of the token, wall clock; 0: there is none
    int64_t uid;
    struct rate rate, bytes; // of the connection that is lost
    char *only_room;         // the one that the token is for, NULL: any
    size_t only_room_len;
    const char *reason; // of its end, as told in `bye`
    bool doomed;
    bool wants_ice;          // has been given credentials once
    char resume[RESUME_LEN]; // begins with the id
    uint32_t name_len, quoted_len;
    char name[]; // then the name as JSON
};

struct signal_conn {
    struct signal_hub *hub;
    void *link;
    struct source *source;
    struct session *session;          // NULL: not registered
    struct signal_conn *next, **prev; // all of the hub
    struct signal_conn *next_dead;
    struct timer timer;
    int64_t register_at, ping_at;
    struct rate rate, bytes;
    int64_t strike_ms; // of the last message that was too fast
    uint32_t strikes;
    uint32_t mistakes;
    uint8_t unanswered; // pings
    bool dead;
    char token[]; // from the HTTP request, or empty
};

struct signal_hub {
    struct signal_settings settings;
    struct jwt_key keys[SIGNAL_SECRETS_MAX];
    char *secrets; // all of them, one behind the other
    const struct signal_ops *ops;
    void *arg;
    struct siphash_key hash_key;
    struct table sources, ids, names, rooms;
    struct timers timers;
    struct signal_conn *conns, *dead;
    struct session *sessions, *watching, *doomed;
    int64_t now_ms;
    int64_t last_uid;
    struct rate all; // KiB of messages to everybody
    bool draining, closing;
    struct frame out;
    struct signal_stats stats;
    char ice[ICE_MAX];
};

// hub.c
void hub_settle(struct signal_hub *hub); // what every call from outside ends with
struct frame *hub_frame(struct signal_hub *hub, const char *begin);
// One more byte string as a table key.
static inline uint64_t hub_hash(const struct signal_hub *hub, const void *data, size_t len)
{
    return siphash(&hub->hash_key, data, len);
}

// source.c
struct source *source_get(struct signal_hub *hub, const struct addr *client);
void source_put(struct signal_hub *hub,
                struct source *source); // frees it when nothing counts there

// conn.c
void conn_free(struct signal_conn *conn);
void conn_send(struct signal_conn *conn, const struct frame *f);
void conn_end(struct signal_conn *conn, enum signal_close code, const char *why);
void conn_set_timer(struct signal_conn *conn);
// Takes cost messages from what the connection may send; else answers rate_limited.
bool conn_take(struct signal_conn *conn, uint32_t cost, const struct request *req);
// Takes len bytes for each receiver from what the connection may have sent, for one of them never
// more than there can be; else answers rate_limited, or quota_exceeded for what would never pass,
// in place of what the hub's frame holds.
bool conn_take_bytes(struct signal_conn *conn, size_t len, uint32_t receivers,
                     const struct request *req);
// `error` rate_limited.
void conn_too_fast(struct signal_conn *conn, const struct request *req, int64_t retry_ms);
// `error`; req, for its id, may be NULL. A mistake counts: the last one ends the connection.
void conn_error(struct signal_conn *conn, const struct request *req, const char *code,
                const char *message);
void conn_mistake(struct signal_conn *conn, const struct request *req, const char *code,
                  const char *message);
void conn_unauthorized(struct signal_conn *conn, const struct request *req, const char *message);
void conn_no_memory(struct signal_conn *conn, const struct request *req);
// Sends the frame, or says that there is no memory for it.
void conn_answer(struct signal_conn *conn, const struct request *req, struct frame *f);

// session.c
struct session *session_new(struct signal_hub *hub, const char *name, size_t len);
struct session *session_by_id(const struct signal_hub *hub, const char *id, size_t len);
struct session *session_by_name(const struct signal_hub *hub, const char *name, size_t len);
void session_attach(struct session *s, struct signal_conn *conn);
void session_detach(struct session *s, const char *reason); // its connection is lost
void session_doom(struct session *s, const char *reason);   // it ends in hub_settle()
void session_end(struct session *s);                        // says good-bye and frees
void session_free(struct session *s);                       // frees without a word
void session_set_timer(struct session *s);
// Sends a frame, or keeps it until the session is resumed.
void session_deliver(struct session *s, const struct frame *f);
// Sends a frame if there is a connection.
void session_tell(struct session *s, const struct frame *f);
void session_send_held(struct session *s);

// register.c, presence.c, room.c, message.c, ice.c: what clients ask for
void register_handle(struct signal_conn *conn, const struct request *req);
void resume_handle(struct signal_conn *conn, const struct request *req);
void users_handle(struct signal_conn *conn, const struct request *req);
void presence_tell(struct session *about, const char *type); // useradd, userdel
void presence_unwatch(struct session *s);
void join_handle(struct signal_conn *conn, const struct request *req);
void leave_handle(struct signal_conn *conn, const struct request *req);
void message_handle(struct signal_conn *conn, const struct request *req);
void bare_handle(struct signal_conn *conn, const struct request *req);
void ack_handle(struct signal_conn *conn, const struct request *req);
void ice_handle(struct signal_conn *conn, const struct request *req);

// room.c
struct member *room_find(const struct session *s, const char *name, size_t len);
void room_leave(struct member *m, const char *reason); // with a `bye` to the others
void room_forget(struct member *m);                    // without
// False: there is no memory for it.
bool room_send_joined(struct signal_conn *conn, const struct member *m, const struct request *req);

// ice.c
void ice_put(struct session *s,
             struct frame *f); // "iceServers":[...],"ttl":n and when the next are due
void ice_push(struct session *s);

// request.c
void request_handle(struct signal_conn *conn, const char *text, size_t len);
// A name in a field. The length; < 0: it is none, and the client has been told.
int request_name(struct signal_conn *conn, const struct request *req, enum field field,
                 char out[SIGNAL_NAME_MAX]);

#endif
