// SPDX-License-Identifier: BSD-2-Clause
// Messages from one client to others, and their acknowledgements. What is relayed goes on as the
// bytes that came; who it is from is never up to the sender.

#include "signal/internal.h"

static void put_sender(struct frame *f, const struct session *s)
{
    frame_text(f, ",\"from\":\"");
    frame_put(f, s->resume, ID_LEN);
    frame_text(f, "\",\"name\":");
    frame_put(f, s->name + s->name_len, s->quoted_len);
}

// room may be NULL; id is passed on where the sender wants to be answered.
static struct frame *write_message(const struct session *from, const struct room *room,
                                   const struct jvalue *id, const struct jvalue *data)
{
    struct frame *f = hub_frame(from->hub, "{\"type\":\"message\"");

    if (room) {
        frame_text(f, ",\"room\":");
        frame_put(f, room->name + room->name_len, room->quoted_len);
    }
    put_sender(f, from);
    if (id)
        frame_member(f, "id", id);
    frame_text(f, ",\"data\":");
    frame_put(f, data->at, data->len);
    frame_text(f, "}");
    return f;
}

static uint32_t send_to_room(const struct room *room, const struct session *but,
                             const struct frame *f)
{
    uint32_t count = 0;

    for (struct member *m = room->first; m; m = m->next) {
        if (m->session == but)
            continue;
        session_deliver(m->session, f);
        count++;
    }
    return count;
}

static uint32_t send_to_all(const struct session *from, const struct frame *f)
{
    uint32_t count = 0;

    for (struct session *s = from->hub->sessions; s; s = s->next) {
        if (s == from || s->only_room)
            continue;
        session_deliver(s, f);
        count++;
    }
    return count;
}

// The room that a message is for: the one named, or else the only one. NULL: the client has been
// told.
static struct member *find_room(struct signal_conn *conn, const struct request *req)
{
    struct session *s = conn->session;
    char name[SIGNAL_NAME_MAX];
    struct member *m;

    if (req->field[F_ROOM].type == J_ABSENT) {
        if (s->room_count == 1)
            return s->rooms;
        if (s->room_count > 1) {
            conn_mistake(conn, req, "bad_request", "in several rooms: say which");
            return NULL;
        }
        m = NULL;
    } else {
        int len = request_name(conn, req, F_ROOM, name);
        if (len < 0)
            return NULL;
        m = room_find(s, name, (size_t)len);
    }
    if (!m)
        conn_error(conn, req, "not_in_room", "not in this room");
    return m;
}

// Who `to` names: an id, or a user. NULL: the client has been told.
static struct session *find_peer(struct signal_conn *conn, const struct request *req)
{
    const struct session *self = conn->session;
    const struct jvalue *to = &req->field[F_TO];
    char name[SIGNAL_NAME_MAX], id[ID_LEN];
    struct session *s = NULL;

    if (to->type == J_STRING && jvalue_string(to, id, sizeof id) == ID_LEN)
        s = session_by_id(conn->hub, id, ID_LEN);
    if (!s) {
        int len = request_name(conn, req, F_TO, name);
        if (len < 0)
            return NULL;
        s = session_by_name(conn->hub, name, (size_t)len);
    }
    // A token for one room reaches nobody elsewhere.
    if (s && self->only_room && !room_find(s, self->only_room, self->only_room_len))
        s = NULL;
    if (!s || s->doomed) {
        conn_error(conn, req, "no_such_user", "there is nobody of this name or id");
        return NULL;
    }
    return s;
}

// Both `to` and `room`: only if that one is in the room, too.
static bool send_to_peer(struct signal_conn *conn, const struct request *req,
                         const struct jvalue *id)
{
    struct session *self = conn->session, *peer = find_peer(conn, req);
    struct member *m = NULL;

    if (!peer)
        return false;
    if (req->field[F_ROOM].type != J_ABSENT) {
        m = find_room(conn, req);
        if (!m)
            return false;
        if (!room_find(peer, m->room->name, m->room->name_len)) {
            conn_error(conn, req, "no_such_user", "there is nobody of this name or id in the room");
            return false;
        }
    }
    struct frame *f = write_message(self, m ? m->room : NULL, id, &req->field[F_DATA]);
    if (f->failed) {
        conn_no_memory(conn, req);
        return false;
    }
    if (!conn_take_bytes(conn, f->len, 1, req))
        return false;
    session_deliver(peer, f);
    return true;
}

