// SPDX-License-Identifier: BSD-2-Clause
// Connections: their beginning and end, what they may send, what is sent to them.
#include <stdlib.h>
#include <string.h>

#include "signal/internal.h"
#include "util/codec.h"

#define STRIKES_FORGOTTEN_MS 10000 // after so long without a message too fast

static void fire(struct timer *t)
{
    struct signal_conn *conn =
        (struct signal_conn *)((char *)t - offsetof(struct signal_conn, timer));
    struct signal_hub *hub = conn->hub;

    if (!conn->session && hub->now_ms >= conn->register_at) {
        conn_unauthorized(conn, NULL, "register within the time allowed");
        return;
    }
    if (hub->now_ms >= conn->ping_at) {
        if (conn->unanswered == 2) {
            conn_end(conn, SIGNAL_CLOSE_TIMEOUT, "two pings without an answer");
            return;
        }
        conn->unanswered++;
        conn->ping_at = hub->now_ms + hub->settings.ping_ms;
        hub->ops->ping(conn->link);
    }
    conn_set_timer(conn);
}

void conn_set_timer(struct signal_conn *conn)
{
    int64_t due = conn->ping_at;

    if (!conn->session && conn->register_at < due)
        due = conn->register_at;
    timers_set(&conn->hub->timers, &conn->timer, due);
}

// Whether one more may come from there.
static bool admit(struct signal_hub *hub, const struct source *source)
{
    const struct signal_settings *s = &hub->settings;

    return !hub->draining && (!s->address_max || source->connections < s->address_max) &&
           (!s->connections_max || hub->stats.connections < s->connections_max);
}

// The token behind the connection itself. An over-long one cannot be good and is left out.
static struct signal_conn *conn_new(struct signal_hub *hub, const char *token)
{
    size_t len = token ? strlen(token) : 0;
    struct signal_conn *conn = calloc(1, sizeof *conn + (len <= JWT_LEN_MAX ? len + 1 : 1));

    if (!conn)
        return NULL;
    conn->hub = hub;
    conn->timer.fire = fire;
    conn->register_at = hub->now_ms + hub->settings.register_ms;
    conn->ping_at = hub->now_ms + hub->settings.ping_ms;
    if (len <= JWT_LEN_MAX && len > 0)
        memcpy(conn->token, token, len);
    if (timers_add(&hub->timers, &conn->timer, TIMER_NEVER) < 0) {
        free(conn);
        return NULL;
    }
    return conn;
}

struct signal_conn *signal_hub_open(struct signal_hub *hub, void *link, const struct addr *client,
                                    const char *token, int64_t now_ms)
{
    struct source *source = source_get(hub, client);
    struct signal_conn *conn = NULL;

    hub->now_ms = now_ms;
    if (source && admit(hub, source))
        conn = conn_new(hub, token);
    if (!conn) {
        hub->stats.refused++;
        if (source)
            source_put(hub, source);
        return NULL;
    }
    conn->link = link;
    conn->source = source;
    source->connections++;
    hub->stats.connections++;
    conn->next = hub->conns;
    conn->prev = &hub->conns;
    if (conn->next)
        conn->next->prev = &conn->next;
    hub->conns = conn;
    conn_set_timer(conn);
    return conn;
}

void conn_free(struct signal_conn *conn)
{
    struct signal_hub *hub = conn->hub;

    *conn->prev = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    timers_remove(&hub->timers, &conn->timer);
    conn->source->connections--;
    source_put(hub, conn->source);
    hub->stats.connections--;
    free(conn);
}

// Its session goes on without it, or ends with it.
static void lose(struct signal_conn *conn, const char *reason, bool over)
{
    struct session *s = conn->session;

    if (!s)
        return;
    s->rate = conn->rate;
    s->bytes = conn->bytes;
    session_detach(s, reason);
    if (over)
        session_doom(s, reason);
}

void conn_end(struct signal_conn *conn, enum signal_close code, const char *why)
{
    struct signal_hub *hub = conn->hub;

    if (conn->dead)
        return;
    conn->dead = true;
    conn->next_dead = hub->dead;
    hub->dead = conn;
    hub->ops->close(conn->link, code, why);
    if (code == SIGNAL_CLOSE_TIMEOUT)
        lose(conn, "timeout", false);
    else if (code == SIGNAL_CLOSE_TRY_LATER)
        lose(conn, "disconnect", false);
    else
        lose(conn, "kick", true);
}

void signal_conn_closed(struct signal_conn *conn, unsigned code, int64_t now_ms)
{
    struct signal_hub *hub = conn->hub;
    bool kick = code == SIGNAL_CLOSE_KICK, leave = code == SIGNAL_CLOSE_NORMAL;

    hub->now_ms = now_ms;
    conn->dead = true;
    lose(conn, kick ? "kick" : leave ? "leave" : "disconnect", kick || leave);
    conn_free(conn);
    hub_settle(hub);
}

void conn_send(struct signal_conn *conn, const struct frame *f)
{
    const struct signal_ops *ops = conn->hub->ops;

    if (conn->dead)
        return;
    if (ops->backlog && ops->backlog(conn->link) + f->len > conn->hub->settings.backlog_max)
        conn_end(conn, SIGNAL_CLOSE_TRY_LATER, "it does not take what is sent to it");
    else
        ops->send_text(conn->link, f->data, f->len);
}

