// SPDX-License-Identifier: BSD-2-Clause
// Batches over real sockets on the loopback interface.
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/udp.h"

static int wakes;

static void wake(void *arg)
{
    wakes++;
}

struct pair {
    struct io *io;
    struct udp_socket a, b;
};

static void bind_with(struct udp_socket *s, const char *ip, unsigned flags)
{
    struct addr local;
    assert_int_equal(addr_parse_ip(&local, ip, 0), 0);
    assert_int_equal(udp_open(s, &local, flags), 0);
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&ss, &len), 0);
    assert_int_equal(addr_from_sockaddr(&s->local, (struct sockaddr *)&ss), 0);
}

static void bind_any_port(struct udp_socket *s, const char *ip)
{
    bind_with(s, ip, UDP_BIG_BUFFERS);
}

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    p->io = io_new(wake, NULL);
    assert_non_null(p->io);
    bind_any_port(&p->a, "127.0.0.1");
    bind_any_port(&p->b, "127.0.0.1");
    wakes = 0;
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    udp_close(p->io, &p->a);
    udp_close(p->io, &p->b);
    io_free(p->io);
    free(p);
    return 0;
}

static void queue(struct pair *p, const struct addr *to, const void *data, size_t len)
{
    struct io_out *out = io_queue(p->io, &p->a.sink);
    out->to = *to;
    out->from = p->a.local;
    out->iov[0] = (struct iovec){(void *)(uintptr_t)data, len};
    out->iov_count = 1;
    out->len = (uint32_t)len;
}

// Takes everything apart that arrives at b until `want` datagrams have, and checks their order and
// bytes.
static void expect(struct pair *p, const uint8_t *data, const size_t *lens, unsigned want)
{
    unsigned got = 0;
    size_t at = 0;
    while (got < want) {
        struct pollfd fd = {p->b.fd, POLLIN, 0};
        assert_int_equal(poll(&fd, 1, 2000), 1);
        struct udp_in in[UDP_BATCH];
        bool drained;
        unsigned n = udp_receive(p->io, &p->b, in, UDP_BATCH, &drained);
        for (unsigned i = 0; i < n; i++) {
            assert_true(addr_equal(&in[i].from, &p->a.local));
            assert_true(addr_equal(&in[i].to, &p->b.local));
            uint32_t pos = 0;
            do {
                uint32_t len = in[i].len - pos < in[i].segment ? in[i].len - pos : in[i].segment;
                assert_true(got < want);
                assert_int_equal(len, lens[got]);
                assert_memory_equal(in[i].data + pos, data + at, len);
                at += len;
                pos += len;
                got++;
            } while (pos < in[i].len);
        }
    }
}

// Runs of equal and unequal lengths, empty datagrams among them, arrive one for one and in order,
// in fewer system calls.
static void test_runs(void **state)
{
    struct pair *p = *state;
    enum { N = 200 };
    static uint8_t data[N * 1200];
    size_t lens[N], at = 0;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    for (unsigned i = 0; i < N; i++)
        lens[i] = i < 100 ? 1200 : i % 7 == 0 ? 0 : i % 5 == 0 ? 900 : 1000;
    for (unsigned i = 0; i < N; i++) {
        queue(p, &p->b.local, data + at, lens[i]);
        at += lens[i];
    }
    assert_int_equal(wakes, 1);
    io_flush(p->io);
    assert_int_equal(io_counters(p->io)->datagrams_out, N);
    assert_int_equal(io_counters(p->io)->dropped, 0);
    assert_true(io_counters(p->io)->writes <= 4);
    expect(p, data, lens, N);
}

// A message that the kernel refuses takes nothing with it.
static void test_refused_message(void **state)
{
    struct pair *p = *state;
    static uint8_t data[66000];
    size_t lens[2] = {10, 10};
    queue(p, &p->b.local, data, 10);
    queue(p, &p->b.local, data, 65600); // longer than UDP can carry
    queue(p, &p->b.local, data + 10, 10);
    io_flush(p->io);
    assert_int_equal(io_counters(p->io)->dropped, 1);
    assert_int_equal(io_counters(p->io)->datagrams_out, 2);
    expect(p, data, lens, 2);
}

