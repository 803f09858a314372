// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include "bench/frame.h"
#include "bench/traffic.h"

// The receivers nap and poll: a thread that sleeps in epoll_wait would be woken by the server, and
// the server pay for it. What arrives meanwhile waits in the socket buffers; datagrams have time
// stamps, streams do not, so that theirs is the shorter nap. The longer ones save a tenth of the
// generator's time where sockets have room for what comes meanwhile.
#define NAP_LONG_NS 2000000
#define NAP_NS 500000
#define NAP_STREAM_NS 100000
#define DRAIN_NS 300000000     // how long we wait for the last packets, unless told,
#define QUIET_NS 100000000     // how long nothing must have come then,
#define PATIENCE_NS 3000000000 // and how much longer at most
#define EVENTS 256

struct taking {
    struct lane *lane;
    struct bench_client *client;
    unsigned side;
};

static void judge(struct lane *lane, const struct stamp *stamp, int64_t arrived_ns)
{
    struct traffic *t = lane->traffic;
    enum order_verdict order = order_take(&t->orders[stamp->flow], stamp->seq);
    if (order == ORDER_AGAIN) { // a second one is no delivery
        count_add(&lane->wrong, 1);
        return;
    }
    if (!stamp->slot || stamp->slot > t->slot_count)
        return;
    count_add(&lane->delivered[stamp->slot], 1);
    if (stamp->flow / 2 < t->options->paced)
        count_add(&lane->paced_delivered, 1);
    if (order == ORDER_LATE)
        count_add(&lane->late, 1);
    histogram_add(&lane->latency[stamp->slot], arrived_ns > stamp->sent_ns
                                                   ? (uint64_t)arrived_ns - (uint64_t)stamp->sent_ns
                                                   : 0);
}

static uint32_t payload_of(const struct lane *lane, uint32_t flow)
{
    // With two classes, the media alternate by client as traffic_plan has it.
    return lane->class_count == 2 ? lane->classes[flow / 2 % 2].payload : lane->classes[0].payload;
}

// A message for the session: kept until the link's lock is free. Only one is ever under way.
static void keep_control(struct lane *lane, const uint8_t *data, size_t len)
{
    if (len > sizeof(lane->control) || lane->control_len)
        return;
    memcpy(lane->control, data, len);
    lane->control_len = len;
}

// The flow that a packet at a peer should be of: that of the one client of this peer, or of the one
// that it says it is from, if that shares the peer.
static uint32_t peer_flow(const struct traffic *t, const struct bench_client *owner,
                          const struct stamp *stamp)
{
    uint32_t index = stamp->flow / 2;
    if (owner->peer_shared && index < t->set->n && t->set->clients[index].peer_fd == owner->peer_fd)
        return index * 2 + FLOW_UP;
    return owner->index * 2 + FLOW_UP;
}

static void bounce(const struct bench_client *c, const uint8_t *data, size_t len)
{
    link_send_udp(c->peer_fd, c->peer_shared ? &c->relayed : NULL, data, len, 1, false);
}

static void take_packet(void *arg, const uint8_t *data, size_t len, int64_t arrived_ns)
{
    const struct taking *taking = arg;
    struct lane *lane = taking->lane;
    struct traffic *t = lane->traffic;
    uint32_t flow = taking->client->index * 2;
    const uint8_t *payload;
    size_t payload_len;
    struct stamp stamp;
    int kind = frame_open(taking->side == SIDE_PEER ? FRAME_PLAIN : t->framing, data, len, &payload,
                          &payload_len);

    if (kind == 0) {
        keep_control(lane, data, len);
        return;
    }
    // Upstream arrives at the peer, downstream and what is echoed at the client.
    bool ours = kind > 0 && frame_stamp(payload, payload_len, &stamp);
    if (ours && taking->side == SIDE_PEER)
        flow = peer_flow(t, taking->client, &stamp);
    if (taking->side == SIDE_CLIENT && !t->echo)
        flow += FLOW_DOWN;
    if (!ours || stamp.flow != flow || stamp.run != t->run ||
        payload_len != payload_of(lane, flow)) {
        // The forwarder's answer to a repeated question is no packet of a flow.
        if (!(t->options->floor && len > 6 && memcmp(data, "floor ", 6) == 0))
            count_add(&lane->wrong, 1);
        return;
    }
    lane->last_arrival = arrived_ns;
    if (t->echo && taking->side == SIDE_PEER)
        bounce(&t->set->clients[flow / 2], data, len);
    else
        judge(lane, &stamp, arrived_ns);
}

