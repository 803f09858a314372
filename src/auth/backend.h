// SPDX-License-Identifier: BSD-2-Clause
// What a store that a URI names offers to stores.c beyond store.h: shared secrets.
#ifndef TP_AUTH_BACKEND_H
#define TP_AUTH_BACKEND_H

#include "auth/store.h"
#include "auth/stores.h"
#include "auth/uri.h"

#define SECRET_MAX 256 // bytes of a shared secret

struct secret_list {
    unsigned count;
    bool more; // than fit
    struct {
        size_t len;
        char text[SECRET_MAX + 1];
    } item[AUTH_KEYS_MAX];
};

// Takes the secrets of a realm: STORE_FOUND with a list (borrowed until the call returns),
// STORE_NOT_FOUND when there are none, or STORE_UNAVAILABLE.
typedef void secrets_done(enum store_status status, const struct secret_list *list, void *arg);

struct backend {
    struct store store; // first: a struct store * is a struct backend *
    // As store_ops.lookup; the handle is cancelled by store_ops.cancel.
    struct store_lookup *(*secrets)(struct backend *b, const char *realm, secrets_done *done,
                                    void *arg);
    // Goes on in another configuration of the same realm, whose name is borrowed from then on.
    // NULL: it is to be opened anew, since the file may be another one now.
    void (*move)(struct backend *b, const char *realm);
    // As stores_watch. NULL: it goes nowhere but where its URI says.
    void (*watch)(struct backend *b, stores_found *found, void *arg);
};

// Both borrow nothing of uri and cfg but cfg->realm. 0 or a negative errno with *why.
int sqlite_store_open(struct backend **out, const struct store_uri *uri, const char **why);
int redis_store_open(struct backend **out, const struct store_uri *uri,
                     const struct stores_config *cfg, struct event_base *base, const char **why);

#endif
