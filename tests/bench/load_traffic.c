// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load_histogram.h"
#include "load_traffic.h"
#include "stun/channel_data.h"

#define MAGIC 0x74706c64u
#define NAP_NS                                                                                     \
    500000 // the receiver's; what arrives meanwhile waits in the socket buffers, time-stamped
#define DRAIN_NS 300000000  // how long we wait for the last packets
#define MAX_LAG_NS 20000000 // beyond this the sender gives up what it owes
#define READS 32            // packets a recvmmsg
#define READ_LEN 2048       // without UDP_GRO
#define READ_LEN_GRO 65536
#define EVENTS 256

enum { UP, DOWN };

// At the start of each payload, in host order: it never leaves the machine.
struct stamp {
    uint32_t magic;
    uint32_t flow;     // index of the client * 2 + direction
    uint32_t run;      // tells the runs of one server apart
    uint32_t measured; // sent in the measured interval
    uint64_t seq;
    int64_t sent_ns; // CLOCK_REALTIME
};

struct traffic {
    struct load_set *set;
    const struct load_plan *plan;
    struct load_result *out;
    uint32_t run;
    int64_t begin_ns, measure_ns, end_ns; // CLOCK_MONOTONIC
    // the sender's
    uint64_t *next_seq; // by flow
    uint8_t *send_buf;
    // the receiver's
    uint64_t *expected_seq; // by flow
    uint8_t *recv_buf;
    size_t read_len;
    int epoll_fd;
    struct histogram *latency;
};

static void sleep_until(int64_t when_ns)
{
    struct timespec ts = {.tv_sec = when_ns / 1000000000, .tv_nsec = when_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        ;
}

// --- sending ---

// Writes the packets of one burst back to back; returns the length of each.
static size_t fill_burst(struct traffic *t, uint32_t flow, bool measured)
{
    size_t head = flow % 2 == UP ? CHANNEL_HEADER_LEN : 0, len = head + t->plan->payload;
    struct stamp stamp = {.magic = MAGIC, .flow = flow, .run = t->run, .measured = measured};
    stamp.sent_ns = load_now_ns(CLOCK_REALTIME);
    for (uint32_t i = 0; i < t->plan->burst; i++) {
        uint8_t *p = t->send_buf + i * len;
        if (head)
            channel_data_header(p, LOAD_CHANNEL, (uint16_t)t->plan->payload);
        stamp.seq = t->next_seq[flow] + i;
        memcpy(p + head, &stamp, sizeof stamp);
    }
    return len;
}

static int send_offloaded(int fd, uint8_t *buf, size_t len, uint32_t n)
{
    union {
        struct cmsghdr align;
        uint8_t space[CMSG_SPACE(sizeof(uint16_t))];
    } control = {0};
    struct iovec iov = {.iov_base = buf, .iov_len = len * n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    msg.msg_control = control.space;
    msg.msg_controllen = sizeof control.space;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    uint16_t segment = (uint16_t)len;
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(c), &segment, sizeof segment);
    return sendmsg(fd, &msg, MSG_DONTWAIT) < 0 ? -1 : (int)n;
}

static int send_packets(int fd, uint8_t *buf, size_t len, uint32_t n)
{
    if (n == 1)
        return send(fd, buf, len, MSG_DONTWAIT) < 0 ? -1 : 1;
    struct mmsghdr msgs[LOAD_MAX_BURST];
    struct iovec iov[LOAD_MAX_BURST];
    memset(msgs, 0, n * sizeof msgs[0]);
    for (uint32_t i = 0; i < n; i++) {
        iov[i] = (struct iovec){.iov_base = buf + i * len, .iov_len = len};
        msgs[i].msg_hdr.msg_iov = &iov[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    return sendmmsg(fd, msgs, n, MSG_DONTWAIT);
}

static void send_burst(struct traffic *t, uint32_t flow, bool measured)
{
    const struct load_client *c = &t->set->clients[flow / 2];
    int fd = flow % 2 == UP ? c->fd : c->peer_fd;
    uint32_t n = t->plan->burst;
    size_t len = fill_burst(t, flow, measured);
    int sent = t->plan->offload && n > 1 ? send_offloaded(fd, t->send_buf, len, n)
                                         : send_packets(fd, t->send_buf, len, n);
    uint32_t done = sent > 0 ? (uint32_t)sent : 0;
    t->next_seq[flow] += done;
    if (measured) {
        t->out->sent += done;
        t->out->unsendable += n - done;
    }
}

// The flow of the k-th burst: round robin over the clients, and over the directions where there are
// two.
static uint32_t flow_of(const struct traffic *t, uint64_t k)
{
    if (t->plan->up && t->plan->down)
        return (uint32_t)(k / 2 % t->set->n * 2 + k % 2);
    return (uint32_t)(k % t->set->n * 2 + (t->plan->up ? UP : DOWN));
}

static void *send_main(void *arg)
{
    struct traffic *t = arg;
    double gap_ns = 1e9 * t->plan->burst / t->plan->rate;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    uint64_t k = 0; // bursts sent or given up
    for (int64_t tick = t->begin_ns; tick < t->end_ns; tick += (int64_t)t->plan->tick_us * 1000) {
        sleep_until(tick);
        int64_t now = load_now_ns(CLOCK_MONOTONIC);
        uint64_t due = (uint64_t)((double)(tick - t->begin_ns) / gap_ns) + 1;
        bool measured = tick >= t->measure_ns;
        if (now - tick > MAX_LAG_NS) {
            if (measured)
                t->out->skipped += (due - k) * t->plan->burst;
            k = due;
        }
        for (; k < due; k++)
            send_burst(t, flow_of(t, k), measured);
    }
    return NULL;
}

// --- receiving ---

static void take_payload(struct traffic *t, uint32_t flow, const uint8_t *data, size_t len,
                         int64_t now_ns)
{
    struct stamp stamp;
    if (flow % 2 == DOWN) {
        struct channel_data cd;
        if (channel_data_parse(&cd, data, len) || cd.channel != LOAD_CHANNEL) {
            t->out->wrong++;
            return;
        }
        data = cd.payload;
        len = cd.len;
    }
    if (len != t->plan->payload) {
        t->out->wrong++;
        return;
    }
    memcpy(&stamp, data, sizeof stamp);
    if (stamp.magic != MAGIC || stamp.flow != flow || stamp.run != t->run) {
        t->out->wrong++;
        return;
    }
    bool late = stamp.seq < t->expected_seq[flow];
    if (!late)
        t->expected_seq[flow] = stamp.seq + 1;
    if (!stamp.measured)
        return;
    t->out->delivered++;
    t->out->late += late;
    histogram_add(t->latency, now_ns > stamp.sent_ns ? (uint64_t)(now_ns - stamp.sent_ns) : 0);
}

// What the kernel says of a read: when the packet arrived, and the length of each when UDP_GRO
// joined several.
static void read_control(struct msghdr *msg, int64_t *arrived_ns, size_t *segment)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec ts;
            memcpy(&ts, CMSG_DATA(c), sizeof ts);
            *arrived_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
        } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            if (size > 0)
                *segment = (size_t)size;
        }
    }
}

