// SPDX-License-Identifier: BSD-2-Clause
// A configuration made ready for use: what the parts of a worker take, in their own terms.
// Immutable and shared; the last worker to let go of it frees it.
#ifndef TP_WORKER_SNAPSHOT_H
#define TP_WORKER_SNAPSHOT_H

#include <stdatomic.h>

#include "auth/stores.h"
#include "conf/conf.h"
#include "turn/server.h"

struct snapshot {
    atomic_uint references;
    struct conf *conf;
    struct auth_config auth;
    struct policy policy;
    struct turn_config turn;
    struct stores_config stores;
    struct addr *relays; // relay addresses: as configured, or as found
    size_t relay_count;
    // Owned by the snapshot, pointed to from above.
    struct addr *own, *policy_relays, *closed;
    struct stores_user *users;
};

// Takes ownership of conf, also when it fails. nonce_key: used unless the configuration sets one.
// One reference is the caller's. NULL with *why (static) set.
struct snapshot *snapshot_new(struct conf *conf, const uint8_t nonce_key[32], const char **why);
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s);

// What a client is told for a relay address: its external address where one is mapped. The port is
// kept.
struct addr snapshot_external(const struct snapshot *s, const struct addr *relayed);

#endif
