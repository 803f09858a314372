// SPDX-License-Identifier: BSD-2-Clause
// Connections, from accept to close: how many there are of whom, and for how long they may say
// nothing. evhttp 2.1 has no hook for a new connection but the one that makes its bufferevent,
// before anything is known of the client, and its time-outs start again with every byte.
#include "http/internal.h"

#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// A line of the headers is two for evhttp, a chunk four. A line that says next to nothing costs a
// hundred bytes and more; browsers send 20, and other servers take 100.
#define PIECES_MAX 1024
#define REFUSED_MAX 256   // that are told so at a time; more are closed without a word
#define REFUSED_MS 2000   // to send a request that is answered with 503
#define REPLYING_MS 60000 // to take an answer

static void set_state(struct client *c, enum client_state state)
{
    c->state = state;
    c->pieces = 0;
    c->since_ms = http_clock_ms();
}

static void list_remove(struct client *c)
{
    if (!c->prev)
        return;
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = NULL;
}

static void forget(struct client *c)
{
    struct http *h = c->http;
    list_remove(c);
    source_leave(c);
    h->refused_count -= c->refused;
    free(c);
}

// evhttp reads on while it answers, and has no limit for the line that begins a chunk: nobody has a
// reason to send that much ahead. (Its bufferevent could stop reading there, by a watermark; one
// that is freed while it does so is lost in libevent 2.1.)
static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct client *c = arg;
    c->pieces += info->n_deleted > 0;
    bool torn = c->pieces > PIECES_MAX;
    source_busy(c);
    if (c->unwanted || (!torn && evbuffer_get_length(input) <= http_input_max(c->http)))
        return;
    client_close_soon(c); // not while it is read from
    if (torn)
        evbuffer_drain(input, evbuffer_get_length(input)); // evhttp is to find no more
}

// evhttp is about to free the connection, whoever wanted that.
static void on_close(struct evhttp_connection *evcon, void *arg)
{
    struct client *c = arg;
    struct link *link = c->link;
    evutil_socket_t fd = bufferevent_getfd(c->bev);
    if (fd >= 0 && (size_t)fd < c->http->fd_count)
        c->http->by_fd[fd] = NULL;
    evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c);
    c->link = NULL;
    forget(c);
    if (link)
        link_lost(link);
}

void client_close(struct client *c)
{
    evhttp_connection_free(c->evcon); // calls on_close
}

void client_close_soon(struct client *c)
{
    c->unwanted = true;
    event_active(&c->http->unwanted, EV_TIMEOUT, 0);
}

// --- a new one ---

// The record that a worker has looked into does not make the socket readable. What is there before
// evhttp begins to read is to evhttp like the next one of several requests.
static bool take_record(struct http *h, struct bufferevent *bev, SSL *ssl)
{
    while (SSL_pending(ssl) > 0) {
        ERR_clear_error();
        int n = SSL_read(ssl, h->input, sizeof h->input);
        if (n <= 0 || evbuffer_add(bufferevent_get_input(bev), h->input, (size_t)n))
            return false;
    }
    return true;
}

// bufferevent_openssl waits for the socket when SSL_pending is 0: what OpenSSL had read ahead would
// wait with it, so that nothing is. Where it is not made, it has freed what it got.
static struct bufferevent *make_bufferevent(struct http *h, bool tls, SSL *begun)
{
    if (!tls)
        return bufferevent_socket_new(h->base, -1, BEV_OPT_CLOSE_ON_FREE);
    SSL *ssl = begun ? begun : tls_context_http(h->snapshot->tls);
    if (!ssl)
        return NULL;
    struct bufferevent *bev = bufferevent_openssl_socket_new(
        h->base, -1, ssl, begun ? BUFFEREVENT_SSL_OPEN : BUFFEREVENT_SSL_ACCEPTING,
        BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        return NULL;
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    if (!begun || take_record(h, bev, ssl))
        return bev;
    bufferevent_free(bev);
    return NULL;
}

static void on_unwanted(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    for (struct client *c = h->clients, *next; c; c = next) {
        next = c->next;
        if (c->unwanted && c->state != CLIENT_FRESH)
            client_close(c);
    }
}

static struct client *client_new(struct http *h, bool tls, SSL *begun)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c) {
        SSL_free(begun);
        return NULL;
    }
    struct bufferevent *bev = make_bufferevent(h, tls, begun);
    if (bev && !evbuffer_add_cb(bufferevent_get_input(bev), on_input, c)) {
        bufferevent_free(bev);
        bev = NULL;
    }
    if (!bev) {
        free(c);
        return NULL;
    }
    c->http = h;
    c->bev = bev;
    c->tls = tls;
    c->fd = -1;
    bufferevent_incref(bev); // until on_fresh
    bufferevent_setcb(bev, NULL, NULL, NULL, c);
    c->next = h->clients;
    c->prev = &h->clients;
    if (c->next)
        c->next->prev = &c->next;
    h->clients = c;
    TAILQ_INSERT_TAIL(&h->arriving, c, place);
    set_state(c, CLIENT_FRESH);
    event_active(&h->fresh, EV_TIMEOUT, 0);
    return c;
}

