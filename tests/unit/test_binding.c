// SPDX-License-Identifier: BSD-2-Clause
// Binding, and what every message goes through before its method is asked: parsing, classes,
// methods, unknown attributes.
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

static int setup(void **state)
{
    struct fixture *f = fixture_new();
    f->sign = false;
    *state = f;
    return 0;
}

static void plain(void **state)
{
    struct fixture *f = *state;
    struct addr a;

    request_begin(f, STUN_REQUEST, STUN_BINDING);
    assert_int_equal(fixture_send(f), 0);
    a = answer_addr(f, STUN_ATTR_XOR_MAPPED_ADDRESS);
    assert_true(addr_equal(&a, &f->tuple.client));
    a = answer_addr(f, STUN_ATTR_MAPPED_ADDRESS);
    assert_true(addr_equal(&a, &f->tuple.client));
    a = answer_addr(f, STUN_ATTR_RESPONSE_ORIGIN);
    assert_true(addr_equal(&a, &f->tuple.local));
    assert_false(answer_has(f, STUN_ATTR_SOFTWARE));
    assert_int_equal(f->answer.fingerprint, 0);
    assert_memory_equal(f->answer.txid, f->request + 8, STUN_TXID_LEN);
    assert_int_equal(f->out.reply_len, 20 + 3 * 12);
    f->fingerprint = true;
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    assert_int_equal(fixture_send(f), 0);
    assert_int_not_equal(f->answer.fingerprint, 0);
    assert_int_equal(f->lookups, 0);
}

static void ipv6_client(void **state)
{
    struct fixture *f = *state;
    f->tuple.client = ip_port("[2001:db8::9]:40000");
    f->tuple.local = ip_port("[2001:db8::1]:3478");
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    assert_int_equal(fixture_send(f), 0);
    struct addr a = answer_addr(f, STUN_ATTR_XOR_MAPPED_ADDRESS);
    assert_true(addr_equal(&a, &f->tuple.client));
}

// A request with the class and method of RFC 3489 has 16 bytes of transaction id where the cookie
// is now.
static size_t classic(struct fixture *f, uint16_t method)
{
    request_begin(f, STUN_REQUEST, method);
    memcpy(f->request + 4, "0123456789abcdef", 16);
    return 20;
}

static void classic_client(void **state)
{
    struct fixture *f = *state;
    size_t len = classic(f, STUN_BINDING);
    assert_int_equal(fixture_input(f, f->request, len), 0);
    assert_memory_equal(f->out.reply + 4, "0123456789abcdef", 16);
    assert_true(f->answer.classic);
    assert_false(answer_has(f, STUN_ATTR_XOR_MAPPED_ADDRESS));
    assert_false(answer_has(f, STUN_ATTR_RESPONSE_ORIGIN));
    struct addr a = answer_addr(f, STUN_ATTR_MAPPED_ADDRESS);
    assert_true(addr_equal(&a, &f->tuple.client));
    a = answer_addr(f, STUN_ATTR_SOURCE_ADDRESS);
    assert_true(addr_equal(&a, &f->tuple.local));
    // CHANGE-REQUEST that asks for nothing, then for another port.
    memcpy(f->request + 20, "\0\3\0\4\0\0\0\0", 8);
    f->request[3] = 8;
    assert_int_equal(fixture_input(f, f->request, 28), 0);
    f->request[27] = 2;
    assert_int_equal(fixture_input(f, f->request, 28), 420);
    // Its attributes have no padding: blanks fill the reason up, an odd list repeats a type.
    assert_memory_equal(f->out.reply + 20, "\0\x09\0\x18\0\0\x04\x14Unknown Attribute   ", 28);
    assert_memory_equal(f->out.reply + 48, "\0\x0a\0\4\0\3\0\3", 8);
    assert_int_equal(f->out.reply_len, 56);
    // RESPONSE-ADDRESS would make an amplifier of the server.
    memcpy(f->request + 20, "\0\2\0\10\0\1\0\1\1\2\3\4", 12);
    f->request[3] = 12;
    assert_int_equal(fixture_input(f, f->request, 32), 420);
    // Nothing but Binding is older than the cookie.
    for (uint16_t method = 2; method < 16; method++) {
        len = classic(f, method);
        assert_int_equal(fixture_input(f, f->request, len), DROPPED);
    }
}

