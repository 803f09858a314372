// SPDX-License-Identifier: BSD-2-Clause
// The two probes meet through the relay and exchange their addresses.
#include "probe/punch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "probe/advice.h"
#include "probe/clock.h"
#include "util/codec.h"
#include "util/rand.h"

#define CALL_PAUSE 500000            // us between two calls
#define PERMISSION_REFRESH 120000000 // us; a permission lasts 300 s (RFC 8656 9)

size_t punch_compose(const struct punch *u, uint8_t out[PUNCH_MESSAGE_LEN], enum punch_type type,
                     uint32_t number)
{
    struct punch_message m = {
        .type = type, .sender = u->first ? 1 : 2, .flags = u->flags, .number = number};
    memcpy(m.nonce, u->nonce, sizeof(m.nonce));
    if (type == PUNCH_HELLO || type == PUNCH_WELCOME) {
        m.candidate_count = u->own_count;
        memcpy(m.candidates, u->own, sizeof(m.candidates));
    }
    return punch_message_encode(out, PUNCH_MESSAGE_LEN, &m, u->key);
}

bool punch_accept(const struct punch *u, struct punch_message *m, const uint8_t *data, size_t len)
{
    if (punch_message_decode(m, data, len, u->key) < 0 || m->sender != (u->first ? 2 : 1))
        return false;
    if (m->type == PUNCH_HELLO)
        return u->first && (!u->met || memcmp(m->nonce[1], u->nonce[1], PUNCH_NONCE_LEN) == 0);
    // The second one learns the first one's nonce by WELCOME, which proves by its own that it is
    // fresh.
    if (m->type == PUNCH_WELCOME && !u->met)
        return !u->first && memcmp(m->nonce[1], u->nonce[1], PUNCH_NONCE_LEN) == 0;
    return u->met && memcmp(m->nonce, u->nonce, sizeof(m->nonce)) == 0;
}

int punch_tell(struct punch *u, enum punch_type type, uint32_t number)
{
    uint8_t buf[PUNCH_MESSAGE_LEN];
    size_t len = punch_compose(u, buf, type, number);
    return len ? client_send(&u->s->client, &u->other_relayed, buf, len) : -ENOMEM;
}

static void from_relay(void *arg, const struct addr *peer, uint16_t channel, const uint8_t *data,
                       size_t len)
{
    struct punch *u = arg;
    struct punch_message m;

    if (!peer || !punch_accept(u, &m, data, len))
        return;
    if (m.type == PUNCH_HELLO || m.type == PUNCH_WELCOME) {
        if (!u->met) {
            memcpy(u->nonce[u->first ? 1 : 0], m.nonce[u->first ? 1 : 0], PUNCH_NONCE_LEN);
            u->other_relayed = *peer;
            u->other_flags = m.flags;
            u->other_count = m.candidate_count;
            memcpy(u->other, m.candidates, sizeof(u->other));
            u->met = true;
        }
        if (m.type == PUNCH_HELLO)
            punch_tell(u, PUNCH_WELCOME, 0); // again and again: the last one may be lost
    } else if (m.type == PUNCH_RESULT) {
        u->other_done = true;
        u->other_replies = m.number;
    }
}

