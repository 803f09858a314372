// SPDX-License-Identifier: BSD-2-Clause
// Allocations on the move (RFC 8016): from one 5-tuple to another, and between workers.
#include <errno.h>
#include <stdlib.h>

#include "turn/internal.h"

static void report_moved(struct turn_server *s, const struct turn_allocation *a,
                         enum turn_event event, const struct turn_tuple *old, void *old_link)
{
    struct turn_event_info info = {
        .event = event,
        .tuple = &a->tuple,
        .allocation = a,
        .old = old,
        .old_link = old_link,
        .user = a->user->name,
        .user_len = a->user->name_len,
    };
    s->ops.event(s->arg, &info);
}

// --- within a worker ---

void mobility_settle(struct turn_server *s, struct turn_allocation *a)
{
    struct turn_mobility *m = a->mobility;
    struct turn_tuple old = a->tuple, tuple = m->tuple;
    void *old_link = a->link, *link = m->link;

    mobility_displace(s, m);
    allocation_rekey(s, a, &tuple);
    a->link = link;
    report_moved(s, a, TURN_EVENT_MOVED, &old, old_link);
}

// The client has lost its connection. A new one may have the very same 5-tuple, so that the
// allocation waits under one that no packet can have.
static struct turn_tuple away_tuple(const struct turn_allocation *a)
{
    struct turn_tuple t = a->tuple;
    uint64_t session = a->session;
    for (size_t i = 0; i < sizeof(t.zero); i++, session >>= 8)
        t.zero[i] = (uint8_t)session;
    return t;
}

struct turn_allocation *turn_server_arrive(struct turn_server *s, const struct turn_tuple *tuple,
                                           int64_t now_ms, struct turn_elsewhere *elsewhere)
{
    struct turn_mobility *m = mobility_by_tuple(s, tuple);

    *elsewhere = (struct turn_elsewhere){0};
    if (!m)
        return NULL;
    if (!m->allocation) {
        if (now_ms < m->expires_ms)
            *elsewhere = (struct turn_elsewhere){m->session, m->owner};
        return NULL;
    }
    if (now_ms >= m->allocation->expires_ms)
        return NULL;
    mobility_settle(s, m->allocation);
    return m->allocation;
}

bool turn_server_expects(const struct turn_server *s, const struct turn_tuple *tuple)
{
    return mobility_by_tuple(s, tuple) != NULL;
}

bool turn_server_disconnect(struct turn_server *s, struct turn_allocation *a,
                            struct turn_elsewhere *elsewhere)
{
    struct turn_mobility *m = a->mobility;

    if (!m || !s->cfg->mobility) {
        turn_allocation_close(s, a);
        return false;
    }
    if (m->arrived && m->worker == s->worker) {
        mobility_settle(s, a);
        return false;
    }
    struct turn_tuple away = away_tuple(a);
    allocation_rekey(s, a, &away);
    a->link = NULL;
    *elsewhere = (struct turn_elsewhere){m->session, m->worker};
    return m->arrived;
}

void turn_server_leave(struct turn_server *s, const struct turn_tuple *tuple)
{
    struct turn_mobility *m = mobility_by_tuple(s, tuple);
    if (m) // the session is still known: tickets lead here
        mobility_displace(s, m);
}

// --- between workers ---

int turn_server_visit(struct turn_server *s, const struct turn_elsewhere *at,
                      const struct turn_tuple *tuple, void *link, int64_t expires_ms)
{
    struct turn_mobility *m = mobility_by_session(s, at->session);

    if (m && m->allocation)
        return 0; // it has come since
    if (expires_ms == 0) {
        if (m && m->arrived && tuple_equal(&m->tuple, tuple))
            mobility_free(s, m);
        return 0;
    }
    if (!m)
        m = mobility_new(s, at->session);
    if (!m)
        return -ENOMEM;
    m->owner = at->worker;
    m->expires_ms = expires_ms;
    // It may have allocated there since, or that allocation may not have been swept: then nothing
    // moves there.
    if (link && !turn_server_find(s, tuple, INT64_MIN))
        mobility_place(s, m, s->worker, tuple, link);
    return 0;
}

int turn_server_locate(const struct turn_server *s, uint64_t session)
{
    const struct turn_mobility *m = mobility_by_session(s, session);
    return !m ? -1 : m->allocation ? s->worker : m->owner;
}

void turn_server_forget(struct turn_server *s, uint64_t session, const struct turn_tuple *tuple)
{
    struct turn_mobility *m = mobility_by_session(s, session);
    if (!m || m->allocation)
        return;
    if (!tuple || (m->arrived && tuple_equal(&m->tuple, tuple)))
        mobility_free(s, m);
}

bool turn_server_visited(const struct turn_server *s, const struct turn_allocation *a,
                         struct turn_elsewhere *at, struct turn_tuple *tuple)
{
    const struct turn_mobility *m = a->mobility;
    if (!m || !m->arrived || m->worker == s->worker)
        return false;
    *at = (struct turn_elsewhere){m->session, m->worker};
    *tuple = m->tuple;
    return true;
}

struct turn_allocation *turn_server_detach(struct turn_server *s, uint64_t session, uint8_t worker,
                                           const struct turn_tuple *tuple, int64_t now_ms)
{
    struct turn_mobility *m = mobility_by_session(s, session);

    if (!m || !m->allocation || !m->arrived || m->worker != worker || worker == s->worker ||
        (tuple && !tuple_equal(&m->tuple, tuple)))
        return NULL;
    struct turn_allocation *a = m->allocation;
    struct turn_tuple there = m->tuple;
    if (now_ms >= a->expires_ms)
        return NULL;
    s->ops.relay_detach(s->arg, a);
    void *old_link = a->link;
    allocation_unlink(s, a);
    mobility_unlink(s, m);
    report_moved(s, a, TURN_EVENT_LEFT, &a->tuple, old_link);
    a->tuple = there;
    a->link = NULL;
    return a;
}

// Where the client is, if it still is there.
static void *take_link(struct turn_server *s, const struct turn_allocation *a)
{
    struct turn_mobility *visit = mobility_by_session(s, a->session);
    void *link = NULL;

    if (visit && visit->arrived && tuple_equal(&visit->tuple, &a->tuple))
        link = visit->link;
    mobility_free(s, visit);
    return link;
}

// Its tables of permissions and channels keep the hash key of the worker that made them, which
// lives as long as the whole server.
int turn_server_adopt(struct turn_server *s, struct turn_allocation *a, int64_t now_ms)
{
    bool expired = now_ms >= a->expires_ms;

    a->link = take_link(s, a);
    if (!a->link || turn_server_find(s, &a->tuple, now_ms)) {
        a->link = NULL;
        a->tuple = away_tuple(a);
    }
    limit_update(s, a);
    int rc = s->ops.relay_adopt(s->arg, a);
    if (mobility_link(s, a->mobility) < 0) {
        // Without a table its tickets lead nowhere.
        struct turn_mobility *m = a->mobility;
        a->mobility = NULL;
        free(m);
        rc = -ENOMEM;
    }
    allocation_relink(s, a, now_ms);
    report_moved(s, a, TURN_EVENT_MOVED, NULL, NULL);
    if (rc < 0 || expired)
        allocation_end(s, a, expired ? TURN_EVENT_EXPIRED : TURN_EVENT_CLOSED);
    else
        allocation_age(s, a, now_ms); // one of two families may have expired on the way
    return rc;
}
