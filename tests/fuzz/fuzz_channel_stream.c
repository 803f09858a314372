// SPDX-License-Identifier: BSD-2-Clause
// Input: a count, that many lengths of pieces, then a byte stream of STUN and ChannelData. The
// frames found must not depend on how TCP cuts the stream.
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "stun/channel_data.h"
#include "stun/message.h"

struct result {
    uint64_t hash; // over offset, length and content of each frame
    size_t frames, consumed;
    bool broken; // -EPROTO was seen
};

static void note(struct result *r, uint64_t value)
{
    r->hash = (r->hash ^ value) * 0x100000001b3u;
}

static void take_frame(struct result *r, const uint8_t *frame, size_t len)
{
    struct channel_data cd;
    struct stun_msg msg;

    note(r, r->consumed);
    note(r, len);
    if (demux_first_byte(frame[0]) == DEMUX_CHANNEL) {
        CHECK(len % 4 == 0 && channel_data_parse(&cd, frame, len) == 0);
        CHECK(cd.payload == frame + CHANNEL_HEADER_LEN);
        CHECK(cd.len + 4u <= len && cd.len + 4u + 3u >= len);
        for (size_t i = 0; i < cd.len; i++)
            note(r, cd.payload[i]);
    } else {
        note(r, (uint64_t)stun_parse(&msg, frame, len));
    }
    r->frames++;
    r->consumed += len;
}

// Takes what is complete in data[r->consumed, have), of which a copy is made so that a sanitizer
// sees a look at bytes that have not come yet.
static void drain(struct result *r, const uint8_t *data, size_t have)
{
    while (!r->broken && r->consumed < have) {
        size_t left = have - r->consumed;
        uint8_t *block = malloc(left);
        if (!block)
            abort();
        memcpy(block, data + r->consumed, left);
        int len = stream_frame_len(block, left);
        CHECK(len == -EPROTO || len >= 0);
        r->broken = len < 0;
        bool whole = len > 0 && (size_t)len <= left;
        if (whole)
            take_frame(r, block, (size_t)len);
        free(block);
        if (!whole)
            return;
    }
}

// Fewer bytes say less, never something else.
static void check_prefixes(const uint8_t *data, size_t size)
{
    int whole = stream_frame_len(data, size);
    for (size_t n = 0; n < size && n < 24; n++) {
        int len = stream_frame_len(data, n);
        CHECK(len == 0 || len == whole);
    }
    CHECK(size < 8 || whole != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result at_once = {0}, in_pieces = {0};
    size_t cuts = size ? data[0] % 32u : 0, have = 0;

    if (size < 1 + cuts)
        return 0;
    const uint8_t *pieces = data + 1, *stream = pieces + cuts;
    size_t len = size - 1 - cuts;

    check_prefixes(stream, len);
    drain(&at_once, stream, len);
    for (size_t i = 0; i < cuts && have < len; i++) {
        have += pieces[i] < len - have ? pieces[i] : len - have;
        drain(&in_pieces, stream, have);
    }
    drain(&in_pieces, stream, len);
    CHECK(at_once.hash == in_pieces.hash && at_once.frames == in_pieces.frames);
    CHECK(at_once.consumed == in_pieces.consumed && at_once.broken == in_pieces.broken);
    return 0;
}
