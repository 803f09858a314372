// SPDX-License-Identifier: BSD-2-Clause
// What a text frame is, and who handles it.
#include <errno.h>

#include "signal/internal.h"
#include "signal/name.h"
#include "util/opaque.h"

#define REQUEST_ID_MAX 128 // characters, as it stands in the message

static void ping_handle(struct signal_conn *conn, const struct request *req)
{
    struct frame *f = hub_frame(conn->hub, "{\"type\":\"pong\"");

    frame_member(f, "id", &req->field[F_ID]);
    frame_text(f, "}");
    conn_answer(conn, req, f);
}

static const struct handler {
    const char *type;
    void (*handle)(struct signal_conn *conn, const struct request *req);
    bool strangers; // may ask, too
} handlers[] = {
    {"message", message_handle, false}, {"ack", ack_handle, false},
    {"join", join_handle, false},       {"leave", leave_handle, false},
    {"ice", ice_handle, false},         {"users", users_handle, false},
    {"ping", ping_handle, true},        {"register", register_handle, true},
    {"resume", resume_handle, true},
};

// JSON.stringify() of a description, a candidate, or the null that ends the candidates.
static bool is_bare(const struct request *req)
{
    const struct jvalue *f = req->field, *type = &f[F_TYPE];

    if (req->top.type == J_NULL)
        return true;
    if (type->type == J_ABSENT)
        return f[F_EVENT].type == J_ABSENT && f[F_CANDIDATE].type == J_STRING;
    return (jvalue_is(type, "offer") || jvalue_is(type, "answer")) && f[F_SDP].type == J_STRING;
}

static const struct handler *find_handler(const struct jvalue *type)
{
    static const struct handler bare = {"", bare_handle, false};

    if (!type)
        return &bare;
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (jvalue_is(type, handlers[i].type))
            return &handlers[i];
    return NULL;
}

// null says no more than no field at all, except as `data` and as the whole message.
static void drop_nulls(struct request *req)
{
    for (int i = 0; i < F_COUNT; i++)
        if (req->field[i].type == J_NULL && i != F_DATA && i != F_ARGS)
            req->field[i].type = J_ABSENT;
}

// The id is echoed as it came.
static bool check_id(struct signal_conn *conn, struct request *req)
{
    struct jvalue *id = &req->field[F_ID];

    if (id->type == J_ABSENT)
        return true;
    if ((id->type == J_STRING || id->type == J_NUMBER) && id->len <= REQUEST_ID_MAX)
        return true;
    id->type = J_ABSENT;
    conn_mistake(conn, req, "bad_request", "id has to be a short string or a number");
    return false;
}

void request_handle(struct signal_conn *conn, const char *text, size_t len)
{
    static const char *const names[F_COUNT] = {
        [F_TYPE] = "type",   [F_EVENT] = "event", [F_ID] = "id",     [F_NAME] = "name",
        [F_TOKEN] = "token", [F_ROOM] = "room",   [F_TO] = "to",     [F_SCOPE] = "scope",
        [F_DATA] = "data",   [F_ACK] = "ack",     [F_ARGS] = "args", [F_CANDIDATE] = "candidate",
        [F_SDP] = "sdp"};
    struct request req;
    const struct jvalue *type = NULL;

    if (jtext_scan(text, len, &req.top, names, F_COUNT, req.field) < 0) {
        conn_mistake(conn, NULL, "bad_json", "not JSON, or nested too deeply");
        return;
    }
    drop_nulls(&req);
    if (!is_bare(&req)) {
        type = &req.field[req.field[F_TYPE].type != J_ABSENT ? F_TYPE : F_EVENT];
        if (!check_id(conn, &req))
            return;
        if (req.top.type != J_OBJECT || type->type != J_STRING) {
            conn_mistake(conn, &req, "bad_request", "an object with a type is expected");
            return;
        }
    } else {
        req.field[F_ID].type = J_ABSENT;
    }
    const struct handler *h = find_handler(type);
    if (!h)
        conn_mistake(conn, &req, "unknown_type", "there is no message of this type");
    else if (!conn->session && !h->strangers)
        conn_unauthorized(conn, &req, "register first");
    else
        h->handle(conn, &req);
}

int request_name(struct signal_conn *conn, const struct request *req, enum field field,
                 char out[SIGNAL_NAME_MAX])
{
    const struct jvalue *v = &req->field[field];
    char raw[OPAQUE_IN_MAX];
    int n = v->type == J_STRING ? jvalue_string(v, raw, sizeof raw) : -EINVAL;

    if (n >= 0)
        n = name_prepare(out, conn->hub->settings.name_max, raw, (size_t)n);
    if (n == -ENOMEM)
        conn_no_memory(conn, req);
    else if (n == -E2BIG)
        conn_mistake(conn, req, "bad_request", "the name is too long");
    else if (n < 0)
        conn_mistake(conn, req, "bad_request",
                     "a name has to be a string, not empty, without what cannot be seen");
    return n;
}
