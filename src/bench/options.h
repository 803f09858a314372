// SPDX-License-Identifier: BSD-2-Clause
// The options of turnpike-bench: one table for reading, for the help, and for which command takes
// what.
#ifndef TP_BENCH_OPTIONS_H
#define TP_BENCH_OPTIONS_H

#include "bench/bench.h"

// Reads the arguments and the password. 0 with o complete, BENCH_USAGE (reported), or -1 when there
// is nothing left to do (--help, --version).
int options_parse(struct bench_options *o, int argc, char **argv);

#endif
