// SPDX-License-Identifier: BSD-2-Clause
// TCP allocations (RFC 6062): every answer of section 5 in its order, and the 30 s rules.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "stun/integrity.h"
#include "turn_fixture.h"

#define PEER "8.8.8.8:80"

enum { WIRE_IPV6 = 2 << 24 };

static int setup(void **state)
{
    struct fixture *f = fixture_new();
    f->cfg.relay_tcp = true;
    fixture_login(f);
    f->tuple.transport = TURN_TCP;
    *state = f;
    return 0;
}

static int setup_allocated(void **state)
{
    setup(state);
    assert_int_equal(do_allocate_tcp(*state), 0);
    return 0;
}

// The data connection comes from another port of the client.
static void from_port(struct fixture *f, uint16_t port)
{
    f->tuple.client.port = port;
}

static struct turn_connection *only_connection(struct fixture *f)
{
    struct turn_allocation *a = the_allocation(f);
    assert_non_null(a);
    assert_int_equal(a->connections->count, 1);
    return a->connections->first;
}

// Connects to the peer and gives the id that the client is told.
static uint32_t connect_to(struct fixture *f, const char *peer)
{
    assert_int_equal(do_connect(f, peer), DROPPED);
    struct turn_connection *c = the_allocation(f)->connections->first;
    turn_connection_opened(f->server, c, f->now_ms);
    assert_int_equal(f->sent_msg.class_, STUN_SUCCESS);
    return sent_connection_id(f);
}

// --- section 5.1 ---

static int allocate_with(struct fixture *f, uint16_t type, const void *value, size_t len)
{
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 6u << 24);
    stun_put(&f->w, type, value, len);
    return fixture_send(f);
}

static void allocate(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(do_allocate_tcp(f), 0);
    assert_true(f->last_open.tcp);
    assert_non_null(the_allocation(f)->connections);
    assert_int_equal(do_refresh(f, 1000), 0);
    assert_int_equal(do_refresh(f, 0), 0);
    // IPv6 (RFC 6156), over TLS
    f->tuple.transport = TURN_TLS;
    const uint8_t family[4] = {2};
    assert_int_equal(allocate_with(f, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, family, sizeof(family)),
                     0);
    assert_int_equal(answer_addr(f, STUN_ATTR_XOR_RELAYED_ADDRESS).family, ADDR_IPV6);
}

static void allocate_refused(void **state)
{
    struct fixture *f = *state;
    const uint8_t token[8] = {1};

    assert_int_equal(allocate_with(f, STUN_ATTR_DONT_FRAGMENT, NULL, 0), 400);
    assert_int_equal(allocate_with(f, STUN_ATTR_EVEN_PORT, token, 1), 400);
    assert_int_equal(allocate_with(f, STUN_ATTR_RESERVATION_TOKEN, token, 8), 400);
    f->tuple.transport = TURN_UDP;
    assert_int_equal(allocate_with(f, STUN_ATTR_LIFETIME, token, 4), 400);
    f->tuple.transport = TURN_DTLS;
    assert_int_equal(allocate_with(f, STUN_ATTR_LIFETIME, token, 4), 400);
    f->cfg.relay_tcp = false;
    f->tuple.transport = TURN_TCP;
    assert_int_equal(do_allocate_tcp(f), 442);
    assert_int_equal(f->opened, 0);
}

// Datagrams have no place in a TCP allocation, nor connections in another.
static void wrong_kind(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(do_allocate_tcp(f), 0);
    assert_int_equal(do_permit(f, PEER), 0);
    assert_int_equal(do_bind(f, 0x4000, PEER), 400);
    assert_int_equal(do_send(f, PEER), DROPPED);
    assert_int_equal(do_refresh(f, 0), 0);
    assert_int_equal(do_allocate(f), 0);
    assert_false(f->last_open.tcp);
    assert_int_equal(do_connect(f, PEER), 437);
}

// --- section 5.2 ---

