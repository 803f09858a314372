// SPDX-License-Identifier: BSD-2-Clause
// How a connection becomes that of a user: by a name, or by what it was told about its last
// session.
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "signal/internal.h"

// Only what is in every file system, for recordings: of other characters nothing is left.
static void put_file_name(struct frame *f, const struct session *s)
{
    size_t put = 0;

    for (uint32_t i = 0; i < s->name_len; i++) {
        unsigned char c = (unsigned char)s->name[i];
        if (c < 0x80 && (isalnum(c) || c == '_' || c == '-' || (c == '.' && put > 0))) {
            frame_put(f, &s->name[i], 1);
            put++;
        }
    }
    if (put == 0)
        frame_text(f, "user");
    frame_text(f, "_");
    frame_number(f, s->uid);
    frame_text(f, ".webm");
}

static void answer(struct signal_conn *conn, const struct request *req, bool resumed)
{
    const struct session *s = conn->session;
    struct frame *f = hub_frame(conn->hub, "{\"type\":\"registered\",\"name\":");

    frame_put(f, s->name + s->name_len, s->quoted_len);
    frame_text(f, ",\"uid\":");
    frame_number(f, s->uid);
    frame_text(f, ",\"fileName\":\"");
    put_file_name(f, s);
    frame_text(f, "\",\"peer\":\"");
    frame_put(f, s->resume, ID_LEN);
    frame_text(f, "\",\"resume\":\"");
    frame_put(f, s->resume, RESUME_LEN);
    frame_text(f, "\",\"grace_ms\":");
    frame_number(f, conn->hub->settings.grace_ms);
    if (resumed)
        frame_text(f, ",\"resumed\":true");
    frame_member(f, "id", &req->field[F_ID]);
    frame_text(f, "}");
    conn_answer(conn, req, f);
}

// The token of the message, or else of the HTTP request. False: it is not good, and the client has
// been told.
static bool check_token(struct signal_conn *conn, const struct request *req,
                        struct jwt_claims *claims)
{
    struct signal_hub *hub = conn->hub;
    const struct jvalue *v = &req->field[F_TOKEN];
    char text[JWT_LEN_MAX];
    const char *token = *conn->token ? conn->token : NULL;
    size_t len = strlen(conn->token);
    int rc = -EACCES;

    if (v->type == J_STRING) {
        int n = jvalue_string(v, text, sizeof text);
        token = text;
        len = n < 0 ? 0 : (size_t)n;
    }
    if (token)
        rc = jwt_check(claims, hub->keys, hub->settings.secret_count, token, len,
                       hub->ops->unix_ms(hub->arg));
    if (rc == -ENOMEM)
        conn_no_memory(conn, req);
    else if (rc < 0)
        conn_unauthorized(conn, req, token ? "the token is not good" : "a token is needed");
    return rc == 0;
}

// Ids are found before names, so that nobody can take messages for an id by a name; this keeps such
// names away from those whose session is over, too.
static bool looks_like_id(const char *name, size_t len)
{
    if (len != ID_LEN)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!memchr("0123456789abcdef", name[i], 16))
            return false;
    return true;
}

// What the connection is to be called. The length; < 0: the client has been told why not.
static int choose_name(struct signal_conn *conn, const struct request *req,
                       const struct jwt_claims *claims, char name[SIGNAL_NAME_MAX])
{
    const char *why = NULL;
    int len;

    if (claims && req->field[F_NAME].type == J_ABSENT) {
        len = (int)claims->user_len;
        memcpy(name, claims->user, claims->user_len);
    } else {
        len = request_name(conn, req, F_NAME, name);
        if (len < 0)
            return len;
    }
    if (claims &&
        (claims->user_len != (size_t)len || memcmp(name, claims->user, (size_t)len) != 0)) {
        conn_unauthorized(conn, req, "the token is for another name");
        return -EACCES;
    }
    if ((uint32_t)len > conn->hub->settings.name_max)
        why = "the name is too long";
    else if (looks_like_id(name, (size_t)len))
        why = "a name must not look like an id";
    if (!why)
        return len;
    conn_mistake(conn, req, "bad_request", why);
    return -EINVAL;
}

