// SPDX-License-Identifier: BSD-2-Clause
// The arithmetic of turnpike-bench: histogram, pacing, order, the search of a ramp, axes, packets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "bench/bench.h"
#include "bench/dialect.h"
#include "bench/frame.h"
#include "bench/histogram.h"
#include "bench/order.h"
#include "bench/pace.h"
#include "bench/plot.h"
#include "bench/plot_axis.h"
#include "bench/ramp.h"
#include "bench/wsclient.h"
#include "stun/message.h"

static void test_quantiles(void **state)
{
    struct histogram *h = calloc(1, sizeof(*h)), *sum = calloc(1, sizeof(*sum));
    static const double shares[] = {0.001, 0.5, 0.9, 0.99, 0.999};
    (void)state;
    assert_int_equal(histogram_quantile(h, 0.5), 0);
    for (uint64_t i = 1; i <= 1000000; i++)
        histogram_add(h, i);
    histogram_merge(sum, h);
    histogram_merge(sum, h);
    assert_int_equal(sum->count, 2000000);
    assert_int_equal(sum->max, 1000000);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        double want = shares[i] * 1e6;
        double got = (double)histogram_quantile(sum, shares[i]);
        assert_true(got <= want && got >= want * 0.98 - 1);
    }
    free(h);
    free(sum);
}

static void test_extremes(void **state)
{
    struct histogram *h = calloc(1, sizeof(*h));
    (void)state;
    histogram_add(h, 0);
    histogram_add(h, UINT64_MAX);
    assert_int_equal(h->count, 2);
    assert_int_equal(histogram_quantile(h, 0.5), 0);
    assert_true(histogram_quantile(h, 1) > UINT64_C(1) << 39);
    free(h);
}

// Bars follow one another without a gap and hold all that was counted, each in its own.
static void test_bars(void **state)
{
    static const uint64_t values[] = {3, 63, 64, 79, 80, 127, 128, 1000, 123456, 99999999};
    struct histogram_bar bars[HISTOGRAM_BARS];
    (void)state;
    for (size_t first = 0; first < sizeof(values) / sizeof(values[0]); first++) {
        struct histogram *h = calloc(1, sizeof(*h));
        size_t n, count = 0;
        for (size_t i = first; i < sizeof(values) / sizeof(values[0]); i++)
            histogram_add(h, values[i]);
        n = histogram_bars(h, bars);
        assert_true(n > 0 && bars[0].count > 0 && bars[n - 1].count > 0);
        for (size_t i = 0; i < n; i++) {
            size_t inside = 0;
            assert_true(bars[i].from < bars[i].to);
            if (i)
                assert_int_equal(bars[i].from, bars[i - 1].to);
            for (size_t k = first; k < sizeof(values) / sizeof(values[0]); k++)
                inside += values[k] >= bars[i].from && values[k] < bars[i].to;
            assert_int_equal(bars[i].count, inside);
            count += inside;
        }
        assert_int_equal(count, h->count);
        free(h);
    }
}

static void test_pace(void **state)
{
    uint32_t flows[] = {4, 7, 9};
    struct pace p = {.burst = 8, .flow_count = 3, .flows = flows, .gap_ns = pace_gap(8000, 8)};
    (void)state;
    assert_int_equal(pace_due(&p, -1), 0);
    assert_int_equal(pace_due(&p, 0), 1);
    assert_int_equal(pace_due(&p, 999999), 1);
    assert_int_equal(pace_due(&p, 1000000), 2);
    assert_int_equal(pace_due(&p, 1000000000), 1001);
    assert_int_equal(pace_take(&p), 4);
    assert_int_equal(pace_take(&p), 7);
    assert_int_equal(pace_take(&p), 9);
    assert_int_equal(pace_take(&p), 4);
    assert_int_equal(pace_skip(&p, 10), 6 * 8);
    assert_int_equal(pace_skip(&p, 9), 0);
    assert_int_equal(p.next, 10);
    assert_true(pace_gap(0, 1) > 1e17);
}

