// SPDX-License-Identifier: BSD-2-Clause
// A WebSocket, between the file that reads it and the one that writes it.
#ifndef TP_HTTP_WEBSOCKET_H
#define TP_HTTP_WEBSOCKET_H

#include <openssl/ssl.h>

#include "http/internal.h"
#include "http/wsframe.h"

struct websocket {
    struct link link;
    struct websocket *next, **prev; // those that turn_end looks at; prev NULL: not
    struct event event;             // of the socket
    SSL *ssl;                       // the bufferevent's; NULL: none
    struct wsframe_reader reader;
    uint8_t *out; // from out_at to out_len: what waits to be sent; NULL: nothing
    size_t out_at, out_len, out_cap;
    bool early;      // the bufferevent may have read what came behind the request
    bool again;      // there is more to read, whatever the socket says
    bool waits;      // for the socket to take more
    bool broken;     // it is to be closed at the end of the turn
    bool deaf;       // nothing more is read: it has said good-bye, or does not keep to the protocol
    bool close_sent; // or queued: nothing may follow
    bool close_taken; // the client's
};

static inline size_t websocket_backlog(const struct websocket *ws)
{
    return ws->out_len - ws->out_at;
}

// Has the socket watched for reading, for writing as far as ws->waits, and again soon as far as
// ws->again. False: out of memory.
bool websocket_watch(struct websocket *ws);

// --- websocket_out.c ---

// Has turn_end look at it: send, and close if all is said.
void websocket_touch(struct websocket *ws);
// Touches it no more.
void websocket_untouch(struct websocket *ws);
// Bytes as they are.
void websocket_queue_bytes(struct websocket *ws, const void *head, size_t head_len,
                           const void *data, size_t len);
void websocket_queue_frame(struct websocket *ws, enum ws_opcode opcode, const void *data,
                           size_t len);
// After it nothing is queued any more.
void websocket_queue_close(struct websocket *ws, unsigned code, const char *reason);
// Sends what the socket takes.
void websocket_send(struct websocket *ws);

#endif