static void take_read(struct traffic *t, uint32_t flow, struct mmsghdr *read)
{
    const uint8_t *data = read->msg_hdr.msg_iov->iov_base;
    size_t left = read->msg_len, segment = left;
    int64_t arrived = 0;
    read_control(&read->msg_hdr, &arrived, &segment);
    while (left) {
        size_t len = left < segment ? left : segment;
        take_payload(t, flow, data, len, arrived);
        data += len;
        left -= len;
    }
}

static void drain_socket(struct traffic *t, uint32_t flow)
{
    const struct load_client *c = &t->set->clients[flow / 2];
    int fd = flow % 2 == UP ? c->peer_fd : c->fd, n;
    do {
        struct mmsghdr msgs[READS];
        struct iovec iov[READS];
        _Alignas(struct cmsghdr) uint8_t control[READS][128];
        memset(msgs, 0, sizeof msgs);
        for (size_t i = 0; i < READS; i++) {
            iov[i] =
                (struct iovec){.iov_base = t->recv_buf + i * t->read_len, .iov_len = t->read_len};
            msgs[i].msg_hdr.msg_iov = &iov[i];
            msgs[i].msg_hdr.msg_iovlen = 1;
            msgs[i].msg_hdr.msg_control = control[i];
            msgs[i].msg_hdr.msg_controllen = sizeof control[i];
        }
        n = recvmmsg(fd, msgs, READS, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++)
            take_read(t, flow, &msgs[i]);
    } while (n == READS);
}

