// SPDX-License-Identifier: BSD-2-Clause
#include "bench/storm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include "bench/progress.h"
#include "bench/storm_report.h"
#include "util/rand.h"

#define NAP_NS 150000 // see set.c
#define CHECK_NS 50000000
#define FINISH_NS 2000000000 // how long we wait for what is under way at the end
#define EVENTS 256

static const struct storm_ops *ops_of(const struct storm *s)
{
    return s->options->command == BENCH_ALLOCATE ? &storm_cycle_ops : &storm_request_ops;
}

static bool measuring(const struct storm_lane *lane)
{
    return __atomic_load_n(&lane->storm->measuring, __ATOMIC_RELAXED);
}

void storm_done(struct storm_lane *lane, uint32_t idle, int64_t took_ns)
{
    lane->idle[lane->idle_len++] = idle;
    count_add(&lane->done, 1);
    if (measuring(lane))
        histogram_add(&lane->latency, took_ns > 0 ? (uint64_t)took_ns : 0);
}

void storm_failed(struct storm_lane *lane, uint32_t idle, int code)
{
    lane->idle[lane->idle_len++] = idle;
    if (!measuring(lane))
        return;
    for (size_t i = 0; i < STORM_FAILURES; i++) {
        struct storm_failure *f = &lane->failures[i];
        if (f->count && f->code != code)
            continue;
        f->code = code;
        f->count++;
        return;
    }
}

// Begins what may begin: everything that is idle, or as much as the rate says.
static void start_due(struct storm_lane *lane, const struct storm_ops *ops, int64_t now)
{
    size_t n = lane->idle_len;
    if (lane->storm->options->rate) {
        uint64_t due = pace_due(&lane->pace, now - lane->storm->begin_ns);
        uint64_t owed = due > lane->pace.next ? due - lane->pace.next : 0;
        if (owed > n) {
            if (measuring(lane))
                count_add(&lane->skipped, owed - n);
            owed = n;
        }
        lane->pace.next = due > lane->pace.next ? due : lane->pace.next;
        n = owed;
    }
    // From the front, so that all have their turn; what fails at once goes to the end.
    uint32_t todo[EVENTS];
    n = n < EVENTS ? n : EVENTS;
    memcpy(todo, lane->idle, n * sizeof(todo[0]));
    lane->idle_len -= n;
    memmove(lane->idle, lane->idle + n, lane->idle_len * sizeof(lane->idle[0]));
    for (size_t i = 0; i < n; i++)
        ops->start(lane, todo[i]);
}

static int read_lane(struct storm_lane *lane, const struct storm_ops *ops)
{
    struct set *set = &lane->storm->set;
    struct epoll_event events[EVENTS];
    int n = epoll_wait(set->epoll_fd[lane->index], events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct bench_client *c = &set->clients[events[i].data.u64 / 2];
        lane->reading = c;
        int rc = link_read(&c->link, &lane->reader, ops->take, lane);
        if (rc < 0) {
            session_fail(&lane->env, c, "connection", rc, NULL);
            link_close(&c->link);
        }
    }
    return n > 0 ? n : 0;
}

static void *lane_main(void *arg)
{
    struct storm_lane *lane = arg;
    const struct storm_ops *ops = ops_of(lane->storm);
    int64_t give_up = INT64_MAX, now;

    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    while ((now = bench_now(CLOCK_MONOTONIC)) < give_up) {
        bool stopping = __atomic_load_n(&lane->storm->stopping, __ATOMIC_RELAXED);
        if (stopping && give_up == INT64_MAX)
            give_up = now + FINISH_NS;
        if (stopping && ops->busy(lane) == 0)
            break;
        if (!stopping)
            start_due(lane, ops, now);
        int found = read_lane(lane, ops);
        if (now - lane->checked_ns > CHECK_NS) {
            lane->checked_ns = now;
            ops->check(lane, now);
        }
        if (!found)
            bench_sleep_until(now + NAP_NS);
    }
    return NULL;
}

