// SPDX-License-Identifier: BSD-2-Clause
// Sessions: registered users, with a connection or within their grace.
#include <stdlib.h>
#include <string.h>

#include "signal/internal.h"
#include "signal/name.h"
#include "util/codec.h"

#define TOKEN_LOOK_MS                                                                              \
    60000 // how often a token's end is compared with the wall clock, which may jump

struct session *session_by_id(const struct signal_hub *hub, const char *id, size_t len)
{
    if (len != ID_LEN)
        return NULL;
    struct table_node *n = table_first(&hub->ids, hub_hash(hub, id, len));
    for (; n; n = table_next(n)) {
        struct session *s = (struct session *)((char *)n - offsetof(struct session, by_id));
        if (memcmp(s->resume, id, ID_LEN) == 0)
            return s;
    }
    return NULL;
}

struct session *session_by_name(const struct signal_hub *hub, const char *name, size_t len)
{
    struct table_node *n = table_first(&hub->names, hub_hash(hub, name, len));

    for (; n; n = table_next(n)) {
        struct session *s = (struct session *)((char *)n - offsetof(struct session, by_name));
        if (s->name_len == len && memcmp(s->name, name, len) == 0)
            return s;
    }
    return NULL;
}

static void look_at_token(struct session *s)
{
    struct signal_hub *hub = s->hub;
    int64_t left = s->exp_ms - hub->ops->unix_ms(hub->arg);

    s->exp_at = hub->now_ms + (left > TOKEN_LOOK_MS ? TOKEN_LOOK_MS : left);
    if (left > 0)
        return;
    s->exp_at = TIMER_NEVER;
    if (s->conn)
        conn_unauthorized(s->conn, NULL, "the token has expired");
    else
        session_doom(s, s->reason);
}

static void fire(struct timer *t)
{
    struct session *s = (struct session *)((char *)t - offsetof(struct session, timer));
    int64_t now = s->hub->now_ms;

    if (now >= s->exp_at)
        look_at_token(s);
    if (now >= s->grace_at)
        session_doom(s, s->reason);
    if (!s->doomed && now >= s->ice_at)
        ice_push(s);
    session_set_timer(s);
}

void session_set_timer(struct session *s)
{
    int64_t due = s->grace_at < s->ice_at ? s->grace_at : s->ice_at;

    if (s->exp_at < due)
        due = s->exp_at;
    timers_set(&s->hub->timers, &s->timer, s->doomed ? TIMER_NEVER : due);
}

// Numbers never come twice, whatever the clock does.
static int64_t next_uid(struct signal_hub *hub)
{
    int64_t now = hub->ops->unix_ms(hub->arg);

    hub->last_uid = now > hub->last_uid ? now : hub->last_uid + 1;
    return hub->last_uid;
}

static void make_resume(struct session *s)
{
    uint8_t bytes[ID_BYTES + KEY_BYTES];
    char hex[RESUME_LEN + 1];

    do {
        s->hub->ops->random(s->hub->arg, bytes, sizeof bytes);
        memcpy(s->resume, hex_encode(hex, bytes, sizeof bytes), RESUME_LEN);
    } while (session_by_id(s->hub, s->resume, ID_LEN));
}

static int insert(struct signal_hub *hub, struct session *s)
{
    if (timers_add(&hub->timers, &s->timer, TIMER_NEVER) < 0)
        return -1;
    if (table_add(&hub->ids, &s->by_id, hub_hash(hub, s->resume, ID_LEN)) < 0)
        goto no_id;
    if (table_add(&hub->names, &s->by_name, hub_hash(hub, s->name, s->name_len)) < 0)
        goto no_name;
    return 0;
no_name:
    table_remove(&hub->ids, &s->by_id);
no_id:
    timers_remove(&hub->timers, &s->timer);
    return -1;
}

struct session *session_new(struct signal_hub *hub, const char *name, size_t len)
{
    struct session *s = calloc(1, sizeof *s + len + NAME_QUOTED(len));

