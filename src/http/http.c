// SPDX-License-Identifier: BSD-2-Clause
// The life of the HTTP server: its sockets, its thread, its end.
#include "http/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/internal.h"
#include "net/host.h"
#include "util/rand.h"

#define HEADERS_MAX 16384 // bytes of a request's headers
#define BODY_SPARE 1024   // of a body beyond what a message may have, so that we say what is wrong
#define STOP_MS 1000      // for clients to take their leave
#define RETRY_MS 1000     // when they may come back

static _Thread_local char why_text[256];
static _Thread_local struct http *served; // by this thread

// --- the hub ---

static void fill_settings(struct signal_settings *s, const struct conf *c)
{
    signal_settings_default(s);
    s->text_max = c->signal.text_bytes;
    s->binary_max = c->signal.binary_bytes;
    s->backlog_max = c->signal.backlog;
    s->rate = c->signal.rate;
    s->burst = c->signal.burst;
    s->bytes = c->signal.rate_bytes;
    s->rooms_max = c->signal.rooms;
    s->capacity = c->signal.capacity;
    s->name_max = c->signal.name_bytes;
    s->register_ms = c->signal.register_timeout * 1000;
    s->grace_ms = c->signal.grace * 1000;
    s->ping_ms = c->signal.ping_interval * 1000;
    s->address_max = c->signal.address_connections;
    s->connections_max = c->signal.connections;
    s->secrets = (const char *const *)c->signal.jwt_secrets;
    s->secret_count = c->signal.jwt_secret_count;
}

static void schedule_tick(struct http *h, int64_t due_ms)
{
    int64_t wait = due_ms - http_clock_ms();
    wait = wait < 10 ? 10 : wait > 1000 ? 1000 : wait;
    const struct timeval tv = {wait / 1000, wait % 1000 * 1000};
    event_add(&h->tick, &tv);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    schedule_tick(h, signal_hub_tick(h->hub, http_clock_ms()));
}

// --- accepting ---

// As a rule no descriptor is left. The listener would be ready again at once. evhttp has made
// itself the argument of all that listeners call.
static void on_accept_error(struct evconnlistener *listener, void *evhttp)
{
    struct http *h = served;
    int err = EVUTIL_SOCKET_ERROR();
    uint32_t more;
    if (log_limit_pass(&h->log_accept, 2, http_clock_ms() / 1000, &more))
        log_warning("http", "cannot accept a connection: %s; trying again", strerror(err));
    http_pause(h);
}

void http_pause(struct http *h)
{
    const struct timeval pause = {0, 200000};
    for (unsigned i = 0; i < h->listener_count; i++)
        evconnlistener_disable(h->listeners[i]);
    h->paused = true;
    event_add(&h->resume_accept, &pause); // else on_second
}

static void on_resume_accept(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    if (h->stop_ms)
        return;
    reserve_open(&h->reserve);
    if (reserve_low(&h->reserve)) {
        http_pause(h);
        return;
    }
    h->paused = false;
    for (unsigned i = 0; i < h->listener_count; i++)
        h->paused |= evconnlistener_enable(h->listeners[i]) != 0;
    handover_retry(h);
}

// --- time ---

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    int64_t now_ms = http_clock_ms();
    clients_sweep(h, now_ms);
    links_sweep(h, now_ms);
    if (h->paused)
        on_resume_accept(-1, EV_TIMEOUT, h);
    else
        handover_retry(h);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    links_reap(h);
    if (h->stop_ms && h->link_count == 0)
        event_base_loopbreak(h->base);
}

// --- listening ---

// Owns fd.
static int attach(struct http *h, struct evhttp *evhttp, int fd)
{
    struct evconnlistener *l =
        evconnlistener_new(h->base, NULL, h, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!l) {
        close(fd);
        return -ENOMEM;
    }
    if (!evhttp_bind_listener(evhttp, l)) { // takes it
        evconnlistener_free(l);
        return -ENOMEM;
    }
    evconnlistener_set_error_cb(l, on_accept_error);
    h->listeners[h->listener_count++] = l;
    return 0;
}

