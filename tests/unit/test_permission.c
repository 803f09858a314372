// SPDX-License-Identifier: BSD-2-Clause
// The permissions of one allocation, and the requests that speak of them: CreatePermission and
// Send.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "alloc_hook.h"
#include "turn/internal.h"
#include "turn_fixture.h"

#define LIFETIME_MS (300 * 1000)

static struct addr peer_number(uint32_t n)
{
    struct addr a = {.ip = {8, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n},
                     .family = ADDR_IPV4};
    return a;
}

static void grows_to_the_limit(void **state)
{
    static const struct siphash_key key = {1, 2};
    struct turn_allocation a = {0};
    const uint32_t max = 1000;
    long before = alloc_live;

    for (uint32_t i = 0; i < 100000; i++) {
        struct addr p = peer_number(i);
        int rc = permission_prepare(&a, &key, &p, max, 1000);
        assert_int_equal(rc, i < max ? 0 : -ENOSPC);
        if (rc == 0)
            permission_commit(&a, &p, 1000 + LIFETIME_MS);
    }
    for (uint32_t i = 0; i < 2 * max; i++) {
        struct addr p = peer_number(i);
        assert_int_equal(turn_permission_covers(&a, &p, 300999), i < max);
        assert_false(turn_permission_covers(&a, &p, 301000));
    }
    // One table, however many are in it; expired ones make room.
    assert_int_equal(alloc_live, before + 1);
    struct addr late = peer_number(5000), old = peer_number(0);
    assert_int_equal(permission_prepare(&a, &key, &late, max, 300999), -ENOSPC);
    assert_int_equal(permission_prepare(&a, &key, &late, max, 301000), 0);
    permission_commit(&a, &late, 301000 + LIFETIME_MS);
    assert_true(turn_permission_covers(&a, &late, 600999));
    assert_false(turn_permission_covers(&a, &old, 301000));
    permissions_free(&a);
    assert_int_equal(alloc_live, before);
}

// Peers come and go for a day: the table stays small.
static void expired_ones_are_reused(void **state)
{
    static const struct siphash_key key = {3, 4};
    struct turn_allocation a = {0};
    for (uint32_t i = 0; i < 86400; i++) {
        int64_t now = (int64_t)i * 1000;
        struct addr p = peer_number(i);
        assert_int_equal(permission_prepare(&a, &key, &p, 301, now), 0);
        permission_commit(&a, &p, now + LIFETIME_MS);
    }
    permissions_free(&a);
}

static void abandoned_ones_do_not_count(void **state)
{
    static const struct siphash_key key = {5, 6};
    struct turn_allocation a = {0};
    struct addr p = peer_number(1), q = peer_number(2);

    assert_int_equal(permission_prepare(&a, &key, &p, 1, 1000), 0);
    permission_abandon(&a, &p);
    assert_false(turn_permission_covers(&a, &p, 1000));
    assert_int_equal(permission_prepare(&a, &key, &q, 1, 1000), 0);
    permission_commit(&a, &q, 1000 + LIFETIME_MS);
    permission_abandon(&a, &q); // committed: stays
    assert_true(turn_permission_covers(&a, &q, 1000));
    permissions_free(&a);
}

static void expires_to_the_second(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 0);
    assert_true(f->answer_signed);
    assert_int_equal(f->last.event, TURN_EVENT_PERMISSION);
    assert_int_equal(do_send(f, "8.8.8.8:53"), SENT);
    f->now_ms += 299999;
    assert_int_equal(do_send(f, "8.8.8.8:53"), SENT);
    f->now_ms += 1;
    assert_int_equal(do_send(f, "8.8.8.8:53"), DROPPED);
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 0);
    assert_int_equal(do_send(f, "8.8.8.8:53"), SENT);
    f->now_ms += 200000;
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 0); // refreshed
    f->now_ms += 99999;
    assert_int_equal(do_send(f, "8.8.8.8:53"), SENT);
}

