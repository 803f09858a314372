// SPDX-License-Identifier: BSD-2-Clause
// Mobile allocations and visits of one worker (RFC 8016): by session, which tickets speak of, and
// by the 5-tuple where a client has arrived.
#include <errno.h>
#include <stdlib.h>

#include "turn/internal.h"

#define BUCKETS_MIN 64
#define SWEEP_SECONDS 32 // in which every visit is looked at once

// Sessions are numbers of our own: their low bits are spread well enough.
static size_t session_bucket(uint64_t session, size_t bucket_count)
{
    return (size_t)session & (bucket_count - 1);
}

static size_t tuple_bucket(const struct turn_server *s, const struct turn_tuple *tuple,
                           size_t bucket_count)
{
    return siphash(&s->key, tuple, sizeof(*tuple)) & (bucket_count - 1);
}

static bool has_place(const struct turn_server *s, const struct turn_mobility *m)
{
    return m->arrived && m->worker == s->worker;
}

static void place_tuple(struct turn_server *s, struct turn_mobility *m)
{
    struct mobility_table *t = &s->mobile;
    struct turn_mobility **at = &t->by_tuple[tuple_bucket(s, &m->tuple, t->bucket_count)];
    m->next_tuple = *at;
    *at = m;
}

// Room for one more. Without memory the chains get longer, unless there is no table at all.
static int grow(struct turn_server *s)
{
    struct mobility_table *t = &s->mobile, old = *t;
    size_t n = old.bucket_count ? old.bucket_count * 2 : BUCKETS_MIN;

    if (old.count < old.bucket_count)
        return 0;
    struct turn_mobility **both = calloc(2 * n, sizeof(struct turn_mobility *));
    if (!both)
        return old.bucket_count ? 0 : -ENOMEM;
    t->by_session = both;
    t->by_tuple = both + n;
    t->bucket_count = n;
    for (size_t i = 0; i < old.bucket_count; i++) {
        for (struct turn_mobility *m = old.by_session[i], *next; m; m = next) {
            struct turn_mobility **at = &t->by_session[session_bucket(m->session, n)];
            next = m->next_session;
            m->next_session = *at;
            *at = m;
            if (has_place(s, m))
                place_tuple(s, m);
        }
    }
    free(old.by_session);
    return 0;
}

int mobility_link(struct turn_server *s, struct turn_mobility *m)
{
    struct mobility_table *t = &s->mobile;
    int rc = grow(s);
    if (rc < 0)
        return rc;
    struct turn_mobility **at = &t->by_session[session_bucket(m->session, t->bucket_count)];
    m->next_session = *at;
    *at = m;
    t->count++;
    return 0;
}

void mobility_unlink(struct turn_server *s, struct turn_mobility *m)
{
    struct mobility_table *t = &s->mobile;
    struct turn_mobility **at = &t->by_session[session_bucket(m->session, t->bucket_count)];

    mobility_displace(s, m);
    while (*at != m)
        at = &(*at)->next_session;
    *at = m->next_session;
    t->count--;
}

struct turn_mobility *mobility_new(struct turn_server *s, uint64_t session)
{
    struct turn_mobility *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->session = session;
    if (mobility_link(s, m) < 0) {
        free(m);
        return NULL;
    }
    return m;
}

void mobility_free(struct turn_server *s, struct turn_mobility *m)
{
    if (!m)
        return;
    mobility_unlink(s, m);
    free(m);
}

struct turn_mobility *mobility_by_session(const struct turn_server *s, uint64_t session)
{
    const struct mobility_table *t = &s->mobile;
    if (t->count == 0)
        return NULL;
    struct turn_mobility *m = t->by_session[session_bucket(session, t->bucket_count)];
    while (m && m->session != session)
        m = m->next_session;
    return m;
}

struct turn_mobility *mobility_by_tuple(const struct turn_server *s, const struct turn_tuple *tuple)
{
    const struct mobility_table *t = &s->mobile;
    if (t->arrived == 0)
        return NULL;
    struct turn_mobility *m = t->by_tuple[tuple_bucket(s, tuple, t->bucket_count)];
    while (m && !tuple_equal(&m->tuple, tuple))
        m = m->next_tuple;
    return m;
}

void mobility_place(struct turn_server *s, struct turn_mobility *m, uint8_t worker,
                    const struct turn_tuple *tuple, void *link)
{
    struct turn_mobility *other;

    mobility_displace(s, m);
    // One 5-tuple has one allocation (RFC 8656 3.2). A client that shows two tickets at once, of
    // allocations of other workers, gets the last.
    while (worker == s->worker && (other = mobility_by_tuple(s, tuple)))
        mobility_displace(s, other);
    m->arrived = true;
    m->followed = false;
    m->worker = worker;
    m->tuple = *tuple;
    m->link = link;
    if (!has_place(s, m))
        return;
    place_tuple(s, m);
    s->mobile.arrived++;
}

void mobility_displace(struct turn_server *s, struct turn_mobility *m)
{
    struct mobility_table *t = &s->mobile;
    if (has_place(s, m)) {
        struct turn_mobility **at = &t->by_tuple[tuple_bucket(s, &m->tuple, t->bucket_count)];
        while (*at != m)
            at = &(*at)->next_tuple;
        *at = m->next_tuple;
        t->arrived--;
    }
    m->arrived = false;
    m->link = NULL;
}

void mobility_sweep(struct turn_server *s, int64_t now_ms)
{
    struct mobility_table *t = &s->mobile;
    size_t n = t->bucket_count / SWEEP_SECONDS;

    for (; n > 0; n--) {
        struct turn_mobility *next;
        t->sweep_at = (t->sweep_at + 1) & (t->bucket_count - 1);
        for (struct turn_mobility *m = t->by_session[t->sweep_at]; m; m = next) {
            next = m->next_session;
            if (!m->allocation && now_ms >= m->expires_ms)
                mobility_free(s, m);
        }
    }
}

void mobility_table_free(struct turn_server *s)
{
    struct mobility_table *t = &s->mobile;
    for (size_t i = 0; i < t->bucket_count; i++)
        while (t->by_session[i])
            mobility_free(s, t->by_session[i]);
    free(t->by_session);
}
