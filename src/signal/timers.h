// SPDX-License-Identifier: BSD-2-Clause
// What is due when: a binary heap of timers that lie in what they are for.
#ifndef TP_SIGNAL_TIMERS_H
#define TP_SIGNAL_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#define TIMER_NEVER INT64_MAX

struct timer {
    int64_t due_ms;
    size_t at; // in the heap
    void (*fire)(struct timer *t);
};

struct timers {
    struct timer **heap;
    size_t count, cap;
};

// Puts a timer in; it stays until it is removed. 0, or -ENOMEM.
int timers_add(struct timers *h, struct timer *t, int64_t due_ms);

// Takes out a timer that is in.
void timers_remove(struct timers *h, struct timer *t);

// Moves a timer that is in, TIMER_NEVER included.
void timers_set(struct timers *h, struct timer *t, int64_t due_ms);

// The one that is due first, NULL: there is none.
struct timer *timers_first(const struct timers *h);

// Gives back the heap; the timers are their owners'.
void timers_free(struct timers *h);

#endif
