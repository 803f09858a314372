// SPDX-License-Identifier: BSD-2-Clause
// The channel bindings of one allocation, and ChannelBind.
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
#include "stun/channel_data.h"
#include "turn/internal.h"
#include "turn_fixture.h"

enum { CHANNELS = CHANNEL_MAX - CHANNEL_MIN + 1 };

#define LIFETIME_MS (600 * 1000)

static const struct siphash_key key = {7, 8};

static struct addr peer_number(uint32_t n)
{
    struct addr a = {.ip = {8, 8, 8, 8}, .port = (uint16_t)(1 + n % 60000), .family = ADDR_IPV4};
    a.ip[3] = (uint8_t)(n / 60000);
    return a;
}

static int bind_number(struct turn_allocation *a, uint32_t n, uint32_t max, int64_t now)
{
    struct addr p = peer_number(n);
    return channel_bind(a, &key, (uint16_t)(CHANNEL_MIN + n % CHANNELS), &p, max, now,
                        now + LIFETIME_MS);
}

static void grows_to_the_limit(void **state)
{
    struct turn_allocation a = {0};
    long before = alloc_live;

    for (uint32_t i = 0; i < CHANNELS; i++)
        assert_int_equal(bind_number(&a, i, UINT32_MAX, 1000), 0);
    // All numbers are taken: what comes now collides by its number.
    for (uint32_t i = CHANNELS; i < 100000; i++)
        assert_int_equal(bind_number(&a, i, UINT32_MAX, 1000), -EEXIST);
    for (uint32_t i = 0; i < CHANNELS; i++) {
        struct addr p = peer_number(i);
        const struct turn_channel *c = turn_channel_by_number(&a, (uint16_t)(0x4000 + i), 600999);
        assert_non_null(c);
        assert_true(addr_equal(&c->peer, &p));
        assert_ptr_equal(turn_channel_by_peer(&a, &p, 600999), c);
        assert_null(turn_channel_by_number(&a, (uint16_t)(0x4000 + i), 601000));
        assert_null(turn_channel_by_peer(&a, &p, 601000));
    }
    assert_int_equal(alloc_live, before + 1);
    // All expired: the table shrinks to what lives.
    assert_int_equal(bind_number(&a, 50000, 1, 601000), 0);
    assert_int_equal(bind_number(&a, 50001, 1, 601000), -ENOSPC);
    channels_free(&a);
    assert_int_equal(alloc_live, before);
}

static void limit(void **state)
{
    struct turn_allocation a = {0};
    for (uint32_t i = 0; i < 4096; i++)
        assert_int_equal(bind_number(&a, i, 10, 1000), i < 10 ? 0 : -ENOSPC);
    assert_int_equal(bind_number(&a, 9, 10, 1000), 0); // a refresh is not one more
    // A reload made the limit smaller: what is there stays, and lapses.
    assert_int_equal(bind_number(&a, 9, 2, 2000), 0);
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(bind_number(&a, i, 2, 601000), i < 1 ? 0 : -ENOSPC);
    channels_free(&a);
}

// A different pair each second for a day: never more than live at once.
static void expired_ones_are_reused(void **state)
{
    struct turn_allocation a = {0};
    for (uint32_t i = 0; i < 86400; i++)
        assert_int_equal(bind_number(&a, i, 601, (int64_t)i * 1000), 0);
    channels_free(&a);
}

static void one_number_one_peer(void **state)
{
    struct fixture *f = *state;
    struct addr peer = ip_port("8.8.8.8:53");

    assert_int_equal(do_bind(f, 0x4001, "8.8.8.8:53"), 0);
    assert_true(f->answer_signed);
    assert_int_equal(f->last.event, TURN_EVENT_CHANNEL);
    assert_int_equal(f->last.channel, 0x4001);
    assert_true(addr_equal(&f->last_peer, &peer));
    assert_int_equal(do_bind(f, 0x4002, "8.8.8.8:53"), 400);
    assert_true(f->answer_signed);
    assert_int_equal(do_bind(f, 0x4001, "8.8.8.8:54"), 400);
    assert_int_equal(do_bind(f, 0x4001, "8.8.4.4:53"), 400);
    assert_int_equal(do_bind(f, 0x4002, "8.8.8.8:54"), 0);
    assert_int_equal(do_bind(f, 0x4001, "8.8.8.8:53"), 0);
    assert_int_equal(fixture_run(f), 0); // a retransmission
    assert_int_equal(turn_channel_by_peer(the_allocation(f), &peer, f->now_ms)->number, 0x4001);
}

