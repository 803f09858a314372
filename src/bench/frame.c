// SPDX-License-Identifier: BSD-2-Clause
#include "bench/frame.h"

#include <errno.h>
#include <string.h>

#include "bench/bench.h"
#include "stun/channel_data.h"
#include "stun/message.h"

#define MAGIC 0x74706c64u

// The transaction id need not be a secret: nothing answers an indication.
static size_t write_indication(uint8_t *out, const struct addr *peer, uint32_t payload,
                               const struct stamp *stamp)
{
    static const uint8_t rest[BENCH_MAX_PAYLOAD];
    uint8_t txid[STUN_TXID_LEN];
    struct stun_writer w;
    uint8_t data[BENCH_MAX_PAYLOAD];

    memcpy(txid, &stamp->run, 4);
    memcpy(txid + 4, &stamp->seq, 8);
    memcpy(data, stamp, sizeof(*stamp));
    memcpy(data + sizeof(*stamp), rest, payload - sizeof(*stamp));
    stun_begin(&w, out, payload + FRAME_OVERHEAD, STUN_INDICATION, STUN_SEND, txid, NULL);
    stun_put_addr(&w, STUN_ATTR_XOR_PEER_ADDRESS, peer);
    stun_put(&w, STUN_ATTR_DATA, data, payload);
    return stun_end(&w);
}

size_t frame_write(uint8_t *out, enum frame_kind kind, const struct addr *peer, bool padded,
                   uint32_t payload, struct stamp *stamp)
{
    size_t head = 0, pad = 0;

    stamp->magic = MAGIC;
    if (kind == FRAME_INDICATION)
        return write_indication(out, peer, payload, stamp);
    if (kind == FRAME_CHANNEL) {
        channel_data_header(out, BENCH_CHANNEL, (uint16_t)payload);
        head = CHANNEL_HEADER_LEN;
        pad = padded ? (4 - payload % 4) % 4 : 0;
    }
    memcpy(out + head, stamp, sizeof(*stamp));
    return head + payload + pad;
}

static int open_stun(const uint8_t *data, size_t len, const uint8_t **payload, size_t *payload_len)
{
    struct stun_msg msg;
    struct stun_attr attr;

    if (stun_parse(&msg, data, len) != STUN_PARSE_OK)
        return -EBADMSG;
    if (msg.class_ == STUN_SUCCESS || msg.class_ == STUN_ERROR)
        return 0;
    if (msg.class_ != STUN_INDICATION || msg.method != STUN_DATA ||
        !stun_find(&msg, STUN_ATTR_DATA, &attr))
        return -EBADMSG;
    *payload = attr.value;
    *payload_len = attr.len;
    return 1;
}

int frame_open(enum frame_kind kind, const uint8_t *data, size_t len, const uint8_t **payload,
               size_t *payload_len)
{
    struct channel_data channel;

    if (kind == FRAME_PLAIN) {
        *payload = data;
        *payload_len = len;
        return 1;
    }
    if (len == 0)
        return -EBADMSG;
    if (demux_first_byte(data[0]) == DEMUX_STUN)
        return open_stun(data, len, payload, payload_len);
    if (channel_data_parse(&channel, data, len) < 0 || channel.channel != BENCH_CHANNEL)
        return -EBADMSG;
    *payload = channel.payload;
    *payload_len = channel.len;
    return 1;
}

bool frame_stamp(const uint8_t *payload, size_t len, struct stamp *out)
{
    if (len < sizeof(*out))
        return false;
    memcpy(out, payload, sizeof(*out));
    return out->magic == MAGIC;
}