// Naps and polls: a thread that sleeps in epoll_wait would be woken by the server, and the server
// pay for it.
static void *receive_main(void *arg)
{
    struct traffic *t = arg;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    int64_t now;
    while ((now = load_now_ns(CLOCK_MONOTONIC)) < t->end_ns + DRAIN_NS) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(t->epoll_fd, events, EVENTS, 0);
        for (int i = 0; i < n; i++)
            drain_socket(t, events[i].data.u32);
        if (n < EVENTS)
            sleep_until(now + NAP_NS);
    }
    return NULL;
}

// --- the run ---

static int watch(struct traffic *t, int fd, uint32_t flow)
{
    int on = t->plan->offload;
    if (setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) < 0 && on)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = flow};
    return epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int set_up(struct traffic *t)
{
    size_t flows = t->set->n * 2;
    t->read_len = t->plan->offload ? READ_LEN_GRO : READ_LEN;
    t->next_seq = calloc(flows, sizeof *t->next_seq);
    t->expected_seq = calloc(flows, sizeof *t->expected_seq);
    t->send_buf = calloc(LOAD_MAX_BURST, LOAD_MAX_PAYLOAD + CHANNEL_HEADER_LEN);
    t->recv_buf = malloc(READS * t->read_len);
    t->latency = calloc(1, sizeof *t->latency);
    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!t->next_seq || !t->expected_seq || !t->send_buf || !t->recv_buf || !t->latency ||
        t->epoll_fd < 0)
        return -ENOMEM;
    int rc = 0;
    for (uint32_t i = 0; i < t->set->n && !rc; i++) {
        rc = watch(t, t->set->clients[i].peer_fd, i * 2 + UP);
        if (!rc)
            rc = watch(t, t->set->clients[i].fd, i * 2 + DOWN);
    }
    t->run = (uint32_t)load_now_ns(CLOCK_REALTIME);
    t->begin_ns = load_now_ns(CLOCK_MONOTONIC) + 20000000;
    t->measure_ns = t->begin_ns + (int64_t)(t->plan->warmup * 1e9);
    t->end_ns = t->measure_ns + (int64_t)(t->plan->seconds * 1e9);
    return rc;
}

static void tear_down(struct traffic *t)
{
    free(t->next_seq);
    free(t->expected_seq);
    free(t->send_buf);
    free(t->recv_buf);
    free(t->latency);
    if (t->epoll_fd >= 0)
        close(t->epoll_fd);
}

// Sleeps through the measured interval and takes the CPU times at both of its ends.
static int measure(struct traffic *t)
{
    struct load_result *out = t->out;
    struct proc_cpu before = {0}, after = {0};
    sleep_until(t->measure_ns);
    int64_t from = load_now_ns(CLOCK_MONOTONIC), own = load_now_ns(CLOCK_PROCESS_CPUTIME_ID);
    int rc = t->plan->pid ? proc_cpu_read(t->plan->pid, &before) : 0;
    sleep_until(t->end_ns);
    if (!rc && t->plan->pid)
        rc = proc_cpu_read(t->plan->pid, &after);
    out->seconds = (double)(load_now_ns(CLOCK_MONOTONIC) - from) / 1e9;
    out->own_cpu_ns = load_now_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
    out->cpu.total_ns = after.total_ns - before.total_ns;
    out->cpu.user_ns = after.user_ns - before.user_ns;
    out->cpu.system_ns = after.system_ns - before.system_ns;
    out->cpu.voluntary = after.voluntary - before.voluntary;
    out->cpu.involuntary = after.involuntary - before.involuntary;
    return rc;
}

int load_traffic_run(struct load_set *set, const struct load_plan *plan, struct load_result *out)
{
    struct traffic t = {.set = set, .plan = plan, .out = out, .epoll_fd = -1};
    pthread_t sender, receiver;
    *out = (struct load_result){0};
    int rc = set_up(&t);
    if (!rc)
        rc = -pthread_create(&receiver, NULL, receive_main, &t);
    if (!rc) {
        rc = -pthread_create(&sender, NULL, send_main, &t);
        if (!rc) {
            rc = measure(&t);
            pthread_join(sender, NULL);
        }
        pthread_join(receiver, NULL);
    }
    if (!rc) {
        out->p50_us = (double)histogram_quantile(t.latency, 0.50) / 1e3;
        out->p99_us = (double)histogram_quantile(t.latency, 0.99) / 1e3;
    } else {
        fprintf(stderr, "relay_load: the run failed: %s\n", strerror(-rc));
    }
    tear_down(&t);
    return rc;
}
