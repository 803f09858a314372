// SPDX-License-Identifier: BSD-2-Clause
// What the parts of the HTTP server share.
#ifndef TP_HTTP_INTERNAL_H
#define TP_HTTP_INTERNAL_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "http/http.h"
#include "http/reserve.h"
#include "signal/hub.h"
#include "util/addr.h"
#include "util/log.h"
#include "util/siphash.h"
#include "worker/mailbox.h"

#define HTTP_SOURCES 65536 // slots that connections are counted in by a hash of their address
#define HTTP_LISTENERS 3   // IPv4, IPv6, and that of handover.c
#define EVENTS_BUCKETS 1024
#define WEBSOCKET_SPARE 64

struct link;
struct event_stream;
struct websocket;

// Where a connection is on its way.
enum client_state {
    CLIENT_FRESH,    // accepted in this turn of the loop
    CLIENT_READING,  // a request is awaited
    CLIENT_REPLYING, // and answered
    CLIENT_TAKEN,    // it carries messages now; evhttp reads and writes it no longer
};

// An address, or several that share a place.
struct source {
    uint32_t count, idle; // of its connections: all that are not taken, and those that only wait
};

// A connection. evhttp owns socket and bufferevent; this is what it does not know.
struct client {
    struct client *next, **prev; // all that are not taken
    TAILQ_ENTRY(client) place; // in http.arriving while it is fresh, in http.waiting while it waits
    struct http *http;
    struct bufferevent *bev; // with a reference of our own until the state is no longer fresh
    struct evhttp_connection *evcon;
    struct addr addr; // of the peer: an IPv4 address if it is mapped
    bool tls;         // our own
    bool handed;      // by a worker: addr is known, and fd is to be put in the place of evhttp's
    int fd;           // -1: there is none (any more)
    struct source *source; // where it is counted; NULL: it is not
    int64_t since_ms;      // of the state
    unsigned pieces;       // that evhttp has taken of what came since then
    enum client_state state;
    bool loopback; // it came to a loopback address of this host
    bool waiting;  // nothing has come since it was accepted, or since the last answer
    bool idle;     // that, it has been answered, and it is counted as idle with its source
    bool counted;  // it is one of http.client_count: neither fresh nor refused
    bool unwanted; // to be closed in the next turn of the loop
    bool refused;  // gets 503 whatever it wants
    struct link *link;
};

struct http {
    struct event_base *base;
    struct evhttp *evhttp, *handed_evhttp; // for connections of ports of its own, and for others
    struct handover *handover;
    struct evconnlistener *listeners[HTTP_LISTENERS];
    unsigned listener_count;
    struct snapshot *snapshot;
    struct mailbox *mailbox;
    struct event second, fresh, unwanted, tick, reap, resume_accept;
    struct signal_hub *hub;
    struct client *clients;                 // not taken
    TAILQ_HEAD(, client) arriving, waiting; // the oldest first
    struct client **by_fd;                  // all
    size_t fd_count;
    unsigned client_count, refused_count;
    struct siphash_key hash_key;
    struct source *sources; // HTTP_SOURCES
    struct link *links, *dying;
    struct websocket *touched; // those that turn_end looks at
    unsigned touched_count;
    uint8_t *spare[WEBSOCKET_SPARE]; // memory for what waits to be sent
    unsigned spare_count;
    struct event turn_end;
    unsigned link_count;
    struct event_stream *sessions[EVENTS_BUCKETS];
    struct log_limit log_full, log_accept;
    struct reserve reserve;
    bool paused;     // it accepts nothing
    int64_t stop_ms; // when to end; 0: not yet
    pthread_t thread;
    bool started;
    bool stopped;         // the thread has ended
    uint8_t input[65536]; // what a WebSocket has read
};

static inline int64_t http_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline const struct conf *http_conf(const struct http *h)
{
    return h->snapshot->conf;
}

// --- http.c ---

// Bytes that a connection may send ahead of what has been taken of it.
size_t http_input_max(const struct http *h);

// Accepts nothing for a moment: descriptors or memory are short.
void http_pause(struct http *h);

// --- client.c ---

// Has evhttp tell of every connection. 0 or -ENOMEM.
int clients_attach(struct http *h);
void clients_detach(struct http *h);
// What evhttp is to read and write a new connection by. fd: that of a connection that was handed
// over, -1 if there is none: then it is closed at once; begun: as of a worker_http, taken whatever
// is returned. NULL: out of memory; fd stays the caller's.
struct bufferevent *client_handed(struct http *h, int fd, const struct addr *addr, bool tls,
                                  SSL *begun);
void clients_sweep(struct http *h, int64_t now_ms);
// The client of a request; NULL when it could not be kept track of: then its connection is to be
// dropped.
struct client *client_of(struct http *h, struct evhttp_request *req);
// Takes the connection away from evhttp, which keeps the request until the client is closed.
void client_take(struct client *c, struct link *link);
// Closes it and frees c. Its link hears of it by link_lost.
void client_close(struct client *c);
// The same in the next turn of the loop: c is there until then, and so is its link.
void client_close_soon(struct client *c);

// --- source.c ---