static void expires_to_the_second(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(do_refresh(f, 3600), 0);
    assert_int_equal(do_bind(f, 0x4001, "8.8.8.8:53"), 0);
    assert_int_equal(do_send(f, "8.8.8.8:99"), SENT); // it made a permission too
    f->now_ms += 299999;
    assert_int_equal(do_send(f, "8.8.8.8:99"), SENT);
    f->now_ms += 1;
    assert_int_equal(do_send(f, "8.8.8.8:99"), DROPPED);
    assert_int_equal(do_bind(f, 0x4001, "8.8.8.8:53"), 0); // refreshes both
    assert_int_equal(do_send(f, "8.8.8.8:99"), SENT);
    f->now_ms += 599999;
    assert_non_null(turn_channel_by_number(the_allocation(f), 0x4001, f->now_ms));
    assert_int_equal(do_bind(f, 0x4001, "8.8.4.4:53"), 400);
    f->now_ms += 1;
    assert_null(turn_channel_by_number(the_allocation(f), 0x4001, f->now_ms));
    // Now both are free for others.
    assert_int_equal(do_bind(f, 0x4001, "8.8.4.4:53"), 0);
    assert_int_equal(do_bind(f, 0x4002, "8.8.8.8:53"), 0);
}

static void refused(void **state)
{
    struct fixture *f = *state;
    struct addr peer = ip_port("8.8.8.8:53");

    assert_int_equal(do_bind(f, 0x3fff, "8.8.8.8:53"), 400);
    assert_int_equal(do_bind(f, CHANNEL_MAX + 1, "8.8.8.8:53"), 400);
    assert_int_equal(do_bind(f, 0xffff, "8.8.8.8:53"), 400);
    assert_int_equal(do_bind(f, 0x4000, "8.8.8.8:0"), 400);
    request_begin(f, STUN_REQUEST, STUN_CHANNEL_BIND);
    stun_put_u32(&f->w, STUN_ATTR_CHANNEL_NUMBER, 0x4000u << 16);
    assert_int_equal(fixture_send(f), 400);
    request_begin(f, STUN_REQUEST, STUN_CHANNEL_BIND);
    stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &peer);
    assert_int_equal(fixture_send(f), 400);
    assert_int_equal(do_bind(f, 0x4000, "[2606:4700::1]:53"), 443);
    assert_int_equal(do_bind(f, 0x4000, "127.0.0.1:53"), 403);
    assert_int_equal(f->last.event, TURN_EVENT_PEER_REFUSED);
    assert_int_equal(do_bind(f, 0x4000, "8.8.8.8:53"), 0);
    assert_int_equal(do_bind(f, CHANNEL_MAX, "8.8.8.8:54"), 0);
    f->user = "bob";
    assert_int_equal(do_bind(f, 0x4003, "8.8.8.8:55"), 441);
    f->tuple.client.port++;
    assert_int_equal(do_bind(f, 0x4003, "8.8.8.8:55"), 437);
}

// Too many of either: neither a channel nor a permission is left.
static void too_many(void **state)
{
    struct fixture *f = *state;
    struct addr second = ip_port("8.8.4.4:53");

    f->cfg.max_channels = 1;
    assert_int_equal(do_bind(f, 0x4000, "8.8.8.8:53"), 0);
    assert_int_equal(do_bind(f, 0x4001, "8.8.4.4:53"), 508);
    assert_false(turn_permission_covers(the_allocation(f), &second, f->now_ms));
    f->cfg.max_channels = 2;
    f->cfg.max_permissions = 1;
    assert_int_equal(do_bind(f, 0x4001, "8.8.4.4:53"), 508);
    assert_null(turn_channel_by_peer(the_allocation(f), &second, f->now_ms));
    assert_int_equal(do_bind(f, 0x4001, "8.8.8.8:54"), 0); // its permission is there
}

// What one idle allocation with one permission and one channel holds in this layer.
static void memory_of_an_idle_allocation(void **state)
{
    struct fixture *f = fixture_new();
    fixture_login(f);
    long bytes = alloc_bytes, blocks = alloc_live;
    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(do_bind(f, 0x4000, "8.8.8.8:53"), 0);
    bytes = alloc_bytes - bytes;
    blocks = alloc_live - blocks;
    // glibc keeps 8 bytes before each block.
    printf("# an idle allocation: %ld bytes in %ld blocks, %zu of them struct allocation_box\n",
           bytes + 8 * blocks, blocks, sizeof(struct allocation_box));
    assert_true(bytes + 8 * blocks <= 576);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_to_the_limit),
        cmocka_unit_test(limit),
        cmocka_unit_test(expired_ones_are_reused),
        cmocka_unit_test_setup_teardown(one_number_one_peer, fixture_setup_allocated,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(expires_to_the_second, fixture_setup_allocated,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(refused, fixture_setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(too_many, fixture_setup_allocated, fixture_teardown),
        cmocka_unit_test(memory_of_an_idle_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
