// SPDX-License-Identifier: BSD-2-Clause
// The clock of the probe: microseconds that never go back.
#ifndef TP_PROBE_CLOCK_H
#define TP_PROBE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

// What is left until a time, in milliseconds for poll(2), rounded up; 0 when it is over.
static inline int clock_left_ms(int64_t deadline)
{
    int64_t left = deadline - clock_us();
    return left <= 0 ? 0 : left > 3600000000 ? 3600000 : (int)((left + 999) / 1000);
}

#endif
