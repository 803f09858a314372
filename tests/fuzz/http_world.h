// SPDX-License-Identifier: BSD-2-Clause
// The server of src/http, without its thread, and clients of it on loopback, in one process: what a
// client has sent is handled when world_turn() is called, all of it and nothing else.
#ifndef TP_TESTS_FUZZ_HTTP_WORLD_H
#define TP_TESTS_FUZZ_HTTP_WORLD_H

#include "fuzz.h"
#include "http/internal.h"

// A server with these lines in its group `signal`. It lasts as long as the process.
struct http *world_server(const char *settings);

// Handles what has come, until there is nothing more to do.
void world_turn(struct http *h);

struct world_client {
    struct http *http;
    int fd;
    bool ended;        // the server has closed its side
    uint8_t *received; // all of it, with a zero behind
    size_t len;
};

void world_connect(struct world_client *c, struct http *h);
// Sends it in one piece and reads what there is to read.
void world_say(struct world_client *c, const void *data, size_t len);
// The same in pieces of the lengths given, and the rest in one.
void world_say_cut(struct world_client *c, const uint8_t *data, size_t len, const uint8_t *cuts,
                   size_t cut_count);
// Closes the sending side.
void world_finish(struct world_client *c);
// Ends the connection, and frees what was received.
void world_disconnect(struct world_client *c);

// The server has no connection left, nor anything that belonged to one.
void world_check_empty(const struct http *h);

#endif
