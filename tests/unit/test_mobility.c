// SPDX-License-Identifier: BSD-2-Clause
// Mobility (RFC 8016): tickets, arrival at another 5-tuple, the move, and workers among each other.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "turn/ticket.h"
#include "turn_fixture.h"

struct kept {
    uint8_t bytes[TICKET_LEN];
    size_t len;
};

static struct kept answer_ticket(const struct fixture *f)
{
    struct kept t = {.len = TICKET_LEN};
    struct stun_attr attr;
    assert_true(stun_find(&f->answer, STUN_ATTR_MOBILITY_TICKET, &attr));
    assert_int_equal(attr.len, TICKET_LEN);
    memcpy(t.bytes, attr.value, attr.len);
    return t;
}

static int allocate(struct fixture *f, const void *ticket, size_t len)
{
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
    stun_put(&f->w, STUN_ATTR_MOBILITY_TICKET, ticket, len);
    return fixture_send(f);
}

static struct kept allocate_mobile(struct fixture *f)
{
    assert_int_equal(allocate(f, "", 0), 0);
    return answer_ticket(f);
}

static int move(struct fixture *f, const struct kept *t, int64_t lifetime)
{
    request_begin(f, STUN_REQUEST, STUN_REFRESH);
    if (lifetime >= 0)
        stun_put_u32(&f->w, STUN_ATTR_LIFETIME, (uint32_t)lifetime);
    stun_put(&f->w, STUN_ATTR_MOBILITY_TICKET, t->bytes, t->len);
    return fixture_send(f);
}

static struct turn_allocation *at(struct fixture *f, const struct turn_tuple *tuple)
{
    return turn_server_find(f->server, tuple, f->now_ms);
}

// --- tickets ---

static void sealing(void **state)
{
    static const uint8_t key[TICKET_KEY_LEN] = "one", other[TICKET_KEY_LEN] = "another";
    const struct ticket t = {UINT64_C(0x0123456789abcdef), 0xfedcba98, 200};
    uint8_t a[TICKET_LEN], b[TICKET_LEN], longer[TICKET_LEN + 1] = {0};
    struct ticket got;

    assert_int_equal(ticket_seal(key, &t, a), 0);
    assert_int_equal(ticket_seal(key, &t, b), 0);
    assert_memory_not_equal(a, b, 16);
    assert_memory_not_equal(a + 16, b + 16, 16);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(ticket_seal(key, &t, b), 0);
        assert_null(memchr(b, 0, sizeof(b))); // coturn's client takes it for a string
    }
    assert_true(ticket_open(key, a, sizeof(a), &got));
    assert_int_equal(got.session, t.session);
    assert_int_equal(got.number, t.number);
    assert_int_equal(got.worker, t.worker);
    assert_false(ticket_open(other, a, sizeof(a), &got));
    for (size_t len = 0; len < sizeof(a); len++)
        assert_false(ticket_open(key, a, len, &got));
    memcpy(longer, a, sizeof(a));
    assert_false(ticket_open(key, longer, sizeof(longer), &got));
    for (size_t bit = 0; bit < sizeof(a) * 8; bit++) {
        memcpy(b, a, sizeof(a));
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(ticket_open(key, b, sizeof(b), &got));
    }
}

static void who_gets_one(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(do_allocate(f), 0);
    assert_false(answer_has(f, STUN_ATTR_MOBILITY_TICKET));
    f->tuple.client.port++;
    assert_int_equal(allocate(f, "xxxx", 4), 400);
    f->cfg.mobility = false;
    assert_int_equal(allocate(f, "", 0), 405);
    assert_int_equal(allocate(f, "xxxx", 4), 400);
    assert_int_equal(f->open, 1);
    f->cfg.mobility = true;
    struct kept t = allocate_mobile(f);
    assert_int_equal(fixture_run(f), 0); // a retransmission
    struct kept again = answer_ticket(f);
    assert_memory_equal(t.bytes, again.bytes, TICKET_LEN);
    assert_int_equal(f->open, 2);
    // Nobody may move any more once it is forbidden.
    f->cfg.mobility = false;
    f->tuple.client.port++;
    assert_int_equal(move(f, &t, -1), 405);
    assert_null(the_allocation(f));
}

// --- moving ---