static void connect_succeeds(void **state)
{
    struct fixture *f = *state;
    struct stun_msg *m = &f->sent_msg;
    struct auth_key key;

    f->fingerprint = true;
    assert_int_equal(do_connect(f, PEER), DROPPED); // no permission is needed
    assert_int_equal(f->sent_count, 0);
    struct turn_connection *c = only_connection(f);
    assert_int_equal(c->state, TURN_CONNECTION_OPENING);
    f->now_ms += 29999;
    turn_server_sweep(f->server, f->now_ms);
    turn_connection_opened(f->server, c, f->now_ms);
    assert_int_equal(f->sent_count, 1);
    assert_int_equal(m->class_, STUN_SUCCESS);
    assert_int_equal(m->method, STUN_CONNECT);
    assert_memory_equal(m->txid, f->request + 8, STUN_TXID_LEN);
    assert_int_not_equal(m->fingerprint, 0);
    stun_key_md5(key.md5, "alice", 5, REALM, "secret", 6);
    assert_true(stun_check_integrity(m, key.md5, sizeof(key.md5)));
    assert_int_equal(sent_connection_id(f), c->id);
    assert_int_equal(f->last.event, TURN_EVENT_CONNECTED);
    // It waits for ConnectionBind as long again.
    f->now_ms += 29999;
    turn_server_sweep(f->server, f->now_ms);
    assert_int_equal(f->peers, 1);
    f->now_ms++;
    turn_server_sweep(f->server, f->now_ms);
    assert_int_equal(f->peers, 0);
    assert_int_equal(f->sent_count, 1);
    assert_null(the_allocation(f)->connections->first);
}

static void connect_fails(void **state)
{
    struct fixture *f = *state;

    f->sha256 = true;
    assert_int_equal(do_connect(f, PEER), DROPPED);
    turn_connection_failed(f->server, only_connection(f));
    assert_int_equal(sent_code(f), 447);
    assert_int_not_equal(f->sent_msg.integrity256, 0);
    assert_int_equal(f->peers, 0);
    f->peer_result = -ENETUNREACH;
    assert_int_equal(do_connect(f, PEER), 447);
    assert_int_equal(f->sent_count, 1);
    f->peer_result = 0;
    assert_int_equal(do_connect(f, PEER), DROPPED);
    f->now_ms += 29999;
    turn_server_sweep(f->server, f->now_ms);
    assert_int_equal(f->peers, 1);
    f->now_ms++;
    turn_server_sweep(f->server, f->now_ms);
    assert_int_equal(f->sent_count, 2);
    assert_int_equal(sent_code(f), 447);
    assert_memory_equal(f->sent_msg.txid, f->request + 8, STUN_TXID_LEN);
    assert_int_equal(f->peers, 0);
}

static int connect_without_peer(struct fixture *f)
{
    request_begin(f, STUN_REQUEST, STUN_CONNECT);
    return fixture_send(f);
}

static void connect_refused(void **state)
{
    struct fixture *f = *state;
    char own[ADDR_STRLEN];

    uint16_t port = f->tuple.client.port;
    from_port(f, port + 1);
    assert_int_equal(connect_without_peer(f), 437);
    from_port(f, port);
    f->user = "bob";
    assert_int_equal(connect_without_peer(f), 441);
    f->user = "alice";
    assert_int_equal(do_connect(f, PEER), DROPPED);
    assert_int_equal(do_connect(f, PEER), 446); // is being made
    uint32_t id = 0;
    struct turn_connection *c = only_connection(f);
    turn_connection_opened(f->server, c, f->now_ms);
    id = sent_connection_id(f);
    assert_int_equal(do_connect(f, PEER), 446); // is pending
    from_port(f, port + 1);
    assert_int_equal(do_connection_bind(f, id), 0);
    from_port(f, port);
    assert_int_equal(do_connect(f, PEER), 446); // is active
    turn_connection_close(f->server, c);
    assert_int_equal(do_connect(f, PEER), DROPPED);
    assert_int_equal(do_connect(f, "8.8.8.8:81"), DROPPED); // another port is another peer
    assert_int_equal(connect_without_peer(f), 400);
    assert_int_equal(do_connect(f, "8.8.8.8:0"), 400);
    assert_int_equal(do_connect(f, "[2001:4860::8]:80"), 443);
    assert_int_equal(do_connect(f, "127.0.0.1:80"), 403);
    assert_int_equal(f->last.event, TURN_EVENT_PEER_REFUSED);
    assert_int_equal(do_connect(f, "10.0.0.1:80"), 403);
    addr_format(&the_allocation(f)->relay[0].relayed, own);
    assert_int_equal(do_connect(f, own), 403);
    f->cfg.max_connections = 2;
    assert_int_equal(do_connect(f, "8.8.8.8:82"), 508);
    assert_int_equal(f->peers, 2);
}

