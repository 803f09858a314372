// SPDX-License-Identifier: BSD-2-Clause
// Allocate, and the authentication that it shares with every request but Binding.
#include <errno.h>
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

static void begin(struct fixture *f)
{
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
}

static int with_u32(struct fixture *f, uint16_t type, uint32_t value)
{
    begin(f);
    stun_put_u32(&f->w, type, value);
    return fixture_send(f);
}

static void success(void **state)
{
    struct fixture *f = *state;
    struct stun_attr software;

    f->fingerprint = true;
    assert_int_equal(do_allocate(f), 0);
    struct turn_allocation *a = the_allocation(f);
    assert_non_null(a);
    struct addr got = answer_addr(f, STUN_ATTR_XOR_RELAYED_ADDRESS);
    assert_true(addr_equal(&got, &a->relay[0].relayed));
    got = answer_addr(f, STUN_ATTR_XOR_MAPPED_ADDRESS);
    assert_true(addr_equal(&got, &f->tuple.client));
    assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), 600);
    assert_false(answer_has(f, STUN_ATTR_RESERVATION_TOKEN));
    assert_true(stun_find(&f->answer, STUN_ATTR_SOFTWARE, &software));
    assert_memory_equal(software.value, "turnpike", 8);
    assert_true(f->answer_signed);
    assert_int_not_equal(f->answer.fingerprint, 0);
    assert_ptr_equal(a->link, f);
    assert_int_equal(a->session >> 56, 3);
    assert_int_equal(a->created_ms, f->now_ms);
    assert_int_equal(turn_server_count(f->server), 1);
    assert_int_equal(f->events[TURN_EVENT_ALLOCATED], 1);
    assert_int_equal(quota_total(f->quota), 1);
    assert_null(a->permissions);
    assert_null(a->channels);
}

static void sha256(void **state)
{
    struct fixture *f = *state;
    f->sha256 = true;
    assert_int_equal(do_allocate(f), 0);
    assert_true(f->answer_signed);
    assert_int_not_equal(f->answer.integrity256, 0);
    assert_int_equal(f->answer.integrity, 0);
}

static void authentication(void **state)
{
    struct fixture *f = *state;

    f->sign = false;
    assert_int_equal(do_allocate(f), 401);
    assert_true(answer_has(f, STUN_ATTR_REALM));
    assert_true(answer_has(f, STUN_ATTR_NONCE));
    assert_false(answer_has(f, STUN_ATTR_SOFTWARE));
    assert_int_equal(f->last.event, TURN_EVENT_AUTH_REFUSED);
    assert_int_equal(f->last.code, 401);
    assert_null(f->last.user);
    assert_null(f->last.allocation);
    f->sign = true;
    f->password = "wrong";
    assert_int_equal(do_allocate(f), 401);
    assert_false(f->answer_signed);
    assert_memory_equal(f->last.user, "alice", 5);
    f->password = "secret";
    f->store_status = STORE_NOT_FOUND;
    assert_int_equal(do_allocate(f), 401);
    f->store_status = STORE_UNAVAILABLE;
    assert_int_equal(do_allocate(f), 500);
    assert_false(answer_has(f, STUN_ATTR_NONCE));
    f->store_status = STORE_FOUND;
    f->unix_time += 3601;
    assert_int_equal(do_allocate(f), 438);
    assert_true(answer_has(f, STUN_ATTR_NONCE));
    f->unix_time -= 3601;
    struct addr client = f->tuple.client;
    f->tuple.client = ip_port("198.51.100.10:40000"); // a nonce is its client's
    assert_int_equal(do_allocate(f), 438);
    f->tuple.client = client;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    f->nonce_len = 0;
    stun_put_text(&f->w, STUN_ATTR_USERNAME, "alice");
    assert_in_range(fixture_send(f), 400, 438);
    assert_int_equal(f->opened, 0);
    assert_int_equal(turn_server_count(f->server), 0);
}