// 0 or -ENOMEM.
int sources_init(struct http *h);
// Counts it, among all and by its address with its source; one that only waits may have to go for
// it (client_close_soon). False: that, or all of them, have too many even so.
bool source_enter(struct client *c);
// It only waits from now on, for its first request or, answered, for another.
void source_wait(struct client *c, bool answered);
void source_busy(struct client *c); // not any more
// It is taken. Whoever was to go for another, and is not gone by then, stays.
void source_take(struct client *c);
void source_leave(struct client *c); // it goes

// --- handover.c: connections that workers hand over ---

// The listening socket of h->handed_evhttp, for the caller to attach; or a negative errno.
int handover_new(struct http *h);
void handover_free(struct http *h); // h->handover NULL is nothing
// Goes on, where descriptors or memory were short.
void handover_retry(struct http *h);

// --- link.c: a connection that carries messages ---

struct link_kind {
    void (*send_text)(struct link *l, const void *data, size_t len);
    void (*ping)(struct link *l);
    // A good-bye behind what has been queued; the connection ends when the client has it.
    void (*close)(struct link *l, unsigned code, const char *reason);
    size_t (*backlog)(const struct link *l); // bytes that wait to be sent
    void (*lost)(struct link *l);            // the client goes away now
    void (*free)(struct link *l);
};

struct link {
    struct link *next, **prev; // all; when dying those to be freed
    const struct link_kind *kind;
    struct http *http;
    struct client *client;    // NULL: it is gone
    struct signal_conn *conn; // NULL: the hub is done with it
    struct addr addr;
    unsigned code;  // that the client closed with, for the hub
    int64_t end_ms; // when it ends even if the client does not take the good-bye; 0: not yet
};

extern const struct signal_ops link_signal_ops;

// Opens it in the hub: token NULL if none came. False: over a limit; then nothing was done, and l
// is still the caller's.
bool link_open(struct link *l, struct http *h, const struct link_kind *kind,
               const struct addr *addr, const char *token);
// The client is gone: tells the hub, and frees l once nobody is in the middle of it.
void link_lost(struct link *l);
// Tells the hub that there is nothing more to come; the client has link_linger to hear why.
void link_end(struct link *l);
// Closes it with 1013 if that is too much.
void link_check_backlog(struct link *l);
void links_sweep(struct http *h, int64_t now_ms);
void links_reap(struct http *h);

// --- answer.c: a request and its answer ---

struct exchange {
    struct http *http;
    struct client *client;
    struct evhttp_request *req;
    enum evhttp_cmd_type method;
    const char *path, *query; // as they came; query NULL: none
    bool old;                 // HTTP/1.0
};

// The first of that name in the request, or NULL.
const char *answer_header(const struct exchange *x, const char *name);
// The only one of that name: NULL when there are several, too.
const char *answer_only(const struct exchange *x, const char *name);
// Whether that list, which may be spread over several headers, has the word.
bool answer_has(const struct exchange *x, const char *name, const char *word);
void answer_add(struct exchange *x, const char *name, const char *value);
// Sends status, the headers so far and a body of that type (none for HEAD). type NULL: no body.
void answer_send(struct exchange *x, int status, const char *type, const void *body, size_t len);
// An error as {"error":"text"}.
void answer_error(struct exchange *x, int status, const char *text);
// 405, or 204 for OPTIONS, with what is allowed.
void answer_not_allowed(struct exchange *x, const char *allowed);
// Whether the origin may use the server; adds the headers of CORS. Else it has been answered.
bool answer_origin(struct exchange *x);
// What stands behind "Authorization: Bearer", else behind token= in the query, in buf. NULL:
// neither, or too long.
const char *answer_token(const struct exchange *x, char *buf, size_t cap);
// The status line and headers for who sends the rest by himself.
void answer_begin(struct exchange *x, int status, const char *reason, struct evbuffer *out);
// Whether a comma-separated header has that word.
bool header_has(const char *value, const char *word);

#define TOKEN_TEXT_MAX 8192

// --- whence.c ---
// The client's address as far as we believe it (signal.proxies).
struct addr answer_client_address(const struct exchange *x);
// Whether a browser has come to this host itself by a name that is not this server's (DNS
// rebinding): somebody has let a name of his mean 127.0.0.1, so that his page and we have the same
// origin. Where only this host can come to, that opens the door to everybody.
bool host_is_rebound(const struct exchange *x);
bool host_is_localhost(const struct exchange *x); // by name

// --- route.c ---
void route_request(struct evhttp_request *req, void *http);

// --- files.c ---
void files_answer(struct exchange *x);

// --- ice.c ---
void ice_answer(struct exchange *x, bool matrix);
// As signal_ops.ice_servers.
int ice_servers(void *http, const char *user, size_t user_len, int64_t until, char *out, size_t cap,
                uint32_t *ttl);

// --- websocket.c ---
void websocket_upgrade(struct exchange *x);
// For the event turn_end: sends what has been queued for WebSockets.
void websocket_turn_end(evutil_socket_t fd, short what, void *http);
// Gives back the memory that WebSockets share.
void websockets_free(struct http *h);

// --- events.c: server-sent events and POST, for who cannot have a WebSocket ---
void events_answer(struct exchange *x, const char *session);

#endif
