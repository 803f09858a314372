// SPDX-License-Identifier: BSD-2-Clause
// A whole session with each allocation failing in turn: that request fails with 508, the next one
// works, nothing leaks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "alloc_hook.h"
#include "turn_fixture.h"

static int check(int rc, int want)
{
    if (rc != 0)
        assert_int_equal(rc, want);
    return rc;
}

// Every step is tried again when it failed: memory is there the second time.
static void session(struct fixture *f)
{
    char peer[32];
    if (check(do_allocate(f), 508))
        assert_int_equal(do_allocate(f), 0);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(peer, sizeof(peer), "8.8.%u.1:1000", i);
        if (check(do_permit(f, peer), 508))
            assert_int_equal(do_permit(f, peer), 0);
        snprintf(peer, sizeof(peer), "8.8.%u.1:1001", i + 20);
        if (check(do_bind(f, 0x4000 + i, peer), 508))
            assert_int_equal(do_bind(f, 0x4000 + i, peer), 0);
    }
    for (unsigned i = 0; i < 40; i++) {
        struct addr a;
        snprintf(peer, sizeof(peer), "8.8.%u.1:1000", i);
        assert_int_equal(do_send(f, peer), SENT);
        snprintf(peer, sizeof(peer), "8.8.%u.1:1001", i + 20);
        a = ip_port(peer);
        assert_int_equal(turn_channel_by_peer(the_allocation(f), &a, f->now_ms)->number,
                         0x4000 + i);
    }
    f->tuple.client.port++;
    if (check(do_allocate(f), 508))
        assert_int_equal(do_allocate(f), 0);
    assert_int_equal(do_refresh(f, 0), 0);
    f->tuple.client.port--;
    assert_int_equal(do_refresh(f, 0), 0);
    assert_int_equal(f->open, 0);
}

static void tcp_session(struct fixture *f)
{
    char peer[32];
    f->cfg.relay_tcp = true;
    if (check(do_allocate_tcp(f), 508))
        assert_int_equal(do_allocate_tcp(f), 0);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(peer, sizeof(peer), "8.8.8.8:%u", i + 1);
        if (do_connect(f, peer) != DROPPED)
            assert_int_equal(do_connect(f, peer), DROPPED);
        assert_int_equal(f->peers, i + 1);
    }
    assert_int_equal(do_refresh(f, 0), 0);
    assert_int_equal(f->peers, 0);
}

static void each_allocation_fails(void **state)
{
    int rounds = 0;

    // Once without a failure: OpenSSL's contexts stay for the thread's life.
    struct fixture *first = fixture_new();
    fixture_login(first);
    session(first);
    tcp_session(first);
    fixture_free(first);
    long before = alloc_live;
    for (;; rounds++) {
        struct fixture *f = fixture_new();
        fixture_login(f);
        alloc_failed = 0;
        alloc_fail_at = rounds;
        session(f);
        tcp_session(f);
        alloc_fail_at = -1;
        fixture_free(f);
        assert_int_equal(alloc_live, before);
        if (!alloc_failed)
            break;
    }
    printf("# %d allocations failed, one by one\n", rounds);
    assert_in_range(rounds, 90, 200);
}

static void start_fails(void **state)
{
    static const struct turn_ops ops = {0};
    static const uint8_t ticket_key[TURN_TICKET_KEY_LEN];
    long before = alloc_live;

    for (long i = 0; i < 2; i++) {
        alloc_fail_at = i;
        assert_null(turn_server_new(&ops, NULL, NULL, 0, ticket_key));
        alloc_fail_at = i;
        assert_null(quota_new());
    }
    alloc_fail_at = -1;
    turn_server_free(NULL);
    assert_int_equal(alloc_live, before);
}

// A table that cannot grow keeps working.
static void hash_tables_do_not_grow(void **state)
{
    struct fixture *f = fixture_new();
    fixture_login(f);
    unsigned refused = 0;
    for (int i = 0; i < 300; i++) {
        f->tuple.client.port++;
        // The second block of an allocation's own two, and the table's when it is time.
        alloc_fail_at = i % 5;
        refused += check(do_allocate(f), 508) != 0;
        alloc_fail_at = -1;
    }
    assert_int_equal(turn_server_count(f->server), 300 - refused);
    assert_in_range(refused, 60, 120);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails),
        cmocka_unit_test(start_fails),
        cmocka_unit_test(hash_tables_do_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
