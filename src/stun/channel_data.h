// SPDX-License-Identifier: BSD-2-Clause
// ChannelData (RFC 8656 section 12.4) and telling the protocols apart by their first byte (RFC
// 7983, RFC 9443).
#ifndef TP_STUN_CHANNEL_DATA_H
#define TP_STUN_CHANNEL_DATA_H

#include <stddef.h>
#include <stdint.h>

#define CHANNEL_HEADER_LEN 4
#define CHANNEL_MIN 0x4000
// RFC 8656 section 12 ends the range at 0x4FFF so that QUIC can share a port (RFC 9443). A TURN
// server's port carries no QUIC, and clients written for RFC 5766 pick numbers up to 0x7FFF: they
// are served.
#define CHANNEL_MAX 0x7FFF

struct channel_data {
    uint16_t channel;
    uint16_t len;
    const uint8_t *payload;
};

// Parses one ChannelData message of a datagram; trailing padding is allowed. 0, or -EBADMSG: short,
// number out of range, length past the datagram.
int channel_data_parse(struct channel_data *out, const void *data, size_t len);

// Writes the 4-byte header.
void channel_data_header(uint8_t out[CHANNEL_HEADER_LEN], uint16_t channel, uint16_t len);

enum demux {
    DEMUX_STUN,    // 0..3
    DEMUX_ZRTP,    // 16..19
    DEMUX_DTLS,    // 20..63
    DEMUX_CHANNEL, // 64..127, see CHANNEL_MAX
    DEMUX_QUIC,    // 192..255 (RFC 9443)
    DEMUX_RTP,     // 128..191
    DEMUX_UNKNOWN,
};
enum demux demux_first_byte(uint8_t b);

// What a client that has just connected speaks, by its first byte. TLS begins with a handshake
// record (22), and no client without an allocation sends ChannelData, so that letters are the
// method of an HTTP request.
enum demux_stream {
    DEMUX_STREAM_STUN,
    DEMUX_STREAM_TLS,
    DEMUX_STREAM_HTTP,
    DEMUX_STREAM_UNKNOWN,
};
enum demux_stream demux_stream_first_byte(uint8_t b);

// Framing on a stream (RFC 8656 12.5: ChannelData is padded to 4 bytes there; STUN always is).
// Looks at the first bytes and says how long the frame that starts there is, padding included:
// > 0 the length; 0 more bytes are needed to tell; -EPROTO what starts there is neither STUN nor
// ChannelData (a STUN header must have its magic cookie here, a STUN length that is no multiple of
// 4 is refused).
int stream_frame_len(const uint8_t *data, size_t len);

#endif
