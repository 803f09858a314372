// SPDX-License-Identifier: BSD-2-Clause
// Connections that clients opened to a listener of the relay, and whose worker found HTTP on them.
// evhttp 2.1 takes what it accepts itself and nothing else. So there is a listening socket that
// nobody but we has a reason to connect to: for each connection that is handed over we do. What
// evhttp accepts there is only a stand-in: before its descriptor is read from, that of the client
// is put in its place (client.c). Who else connects to it, on this machine, finds nothing.
#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/internal.h"

struct handed {
    struct handed *next;
    int fd;
    struct addr client;
    bool tls;
    SSL *begun; // NULL: nothing has been read yet
};

struct handover {
    struct sockaddr_un addr; // of the listener
    socklen_t addr_len;
    struct handed *first, **end; // those that wait for their stand-in
    unsigned waiting;
    unsigned knocks; // stand-ins on their way, at least
};

static void discard(struct handed *x)
{
    SSL_free(x->begun);
    close(x->fd);
    free(x);
}

static struct handed *next_handed(struct handover *o)
{
    struct handed *x = o->first;
    if (!x)
        return NULL;
    o->first = x->next;
    if (!o->first)
        o->end = &o->first;
    o->waiting--;
    return x;
}

// --- stand-ins ---

// The other end is never used: that evhttp's end is at its end then shows when it is no longer
// looked at.
static int knock(const struct handover *o)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = connect(fd, (const struct sockaddr *)&o->addr, o->addr_len) ? -errno : 0;
    close(fd);
    return err;
}

// One stand-in for each that waits. Where the queue of the listener is full there are enough; where
// descriptors are short there may be one later.
static void knock_for_all(struct http *h)
{
    struct handover *o = h->handover;
    int err = 0;
    while (!err && o->knocks < o->waiting) {
        err = knock(o);
        o->knocks += !err;
    }
    uint32_t more;
    if (!err || err == -EAGAIN)
        return;
    if (log_limit_pass(&h->log_accept, 2, http_clock_ms() / 1000, &more))
        log_warning("http", "cannot take a connection over: %s; trying again", strerror(-err));
    const struct timeval pause = {0, 200000};
    event_add(&h->resume_accept, &pause);
}

void handover_retry(struct http *h)
{
    if (!h->handover)
        return;
    h->handover->knocks = 0; // whatever became of them: one too many finds nobody that waits
    knock_for_all(h);
}

// evhttp has accepted one.
static struct bufferevent *on_stand_in(struct event_base *base, void *arg)
{
    struct http *h = arg;
    struct handover *o = h->handover;
    struct handed *x = next_handed(o);
    o->knocks -= o->knocks > 0;
    struct bufferevent *bev = client_handed(h, x ? x->fd : -1, x ? &x->client : &(struct addr){0},
                                            x && x->tls, x ? x->begun : NULL);
    if (x && !bev)
        close(x->fd);
    free(x);
    knock_for_all(h);
    return bev;
}

// --- from the workers ---

static void on_handed(void *http, void *arg)
{
    struct http *h = http;
    struct handed *x = arg;
    struct handover *o = h->handover;
    if (h->stop_ms || h->stopped) {
        discard(x);
        return;
    }
    x->next = NULL;
    *o->end = x;
    o->end = &x->next;
    o->waiting++;
    knock_for_all(h);
}

int http_take(void *http, int fd, const struct addr *client, bool tls, SSL *begun)
{
    struct http *h = http;
    struct handed *x = malloc(sizeof *x);
    if (!x)
        return -ENOMEM;
    *x = (struct handed){.fd = fd, .client = *client, .tls = tls, .begun = begun};
    int err = mailbox_post(h->mailbox, on_handed, x);
    if (err)
        free(x);
    return err;
}

// --- making and ending ---

// A name that the kernel chooses, outside of the file system (unix(7), autobind).
static int open_listener(struct handover *o)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    const struct sockaddr_un any = {.sun_family = AF_UNIX};
    o->addr_len = sizeof o->addr;
    if (bind(fd, (const struct sockaddr *)&any, sizeof any.sun_family) || listen(fd, SOMAXCONN) ||
        getsockname(fd, (struct sockaddr *)&o->addr, &o->addr_len)) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int handover_new(struct http *h)
{
    struct handover *o = calloc(1, sizeof *o);
    if (!o)
        return -ENOMEM;
    h->handover = o;
    o->end = &o->first;
    evhttp_set_bevcb(h->handed_evhttp, on_stand_in, h);
    return open_listener(o);
}

void handover_free(struct http *h)
{
    struct handed *x;
    if (!h->handover)
        return;
    while ((x = next_handed(h->handover)))
        discard(x);
    free(h->handover);
    h->handover = NULL;
}
