// SPDX-License-Identifier: BSD-2-Clause
// A hub with a clock of the test's and clients that keep what is sent to them. Nothing here
// allocates after fixture_new(), so that tests can let allocations fail.
#ifndef TP_TESTS_SIGNAL_FIXTURE_H
#define TP_TESTS_SIGNAL_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "signal/hub.h"

#define CLIENTS 12
#define FRAMES 256
#define SCRATCH (128 << 10)

struct client {
    struct fixture *f;
    struct signal_conn *conn; // NULL: not open, or closed
    struct addr addr;
    char bytes[600 << 10]; // frames that have come, one behind the other
    size_t used;
    size_t at[FRAMES + 1]; // where each begins
    unsigned count, read;  // frames that have come, that the test has looked at
    unsigned pings;
    unsigned code; // that it was closed with
    char reason[128];
    size_t backlog; // as told to the hub
    json_t *last;
    char id[24], resume[64]; // of client_named()
};

struct fixture {
    struct signal_settings settings;
    struct signal_hub *hub;
    int64_t now_ms, unix_ms;
    uint64_t seed;
    char *scratch; // where what is said lies
    int ice_fails; // negative errno
    uint32_t ice_ttl, ice_made;
    struct client clients[CLIENTS];
};

// With defaults, except that nobody hears of others coming and going who has not asked.
struct fixture *fixture_new(void);
void fixture_settings(struct fixture *f);         // makes the hub take f->settings
void fixture_free(struct fixture *f);             // checks that nothing is left
void fixture_wait(struct fixture *f, int64_t ms); // tick by tick

extern const struct signal_ops fixture_ops; // a link is a struct client, arg the fixture

// A new connection of clients[i]; false: refused.
bool client_open_with(struct client *c, const char *token);
struct client *client_open(struct fixture *f, unsigned i);
struct client *client_named(struct fixture *f, unsigned i, const char *name);
void client_join(struct client *c, const char *room);
void client_lose(struct client *c, unsigned code);

void say(struct client *c, const char *text); // ' stands for "
void say_bytes(struct client *c, const void *data, size_t len);

// The next frame holds all that is in text (' for "), objects member by member, other values as a
// whole. Returned until the next call.
json_t *expect(struct client *c, const char *text);
// The next frame, byte by byte.
void expect_bytes(struct client *c, const char *text);
void expect_error(struct client *c, const char *code);
void expect_closed(struct client *c, unsigned code);
void expect_nothing(struct client *c);
void skip_all(struct client *c); // all that has come

// A token signed with key; claims with ' for ".
const char *make_token(const char *key, const char *header, const char *claims);

#endif
