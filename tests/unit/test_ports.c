// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/host.h"
#include "net/ports.h"

#define MIN_PORT 41000
#define COUNT 64

static struct addr loopback(void)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, "127.0.0.9", 0), 0);
    return a;
}

static struct ports *new_ports(uint16_t min, uint16_t max)
{
    struct addr a = loopback();
    struct ports *p = ports_new(&a, 1, min, max);
    assert_non_null(p);
    return p;
}

static void give_back(struct ports *p, struct udp_socket *s)
{
    close(s->fd);
    ports_release(p, &s->local);
}

// Every port once, then none, then the very port that came back.
static void test_all_ports_and_no_more(void **state)
{
    struct ports *p = new_ports(MIN_PORT, MIN_PORT + COUNT - 1);
    struct udp_socket s[COUNT], one;
    bool seen[COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(ports_open(p, ADDR_IPV4, false, &s[i]), 0);
        int at = s[i].local.port - MIN_PORT;
        assert_in_range(at, 0, COUNT - 1);
        assert_false(seen[at]);
        seen[at] = true;
    }
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &one), -EADDRNOTAVAIL);
    uint16_t freed = s[17].local.port;
    give_back(p, &s[17]);
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &s[17]), 0);
    assert_int_equal(s[17].local.port, freed);
    for (int i = 0; i < COUNT; i++)
        give_back(p, &s[i]);
    ports_free(p);
}

static void test_even(void **state)
{
    struct ports *p = new_ports(MIN_PORT + 100, MIN_PORT + 107);
    struct udp_socket s[4], one;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ports_open(p, ADDR_IPV4, true, &s[i]), 0);
        assert_int_equal(s[i].local.port % 2, 0);
    }
    assert_int_equal(ports_open(p, ADDR_IPV4, true, &one), -EADDRNOTAVAIL);
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &one), 0);
    assert_int_equal(one.local.port % 2, 1);
    give_back(p, &one);
    for (int i = 0; i < 4; i++)
        give_back(p, &s[i]);
    ports_free(p);
}

static void test_family(void **state)
{
    struct ports *p = new_ports(MIN_PORT + 120, MIN_PORT + 127);
    struct udp_socket s;
    assert_int_equal(ports_open(p, ADDR_IPV6, false, &s), -EAFNOSUPPORT);
    ports_free(p);
}

// A token opens exactly the next port, once, for the same user, in time (RFC 8656 7.2).
static void test_reservation(void **state)
{
    struct ports *p = new_ports(MIN_PORT + 200, MIN_PORT + 203);
    struct udp_socket s, held, other;
    uint8_t token[PORTS_TOKEN_LEN];
    assert_int_equal(ports_open_pair(p, ADDR_IPV4, "alice", 5, 1000, &s, token), 0);
    assert_int_equal(s.local.port % 2, 0);
    assert_int_equal(ports_claim(p, token, "bob", 3, 1000, &held), -EADDRNOTAVAIL);
    uint8_t wrong[PORTS_TOKEN_LEN] = {0};
    assert_int_equal(ports_claim(p, wrong, "alice", 5, 1000, &held), -EADDRNOTAVAIL);
    assert_int_equal(ports_claim(p, token, "alice", 5, 1000, &held), 0);
    assert_int_equal(held.local.port, s.local.port + 1);
    assert_int_equal(ports_claim(p, token, "alice", 5, 1000, &other), -EADDRNOTAVAIL);
    give_back(p, &held);
    give_back(p, &s);

    // Two pairs use all four ports up; what nobody claims comes back after 30 s.
    struct udp_socket pair[2];
    assert_int_equal(ports_open_pair(p, ADDR_IPV4, "alice", 5, 2000, &pair[0], token), 0);
    assert_int_equal(ports_open_pair(p, ADDR_IPV4, "alice", 5, 2000, &pair[1], token), 0);
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &other), -EADDRNOTAVAIL);
    ports_sweep(p, 2000 + 29999);
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &other), -EADDRNOTAVAIL);
    ports_sweep(p, 2000 + 30000);
    assert_int_equal(ports_claim(p, token, "alice", 5, 2000, &held), -EADDRNOTAVAIL);
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &other), 0);
    give_back(p, &other);
    give_back(p, &pair[0]);
    give_back(p, &pair[1]);
    ports_free(p);
}

