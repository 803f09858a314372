// SPDX-License-Identifier: BSD-2-Clause
// A small load generator for TURN servers over UDP on this machine's loopback: what tests/bench/run
// measures with.
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load_client.h"
#include "load_proc.h"
#include "load_traffic.h"

#define MAX_SECONDS 240 // permissions live 300 s (RFC 8656 9) and nothing here refreshes them

struct options {
    struct addr server;
    const char *user, *password;
    size_t clients;
    bool hold, json;
    double settle;
    struct load_plan plan;
};

static const char usage_text[] =
    "usage: relay_load [options] traffic|hold\n"
    "  -s, --server ADDR:PORT   a loopback address [127.0.0.1:3478]\n"
    "  -u, --user NAME  -p, --password TEXT           [user, pass]\n"
    "  -P, --pid PID            the server: its CPU time and memory are reported\n"
    "  -n, --clients N          allocations, each with one permission and one channel [50; hold: "
    "10000]\n"
    "  -j, --json               one JSON object instead of a table row\n"
    "traffic: through every client's channel, to or from a peer of its own\n"
    "  -d, --direction up|down|both                   [up]\n"
    "  -r, --rate PACKETS/S     in total [20000]\n"
    "  -l, --payload BYTES      [200]\n"
    "  -b, --burst N            packets of one flow sent back to back [1]\n"
    "  -o, --offload            a burst is one UDP_SEGMENT send and reads take UDP_GRO\n"
    "  -t, --tick US            how often the sender wakes [193: no divisor of a clock tick]\n"
    "  -D, --seconds S  -w, --warmup S                [5, 0.5]\n"
    "hold: makes the allocations and holds them idle\n"
    "  -D, --seconds S          how long before memory is read [2]\n";

static int usage(void)
{
    fputs(usage_text, stderr);
    return 2;
}

static bool is_loopback(const struct addr *a)
{
    struct addr_range v4, v6;
    const char *why;
    return addr_range_parse(&v4, "127.0.0.0/8", &why) == 0 &&
           addr_range_parse(&v6, "::1", &why) == 0 &&
           (addr_range_contains(&v4, a) || addr_range_contains(&v6, a));
}

// A whole number in [min, max]; exits with the usage on anything else.
static uint32_t number(const char *text, uint32_t min, uint32_t max)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value < min || value > max) {
        fprintf(stderr, "relay_load: %s: a number from %" PRIu32 " to %" PRIu32 " is expected\n",
                text, min, max);
        exit(usage());
    }
    return (uint32_t)value;
}

static double seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= MAX_SECONDS)) {
        fprintf(stderr, "relay_load: %s: 0 to %d seconds are expected\n", text, MAX_SECONDS);
        exit(usage());
    }
    return value;
}

static int take_option(struct options *o, int letter, const char *arg)
{
    switch (letter) {
    case 's':
        if (addr_parse(&o->server, arg)) {
            fprintf(stderr, "relay_load: %s: an address and port are expected\n", arg);
            return usage();
        }
        break;
    case 'u':
        o->user = arg;
        break;
    case 'p':
        o->password = arg;
        break;
    case 'P':
        o->plan.pid = (pid_t)number(arg, 1, INT32_MAX);
        break;
    case 'n':
        o->clients = number(arg, 1, 60000);
        break;
    case 'j':
        o->json = true;
        break;
    case 'd':
        o->plan.up = strcmp(arg, "down") != 0;
        o->plan.down = strcmp(arg, "up") != 0;
        if (o->plan.up && o->plan.down && strcmp(arg, "both") != 0)
            return usage();
        break;
    case 'r':
        o->plan.rate = number(arg, 1, 10000000);
        break;
    case 'l':
        o->plan.payload = number(arg, LOAD_MIN_PAYLOAD, LOAD_MAX_PAYLOAD);
        break;
    case 'b':
        o->plan.burst = number(arg, 1, LOAD_MAX_BURST);
        break;
    case 'o':
        o->plan.offload = true;
        break;
    case 't':
        o->plan.tick_us = number(arg, 10, 100000);
        break;
    case 'D':
        o->plan.seconds = o->settle = seconds(arg);
        break;
    case 'w':
        o->plan.warmup = seconds(arg);
        break;
    default:
        return usage();
    }
    return 0;
}

