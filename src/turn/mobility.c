// SPDX-License-Identifier: BSD-2-Clause
// The rules of RFC 8016: who gets a ticket, and which ticket is good for what.
#include "turn/internal.h"

_Static_assert(TURN_TICKET_KEY_LEN == TICKET_KEY_LEN, "one key under two names");

// The old ticket is known so long for a Refresh that is sent again: as long as a client does so
// (RFC 8489 6.2.1); RFC 8016 3.2.2 asks for 30 s at least.
#define REPEAT_MS TOMBSTONE_MS

static uint8_t receiver(const struct turn_request *r)
{
    return r->in->routed ? r->in->worker : r->server->worker;
}

// --- Allocate ---

int mobility_wanted(const struct turn_request *r, bool tcp, bool *wanted)
{
    struct stun_attr attr;

    *wanted = stun_find(&r->msg, STUN_ATTR_MOBILITY_TICKET, &attr);
    if (!*wanted)
        return 0;
    if (attr.len > 0)
        return 400;
    // A TCP allocation lives and dies with its control connection (RFC 6062).
    return r->server->cfg->mobility && !tcp ? 0 : 405;
}

// Makes the next ticket, for a client that worker has. 0 or 500; then nothing has changed.
static int next_ticket(struct turn_server *s, struct turn_mobility *m, uint32_t number,
                       uint8_t worker)
{
    struct ticket t = {.session = m->session, .number = number, .worker = worker};
    uint8_t sealed[TICKET_LEN];

    if (ticket_seal(s->ticket_key, &t, sealed) < 0)
        return 500;
    memcpy(m->ticket, sealed, sizeof(sealed));
    m->number = number;
    return 0;
}

int mobility_begin(struct turn_request *r, struct turn_allocation *a)
{
    struct turn_mobility *m = mobility_new(r->server, a->session);
    if (!m)
        return 508;
    a->mobility = m;
    m->allocation = a;
    return next_ticket(r->server, m, 0, r->server->worker);
}

void mobility_put(struct turn_request *r, const struct turn_allocation *a)
{
    stun_put(&r->w, STUN_ATTR_MOBILITY_TICKET, a->mobility->ticket, TICKET_LEN);
}

// --- any request from where the client has arrived ---

bool mobility_find(struct turn_request *r, struct turn_elsewhere *elsewhere)
{
    const struct turn_input *in = r->in;
    struct turn_mobility *m = in->routed ? mobility_by_session(r->server, in->session)
                                         : mobility_by_tuple(r->server, in->tuple);

    if (!m || !m->arrived || m->worker != receiver(r) || !tuple_equal(&m->tuple, in->tuple))
        return false;
    if (m->allocation) {
        r->allocation = allocation_age(r->server, m->allocation, in->now_ms);
        return false;
    }
    if (in->routed || in->now_ms >= m->expires_ms)
        return false;
    *elsewhere = (struct turn_elsewhere){m->session, m->owner};
    return true;
}

enum turn_action mobility_forward(struct turn_request *r, const struct turn_elsewhere *elsewhere)
{
    r->out->elsewhere = *elsewhere;
    r->out->grant = r->grant;
    return TURN_FORWARD;
}

// --- Refresh ---

// The allocation of a ticket, or who has it. 0, 437 or MOBILITY_ELSEWHERE.
static int find_session(struct turn_request *r, const struct ticket *t,
                        struct turn_elsewhere *elsewhere)
{
    struct turn_server *s = r->server;
    struct turn_mobility *m = mobility_by_session(s, t->session);

    // One 5-tuple has one allocation (RFC 8656 3.2).
    if (r->allocation && r->allocation->session != t->session)
        return 437;
    if (m && m->allocation) {
        r->allocation = allocation_age(s, m->allocation, r->in->now_ms);
        return r->allocation ? 0 : 437;
    }
    if (r->in->routed || (!m && t->worker == s->worker))
        return 437;
    // A ticket says who had the client when it was made. That worker has the allocation, or knows
    // of a visit; a visit here may be older.
    *elsewhere = (struct turn_elsewhere){t->session, t->worker == s->worker ? m->owner : t->worker};
    return MOBILITY_ELSEWHERE;
}

int mobility_check(struct turn_request *r, const struct stun_attr *attr,
                   struct turn_elsewhere *elsewhere)
{
    struct ticket t;

    // RFC 8016 3.2.2, in its order. Neither an empty nor a forged one is valid.
    if (!ticket_open(r->server->ticket_key, attr->value, attr->len, &t))
        return 400;
    int code = find_session(r, &t, elsewhere);
    if (code)
        return code;
    const struct turn_allocation *a = r->allocation;
    const struct turn_mobility *m = a->mobility;
    // The 5-tuple must be another one, unless the answer was lost and the request came again.
    bool same = tuple_equal(r->in->tuple, &a->tuple) ||
                (m->arrived && tuple_equal(r->in->tuple, &m->tuple));
    bool again = same && t.number + 1 == m->number && r->in->now_ms < m->repeat_ms &&
                 memcmp(r->msg.txid, m->txid, sizeof(m->txid)) == 0;
    if (!again && (same || t.number != m->number))
        return 400;
    code = turn_require_allocation(r);
    return code ? code : again ? MOBILITY_AGAIN : 0;
}

int mobility_arrive(struct turn_request *r)
{
    struct turn_server *s = r->server;
    struct turn_allocation *a = r->allocation;
    struct turn_mobility *m = a->mobility;
    int code = next_ticket(s, m, m->number + 1, receiver(r));

    if (code)
        return code;
    if (m->worker != receiver(r))
        mobility_end_visit(s, a);
    mobility_place(s, m, receiver(r), r->in->tuple, receiver(r) == s->worker ? r->in->link : NULL);
    memcpy(m->txid, r->msg.txid, sizeof(m->txid));
    m->repeat_ms = r->in->now_ms + REPEAT_MS;
    // Nobody is where it came from.
    if (!a->link && m->worker == s->worker)
        mobility_settle(s, a);
    return 0;
}

// RFC 8016 3.2.2 has data from the new 5-tuple move the allocation. A client that only listens, as
// one side of turnutils_uclient -y does, would wait for ever: so its next request does so too.
void mobility_follow(struct turn_request *r)
{
    struct turn_allocation *a = r->allocation;
    struct turn_mobility *m = a->mobility;

    if (!m || !m->arrived || m->worker != receiver(r) || !tuple_equal(r->in->tuple, &m->tuple))
        return;
    if (m->worker == r->server->worker)
        mobility_settle(r->server, a);
    else
        m->followed = true; // it moves behind the answer
}

// --- what other workers have to know ---

void mobility_end_visit(struct turn_server *s, const struct turn_allocation *a)
{
    const struct turn_mobility *m = a->mobility;
    if (!m || !m->arrived || m->worker == s->worker)
        return;
    struct turn_event_info info = {
        .event = TURN_EVENT_UNEXPECTED,
        .tuple = &a->tuple,
        .allocation = a,
        .old = &m->tuple,
        .worker = m->worker,
    };
    s->ops.event(s->arg, &info);
}

void mobility_tell_visit(struct turn_server *s, const struct turn_input *in,
                         struct turn_output *out)
{
    const struct turn_mobility *m = NULL;

    out->visit_ms = 0;
    out->follow = false;
    if (in->routed && in->worker != s->worker)
        m = mobility_by_session(s, in->session);
    if (!m || !m->allocation || !m->arrived || m->worker != in->worker ||
        !tuple_equal(&m->tuple, in->tuple))
        return;
    out->visit_ms = m->allocation->expires_ms;
    out->follow = !m->allocation->link || m->followed;
}
