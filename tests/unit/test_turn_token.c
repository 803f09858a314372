// SPDX-License-Identifier: BSD-2-Clause
// Allocations by access token (RFC 7635 sections 5 to 9).
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

#define PEER "8.8.8.8:9"

static struct token first, second; // of one fixture at a time

static struct token make(const struct fixture *f, uint8_t fill, uint32_t lifetime)
{
    struct token t = {.mac_key_len = 20, .lifetime = lifetime};
    t.timestamp = token_timestamp(f->unix_time);
    memset(t.mac_key, fill, t.mac_key_len);
    return t;
}

static void use(struct fixture *f, const char *kid, const struct token *t)
{
    f->user = kid;
    f->token = t;
    f->send_token = t != NULL;
}

static int setup(void **state)
{
    struct fixture *f = fixture_new();
    f->auth.token_server = "turn.example.org";
    memset(f->token_key.bytes, 7, sizeof(f->token_key.bytes));
    fixture_login(f);
    first = make(f, 1, 300);
    second = make(f, 2, 1000);
    use(f, "north", &first);
    *state = f;
    return 0;
}

// Seconds pass.
static void pass(struct fixture *f, int64_t seconds)
{
    f->now_ms += seconds * 1000;
    f->unix_time += seconds;
}

static void the_challenge_names_the_server(void **state)
{
    struct fixture *f = *state;
    struct stun_attr a;

    fixture_login(f);
    assert_true(stun_find(&f->answer, STUN_ATTR_THIRD_PARTY_AUTHORIZATION, &a));
    assert_int_equal(a.len, 16);
    assert_memory_equal(a.value, "turn.example.org", 16);
    assert_true(answer_has(f, STUN_ATTR_REALM) && answer_has(f, STUN_ATTR_PASSWORD_ALGORITHMS));
    f->nonce[20] ^= 1;
    assert_int_equal(do_allocate(f), 438);
    assert_true(answer_has(f, STUN_ATTR_THIRD_PARTY_AUTHORIZATION));
    f->auth.token_server = NULL;
    f->send_token = false;
    fixture_login(f);
    assert_false(answer_has(f, STUN_ATTR_THIRD_PARTY_AUTHORIZATION));
}

static void allocate_then_go_on_without_the_token(void **state)
{
    struct fixture *f = *state;

    for (int sha256 = 0; sha256 < 2; sha256++) {
        f->sha256 = sha256;
        assert_int_equal(do_allocate(f), 0);
        assert_true(f->answer_signed);
        assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 300);
        assert_int_equal(f->last.user_len, strlen("north#0123456789abcdef"));
        assert_memory_equal(f->last.user, "north#", 6);
        f->send_token = false;
        f->lookups = 0;
        assert_int_equal(do_permit(f, PEER), 0);
        assert_true(f->answer_signed);
        assert_int_equal(do_bind(f, 0x4000, PEER), 0);
        pass(f, 100);
        assert_int_equal(do_refresh(f, -1), 0);
        // The token's remaining time: without its allowance of 5 s it would be 200.
        assert_in_range(answer_u32(f, STUN_ATTR_LIFETIME), 200, 205);
        assert_int_equal(f->lookups, 0);
        f->send_token = true;
        assert_int_equal(do_permit(f, PEER), 0); // needless, but not wrong
        assert_int_equal(do_refresh(f, 0), 0);
        assert_null(the_allocation(f));
        pass(f, -100);
    }
}

static void the_lifetime_is_the_tokens(void **state)
{
    struct fixture *f = *state;

    second = make(f, 2, 100000);
    use(f, "north", &second);
    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 600); // the server's default
    assert_int_equal(do_refresh(f, 50000), 0);
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 3600); // and its limit
    assert_int_equal(do_refresh(f, 0), 0);
    use(f, "north", &first);
    pass(f, 290);
    assert_int_equal(do_allocate(f), 0);
    assert_in_range(answer_u32(f, STUN_ATTR_LIFETIME), 10, 15);
    pass(f, 15);
    assert_null(the_allocation(f));
    assert_int_equal(do_allocate(f), 401);
    f->send_token = false;
    assert_int_equal(do_permit(f, PEER), 401);
}

