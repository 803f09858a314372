// SPDX-License-Identifier: BSD-2-Clause
#include "bench/set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "util/rand.h"

#define WINDOW 64     // requests under way: small enough for a server's default receive buffer
#define NAP_NS 150000 // nothing waits in epoll_wait: the server would pay for the wake-up
#define EVENTS 64
#define PER_ADDRESS 8192 // clients on one loopback address, of its 28,000 ports
#define MAX_MOVES 8
#define FILES_BESIDE 64 // those that are not sockets of clients and peers

size_t set_raise_file_limit(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur >= wanted)
        return wanted;
    struct rlimit more = limit;
    more.rlim_cur = wanted;
    if (more.rlim_max < wanted)
        more.rlim_max = wanted; // needs CAP_SYS_RESOURCE
    if (setrlimit(RLIMIT_NOFILE, &more) == 0)
        return wanted;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
}

// How many peers there are: a multiple of the lanes, so that those who share one share a lane too.
static int choose_peers(struct set *s, bool own_peers)
{
    size_t least = s->n + FILES_BESIDE + (own_peers ? s->lanes : 1);
    size_t files = set_raise_file_limit(s->n * (own_peers ? 2 : 1) + FILES_BESIDE + 1);
    size_t room = files > s->n + FILES_BESIDE ? files - s->n - FILES_BESIDE : 0;

    if (files < least)
        return bench_fail("%zu open files are needed and %zu are allowed: raise the hard limit "
                          "(ulimit -Hn, LimitNOFILE=) or ask for fewer --clients",
                          least, files);
    s->peers = room >= s->n ? s->n : room / s->lanes * s->lanes;
    return 0;
}

// From where a client sends: what the user says, else this host's address towards the server.
// IPv4's loopback has plenty: there it is another one every 8,192 clients, and for a client that
// comes back, since some servers remember for long who was on which port.
static struct addr source_of(const struct set *s, const struct bench_client *c)
{
    const struct bench_options *o = s->env.options;
    struct addr a = s->env.target->local;
    if (o->source_count)
        return o->sources[c->index % o->source_count];
    if (a.family != ADDR_IPV4 || a.ip[0] != 127)
        return a;
    if (c->opened) {
        a.ip[2] = (uint8_t)(2 + rand_uniform(250));
        a.ip[3] = (uint8_t)(1 + rand_uniform(250));
    } else if (s->n > PER_ADDRESS) {
        a.ip[2] = 1;
        a.ip[3] = (uint8_t)(1 + c->index / PER_ADDRESS);
    }
    return a;
}

static struct addr peer_of(const struct set *s, uint32_t index)
{
    const struct bench_options *o = s->env.options;
    return o->peer_count ? o->peers[index % o->peer_count] : s->env.target->local;
}

static int watch(struct set *s, int fd, const struct bench_client *c, int side)
{
    struct epoll_event event = {.events = EPOLLIN,
                                .data.u64 = (uint64_t)c->index * 2 + (unsigned)side};
    return epoll_ctl(s->epoll_fd[c->lane], EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int set_reopen(struct set *s, struct bench_client *c)
{
    struct addr source = source_of(s, c);
    const char *why = NULL;
    bool shared = c->link.locked;
    int rc;

    if (shared)
        pthread_mutex_lock(&c->link.lock);
    rc = link_open(&c->link, s->env.target, &source, s->env.options->offload, &why);
    if (rc == 0)
        rc = watch(s, c->link.fd, c, SIDE_CLIENT);
    if (shared)
        pthread_mutex_unlock(&c->link.lock);
    c->opened = true;
    if (rc == 0)
        return 0;
    session_fail(&s->env, c, "connect", rc, why);
    return -1;
}

static int open_peer(struct set *s, struct bench_client *c)
{
    struct bench_client *owner = &s->clients[c->index % s->peers];
    struct addr local = peer_of(s, c->index);

    c->peer_shared = s->peers < s->n;
    if (owner != c) {
        c->peer_fd = owner->peer_fd;
        c->peer = owner->peer;
        return 0;
    }
    int fd = link_open_udp(&local, s->env.options->offload, &c->peer);
    if (fd < 0) {
        session_fail(&s->env, c, "peer socket", fd, NULL);
        return -1;
    }
    c->peer_fd = fd;
    c->peer_owned = true;
    return watch(s, fd, c, SIDE_PEER);
}

static int open_lanes(struct set *s, bool own_peers)
{
    int rc = choose_peers(s, own_peers);
    for (unsigned i = 0; i < s->lanes && rc == 0; i++) {
        s->epoll_fd[i] = epoll_create1(EPOLL_CLOEXEC);
        if (s->epoll_fd[i] < 0)
            rc = bench_fail("epoll_create1: %s", strerror(errno));
    }
    return rc;
}

static int open_clients(struct set *s, bool own_peers)
{
    struct addr local = peer_of(s, 0);
    if (!own_peers) {
        s->shared_peer_fd = link_open_udp(&local, false, &s->shared_peer);
        if (s->shared_peer_fd < 0)
            return bench_fail("peer socket: %s", strerror(-s->shared_peer_fd));
    }
    for (uint32_t i = 0; i < s->n && !bench_stopped(); i++) {
        struct bench_client *c = &s->clients[i];
        c->peer = s->shared_peer;
        if ((own_peers && open_peer(s, c) < 0) || set_reopen(s, c) < 0)
            return bench_fail("%s", s->env.failure);
    }
    return bench_stopped() ? BENCH_FAILED : 0;
}

int set_open(struct set *s, const struct bench_options *o, const struct bench_target *t, size_t n,
             bool own_peers)
{
    s->env.options = o;
    s->env.target = t;
    s->lanes = o->threads < n ? o->threads : (unsigned)n;
    s->shared_peer_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    for (unsigned i = 0; i < BENCH_THREADS; i++)
        s->epoll_fd[i] = -1;
    s->clients = calloc(n, sizeof(*s->clients));
    s->under_way = calloc(WINDOW, sizeof(*s->under_way));
    if (!s->clients || !s->under_way || link_reader_init(&s->reader, o->offload) < 0)
        return bench_fail("out of memory");
    s->n = n;
    for (uint32_t i = 0; i < n; i++) {
        struct bench_client *c = &s->clients[i];
        link_init(&c->link, o->churn > 0);
        c->peer_fd = -1;
        c->index = i;
        c->lane = i % s->lanes;
    }
    int rc = open_lanes(s, own_peers);
    return rc ? rc : open_clients(s, own_peers);
}

void set_close(struct set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        link_destroy(&s->clients[i].link);
        if (s->clients[i].peer_owned)
            close(s->clients[i].peer_fd);
    }
    for (unsigned i = 0; i < s->lanes; i++) {
        if (s->epoll_fd[i] >= 0)
            close(s->epoll_fd[i]);
    }
    if (s->shared_peer_fd >= 0)
        close(s->shared_peer_fd);
    free(s->clients);
    free(s->under_way);
    link_reader_free(&s->reader);
    explicit_bzero(s->env.key, sizeof(s->env.key));
}

struct taking {
    struct set *set;
    struct bench_client *client;
};

static void take_message(void *arg, const uint8_t *data, size_t len, int64_t arrived_ns)
{
    struct taking *t = arg;
    (void)arrived_ns;
    session_take(&t->set->env, t->client, data, len);
}

static void drop_datagram(void *arg, const uint8_t *data, size_t len, int64_t arrived_ns)
{
    (void)arg;
    (void)data;
    (void)len;
    (void)arrived_ns;
}

// Reads what has come on a lane. Returns how many sockets had something.
static int read_lane(struct set *s, int epoll_fd)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll_fd, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct bench_client *c = &s->clients[events[i].data.u64 / 2];
        struct taking t = {.set = s, .client = c};
        if (events[i].data.u64 % 2 == SIDE_PEER) {
            link_read_udp(c->peer_fd, &s->reader, drop_datagram, NULL);
            continue;
        }
        int rc = link_read(&c->link, &s->reader, take_message, &t);
        if (rc < 0) {
            session_fail(&s->env, c, "connection", rc,
                         rc == -EPIPE ? "the server has closed it" : NULL);
            link_close(&c->link);
        }
    }
    return n > 0 ? n : 0;
}

