// SPDX-License-Identifier: BSD-2-Clause
// Input: flags, then what a server sends to turnpike-probe: on a stream (bit 0) as it is, else
// datagrams, each behind its length. Bit 1: ChannelData may come, too; 2: the client only polls,
// else it learns realm and nonce from what is a challenge, and signs a request with them.
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe/client.h"
#include "stun/channel_data.h"
#include "stun/cursor.h"

#define STREAM 1
#define CHANNELS 2
#define POLLS 4
#define DATAGRAMS_MAX 8 // the kernel queues ten on such a socket
#define STREAM_MAX 60000

static void on_data(void *arg, const struct addr *peer, uint16_t channel, const uint8_t *data,
                    size_t len)
{
    const struct client *c = arg;
    CHECK(peer ? channel == 0 && addr_ip_len(peer) > 0
               : channel >= CHANNEL_MIN && channel <= CHANNEL_MAX);
    CHECK(data >= c->in && len <= sizeof(c->in) && data + len <= c->in + sizeof(c->in));
}

static void fill(int fd, bool stream, const uint8_t *data, size_t size)
{
    struct cursor c = cursor_reader(data, size);

    if (stream)
        CHECK(send(fd, data, size, 0) == (ssize_t)size);
    for (int i = 0; !stream && i < DATAGRAMS_MAX && cursor_left(&c) >= 2; i++) {
        size_t len = cursor_u16(&c);
        len = len < cursor_left(&c) ? len : cursor_left(&c);
        CHECK(send(fd, cursor_take(&c, len), len, 0) == (ssize_t)len);
    }
    shutdown(fd, SHUT_WR);
}

static void learn(struct client *c, const uint8_t *data, size_t len)
{
    struct stun_msg msg;
    char realm[sizeof(c->realm)];

    if (stun_parse(&msg, data, len) != STUN_PARSE_OK || msg.class_ != STUN_ERROR)
        return;
    memcpy(realm, c->realm, sizeof(realm));
    if (client_learn(c, &msg) == 0) {
        CHECK(c->signed_in && c->nonce_len <= sizeof(c->nonce));
        CHECK(c->algorithms_len <= sizeof(c->algorithms) && c->sha256 == (c->algorithm != 0));
        CHECK(client_request(c, STUN_REFRESH, NULL, 0) < 0); // there is no time for an answer
    }
    CHECK(memchr(c->realm, 0, sizeof(c->realm)));
}

static void run(struct client *c, bool polls)
{
    static uint8_t message[CONN_BUFFER];
    ssize_t n;

    if (polls) {
        CHECK(client_poll(c) <= 0);
        return;
    }
    while ((n = conn_recv(c->conn, message, sizeof(message), 0)) > 0) {
        CHECK((size_t)n <= sizeof(message));
        uint8_t *exact = malloc((size_t)n);
        CHECK(exact);
        memcpy(exact, message, (size_t)n);
        learn(c, exact, (size_t)n);
        free(exact);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct credentials cred = {"user", "password"};
    static struct client c;
    static struct conn conn;
    int fds[2];
    if (size < 1 || size > STREAM_MAX)
        return 0;
    bool stream = data[0] & STREAM;

    CHECK(socketpair(AF_UNIX, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0, fds) == 0);
    fill(fds[1], stream, data + 1, size - 1);
    conn.transport = stream ? TRANSPORT_TCP : TRANSPORT_UDP;
    conn.fd = fds[0];
    conn.channels = data[0] & CHANNELS;
    conn.in_len = 0;
    c.conn = &conn;
    c.cred = &cred;
    c.on_data = on_data;
    c.arg = &c;
    c.realm[0] = '\0';
    c.nonce_len = c.algorithms_len = 0;
    c.algorithm = 0;
    c.sha256 = c.signed_in = false;
    run(&c, data[0] & POLLS);
    close(fds[0]);
    close(fds[1]);
    return 0;
}
