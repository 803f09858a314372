// SPDX-License-Identifier: BSD-2-Clause
// ICMP errors about datagrams to peers become Data indications (RFC 8656 section 11.5). Anyone can
// forge them who knows a relayed address: they change nothing here, and the client hears of few.
#include "worker/internal.h"

#define ROUNDS 4          // batches read before others get their turn
#define TOLD_PER_SECOND 5 // of one relayed address
#define TOLD_AT_ONCE 10

// Those that RFC 8656 names.
static bool worth_telling(const struct udp_error *e)
{
    if (e->to.family == ADDR_IPV4)
        return e->type == 3 || e->type == 11; // destination unreachable, time exceeded
    return e->type >= 1 && e->type <= 3;      // and packet too big between them
}

static void tell(struct worker *w, struct turn_allocation *a, const struct udp_error *e)
{
    uint8_t message[TURN_DATA_ICMP_MAX], txid[12];
    relay_indication_id(w, txid);
    size_t len = turn_data_icmp(message, txid, &e->to, e->type, e->code, e->mtu);
    if (a->link)
        io_queue_copy(w->io, a->link, &a->tuple.client, &a->tuple.local, message, len);
}

bool relay_errors(struct worker *w, struct turn_allocation *a, struct udp_socket *udp,
                  struct rate *rate, int64_t now_ms)
{
    struct udp_error errors[UDP_BATCH];
    bool drained = false;
    for (int round = 0; round < ROUNDS && !drained; round++) {
        unsigned n = udp_receive_errors(w->io, udp, errors, UDP_BATCH, &drained);
        for (unsigned i = 0; i < n && turn_relay_live(a, udp->local.family, now_ms); i++)
            if (worth_telling(&errors[i]) && turn_permission_covers(a, &errors[i].to, now_ms) &&
                rate_take(rate, TOLD_PER_SECOND, TOLD_AT_ONCE, 1, now_ms))
                tell(w, a, &errors[i]);
    }
    return drained;
}
