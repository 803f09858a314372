// SPDX-License-Identifier: BSD-2-Clause
// What the files of turn/ share with each other and with nobody else.
#ifndef TP_TURN_INTERNAL_H
#define TP_TURN_INTERNAL_H

#include <string.h>

#include "turn/server.h"
#include "turn/ticket.h"
#include "util/siphash.h"

// One slot a second; an allocation that lives longer than a round is passed over until its time
// comes.
#define WHEEL_SLOTS 4096

#define TURN_UNKNOWN_MAX 128 // types listed in a 420 answer

// Deletions that a client may ask for again because the answer was lost.
#define TOMBSTONES 256
#define TOMBSTONE_MS (40 * 1000) // as long as a client retransmits, RFC 8489 6.2.1

struct tombstone {
    struct turn_tuple tuple;
    uint8_t txid[STUN_TXID_LEN];
    int64_t until_ms;
};

// A client may have many data connections; no worker can hold more than ids tell apart.
#define CONNECTIONS_MAX (1u << 23)

// See connection.c.
struct connection_table {
    const struct siphash_key *key;
    struct turn_connection **bucket; // NULL until there is one
    size_t bucket_count;             // a power of two
    size_t count;
    uint32_t counter;
    struct turn_connection *waiting, **waiting_tail; // not bound, the oldest first
};

// What makes an allocation mobile (RFC 8016), or a visit: the trace that one which lives with
// another worker leaves where its client has arrived.
struct turn_mobility {
    struct turn_mobility *next_session, *next_tuple;
    struct turn_allocation *allocation; // NULL: a visit
    uint64_t session;
    int64_t expires_ms; // of a visit
    uint8_t owner;      // of a visit: the worker that has the allocation
    // Where the client showed its newest ticket, and has sent no data yet.
    bool arrived;
    uint8_t worker; // whose 5-tuple it is
    struct turn_tuple tuple;
    void *link;    // of this worker
    bool followed; // a request came from there: see mobility_follow
    // The newest ticket, and the Refresh that it answers.
    uint32_t number;
    uint8_t ticket[TICKET_LEN];
    uint8_t txid[STUN_TXID_LEN];
    int64_t repeat_ms; // until when the one before is known, for retransmissions
};

struct mobility_table {
    struct turn_mobility **by_session, **by_tuple; // chains; by_tuple: of this worker's 5-tuples
    size_t bucket_count;                           // a power of two, or 0
    size_t count, arrived;
    size_t sweep_at; // bucket of by_session
};

// What is known of a request whose user is being looked up: most stores answer at once, and then
// nothing is checked twice. Good until the next message.
struct begun {
    const uint8_t *data; // NULL: none
    struct turn_tuple tuple;
    int64_t unix_time;
    struct stun_msg msg;
    struct auth_request req;
};

struct turn_server {
    struct turn_ops ops;
    void *arg;
    const struct turn_config *cfg;
    struct quota *quota;
    struct siphash_key key;
    uint64_t next_session; // low 56 bits; the worker's number is above
    uint8_t worker;
    size_t next_alternate; // whose turn it is in cfg->alternates
    struct turn_allocation **bucket;
    size_t bucket_count; // a power of two
    size_t count;
    int64_t swept_s; // the second that the last sweep ended in
    struct turn_allocation *wheel[WHEEL_SLOTS];
    struct tombstone tombstone[TOMBSTONES];
    unsigned next_tombstone;
    struct connection_table connections;
    struct mobility_table mobile;
    struct begun begun;
    uint8_t ticket_key[TICKET_KEY_LEN];
};

// One message on its way through the server.
struct turn_request {
    struct turn_server *server;
    const struct turn_input *in;
    struct turn_output *out;
    struct stun_msg msg;
    bool authenticated;
    bool granted;                       // by another worker, which has moved it here
    struct auth_grant grant;            // when authenticated
    struct turn_allocation *allocation; // of the 5-tuple, or NULL
    struct stun_writer w;
};

// --- dispatch.c ---
typedef enum turn_action turn_handler(struct turn_request *r);

// The 5-tuple must have an allocation, and it must be the user's (RFC 8656 5): 0, 437 or 441.
int turn_require_allocation(struct turn_request *r);

// Whether a request that was granted so comes from who made the allocation: the same user, or the
// same access token.
bool turn_is_owner(const struct turn_allocation *a, const struct auth_grant *grant);

// Reports an event about the request.
void turn_report(struct turn_request *r, enum turn_event event, const struct addr *peer,
                 uint16_t channel);

// Asks the policy; a refusal is reported.
bool turn_peer_allowed(struct turn_request *r, const struct addr *peer);

// When a permission that the request makes or refreshes will end.
static inline int64_t turn_permission_expiry(const struct turn_request *r)
{
    return r->in->now_ms + (int64_t)r->server->cfg->permission_lifetime * 1000;
}

