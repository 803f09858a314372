// SPDX-License-Identifier: BSD-2-Clause
// The report for people.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/report.h"

#define BAR_WIDTH 50

static const char *const directions[] = {"client to peer", "peer to client", "both directions",
                                         "echo"};

// "31.2 us", "4.56 ms", "1.20 s". Returns buf.
static const char *time_text(uint64_t ns, char buf[24])
{
    double us = (double)ns / 1e3;
    if (us < 1000)
        snprintf(buf, 24, "%.1f us", us);
    else if (us < 1e6)
        snprintf(buf, 24, "%.2f ms", us / 1e3);
    else
        snprintf(buf, 24, "%.2f s", us / 1e6);
    return buf;
}

void report_heading(const struct bench_options *o, const struct bench_target *t)
{
    static const char *const profiles[] = {"", "audio", "video", "audio and video"};
    char text[ADDR_STRLEN];

    printf("%s: %s over %s, %zu client%s", o->command_name, addr_format(&t->server, text),
           transport_name(t->transport), o->clients, o->clients == 1 ? "" : "s");
    if (o->command & BENCH_TRAFFIC) {
        printf(", %s, ", directions[o->direction]);
        if (o->profile)
            printf("%s", profiles[o->profile]);
        else
            printf("%" PRIu32 " bytes%s", o->payload, o->burst > 1 ? " in bursts" : "");
        if (o->burst > 1 && !o->profile)
            printf(" of %" PRIu32, o->burst);
        printf("%s%s%s", o->indications ? ", by indications" : "", o->offload ? ", offloaded" : "",
               o->floor ? ", the bare forwarder" : "");
    }
    printf("\n\n");
}

void report_latency_text(const struct histogram *h)
{
    char p50[24], p90[24], p99[24], p999[24], max[24];
    if (!h->count)
        return;
    printf("  latency       p50 %s, p90 %s, p99 %s, p99.9 %s, max %s\n",
           time_text(histogram_quantile(h, 0.5), p50), time_text(histogram_quantile(h, 0.9), p90),
           time_text(histogram_quantile(h, 0.99), p99),
           time_text(histogram_quantile(h, 0.999), p999), time_text(h->max, max));
}

void report_process_text(const struct proc_cpu *cpu, uint64_t n, const char *unit)
{
    struct report_cost c = report_cost(cpu, n);
    printf("  server CPU    %.3f us %s (user %.3f, system %.3f), %.1f context switches per 1,000\n",
           c.total, unit, c.user, c.system, c.switches);
}

static void print_doubts(const struct traffic_result *r)
{
    if (r->late)
        printf("  late          %" PRIu64 " came behind a later one of their flow\n", r->late);
    if (r->wrong)
        printf("  wrong         %" PRIu64 " did not belong where they arrived\n", r->wrong);
    if (r->unsendable)
        printf("  unsendable    %" PRIu64 " were not taken by a socket of this host\n",
               r->unsendable);
    if (r->unread)
        printf("  unread        %" PRIu64 " were dropped by this generator, which read too late: "
               "not the server's loss\n",
               r->unread);
    if (r->skipped)
        printf("  skipped       %" PRIu64
               " were not sent: this generator could not keep its pace\n",
               r->skipped);
}

static void print_clients(const struct bench_options *o, const struct traffic_result *r)
{
    if (o->paced)
        printf("  paced         %" PRIu64 " of %" PRIu64
               " delivered to the %zu clients that stay\n",
               r->paced_delivered, r->paced_sent, o->paced);
    if (o->churn)
        printf("  churn         %" PRIu64 " released, %" PRIu64 " allocated anew, %" PRIu64
               " failed\n",
               r->released, r->allocated, r->failed);
    if (r->lost_clients)
        printf("  clients       %" PRIu64 " have failed on the way\n", r->lost_clients);
}

void report_traffic_text(const struct bench_options *o, const struct traffic_result *r,
                         int64_t rss_before)
{
    double seconds = r->seconds > 0 ? r->seconds : 1;
    printf("  sent          %" PRIu64 " in %.2f s: %.0f packets/s\n", r->sent, r->seconds,
           (double)r->sent / seconds);
    printf("  delivered     %" PRIu64 ": %.0f packets/s\n", r->delivered,
           (double)r->delivered / seconds);
    printf("  lost          %.4f %%\n", report_loss(r->sent, r->delivered));
    print_doubts(r);
    report_latency_text(&r->latency);
    if (o->pid) {
        report_process_text(&r->cpu, r->delivered, "a packet");
        if (r->rss_anon >= 0 && rss_before >= 0)
            printf("  server memory %.1f MiB, %+.1f MiB since the start\n",
                   (double)r->rss_anon / 1048576, (double)(r->rss_anon - rss_before) / 1048576);
    }
    printf("  generator     %.2f of a CPU\n", (double)r->own_cpu_ns / 1e9 / seconds);
    print_clients(o, r);
}

void report_histogram_text(const struct bench_options *o, const struct histogram *h)
{
    struct histogram_bar bars[HISTOGRAM_BARS];
    size_t n = histogram_bars(h, bars);
    uint64_t most = 1;

    if (!o->histogram || !n)
        return;
    for (size_t i = 0; i < n; i++)
        most = bars[i].count > most ? bars[i].count : most;
    printf("\n  latency up to       packets\n");
    for (size_t i = 0; i < n; i++) {
        char to[24], bar[BAR_WIDTH + 1];
        size_t width = (size_t)ceil((double)bars[i].count * BAR_WIDTH / (double)most);
        memset(bar, '#', width);
        bar[width] = '\0';
        printf("  %12s  %12" PRIu64 "  %s\n", time_text(bars[i].to, to), bars[i].count, bar);
    }
}
