// SPDX-License-Identifier: BSD-2-Clause
#include "bench/progress.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

#define TTY_NS 250000000
#define LINE_NS 10000000000

static char prefix[96];
static int64_t last;
static bool shown;

void progress_prefix(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof(prefix), fmt, ap);
    va_end(ap);
}

void progress_show(const char *fmt, ...)
{
    bool tty = isatty(STDERR_FILENO);
    int64_t now = bench_now(CLOCK_MONOTONIC);
    va_list ap;

    if (!last)
        last = tty ? 0 : now; // the first line of a log has something to say
    if (last && now - last < (tty ? TTY_NS : LINE_NS))
        return;
    last = now;
    fprintf(stderr, "%sturnpike-bench: %s", tty ? "\r\x1b[K" : "", prefix);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    if (!tty)
        fputc('\n', stderr);
    fflush(stderr);
    shown = tty;
}

void progress_clear(void)
{
    if (shown)
        fputs("\r\x1b[K", stderr);
    shown = false;
}
