// SPDX-License-Identifier: BSD-2-Clause
// Many TURN clients over UDP: allocate, bind one channel each, release. Requests are pipelined and
// retransmitted.
#ifndef TP_BENCH_LOAD_CLIENT_H
#define TP_BENCH_LOAD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stun/integrity.h"
#include "stun/message.h"

#define LOAD_CHANNEL 0x4001 // of every client: numbers are per allocation

enum load_step {
    LOAD_NEW,
    LOAD_CHALLENGE, // Allocate without credentials, for realm and nonce
    LOAD_ALLOCATE,
    LOAD_BIND,
    LOAD_READY,
    LOAD_RELEASE, // Refresh with a lifetime of 0
    LOAD_GONE,
};

struct load_client {
    enum load_step step;
    int fd;           // connected to the server
    int peer_fd;      // connected to the relayed address once bound; -1 when the peer is shared
    unsigned tries;   // of the request under way
    unsigned moves;   // to another port
    int64_t deadline; // when it is sent again, ns
    uint8_t txid[STUN_TXID_LEN];
    uint16_t nonce_len;
    uint8_t nonce[256];
    struct addr peer;
};

struct load_set {
    struct addr server;
    const char *user, *password;
    bool have_key;
    char realm[256];
    uint8_t key[STUN_KEY_MD5_LEN];
    size_t n;
    struct load_client *clients;
    int shared_peer_fd; // -1 when each client has a peer of its own
    struct addr shared_peer;
    int epoll_fd;
    int64_t retransmits;
};

// Opens n sockets to the server, and as many peer sockets on the server's address, or one that all
// share. 0 or a negative errno, with a line on stderr. Call load_set_close in either case.
int load_set_open(struct load_set *set, const struct addr *server, size_t n, bool own_peers);
void load_set_close(struct load_set *set);

// Takes the clients below `end` that are not there yet to READY: allocation, permission and channel
// (a ChannelBind installs the permission as well, RFC 8656 12). 0 or a negative errno, with a line
// on stderr.
int load_set_bind(struct load_set *set, size_t end);

// Releases what is READY and gives up the rest. 0 or a negative errno.
int load_set_release(struct load_set *set);

int64_t load_now_ns(int clock); // CLOCK_MONOTONIC or CLOCK_REALTIME

#endif