// A client that sends no data, but goes on with its requests at the new 5-tuple.
static void requests_move(void **state)
{
    struct fixture *f = *state;
    struct turn_allocation *a;
    struct kept t = allocate_mobile(f);
    const char *places[] = {"198.51.100.9:1", "198.51.100.9:2", "198.51.100.9:3"};

    a = the_allocation(f);
    for (unsigned i = 0; i < 3; i++) {
        struct turn_tuple old = f->tuple;
        f->tuple.client = ip_port(places[i]);
        assert_int_equal(move(f, &t, 900), 0);
        t = answer_ticket(f);
        assert_ptr_equal(at(f, &old), a);
        assert_int_equal(i == 0   ? do_permit(f, "8.8.8.8:1")
                         : i == 1 ? do_bind(f, 0x4004, "8.8.4.4:1")
                                  : do_refresh(f, -1),
                         0);
        assert_int_equal(f->events[TURN_EVENT_MOVED], i + 1);
        assert_null(at(f, &old));
        assert_ptr_equal(at(f, &f->tuple), a);
    }
    // A request that is refused moves nothing.
    struct turn_tuple old = f->tuple;
    f->tuple.client = ip_port("198.51.100.9:4");
    assert_int_equal(move(f, &t, 900), 0);
    f->user = "bob";
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 441);
    assert_ptr_equal(at(f, &old), a);
}

static void make_before_break(void **state)
{
    struct fixture *f = *state;
    struct kept t = allocate_mobile(f);
    struct turn_tuple old = f->tuple;
    struct turn_allocation *a = the_allocation(f);
    struct turn_relay relay = a->relay[0];
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 0);
    assert_int_equal(do_bind(f, 0x4004, "8.8.4.4:1"), 0);

    f->tuple.client = ip_port("198.51.100.9:1234");
    assert_int_equal(do_refresh(f, -1), 437);
    assert_int_equal(do_send(f, "8.8.8.8:1"), DROPPED);
    assert_int_equal(move(f, &t, 900), 0);
    assert_true(f->answer_signed);
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 900);
    struct kept t2 = answer_ticket(f);
    assert_memory_not_equal(t.bytes, t2.bytes, TICKET_LEN);

    // Both work, and the old one gets what peers send.
    struct turn_tuple new = f->tuple;
    assert_ptr_equal(at(f, &old), a);
    assert_null(at(f, &new));
    assert_true(turn_server_expects(f->server, &new));
    f->tuple = old;
    assert_int_equal(do_permit(f, "9.9.9.9:1"), 0);
    assert_int_equal(do_send(f, "9.9.9.9:1"), SENT);
    assert_int_equal(do_refresh(f, -1), 0);
    assert_int_equal(f->events[TURN_EVENT_MOVED], 0);

    // Data from the new one: the old one is gone.
    f->tuple = new;
    assert_int_equal(do_send(f, "8.8.8.8:1"), SENT);
    assert_int_equal(f->events[TURN_EVENT_MOVED], 1);
    assert_null(at(f, &old));
    assert_ptr_equal(at(f, &new), a);
    assert_false(turn_server_expects(f->server, &new));
    assert_memory_equal(&a->relay[0], &relay, sizeof(relay));
    assert_non_null(turn_channel_by_number(a, 0x4004, f->now_ms));
    assert_int_equal(do_send(f, "9.9.9.9:1"), SENT);
    f->tuple = old;
    assert_int_equal(do_refresh(f, -1), 437);
    assert_int_equal(do_send(f, "8.8.8.8:1"), DROPPED);
    // And back again, with the ticket that came last.
    assert_int_equal(move(f, &t, -1), 400);
    assert_int_equal(move(f, &t2, -1), 0);
    assert_int_equal(turn_server_count(f->server), 1);
}

static void by_channel_data(void **state)
{
    struct fixture *f = *state;
    struct turn_elsewhere elsewhere;
    struct kept t = allocate_mobile(f);
    struct turn_allocation *a = the_allocation(f);
    assert_null(turn_server_arrive(f->server, &f->tuple, f->now_ms, &elsewhere));
    f->tuple.client.port++;
    f->tuple.transport = TURN_TCP;
    assert_null(turn_server_arrive(f->server, &f->tuple, f->now_ms, &elsewhere));
    assert_int_equal(move(f, &t, -1), 0);
    assert_ptr_equal(turn_server_arrive(f->server, &f->tuple, f->now_ms, &elsewhere), a);
    assert_int_equal(elsewhere.session, 0);
    assert_int_equal(a->tuple.transport, TURN_TCP);
    assert_ptr_equal(the_allocation(f), a);
}

