// SPDX-License-Identifier: BSD-2-Clause
// The unfinished handshakes of TLS and DTLS together, and which of them gives way to a new one. A
// real client's takes a fraction of a second, so that those that are held open on purpose are among
// the oldest. But who keeps beginning new ones would soon make everybody else's the oldest:
// therefore it is the oldest of the source that has the most.
#include "worker/internal.h"

void handshake_begun(struct worker *w, const struct addr *client)
{
    w->handshakes++;
    source_of(w, client)->handshakes++;
}

void handshake_over(struct worker *w, const struct addr *client)
{
    w->handshakes--;
    source_of(w, client)->handshakes--;
}

bool handshakes_make_room(struct worker *w)
{
    if (w->handshakes < w->snapshot->conf->limits.tls_handshakes)
        return true;
    uint32_t tls_crowd, dtls_crowd;
    struct stream *stream = stream_tls_crowding(w, &tls_crowd);
    struct dtls_session *session = dtls_crowding(w, &dtls_crowd);
    if (stream && tls_crowd >= dtls_crowd)
        stream_tls_give_way(stream);
    else if (session)
        dtls_give_way(session);
    return stream || session;
}
