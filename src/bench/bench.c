// SPDX-License-Identifier: BSD-2-Clause
#include "bench/bench.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "bench/progress.h"

static volatile sig_atomic_t stopped;

void bench_stop(void)
{
    stopped = 1;
}

bool bench_stopped(void)
{
    return stopped;
}

static void __attribute__((format(printf, 1, 0))) say(const char *fmt, va_list ap)
{
    progress_clear();
    fflush(stdout);
    fputs("turnpike-bench: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

int bench_usage(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    return BENCH_USAGE;
}

int bench_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    return BENCH_FAILED;
}
