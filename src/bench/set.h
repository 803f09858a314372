// SPDX-License-Identifier: BSD-2-Clause
// All the clients of a run with their peers, in lanes: each lane's sockets are read by one thread.
#ifndef TP_BENCH_SET_H
#define TP_BENCH_SET_H

#include <pthread.h>

#include "bench/session.h"

enum { SIDE_CLIENT, SIDE_PEER };

struct set {
    struct session_env env;
    size_t n, peers; // peers: sockets; fewer than clients where this host allows no more files
    struct bench_client *clients;
    unsigned lanes;
    int epoll_fd[BENCH_THREADS]; // data.u64: index of the client * 2 + SIDE_
    struct link_reader reader;   // while nothing but set_bind and set_release reads
    struct addr shared_peer;
    int shared_peer_fd;  // -1 when each client has a peer of its own
    uint32_t *under_way; // clients whose requests set_bind or set_release waits for
    size_t under_way_len;
    pthread_mutex_t lock; // of env and the sessions, while traffic runs
};

// As many open files as wanted, or as this process may have. Returns how many there can be.
size_t set_raise_file_limit(size_t wanted);

// Opens n clients in o->threads lanes, each with a peer of its own, or all with one. Where the
// limit of open files is in the way, a few clients share each peer. 0, or a BENCH_ exit status,
// reported. Call set_close in either case, on a set that was zeroed.
int set_open(struct set *s, const struct bench_options *o, const struct bench_target *t, size_t n,
             bool own_peers);
void set_close(struct set *s);

// Opens the link of a client anew, from another port. Holds the link's lock while it changes. 0, or
// -1 with the client FAILED.
int set_reopen(struct set *s, struct bench_client *c);

// Takes the clients below end that are NEW to READY. 0, or a BENCH_ exit status, reported.
int set_bind(struct set *s, size_t end);

// Sends credentials' first challenge for all by taking the first client through it. As set_bind.
int set_learn(struct set *s);

// Refreshes what is due among the READY ones. As set_bind.
int set_keep(struct set *s);

// Releases what is READY and gives up the rest. As set_bind.
int set_release(struct set *s);

#endif
