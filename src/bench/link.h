// SPDX-License-Identifier: BSD-2-Clause
// A client's way to the server: datagrams or a stream, plain or encrypted, without waiting.
#ifndef TP_BENCH_LINK_H
#define TP_BENCH_LINK_H

#include <pthread.h>
#include <sys/socket.h>

#include "bench/bench.h"

#define LINK_BUFFER (4 << 20) // bytes that sockets are asked to hold
#define LINK_READS 32         // datagrams a recvmmsg

struct link_stream;

struct link {
    int fd; // -1: none
    enum transport transport;
    bool locked; // several threads use it: all but UDP without churn
    pthread_mutex_t lock;
    struct tls *tls;
    struct link_stream *stream; // what is on its way, both ways
};

// What a reading thread needs, once for all that it reads.
struct link_reader {
    size_t read_len;
    uint8_t *buf;
    struct mmsghdr msgs[LINK_READS];
    struct iovec iov[LINK_READS];
    _Alignas(struct cmsghdr) uint8_t control[LINK_READS][128];
};

// gro: sockets have UDP_GRO. 0 or -ENOMEM.
int link_reader_init(struct link_reader *r, bool gro);
void link_reader_free(struct link_reader *r);

// Called for each datagram or frame; arrived_ns is CLOCK_REALTIME: when the kernel got it (UDP), or
// when it was read (the others).
typedef void link_take(void *arg, const uint8_t *data, size_t len, int64_t arrived_ns);

// A UDP socket bound to an address with time stamps and room for a reader that naps. A descriptor
// or a negative errno. *bound, when given, is set to its address.
int link_open_udp(const struct addr *local, bool gro, struct addr *bound);

// Prepares for link_open; link_destroy undoes it.
void link_init(struct link *l, bool shared);
void link_destroy(struct link *l);

// Opens and connects, handshakes included, and waits for that; a link that was open is closed. 0 or
// a negative errno, *why set (a text, or NULL).
int link_open(struct link *l, const struct bench_target *t, const struct addr *source, bool gro,
              const char **why);
void link_close(struct link *l);

// Sends n packets of len bytes each that lie one behind the other. Returns how many were taken; a
// stream takes none while it is full. offload: as one UDP_SEGMENT send.
unsigned link_send(struct link *l, const uint8_t *data, size_t len, unsigned n, bool offload);
// The same for a UDP socket; `to` is NULL for a connected one.
unsigned link_send_udp(int fd, const struct addr *to, const uint8_t *data, size_t len, unsigned n,
                       bool offload);

// Reads what is there, up to a bound so that others get their turn, and hands it to take. 0, 1 when
// there may be more, or a negative errno when the connection is gone.
int link_read(struct link *l, struct link_reader *r, link_take *take, void *arg);
int link_read_udp(int fd, struct link_reader *r, link_take *take, void *arg);

// Datagrams that this host has dropped since the socket was opened, because nobody read them in
// time.
uint64_t link_dropped(int fd);

#endif