static void test_slots(void **state)
{
    static const double seconds[] = {0.05, 0.1, 0.25, 1, 5, 12.8, 13, 600, 86400};
    (void)state;
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        uint32_t count;
        int64_t interval = pace_interval(seconds[i], &count), end = (int64_t)(seconds[i] * 1e9);
        assert_true(count >= 1 && count <= PACE_SLOTS);
        assert_true(count == 1 || interval >= 66000000);
        assert_int_equal(pace_slot(999, 1000, interval, count), 0);
        assert_int_equal(pace_slot(1000, 1000, interval, count), 1);
        assert_int_equal(pace_slot(1000 + end, 1000, interval, count), count);
        assert_true(llabs(interval * count - end) <= count);
    }
}

static void test_order(void **state)
{
    struct order o = {0};
    (void)state;
    assert_int_equal(order_take(&o, 0), ORDER_FIRST);
    assert_int_equal(order_take(&o, 0), ORDER_AGAIN);
    assert_int_equal(order_take(&o, 3), ORDER_FIRST);
    assert_int_equal(order_take(&o, 1), ORDER_LATE);
    assert_int_equal(order_take(&o, 1), ORDER_AGAIN);
    assert_int_equal(order_take(&o, 3), ORDER_AGAIN);
    assert_int_equal(order_take(&o, 66), ORDER_FIRST);
    assert_int_equal(order_take(&o, 3), ORDER_AGAIN);
    assert_int_equal(order_take(&o, 2), ORDER_LATE);
    assert_int_equal(order_take(&o, 1000), ORDER_FIRST);
    assert_int_equal(order_take(&o, 999), ORDER_LATE);
    assert_int_equal(order_take(&o, 999), ORDER_AGAIN);
}

// Against a server whose limit is known.
static void test_ramp(void **state)
{
    static const double limits[] = {50, 1234, 10000, 99999, 3000000};
    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct ramp_search s;
        double rate;
        int steps = 0;
        ramp_start(&s, 10000);
        while ((rate = ramp_next(&s)) > 0 && steps++ < 100)
            ramp_learn(&s, rate, rate <= limits[i] ? RAMP_GOOD : RAMP_LOST);
        assert_true(steps <= RAMP_STEPS);
        assert_true(s.good <= limits[i]);
        assert_true(limits[i] < 100 ? s.good == 0 : s.good >= limits[i] * 0.95);
        assert_int_equal(s.limit, RAMP_LOST);
    }
}

// One bad step is a hiccup; two are a limit, whose kind is kept.
static void test_ramp_twice(void **state)
{
    struct ramp_search s;
    (void)state;
    ramp_start(&s, 1000);
    ramp_learn(&s, 1000, RAMP_GOOD);
    assert_int_equal(ramp_next(&s), 2000);
    ramp_learn(&s, 2000, RAMP_LOST);
    assert_int_equal(ramp_next(&s), 2000);
    ramp_learn(&s, 2000, RAMP_GOOD);
    assert_int_equal(ramp_next(&s), 4000);
    ramp_learn(&s, 4000, RAMP_GENERATOR);
    ramp_learn(&s, 4000, RAMP_GENERATOR);
    assert_int_equal(s.limit, RAMP_GENERATOR);
    assert_int_equal(ramp_next(&s), 3000);
}

static void test_judge(void **state)
{
    struct traffic_result *r = calloc(1, sizeof(*r));
    (void)state;
    assert_int_equal(ramp_judge(r, false), RAMP_GENERATOR);
    r->sent = r->delivered = 100000;
    assert_int_equal(ramp_judge(r, false), RAMP_GOOD);
    r->delivered -= 10;
    assert_int_equal(ramp_judge(r, false), RAMP_GOOD);
    r->delivered -= 1;
    assert_int_equal(ramp_judge(r, false), RAMP_LOST);
    r->unread = 1;
    assert_int_equal(ramp_judge(r, false), RAMP_GENERATOR);
    r->unread = 0;
    r->skipped = 200;
    assert_int_equal(ramp_judge(r, false), RAMP_GENERATOR);
    r->skipped = 0;
    r->delivered = r->sent;
    r->unsendable = 100;
    assert_int_equal(ramp_judge(r, false), RAMP_GENERATOR);
    assert_int_equal(ramp_judge(r, true), RAMP_LOST);
    free(r);
}