// A destination that cannot be reached at all, such as a client that sent from port 0, does not
// make the socket give up segments for everybody else.
static void test_refused_destination_keeps_segments(void **state)
{
    struct pair *p = *state;
    static uint8_t data[4 * 100];
    static const size_t lens[4] = {100, 100, 100, 100};
    struct addr nowhere = p->b.local;
    nowhere.port = 0;
    uint16_t before = p->a.gso_max;
    queue(p, &nowhere, data, 100);
    queue(p, &nowhere, data, 100);
    io_flush(p->io);
    assert_int_equal(io_counters(p->io)->dropped, 2);
    assert_int_equal(p->a.gso_max, before);
    for (int i = 0; i < 4; i++)
        queue(p, &p->b.local, data + i * 100, 100);
    io_flush(p->io);
    expect(p, data, lens, 4);
}

// More than the queue holds: it is sent in between, and nothing is lost or reordered.
static void test_queue_overflow(void **state)
{
    struct pair *p = *state;
    enum { N = 3000 };
    static uint8_t data[N];
    static size_t lens[N];
    for (unsigned i = 0; i < N; i++) {
        data[i] = (uint8_t)i;
        lens[i] = 1;
        queue(p, &p->b.local, data + i, 1);
    }
    io_flush(p->io);
    expect(p, data, lens, N);
}

static void test_retired_sink(void **state)
{
    struct pair *p = *state;
    struct udp_socket c;
    bind_any_port(&c, "127.0.0.1");
    uint8_t byte = 7;
    size_t len = 1;
    struct io_out *out = io_queue(p->io, &c.sink);
    out->to = p->a.local;
    out->from = c.local;
    out->iov[0] = (struct iovec){&byte, 1};
    out->iov_count = 1;
    out->len = 1;
    queue(p, &p->b.local, &byte, 1);
    udp_close(p->io, &c); // what it had is sent first
    struct pollfd fd = {p->a.fd, POLLIN, 0};
    assert_int_equal(poll(&fd, 1, 2000), 1);
    queue(p, &p->b.local, &byte, 1);
    io_flush(p->io);
    size_t lens[2] = {len, len};
    uint8_t bytes[2] = {7, 7};
    expect(p, bytes, lens, 2);
}

// A socket on every address answers from the one that was asked.
static void test_wildcard_source(void **state)
{
    struct pair *p = *state;
    struct udp_socket any;
    bind_any_port(&any, "0.0.0.0");
    struct addr to = any.local;
    assert_int_equal(addr_parse_ip(&to, "127.0.0.77", any.local.port), 0);
    queue(p, &to, "ask", 3);
    io_flush(p->io);
    struct pollfd fd = {any.fd, POLLIN, 0};
    assert_int_equal(poll(&fd, 1, 2000), 1);
    struct udp_in in[1];
    bool drained;
    assert_int_equal(udp_receive(p->io, &any, in, 1, &drained), 1);
    assert_true(addr_equal(&in[0].to, &to));
    assert_true(io_queue_copy(p->io, &any.sink, &in[0].from, &in[0].to, "answer", 6));
    io_flush(p->io);
    fd.fd = p->a.fd;
    assert_int_equal(poll(&fd, 1, 2000), 1);
    assert_int_equal(udp_receive(p->io, &p->a, in, 1, &drained), 1);
    assert_true(addr_equal(&in[0].from, &to));
    assert_int_equal(in[0].len, 6);
    udp_close(p->io, &any);
}

static void queue_from(struct pair *p, struct udp_socket *s, const struct addr *to,
                       const void *data, size_t len)
{
    struct io_out *out = io_queue(p->io, &s->sink);
    out->to = *to;
    out->from = s->local;
    out->iov[0] = (struct iovec){(void *)(uintptr_t)data, len};
    out->iov_count = 1;
    out->len = (uint32_t)len;
}

static unsigned arrived(struct pair *p, struct udp_socket *s)
{
    struct udp_in in[UDP_BATCH];
    unsigned count = 0;
    bool drained = false;
    while (!drained) {
        unsigned n = udp_receive(p->io, s, in, UDP_BATCH, &drained);
        for (unsigned i = 0; i < n; i++)
            count += in[i].segment ? (in[i].len + in[i].segment - 1) / in[i].segment : 1;
    }
    return count;
}

