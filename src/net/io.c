// SPDX-License-Identifier: BSD-2-Clause
#include "net/io.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 512
#define PAGE 4096
// A slot begins with a page, so that a small datagram touches no second one...
#define SLOT_STRIDE ((IO_HEADROOM + COLORS * CACHE_LINE + IO_SLOT_DATA + PAGE - 1) / PAGE * PAGE)
// ...and at different cache lines of it, or the first bytes of all slots would share one set.
#define CACHE_LINE 64
#define COLORS 16
#define OUTS 1024
#define COPY_SPACE 65536
#define COPY_MAX 2048

struct io {
    uint8_t *arena;
    unsigned used; // slots claimed since the queue was last empty
    bool deep,
        was_deep; // slots were filled beyond their first page since the last io_trim, or before
    struct io_sink *pending, **pending_tail;
    unsigned queued;
    size_t copied;
    io_wake *wake;
    void *wake_arg;
    struct io_counters counters;
    struct io_out outs[OUTS];
    uint8_t copies[COPY_SPACE];
};

struct io *io_new(io_wake *wake, void *arg)
{
    struct io *io = calloc(1, sizeof *io);
    if (!io)
        return NULL;
    io->arena = mmap(NULL, (size_t)SLOTS * SLOT_STRIDE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (io->arena == MAP_FAILED) {
        free(io);
        return NULL;
    }
    madvise(io->arena, (size_t)SLOTS * SLOT_STRIDE, MADV_NOHUGEPAGE);
    io->pending_tail = &io->pending;
    io->wake = wake;
    io->wake_arg = arg;
    return io;
}

void io_free(struct io *io)
{
    if (!io)
        return;
    munmap(io->arena, (size_t)SLOTS * SLOT_STRIDE);
    free(io);
}

uint8_t *io_slot(struct io *io, unsigned index)
{
    return io->arena + (size_t)index * SLOT_STRIDE + (index % COLORS) * CACHE_LINE + IO_HEADROOM;
}

void io_filled(struct io *io, size_t len)
{
    if (len > PAGE - IO_HEADROOM - COLORS * CACHE_LINE)
        io->deep = true;
}

void io_trim(struct io *io)
{
    if (io->was_deep && !io->deep && io->queued == 0)
        madvise(io->arena, (size_t)SLOTS * SLOT_STRIDE, MADV_DONTNEED);
    io->was_deep = io->deep || (io->was_deep && io->queued > 0);
    io->deep = false;
}

unsigned io_claim(struct io *io, unsigned want, unsigned *first)
{
    if (io->used == SLOTS)
        io_flush(io);
    if (io->queued == 0)
        io->used = 0;
    unsigned n = SLOTS - io->used;
    if (n > want)
        n = want;
    *first = io->used;
    io->used += n;
    return n;
}

void io_unclaim(struct io *io, unsigned n)
{
    io->used -= n;
}

struct io_out *io_queue(struct io *io, struct io_sink *sink)
{
    if (io->queued == OUTS)
        io_flush(io);
    if (io->queued == 0)
        io->wake(io->wake_arg);
    struct io_out *out = &io->outs[io->queued++];
    out->next = NULL;
    if (sink->pending) {
        sink->tail->next = out;
    } else {
        sink->head = out;
        sink->pending = true;
        sink->pending_next = NULL;
        *io->pending_tail = sink;
        io->pending_tail = &sink->pending_next;
    }
    sink->tail = out;
    return out;
}

bool io_queue_copy(struct io *io, struct io_sink *sink, const struct addr *to,
                   const struct addr *from, const void *data, size_t len)
{
    if (len > COPY_MAX)
        return false;
    if (COPY_SPACE - io->copied < len)
        io_flush(io);
    struct io_out *out = io_queue(io, sink); // may flush, so the place is taken after it
    uint8_t *copy = io->copies + io->copied;
    io->copied += len;
    memcpy(copy, data, len);
    out->to = *to;
    out->from = *from;
    out->iov[0] = (struct iovec){copy, len};
    out->iov_count = 1;
    out->len = (uint32_t)len;
    return true;
}

static void flush_sink(struct io *io, struct io_sink *sink)
{
    sink->flush(io, sink);
    sink->pending = false;
    sink->head = sink->tail = NULL;
}

void io_flush(struct io *io)
{
    while (io->pending) {
        struct io_sink *sink = io->pending;
        io->pending = sink->pending_next;
        flush_sink(io, sink);
    }
    io->pending_tail = &io->pending;
    io->queued = 0;
    io->copied = 0;
}

void io_sink_retire(struct io *io, struct io_sink *sink)
{
    if (!sink->pending)
        return;
    struct io_sink **link = &io->pending;
    while (*link != sink)
        link = &(*link)->pending_next;
    *link = sink->pending_next;
    if (!*link)
        io->pending_tail = link;
    flush_sink(io, sink);
}

struct io_counters *io_counters(struct io *io)
{
    return &io->counters;
}
