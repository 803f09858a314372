// SPDX-License-Identifier: BSD-2-Clause
// A relay is no way to the servers that users are stored in. Those that the configuration names are
// closed in the snapshot. The one that a sentinel names is known only once the sentinel has been
// asked, by whichever worker, and it is another one after a failover.
#include "worker/internal.h"

#include <stdlib.h>
#include <string.h>

#define MASTERS_MAX 16 // the last that were named, of all sentinels

struct addr *closed_new(const struct snapshot *snapshot)
{
    return calloc(snapshot->policy.closed_count + MASTERS_MAX, sizeof(struct addr));
}

void closed_configure(struct worker *w, const struct snapshot *snapshot, struct addr *closed)
{
    const struct policy *p = &snapshot->policy;
    size_t masters = w->policy.closed_count - w->snapshot_closed;
    if (p->closed_count > 0)
        memcpy(closed, p->closed, p->closed_count * sizeof *closed);
    // They stay refused, whatever the configuration says of sentinels by now: they may be replicas.
    if (masters > 0)
        memcpy(closed + p->closed_count, w->closed + w->snapshot_closed, masters * sizeof *closed);
    free(w->closed);
    w->closed = closed;
    w->snapshot_closed = p->closed_count;
    w->policy = *p;
    w->policy.closed = closed;
    w->policy.closed_count = p->closed_count + masters;
    w->turn_config = snapshot->turn;
    w->turn_config.policy = &w->policy;
    turn_server_configure(w->turn, &w->turn_config);
}

// False: it is there already.
static bool add_master(struct worker *w, const struct addr *server)
{
    for (size_t i = 0; i < w->policy.closed_count; i++)
        if (addr_equal(&w->closed[i], server))
            return false;
    w->closed[w->snapshot_closed + w->masters_seen++ % MASTERS_MAX] = *server;
    if (w->policy.closed_count < w->snapshot_closed + MASTERS_MAX)
        w->policy.closed_count++;
    return true;
}

static void on_found_by_another(void *worker, void *arg)
{
    add_master(worker, arg);
    free(arg);
}

void closed_found(const struct addr *server, void *worker)
{
    struct worker *w = worker;
    if (!add_master(w, server))
        return;
    for (unsigned i = 0; i < w->peer_count; i++) {
        struct addr *copy = i == w->index ? NULL : malloc(sizeof *copy);
        if (!copy)
            continue; // without memory the other learns it from the sentinel itself
        *copy = *server;
        if (worker_post(w, i, on_found_by_another, copy))
            free(copy);
    }
}
