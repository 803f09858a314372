// SPDX-License-Identifier: BSD-2-Clause
#include "net/ports.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/host.h"
#include "util/rand.h"

#define TRIES 16 // ports that other processes hold, before we give up
#define RESERVATIONS_MAX 4096
#define RESERVATIONS_OF_USER 256 // quotas count allocations only; one user must not hold all

// Free ports of one parity on one address: a bag with constant-time random draw and removal by
// value.
struct bag {
    uint16_t *list;
    uint32_t count;
};

struct address {
    struct addr addr;
    struct bag bags[2]; // even, odd
    uint32_t *place;    // of port min + i in its bag, or NOWHERE
};

#define NOWHERE UINT32_MAX

struct reservation {
    struct reservation *next;
    uint8_t token[PORTS_TOKEN_LEN];
    struct udp_socket socket;
    int64_t expires_ms;
    size_t user_len;
    uint8_t user[];
};

struct ports {
    pthread_mutex_t lock;
    uint16_t min, max;
    struct reservation *reservations;
    uint32_t reservation_count;
    size_t address_count;
    struct address addresses[];
};

static void bag_put(struct ports *p, struct address *a, uint16_t port)
{
    struct bag *bag = &a->bags[port & 1];
    a->place[port - p->min] = bag->count;
    bag->list[bag->count++] = port;
}

static void bag_take(struct ports *p, struct address *a, uint16_t port)
{
    struct bag *bag = &a->bags[port & 1];
    uint32_t i = a->place[port - p->min];
    uint16_t last = bag->list[--bag->count];
    bag->list[i] = last;
    a->place[last - p->min] = i;
    a->place[port - p->min] = NOWHERE;
}

static bool is_free(const struct ports *p, const struct address *a, uint32_t port)
{
    return port <= p->max && a->place[port - p->min] != NOWHERE;
}

struct ports *ports_new(const struct addr *addresses, size_t count, uint16_t min, uint16_t max)
{
    struct ports *p = calloc(1, sizeof *p + count * sizeof *p->addresses);
    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    p->min = min;
    p->max = max;
    p->address_count = count;
    size_t n = (size_t)(max - min) + 1;
    for (size_t i = 0; i < count; i++) {
        struct address *a = &p->addresses[i];
        a->addr = addresses[i];
        a->place = malloc(n * sizeof *a->place);
        a->bags[0].list = malloc(n * sizeof(uint16_t));
        a->bags[1].list = malloc(n * sizeof(uint16_t));
        if (!a->place || !a->bags[0].list || !a->bags[1].list) {
            ports_free(p);
            return NULL;
        }
        for (uint32_t port = min; port <= max; port++)
            bag_put(p, a, (uint16_t)port);
    }
    return p;
}

static void reservation_drop(struct ports *p, struct reservation **link)
{
    struct reservation *r = *link;
    *link = r->next;
    p->reservation_count--;
    free(r);
}

