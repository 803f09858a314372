// SPDX-License-Identifier: BSD-2-Clause
// Storms of single requests, several under way for each client: Binding, and Refresh of what was
// allocated before.
#include "bench/storm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_NS 1000000000 // unless told

static bool is_refresh(const struct storm_lane *lane)
{
    return lane->storm->options->command == BENCH_REFRESH;
}

static int open_requests(struct storm_lane *lane)
{
    const struct set *set = &lane->storm->set;
    uint32_t window = lane->storm->options->window, n = 0;

    lane->slots = calloc((set->n / set->lanes + 1) * window, sizeof(*lane->slots));
    if (!lane->slots)
        return -ENOMEM;
    // Clients in turn, and not one client's window after the other.
    for (uint32_t w = 0; w < window; w++) {
        for (uint32_t i = lane->index; i < set->n; i += set->lanes) {
            lane->slots[n].client = i;
            lane->idle[lane->idle_len++] = n++;
        }
    }
    lane->slot_count = n;
    return 0;
}

// The transaction id finds the slot again: run, slot, generation.
static void send_slot(struct storm_lane *lane, uint32_t i)
{
    struct storm_slot *slot = &lane->slots[i];
    struct bench_client *c = &lane->storm->set.clients[slot->client];
    uint8_t buf[1536], txid[STUN_TXID_LEN];
    struct stun_writer w;
    size_t len;

    slot->generation++;
    slot->busy = true;
    memcpy(txid, &lane->storm->run, 4);
    memcpy(txid + 4, &i, 4);
    memcpy(txid + 8, &slot->generation, 4);
    session_request_begin(&w, buf, sizeof(buf), is_refresh(lane) ? STUN_REFRESH : STUN_BINDING,
                          txid);
    len = is_refresh(lane) ? session_request_end(&lane->env, c, &w) : stun_end(&w);
    if (len)
        link_send(&c->link, buf, len, 1, false); // what is not sent is not answered
}

static void start_request(struct storm_lane *lane, uint32_t i)
{
    lane->slots[i].sent_ns = bench_now(CLOCK_REALTIME);
    send_slot(lane, i);
}

// The slot that this answers, or -1.
static int64_t find_slot(const struct storm_lane *lane, const struct stun_msg *msg)
{
    uint32_t run, i, generation;
    memcpy(&run, msg->txid, 4);
    memcpy(&i, msg->txid + 4, 4);
    memcpy(&generation, msg->txid + 8, 4);
    if (run != lane->storm->run || i >= lane->slot_count || !lane->slots[i].busy ||
        lane->slots[i].generation != generation || lane->slots[i].client != lane->reading->index)
        return -1;
    return i;
}

static void take_answer(void *arg, const uint8_t *data, size_t len, int64_t arrived_ns)
{
    struct storm_lane *lane = arg;
    struct stun_msg msg;
    const char *reason;
    size_t reason_len;
    int code = -EPROTO;

    if (stun_parse(&msg, data, len) != STUN_PARSE_OK)
        return;
    int64_t i = find_slot(lane, &msg);
    if (i < 0 || (msg.class_ != STUN_SUCCESS && msg.class_ != STUN_ERROR))
        return;
    lane->slots[i].busy = false;
    if (msg.class_ == STUN_SUCCESS) {
        storm_done(lane, (uint32_t)i, arrived_ns - lane->slots[i].sent_ns);
        return;
    }
    stun_get_error(&msg, &code, &reason, &reason_len);
    // A nonce that is too old now is no failure: the same again with the new one.
    if (code == 438 && session_learn(&lane->env, lane->reading, &msg) == 0)
        send_slot(lane, (uint32_t)i);
    else
        storm_failed(lane, (uint32_t)i, code);
}

static void check_requests(struct storm_lane *lane, int64_t now)
{
    double patience = lane->storm->options->patience;
    int64_t late =
        bench_now(CLOCK_REALTIME) - (patience < 0 ? TIMEOUT_NS : (int64_t)(patience * 1e9));
    (void)now;
    for (uint32_t i = 0; i < lane->slot_count; i++) {
        struct storm_slot *slot = &lane->slots[i];
        if (!slot->busy || slot->sent_ns > late)
            continue;
        slot->busy = false;
        storm_failed(lane, i, STORM_TIMEOUT);
    }
}

static size_t busy_requests(const struct storm_lane *lane)
{
    size_t n = 0;
    for (size_t i = 0; i < lane->slot_count; i++)
        n += lane->slots[i].busy;
    return n;
}

const struct storm_ops storm_request_ops = {
    .open = open_requests,
    .start = start_request,
    .take = take_answer,
    .check = check_requests,
    .busy = busy_requests,
};
