// SPDX-License-Identifier: BSD-2-Clause
#include "bench/rooms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/progress.h"
#include "bench/relay.h"
#include "bench/set.h"
#include "util/rand.h"

#define FILES_BESIDE 16
#define CONNECTING_MAX 64 // clients that are on their way into their rooms
#define EVENTS 256
#define SPIN_NS 100000          // how long it looks for something to read before it sleeps
#define SLEEP_MS 5              // and then
#define PATIENCE_NS 10000000000 // for one more client to be ready
#define FINISH_NS 2000000000    // for what is under way at the end
#define SHOW_NS 200000000       // between two lines about how it goes

static int64_t now_ns(void)
{
    return bench_now(CLOCK_MONOTONIC);
}

static void send_due(struct rooms *r)
{
    for (uint32_t i = 0; i < r->todo_len; i++) {
        struct room_client *c = &r->clients[r->todo[i]];
        c->listed = false;
        room_send(r, c);
    }
    r->todo_len = 0;
}

// Reads what there is, and sends what that allows. A server that had to wake us for every message
// would pay for our sleep, so that we look again and again before we sleep. Returns when it was
// done.
static int64_t turn(struct rooms *r, int64_t now, int64_t *idle_since)
{
    struct epoll_event events[EVENTS];
    bool sleepy = *idle_since && now - *idle_since > SPIN_NS;
    int n = epoll_wait(r->epoll_fd, events, EVENTS, sleepy ? SLEEP_MS : 0);

    for (int i = 0; i < n; i++)
        room_event(r, &r->clients[events[i].data.u32], events[i].events);
    send_due(r);
    int64_t end = now_ns();
    if (n > 0) {
        *idle_since = 0;
    } else {
        r->idle_ns += end - now;
        if (!*idle_since)
            *idle_since = now;
    }
    return end;
}

static void turns_until(struct rooms *r, int64_t end)
{
    int64_t now = now_ns(), idle_since = 0, begin = now, show = now;
    uint64_t before = r->delivered;

    while (now < end && !bench_stopped() && !r->gone) {
        now = turn(r, now, &idle_since);
        if (now < show)
            continue;
        show = now + SHOW_NS;
        if (r->sending)
            progress_show("%u clients, %.0f messages/s", r->n,
                          (double)(r->delivered - before) * 1e9 / (double)(now - begin));
        else
            progress_show("%u clients that do nothing", r->n);
    }
    progress_clear();
}

// --- set-up ---

static int open_all(struct rooms *r)
{
    const struct bench_options *o = r->options;
    size_t files;

    r->n = (uint32_t)(o->idle ? o->idle + (o->idle & 1) : 2 * o->pairs);
    files = set_raise_file_limit(r->n + FILES_BESIDE);
    if (files < r->n + FILES_BESIDE)
        return bench_fail("%u open files are needed and %zu are allowed: raise the hard limit "
                          "(ulimit -Hn, LimitNOFILE=) or ask for fewer",
                          r->n + FILES_BESIDE, files);
    r->clients = calloc(r->n, sizeof(*r->clients));
    r->todo = calloc(r->n, sizeof(*r->todo));
    r->input = malloc(ROOMS_INPUT);
    r->output = malloc(ROOMS_OUTPUT);
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!r->clients || !r->todo || !r->input || !r->output || r->epoll_fd < 0)
        return bench_fail("out of memory");
    for (uint32_t i = 0; i < r->n; i++)
        r->clients[i] = (struct room_client){.fd = -1, .index = i};
    rand_bytes(&r->run, sizeof(r->run));
    rand_bytes(&r->random, sizeof(r->random));
    return 0;
}

static void close_all(struct rooms *r)
{
    for (uint32_t i = 0; r->clients && i < r->n; i++)
        room_close(r, &r->clients[i]);
    free(r->clients);
    free(r->todo);
    free(r->input);
    free(r->output);
    if (r->epoll_fd >= 0)
        close(r->epoll_fd);
}

