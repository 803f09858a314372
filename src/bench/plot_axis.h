// SPDX-License-Identifier: BSD-2-Clause
// Scales with round numbers. No I/O.
#ifndef TP_BENCH_PLOT_AXIS_H
#define TP_BENCH_PLOT_AXIS_H

#include <stdbool.h>

#define PLOT_TICKS 12

struct plot_axis {
    double from, to;
    bool log;
    unsigned count;
    double ticks[PLOT_TICKS];
};

// From 0 to a round number that is not below most (> 0), with 3 to 7 ticks of 1, 2 or 5 times a
// power of ten.
void plot_axis_linear(struct plot_axis *a, double most);

// Powers of ten around least..most (both > 0).
void plot_axis_log(struct plot_axis *a, double least, double most);

// Where a value lies: 0 at the beginning, 1 at the end; beyond them too.
double plot_axis_share(const struct plot_axis *a, double value);

// "0", "12.5", "20k", "1.5M". Returns buf.
const char *plot_number(double value, char buf[32]);

#endif
