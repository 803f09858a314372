// SPDX-License-Identifier: BSD-2-Clause
// A line on standard error that says how it goes: in place on a terminal, else one every 10 s.
#ifndef TP_BENCH_PROGRESS_H
#define TP_BENCH_PROGRESS_H

// Shows it, unless the last one was only just shown.
void progress_show(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
// Takes it off a terminal, before something else is written there.
void progress_clear(void);
// A line put before each, such as the step of a ramp; "" for none.
void progress_prefix(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