// --- one file per method ---
turn_handler turn_handle_binding;
turn_handler turn_handle_allocate;
turn_handler turn_handle_refresh;
turn_handler turn_handle_create_permission;
turn_handler turn_handle_channel_bind;
turn_handler turn_handle_send;
turn_handler turn_handle_connect;
turn_handler turn_handle_connection_bind;

// What LIFETIME asks for, within the configured bounds (RFC 8656 7.2).
uint32_t turn_lifetime(const struct turn_request *r);

// --- reply.c: the only place that builds answers ---
void reply_begin(struct turn_request *r);           // success; then stun_put_* on &r->w
enum turn_action reply_end(struct turn_request *r); // SOFTWARE, integrity, fingerprint
enum turn_action reply_error(struct turn_request *r,
                             int code); // and TURN_EVENT_REFUSED, but for 403
// 420; at most TURN_UNKNOWN_MAX types
enum turn_action reply_unknown(struct turn_request *r, const uint16_t *types, size_t count);
// 300 with ALTERNATE-SERVER and, if set, ALTERNATE-DOMAIN.
enum turn_action reply_alternate(struct turn_request *r, const struct addr *alternate);
enum turn_action reply_auth(struct turn_request *r, const struct auth_reject *reject);

// --- allocation.c ---
// An allocation and what is needed to give the same answer to a retransmitted Allocate again.
struct allocation_box {
    struct turn_allocation a;
    uint8_t token[8]; // RESERVATION-TOKEN
    bool has_token;
    uint8_t error_family;         // of ADDRESS-ERROR-CODE, as on the wire
    uint16_t error_code;          // 0: none
    uint32_t first_lifetime;      // seconds
    struct auth_session *session; // of the access token that made it or refreshed it last; or NULL
    int64_t wheel_ms;             // when the sweep looks at it: the first of its relays expires
};

static inline struct allocation_box *allocation_box(struct turn_allocation *a)
{
    return (struct allocation_box *)a;
}

// Neither linked nor counted yet. NULL: out of memory.
struct turn_allocation *allocation_new(struct turn_server *s, const struct turn_input *in);
// Takes it out of the tables; puts it back, or under another 5-tuple.
void allocation_unlink(struct turn_server *s, struct turn_allocation *a);
void allocation_relink(struct turn_server *s, struct turn_allocation *a, int64_t now_ms);
void allocation_rekey(struct turn_server *s, struct turn_allocation *a,
                      const struct turn_tuple *tuple);
// Frees one that is not linked; closes its relays when close_relays, gives its quota back.
void allocation_free(struct turn_server *s, struct turn_allocation *a, bool close_relays);
// Puts it into the tables, all that it has relayed expiring at that time.
void allocation_link(struct turn_server *s, struct turn_allocation *a, int64_t now_ms,
                     int64_t expires_ms);
// Moves the expiry of a family, or of each that it has (ADDR_NONE).
void allocation_extend(struct turn_server *s, struct turn_allocation *a, uint8_t family,
                       int64_t expires_ms);
// One family of two goes: its socket, permissions and channels.
void allocation_drop_family(struct turn_server *s, struct turn_allocation *a, uint8_t family);
// Reports, unlinks and frees.
void allocation_end(struct turn_server *s, struct turn_allocation *a, enum turn_event event);
// The allocation, or NULL when it has expired and has been ended now; so has an expired family.
struct turn_allocation *allocation_age(struct turn_server *s, struct turn_allocation *a,
                                       int64_t now_ms);
// The same for that of a 5-tuple, if there is one.
struct turn_allocation *allocation_take(struct turn_server *s, const struct turn_tuple *tuple,
                                        int64_t now_ms);

// Remembers the Refresh that deleted the allocation of a 5-tuple, in place of the oldest one, and
// says for TOMBSTONE_MS whether this was it.
void tombstone_put(struct turn_server *s, const struct turn_tuple *tuple, const uint8_t *txid,
                   int64_t now_ms);
bool tombstone_find(const struct turn_server *s, const struct turn_tuple *tuple,
                    const uint8_t *txid, int64_t now_ms);

// --- limit.c ---
// The user's own limit, as its record says now.
void limit_grant(struct turn_server *s, struct turn_allocation *a, const struct auth_grant *grant);
// After the configuration has changed.
void limit_update(struct turn_server *s, struct turn_allocation *a);

// --- mobility_table.c ---
// A visit, or the mobility of an allocation. NULL: out of memory.
struct turn_mobility *mobility_new(struct turn_server *s, uint64_t session);
void mobility_free(struct turn_server *s, struct turn_mobility *m); // takes NULL
// Into and out of the tables, when the allocation changes the worker. 0 or -ENOMEM.
int mobility_link(struct turn_server *s, struct turn_mobility *m);
void mobility_unlink(struct turn_server *s, struct turn_mobility *m);
struct turn_mobility *mobility_by_session(const struct turn_server *s, uint64_t session);
struct turn_mobility *mobility_by_tuple(const struct turn_server *s,
                                        const struct turn_tuple *tuple);