    if (!s)
        return NULL;
    s->hub = hub;
    s->timer.fire = fire;
    s->grace_at = s->ice_at = s->exp_at = TIMER_NEVER;
    s->held_end = &s->held;
    s->name_len = (uint32_t)len;
    memcpy(s->name, name, len);
    s->quoted_len = (uint32_t)name_quote(s->name + len, name, len);
    make_resume(s);
    if (insert(hub, s) < 0) {
        free(s);
        return NULL;
    }
    s->uid = next_uid(hub);
    s->next = hub->sessions;
    s->prev = &hub->sessions;
    if (s->next)
        s->next->prev = &s->next;
    hub->sessions = s;
    return s;
}

static void come_back(struct session *s)
{
    if (!s->source)
        return;
    s->source->away--;
    source_put(s->hub, s->source);
    s->source = NULL;
}

void session_attach(struct session *s, struct signal_conn *conn)
{
    s->conn = conn;
    conn->session = s;
    come_back(s);
    s->grace_at = TIMER_NEVER;
    session_set_timer(s);
    conn_set_timer(conn);
}

void session_detach(struct session *s, const char *reason)
{
    const struct signal_settings *settings = &s->hub->settings;
    struct source *source = s->conn->source;

    s->conn->session = NULL;
    s->conn = NULL;
    s->reason = reason;
    // Those who come and go in a hurry would leave any number behind.
    if (settings->grace_ms == 0 ||
        (settings->address_max && source->away >= settings->address_max)) {
        session_doom(s, reason);
        return;
    }
    s->source = source;
    source->away++;
    s->grace_at = s->hub->now_ms + settings->grace_ms;
    session_set_timer(s);
}

void session_doom(struct session *s, const char *reason)
{
    if (s->doomed)
        return;
    s->doomed = true;
    s->reason = reason;
    s->next_doomed = s->hub->doomed;
    s->hub->doomed = s;
}

void session_end(struct session *s)
{
    while (s->rooms)
        room_leave(s->rooms, s->reason);
    presence_tell(s, "userdel");
    session_free(s);
}

static void drop_held(struct session *s)
{
    while (s->held) {
        struct held *h = s->held;
        s->held = h->next;
        free(h);
    }
    s->held_end = &s->held;
    s->held_bytes = 0;
}

void session_free(struct session *s)
{
    struct signal_hub *hub = s->hub;

    while (s->rooms)
        room_forget(s->rooms);
    presence_unwatch(s);
    drop_held(s);
    come_back(s);
    if (s->conn) {
        s->conn->session = NULL;
        s->conn->register_at = hub->now_ms + hub->settings.register_ms;
        conn_set_timer(s->conn);
    }
    table_remove(&hub->ids, &s->by_id);
    table_remove(&hub->names, &s->by_name);
    timers_remove(&hub->timers, &s->timer);
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    free(s->only_room);
    explicit_bzero(s->resume, sizeof s->resume);
    free(s);
}

// No message is dropped in silence: who cannot be kept any for is gone.
static void hold(struct session *s, const struct frame *f)
{
    struct held *h = NULL;
    size_t bytes = sizeof *h + f->len;

    if (s->held_bytes + bytes <= s->hub->settings.held_max)
        h = malloc(bytes);
    if (!h) {
        session_doom(s, s->reason);
        return;
    }
    h->next = NULL;
    h->len = f->len;
    memcpy(h->data, f->data, f->len);
    *s->held_end = h;
    s->held_end = &h->next;
    s->held_bytes += bytes;
}

void session_tell(struct session *s, const struct frame *f)
{
    if (s->conn && !s->doomed && !f->failed)
        conn_send(s->conn, f);
}

void session_deliver(struct session *s, const struct frame *f)
{
    // Sending may lose the connection: then the frame is kept, too.
    session_tell(s, f);
    if (!s->conn && !s->doomed)
        hold(s, f);
}

void session_send_held(struct session *s)
{
    struct held *h = s->held;

    s->held = NULL;
    s->held_end = &s->held;
    s->held_bytes = 0;
    while (h) {
        struct held *next = h->next;
        session_deliver(s, &(struct frame){.data = h->data, .len = h->len});
        free(h);
        h = next;
    }
}
