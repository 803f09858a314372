// SPDX-License-Identifier: BSD-2-Clause
// Rooms: who is in which.
#include <stdlib.h>
#include <string.h>

#include "signal/internal.h"
#include "signal/name.h"

// Bytes that a member costs who joins, in `joined`, and who joins a member, in `otherjoin`: about.
#define JOIN_BYTES 160

static struct room *find(const struct signal_hub *hub, const char *name, size_t len)
{
    struct table_node *n = table_first(&hub->rooms, hub_hash(hub, name, len));

    for (; n; n = table_next(n)) {
        struct room *room = (struct room *)n;
        if (room->name_len == len && memcmp(room->name, name, len) == 0)
            return room;
    }
    return NULL;
}

static struct room *room_new(struct signal_hub *hub, const char *name, size_t len)
{
    struct room *room = calloc(1, sizeof *room + len + NAME_QUOTED(len));

    if (!room)
        return NULL;
    room->name_len = (uint32_t)len;
    memcpy(room->name, name, len);
    room->quoted_len = (uint32_t)name_quote(room->name + len, name, len);
    if (table_add(&hub->rooms, &room->node, hub_hash(hub, name, len)) < 0) {
        free(room);
        return NULL;
    }
    return room;
}

// A session is in a few rooms at most, so that a walk is short.
struct member *room_find(const struct session *s, const char *name, size_t len)
{
    for (struct member *m = s->rooms; m; m = m->next_room)
        if (m->room->name_len == len && memcmp(m->room->name, name, len) == 0)
            return m;
    return NULL;
}

static struct member *enter(struct session *s, struct room *room)
{
    struct member *m = malloc(sizeof *m);

    if (!m)
        return NULL;
    *m = (struct member){.session = s, .room = room, .prev = room->last, .next_room = s->rooms};
    *(room->last ? &room->last->next : &room->first) = m;
    room->last = m;
    room->count++;
    m->prev_room = &s->rooms;
    if (s->rooms)
        s->rooms->prev_room = &m->next_room;
    s->rooms = m;
    s->room_count++;
    return m;
}

// The last one out takes the room along.
static void close_if_empty(struct signal_hub *hub, struct room *room)
{
    if (room->count > 0)
        return;
    table_remove(&hub->rooms, &room->node);
    free(room);
}

void room_forget(struct member *m)
{
    struct session *s = m->session;
    struct room *room = m->room;

    *(m->prev ? &m->prev->next : &room->first) = m->next;
    *(m->next ? &m->next->prev : &room->last) = m->prev;
    room->count--;
    *m->prev_room = m->next_room;
    if (m->next_room)
        m->next_room->prev_room = m->prev_room;
    s->room_count--;
    free(m);
    close_if_empty(s->hub, room);
}

static struct frame *begin(const struct session *s, const struct room *room, const char *type)
{
    struct frame *f = hub_frame(s->hub, "{\"type\":\"");

    frame_text(f, type);
    frame_text(f, "\",\"room\":");
    frame_put(f, room->name + room->name_len, room->quoted_len);
    frame_text(f, ",\"id\":\"");
    frame_put(f, s->resume, ID_LEN);
    frame_text(f, "\"");
    return f;
}

static void tell_others(const struct room *room, const struct session *but, const struct frame *f)
{
    for (struct member *m = room->first; m; m = m->next)
        if (m->session != but)
            session_tell(m->session, f);
}

static void put_name(struct frame *f, const struct session *s)
{
    frame_text(f, ",\"name\":");
    frame_put(f, s->name + s->name_len, s->quoted_len);
}

void room_leave(struct member *m, const char *reason)
{
    struct frame *f = begin(m->session, m->room, "bye");

    put_name(f, m->session);
    frame_text(f, ",\"reason\":\"");
    frame_text(f, reason);
    frame_text(f, "\"}");
    tell_others(m->room, m->session, f);
    room_forget(m);
}

static void put_members(struct frame *f, const struct member *self)
{
    const char *comma = "";

    frame_text(f, ",\"members\":[");
    for (const struct member *m = self->room->first; m; m = m->next) {
        if (m == self)
            continue;
        frame_text(f, comma);
        frame_text(f, "{\"id\":\"");
        frame_put(f, m->session->resume, ID_LEN);
        frame_text(f, "\"");
        put_name(f, m->session);
        frame_text(f, "}");
        comma = ",";
    }
    frame_text(f, "],\"count\":");
    frame_number(f, self->room->count);
}

