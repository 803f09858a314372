// SPDX-License-Identifier: BSD-2-Clause
#include "http/reserve.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#define BLOCK 192 // bytes: a struct evbuffer is longer than the rest, and has about 150
#define AT_ONCE 16

static _Thread_local struct reserve *in_use;

static void *take(size_t size)
{
    if (!in_use || size > BLOCK || in_use->left == 0 || in_use->count == 0)
        return NULL;
    in_use->left--;
    return in_use->blocks[--in_use->count];
}

static void *reserve_malloc(size_t size)
{
    void *p = malloc(size);
    return p ? p : take(size);
}

static void fill(struct reserve *r)
{
    while (r->count < RESERVE_BLOCKS && (r->blocks[r->count] = malloc(BLOCK)))
        r->count++;
}

int reserve_init(struct reserve *r)
{
    fill(r);
    if (r->count < RESERVE_BLOCKS)
        return -ENOMEM;
    event_set_mem_functions(reserve_malloc, realloc, free);
    return 0;
}

void reserve_open(struct reserve *r)
{
    fill(r);
    r->left = AT_ONCE;
    in_use = r;
}

bool reserve_low(const struct reserve *r)
{
    return r->count < RESERVE_BLOCKS / 2;
}

void reserve_free(struct reserve *r)
{
    if (in_use == r)
        in_use = NULL;
    while (r->count > 0)
        free(r->blocks[--r->count]);
}