static void test_axes(void **state)
{
    static const double values[] = {0.003, 0.9, 1, 3, 7, 10, 19999, 20000, 20001, 54321, 1e9};
    char text[32];
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct plot_axis a;
        plot_axis_linear(&a, values[i]);
        assert_true(a.to >= values[i] * 0.999 && a.to <= values[i] * 1.7);
        assert_true(a.count >= 3 && a.count <= 7);
        assert_true(plot_axis_share(&a, 0) == 0 && plot_axis_share(&a, a.to) == 1);
        plot_axis_log(&a, values[i], values[i] * 30);
        assert_true(a.from <= values[i] * 1.001 && a.to >= values[i] * 29.9 && a.count >= 2);
        assert_true(plot_axis_share(&a, values[i] / 1e6) == 0);
    }
    assert_string_equal(plot_number(20000, text), "20k");
    assert_string_equal(plot_number(1500000, text), "1.5M");
    assert_string_equal(plot_number(0, text), "0");
    assert_string_equal(plot_number(12.5, text), "12.5");
}

static void test_frames(void **state)
{
    static const enum frame_kind kinds[] = {FRAME_PLAIN, FRAME_CHANNEL};
    static const uint32_t payloads[] = {FRAME_MIN_PAYLOAD, 33, 34, 35, 200, BENCH_MAX_PAYLOAD};
    uint8_t buf[BENCH_MAX_PAYLOAD + FRAME_OVERHEAD];
    struct addr peer;
    (void)state;
    assert_int_equal(addr_parse(&peer, "[2001:db8::1]:4000"), 0);
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
            struct stamp in = {.flow = 5, .run = 6, .slot = 7, .seq = 8, .sent_ns = 9}, out;
            const uint8_t *payload;
            size_t len;
            memset(buf, 0, sizeof(buf));
            size_t n = frame_write(buf, kinds[k / 2], &peer, k % 2, payloads[i], &in);
            assert_true(n <= payloads[i] + FRAME_OVERHEAD);
            assert_true(kinds[k / 2] == FRAME_PLAIN || k % 2 == 0 || n % 4 == 0);
            assert_int_equal(frame_open(kinds[k / 2], buf, n, &payload, &len), 1);
            assert_int_equal(len, payloads[i]);
            assert_true(frame_stamp(payload, len, &out));
            assert_memory_equal(&in, &out, sizeof(in));
        }
    }
}

static void test_indications(void **state)
{
    uint8_t buf[BENCH_MAX_PAYLOAD + FRAME_OVERHEAD];
    struct stamp in = {.flow = 5, .seq = 8}, out;
    struct stun_attr data;
    struct stun_msg msg;
    struct addr peer, found;
    const uint8_t *payload;
    size_t len;
    (void)state;
    assert_int_equal(addr_parse(&peer, "[2001:db8::1]:4000"), 0);
    size_t n = frame_write(buf, FRAME_INDICATION, &peer, true, BENCH_MAX_PAYLOAD, &in);
    assert_int_equal(stun_parse(&msg, buf, n), STUN_PARSE_OK);
    assert_int_equal(msg.method, STUN_SEND);
    assert_int_equal(stun_get_addr(&msg, STUN_ATTR_XOR_PEER_ADDRESS, &found), 0);
    assert_true(addr_equal(&peer, &found));
    assert_true(stun_find(&msg, STUN_ATTR_DATA, &data));
    assert_int_equal(data.len, BENCH_MAX_PAYLOAD);
    assert_true(frame_stamp(data.value, data.len, &out));
    assert_int_equal(out.seq, 8);
    // What a server sends is a Data indication, and nobody sends Send to a client.
    assert_int_equal(frame_open(FRAME_CHANNEL, buf, n, &payload, &len), -EBADMSG);
}

static void test_strangers(void **state)
{
    static const uint8_t request[] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1,  2,
                                      3, 4, 5, 6, 7,    8,    9,    10,   11, 12};
    uint8_t response[sizeof(request)], other_channel[] = {0x40, 0x02, 0, 0};
    const uint8_t *payload;
    struct stamp out;
    size_t len;
    (void)state;
    memcpy(response, request, sizeof(request));
    response[0] = 1;
    assert_int_equal(frame_open(FRAME_CHANNEL, response, sizeof(response), &payload, &len), 0);
    assert_int_equal(frame_open(FRAME_CHANNEL, request, sizeof(request), &payload, &len), -EBADMSG);
    assert_int_equal(frame_open(FRAME_CHANNEL, other_channel, 4, &payload, &len), -EBADMSG);
    assert_int_equal(frame_open(FRAME_CHANNEL, request, 0, &payload, &len), -EBADMSG);
    assert_false(frame_stamp(request, sizeof(request), &out));
    assert_false(frame_stamp((const uint8_t[64]){0}, 64, &out));
}

