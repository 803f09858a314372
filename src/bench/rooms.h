// SPDX-License-Identifier: BSD-2-Clause
// The command signal: pairs of clients of a signaling server, each pair in a room of its own, by
// WebSocket. One thread does it all, with one read and one write of a socket for as many messages
// as there are: it has to be faster than what it measures.
#ifndef TP_BENCH_ROOMS_H
#define TP_BENCH_ROOMS_H

#include <stdbool.h>

#include "bench/bench.h"
#include "bench/dialect.h"
#include "bench/histogram.h"
#include "bench/proc.h"

#define ROOMS_INPUT 262144  // bytes read at a time
#define ROOMS_OUTPUT 262144 // bytes written at a time
#define ROOMS_MARK 34 // bytes at the beginning of a payload: whose, its number, when it was sent
#define ROOMS_MAX_SIZE 60000

enum room_state { ROOM_NEW, ROOM_CONNECTING, ROOM_UPGRADING, ROOM_JOINING, ROOM_READY, ROOM_GONE };

struct room_client {
    int fd;
    uint32_t index; // the partner's is index ^ 1
    enum room_state state;
    uint8_t step;      // of the dialect
    bool waits;        // for the socket to take more
    bool listed;       // among those that are to send
    uint32_t credit;   // messages that it may send
    uint32_t sent;     // and has sent, modulo 2^32
    uint32_t received; // likewise from its partner
    uint8_t *in;       // the beginning of a frame
    size_t in_len;
    uint8_t *out; // what the socket did not take
    size_t out_at, out_len;
    char *text; // a message, to be filled in; NULL until the first one
    size_t text_len, mark_at;
};

struct rooms {
    const struct bench_options *options;
    const struct bench_target *target;
    const struct dialect *dialect;
    struct room_client *clients;
    uint32_t n, opened, ready, gone;
    uint32_t run;
    uint32_t *todo; // indexes of clients that are to send
    uint32_t todo_len;
    int epoll_fd;
    bool sending, measuring;
    uint64_t random;
    uint64_t sent, delivered, wrong; // messages
    int64_t read_ns;                 // when what is looked at was read
    struct histogram latency;
    char failure[160];
    uint8_t *input, *output;
    // What has been measured.
    double setup_s, seconds;
    uint64_t done;
    uint64_t lost;
    int64_t own_cpu_ns, idle_ns;
    int64_t memory[2]; // of the server, before and with them
    struct proc_cpu cpu;
};

// rooms_client.c

// Begins to connect. 0 or a negative errno.
int room_connect(struct rooms *r, struct room_client *c);
// What epoll says of it has to be done.
void room_event(struct rooms *r, struct room_client *c, uint32_t events);
// Sends what it may send.
void room_send(struct rooms *r, struct room_client *c);
void room_close(struct rooms *r, struct room_client *c);

// rooms_message.c

// Makes c->text. 0 or -ENOMEM.
int room_message_prepare(struct rooms *r, struct room_client *c);
// Appends frames to out as far as credit and cap go. Returns how many bytes.
size_t room_message_write(struct rooms *r, struct room_client *c, uint8_t *out, size_t cap);
// A text for a client that is ready. False: no message of its partner's.
bool room_message_take(struct rooms *r, struct room_client *c, const uint8_t *data, size_t len);
// One frame of a client.
size_t room_frame_write(struct rooms *r, uint8_t *out, uint8_t opcode, const void *data,
                        size_t len);

// rooms_report.c

// Prints what came out. 0 or an exit status, reported.
int rooms_report(struct rooms *r);

#endif
