// SPDX-License-Identifier: BSD-2-Clause
// How a signaling server wants to be spoken to: what a client says until it is in a room with its
// partner, and what a message to that partner looks like. In texts $me is the client's name, $peer
// its partner's, $room that of their room.
#ifndef TP_BENCH_DIALECT_H
#define TP_BENCH_DIALECT_H

#include <stddef.h>
#include <stdint.h>

#define DIALECT_STEPS 4
#define DIALECT_TEXT 512 // bytes of a text that is filled in, its end included

struct dialect_step {
    const char *wait; // until a text with this comes; NULL: for nothing
    const char *say;  // then; NULL: the client is ready
};

struct dialect {
    const char *name;
    const char *path;
    struct dialect_step steps[DIALECT_STEPS];
    const char *before, *behind; // of the payload, in what a client sends
    size_t tail;                 // bytes behind the payload in what arrives
    const char *ping, *pong;     // of the dialect itself; NULL: none
    const char *error;           // in an object with code and message, that something is refused;
                                 // NULL: nothing of that kind
};

#define DIALECTS 3
extern const struct dialect dialects[DIALECTS]; // turnpike, peerjs, socketio

// Fills a text in for client number `index`; its partner is index ^ 1. run keeps the names of runs
// apart. Returns the length, or 0 when it does not fit.
size_t dialect_fill(char out[DIALECT_TEXT], const char *text, uint32_t run, uint32_t index);

#endif