static void test_plot(void **state)
{
    struct traffic_result *r = calloc(1, sizeof(*r));
    char *text = NULL;
    size_t len = 0;
    (void)state;
    r->slot_count = 2;
    r->interval_ns = 100000000;
    r->slots[0] = (struct traffic_slot){
        .sent = 1000, .delivered = 1000, .p50_ns = 20000, .p90_ns = 30000, .p99_ns = 90000};
    r->slots[1] = (struct traffic_slot){.sent = 1000, .delivered = 750};
    r->sent = 2000;
    r->delivered = 1750;
    histogram_add(&r->latency, 20000);
    FILE *f = open_memstream(&text, &len);
    plot_write(f, "a <b> & c", "", r);
    fclose(f);
    assert_non_null(strstr(text, "a &lt;b&gt; &amp; c"));
    assert_non_null(strstr(text, "25.0000 % lost"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_non_null(strstr(text, "</svg>"));
    free(text);
    free(r);
}

static void test_dialects(void **state)
{
    char text[DIALECT_TEXT], longer[2 * DIALECT_TEXT];
    (void)state;
    assert_true(dialect_fill(text, "$me>$peer@$room.", 0xab, 7) > 0);
    assert_string_equal(text, "c000000ab-7>c000000ab-6@r000000ab-3.");
    assert_int_equal(dialect_fill(text, "$nobody", 1, 1), 0);
    memset(longer, 'x', sizeof(longer));
    memcpy(longer + DIALECT_TEXT - 4, "$me", 4);
    assert_int_equal(dialect_fill(text, longer, 1, 1), 0);
    longer[DIALECT_TEXT - 4] = '\0';
    assert_int_equal(dialect_fill(text, longer, 1, 1), DIALECT_TEXT - 4);
    for (size_t i = 0; i < DIALECTS; i++) {
        assert_true(dialect_fill(text, dialects[i].path, 1, 1) > 0);
        assert_true(dialect_fill(text, dialects[i].before, 1, 1) > 0);
        assert_int_equal(dialect_fill(text, dialects[i].behind, 1, 1), dialects[i].tail);
    }
}

// Frames come out as they went in, and half a frame is none.
static void test_websocket(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 125, 126, 65535, 65536};
    static uint8_t frame[70000], plain[70000];
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = sizes[i], head = wsclient_header(frame, WSCLIENT_TEXT, n, 0x01020304);
        struct wsclient_frame f;
        assert_int_equal(head, n < 126 ? 6 : n < 65536 ? 8 : 14);
        memset(frame + head, 'x', n);
        wsclient_mask(frame + head, n, 0x01020304);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(frame[head + k] ^ frame[head - 4 + k % 4], 'x');
        assert_int_equal(wsclient_read(&f, frame, head + n), -1); // masked: of a client
        // As a server has it: the same without mask.
        memcpy(plain, frame, head - 4);
        plain[1] &= 0x7f;
        memset(plain + head - 4, 'x', n);
        for (size_t len = 0; len < head - 4 + n; len += 1 + n / 9)
            assert_int_equal(wsclient_read(&f, plain, len), 0);
        assert_int_equal(wsclient_read(&f, plain, sizeof(plain)), head - 4 + n);
        assert_int_equal(f.opcode, WSCLIENT_TEXT);
        assert_int_equal(f.len, n);
        assert_ptr_equal(f.data, plain + head - 4);
    }
    assert_int_equal(wsclient_read(&(struct wsclient_frame){0}, (const uint8_t *)"\x01\x00", 2),
                     -1);
    assert_int_equal(wsclient_read(&(struct wsclient_frame){0}, (const uint8_t *)"\xc1\x00", 2),
                     -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles), cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_bars),      cmocka_unit_test(test_pace),
        cmocka_unit_test(test_slots),     cmocka_unit_test(test_order),
        cmocka_unit_test(test_ramp),      cmocka_unit_test(test_ramp_twice),
        cmocka_unit_test(test_judge),     cmocka_unit_test(test_axes),
        cmocka_unit_test(test_frames),    cmocka_unit_test(test_indications),
        cmocka_unit_test(test_strangers), cmocka_unit_test(test_plot),
        cmocka_unit_test(test_dialects),  cmocka_unit_test(test_websocket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