// Takes over what the token says. Without memory nothing changes.
static int bind_token(struct session *s, const struct jwt_claims *claims)
{
    char *room = NULL;

    if (claims->room_len > 0) {
        room = malloc(claims->room_len);
        if (!room)
            return -ENOMEM;
        memcpy(room, claims->room, claims->room_len);
    }
    free(s->only_room);
    s->only_room = room;
    s->only_room_len = claims->room_len;
    s->exp_ms = claims->exp_ms;
    s->exp_at = s->hub->now_ms; // the timer finds out when to look again
    session_set_timer(s);
    return 0;
}

// Who is in a room by one token must not stay there by another's time.
static bool in_other_room(const struct session *s, const struct jwt_claims *claims)
{
    for (const struct member *m = s->rooms; m && claims->room_len > 0; m = m->next_room)
        if (m->room->name_len != claims->room_len ||
            memcmp(m->room->name, claims->room, claims->room_len) != 0)
            return true;
    return false;
}

// Again, with another token or as a question who one is.
static void renew(struct signal_conn *conn, const struct request *req, const char *name, size_t len,
                  const struct jwt_claims *claims)
{
    struct session *s = conn->session;

    if (s->name_len != len || memcmp(s->name, name, len) != 0)
        conn_mistake(conn, req, "bad_request", "registered already, by another name");
    else if (claims && in_other_room(s, claims))
        conn_mistake(conn, req, "unauthorized", "in a room that the token is not for: leave first");
    else if (claims && bind_token(s, claims) < 0)
        conn_no_memory(conn, req);
    else {
        answer(conn, req, false);
        // The old ones may end with the old token.
        if (claims && s->wants_ice)
            ice_push(s);
    }
}

void register_handle(struct signal_conn *conn, const struct request *req)
{
    struct signal_hub *hub = conn->hub;
    struct jwt_claims storage, *claims = hub->settings.secret_count > 0 ? &storage : NULL;
    char name[SIGNAL_NAME_MAX];

    if (claims && !check_token(conn, req, claims))
        return;
    int len = choose_name(conn, req, claims, name);
    if (len < 0)
        return;
    if (conn->session) {
        renew(conn, req, name, (size_t)len, claims);
        return;
    }
    if (session_by_name(hub, name, (size_t)len)) {
        conn_error(conn, req, "name_taken", "somebody has this name");
        return;
    }
    struct session *s = session_new(hub, name, (size_t)len);
    if (s && claims && bind_token(s, claims) < 0) {
        session_free(s);
        s = NULL;
    }
    if (!s) {
        conn_no_memory(conn, req);
        return;
    }
    session_attach(s, conn);
    answer(conn, req, false);
    presence_tell(s, "useradd");
}

static struct session *find_resumed(const struct signal_hub *hub, const struct jvalue *token)
{
    char text[RESUME_LEN];

    if (token->type != J_STRING || jvalue_string(token, text, sizeof text) != RESUME_LEN)
        return NULL;
    struct session *s = session_by_id(hub, text, ID_LEN);
    return s && CRYPTO_memcmp(s->resume, text, RESUME_LEN) == 0 ? s : NULL;
}

void resume_handle(struct signal_conn *conn, const struct request *req)
{
    struct signal_hub *hub = conn->hub;
    struct session *s = find_resumed(hub, &req->field[F_TOKEN]);

    if (conn->session || req->field[F_TOKEN].type != J_STRING) {
        conn_mistake(conn, req, "bad_request",
                     conn->session ? "registered already" : "the token is missing");
        return;
    }
    if (!s || s->doomed) {
        conn_error(conn, req, "no_such_session", "there is no such session any more; register");
        return;
    }
    if (s->exp_at != TIMER_NEVER && s->exp_ms <= hub->ops->unix_ms(hub->arg)) {
        session_doom(s, "timeout");
        conn_unauthorized(conn, req, "the token has expired");
        return;
    }
    if (s->conn) {
        // The old connection is dead and nobody has noticed yet, or it is the client's other one.
        struct signal_conn *old = s->conn;
        s->rate = old->rate;
        s->bytes = old->bytes;
        old->session = NULL;
        conn_end(old, SIGNAL_CLOSE_RESUMED, "the session goes on elsewhere");
    }
    conn->rate = s->rate;
    conn->bytes = s->bytes;
    session_attach(s, conn);
    answer(conn, req, true);
    for (const struct member *m = s->rooms; m; m = m->next_room)
        if (!room_send_joined(conn, m, NULL))
            conn_end(conn, SIGNAL_CLOSE_TRY_LATER, "no memory now; resume again");
    if (!s->rooms && s->wants_ice)
        ice_push(s);
    session_send_held(s);
}