static void lost_answer(void **state)
{
    struct fixture *f = *state;
    struct kept t = allocate_mobile(f);
    f->tuple.client.port++;
    assert_int_equal(move(f, &t, 700), 0);
    struct kept t2 = answer_ticket(f), got;
    uint8_t first[TURN_REPLY_MAX];
    size_t len = f->out.reply_len;
    memcpy(first, f->out.reply, len);
    for (int i = 0; i < 2; i++) {
        f->now_ms += 15000; // RFC 8016 3.2.2: known for 30 s at least
        assert_int_equal(fixture_run(f), 0);
        assert_int_equal(f->out.reply_len, len);
        assert_memory_equal(f->out.reply, first, len);
    }
    assert_int_equal(do_send(f, "8.8.8.8:1"), DROPPED); // no permission, but data
    assert_int_equal(f->events[TURN_EVENT_MOVED], 1);
    request_begin(f, STUN_REQUEST, STUN_REFRESH); // of another transaction it is used up
    assert_int_equal(move(f, &t, 700), 400);
    assert_int_equal(move(f, &t2, 700), 400); // the same 5-tuple
    f->tuple.client.port++;
    assert_int_equal(move(f, &t2, 700), 0);
    got = answer_ticket(f);
    assert_memory_not_equal(got.bytes, t2.bytes, TICKET_LEN);
    f->now_ms += 60000;
    assert_int_equal(fixture_run(f), 400); // too late
}

static void refused(void **state)
{
    struct fixture *f = *state;
    struct kept t = allocate_mobile(f), bad;
    struct turn_tuple home = f->tuple;
    struct turn_allocation *a = the_allocation(f);
    int64_t expires = a->expires_ms;

    f->now_ms += 1000;
    assert_int_equal(move(f, &t, -1), 400); // no change of address
    f->tuple.client.port++;
    bad = t;
    bad.len = 0;
    assert_int_equal(move(f, &bad, -1), 400);
    for (bad.len = 4; bad.len < TICKET_LEN; bad.len += 4)
        assert_int_equal(move(f, &bad, -1), 400);
    for (unsigned i = 0; i < TICKET_LEN; i++) {
        bad = t;
        bad.bytes[i] ^= 0x40;
        assert_int_equal(move(f, &bad, -1), 400);
    }
    // Another user's.
    f->user = "bob";
    assert_int_equal(move(f, &t, -1), 441);
    assert_int_equal(move(f, &t, 0), 441);
    f->password = "wrong";
    assert_int_equal(move(f, &t, -1), 401);
    f->user = "alice";
    assert_int_equal(move(f, &t, -1), 401);
    f->password = "secret";
    f->sign = false;
    assert_int_equal(move(f, &t, -1), 401);
    f->sign = true;
    // A 5-tuple that has an allocation.
    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(move(f, &t, -1), 437);
    assert_int_equal(do_refresh(f, 0), 0);
    // A family that it does not have.
    request_begin(f, STUN_REQUEST, STUN_REFRESH);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, 2u << 24);
    stun_put(&f->w, STUN_ATTR_MOBILITY_TICKET, t.bytes, t.len);
    assert_int_equal(fixture_send(f), 443);
    // Nothing has changed by all that.
    assert_int_equal(a->expires_ms, expires);
    assert_ptr_equal(at(f, &home), a);
    assert_false(turn_server_expects(f->server, &f->tuple));
    assert_int_equal(move(f, &t, -1), 0);
    // And one's own for an allocation that is gone.
    t = answer_ticket(f);
    f->now_ms += 601 * 1000;
    f->tuple.client.port++;
    assert_int_equal(move(f, &t, -1), 437);
    assert_int_equal(f->events[TURN_EVENT_EXPIRED], 1);
    assert_int_equal(move(f, &t, -1), 437);
}

static void others_at_the_place(void **state)
{
    struct fixture *f = *state;
    struct kept t = allocate_mobile(f);
    f->tuple.client.port++;
    struct kept u = allocate_mobile(f);
    f->tuple.client.port++;
    assert_int_equal(move(f, &t, -1), 0);
    assert_int_equal(move(f, &u, -1), 437);
    assert_int_equal(do_allocate(f), 437);
    f->user = "bob";
    assert_int_equal(do_refresh(f, -1), 441);
    f->user = "alice";
    assert_int_equal(do_refresh(f, -1), 0);
    assert_int_equal(turn_server_count(f->server), 2);
}

// To a third place without having sent data from the second.
static void onwards(void **state)
{
    struct fixture *f = *state;
    struct kept t = allocate_mobile(f);
    struct turn_tuple home = f->tuple, second;
    f->tuple.client.port++;
    assert_int_equal(move(f, &t, -1), 0);
    second = f->tuple;
    t = answer_ticket(f);
    f->tuple.client.port++;
    assert_int_equal(move(f, &t, -1), 0);
    assert_false(turn_server_expects(f->server, &second));
    assert_true(turn_server_expects(f->server, &f->tuple));
    assert_non_null(at(f, &home));
    assert_int_equal(do_send(f, "8.8.8.8:1"), DROPPED);
    assert_null(at(f, &home));
    assert_non_null(the_allocation(f));
    f->tuple = second;
    assert_int_equal(do_refresh(f, -1), 437);
}

