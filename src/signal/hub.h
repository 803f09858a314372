// SPDX-License-Identifier: BSD-2-Clause
// The signaling protocol (doc/signaling.md) without I/O: users, rooms, messages between them, and
// what every limit asks for. It opens no socket, reads no clock and writes no log: whole frames and
// the time are arguments, what goes out are calls of `struct signal_ops`. One hub belongs to one
// thread.
//
// Times called now_ms are monotonic milliseconds and never run backwards. Everything from the
// network may be hostile, and malloc may fail: then that one request is answered with an error.
#ifndef TP_SIGNAL_HUB_H
#define TP_SIGNAL_HUB_H

#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

// Close codes (RFC 6455 7.4; 4000 and up are ours).
enum signal_close {
    SIGNAL_CLOSE_KICK = 0,            // never sent: the link has closed it for what it has sent
    SIGNAL_CLOSE_NORMAL = 1000,       // from the client: the session ends at once
    SIGNAL_CLOSE_AWAY = 1001,         // the server stops
    SIGNAL_CLOSE_LOST = 1006,         // never sent: no Close frame came
    SIGNAL_CLOSE_INVALID = 1007,      // not UTF-8
    SIGNAL_CLOSE_POLICY = 1008,       // too many mistakes
    SIGNAL_CLOSE_TOO_BIG = 1009,      // longer than text_max or binary_max
    SIGNAL_CLOSE_TRY_LATER = 1013,    // it does not take what is sent to it
    SIGNAL_CLOSE_UNAUTHORIZED = 4401, // not registered, or a token that is not good (any more)
    SIGNAL_CLOSE_TIMEOUT = 4408,      // two pings without an answer
    SIGNAL_CLOSE_RESUMED = 4409,      // its session goes on with another connection
    SIGNAL_CLOSE_TOO_FAST = 4429,
};

#define SIGNAL_NAME_MAX 255  // bytes of a user or room name that name_max may be set to
#define SIGNAL_SECRETS_MAX 8 // keys that tokens may be signed with, so that they can be replaced

// What can be configured. signal_settings_default() fills in the defaults that are told here.
struct signal_settings {
    uint32_t text_max;    // 65536: bytes of a text frame
    uint32_t binary_max;  // 1048576: bytes of a binary frame
    uint32_t backlog_max; // 1048576: bytes queued to a connection; beyond it is closed with 1013
    uint32_t held_max;    // 262144: bytes kept for a session whose connection is lost
    uint32_t rate, burst; // 50, 200: messages a second
    uint32_t bytes; // 16777216: bytes a second that what one client says may come to, counted for
                    // each who gets it, and as many at once; 0: any number. What goes to one fits,
                    // however long. Messages to everybody count in all_max only
    uint32_t rooms_max;       // 8: rooms that one session may be in
    uint32_t capacity;        // 2: members of a room
    uint32_t name_max;        // 64: bytes of a user or room name, at most SIGNAL_NAME_MAX
    uint32_t register_ms;     // 5000: from the connection to a good `register` or `resume`
    uint32_t grace_ms;        // 10000: that a session lives on without a connection; 0: not at all
    uint32_t ping_ms;         // 15000: between pings; two that go unanswered end a connection
    uint32_t address_max;     // 32: connections of an IPv4 address or an IPv6 /64; 0: any number
    uint32_t connections_max; // 0: any number; of the whole hub
    uint32_t presence_max; // 200: with more users than that, only those that have asked for `users`
                           // hear of others coming and going; with more than 1000, nobody
    uint32_t all_max; // 16384: KiB that messages to everybody may come to in a second, all who get
                      // them and all who send them together: what one says costs memory for each
    uint32_t mistakes_max;      // 10: the one that ends a connection with 1008
    const char *const *secrets; // HS256 keys; copied. With any, `register` needs a good token
    size_t secret_count;        // at most SIGNAL_SECRETS_MAX
};

