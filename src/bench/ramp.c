// SPDX-License-Identifier: BSD-2-Clause
// ramp: the highest rate without loss. Doubles until packets are lost, then halves the gap.
#include <stdio.h>
#include <stdlib.h>

#include "bench/plot.h"
#include "bench/progress.h"
#include "bench/ramp.h"
#include "bench/relay.h"
#include "bench/report.h"

struct ramp {
    const struct bench_options *options;
    struct set set;
    struct ramp_step steps[RAMP_STEPS];
    size_t count;
    struct traffic_result *best, *now;
    struct ramp_search search;
};

static void keep_step(struct ramp *r, double rate, enum ramp_verdict verdict)
{
    const struct traffic_result *t = r->now;
    r->steps[r->count++] = (struct ramp_step){
        .rate = rate,
        .verdict = verdict,
        .lost_percent = report_loss(t->sent, t->delivered),
        .p99_us = (double)histogram_quantile(&t->latency, 0.99) / 1e3,
        .cpu_us = report_cost(&t->cpu, t->delivered).total,
    };
}

static int run_steps(struct ramp *r)
{
    const struct bench_options *o = r->options;
    double rate;
    while (r->count < RAMP_STEPS && (rate = ramp_next(&r->search)) > 0 && !bench_stopped()) {
        progress_prefix("step %zu, %.0f/s: ", r->count + 1, rate);
        int rc = traffic_run(&r->set, o, rate, o->seconds, r->now);
        if (rc)
            return rc;
        if (r->now->lost_clients && !o->churn)
            return bench_fail("%s", r->set.env.failure);
        enum ramp_verdict verdict =
            ramp_judge(r->now, transport_is_stream(r->set.env.target->transport));
        keep_step(r, rate, verdict);
        ramp_learn(&r->search, rate, verdict);
        if (verdict == RAMP_GOOD && r->search.good == rate) {
            struct traffic_result *last = r->best;
            r->best = r->now;
            r->now = last;
        }
    }
    return 0;
}

static const char *limited_by(const struct ramp *r)
{
    return r->search.limit == RAMP_GENERATOR ? "generator" : "server";
}

static json_t *steps_json(const struct ramp *r)
{
    static const char *const names[] = {"good", "lost", "generator"};
    json_t *list = json_array();
    for (size_t i = 0; i < r->count; i++) {
        const struct ramp_step *s = &r->steps[i];
        json_t *row = json_pack("{s:f, s:f, s:f, s:s}", "rate", s->rate, "lost_percent",
                                s->lost_percent, "p99_us", s->p99_us, "verdict", names[s->verdict]);
        if (r->options->pid)
            report_set(row, "cpu_us_per_packet", json_real(s->cpu_us));
        json_array_append_new(list, row);
    }
    return list;
}

static void print_steps(const struct ramp *r)
{
    printf("  %10s  %9s  %10s  %10s\n", "packets/s", "lost %", "p99 us",
           r->options->pid ? "CPU us/p" : "");
    for (size_t i = 0; i < r->count; i++) {
        const struct ramp_step *s = &r->steps[i];
        printf("  %10.0f  %9.4f  %10.1f", s->rate, s->lost_percent, s->p99_us);
        if (r->options->pid)
            printf("  %10.3f", s->cpu_us);
        printf("%s\n", s->verdict == RAMP_GENERATOR ? "  this generator could not keep up" : "");
    }
    if (r->search.good > 0)
        printf("\nHighest rate without loss: %.0f packets/s, limited by the %s\n\n", r->search.good,
               limited_by(r));
    else
        printf("\nThe lowest rate already loses packets, because of the %s\n", limited_by(r));
}

static int finish(const struct ramp *r, const struct bench_target *t, int64_t before)
{
    const struct bench_options *o = r->options;
    bool found = r->search.good > 0;
    int rc = 0;

    if (o->json) {
        json_t *root = report_new(o, t);
        if (found)
            report_traffic(root, o, r->search.good, r->best, before);
        report_set(root, "highest_rate", json_real(r->search.good));
        report_set(root, "limited_by", json_string(limited_by(r)));
        report_set(root, "steps", steps_json(r));
        rc = report_print(o, root);
    } else {
        report_heading(o, t);
        print_steps(r);
        if (found) {
            report_traffic_text(o, r->best, before);
            report_histogram_text(o, &r->best->latency);
        }
    }
    if (rc == 0 && o->plot && found)
        rc = plot_traffic(o, t, r->search.good, r->best);
    return rc;
}

int bench_ramp(const struct bench_options *o, const struct bench_target *t)
{
    struct ramp *r = calloc(1, sizeof(*r));
    int64_t before = relay_memory(o);
    int rc;

    if (!r)
        return bench_fail("out of memory");
    r->options = o;
    r->best = calloc(1, sizeof(*r->best));
    r->now = calloc(1, sizeof(*r->now));
    ramp_start(&r->search, traffic_rate(o));
    rc = r->best && r->now ? relay_open(&r->set, o, t) : bench_fail("out of memory");
    if (rc == 0)
        rc = run_steps(r);
    progress_prefix("%s", "");
    if (rc == 0)
        rc = finish(r, t, before);
    rc = relay_close(&r->set, rc);
    free(r->best);
    free(r->now);
    free(r);
    return rc;
}
