// SPDX-License-Identifier: BSD-2-Clause
// turnpike-probe stun: what a server sees of this host, and how long it takes to say so.
#include "probe/probe.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "probe/stats.h"
#include "util/codec.h"

// The mapped address of a Binding response; that of a server from before RFC 5389 is not XORed.
static int mapped_address(const struct stun_msg *msg, struct addr *out)
{
    if (stun_get_addr(msg, STUN_ATTR_XOR_MAPPED_ADDRESS, out) == 0)
        return 0;
    return stun_get_addr(msg, STUN_ATTR_MAPPED_ADDRESS, out);
}

static void show_addr(struct probe *p, const struct stun_msg *msg, enum stun_attr_type type,
                      const char *key, const char *text)
{
    struct addr a;
    char buf[ADDR_STRLEN];
    if (stun_get_addr(msg, (uint16_t)type, &a) < 0)
        return;
    step_note(&p->report, "%s %s", text, addr_format(&a, buf));
    step_fact_addr(&p->report, key, &a);
}

static int first_binding(struct probe *p, struct session *s, bool last)
{
    struct client *c = &s->client;
    struct stun_attr a;
    char text[ADDR_STRLEN], software[128];
    int rc;

    step_begin(&p->report, "binding");
    rc = client_exchange(c, STUN_BINDING, NULL, 0);
    if (rc == 300) {
        step_warn(&p->report, "300, use another server");
        return rc;
    }
    if (rc == 0)
        rc = mapped_address(&c->msg, &c->mapped) == 0 ? 0 : -EBADMSG;
    if (rc != 0) {
        session_fail(p, s, STUN_BINDING, rc, last);
        return 1;
    }
    step_text(&p->report, "mapped address %s", addr_format(&c->mapped, text));
    step_fact_addr(&p->report, "mapped_address", &c->mapped);
    show_addr(p, &c->msg, STUN_ATTR_RESPONSE_ORIGIN, "response_origin", "answered from");
    show_addr(p, &c->msg, STUN_ATTR_OTHER_ADDRESS, "other_address", "other address");
    if (stun_find(&c->msg, STUN_ATTR_SOFTWARE, &a)) {
        step_note(&p->report, "software %s",
                  text_escape(software, sizeof(software), a.value, a.len));
        step_fact(&p->report, "software", json_wire(a.value, a.len));
    }
    if (c->sent > 1)
        step_note(&p->report, "answered after %u attempts", c->sent);
    step_ok(&p->report);
    return 0;
}

// One request and its answer, never sent again: -ETIMEDOUT is a loss.
static int one_round(struct client *c, int64_t *rtt)
{
    int64_t timeout = c->timeout;
    int rc;
    if (!transport_is_stream(c->conn->transport) && timeout > 500000)
        c->timeout = 500000; // the first retransmission would be due
    rc = client_exchange(c, STUN_BINDING, NULL, 0);
    c->timeout = timeout;
    *rtt = c->rtt;
    return rc;
}

static bool round_trips(struct probe *p, struct session *s)
{
    int64_t *times = calloc(p->count, sizeof(*times));
    unsigned good = 0;
    int rc = times ? 0 : -ENOMEM;

    step_begin(&p->report, "round trip");
    for (unsigned i = 0; i < p->count && (rc == 0 || rc == -ETIMEDOUT); i++) {
        step_progress(&p->report, "%u of %u", i + 1, p->count);
        if (i > 0)
            poll(NULL, 0, (int)p->interval_ms);
        rc = one_round(&s->client, &times[good]);
        good += rc == 0;
    }
    step_text(&p->report, "%u of %u answered", good, p->count);
    step_fact(&p->report, "sent", json_integer(p->count));
    step_fact(&p->report, "answered", json_integer(good));
    stats_show(&p->report, NULL, times, good);
    free(times);
    if (rc == 0 || (rc == -ETIMEDOUT && good > 0))
        good < p->count ? step_warn(&p->report, "some were lost") : step_ok(&p->report);
    else
        session_fail(p, s, STUN_BINDING, rc, true);
    return rc == 0 || (rc == -ETIMEDOUT && good > 0);
}

int probe_stun(struct probe *p)
{
    struct session *s;
    char local[ADDR_STRLEN], mapped[ADDR_STRLEN];
    bool ok, nat;

    if (session_open(p, &p->uri, first_binding, &s) < 0)
        return PROBE_FAILS;
    ok = round_trips(p, s);
    if (ok) {
        nat = !addr_equal_ip(&s->conn->local, &s->client.mapped) ||
              s->conn->local.port != s->client.mapped.port;
        report_fact(&p->report, "mapped_address", json_addr(&s->client.mapped));
        report_fact(&p->report, "local_address", json_addr(&s->conn->local));
        report_fact(&p->report, "nat", json_boolean(nat));
        addr_format(&s->conn->local, local);
        addr_format(&s->client.mapped, mapped);
        if (nat)
            report_line(&p->report,
                        "\n  It works. This host is behind a NAT: %s here is %s to the server.",
                        local, mapped);
        else
            report_line(&p->report,
                        "\n  It works. There is no NAT: the server sees %s, as it is here.",
                        mapped);
    }
    session_close(s);
    return ok ? PROBE_WORKS : PROBE_FAILS;
}
