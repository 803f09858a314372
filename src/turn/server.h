// SPDX-License-Identifier: BSD-2-Clause
// The TURN server of one worker as a state machine: bytes, addresses and time in, a decision out
// (RFC 8656, RFC 8489). It opens no socket, reads no clock, writes no log.
#ifndef TP_TURN_SERVER_H
#define TP_TURN_SERVER_H

#include "auth/verdict.h"
#include "turn/allocation.h"
#include "turn/behavior.h"
#include "turn/connection.h"
#include "turn/policy.h"
#include "turn/quota.h"
#include "util/siphash.h"

// Length of the key that seals mobility tickets.
#define TURN_TICKET_KEY_LEN 64

// What the operator decided; borrowed, may be replaced by turn_server_configure.
struct turn_config {
    const struct auth_config *auth;
    const struct policy *policy;
    bool relay_ipv4, relay_ipv6;  // families that relay addresses exist for
    bool relay_tcp;               // TCP allocations are offered (RFC 6062)
    bool mobility;                // RFC 8016; else 405
    uint32_t lifetime_default;    // seconds, 600 (RFC 8656 7.2)
    uint32_t lifetime_max;        // seconds, 3600
    uint32_t permission_lifetime; // seconds, 300 (RFC 8656 9)
    uint32_t channel_lifetime;    // seconds, 600 (RFC 8656 12)
    uint32_t user_allocations;    // 0: no limit
    uint32_t total_allocations;   // 0: no limit
    uint32_t max_permissions;     // of one allocation
    uint32_t max_channels;        // of one allocation
    uint32_t max_connections;     // to and from peers, of one TCP allocation
    uint64_t user_bps, total_bps; // bits/s of payload, both ways together, 0: no limit
    const char *software;         // SOFTWARE in authenticated answers; NULL: none
    struct turn_behavior behaviors[TURN_BEHAVIORS_MAX]; // RFC 5780
    unsigned behavior_count;
    const struct addr *alternates; // where Allocate requests are sent instead, RFC 8489 10
    size_t alternate_count;
    const char *alternate_domain; // NULL: none
    // Of CONNECTION-IDs: the same in all workers, and never another.
    struct siphash_key connection_key;
};

struct turn_relay_request {
    uint8_t family;    // ADDR_IPV4 or ADDR_IPV6
    bool tcp;          // a TCP allocation (RFC 6062): listens for peers
    bool even_port;    // EVEN-PORT
    bool reserve_next; // its R bit: hold the next port and give a token
    const void *owner; // who alone can claim what is reserved: compared as bytes
    size_t owner_len;
    const uint8_t *token_in; // RESERVATION-TOKEN of the client, 8 bytes, or NULL
    uint8_t token_out[8];    // filled when reserve_next
};

enum turn_event {
    TURN_EVENT_ALLOCATED,
    TURN_EVENT_REFRESHED,
    TURN_EVENT_DELETED, // by Refresh with lifetime 0
    TURN_EVENT_EXPIRED,
    TURN_EVENT_CLOSED,       // by turn_allocation_close: the stream ended, shutdown, kick
    TURN_EVENT_MOVED,        // the client uses another 5-tuple now; old and old_link set
    TURN_EVENT_LEFT,         // it goes to another worker; old_link set
    TURN_EVENT_PERMISSION,   // peer set
    TURN_EVENT_CHANNEL,      // peer and number set
    TURN_EVENT_PEER_REFUSED, // peer and verdict set
    TURN_EVENT_AUTH_REFUSED, // code set, user (raw, may be NULL) set; a is NULL
    TURN_EVENT_CONNECTED,    // a Connect request has succeeded; peer set
    TURN_EVENT_ATTEMPT,      // a peer has connected, peer set
    TURN_EVENT_BOUND,        // a client data connection is bound to the one of peer
    TURN_EVENT_REFUSED, // any other error answer; code, method and, of an authentic request, user
                        // set; a may be NULL
    TURN_EVENT_LIMITED, // total, bps and dropped set; each limit once in BANDWIDTH_TELL_SECONDS
    // The client is not expected any more at old, a 5-tuple of another worker, which is set: there
    // turn_server_forget.
    TURN_EVENT_UNEXPECTED,
};