static void a_newer_token_takes_over(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(do_permit(f, PEER), 0);
    // Another token is not the allocation's before a Refresh says so.
    use(f, "north", &second);
    assert_int_equal(do_permit(f, PEER), 441);
    assert_int_equal(do_allocate(f), 437);
    pass(f, 200);
    assert_int_equal(do_refresh(f, -1), 0);
    assert_true(f->answer_signed);
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 600);
    assert_int_equal(fixture_run(f), 0); // a retransmission
    f->send_token = false;
    assert_int_equal(do_permit(f, PEER), 0);
    // The first is history, with and without being sent.
    use(f, "north", &first);
    assert_int_equal(do_permit(f, PEER), 441);
    f->send_token = false;
    assert_int_equal(do_permit(f, PEER), 401);
    // A key that has been changed meanwhile has another kid.
    second = make(f, 3, 500);
    use(f, "south", &second);
    assert_int_equal(do_refresh(f, -1), 0);
    assert_in_range(answer_u32(f, STUN_ATTR_LIFETIME), 500, 500);
    f->send_token = false;
    assert_int_equal(do_permit(f, PEER), 0);
    f->user = "north";
    assert_int_equal(do_permit(f, PEER), 401);
    second = make(f, 4, 500);
    use(f, "south", &second);
    assert_int_equal(do_refresh(f, 0), 0);
    assert_null(the_allocation(f));
}

static void users_and_tokens_keep_apart(void **state)
{
    struct fixture *f = *state;
    char name[64];

    assert_int_equal(do_allocate(f), 0);
    memcpy(name, f->last.user, f->last.user_len);
    name[f->last.user_len] = 0;
    // A user who is called like the token's clients has nothing of theirs.
    use(f, name, NULL);
    assert_int_equal(do_permit(f, PEER), 441);
    assert_int_equal(do_refresh(f, 0), 441);
    f->user = "alice";
    assert_int_equal(do_refresh(f, 0), 441);
    f->tuple.client.port++;
    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 600);
    // Nor a token of a user's.
    use(f, "alice", &first);
    assert_int_equal(do_permit(f, PEER), 441);
    assert_int_equal(do_refresh(f, 0), 441);
    assert_int_equal(do_refresh(f, -1), 441);
    // Nobody may leave out the token who has not shown one here.
    use(f, "north", &first);
    f->send_token = false;
    assert_int_equal(do_permit(f, PEER), 401);
    use(f, "alice", NULL);
    assert_int_equal(do_permit(f, PEER), 0);
}

static void what_is_refused(void **state)
{
    struct fixture *f = *state;

    first.lifetime = 0;
    assert_int_equal(do_allocate(f), 401);
    first = make(f, 1, 300);
    first.timestamp = token_timestamp(f->unix_time - 305);
    assert_int_equal(do_allocate(f), 401);
    assert_true(answer_has(f, STUN_ATTR_NONCE) &&
                answer_has(f, STUN_ATTR_THIRD_PARTY_AUTHORIZATION));
    assert_false(f->answer_signed);
    first.timestamp = token_timestamp(f->unix_time + 61);
    assert_int_equal(do_allocate(f), 401);
    first.timestamp = token_timestamp(f->unix_time + 60);
    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 300);
    assert_int_equal(do_refresh(f, 0), 0);
    // The kid is not known, or the store is away.
    f->store_status = STORE_NOT_FOUND;
    assert_int_equal(do_allocate(f), 401);
    f->store_status = STORE_UNAVAILABLE;
    assert_int_equal(do_allocate(f), 500);
    f->store_status = STORE_FOUND;
    // Sealed for another server, or with another key.
    f->auth.token_server = "turn.example.com";
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
    request_end(f);
    f->auth.token_server = "turn.example.org";
    assert_int_equal(fixture_run(f), 401);
    f->token_key.bytes[0] ^= 1;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    request_end(f);
    f->token_key.bytes[0] ^= 1;
    assert_int_equal(fixture_run(f), 401);
    assert_int_equal(turn_server_count(f->server), 0);
}

// RFC 7635 section 7: what was not asked for is unknown.
static void without_tokens_it_is_an_unknown_attribute(void **state)
{
    struct fixture *f = *state;
    struct stun_attr a;

    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    request_end(f);
    f->auth.token_server = NULL;
    assert_int_equal(fixture_run(f), 420);
    assert_true(stun_find(&f->answer, STUN_ATTR_UNKNOWN_ATTRIBUTES, &a));
    assert_int_equal(a.len, 2);
    assert_memory_equal(a.value, "\0\x1b", 2);
    f->auth.token_server = "turn.example.org";
    f->send_token = true;
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    assert_int_equal(fixture_send(f), 420);
    // Allocations outlive a configuration without tokens; so do their sessions.
    assert_int_equal(do_allocate(f), 0);
    f->auth.token_server = NULL;
    f->send_token = false;
    assert_int_equal(do_permit(f, PEER), 0);
}

static void a_token_counts_as_one_user(void **state)
{
    struct fixture *f = *state;

    f->cfg.user_allocations = 2;
    for (int i = 0; i < 3; i++, f->tuple.client.port++)
        assert_int_equal(do_allocate(f), i < 2 ? 0 : 486);
    use(f, "north", &second);
    for (int i = 0; i < 3; i++, f->tuple.client.port++)
        assert_int_equal(do_allocate(f), i < 2 ? 0 : 486);
}