// An error about one datagram fails a later call, whatever that sends; nothing is lost by it,
// alone, in a batch, or in segments.
static void test_errors_of_others(void **state)
{
    struct pair *p = *state;
    struct udp_socket s, gone;
    static uint8_t data[4 * 100];
    bind_with(&s, "127.0.0.1", UDP_ICMP_ERRORS);
    bind_any_port(&gone, "127.0.0.1");
    struct addr dead = gone.local, third = p->a.local;
    udp_close(p->io, &gone);
    for (int round = 0; round < 20; round++) {
        queue_from(p, &s, &dead, data, 10);
        io_flush(p->io); // loopback: the error is there when it returns
        s.errors_seen = false;
        switch (round % 3) {
        case 0:
            queue_from(p, &s, &p->b.local, data, 100);
            break;
        case 1:
            queue_from(p, &s, &p->b.local, data, 100);
            queue_from(p, &s, &dead, data, 10);
            queue_from(p, &s, &third, data, 10);
            break;
        case 2:
            for (int i = 0; i < 4; i++)
                queue_from(p, &s, &p->b.local, data + i * 100, 100);
            break;
        }
        io_flush(p->io);
        assert_true(s.errors_seen);
        assert_int_equal(s.gso_max, p->a.gso_max);
        assert_int_equal(arrived(p, &p->b), round % 3 == 2 ? 4 : 1);
        assert_int_equal(arrived(p, &p->a), round % 3 == 1);
        assert_int_equal(io_counters(p->io)->dropped, 0);
    }
    struct udp_error errors[4];
    bool drained = false;
    unsigned count = 0;
    while (!drained) {
        unsigned n = udp_receive_errors(p->io, &s, errors, 4, &drained);
        for (unsigned i = 0; i < n; i++) {
            assert_true(addr_equal(&errors[i].to, &dead));
            assert_int_equal(errors[i].type, 3);
            assert_int_equal(errors[i].code, 3);
            assert_int_equal(errors[i].mtu, 0);
        }
        count += n;
    }
    assert_true(count >= 20);
    assert_false(s.errors_seen);
    assert_int_equal(udp_receive_errors(p->io, &s, errors, 4, &drained), 0);
    assert_true(drained);
    udp_close(p->io, &s);
}

// A path that took no segments is not held against all the others for ever.
static void test_segments_come_back(void **state)
{
    struct pair *p = *state;
    static uint8_t data[200];
    if (p->a.gso_max == 0)
        skip();
    p->a.gso_max = 50;
    p->a.gso_missed = 3;
    for (int round = 0; round < 4; round++) {
        assert_int_equal(p->a.gso_max, round < 3 ? 50 : UINT16_MAX);
        queue(p, &p->b.local, data, 10); // fits
        queue(p, &p->a.local, data, 100);
        queue(p, &p->b.local, data, 100);
        queue(p, &p->b.local, data + 100, 100);
        io_flush(p->io);
    }
    assert_int_equal(arrived(p, &p->b), 12);
    assert_int_equal(arrived(p, &p->a), 4);
}

// A long datagram's memory is given back in the second quiet second after it, and not sooner.
static void test_trim(void **state)
{
    struct pair *p = *state;
    static uint8_t data[30000];
    memset(data, 0x5a, sizeof data);
    const size_t lens[] = {sizeof data};
    queue(p, &p->b.local, data, sizeof data);
    io_flush(p->io);
    expect(p, data, lens, 1);
    const uint8_t *last = io_slot(p->io, 0) + sizeof data - 1;
    io_trim(p->io);
    assert_int_equal(*last, 0x5a);
    io_trim(p->io);
    assert_int_equal(*last, 0);
}

// A connected socket takes what its peer sends and leaves the rest to the first one; both send from
// the same address.
static void test_connected(void **state)
{
    struct pair *p = *state;
    struct pair other = {.io = p->io};
    assert_int_equal(udp_open_connected(&other.a, &p->a, &p->b.local), 0);
    bind_any_port(&other.b, "127.0.0.1");
    char hello[] = "hello";
    struct udp_socket *const senders[] = {&other.a, &p->a};
    for (unsigned i = 0; i < 2; i++) {
        struct io_out *out = io_queue(p->io, &senders[i]->sink);
        *out = (struct io_out){.to = p->b.local, .iov = {{hello, 5}}, .iov_count = 1, .len = 5};
        io_flush(p->io);
        expect(p, (const uint8_t *)hello, (const size_t[]){5}, 1);
    }
    struct pair back = {.io = p->io, .a = p->b, .b = other.a};
    queue(&back, &p->a.local, "from the peer", 13);
    io_flush(p->io);
    expect(&back, (const uint8_t *)"from the peer", (const size_t[]){13}, 1);
    back.a = other.b;
    back.b = p->a;
    queue(&back, &p->a.local, "from another", 12);
    io_flush(p->io);
    expect(&back, (const uint8_t *)"from another", (const size_t[]){12}, 1);
    udp_close(p->io, &other.a);
    udp_close(p->io, &other.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_destination_keeps_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queue_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retired_sink, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wildcard_source, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trim, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_segments_come_back, setup, teardown),
    };
    return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}
