// SPDX-License-Identifier: BSD-2-Clause
// Credentials for this server's STUN and TURN, made for each session and renewed before they end.
// Who came with a token has none that outlive it.
#include <assert.h>

#include "signal/internal.h"

#define AGAIN_MS 10000 // when there were none
#define LAST_S 10      // left of a token: what is made now does until its end

// At 80 %. The nearer the end of a token, the sooner that would be, for ever less: whoever brings
// another token gets others at once.
static int64_t next_at(const struct session *s, int n, uint32_t ttl)
{
    int64_t now = s->hub->now_ms;

    if (n < 0)
        return now + AGAIN_MS;
    if (ttl == 0 || (s->exp_ms && ttl < LAST_S))
        return TIMER_NEVER;
    return now + ttl * INT64_C(800);
}

static int make(struct session *s, uint32_t *ttl)
{
    struct signal_hub *hub = s->hub;
    int64_t until = s->exp_ms ? s->exp_ms / 1000 : INT64_MAX;
    int n = hub->ops->ice_servers(hub->arg, s->name, s->name_len, until, hub->ice, ICE_MAX, ttl);

    assert(n <= ICE_MAX);
    if (n < 0)
        *ttl = 0;
    s->wants_ice = true;
    s->ice_at = next_at(s, n, *ttl);
    session_set_timer(s);
    return n;
}

static void put(struct frame *f, const char *servers, int n, uint32_t ttl)
{
    frame_text(f, "\"iceServers\":");
    if (n >= 0)
        frame_put(f, servers, (size_t)n);
    else
        frame_text(f, "[]"); // rooms work without, and calls may
    frame_text(f, ",\"ttl\":");
    frame_number(f, ttl);
}

void ice_put(struct session *s, struct frame *f)
{
    uint32_t ttl = 0;
    int n = make(s, &ttl);

    put(f, s->hub->ice, n, ttl);
}

void ice_push(struct session *s)
{
    uint32_t ttl = 0;

    // Who is away gets new ones on coming back.
    s->ice_at = TIMER_NEVER;
    if (!s->conn)
        return;
    int n = make(s, &ttl);
    if (n < 0)
        return;
    struct frame *f = hub_frame(s->hub, "{\"type\":\"ice\",");
    put(f, s->hub->ice, n, ttl);
    frame_text(f, "}");
    session_tell(s, f);
}

void ice_handle(struct signal_conn *conn, const struct request *req)
{
    uint32_t ttl = 0;
    int n = make(conn->session, &ttl);

    if (n < 0) {
        conn_error(conn, req, "unavailable", "there are no credentials now; try again");
        return;
    }
    struct frame *f = hub_frame(conn->hub, "{\"type\":\"ice\",");
    put(f, conn->hub->ice, n, ttl);
    frame_member(f, "id", &req->field[F_ID]);
    frame_text(f, "}");
    conn_answer(conn, req, f);
}
