// SPDX-License-Identifier: BSD-2-Clause
// What the files of src/worker share. A worker's state is touched by its own thread only.
#ifndef TP_WORKER_INTERNAL_H
#define TP_WORKER_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <sys/queue.h>
#include <time.h>

#include "net/io.h"
#include "net/ports.h"
#include "net/udp.h"
#include "turn/server.h"
#include "util/log.h"
#include "util/rate.h"
#include "util/siphash.h"
#include "worker/mailbox.h"
#include "worker/worker.h"

#define ANSWER_RATES 4096         // sources whose unauthenticated answers are counted
#define STREAM_SOURCES 16384      // counters by source IP (IPv6: /64)
#define HANDSHAKES_LOOKED_AT 1024 // of the oldest ones, for one that gives way

struct listener;
struct stream;
struct dtls_server;
struct dtls_session;
struct pending_request;
struct errand;
struct claim;

struct source {
    uint32_t connections; // of TCP, and sessions of DTLS
    uint32_t handshakes;  // unfinished ones of TLS and DTLS
};

struct worker {
    unsigned index;
    struct worker *const *peers; // all workers of the server by index, itself among them
    unsigned peer_count;
    struct event_base *base;
    struct io *io;
    struct event flush;             // runs last in a loop turn in which something was queued
    int64_t turn_began, turn_ended; // ns, of the last loop turn with output: see worker.c
    struct event second;            // once a second: expiry
    struct turn_server *turn;
    struct stores *stores;
    struct snapshot *snapshot;
    // What turn goes by: the snapshot's, but for what is closed, which is this worker's own list
    // and ends with the masters that sentinels have named. See closed.c.
    struct turn_config turn_config;
    struct policy policy;
    struct addr *closed;
    size_t snapshot_closed; // of these are the snapshot's
    uint64_t masters_seen;
    struct ports *ports;
    struct mailbox *mailbox;
    struct listener *listeners;
    worker_http *http_take; // of connections of HTTP, with http; NULL: none is expected
    void *http;
    struct stream *streams; // all of this worker's client connections
    unsigned handshakes;    // unfinished, of TLS and DTLS together (limits.tls_handshakes)
    TAILQ_HEAD(, stream) handshaking;      // those of TLS, oldest first
    struct dtls_server *dtls;              // NULL: no listener speaks DTLS
    TAILQ_HEAD(, pending_request) pending; // oldest first
    struct pending_request *spare;
    unsigned spare_count;   // length of spare
    struct errand *errands; // requests that other workers have, see migrate.c
    struct claim *claims;   // allocations on their way here
    unsigned errand_count, claim_count;
    struct turn_output output; // scratch
    struct siphash_key
        hash_key; // for tables whose keys clients choose, and for transaction ids of indications
    uint64_t indications;
    uint32_t direct_sockets, direct_max; // connected to peers: see relay_socket.h
    bool auth_refused;                   // the request that was handled last was not authentic
    struct rate answers[ANSWER_RATES];
    struct source *sources;                     // see stream.c
    struct log_limit refusals, bad_connections; // see report.c
    pthread_t thread;
    bool running;
    bool ended; // it was joined: nothing is mailed any more
};

static inline int64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

// Has a peer's thread call handler with arg, which handler then owns. 0; -ENOMEM or -ENOENT (no
// such worker): arg stays the caller's. At the end of the server handlers run once more, after all
// threads have ended and before anything is freed, so that nothing on its way is lost.
int worker_post(struct worker *w, unsigned index, mailbox_handler *handler, void *arg);

// closed.c: peers that are refused because a store is there, as a sentinel has said.
// A list with room for what a snapshot closes and for those; NULL: out of memory. Freed with free.
struct addr *closed_new(const struct snapshot *snapshot);
// Has turn go by a snapshot, and by that list made for it, which is taken.
void closed_configure(struct worker *w, const struct snapshot *snapshot, struct addr *closed);
// A stores_found: refuses it in every worker from now on.
void closed_found(const struct addr *server, void *worker);

// listener.c: sockets that clients send to. 0 or a negative errno with *where naming the address.
int listeners_open(struct worker *w, struct addr *where, bool *stream);
int listeners_start(struct worker *w); // 0 or -ENOMEM
void listeners_close(struct worker *w);
// Where datagrams leave from that address; NULL when it is not listened on.
struct io_sink *listener_sink(struct worker *w, const struct addr *local);

// stream.c: TCP and TLS clients. Takes the connected descriptor; listen: of the listener, borrowed
// until the worker ends.
void stream_accept(struct worker *w, int fd, const struct addr *client,
                   const struct conf_listen *listen);
void streams_sweep(struct worker *w, int64_t now_ms);
void streams_close(struct worker *w);
// The client's allocation has ended: the connection counts as idle from now on.
void stream_allocation_ended(struct io_sink *sink);
void stream_allocation_made(struct io_sink *sink, struct turn_allocation *a);

