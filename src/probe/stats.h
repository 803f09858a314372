// SPDX-License-Identifier: BSD-2-Clause
// Percentiles of round-trip times.
#ifndef TP_PROBE_STATS_H
#define TP_PROBE_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "probe/report.h"

// Sorts n times.
void stats_sort(int64_t *times, size_t n);

// The nearest-rank percentile of n > 0 sorted times: percent 0 is the least, 100 the greatest.
int64_t stats_percentile(const int64_t *sorted, size_t n, unsigned percent);

// Sorts, and adds least, median, 95 and 99 percent (where there are enough for them) and greatest
// to the running step.
void stats_show(struct report *r, const char *head, int64_t *times, size_t n);

#endif
