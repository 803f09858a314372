// SPDX-License-Identifier: BSD-2-Clause
// Batched input and output of one worker. What a loop turn receives lies in an arena; what it sends
// is queued as pointers into that arena, gathered by socket, and leaves when the turn ends: few
// system calls, no copies, no allocation per packet.
#ifndef TP_NET_IO_H
#define TP_NET_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/addr.h"

// A slot takes the largest thing that one read can return: a coalesced run of datagrams (UDP_GRO),
// or the unfinished frame of a stream with room to go on. In front of it lies room for a header.
#define IO_HEADROOM 64
#define IO_SLOT_DATA (65536 + 1024)
#define IO_HEAD_MAX                                                                                \
    52 // header that does not fit in place: the longest is that of a Data indication

struct io;

// One datagram or frame on its way out.
struct io_out {
    struct io_out *next;
    struct addr to;   // destination (datagrams)
    struct addr from; // source, for sockets that listen on every address
    struct iovec iov[3];
    uint32_t len; // sum over iov
    uint8_t iov_count;
    uint8_t head[IO_HEAD_MAX];
};

// Somewhere that output goes: a UDP socket, a client's stream.
struct io_sink {
    struct io_sink *pending_next;
    struct io_out *head, *tail;
    void (*flush)(struct io *io, struct io_sink *sink); // sends head..tail, in order
    bool pending;
};

// Counters of one worker, summed when they are read.
struct io_counters {
    uint64_t datagrams_in, datagrams_out; // on the wire: a coalesced run counts each
    uint64_t reads, writes;               // system calls
    uint64_t dropped;                     // could not be sent: full buffers, unreachable, too long
    uint64_t limited;                     // not relayed: over a bandwidth limit
};

// Called once when a queue turns non-empty, so that the owner arranges for io_flush at the end of
// its loop turn.
typedef void io_wake(void *arg);

// NULL when out of memory. Untouched slots take no memory.
struct io *io_new(io_wake *wake, void *arg);
void io_free(struct io *io);

// Claims up to want free slots, at least one; what is queued is sent first if there are none.
// *first is the index of the first of the returned number. No caller may still need bytes of an
// earlier claim but through what it queued.
unsigned io_claim(struct io *io, unsigned want, unsigned *first);

// Gives back the last n claimed slots that turned out not to be needed.
void io_unclaim(struct io *io, unsigned n);

// The data of a slot: IO_SLOT_DATA bytes, IO_HEADROOM writable bytes in front of it.
uint8_t *io_slot(struct io *io, unsigned index);

// So many bytes of a slot were written to.
void io_filled(struct io *io, size_t len);

// Once a second: gives memory back that long runs of datagrams took, when there have been none
// for as long.
void io_trim(struct io *io);

// Queues an output to a sink; the caller fills iov, len, to and from. Never fails: a full queue is
// sent first.
struct io_out *io_queue(struct io *io, struct io_sink *sink);

// Queues a copy of short data (an answer). False if len is beyond 2 KiB.
bool io_queue_copy(struct io *io, struct io_sink *sink, const struct addr *to,
                   const struct addr *from, const void *data, size_t len);

// Sends all that is queued.
void io_flush(struct io *io);

// Sends what is queued to one sink and forgets it: before the sink is freed.
void io_sink_retire(struct io *io, struct io_sink *sink);

// For whoever sends past the queue and counts that; borrowed as long as io lives.
struct io_counters *io_counters(struct io *io);

#endif
