// SPDX-License-Identifier: BSD-2-Clause
// A TURN server without a network: a clock, a store and relay sockets that are not there, and a
// client that signs its requests.
#ifndef TP_TESTS_TURN_FIXTURE_H
#define TP_TESTS_TURN_FIXTURE_H

#include "turn/server.h"

#define REALM "example.org"
#define EVENTS 17 // kinds

// What fixture_run returns besides 0 and an error code.
enum { DROPPED = -1, SENT = -2, MOVED = -3, FORWARDED = -4, CLAIMED = -5 };

struct fixture {
    struct turn_server *server;
    struct quota *quota;
    uint8_t worker;
    bool fellow; // its quota is another one's
    struct turn_config cfg;
    struct auth_config auth;
    struct policy policy;
    struct turn_tuple tuple;
    int64_t now_ms, unix_time;
    // The client.
    const char *user;           // "alice" or "bob" exist
    const char *password;       // "secret" is right
    const struct token *token;  // signs with its mac_key; NULL: by password
    bool send_token;            // ... and sends it
    struct token_key token_key; // that seals it: the store has it under every kid
    bool sha256;
    bool fingerprint;
    bool sign;
    uint8_t request[70000];
    size_t request_len;
    struct stun_writer w;
    uint32_t transaction;
    char nonce[128];
    size_t nonce_len;
    // The store.
    enum store_status store_status;
    uint32_t max_allocations; // of the record
    uint64_t max_bps;         // of the record
    unsigned lookups;
    // The relay.
    int open_result;  // of the next relay_open calls
    int open_result6; // the same for IPv6
    unsigned open;    // sockets that are open
    unsigned opened;  // ever
    int adopt_result; // of the next relay_adopt calls
    unsigned adopted; // relay_adopt calls
    unsigned detached;
    struct turn_relay_request last_open;
    bool last_open_token;
    int peer_result;     // of the next peer_open calls
    unsigned peers;      // connections that are open
    unsigned sent_count; // messages sent to control connections
    uint8_t sent[TURN_REPLY_MAX];
    struct stun_msg sent_msg; // the last one
    // What came out.
    struct turn_output out;
    struct stun_msg answer;
    bool answer_signed;
    unsigned events[EVENTS];
    struct turn_event_info last;
    struct addr last_peer;
    unsigned unexpected_at; // worker of the last TURN_EVENT_UNEXPECTED
};

struct fixture *fixture_new(void);
struct fixture *fixture_new_worker(uint8_t worker); // fixture_new: 3
void fixture_free(struct fixture *f);               // everything must have been given back

// For cmocka: a fixture that has a nonce, one that has an allocation, too, and the end of either.
int fixture_setup(void **state);
int fixture_setup_allocated(void **state);
int fixture_teardown(void **state);

// Another worker of the same server; freed first.
struct fixture *fixture_fellow(struct fixture *f, uint8_t worker);
// What the workers do after FORWARDED: to handles the request of from, which answers.
int fixture_route(struct fixture *from, struct fixture *to);

struct addr ip_port(const char *text);
struct addr_range range(const char *text);

// Begins a request (or an indication) of a new transaction; then stun_put_* on &f->w.
void request_begin(struct fixture *f, enum stun_class class_, uint16_t method);
// Signs and finishes it.
void request_end(struct fixture *f);
// Hands the finished message in, again and again if wanted: 0, an error code, DROPPED or SENT.
int fixture_run(struct fixture *f);
// The last two.
int fixture_send(struct fixture *f);
// The same for bytes from anywhere.
int fixture_input(struct fixture *f, const void *data, size_t len);

// Gets a nonce by a request without credentials.
void fixture_login(struct fixture *f);

int do_allocate(struct fixture *f);
int do_refresh(struct fixture *f, int64_t lifetime); // < 0: no LIFETIME
int do_permit(struct fixture *f, const char *peer);  // "ip:port"
int do_bind(struct fixture *f, unsigned number, const char *peer);
int do_send(struct fixture *f, const char *peer);
int do_allocate_tcp(struct fixture *f); // from here on the client comes by TCP
int do_connect(struct fixture *f, const char *peer);
int do_connection_bind(struct fixture *f, uint32_t id);

// Of the last message that was sent to a control connection: 0 or the error code.
int sent_code(const struct fixture *f);
uint32_t sent_connection_id(const struct fixture *f);

bool answer_has(const struct fixture *f, uint16_t type);
uint32_t answer_u32(const struct fixture *f, uint16_t type);
struct addr answer_addr(const struct fixture *f, uint16_t type);

struct turn_allocation *the_allocation(struct fixture *f);

#endif