// evhttp is about to make what it cannot do without.
static void begin_connection(struct http *h)
{
    reserve_open(&h->reserve);
    if (reserve_low(&h->reserve))
        http_pause(h);
}

// Where NULL is returned evhttp makes a bufferevent by itself: client_of does not know it, and its
// first request is its last.
static struct bufferevent *on_bufferevent(struct event_base *base, void *arg)
{
    struct http *h = arg;
    begin_connection(h);
    struct client *c = client_new(h, http_conf(h)->signal.tls, NULL);
    return c ? c->bev : NULL;
}

struct bufferevent *client_handed(struct http *h, int fd, const struct addr *addr, bool tls,
                                  SSL *begun)
{
    begin_connection(h);
    struct client *c = client_new(h, tls, begun);
    if (!c)
        return NULL;
    c->handed = true;
    c->fd = fd;
    c->addr = *addr;
    return c->bev;
}

static bool remember(struct http *h, evutil_socket_t fd, struct client *c)
{
    size_t i = (size_t)fd;
    if (i >= h->fd_count) {
        size_t n = i < 512 ? 1024 : i * 2;
        struct client **grown = realloc(h->by_fd, n * sizeof *grown);
        if (!grown)
            return false;
        memset(grown + h->fd_count, 0, (n - h->fd_count) * sizeof *grown);
        h->by_fd = grown;
        h->fd_count = n;
    }
    h->by_fd[i] = c;
    return true;
}

static bool find_address(struct client *c, evutil_socket_t fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    return getpeername(fd, (struct sockaddr *)&ss, &len) == 0 &&
           addr_from_sockaddr(&c->addr, (struct sockaddr *)&ss) == 0;
}

// At an address that only this host has a way to.
static bool arrived_by_loopback(evutil_socket_t fd)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, one[16] = {[15] = 1};
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    struct addr a;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) ||
        addr_from_sockaddr(&a, (struct sockaddr *)&ss))
        return false;
    if (a.family == ADDR_IPV4)
        return a.ip[0] == 127;
    return memcmp(a.ip, one, 16) == 0 || (memcmp(a.ip, mapped, 12) == 0 && a.ip[12] == 127);
}

// Puts the client's descriptor in the place of the stand-in's: evhttp keeps the number by itself.
// While that is done libevent knows of neither, so that what it has told the kernel of the one is
// not taken for the other. TLS gets a new BIO each time; it begins anew unless a worker has begun
// it, and has read nothing from the stand-in.
static bool put_in_place(struct client *c)
{
    evutil_socket_t fd = bufferevent_getfd(c->bev);
    if (c->fd < 0 || fd < 0 || bufferevent_setfd(c->bev, -1))
        return false;
    bool done = dup3(c->fd, fd, O_CLOEXEC) == fd;
    return bufferevent_setfd(c->bev, fd) == 0 && done;
}