static void put_limits(struct frame *f, const struct signal_settings *s)
{
    const struct {
        const char *name;
        uint32_t value;
    } limits[] = {
        {"text", s->text_max},  {"binary", s->binary_max}, {"rate", s->rate},
        {"burst", s->burst},    {"bytes", s->bytes},       {"rooms", s->rooms_max},
        {"names", s->name_max}, {"grace_ms", s->grace_ms}, {"ping_ms", s->ping_ms},
    };

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        frame_text(f, i ? ",\"" : ",\"limits\":{\"");
        frame_text(f, limits[i].name);
        frame_text(f, "\":");
        frame_number(f, limits[i].value);
    }
    frame_text(f, "}");
}

// False: there is no memory for it.
static bool write_joined(struct frame *f, const struct member *m, const struct request *req)
{
    const struct signal_settings *settings = &m->session->hub->settings;

    put_members(f, m);
    frame_text(f, ",\"capacity\":");
    frame_number(f, settings->capacity);
    frame_text(f, ",");
    ice_put(m->session, f);
    frame_text(f, ",\"resume\":\"");
    frame_put(f, m->session->resume, RESUME_LEN);
    frame_text(f, "\"");
    put_limits(f, settings);
    if (req)
        frame_member(f, "re", &req->field[F_ID]); // `id` is the peer's
    frame_text(f, "}");
    return !f->failed;
}

bool room_send_joined(struct signal_conn *conn, const struct member *m, const struct request *req)
{
    struct frame *f = begin(m->session, m->room, "joined");

    if (!write_joined(f, m, req))
        return false;
    conn_send(conn, f);
    return true;
}

// A member that has just entered hears of it, then the others.
static void welcome(struct signal_conn *conn, const struct request *req, struct member *m)
{
    const struct session *s = m->session;
    const struct room *room = m->room;

    if (!room_send_joined(conn, m, req)) {
        room_forget(m);
        conn_no_memory(conn, req);
        return;
    }
    struct frame *f = begin(s, room, "otherjoin");
    put_name(f, s);
    frame_text(f, ",\"count\":");
    frame_number(f, room->count);
    frame_text(f, "}");
    tell_others(room, s, f);
}

static void answer_full(struct signal_conn *conn, const struct request *req,
                        const struct room *room)
{
    struct frame *f = hub_frame(conn->hub, "{\"type\":\"full\",\"room\":");

    frame_put(f, room->name + room->name_len, room->quoted_len);
    frame_text(f, ",\"capacity\":");
    frame_number(f, conn->hub->settings.capacity);
    frame_member(f, "id", &req->field[F_ID]);
    frame_text(f, "}");
    conn_answer(conn, req, f);
}

void join_handle(struct signal_conn *conn, const struct request *req)
{
    struct signal_hub *hub = conn->hub;
    struct session *s = conn->session;
    char name[SIGNAL_NAME_MAX];
    int len = request_name(conn, req, F_ROOM, name);

    if (len < 0)
        return;
    if (s->only_room &&
        (s->only_room_len != (size_t)len || memcmp(s->only_room, name, (size_t)len) != 0)) {
        conn_mistake(conn, req, "unauthorized", "the token is for another room");
        return;
    }
    struct room *room = find(hub, name, (size_t)len);
    if (room && !conn_take_bytes(conn, (size_t)room->count * JOIN_BYTES, 1, req))
        return;
    struct member *m = room_find(s, name, (size_t)len);
    if (m) {
        if (!room_send_joined(conn, m, req))
            conn_no_memory(conn, req);
        return;
    }
    if (s->room_count >= hub->settings.rooms_max) {
        conn_error(conn, req, "quota_exceeded", "in as many rooms as are allowed");
        return;
    }
    if (room && room->count >= hub->settings.capacity) {
        answer_full(conn, req, room);
        return;
    }
    if (!room)
        room = room_new(hub, name, (size_t)len);
    m = room ? enter(s, room) : NULL;
    if (m)
        welcome(conn, req, m);
    else
        conn_no_memory(conn, req);
    if (room && !m)
        close_if_empty(hub, room);
}

void leave_handle(struct signal_conn *conn, const struct request *req)
{
    char name[SIGNAL_NAME_MAX];
    int len = request_name(conn, req, F_ROOM, name);

    if (len < 0)
        return;
    struct member *m = room_find(conn->session, name, (size_t)len);
    if (!m) {
        conn_error(conn, req, "not_in_room", "not in this room");
        return;
    }
    struct frame *f = begin(m->session, m->room, "leaved");
    frame_member(f, "re", &req->field[F_ID]);
    frame_text(f, "}");
    conn_answer(conn, req, f);
    room_leave(m, "leave");
}
