// SPDX-License-Identifier: BSD-2-Clause
#include "bench/plot.h"

int plot_traffic(const struct bench_options *o, const struct bench_target *t, double rate,
                 const struct traffic_result *r)
{
    (void)o;
    (void)t;
    (void)rate;
    (void)r;
    return bench_fail("no plot yet");
}
