// SPDX-License-Identifier: BSD-2-Clause
// The way to a server: names, connection, TLS, the first answer.
#include "probe/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/advice.h"
#include "probe/clock.h"
#include "probe/dns.h"
#include "util/codec.h"
#include "util/rand.h"

#define REDIRECTS 3 // ALTERNATE-SERVER (RFC 8489 10)

static json_t *question_json(const struct question *q)
{
    return json_pack("{s:s, s:s, s:i}", "type", dns_type_name(q->type), "name", q->name, "records",
                     q->result > 0 ? q->result : 0);
}

static json_t *target_json(const struct target *t)
{
    return json_pack("{s:s, s:o}", "transport", transport_name(t->transport), "address",
                     json_addr(&t->addr));
}

static void show_resolution(struct probe *p, const struct probe_uri *uri,
                            const struct resolution *res)
{
    char text[ADDR_STRLEN];
    json_t *questions = json_array(), *targets = json_array();

    for (unsigned i = 0; i < res->question_count; i++) {
        const struct question *q = &res->questions[i];
        json_array_append_new(questions, question_json(q));
        if (q->result > 0)
            step_note(&p->report, "%s %s: %d found", dns_type_name(q->type), q->name, q->result);
        else
            step_note(&p->report, "%s %s: %s", dns_type_name(q->type), q->name,
                      q->result == -ENOENT ? "none" : errno_text(q->result));
    }
    for (unsigned i = 0; i < res->count; i++) {
        const struct target *t = &res->targets[i];
        json_array_append_new(targets, target_json(t));
        step_text(&p->report, "%s%s %s", i ? ", " : "", transport_name(t->transport),
                  addr_format(&t->addr, text));
    }
    step_fact(&p->report, "questions", questions);
    step_fact(&p->report, "targets", targets);
    if (uri->literal)
        step_text(&p->report, " (an address, nothing to look up)");
}