static void close_handed(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void log_refused(struct http *h, const struct client *c)
{
    uint32_t more;
    if (!log_limit_pass(&h->log_full, 5, http_clock_ms() / 1000, &more))
        return;
    log_line(LOG_LVL_WARNING, "http", &(struct log_about){.client = &c->addr},
             "too many connections %s: refused (%u more since the last such line)",
             h->client_count >= http_conf(h)->signal.connections ? "(signal.connections)"
                                                                 : "(signal.address_connections)",
             more);
}

// What is there already ends the waiting before it begins. Who is refused goes by itself.
static void wait_for_request(struct client *c, bool answered)
{
    if (!c->refused && evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)
        source_wait(c, answered);
}

static void begin(struct client *c)
{
    struct http *h = c->http;
    evutil_socket_t fd = bufferevent_getfd(c->bev);
    int on = 1;
    bool good = c->handed ? put_in_place(c) : fd >= 0 && find_address(c, fd);
    close_handed(c);
    if (!good || !remember(h, fd, c)) {
        client_close(c);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->loopback = arrived_by_loopback(fd);
    if (!source_enter(c)) {
        log_refused(h, c);
        if (h->refused_count >= REFUSED_MAX) {
            client_close(c);
            return;
        }
        c->refused = true;
        h->refused_count++;
    }
    set_state(c, CLIENT_READING);
    wait_for_request(c, false);
}

static void on_fresh(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    struct client *c;
    while ((c = TAILQ_FIRST(&h->arriving))) {
        void *owner = NULL;
        TAILQ_REMOVE(&h->arriving, c, place);
        // evhttp has set its callbacks by now, with the connection as their argument. None are left
        // when it has given up on it, and ours are where it had no memory to begin with.
        bufferevent_getcb(c->bev, NULL, NULL, NULL, &owner);
        if (!owner || owner == c) {
            if (owner)
                bufferevent_free(c->bev);
            bufferevent_decref(c->bev);
            close_handed(c);
            forget(c);
            continue;
        }
        c->evcon = owner;
        evhttp_connection_set_closecb(c->evcon, on_close, c);
        bufferevent_decref(c->bev); // evhttp's is left
        begin(c);
    }
}

int clients_attach(struct http *h)
{
    TAILQ_INIT(&h->arriving);
    TAILQ_INIT(&h->waiting);
    if (sources_init(h))
        return -ENOMEM;
    event_assign(&h->fresh, h->base, -1, 0, on_fresh, h);
    event_assign(&h->unwanted, h->base, -1, 0, on_unwanted, h);
    evhttp_set_bevcb(h->evhttp, on_bufferevent, h);
    return 0;
}

void clients_detach(struct http *h)
{
    if (event_initialized(&h->fresh)) {
        event_del(&h->fresh);
        on_fresh(-1, 0, h); // so that evhttp has all of them
    }
}

// --- in use ---

static void on_complete(struct evhttp_request *req, void *arg)
{
    struct client *c = arg;
    reserve_open(&c->http->reserve); // for the next request
    if (c->state != CLIENT_REPLYING)
        return;
    set_state(c, CLIENT_READING);
    wait_for_request(c, true);
}

struct client *client_of(struct http *h, struct evhttp_request *req)
{
    struct evhttp_connection *evcon = evhttp_request_get_connection(req);
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evcon);
    evutil_socket_t fd = bufferevent_getfd(bev);
    struct client *c = fd >= 0 && (size_t)fd < h->fd_count ? h->by_fd[fd] : NULL;
    if (!c || c->bev != bev)
        return NULL;
    source_busy(c);
    set_state(c, CLIENT_REPLYING);
    evhttp_request_set_on_complete_cb(req, on_complete, c);
    return c;
}

void client_take(struct client *c, struct link *link)
{
    list_remove(c);
    source_take(c);
    set_state(c, CLIENT_TAKEN);
    c->link = link;
    link->client = c;
    bufferevent_set_timeouts(c->bev, NULL, NULL);
    evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c); // links take all that comes
}

void clients_sweep(struct http *h, int64_t now_ms)
{
    int64_t request_ms = (int64_t)http_conf(h)->signal.request_timeout * 1000;
    for (struct client *c = h->clients, *next; c; c = next) {
        next = c->next;
        int64_t limit = c->state == CLIENT_REPLYING ? REPLYING_MS
                        : c->refused                ? REFUSED_MS
                                                    : request_ms;
        if (c->state != CLIENT_FRESH && now_ms - c->since_ms >= limit)
            client_close(c);
    }
}
