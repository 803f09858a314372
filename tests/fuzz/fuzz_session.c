// SPDX-License-Identifier: BSD-2-Clause
// Input: flags, then what a server answers to a client of turnpike-bench: messages, each behind its
// length, with the client's transaction id put in. Bit 0: it is the bare forwarder; 1: the client
// uses indications; 2: only relays of this host will do; 3: it is to be given back when it is
// ready.
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/session.h"
#include "stun/cursor.h"

#define FLOOR 1
#define INDICATIONS 2
#define LOOPBACK 4
#define RELEASE 8
#define TXID_AT 8

struct world {
    struct bench_options options;
    struct bench_target target;
    struct session_env env;
    struct bench_client client;
    int server;
};

static void check(const struct world *w)
{
    const struct bench_client *c = &w->client;

    CHECK(c->nonce_len <= sizeof(c->nonce) && c->step <= SESSION_FAILED);
    CHECK(memchr(w->env.realm, 0, sizeof(w->env.realm)));
    CHECK(memchr(w->env.failure, 0, sizeof(w->env.failure)));
    CHECK((c->step == SESSION_FAILED) == (c->failure != 0));
    for (const char *p = w->env.failure; *p; p++)
        CHECK(*p >= 0x20 && *p < 0x7f);
    CHECK(!c->live || c->step >= SESSION_READY);
    CHECK(!c->live || c->step != SESSION_FAILED);
}

static void answer(struct world *w, const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1), sent[2048];

    CHECK(exact);
    memcpy(exact, data, len);
    if (len >= STUN_HEADER_LEN && !w->options.floor)
        memcpy(exact + TXID_AT, w->client.txid, STUN_TXID_LEN);
    session_take(&w->env, &w->client, exact, len);
    free(exact);
    while (recv(w->server, sent, sizeof(sent), 0) > 0)
        ;
    check(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor in = cursor_reader(data, size);
    unsigned flags = cursor_u8(&in);
    struct world w = {
        .options = {.cred = {"user", "password"},
                    .floor = flags & FLOOR,
                    .indications = flags & INDICATIONS},
        .target = {.transport = TRANSPORT_UDP, .loopback_only = flags & LOOPBACK},
        .client = {.peer = {.ip = {127, 0, 0, 1}, .port = 9, .family = ADDR_IPV4}, .peer_fd = -1}};
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds) == 0);
    link_init(&w.client.link, false);
    w.client.link.fd = fds[0];
    w.server = fds[1];
    w.env.options = &w.options;
    w.env.target = &w.target;
    session_begin(&w.env, &w.client, SESSION_CHALLENGE);
    while (cursor_left(&in) >= 2) {
        size_t len = cursor_u16(&in);
        len = len < cursor_left(&in) ? len : cursor_left(&in);
        answer(&w, cursor_take(&in, len), len);
        if (w.client.step == SESSION_READY)
            session_begin(&w.env, &w.client, flags & RELEASE ? SESSION_RELEASE : SESSION_REFRESH);
    }
    link_destroy(&w.client.link);
    close(fds[1]);
    return 0;
}