int session_resolve(struct probe *p, const struct probe_uri *uri, struct resolution *out)
{
    struct dns_ops ops = {.lookup = dns_lookup, .random = rand_uniform};
    struct dns *dns;
    int rc;

    step_begin(&p->report, "resolve");
    rc = dns_open(&dns, p->dns.family ? &p->dns : NULL, p->timeout);
    if (rc < 0) {
        step_fail(&p->report, errno_code(rc), NULL, "%s", strerror(-rc));
        return rc;
    }
    ops.arg = dns;
    rc = resolve_uri(out, uri, p->family, &ops);
    dns_close(dns);
    show_resolution(p, uri, out);
    if (rc == 0) {
        step_ok(&p->report);
    } else if (uri->literal) {
        step_fail(&p->report, "not-found", NULL,
                  "the address in the URI is not of the family asked for");
    } else {
        const char *text = rc == -ENOENT ? "no address for %s"
                           : rc == -ETIMEDOUT || rc == -ECONNREFUSED
                               ? "no name server answered for %s"
                               : "the name servers failed for %s";
        char line[URI_HOST_LEN + 64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(line, sizeof(line), text, uri->host);
#pragma GCC diagnostic pop
        step_fail(&p->report, rc == -ENOENT ? "dns-not-found" : "dns-failed", advice_for_dns(rc),
                  "%s", line);
    }
    return rc;
}

// Ends the step as failed, or when there is another address to try with a warning.
static void end_badly(struct probe *p, bool last, const char *code, const struct advice *advice,
                      const char *text)
{
    if (last)
        step_fail(&p->report, code, advice, "%s", text);
    else
        step_warn(&p->report, "%s; trying the next", text);
}

void session_fail(struct probe *p, const struct session *s, enum stun_method method, int rc,
                  bool last)
{
    char text[REPORT_TEXT], code[16], time[16];
    const char *reason;
    size_t reason_len;
    int number;

    if (rc > 0 && stun_get_error(&s->client.msg, &number, &reason, &reason_len) == 0) {
        char escaped[256];
        snprintf(text, sizeof(text), "%d %s", rc,
                 reason_len ? text_escape(escaped, sizeof(escaped), reason, reason_len)
                            : stun_reason(rc));
        snprintf(code, sizeof(code), "%d", rc);
        end_badly(p, last, code, advice_for_code(method, rc), text);
    } else if (rc == CLIENT_UNSIGNED) {
        end_badly(p, last, "unsigned", &advice_unsigned,
                  "the answer is not signed with this password");
    } else {
        enum transport transport = s->target.transport;
        if (rc == -ETIMEDOUT)
            snprintf(text, sizeof(text), "no answer by %s within %s (%u sent)",
                     transport_name(transport), report_time(p->timeout, time), s->client.sent);
        else
            snprintf(text, sizeof(text), "%s", errno_text(rc));
        end_badly(p, last, errno_code(rc), advice_for_errno(rc, transport), text);
    }
}

int session_connect(struct probe *p, const struct target *target, struct session **out)
{
    struct session *s = calloc(1, sizeof(*s));
    int rc = s ? 0 : -ENOMEM;

    if (rc == 0)
        rc = conn_open(&s->conn, target, &p->source, clock_us() + p->timeout);
    if (rc == 0 && transport_is_secure(target->transport)) {
        struct tls_options options = {p->uri.host, p->uri.literal, p->uri.turn, p->ca_file};
        const char *why;
        rc = conn_secure(s->conn, &options, clock_us() + p->timeout, &why);
    }
    if (rc < 0) {
        session_close(s);
        return rc;
    }
    s->target = *target;
    s->client.conn = s->conn;
    s->client.timeout = p->timeout;
    s->client.cred = &p->cred;
    *out = s;
    return 0;
}

void session_close(struct session *s)
{
    if (!s)
        return;
    conn_close(s->conn);
    free(s);
}

static void show_tls(struct probe *p, const struct tls_facts *f)
{
    struct report *r = &p->report;
    step_text(r, "%s, %s, ALPN %s", f->version, f->cipher, f->alpn[0] ? f->alpn : "none");
    step_note(r, "certificate of %s by %s", f->subject[0] ? f->subject : "(no name)", f->issuer);
    if (f->names[0])
        step_note(r, "for %s", f->names);
    if (f->days_left < 0)
        step_note(r, "expired %ld days ago", -f->days_left);
    else
        step_note(r, "valid for %ld more days", f->days_left);
    if (f->verified)
        step_note(r, "trusted");
    else if (p->insecure)
        step_note(r, "not trusted, which --insecure lets pass: %s", f->verdict);
    step_fact_text(r, "version", f->version);
    step_fact_text(r, "cipher", f->cipher);
    step_fact(r, "alpn", f->alpn[0] ? json_string(f->alpn) : json_null());
    step_fact_text(r, "subject", f->subject);
    step_fact_text(r, "issuer", f->issuer);
    step_fact_text(r, "names", f->names);
    step_fact(r, "days_left", json_integer(f->days_left));
    step_fact(r, "verified", json_boolean(f->verified));
    step_fact_text(r, "verdict", f->verdict);
}

// Step "tls" or "dtls".
static int secure(struct probe *p, const struct probe_uri *uri, struct session *s, bool last)
{
    bool dtls = s->target.transport == TRANSPORT_DTLS;
    struct tls_options options = {uri->host, uri->literal, uri->turn, p->ca_file};
    struct tls_facts facts;
    const char *why = NULL;
    char text[TLS_TEXT + 64];
    int rc;

    step_begin(&p->report, dtls ? "dtls" : "tls");
    rc = conn_secure(s->conn, &options, clock_us() + p->timeout, &why);
    if (rc == -ENOENT) {
        step_fail(&p->report, "ca-file", NULL, "%s: %s", p->ca_file, why);
        return rc;
    }
    if (rc < 0) {
        snprintf(text, sizeof(text), "the handshake failed: %s",
                 rc == -EPROTO && why ? why : errno_text(rc));
        end_badly(p, last, rc == -EPROTO ? "tls-handshake" : errno_code(rc),
                  advice_for_handshake(rc, s->target.transport), text);
        return rc;
    }
    tls_facts(s->conn->tls, &facts);
    show_tls(p, &facts);
    if (!facts.verified && !p->insecure) {
        snprintf(text, sizeof(text), "the certificate is not accepted: %s", facts.verdict);
        end_badly(p, last, "tls-certificate", advice_for_certificate(), text);
        return -EPROTO;
    }
    step_ok(&p->report);
    return 0;
}

// Steps "connect" and "tls".
static int reach(struct probe *p, const struct probe_uri *uri, const struct target *target,
                 bool last, struct session **out)
{
    char local[ADDR_STRLEN], remote[ADDR_STRLEN], text[REPORT_TEXT];
    struct session *s = calloc(1, sizeof(*s));
    int rc = s ? 0 : -ENOMEM;

    step_begin(&p->report, "connect");
    step_fact_text(&p->report, "transport", transport_name(target->transport));
    step_fact_addr(&p->report, "remote", &target->addr);
    if (rc == 0)
        rc = conn_open(&s->conn, target, &p->source, clock_us() + p->timeout);
    addr_format(&target->addr, remote);
    if (rc < 0) {
        snprintf(text, sizeof(text), "%s %s: %s", transport_name(target->transport), remote,
                 errno_text(rc));
        end_badly(p, last, errno_code(rc), advice_for_errno(rc, target->transport), text);
        session_close(s);
        return rc;
    }
    s->target = *target;
    s->client.conn = s->conn;
    s->client.timeout = p->timeout;
    s->client.cred = &p->cred;
    step_fact_addr(&p->report, "local", &s->conn->local);
    step_text(&p->report, "%s from %s to %s",
              transport_is_stream(target->transport) ? "TCP" : "UDP",
              addr_format(&s->conn->local, local), remote);
    step_ok(&p->report);
    if (transport_is_secure(target->transport) && (rc = secure(p, uri, s, last)) < 0) {
        session_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

// Where the server sends its clients, by the answer to their first request. The certificate there
// is that of ALTERNATE-DOMAIN, where there is one (RFC 8489 10).
static bool redirected(struct probe *p, const struct session *s, int code, struct target *target,
                       struct probe_uri *uri)
{
    struct addr alternate;
    struct stun_attr domain;
    char text[ADDR_STRLEN];
    if (code != 300 || stun_get_addr(&s->client.msg, STUN_ATTR_ALTERNATE_SERVER, &alternate) < 0)
        return false;
    target->transport = s->target.transport;
    target->addr = alternate;
    if (stun_find(&s->client.msg, STUN_ATTR_ALTERNATE_DOMAIN, &domain) && domain.len > 0 &&
        domain.len < sizeof(uri->host) && !memchr(domain.value, 0, domain.len)) {
        memcpy(uri->host, domain.value, domain.len);
        uri->host[domain.len] = '\0';
        uri->literal = false;
    }
    report_line(&p->report, "  the server sends its clients to %s", addr_format(&alternate, text));
    return true;
}

// One address, and where it sends its clients. 0, 1 to try the next address, -1 when that makes no
// sense.
static int try_target(struct probe *p, const struct probe_uri *uri, struct target target, bool last,
                      session_first *first, struct session **out)
{
    struct probe_uri current = *uri;
    struct session *s;

    for (int redirects = 0;; redirects++) {
        int rc = reach(p, &current, &target, last, &s);
        if (rc < 0)
            return rc == -ENOENT ? -1 : 1; // no such CA file
        rc = first(p, s, last);
        if (rc == 0) {
            *out = s;
            return 0;
        }
        bool again = redirects < REDIRECTS && redirected(p, s, rc, &target, &current);
        session_close(s);
        if (rc == 300 && !again) {
            step_begin(&p->report, "redirect");
            step_fail(&p->report, "300", advice_for_code(0, 300), "too many, or to nowhere");
            return -1;
        }
        if (!again)
            return rc;
    }
}

int session_open(struct probe *p, const struct probe_uri *uri, session_first *first,
                 struct session **out)
{
    struct resolution *res = malloc(sizeof(*res));
    int rc = 1;

    if (!res || session_resolve(p, uri, res) < 0) {
        free(res);
        return -1;
    }
    for (unsigned i = 0; i < res->count && rc == 1; i++)
        rc = try_target(p, uri, res->targets[i], i + 1 == res->count, first, out);
    free(res);
    return rc == 0 ? 0 : -1;
}