struct turn_event_info {
    enum turn_event event;
    const struct turn_tuple *tuple;
    const struct turn_allocation *allocation; // or NULL
    const struct turn_tuple *old;             // where the client was; NULL: with another worker
    void *old_link;                           // of this worker, or NULL
    const struct addr *peer;
    uint16_t channel;
    uint16_t method;
    int code;
    enum policy_verdict verdict;
    const uint8_t *user;
    size_t user_len;
    bool total;       // the server's bandwidth limit, not the user's
    uint64_t bps;     // the limit
    uint32_t dropped; // datagrams since the last such event
    uint8_t worker;
};

// What the machine asks of its worker.
struct turn_ops {
    // Opens a relayed transport address and fills a->relay[family]. 0; -EADDRNOTAVAIL no port is
    // free or the token is unknown (508); -EAFNOSUPPORT no such family (440); any other: 508.
    int (*relay_open)(void *arg, struct turn_allocation *a, struct turn_relay_request *req);
    // Closes the socket of that family, or of both (ADDR_NONE), where there is one, and sets it to
    // NULL.
    void (*relay_close)(void *arg, struct turn_allocation *a, uint8_t family);
    // Before an allocation goes to another worker: its sockets stay open, but this one hears
    // nothing more of them. And the other one takes them over: 0 or a negative errno, relay_close
    // follows.
    void (*relay_detach)(void *arg, struct turn_allocation *a);
    int (*relay_adopt)(void *arg, struct turn_allocation *a);
    void (*event)(void *arg, const struct turn_event_info *info);
    // Begins to connect from the relayed transport address to c->peer and sets c->socket. 0: one of
    // turn_connection_opened and turn_connection_failed is called later, not before it returns. A
    // negative errno: it cannot be.
    int (*peer_open)(void *arg, struct turn_connection *c);
    // Closes the peer data connection, whatever its state, and the client data connection that is
    // bound to it. Also called for what turn_connection_accepted has got.
    void (*peer_close)(void *arg, struct turn_connection *c);
    // Sends a message to the client of a TCP allocation, by its control connection.
    void (*send)(void *arg, struct turn_allocation *a, const uint8_t *msg, size_t len);
};

struct turn_server;

// siphash key and txids come from util/rand. 0 allocations at start. NULL when out of memory. quota
// is shared by all workers, and so are the random TURN_TICKET_KEY_LEN bytes of ticket_key.
struct turn_server *turn_server_new(const struct turn_ops *ops, void *arg, struct quota *quota,
                                    uint8_t worker, const uint8_t *ticket_key);
void turn_server_free(struct turn_server *s); // closes every allocation (TURN_EVENT_CLOSED)
void turn_server_configure(struct turn_server *s,
                           const struct turn_config *cfg); // before the first input, and on reload

struct turn_input {
    const struct turn_tuple *tuple;
    const uint8_t *data; // a STUN message: whole datagram, or one frame of a stream
    size_t len;
    int64_t now_ms;    // monotonic
    int64_t unix_time; // seconds
    void *link;        // stored in an allocation that this message makes or moves
    // Of a request that travelled between workers (turn_server_granted); zero else.
    bool routed;      // it is answered here and not sent on
    uint8_t worker;   // that received it: tuple and link are that one's
    uint64_t session; // that it is about
};

enum turn_action {
    TURN_DROP,    // nothing to do
    TURN_REPLY,   // send out->reply (out->reply_len bytes) from out->reply_from to out->reply_to
    TURN_LOOKUP,  // look out->query up, then call turn_server_resume with the same input
    TURN_SEND,    // relay out->payload to out->peer from out->allocation (Send indication, RFC
                  // 8656 11.2)
    TURN_FORWARD, // authentic, but another worker's: have turn_server_granted of out->elsewhere
                  // handle it, with out->grant
    TURN_CLAIM,   // a Send indication for an allocation that is to come here from out->elsewhere
    TURN_BIND, // send the reply; then the connection that the request came by carries the bytes of
               // out->connection (RFC 6062 5.4) and no messages any more
    TURN_MOVE, // another worker must answer: hand the connection and the request to out->worker,
               // for turn_server_granted there with a copy of out->grant
};

