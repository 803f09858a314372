// SPDX-License-Identifier: BSD-2-Clause
// A host name to addresses without waiting: by /etc/hosts and the name servers of /etc/resolv.conf,
// with libevent's resolver. getaddrinfo would stall the worker.
#ifndef TP_AUTH_REDIS_RESOLVE_H
#define TP_AUTH_REDIS_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

#define REDIS_RESOLVE_MAX 8

struct event_base;
struct redis_resolve;

// Takes the addresses (borrowed, at most REDIS_RESOLVE_MAX), or why there are none; the handle is
// gone by then.
typedef void redis_resolve_done(const struct addr *list, size_t count, const char *why, void *arg);

// done is called once from base, later, unless the handle is cancelled first. NULL: out of memory,
// or no name server.
struct redis_resolve *redis_resolve_start(struct event_base *base, const char *host, uint16_t port,
                                          redis_resolve_done *done, void *arg);
void redis_resolve_cancel(struct redis_resolve *r); // takes NULL

#endif
