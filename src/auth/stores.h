// SPDX-License-Identifier: BSD-2-Clause
// The stores of one worker, asked in the order in which the configuration lists them: first the
// configuration's own users and secrets, then each URI. The first that knows the user answers; a
// name with an expiry in front of a colon is looked for among the shared secrets before it is among
// the users of URIs, one that is a mere number afterwards. If none knows it but one was
// unavailable, the answer is "unavailable": nobody is refused for good because a store was away,
// and nobody is let in.
#ifndef TP_AUTH_STORES_H
#define TP_AUTH_STORES_H

#include "auth/store.h"
#include "util/addr.h"

struct stores_user {
    const char *name;
    const char *password; // either this
    const char *key;      // or MD5(user:realm:password) as 32 hex digits
};

// A key of access tokens.
struct stores_token_key {
    const char *kid;
    const char *key; // as token_key_parse takes it
    enum token_algorithm algorithm;
};

struct stores_config {
    const char *realm;
    const char *const *uris; // "sqlite:/path", "redis://[:password@]host:port/db[?layout=coturn]",
                             // "redis+sentinel://..."
    size_t uri_count;
    const struct stores_user *users;
    size_t user_count;
    const char *const *secrets; // shared secrets (draft-uberti-behave-turn-rest)
    size_t secret_count;
    const struct stores_token_key *token_keys;
    size_t token_key_count;
    unsigned cache_ttl_ms;  // how long a Redis answer is used without asking again
    unsigned timeout_ms;    // of one look-up
    unsigned cache_entries; // at most; the oldest goes first
    unsigned max_pending;   // look-ups that wait at once
};

struct event_base;
struct stores;

// Opens all of them; the strings of cfg are borrowed until stores_close. A Redis that is not
// reachable is logged and retried, an SQLite file that cannot be opened or made is an error. 0 or a
// negative errno, *why then a static or thread-local text.
int stores_open(struct stores **out, const struct stores_config *cfg, struct event_base *base,
                const char **why);

// Takes over from an older set of the same event base, of which no look-up is pending, what is the
// same in both: the connections and the cache of a Redis. So a reload while it is away loses
// nothing that is known. All that old is good for then is to be closed.
void stores_inherit(struct stores *s, struct stores *old);

// Has found called, from the event loop, with the address of a server that a store goes to although
// no URI names it: the master that a sentinel has named. Each time that it is named. Call it before
// the event loop runs, or runs on; what is inherited keeps the one that it has.
typedef void stores_found(const struct addr *server, void *arg);
void stores_watch(struct stores *s, stores_found *found, void *arg);

void stores_close(struct stores *s); // pending look-ups are cancelled

// As store_ops.lookup. now is Unix seconds (for shared-secret user names that carry an expiry).
struct store_lookup *stores_lookup(struct stores *s, const struct store_query *q, int64_t now,
                                   store_done *done, void *arg);
void stores_cancel(struct stores *s, struct store_lookup *l);

// Whether some user of this configuration has nothing but an MD5 key: then auth_config.md5_only
// should be set, since a client that is offered SHA-256 takes it (RFC 8489 9.2.5) and could not get
// in.
bool stores_md5_only(const struct stores_config *cfg);

// Checks a URI without opening anything. 0, or -EINVAL with *why saying what is wrong and what is
// allowed.
int stores_check_uri(const char *uri, const char **why);

// Whether that host:port is one of the stores' (policy T3 refuses them as peers): calls add for
// each numeric address that the URIs name. Host names are resolved by the caller at start.
struct stores_endpoint {
    char host[256];
    uint16_t port;
};
// The network end points that a URI names, at most cap; the number written.
size_t stores_endpoints(const char *uri, struct stores_endpoint *out, size_t cap);

#endif
