// SPDX-License-Identifier: BSD-2-Clause
// WebSocket frames (RFC 6455 section 5) as a client writes and reads them: no more than the load
// generator needs, and as little work for each as can be.
#ifndef TP_BENCH_WSCLIENT_H
#define TP_BENCH_WSCLIENT_H

#include <stddef.h>
#include <stdint.h>

enum { WSCLIENT_TEXT = 1, WSCLIENT_CLOSE = 8, WSCLIENT_PING = 9, WSCLIENT_PONG = 10 };

#define WSCLIENT_HEADER_MAX 14

// Writes the header of a masked frame. Returns its length.
size_t wsclient_header(uint8_t out[WSCLIENT_HEADER_MAX], uint8_t opcode, size_t len, uint32_t key);

// Masks a payload in place; key as given to wsclient_header.
void wsclient_mask(uint8_t *p, size_t len, uint32_t key);

struct wsclient_frame {
    uint8_t opcode;
    const uint8_t *data;
    size_t len;
};

// The frame at the beginning of data. Returns its length with the header, 0 when not all of it is
// there, -1 when it is none that these servers send: masked, extended, or a piece of a message.
long wsclient_read(struct wsclient_frame *out, const uint8_t *data, size_t len);

#endif
