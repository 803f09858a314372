// SPDX-License-Identifier: BSD-2-Clause
// A run of traffic as a picture: SVG, readable on light and dark.
#ifndef TP_BENCH_PLOT_H
#define TP_BENCH_PLOT_H

#include <stdio.h>

#include "bench/traffic.h"

// Writes o->plot. 0 or BENCH_FAILED, reported.
int plot_traffic(const struct bench_options *o, const struct bench_target *t, double rate,
                 const struct traffic_result *r);

// The same to a stream; title and subtitle are text, not markup.
void plot_write(FILE *f, const char *title, const char *subtitle, const struct traffic_result *r);

#endif