static void deletion(void **state)
{
    struct fixture *f = *state;
    struct kept t = allocate_mobile(f);
    f->tuple.client.port++;
    assert_int_equal(move(f, &t, 0), 0);
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 0);
    assert_false(answer_has(f, STUN_ATTR_MOBILITY_TICKET));
    assert_int_equal(f->open, 0);
    assert_int_equal(fixture_run(f), 0); // a retransmission
    assert_int_equal(move(f, &t, 0), 437);
    // From where the client has arrived, without a ticket.
    t = allocate_mobile(f);
    f->tuple.client.port++;
    assert_int_equal(move(f, &t, -1), 0);
    assert_int_equal(do_refresh(f, 0), 0);
    assert_int_equal(f->open, 0);
    assert_false(turn_server_expects(f->server, &f->tuple));
}

static void two_families(void **state)
{
    struct fixture *f = *state;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
    stun_put_u32(&f->w, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
    stun_put(&f->w, STUN_ATTR_MOBILITY_TICKET, "", 0);
    assert_int_equal(fixture_send(f), 0);
    struct kept t = answer_ticket(f);
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 0);
    assert_int_equal(do_permit(f, "[2606:4700::1]:1"), 0);
    f->tuple.client = ip_port("[2001:db8::99]:7");
    f->tuple.local = ip_port("[2001:db8::1]:3478");
    fixture_login(f);
    assert_int_equal(move(f, &t, -1), 0);
    assert_int_equal(do_send(f, "8.8.8.8:1"), SENT);
    assert_int_equal(do_send(f, "[2606:4700::1]:1"), SENT);
    assert_int_equal(f->open, 2);
}

// --- connections that end ---

static void connection_lost(void **state)
{
    struct fixture *f = *state;
    struct turn_elsewhere elsewhere;
    f->tuple.transport = TURN_TCP;
    struct kept t = allocate_mobile(f);
    struct turn_allocation *a = the_allocation(f);
    assert_false(turn_server_disconnect(f->server, a, &elsewhere));
    assert_null(a->link);
    assert_null(the_allocation(f));
    assert_int_equal(do_refresh(f, -1), 437);
    // A new connection may have the same 5-tuple. Nothing serves an old one, so it moves at once.
    assert_int_equal(move(f, &t, -1), 0);
    t = answer_ticket(f);
    assert_ptr_equal(the_allocation(f), a);
    assert_ptr_equal(a->link, f);
    assert_int_equal(f->events[TURN_EVENT_MOVED], 1);
    assert_int_equal(fixture_run(f), 0); // a retransmission
    // Lost while the client has arrived elsewhere already.
    struct turn_tuple first = f->tuple;
    f->tuple.client.port++;
    assert_int_equal(move(f, &t, -1), 0);
    assert_ptr_equal(at(f, &first), a);
    assert_false(turn_server_disconnect(f->server, a, &elsewhere));
    assert_ptr_equal(the_allocation(f), a);
    // The second connection, before anything was sent on it.
    t = answer_ticket(f);
    first = f->tuple;
    f->tuple.client.port++;
    assert_int_equal(move(f, &t, -1), 0);
    turn_server_leave(f->server, &f->tuple);
    assert_false(turn_server_expects(f->server, &f->tuple));
    assert_ptr_equal(at(f, &first), a);
    // Away until it expires.
    assert_false(turn_server_disconnect(f->server, a, &elsewhere));
    assert_int_equal(turn_server_count(f->server), 1);
    f->now_ms += 601 * 1000;
    turn_server_sweep(f->server, f->now_ms);
    assert_int_equal(turn_server_count(f->server), 0);
    assert_int_equal(f->events[TURN_EVENT_CLOSED], 0);
    // Without a ticket, or when none is taken any more, it ends.
    assert_int_equal(do_allocate(f), 0);
    turn_server_disconnect(f->server, the_allocation(f), &elsewhere);
    assert_int_equal(f->events[TURN_EVENT_CLOSED], 1);
    allocate_mobile(f);
    f->cfg.mobility = false;
    turn_server_disconnect(f->server, the_allocation(f), &elsewhere);
    assert_int_equal(f->events[TURN_EVENT_CLOSED], 2);
}

// --- among workers ---

