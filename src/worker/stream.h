// SPDX-License-Identifier: BSD-2-Clause
// A client's connection: frames of STUN and padded ChannelData over TCP or TLS, or, once
// ConnectionBind made it a data connection (RFC 6062), plain bytes. Private to src/worker.
#ifndef TP_WORKER_STREAM_H
#define TP_WORKER_STREAM_H

#include <openssl/types.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "worker/internal.h"

struct evbuffer;
struct stream;
struct stream_move;
struct tcp_peer;

// How the bytes of a connection travel: TCP, or TLS on top of it. All calls are made by the
// stream's worker.
struct stream_transport {
    // What has arrived, at most cap bytes: their number (> 0); 0 at the end; -EAGAIN nothing yet;
    // another negative errno: the connection broke.
    ssize_t (*read)(struct stream *s, void *buf, size_t cap);
    // Takes bytes in order: how many, maybe fewer than there are; -EAGAIN none now, to be tried
    // again when the socket can be written; another negative errno: the connection broke.
    ssize_t (*write)(struct stream *s, const struct iovec *iov, int count);
    // Takes one whole frame, which may then wait for push. 0; -EAGAIN: not now, to be tried again
    // when the socket can be written; another negative errno: the connection broke. NULL: frames
    // need not be told apart, write will do.
    int (*put)(struct stream *s, const struct iovec *iov, int count);
    // Whether read has more although the socket may have none.
    bool (*buffered)(const struct stream *s);
    // Sends what has been taken but not sent: 0 when there is nothing (left), -EAGAIN when the
    // socket is to be waited for (the writable event is added then), another negative errno: the
    // connection broke.
    int (*push)(struct stream *s);
    // Says that nothing more will be written, where the protocol has a word for it (NULL: it has
    // none); the sending side of the socket is closed afterwards. 0; -EAGAIN: to be tried again
    // when the socket can be written; another negative errno: the connection broke.
    int (*finish)(struct stream *s);
    // Says goodbye where the protocol has a word for it, and frees s->state. The socket is not its
    // business.
    void (*close)(struct stream *s);
};

extern const struct stream_transport stream_tcp;

// What a connection has to bring before its frames are read.
enum stream_stage {
    STREAM_PROXY,     // the header of the PROXY protocol
    STREAM_FIRST,     // a first byte, which tells TLS and HTTP from what is neither
    STREAM_HELLO,     // a whole ClientHello, which tells whose TLS it is where HTTP is served, too
    STREAM_HANDSHAKE, // that of TLS
    STREAM_INSIDE,    // a first byte in it, which tells HTTP from TURN where ALPN did not
    STREAM_OPEN,      // nothing more
};

struct stream {
    struct io_sink sink; // first: an allocation's link is this sink
    struct worker *worker;
    struct stream *next, **prev;
    int fd;
    const char *why; // it failed; NULL: it broke
    bool failed;     // to be closed by its own read event: never in the middle of something else
    bool aborted;    // it ends without a farewell
    bool spoken;     // a frame has come
    bool paused;     // what it sends is left where it is
    const struct stream_transport *transport;
    void *state; // of the transport
    enum stream_stage stage;
    enum conf_transport accepts; // of its listener
    bool http;                   // so is HTTP
    size_t peeked;               // bytes of a ClientHello that have been looked at
    TAILQ_ENTRY(stream) handshaking;
    struct event readable, writable;
    struct turn_tuple tuple;
    struct turn_allocation *allocation;
    struct stream_move *move; // on its way to another worker
    struct tcp_peer *data;    // of a data connection (RFC 6062): where its bytes go; frames no more
    uint8_t *partial;         // an unfinished frame, or what was not handled when it was paused
    size_t partial_len;
    struct evbuffer *backlog; // NULL until the receiver first fell behind
    int64_t active_ms;        // of the last complete frame, or when its stage began
};

// Closes and frees it, and ends its allocation. Not from within the handling of its own input:
// there, stream_fail.
void stream_close(struct stream *s, const char *why);

// Has it closed at the loop's next chance.
void stream_fail(struct stream *s);

// Handles nothing more of it until it is resumed; what follows in the same read is kept.
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

// Frees it, of which nothing has been read, but not its descriptor, which is returned.
int stream_dissolve(struct stream *s);

// Takes a connection without an allocation out of its worker, with all that it has not handled and
// not sent, so that it can travel to another one by mailbox.
void stream_detach(struct stream *s);
// Its new worker. Handling goes on when it is resumed. False: out of memory, and it is closed.
bool stream_adopt(struct worker *w, struct stream *s);

// Whom it belongs to, from its PROXY header. False: that source has limits.tcp_connections already.
bool stream_set_client(struct stream *s, const struct addr *client, const struct addr *local);
// Keeps bytes for the next read (s->partial). False: out of memory.
bool stream_keep(struct stream *s, const uint8_t *data, size_t len);
// Has a line in the log that says why, and closes it.
void stream_refuse(struct stream *s, const char *why);

// --- stream_begin.c ---
// Takes the first step: for a stream that was just made.
void stream_begin_first(struct stream *s, const struct conf_listen *listen);
// Goes on, when the socket has become readable or writable. True: it is open now. False: more has
// to come, or it has been closed.
bool stream_begin(struct stream *s);
// Closes those whose time is over (limits.tls_timeout). True if it did.
bool stream_begin_expired(struct stream *s, int64_t now_ms);
// What someone must have taken us for whose first byte this is, when it is not what we expect.
const char *stream_mistaken(const struct stream *s, uint8_t first);

// --- stream_tls.c ---
// Begins TLS on a connection of which nothing has been read. With s->http nothing is read beyond a
// record at a time until it is known to be TURN. False: out of memory.
bool stream_tls_start(struct stream *s);
// Goes on with the handshake. 0 when it is complete; -EAGAIN; -EPROTO with *why (valid until the
// next call in this thread); another negative errno when the client left.
int stream_tls_handshake(struct stream *s, const char **why);
// Looks at the first byte inside of TLS, once all has been sent that the handshake left to be. 1;
// 0 at the end; -EAGAIN; another negative errno: the connection broke.
int stream_tls_look(struct stream *s, uint8_t *first);
// Why there may be no HTTP in it; NULL: there may.
const char *stream_tls_bars_http(const struct stream *s);
// It is TURN in there.
void stream_tls_settle(struct stream *s);
// Takes TLS out of a stream that has been looked into: a worker_http's begun. The stream then is
// one of TCP.
SSL *stream_tls_take(struct stream *s);

// --- move.c ---
// Hands the connection over to another worker, with the request that it must answer; to may be the
// number of none.
void stream_move(struct stream *s, unsigned to, const struct turn_input *in,
                 const struct auth_grant *grant);
// The second half, at the loop's next chance.
void stream_depart(struct stream *s);

// --- stream_out.c ---
// Bytes of a data connection: what the receiver does not take is kept, and no more may be written
// until it is told to have drained. 0; 1: something is kept; a negative errno: the connection
// broke.
int stream_write(struct stream *s, const void *data, size_t len);
// Whether something that was written is still kept. As above.
int stream_waits(struct stream *s);
// Nothing more will be written. 0; -EAGAIN: to be called again when it is told to have drained;
// another negative errno: the connection broke.
int stream_finish(struct stream *s);
// The flush of its sink.
void stream_flush(struct io *io, struct io_sink *sink);
// The callback of its writable event.
void stream_on_writable(evutil_socket_t fd, short what, void *arg);
// Bytes that the receiver has not taken yet.
size_t stream_backlog(const struct stream *s);

#endif