static int open_lanes(struct storm *s)
{
    s->lanes = calloc(s->set.lanes, sizeof(*s->lanes));
    if (!s->lanes)
        return -ENOMEM;
    s->lane_count = s->set.lanes;
    for (unsigned i = 0; i < s->lane_count; i++) {
        struct storm_lane *lane = &s->lanes[i];
        size_t clients = s->set.n / s->set.lanes + 1;
        lane->storm = s;
        lane->index = i;
        lane->env = s->set.env;
        lane->pace.burst = 1;
        lane->pace.gap_ns = pace_gap((double)s->options->rate / s->lane_count, 1);
        lane->idle = calloc(clients * BENCH_MAX_WINDOW, sizeof(*lane->idle));
        if (!lane->idle || link_reader_init(&lane->reader, s->options->offload) < 0 ||
            ops_of(s)->open(lane) < 0)
            return -ENOMEM;
    }
    return 0;
}

static uint64_t count_done(const struct storm *s)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < s->lane_count; i++)
        n += count_get(&s->lanes[i].done);
    return n;
}

static void wait_until(const struct storm *s, int64_t end)
{
    int64_t now;
    while ((now = bench_now(CLOCK_MONOTONIC)) < end && !bench_stopped()) {
        int64_t next = now + 200000000;
        double seconds = (double)(now - s->begin_ns) / 1e9;
        progress_show("%.0f s: %.0f operations/s", seconds,
                      seconds > 0 ? (double)count_done(s) / seconds : 0.0);
        bench_sleep_until(next < end ? next : end);
    }
}

static int measure(struct storm *s)
{
    const struct bench_options *o = s->options;
    struct proc_cpu before = {0}, after = {0};

    wait_until(s, s->begin_ns + (int64_t)(o->warmup * 1e9));
    int64_t from = bench_now(CLOCK_MONOTONIC), own = bench_now(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t done = count_done(s);
    int rc = o->pid ? proc_cpu_read(o->pid, &before) : 0;
    __atomic_store_n(&s->measuring, true, __ATOMIC_RELAXED);
    wait_until(s, from + (int64_t)(o->seconds * 1e9));
    __atomic_store_n(&s->measuring, false, __ATOMIC_RELAXED);
    if (rc == 0 && o->pid)
        rc = proc_cpu_read(o->pid, &after);
    s->operations = count_done(s) - done;
    s->seconds = (double)(bench_now(CLOCK_MONOTONIC) - from) / 1e9;
    s->own_cpu_ns = bench_now(CLOCK_PROCESS_CPUTIME_ID) - own;
    s->cpu = proc_cpu_since(&before, &after);
    progress_clear();
    return rc < 0 ? bench_fail("process %d cannot be read", (int)o->pid) : 0;
}

static int run(struct storm *s)
{
    unsigned started = 0;
    int rc = 0;
    s->begin_ns = bench_now(CLOCK_MONOTONIC);
    for (; started < s->lane_count && rc == 0; started += rc == 0)
        rc = pthread_create(&s->lanes[started].thread, NULL, lane_main, &s->lanes[started]);
    rc = rc ? bench_fail("no thread: %s", strerror(rc)) : measure(s);
    __atomic_store_n(&s->stopping, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < started; i++)
        pthread_join(s->lanes[i].thread, NULL);
    return rc;
}

static void close_storm(struct storm *s)
{
    for (unsigned i = 0; i < s->lane_count; i++) {
        free(s->lanes[i].idle);
        free(s->lanes[i].slots);
        link_reader_free(&s->lanes[i].reader);
        explicit_bzero(s->lanes[i].env.key, sizeof(s->lanes[i].env.key));
    }
    free(s->lanes);
}

// What has to be there before the storm: nothing, the key, or allocations.
static int prepare(struct storm *s)
{
    switch (s->options->command) {
    case BENCH_ALLOCATE:
        return set_learn(&s->set);
    case BENCH_REFRESH:
        return set_bind(&s->set, s->set.n);
    default:
        return 0;
    }
}

int bench_storm(const struct bench_options *o, const struct bench_target *t)
{
    struct storm s = {.options = o};
    int rc = set_open(&s.set, o, t, o->clients, false);

    rand_bytes(&s.run, sizeof(s.run));
    if (rc == 0)
        rc = prepare(&s);
    if (rc == 0 && open_lanes(&s) < 0)
        rc = bench_fail("out of memory");
    if (rc == 0)
        rc = run(&s);
    if (rc == 0)
        rc = storm_report(&s, t);
    int gone = s.set.under_way && s.set.clients ? set_release(&s.set) : 0;
    close_storm(&s);
    set_close(&s.set);
    return rc ? rc : gone;
}