// What the hub needs from its owner. A function must not call the hub. `link` is what was given to
// signal_hub_open, `arg` what was given to signal_hub_new.
struct signal_ops {
    // One frame to a client. data is borrowed until it returns. A link that cannot take it is
    // reported later by signal_conn_closed.
    void (*send_text)(void *link, const void *data, size_t len);
    // One ping frame; what comes back is told by signal_conn_pong.
    void (*ping)(void *link);
    // Ends a connection with a Close frame behind what has been sent. The hub is done with the
    // link: the struct signal_conn is gone when the call that led to this returns, and the owner
    // must not use it again, nor report the end by signal_conn_closed. reason is ASCII, at most 123
    // bytes.
    void (*close)(void *link, unsigned code, const char *reason);
    // Bytes that wait for a link to take them. NULL: not known, no limit.
    size_t (*backlog)(void *link);
    // iceServers for this user: writes a JSON array (no terminating zero) of at most cap bytes, and
    // for how many seconds it is good, which is not beyond `until` (Unix seconds, INT64_MAX: as
    // long as you like). The length, or a negative errno: there are none now. user is as the
    // client is registered, any UTF-8 without control characters.
    int (*ice_servers)(void *arg, const char *user, size_t user_len, int64_t until, char *out,
                       size_t cap, uint32_t *ttl);
    // Bytes that cannot be guessed.
    void (*random)(void *arg, void *buf, size_t len);
    // The wall clock, ms since 1970; may jump.
    int64_t (*unix_ms)(void *arg);
};

struct signal_hub;
struct signal_conn;

struct signal_stats {
    uint32_t connections; // now, registered or not
    uint32_t users;       // now, those within their grace included
    uint32_t rooms;       // now
    uint64_t received;    // text frames
    uint64_t relayed;     // `message` and `ack` frames that went to somebody
    uint64_t refused;     // connections over a limit
    uint64_t errors;      // `error` frames sent
};

// The values that stand first in the comments of struct signal_settings.
void signal_settings_default(struct signal_settings *s);

// NULL: out of memory, or settings that make no sense (0 where 0 is not allowed, name_max or
// secret_count too large). ops is borrowed for the hub's life, settings are copied.
struct signal_hub *signal_hub_new(const struct signal_settings *settings,
                                  const struct signal_ops *ops, void *arg);

// Other settings from now on; who is connected stays, also in a room that is over its new capacity.
// 0, -EINVAL (see signal_hub_new) or -ENOMEM, and the old ones stay then.
int signal_hub_configure(struct signal_hub *hub, const struct signal_settings *settings);

// Frees everything without a word to anybody; signal_hub_close_all says good-bye.
void signal_hub_free(struct signal_hub *hub);

// A connection is there. token (may be NULL) is what came with the HTTP request, and counts where
// `register` brings none; an over-long one is ignored. NULL: over a limit, draining, or out of
// memory: 503 with Retry-After. client's port does not matter.
struct signal_conn *signal_hub_open(struct signal_hub *hub, void *link, const struct addr *client,
                                    const char *token, int64_t now_ms);

// A whole text or binary message has come; data is borrowed until it returns. Any of these may end
// with ops->close for this connection, and then conn must not be used again.
void signal_conn_text(struct signal_conn *conn, const void *data, size_t len, int64_t now_ms);
void signal_conn_binary(struct signal_conn *conn, const void *data, size_t len, int64_t now_ms);
void signal_conn_pong(struct signal_conn *conn, int64_t now_ms);

// The connection is no more, and conn is freed. code is that of the Close frame that the client
// sent, 1005 for one without a code, SIGNAL_CLOSE_LOST without one. After SIGNAL_CLOSE_NORMAL and
// SIGNAL_CLOSE_KICK the session is over at once, else it can be resumed within the grace time.
void signal_conn_closed(struct signal_conn *conn, unsigned code, int64_t now_ms);

// Does what is due: pings, graces, credentials, tokens. Returns when to come again, in the time of
// now_ms, INT64_MAX for never. What is due may come nearer only by one of the calls above, so call
// signal_hub_due() after those, or simply come at least once a second.
int64_t signal_hub_tick(struct signal_hub *hub, int64_t now_ms);
int64_t signal_hub_due(const struct signal_hub *hub);

// Sends everybody `goaway` and takes no connection from now on. Those that are there go on.
void signal_hub_drain(struct signal_hub *hub, uint32_t retry_ms);

// Ends every session, with `bye` (reason drain) to its rooms, and every connection with 1001.
void signal_hub_close_all(struct signal_hub *hub);

// What there is now, and what has happened since the hub was made.
struct signal_stats signal_hub_stats(const struct signal_hub *hub);

// Whether a token is good now, for what is not a `register` (GET /ice): signed with one of the
// secrets, within nbf and exp. 0, with its `sub` (OpaqueString) in user (cap at least
// SIGNAL_NAME_MAX + 1) and its `exp` in until (Unix seconds); -EACCES: it is not; -ENOMEM. Without
// secrets 0, an empty user and INT64_MAX, whatever the token, which may be NULL.
int signal_hub_check_token(const struct signal_hub *hub, const char *token, size_t len, char *user,
                           size_t cap, int64_t *until);

#endif