static void send_fields(void **state)
{
    struct fixture *f = *state;
    struct addr peer = ip_port("8.8.8.8:53");

    assert_int_equal(do_permit(f, "8.8.8.8:0"), 0);
    assert_int_equal(do_send(f, "8.8.8.8:53"), SENT);
    assert_ptr_equal(f->out.allocation, the_allocation(f));
    assert_true(addr_equal(&f->out.peer, &peer));
    assert_int_equal(f->out.payload_len, 5);
    assert_memory_equal(f->out.payload, "hello", 5);
    assert_false(f->out.dont_fragment);
    f->sign = false;
    request_begin(f, STUN_INDICATION, STUN_SEND);
    stun_put(&f->w, STUN_ATTR_DONT_FRAGMENT, NULL, 0);
    stun_put(&f->w, STUN_ATTR_DATA, "", 0);
    stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &peer);
    assert_int_equal(fixture_send(f), SENT);
    assert_true(f->out.dont_fragment);
    assert_int_equal(f->out.payload_len, 0);
}

static void send_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct addr peer = ip_port("8.8.8.8:53");
    struct addr_range deny[] = {range("8.8.4.0/24")};

    assert_int_equal(do_send(f, "8.8.8.8:53"), DROPPED); // no permission
    assert_int_equal(do_permit(f, "8.8.8.8:0"), 0);
    assert_int_equal(do_permit(f, "8.8.4.4:0"), 0);
    assert_int_equal(do_send(f, "8.8.8.8:0"), DROPPED);
    assert_int_equal(do_send(f, "[2606:4700::1]:53"), DROPPED); // no such family
    f->policy.deny = deny;
    f->policy.deny_count = 1;
    assert_int_equal(do_send(f, "8.8.8.8:53"), SENT);
    assert_int_equal(do_send(f, "8.8.4.4:53"), DROPPED); // the policy has the last word
    assert_int_equal(f->last.event, TURN_EVENT_PEER_REFUSED);
    assert_int_equal(f->last.verdict, POLICY_DENY_CONFIG);
    f->sign = false;
    request_begin(f, STUN_INDICATION, STUN_SEND);
    stun_put(&f->w, STUN_ATTR_DATA, "x", 1);
    assert_int_equal(fixture_send(f), DROPPED);
    request_begin(f, STUN_INDICATION, STUN_SEND);
    stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &peer);
    assert_int_equal(fixture_send(f), DROPPED);
    request_begin(f, STUN_INDICATION, STUN_SEND);
    stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &peer);
    stun_put(&f->w, STUN_ATTR_DATA, "x", 1);
    stun_put_u32(&f->w, 0x7abc, 0); // unknown, comprehension required
    assert_int_equal(fixture_send(f), DROPPED);
    f->tuple.client.port++;
    assert_int_equal(do_send(f, "8.8.8.8:53"), DROPPED); // another 5-tuple
}

// Closed ports are judged where the port is known.
static void send_to_a_closed_port(void **state)
{
    struct fixture *f = *state;
    struct addr closed[] = {ip_port("8.8.8.8:6379")};
    f->policy.closed = closed;
    f->policy.closed_count = 1;
    assert_int_equal(do_permit(f, "8.8.8.8:6379"), 0);
    assert_int_equal(do_send(f, "8.8.8.8:6379"), DROPPED);
    assert_int_equal(do_send(f, "8.8.8.8:6380"), SENT);
    assert_int_equal(do_bind(f, 0x4000, "8.8.8.8:6379"), 403);
}

static int permit_two(struct fixture *f, const char *first, const char *second)
{
    struct addr a = ip_port(first), b = ip_port(second);
    request_begin(f, STUN_REQUEST, STUN_CREATE_PERMISSION);
    stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &a);
    stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &b);
    return fixture_send(f);
}

static bool covers(struct fixture *f, const char *peer)
{
    struct addr a = ip_port(peer);
    return turn_permission_covers(the_allocation(f), &a, f->now_ms);
}

