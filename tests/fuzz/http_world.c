// SPDX-License-Identifier: BSD-2-Clause
#include "http_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 9500 // and the next ones, below those of the other tests
#define PORTS 200

static char *format(const char *how, ...) __attribute__((format(printf, 1, 2)));

static char *format(const char *how, ...)
{
    char *text;
    va_list args;
    va_start(args, how);
    CHECK(vasprintf(&text, how, args) >= 0);
    va_end(args);
    return text;
}

static struct snapshot *make_snapshot(const char *settings, const char *address, unsigned port)
{
    static const uint8_t nonce_key[32] = {1};
    struct conf_errors errors;
    const char *why;
    char *text = format("realm = \"example.org\"; listen = ( { transport = \"udp\"; address = "
                        "\"%s\"; port = %u; } );\n"
                        "relay = { addresses = [ \"127.0.0.1\" ]; }; auth = { stores = [ ]; };\n"
                        "signal = { address = \"%s\"; port = %u; %s };\n",
                        address, port, address, port, settings);
    struct conf *conf = conf_load_text(text, "fuzz", false, NULL, 0, &errors);
    if (!conf)
        fprintf(stderr, "%s%s", text, errors.text);
    CHECK(conf);
    free(text);
    struct snapshot *s = snapshot_new(conf, nonce_key, "a secret of this process", &why);
    CHECK(s);
    return s;
}

struct http *world_server(const char *settings)
{
    static unsigned next_port = PORT;
    struct http *h = NULL;
    const char *why = "";
    // An address of this process: others of this program run at the same time.
    unsigned pid = (unsigned)getpid();
    char *address = format("127.%u.%u.%u", 64 + (pid >> 16 & 63), pid >> 8 & 255, pid & 255);

    log_setup(LOG_LVL_ERROR, LOG_FMT_TEXT, "stderr");
    setenv("EVENT_PRECISE_TIMER", "1", 1); // libevent's clock has ticks of milliseconds otherwise
    while (!h && next_port < PORT + PORTS) {
        struct snapshot *s = make_snapshot(settings, address, next_port++);
        if (http_new(&h, s, &why))
            h = NULL;
        snapshot_unref(s);
    }
    if (!h)
        fprintf(stderr, "%s\n", why);
    CHECK(h);
    free(address);
    return h;
}

void world_turn(struct http *h)
{
    // What a connection puts off, so that others have their turn, is due a microsecond later.
    for (int i = 0; i < 3; i++) {
        struct timespec began, now;
        event_base_loop(h->base, EVLOOP_NONBLOCK);
        clock_gettime(CLOCK_MONOTONIC, &began);
        do
            clock_gettime(CLOCK_MONOTONIC, &now);
        while (now.tv_sec == began.tv_sec && now.tv_nsec < began.tv_nsec + 2000);
    }
    event_base_loop(h->base, EVLOOP_NONBLOCK);
}

void world_connect(struct world_client *c, struct http *h)
{
    const struct addr *at = &http_conf(h)->signal.listen.addr;
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(at->port)};
    // Without a good-bye, so that the port is free at once.
    const struct linger linger = {1, 0};
    int on = 1;

    *c = (struct world_client){.http = h};
    memcpy(&sin.sin_addr, at->ip, 4);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(c->fd >= 0);
    CHECK(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    CHECK(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    // On loopback the handshake is over when this returns.
    int err = connect(c->fd, (struct sockaddr *)&sin, sizeof sin);
    CHECK(err == 0 || errno == EINPROGRESS);
    world_turn(h);
}

static bool take(struct world_client *c)
{
    uint8_t buf[65536];
    ssize_t n = recv(c->fd, buf, sizeof buf, 0);
    if (n > 0) {
        c->received = realloc(c->received, c->len + (size_t)n + 1);
        memcpy(c->received + c->len, buf, (size_t)n);
        c->len += (size_t)n;
        c->received[c->len] = 0;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        c->ended = true;
    }
    return n > 0;
}

static void settle(struct world_client *c)
{
    do
        world_turn(c->http);
    while (take(c));
}

void world_say(struct world_client *c, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0 && !c->ended) {
        ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break; // the server has closed it
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
        settle(c);
    }
}

void world_say_cut(struct world_client *c, const uint8_t *data, size_t len, const uint8_t *cuts,
                   size_t cut_count)
{
    for (size_t i = 0; i < cut_count && len > 0; i++) {
        size_t n = cuts[i] < len ? cuts[i] : len;
        world_say(c, data, n);
        data += n;
        len -= n;
    }
    world_say(c, data, len);
}

void world_finish(struct world_client *c)
{
    shutdown(c->fd, SHUT_WR);
    settle(c);
}

void world_disconnect(struct world_client *c)
{
    close(c->fd);
    world_turn(c->http);
    free(c->received);
    c->received = NULL;
}

void world_check_empty(const struct http *h)
{
    struct signal_stats stats = signal_hub_stats(h->hub);
    CHECK(h->client_count == 0 && !h->clients && h->refused_count == 0);
    CHECK(h->link_count == 0 && !h->links && !h->dying);
    CHECK(stats.connections == 0 && stats.users == 0 && stats.rooms == 0);
    for (size_t i = 0; i < h->fd_count; i++)
        CHECK(!h->by_fd[i]);
    for (size_t i = 0; i < EVENTS_BUCKETS; i++)
        CHECK(!h->sessions[i]);
}