// Takes all clients into their rooms, a few at a time.
static int set_up(struct rooms *r)
{
    int64_t begin = now_ns(), now = begin, progress = begin, idle_since = 0;

    while (r->ready < r->n && !r->gone && !bench_stopped()) {
        uint32_t ready = r->ready;
        while (r->opened < r->n && r->opened - r->ready < CONNECTING_MAX) {
            int rc = room_connect(r, &r->clients[r->opened]);
            if (rc < 0)
                return bench_fail("cannot connect client %u: %s", r->opened + 1, strerror(-rc));
            r->opened++;
        }
        now = turn(r, now, &idle_since);
        progress_show("%u of %u clients are in their rooms", r->ready, r->n);
        if (r->ready > ready)
            progress = now;
        else if (now - progress > PATIENCE_NS)
            return bench_fail(
                "%u of %u clients are in their rooms, and the server takes no more of "
                "them within 10 s",
                r->ready, r->n);
    }
    r->setup_s = (double)(now - begin) / 1e9;
    progress_clear();
    if (r->gone)
        return bench_fail("%s", r->failure);
    return r->ready < r->n ? bench_fail("interrupted") : 0;
}

// --- what is measured ---

static int measure_idle(struct rooms *r)
{
    turns_until(r, now_ns() + (int64_t)(r->options->seconds * 1e9));
    if (r->gone)
        return bench_fail("%s", r->failure);
    r->memory[1] = relay_memory(r->options);
    return 0;
}

static int begin_sending(struct rooms *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        struct room_client *c = &r->clients[i];
        if (room_message_prepare(r, c) < 0)
            return bench_fail("out of memory");
        c->credit = r->options->window;
        c->listed = true;
        r->todo[r->todo_len++] = i;
    }
    r->sending = true;
    return 0;
}

// What is under way is awaited: a server may be slow, but not lose anything.
static void finish(struct rooms *r)
{
    int64_t now = now_ns(), end = now + FINISH_NS, idle_since = 0;

    r->sending = false;
    for (uint32_t i = 0; i < r->n; i++)
        r->clients[i].credit = 0;
    while (r->delivered < r->sent && !r->gone && now < end)
        now = turn(r, now, &idle_since);
    r->lost = r->sent - r->delivered;
}

static int measure_messages(struct rooms *r)
{
    const struct bench_options *o = r->options;
    struct proc_cpu before = {0}, after = {0};
    int rc = begin_sending(r);

    if (rc)
        return rc;
    turns_until(r, now_ns() + (int64_t)(o->warmup * 1e9));
    int64_t from = now_ns(), own = bench_now(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t delivered = r->delivered;
    rc = o->pid ? proc_cpu_read(o->pid, &before) : 0;
    r->idle_ns = 0;
    r->measuring = true;
    turns_until(r, from + (int64_t)(o->seconds * 1e9));
    r->measuring = false;
    if (rc == 0 && o->pid)
        rc = proc_cpu_read(o->pid, &after);
    r->done = r->delivered - delivered;
    r->seconds = (double)(now_ns() - from) / 1e9;
    r->own_cpu_ns = bench_now(CLOCK_PROCESS_CPUTIME_ID) - own;
    r->cpu = proc_cpu_since(&before, &after);
    r->memory[1] = relay_memory(o);
    if (rc < 0)
        return bench_fail("process %d cannot be read", (int)o->pid);
    int64_t idle_ns = r->idle_ns;
    finish(r);
    r->idle_ns = idle_ns;
    return r->gone ? bench_fail("%s", r->failure) : 0;
}

int bench_signal(const struct bench_options *o, const struct bench_target *t)
{
    struct rooms *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return bench_fail("out of memory");
    r->options = o;
    r->target = t;
    r->dialect = &dialects[o->dialect];
    r->epoll_fd = -1;
    r->memory[0] = relay_memory(o);
    rc = open_all(r);
    if (rc == 0)
        rc = set_up(r);
    if (rc == 0)
        rc = o->idle ? measure_idle(r) : measure_messages(r);
    if (rc == 0)
        rc = rooms_report(r);
    if (rc == 0 && r->lost + r->wrong)
        rc = bench_fail("%llu messages were lost, %llu came where or when they do not belong",
                        (unsigned long long)r->lost, (unsigned long long)r->wrong);
    close_all(r);
    free(r);
    return rc;
}
