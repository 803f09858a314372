// SPDX-License-Identifier: BSD-2-Clause
// Token bucket.
#ifndef TP_UTIL_RATE_H
#define TP_UTIL_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
    int64_t last_ms;
    uint64_t tokens_milli; // thousandths of a token
};

// Takes `cost` tokens from a bucket that fills at per_second and holds `burst`. False, and nothing
// taken, when there are too few. A zeroed struct starts full. now_ms is monotonic.
bool rate_take(struct rate *r, uint32_t per_second, uint32_t burst, uint32_t cost, int64_t now_ms);

#endif
