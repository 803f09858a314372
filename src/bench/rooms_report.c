// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdio.h>

#include "bench/report.h"
#include "bench/rooms.h"

#define BUSY 0.95 // share of the time from which on the generator, and not the server, is the limit

// The share of the time in which there was something to do.
static double busy(const struct rooms *r)
{
    return r->seconds > 0 ? 1 - (double)r->idle_ns / 1e9 / r->seconds : 0;
}

static double each(const struct rooms *r)
{
    return (double)(r->memory[1] - r->memory[0]) / r->n;
}

static json_t *server_json(const struct rooms *r)
{
    const struct bench_options *o = r->options;
    json_t *object = json_pack("{s:i}", "pid", (int)o->pid);
    if (r->memory[0] >= 0 && r->memory[1] >= 0) {
        report_set(object, "rss_anon_kib", json_integer((json_int_t)r->memory[1] / 1024));
        report_set(object, "rss_anon_kib_before", json_integer((json_int_t)r->memory[0] / 1024));
    }
    if (r->done) {
        struct report_cost c = report_cost(&r->cpu, r->done);
        report_set(object, "cpu_us_per_message", json_real(c.total));
        report_set(object, "user_us_per_message", json_real(c.user));
        report_set(object, "system_us_per_message", json_real(c.system));
        report_set(object, "cpu_share", json_real((double)r->cpu.total_ns / 1e9 / r->seconds));
    }
    return object;
}

static void add_messages(const struct rooms *r, json_t *root)
{
    const struct bench_options *o = r->options;
    report_set(root, "pairs", json_integer((json_int_t)o->pairs));
    report_set(root, "window", json_integer(o->window));
    report_set(root, "size", json_integer(o->size));
    report_set(root, "seconds", json_real(r->seconds));
    report_set(root, "sent", json_integer((json_int_t)r->sent));
    report_set(root, "delivered", json_integer((json_int_t)r->done));
    report_set(root, "lost", json_integer((json_int_t)r->lost));
    report_set(root, "wrong", json_integer((json_int_t)r->wrong));
    report_set(root, "delivered_per_s", json_real((double)r->done / r->seconds));
    if (r->latency.count)
        report_set(root, "latency_us", report_latency(&r->latency));
    report_set(root, "generator_cpu_s", json_real((double)r->own_cpu_ns / 1e9));
    report_set(root, "generator_busy", json_real(busy(r)));
    report_set(root, "limited_by", json_string(busy(r) > BUSY ? "generator" : "server"));
}

static json_t *json_of(const struct rooms *r)
{
    const struct bench_options *o = r->options;
    json_t *root = report_new(o, r->target);
    report_set(root, "clients", json_integer(r->n));
    report_set(root, "protocol", json_string(r->dialect->name));
    report_set(root, "setup_s", json_real(r->setup_s));
    if (o->idle && o->pid && r->memory[0] >= 0)
        report_set(root, "bytes_each", json_real(each(r)));
    if (!o->idle)
        add_messages(r, root);
    if (o->pid)
        report_set(root, "server_process", server_json(r));
    return root;
}

static void print_messages(const struct rooms *r)
{
    printf("  delivered     %" PRIu64 " in %.2f s: %.0f messages/s\n", r->done, r->seconds,
           (double)r->done / r->seconds);
    printf("  lost          %" PRIu64 "%s\n", r->lost, r->wrong ? ", and some out of place" : "");
    report_latency_text(&r->latency);
    if (r->options->pid)
        report_process_text(&r->cpu, r->done, "a message");
    printf("  generator     busy for %.0f %% of the time%s\n", 100 * busy(r),
           busy(r) > BUSY ? ": the limit may be its own, not the server's" : "");
}

static void print(const struct rooms *r)
{
    const struct bench_options *o = r->options;
    char text[ADDR_STRLEN];
    printf("signal: %s, %s, ", addr_format(&r->target->server, text), r->dialect->name);
    if (o->idle)
        printf("%u connections that do nothing\n\n", r->n);
    else
        printf("%zu pair%s, %" PRIu32 " bytes, %" PRIu32 " message%s under way each way\n\n",
               o->pairs, o->pairs == 1 ? "" : "s", o->size, o->window, o->window == 1 ? "" : "s");
    printf("  set up        %u clients in %.2f s\n", r->n, r->setup_s);
    if (!o->idle)
        print_messages(r);
    if (o->pid && r->memory[0] >= 0 && r->memory[1] >= 0)
        printf("  server memory %.1f MiB, %.1f MiB before: %.0f bytes each\n",
               (double)r->memory[1] / 1048576, (double)r->memory[0] / 1048576, each(r));
    report_histogram_text(o, &r->latency);
}

int rooms_report(struct rooms *r)
{
    if (r->options->json)
        return report_print(r->options, json_of(r));
    print(r);
    return 0;
}
