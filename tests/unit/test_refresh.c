// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "turn_fixture.h"

enum { WIRE_IPV4 = 1 << 24, WIRE_IPV6 = 2 << 24 };

static int refresh_family(struct fixture *f, int64_t lifetime, uint32_t family)
{
    request_begin(f, STUN_REQUEST, STUN_REFRESH);
    if (lifetime >= 0)
        stun_put_u32(&f->w, STUN_ATTR_LIFETIME, (uint32_t)lifetime);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, family);
    return fixture_send(f);
}

static void lifetime(void **state)
{
    struct fixture *f = *state;
    static const int64_t rows[][2] = {{-1, 600},    {1, 600},     {600, 600},
                                      {1000, 1000}, {3601, 3600}, {UINT32_MAX, 3600}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        f->now_ms += 1234;
        assert_int_equal(do_refresh(f, rows[i][0]), 0);
        assert_true(f->answer_signed);
        assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), rows[i][1]);
        assert_int_equal(the_allocation(f)->expires_ms, f->now_ms + rows[i][1] * 1000);
        assert_int_equal(f->last.event, TURN_EVENT_REFRESHED);
    }
    assert_int_equal(fixture_run(f), 0); // a retransmission
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 3600);
}

static void keeps_it_alive(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        f->now_ms += 599999;
        turn_server_sweep(f->server, f->now_ms);
        assert_non_null(the_allocation(f));
        assert_int_equal(do_refresh(f, -1), 0);
    }
    f->now_ms += 600000;
    assert_null(the_allocation(f));
    assert_int_equal(do_refresh(f, -1), 437);
    assert_int_equal(f->events[TURN_EVENT_EXPIRED], 1);
}

static void deletion(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(do_permit(f, "8.8.8.8:1"), 0);
    assert_int_equal(do_bind(f, 0x4000, "8.8.8.8:1"), 0);
    assert_int_equal(do_refresh(f, 0), 0);
    assert_true(f->answer_signed);
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 0);
    assert_int_equal(f->events[TURN_EVENT_DELETED], 1);
    assert_int_equal(f->open, 0);
    assert_int_equal(quota_total(f->quota), 0);
    // The answer was lost: the same one again, for as long as a client retransmits.
    f->now_ms += 39000;
    assert_int_equal(fixture_run(f), 0);
    assert_true(f->answer_signed);
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 0);
    assert_int_equal(f->events[TURN_EVENT_DELETED], 1);
    assert_int_equal(do_refresh(f, 0), 437); // another transaction
    f->transaction -= 2;
    assert_int_equal(do_refresh(f, 600), 437); // the same, but not the same request
    f->transaction -= 1;
    f->password = "wrong"; // not for everybody
    assert_int_equal(do_refresh(f, 0), 401);
    f->transaction -= 1;
    f->password = "secret";
    f->tuple.client.port++;
    assert_int_equal(do_refresh(f, 0), 437);
    f->tuple.client.port--;
    f->transaction -= 1;
    f->now_ms += 1000;
    assert_int_equal(do_refresh(f, 0), 437); // long ago
}

// A late copy of a deletion does not end what was made after it.
static void late_copy(void **state)
{
    struct fixture *f = *state;
    static uint8_t copy[1500];
    size_t len;

    assert_int_equal(do_refresh(f, 0), 0);
    len = f->request_len;
    memcpy(copy, f->request, len);
    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(fixture_input(f, copy, len), 0);
    assert_non_null(the_allocation(f));
}

static void memory_of_deletions_is_bounded(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(do_refresh(f, 0), 0);
    uint32_t first = f->transaction;
    for (int i = 0; i < 256; i++) {
        assert_int_equal(do_allocate(f), 0);
        assert_int_equal(do_refresh(f, 0), 0);
    }
    assert_int_equal(fixture_run(f), 0);
    f->transaction = first - 1;
    assert_int_equal(do_refresh(f, 0), 437); // forgotten
}

static void refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(refresh_family(f, -1, WIRE_IPV6), 443);
    assert_true(f->answer_signed);
    assert_int_equal(refresh_family(f, 0, WIRE_IPV6), 443);
    assert_int_equal(refresh_family(f, -1, 9u << 24), 443);
    assert_int_equal(refresh_family(f, -1, WIRE_IPV4), 0);
    f->user = "bob"; // T8
    assert_int_equal(do_refresh(f, 0), 441);
    assert_true(f->answer_signed);
    assert_int_equal(do_refresh(f, 600), 441);
    f->user = "alicea";
    assert_int_equal(do_refresh(f, 0), 441);
    f->user = "alice";
    f->tuple.transport = TURN_TCP;
    assert_int_equal(do_refresh(f, 0), 437);
    f->tuple.transport = TURN_UDP;
    f->tuple.local.port++;
    assert_int_equal(do_refresh(f, 0), 437);
    f->tuple.local.port--;
    assert_int_equal(refresh_family(f, 0, WIRE_IPV4), 0);
    assert_int_equal(f->events[TURN_EVENT_DELETED], 1);
}