// RFC 8489 6.3: authentication comes before unknown attributes, those before the method's own
// checks.
static void order_of_checks(void **state)
{
    struct fixture *f = *state;

    f->password = "wrong";
    assert_int_equal(with_u32(f, 0x7001, 1), 401);
    f->password = "secret";
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE); // no REQUESTED-TRANSPORT either
    stun_put_u32(&f->w, 0x7001, 1);
    assert_int_equal(fixture_send(f), 420);
    assert_true(f->answer_signed);
    assert_true(answer_has(f, STUN_ATTR_UNKNOWN_ATTRIBUTES));
    // 3 before 5 and 7
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 6u << 24);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, 9u << 24);
    stun_put_u64(&f->w, STUN_ATTR_RESERVATION_TOKEN, 1);
    assert_int_equal(fixture_send(f), 442);
    // 5 before 7
    begin(f);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, 9u << 24);
    stun_put_u64(&f->w, STUN_ATTR_RESERVATION_TOKEN, 1);
    assert_int_equal(fixture_send(f), 400);
    // 7 before 10
    f->cfg.total_allocations = 1;
    f->tuple.client.port++;
    assert_int_equal(do_allocate(f), 0);
    f->tuple.client.port--;
    assert_int_equal(with_u32(f, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, 9u << 24), 440);
    assert_int_equal(do_allocate(f), 508);
    // 2 before 3
    f->tuple.client.port++;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    assert_int_equal(fixture_send(f), 437);
}

static void requested_transport(void **state)
{
    struct fixture *f = *state;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    assert_int_equal(fixture_send(f), 400);
    assert_true(f->answer_signed);
    assert_true(answer_has(f, STUN_ATTR_SOFTWARE));
    assert_int_equal(f->last.event, TURN_EVENT_REFUSED);
    assert_int_equal(f->last.method, STUN_ALLOCATE);
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 6u << 24);
    assert_int_equal(fixture_send(f), 442);
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24 | 0xabcdef); // reserved: ignored
    assert_int_equal(fixture_send(f), 0);
}

static void address_family(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(with_u32(f, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, 0), 440);
    assert_int_equal(with_u32(f, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, 3u << 24), 440);
    f->cfg.relay_ipv6 = false;
    assert_int_equal(with_u32(f, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, WIRE_IPV6), 440);
    f->cfg.relay_ipv6 = true;
    f->cfg.relay_ipv4 = false;
    assert_int_equal(do_allocate(f), 440);
    assert_int_equal(f->opened, 0);
    f->open_result6 = -EAFNOSUPPORT;
    assert_int_equal(with_u32(f, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, WIRE_IPV6), 440);
    f->open_result6 = 0;
    assert_int_equal(with_u32(f, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, WIRE_IPV6), 0);
    assert_int_equal(answer_addr(f, STUN_ATTR_XOR_RELAYED_ADDRESS).family, ADDR_IPV6);
    assert_int_equal(do_permit(f, "[2606:4700::1]:1"), 0);
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 443);
}

static unsigned relayed_addresses(const struct fixture *f)
{
    struct stun_attr attr;
    size_t pos = 0;
    unsigned n = 0;
    while (stun_next(&f->answer, &pos, &attr))
        n += attr.type == STUN_ATTR_XOR_RELAYED_ADDRESS;
    return n;
}

static void both_families(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(with_u32(f, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6), 0);
    assert_int_equal(relayed_addresses(f), 2);
    assert_false(answer_has(f, STUN_ATTR_ADDRESS_ERROR_CODE));
    assert_int_equal(f->open, 2);
    assert_int_equal(quota_total(f->quota), 1);
    assert_int_equal(do_permit(f, "[2606:4700::1]:1"), 0);
    assert_int_equal(do_permit(f, "8.8.8.8:1"), 0);
    assert_int_equal(do_bind(f, 0x4000, "[2606:4700::1]:1"), 0);
    assert_int_equal(do_send(f, "8.8.8.8:1"), SENT);
}

static void check_address_error(struct fixture *f, const char *want)
{
    struct stun_attr error;
    assert_int_equal(relayed_addresses(f), 1);
    assert_true(stun_find(&f->answer, STUN_ATTR_ADDRESS_ERROR_CODE, &error));
    assert_in_range(error.len, 5, 100);
    assert_memory_equal(error.value, want, 4);
}