// An allocation that lives with another worker.
struct turn_elsewhere {
    uint64_t session;
    uint8_t worker; // to be asked first
};

#define TURN_REPLY_MAX 1800 // an answer is never longer; but for PADDING it stays far below

struct turn_output {
    uint8_t reply[TURN_REPLY_MAX];
    size_t reply_len;
    // The 5-tuple's two ends, but for what RFC 5780 lets a Binding request over UDP ask for:
    // another of the server's own addresses to send from, another port of the client's to send to.
    struct addr reply_from, reply_to;
    struct store_query query; // points into the input
    struct turn_allocation *allocation;
    struct addr peer;
    const uint8_t *payload;
    size_t payload_len;
    bool dont_fragment;
    struct turn_connection *connection;
    uint8_t worker; // may be the number of none: then turn_server_granted here refuses it
    struct turn_elsewhere elsewhere;
    struct auth_grant grant;
    // Of a request that another worker received:
    int64_t visit_ms; // until when the allocation may have to move there, for turn_server_visit
    bool follow;      // and it is to move at once: turn_server_detach
};

enum turn_action turn_server_input(struct turn_server *s, const struct turn_input *in,
                                   struct turn_output *out);
enum turn_action turn_server_resume(struct turn_server *s, const struct turn_input *in,
                                    enum store_status status, const struct auth_record *rec,
                                    struct turn_output *out);

// As turn_server_input, for a request that another worker has found authentic: grant is its, and
// borrowed. Never TURN_LOOKUP or TURN_MOVE.
enum turn_action turn_server_granted(struct turn_server *s, const struct turn_input *in,
                                     const struct auth_grant *grant, struct turn_output *out);

// The live allocation of a 5-tuple, or NULL.
struct turn_allocation *turn_server_find(struct turn_server *s, const struct turn_tuple *tuple,
                                         int64_t now_ms);

// Whether a datagram with that many bytes of payload may be relayed now, in either direction; if
// not it is to be dropped. Counted and, now and then, reported (TURN_EVENT_LIMITED). Worth a call
// when a->limited only, so that without limits a packet costs one branch.
bool turn_bandwidth_take(struct turn_server *s, struct turn_allocation *a, size_t bytes,
                         int64_t now_ms);

// The same for bytes of a stream that have been read from one side already (RFC 6062), at most
// BANDWIDTH_BURST_BYTES in one call. They are to be passed on; nothing more should be read from
// that side for the returned number of ms (0: go on). Not reported: nothing is lost.
int64_t turn_bandwidth_charge(struct turn_server *s, struct turn_allocation *a, size_t bytes,
                              int64_t now_ms);

// Frees what has expired; call about once a second. Cost is bounded by what expires, not by what
// there is.
void turn_server_sweep(struct turn_server *s, int64_t now_ms);

// Ends one allocation now (an operator kicked it, the server ends).
void turn_allocation_close(struct turn_server *s, struct turn_allocation *a);

// --- peer data connections (RFC 6062) ---

// What became of peer_open: the Connect request is answered, with 447 when it failed; then c is
// freed, and peer_close called first.
void turn_connection_opened(struct turn_server *s, struct turn_connection *c, int64_t now_ms);
void turn_connection_failed(struct turn_server *s, struct turn_connection *c);

// A peer has connected to the relayed transport address of a: the client is told. NULL: close the
// connection, because there is no permission, no memory, or are too many.
struct turn_connection *turn_connection_accepted(struct turn_server *s, struct turn_allocation *a,
                                                 const struct addr *peer, void *socket,
                                                 int64_t now_ms);

// Ends one whose peer or client has gone: peer_close is called, c is freed.
void turn_connection_close(struct turn_server *s, struct turn_connection *c);

