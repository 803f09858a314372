// SPDX-License-Identifier: BSD-2-Clause
// The packet path between clients and peers (RFC 8656 sections 11 and 12). Nothing is allocated or
// copied for a packet: what is sent points into what was received.
#include <string.h>

#include "stun/channel_data.h"
#include "worker/relay_socket.h"
#include "worker/tcp_relay.h"

#define FIRST_READ 4 // datagrams that one socket of many may well have
#define ROUNDS 4     // further batches read from one socket before others get their turn

static const uint8_t zeros[4];

// Whether the bandwidth limits let a datagram through, in either direction.
static bool within_limits(struct worker *w, struct turn_allocation *a, size_t len)
{
    if (!a->limited || turn_bandwidth_take(w->turn, a, len, clock_ms()))
        return true;
    io_counters(w->io)->limited++;
    return false;
}

// --- client to peer ---

static void send_to_peer(struct worker *w, struct turn_allocation *a, const struct addr *peer,
                         const uint8_t *payload, size_t len)
{
    struct relay_socket *rs = a->relay[turn_relay_index(peer->family)].socket;
    if (!rs)
        return;
    rs = relay_socket_towards(rs, peer);
    struct io_out *out = io_queue(w->io, &rs->udp.sink);
    out->to = *peer;
    out->from = rs->udp.local;
    out->iov[0] = (struct iovec){(void *)(uintptr_t)payload, len};
    out->iov_count = 1;
    out->len = (uint32_t)len;
    a->sent_packets++;
    a->sent_bytes += len;
}

void relay_channel_data(struct worker *w, struct turn_allocation *a, const uint8_t *data,
                        size_t len, int64_t now_ms)
{
    struct channel_data cd;
    if (channel_data_parse(&cd, data, len))
        return;
    const struct turn_channel *ch = turn_channel_by_number(a, cd.channel, now_ms);
    if (ch && turn_relay_live(a, ch->peer.family, now_ms) && within_limits(w, a, cd.len))
        send_to_peer(w, a, &ch->peer, cd.payload, cd.len);
}

// DONT-FRAGMENT counts from IPv4 to IPv4 and for clients on streams (RFC 8656 14 and 15); where a
// datagram is translated from or to IPv6 it must be ignored (13.1 to 13.3).
static bool may_forbid_fragments(const struct turn_allocation *a, const struct addr *peer)
{
    if (a->tuple.transport == TURN_TCP || a->tuple.transport == TURN_TLS)
        return true;
    return a->tuple.client.family == ADDR_IPV4 && peer->family == ADDR_IPV4;
}

void relay_send(struct worker *w, const struct turn_output *out)
{
    struct turn_allocation *a = out->allocation;
    struct relay_socket *rs = a->relay[turn_relay_index(out->peer.family)].socket;
    if (!within_limits(w, a, out->payload_len))
        return;
    if (rs && out->dont_fragment && may_forbid_fragments(a, &out->peer)) {
        rs = relay_socket_towards(rs, &out->peer);
        udp_send_whole(w->io, &rs->udp, &out->peer, out->payload, out->payload_len);
        a->sent_packets++;
        a->sent_bytes += out->payload_len;
        return;
    }
    send_to_peer(w, a, &out->peer, out->payload, out->payload_len);
}

// --- peer to client ---

void relay_indication_id(struct worker *w, uint8_t txid[12])
{
    uint64_t count = w->indications++;
    uint64_t h[2];
    h[0] = siphash(&w->hash_key, &count, sizeof count);
    h[1] = siphash(&w->hash_key, h, sizeof h[0]);
    memcpy(txid, h, 12);
}

// Puts the header before the payload: in place where the bytes in front are free, else in the
// output's own space.
static void set_payload(struct io_out *out, const uint8_t *head, size_t head_len, uint8_t *payload,
                        size_t len, size_t pad, bool in_place)
{
    unsigned n = 0;
    if (in_place) {
        memcpy(payload - head_len, head, head_len);
        out->iov[n++] = (struct iovec){payload - head_len, head_len + len};
    } else {
        memcpy(out->head, head, head_len);
        out->iov[n++] = (struct iovec){out->head, head_len};
        out->iov[n++] = (struct iovec){payload, len};
    }
    if (pad)
        out->iov[n++] = (struct iovec){(void *)(uintptr_t)zeros, pad};
    out->iov_count = (uint8_t)n;
    out->len = (uint32_t)(head_len + len + pad);
}

static void send_to_client(struct worker *w, struct turn_allocation *a,
                           const struct turn_channel *ch, const struct addr *peer, uint8_t *payload,
                           size_t len, bool in_place)
{
    uint8_t head[TURN_DATA_HEADER_MAX];
    size_t head_len = CHANNEL_HEADER_LEN, pad = 0;
    if (ch) {
        channel_data_header(head, ch->number, (uint16_t)len);
        if (a->tuple.transport == TURN_TCP || a->tuple.transport == TURN_TLS)
            pad = TURN_DATA_PAD(len); // RFC 8656 12.5: on a stream
    } else {
        uint8_t txid[12];
        relay_indication_id(w, txid);
        head_len = turn_data_header(head, txid, peer, (uint16_t)len);
        if (!head_len) // longer than a STUN message can be
            return;
        pad = TURN_DATA_PAD(len);
    }
    struct io_out *out = io_queue(w->io, a->link);
    out->to = a->tuple.client;
    out->from = a->tuple.local;
    set_payload(out, head, head_len, payload, len, pad, in_place);
    a->received_packets++;
    a->received_bytes += len;
}