static void one_of_both_families(void **state)
{
    struct fixture *f = *state;
    f->cfg.relay_ipv6 = false;
    assert_int_equal(with_u32(f, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6), 0);
    check_address_error(f, "\2\0\4\50"); // IPv6: 440
    assert_int_equal(fixture_run(f), 0); // the same again
    check_address_error(f, "\2\0\4\50");
    f->cfg.relay_ipv6 = true;
    f->open_result6 = -EADDRNOTAVAIL;
    f->tuple.client.port++;
    assert_int_equal(with_u32(f, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6), 0);
    check_address_error(f, "\2\0\5\10"); // IPv6: 508
    f->open_result6 = 0;
    f->open_result = -EADDRNOTAVAIL;
    f->tuple.client.port++;
    assert_int_equal(with_u32(f, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6), 0);
    check_address_error(f, "\1\0\5\10"); // IPv4: 508
    f->open_result6 = -EADDRNOTAVAIL;
    f->tuple.client.port++;
    assert_int_equal(with_u32(f, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6), 508);
    assert_int_equal(f->open, 3);
    assert_int_equal(quota_total(f->quota), 3);
}

static void combinations(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(with_u32(f, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV4), 400);
    begin(f);
    stun_put_u32(&f->w, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, WIRE_IPV4);
    assert_int_equal(fixture_send(f), 400);
    begin(f);
    stun_put_u32(&f->w, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6);
    stun_put_u64(&f->w, STUN_ATTR_RESERVATION_TOKEN, 1);
    assert_int_equal(fixture_send(f), 400);
    begin(f);
    stun_put(&f->w, STUN_ATTR_EVEN_PORT, "\0", 1);
    stun_put_u64(&f->w, STUN_ATTR_RESERVATION_TOKEN, 1);
    assert_int_equal(fixture_send(f), 400);
    begin(f);
    stun_put_u32(&f->w, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6);
    stun_put(&f->w, STUN_ATTR_EVEN_PORT, "\x80", 1);
    assert_int_equal(fixture_send(f), 400);
    assert_int_equal(f->opened, 0);
    assert_int_equal(quota_total(f->quota), 0);
    begin(f);
    stun_put_u32(&f->w, STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY, WIRE_IPV6);
    stun_put(&f->w, STUN_ATTR_EVEN_PORT, "\0", 1);
    stun_put(&f->w, STUN_ATTR_DONT_FRAGMENT, NULL, 0);
    assert_int_equal(fixture_send(f), 0);
}

static void even_port_and_token(void **state)
{
    struct fixture *f = *state;
    struct stun_attr token;

    begin(f);
    stun_put(&f->w, STUN_ATTR_EVEN_PORT, "\0", 1);
    assert_int_equal(fixture_send(f), 0);
    assert_true(f->last_open.even_port);
    assert_false(f->last_open.reserve_next);
    assert_false(answer_has(f, STUN_ATTR_RESERVATION_TOKEN));
    f->tuple.client.port++;
    begin(f);
    stun_put(&f->w, STUN_ATTR_EVEN_PORT, "\x80", 1);
    assert_int_equal(fixture_send(f), 0);
    assert_true(f->last_open.reserve_next);
    for (int i = 0; i < 2; i++) {
        assert_true(stun_find(&f->answer, STUN_ATTR_RESERVATION_TOKEN, &token));
        assert_int_equal(token.len, 8);
        assert_memory_equal(token.value, "token123", 8);
        assert_int_equal(fixture_run(f), 0); // a retransmission is told the same token
    }
    f->tuple.client.port++;
    begin(f);
    stun_put(&f->w, STUN_ATTR_RESERVATION_TOKEN, "token123", 8);
    assert_int_equal(fixture_send(f), 0);
    assert_true(f->last_open_token);
    f->tuple.client.port++;
    f->open_result = -EADDRNOTAVAIL;
    begin(f);
    stun_put(&f->w, STUN_ATTR_RESERVATION_TOKEN, "unknown!", 8);
    assert_int_equal(fixture_send(f), 508);
    assert_int_equal(quota_total(f->quota), 3);
}

