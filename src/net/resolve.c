// SPDX-License-Identifier: BSD-2-Clause
#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define ADDRESSES_MAX 16

// Held by two, who asks and the thread that looks up: the later one frees it.
struct resolve {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;      // the thread's part
    bool abandoned; // nobody waits any more
    int error;      // of getaddrinfo
    size_t count;
    struct addr found[ADDRESSES_MAX];
    char host[];
};

static void resolve_free(struct resolve *r)
{
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void *run(void *arg)
{
    struct resolve *r = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int error = getaddrinfo(r->host, NULL, &hints, &list);

    pthread_mutex_lock(&r->lock);
    r->error = error;
    for (struct addrinfo *ai = error ? NULL : list; ai && r->count < ADDRESSES_MAX;
         ai = ai->ai_next)
        if (addr_from_sockaddr(&r->found[r->count], ai->ai_addr) == 0)
            r->count++;
    r->done = true;
    bool last = r->abandoned;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (!error)
        freeaddrinfo(list);
    if (last)
        resolve_free(r);
    return NULL;
}

static bool start_thread(struct resolve *r)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, r))
        return false;
    pthread_detach(thread);
    return true;
}

struct resolve *resolve_start(const char *host)
{
    size_t len = strlen(host);
    struct resolve *r = calloc(1, sizeof *r + len + 1);
    pthread_condattr_t attr;

    if (!r)
        return NULL;
    memcpy(r->host, host, len);
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (start_thread(r))
        return r;
    resolve_free(r);
    return NULL;
}

size_t resolve_finish(struct resolve *r, int64_t until_ms, struct addr *out, size_t cap,
                      const char **why)
{
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    size_t n = 0;

    *why = "no memory or no thread for it";
    if (!r)
        return 0;
    pthread_mutex_lock(&r->lock);
    while (!r->done && pthread_cond_timedwait(&r->changed, &r->lock, &until) != ETIMEDOUT)
        ;
    bool last = r->done;
    r->abandoned = !last;
    if (last) {
        *why = r->error ? gai_strerror(r->error) : "it has no address";
        n = r->count < cap ? r->count : cap;
        memcpy(out, r->found, n * sizeof *out);
    } else {
        *why = "no answer in time";
    }
    pthread_mutex_unlock(&r->lock);
    if (last)
        resolve_free(r);
    return n;
}
