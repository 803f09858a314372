// SPDX-License-Identifier: BSD-2-Clause
// A connection that carries messages, of whatever kind, between its client and the hub. The hub
// calls while it is in the middle of something, so nothing is freed from there.
#include "http/internal.h"

#include <stdlib.h>

#include "util/rand.h"

#define LINGER_MS 2000 // for a client to take the good-bye

static void list_add(struct link *l, struct link **head)
{
    l->next = *head;
    l->prev = head;
    if (l->next)
        l->next->prev = &l->next;
    *head = l;
}

static void list_remove(struct link *l)
{
    *l->prev = l->next;
    if (l->next)
        l->next->prev = l->prev;
}

bool link_open(struct link *l, struct http *h, const struct link_kind *kind,
               const struct addr *addr, const char *token)
{
    l->http = h;
    l->kind = kind;
    l->addr = *addr;
    l->code = SIGNAL_CLOSE_LOST;
    l->conn = signal_hub_open(h->hub, l, addr, token, http_clock_ms());
    if (!l->conn)
        return false;
    list_add(l, &h->links);
    h->link_count++;
    return true;
}

static void tell_hub(struct link *l)
{
    struct signal_conn *conn = l->conn;
    l->conn = NULL;
    if (conn)
        signal_conn_closed(conn, l->code, http_clock_ms());
}

void link_lost(struct link *l)
{
    struct http *h = l->http;
    l->kind->lost(l);
    l->client = NULL;
    tell_hub(l);
    list_remove(l);
    h->link_count--;
    list_add(l, &h->dying);
    event_active(&h->reap, EV_TIMEOUT, 0);
}

void link_end(struct link *l)
{
    tell_hub(l);
    if (!l->end_ms)
        l->end_ms = http_clock_ms() + LINGER_MS;
}

// Bytes that wait to be sent.
static size_t backlog(const struct link *l)
{
    return l->client ? l->kind->backlog(l) : 0;
}

void link_check_backlog(struct link *l)
{
    if (!l->client || l->end_ms || backlog(l) <= http_conf(l->http)->signal.backlog)
        return;
    l->kind->close(l, SIGNAL_CLOSE_TRY_LATER, "does not read");
    link_end(l);
}

void links_sweep(struct http *h, int64_t now_ms)
{
    for (struct link *l = h->links, *next; l; l = next) {
        next = l->next;
        if (l->end_ms && now_ms >= l->end_ms && l->client)
            client_close(l->client);
    }
}

void links_reap(struct http *h)
{
    while (h->dying) {
        struct link *l = h->dying;
        list_remove(l);
        l->kind->free(l);
    }
}

// --- what the hub asks for ---

static void op_send_text(void *link, const void *data, size_t len)
{
    struct link *l = link;
    if (l->client && !l->end_ms)
        l->kind->send_text(l, data, len);
}

static void op_ping(void *link)
{
    struct link *l = link;
    if (l->client && !l->end_ms)
        l->kind->ping(l);
}

static void op_close(void *link, unsigned code, const char *reason)
{
    struct link *l = link;
    l->conn = NULL;
    if (l->client && !l->end_ms) {
        log_line(LOG_LVL_INFO, "signal", &(struct log_about){.client = &l->addr},
                 "closed with %u%s%s", code, *reason ? ": " : "", reason);
        l->kind->close(l, code, reason);
    }
    if (!l->end_ms)
        l->end_ms = http_clock_ms() + LINGER_MS;
}

static size_t op_backlog(void *link)
{
    return backlog(link);
}

static void op_random(void *arg, void *buf, size_t len)
{
    rand_bytes(buf, len);
}

static int64_t op_unix_ms(void *arg)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const struct signal_ops link_signal_ops = {
    .send_text = op_send_text,
    .ping = op_ping,
    .close = op_close,
    .backlog = op_backlog,
    .ice_servers = ice_servers,
    .random = op_random,
    .unix_ms = op_unix_ms,
};