// --- section 5.3 ---

static struct turn_connection *accept_from(struct fixture *f, const char *peer)
{
    struct addr a = ip_port(peer);
    struct turn_connection *c =
        turn_connection_accepted(f->server, the_allocation(f), &a, f, f->now_ms);
    f->peers += c != NULL;
    return c;
}

static void attempt(void **state)
{
    struct fixture *f = *state;
    struct addr got, peer = ip_port(PEER);

    assert_null(accept_from(f, PEER));
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 0);
    assert_null(accept_from(f, "8.8.4.4:80"));
    assert_int_equal(f->sent_count, 0);
    struct turn_connection *c = accept_from(f, PEER);
    assert_non_null(c);
    assert_int_equal(c->state, TURN_CONNECTION_PENDING);
    assert_int_equal(f->sent_count, 1);
    assert_int_equal(f->sent_msg.class_, STUN_INDICATION);
    assert_int_equal(f->sent_msg.method, STUN_CONNECTION_ATTEMPT);
    assert_int_equal(stun_get_addr(&f->sent_msg, STUN_ATTR_XOR_PEER_ADDRESS, &got), 0);
    assert_true(addr_equal(&got, &peer));
    assert_int_equal(sent_connection_id(f), c->id);
    assert_int_equal(f->last.event, TURN_EVENT_ATTEMPT);
    assert_int_equal(do_connect(f, PEER), 446);
    // The permission is asked when the connection comes, not later.
    f->now_ms += 29999;
    turn_server_sweep(f->server, f->now_ms);
    assert_int_equal(f->peers, 1);
    f->now_ms++;
    turn_server_sweep(f->server, f->now_ms);
    assert_int_equal(f->peers, 0);
    // As many as the limit says, and none by an allocation that is dead but not swept yet.
    f->cfg.max_connections = 1;
    assert_non_null(accept_from(f, PEER));
    assert_null(accept_from(f, "8.8.8.8:81"));
    turn_connection_close(f->server, only_connection(f));
    struct addr_range denied = range("8.8.8.0/24");
    f->policy.deny = &denied;
    f->policy.deny_count = 1;
    assert_null(accept_from(f, PEER)); // a permission from before a reload
    f->policy.deny_count = 0;
    struct turn_allocation *a = the_allocation(f);
    f->now_ms = a->expires_ms;
    assert_null(turn_connection_accepted(f->server, a, &peer, f, f->now_ms));
}

// --- section 5.4 ---

static void bind_succeeds(void **state)
{
    struct fixture *f = *state;
    struct turn_allocation *a = the_allocation(f);
    uint32_t id = connect_to(f, PEER);

    from_port(f, 1234);
    f->now_ms += 29999;
    assert_int_equal(do_connection_bind(f, id), 0);
    assert_true(f->answer_signed);
    assert_ptr_equal(f->out.connection, a->connections->first);
    assert_int_equal(a->connections->first->state, TURN_CONNECTION_BOUND);
    assert_int_equal(f->last.event, TURN_EVENT_BOUND);
    // Bound ones are not waited for, but go when the allocation goes.
    f->now_ms += 300000;
    turn_server_sweep(f->server, f->now_ms);
    assert_int_equal(f->peers, 1);
    f->now_ms = a->expires_ms;
    turn_server_sweep(f->server, f->now_ms);
    assert_int_equal(f->peers, 0);
    assert_int_equal(f->open, 0);
}

static void bind_refused(void **state)
{
    struct fixture *f = *state;
    uint32_t id = connect_to(f, PEER);

    assert_int_equal(do_connection_bind(f, id), 400); // by the control connection
    from_port(f, 1234);
    f->tuple.transport = TURN_UDP;
    assert_int_equal(do_connection_bind(f, id), 400);
    f->tuple.transport = TURN_TLS;
    request_begin(f, STUN_REQUEST, STUN_CONNECTION_BIND);
    assert_int_equal(fixture_send(f), 400);
    f->user = "bob";
    assert_int_equal(do_connection_bind(f, id), 400);
    f->user = "alice";
    f->password = "wrong";
    assert_int_equal(do_connection_bind(f, id), 401);
    f->password = "secret";
    assert_int_equal(do_connection_bind(f, id), 0);
    assert_int_equal(do_connection_bind(f, id), 400); // used
    from_port(f, 40000);
    f->tuple.transport = TURN_TCP;
    assert_int_equal(do_connect(f, "8.8.8.8:81"), DROPPED);
    id = the_allocation(f)->connections->first->id;
    from_port(f, 1234);
    assert_int_equal(do_connection_bind(f, id), 400); // the peer has not answered yet
    from_port(f, 40000);
    id = connect_to(f, "8.8.8.8:82");
    f->now_ms += 30000; // over, though not swept yet
    from_port(f, 1234);
    assert_int_equal(do_connection_bind(f, id), 400);
    assert_null(f->out.connection);
}

