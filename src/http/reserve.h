// SPDX-License-Identifier: BSD-2-Clause
// A little memory set aside for libevent. evhttp 2.1 gives a connection or a request up that it has
// no memory for, but for a few small blocks: the address of a new connection
// (evhttp_connection_base_bufferevent_new), the two lists of headers of a new request
// (evhttp_request_new), and with TLS the buffers of its bufferevent
// (bufferevent_openssl_socket_new). Without one of those the process ends.
#ifndef TP_HTTP_RESERVE_H
#define TP_HTTP_RESERVE_H

#include <stdbool.h>

#define RESERVE_BLOCKS 512

struct reserve {
    void *blocks[RESERVE_BLOCKS];
    unsigned count; // that are there
    unsigned left;  // that may be taken until the next reserve_open()
};

// Fills it, and has libevent ask for memory by way of it, in the whole process: before there are
// other threads. 0 or -ENOMEM.
int reserve_init(struct reserve *r);

// What libevent makes next in this thread, a connection with its request or the next request, gets
// its small blocks from here when malloc has none. Fills up what is missing, as far as that goes.
void reserve_open(struct reserve *r);

// Whether so many are gone that nothing new should begin.
bool reserve_low(const struct reserve *r);

// Not while others of its thread are in use.
void reserve_free(struct reserve *r);

#endif
