// SPDX-License-Identifier: BSD-2-Clause
// Input: flags, then what a signaling server sends to a client of turnpike-bench, in pieces, each
// behind its length. Bits 0 and 1 of the flags: the dialect; 2: the client sends messages once it
// is in its room; 3: it is in its room from the start.
#include "fuzz.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/rooms.h"
#include "stun/cursor.h"

#define SENDS 4
#define READY 8
#define CLIENTS 2
#define SIZE 64 // bytes of a message

static uint8_t input[ROOMS_INPUT], output[ROOMS_OUTPUT];

static void check(const struct rooms *r, const struct room_client *c)
{
    CHECK(memchr(r->failure, 0, sizeof(r->failure)));
    for (const char *p = r->failure; *p; p++)
        CHECK(*p >= 0x20 && *p < 0x7f);
    CHECK(r->ready <= 1 && r->gone <= 1 && r->todo_len <= CLIENTS);
    if (c->state == ROOM_GONE)
        CHECK(c->fd < 0 && !c->in && !c->out && r->gone == 1 && r->failure[0]);
    else
        CHECK(c->in_len < ROOMS_INPUT && !c->in == !c->in_len && c->step < DIALECT_STEPS);
}

static void piece(struct rooms *r, struct room_client *c, int server, const uint8_t *data,
                  size_t len)
{
    if (len)
        CHECK(send(server, data, len, 0) == (ssize_t)len);
    room_event(r, c, EPOLLIN | EPOLLOUT);
    if (r->sending && c->state == ROOM_READY) {
        CHECK(c->text || room_message_prepare(r, c) == 0);
        c->credit = 3;
        room_send(r, c);
    }
    while (recv(server, output, sizeof(output), 0) > 0)
        ;
    check(r, c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor in = cursor_reader(data, size);
    unsigned flags = cursor_u8(&in);
    struct bench_options options = {.size = SIZE};
    struct bench_target target = {
        .server = {.ip = {127, 0, 0, 1}, .port = 80, .family = ADDR_IPV4}};
    struct room_client clients[CLIENTS] = {{.state = ROOM_CONNECTING},
                                           {.fd = -1, .index = 1, .state = ROOM_READY}};
    uint32_t todo[CLIENTS];
    struct rooms *r = calloc(1, sizeof(*r));
    int fds[2];

    CHECK(r && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    clients[0].fd = fds[0];
    r->options = &options;
    r->target = &target;
    r->dialect = &dialects[(flags & 3) % DIALECTS];
    r->clients = clients;
    r->n = CLIENTS;
    r->todo = todo;
    r->epoll_fd = -1;
    r->sending = r->measuring = flags & SENDS;
    r->input = input;
    r->output = output;
    room_event(r, &clients[0], EPOLLOUT); // asks for the upgrade
    if (flags & READY) {
        clients[0].state = ROOM_READY;
        r->ready = 1;
    }
    while (cursor_left(&in) >= 2 && clients[0].state != ROOM_GONE) {
        size_t len = cursor_u16(&in);
        len = len < cursor_left(&in) ? len : cursor_left(&in);
        piece(r, &clients[0], fds[1], cursor_take(&in, len), len);
    }
    if (clients[0].state != ROOM_GONE)
        room_close(r, &clients[0]);
    close(fds[1]);
    free(r);
    return 0;
}
