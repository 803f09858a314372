// SPDX-License-Identifier: BSD-2-Clause
#include "bench/link_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stun/channel_data.h"

#define BUFFER 32768
#define ROUNDS 4 // reads of one turn

struct link_stream {
    size_t in_len;            // bytes of frames that have not come whole
    size_t out_from, out_len; // what the kernel has not taken of the last frames
    uint8_t in[BUFFER], out[BUFFER];
};

struct link_stream *link_stream_new(void)
{
    struct link_stream *s = malloc(sizeof(*s));
    if (s)
        s->in_len = s->out_from = s->out_len = 0;
    return s;
}

static ssize_t write_some(struct link *l, const uint8_t *data, size_t len)
{
    if (l->tls)
        return tls_write(l->tls, data, len);
    ssize_t n = send(l->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

static ssize_t read_some(struct link *l, uint8_t *buf, size_t cap)
{
    if (l->tls)
        return tls_read(l->tls, buf, cap);
    ssize_t n = recv(l->fd, buf, cap, MSG_DONTWAIT);
    return n < 0 ? -errno : n == 0 ? -EPIPE : n;
}

// Sends what is left of earlier frames. True when all of it has gone.
static bool flush(struct link *l)
{
    struct link_stream *s = l->stream;
    while (s->out_from < s->out_len) {
        ssize_t n = write_some(l, s->out + s->out_from, s->out_len - s->out_from);
        if (n <= 0)
            return false;
        s->out_from += (size_t)n;
    }
    s->out_from = s->out_len = 0;
    return true;
}

unsigned link_stream_send(struct link *l, const uint8_t *data, size_t len, unsigned n)
{
    struct link_stream *s = l->stream;
    size_t total, left;
    ssize_t done;

    if (!flush(l) || len > BUFFER)
        return 0;
    if (n > BUFFER / len)
        n = (unsigned)(BUFFER / len);
    total = len * n;
    done = write_some(l, data, total);
    // OpenSSL may have made a record of it already and asks for the same bytes again.
    if (done == -EAGAIN && l->tls)
        done = 0;
    else if (done <= 0)
        return 0;
    // A frame that has begun must be ended; the ones behind it are kept too: they were taken.
    left = total - (size_t)done;
    memcpy(s->out, data + done, left);
    s->out_len = left;
    return n;
}

// Hands out the frames that have come whole. 0 or -EPROTO.
static int take_frames(struct link_stream *s, link_take *take, void *arg, int64_t now)
{
    size_t pos = 0;
    while (pos < s->in_len) {
        int len = stream_frame_len(s->in + pos, s->in_len - pos);
        if (len < 0 || len > BUFFER)
            return -EPROTO;
        if (len == 0 || (size_t)len > s->in_len - pos)
            break;
        take(arg, s->in + pos, (size_t)len, now);
        pos += (size_t)len;
    }
    s->in_len -= pos;
    memmove(s->in, s->in + pos, s->in_len);
    return 0;
}

int link_stream_read(struct link *l, link_take *take, void *arg)
{
    struct link_stream *s = l->stream;
    if (s->out_len)
        flush(l);
    for (int i = 0; i < ROUNDS; i++) {
        ssize_t n = read_some(l, s->in + s->in_len, BUFFER - s->in_len);
        if (n <= 0)
            return n == -EAGAIN || n == -EINTR ? 0 : n == 0 ? -EPIPE : (int)n;
        s->in_len += (size_t)n;
        int rc = take_frames(s, take, arg, bench_now(CLOCK_REALTIME));
        if (rc < 0)
            return rc;
    }
    return 1;
}