static void lifetime(void **state)
{
    struct fixture *f = *state;
    static const uint32_t rows[][2] = {{0, 600},     {1, 600},     {600, 600},        {601, 601},
                                       {3600, 3600}, {3601, 3600}, {UINT32_MAX, 3600}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        f->tuple.client.port++;
        assert_int_equal(with_u32(f, STUN_ATTR_LIFETIME, rows[i][0]), 0);
        assert_int_equal(answer_u32(f, STUN_ATTR_LIFETIME), rows[i][1]);
        assert_int_equal(the_allocation(f)->lifetime, rows[i][1]);
        assert_int_equal(the_allocation(f)->expires_ms, f->now_ms + rows[i][1] * 1000);
    }
}

static void retransmission(void **state)
{
    struct fixture *f = *state;
    uint8_t first[TURN_REPLY_MAX];
    size_t len;

    assert_int_equal(with_u32(f, STUN_ATTR_LIFETIME, 700), 0);
    len = f->out.reply_len;
    memcpy(first, f->out.reply, len);
    f->now_ms += 5000;
    assert_int_equal(fixture_run(f), 0);
    assert_int_equal(f->out.reply_len, len);
    assert_memory_equal(f->out.reply, first, len);
    assert_int_equal(f->opened, 1);
    assert_int_equal(f->events[TURN_EVENT_ALLOCATED], 1);
    assert_int_equal(do_allocate(f), 437); // another transaction
    assert_true(f->answer_signed);
    f->user = "bob"; // another user with the same transaction id
    f->transaction -= 2;
    assert_int_equal(with_u32(f, STUN_ATTR_LIFETIME, 700), 437);
    f->user = "alice";
    f->transaction -= 1;
    assert_int_equal(with_u32(f, STUN_ATTR_LIFETIME, 700), 0);
    f->now_ms += 695000; // it has expired, though nobody has swept
    assert_int_equal(do_allocate(f), 0);
    assert_int_equal(f->events[TURN_EVENT_EXPIRED], 1);
    assert_int_equal(f->open, 1);
}

static void alternate_server(void **state)
{
    struct fixture *f = *state;
    const struct addr servers[] = {ip_port("192.0.2.1:1"), ip_port("[2001:db8::1]:2"),
                                   f->tuple.local, ip_port("192.0.2.3:3")};
    static const uint16_t ports[] = {3, 1, 3, 1}; // worker 3 begins at [3]
    struct stun_attr domain;

    f->cfg.alternates = servers;
    f->cfg.alternate_count = 4;
    fixture_login(f);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(do_allocate(f), 300);
        assert_true(f->answer_signed);
        assert_int_equal(answer_addr(f, STUN_ATTR_ALTERNATE_SERVER).port, ports[i]);
        assert_false(answer_has(f, STUN_ATTR_ALTERNATE_DOMAIN));
    }
    f->cfg.alternate_domain = "b.example";
    assert_int_equal(do_allocate(f), 300);
    assert_true(stun_find(&f->answer, STUN_ATTR_ALTERNATE_DOMAIN, &domain));
    assert_int_equal(domain.len, 9);
    assert_memory_equal(domain.value, "b.example", 9);
    assert_int_equal(f->events[TURN_EVENT_REFUSED], 5);
    assert_int_equal(f->open, 0);
    // A reservation is good here only (this one is unknown), a server of the other family for no
    // one.
    f->open_result = -EADDRNOTAVAIL;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
    stun_put(&f->w, STUN_ATTR_RESERVATION_TOKEN, "01234567", 8);
    assert_int_equal(fixture_send(f), 508);
    f->open_result = 0;
    f->cfg.alternates = &servers[1];
    f->cfg.alternate_count = 2;
    assert_int_equal(do_allocate(f), 0);
    // Who has an allocation keeps it.
    f->cfg.alternates = servers;
    assert_int_equal(fixture_run(f), 0);
    assert_int_equal(do_allocate(f), 437);
    assert_int_equal(do_refresh(f, 600), 0);
}

static void quotas(void **state)
{
    struct fixture *f = *state;
    f->cfg.user_allocations = 2;
    f->cfg.total_allocations = 4;
    for (int i = 0; i < 3; i++, f->tuple.client.port++)
        assert_int_equal(do_allocate(f), i < 2 ? 0 : 486);
    assert_true(f->answer_signed);
    f->max_allocations = 3; // of the record, over the server's
    assert_int_equal(do_allocate(f), 0);
    f->max_allocations = 1;
    f->user = "bob";
    f->tuple.client.port++;
    assert_int_equal(do_allocate(f), 0);
    f->tuple.client.port++;
    assert_int_equal(do_allocate(f), 486);
    f->user = "carol";
    assert_int_equal(do_allocate(f), 508);
    assert_int_equal(f->open, 4);
    f->tuple.client.port--;
    turn_allocation_close(f->server, the_allocation(f));
    assert_int_equal(do_allocate(f), 0);
}