void conn_answer(struct signal_conn *conn, const struct request *req, struct frame *f)
{
    if (f->failed)
        conn_no_memory(conn, req);
    else
        conn_send(conn, f);
}

static struct frame *begin_error(struct signal_conn *conn, const struct request *req,
                                 const char *code, const char *message)
{
    struct frame *f = hub_frame(conn->hub, "{\"type\":\"error\"");

    if (req)
        frame_member(f, "id", &req->field[F_ID]);
    frame_text(f, ",\"code\":\"");
    frame_text(f, code);
    frame_text(f, "\",\"message\":\"");
    frame_text(f, message);
    frame_text(f, "\"");
    return f;
}

static void send_error(struct signal_conn *conn, struct frame *f)
{
    frame_text(f, "}");
    conn->hub->stats.errors++;
    conn_send(conn, f);
}

void conn_error(struct signal_conn *conn, const struct request *req, const char *code,
                const char *message)
{
    send_error(conn, begin_error(conn, req, code, message));
}

void conn_mistake(struct signal_conn *conn, const struct request *req, const char *code,
                  const char *message)
{
    conn_error(conn, req, code, message);
    if (++conn->mistakes >= conn->hub->settings.mistakes_max)
        conn_end(conn, SIGNAL_CLOSE_POLICY, "too many mistakes");
}

void conn_unauthorized(struct signal_conn *conn, const struct request *req, const char *message)
{
    conn_error(conn, req, "unauthorized", message);
    conn_end(conn, SIGNAL_CLOSE_UNAUTHORIZED, message);
}

void conn_no_memory(struct signal_conn *conn, const struct request *req)
{
    conn_error(conn, req, "unavailable", "the server has no memory for that now; try again");
}

void conn_too_fast(struct signal_conn *conn, const struct request *req, int64_t retry_ms)
{
    struct frame *f = begin_error(conn, req, "rate_limited", "slower");

    frame_text(f, ",\"retry_ms\":");
    frame_number(f, retry_ms);
    send_error(conn, f);
}

bool conn_take(struct signal_conn *conn, uint32_t cost, const struct request *req)
{
    struct signal_hub *hub = conn->hub;
    const struct signal_settings *s = &hub->settings;

    // What costs more than a bucket holds would never pass.
    if (cost > s->burst)
        cost = s->burst;
    if (rate_take(&conn->rate, s->rate, s->burst, cost, hub->now_ms))
        return true;
    if (hub->now_ms - conn->strike_ms > STRIKES_FORGOTTEN_MS)
        conn->strikes = 0;
    conn->strike_ms = hub->now_ms;
    conn_too_fast(conn, req, ((int64_t)cost * 1000 + s->rate - 1) / s->rate);
    // What was under way when the first answer left is forgiven, as much as a second is worth.
    if (++conn->strikes > s->rate)
        conn_end(conn, SIGNAL_CLOSE_TOO_FAST, "too many messages");
    return false;
}

bool conn_take_bytes(struct signal_conn *conn, size_t len, uint32_t receivers,
                     const struct request *req)
{
    struct signal_hub *hub = conn->hub;
    uint32_t rate = hub->settings.bytes;
    uint64_t cost = (uint64_t)len * receivers;

    if (!rate)
        return true;
    if (receivers == 1 && cost > rate)
        cost = rate;
    if (cost > rate)
        conn_error(conn, req, "quota_exceeded", "too long for so many");
    else if (!rate_take(&conn->bytes, rate, rate, (uint32_t)cost, hub->now_ms))
        conn_too_fast(conn, req, (int64_t)(cost * 1000 / rate + 1));
    else
        return true;
    return false;
}

// What every frame has to pass.
static bool accept_frame(struct signal_conn *conn, size_t len, uint32_t max, int64_t now_ms)
{
    conn->hub->now_ms = now_ms;
    conn->unanswered = 0; // whoever sends is alive
    if (len <= max)
        return conn_take(conn, 1, NULL);
    conn_end(conn, SIGNAL_CLOSE_TOO_BIG, "longer than allowed");
    return false;
}

void signal_conn_text(struct signal_conn *conn, const void *data, size_t len, int64_t now_ms)
{
    struct signal_hub *hub = conn->hub;

    hub->stats.received++;
    if (accept_frame(conn, len, hub->settings.text_max, now_ms)) {
        if (utf8_valid(data, len))
            request_handle(conn, data, len);
        else
            conn_end(conn, SIGNAL_CLOSE_INVALID, "not UTF-8");
    }
    hub_settle(hub);
}

void signal_conn_binary(struct signal_conn *conn, const void *data, size_t len, int64_t now_ms)
{
    struct signal_hub *hub = conn->hub;

    (void)data; // only media and recordings have a use for it
    if (accept_frame(conn, len, hub->settings.binary_max, now_ms))
        conn_mistake(conn, NULL, "bad_request", "a binary frame without media or a recording");
    hub_settle(hub);
}

void signal_conn_pong(struct signal_conn *conn, int64_t now_ms)
{
    conn->hub->now_ms = now_ms;
    conn->unanswered = 0;
}
