// SPDX-License-Identifier: BSD-2-Clause
// One client: its socket, its way into the room, what it reads and writes.
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/rooms.h"
#include "bench/wsclient.h"
#include "util/codec.h"

static void watch(struct rooms *r, struct room_client *c, int op, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.u32 = c->index};
    epoll_ctl(r->epoll_fd, op, c->fd, &ev);
}

static void __attribute__((format(printf, 3, 4)))
fail(struct rooms *r, struct room_client *c, const char *fmt, ...)
{
    va_list ap;
    if (!r->failure[0]) {
        va_start(ap, fmt);
        vsnprintf(r->failure, sizeof(r->failure), fmt, ap);
        va_end(ap);
    }
    room_close(r, c);
}

void room_close(struct rooms *r, struct room_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    r->ready -= c->state == ROOM_READY;
    r->gone += c->state != ROOM_GONE;
    c->state = ROOM_GONE;
    c->fd = -1;
    free(c->in);
    free(c->out);
    free(c->text);
    c->in = c->out = NULL;
    c->text = NULL;
    c->credit = 0;
}

int room_connect(struct rooms *r, struct room_client *c)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(&r->target->server, &ss);
    int on = 1;

    c->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->state = ROOM_CONNECTING;
    if (connect(c->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
        return -errno;
    watch(r, c, EPOLL_CTL_ADD, EPOLLOUT);
    return 0;
}

// --- writing ---

// Keeps what the socket did not take.
static void keep(struct rooms *r, struct room_client *c, const uint8_t *data, size_t len)
{
    uint8_t *all = malloc(len);
    if (!all) {
        fail(r, c, "out of memory");
        return;
    }
    memcpy(all, data, len);
    free(c->out);
    c->out = all;
    c->out_at = 0;
    c->out_len = len;
}

// How many bytes the socket has taken; -1: it has failed.
static ssize_t put(struct rooms *r, struct room_client *c, const uint8_t *data, size_t len)
{
    ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    fail(r, c, "the server has ended a connection: %s", strerror(errno));
    return -1;
}

static void write_bytes(struct rooms *r, struct room_client *c, const uint8_t *data, size_t len)
{
    ssize_t n = put(r, c, data, len);
    if (n < 0 || (size_t)n == len)
        return;
    keep(r, c, data + n, len - (size_t)n);
    if (c->state == ROOM_GONE)
        return;
    c->waits = true;
    watch(r, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

void room_send(struct rooms *r, struct room_client *c)
{
    while (c->credit > 0 && c->state == ROOM_READY && !c->waits) {
        size_t len = room_message_write(r, c, r->output, ROOMS_OUTPUT);
        write_bytes(r, c, r->output, len);
    }
}

// What is not a message goes at once, or not at all: nothing of it is long.
static void say(struct rooms *r, struct room_client *c, uint8_t opcode, const void *data,
                size_t len)
{
    uint8_t frame[WSCLIENT_HEADER_MAX + DIALECT_TEXT];
    if (len <= DIALECT_TEXT && !c->waits)
        write_bytes(r, c, frame, room_frame_write(r, frame, opcode, data, len));
}

static void go_on_writing(struct rooms *r, struct room_client *c)
{
    ssize_t n = put(r, c, c->out + c->out_at, c->out_len - c->out_at);
    if (n < 0)
        return;
    c->out_at += (size_t)n;
    if (c->out_at < c->out_len)
        return;
    free(c->out);
    c->out = NULL;
    c->waits = false;
    watch(r, c, EPOLL_CTL_MOD, EPOLLIN);
    room_send(r, c);
}

// --- the way into the room ---

static void begin_step(struct rooms *r, struct room_client *c)
{
    const struct dialect_step *step = &r->dialect->steps[c->step];
    char text[DIALECT_TEXT];

    if (step->say) {
        say(r, c, WSCLIENT_TEXT, text, dialect_fill(text, step->say, r->run, c->index));
        c->step++;
        return;
    }
    c->state = ROOM_READY;
    r->ready++;
}

static void upgrade(struct rooms *r, struct room_client *c)
{
    char path[DIALECT_TEXT], host[ADDR_STRLEN], text[2 * DIALECT_TEXT];
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        fail(r, c, "cannot connect: %s", strerror(error));
        return;
    }
    dialect_fill(path, r->dialect->path, r->run, c->index);
    int len =
        snprintf(text, sizeof(text),
                 "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                 path, addr_format(&r->target->server, host));
    c->state = ROOM_UPGRADING;
    watch(r, c, EPOLL_CTL_MOD, EPOLLIN);
    write_bytes(r, c, (const uint8_t *)text, (size_t)len);
}

// The answer to the upgrade. Returns how long it is, 0 until it is whole.
static size_t take_answer(struct rooms *r, struct room_client *c, const uint8_t *data, size_t len)
{
    const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
    if (!end || len < 12)
        return 0;
    if (memcmp(data, "HTTP/1.1 101", 12) != 0) {
        char line[84];
        const uint8_t *cr = memchr(data, '\r', len);
        fail(r, c, "no WebSocket of this dialect is there: %s",
             text_escape(line, sizeof(line), data, (size_t)(cr - data)));
        return 0;
    }
    c->state = ROOM_JOINING;
    if (!r->dialect->steps[0].wait)
        begin_step(r, c);
    return (size_t)(end - data) + 4;
}

// Nothing of it would be measured that is worth something.
static void refused(struct rooms *r, struct room_client *c, const struct wsclient_frame *f)
{
    const char *code = "error", *message = "no message";
    char said[sizeof(r->failure)], shown[sizeof(r->failure) - 32];
    json_t *root = json_loadb((const char *)f->data, f->len, 0, NULL);
    json_unpack(root, "{s:s, s:s}", "code", &code, "message", &message);
    int len = snprintf(said, sizeof(said), "%s: %s", code, message);
    size_t whole = len < 0 ? 0 : (size_t)len < sizeof(said) ? (size_t)len : sizeof(said) - 1;
    fail(r, c, "the server refuses: %s", text_escape(shown, sizeof(shown), said, whole));
    json_decref(root);
}

static void take_text(struct rooms *r, struct room_client *c, const struct wsclient_frame *f)
{
    const struct dialect *d = r->dialect;
    const char *wait = d->steps[c->step].wait;

    if (c->state == ROOM_READY && room_message_take(r, c, f->data, f->len))
        return;
    if (d->ping && f->len == strlen(d->ping) && memcmp(f->data, d->ping, f->len) == 0)
        say(r, c, WSCLIENT_TEXT, d->pong, strlen(d->pong));
    else if (d->error && memmem(f->data, f->len, d->error, strlen(d->error)))
        refused(r, c, f);
    else if (c->state == ROOM_JOINING && wait && memmem(f->data, f->len, wait, strlen(wait)))
        begin_step(r, c);
}

// --- reading ---

static void take_frame(struct rooms *r, struct room_client *c, const struct wsclient_frame *f)
{
    if (f->opcode == WSCLIENT_TEXT)
        take_text(r, c, f);
    else if (f->opcode == WSCLIENT_PING)
        say(r, c, WSCLIENT_PONG, f->data, f->len);
    else if (f->opcode == WSCLIENT_CLOSE)
        fail(r, c, "the server closes with %u",
             f->len >= 2 ? (unsigned)f->data[0] << 8 | f->data[1] : 1005u);
}

// Takes what is whole; returns how many bytes that were.
static size_t take_whole(struct rooms *r, struct room_client *c, const uint8_t *data, size_t len)
{
    size_t at = c->state == ROOM_UPGRADING ? take_answer(r, c, data, len) : 0;
    while (c->state == ROOM_JOINING || c->state == ROOM_READY) {
        struct wsclient_frame f;
        long n = wsclient_read(&f, data + at, len - at);
        if (n < 0)
            fail(r, c, "a frame that is not expected");
        if (n <= 0)
            break;
        take_frame(r, c, &f);
        at += (size_t)n;
    }
    return at;
}

static void read_more(struct rooms *r, struct room_client *c)
{
    size_t had = c->in_len;
    if (had)
        memcpy(r->input, c->in, had);
    ssize_t n = recv(c->fd, r->input + had, ROOMS_INPUT - had, 0);
    if (n <= 0) {
        if (n == 0)
            fail(r, c, "the server has ended a connection");
        else if (errno != EAGAIN && errno != EINTR)
            fail(r, c, "the server has ended a connection: %s", strerror(errno));
        return;
    }
    r->read_ns = bench_now(CLOCK_MONOTONIC);
    size_t len = had + (size_t)n, used = take_whole(r, c, r->input, len);
    if (c->state == ROOM_GONE)
        return;
    free(c->in);
    c->in = NULL;
    c->in_len = len - used;
    if (c->in_len == 0)
        return;
    c->in = c->in_len < ROOMS_INPUT ? malloc(c->in_len) : NULL;
    if (!c->in)
        fail(r, c, "out of memory, or a frame that is too long");
    else
        memcpy(c->in, r->input + used, c->in_len);
}

void room_event(struct rooms *r, struct room_client *c, uint32_t events)
{
    if (c->state == ROOM_CONNECTING) {
        upgrade(r, c);
        return;
    }
    if (c->state != ROOM_GONE && events & EPOLLOUT && c->waits)
        go_on_writing(r, c);
    if (c->state != ROOM_GONE && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_more(r, c);
}
