// SPDX-License-Identifier: BSD-2-Clause
// A worker as the stores see it: an event base, the opened stores, and look-ups that are waited
// for.
#ifndef TP_TESTS_STORE_CLIENT_H
#define TP_TESTS_STORE_CLIENT_H

#include <event2/event.h>

#include "auth/stores.h"

// How long to wait for what comes at once on an idle machine, in ms; less than the TTL, which would
// bring it too.
#define STORE_PATIENCE 30000

struct store_client {
    struct event_base *base;
    struct stores *stores;
    const char *uris[4];
    struct stores_config cfg;
};

// One look-up and what came of it.
struct store_ask {
    bool done;
    enum store_status status;
    struct auth_record rec;
    struct store_lookup *lookup; // while it is pending
    unsigned calls;
};

// Realm "example.org", TTL 60 s, timeout 10 s; change cfg between init and open.
void store_client_init(struct store_client *c, const char *uri);
int store_client_open(struct store_client *c, const char **why);
void store_client_close(struct store_client *c);

void store_client_start(struct store_client *c, struct store_ask *a, const void *id, size_t len,
                        bool userhash);

// Asks for a key of access tokens and waits for at most STORE_PATIENCE.
enum store_status store_client_ask_token(struct store_client *c, struct store_ask *a,
                                         const void *kid, size_t len);

// The same again and again, for at most STORE_PATIENCE, until the answer is status.
bool store_client_until_token(struct store_client *c, struct store_ask *a, const void *kid,
                              size_t len, enum store_status status);

// A record for such a key, of 32 times that byte, or of 16 times.
struct auth_record store_token_key(const void *kid, size_t len, enum token_algorithm algorithm,
                                   uint8_t fill);

// Runs the loop until *flag or for ms; returns *flag.
bool store_client_run(struct store_client *c, const bool *flag, unsigned ms);

// Starts and waits for at most STORE_PATIENCE.
enum store_status store_client_ask(struct store_client *c, struct store_ask *a, const char *name);

// Asks again and again, for at most ms, until the answer is status.
bool store_client_until(struct store_client *c, const char *name, enum store_status status,
                        unsigned ms);

#endif
