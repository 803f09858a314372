// SPDX-License-Identifier: BSD-2-Clause
// A line on standard error that says how it goes: in place on a terminal, else one every 10 s.
#ifndef TP_BENCH_PROGRESS_H
#define TP_BENCH_PROGRESS_H

void progress_show(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void progress_clear(void);
// A line put before each, such as the step of a ramp; "" for none.
void progress_prefix(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
