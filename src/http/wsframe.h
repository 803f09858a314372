// SPDX-License-Identifier: BSD-2-Clause
// Frames of the WebSocket protocol (RFC 6455 section 5), as a server reads and writes them. No I/O:
// bytes come and go as arguments.
//
// A reader keeps what is not whole yet between two calls, and takes memory only for messages that
// come in pieces: never more than has come of one, and never more than its limit.
#ifndef TP_HTTP_WSFRAME_H
#define TP_HTTP_WSFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// RFC 6455 5.2
enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

// RFC 6455 7.4.1: those that this layer finds by itself.
enum ws_code {
    WS_CODE_PROTOCOL = 1002, // a frame that cannot be
    WS_CODE_NONE = 1005,     // never sent: the Close frame had none
    WS_CODE_INVALID = 1007,  // text that is no UTF-8
    WS_CODE_TOO_BIG = 1009,
    WS_CODE_INTERNAL = 1011, // out of memory
};

#define WSFRAME_HEADER_CLIENT 14 // bytes of the longest header of a client (masked)
#define WSFRAME_HEADER_MAX 10    // of a server
#define WSFRAME_CONTROL_MAX 125  // bytes of a control frame's payload (5.5)

struct wsframe_limits {
    size_t text, binary; // bytes of a message
};

// Zero is a good beginning.
struct wsframe_reader {
    uint8_t *message; // what has come of one in pieces, unmasked
    size_t len, cap;
    uint64_t left;   // bytes of the frame under way that are to come
    uint8_t mask[4]; // the first is for the next byte
    uint8_t header[WSFRAME_HEADER_CLIENT];
    uint8_t header_len;          // what has come of a header
    uint8_t type;                // of the message under way; WS_CONTINUATION: there is none
    uint8_t opcode;              // of the frame under way
    bool fin;                    // that is the last one of its message
    bool payload;                // its header is complete
    bool handed_over;            // message has been reported
    uint8_t utf8_more;           // bytes that the character under way has yet to come
    uint8_t utf8_low, utf8_high; // bounds of the next one
    uint8_t control_len;
    uint8_t control[WSFRAME_CONTROL_MAX];
};

enum wsframe_kind {                 // those of frames are their opcodes
    WSFRAME_MORE = WS_CONTINUATION, // everything has been read, and no more is whole
    WSFRAME_TEXT = WS_TEXT,         // a whole message: valid UTF-8
    WSFRAME_BINARY = WS_BINARY,     // likewise a whole message
    WSFRAME_CLOSE = WS_CLOSE, // code: as it came, or WS_CODE_NONE; data: the reason. The last one
    WSFRAME_PING = WS_PING,
    WSFRAME_PONG = WS_PONG,
    WSFRAME_FAILED = 16, // code: what to close with. Nothing may be read any more
};

struct wsframe_found {
    const uint8_t *data; // in the input or in the reader; valid until the next call
    size_t len;
    unsigned code;
};

// Reads from *at up to the end of the first message or control frame, and moves *at there. What
// lies between is unmasked in place, so that the bytes before *at are not what came. A mistake is
// told as soon as the bytes that show it are there; a message that is too long, with its header.
enum wsframe_kind wsframe_read(struct wsframe_reader *r, const struct wsframe_limits *limits,
                               uint8_t **at, const uint8_t *end, struct wsframe_found *out);

// Gives back its memory; then it is as new.
void wsframe_reader_free(struct wsframe_reader *r);

// The header of an unmasked frame that is a message by itself, or a control frame. Returns how many
// bytes.
size_t wsframe_header(uint8_t out[WSFRAME_HEADER_MAX], enum ws_opcode opcode, uint64_t len);

// A whole Close frame, an empty one for WS_CODE_NONE; a reason longer than fits is cut. Returns how
// many bytes.
#define WSFRAME_CLOSE_MAX (2 + WSFRAME_CONTROL_MAX)
size_t wsframe_close(uint8_t out[WSFRAME_CLOSE_MAX], unsigned code, const char *reason);

#endif
