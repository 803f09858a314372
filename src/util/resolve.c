// SPDX-License-Identifier: BSD-2-Clause
#include "util/resolve.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// A name server that is silent holds one thread for a name, however many ask for it and however
// often. The last holder frees it.
struct resolve {
    struct resolve *next; // of those under way
    unsigned holders;     // who asked, and the thread
    int fd;
    bool done;
    int error; // of getaddrinfo
    size_t count;
    struct addr found[RESOLVE_ADDRESSES_MAX];
    char host[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of what follows, and of each resolve
static struct resolve *under_way;
static unsigned under_way_count;

static void let_go(struct resolve *r)
{
    pthread_mutex_lock(&lock);
    bool last = --r->holders == 0;
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    close(r->fd);
    free(r);
}

static void take_out(const struct resolve *r)
{
    struct resolve **p = &under_way;

    while (*p != r)
        p = &(*p)->next;
    *p = r->next;
    under_way_count--;
}

static void *run(void *arg)
{
    struct resolve *r = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int error = getaddrinfo(r->host, NULL, &hints, &list);

    pthread_mutex_lock(&lock);
    r->error = error;
    for (struct addrinfo *ai = error ? NULL : list; ai && r->count < RESOLVE_ADDRESSES_MAX;
         ai = ai->ai_next)
        if (addr_from_sockaddr(&r->found[r->count], ai->ai_addr) == 0)
            r->count++;
    r->done = true;
    take_out(r);
    eventfd_write(r->fd, 1);
    pthread_mutex_unlock(&lock);
    if (!error)
        freeaddrinfo(list);
    let_go(r);
    return NULL;
}

// Signals are for the threads that expect them.
static bool start_thread(struct resolve *r)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;

    if (pthread_attr_init(&attr))
        return false;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&thread, &attr, run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return err == 0;
}

static struct resolve *begin(const char *host)
{
    size_t len = strlen(host);
    struct resolve *r = calloc(1, sizeof *r + len + 1);

    if (!r)
        return NULL;
    memcpy(r->host, host, len);
    r->holders = 1;
    r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->fd < 0 || !start_thread(r)) {
        if (r->fd >= 0)
            close(r->fd);
        free(r);
        return NULL;
    }
    r->next = under_way;
    under_way = r;
    under_way_count++;
    return r;
}

struct resolve *resolve_start(const char *host)
{
    struct resolve *r;

    pthread_mutex_lock(&lock);
    for (r = under_way; r && strcmp(r->host, host) != 0;)
        r = r->next;
    if (!r && under_way_count < RESOLVE_NAMES_MAX)
        r = begin(host);
    if (r)
        r->holders++;
    pthread_mutex_unlock(&lock);
    return r;
}

int resolve_fd(const struct resolve *r)
{
    return r->fd;
}

static void wait_until(const struct resolve *r, int64_t until_ms)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    struct timespec ts;
    int64_t left;

    do {
        clock_gettime(CLOCK_MONOTONIC, &ts);
        left = until_ms - ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
        left = left < 0 ? 0 : left < INT_MAX ? left : INT_MAX;
    } while (poll(&p, 1, (int)left) < 0 && errno == EINTR);
}

size_t resolve_finish(struct resolve *r, int64_t until_ms, struct addr out[RESOLVE_ADDRESSES_MAX],
                      const char **why)
{
    size_t n = 0;

    *why = "no memory or no thread for it";
    if (!r)
        return 0;
    wait_until(r, until_ms);
    *why = "no answer in time";
    pthread_mutex_lock(&lock);
    if (r->done) {
        *why = r->error ? gai_strerror(r->error) : "it has no address";
        n = r->count;
        memcpy(out, r->found, n * sizeof *out);
    }
    pthread_mutex_unlock(&lock);
    let_go(r);
    return n;
}

void resolve_cancel(struct resolve *r)
{
    if (r)
        let_go(r);
}
