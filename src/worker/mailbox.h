// SPDX-License-Identifier: BSD-2-Clause
// The only way that threads speak to a worker: a queue of messages and an eventfd that wakes its
// loop.
#ifndef TP_WORKER_MAILBOX_H
#define TP_WORKER_MAILBOX_H

#include <stdbool.h>

struct event_base;
struct mailbox;

// Runs in the worker's thread. Owns arg.
typedef void mailbox_handler(void *worker, void *arg);

// 0 or a negative errno. worker is handed to every handler.
int mailbox_new(struct mailbox **out, struct event_base *base, void *worker);
void mailbox_free(struct mailbox *m); // messages that were not read are lost

// Handles what is there, from the only thread that is left. False when there was nothing.
bool mailbox_drain(struct mailbox *m);

// From any thread. 0, or -ENOMEM: then arg stays the caller's.
int mailbox_post(struct mailbox *m, mailbox_handler *handler, void *arg);

#endif
