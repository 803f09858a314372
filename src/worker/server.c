// SPDX-License-Identifier: BSD-2-Clause
#include "worker/server.h"

#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "turn/server.h"
#include "util/codec.h"
#include "util/rand.h"
#include "worker/worker.h"

#define WORKERS_MAX 256 // as the schema allows; a session id has 8 bits for it

struct server {
    uint8_t nonce_key[32];
    uint8_t ticket_key[TURN_TICKET_KEY_LEN];
    char ice_secret[65]; // as long as the process: credentials live on when it reloads
    struct snapshot *snapshot;
    struct ports *ports;
    struct quota *quota;
    unsigned worker_count;
    struct worker *workers[WORKERS_MAX];
};

static unsigned cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static int build(struct server *s, const char **why)
{
    const struct conf *c = s->snapshot->conf;
    s->quota = quota_new();
    s->ports = ports_new(s->snapshot->relays, s->snapshot->relay_count, c->relay.port_min,
                         c->relay.port_max);
    if (!s->quota || !s->ports) {
        *why = "out of memory";
        return -ENOMEM;
    }
    unsigned n = c->workers ? c->workers : cpu_count();
    while (s->worker_count < n) {
        struct worker **w = &s->workers[s->worker_count];
        int err =
            worker_new(w, s->worker_count, s->snapshot, s->ports, s->quota, s->ticket_key, why);
        if (err)
            return err;
        s->worker_count++;
    }
    for (unsigned i = 0; i < n; i++)
        worker_set_peers(s->workers[i], s->workers, n);
    return 0;
}

static bool drain(struct server *s)
{
    bool any = false;
    for (unsigned i = 0; i < s->worker_count; i++)
        any |= worker_drain(s->workers[i]);
    return any;
}

int server_new(struct server **out, struct conf *conf, const char **why)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s) {
        conf_free(conf);
        *why = "out of memory";
        return -ENOMEM;
    }
    rand_bytes(s->nonce_key, sizeof s->nonce_key);
    rand_bytes(s->ticket_key, sizeof s->ticket_key);
    uint8_t secret[32];
    rand_bytes(secret, sizeof secret);
    hex_encode(s->ice_secret, secret, sizeof secret);
    s->snapshot = snapshot_new(conf, s->nonce_key, s->ice_secret, why);
    int err = s->snapshot ? build(s, why) : -EINVAL;
    if (err) {
        server_free(s);
        return err;
    }
    snapshot_report_addresses(s->snapshot);
    snapshot_report_behaviors(s->snapshot);
    *out = s;
    return 0;
}

int server_check(const struct conf *conf, const char **why)
{
    char text[TLS_WHY_MAX];
    struct tls_context *tls;
    int err = snapshot_make_tls(&tls, conf, text);
    tls_context_free(tls);
    if (err)
        *why = snapshot_explain(conf, text);
    return err;
}

void server_set_http(struct server *s, worker_http *take, void *arg)
{
    for (unsigned i = 0; i < s->worker_count; i++)
        worker_set_http(s->workers[i], take, arg);
}

static const char *explain_stores(const struct conf *conf, const char *why)
{
    char text[1536];
    snprintf(text, sizeof text, "auth.stores: %s", why);
    return snapshot_explain(conf, text);
}

int server_start(struct server *s, const char **why)
{
    static _Thread_local char text[160];
    for (unsigned i = 0; i < s->worker_count; i++) {
        int err = worker_open_stores(s->workers[i], why);
        if (err) {
            *why = explain_stores(s->snapshot->conf, *why);
            return err;
        }
    }
    for (unsigned i = 0; i < s->worker_count; i++) {
        int err = worker_start(s->workers[i]);
        if (err) {
            snprintf(
                text, sizeof text,
                "cannot start a thread for worker %u of %u: %s; see the limits of this process, "
                "or set workers lower",
                i + 1, s->worker_count, strerror(-err));
            *why = text;
            return err;
        }
    }
    return 0;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool same_bytes(const void *a, size_t a_count, const void *b, size_t b_count, size_t size)
{
    return a_count == b_count && (!a_count || !memcmp(a, b, a_count * size));
}

// The first key that differs between two configurations but cannot change while we run; NULL when
// there is none.
static const char *fixed_difference(const struct conf *a, const struct conf *b)
{
    if (a->workers != b->workers)
        return "workers";
    if (!same_text(a->user, b->user))
        return "user";
    if (!same_text(a->group, b->group))
        return "group";
    if (!same_bytes(a->relay.addresses, a->relay.address_count, b->relay.addresses,
                    b->relay.address_count, sizeof *a->relay.addresses))
        return "relay.addresses";
    if (a->relay.port_min != b->relay.port_min || a->relay.port_max != b->relay.port_max)
        return "relay.ports";
    if (a->listen_count != b->listen_count)
        return "listen";
    for (size_t i = 0; i < a->listen_count; i++)
        if (a->listen[i].transport != b->listen[i].transport ||
            a->listen[i].any != b->listen[i].any ||
            a->listen[i].proxy_protocol != b->listen[i].proxy_protocol ||
            a->listen[i].http != b->listen[i].http ||
            !addr_equal(&a->listen[i].addr, &b->listen[i].addr))
            return "listen";
    if (a->signal.listen.addr.port != b->signal.listen.addr.port)
        return "signal.port";
    if (a->signal.listen.any != b->signal.listen.any ||
        !addr_equal(&a->signal.listen.addr, &b->signal.listen.addr))
        return "signal.address";
    if (a->signal.tls != b->signal.tls)
        return "signal.tls";
    return NULL;
}

// Whether the stores of a configuration can be opened: tried before any worker is told of it, so
// that all take it over or none.
static int try_stores(const struct snapshot *snapshot, const char **why)
{
    struct stores *stores;
    struct event_base *base = event_base_new();
    if (!base) {
        *why = "out of memory";
        return -ENOMEM;
    }
    int err = stores_open(&stores, &snapshot->stores, base, why);
    if (!err)
        stores_close(stores);
    event_base_free(base);
    return err;
}

int server_reload(struct server *s, struct conf *conf, const char **why)
{
    char text[96];
    const char *key = fixed_difference(s->snapshot->conf, conf);
    if (key) {
        snprintf(text, sizeof text, "%s cannot change while the server runs: restart it", key);
        *why = snapshot_explain(conf, text);
        conf_free(conf);
        return -EINVAL;
    }
    struct snapshot *snapshot = snapshot_new(conf, s->nonce_key, s->ice_secret, why);
    if (!snapshot)
        return -EINVAL;
    int err = try_stores(snapshot, why);
    if (err) {
        *why = explain_stores(snapshot->conf, *why);
        snapshot_unref(snapshot);
        return err;
    }
    for (unsigned i = 0; i < s->worker_count; i++) {
        if (worker_reload(s->workers[i], snapshot)) {
            *why = "out of memory: some workers keep the old configuration";
            snapshot_unref(snapshot);
            return -ENOMEM;
        }
    }
    snapshot_unref(s->snapshot);
    s->snapshot = snapshot;
    return 0;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->worker_count; i++)
        worker_stop(s->workers[i]);
    while (drain(s))
        ;
    for (unsigned i = 0; i < s->worker_count; i++)
        worker_free(s->workers[i]);
    ports_free(s->ports);
    quota_free(s->quota);
    snapshot_unref(s->snapshot);
    free(s);
}

unsigned server_workers(const struct server *s)
{
    return s->worker_count;
}

const struct conf *server_conf(const struct server *s)
{
    return s->snapshot->conf;
}

struct snapshot *server_snapshot(const struct server *s)
{
    return s->snapshot;
}
