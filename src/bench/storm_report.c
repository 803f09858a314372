// SPDX-License-Identifier: BSD-2-Clause
#include "bench/storm_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/report.h"

struct totals {
    struct storm_failure failures[STORM_FAILURES];
    struct histogram latency;
    uint64_t skipped;
};

static void add_failure(struct totals *t, const struct storm_failure *f)
{
    for (size_t i = 0; i < STORM_FAILURES; i++) {
        struct storm_failure *sum = &t->failures[i];
        if (sum->count && sum->code != f->code)
            continue;
        sum->code = f->code;
        sum->count += f->count;
        return;
    }
}

static void sum_up(const struct storm *s, struct totals *t)
{
    for (unsigned i = 0; i < s->lane_count; i++) {
        const struct storm_lane *lane = &s->lanes[i];
        t->skipped += lane->skipped;
        histogram_merge(&t->latency, &lane->latency);
        for (size_t k = 0; k < STORM_FAILURES && lane->failures[k].count; k++)
            add_failure(t, &lane->failures[k]);
    }
}

// "486", "timeout", "Connection refused".
static const char *failure_name(int code, char buf[16])
{
    if (code == STORM_TIMEOUT || code == -ETIMEDOUT)
        return "timeout";
    if (code < 0)
        return strerror(-code);
    snprintf(buf, 16, "%d", code);
    return buf;
}

static json_t *failures_json(const struct totals *t)
{
    json_t *object = json_object();
    char name[16];
    for (size_t i = 0; i < STORM_FAILURES && t->failures[i].count; i++)
        report_set(object, failure_name(t->failures[i].code, name),
                   json_integer((json_int_t)t->failures[i].count));
    return object;
}

static json_t *json_of(const struct storm *s, const struct bench_target *target,
                       const struct totals *t)
{
    const struct bench_options *o = s->options;
    json_t *root = report_new(o, target);
    report_set(root, "seconds", json_real(s->seconds));
    if (o->rate)
        report_set(root, "rate", json_integer(o->rate));
    if (o->command != BENCH_ALLOCATE)
        report_set(root, "window", json_integer(o->window));
    report_set(root, "operations", json_integer((json_int_t)s->operations));
    report_set(root, "operations_per_s", json_real((double)s->operations / s->seconds));
    report_set(root, "failed", failures_json(t));
    report_set(root, "skipped", json_integer((json_int_t)t->skipped));
    if (t->latency.count)
        report_set(root, "latency_us", report_latency(&t->latency));
    if (o->pid) {
        struct report_cost c = report_cost(&s->cpu, s->operations);
        if (s->operations)
            report_set(root, "cpu_us_per_operation", json_real(c.total));
        report_set(root, "server_process",
                   json_pack("{s:i, s:f, s:f, s:f}", "pid", (int)o->pid, "user_us_per_operation",
                             c.user, "system_us_per_operation", c.system, "switches_per_1000",
                             c.switches));
    }
    report_set(root, "generator_cpu_s", json_real((double)s->own_cpu_ns / 1e9));
    return root;
}

static void print(const struct storm *s, const struct bench_target *target, const struct totals *t)
{
    const struct bench_options *o = s->options;
    char name[16];
    report_heading(o, target);
    printf("  operations    %" PRIu64 " in %.2f s: %.0f a second%s\n", s->operations, s->seconds,
           (double)s->operations / s->seconds,
           o->command == BENCH_ALLOCATE ? " (each: Allocate, ChannelBind, Refresh with lifetime 0)"
                                        : "");
    for (size_t i = 0; i < STORM_FAILURES && t->failures[i].count; i++)
        printf("  failed        %" PRIu64 ": %s\n", t->failures[i].count,
               failure_name(t->failures[i].code, name));
    for (unsigned i = 0; i < s->lane_count && t->failures[0].count; i++) {
        if (s->lanes[i].env.failure[0])
            printf("                such as %s\n", s->lanes[i].env.failure);
    }
    if (t->skipped)
        printf("  skipped       %" PRIu64 ": no client was free to keep the rate\n", t->skipped);
    report_latency_text(&t->latency);
    if (o->pid)
        report_process_text(&s->cpu, s->operations, "an operation");
    printf("  generator     %.2f of a CPU\n", (double)s->own_cpu_ns / 1e9 / s->seconds);
    report_histogram_text(o, &t->latency);
}

int storm_report(struct storm *s, const struct bench_target *target)
{
    struct totals *t = calloc(1, sizeof(*t));
    int rc = 0;
    if (!t)
        return bench_fail("out of memory");
    sum_up(s, t);
    if (s->options->json)
        rc = report_print(s->options, json_of(s, target, t));
    else
        print(s, target, t);
    free(t);
    return rc;
}
