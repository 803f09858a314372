// SPDX-License-Identifier: BSD-2-Clause
// The requests of RFC 8656 on a session.
#include "probe/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probe/advice.h"
#include "util/codec.h"

#define UDP_PROTOCOL 17u

static void show_software(struct probe *p, const struct stun_msg *msg)
{
    struct stun_attr a;
    char text[128];
    if (!stun_find(msg, STUN_ATTR_SOFTWARE, &a))
        return;
    step_note(&p->report, "software %s", text_escape(text, sizeof(text), a.value, a.len));
    step_fact(&p->report, "software", json_wire(a.value, a.len));
}

// What PASSWORD-ALGORITHMS offers, for people.
static const char *offered(const struct client *c)
{
    if (c->algorithms_len == 0)
        return "MD5 (no others offered)";
    return c->algorithm == STUN_ALG_SHA256 ? "SHA-256" : "MD5";
}

int session_challenge(struct probe *p, struct session *s, bool last)
{
    struct client *c = &s->client;
    struct request_attr attrs[] = {
        {.type = STUN_ATTR_REQUESTED_TRANSPORT, .u32 = UDP_PROTOCOL << 24}};
    char realm[REPORT_TEXT];
    int rc;

    step_begin(&p->report, "challenge");
    rc = client_exchange(c, STUN_ALLOCATE, attrs, 1);
    if (rc == 300) {
        step_warn(&p->report, "300, use another server");
        return rc;
    }
    if (rc == 0) {
        step_fail(&p->report, "open-relay", NULL,
                  "the server gives relays to everyone, without a password: an open relay");
        session_refresh(s, 0);
        return -1;
    }
    if (rc != 401) {
        session_fail(p, s, STUN_ALLOCATE, rc, last);
        return 1;
    }
    if (client_learn(c, &c->msg) < 0) {
        step_fail(&p->report, "no-realm", &advice_realm, "401 without REALM or NONCE");
        return -1;
    }
    step_text(&p->report, "realm %s, password algorithm %s",
              text_escape(realm, sizeof(realm), c->realm, strlen(c->realm)), offered(c));
    step_fact(&p->report, "realm", json_wire(c->realm, strlen(c->realm)));
    step_fact(&p->report, "nonce", json_wire(c->nonce, c->nonce_len));
    step_fact_text(&p->report, "password_algorithm",
                   c->algorithm == STUN_ALG_SHA256 ? "SHA-256" : "MD5");
    step_fact(&p->report, "password_algorithms_offered", json_boolean(c->algorithms_len > 0));
    show_software(p, &c->msg);
    if (c->sent > 1)
        step_note(&p->report, "answered after %u attempts", c->sent);
    step_ok(&p->report);
    return 0;
}

int session_allocate(struct session *s, uint8_t family)
{
    struct client *c = &s->client;
    struct request_attr attrs[2] = {
        {.type = STUN_ATTR_REQUESTED_TRANSPORT, .u32 = UDP_PROTOCOL << 24},
        {.type = STUN_ATTR_REQUESTED_ADDRESS_FAMILY, .u32 = (family == ADDR_IPV6 ? 2u : 1u) << 24},
    };
    int rc = client_request(c, STUN_ALLOCATE, attrs, family == ADDR_NONE ? 1 : 2);

    if (rc != 0)
        return rc;
    if (stun_get_addr(&c->msg, STUN_ATTR_XOR_RELAYED_ADDRESS, &c->relayed) < 0 ||
        stun_get_addr(&c->msg, STUN_ATTR_XOR_MAPPED_ADDRESS, &c->mapped) < 0 ||
        stun_get_u32(&c->msg, STUN_ATTR_LIFETIME, &c->lifetime) < 0)
        return -EBADMSG;
    return 0;
}

int session_permit(struct session *s, const struct addr *peer)
{
    struct request_attr attrs[] = {{.type = STUN_ATTR_XOR_PEER_ADDRESS, .addr = peer}};
    return client_request(&s->client, STUN_CREATE_PERMISSION, attrs, 1);
}

int session_bind(struct session *s, const struct addr *peer, uint16_t channel)
{
    struct request_attr attrs[] = {
        {.type = STUN_ATTR_CHANNEL_NUMBER, .u32 = (uint32_t)channel << 16},
        {.type = STUN_ATTR_XOR_PEER_ADDRESS, .addr = peer},
    };
    s->conn->channels = true;
    return client_request(&s->client, STUN_CHANNEL_BIND, attrs, 2);
}

int session_refresh(struct session *s, uint32_t lifetime)
{
    struct request_attr attrs[] = {{.type = STUN_ATTR_LIFETIME, .u32 = lifetime}};
    return client_request(&s->client, STUN_REFRESH, attrs, 1);
}

// A time-limited user name (draft-uberti-behave-turn-rest) says itself when it is over.
static void note_expiry(struct probe *p)
{
    char *end;
    long long expires, now = time(NULL);

    errno = 0;
    expires = strtoll(p->cred.user, &end, 10);
    if (errno || end == p->cred.user || *end != ':')
        return;
    if (expires <= now)
        step_note(&p->report, "the user name says that it expired %lld s ago", now - expires);
    else
        step_note(&p->report, "the user name says that it is good for %lld s", expires - now);
    step_fact(&p->report, "expires_in", json_integer(expires - now));
}

// Whether another address of the server may do better: RFC 8656 7.4 has the next one tried.
static bool may_try_next(int rc)
{
    return rc == 437 || rc == 440 || rc == 500 || rc == 508 || (rc < 0 && rc != CLIENT_UNSIGNED);
}

int session_enter(struct probe *p, struct session *s, uint8_t family, bool last)
{
    struct client *c = &s->client;
    char relayed[ADDR_STRLEN], mapped[ADDR_STRLEN];
    int rc;

    step_begin(&p->report, "allocate");
    rc = session_allocate(s, family);
    if (rc == 300) {
        step_warn(&p->report, "300, use another server");
        return rc;
    }
    if (rc == 401)
        note_expiry(p);
    if (rc != 0) {
        last = last || !may_try_next(rc);
        session_fail(p, s, STUN_ALLOCATE, rc, last);
        return last ? -1 : 1;
    }
    step_text(&p->report, "relayed address %s", addr_format(&c->relayed, relayed));
    step_note(&p->report, "mapped address %s, for %u s", addr_format(&c->mapped, mapped),
              c->lifetime);
    step_fact_addr(&p->report, "relayed_address", &c->relayed);
    step_fact_addr(&p->report, "mapped_address", &c->mapped);
    step_fact(&p->report, "lifetime", json_integer(c->lifetime));
    step_ok(&p->report);
    return 0;
}