static void relay_datagrams(struct worker *w, struct turn_allocation *a, struct udp_in *in,
                            int64_t now_ms)
{
    if (!turn_permission_covers(a, &in->from, now_ms))
        return;
    const struct turn_channel *ch = turn_channel_by_peer(a, &in->from, now_ms);
    uint32_t at = 0;
    do {
        uint32_t len = in->len - at < in->segment ? in->len - at : in->segment;
        if (within_limits(w, a, len))
            send_to_client(w, a, ch, &in->from, in->data + at, len, at == 0);
        at += len;
    } while (at < in->len);
}

// What is left of an edge-triggered socket is told again once it is registered anew: in the loop's
// next turn, after everything else that is ready. An event made active would run again in this very
// turn, and a flood from peers would keep the loop from ever looking at its other sockets and
// timers.
static void read_on(struct relay_socket *rs)
{
    event_del(&rs->readable);
    if (event_add(&rs->readable, NULL))
        event_active(&rs->readable, EV_READ, 0); // comes back here
}

void relay_read(struct relay_socket *rs)
{
    struct worker *w = rs->worker;
    struct turn_allocation *a = rs->allocation;
    struct udp_in in[UDP_BATCH];
    bool drained = false, idle = true;
    int64_t now_ms = clock_ms();
    for (int round = 0; round <= ROUNDS && !drained; round++) {
        unsigned n = udp_receive(w->io, &rs->udp, in, round ? UDP_BATCH : FIRST_READ, &drained);
        idle = idle && n == 0;
        if (!turn_relay_live(a, rs->udp.local.family, now_ms) || !a->link)
            continue; // dead, though not swept yet, or its client is away: read and dropped
        for (unsigned i = 0; i < n; i++)
            relay_datagrams(w, a, &in[i], now_ms);
    }
    // Ready, but not for reading: the kernel says so, too, when there are errors. Nothing else asks
    // for them, so that they cost the packets of others nothing.
    if ((idle || rs->udp.errors_seen) &&
        !relay_errors(w, a, &rs->udp, relay_socket_errors(rs), now_ms))
        drained = false;
    if (!drained || !event_pending(&rs->readable, EV_READ, NULL))
        read_on(rs);
}

// A connection or a session knows its allocation.
static void tell_made(const struct turn_allocation *a)
{
    struct turn_allocation *made = (struct turn_allocation *)(uintptr_t)a;
    switch (a->link ? a->tuple.transport : TURN_UDP) {
    case TURN_UDP:
        break;
    case TURN_TCP:
    case TURN_TLS:
        stream_allocation_made(a->link, made);
        break;
    case TURN_DTLS:
        dtls_allocation_made(a->link, made);
        break;
    }
}

static void tell_ended(const struct turn_tuple *tuple, void *link)
{
    switch (link ? tuple->transport : TURN_UDP) {
    case TURN_UDP:
        break;
    case TURN_TCP:
    case TURN_TLS:
        stream_allocation_ended(link);
        break;
    case TURN_DTLS:
        dtls_allocation_ended(link);
        break;
    }
}

static void on_event(void *arg, const struct turn_event_info *info)
{
    struct worker *w = arg;
    const struct turn_allocation *a = info->allocation;
    switch (info->event) {
    case TURN_EVENT_AUTH_REFUSED:
        w->auth_refused = true;
        break;
    case TURN_EVENT_ALLOCATED:
        tell_made(a);
        break;
    case TURN_EVENT_MOVED:
        if (info->old)
            tell_ended(info->old, info->old_link);
        tell_made(a);
        break;
    case TURN_EVENT_LEFT:
    case TURN_EVENT_DELETED:
    case TURN_EVENT_EXPIRED:
    case TURN_EVENT_CLOSED:
        tell_ended(&a->tuple, a->link);
        break;
    case TURN_EVENT_REFRESHED:
        migrate_refreshed(w, a);
        break;
    case TURN_EVENT_UNEXPECTED:
        migrate_unexpected(w, a, info->worker);
        break;
    default:
        break;
    }
    report_event(w, info);
}

static void send_message(void *arg, struct turn_allocation *a, const uint8_t *msg, size_t len)
{
    struct worker *w = arg;
    io_queue_copy(w->io, a->link, &a->tuple.client, &a->tuple.local, msg, len);
}

const struct turn_ops relay_turn_ops = {.relay_open = relay_socket_open,
                                        .relay_close = relay_socket_close,
                                        .relay_detach = relay_socket_detach,
                                        .relay_adopt = relay_socket_adopt,
                                        .event = on_event,
                                        .peer_open = tcp_peer_open,
                                        .peer_close = tcp_peer_close,
                                        .send = send_message};
