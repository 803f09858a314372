// SPDX-License-Identifier: BSD-2-Clause
#include "worker/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "util/rand.h"
#include "worker/internal.h"

static _Thread_local char why_text[256];

// --- the end of a loop turn ---

static int64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

// Packets that come faster than they may wait are let gather (relay.coalesce): a wake-up costs more
// than a packet. One that comes after a longer pause has been relayed at once, and nothing is
// waited for.
static void let_gather(struct worker *w, int64_t longest_ns)
{
    bool busy = w->turn_began - w->turn_ended < longest_ns;
    int64_t until = w->turn_began + longest_ns;
    if (busy && clock_ns() < until) {
        const struct timespec ts = {until / 1000000000, until % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
    }
    w->turn_ended = clock_ns();
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    io_flush(w->io);
    dtls_flush(w);
    if (w->snapshot->conf->relay.coalesce)
        let_gather(w, (int64_t)w->snapshot->conf->relay.coalesce * 1000);
}

// An event made active goes to the end of the queue of this turn: what is ready is drained before
// anything is sent.
static void wake_flush(void *arg)
{
    struct worker *w = arg;
    if (w->snapshot->conf->relay.coalesce)
        w->turn_began = clock_ns();
    event_active(&w->flush, EV_TIMEOUT, 0);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    int64_t now_ms = clock_ms();
    turn_server_sweep(w->turn, now_ms);
    streams_sweep(w, now_ms);
    dtls_sweep(w, now_ms);
    migrate_sweep(w, now_ms);
    io_trim(w->io);
    if (w->index == 0)
        ports_sweep(w->ports, now_ms);
}

// --- making and ending ---

static int open_base(struct worker *w)
{
    struct event_config *cfg = event_config_new();
    if (!cfg)
        return -ENOMEM;
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK); // only its own thread touches it
    event_config_require_features(cfg, EV_FEATURE_ET);
    w->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    return w->base ? 0 : -ENOMEM;
}

static int build(struct worker *w, struct quota *quota, const uint8_t *ticket_key)
{
    int err = open_base(w);
    if (err)
        return err;
    w->io = io_new(wake_flush, w);
    w->turn = turn_server_new(&relay_turn_ops, w, quota, (uint8_t)w->index, ticket_key);
    w->sources = calloc(STREAM_SOURCES, sizeof *w->sources);
    struct addr *closed = closed_new(w->snapshot);
    if (!w->io || !w->turn || !w->sources || !closed) {
        free(closed);
        return -ENOMEM;
    }
    closed_configure(w, w->snapshot, closed);
    event_assign(&w->flush, w->base, -1, 0, on_flush, w);
    event_assign(&w->second, w->base, -1, EV_PERSIST, on_second, w);
    const struct timeval second = {1, 0};
    if (event_add(&w->second, &second))
        return -ENOMEM;
    return mailbox_new(&w->mailbox, w->base, w);
}

int worker_new(struct worker **out, unsigned index, struct snapshot *snapshot, struct ports *ports,
               struct quota *quota, const uint8_t *ticket_key, const char **why)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w) {
        *why = "out of memory";
        return -ENOMEM;
    }
    w->index = index;
    w->snapshot = snapshot_ref(snapshot);
    w->ports = ports;
    TAILQ_INIT(&w->handshaking);
    TAILQ_INIT(&w->pending);
    rand_bytes(&w->hash_key, sizeof w->hash_key);
    int err = build(w, quota, ticket_key);
    if (err) {
        snprintf(why_text, sizeof why_text, "cannot make worker %u: %s", index, strerror(-err));
    } else {
        struct addr where;
        bool stream;
        char text[ADDR_STRLEN];
        err = listeners_open(w, &where, &stream);
        if (err)
            snprintf(why_text, sizeof why_text, "cannot listen on %s %s: %s",
                     stream ? "tcp" : "udp", addr_format(&where, text), strerror(-err));
        if (!err && (err = listeners_start(w)))
            snprintf(why_text, sizeof why_text, "cannot make worker %u: out of memory", index);
    }
    if (err) {
        *why = why_text;
        worker_free(w);
        return err;
    }
    *out = w;
    return 0;
}

int worker_open_stores(struct worker *w, const char **why)
{
    int err = stores_open(&w->stores, &w->snapshot->stores, w->base, why);
    if (!err)
        stores_watch(w->stores, closed_found, w);
    return err;
}

// Connected sockets save time and are never needed: descriptors are left for allocations.
static uint32_t direct_sockets_max(unsigned workers)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return 0;
    return (uint32_t)((files.rlim_cur < UINT32_MAX ? files.rlim_cur : UINT32_MAX) / 4 / workers);
}

void worker_set_peers(struct worker *w, struct worker *const *peers, unsigned count)
{
    w->peers = peers;
    w->peer_count = count;
    w->direct_max = direct_sockets_max(count);
}

void worker_set_http(struct worker *w, worker_http *take, void *arg)
{
    w->http_take = take;
    w->http = arg;
}

bool worker_drain(struct worker *w)
{
    return mailbox_drain(w->mailbox);
}

int worker_post(struct worker *w, unsigned index, mailbox_handler *handler, void *arg)
{
    return index < w->peer_count ? mailbox_post(w->peers[index]->mailbox, handler, arg) : -ENOENT;
}

static void *run(void *arg)
{
    struct worker *w = arg;
    event_base_loop(w->base, 0);
    return NULL;
}

int worker_start(struct worker *w)
{
    int err = pthread_create(&w->thread, NULL, run, w);
    w->running = !err;
    return -err;
}

static void on_reload(void *worker, void *arg)
{
    struct worker *w = worker;
    struct snapshot *snapshot = arg;
    struct stores *stores = NULL;
    const char *why = "out of memory";
    struct addr *closed = closed_new(snapshot);
    if (!closed || stores_open(&stores, &snapshot->stores, w->base, &why)) {
        log_error("conf", "worker %u keeps the configuration it has: %s", w->index, why);
        free(closed);
        snapshot_unref(snapshot);
        return;
    }
    stores_watch(stores, closed_found, w);
    requests_suspend(w);
    stores_inherit(stores, w->stores);
    stores_close(w->stores);
    w->stores = stores;
    closed_configure(w, snapshot, closed);
    snapshot_unref(w->snapshot);
    w->snapshot = snapshot;
    requests_resume(w);
}

int worker_reload(struct worker *w, struct snapshot *snapshot)
{
    int err = mailbox_post(w->mailbox, on_reload, snapshot_ref(snapshot));
    if (err)
        snapshot_unref(snapshot);
    return err;
}

static void on_stop(void *worker, void *arg)
{
    struct worker *w = worker;
    event_base_loopbreak(w->base);
}

void worker_stop(struct worker *w)
{
    if (!w->running)
        return;
    while (mailbox_post(w->mailbox, on_stop, NULL))
        sched_yield();
    pthread_join(w->thread, NULL);
    w->running = false;
    w->ended = true;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    if (w->stores)
        requests_cancel(w, NULL);
    if (w->turn)
        streams_close(w);
    dtls_server_close(w);
    migrate_end(w);
    turn_server_free(w->turn);
    if (w->io) {
        io_flush(w->io);
        listeners_close(w);
    }
    dtls_server_free(w);
    stores_close(w->stores);
    mailbox_free(w->mailbox);
    io_free(w->io);
    if (event_initialized(&w->second))
        event_del(&w->second);
    if (event_initialized(&w->flush))
        event_del(&w->flush);
    free(w->sources);
    free(w->closed);
    if (w->base)
        event_base_free(w->base);
    snapshot_unref(w->snapshot);
    free(w);
}
