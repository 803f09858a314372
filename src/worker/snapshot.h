// SPDX-License-Identifier: BSD-2-Clause
// A configuration made ready for use: what the parts of a worker take, in their own terms.
// Immutable and shared; the last worker to let go of it frees it.
#ifndef TP_WORKER_SNAPSHOT_H
#define TP_WORKER_SNAPSHOT_H

#include <stdatomic.h>

#include "auth/stores.h"
#include "conf/conf.h"
#include "net/tls.h"
#include "turn/server.h"

struct snapshot {
    atomic_uint references;
    struct conf *conf;
    struct auth_config auth;
    struct policy policy;
    struct turn_config turn;
    struct stores_config stores;
    const char *ice_secret;  // that credentials in iceServers are made from; NULL: no signaling
    struct tls_context *tls; // NULL: no certificate is configured
    struct addr *relays;     // relay addresses: as configured, or as found
    size_t relay_count;
    // Owned by the snapshot, pointed to from above.
    struct addr *own, *policy_relays, *closed;
    struct stores_user *users;
    struct stores_token_key *token_keys;
};

// Takes ownership of conf, also when it fails. nonce_key: used unless the configuration sets one.
// ice_secret: borrowed; a shared secret of this process, used for iceServers unless the
// configuration has one. One reference is the caller's. NULL with *why set (valid until the next
// call in this thread).
struct snapshot *snapshot_new(struct conf *conf, const uint8_t nonce_key[32],
                              const char *ice_secret, const char **why);
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s);

// conf_explain in a text that is valid until the next call in this thread.
const char *snapshot_explain(const struct conf *c, const char *why);

// Reads certificates and keys. NULL in *out when none are configured. 0 or a negative errno with
// why.
int snapshot_make_tls(struct tls_context **out, const struct conf *c, char why[TLS_WHY_MAX]);

// What a client is told for a relay address: its external address where one is mapped. The port is
// kept.
struct addr snapshot_external(const struct snapshot *s, const struct addr *relayed);

// announce.c: logs where clients are served, and the addresses that they are given.
void snapshot_report_addresses(const struct snapshot *s);

// behavior.c: finds the listeners that NAT behaviour discovery (RFC 5780) can be served on.
void snapshot_fill_behaviors(struct snapshot *s);
// Logs for which addresses it is on.
void snapshot_report_behaviors(const struct snapshot *s);

#endif
