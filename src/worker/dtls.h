// SPDX-License-Identifier: BSD-2-Clause
// DTLS clients of one worker (RFC 7350): their sessions by 5-tuple, and the datagrams that they
// get. The listener's SO_REUSEPORT keeps a client with its worker. Private to src/worker.
#ifndef TP_WORKER_DTLS_H
#define TP_WORKER_DTLS_H

#include "net/dtls.h"
#include "net/dtls_hello.h"
#include "worker/internal.h"

#define DTLS_BATCH 64 // datagrams of one system call, at most
#define DTLS_BATCH_BYTES 98304

struct dtls_session {
    struct io_sink sink; // first: an allocation's link is this sink
    struct dtls dtls;
    struct worker *worker;
    struct udp_socket *udp; // that its datagrams come to and leave from
    struct turn_tuple tuple;
    struct turn_allocation *allocation;
    struct dtls_session *chain; // of its bucket
    TAILQ_ENTRY(dtls_session)
    sessions;           // in the order of beginning: of those that are ready, or of
                        // the unfinished handshakes
    uint8_t random[32]; // of its ClientHello
    int64_t active_ms;  // of its beginning, then of the last record
    int64_t busy_ms;    // when it last needed its buffers
    bool ready, failed; // failed: to be ended at the next chance
};

TAILQ_HEAD(dtls_sessions, dtls_session);

// What the UDP listeners of a worker have in common, if one of them speaks DTLS.
struct dtls_server {
    struct dtls_session **buckets;
    size_t bucket_count; // power of 2
    size_t count;        // of all sessions
    struct dtls_sessions ready, handshakes;
    struct dtls_cookies *cookies;
    struct event timer; // runs while there are handshakes
    // Encrypted datagrams on their way out: what OpenSSL writes is gone with the next record.
    struct udp_socket *batch_udp;
    unsigned batch_count;
    size_t batch_bytes;
    bool flushing;
    struct io_out outs[DTLS_BATCH];
    uint8_t bytes[DTLS_BATCH_BYTES];
    uint8_t plain[DTLS_PLAINTEXT_MAX]; // scratch: what is to be encrypted lies in one piece
};

// --- dtls_session.c ---

// A session for the ClientHello, which is data; its cookie was right. NULL: none was made, or it
// has ended already.
struct dtls_session *dtls_session_new(struct worker *w, struct udp_socket *udp,
                                      const struct turn_tuple *tuple,
                                      const struct dtls_hello *hello, const uint8_t *data,
                                      size_t len, int64_t now_ms);

// The session of a 5-tuple that is ready, or the one whose handshake is under way; NULL: none. For
// as long as the handshake of a restarted client lasts there are both.
struct dtls_session *dtls_session_find(struct worker *w, const struct turn_tuple *tuple,
                                       bool ready);

// One datagram, which is overwritten. True if there was plain text in it. May end the session.
bool dtls_session_input(struct dtls_session *s, uint8_t *data, size_t len, int64_t now_ms);

// Ends it and its allocation. notify: says so to the client.
void dtls_session_end(struct dtls_session *s, const char *why, bool notify);

#endif
