// SPDX-License-Identifier: BSD-2-Clause
#include "util/rate.h"

bool rate_take(struct rate *r, uint32_t per_second, uint32_t burst, uint32_t cost, int64_t now_ms)
{
    uint64_t full = (uint64_t)burst * 1000;
    uint64_t need = (uint64_t)cost * 1000;

    if (r->last_ms == 0 && r->tokens_milli == 0) {
        // 0 marks a new bucket, so a clock that starts there is moved by a millisecond.
        r->tokens_milli = full;
        r->last_ms = now_ms ? now_ms : 1;
    } else if (now_ms > r->last_ms) {
        uint64_t ms = (uint64_t)now_ms - (uint64_t)r->last_ms;
        // One token a second is one thousandth a millisecond. Compared before it is multiplied,
        // since the product of a long idle time may not fit.
        uint64_t room = full > r->tokens_milli ? full - r->tokens_milli : 0;
        if (per_second && ms > room / per_second)
            r->tokens_milli = full;
        else
            r->tokens_milli += ms * per_second;
        r->last_ms = now_ms;
    }
    if (r->tokens_milli > full)
        r->tokens_milli = full;
    if (r->tokens_milli < need)
        return false;
    r->tokens_milli -= need;
    return true;
}
