// SPDX-License-Identifier: BSD-2-Clause
// Binding requests from unconnected UDP sockets, several at a time (RFC 5780).
#ifndef TP_PROBE_BINDING_H
#define TP_PROBE_BINDING_H

#include <stddef.h>
#include <stdint.h>

#include "stun/message.h"

enum { CHANGE_IP = 4, CHANGE_PORT = 2 }; // RFC 5780 7.2

struct binding {
    // the request
    int fd;
    struct addr to;
    uint32_t change;        // CHANGE_, 0: no CHANGE-REQUEST
    uint16_t response_port; // 0: no RESPONSE-PORT
    int answer_fd;          // where the answer is expected; -1: on fd
    // the answer
    int result; // 0, a STUN error code, or -ETIMEDOUT and other negative errnos
    int64_t rtt;
    struct addr from, mapped, other; // other: OTHER-ADDRESS, ADDR_NONE without
    char software[64];
    // internal
    uint8_t txid[STUN_TXID_LEN];
    int64_t sent_at, next, rto;
};

// Sends them all, again while they are not answered, and waits until all are or the time is over.
void binding_run(struct binding *list, size_t n, int64_t timeout);

// A request without anything special.
struct binding binding_to(int fd, const struct addr *to);

// The address of this host from which it sends to another, with port 0. 0 or a negative errno.
int binding_local_ip(const struct addr *to, const struct addr *source, struct addr *out);

#endif