// T11: whatever goes wrong, the quota and the ports come back.
// What a store answers at once is not checked again from the start; what it answers later is, and
// so is whatever is not quite the request that was asked about.
static enum turn_action ask(struct fixture *f, struct turn_input *in, struct auth_record *rec)
{
    begin(f);
    request_end(f);
    *in = (struct turn_input){.tuple = &f->tuple,
                              .data = f->request,
                              .len = f->request_len,
                              .now_ms = f->now_ms,
                              .unix_time = f->unix_time,
                              .link = f};
    enum turn_action action = turn_server_input(f->server, in, &f->out);
    *rec = (struct auth_record){.key_count = 1, .user_len = f->out.query.id_len};
    memcpy(rec->user, f->out.query.id, rec->user_len);
    stun_key_md5(rec->keys[0].md5, rec->user, rec->user_len, REALM, "secret", 6);
    rec->keys[0].has_md5 = true;
    return action;
}

static int answered(struct fixture *f, const struct turn_input *in, const struct auth_record *rec)
{
    const char *reason;
    size_t len;
    int code = 0;
    struct stun_msg msg;

    assert_int_equal(turn_server_resume(f->server, in, STORE_FOUND, rec, &f->out), TURN_REPLY);
    assert_int_equal(stun_parse(&msg, f->out.reply, f->out.reply_len), STUN_PARSE_OK);
    stun_get_error(&msg, &code, &reason, &len);
    return code;
}

static void late_answer(void **state)
{
    struct fixture *f = *state;
    struct turn_input in;
    struct auth_record rec;
    uint8_t copy[512];

    // The nonce has expired by now.
    assert_int_equal(ask(f, &in, &rec), TURN_LOOKUP);
    in.unix_time += f->auth.nonce_lifetime + 1;
    assert_int_equal(answered(f, &in, &rec), 438);
    // Not the address that the nonce is for.
    struct turn_tuple other = f->tuple;
    other.client.ip[3] ^= 1;
    assert_int_equal(ask(f, &in, &rec), TURN_LOOKUP);
    in.tuple = &other;
    assert_int_equal(answered(f, &in, &rec), 438);
    // Another message has been there in the meantime, and the bytes are not those any more.
    assert_int_equal(ask(f, &in, &rec), TURN_LOOKUP);
    memcpy(copy, f->request, f->request_len);
    in.data = copy;
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    assert_int_equal(fixture_send(f), 0);
    copy[in.len - 1] ^= 1;
    assert_int_equal(answered(f, &in, &rec), 401);
    assert_int_equal(f->open, 0);
    // The same bytes, elsewhere and later.
    copy[in.len - 1] ^= 1;
    in.unix_time++;
    assert_int_equal(answered(f, &in, &rec), 0);
    assert_int_equal(f->open, 1);
}

static void nothing_is_left_of_a_failure(void **state)
{
    struct fixture *f = *state;
    static const int results[] = {-EADDRNOTAVAIL, -EMFILE, -ENOMEM, -EAFNOSUPPORT};
    f->cfg.user_allocations = 1;
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        f->open_result = results[i];
        assert_int_equal(do_allocate(f), results[i] == -EAFNOSUPPORT ? 440 : 508);
        assert_int_equal(quota_total(f->quota), 0);
        assert_int_equal(turn_server_count(f->server), 0);
    }
    f->open_result = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(do_allocate(f), 0);
        assert_int_equal(do_refresh(f, 0), 0);
    }
    assert_int_equal(f->open, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(success, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(sha256, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(authentication, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(order_of_checks, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(requested_transport, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(address_family, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(both_families, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(one_of_both_families, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(combinations, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(even_port_and_token, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lifetime, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(retransmission, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(alternate_server, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(quotas, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(late_answer, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_left_of_a_failure, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
