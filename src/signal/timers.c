// SPDX-License-Identifier: BSD-2-Clause
#include "signal/timers.h"

#include <errno.h>
#include <stdlib.h>

#define CAP_MIN 32

static void put(struct timers *h, size_t at, struct timer *t)
{
    h->heap[at] = t;
    t->at = at;
}

static void up(struct timers *h, struct timer *t)
{
    size_t at = t->at;

    while (at > 0 && h->heap[(at - 1) / 2]->due_ms > t->due_ms) {
        put(h, at, h->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(h, at, t);
}

static void down(struct timers *h, struct timer *t)
{
    size_t at = t->at;

    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < h->count && h->heap[child + 1]->due_ms < h->heap[child]->due_ms)
            child++;
        if (child >= h->count || h->heap[child]->due_ms >= t->due_ms)
            break;
        put(h, at, h->heap[child]);
        at = child;
    }
    put(h, at, t);
}

static int resize(struct timers *h, size_t cap)
{
    struct timer **heap = realloc(h->heap, cap * sizeof *heap);

    if (!heap)
        return -ENOMEM;
    h->heap = heap;
    h->cap = cap;
    return 0;
}

int timers_add(struct timers *h, struct timer *t, int64_t due_ms)
{
    if (h->count == h->cap && resize(h, h->cap ? h->cap * 2 : CAP_MIN) < 0)
        return -ENOMEM;
    t->due_ms = due_ms;
    put(h, h->count++, t);
    up(h, t);
    return 0;
}

void timers_remove(struct timers *h, struct timer *t)
{
    struct timer *last = h->heap[--h->count];

    if (last != t) {
        put(h, t->at, last);
        up(h, last);
        down(h, last);
    }
    if (h->cap > CAP_MIN && h->count < h->cap / 8)
        resize(h, h->cap / 2);
}

void timers_set(struct timers *h, struct timer *t, int64_t due_ms)
{
    t->due_ms = due_ms;
    up(h, t);
    down(h, t);
}

struct timer *timers_first(const struct timers *h)
{
    return h->count ? h->heap[0] : NULL;
}

void timers_free(struct timers *h)
{
    free(h->heap);
    *h = (struct timers){0};
}
