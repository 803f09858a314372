// SPDX-License-Identifier: BSD-2-Clause
// Who is there. Where all hear of all, n users cost n times n messages: so in a crowd only those
// hear who have asked, and in one that no list holds any more nobody does.
#include "signal/internal.h"

static void watch(struct session *s)
{
    struct session **head = &s->hub->watching;

    if (s->prev_watch)
        return;
    s->next_watch = *head;
    s->prev_watch = head;
    if (s->next_watch)
        s->next_watch->prev_watch = &s->next_watch;
    *head = s;
}

void presence_unwatch(struct session *s)
{
    if (!s->prev_watch)
        return;
    *s->prev_watch = s->next_watch;
    if (s->next_watch)
        s->next_watch->prev_watch = s->prev_watch;
    s->prev_watch = NULL;
}

static void tell(struct session *s, const struct session *about, const struct frame *f)
{
    if (s != about && !s->only_room)
        session_tell(s, f);
}

void presence_tell(struct session *about, const char *type)
{
    struct signal_hub *hub = about->hub;

    if (hub->closing || hub->names.count > USERS_LISTED_MAX)
        return;
    struct frame *f = hub_frame(hub, "{\"type\":\"");
    frame_text(f, type);
    frame_text(f, "\",\"name\":");
    frame_put(f, about->name + about->name_len, about->quoted_len);
    frame_text(f, "}");
    if (hub->names.count <= hub->settings.presence_max) {
        for (struct session *s = hub->sessions; s; s = s->next)
            tell(s, about, f);
    } else {
        for (struct session *s = hub->watching; s; s = s->next_watch)
            tell(s, about, f);
    }
}

void users_handle(struct signal_conn *conn, const struct request *req)
{
    struct session *self = conn->session;
    unsigned listed = 0;

    if (self->only_room) {
        conn_mistake(conn, req, "unauthorized", "the token is for one room");
        return;
    }
    if (!conn_take(conn, COST_TO_ALL - 1, req))
        return;
    watch(self);
    struct frame *f = hub_frame(conn->hub, "{\"type\":\"users\",\"users\":[");
    for (struct session *s = conn->hub->sessions; s && listed < USERS_LISTED_MAX; s = s->next) {
        if (s == self)
            continue;
        if (listed++ > 0)
            frame_text(f, ",");
        frame_put(f, s->name + s->name_len, s->quoted_len);
    }
    frame_text(f, "],\"count\":");
    frame_number(f, (int64_t)conn->hub->names.count - 1);
    frame_member(f, "id", &req->field[F_ID]);
    frame_text(f, "}");
    conn_answer(conn, req, f);
}
