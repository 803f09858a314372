// SPDX-License-Identifier: BSD-2-Clause
// A connection whose request is another worker's to answer moves there, with the request, what it
// has sent since and what it has not been sent yet (doc/architecture.md).
#include <stdlib.h>
#include <string.h>

#include "worker/stream.h"

struct stream_move {
    unsigned to; // the number of the worker; there may be none of it
    struct stream *stream;
    struct auth_grant grant;
    size_t len;
    uint8_t message[];
};

void stream_move(struct stream *s, unsigned to, const struct turn_input *in,
                 const struct auth_grant *grant)
{
    struct stream_move *m = malloc(sizeof *m + in->len);
    if (!m) {
        stream_fail(s); // there will be no answer, and a stream is not asked twice
        return;
    }
    *m = (struct stream_move){.to = to, .stream = s, .grant = *grant, .len = in->len};
    memcpy(m->message, in->data, in->len);
    s->move = m;
    // What was asked behind it and has not been answered will not be.
    requests_cancel(s->worker, &s->sink);
    migrate_cancel(s->worker, &s->sink);
    turn_server_leave(s->worker->turn, &s->tuple);
    stream_pause(s);
    // Not from within the handling of its input.
    event_active(&s->readable, EV_READ, 0);
}

static void arrive(void *worker, void *arg)
{
    struct stream_move *m = arg;
    struct stream *s = m->stream;
    s->move = NULL;
    if (stream_adopt(worker, s)) {
        request_granted(worker, &s->sink, &s->tuple, m->message, m->len, &m->grant);
        stream_resume(s);
    }
    free(m);
}

void stream_depart(struct stream *s)
{
    struct stream_move *m = s->move;
    struct worker *w = s->worker;
    stream_detach(s);
    if (worker_post(w, m->to, arrive, m))
        arrive(w, m); // no such worker, or no memory: then the answer is an error
}