static void to_another_worker(void **state)
{
    struct fixture *a = *state, *b = fixture_fellow(a, 9);
    struct turn_elsewhere elsewhere;
    struct kept t = allocate_mobile(a);
    struct turn_allocation *al = the_allocation(a);
    uint64_t session = al->session;
    assert_int_equal(do_bind(a, 0x4004, "8.8.8.8:1"), 0);

    b->tuple.client.port += 7;
    b->transaction = 500;
    assert_int_equal(move(b, &t, -1), FORWARDED);
    assert_int_equal(b->out.elsewhere.worker, a->worker);
    assert_int_equal(b->out.elsewhere.session, session);
    assert_int_equal(fixture_route(b, a), 0);
    struct kept t2 = answer_ticket(b), t3;
    assert_int_equal(b->out.visit_ms, al->expires_ms);
    assert_false(b->out.follow);
    assert_true(turn_server_expects(b->server, &b->tuple));
    assert_int_equal(fixture_run(b), FORWARDED); // a retransmission
    assert_int_equal(fixture_route(b, a), 0);
    t3 = answer_ticket(b);
    assert_memory_equal(t2.bytes, t3.bytes, TICKET_LEN);
    // The old one is served where it is, the new one's requests are too.
    assert_ptr_equal(the_allocation(a), al);
    assert_int_equal(do_permit(b, "9.9.9.9:1"), FORWARDED);
    assert_int_equal(fixture_route(b, a), 0);
    assert_int_equal(do_send(a, "9.9.9.9:1"), SENT);
    b->user = "bob";
    assert_int_equal(do_permit(b, "8.8.4.4:1"), FORWARDED);
    assert_int_equal(fixture_route(b, a), 441);
    b->user = "alice";
    // Others do not get it.
    assert_null(turn_server_detach(a->server, session + 1, b->worker, &b->tuple, a->now_ms));
    assert_null(turn_server_detach(a->server, session, 77, &b->tuple, a->now_ms));
    assert_null(turn_server_detach(a->server, session, b->worker, &a->tuple, a->now_ms));
    // Data.
    assert_int_equal(do_send(b, "9.9.9.9:1"), CLAIMED);
    assert_int_equal(b->out.elsewhere.session, session);
    struct turn_allocation *got =
        turn_server_detach(a->server, session, b->worker, &b->tuple, a->now_ms);
    assert_ptr_equal(got, al);
    assert_int_equal(turn_server_count(a->server), 0);
    assert_null(the_allocation(a));
    assert_int_equal(turn_server_locate(a->server, session), -1);
    assert_int_equal(a->open, 0);
    assert_int_equal(turn_server_adopt(b->server, got, b->now_ms), 0);
    assert_int_equal(turn_server_locate(b->server, session), b->worker);
    assert_ptr_equal(the_allocation(b), al);
    assert_ptr_equal(al->link, b);
    assert_int_equal(b->open, 1);
    assert_int_equal(do_send(b, "9.9.9.9:1"), SENT);
    assert_non_null(turn_channel_by_number(al, 0x4004, b->now_ms));
    assert_int_equal(do_bind(b, 0x4005, "8.8.4.4:1"), 0);
    // The ticket that came last leads to where it is now, and back home.
    a->transaction = 700;
    assert_int_equal(move(a, &t2, -1), FORWARDED);
    assert_int_equal(a->out.elsewhere.worker, b->worker);
    assert_int_equal(fixture_route(a, b), 0);
    assert_null(turn_server_arrive(a->server, &a->tuple, a->now_ms, &elsewhere));
    assert_int_equal(elsewhere.worker, b->worker);
    got = turn_server_detach(b->server, session, a->worker, NULL, a->now_ms);
    assert_non_null(got);
    assert_int_equal(turn_server_adopt(a->server, got, a->now_ms), 0);
    assert_ptr_equal(the_allocation(a), al);
    fixture_free(b);
}

static void another_user_elsewhere(void **state)
{
    struct fixture *a = *state, *b = fixture_fellow(a, 9);
    struct kept t = allocate_mobile(a);
    b->tuple.client.port += 7;
    b->user = "bob";
    assert_int_equal(move(b, &t, -1), FORWARDED);
    assert_int_equal(fixture_route(b, a), 441);
    assert_int_equal(b->out.visit_ms, 0);
    assert_false(turn_server_expects(b->server, &b->tuple));
    b->user = "alice";
    assert_int_equal(do_allocate(b), 0);
    assert_int_equal(move(b, &t, -1), 437);
    assert_int_equal(do_refresh(b, 0), 0);
    assert_int_equal(move(b, &t, 0), FORWARDED);
    assert_int_equal(fixture_route(b, a), 0);
    assert_int_equal(turn_server_count(a->server), 0);
    assert_int_equal(move(b, &t, -1), FORWARDED);
    assert_int_equal(fixture_route(b, a), 437);
    fixture_free(b);
}

