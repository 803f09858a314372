// SPDX-License-Identifier: BSD-2-Clause
// The tables that hold the allocations: by 5-tuple and by the second they expire in.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "turn_fixture.h"

static void allocate_for(struct fixture *f, uint16_t port, uint32_t lifetime)
{
    f->tuple.client.port = port;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
    stun_put_u32(&f->w, STUN_ATTR_LIFETIME, lifetime);
    assert_int_equal(fixture_send(f), 0);
}

static struct turn_allocation *find(struct fixture *f, uint16_t port)
{
    f->tuple.client.port = port;
    return the_allocation(f);
}

static void many(void **state)
{
    struct fixture *f = *state;
    enum { N = 3000 };
    for (uint16_t i = 1; i <= N; i++)
        allocate_for(f, i, 600);
    assert_int_equal(turn_server_count(f->server), N);
    for (uint16_t i = 1; i <= N; i++)
        assert_int_equal(find(f, i)->tuple.client.port, i);
    assert_null(find(f, N + 1));
    for (uint16_t i = 1; i <= N; i += 2)
        turn_allocation_close(f->server, find(f, i));
    assert_int_equal(f->events[TURN_EVENT_CLOSED], N / 2);
    for (uint16_t i = 1; i <= N; i++)
        assert_int_equal(find(f, i) != NULL, i % 2 == 0);
    assert_int_equal(f->open, N / 2);
    assert_int_equal(quota_total(f->quota), N / 2);
}

static void sessions_differ(void **state)
{
    struct fixture *f = *state;
    allocate_for(f, 1, 600);
    allocate_for(f, 2, 600);
    assert_true(find(f, 1)->session != find(f, 2)->session);
}

// Each ends in its own second: not one sweep earlier, and in the first one after.
static void expires_to_the_second(void **state)
{
    struct fixture *f = *state;
    int64_t start = f->now_ms;

    for (uint16_t i = 0; i < 300; i++)
        allocate_for(f, (uint16_t)(i + 1), 600 + i * 10);
    for (uint32_t s = 0; s < 3600; s++) {
        f->now_ms = start + (int64_t)s * 1000 + 500;
        turn_server_sweep(f->server, f->now_ms);
        uint32_t expired = s < 600 ? 0 : (s - 600) / 10 + 1;
        if (expired > 300)
            expired = 300;
        assert_int_equal(f->events[TURN_EVENT_EXPIRED], expired);
        assert_int_equal(turn_server_count(f->server), 300 - expired);
    }
    f->now_ms = start;
    allocate_for(f, 1, 600);
    assert_non_null(turn_server_find(f->server, &f->tuple, start + 599999));
    assert_null(turn_server_find(f->server, &f->tuple, start + 600000));
}

static void sweep_within_the_second(void **state)
{
    struct fixture *f = *state;
    int64_t start = f->now_ms;
    allocate_for(f, 1, 600);
    turn_server_sweep(f->server, start + 599999);
    assert_int_equal(turn_server_count(f->server), 1);
    turn_server_sweep(f->server, start + 600000);
    assert_int_equal(turn_server_count(f->server), 0);
}

// Lifetimes longer than the wheel, and a server that was stopped for hours.
static void long_lifetimes_and_jumps(void **state)
{
    struct fixture *f = *state;
    int64_t start = f->now_ms;

    f->cfg.lifetime_max = 100000;
    allocate_for(f, 1, 50000);
    allocate_for(f, 2, 600);
    for (uint32_t s = 0; s < 50000; s += 100)
        turn_server_sweep(f->server, start + (int64_t)s * 1000);
    assert_int_equal(turn_server_count(f->server), 1);
    turn_server_sweep(f->server, start + 50000 * INT64_C(1000));
    assert_int_equal(turn_server_count(f->server), 0);
    for (uint16_t i = 1; i <= 50; i++)
        allocate_for(f, i, 600 + i * 77);
    turn_server_sweep(f->server, start + 1000000 * INT64_C(1000));
    assert_int_equal(turn_server_count(f->server), 0);
    f->now_ms = start + 2000000 * INT64_C(1000);
    allocate_for(f, 1, 600); // none was there for long: nothing to catch up with
    turn_server_sweep(f->server, f->now_ms + 600000);
    assert_int_equal(turn_server_count(f->server), 0);
}

struct visit {
    struct fixture *f;
    unsigned seen;
    unsigned stop_at;
    bool close;
};

static bool visit(struct turn_allocation *a, void *arg)
{
    struct visit *v = arg;
    v->seen++;
    if (v->close)
        turn_allocation_close(v->f->server, a);
    return v->seen != v->stop_at;
}

static void each(void **state)
{
    struct fixture *f = *state;
    struct visit all = {.f = f}, some = {.f = f, .stop_at = 7}, end = {.f = f, .close = true};
    for (uint16_t i = 1; i <= 200; i++)
        allocate_for(f, i, 600);
    turn_server_each(f->server, visit, &all);
    assert_int_equal(all.seen, 200);
    turn_server_each(f->server, visit, &some);
    assert_int_equal(some.seen, 7);
    turn_server_each(f->server, visit, &end);
    assert_int_equal(end.seen, 200);
    assert_int_equal(turn_server_count(f->server), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(sessions_differ, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(expires_to_the_second, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(sweep_within_the_second, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(long_lifetimes_and_jumps, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(each, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
