// SPDX-License-Identifier: BSD-2-Clause
// One client's dealings with the server, a request at a time: allocate, bind a channel or ask for a
// permission, refresh, release. Or the one question of the bare forwarder ("floor").
#ifndef TP_BENCH_SESSION_H
#define TP_BENCH_SESSION_H

#include "bench/link.h"
#include "stun/integrity.h"
#include "stun/message.h"

enum session_step {
    SESSION_NEW,
    SESSION_CHALLENGE, // Allocate without credentials, for realm and nonce
    SESSION_ALLOCATE,
    SESSION_BIND, // ChannelBind, which installs the permission too (RFC 8656 12), or
                  // CreatePermission
    SESSION_READY,
    SESSION_REFRESH, // what keeps it: still ready
    SESSION_REBIND,
    SESSION_QUIET,   // sends nothing more, so that nothing is on its way when it is released
    SESSION_RELEASE, // Refresh with a lifetime of 0
    SESSION_GONE,
    SESSION_FAILED,
};

struct bench_client {
    struct link link;
    enum session_step step;
    bool live;           // traffic may use it; read by the senders
    int peer_fd;         // -1: a hold's, which has one for all
    bool peer_owned;     // this client opened it,
    bool peer_shared;    // and others use it too; else it is connected to the relayed address
    struct addr relayed; // once it is known
    uint32_t index;
    uint32_t lane;  // whose thread reads it
    unsigned tries; // of the request under way
    unsigned challenges, moves;
    bool opened;      // its link was open before: when it is opened again it comes from elsewhere
    bool returning;   // of a client that comes and goes: not yet counted as allocated again
    bool counted;     // its failure is
    int64_t deadline; // when it is sent again; CLOCK_MONOTONIC
    int64_t begun_ns; // when its Allocate, or whatever began, was sent first
    int64_t keep_ns;  // when it is to be refreshed
    int failure;      // of a client that FAILED: STUN error code or negative errno
    uint8_t txid[STUN_TXID_LEN];
    uint16_t nonce_len;
    uint8_t nonce[256];
    struct addr peer;
};

// What all clients share. The key is learnt from the first challenge.
struct session_env {
    const struct bench_options *options;
    const struct bench_target *target;
    bool have_key;
    char realm[256];
    uint8_t key[STUN_KEY_MD5_LEN];
    uint64_t retransmissions;
    char failure[512]; // of the client that failed last: "client 17: Allocate: 486 ..."
};

// Takes a step: sends its request. READY, GONE and so on only set it.
void session_begin(struct session_env *env, struct bench_client *c, enum session_step step);

// Whether a request is under way.
bool session_busy(const struct bench_client *c);

// Acts on a message from the server; what does not answer the request under way is passed over. The
// client may go on to the next step, or to FAILED.
void session_take(struct session_env *env, struct bench_client *c, const uint8_t *data, size_t len);

// Sends the request again when it is due, and gives up after some tries: FAILED. Also drops clients
// of a stream, where nothing is sent again, when the time is over.
void session_tick(struct session_env *env, struct bench_client *c, int64_t now);

// The connection is gone, or could not be made.
void session_fail(struct session_env *env, struct bench_client *c, const char *step, int error,
                  const char *why);

// A request with the client's credentials around what is put in between; for storms.
void session_request_begin(struct stun_writer *w, uint8_t *buf, size_t cap, uint16_t method,
                           const uint8_t *txid);
size_t session_request_end(struct session_env *env, const struct bench_client *c,
                           struct stun_writer *w);

// Takes realm and nonce from an error response. 0 or -EPROTO.
int session_learn(struct session_env *env, struct bench_client *c, const struct stun_msg *msg);

#endif