// A long message to many would fill the queues of all of them at once. False: the client has been
// told, in place of what f was.
static bool afford_all(struct signal_conn *conn, const struct request *req, const struct frame *f)
{
    struct signal_hub *hub = conn->hub;
    uint32_t max = hub->settings.all_max;
    uint64_t kib = ((uint64_t)(hub->names.count - 1) * f->len + 1023) / 1024;

    if (kib > max)
        conn_error(conn, req, "quota_exceeded", "too long for so many");
    else if (!rate_take(&hub->all, max, max, (uint32_t)kib, hub->now_ms))
        conn_too_fast(conn, req, 1000);
    else
        return true;
    return false;
}

static bool relay(struct signal_conn *conn, const struct request *req, const struct jvalue *data,
                  const struct jvalue *id, uint32_t *count)
{
    const struct jvalue *scope = &req->field[F_SCOPE];
    struct session *self = conn->session;
    bool all = jvalue_is(scope, "all"), everyone = jvalue_is(scope, "room-all");
    const struct room *room = NULL;

    if (all && self->only_room) {
        conn_mistake(conn, req, "unauthorized", "the token is for one room");
        return false;
    }
    if (all && !conn_take(conn, COST_TO_ALL - 1, req))
        return false;
    if (!all) {
        struct member *m = find_room(conn, req);
        if (!m)
            return false;
        room = m->room;
    }
    struct frame *f = write_message(self, room, id, data);
    if (f->failed) {
        conn_no_memory(conn, req);
        return false;
    }
    if (!(all ? afford_all(conn, req, f)
              : conn_take_bytes(conn, f->len, room->count - !everyone, req)))
        return false;
    *count = all ? send_to_all(self, f) : send_to_room(room, everyone ? NULL : self, f);
    return true;
}

static void answer(struct signal_conn *conn, const struct request *req, bool ok, uint32_t count)
{
    struct frame *f = hub_frame(conn->hub, "{\"type\":\"ack\"");

    frame_member(f, "id", &req->field[F_ID]);
    frame_text(f, ok ? ",\"ok\":true,\"count\":" : ",\"ok\":false,\"count\":");
    frame_number(f, count);
    frame_text(f, "}");
    conn_answer(conn, req, f);
}

static const char *what_is_wrong(const struct request *req)
{
    const struct jvalue *f = req->field, *ack = &f[F_ACK], *scope = &f[F_SCOPE];

    if (f[F_DATA].type == J_ABSENT)
        return "data is missing";
    if (ack->type != J_ABSENT && ack->type != J_TRUE && ack->type != J_FALSE)
        return "ack has to be true or false";
    if (ack->type == J_TRUE && f[F_ID].type == J_ABSENT)
        return "ack needs an id";
    if (scope->type == J_ABSENT)
        return NULL;
    if (!jvalue_is(scope, "room") && !jvalue_is(scope, "room-all") && !jvalue_is(scope, "all"))
        return "scope has to be room, room-all or all";
    return f[F_TO].type != J_ABSENT ? "either scope or to" : NULL;
}

void message_handle(struct signal_conn *conn, const struct request *req)
{
    const struct jvalue *f = req->field;
    const char *wrong = what_is_wrong(req);
    bool ack = f[F_ACK].type == J_TRUE, sent;
    const struct jvalue *id = ack ? &f[F_ID] : NULL;
    uint32_t count = 1;

    if (wrong) {
        conn_mistake(conn, req, "bad_request", wrong);
        return;
    }
    if (f[F_TO].type != J_ABSENT)
        sent = send_to_peer(conn, req, id);
    else
        sent = relay(conn, req, &f[F_DATA], id, &count);
    if (!sent)
        return;
    conn->hub->stats.relayed++;
    // With `ack` those who get it answer; without anybody there, we do.
    if (f[F_ID].type != J_ABSENT && (!ack || count == 0))
        answer(conn, req, count > 0 || !ack, count);
}

void bare_handle(struct signal_conn *conn, const struct request *req)
{
    struct request plain = {.top = req->top}; // its members are data and mean nothing here
    uint32_t count;

    if (relay(conn, &plain, &req->top, NULL, &count))
        conn->hub->stats.relayed++;
}

void ack_handle(struct signal_conn *conn, const struct request *req)
{
    if (req->field[F_ID].type == J_ABSENT) {
        conn_mistake(conn, req, "bad_request", "ack needs the id of the message");
        return;
    }
    struct session *peer = find_peer(conn, req);
    if (!peer)
        return;
    struct frame *f = hub_frame(conn->hub, "{\"type\":\"ack\"");
    frame_member(f, "id", &req->field[F_ID]);
    frame_text(f, ",\"ok\":true");
    put_sender(f, conn->session);
    frame_member(f, "args", &req->field[F_ARGS]);
    frame_text(f, "}");
    if (f->failed) {
        conn_no_memory(conn, req);
        return;
    }
    if (!conn_take_bytes(conn, f->len, 1, req))
        return;
    session_deliver(peer, f);
    conn->hub->stats.relayed++;
}