// --- mobility (RFC 8016) ---
// A client that shows a ticket from a new 5-tuple has arrived there; its allocation stays where it
// is and serves the old 5-tuple until the client sends data from the new one. Only then it moves,
// to another worker if need be. There, in the meantime, is a visit: the note that the client of
// that 5-tuple is expected, and who has the allocation.

// The client of a 5-tuple sent data, and turn_server_find knows no allocation: it may have arrived
// there. Then the allocation moves to it and is returned. Or NULL; when elsewhere->session is not 0
// the allocation is with another worker, which is to be asked for it (turn_server_detach there).
struct turn_allocation *turn_server_arrive(struct turn_server *s, const struct turn_tuple *tuple,
                                           int64_t now_ms, struct turn_elsewhere *elsewhere);

// Whether a client has arrived at that 5-tuple.
bool turn_server_expects(const struct turn_server *s, const struct turn_tuple *tuple);

// The connection of an allocation's client has ended. With a ticket out the allocation waits for
// its client until it expires, else it is closed. True: it has arrived elsewhere and is to go
// there.
bool turn_server_disconnect(struct turn_server *s, struct turn_allocation *a,
                            struct turn_elsewhere *elsewhere);

// The same for a connection without an allocation, at whose 5-tuple a client may have arrived.
void turn_server_leave(struct turn_server *s, const struct turn_tuple *tuple);

// Notes a visit, or prolongs it; link: of the 5-tuple, NULL when its connection has ended by now.
// expires_ms 0: nobody is expected at that 5-tuple. 0 or -ENOMEM.
int turn_server_visit(struct turn_server *s, const struct turn_elsewhere *at,
                      const struct turn_tuple *tuple, void *link, int64_t expires_ms);

// Who has the allocation of a session, as far as this worker knows: -1 it does not.
int turn_server_locate(const struct turn_server *s, uint64_t session);

// The visits of a session are over: no worker has the allocation, or tuple (if not NULL) is not
// where its client has arrived.
void turn_server_forget(struct turn_server *s, uint64_t session, const struct turn_tuple *tuple);

// Where the client of an allocation is expected with another worker: false when it is not.
bool turn_server_visited(const struct turn_server *s, const struct turn_allocation *a,
                         struct turn_elsewhere *at, struct turn_tuple *tuple);

// Takes an allocation out, whose client has arrived at that 5-tuple of that worker (tuple NULL:
// wherever it is there): the caller owns it until turn_server_adopt. NULL: no such allocation.
struct turn_allocation *turn_server_detach(struct turn_server *s, uint64_t session, uint8_t worker,
                                           const struct turn_tuple *tuple, int64_t now_ms);

// Takes it over, in any case: 0, or a negative errno and it has been closed.
int turn_server_adopt(struct turn_server *s, struct turn_allocation *a, int64_t now_ms);

// Allocations that are in its table.
size_t turn_server_count(const struct turn_server *s);

// Calls each for every allocation; it may close that one. Stops when it returns false.
void turn_server_each(struct turn_server *s, bool (*each)(struct turn_allocation *a, void *arg),
                      void *arg);

// Header of a Data indication (RFC 8656 11.3): STUN header, XOR-PEER-ADDRESS and the head of DATA,
// which the payload follows; then TURN_DATA_PAD(len) zero bytes end it. buf has
// TURN_DATA_HEADER_MAX bytes. Returns the length.
#define TURN_DATA_HEADER_MAX (20 + 24 + 4)
#define TURN_DATA_PAD(len) ((4 - ((len)&3)) & 3)
size_t turn_data_header(uint8_t *buf, const uint8_t txid[12], const struct addr *peer,
                        uint16_t payload_len);

// A whole Data indication that tells of an ICMP error (RFC 8656 11.5, 18.13). peer: where the
// datagram was sent; data: the next hop's MTU if it was too big for it, else 0. buf has
// TURN_DATA_ICMP_MAX bytes. Returns the length.
#define TURN_DATA_ICMP_MAX (20 + 24 + 12)
size_t turn_data_icmp(uint8_t *buf, const uint8_t txid[12], const struct addr *peer, uint8_t type,
                      uint8_t code, uint32_t data);

#endif