// The worker that gave the id out is told, for an id that nobody gave out too.
static void other_workers(void **state)
{
    struct fixture *f = *state, *g = fixture_new_worker(200);
    uint32_t id = connect_to(f, PEER);
    unsigned here = 0;

    fixture_login(g);
    g->tuple = f->tuple;
    g->tuple.client.port++;
    assert_int_equal(do_connection_bind(g, id), MOVED);
    assert_int_equal(g->out.worker, 3);
    assert_memory_equal(g->out.grant.user, "alice", 5);
    struct turn_input in = {.tuple = &g->tuple,
                            .data = g->request,
                            .len = g->request_len,
                            .now_ms = f->now_ms,
                            .unix_time = f->unix_time};
    // Not for another user, and nothing is asked of that worker's store.
    struct auth_grant grant = g->out.grant;
    unsigned lookups = f->lookups;
    memcpy(grant.user, "alibi", 5);
    assert_int_equal(turn_server_granted(f->server, &in, &grant, &f->out), TURN_REPLY);
    assert_int_equal(turn_server_granted(f->server, &in, &g->out.grant, &f->out), TURN_BIND);
    assert_int_equal(f->lookups, lookups);
    assert_ptr_equal(f->out.connection->allocation, the_allocation(f));
    // One that has been moved stays where it is.
    assert_int_equal(turn_server_granted(g->server, &in, &g->out.grant, &g->out), TURN_REPLY);
    for (uint32_t i = 0; i < 1000; i++) {
        int rc = do_connection_bind(g, i * 2654435761u);
        assert_true(rc == 400 || rc == MOVED);
        here += rc == 400;
    }
    assert_in_range(here, 0, 30); // one of 256 is decoded to any one worker
    fixture_free(g);
}

// T9: from one id to the next about half of the bits change, whatever came before.
static void ids_tell_nothing(void **state)
{
    struct fixture *f = *state;
    unsigned flips[32] = {0};
    uint32_t last = 0;

    f->cfg.connection_key = (struct siphash_key){1, 2};
    for (int i = 0; i < 2000; i++) {
        uint32_t id = connect_to(f, PEER);
        for (unsigned bit = 0; bit < 32; bit++)
            flips[bit] += (id ^ last) >> bit & 1;
        last = id;
        turn_connection_close(f->server, only_connection(f));
    }
    for (unsigned bit = 0; bit < 32; bit++)
        assert_in_range(flips[bit], 850, 1150);
}

// --- section 5.5 ---

static void many_and_all_at_once(void **state)
{
    struct fixture *f = *state;
    char peer[32];
    uint32_t ids[100];

    for (unsigned i = 0; i < 100; i++) {
        snprintf(peer, sizeof(peer), "8.8.8.8:%u", i + 1);
        ids[i] = connect_to(f, peer);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(ids[i], ids[j]);
    }
    assert_int_equal(do_connect(f, "8.8.8.8:101"), 508);
    from_port(f, 1234);
    for (unsigned i = 0; i < 100; i += 3)
        assert_int_equal(do_connection_bind(f, ids[i]), 0);
    f->now_ms += 30000;
    turn_server_sweep(f->server, f->now_ms); // those that nobody bound
    assert_int_equal(f->peers, 34);
    from_port(f, 40000);
    assert_int_equal(do_connect(f, "8.8.8.8:2"), DROPPED);
    assert_int_equal(do_refresh(f, 0), 0);
    assert_int_equal(f->peers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(allocate, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(allocate_refused, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(wrong_kind, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(connect_succeeds, setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(connect_fails, setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(connect_refused, setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(attempt, setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(bind_succeeds, setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(bind_refused, setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(other_workers, setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(ids_tell_nothing, setup_allocated, fixture_teardown),
        cmocka_unit_test_setup_teardown(many_and_all_at_once, setup_allocated, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
