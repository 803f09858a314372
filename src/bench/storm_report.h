// SPDX-License-Identifier: BSD-2-Clause
#ifndef TP_BENCH_STORM_REPORT_H
#define TP_BENCH_STORM_REPORT_H

#include "bench/storm.h"

// Prints what came out. 0 or an exit status, reported.
int storm_report(struct storm *s, const struct bench_target *t);

#endif