void ports_free(struct ports *p)
{
    if (!p)
        return;
    while (p->reservations) {
        close(p->reservations->socket.fd);
        reservation_drop(p, &p->reservations);
    }
    for (size_t i = 0; i < p->address_count; i++) {
        free(p->addresses[i].place);
        free(p->addresses[i].bags[0].list);
        free(p->addresses[i].bags[1].list);
    }
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static struct address *address_of(struct ports *p, const struct addr *local)
{
    for (size_t i = 0; i < p->address_count; i++)
        if (addr_equal_ip(&p->addresses[i].addr, local))
            return &p->addresses[i];
    return NULL;
}

// Draws a random free port; 0 when there is none. For a pair, one whose neighbour is free too: a
// bounded number of draws, since such pairs may be few.
static uint16_t draw(struct ports *p, struct address *a, bool even, bool pair)
{
    uint32_t n = a->bags[0].count + (even ? 0 : a->bags[1].count);
    for (unsigned tries = 0; n && tries < (pair ? TRIES * 4 : 1); tries++) {
        uint32_t i = rand_uniform(n);
        uint16_t port =
            i < a->bags[0].count ? a->bags[0].list[i] : a->bags[1].list[i - a->bags[0].count];
        if (!pair || is_free(p, a, port + 1u))
            return port;
    }
    return 0;
}

// Binds what is asked for to a port; of a TCP socket only fd and local are set.
static int open_port(const struct addr *local, bool tcp, struct udp_socket *out)
{
    if (!tcp)
        return udp_open(out, local, UDP_ICMP_ERRORS);
    out->local = *local;
    out->fd = host_listen_alone(local);
    return out->fd < 0 ? out->fd : 0;
}

// What a port is wanted for.
struct want {
    uint8_t family;
    bool even, tcp;
};

// Takes a port, and the one after it for a pair, out of their bags; 0 when there is none.
static uint16_t take_port(struct ports *p, struct address *a, bool even, bool pair)
{
    pthread_mutex_lock(&p->lock);
    uint16_t port = draw(p, a, even, pair);
    if (port)
        bag_take(p, a, port);
    if (port && pair)
        bag_take(p, a, port + 1);
    pthread_mutex_unlock(&p->lock);
    return port;
}

static void give_back(struct ports *p, struct address *a, const uint16_t *ports, unsigned count,
                      bool pair)
{
    pthread_mutex_lock(&p->lock);
    while (count) {
        uint16_t port = ports[--count];
        bag_put(p, a, port);
        if (pair)
            bag_put(p, a, port + 1);
    }
    pthread_mutex_unlock(&p->lock);
}

static int open_both(const struct addr *first, bool tcp, struct udp_socket *out,
                     struct udp_socket *next)
{
    struct addr second = *first;
    int err = open_port(first, tcp, out);
    if (err || !next)
        return err;
    second.port++;
    err = udp_open(next, &second, UDP_ICMP_ERRORS);
    if (err) {
        close(out->fd);
        out->fd = -1;
    }
    return err;
}

// Opens `out` (and `next` on the port after it) on one address. The lock is not held while the
// kernel is at work: it takes many times longer than the bags do.
static int open_on(struct ports *p, struct address *a, const struct want *want,
                   struct udp_socket *out, struct udp_socket *next)
{
    int err = -EADDRNOTAVAIL;
    uint16_t
        busy[TRIES]; // kept out of the bags while we look for another, so that none is tried twice
    unsigned busy_count = 0;
    while (busy_count < TRIES) {
        struct addr local = a->addr;
        local.port = take_port(p, a, want->even, next != NULL);
        if (!local.port)
            break;
        err = open_both(&local, want->tcp, out, next);
        if (!err)
            break;
        busy[busy_count++] = local.port;
        if (err != -EADDRINUSE && err != -EACCES)
            break;
        err = -EADDRNOTAVAIL;
    }
    if (busy_count)
        give_back(p, a, busy, busy_count, next != NULL);
    return err;
}

static int open_any(struct ports *p, const struct want *want, struct udp_socket *out,
                    struct udp_socket *next)
{
    int err = -EAFNOSUPPORT;
    uint32_t start = p->address_count > 1 ? rand_uniform((uint32_t)p->address_count) : 0;
    for (size_t i = 0; i < p->address_count; i++) {
        struct address *a = &p->addresses[(start + i) % p->address_count];
        if (a->addr.family != want->family)
            continue;
        err = open_on(p, a, want, out, next);
        if (!err || err == -EMFILE || err == -ENFILE || err == -ENOMEM)
            break;
    }
    return err;
}

int ports_open(struct ports *p, uint8_t family, bool even, struct udp_socket *out)
{
    const struct want want = {.family = family, .even = even};
    return open_any(p, &want, out, NULL);
}

int ports_open_tcp(struct ports *p, uint8_t family, int *fd, struct addr *local)
{
    const struct want want = {.family = family, .tcp = true};
    struct udp_socket s;
    int err = open_any(p, &want, &s, NULL);
    if (!err) {
        *fd = s.fd;
        *local = s.local;
    }
    return err;
}

// Whether one more may be held for that user.
static bool may_reserve(const struct ports *p, const void *user, size_t user_len)
{
    uint32_t held = 0;
    for (const struct reservation *r = p->reservations; r; r = r->next)
        held += r->user_len == user_len && memcmp(r->user, user, user_len) == 0;
    return p->reservation_count < RESERVATIONS_MAX && held < RESERVATIONS_OF_USER;
}

static bool may_reserve_now(struct ports *p, const void *user, size_t user_len)
{
    pthread_mutex_lock(&p->lock);
    bool may = may_reserve(p, user, user_len);
    pthread_mutex_unlock(&p->lock);
    return may;
}

// Holds r, or does not: -EADDRNOTAVAIL.
static int hold(struct ports *p, struct reservation *r)
{
    int err = -EADDRNOTAVAIL;
    pthread_mutex_lock(&p->lock);
    if (may_reserve(p, r->user, r->user_len)) {
        r->next = p->reservations;
        p->reservations = r;
        p->reservation_count++;
        err = 0;
    }
    pthread_mutex_unlock(&p->lock);
    return err;
}

int ports_open_pair(struct ports *p, uint8_t family, const void *user, size_t user_len,
                    int64_t now_ms, struct udp_socket *out, uint8_t token[PORTS_TOKEN_LEN])
{
    const struct want want = {.family = family, .even = true};
    struct reservation *r = malloc(sizeof *r + user_len);
    if (!r)
        return -ENOMEM;
    memcpy(r->user, user, user_len);
    r->user_len = user_len;
    r->expires_ms = now_ms + PORTS_RESERVATION_SECONDS * 1000;
    rand_bytes(r->token, sizeof r->token);
    // From hold on r may be claimed, or swept, by another worker.
    memcpy(token, r->token, sizeof r->token);
    int err =
        may_reserve_now(p, user, user_len) ? open_any(p, &want, out, &r->socket) : -EADDRNOTAVAIL;
    if (err) {
        free(r);
        return err;
    }
    const struct addr first = out->local, second = r->socket.local;
    err = hold(p, r);
    if (err) { // others were quicker
        close(out->fd);
        out->fd = -1;
        close(r->socket.fd);
        ports_release(p, &first);
        ports_release(p, &second);
        free(r);
    }
    return err;
}

int ports_claim(struct ports *p, const uint8_t token[PORTS_TOKEN_LEN], const void *user,
                size_t user_len, int64_t now_ms, struct udp_socket *out)
{
    int err = -EADDRNOTAVAIL;
    pthread_mutex_lock(&p->lock);
    for (struct reservation **link = &p->reservations; *link; link = &(*link)->next) {
        struct reservation *r = *link;
        if (CRYPTO_memcmp(r->token, token, PORTS_TOKEN_LEN) != 0)
            continue;
        if (r->user_len == user_len && memcmp(r->user, user, user_len) == 0 &&
            now_ms < r->expires_ms) {
            *out = r->socket;
            reservation_drop(p, link);
            err = 0;
        }
        break;
    }
    pthread_mutex_unlock(&p->lock);
    return err;
}

void ports_release(struct ports *p, const struct addr *local)
{
    pthread_mutex_lock(&p->lock);
    struct address *a = address_of(p, local);
    if (a && local->port >= p->min && local->port <= p->max && !is_free(p, a, local->port))
        bag_put(p, a, local->port);
    pthread_mutex_unlock(&p->lock);
}

void ports_sweep(struct ports *p, int64_t now_ms)
{
    pthread_mutex_lock(&p->lock);
    for (struct reservation **link = &p->reservations; *link;) {
        struct reservation *r = *link;
        if (now_ms < r->expires_ms) {
            link = &r->next;
            continue;
        }
        close(r->socket.fd);
        struct address *a = address_of(p, &r->socket.local);
        if (a)
            bag_put(p, a, r->socket.local.port);
        reservation_drop(p, link);
    }
    pthread_mutex_unlock(&p->lock);
}
