// SPDX-License-Identifier: BSD-2-Clause
#include "probe/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *pa, const void *pb)
{
    int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;
    return (a > b) - (a < b);
}

void stats_sort(int64_t *times, size_t n)
{
    if (n > 0)
        qsort(times, n, sizeof(*times), compare);
}

int64_t stats_percentile(const int64_t *sorted, size_t n, unsigned percent)
{
    size_t rank = (n * percent + 99) / 100; // from 1
    return sorted[rank > 0 ? rank - 1 : 0];
}

void stats_show(struct report *r, const char *head, int64_t *times, size_t n)
{
    static const struct {
        unsigned percent;
        size_t enough;
        const char *name, *key;
    } rows[] = {
        {0, 1, "min", "min"},     {50, 1, "median", "median"}, {95, 20, "95 %", "p95"},
        {99, 100, "99 %", "p99"}, {100, 1, "max", "max"},
    };
    json_t *j = json_object();
    char time[16];

    stats_sort(times, n);
    if (n > 0)
        step_note(r, "%s", head ? head : "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (n < rows[i].enough)
            continue;
        int64_t t = stats_percentile(times, n, rows[i].percent);
        size_t len = strlen(r->notes);
        snprintf(r->notes + len, sizeof(r->notes) - len, "%s%s %s", i ? ", " : "", rows[i].name,
                 report_time(t, time));
        json_object_set_new(j, rows[i].key, json_ms(t));
    }
    step_fact(r, "round_trip_ms", j);
}
