// SPDX-License-Identifier: BSD-2-Clause
// The main thread while traffic runs: refreshes what would expire, lets clients come and go, takes
// the server's figures at both ends of the measurement, and says how it goes.

#include "bench/progress.h"
#include "bench/traffic.h"

#define TICK_NS 20000000
#define QUIET_NS 200000000  // before a release, so that nothing is lost on its way
#define AGAIN_NS 1000000000 // after a failure to come back

struct keeper {
    struct traffic *t;
    struct proc_cpu before;
    int64_t measured_from, own_before; // 0: not yet
    uint32_t sampled;                  // slots that have their memory
    double owed;                       // clients that are to leave
    size_t next;                       // the next to leave
    int64_t last_tick;
};

// Comes back from another port.
static void come_back(struct set *set, struct bench_client *c, struct traffic_result *out)
{
    c->returning = true;
    c->counted = false;
    if (set_reopen(set, c) < 0) {
        out->failed++;
        c->counted = true;
        c->keep_ns = bench_now(CLOCK_MONOTONIC) + AGAIN_NS;
        return;
    }
    session_begin(&set->env, c, set->env.options->floor ? SESSION_ALLOCATE : SESSION_CHALLENGE);
}

// A client that comes and goes. c->keep_ns is when it does what is next.
static void churn_client(struct keeper *k, struct bench_client *c, int64_t now)
{
    struct traffic_result *out = k->t->out;
    switch (c->step) {
    case SESSION_QUIET:
        if (now >= c->keep_ns)
            session_begin(&k->t->set->env, c, SESSION_RELEASE);
        break;
    case SESSION_GONE:
        out->released++;
        come_back(k->t->set, c, out);
        break;
    case SESSION_READY:
        out->allocated += c->returning;
        c->returning = false;
        break;
    case SESSION_FAILED:
        if (!c->counted) {
            out->failed++;
            c->counted = true;
            c->keep_ns = now + AGAIN_NS;
        } else if (now >= c->keep_ns) {
            come_back(k->t->set, c, out);
        }
        break;
    default:
        break;
    }
}

static void keep_client(struct keeper *k, struct bench_client *c, int64_t now)
{
    const struct bench_options *o = k->t->options;

    session_tick(&k->t->set->env, c, now);
    if (c->step == SESSION_READY && now >= c->keep_ns && !o->floor)
        session_begin(&k->t->set->env, c, SESSION_REFRESH);
    if (o->churn && c->index >= o->paced)
        churn_client(k, c, now);
}

// Tells as many to leave as the rate of coming and going asks for.
static void send_away(struct keeper *k, int64_t now)
{
    const struct bench_options *o = k->t->options;
    struct set *set = k->t->set;
    size_t leaving = set->n - o->paced;

    k->owed += (double)o->churn * (double)(now - k->last_tick) / 1e9;
    for (size_t tries = 0; k->owed >= 1 && tries < leaving; tries++) {
        struct bench_client *c = &set->clients[o->paced + k->next++ % leaving];
        if (c->step != SESSION_READY)
            continue;
        __atomic_store_n(&c->live, false, __ATOMIC_RELAXED);
        c->step = SESSION_QUIET;
        c->keep_ns = now + QUIET_NS;
        k->owed -= 1;
    }
    if (k->owed > o->churn)
        k->owed = o->churn;
}

static void keep_clients(struct keeper *k, int64_t now)
{
    struct set *set = k->t->set;
    pthread_mutex_lock(&set->lock);
    for (size_t i = 0; i < set->n; i++)
        keep_client(k, &set->clients[i], now);
    if (k->t->options->churn && now > k->t->begin_ns)
        send_away(k, now);
    k->last_tick = now;
    pthread_mutex_unlock(&set->lock);
}

static void show(struct keeper *k, int64_t now)
{
    const struct traffic *t = k->t;
    uint64_t sent = 0, delivered = 0;
    uint32_t slot = pace_slot(now, t->measure_ns, t->interval_ns, t->slot_count);
    // The running interval has packets under way: those before it have arrived or are lost.
    for (unsigned i = 0; i < t->lane_count; i++) {
        for (uint32_t s = 1; s < slot; s++) {
            sent += count_get(&t->lanes[i].sent[s]);
            delivered += count_get(&t->lanes[i].delivered[s]);
        }
    }
    double seconds = slot > 1 ? (double)(slot - 1) * (double)t->interval_ns / 1e9 : 0;
    if (!slot)
        progress_show("warming up at %.0f packets/s", t->rate);
    else if (seconds > 0)
        progress_show("%.0f of %.0f s: %.0f packets/s delivered, %.4f %% lost",
                      (double)(now - t->measure_ns) / 1e9,
                      (double)(t->end_ns - t->measure_ns) / 1e9, (double)delivered / seconds,
                      sent > delivered ? (double)(sent - delivered) * 100 / (double)sent : 0.0);
}

static int64_t memory_of(pid_t pid)
{
    struct proc_mem mem;
    return pid && proc_mem_read(pid, &mem) == 0 ? mem.rss_anon : -1;
}

// Memory at the end of each interval that is over.
static void sample(struct keeper *k, int64_t now)
{
    struct traffic *t = k->t;
    uint32_t over = now < t->measure_ns ? 0 : (uint32_t)((now - t->measure_ns) / t->interval_ns);
    if (over > t->slot_count)
        over = t->slot_count;
    if (k->sampled < over) {
        int64_t rss = memory_of(t->options->pid);
        while (k->sampled < over)
            t->out->slots[k->sampled++].rss_anon = rss;
    }
}

static int begin(struct keeper *k)
{
    k->measured_from = bench_now(CLOCK_MONOTONIC);
    k->own_before = bench_now(CLOCK_PROCESS_CPUTIME_ID);
    if (k->t->options->pid && proc_cpu_read(k->t->options->pid, &k->before) < 0)
        return bench_fail("process %d cannot be read", (int)k->t->options->pid);
    return 0;
}

static int end(struct keeper *k)
{
    struct traffic_result *out = k->t->out;
    struct proc_cpu after = {0};
    if (k->t->options->pid && proc_cpu_read(k->t->options->pid, &after) < 0)
        return bench_fail("process %d has ended", (int)k->t->options->pid);
    out->seconds = (double)(bench_now(CLOCK_MONOTONIC) - k->measured_from) / 1e9;
    out->own_cpu_ns = bench_now(CLOCK_PROCESS_CPUTIME_ID) - k->own_before;
    out->cpu = proc_cpu_since(&k->before, &after);
    out->rss_anon = memory_of(k->t->options->pid);
    return 0;
}

int keeper_run(struct traffic *t)
{
    struct keeper k = {.t = t, .last_tick = t->begin_ns};
    int64_t now, next;

    for (uint32_t i = 0; i < t->slot_count; i++)
        t->out->slots[i].rss_anon = -1;
    while ((now = bench_now(CLOCK_MONOTONIC)) < t->end_ns && !bench_stopped()) {
        if (!k.measured_from && now >= t->measure_ns && begin(&k) != 0)
            return BENCH_FAILED;
        keep_clients(&k, now);
        sample(&k, now);
        show(&k, now);
        next = now + TICK_NS;
        if (!k.measured_from && next > t->measure_ns)
            next = t->measure_ns;
        bench_sleep_until(next < t->end_ns ? next : t->end_ns);
    }
    progress_clear();
    if (!k.measured_from)
        return bench_fail("stopped before the measurement began");
    if (bench_stopped())
        __atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
    sample(&k, now);
    return end(&k);
}
