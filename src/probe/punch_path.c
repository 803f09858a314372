// SPDX-License-Identifier: BSD-2-Clause
// Both probes send to all addresses of the other at once, from the socket that the mapped address
// belongs to, until one answers.
#include "probe/punch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "probe/advice.h"
#include "probe/clock.h"
#include "probe/stats.h"

#define PAUSE 100000        // us between two rounds of probes
#define RESULT_PAUSE 200000 // us between two RESULTs
#define LINGER 3000000 // us that a probe stays for the other at most, when it is through itself
#define NUMBERS 4096   // probes sent at most

struct path {
    struct punch *u;
    struct addr remotes[2 * PUNCH_CANDIDATES]; // the other's, and those that its probes came from
    unsigned remote_count;
    int64_t *sent_at;                // by number
    uint8_t to[NUMBERS];             // index of remotes, by number
    uint32_t number, first_measured; // the next; the first one on the path alone
    bool through;
    unsigned chosen, measured, replies;
    int64_t found_after;
    int64_t *rtt;
};

static int find_remote(const struct path *x, const struct addr *a)
{
    for (unsigned i = 0; i < x->remote_count; i++) {
        if (addr_equal_ip(&x->remotes[i], a) && x->remotes[i].port == a->port)
            return (int)i;
    }
    return -1;
}

static void send_direct(struct path *x, enum punch_type type, const struct addr *to,
                        uint32_t number)
{
    uint8_t buf[PUNCH_MESSAGE_LEN];
    struct sockaddr_storage ss;
    socklen_t ss_len = addr_to_sockaddr(to, &ss);
    size_t len = punch_compose(x->u, buf, type, number);
    // Addresses that this host has no way to are among the candidates: no error is worth a word.
    if (len)
        sendto(x->u->fd, buf, len, 0, (struct sockaddr *)&ss, ss_len);
}

static void send_probe(struct path *x, unsigned remote)
{
    if (x->number == NUMBERS)
        return;
    x->to[x->number] = (uint8_t)remote;
    x->sent_at[x->number] = clock_us();
    send_direct(x, PUNCH_PROBE, &x->remotes[remote], x->number++);
}

static void take_reply(struct path *x, uint32_t number, const struct addr *from)
{
    int64_t sent;
    if (number >= x->number || !x->sent_at[number] || find_remote(x, from) != x->to[number])
        return;
    sent = x->sent_at[number];
    x->sent_at[number] = 0; // counts once
    if (!x->through) {
        x->through = true;
        x->chosen = x->to[number];
        x->first_measured = x->number;
    } else if (number >= x->first_measured) {
        x->rtt[x->replies++] = clock_us() - sent;
    }
}

static void read_socket(struct path *x)
{
    uint8_t buf[2048];
    struct sockaddr_storage ss;
    struct punch_message m;
    struct addr from;

    for (;;) {
        socklen_t ss_len = sizeof(ss);
        ssize_t n = recvfrom(x->u->fd, buf, sizeof(buf), 0, (struct sockaddr *)&ss, &ss_len);
        if (n < 0)
            return;
        if (addr_from_sockaddr(&from, (struct sockaddr *)&ss) < 0 ||
            !punch_accept(x->u, &m, buf, (size_t)n))
            continue;
        if (m.type == PUNCH_PROBE) {
            send_direct(x, PUNCH_REPLY, &from, m.number);
            // From where nobody said it would come: a NAT that maps by destination. Answer there.
            if (find_remote(x, &from) < 0 && x->remote_count < 2 * PUNCH_CANDIDATES)
                x->remotes[x->remote_count++] = from;
        } else if (m.type == PUNCH_REPLY) {
            take_reply(x, m.number, &from);
        }
    }
}

static int wait_both(struct path *x, int64_t until)
{
    struct session *s = x->u->s;
    struct pollfd fds[2] = {{.fd = x->u->fd, .events = POLLIN},
                            {.fd = s->conn->fd, .events = POLLIN}};
    poll(fds, 2, conn_pending(s->conn) ? 0 : clock_left_ms(until));
    read_socket(x);
    return client_poll(&s->client);
}

static int pause_until(struct path *x, int64_t until)
{
    int rc = 0;
    while (rc == 0 && clock_us() < until)
        rc = wait_both(x, until);
    return rc;
}

