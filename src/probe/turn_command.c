// SPDX-License-Identifier: BSD-2-Clause
// turnpike-probe turn: everything that a call needs of a relay, step by step.
#include "probe/probe.h"

#include "probe/echo.h"
#include "probe/peer.h"

#define CHANNEL 0x4000

// Allocates at the server that answers.
static int enter(struct probe *p, struct session *s, bool last)
{
    int rc = session_challenge(p, s, last);
    return rc == 0 ? session_enter(p, s, p->relay_family, last) : rc;
}

static bool bind_channel(struct probe *p, struct session *s, const struct addr *peer)
{
    char text[ADDR_STRLEN];
    int rc;

    step_begin(&p->report, "channel");
    rc = session_bind(s, peer, CHANNEL);
    if (rc != 0) {
        session_fail(p, s, STUN_CHANNEL_BIND, rc, true);
        return false;
    }
    step_text(&p->report, "%#x is %s", CHANNEL, addr_format(peer, text));
    step_fact(&p->report, "channel", json_integer(CHANNEL));
    step_ok(&p->report);
    return true;
}

static bool refresh(struct probe *p, struct session *s, uint32_t lifetime)
{
    uint32_t granted = 0;
    int rc;

    step_begin(&p->report, lifetime ? "refresh" : "delete");
    rc = session_refresh(s, lifetime);
    if (rc == 0 && lifetime)
        rc = stun_get_u32(&s->client.msg, STUN_ATTR_LIFETIME, &granted);
    if (rc != 0) {
        session_fail(p, s, STUN_REFRESH, rc, true);
        return false;
    }
    if (lifetime) {
        step_text(&p->report, "for %u s more", granted);
        step_fact(&p->report, "lifetime", json_integer(granted));
    } else {
        step_text(&p->report, "the allocation is gone");
    }
    step_ok(&p->report);
    return true;
}

static bool use_relay(struct probe *p, struct session *s)
{
    struct peer peer = {.fd = -1};
    bool ok = peer_open(p, s, &peer) == 0 && bind_channel(p, s, &peer.addr) &&
              echo_run(p, s, &peer, CHANNEL);
    peer_close(&peer);
    return ok;
}

int probe_turn(struct probe *p)
{
    struct session *s;
    bool ok;

    if (session_open(p, &p->uri, enter, &s) < 0)
        return PROBE_FAILS;
    ok = use_relay(p, s) && refresh(p, s, s->client.lifetime);
    if (ok) {
        ok = refresh(p, s, 0);
    } else {
        s->client.timeout = p->timeout < 1000000 ? p->timeout : 1000000;
        session_refresh(s, 0); // leave nothing behind
    }
    if (ok)
        report_line(&p->report, "\n  It works: a call could be relayed.");
    session_close(s);
    return ok ? PROBE_WORKS : PROBE_FAILS;
}