static int open_one(struct http *h, const struct addr *local)
{
    int err = host_probe(local, true);
    int fd = err ? err : host_listen(local);
    return fd < 0 ? fd : attach(h, h->evhttp, fd);
}

static int open_handover(struct http *h, const char **why)
{
    int fd = handover_new(h);
    int err = fd < 0 ? fd : attach(h, h->handed_evhttp, fd);
    if (err) {
        snprintf(why_text, sizeof why_text, "cannot take connections over: %s", strerror(-err));
        *why = why_text;
    }
    return err;
}

static int open_listeners(struct http *h, const char **why)
{
    const struct conf_listen *c = &http_conf(h)->signal.listen;
    struct addr where = c->addr;
    char text[ADDR_STRLEN];
    if (c->any)
        where = (struct addr){.family = ADDR_IPV4, .port = c->addr.port};
    int err = open_one(h, &where);
    if (!err && c->any) {
        where.family = ADDR_IPV6;
        err = open_one(h, &where);
        if (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL)
            err = 0; // a host without IPv6
    }
    if (err) {
        snprintf(why_text, sizeof why_text, "signal: cannot listen on tcp %s: %s",
                 addr_format(&where, text), strerror(-err));
        *why = why_text;
    }
    return err;
}

// --- making ---

// What evhttp needs at once is a line of the headers or a body; a little may follow.
size_t http_input_max(const struct http *h)
{
    return (size_t)http_conf(h)->signal.text_bytes + BODY_SPARE + HEADERS_MAX;
}

static void on_libevent_log(int severity, const char *msg)
{
    log_debug("http", "libevent: %s", msg);
}

static void set_limits(struct http *h)
{
    const struct conf *c = http_conf(h);
    const struct timeval idle = {c->signal.request_timeout, 0};
    struct evhttp *const both[] = {h->evhttp, h->handed_evhttp};
    for (size_t i = 0; i < 2; i++) {
        evhttp_set_timeout_tv(both[i], &idle);
        evhttp_set_max_body_size(both[i], (ev_ssize_t)c->signal.text_bytes + BODY_SPARE);
    }
}

static struct evhttp *make_evhttp(struct http *h)
{
    struct evhttp *evhttp = h->base ? evhttp_new(h->base) : NULL;
    if (!evhttp)
        return NULL;
    evhttp_set_max_headers_size(evhttp, HEADERS_MAX);
    evhttp_set_allowed_methods(evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                           EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                           EVHTTP_REQ_PATCH);
    evhttp_set_gencb(evhttp, route_request, h);
    return evhttp;
}

static int build(struct http *h)
{
    struct event_config *cfg = reserve_init(&h->reserve) ? NULL : event_config_new();
    if (!cfg)
        return -ENOMEM;
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    // No change list: it tells epoll of a descriptor when its number may be another thread's
    // already, and does not go together with dup3() (client.c).
    h->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    h->evhttp = make_evhttp(h);
    h->handed_evhttp = make_evhttp(h);
    if (!h->evhttp || !h->handed_evhttp || mailbox_new(&h->mailbox, h->base, h))
        return -ENOMEM;
    event_set_log_callback(on_libevent_log);
    set_limits(h);
    struct signal_settings settings;
    fill_settings(&settings, http_conf(h));
    h->hub = signal_hub_new(&settings, &link_signal_ops, h);
    const struct timeval second = {1, 0};
    event_assign(&h->second, h->base, -1, EV_PERSIST, on_second, h);
    event_assign(&h->tick, h->base, -1, 0, on_tick, h);
    event_assign(&h->turn_end, h->base, -1, 0, websocket_turn_end, h);
    event_assign(&h->reap, h->base, -1, 0, on_reap, h);
    event_assign(&h->resume_accept, h->base, -1, 0, on_resume_accept, h);
    if (!h->hub || clients_attach(h) || event_add(&h->second, &second))
        return -ENOMEM;
    schedule_tick(h, 0);
    return 0;
}