// The ticket of a visit leads to the visit, and from there on to the allocation.
static void by_way_of_a_visit(void **state)
{
    struct fixture *a = *state, *b = fixture_fellow(a, 9), *c = fixture_fellow(a, 10);
    struct kept t = allocate_mobile(a);
    uint64_t session = the_allocation(a)->session;
    b->tuple.client.port += 7;
    assert_int_equal(move(b, &t, -1), FORWARDED);
    assert_int_equal(fixture_route(b, a), 0);
    t = answer_ticket(b);
    c->tuple.client.port += 8;
    c->transaction = 900;
    assert_int_equal(move(c, &t, -1), FORWARDED);
    assert_int_equal(c->out.elsewhere.worker, b->worker);
    assert_int_equal(turn_server_locate(b->server, session), a->worker);
    assert_int_equal(fixture_route(c, a), 0);
    assert_null(turn_server_detach(a->server, session, b->worker, NULL, a->now_ms));
    // Its visit there is over as soon as it is asked for.
    turn_server_forget(b->server, session, &c->tuple);
    assert_true(turn_server_expects(b->server, &b->tuple));
    turn_server_forget(b->server, session, &b->tuple);
    assert_false(turn_server_expects(b->server, &b->tuple));
    // The old connection ends: it follows its client at once.
    struct turn_elsewhere elsewhere;
    assert_true(turn_server_disconnect(a->server, the_allocation(a), &elsewhere));
    assert_int_equal(elsewhere.worker, c->worker);
    struct turn_allocation *al =
        turn_server_detach(a->server, session, elsewhere.worker, NULL, a->now_ms);
    assert_non_null(al);
    assert_int_equal(turn_server_adopt(c->server, al, c->now_ms), 0);
    assert_ptr_equal(the_allocation(c), al);
    fixture_free(c);
    fixture_free(b);
}

static void away_elsewhere(void **state)
{
    struct fixture *a = *state, *b = fixture_fellow(a, 9);
    struct turn_elsewhere elsewhere, where;
    struct turn_tuple tuple;
    struct kept t = allocate_mobile(a);
    struct turn_allocation *al = the_allocation(a);
    assert_false(turn_server_visited(a->server, al, &where, &tuple));
    assert_false(turn_server_disconnect(a->server, al, &elsewhere));
    b->tuple.client.port += 7;
    assert_int_equal(move(b, &t, -1), FORWARDED);
    assert_int_equal(fixture_route(b, a), 0);
    assert_true(b->out.follow);
    assert_true(turn_server_visited(a->server, al, &where, &tuple));
    assert_int_equal(where.worker, b->worker);
    // Meanwhile the second connection has ended, too.
    turn_server_leave(b->server, &b->tuple);
    t = answer_ticket(b);
    assert_ptr_equal(turn_server_detach(a->server, al->session, b->worker, NULL, a->now_ms), al);
    assert_int_equal(turn_server_adopt(b->server, al, b->now_ms), 0);
    assert_null(al->link);
    assert_null(the_allocation(b));
    assert_int_equal(move(b, &t, -1), 0);
    assert_ptr_equal(the_allocation(b), al);
    fixture_free(b);
}

static void adoption_fails(void **state)
{
    struct fixture *a = *state, *b = fixture_fellow(a, 9);
    for (int i = 0; i < 2; i++) {
        struct kept t = allocate_mobile(a);
        uint64_t session = the_allocation(a)->session;
        b->tuple.client.port += 7;
        assert_int_equal(move(b, &t, -1), FORWARDED);
        assert_int_equal(fixture_route(b, a), 0);
        struct turn_allocation *al =
            turn_server_detach(a->server, session, b->worker, NULL, a->now_ms);
        assert_non_null(al);
        b->adopt_result = i ? 0 : -12;
        b->now_ms += i ? 700 * 1000 : 0;
        assert_int_equal(turn_server_adopt(b->server, al, b->now_ms), b->adopt_result);
        assert_int_equal(turn_server_count(b->server), 0);
        assert_int_equal(b->open, 0);
        assert_int_equal(b->events[TURN_EVENT_CLOSED] + b->events[TURN_EVENT_EXPIRED], i + 1);
        assert_int_equal(quota_total(a->quota), 0);
    }
    fixture_free(b);
}