// Two IPs by two ports, behind a 1:1 NAT.
static void behavior(struct fixture *f)
{
    f->cfg.behaviors[0] = (struct turn_behavior){
        .transport = TURN_UDP,
        .ip = {ip_port("10.0.0.1:0"), ip_port("10.0.0.2:0")},
        .external = {ip_port("198.51.100.1:0"), ip_port("198.51.100.2:0")},
        .port = {3478, 3479},
    };
    f->cfg.behavior_count = 1;
    f->tuple.local = ip_port("10.0.0.2:3478");
}

static void assert_addr(struct addr a, const char *text)
{
    struct addr b = ip_port(text);
    assert_memory_equal(&a, &b, sizeof(a));
}

static void change_request(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint32_t change;
        const char *from, *origin;
    } cases[] = {{0, "10.0.0.2:3478", "198.51.100.2:3478"},
                 {2, "10.0.0.2:3479", "198.51.100.2:3479"},
                 {4, "10.0.0.1:3478", "198.51.100.1:3478"},
                 {6, "10.0.0.1:3479", "198.51.100.1:3479"},
                 {0xfffffff9, "10.0.0.2:3478", "198.51.100.2:3478"}};

    behavior(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        request_begin(f, STUN_REQUEST, STUN_BINDING);
        stun_put_u32(&f->w, STUN_ATTR_CHANGE_REQUEST, cases[i].change);
        assert_int_equal(fixture_send(f), 0);
        assert_addr(f->out.reply_from, cases[i].from);
        assert_true(addr_equal(&f->out.reply_to, &f->tuple.client));
        assert_addr(answer_addr(f, STUN_ATTR_RESPONSE_ORIGIN), cases[i].origin);
        assert_addr(answer_addr(f, STUN_ATTR_OTHER_ADDRESS), "198.51.100.1:3479");
        struct addr a = answer_addr(f, STUN_ATTR_XOR_MAPPED_ADDRESS);
        assert_true(addr_equal(&a, &f->tuple.client));
    }
    // Classic clients know the same by older names.
    size_t len = classic(f, STUN_BINDING);
    memcpy(f->request + 20, "\0\3\0\4\0\0\0\6", 8);
    f->request[3] = 8;
    assert_int_equal(fixture_input(f, f->request, len + 8), 0);
    assert_addr(f->out.reply_from, "10.0.0.1:3479");
    assert_addr(answer_addr(f, STUN_ATTR_SOURCE_ADDRESS), "198.51.100.1:3479");
    assert_addr(answer_addr(f, STUN_ATTR_CHANGED_ADDRESS), "198.51.100.1:3479");
    assert_false(answer_has(f, STUN_ATTR_OTHER_ADDRESS));
    // Another listener than those four, and a connection.
    f->tuple.local = ip_port("10.0.0.2:5349");
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    assert_int_equal(fixture_send(f), 0);
    assert_false(answer_has(f, STUN_ATTR_OTHER_ADDRESS));
    assert_true(addr_equal(&f->out.reply_from, &f->tuple.local));
    f->tuple.local = ip_port("10.0.0.2:3478");
    f->tuple.transport = TURN_TCP;
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    stun_put_u32(&f->w, STUN_ATTR_CHANGE_REQUEST, 2);
    assert_int_equal(fixture_send(f), 420);
    f->cfg.behaviors[0].transport = TURN_TCP;
    assert_int_equal(fixture_run(f), 420);
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    assert_int_equal(fixture_send(f), 0);
    assert_addr(answer_addr(f, STUN_ATTR_OTHER_ADDRESS), "198.51.100.1:3479");
}

static void response_port(void **state)
{
    struct fixture *f = *state;
    struct stun_attr list;

    behavior(f);
    for (size_t len = 2; len <= 4; len += 2) {
        request_begin(f, STUN_REQUEST, STUN_BINDING);
        stun_put(&f->w, STUN_ATTR_RESPONSE_PORT, "\x12\x34\0", len);
        assert_int_equal(fixture_send(f), 0);
        struct addr to = f->tuple.client;
        to.port = 0x1234;
        assert_true(addr_equal(&f->out.reply_to, &to));
        assert_addr(f->out.reply_from, "10.0.0.2:3478");
    }
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    stun_put(&f->w, STUN_ATTR_RESPONSE_PORT, "\0\0\0", 4);
    assert_int_equal(fixture_send(f), 400);
    assert_true(addr_equal(&f->out.reply_to, &f->tuple.client));
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    stun_put(&f->w, STUN_ATTR_RESPONSE_PORT, "\x12\x34\0", 4);
    stun_put(&f->w, STUN_ATTR_PADDING, NULL, 0);
    assert_int_equal(fixture_send(f), 400);
    // Without a second address all three are unknown.
    f->cfg.behavior_count = 0;
    stun_put_u32(&f->w, STUN_ATTR_CHANGE_REQUEST, 4);
    assert_int_equal(fixture_send(f), 420);
    assert_true(stun_find(&f->answer, STUN_ATTR_UNKNOWN_ATTRIBUTES, &list));
    assert_int_equal(list.len, 6);
    assert_memory_equal(list.value, "\0\x03\0\x26\0\x27", 6);
}