static void a_reservation_is_for_the_same_host(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(f->last_open.owner_len, sizeof(f->tuple.client.ip));
    f->tuple.client.port++;
    use(f, "alice", NULL);
    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(f->last_open.owner_len, 5);
}

static void retransmitted_allocate(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(fixture_run(f), 0);
    assert_int_equal(turn_server_count(f->server), 1);
    assert_int_equal(f->opened, 1);
}

static void kids_of_any_length(void **state)
{
    struct fixture *f = *state;
    char kid[TOKEN_KID_MAX + 2];

    memset(kid, 'k', sizeof(kid));
    kid[TOKEN_KID_MAX + 1] = 0;
    use(f, kid, &first);
    assert_int_equal(do_allocate(f), 401);
    kid[TOKEN_KID_MAX] = 0;
    assert_int_equal(do_allocate(f), 0);
    f->send_token = false;
    assert_int_equal(do_permit(f, PEER), 0);
}

static int check(int rc)
{
    if (rc != 0)
        assert_int_equal(rc, 508);
    return rc;
}

// As coturn's clients do it.
static void the_first_16_bytes_of_the_mac_key(void **state)
{
    struct fixture *f = *state;
    uint8_t sealed[TOKEN_MAX];
    struct token whole = first;

    for (size_t i = 0; i < first.mac_key_len; i++)
        whole.mac_key[i] = (uint8_t)i;
    first = whole;
    for (size_t len = 15; len <= 17; len++) {
        first.mac_key_len = len;
        f->send_token = false;
        request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
        stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
        int n = token_encode(sealed, &whole, &f->token_key, f->auth.token_server,
                             (const uint8_t *)"another once");
        stun_put(&f->w, STUN_ATTR_ACCESS_TOKEN, sealed, (size_t)n);
        assert_int_equal(fixture_send(f), len == 16 ? 0 : 401);
        if (len == 16) {
            assert_true(f->answer_signed);
            assert_int_equal(do_permit(f, PEER), 0);
            assert_int_equal(do_refresh(f, 0), 0);
        }
    }
}

// Whoever is told to move a connection relies on it: no allocation of its own is left behind.
static void a_moved_connection_has_no_allocation(void **state)
{
    struct fixture *f = *state;

    f->tuple.transport = TURN_TCP;
    use(f, "alice", NULL);
    for (unsigned expired = 0; expired < 2; expired++) {
        assert_int_equal(do_allocate(f), 0);
        f->now_ms += expired ? 600000 : 599999; // over, though not swept yet
        f->store_status = STORE_NOT_FOUND;
        int rc = do_connection_bind(f, 1);
        if (rc == 401) // one of 256 is this worker's own
            rc = do_connection_bind(f, 2);
        assert_int_equal(rc, expired ? MOVED : 401);
        assert_int_equal(f->events[TURN_EVENT_EXPIRED], expired);
        f->store_status = STORE_FOUND;
        assert_int_equal(do_refresh(f, 0), expired ? 437 : 0);
    }
}

static void each_allocation_fails(void **state)
{
    int rounds = 0;

    for (bool failed = true; failed; rounds++) {
        void *fixture;
        setup(&fixture);
        struct fixture *f = fixture;
        long before = alloc_live;
        assert_int_equal(do_allocate(f), 0); // OpenSSL's contexts stay for the thread's life
        assert_int_equal(do_refresh(f, 0), 0);
        before = alloc_live;
        alloc_failed = 0;
        alloc_fail_at = rounds;
        if (check(do_allocate(f)))
            assert_int_equal(do_allocate(f), 0);
        use(f, "south", &second);
        if (check(do_refresh(f, -1)))
            assert_int_equal(do_refresh(f, -1), 0);
        alloc_fail_at = -1;
        failed = alloc_failed > 0;
        assert_int_equal(do_refresh(f, 0), 0);
        assert_int_equal(alloc_live, before);
        fixture_free(f);
    }
    assert_in_range(rounds, 4, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_challenge_names_the_server, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(allocate_then_go_on_without_the_token, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_lifetime_is_the_tokens, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_newer_token_takes_over, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(users_and_tokens_keep_apart, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_refused, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(without_tokens_it_is_an_unknown_attribute, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_token_counts_as_one_user, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_reservation_is_for_the_same_host, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(retransmitted_allocate, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(kids_of_any_length, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_first_16_bytes_of_the_mac_key, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_moved_connection_has_no_allocation, setup,
                                        fixture_teardown),
        cmocka_unit_test(each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