// The server still knows this port from an earlier run (RFC 8656 7.4): another one.
static void try_elsewhere(struct set *s, struct bench_client *c)
{
    if (c->step == SESSION_FAILED && c->failure == 437 && c->moves++ < MAX_MOVES &&
        set_reopen(s, c) == 0)
        session_begin(&s->env, c, SESSION_CHALLENGE);
}

// Drops those that have arrived from the list, repeats what was not answered. 0 or an exit status.
static int check_under_way(struct set *s)
{
    int64_t now = bench_now(CLOCK_MONOTONIC);
    size_t kept = 0;
    for (size_t i = 0; i < s->under_way_len; i++) {
        struct bench_client *c = &s->clients[s->under_way[i]];
        session_tick(&s->env, c, now);
        try_elsewhere(s, c);
        if (c->step == SESSION_FAILED)
            return bench_fail("%s", s->env.failure);
        if (session_busy(c))
            s->under_way[kept++] = c->index;
    }
    s->under_way_len = kept;
    return 0;
}

// Starts `first` on every client below end that is at `from`, WINDOW at a time, and waits until all
// are through.
static int drive(struct set *s, size_t end, enum session_step from, enum session_step first)
{
    int64_t now = bench_now(CLOCK_MONOTONIC);
    uint32_t next = 0;
    int rc = 0;
    s->under_way_len = 0;
    while (rc == 0 && (s->under_way_len || next < end)) {
        for (; next < end && s->under_way_len < WINDOW; next++) {
            if (s->clients[next].step != from ||
                (first == SESSION_REFRESH && s->clients[next].keep_ns > now))
                continue;
            s->under_way[s->under_way_len++] = next;
            session_begin(&s->env, &s->clients[next], first);
        }
        int found = 0;
        for (unsigned i = 0; i < s->lanes; i++)
            found += read_lane(s, s->epoll_fd[i]);
        rc = check_under_way(s);
        if (rc == 0 && bench_stopped() && from == SESSION_NEW)
            rc = BENCH_FAILED;
        if (rc == 0 && !found)
            bench_sleep_until(bench_now(CLOCK_MONOTONIC) + NAP_NS);
    }
    return rc;
}

int set_bind(struct set *s, size_t end)
{
    return drive(s, end, SESSION_NEW, SESSION_CHALLENGE);
}

int set_learn(struct set *s)
{
    int rc = set_bind(s, 1);
    if (rc == 0)
        rc = drive(s, 1, SESSION_READY, SESSION_RELEASE);
    if (rc == 0)
        s->clients[0].step = SESSION_NEW;
    return rc;
}

int set_keep(struct set *s)
{
    return s->env.options->floor ? 0 : drive(s, s->n, SESSION_READY, SESSION_REFRESH);
}

int set_release(struct set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct bench_client *c = &s->clients[i];
        // Others may be half way when one has failed. The forwarder has nothing to release.
        bool has = c->step == SESSION_READY || c->step == SESSION_QUIET ||
                   (session_busy(c) && c->step != SESSION_CHALLENGE);
        c->step = has && !s->env.options->floor ? SESSION_READY : SESSION_GONE;
    }
    return drive(s, s->n, SESSION_READY, SESSION_RELEASE);
}
