// SPDX-License-Identifier: BSD-2-Clause
// CreatePermission (RFC 8656 section 10).
#include "turn/internal.h"

// The next XOR-PEER-ADDRESS. 1 and *peer without its port, which a permission does not have; 0 at
// the end; -EBADMSG.
static int next_peer(const struct turn_request *r, size_t *pos, struct addr *peer)
{
    struct stun_attr attr;
    while (stun_next(&r->msg, pos, &attr)) {
        if (attr.type != STUN_ATTR_XOR_PEER_ADDRESS)
            continue;
        int rc = stun_attr_addr(&r->msg, &attr, peer);
        peer->port = 0;
        return rc < 0 ? rc : 1;
    }
    return 0;
}

// RFC 8656 10.2: 0 when every peer may be reached, or the error code.
static int check_peers(struct turn_request *r)
{
    struct addr peer;
    size_t pos = 0, count = 0;
    int rc;

    for (; (rc = next_peer(r, &pos, &peer)) > 0; count++)
        ;
    if (rc < 0 || count == 0)
        return 400;
    for (pos = 0; next_peer(r, &pos, &peer) > 0;)
        if (!turn_relay_live(r->allocation, peer.family, r->in->now_ms))
            return 443;
    for (pos = 0; next_peer(r, &pos, &peer) > 0;)
        if (!turn_peer_allowed(r, &peer))
            return 403;
    return 0;
}

enum turn_action turn_handle_create_permission(struct turn_request *r)
{
    struct turn_server *s = r->server;
    struct addr peer;
    size_t pos;

    int code = turn_require_allocation(r);
    if (!code)
        mobility_follow(r);
    if (!code)
        code = check_peers(r);
    if (code)
        return reply_error(r, code);
    for (pos = 0; next_peer(r, &pos, &peer) > 0;)
        if (permission_prepare(r->allocation, &s->key, &peer, s->cfg->max_permissions,
                               r->in->now_ms) < 0)
            code = 508;
    for (pos = 0; next_peer(r, &pos, &peer) > 0;) {
        if (code) {
            permission_abandon(r->allocation, &peer);
        } else {
            permission_commit(r->allocation, &peer, turn_permission_expiry(r));
            turn_report(r, TURN_EVENT_PERMISSION, &peer, 0);
        }
    }
    if (code)
        return reply_error(r, code);
    reply_begin(r);
    return reply_end(r);
}