static void all_peers_or_none(void **state)
{
    struct fixture *f = *state;
    f->cfg.max_permissions = 2;
    assert_int_equal(permit_two(f, "8.8.8.8:1", "10.0.0.1:1"), 403);
    assert_true(f->answer_signed);
    assert_int_equal(f->last.event, TURN_EVENT_PEER_REFUSED);
    assert_int_equal(f->last.verdict, POLICY_DENY_BUILTIN);
    assert_false(covers(f, "8.8.8.8:1"));
    assert_int_equal(permit_two(f, "8.8.8.8:1", "[2606:4700::1]:1"), 443);
    assert_false(covers(f, "8.8.8.8:1"));
    assert_int_equal(do_permit(f, "9.9.9.9:1"), 0);
    f->events[TURN_EVENT_PERMISSION] = 0;
    assert_int_equal(permit_two(f, "8.8.8.8:1", "8.8.4.4:1"), 508);
    assert_int_equal(f->events[TURN_EVENT_PERMISSION], 0);
    assert_false(covers(f, "8.8.8.8:1"));
    assert_true(covers(f, "9.9.9.9:1"));
    // The same peer twice is one permission; so is one that is there.
    assert_int_equal(permit_two(f, "8.8.8.8:1", "8.8.8.8:2"), 0);
    assert_int_equal(permit_two(f, "8.8.8.8:1", "9.9.9.9:2"), 0);
    assert_true(covers(f, "8.8.8.8:777"));
    assert_int_equal(do_permit(f, "7.7.7.7:1"), 508);
}

static void bad_requests(void **state)
{
    struct fixture *f = *state;
    const uint8_t odd_family[8] = {0, 3};
    request_begin(f, STUN_REQUEST, STUN_CREATE_PERMISSION);
    assert_int_equal(fixture_send(f), 400); // no peer
    assert_true(f->answer_signed);
    request_begin(f, STUN_REQUEST, STUN_CREATE_PERMISSION);
    stun_put(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, odd_family, sizeof(odd_family));
    assert_int_equal(fixture_send(f), 400);
    f->tuple.client.port++;
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 437);
    f->tuple.client.port--;
    f->user = "bob";
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 441);
}

// T1: whatever the notation, all three ways of naming a peer agree.
static void refused_by_every_method(void **state)
{
    struct fixture *f = *state;
    static const char *const peers[] = {"127.0.0.1:80", "169.254.169.254:80", "0.0.0.0:80",
                                        "224.0.0.1:80", "192.168.1.1:80"};
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        assert_int_equal(do_permit(f, peers[i]), 403);
        assert_int_equal(do_bind(f, 0x4000, peers[i]), 403);
        assert_int_equal(do_send(f, peers[i]), DROPPED);
    }
    assert_null(the_allocation(f)->permissions);
    assert_null(the_allocation(f)->channels);
}

// T12, by requests: the same answer for each that is too many, and nothing left behind.
static void a_hundred_thousand_requests(void **state)
{
    struct fixture *f = fixture_new();
    struct addr peer;

    fixture_login(f);
    long before = alloc_live;
    assert_int_equal(do_allocate(f), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        request_begin(f, STUN_REQUEST, STUN_CREATE_PERMISSION);
        for (uint32_t j = 0; j < 100; j++) {
            peer = peer_number(i * 100 + j);
            stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &peer);
        }
        assert_int_equal(fixture_send(f), i == 0 ? 0 : 508);
    }
    turn_allocation_close(f->server, the_allocation(f));
    assert_int_equal(alloc_live, before);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_to_the_limit),
        cmocka_unit_test(expired_ones_are_reused),
        cmocka_unit_test(abandoned_ones_do_not_count),
        cmocka_unit_test_setup_teardown(expires_to_the_second, fixture_setup_allocated,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(send_fields, fixture_setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(send_is_dropped, fixture_setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(send_to_a_closed_port, fixture_setup_allocated,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(all_peers_or_none, fixture_setup_allocated,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(bad_requests, fixture_setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(refused_by_every_method, fixture_setup_allocated,
                                        fixture_teardown),
        cmocka_unit_test(a_hundred_thousand_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
