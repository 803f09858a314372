// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "stun/channel_data.h"

static void test_round_trip(void **state)
{
    uint8_t buf[12] = {0};
    struct channel_data cd;
    channel_data_header(buf, 0x4abc, 5);
    memcpy(buf + 4, "hello", 5);
    assert_memory_equal(buf, "\x4a\xbc\x00\x05", 4);
    for (size_t len = 9; len <= 12; len++) { // with and without padding
        assert_int_equal(channel_data_parse(&cd, buf, len), 0);
        assert_int_equal(cd.channel, 0x4abc);
        assert_int_equal(cd.len, 5);
        assert_ptr_equal(cd.payload, buf + 4);
    }
}

static void test_length_past_the_datagram(void **state)
{
    uint8_t buf[12];
    struct channel_data cd;
    channel_data_header(buf, 0x4000, 8);
    assert_int_equal(channel_data_parse(&cd, buf, 12), 0);
    for (size_t len = 0; len < 12; len++)
        assert_int_equal(channel_data_parse(&cd, buf, len), -EBADMSG);
    channel_data_header(buf, 0x4000, 0xffff);
    assert_int_equal(channel_data_parse(&cd, buf, 12), -EBADMSG);
    channel_data_header(buf, 0x4000, 0);
    assert_int_equal(channel_data_parse(&cd, buf, 4), 0);
    assert_int_equal(cd.len, 0);
}

static void test_channel_range(void **state)
{
    struct channel_data cd;
    for (uint32_t channel = 0; channel <= 0xffff; channel++) {
        uint8_t buf[4];
        channel_data_header(buf, (uint16_t)channel, 0);
        int want = channel >= 0x4000 && channel <= 0x7fff ? 0 : -EBADMSG;
        assert_int_equal(channel_data_parse(&cd, buf, 4), want);
    }
}

// RFC 7983 section 7 as updated by RFC 9443 section 2, but for the channel numbers of RFC 5766.
static void test_demux(void **state)
{
    for (int b = 0; b < 256; b++) {
        enum demux want = DEMUX_UNKNOWN;
        if (b <= 3)
            want = DEMUX_STUN;
        else if (b >= 16 && b <= 19)
            want = DEMUX_ZRTP;
        else if (b >= 20 && b <= 63)
            want = DEMUX_DTLS;
        else if (b >= 64 && b <= 127)
            want = DEMUX_CHANNEL;
        else if (b >= 128 && b <= 191)
            want = DEMUX_RTP;
        else if (b >= 192)
            want = DEMUX_QUIC;
        assert_int_equal(demux_first_byte((uint8_t)b), want);
    }
}

static void test_stream_channel(void **state)
{
    uint8_t buf[4];
    static const struct {
        uint16_t len;
        int frame;
    } rows[] = {{0, 4},  {1, 8},         {3, 8},         {4, 8},
                {5, 12}, {65532, 65536}, {65533, 65540}, {65535, 65540}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        channel_data_header(buf, 0x4001, rows[i].len);
        for (size_t n = 0; n < 4; n++)
            assert_int_equal(stream_frame_len(buf, n), 0);
        assert_int_equal(stream_frame_len(buf, 4), rows[i].frame);
    }
}

static void test_stream_stun(void **state)
{
    uint8_t buf[20] = {0x00, 0x01, 0x00, 0x08, 0x21, 0x12, 0xa4, 0x42};
    for (size_t n = 0; n < 8; n++)
        assert_int_equal(stream_frame_len(buf, n), 0);
    assert_int_equal(stream_frame_len(buf, 8), 28);
    assert_int_equal(stream_frame_len(buf, 20), 28);
    buf[2] = 0xff;
    buf[3] = 0xfc;
    assert_int_equal(stream_frame_len(buf, 20), 65552);
    buf[3] = 0xfd;
    assert_int_equal(stream_frame_len(buf, 20), -EPROTO);
    assert_int_equal(stream_frame_len(buf, 4), -EPROTO);
    buf[3] = 0x08;
    buf[7] = 0x43;
    assert_int_equal(stream_frame_len(buf, 8), -EPROTO);
}

static void test_stream_refuses(void **state)
{
    static const uint8_t first[] = {4, 15, 16, 22, 63, 128, 192, 255};
    for (size_t i = 0; i < sizeof(first); i++)
        assert_int_equal(stream_frame_len(&first[i], 1), -EPROTO);
}

static void first_byte_of_a_stream(void **state)
{
    for (int b = 0; b < 256; b++) {
        enum demux_stream want = b <= 3                 ? DEMUX_STREAM_STUN
                                 : b == 0x16            ? DEMUX_STREAM_TLS
                                 : b >= 'A' && b <= 'Z' ? DEMUX_STREAM_HTTP
                                                        : DEMUX_STREAM_UNKNOWN;
        assert_int_equal(demux_stream_first_byte((uint8_t)b), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_length_past_the_datagram),
        cmocka_unit_test(test_channel_range),  cmocka_unit_test(test_demux),
        cmocka_unit_test(test_stream_channel), cmocka_unit_test(test_stream_stun),
        cmocka_unit_test(test_stream_refuses), cmocka_unit_test(first_byte_of_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