// Until one gets through.
static int try_all(struct path *x)
{
    int64_t begin = clock_us(), end = begin + x->u->p->timeout;
    int rc = 0;

    while (rc == 0 && !x->through && clock_us() < end) {
        int64_t next = clock_us() + PAUSE;
        step_progress(&x->u->p->report, "%u probes sent to %u addresses", x->number,
                      x->remote_count);
        for (unsigned i = 0; i < x->remote_count; i++)
            send_probe(x, i);
        while (rc == 0 && !x->through && clock_us() < next)
            rc = wait_both(x, next);
    }
    x->found_after = clock_us() - begin;
    return rc;
}

static int measure(struct path *x)
{
    int rc = 0;
    for (x->measured = 0; x->measured < x->u->p->count && rc == 0 && x->number < NUMBERS;
         x->measured++) {
        send_probe(x, x->chosen);
        rc = pause_until(x, clock_us() + PAUSE);
    }
    for (int64_t end = clock_us() + 5 * PAUSE;
         rc == 0 && x->replies < x->measured && clock_us() < end;)
        rc = wait_both(x, end);
    return rc;
}

// Says through the relay how it went, and answers the other's probes until it has said so, too.
static int part(struct path *x)
{
    int64_t end = clock_us() + LINGER + (x->through ? 0 : x->u->p->timeout);
    int rc = 0, told = 0;

    while (rc == 0 && clock_us() < end && !(x->u->other_done && told >= 3)) {
        rc = punch_tell(x->u, PUNCH_RESULT, x->replies);
        told++;
        if (rc == 0)
            rc = pause_until(x, clock_us() + RESULT_PAUSE);
    }
    return rc;
}

static const char *kind_of(const struct path *x)
{
    const struct punch *u = x->u;
    if (x->chosen >= u->other_count)
        return "an address that its NAT made for this host";
    // The first candidate is the mapped one where there is one; without a NAT it is its own, too.
    return x->chosen == 0 ? "its mapped address" : "its own address in the same network";
}

static void show(struct path *x)
{
    struct report *r = &x->u->p->report;
    char text[ADDR_STRLEN], time[16];

    addr_format(&x->remotes[x->chosen], text);
    step_text(r, "through after %s", report_time(x->found_after, time));
    step_note(r, "the other host answers at %s, %s", text, kind_of(x));
    step_note(r, "%u of %u packets came back", x->replies, x->measured);
    if (x->u->other_done)
        step_note(r, "the other host got %u of its own back", x->u->other_replies);
    step_fact_addr(r, "path", &x->remotes[x->chosen]);
    step_fact(r, "sent", json_integer(x->measured));
    step_fact(r, "answered", json_integer(x->replies));
    step_fact(r, "answered_other",
              x->u->other_done ? json_integer(x->u->other_replies) : json_null());
    stats_show(r, "round trip ", x->rtt, x->replies);
}

static void fail_path(struct path *x)
{
    struct punch *u = x->u;
    bool own = u->flags & PUNCH_SYMMETRIC, other = u->other_flags & PUNCH_SYMMETRIC;
    struct report *r = &u->p->report;

    if (own && other)
        step_fail(r, "both-symmetric", &advice_both_symmetric,
                  "both hosts are behind symmetric NATs");
    else if (own || other)
        step_fail(
            r, "one-symmetric", &advice_one_symmetric,
            "%s host is behind a symmetric NAT, and the NAT of %s lets in only what it expects",
            own ? "this" : "the other", own ? "the other" : "this one");
    else
        step_fail(r, "no-path", &advice_no_path, "no packet came through directly");
}

bool punch_path(struct punch *u)
{
    struct path *x = calloc(1, sizeof(*x));
    bool ok = false;
    int rc = -ENOMEM;

    step_begin(&u->p->report, "punch");
    if (x) {
        x->u = u;
        x->sent_at = calloc(NUMBERS, sizeof(*x->sent_at));
        x->rtt = calloc(NUMBERS, sizeof(*x->rtt));
        x->remote_count = u->other_count;
        memcpy(x->remotes, u->other, sizeof(u->other));
        rc = x->sent_at && x->rtt ? try_all(x) : -ENOMEM;
    }
    if (rc == 0 && x->through)
        rc = measure(x);
    if (rc == 0)
        rc = part(x);
    ok = rc == 0 && x->through && x->replies > 0;
    if (x && x->through)
        show(x);
    if (rc < 0)
        session_fail(u->p, u->s, STUN_SEND, rc, true);
    else if (ok)
        step_ok(&u->p->report);
    else
        fail_path(x);
    if (x) {
        free(x->sent_at);
        free(x->rtt);
        free(x);
    }
    return ok;
}
