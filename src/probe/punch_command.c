// SPDX-License-Identifier: BSD-2-Clause
// turnpike-probe punch: whether two hosts get through to each other. The first one prints a code,
// the second one is started with it.
#include "probe/punch.h"

#include <string.h>
#include <unistd.h>

// Allocates at the server that answers, in one family with the socket of the direct path, so that
// the two mappings can be compared.
static int enter(struct probe *p, struct session *s, bool last)
{
    int rc = session_challenge(p, s, last);
    if (rc != 0)
        return rc;
    return session_enter(p, s, s->target.addr.family == ADDR_IPV6 ? ADDR_IPV6 : ADDR_NONE, last);
}

static void conclude(struct punch *u, bool ok)
{
    report_fact(&u->p->report, "direct", json_boolean(ok));
    if (ok)
        report_line(&u->p->report,
                    "\n  It works: the two hosts reach each other without the relay.");
    else if (u->met)
        report_line(&u->p->report,
                    "\n  Not directly; the relay, through which they met, would carry "
                    "the call.");
}

int probe_punch(struct probe *p)
{
    const char *code = p->word_count > 1 ? p->words[1] : NULL;
    struct punch u = {.p = p, .first = !code, .fd = -1};
    bool ok;

    if (session_open(p, &p->uri, enter, &u.s) < 0)
        return PROBE_FAILS;
    ok = punch_open_socket(&u) == 0 && punch_meet(&u, code) == 0 && punch_path(&u);
    u.s->client.on_data = NULL;
    u.s->client.timeout = p->timeout < 1000000 ? p->timeout : 1000000;
    session_refresh(u.s, 0); // leave nothing behind
    conclude(&u, ok);
    explicit_bzero(u.key, sizeof(u.key));
    if (u.fd >= 0)
        close(u.fd);
    session_close(u.s);
    return ok ? PROBE_WORKS : PROBE_FAILS;
}