static int parse_options(struct options *o, int argc, char **argv)
{
    static const struct option table[] = {
        {"server", required_argument, NULL, 's'},
        {"user", required_argument, NULL, 'u'},
        {"password", required_argument, NULL, 'p'},
        {"pid", required_argument, NULL, 'P'},
        {"clients", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"direction", required_argument, NULL, 'd'},
        {"rate", required_argument, NULL, 'r'},
        {"payload", required_argument, NULL, 'l'},
        {"burst", required_argument, NULL, 'b'},
        {"offload", no_argument, NULL, 'o'},
        {"tick", required_argument, NULL, 't'},
        {"seconds", required_argument, NULL, 'D'},
        {"warmup", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    int letter, rc;
    while ((letter = getopt_long(argc, argv, "s:u:p:P:n:jd:r:l:b:ot:D:w:", table, NULL)) != -1) {
        rc = take_option(o, letter, optarg);
        if (rc)
            return rc;
    }
    if (optind + 1 != argc)
        return usage();
    o->hold = strcmp(argv[optind], "hold") == 0;
    if (!o->hold && strcmp(argv[optind], "traffic") != 0)
        return usage();
    if (!o->clients)
        o->clients = o->hold ? 10000 : 50;
    if (!is_loopback(&o->server)) {
        fprintf(stderr, "relay_load: the server must have a loopback address\n");
        return 2;
    }
    return 0;
}

static const char *direction_name(const struct load_plan *p)
{
    return p->up && p->down ? "both" : p->up ? "up" : "down";
}

static void print_traffic(const struct options *o, const struct load_result *r)
{
    const struct load_plan *p = &o->plan;
    double packets = r->delivered ? (double)r->delivered : 1,
           total = (double)r->cpu.total_ns / 1e3 / packets;
    // The ticks say how user and system share the exact total.
    double ticks = (double)(r->cpu.user_ns + r->cpu.system_ns);
    double user = ticks > 0 ? total * (double)r->cpu.user_ns / ticks : 0;
    double lost = r->sent > r->delivered ? (double)(r->sent - r->delivered) : 0;
    double loss = r->sent ? lost * 100 / (double)r->sent : 0, kilo = packets / 1e3;
    if (o->json) {
        printf("{\"mode\":\"traffic\",\"direction\":\"%s\",\"rate\":%" PRIu32
               ",\"payload\":%" PRIu32 ",\"burst\":%" PRIu32
               ",\"offload\":%s,\"clients\":%zu,\"seconds\":%.3f,\"sent\":%" PRIu64
               ",\"delivered\":%" PRIu64 ",\"late\":%" PRIu64 ",\"wrong\":%" PRIu64
               ",\"unsendable\":%" PRIu64 ",\"skipped\":%" PRIu64
               ",\"delivered_pps\":%.0f,\"loss_percent\":%.4f,\"p50_us\":%.1f"
               ",\"p99_us\":%.1f,\"cpu_us\":%.4f,\"cpu_user_us\":%.4f,\"cpu_system_us\":%.4f"
               ",\"voluntary_per_1000\":%.2f,\"involuntary_per_1000\":%.2f,\"generator_cores\":%."
               "3f}\n",
               direction_name(p), p->rate, p->payload, p->burst, p->offload ? "true" : "false",
               o->clients, r->seconds, r->sent, r->delivered, r->late, r->wrong, r->unsendable,
               r->skipped, (double)r->delivered / r->seconds, loss, r->p50_us, r->p99_us, total,
               user, total - user, (double)r->cpu.voluntary / kilo,
               (double)r->cpu.involuntary / kilo, (double)r->own_cpu_ns / 1e9 / r->seconds);
        return;
    }
    printf("%-4s %8s %7s %5s  %9s %7s  %8s %8s  %8s %6s %6s  %9s %8s\n", "dir", "rate/s", "payload",
           "burst", "deliv/s", "loss %", "p50 us", "p99 us", "cpu us/p", "user", "sys", "switch/kp",
           "gen core");
    printf("%-4s %8" PRIu32 " %7" PRIu32 " %5" PRIu32
           "  %9.0f %7.3f  %8.1f %8.1f  %8.3f %6.3f %6.3f  %9.1f %8.2f\n",
           direction_name(p), p->rate, p->payload, p->burst, (double)r->delivered / r->seconds,
           loss, r->p50_us, r->p99_us, total, user, total - user,
           (double)(r->cpu.voluntary + r->cpu.involuntary) / kilo,
           (double)r->own_cpu_ns / 1e9 / r->seconds);
    if (r->late || r->wrong || r->unsendable || r->skipped)
        printf("     out of order %" PRIu64 ", wrong %" PRIu64 ", unsendable %" PRIu64
               ", skipped %" PRIu64 "\n",
               r->late, r->wrong, r->unsendable, r->skipped);
}

static int run_traffic(const struct options *o, struct load_set *set)
{
    int rc = load_set_open(set, &o->server, o->clients, true);
    if (!rc)
        rc = load_set_bind(set, o->clients);
    struct load_result result;
    if (!rc)
        rc = load_traffic_run(set, &o->plan, &result);
    if (!rc)
        print_traffic(o, &result);
    return rc;
}

static int read_memory(const struct options *o, struct proc_mem *mem)
{
    struct timespec nap = {.tv_sec = (time_t)o->settle,
                           .tv_nsec = (long)((o->settle - (double)(time_t)o->settle) * 1e9)};
    nanosleep(&nap, NULL);
    *mem = (struct proc_mem){0};
    return o->plan.pid ? proc_mem_read(o->plan.pid, mem) : 0;
}

static void print_hold(const struct options *o, const struct load_set *set,
                       const struct proc_mem mem[3], size_t first, double setup_s)
{
    double n = (double)o->clients, rest = (double)(o->clients - first);
    double rss = (double)(mem[2].rss_anon - mem[0].rss_anon) / n,
           pss = (double)(mem[2].pss - mem[0].pss) / n;
    double marginal = rest > 0 ? (double)(mem[2].rss_anon - mem[1].rss_anon) / rest : rss;
    if (o->json) {
        printf("{\"mode\":\"hold\",\"clients\":%zu,\"setup_s\":%.3f,\"retransmits\":%" PRId64
               ",\"idle_rss_anon\":%" PRId64 ",\"rss_anon\":%" PRId64
               ",\"rss_anon_each\":%.1f,\"pss_each\":%.1f"
               ",\"marginal_each\":%.1f}\n",
               o->clients, setup_s, set->retransmits, mem[0].rss_anon, mem[2].rss_anon, rss, pss,
               marginal);
        return;
    }
    printf("%11s %8s %8s %12s %12s %10s %10s %12s\n", "allocations", "setup s", "retries",
           "anon before", "anon after", "bytes each", "PSS each", "last 9 of 10");
    printf("%11zu %8.2f %8" PRId64 " %12" PRId64 " %12" PRId64 " %10.1f %10.1f %12.1f\n",
           o->clients, setup_s, set->retransmits, mem[0].rss_anon, mem[2].rss_anon, rss, pss,
           marginal);
}

// Memory with none, a tenth and all of the allocations: the last step shows what one costs once
// buffers and tables are warm.
static int run_hold(const struct options *o, struct load_set *set)
{
    struct proc_mem mem[3];
    size_t first = (o->clients + 9) / 10;
    int rc = read_memory(o, &mem[0]);
    if (!rc)
        rc = load_set_open(set, &o->server, o->clients, false);
    int64_t begin = load_now_ns(CLOCK_MONOTONIC);
    if (!rc)
        rc = load_set_bind(set, first);
    int64_t setup = load_now_ns(CLOCK_MONOTONIC) - begin;
    if (!rc)
        rc = read_memory(o, &mem[1]);
    begin = load_now_ns(CLOCK_MONOTONIC);
    if (!rc)
        rc = load_set_bind(set, o->clients);
    setup += load_now_ns(CLOCK_MONOTONIC) - begin;
    if (!rc)
        rc = read_memory(o, &mem[2]);
    if (!rc)
        print_hold(o, set, mem, first, (double)setup / 1e9);
    return rc;
}

int main(int argc, char **argv)
{
    struct options o = {.user = "user",
                        .password = "pass",
                        .settle = 2,
                        .plan = {.up = true,
                                 .rate = 20000,
                                 .payload = 200,
                                 .burst = 1,
                                 .tick_us = 193,
                                 .warmup = 0.5,
                                 .seconds = 5}};
    addr_parse(&o.server, "127.0.0.1:3478");
    int rc = parse_options(&o, argc, argv);
    if (rc)
        return rc;
    struct load_set set = {
        .user = o.user, .password = o.password, .epoll_fd = -1, .shared_peer_fd = -1};
    rc = o.hold ? run_hold(&o, &set) : run_traffic(&o, &set);
    // Released even after a failure, so that the next run finds the server empty.
    int gone = set.clients && set.epoll_fd >= 0 ? load_set_release(&set) : 0;
    if (gone)
        fprintf(stderr, "relay_load: the allocations are not all released: %s\n", strerror(-gone));
    load_set_close(&set);
    if (rc)
        fprintf(stderr, "relay_load: %s\n", strerror(-rc));
    return rc || gone ? 1 : 0;
}
