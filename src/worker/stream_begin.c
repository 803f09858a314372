// SPDX-License-Identifier: BSD-2-Clause
// What comes before the frames of a connection: the header of the PROXY protocol, the first byte
// that tells TLS from what is not, the ClientHello that tells whose TLS it is, the handshake, and a
// first byte inside where the ClientHello did not tell. None of it takes a byte that belongs to
// what follows: a connection of HTTP leaves from here as it came, or with its TLS.
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/proxy.h"
#include "net/tls_hello.h"
#include "stun/channel_data.h"
#include "worker/stream.h"

static void enter(struct stream *s, enum stream_stage stage)
{
    s->stage = stage;
    s->active_ms = clock_ms();
}

static enum stream_stage after_proxy(const struct stream *s)
{
    return s->http || conf_transport_secure(s->accepts) ? STREAM_FIRST : STREAM_OPEN;
}

void stream_begin_first(struct stream *s, const struct conf_listen *listen)
{
    s->accepts = listen->transport;
    s->http = listen->http;
    s->stage = listen->proxy_protocol ? STREAM_PROXY : after_proxy(s);
}

// How many bytes are there to be looked at, at most cap; 0: none yet, or it has been closed.
static size_t peek(struct stream *s, uint8_t *buf, size_t cap)
{
    ssize_t got = recv(s->fd, buf, cap, MSG_PEEK);
    if (got > 0)
        return (size_t)got;
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        stream_close(s, got == 0 ? "by the client, which had said nothing" : "it broke");
    return 0;
}

// --- the PROXY protocol ---

static bool take_header(struct stream *s, const struct proxy_header *h)
{
    const struct addr *client = h->local ? &s->tuple.client : &h->client;
    const struct addr *local = h->local ? &s->tuple.local : &h->dest;
    if (!stream_set_client(s, client, local)) {
        stream_refuse(s, "its source has limits.tcp_connections already");
        return false;
    }
    enter(s, after_proxy(s));
    return true;
}

// The bytes of an unfinished header are taken out of the socket, so that it is not readable for
// their sake; those behind it stay there.
static bool read_header(struct stream *s)
{
    uint8_t data[PROXY_HEADER_MAX];
    struct proxy_header header;
    const char *why;
    size_t kept = s->partial_len;
    if (kept)
        memcpy(data, s->partial, kept);
    size_t got = peek(s, data + kept, sizeof data - kept);
    if (!got)
        return false;
    int len = proxy_parse(&header, data, kept + got, &why);
    if (len < 0) {
        stream_refuse(s, why);
        return false;
    }
    size_t take = len ? (size_t)len - kept : got;
    if (recv(s->fd, data + kept, take, 0) != (ssize_t)take) {
        stream_close(s, "it broke");
        return false;
    }
    if (!stream_keep(s, data, len ? 0 : kept + got)) {
        stream_close(s, "out of memory");
        return false;
    }
    return len > 0 && take_header(s, &header);
}

// --- HTTP ---

// Whatever this worker knows of the descriptor is gone before another thread has it.
static void leave_for_http(struct stream *s, bool tls)
{
    struct worker *w = s->worker;
    const struct addr client = s->tuple.client;
    const struct log_about about = {.client = &client};
    SSL *begun = s->stage == STREAM_INSIDE ? stream_tls_take(s) : NULL;
    int fd = stream_dissolve(s);
    int err = w->http_take ? w->http_take(w->http, fd, &client, tls, begun) : -ENOENT;
    if (err) {
        SSL_free(begun);
        close(fd);
    }
    if (log_on(LOG_LVL_DEBUG))
        log_line(LOG_LVL_DEBUG, "tcp", &about, "connection of HTTP%s %s", tls ? "S" : "",
                 err ? "closed: out of memory" : "handed over");
}

// --- TLS, or not ---

const char *stream_mistaken(const struct stream *s, uint8_t first)
{
    bool plain = s->stage == STREAM_OPEN || conf_transport_plain(s->accepts);
    switch (demux_stream_first_byte(first)) {
    case DEMUX_STREAM_TLS:
        if (!conf_transport_secure(s->accepts))
            return "TLS on a plain port";
        break;
    case DEMUX_STREAM_HTTP:
        return s->http ? "HTTP in the clear on a port for TLS only"
                       : "HTTP, which is not served here";
    case DEMUX_STREAM_STUN:
        if (!plain)
            return "plain STUN on a port for TLS only";
        break;
    case DEMUX_STREAM_UNKNOWN:
        break;
    }
    return plain ? "something that is neither STUN nor ChannelData" : "something that is not TLS";
}