// However often a client moves, and wherever it shows up.
static void nothing_piles_up(void **state)
{
    struct fixture *a = *state, *b = fixture_fellow(a, 9);
    struct kept t = allocate_mobile(a);
    uint64_t session = the_allocation(a)->session;
    struct turn_elsewhere where = {session, a->worker};
    b->transaction = 10000;
    for (int i = 0; i < 1000; i++) {
        b->tuple.client.port++;
        assert_int_equal(move(b, &t, -1), FORWARDED);
        assert_int_equal(fixture_route(b, a), 0);
        t = answer_ticket(b);
    }
    // One visit, the last; it goes when it has expired.
    assert_true(turn_server_expects(b->server, &b->tuple));
    b->tuple.client.port--;
    assert_false(turn_server_expects(b->server, &b->tuple));
    b->tuple.client.port++;
    assert_int_equal(turn_server_locate(b->server, session), a->worker);
    assert_int_equal(turn_server_visit(b->server, &where, &a->tuple, NULL, 0), 0);
    assert_true(turn_server_expects(b->server, &b->tuple));
    b->now_ms += 601 * 1000;
    assert_null(turn_server_arrive(b->server, &b->tuple, b->now_ms, &where));
    assert_int_equal(where.session, 0);
    for (int i = 0; i < 32; i++, b->now_ms += 1000)
        turn_server_sweep(b->server, b->now_ms);
    assert_int_equal(turn_server_locate(b->server, session), -1);
    fixture_free(b);
}

// What comes behind a request that went to another worker is handled before its answer is there.
static int route_late(struct fixture *from, const struct fixture *then, struct fixture *to)
{
    memcpy(from->request, then->request, then->request_len);
    from->request_len = then->request_len;
    from->out = then->out;
    return fixture_route(from, to);
}

static void allocates_at_once(void **state)
{
    static struct fixture then;
    struct fixture *a = *state, *b = fixture_fellow(a, 9);
    struct kept t = allocate_mobile(a);
    struct turn_allocation *al = the_allocation(a);
    b->tuple.client.port += 7;
    b->transaction = 500;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(move(b, &t, 3600), FORWARDED);
        then = *b;
        assert_int_equal(do_allocate(b), 0);
        b->now_ms += i ? 601 * 1000 : 0; // it has expired, and nothing has looked at it since
        assert_int_equal(route_late(b, &then, a), 0);
        t = answer_ticket(b);
        assert_false(turn_server_expects(b->server, &b->tuple));
        b->now_ms = a->now_ms;
        assert_int_equal(do_refresh(b, 0), 0);
        b->tuple.client.port++;
    }
    b->tuple.client.port--;
    // Nobody is there any more: the connection of b may have ended.
    struct turn_allocation *got =
        turn_server_detach(a->server, al->session, b->worker, NULL, a->now_ms);
    assert_ptr_equal(got, al);
    assert_int_equal(turn_server_adopt(b->server, got, b->now_ms), 0);
    assert_null(al->link);
    assert_null(the_allocation(b));
    fixture_free(b);
}

static void two_tickets_at_once(void **state)
{
    static struct fixture then;
    struct fixture *a = *state, *b = fixture_fellow(a, 9);
    struct kept t = allocate_mobile(a), u;
    struct turn_allocation *first = the_allocation(a), *second;
    a->tuple.client.port++;
    u = allocate_mobile(a);
    second = the_allocation(a);
    b->tuple.client.port += 7;
    b->transaction = 500;
    assert_int_equal(move(b, &t, -1), FORWARDED);
    then = *b;
    assert_int_equal(move(b, &u, -1), FORWARDED);
    assert_int_equal(fixture_route(b, a), 0);
    assert_int_equal(route_late(b, &then, a), 0);
    turn_server_leave(b->server, &b->tuple);
    assert_false(turn_server_expects(b->server, &b->tuple));
    for (int i = 0; i < 2; i++) {
        struct turn_allocation *al = i ? first : second;
        struct turn_allocation *got =
            turn_server_detach(a->server, al->session, b->worker, NULL, a->now_ms);
        assert_ptr_equal(got, al);
        assert_int_equal(turn_server_adopt(b->server, got, b->now_ms), 0);
        assert_null(al->link);
    }
    fixture_free(b);
}

// The answer to a Refresh that prolongs the visit is late.
static void allocates_where_it_was_expected(void **state)
{
    struct fixture *a = *state, *b = fixture_fellow(a, 9);
    struct kept t = allocate_mobile(a);
    struct turn_elsewhere at = {the_allocation(a)->session, a->worker}, elsewhere;
    b->tuple.client.port += 7;
    assert_int_equal(move(b, &t, -1), FORWARDED);
    assert_int_equal(fixture_route(b, a), 0);
    b->now_ms += 600 * 1000;
    assert_int_equal(do_allocate(b), 0);
    struct turn_tuple tuple = b->tuple;
    assert_int_equal(turn_server_visit(b->server, &at, &tuple, NULL, b->now_ms + 1000), 0);
    assert_false(turn_server_disconnect(b->server, the_allocation(b), &elsewhere));
    assert_false(turn_server_expects(b->server, &tuple));
    fixture_free(b);
}