static void padding(void **state)
{
    struct fixture *f = *state;
    static const uint8_t ones[40000] = {1, 1, 1, 1};
    static const size_t lens[] = {0, 4, 36, 64, 500, 1499, 1500, 1600, 40000};
    struct stun_attr attr;

    behavior(f);
    for (size_t i = 0; i < 2 * sizeof(lens) / sizeof(lens[0]); i++) {
        size_t len = lens[i / 2], least = 20 + 4 * 12 + 4 + (i % 2 ? 8 : 0);
        f->fingerprint = i % 2;
        request_begin(f, STUN_REQUEST, STUN_BINDING);
        stun_put(&f->w, STUN_ATTR_PADDING, ones, len);
        assert_int_equal(fixture_send(f), 0);
        assert_true(stun_find(&f->answer, STUN_ATTR_PADDING, &attr));
        assert_int_equal(attr.len % 4, 0);
        assert_in_range(f->out.reply_len, least, f->request_len > least ? f->request_len : least);
        if (len > 1600)
            assert_int_equal(attr.len, 1500);
        for (size_t j = 0; j < attr.len; j++)
            assert_int_equal(attr.value[j], 0);
    }
}

static void other_classes(void **state)
{
    struct fixture *f = *state;
    static const uint16_t methods[] = {STUN_BINDING, STUN_ALLOCATE,          STUN_REFRESH,
                                       STUN_DATA,    STUN_CREATE_PERMISSION, STUN_CHANNEL_BIND,
                                       0x0fe};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        request_begin(f, STUN_INDICATION, methods[i]);
        assert_int_equal(fixture_send(f), DROPPED);
        request_begin(f, STUN_SUCCESS, methods[i]);
        assert_int_equal(fixture_send(f), DROPPED);
        request_begin(f, STUN_ERROR, methods[i]);
        assert_int_equal(fixture_send(f), DROPPED);
    }
}

static void unknown_methods(void **state)
{
    struct fixture *f = *state;
    static const uint16_t methods[] = {0,     2,    STUN_SEND, STUN_DATA, STUN_CONNECTION_ATTEMPT,
                                       0x0ff, 0xfff};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        request_begin(f, STUN_REQUEST, methods[i]);
        assert_int_equal(fixture_send(f), 400);
        assert_int_equal(f->answer.method, methods[i]);
        assert_false(answer_has(f, STUN_ATTR_SOFTWARE));
        assert_false(answer_has(f, STUN_ATTR_NONCE));
        assert_int_equal(f->last.event, TURN_EVENT_REFUSED);
        assert_int_equal(f->last.code, 400);
    }
}

static void unknown_attributes(void **state)
{
    struct fixture *f = *state;
    struct stun_attr list;

    request_begin(f, STUN_REQUEST, STUN_BINDING);
    stun_put_u32(&f->w, 0x7001, 1);
    stun_put_u32(&f->w, 0xf001, 1);             // comprehension-optional
    stun_put_u32(&f->w, STUN_ATTR_PRIORITY, 1); // known to ICE, not understood here
    stun_put_u32(&f->w, 0x7001, 1);
    assert_int_equal(fixture_send(f), 420);
    assert_true(stun_find(&f->answer, STUN_ATTR_UNKNOWN_ATTRIBUTES, &list));
    assert_int_equal(list.len, 4);
    assert_memory_equal(list.value, "\x70\x01\x00\x24", 4);
    // T16: as many as there can be.
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    for (uint16_t i = 0; i < 2000; i++)
        stun_put(&f->w, (uint16_t)(0x7000 + i), NULL, 0);
    assert_int_equal(fixture_send(f), 420);
    assert_true(stun_find(&f->answer, STUN_ATTR_UNKNOWN_ATTRIBUTES, &list));
    assert_int_equal(list.len, 256);
    // What is known but makes no sense in a Binding request is ignored (RFC 8489 6.3).
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    stun_put_u32(&f->w, STUN_ATTR_LIFETIME, 5);
    stun_put_text(&f->w, STUN_ATTR_USERNAME, "someone");
    assert_int_equal(fixture_send(f), 0);
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    stun_put(&f->w, STUN_ATTR_RESPONSE_PORT, "\x12\x34\0", 4);
    assert_int_equal(fixture_send(f), 420);
}

