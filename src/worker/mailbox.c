// SPDX-License-Identifier: BSD-2-Clause
#include "worker/mailbox.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct letter {
    struct letter *next;
    mailbox_handler *handler;
    void *arg;
};

struct mailbox {
    int fd;
    struct event readable;
    void *worker;
    pthread_mutex_t lock;
    struct letter *head, **tail;
};

static struct letter *take_all(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    struct letter *l = m->head;
    m->head = NULL;
    m->tail = &m->head;
    pthread_mutex_unlock(&m->lock);
    return l;
}

bool mailbox_drain(struct mailbox *m)
{
    struct letter *first = take_all(m);
    for (struct letter *l = first, *next; l; l = next) {
        next = l->next;
        l->handler(m->worker, l->arg);
        free(l);
    }
    return first;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct mailbox *m = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) >= 0)
        mailbox_drain(m);
}

int mailbox_new(struct mailbox **out, struct event_base *base, void *worker)
{
    struct mailbox *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (m->fd < 0) {
        int err = -errno;
        free(m);
        return err;
    }
    m->worker = worker;
    m->tail = &m->head;
    pthread_mutex_init(&m->lock, NULL);
    event_assign(&m->readable, base, m->fd, EV_READ | EV_PERSIST, on_readable, m);
    if (event_add(&m->readable, NULL)) {
        close(m->fd);
        pthread_mutex_destroy(&m->lock);
        free(m);
        return -ENOMEM;
    }
    *out = m;
    return 0;
}

void mailbox_free(struct mailbox *m)
{
    if (!m)
        return;
    event_del(&m->readable);
    for (struct letter *l = take_all(m), *next; l; l = next) {
        next = l->next;
        free(l);
    }
    close(m->fd);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

int mailbox_post(struct mailbox *m, mailbox_handler *handler, void *arg)
{
    struct letter *l = malloc(sizeof *l);
    if (!l)
        return -ENOMEM;
    *l = (struct letter){.handler = handler, .arg = arg};
    pthread_mutex_lock(&m->lock);
    *m->tail = l;
    m->tail = &l->next;
    pthread_mutex_unlock(&m->lock);
    uint64_t one = 1;
    // A full counter means that the worker is to be woken already.
    ssize_t ignored = write(m->fd, &one, sizeof one);
    (void)ignored;
    return 0;
}
