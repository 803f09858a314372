// SPDX-License-Identifier: BSD-2-Clause
// The URI of a store, parsed.
#ifndef TP_AUTH_URI_H
#define TP_AUTH_URI_H

#include <stdbool.h>

#include "auth/stores.h"

#define URI_ENDPOINTS_MAX 8

enum store_kind { STORE_KIND_SQLITE, STORE_KIND_REDIS, STORE_KIND_SENTINEL };

struct store_uri {
    enum store_kind kind;
    char path[512];     // SQLite: the file. Redis: a Unix socket, or empty
    char user[128];     // Redis 6 ACL user, or empty
    char password[256]; // or empty
    struct stores_endpoint endpoint[URI_ENDPOINTS_MAX]; // Redis, or the sentinels
    unsigned endpoint_count;
    char master[128]; // Sentinel: the name of the group
    unsigned db;
    bool coturn; // keys as coturn lays them out
};

// 0, or -EINVAL with *why, which never shows the password.
int store_uri_parse(struct store_uri *out, const char *text, const char **why);

// A thread-local text, valid until this thread's next call.
const char *store_why(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