// Visits are no longer than they have to be, or who allocates, moves and deletes fills the memory.
static void visits_end(void **state)
{
    struct fixture *a = *state, *b = fixture_fellow(a, 9), *c = fixture_fellow(a, 10);
    for (int i = 0; i < 3; i++) {
        struct kept t = allocate_mobile(a);
        struct turn_allocation *al = the_allocation(a);
        b->tuple.client.port += 7;
        b->transaction = c->transaction = a->transaction;
        assert_int_equal(move(b, &t, -1), FORWARDED);
        assert_int_equal(fixture_route(b, a), 0);
        t = answer_ticket(b);
        b->tuple.client.port++;
        assert_int_equal(move(b, &t, -1), FORWARDED);
        assert_int_equal(fixture_route(b, a), 0);
        t = answer_ticket(b);
        assert_int_equal(a->events[TURN_EVENT_UNEXPECTED], i * 2); // the same worker
        c->tuple.client.port += 100;
        assert_int_equal(move(c, &t, -1), FORWARDED);
        assert_int_equal(fixture_route(c, a), 0);
        assert_int_equal(a->events[TURN_EVENT_UNEXPECTED], i * 2 + 1);
        assert_int_equal(a->unexpected_at, b->worker);
        if (i == 0)
            assert_int_equal(do_refresh(a, 0), 0);
        else if (i == 1)
            turn_allocation_close(a->server, al);
        else
            turn_server_sweep(a->server, a->now_ms += 601 * 1000);
        assert_int_equal(a->events[TURN_EVENT_UNEXPECTED], i * 2 + 2);
        assert_int_equal(a->unexpected_at, c->worker);
    }
    fixture_free(c);
    fixture_free(b);
}

static void a_family_expires_on_the_way(void **state)
{
    struct fixture *a = *state, *b = fixture_fellow(a, 9);
    request_begin(a, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&a->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
    stun_put_u32(&a->w, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
    stun_put(&a->w, STUN_ATTR_MOBILITY_TICKET, "", 0);
    assert_int_equal(fixture_send(a), 0);
    struct kept t = answer_ticket(a);
    struct turn_allocation *al = the_allocation(a);
    b->tuple.client.port += 7;
    assert_int_equal(move(b, &t, -1), FORWARDED);
    assert_int_equal(fixture_route(b, a), 0);
    request_begin(a, STUN_REQUEST, STUN_REFRESH);
    stun_put_u32(&a->w, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, 2u << 24);
    stun_put_u32(&a->w, STUN_ATTR_LIFETIME, 3600);
    assert_int_equal(fixture_send(a), 0);
    struct turn_allocation *got =
        turn_server_detach(a->server, al->session, b->worker, NULL, a->now_ms);
    assert_ptr_equal(got, al);
    b->now_ms += 601 * 1000;
    assert_int_equal(turn_server_adopt(b->server, got, b->now_ms), 0);
    assert_int_equal(b->open, 1);
    assert_ptr_equal(the_allocation(b), al);
    fixture_free(b);
}

static void many(void **state)
{
    struct fixture *f = *state;
    enum { N = 500 };
    static struct kept t[N];
    for (int i = 0; i < N; i++) {
        f->tuple.client.port = (uint16_t)(1000 + i);
        t[i] = allocate_mobile(f);
    }
    for (int i = 0; i < N; i++) {
        f->tuple.client.port = (uint16_t)(3000 + i);
        assert_int_equal(move(f, &t[i], -1), 0);
    }
    for (int i = 0; i < N; i++) {
        f->tuple.client.port = (uint16_t)(3000 + i);
        assert_int_equal(do_send(f, "8.8.8.8:1"), DROPPED);
        assert_non_null(the_allocation(f));
        assert_int_equal(do_refresh(f, i % 2 ? 0 : 600), 0);
    }
    assert_int_equal(turn_server_count(f->server), N / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealing),
        cmocka_unit_test_setup_teardown(who_gets_one, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(make_before_break, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(requests_move, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(by_channel_data, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lost_answer, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(others_at_the_place, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(onwards, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(deletion, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(two_families, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(connection_lost, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(to_another_worker, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(another_user_elsewhere, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(by_way_of_a_visit, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(away_elsewhere, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(adoption_fails, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_piles_up, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(allocates_at_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(two_tickets_at_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(allocates_where_it_was_expected, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(visits_end, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_family_expires_on_the_way, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(many, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
