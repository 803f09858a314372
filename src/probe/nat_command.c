// SPDX-License-Identifier: BSD-2-Clause
// turnpike-probe nat: mapping, filtering, hairpinning and lifetime of bindings (RFC 5780 section
// 4).
#include "probe/probe.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/advice.h"
#include "probe/binding.h"
#include "probe/nat_lifetime.h"
#include "probe/nat_verdict.h"

// An answer that does not come is a finding, so it is not waited for longer than three requests
// take.
#define ABSENCE 2500000 // us

struct nat {
    struct probe *p;
    int fd; // of the mapping tests
    struct addr local;
    struct binding primary; // RFC 5780 4.2, 4.3 test I
    enum nat_behaviour mapping, filtering;
};

static int64_t absence_timeout(const struct probe *p)
{
    return p->timeout < ABSENCE ? p->timeout : ABSENCE;
}

static bool same_addr(const struct addr *a, const struct addr *b)
{
    return addr_equal_ip(a, b) && a->port == b->port;
}

static void show_addr(struct probe *p, const char *text, const char *key, const struct addr *a)
{
    char buf[ADDR_STRLEN];
    step_note(&p->report, "%s %s", text, addr_format(a, buf));
    step_fact_addr(&p->report, key, a);
}

// Step "binding": the first address of the server that answers by UDP.
static bool first_binding(struct nat *n, const struct resolution *res)
{
    struct probe *p = n->p;
    char text[ADDR_STRLEN];
    int rc = -ENOENT;

    step_begin(&p->report, "binding");
    for (unsigned i = 0; i < res->count && rc != 0; i++) {
        const struct addr *server = &res->targets[i].addr;
        struct addr ip;
        rc = binding_local_ip(server, &p->source, &ip);
        if (rc == 0)
            rc = n->fd = udp_open(server->family, &ip, &n->local);
        if (rc < 0)
            continue;
        n->primary = binding_to(n->fd, server);
        binding_run(&n->primary, 1, p->timeout);
        rc = n->primary.result;
        if (rc != 0) {
            step_note(&p->report, "%s: %s", addr_format(server, text),
                      rc > 0 ? stun_reason(rc) : errno_text(rc));
            close(n->fd);
            n->fd = -1;
        }
    }
    if (rc != 0) {
        report_fact(&p->report, "type",
                    rc == -ETIMEDOUT ? json_string("UDP blocked") : json_null());
        step_fail(&p->report, rc > 0 ? "error-response" : errno_code(rc),
                  rc > 0 ? advice_for_code(STUN_BINDING, rc) : advice_for_errno(rc, TRANSPORT_UDP),
                  "%s",
                  rc == -ETIMEDOUT ? "no answer by UDP: UDP is blocked, or the server does not run"
                  : rc > 0         ? stun_reason(rc)
                                   : errno_text(rc));
        return false;
    }
    step_text(&p->report, "mapped address %s", addr_format(&n->primary.mapped, text));
    step_fact_addr(&p->report, "mapped_address", &n->primary.mapped);
    show_addr(p, "local address", "local_address", &n->local);
    show_addr(p, "server", "server", &n->primary.from);
    if (n->primary.other.family)
        show_addr(p, "its other address", "other_address", &n->primary.other);
    if (n->primary.software[0]) {
        step_note(&p->report, "software %s", n->primary.software);
        step_fact_text(&p->report, "software", n->primary.software);
    }
    step_ok(&p->report);
    return true;
}

static enum nat_answer answer_of(const struct binding *b)
{
    return b->result == 0 ? NAT_ANSWERED : NAT_NO_ANSWER;
}

static void end_mapping(struct nat *n)
{
    struct report *r = &n->p->report;
    step_text(r, "%s",
              n->mapping == NAT_NONE ? "none: the server sees this host's own address"
                                     : nat_behaviour_name(n->mapping));
    step_fact_text(r, "mapping", nat_behaviour_name(n->mapping));
}

