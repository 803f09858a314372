// SPDX-License-Identifier: BSD-2-Clause
// The commands that a question to Redis takes, and what their replies say. Inside the Redis store.
#ifndef TP_AUTH_REDIS_QUERY_H
#define TP_AUTH_REDIS_QUERY_H

#include "auth/redis_fetch.h"

// What the cache keeps of a user: a fraction of an auth_record.
struct redis_cached_user {
    struct auth_key key;
    int64_t created, expires;
    uint64_t max_bps;
    uint32_t max_allocations;
    uint16_t user_len;
    bool disabled;
    uint8_t user[];
};

// And of a key of access tokens.
struct redis_cached_token {
    struct token_key key;
    int64_t created, expires;
    uint16_t kid_len;
    uint8_t kid[];
};

// One answer in either form: what a waiter of its kind is told.
struct redis_answer {
    enum store_status status;
    const struct auth_record *rec;
    const struct secret_list *secrets;
};

// Sends the next command of a fetch, if there is a connection; its reply leads to the next one or
// to redis_fetch_finish. While a connection is being made the command is sent by redis_fetch_resume
// instead. False: it cannot be sent.
bool redis_query_try_send(struct redis_fetch *f);

// The same, and ends the fetch when the command cannot be sent.
void redis_query_send(struct redis_fetch *f);

// Ends a fetch with an answer from Redis, or with NULL: then the cache stands in where it can. In
// redis_fetch.c.
void redis_fetch_finish(struct redis_fetch *f, const struct redis_answer *a);

int64_t redis_now_ms(void); // in redis_fetch.c, too

#endif
