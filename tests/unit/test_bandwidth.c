// SPDX-License-Identifier: BSD-2-Clause
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "turn/bandwidth.h"
#include "turn_fixture.h"

// Bytes that get through when `size` is offered all the time from..to.
static uint64_t offered(struct bandwidth *b, uint64_t bps, size_t size, int64_t from, int64_t to)
{
    uint64_t passed = 0;
    for (int64_t ms = from; ms < to; ms++)
        while (bandwidth_take(b, bps, size, ms))
            passed += size;
    return passed;
}

static void long_run_is_the_limit(void **state)
{
    static const uint64_t rates[] = {8000, 64000, 1000000, 2097152, 20000000, 10000000000};
    static const size_t sizes[] = {1, 20, 160, 1200, 65507};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            if (rates[i] / sizes[j] > 100000000)
                continue; // takes long, shows nothing
            struct bandwidth b = {0};
            int64_t ms = rates[i] > 1000000000 ? 2000 : 100000;
            uint64_t got = offered(&b, rates[i], sizes[j], 5000, 5000 + ms);
            uint64_t burst = rates[i] / 32 > 65536 ? rates[i] / 32 : 65536;
            uint64_t most = rates[i] / 8 * (uint64_t)ms / 1000 + burst;
            assert_true(got <= most);
            // A whole datagram may be missing, and costs are rounded up to a nanosecond.
            assert_true(got + sizes[j] + most / 50 + rates[i] / 8000 >= most);
        }
    }
}

static void any_datagram_passes_when_idle(void **state)
{
    struct bandwidth b = {0};
    int64_t ms = 1;
    for (int round = 0; round < 5; round++, ms += 600 * 1000 * 1000) {
        assert_true(bandwidth_take(&b, 1000, 65507, ms));
        assert_false(bandwidth_take(&b, 1000, 65507, ms));
        assert_true(bandwidth_take(&b, 1000, 29, ms)); // the rest of the burst
        assert_false(bandwidth_take(&b, 1000, 1, ms));
        assert_true(bandwidth_take(&b, 1000, 0, ms));
    }
    memset(&b, 0, sizeof(b));
    assert_true(bandwidth_take(&b, 1, 65507, INT64_C(1) << 40));
    assert_false(bandwidth_take(&b, 1, 65507, INT64_C(1) << 40));
}

static void no_limit(void **state)
{
    struct bandwidth b = {0};
    for (int i = 0; i < 100; i++)
        assert_true(bandwidth_take(&b, 0, SIZE_MAX, 1));
    assert_int_equal(bandwidth_charge(&b, 0, SIZE_MAX, 1), 0);
    assert_int_equal(b.due_ns, 0);
    for (int i = 0; i < 100; i++) // faster than time is counted
        assert_true(bandwidth_take(&b, INT64_MAX, 65507, 1));
}

static void given_back(void **state)
{
    struct bandwidth b = {0};
    uint64_t passed = offered(&b, 64000, 1000, 1, 2);
    for (int i = 0; i < 100; i++) {
        bandwidth_give_back(&b, 64000, 1000);
        assert_true(bandwidth_take(&b, 64000, 1000, 1));
        assert_false(bandwidth_take(&b, 64000, 1000, 1));
    }
    assert_int_equal(passed, 65000);
}

// A limit that changes counts at once, and what a low one has let build up does not last.
static void another_limit(void **state)
{
    struct bandwidth b = {0};
    offered(&b, 100, 1000, 1, 2); // hours at this rate
    assert_false(bandwidth_take(&b, 8000000, 1000, 1));
    assert_true(bandwidth_take(&b, 8000000, 1000, 600));
    offered(&b, 8000000, 1000, 600, 601);
    assert_false(bandwidth_take(&b, 80000, 64000, 601));
    assert_int_equal(offered(&b, 80000, 1000, 10000, 20000) / 1000, 165);
}

// Streams wait as long as it takes.
static void charged(void **state)
{
    struct bandwidth b = {0};
    int64_t ms = 1000;
    uint64_t bytes = 0;
    while (ms < 101000) {
        int64_t wait = bandwidth_charge(&b, 1000000, 16384, ms);
        bytes += 16384;
        assert_true(wait >= 0 && wait <= 1000);
        if (wait == 0)
            continue;
        assert_true(bandwidth_charge(&b, 1000000, 1, ms + wait) <= 1);
        ms += wait;
    }
    assert_true(bytes > 12500000 - 20000 && bytes < 12500000 + 65536 + 2 * 16384);
    // A reader that heeds nothing owes no more than a burst.
    for (int i = 0; i < 10000; i++)
        assert_true(bandwidth_charge(&b, 1000000, 65536, ms) <= 2 * 525 + 1);
    assert_true(bandwidth_charge(&b, 1, SIZE_MAX, ms) > 0);
    assert_true(bandwidth_charge(&b, 1, SIZE_MAX, ms) > 0);
}

static void told_now_and_then(void **state)
{
    struct bandwidth b = {0};
    uint32_t count = 0;
    assert_true(bandwidth_drop(&b, 0, &count));
    assert_int_equal(count, 1);
    for (int i = 0; i < 10; i++)
        assert_false(bandwidth_drop(&b, 9999, &count));
    assert_true(bandwidth_drop(&b, 11001, &count));
    assert_int_equal(count, 11);
    assert_int_equal(b.dropped, 12);
}