// What the source of a client has.
struct source *source_of(struct worker *w, const struct addr *client);
// The oldest unfinished TLS handshake of the source that has the most (*crowd). NULL: there is
// none, and *crowd is 0.
struct stream *stream_tls_crowding(struct worker *w, uint32_t *crowd);
void stream_tls_give_way(struct stream *s); // ends it

// handshakes.c
void handshake_begun(struct worker *w, const struct addr *client);
void handshake_over(struct worker *w, const struct addr *client);
// Whether there may be one more: ends one if limits.tls_handshakes wants it. Not from within
// the handling of an unfinished one.
bool handshakes_make_room(struct worker *w);

// dtls.c: DTLS clients. 0 or -ENOMEM; then w->dtls is set.
int dtls_server_new(struct worker *w);
void dtls_server_close(struct worker *w); // ends all sessions
void dtls_server_free(struct worker *w);
// One datagram that begins like a record of DTLS; it is overwritten.
void dtls_datagram(struct worker *w, struct udp_socket *udp, const struct addr *client,
                   const struct addr *local, uint8_t *data, size_t len, int64_t now_ms);
// As those of TLS.
struct dtls_session *dtls_crowding(struct worker *w, uint32_t *crowd);
void dtls_give_way(struct dtls_session *s);
void dtls_sweep(struct worker *w, int64_t now_ms);
void dtls_flush(struct worker *w); // sends what was encrypted
void dtls_allocation_ended(struct io_sink *sink);
void dtls_allocation_made(struct io_sink *sink, struct turn_allocation *a);

// request.c: STUN messages of clients. sink: where the answer goes.
void request_input(struct worker *w, struct io_sink *sink, const struct turn_tuple *tuple,
                   const uint8_t *data, size_t len);
// The same for one that another worker has found authentic and has moved here.
void request_granted(struct worker *w, struct io_sink *sink, const struct turn_tuple *tuple,
                     const uint8_t *data, size_t len, const struct auth_grant *grant);
// What is to be done about a request, once it is known who asks. limited: the answer is one to a
// stranger.
void request_act(struct worker *w, struct io_sink *sink, const struct turn_input *in,
                 enum turn_action action, bool limited);
void requests_cancel(struct worker *w, const struct io_sink *sink); // NULL: all
// Before and after w->stores is replaced: whose users are being looked up is asked again.
void requests_suspend(struct worker *w);
void requests_resume(struct worker *w);
// Whether a datagram of unknown origin may be answered: within limits.unauthenticated_rate.
bool request_may_answer(struct worker *w, const struct addr *client, int64_t now_ms);

// migrate.c: allocations whose client moves to another worker (RFC 8016).
// A request for another worker: w->output says which.
void migrate_forward(struct worker *w, struct io_sink *sink, const struct turn_input *in);
// The sink goes: no answer is awaited.
void migrate_cancel(struct worker *w, const struct io_sink *sink);
// A client without an allocation sends data: returns the allocation, if it is here and moves to the
// client; has it sent, if it is another worker's, and keeps the data until then. NULL: there is
// nothing to do.
struct turn_allocation *migrate_data(struct worker *w, const struct turn_tuple *tuple,
                                     const uint8_t *data, size_t len, int64_t now_ms);
// The second half of it.
void migrate_claim(struct worker *w, const struct turn_tuple *tuple,
                   const struct turn_elsewhere *at, const uint8_t *data, size_t len);
// The connection of the client of an allocation ends.
void migrate_disconnect(struct worker *w, struct turn_allocation *a);
// Its expiry has changed.
void migrate_refreshed(struct worker *w, const struct turn_allocation *a);
// Its client does not go to that worker any more.
void migrate_unexpected(struct worker *w, const struct turn_allocation *a, unsigned worker);
void migrate_sweep(struct worker *w, int64_t now_ms);
void migrate_end(struct worker *w); // when all mail has been read

// relay.c: packets between clients and peers.
extern const struct turn_ops relay_turn_ops;
// One ChannelData message of a client; a is its allocation.
void relay_channel_data(struct worker *w, struct turn_allocation *a, const uint8_t *data,
                        size_t len, int64_t now_ms);
// The payload of a Send indication.
void relay_send(struct worker *w, const struct turn_output *out);
// A transaction id for an indication: never answered, so that it is enough that they look random
// and differ.
void relay_indication_id(struct worker *w, uint8_t txid[12]);

// relay_error.c: what ICMP says about datagrams to peers (RFC 8656 11.5). Reads some errors of a
// relay socket; false: there may be more. rate: of this socket.
bool relay_errors(struct worker *w, struct turn_allocation *a, struct udp_socket *udp,
                  struct rate *rate, int64_t now_ms);

// report.c: what happened, as log lines.
void report_event(struct worker *w, const struct turn_event_info *info);
// A connection, or a handshake of DTLS, that ends because of what the client sent, or left out: a
// line at level info, unless there are too many of them.
void report_bad_connection(struct worker *w, const char *area, const struct addr *client,
                           const char *why);

#endif