static void one_family_of_two(void **state)
{
    struct fixture *f = *state;
    f->tuple.client.port++;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
    stun_put_u32(&f->w, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6);
    assert_int_equal(fixture_send(f), 0);
    assert_int_equal(do_bind(f, 0x4004, "8.8.8.8:1"), 0);
    assert_int_equal(do_bind(f, 0x4006, "[2606:4700::1]:1"), 0);
    assert_int_equal(refresh_family(f, 700, WIRE_IPV6), 0);
    assert_int_equal(refresh_family(f, 0, WIRE_IPV4), 0);
    assert_int_equal(f->events[TURN_EVENT_DELETED], 0);
    assert_int_equal(fixture_run(f), 0); // a retransmission
    // IPv4 is gone with all that belonged to it, IPv6 is not.
    struct turn_allocation *a = the_allocation(f);
    assert_null(turn_channel_by_number(a, 0x4004, f->now_ms));
    assert_non_null(turn_channel_by_number(a, 0x4006, f->now_ms));
    assert_int_equal(do_send(f, "8.8.8.8:1"), DROPPED);
    assert_int_equal(do_send(f, "[2606:4700::1]:1"), SENT);
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 443);
    assert_int_equal(do_bind(f, 0x4004, "8.8.8.8:1"), 443);
    assert_int_equal(refresh_family(f, 600, WIRE_IPV4), 443);
    assert_int_equal(refresh_family(f, 0, WIRE_IPV6), 0);
    assert_int_equal(f->events[TURN_EVENT_DELETED], 1);
    assert_int_equal(f->open, 1);
}

static void allocate_both(struct fixture *f)
{
    f->tuple.client.port++;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
    stun_put_u32(&f->w, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6);
    assert_int_equal(fixture_send(f), 0);
    assert_int_equal(do_bind(f, 0x4004, "8.8.8.8:1"), 0);
    assert_int_equal(do_bind(f, 0x4006, "[2606:4700::1]:1"), 0);
}

// Each relayed address has a time of its own (RFC 8656 6, 8.1). How it ends: by the sweep, by the
// next request, or, before either, on use.
static void families_expire_by_themselves(void **state)
{
    struct fixture *f = *state;
    static const bool v6[] = {false, true};
    assert_int_equal(do_refresh(f, 0), 0); // the one of setup
    for (unsigned i = 0; i < 6; i++) {
        const char *kept = v6[i & 1] ? "[2606:4700::1]:1" : "8.8.8.8:1";
        const char *lost = v6[i & 1] ? "8.8.8.8:1" : "[2606:4700::1]:1";
        allocate_both(f);
        unsigned open = f->open, expired = f->events[TURN_EVENT_EXPIRED];
        struct turn_allocation *a = the_allocation(f);
        assert_int_equal(refresh_family(f, 1000, v6[i & 1] ? WIRE_IPV6 : WIRE_IPV4), 0);
        assert_int_equal(a->expires_ms, f->now_ms + 1000 * 1000);
        f->now_ms += 600 * 1000 - 1;
        assert_int_equal(do_permit(f, kept), 0);
        assert_int_equal(do_permit(f, lost), 0);
        assert_int_equal(do_send(f, lost), SENT);
        f->now_ms += 1;
        assert_int_equal(do_send(f, lost), DROPPED);
        assert_int_equal(do_send(f, kept), SENT);
        if (i < 2)
            turn_server_sweep(f->server, f->now_ms);
        else if (i < 4)
            assert_int_equal(do_refresh(f, -1), 0); // of what is there, and nothing comes back
        else
            assert_int_equal(do_bind(f, 0x4010, lost), 443);
        assert_int_equal(f->open, open - 1);
        assert_int_equal(do_send(f, lost), DROPPED);
        assert_int_equal(do_bind(f, 0x4010, lost), 443);
        assert_int_equal(refresh_family(f, 0, v6[i & 1] ? WIRE_IPV4 : WIRE_IPV6), 443);
        assert_ptr_equal(the_allocation(f), a);
        f->now_ms = a->expires_ms - 1;
        turn_server_sweep(f->server, f->now_ms);
        assert_ptr_equal(the_allocation(f), a);
        f->now_ms += 1;
        turn_server_sweep(f->server, f->now_ms);
        assert_null(the_allocation(f));
        assert_int_equal(f->open, open - 2);
        assert_int_equal(f->events[TURN_EVENT_EXPIRED] - expired, 1);
        fixture_login(f);
    }
}

// Without a family all that are there are refreshed.
static void families_together(void **state)
{
    struct fixture *f = *state;
    allocate_both(f);
    struct turn_allocation *a = the_allocation(f);
    assert_int_equal(refresh_family(f, 1000, WIRE_IPV6), 0);
    assert_int_equal(do_refresh(f, 700), 0);
    assert_int_equal(a->relay[0].expires_ms, f->now_ms + 700 * 1000);
    assert_int_equal(a->relay[1].expires_ms, f->now_ms + 700 * 1000);
    assert_int_equal(refresh_family(f, 3000, WIRE_IPV4), 0);
    assert_int_equal(refresh_family(f, 0, WIRE_IPV4), 0);
    assert_int_equal(a->expires_ms, f->now_ms + 700 * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lifetime, fixture_setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(keeps_it_alive, fixture_setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(deletion, fixture_setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(late_copy, fixture_setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(memory_of_deletions_is_bounded, fixture_setup_allocated,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(refused, fixture_setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(one_family_of_two, fixture_setup_allocated,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(families_expire_by_themselves, fixture_setup_allocated,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(families_together, fixture_setup_allocated,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