struct hammer {
    struct bandwidth *b;
    atomic_uint *ticks; // the clock that they share: 80 to the ms
    uint64_t passed, told;
};

static void *hammer(void *arg)
{
    struct hammer *h = arg;
    for (unsigned tick = 0; tick < 160000; tick = atomic_fetch_add(h->ticks, 1)) {
        int64_t ms = 1000 + tick / 80;
        uint32_t count;
        if (!bandwidth_take(h->b, 8000000, 500, ms - tick % 4)) { // clocks of workers differ
            if (bandwidth_drop(h->b, ms, &count))
                h->told += count;
        } else if (tick % 64 == 7) {
            bandwidth_give_back(h->b, 8000000, 500);
        } else {
            h->passed += 500;
        }
    }
    return NULL;
}

// Four threads together get what one would.
static void threads(void **state)
{
    struct bandwidth b = {0};
    struct hammer h[4];
    pthread_t t[4];
    uint64_t passed = 0, told = 0;
    atomic_uint ticks = 0;
    for (int i = 0; i < 4; i++) {
        h[i] = (struct hammer){.b = &b, .ticks = &ticks};
        assert_int_equal(pthread_create(&t[i], NULL, hammer, &h[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        passed += h[i].passed;
        told += h[i].told;
    }
    assert_int_equal(told, 1);
    printf("# %llu bytes of 2250000 passed\n", (unsigned long long)passed);
    assert_true(passed <= 2250000);
    assert_true(passed >= 2200000);
}

static int allocate_as(struct fixture *f, const char *user)
{
    f->user = user;
    f->tuple.client.port++;
    return do_allocate(f);
}

// The user's own limit, the server's for all users, the one in total, and a reload.
static void limits_of_the_server(void **state)
{
    struct fixture *f = fixture_new();
    fixture_login(f);
    assert_int_equal(allocate_as(f, "alice"), 0);
    struct turn_allocation *a = the_allocation(f);
    assert_false(a->limited);
    f->max_bps = 80000;
    assert_int_equal(allocate_as(f, "alice"), 0);
    struct turn_allocation *b = the_allocation(f);
    assert_true(b->limited);
    f->tuple.client.port--;
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 0);
    assert_true(a->limited); // from its next request on
    assert_true(turn_bandwidth_take(f->server, a, 40000, f->now_ms));
    assert_false(turn_bandwidth_take(f->server, b, 40000, f->now_ms));
    assert_int_equal(b->limited_packets, 1);
    assert_int_equal(f->events[TURN_EVENT_LIMITED], 1);
    assert_int_equal(f->last.bps, 80000);
    assert_false(f->last.total);
    assert_int_equal(f->last.dropped, 1);
    assert_false(turn_bandwidth_take(f->server, b, 40000, f->now_ms));
    assert_int_equal(f->events[TURN_EVENT_LIMITED], 1);
    // Another user has none, until there is one in total.
    f->max_bps = 0;
    f->tuple.client.port += 10;
    assert_int_equal(allocate_as(f, "bob"), 0);
    struct turn_allocation *c = the_allocation(f);
    assert_false(c->limited);
    f->cfg.total_bps = 800000;
    turn_server_configure(f->server, &f->cfg);
    assert_true(c->limited);
    assert_true(turn_bandwidth_take(f->server, c, 60000, f->now_ms));
    f->now_ms += 4000; // 40000 bytes for alice
    assert_true(turn_bandwidth_take(f->server, c, 65536, f->now_ms));
    uint64_t before = a->user->bandwidth.due_ns;
    assert_false(turn_bandwidth_take(f->server, a, 1, f->now_ms));
    assert_true(f->last.total);
    assert_int_equal(f->last.bps, 800000);
    assert_true(before <= (uint64_t)f->now_ms * 1000000 ||
                a->user->bandwidth.due_ns == (long long)before); // given back
    // A limit for every user; the record's wins.
    f->cfg.total_bps = 0;
    f->cfg.user_bps = 800;
    turn_server_configure(f->server, &f->cfg);
    assert_true(c->limited);
    f->now_ms += 100000;
    assert_true(turn_bandwidth_take(f->server, c, 65000, f->now_ms));
    assert_true(turn_bandwidth_charge(f->server, c, 10000, f->now_ms) >= 90000);
    f->now_ms += 1000000;
    assert_int_equal(turn_bandwidth_charge(f->server, a, 65536, f->now_ms), 0);
    assert_int_equal(turn_bandwidth_charge(f->server, b, 10000, f->now_ms), 1000);
    f->cfg.user_bps = 0;
    turn_server_configure(f->server, &f->cfg);
    assert_false(c->limited);
    assert_true(a->limited && b->limited);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_run_is_the_limit),
        cmocka_unit_test(any_datagram_passes_when_idle),
        cmocka_unit_test(no_limit),
        cmocka_unit_test(given_back),
        cmocka_unit_test(another_limit),
        cmocka_unit_test(charged),
        cmocka_unit_test(told_now_and_then),
        cmocka_unit_test(threads),
        cmocka_unit_test(limits_of_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
