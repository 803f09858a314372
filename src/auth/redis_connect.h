// SPDX-License-Identifier: BSD-2-Clause
// A blocking connection to the Redis that a URI names: for the CLI.
#ifndef TP_AUTH_REDIS_CONNECT_H
#define TP_AUTH_REDIS_CONNECT_H

#include <hiredis/hiredis.h>

#include "auth/uri.h"

// Asks the sentinels, if there are any. Not logged in yet. NULL with *why.
redisContext *redis_connect(const struct store_uri *u, const char **why);

// What a call on c has just failed of, as a text: errno is looked at.
const char *redis_connect_why(const redisContext *c);

#endif