static void malformed(void **state)
{
    struct fixture *f = *state;
    uint8_t zero[64] = {0};

    for (size_t len = 0; len < 20; len++)
        assert_int_equal(fixture_input(f, zero, len), DROPPED);
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    stun_put_u32(&f->w, STUN_ATTR_LIFETIME, 5);
    request_end(f);
    f->request[23] = 8; // past the end of the message
    assert_int_equal(fixture_run(f), 400);
    assert_int_equal(f->out.reply_len, 20 + 4 + 4 + 12); // "Bad Request"
    f->request[0] |= 0x01;                               // a success answer
    assert_int_equal(fixture_run(f), DROPPED);
    request_begin(f, STUN_INDICATION, STUN_SEND);
    stun_put_u32(&f->w, STUN_ATTR_LIFETIME, 5);
    request_end(f);
    f->request[23] = 8;
    assert_int_equal(fixture_run(f), DROPPED);
    f->fingerprint = true;
    request_begin(f, STUN_REQUEST, STUN_BINDING);
    request_end(f);
    f->request[f->request_len - 1] ^= 1;
    assert_int_equal(fixture_run(f), DROPPED); // not STUN then
}

// Data indications are made by the worker with this head.
static void data_header(void **state)
{
    struct addr peers[] = {ip_port("192.0.2.7:9"), ip_port("[2001:db8::7]:9")};
    static uint8_t buf[66000];
    const uint8_t txid[12] = "transaction";
    struct stun_msg msg;
    struct stun_attr data;
    struct addr got;

    for (size_t i = 0; i < 2; i++) {
        for (unsigned len = 0; len <= 65507; len = len < 9 ? len + 1 : len * 3 + 1) {
            size_t header = turn_data_header(buf, txid, &peers[i], (uint16_t)len);
            assert_in_range(header, 36, TURN_DATA_HEADER_MAX);
            memset(buf + header, 'x', len);
            memset(buf + header + len, 0, TURN_DATA_PAD(len));
            assert_int_equal(stun_parse(&msg, buf, header + len + TURN_DATA_PAD(len)),
                             STUN_PARSE_OK);
            assert_int_equal(msg.method, STUN_DATA);
            assert_int_equal(msg.class_, STUN_INDICATION);
            assert_memory_equal(msg.txid, txid, 12);
            assert_int_equal(stun_get_addr(&msg, STUN_ATTR_XOR_PEER_ADDRESS, &got), 0);
            assert_true(addr_equal(&got, &peers[i]));
            assert_true(stun_find(&msg, STUN_ATTR_DATA, &data));
            assert_int_equal(data.len, len);
            assert_ptr_equal(data.value, buf + header);
        }
        assert_int_equal(turn_data_header(buf, txid, &peers[i], 65535), 0);
    }
}

// RFC 8656 18.13.
static void icmp_indication(void **state)
{
    uint8_t buf[TURN_DATA_ICMP_MAX], txid[12] = "abcdefghijkl";
    struct addr peer = ip_port("192.0.2.1:9");
    struct stun_msg msg;
    struct stun_attr attr;
    struct addr got;
    size_t len = turn_data_icmp(buf, txid, &peer, 3, 4, 1300);
    assert_int_equal(len, 20 + 12 + 12);
    assert_int_equal(stun_parse(&msg, buf, len), STUN_PARSE_OK);
    assert_int_equal(msg.class_, STUN_INDICATION);
    assert_int_equal(msg.method, STUN_DATA);
    assert_int_equal(stun_get_addr(&msg, STUN_ATTR_XOR_PEER_ADDRESS, &got), 0);
    assert_true(addr_equal(&got, &peer));
    assert_true(stun_find(&msg, STUN_ATTR_ICMP, &attr));
    assert_int_equal(attr.len, 8);
    assert_memory_equal(attr.value, "\0\0\3\4\0\0\5\x14", 8);
    assert_false(stun_find(&msg, STUN_ATTR_DATA, &attr));
    peer = ip_port("[2001:db8::1]:9");
    assert_int_equal(turn_data_icmp(buf, txid, &peer, 1, 4, 0), sizeof buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(ipv6_client, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(classic_client, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(change_request, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(response_port, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(padding, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(other_classes, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(unknown_methods, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(unknown_attributes, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(malformed, setup, fixture_teardown),
        cmocka_unit_test(data_header),
        cmocka_unit_test(icmp_indication),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