static void drop_link(struct traffic *t, struct bench_client *c, int rc)
{
    pthread_mutex_lock(&t->set->lock);
    session_fail(&t->set->env, c, "connection", rc,
                 rc == -EPIPE ? "the server has closed it" : NULL);
    if (c->link.locked)
        pthread_mutex_lock(&c->link.lock);
    link_close(&c->link);
    if (c->link.locked)
        pthread_mutex_unlock(&c->link.lock);
    pthread_mutex_unlock(&t->set->lock);
}

static void drain_client(struct lane *lane, struct bench_client *c)
{
    struct traffic *t = lane->traffic;
    struct taking taking = {.lane = lane, .client = c, .side = SIDE_CLIENT};
    int rc;
    do {
        rc = link_read(&c->link, &lane->reader, take_packet, &taking);
        if (lane->control_len) {
            pthread_mutex_lock(&t->set->lock);
            session_take(&t->set->env, c, lane->control, lane->control_len);
            pthread_mutex_unlock(&t->set->lock);
            lane->control_len = 0;
        }
    } while (rc == 1);
    if (rc < 0)
        drop_link(t, c, rc);
}

static void drain_peer(struct lane *lane, struct bench_client *c)
{
    struct taking taking = {.lane = lane, .client = c, .side = SIDE_PEER};
    while (link_read_udp(c->peer_fd, &lane->reader, take_packet, &taking) == 1)
        ;
}

// Whether all that was sent has come, once the sender is through.
static bool complete(const struct lane *lane)
{
    uint64_t missing = 0;
    if (!__atomic_load_n(&lane->sender_done, __ATOMIC_ACQUIRE))
        return false;
    for (uint32_t slot = 1; slot <= lane->traffic->slot_count; slot++)
        missing += count_get(&lane->sent[slot]) - lane->delivered[slot];
    return missing == 0;
}

static bool over(const struct lane *lane, int64_t now)
{
    const struct traffic *t = lane->traffic;
    double patience = t->options->patience;
    int64_t drained = t->end_ns + (patience < 0 ? DRAIN_NS : (int64_t)(patience * 1e9));
    if (complete(lane))
        return true;
    if (now < drained && !__atomic_load_n(&t->stop, __ATOMIC_RELAXED))
        return false;
    return now > drained + PATIENCE_NS || bench_now(CLOCK_REALTIME) - lane->last_arrival > QUIET_NS;
}

static int64_t nap_of(const struct traffic *t)
{
    int size = 0;
    socklen_t len = sizeof(size);
    if (t->echo || t->set->env.target->transport != TRANSPORT_UDP)
        return NAP_STREAM_NS;
    getsockopt(t->set->clients[0].peer_fd, SOL_SOCKET, SO_RCVBUF, &size, &len);
    return size >= LINK_BUFFER ? NAP_LONG_NS : NAP_NS;
}

void *traffic_receive_main(void *arg)
{
    struct lane *lane = arg;
    struct traffic *t = lane->traffic;
    int epoll_fd = t->set->epoll_fd[lane->index];
    int64_t now, nap = nap_of(t);

    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    while (!over(lane, now = bench_now(CLOCK_MONOTONIC))) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll_fd, events, EVENTS, 0);
        for (int i = 0; i < n; i++) {
            struct bench_client *c = &t->set->clients[events[i].data.u64 / 2];
            if (events[i].data.u64 % 2 == SIDE_PEER)
                drain_peer(lane, c);
            else
                drain_client(lane, c);
        }
        if (n < EVENTS)
            bench_sleep_until(now + nap);
    }
    return NULL;
}