static bool start_tls(struct stream *s)
{
    if (!stream_tls_start(s)) {
        stream_refuse(s, "no memory, or no room within limits.tls_handshakes, for TLS");
        return false;
    }
    enter(s, STREAM_HANDSHAKE);
    return true;
}

static bool look_at_first(struct stream *s)
{
    uint8_t first;
    if (!peek(s, &first, 1))
        return false;
    switch (demux_stream_first_byte(first)) {
    case DEMUX_STREAM_TLS:
        if (!conf_transport_secure(s->accepts))
            break;
        if (!s->http)
            return start_tls(s);
        enter(s, STREAM_HELLO);
        return true;
    case DEMUX_STREAM_STUN:
        if (conf_transport_plain(s->accepts)) {
            enter(s, STREAM_OPEN);
            return true;
        }
        break;
    case DEMUX_STREAM_HTTP:
        if (s->http && conf_transport_plain(s->accepts)) {
            leave_for_http(s, false);
            return false;
        }
        break;
    case DEMUX_STREAM_UNKNOWN:
        break;
    }
    stream_refuse(s, stream_mistaken(s, first));
    return false;
}

// What has come stays in the socket, which therefore is to be readable only when there is more. If
// it is all the same, the client has ended it, or the kernel has no room for more: TLS finds out,
// and reads.
static bool look_at_hello(struct stream *s)
{
    uint8_t data[TLS_HELLO_MAX];
    bool http = false;
    size_t got = peek(s, data, sizeof data);
    if (!got)
        return false;
    size_t wants = got > s->peeked ? tls_hello_look(data, got, &http) : 0;
    int lowest = wants ? (int)wants : 1;
    s->peeked = got;
    setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &lowest, sizeof lowest);
    if (wants)
        return false;
    if (!http)
        return start_tls(s);
    leave_for_http(s, true);
    return false;
}

static bool go_on_with_handshake(struct stream *s)
{
    const char *why;
    int err = stream_tls_handshake(s, &why);
    if (!err) {
        enter(s, s->http ? STREAM_INSIDE : STREAM_OPEN);
        return true;
    }
    if (err == -EPROTO) {
        char text[256];
        snprintf(text, sizeof text, "TLS handshake: %s", why);
        stream_refuse(s, text);
    } else if (err != -EAGAIN) {
        stream_close(s, "by the client, in the middle of the TLS handshake");
    }
    return false;
}

// A client whose offer has told nothing: TURN begins with STUN, HTTP with a letter, as in the
// clear. It may be silent for as long as any that has no allocation.
static bool look_inside(struct stream *s)
{
    uint8_t first;
    int got = stream_tls_look(s, &first);
    if (got <= 0) {
        if (got != -EAGAIN)
            stream_close(s, got == 0 ? "by the client" : "it broke");
        return false;
    }
    if (demux_stream_first_byte(first) != DEMUX_STREAM_HTTP) {
        stream_tls_settle(s);
        s->stage = STREAM_OPEN;
        return true;
    }
    const char *why = stream_tls_bars_http(s);
    if (why)
        stream_refuse(s, why);
    else
        leave_for_http(s, true);
    return false;
}

bool stream_begin(struct stream *s)
{
    if (s->stage == STREAM_PROXY && !read_header(s))
        return false;
    if (s->stage == STREAM_FIRST && !look_at_first(s))
        return false;
    if (s->stage == STREAM_HELLO && !look_at_hello(s))
        return false;
    if (s->stage == STREAM_HANDSHAKE && !go_on_with_handshake(s))
        return false;
    if (s->stage == STREAM_INSIDE && !look_inside(s))
        return false;
    return true;
}

bool stream_begin_expired(struct stream *s, int64_t now_ms)
{
    // A client of a port for both that says nothing may well be a plain one, which may be idle.
    if (s->stage == STREAM_OPEN || s->stage == STREAM_INSIDE ||
        (s->stage == STREAM_FIRST && conf_transport_plain(s->accepts)) ||
        now_ms - s->active_ms < (int64_t)s->worker->snapshot->conf->limits.tls_timeout * 1000)
        return false;
    if (s->stage == STREAM_PROXY)
        stream_refuse(s, "no whole PROXY header within limits.tls_timeout seconds");
    else
        stream_refuse(s, "no whole TLS handshake within limits.tls_timeout seconds");
    return true;
}