// One user cannot hold every reservation that there is; others go on.
static void test_reservations_of_one_user(void **state)
{
    enum { TOO_MANY = 300 };
    struct ports *p = new_ports(MIN_PORT + 400, MIN_PORT + 1999);
    uint8_t token[PORTS_TOKEN_LEN];
    struct udp_socket s;
    int held = 0;
    while (held < TOO_MANY && !ports_open_pair(p, ADDR_IPV4, "alice", 5, 1000, &s, token)) {
        give_back(p, &s);
        held++;
    }
    assert_int_equal(held, 256);
    assert_int_equal(ports_open_pair(p, ADDR_IPV4, "bob", 3, 1000, &s, token), 0);
    give_back(p, &s);
    ports_sweep(p, 1000 + PORTS_RESERVATION_SECONDS * 1000);
    assert_int_equal(ports_open_pair(p, ADDR_IPV4, "alice", 5, 32000, &s, token), 0);
    give_back(p, &s);
    ports_free(p);
}

// A port that another process holds is passed over, and is not lost.
static void test_busy_port(void **state)
{
    struct ports *p = new_ports(MIN_PORT + 300, MIN_PORT + 301);
    struct addr a = loopback();
    a.port = MIN_PORT + 300;
    struct udp_socket stranger, s, other;
    assert_int_equal(udp_open(&stranger, &a, 0), 0);
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &s), 0);
    assert_int_equal(s.local.port, MIN_PORT + 301);
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &other), -EADDRNOTAVAIL);
    close(stranger.fd);
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &other), 0);
    assert_int_equal(other.local.port, MIN_PORT + 300);
    give_back(p, &s);
    give_back(p, &other);
    ports_free(p);
}

// A port is one allocation's, whatever the protocol, and what another process listens on is passed
// over. From the address of a socket that listens others connect.
static void test_tcp(void **state)
{
    struct ports *p = new_ports(MIN_PORT + 310, MIN_PORT + 312);
    struct addr a = loopback(), local[2];
    struct udp_socket s, other;
    int fd[2];
    a.port = MIN_PORT + 311;
    int stranger = host_listen(&a);
    assert_true(stranger >= 0);
    assert_int_equal(ports_open_tcp(p, ADDR_IPV4, &fd[0], &local[0]), 0);
    assert_int_equal(ports_open_tcp(p, ADDR_IPV4, &fd[1], &local[1]), 0);
    assert_int_not_equal(local[0].port, local[1].port);
    assert_int_not_equal(local[0].port, a.port);
    assert_int_not_equal(local[1].port, a.port);
    // UDP may have the port of that process, but none of ours.
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &s), 0);
    assert_int_equal(s.local.port, a.port);
    assert_int_equal(ports_open(p, ADDR_IPV4, false, &other), -EADDRNOTAVAIL);
    int connected = host_connect_from(&local[0], &local[1]);
    assert_true(connected >= 0);
    int accepted = accept(fd[1], NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(host_probe(&local[0], true), -EADDRINUSE);
    close(accepted);
    close(connected);
    close(stranger);
    give_back(p, &s);
    for (int i = 0; i < 2; i++) {
        close(fd[i]);
        ports_release(p, &local[i]);
    }
    // Connections of theirs that are not quite over keep nobody from the port.
    for (int i = 0; i < 2; i++)
        assert_int_equal(ports_open_tcp(p, ADDR_IPV4, &fd[i], &local[i]), 0);
    for (int i = 0; i < 2; i++)
        close(fd[i]);
    ports_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_ports_and_no_more),
        cmocka_unit_test(test_even),
        cmocka_unit_test(test_family),
        cmocka_unit_test(test_reservation),
        cmocka_unit_test(test_reservations_of_one_user),
        cmocka_unit_test(test_busy_port),
        cmocka_unit_test(test_tcp),
    };
    return cmocka_run_group_tests_name("ports", tests, NULL, NULL);
}
