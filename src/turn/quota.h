// SPDX-License-Identifier: BSD-2-Clause
// How many allocations a user and the whole server hold, counted across workers. Touched when an
// allocation is made and when it ends, never by a packet; one mutex.
#ifndef TP_TURN_QUOTA_H
#define TP_TURN_QUOTA_H

#include <stddef.h>
#include <stdint.h>

#include "turn/bandwidth.h"

struct quota;

// A user that holds at least one allocation: its name is stored once, however many it has.
struct quota_user {
    struct quota_user *next;
    struct bandwidth bandwidth; // of all its allocations
    atomic_ullong bps;          // limit of its own, 0: the server's for everyone
    uint32_t count;
    uint16_t name_len;
    uint8_t name[]; // name_len bytes and a zero
};

// NULL: out of memory.
struct quota *quota_new(void);
void quota_free(struct quota *q); // everything must have been released

// Counts one more allocation. Limits of 0 mean none. 0 and *out set; -EDQUOT the user has its
// number (486); -ENOSPC the server has (508); -ENOMEM.
int quota_acquire(struct quota *q, const void *user, size_t len, uint32_t user_max,
                  uint32_t total_max, struct quota_user **out);

// Counts one less; u may be freed by it. NULL is nothing.
void quota_release(struct quota *q, struct quota_user *u);

// Allocations of all users.
uint32_t quota_total(struct quota *q);

// What everyone relays; not under the mutex.
struct bandwidth *quota_bandwidth(struct quota *q);

#endif