// Step "mapping" with the server's other address.
static void find_mapping(struct nat *n)
{
    struct probe *p = n->p;
    struct addr other = n->primary.other;
    struct binding two, three;
    enum nat_answer answer_three = NAT_NOT_TRIED;

    step_begin(&p->report, "mapping");
    other.port = n->primary.to.port;
    two = binding_to(n->fd, &other);
    binding_run(&two, 1, p->timeout);
    if (two.result == 0)
        show_addr(p, "to its other address it is", "mapped_other_address", &two.mapped);
    if (two.result == 0 && !same_addr(&two.mapped, &n->primary.mapped)) {
        three = binding_to(n->fd, &n->primary.other);
        binding_run(&three, 1, p->timeout);
        answer_three = answer_of(&three);
        if (three.result == 0)
            show_addr(p, "to its other address and port", "mapped_other_port", &three.mapped);
    }
    n->mapping =
        nat_mapping(same_addr(&n->local, &n->primary.mapped), answer_of(&two),
                    two.result == 0 && same_addr(&two.mapped, &n->primary.mapped), answer_three,
                    answer_three == NAT_ANSWERED && same_addr(&three.mapped, &two.mapped));
    end_mapping(n);
    if (two.result == 0)
        step_ok(&p->report);
    else if (n->mapping == NAT_NONE)
        step_warn(&p->report, "no answer from the server's other address");
    else
        step_fail(&p->report, "other-address", &advice_other_address,
                  "no answer from the server's other address");
}

// Step "mapping" with a second server.
static bool find_mapping_by(struct nat *n, const struct probe_uri *uri)
{
    struct probe *p = n->p;
    struct resolution *res = malloc(sizeof(*res));
    struct binding two = {.result = -ETIMEDOUT};
    bool same;

    if (!res || session_resolve(p, uri, res) < 0) {
        free(res);
        return false;
    }
    step_begin(&p->report, "mapping");
    for (unsigned i = 0; i < res->count && two.result != 0; i++) {
        if (res->targets[i].addr.family != n->primary.to.family)
            continue;
        two = binding_to(n->fd, &res->targets[i].addr);
        binding_run(&two, 1, p->timeout);
    }
    free(res);
    if (two.result != 0) {
        step_fail(&p->report, "timeout", advice_for_errno(-ETIMEDOUT, TRANSPORT_UDP),
                  "no answer from the second server");
        return false;
    }
    show_addr(p, "the second server sees", "mapped_second_server", &two.mapped);
    same = same_addr(&two.mapped, &n->primary.mapped);
    n->mapping = same_addr(&n->local, &n->primary.mapped) ? NAT_NONE
                 : !same                                  ? NAT_DEPENDENT
                 : addr_equal_ip(&two.to, &n->primary.to) ? NAT_UNKNOWN
                                                          : NAT_ENDPOINT_INDEPENDENT;
    end_mapping(n);
    if (n->mapping == NAT_UNKNOWN)
        step_warn(&p->report, "both URIs are one address; the second server needs another");
    else
        step_ok(&p->report);
    return true;
}

// Step "filtering": with a socket that has not sent to the other address (RFC 5780 4.4).
static void find_filtering(struct nat *n)
{
    struct probe *p = n->p;
    struct addr ip = n->local, local;
    struct binding first, tests[2];
    bool ignored;
    int fd;

    step_begin(&p->report, "filtering");
    ip.port = 0;
    fd = udp_open(ip.family, &ip, &local);
    if (fd < 0) {
        step_fail(&p->report, errno_code(fd), NULL, "%s", errno_text(fd));
        return;
    }
    first = binding_to(fd, &n->primary.to);
    binding_run(&first, 1, p->timeout);
    for (int i = 0; i < 2; i++) {
        tests[i] = binding_to(fd, &n->primary.to);
        tests[i].change = i == 0 ? CHANGE_IP | CHANGE_PORT : CHANGE_PORT;
    }
    step_progress(&p->report, "waiting for answers that may not come");
    binding_run(tests, 2, absence_timeout(p));
    close(fd);
    ignored = tests[0].result > 0 || tests[1].result > 0 ||
              (tests[0].result == 0 && addr_equal_ip(&tests[0].from, &n->primary.to)) ||
              (tests[1].result == 0 && tests[1].from.port == n->primary.to.port);
    if (first.result != 0 || ignored) {
        step_fail(&p->report, "change-request", &advice_no_other_address,
                  "the server does not do what CHANGE-REQUEST asks for");
        return;
    }
    n->filtering = nat_filtering(answer_of(&tests[0]), answer_of(&tests[1]));
    step_text(&p->report, "%s", nat_behaviour_name(n->filtering));
    step_note(&p->report, "from another address and port: %s",
              tests[0].result == 0 ? "comes in" : "dropped");
    step_note(&p->report, "from another port: %s", tests[1].result == 0 ? "comes in" : "dropped");
    step_fact_text(&p->report, "filtering", nat_behaviour_name(n->filtering));
    step_ok(&p->report);
}

