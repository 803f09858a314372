// SPDX-License-Identifier: BSD-2-Clause
// hold: many allocations that do nothing. What each takes of memory, and whether the last ones cost
// more CPU than the first.
#include <inttypes.h>
#include <stdio.h>

#include "bench/progress.h"
#include "bench/relay.h"
#include "bench/report.h"

#define ENDS 1000           // set-ups at the beginning and at the end whose CPU is compared
#define SETTLE_NS 500000000 // before memory is read

struct hold {
    const struct bench_options *options;
    struct set set;
    int64_t memory[3];   // with none, a tenth and all
    int64_t first, last; // ns of CPU for the first and the last `ends`
    size_t ends, tenth;
    double setup_s;
};

static int64_t cpu_of(const struct hold *h)
{
    struct proc_cpu cpu;
    return h->options->pid && proc_cpu_read(h->options->pid, &cpu) == 0 ? cpu.total_ns : 0;
}

static int64_t settled_memory(const struct hold *h)
{
    bench_sleep_until(bench_now(CLOCK_MONOTONIC) + SETTLE_NS);
    return relay_memory(h->options);
}

static int bind_until(struct hold *h, size_t end)
{
    int64_t begin = bench_now(CLOCK_MONOTONIC);
    int rc = set_bind(&h->set, end);
    h->setup_s += (double)(bench_now(CLOCK_MONOTONIC) - begin) / 1e9;
    return rc;
}

static int set_up(struct hold *h)
{
    size_t n = h->options->clients;
    int64_t before = cpu_of(h);
    int rc = bind_until(h, h->ends);

    h->first = cpu_of(h) - before;
    if (rc == 0)
        rc = bind_until(h, h->tenth);
    h->memory[1] = settled_memory(h);
    // In pieces, so that a terminal sees how far it is.
    for (size_t end = h->tenth; rc == 0 && end < n - h->ends;) {
        end = end + ENDS < n - h->ends ? end + ENDS : n - h->ends;
        progress_show("%zu of %zu allocations", end, n);
        rc = bind_until(h, end);
    }
    before = cpu_of(h);
    if (rc == 0)
        rc = bind_until(h, n);
    h->last = cpu_of(h) - before;
    progress_clear();
    return rc;
}

// Holds them, and refreshes what would expire.
static int wait(struct hold *h)
{
    int64_t end = bench_now(CLOCK_MONOTONIC) + (int64_t)(h->options->seconds * 1e9), now;
    int rc = 0;
    while (rc == 0 && (now = bench_now(CLOCK_MONOTONIC)) < end && !bench_stopped()) {
        int64_t next = now + 1000000000;
        progress_show("holding %zu allocations, %.0f s left", h->options->clients,
                      (double)(end - now) / 1e9);
        rc = set_keep(&h->set);
        bench_sleep_until(next < end ? next : end);
    }
    progress_clear();
    return rc;
}

struct figures {
    double each, rest, ratio;
};

static struct figures figures_of(const struct hold *h)
{
    double n = (double)h->options->clients, rest = n - (double)h->tenth;
    struct figures f = {.each = (double)(h->memory[2] - h->memory[0]) / n};
    f.rest = rest > 0 ? (double)(h->memory[2] - h->memory[1]) / rest : f.each;
    f.ratio = h->first > 0 ? (double)h->last / (double)h->first : 0;
    return f;
}

static json_t *json_of(const struct hold *h, const struct bench_target *t)
{
    json_t *root = report_new(h->options, t);
    struct figures f = figures_of(h);
    report_set(root, "allocations", json_integer((json_int_t)h->options->clients));
    report_set(root, "setup_s", json_real(h->setup_s));
    report_set(root, "retransmissions", json_integer((json_int_t)h->set.env.retransmissions));
    if (!h->options->pid)
        return root;
    report_set(root, "bytes_each", json_real(f.each));
    report_set(root, "bytes_each_last_9_10", json_real(f.rest));
    report_set(root, "setup_cpu_us",
               json_pack("{s:f, s:f, s:f, s:i}", "first_1000",
                         (double)h->first / 1e3 / (double)h->ends, "last_1000",
                         (double)h->last / 1e3 / (double)h->ends, "ratio", f.ratio, "set_ups",
                         (int)h->ends));
    report_set(root, "server_process",
               json_pack("{s:i, s:I, s:I}", "pid", (int)h->options->pid, "rss_anon_kib",
                         (json_int_t)h->memory[2] / 1024, "rss_anon_kib_before",
                         (json_int_t)h->memory[0] / 1024));
    return root;
}

static void print(const struct hold *h, const struct bench_target *t)
{
    struct figures f = figures_of(h);
    report_heading(h->options, t);
    printf("  allocations   %zu, set up in %.2f s, %" PRIu64 " retransmissions\n",
           h->options->clients, h->setup_s, h->set.env.retransmissions);
    if (!h->options->pid)
        return;
    printf("  server memory %.1f MiB, %.1f MiB before\n", (double)h->memory[2] / 1048576,
           (double)h->memory[0] / 1048576);
    printf("  each          %.0f bytes; of the last nine tenths %.0f bytes\n", f.each, f.rest);
    printf("  server CPU    %.1f us a set-up among the first %zu, %.1f among the last: x %.2f\n",
           (double)h->first / 1e3 / (double)h->ends, h->ends,
           (double)h->last / 1e3 / (double)h->ends, f.ratio);
}

int bench_hold(const struct bench_options *o, const struct bench_target *t)
{
    struct hold h = {.options = o};
    size_t n = o->clients;
    int rc;

    h.ends = n >= 2 * ENDS ? ENDS : n / 2 ? n / 2 : 1;
    h.tenth = (n + 9) / 10 > h.ends ? (n + 9) / 10 : h.ends;
    h.memory[0] = settled_memory(&h);
    rc = set_open(&h.set, o, t, n, false);
    if (rc == 0)
        rc = set_up(&h);
    if (rc == 0)
        rc = wait(&h);
    if (rc == 0) {
        h.memory[2] = settled_memory(&h);
        if (o->json)
            rc = report_print(o, json_of(&h, t));
        else
            print(&h, t);
    }
    return relay_close(&h.set, rc);
}
