// SPDX-License-Identifier: BSD-2-Clause
// The packets that are relayed: a payload that says whose it is, and what is around it on the way.
// No I/O.
#ifndef TP_BENCH_FRAME_H
#define TP_BENCH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

// At the start of each payload, in host order: it comes back to this process.
struct stamp {
    uint32_t magic;
    uint32_t flow; // index of the client * 2 + direction
    uint32_t run;  // tells the runs of one server apart
    uint32_t slot; // interval of the time line that it is counted in; 0: not measured
    uint64_t seq;
    int64_t sent_ns; // CLOCK_REALTIME
};

enum flow_direction { FLOW_UP, FLOW_DOWN };

#define FRAME_MIN_PAYLOAD sizeof(struct stamp)
#define FRAME_OVERHEAD 64 // of the longest header and padding

enum frame_kind {
    FRAME_PLAIN,      // as peers send it
    FRAME_CHANNEL,    // ChannelData on BENCH_CHANNEL
    FRAME_INDICATION, // Send and Data indications
};

// Writes a packet of payload bytes (FRAME_MIN_PAYLOAD..BENCH_MAX_PAYLOAD) that begins with the
// stamp into out, which holds payload + FRAME_OVERHEAD bytes. padded: for a stream (RFC 8656 12.5).
// What the rest of the payload holds does not matter. Returns the length.
size_t frame_write(uint8_t *out, enum frame_kind kind, const struct addr *peer, bool padded,
                   uint32_t payload, struct stamp *stamp);

// What has come is one of: a payload, 1; a STUN response, which belongs to the control path, 0;
// anything else, -EBADMSG.
int frame_open(enum frame_kind kind, const uint8_t *data, size_t len, const uint8_t **payload,
               size_t *payload_len);

// Takes the stamp off. False when the payload is not of this tool.
bool frame_stamp(const uint8_t *payload, size_t len, struct stamp *out);

#endif