// Whether a request of a second socket to the mapped address of the first comes in there.
static bool hairpins(struct nat *n, int fd)
{
    struct binding b = binding_to(fd, &n->primary.mapped);
    uint8_t buf[512];

    for (int i = 0; i < 3; i++) {
        struct pollfd p = {.fd = n->fd, .events = POLLIN};
        binding_run(&b, 1, 1000); // nobody answers it
        while (poll(&p, 1, 300) > 0) {
            struct stun_msg msg;
            ssize_t len = recv(n->fd, buf, sizeof(buf), 0);
            if (len > 0 && stun_parse(&msg, buf, (size_t)len) == STUN_PARSE_OK &&
                msg.class_ == STUN_REQUEST && memcmp(msg.txid, b.txid, STUN_TXID_LEN) == 0)
                return true;
        }
    }
    return false;
}

// Step "hairpin" (RFC 5780 4.5).
static void find_hairpinning(struct nat *n)
{
    struct probe *p = n->p;
    struct addr ip = n->local, local;
    bool yes;
    int fd;

    step_begin(&p->report, "hairpin");
    ip.port = 0;
    fd = udp_open(ip.family, &ip, &local);
    if (fd < 0) {
        step_fail(&p->report, errno_code(fd), NULL, "%s", errno_text(fd));
        return;
    }
    yes = hairpins(n, fd);
    close(fd);
    step_text(&p->report, "%s",
              yes ? "yes: hosts behind it reach each other by their mapped addresses"
                  : "no: hosts behind it do not reach each other by their mapped addresses");
    step_fact(&p->report, "hairpinning", json_boolean(yes));
    report_fact(&p->report, "hairpinning", json_boolean(yes));
    step_ok(&p->report);
}

static void conclude(struct nat *n, bool second_server)
{
    struct report *r = &n->p->report;
    const char *type = nat_type(n->mapping, n->filtering);

    report_fact(r, "type", json_string(type));
    report_fact(r, "mapping", json_string(nat_behaviour_name(n->mapping)));
    report_fact(r, "filtering", json_string(nat_behaviour_name(n->filtering)));
    report_fact(r, "mapped_address", json_addr(&n->primary.mapped));
    report_fact(r, "local_address", json_addr(&n->local));
    report_line(r, "%s", "");
    report_paragraph(r, "NAT type", type);
    report_paragraph(r, "What it means", nat_meaning(n->mapping, n->filtering));
    if (n->primary.other.family)
        return;
    report_fact(r, "limited", json_string(advice_no_other_address.means));
    report_paragraph(r, "Not found out", advice_no_other_address.means);
    for (int i = second_server; advice_no_other_address.check[i]; i++)
        report_paragraph(r, i == second_server ? "What helps" : "",
                         advice_no_other_address.check[i]);
}

static int run(struct nat *n, const struct probe_uri *second)
{
    struct probe *p = n->p;
    struct resolution *res = malloc(sizeof(*res));
    bool ok = res && session_resolve(p, &p->uri, res) == 0 && first_binding(n, res);

    free(res);
    if (!ok)
        return PROBE_FAILS;
    if (n->primary.other.family) {
        find_filtering(n); // first: some NATs let in whatever host this one has ever sent to
        find_mapping(n);
    } else if (second) {
        if (!find_mapping_by(n, second))
            return PROBE_FAILS;
    } else {
        n->mapping = same_addr(&n->local, &n->primary.mapped) ? NAT_NONE : NAT_UNKNOWN;
    }
    if (n->mapping != NAT_NONE)
        find_hairpinning(n);
    if (p->lifetime)
        nat_lifetime(p, &n->primary.to, &n->local);
    conclude(n, second != NULL);
    return n->mapping != NAT_UNKNOWN && n->filtering != NAT_UNKNOWN ? PROBE_WORKS : PROBE_FAILS;
}

int probe_nat(struct probe *p)
{
    struct nat n = {.p = p, .fd = -1};
    int rc = run(&n, p->word_count > 1 ? &p->second : NULL);

    if (n.fd >= 0)
        close(n.fd);
    return rc;
}
