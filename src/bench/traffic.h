// SPDX-License-Identifier: BSD-2-Clause
// Paced traffic through bound channels: in each lane one thread sends, one receives and judges.
#ifndef TP_BENCH_TRAFFIC_H
#define TP_BENCH_TRAFFIC_H

#include "bench/frame.h"
#include "bench/histogram.h"
#include "bench/order.h"
#include "bench/pace.h"
#include "bench/proc.h"
#include "bench/set.h"

// One interval of the time line, by when packets were sent.
struct traffic_slot {
    uint64_t sent, delivered;
    int64_t rss_anon; // bytes, at its end; -1: not known
    uint64_t p50_ns, p90_ns, p99_ns;
};

struct traffic_result {
    uint64_t sent;       // in the measured interval
    uint64_t delivered;  // of those
    uint64_t late;       // of those, behind a later one of their flow
    uint64_t wrong;      // what was not sent to the socket it arrived on, or came twice
    uint64_t unsendable; // refused by our own kernel, or by a stream that is full
    uint64_t skipped;    // not sent because a sender could not keep the pace
    uint64_t unread;     // dropped at our own sockets, which were not read in time
    uint64_t paced_sent, paced_delivered;
    uint64_t released, allocated, failed; // by churn
    uint64_t lost_clients;                // that failed without being churned
    double seconds;                       // as measured
    struct histogram latency;
    struct proc_cpu cpu; // of the server, over the interval
    int64_t own_cpu_ns;  // of the generator
    int64_t rss_anon;    // of the server, at the end; -1: not known
    int64_t interval_ns;
    uint32_t slot_count;
    struct traffic_slot slots[PACE_SLOTS];
};

// What a lane's threads work on.
struct lane {
    struct traffic *traffic;
    unsigned index;
    struct pace classes[2];
    unsigned class_count;
    uint8_t *send_buf;
    struct link_reader reader;
    // the sender's
    uint64_t sent[PACE_SLOTS + 1];
    uint64_t unsendable, skipped, paced_sent;
    bool sender_done;
    // the receiver's
    uint64_t delivered[PACE_SLOTS + 1];
    uint64_t late, wrong, paced_delivered;
    struct histogram *latency; // by slot, [PACE_SLOTS + 1]
    int64_t last_arrival;
    // the message from the server that is being read, until the session may have it
    size_t control_len;
    uint8_t control[2048];
};

struct traffic {
    struct set *set;
    const struct bench_options *options;
    double rate; // packets a second in total; profiles have their own
    struct traffic_result *out;
    uint32_t run;
    enum frame_kind framing; // on the client's side
    bool echo;
    int64_t begin_ns, measure_ns, end_ns; // CLOCK_MONOTONIC
    int64_t interval_ns;
    uint32_t slot_count;
    bool stop;            // ended early
    uint64_t *next_seq;   // by flow, the senders'
    struct order *orders; // by flow, the receivers'
    unsigned lane_count;
    struct lane *lanes;
};

// Runs traffic over the set's clients, which are all READY, at `rate` packets a second in total
// (profiles have their own), for o->warmup and then `seconds`. 0, or a BENCH_ exit status,
// reported.
int traffic_run(struct set *set, const struct bench_options *o, double rate, double seconds,
                struct traffic_result *out);

// The flows that send, and how often: see traffic_plan.c. 0 or -ENOMEM.
int traffic_plan(struct traffic *t);
// Packets a second in total that the options ask for.
double traffic_rate(const struct bench_options *o);

// The threads; arg is a struct lane.
void *traffic_send_main(void *arg);
void *traffic_receive_main(void *arg);

// What the main thread does meanwhile: keeps allocations, churns, samples, shows progress; until
// the end of the measured interval. See keeper.c. 0 or a BENCH_ exit status, reported.
int keeper_run(struct traffic *t);

#endif
