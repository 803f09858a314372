// SPDX-License-Identifier: BSD-2-Clause
// In which order the packets of a flow arrive. No I/O.
#ifndef TP_BENCH_ORDER_H
#define TP_BENCH_ORDER_H

#include <stdint.h>

// One flow; all zero at first.
struct order {
    uint64_t next; // one more than the highest number seen
    uint64_t seen; // bit i: next - 1 - i has come
};

enum order_verdict {
    ORDER_FIRST, // not behind a later one
    ORDER_LATE,
    ORDER_AGAIN, // has come before; what lies more than 64 back is taken for late
};

static inline enum order_verdict order_take(struct order *o, uint64_t seq)
{
    if (seq >= o->next) {
        uint64_t ahead = seq - o->next + 1;
        o->seen = (ahead < 64 ? o->seen << ahead : 0) | 1;
        o->next = seq + 1;
        return ORDER_FIRST;
    }
    uint64_t behind = o->next - 1 - seq, bit = behind < 64 ? UINT64_C(1) << behind : 0;
    if (o->seen & bit)
        return ORDER_AGAIN;
    o->seen |= bit;
    return ORDER_LATE;
}

#endif
