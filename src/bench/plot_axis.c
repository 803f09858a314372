// SPDX-License-Identifier: BSD-2-Clause
#include "bench/plot_axis.h"

#include <math.h>
#include <stdio.h>

void plot_axis_linear(struct plot_axis *a, double most)
{
    double power = pow(10, floor(log10(most / 5))), step = power;
    if (most / step > 5)
        step = power * 2;
    if (most / step > 5)
        step = power * 5;
    if (most / step > 6)
        step = power * 10;
    *a = (struct plot_axis){.to = step * ceil(most / step - 1e-9)};
    for (double v = 0; v <= a->to * 1.0001 && a->count < PLOT_TICKS; v += step)
        a->ticks[a->count++] = v;
}

void plot_axis_log(struct plot_axis *a, double least, double most)
{
    double from = floor(log10(least) + 1e-9), to = ceil(log10(most) - 1e-9);
    if (to <= from)
        to = from + 1;
    *a = (struct plot_axis){.from = pow(10, from), .to = pow(10, to), .log = true};
    for (double e = from; e <= to && a->count < PLOT_TICKS; e += 1)
        a->ticks[a->count++] = pow(10, e);
}

double plot_axis_share(const struct plot_axis *a, double value)
{
    if (!a->log)
        return (value - a->from) / (a->to - a->from);
    if (value < a->from)
        return 0;
    return log10(value / a->from) / log10(a->to / a->from);
}

const char *plot_number(double value, char buf[32])
{
    if (value >= 1e6)
        snprintf(buf, 32, "%.4gM", value / 1e6);
    else if (value >= 1e4)
        snprintf(buf, 32, "%.4gk", value / 1e3);
    else
        snprintf(buf, 32, "%.4g", value);
    return buf;
}
