// SPDX-License-Identifier: BSD-2-Clause
// relay: a fixed work.
#include <stdlib.h>

#include "bench/plot.h"
#include "bench/relay.h"
#include "bench/report.h"

int64_t relay_memory(const struct bench_options *o)
{
    struct proc_mem mem;
    return o->pid && proc_mem_read(o->pid, &mem) == 0 ? mem.rss_anon : -1;
}

int relay_open(struct set *set, const struct bench_options *o, const struct bench_target *t)
{
    int rc = set_open(set, o, t, o->clients, true);
    return rc ? rc : set_bind(set, o->clients);
}

// Releases also after a failure, so that the next run finds the server empty.
int relay_close(struct set *set, int rc)
{
    int gone = set->under_way && set->clients ? set_release(set) : 0;
    set_close(set);
    return rc ? rc : gone;
}

static int finish(const struct bench_options *o, const struct bench_target *t,
                  const struct traffic_result *r, int64_t before)
{
    json_t *root;
    int rc = 0;

    if (o->json) {
        root = report_new(o, t);
        report_traffic(root, o, traffic_rate(o), r, before);
        rc = report_print(o, root);
    } else {
        report_heading(o, t);
        report_traffic_text(o, r, before);
        report_histogram_text(o, &r->latency);
    }
    if (rc == 0 && o->plot)
        rc = plot_traffic(o, t, traffic_rate(o), r);
    return rc;
}

int bench_relay(const struct bench_options *o, const struct bench_target *t)
{
    struct traffic_result *result = malloc(sizeof(*result));
    struct set set = {0};
    int64_t before = relay_memory(o);
    int rc;

    if (!result)
        return bench_fail("out of memory");
    rc = relay_open(&set, o, t);
    if (rc == 0)
        rc = traffic_run(&set, o, traffic_rate(o), o->seconds, result);
    if (rc == 0)
        rc = finish(o, t, result, before);
    if (rc == 0 && result->lost_clients && !o->churn)
        rc = bench_fail("%s", set.env.failure);
    free(result);
    return relay_close(&set, rc);
}
