// SPDX-License-Identifier: BSD-2-Clause
// The hash table and the heap of timers against the simplest thing that does the same.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "signal/table.h"
#include "signal/timers.h"

#define N 3000

static uint64_t seed = 1;

static unsigned pick(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static bool found(const struct table *t, const struct table_node *node, uint64_t hash)
{
    struct table_node *n = table_first(t, hash);
    while (n && n != node)
        n = table_next(n);
    return n != NULL;
}

static void what_is_in_is_found(void **state)
{
    static struct table_node nodes[N];
    static bool in[N];
    struct table t = {0};
    size_t count = 0, most = 0;

    assert_null(table_first(&t, 1));
    for (int round = 0; round < 100000; round++) {
        // Grows to most of them, then shrinks to few.
        bool growing = round < 50000;
        unsigned i = pick(N);
        uint64_t hash = i % 1000; // several share one
        if (in[i] && (!growing || pick(8) == 0)) {
            table_remove(&t, &nodes[i]);
            in[i] = false;
            count--;
        } else if (!in[i] && (growing || pick(64) == 0)) {
            assert_int_equal(table_add(&t, &nodes[i], hash), 0);
            in[i] = true;
            count++;
        }
        assert_int_equal(found(&t, &nodes[i], hash), in[i]);
        assert_int_equal(t.count, count);
        if (t.size > most)
            most = t.size;
    }
    assert_int_equal(most, 4096);
    assert_true(t.size < most); // given back
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(found(&t, &nodes[i], i % 1000), in[i]);
    table_free(&t);
}

static void timers_come_in_order(void **state)
{
    static struct timer timers[N];
    static bool in[N];
    struct timers h = {0};

    assert_null(timers_first(&h));
    for (int round = 0; round < 20000; round++) {
        unsigned i = pick(N);
        int64_t due = pick(10) ? (int64_t)pick(100000) : TIMER_NEVER;
        if (!in[i])
            assert_int_equal(timers_add(&h, &timers[i], due), 0);
        else if (pick(4))
            timers_set(&h, &timers[i], due);
        else
            timers_remove(&h, &timers[i]);
        // What was removed is known by not being where it says.
        in[i] = timers[i].at < h.count && h.heap[timers[i].at] == &timers[i];
        int64_t least = TIMER_NEVER;
        for (unsigned k = 0; k < N && round % 50 == 0; k++)
            if (in[k] && timers[k].due_ms < least)
                least = timers[k].due_ms;
        if (round % 50 == 0 && timers_first(&h))
            assert_true(timers_first(&h)->due_ms == least);
    }
    int64_t last = -1;
    while (timers_first(&h)) {
        struct timer *t = timers_first(&h);
        assert_true(t->due_ms >= last);
        last = t->due_ms;
        timers_remove(&h, t);
    }
    assert_true(h.cap < 100);
    timers_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_is_found),
        cmocka_unit_test(timers_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