// What the other host has to run.
static void print_code(struct punch *u)
{
    struct probe *p = u->p;
    struct punch_code code = {.relayed = u->s->client.relayed};
    char text[PUNCH_CODE_LEN], user[REPORT_TEXT], command[3 * REPORT_TEXT];

    memcpy(code.key, u->key, sizeof(code.key));
    punch_code_encode(text, &code);
    text_escape(user, sizeof(user), p->cred.user, strlen(p->cred.user));
    snprintf(command, sizeof(command), "turnpike-probe punch '%s' --user '%s' %s", p->words[0],
             user, text);
    if (p->json) {
        json_t *j = json_pack("{s:s, s:s}", "code", text, "run", command);
        if (j)
            json_dumpf(j, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
        putchar('\n');
        fflush(stdout);
        json_decref(j);
        return;
    }
    report_line(&p->report,
                "\n  Now run this on the other host (the code is good for once):\n\n    %s\n",
                command);
}

// Keeps the allocation and the permission alive while a human walks to the other host.
static int keep_alive(struct punch *u, const struct addr *peer, int64_t *next)
{
    int rc = 0;
    if (clock_us() < *next)
        return 0;
    *next = clock_us() + PERMISSION_REFRESH;
    rc = session_permit(u->s, peer);
    return rc == 0 ? session_refresh(u->s, u->s->client.lifetime) : rc;
}

static int wait_or_call(struct punch *u, const struct addr *peer, int64_t end)
{
    int64_t keep = clock_us() + PERMISSION_REFRESH, call = 0;
    int rc = 0;

    while (rc == 0 && !u->met && clock_us() < end) {
        struct pollfd p = {.fd = u->s->conn->fd, .events = POLLIN};
        if (!u->first && clock_us() >= call) {
            rc = punch_tell(u, PUNCH_HELLO, 0);
            call = clock_us() + CALL_PAUSE;
        }
        step_progress(&u->p->report, "%s, %d s left", u->first ? "waiting" : "calling",
                      clock_left_ms(end) / 1000);
        poll(&p, 1, conn_pending(u->s->conn) ? 0 : u->first ? 1000 : clock_left_ms(call));
        if (rc == 0)
            rc = client_poll(&u->s->client);
        if (rc == 0 && u->first && !u->met)
            rc = keep_alive(u, peer, &keep);
    }
    return rc;
}

// Where the other is: of the second in the code, of the first at its own relay address, since all
// allocations of a server have that.
static int set_up(struct punch *u, const char *text, struct addr *peer)
{
    struct punch_code code;

    rand_bytes(u->nonce[u->first ? 0 : 1], PUNCH_NONCE_LEN);
    if (u->first) {
        rand_bytes(u->key, sizeof(u->key));
        *peer = u->s->client.relayed;
        return 0;
    }
    if (punch_code_decode(&code, text) < 0)
        return -EINVAL;
    memcpy(u->key, code.key, sizeof(u->key));
    u->other_relayed = *peer = code.relayed;
    return 0;
}

static void show_other(struct punch *u)
{
    struct report *r = &u->p->report;
    json_t *list = json_array();
    char text[ADDR_STRLEN];

    step_text(r, "the other host is at %s of the relay", addr_format(&u->other_relayed, text));
    for (unsigned i = 0; i < u->other_count; i++) {
        json_array_append_new(list, json_addr(&u->other[i]));
        step_note(r, "it may be reached at %s", addr_format(&u->other[i], text));
    }
    if (u->other_flags & PUNCH_SYMMETRIC)
        step_note(r, "it is behind a symmetric NAT");
    step_fact(r, "candidates", list);
    step_fact(r, "symmetric",
              u->other_flags & PUNCH_MAPPING_KNOWN ? json_boolean(u->other_flags & PUNCH_SYMMETRIC)
                                                   : json_null());
    step_fact_addr(r, "relayed_address", &u->other_relayed);
    step_ok(r);
}

int punch_meet(struct punch *u, const char *text)
{
    struct probe *p = u->p;
    struct addr peer;
    int rc;

    rc = set_up(u, text, &peer);
    if (rc == 0 && u->first)
        print_code(u);
    step_begin(&p->report, "meet");
    if (rc < 0) {
        step_fail(&p->report, "code", NULL, "the code is not right: copy all of it");
        return -1;
    }
    if (peer.family != u->s->client.relayed.family || !addr_equal_ip(&peer, &u->s->client.relayed))
        step_note(&p->report,
                  "the server has given this host another relay address than the other's");
    rc = session_permit(u->s, &peer);
    if (rc != 0) {
        session_fail(p, u->s, STUN_CREATE_PERMISSION, rc, true);
        return -1;
    }
    u->s->client.on_data = from_relay;
    u->s->client.arg = u;
    rc = wait_or_call(u, &peer,
                      clock_us() + (u->first ? (int64_t)p->wait * 1000000 : 2 * p->timeout));
    if (rc != 0) {
        session_fail(p, u->s, STUN_REFRESH, rc, true);
        return -1;
    }
    if (!u->met) {
        step_fail(&p->report, "no-meeting", &advice_no_meeting, "nobody came");
        return -1;
    }
    show_other(u);
    return 0;
}
