// SPDX-License-Identifier: BSD-2-Clause
#include "stun/channel_data.h"

#include <errno.h>

#include "stun/cursor.h"
#include "stun/message.h"

int channel_data_parse(struct channel_data *out, const void *data, size_t len)
{
    struct cursor c = cursor_reader(data, len);
    out->channel = cursor_u16(&c);
    out->len = cursor_u16(&c);
    out->payload = cursor_take(&c, out->len);
    return c.ok && out->channel >= CHANNEL_MIN && out->channel <= CHANNEL_MAX ? 0 : -EBADMSG;
}

void channel_data_header(uint8_t out[CHANNEL_HEADER_LEN], uint16_t channel, uint16_t len)
{
    struct cursor c = cursor_writer(out, CHANNEL_HEADER_LEN);
    cursor_put_u16(&c, channel);
    cursor_put_u16(&c, len);
}

enum demux demux_first_byte(uint8_t b)
{
    if (b <= 3)
        return DEMUX_STUN;
    if (b < 16)
        return DEMUX_UNKNOWN;
    if (b <= 19)
        return DEMUX_ZRTP;
    if (b <= 63)
        return DEMUX_DTLS;
    if (b <= 127)
        return DEMUX_CHANNEL;
    if (b <= 191)
        return DEMUX_RTP;
    return DEMUX_QUIC;
}

enum demux_stream demux_stream_first_byte(uint8_t b)
{
    if (b <= 3)
        return DEMUX_STREAM_STUN;
    if (b == 22)
        return DEMUX_STREAM_TLS;
    return b >= 'A' && b <= 'Z' ? DEMUX_STREAM_HTTP : DEMUX_STREAM_UNKNOWN;
}

int stream_frame_len(const uint8_t *data, size_t len)
{
    struct cursor c = cursor_reader(data, len);
    if (len == 0)
        return 0;
    enum demux kind = demux_first_byte(data[0]);
    if (kind != DEMUX_STUN && kind != DEMUX_CHANNEL)
        return -EPROTO;
    cursor_take(&c, 2);
    uint16_t value_len = cursor_u16(&c);
    if (!c.ok)
        return 0;
    if (kind == DEMUX_CHANNEL)
        return CHANNEL_HEADER_LEN + (value_len + 3) / 4 * 4;
    if (value_len % 4)
        return -EPROTO;
    uint32_t cookie = cursor_u32(&c);
    if (!c.ok)
        return 0;
    return cookie == STUN_MAGIC_COOKIE ? STUN_HEADER_LEN + value_len : -EPROTO;
}
