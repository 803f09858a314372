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

// --- time ---

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    int64_t now_ms = http_clock_ms();
    clients_sweep(h, now_ms);
    links_sweep(h, now_ms);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    links_reap(h);
    if (h->stop_ms && h->link_count == 0)
        event_base_loopbreak(h->base);
}

// --- accepting ---

// As a rule no descriptor is left. The listener would be ready again at once. evhttp has made itself
// the argument of all that listeners call.
static void on_accept_error(struct evconnlistener *listener, void *evhttp)
{
    struct http *h = served;
    int err = EVUTIL_SOCKET_ERROR();
    uint32_t more;
    if (log_limit_pass(&h->log_accept, 2, http_clock_ms() / 1000, &more))
        log_warning("http", "cannot accept a connection: %s; trying again", strerror(err));
    const struct timeval pause = {0, 200000};
    evconnlistener_disable(listener);
    event_add(&h->resume_accept, &pause);
}

static void on_resume_accept(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    for (unsigned i = 0; i < h->listener_count && !h->stop_ms; i++)
        evconnlistener_enable(h->listeners[i]);
}

static int open_one(struct http *h, const struct addr *local)
{
    int err = host_probe(local, true);
    int fd = err ? err : host_listen(local);
    if (fd < 0)
        return fd;
    struct evconnlistener *l =
        evconnlistener_new(h->base, NULL, h, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!l) {
        close(fd);
        return -ENOMEM;
    }
    if (!evhttp_bind_listener(h->evhttp, l)) { // takes it
        evconnlistener_free(l);
        return -ENOMEM;
    }
    evconnlistener_set_error_cb(l, on_accept_error);
    h->listeners[h->listener_count++] = l;
    return 0;
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

static void on_libevent_log(int severity, const char *msg)
{
    log_debug("http", "libevent: %s", msg);
}

static void set_limits(struct http *h)
{
    const struct conf *c = http_conf(h);
    const struct timeval idle = {c->signal.request_timeout, 0};
    evhttp_set_timeout_tv(h->evhttp, &idle);
    evhttp_set_max_body_size(h->evhttp, (ev_ssize_t)c->signal.text_bytes + BODY_SPARE);
}

static int build(struct http *h)
{
    struct event_config *cfg = event_config_new();
    if (!cfg)
        return -ENOMEM;
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(cfg, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    h->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    h->evhttp = h->base ? evhttp_new(h->base) : NULL;
    if (!h->evhttp || mailbox_new(&h->mailbox, h->base, h))
        return -ENOMEM;
    event_set_log_callback(on_libevent_log);
    evhttp_set_max_headers_size(h->evhttp, HEADERS_MAX);
    evhttp_set_allowed_methods(h->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                              EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PUT |
                                              EVHTTP_REQ_DELETE | EVHTTP_REQ_PATCH);
    evhttp_set_gencb(h->evhttp, route_request, h);
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
    if (!err)
        err = open_listeners(h, why);
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

int http_start(struct http *h)
{
    char text[ADDR_STRLEN];
    struct addr a = http_conf(h)->signal.listen.addr;
    int err = pthread_create(&h->thread, NULL, run, h);
    if (err)
        return -err;
    h->started = true;
    if (http_conf(h)->signal.listen.any)
        snprintf(text, sizeof text, "*:%u", a.port);
    else
        addr_format(&a, text);
    log_notice("http", "signaling and page on %s (%s)", text,
               http_conf(h)->signal.tls ? "https" : "http");
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

static void stop(struct http *h)
{
    if (!h->started)
        return;
    while (mailbox_post(h->mailbox, on_stop, NULL))
        usleep(10000); // memory is short: the thread may give some back
    pthread_join(h->thread, NULL);
    mailbox_drain(h->mailbox); // of snapshots that are on their way
}

void http_free(struct http *h)
{
    if (!h)
        return;
    stop(h);
    clients_detach(h);
    if (h->evhttp)
        evhttp_free(h->evhttp); // ends every connection
    links_reap(h);
    signal_hub_free(h->hub);
    mailbox_free(h->mailbox);
    if (h->base)
        event_base_free(h->base);
    snapshot_unref(h->snapshot);
    free(h->by_fd);
    free(h->sources);
    free(h);
}