// The client has arrived somewhere, instead of anywhere before; or nowhere.
void mobility_place(struct turn_server *s, struct turn_mobility *m, uint8_t worker,
                    const struct turn_tuple *tuple, void *link);
void mobility_displace(struct turn_server *s, struct turn_mobility *m);
// Frees a part of the visits that have expired.
void mobility_sweep(struct turn_server *s, int64_t now_ms);
void mobility_table_free(struct turn_server *s); // allocations are gone already

// --- mobility.c ---
// MOBILITY-TICKET of an Allocate request (RFC 8016 3.1.2): 0 or the error code; *wanted: it is
// there. tcp: it asks for a TCP allocation.
int mobility_wanted(const struct turn_request *r, bool tcp, bool *wanted);
// Gives a new allocation its first ticket: 0, 508 or 500.
int mobility_begin(struct turn_request *r, struct turn_allocation *a);
// Appends the newest ticket to an answer.
void mobility_put(struct turn_request *r, const struct turn_allocation *a);
// Finds the allocation of a request where the 5-tuple is not (yet) its own. True: it is elsewhere.
bool mobility_find(struct turn_request *r, struct turn_elsewhere *elsewhere);
enum turn_action mobility_forward(struct turn_request *r, const struct turn_elsewhere *elsewhere);
// The ticket of a Refresh request (RFC 8016 3.2.2): 0 and r->allocation is the ticket's; an error
// code; MOBILITY_ELSEWHERE; or MOBILITY_AGAIN, the retransmission of one that was answered.
enum { MOBILITY_ELSEWHERE = -1, MOBILITY_AGAIN = -2 };
int mobility_check(struct turn_request *r, const struct stun_attr *ticket,
                   struct turn_elsewhere *elsewhere);
// The client has arrived at the request's 5-tuple: 0 or 500.
int mobility_arrive(struct turn_request *r);

// A request, other than the Refresh that showed the ticket, comes from where the client has
// arrived: the allocation follows it there.
void mobility_follow(struct turn_request *r);

// Has another worker forget the visit, if there is one.
void mobility_end_visit(struct turn_server *s, const struct turn_allocation *a);

// Fills in visit_ms and follow after a request of another worker.
void mobility_tell_visit(struct turn_server *s, const struct turn_input *in,
                         struct turn_output *out);

// --- move.c ---
// The allocation serves the 5-tuple of this worker where its client has arrived, and no other.
void mobility_settle(struct turn_server *s, struct turn_allocation *a);
static inline bool tuple_equal(const struct turn_tuple *a, const struct turn_tuple *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

// --- permission.c ---
// In two steps, so that a request with several peers installs all or none: prepare each, then
// commit each or abandon each. The port of the peer does not matter. 0, -ENOSPC (max reached),
// -ENOMEM.
int permission_prepare(struct turn_allocation *a, const struct siphash_key *key,
                       const struct addr *peer, uint32_t max, int64_t now_ms);
void permission_commit(struct turn_allocation *a, const struct addr *peer, int64_t expires_ms);
void permission_abandon(struct turn_allocation *a, const struct addr *peer);
void permissions_drop_family(struct turn_allocation *a, uint8_t family);
void permissions_free(struct turn_allocation *a);

// --- connection.c ---
void connections_init(struct turn_server *s);
// The number of the worker that gave the id out, or any number for one that nobody did.
uint8_t connection_owner(const struct turn_server *s, uint32_t id);
struct turn_connection *connection_find(struct turn_server *s, uint32_t id);
struct turn_connection *connection_find_peer(const struct turn_allocation *a,
                                             const struct addr *peer);
// One that is opening; its time begins. 0, -ENOSPC (limit reached), -ENOMEM.
int connection_new(struct turn_server *s, struct turn_allocation *a, const struct addr *peer,
                   int64_t now_ms, struct turn_connection **out);
void connection_established(struct turn_server *s, struct turn_connection *c, int64_t now_ms);
void connection_bound(struct turn_server *s, struct turn_connection *c);
// Closes and frees it.
void connection_end(struct turn_server *s, struct turn_connection *c);
// Makes an allocation one of TCP. 0 or -ENOMEM.
int connections_begin(struct turn_allocation *a);
void connections_end(struct turn_server *s, struct turn_allocation *a); // all of one allocation
void connections_sweep(struct turn_server *s, int64_t now_ms);

// --- channel.c: every change of a binding goes through these ---
// Makes or refreshes. 0; -EEXIST the number or the peer is bound otherwise; -ENOSPC max reached;
// -ENOMEM.
int channel_bind(struct turn_allocation *a, const struct siphash_key *key, uint16_t number,
                 const struct addr *peer, uint32_t max, int64_t now_ms, int64_t expires_ms);
void channels_drop_family(struct turn_allocation *a, uint8_t family);
void channels_free(struct turn_allocation *a);

#endif