int http_new(struct http **out, struct snapshot *snapshot, const char **why)
{
    struct http *h = calloc(1, sizeof *h);
    *why = "out of memory";
    if (!h)
        return -ENOMEM;
    h->snapshot = snapshot_ref(snapshot);
    rand_bytes(&h->hash_key, sizeof h->hash_key);
    int err = build(h);
    if (!err && http_conf(h)->signal.listen.addr.port)
        err = open_listeners(h, why);
    if (!err)
        err = open_handover(h, why);
    if (err) {
        http_free(h);
        return err;
    }
    *out = h;
    return 0;
}

static void *run(void *arg)
{
    struct http *h = arg;
    served = h;
    event_base_loop(h->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static const char *scheme_of(enum conf_transport t)
{
    if (!conf_transport_secure(t))
        return "http, shared with TURN";
    return conf_transport_plain(t) ? "https and http, shared with TURN" : "https, shared with TURN";
}

static void report_listener(const struct conf_listen *l, const char *scheme)
{
    char text[ADDR_STRLEN];
    if (l->any)
        snprintf(text, sizeof text, "*:%u", l->addr.port);
    else
        addr_format(&l->addr, text);
    log_notice("http", "signaling and page on %s (%s)", text, scheme);
}

int http_start(struct http *h)
{
    const struct conf *c = http_conf(h);
    int err = pthread_create(&h->thread, NULL, run, h);
    if (err)
        return -err;
    h->started = true;
    if (c->signal.listen.addr.port)
        report_listener(&c->signal.listen, c->signal.tls ? "https" : "http");
    for (size_t i = 0; i < c->listen_count; i++)
        if (c->listen[i].http)
            report_listener(&c->listen[i], scheme_of(c->listen[i].transport));
    return 0;
}

// --- from other threads ---

static void on_reload(void *http, void *arg)
{
    struct http *h = http;
    struct snapshot *old = h->snapshot;
    struct signal_settings settings;
    h->snapshot = arg;
    set_limits(h);
    fill_settings(&settings, http_conf(h));
    if (signal_hub_configure(h->hub, &settings))
        log_error("http", "out of memory: the old limits of signaling stay");
    snapshot_unref(old);
}

int http_reload(struct http *h, struct snapshot *snapshot)
{
    int err = mailbox_post(h->mailbox, on_reload, snapshot_ref(snapshot));
    if (err)
        snapshot_unref(snapshot);
    return err;
}

static void on_stop_end(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    event_base_loopbreak(h->base);
}

static void on_stop(void *http, void *arg)
{
    struct http *h = http;
    const struct timeval wait = {STOP_MS / 1000, STOP_MS % 1000 * 1000};
    h->stop_ms = http_clock_ms() + STOP_MS;
    for (unsigned i = 0; i < h->listener_count; i++)
        evconnlistener_disable(h->listeners[i]);
    signal_hub_drain(h->hub, RETRY_MS);
    signal_hub_close_all(h->hub);
    if (h->link_count == 0 || event_base_once(h->base, -1, EV_TIMEOUT, on_stop_end, h, &wait))
        event_base_loopbreak(h->base);
}

// --- ending ---

void http_stop(struct http *h)
{
    if (!h || h->stopped)
        return;
    if (h->started) {
        while (mailbox_post(h->mailbox, on_stop, NULL))
            usleep(10000); // memory is short: the thread may give some back
        pthread_join(h->thread, NULL);
    }
    h->stopped = true;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    http_stop(h);
    if (h->mailbox)
        mailbox_drain(h->mailbox); // of snapshots and connections that are on their way
    clients_detach(h);
    if (h->evhttp)
        evhttp_free(h->evhttp); // ends every connection
    if (h->handed_evhttp)
        evhttp_free(h->handed_evhttp);
    handover_free(h);
    links_reap(h);
    signal_hub_free(h->hub);
    mailbox_free(h->mailbox);
    if (h->base)
        event_base_free(h->base);
    snapshot_unref(h->snapshot);
    websockets_free(h);
    reserve_free(&h->reserve);
    free(h->by_fd);
    free(h->sources);
    free(h);
}
