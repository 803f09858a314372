// SPDX-License-Identifier: BSD-2-Clause
// A client's connection: frames of STUN and padded ChannelData over TCP or TLS, or, once
// ConnectionBind made it a data connection (RFC 6062), plain bytes. Private to src/worker.
#ifndef TP_WORKER_STREAM_H
#define TP_WORKER_STREAM_H

#include <sys/uio.h>

#include "worker/internal.h"

struct evbuffer;
struct stream;

// How the bytes of a connection travel: TCP, or TLS on top of it. All calls are made by the
// stream's worker.
struct stream_transport {
    // What has arrived, at most cap bytes: their number (> 0); 0 at the end; -EAGAIN nothing yet;
    // another negative errno: the connection broke.
    ssize_t (*read)(struct stream *s, void *buf, size_t cap);
    // Takes bytes in order: how many, maybe fewer than there are; -EAGAIN none now, to be tried
    // again when the socket can be written; another negative errno: the connection broke.
    ssize_t (*write)(struct stream *s, const struct iovec *iov, int count);
    // Whether read has more although the socket may have none.
    bool (*buffered)(const struct stream *s);
    // Says goodbye where the protocol has a word for it, and frees s->state. The socket is not its
    // business.
    void (*close)(struct stream *s);
};

extern const struct stream_transport stream_tcp;

struct stream {
    struct io_sink sink; // first: an allocation's link is this sink
    struct worker *worker;
    struct stream *next, **prev;
    int fd;
    bool failed; // to be closed by its own read event: never in the middle of something else
    bool paused; // what it sends is left where it is
    const struct stream_transport *transport;
    void *state; // of the transport
    struct event readable, writable;
    struct turn_tuple tuple;
    struct turn_allocation *allocation;
    uint8_t *partial; // an unfinished frame, or what was not handled when it was paused
    size_t partial_len;
    struct evbuffer *backlog; // NULL until the receiver first fell behind
    int64_t active_ms;        // of the last complete frame
};

// Closes and frees it, and ends its allocation. Not from within the handling of its own input:
// there, stream_fail.
void stream_close(struct stream *s, const char *why);

// Has it closed at the loop's next chance.
void stream_fail(struct stream *s);

// Handles nothing more of it until it is resumed; what follows in the same read is kept.
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

// Takes a connection without an allocation out of its worker, with all that it has not handled and
// not sent, so that it can travel to another one by mailbox.
void stream_detach(struct stream *s);
// Its new worker. Handling goes on when it is resumed. False: out of memory, and it is closed.
bool stream_adopt(struct worker *w, struct stream *s);

// --- stream_out.c ---
// The flush of its sink.
void stream_flush(struct io *io, struct io_sink *sink);
// The callback of its writable event.
void stream_on_writable(evutil_socket_t fd, short what, void *arg);
// Bytes that the receiver has not taken yet.
size_t stream_backlog(const struct stream *s);

#endif
