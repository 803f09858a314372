// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load_client.h"
#include "util/rand.h"

#define WINDOW 64 // requests under way: small enough for the server's default receive buffer
#define RETRY_NS 250000000
#define MAX_TRIES 12
#define MAX_MOVES 8
#define SOCKET_BUFFER (4 << 20)

int64_t load_now_ns(int clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int raise_file_limit(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    if (limit.rlim_cur >= wanted)
        return 0;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted)
        limit.rlim_max = wanted; // needs CAP_SYS_RESOURCE
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

// A UDP socket on the server's loopback address, with room for the receiver to nap. A descriptor or
// a negative errno.
static int open_socket(const struct addr *server)
{
    struct addr any = *server;
    any.port = 0;
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(&any, &ss);
    int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int size = SOCKET_BUFFER, on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static int connect_to(int fd, const struct addr *to)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(to, &ss);
    return connect(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

static int open_peer(const struct addr *server, struct addr *peer)
{
    int fd = open_socket(server);
    if (fd < 0)
        return fd;
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    addr_from_sockaddr(peer, (struct sockaddr *)&ss);
    return fd;
}

// Opens the client's socket. 0 or a negative errno.
static int open_client(struct load_set *set, struct load_client *c)
{
    c->fd = open_socket(&set->server);
    if (c->fd < 0)
        return c->fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int rc = connect_to(c->fd, &set->server);
    if (!rc && epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
        rc = -errno;
    return rc;
}

int load_set_open(struct load_set *set, const struct addr *server, size_t n, bool own_peers)
{
    set->server = *server;
    set->n = n;
    set->shared_peer_fd = -1;
    set->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    set->clients = calloc(n, sizeof *set->clients);
    if (set->epoll_fd < 0 || !set->clients)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        set->clients[i].fd = set->clients[i].peer_fd = -1;
    int rc = raise_file_limit(n * (own_peers ? 2 : 1) + 64);
    if (!rc && !own_peers) {
        set->shared_peer_fd = open_peer(server, &set->shared_peer);
        rc = set->shared_peer_fd < 0 ? set->shared_peer_fd : 0;
    }
    for (size_t i = 0; i < n && !rc; i++) {
        struct load_client *c = &set->clients[i];
        rc = open_client(set, c);
        c->peer = set->shared_peer;
        if (!rc && own_peers) {
            c->peer_fd = open_peer(server, &c->peer);
            rc = c->peer_fd < 0 ? c->peer_fd : 0;
        }
    }
    if (rc)
        fprintf(stderr, "relay_load: cannot open %zu sockets: %s\n", n, strerror(-rc));
    return rc;
}

void load_set_close(struct load_set *set)
{
    for (size_t i = 0; set->clients && i < set->n; i++) {
        if (set->clients[i].fd >= 0)
            close(set->clients[i].fd);
        if (set->clients[i].peer_fd >= 0)
            close(set->clients[i].peer_fd);
    }
    free(set->clients);
    if (set->shared_peer_fd >= 0)
        close(set->shared_peer_fd);
    if (set->epoll_fd >= 0)
        close(set->epoll_fd);
}

static uint16_t step_method(enum load_step step)
{
    return step == LOAD_BIND      ? STUN_CHANNEL_BIND
           : step == LOAD_RELEASE ? STUN_REFRESH
                                  : STUN_ALLOCATE;
}

// Sends the request of the client's step; the same bytes again when it is a retransmission.
static void send_request(struct load_set *set, struct load_client *c, bool again)
{
    uint8_t buf[1024];
    struct stun_writer w;
    if (!again) {
        rand_bytes(c->txid, sizeof c->txid);
        c->tries = 0;
    }
    stun_begin(&w, buf, sizeof buf, STUN_REQUEST, step_method(c->step), c->txid, NULL);
    if (c->step == LOAD_CHALLENGE || c->step == LOAD_ALLOCATE) {
        stun_put_u32(&w, STUN_ATTR_REQUESTED_TRANSPORT, (uint32_t)IPPROTO_UDP << 24);
        if (set->server.family == ADDR_IPV6)
            stun_put_u32(&w, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, 0x02000000);
    } else if (c->step == LOAD_BIND) {
        stun_put_u32(&w, STUN_ATTR_CHANNEL_NUMBER, (uint32_t)LOAD_CHANNEL << 16);
        stun_put_addr(&w, STUN_ATTR_XOR_PEER_ADDRESS, &c->peer);
    } else {
        stun_put_u32(&w, STUN_ATTR_LIFETIME, 0);
    }
    if (c->step != LOAD_CHALLENGE) {
        stun_put_text(&w, STUN_ATTR_USERNAME, set->user);
        stun_put_text(&w, STUN_ATTR_REALM, set->realm);
        stun_put(&w, STUN_ATTR_NONCE, c->nonce, c->nonce_len);
        stun_put_integrity(&w, set->key, sizeof set->key);
    }
    size_t len = stun_end(&w);
    // A failed send is a lost packet: the deadline covers both.
    (void)!send(c->fd, buf, len, MSG_DONTWAIT);
    c->tries++;
    c->deadline = load_now_ns(CLOCK_MONOTONIC) + RETRY_NS;
}

static void begin_step(struct load_set *set, struct load_client *c, enum load_step step)
{
    c->step = step;
    if (step != LOAD_READY && step != LOAD_GONE)
        send_request(set, c, false);
}

// Takes realm and nonce from a 401 or 438. 0 or a negative errno.
static int take_challenge(struct load_set *set, struct load_client *c, const struct stun_msg *msg)
{
    struct stun_attr realm, nonce;
    if (!stun_find(msg, STUN_ATTR_REALM, &realm) || !stun_find(msg, STUN_ATTR_NONCE, &nonce) ||
        realm.len >= sizeof set->realm || nonce.len > sizeof c->nonce)
        return -EPROTO;
    memcpy(c->nonce, nonce.value, nonce.len);
    c->nonce_len = nonce.len;
    if (!set->have_key) {
        memcpy(set->realm, realm.value, realm.len);
        set->realm[realm.len] = 0;
        stun_key_md5(set->key, set->user, strlen(set->user), set->realm, set->password,
                     strlen(set->password));
        set->have_key = true;
    }
    return 0;
}

static int take_success(struct load_set *set, struct load_client *c, const struct stun_msg *msg)
{
    if (c->step == LOAD_ALLOCATE) {
        struct addr relayed;
        int rc = stun_get_addr(msg, STUN_ATTR_XOR_RELAYED_ADDRESS, &relayed);
        if (!rc && c->peer_fd >= 0)
            rc = connect_to(c->peer_fd, &relayed);
        if (!rc)
            begin_step(set, c, LOAD_BIND);
        return rc;
    }
    if (c->step == LOAD_CHALLENGE)
        return -EPROTO; // a server that lets anybody in: not what is to be measured
    begin_step(set, c, c->step == LOAD_BIND ? LOAD_READY : LOAD_GONE);
    return 0;
}

// Starts anew from another port: the server still knows this one from an earlier run (RFC 8656 7.4,
// 437).
static int change_port(struct load_set *set, struct load_client *c)
{
    if (c->moves++ >= MAX_MOVES)
        return -EADDRINUSE;
    close(c->fd);
    int rc = open_client(set, c);
    if (!rc)
        begin_step(set, c, LOAD_CHALLENGE);
    return rc;
}

// Acts on one message from the server; what does not answer the request under way is passed over.
static int take_message(struct load_set *set, struct load_client *c, const uint8_t *data,
                        size_t len)
{
    struct stun_msg msg;
    if (stun_parse(&msg, data, len) != STUN_PARSE_OK ||
        memcmp(msg.txid, c->txid, STUN_TXID_LEN) != 0 || msg.method != step_method(c->step))
        return 0;
    if (msg.class_ == STUN_SUCCESS)
        return take_success(set, c, &msg);
    int code = 0;
    const char *reason = "";
    size_t reason_len = 0;
    if (msg.class_ != STUN_ERROR || stun_get_error(&msg, &code, &reason, &reason_len))
        return -EPROTO;
    if ((c->step == LOAD_CHALLENGE && code == 401) || code == 438) {
        int rc = take_challenge(set, c, &msg);
        if (!rc)
            begin_step(set, c, c->step == LOAD_CHALLENGE ? LOAD_ALLOCATE : c->step);
        return rc;
    }
    if (c->step == LOAD_RELEASE &&
        code == 437) { // it has expired, or the answer to the first try was lost
        begin_step(set, c, LOAD_GONE);
        return 0;
    }
    if (msg.method == STUN_ALLOCATE && code == 437)
        return change_port(set, c);
    fprintf(stderr, "relay_load: %s: %d %.*s\n", stun_method_name(msg.method), code,
            (int)reason_len, reason);
    return -ECONNREFUSED;
}

// One wait for answers. 0 or a negative errno.
static int read_answers(struct load_set *set)
{
    struct epoll_event events[WINDOW];
    int n = epoll_wait(set->epoll_fd, events, WINDOW, 20);
    for (int i = 0; i < n; i++) {
        struct load_client *c = events[i].data.ptr;
        uint8_t buf[2048];
        ssize_t len;
        while ((len = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT)) > 0) {
            int rc = take_message(set, c, buf, (size_t)len);
            if (rc)
                return rc;
        }
    }
    return 0;
}

// Counts the clients of [0, end) that are on their way, and repeats what was not answered.
static int check_clients(struct load_set *set, size_t end, size_t *busy)
{
    int64_t now = load_now_ns(CLOCK_MONOTONIC);
    *busy = 0;
    for (size_t i = 0; i < end; i++) {
        struct load_client *c = &set->clients[i];
        if (c->step == LOAD_NEW || c->step == LOAD_READY || c->step == LOAD_GONE)
            continue;
        (*busy)++;
        if (now < c->deadline)
            continue;
        if (c->tries >= MAX_TRIES) {
            fprintf(stderr, "relay_load: %s: no answer\n", stun_method_name(step_method(c->step)));
            return -ETIMEDOUT;
        }
        set->retransmits++;
        send_request(set, c, true);
    }
    return 0;
}

// Starts `first` on every client below end that is at `from`, WINDOW at a time, and waits until all
// are through.
static int drive(struct load_set *set, size_t end, enum load_step from, enum load_step first)
{
    size_t next = 0, busy = 0;
    int rc = 0;
    do {
        for (; next < end && busy < WINDOW; next++) {
            if (set->clients[next].step == from) {
                begin_step(set, &set->clients[next], first);
                busy++;
            }
        }
        rc = read_answers(set);
        if (!rc)
            rc = check_clients(set, next, &busy);
    } while (!rc && (busy || next < end));
    return rc;
}

int load_set_bind(struct load_set *set, size_t end)
{
    return drive(set, end, LOAD_NEW, LOAD_CHALLENGE);
}

int load_set_release(struct load_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->clients[i].step != LOAD_READY)
            set->clients[i].step = LOAD_GONE; // a failure left it half way: its allocation expires
    }
    return drive(set, set->n, LOAD_READY, LOAD_RELEASE);
}
