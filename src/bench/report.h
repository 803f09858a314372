// SPDX-License-Identifier: BSD-2-Clause
// What has been measured, as a table for people or as one JSON object for programs.
#ifndef TP_BENCH_REPORT_H
#define TP_BENCH_REPORT_H

#include <jansson.h>

#include "bench/traffic.h"

// Adds to an object; value is taken over, NULL (out of memory) leaves it out.
void report_set(json_t *object, const char *key, json_t *value);

// What every command says of itself: command, server, transport, clients.
json_t *report_new(const struct bench_options *o, const struct bench_target *t);

// {p50, p90, p99, p99_9, max, histogram} in us.
json_t *report_latency(const struct histogram *h);

// Everything of a run of traffic.
void report_traffic(json_t *root, const struct bench_options *o, double rate,
                    const struct traffic_result *r, int64_t rss_before);

// Writes the object where --json asks for it and frees it. 0 or BENCH_FAILED.
int report_print(const struct bench_options *o, json_t *root);

// The same for people. The heading names what was done.
void report_heading(const struct bench_options *o, const struct bench_target *t);
void report_traffic_text(const struct bench_options *o, const struct traffic_result *r,
                         int64_t rss_before);
void report_latency_text(const struct histogram *h);
void report_process_text(const struct proc_cpu *cpu, uint64_t n, const char *unit);
// Bars, where --histogram asks for them.
void report_histogram_text(const struct bench_options *o, const struct histogram *h);

// How user and system time share the exact total: ns of each a packet, in us.
struct report_cost {
    double total, user, system, switches; // switches: per 1,000
};
struct report_cost report_cost(const struct proc_cpu *cpu, uint64_t n);

static inline double report_loss(uint64_t sent, uint64_t delivered)
{
    return sent > delivered ? (double)(sent - delivered) * 100 / (double)sent : 0;
}

#endif
