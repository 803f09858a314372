// SPDX-License-Identifier: BSD-2-Clause
// Threat T16: signed requests made of random attributes, and sound ones with random damage, against
// one server. Nothing is asked of the answers but what holds for all: a sanitizer would find the
// rest, and the tables must be empty in the end.
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

static uint32_t seed;

static uint32_t any(uint32_t bound)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)seed * bound) >> 32);
}

static const uint16_t methods[] = {
    STUN_BINDING,           STUN_ALLOCATE, STUN_REFRESH, STUN_SEND,    STUN_CREATE_PERMISSION,
    STUN_CHANNEL_BIND,      STUN_DATA,     0x0ff,        STUN_CONNECT, STUN_CONNECTION_BIND,
    STUN_CONNECTION_ATTEMPT};

static uint8_t ticket[TICKET_LEN]; // the newest, or nothing

static void put_random_value(struct fixture *f, uint16_t type)
{
    uint8_t value[64];
    const struct stun_attr_info *info = stun_attr_info(type);
    size_t len = any(sizeof(value));

    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (uint8_t)any(256);
    // Mostly of a length that gets past the parser.
    if (info && len < info->min_len && any(8))
        len = info->min_len;
    if (info && len > info->max_len && any(8))
        len = info->max_len;
    stun_put(&f->w, type, value, len);
}

// The last CONNECTION-ID that the client was told.
static uint32_t last_id(const struct fixture *f)
{
    uint32_t id = 0;
    if (f->sent_count)
        stun_get_u32(&f->sent_msg, STUN_ATTR_CONNECTION_ID, &id);
    return id;
}

static void put_random_attr(struct fixture *f)
{
    struct addr peer = {.ip = {any(20) ? 8 : 10, 8, (uint8_t)any(4), (uint8_t)any(4)},
                        .port = (uint16_t)any(4),
                        .family = any(9) ? ADDR_IPV4 : ADDR_IPV6};
    uint16_t type;

    switch (any(13)) {
    case 0:
        type = (uint16_t)any(0x30);
        if (type != STUN_ATTR_USERHASH) // the fixture's store knows users by name only
            put_random_value(f, type);
        break;
    case 1:
        put_random_value(f, (uint16_t)(0x8000 + any(0x40)));
        break;
    case 2:
        stun_put_u32(&f->w, STUN_ATTR_LIFETIME, any(4) ? any(4000) : 0);
        break;
    case 3:
        stun_put_u32(&f->w, STUN_ATTR_CHANNEL_NUMBER, (0x4000 + any(40)) << 16);
        break;
    case 4:
        stun_put_u32(&f->w, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, any(4) << 24);
        break;
    case 5:
        stun_put_u32(&f->w, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, any(4) << 24);
        break;
    case 6:
        stun_put(&f->w, STUN_ATTR_DATA, "data", any(5));
        break;
    case 7:
        stun_put_u32(&f->w, STUN_ATTR_CONNECTION_ID, any(UINT32_MAX));
        break;
    case 8:
        stun_put(&f->w, STUN_ATTR_MOBILITY_TICKET, ticket, any(3) ? TICKET_LEN : any(TICKET_LEN));
        break;
    case 9:
        stun_put(&f->w, STUN_ATTR_MOBILITY_TICKET, ticket, 0);
        break;
    default:
        stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &peer);
        break;
    }
}

static void send_random(struct fixture *f)
{
    request_begin(f, any(4) ? STUN_REQUEST : STUN_INDICATION,
                  methods[any(sizeof(methods) / sizeof(methods[0]))]);
    if (any(2))
        stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, (any(2) ? 17u : 6u) << 24);
    if (any(4) == 0)
        stun_put_u32(&f->w, STUN_ATTR_CONNECTION_ID, last_id(f));
    for (uint32_t n = any(5); n > 0; n--)
        put_random_attr(f);
    f->user = any(20) ? "alice" : "bob";
    f->fingerprint = any(2);
    request_end(f);
    if (any(3) == 0)
        for (uint32_t n = 1 + any(3); n > 0; n--)
            f->request[any((uint32_t)f->request_len)] = (uint8_t)any(256);
    if (any(20) == 0)
        f->request_len = any((uint32_t)f->request_len);
    struct stun_attr attr;
    if (fixture_run(f) == 0 && stun_find(&f->answer, STUN_ATTR_MOBILITY_TICKET, &attr))
        memcpy(ticket, attr.value, attr.len);
}

// Peers answer, connect, and end connections, at any time.
static bool move_connections(struct turn_allocation *a, void *arg)
{
    struct fixture *f = arg;
    struct turn_connection *c = a->connections ? a->connections->first : NULL;
    struct addr peer = {.ip = {8, 8, (uint8_t)any(4), (uint8_t)any(4)},
                        .port = (uint16_t)(1 + any(4)),
                        .family = ADDR_IPV4};

    for (uint32_t skip = any(4); c && c->sibling && skip > 0; skip--)
        c = c->sibling;
    if (c && c->state == TURN_CONNECTION_OPENING && any(4) == 0)
        turn_connection_failed(f->server, c);
    else if (c && c->state == TURN_CONNECTION_OPENING)
        turn_connection_opened(f->server, c, f->now_ms);
    else if (c && any(4) == 0)
        turn_connection_close(f->server, c);
    else if (a->connections && turn_connection_accepted(f->server, a, &peer, f, f->now_ms))
        f->peers++;
    return true;
}

static void random_requests(void **state)
{
    struct turn_elsewhere elsewhere;
    struct fixture *f = fixture_new();
    f->cfg.user_allocations = 5;
    f->cfg.relay_tcp = true;
    f->cfg.max_connections = f->cfg.max_channels = f->cfg.max_permissions = 8;
    fixture_login(f);
    seed = 1;
    for (int i = 0; i < 60000; i++) {
        f->tuple.client.port = (uint16_t)(1 + any(12));
        f->tuple.transport = f->tuple.client.port & 1 ? TURN_TCP : TURN_UDP;
        f->peer_result = any(10) ? 0 : -1;
        f->open_result = any(10) ? 0 : -1;
        f->open_result6 = any(3) ? 0 : -1;
        send_random(f);
        if (any(4) == 0)
            turn_server_each(f->server, move_connections, f);
        if (any(50) == 0 && the_allocation(f))
            turn_server_disconnect(f->server, the_allocation(f), &elsewhere);
        f->now_ms += any(500) ? any(1000) : 700000;
        if (any(10) == 0)
            turn_server_sweep(f->server, f->now_ms);
    }
    for (unsigned i = 0; i < EVENTS; i++)
        if (i <= TURN_EVENT_REFUSED && i != TURN_EVENT_LEFT && !f->events[i])
            fail_msg("no event %u: not everything was reached", i);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
