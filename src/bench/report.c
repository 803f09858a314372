// SPDX-License-Identifier: BSD-2-Clause
#include "bench/report.h"

#include <stdio.h>

static const char *const directions[] = {"up", "down", "both", "echo"};
static const char *const profiles[] = {NULL, "audio", "video", "mix"};

void report_set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *whole(uint64_t n)
{
    return json_integer((json_int_t)n);
}

// Of a plausible number of digits: jansson writes all 17.
static json_t *number(double value, double unit)
{
    double scaled = value / unit;
    return json_real((double)(int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5) * unit);
}

static const char *transport_key(enum transport t)
{
    static const char *const keys[] = {"-", "udp", "tcp", "tls", "dtls"};
    return keys[t];
}

json_t *report_new(const struct bench_options *o, const struct bench_target *t)
{
    json_t *root = json_object();
    char text[ADDR_STRLEN];
    report_set(root, "command", json_string(o->command_name));
    report_set(root, "server", json_string(addr_format(&t->server, text)));
    report_set(root, "transport", json_string(transport_key(t->transport)));
    report_set(root, "protocol", json_string(o->floor ? "floor" : "turn"));
    report_set(root, "clients", whole(o->clients));
    return root;
}

json_t *report_latency(const struct histogram *h)
{
    static const struct {
        const char *key;
        double share;
    } rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}};
    struct histogram_bar bars[HISTOGRAM_BARS];
    json_t *object = json_object(), *list = json_array();
    size_t n = histogram_bars(h, bars);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        report_set(object, rows[i].key,
                   number((double)histogram_quantile(h, rows[i].share) / 1e3, 0.001));
    report_set(object, "max", number((double)h->max / 1e3, 0.001));
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            list, json_pack("[o, o, o]", number((double)bars[i].from / 1e3, 0.001),
                            number((double)bars[i].to / 1e3, 0.001), whole(bars[i].count)));
    report_set(object, "histogram", list);
    return object;
}

struct report_cost report_cost(const struct proc_cpu *cpu, uint64_t n)
{
    struct report_cost c = {0};
    // The ticks say how user and system share the exact total.
    double ticks = (double)(cpu->user_ns + cpu->system_ns), packets = n ? (double)n : 1;
    c.total = (double)cpu->total_ns / 1e3 / packets;
    c.user = ticks > 0 ? c.total * (double)cpu->user_ns / ticks : 0;
    c.system = c.total - c.user;
    c.switches = (double)(cpu->voluntary + cpu->involuntary) * 1000 / packets;
    return c;
}

// {pid, user_us_per_packet ...}: what the server has used for n packets.
static json_t *process_json(pid_t pid, const struct proc_cpu *cpu, uint64_t n)
{
    struct report_cost c = report_cost(cpu, n);
    json_t *object = json_object();
    report_set(object, "pid", whole((uint64_t)pid));
    if (n) {
        report_set(object, "cpu_us_per_packet", number(c.total, 0.0001));
        report_set(object, "user_us_per_packet", number(c.user, 0.0001));
        report_set(object, "system_us_per_packet", number(c.system, 0.0001));
        report_set(object, "switches_per_1000", number(c.switches, 0.01));
    }
    return object;
}

static json_t *timeline(const struct traffic_result *r)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->slot_count; i++) {
        const struct traffic_slot *s = &r->slots[i];
        json_t *row = json_object();
        report_set(row, "t", number((double)(i + 1) * (double)r->interval_ns / 1e9, 0.001));
        report_set(row, "sent", whole(s->sent));
        report_set(row, "delivered", whole(s->delivered));
        report_set(row, "p50_us", number((double)s->p50_ns / 1e3, 0.001));
        report_set(row, "p99_us", number((double)s->p99_ns / 1e3, 0.001));
        if (s->rss_anon >= 0)
            report_set(row, "rss_anon_kib", whole((uint64_t)s->rss_anon / 1024));
        json_array_append_new(list, row);
    }
    return list;
}

static void report_what(json_t *root, const struct bench_options *o, double rate)
{
    report_set(root, "direction", json_string(directions[o->direction]));
    report_set(root, "framing", json_string(o->indications ? "send" : "channel"));
    if (o->profile != PROFILE_NONE) {
        report_set(root, "profile", json_string(profiles[o->profile]));
    } else {
        report_set(root, "payload", whole(o->payload));
        report_set(root, "burst", whole(o->burst));
    }
    report_set(root, "offload", json_boolean(o->offload));
    report_set(root, "threads", whole(o->threads));
    report_set(root, "rate", number(rate, 0.001));
}

void report_traffic(json_t *root, const struct bench_options *o, double rate,
                    const struct traffic_result *r, int64_t rss_before)
{
    report_what(root, o, rate);
    report_set(root, "seconds", number(r->seconds, 0.001));
    report_set(root, "sent", whole(r->sent));
    report_set(root, "delivered", whole(r->delivered));
    report_set(root, "late", whole(r->late));
    report_set(root, "wrong", whole(r->wrong));
    report_set(root, "unsendable", whole(r->unsendable));
    report_set(root, "skipped", whole(r->skipped));
    report_set(root, "unread", whole(r->unread));
    report_set(root, "lost_percent", number(report_loss(r->sent, r->delivered), 0.0001));
    report_set(root, "delivered_per_s",
               number(r->seconds > 0 ? (double)r->delivered / r->seconds : 0, 0.1));
    if (r->latency.count)
        report_set(root, "latency_us", report_latency(&r->latency));
    if (o->pid) {
        json_t *process = process_json(o->pid, &r->cpu, r->delivered);
        if (r->rss_anon >= 0)
            report_set(process, "rss_anon_kib", whole((uint64_t)r->rss_anon / 1024));
        if (rss_before >= 0)
            report_set(process, "rss_anon_kib_before", whole((uint64_t)rss_before / 1024));
        report_set(root, "server_process", process);
    }
    report_set(root, "generator_cpu_s", number((double)r->own_cpu_ns / 1e9, 0.001));
    report_set(root, "timeline", timeline(r));
    if (o->paced)
        report_set(root, "paced",
                   json_pack("{s:o, s:o}", "sent", whole(r->paced_sent), "delivered",
                             whole(r->paced_delivered)));
    if (o->churn)
        report_set(root, "churn",
                   json_pack("{s:o, s:o, s:o}", "released", whole(r->released), "allocated",
                             whole(r->allocated), "failed", whole(r->failed)));
    if (r->lost_clients)
        report_set(root, "lost_clients", whole(r->lost_clients));
}

int report_print(const struct bench_options *o, json_t *root)
{
    int rc = 0;
    if (o->json) {
        rc = json_dumpf(root, stdout, JSON_REAL_PRECISION(12) | JSON_COMPACT);
        if (putchar('\n') == EOF || fflush(stdout) != 0 || rc < 0)
            rc = bench_fail("the report cannot be written");
    }
    json_decref(root);
    return rc;
}
