// SPDX-License-Identifier: BSD-2-Clause
// Input: what two users do with mobility tickets (RFC 8016), step by step: they allocate, show
// tickets that they got, that others got, damaged or made up, send data, lose connections. Whoever
// succeeds with a ticket must have been given just that one.
#include "fuzz.h"

#include <string.h>

#include "turn/server.h"
#include "turn/ticket.h"

#define STEPS 48

struct given {
    uint8_t bytes[TICKET_LEN];
    uint8_t user;
};

struct world {
    struct turn_server *server;
    struct given given[STEPS];
    size_t given_count;
    int64_t now_ms;
    uint32_t transaction;
    size_t open;
    struct turn_output out;
};

struct input {
    const uint8_t *at, *end;
};

static uint8_t next(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static int relay_open(void *arg, struct turn_allocation *a, struct turn_relay_request *req)
{
    struct world *w = arg;
    struct turn_relay *relay = &a->relay[turn_relay_index(req->family)];
    relay->socket = w;
    relay->relayed = (struct addr){.family = req->family, .port = 50000};
    w->open++;
    return 0;
}

static void relay_close(void *arg, struct turn_allocation *a, uint8_t family)
{
    struct world *w = arg;
    for (int i = 0; i < 2; i++) {
        if (family != ADDR_NONE && i != (int)turn_relay_index(family))
            continue;
        w->open -= a->relay[i].socket != NULL;
        a->relay[i].socket = NULL;
    }
}

static void event(void *arg, const struct turn_event_info *info)
{
}

static struct turn_tuple tuple(uint8_t place)
{
    return (struct turn_tuple){.client = {.family = ADDR_IPV4, .port = (uint16_t)(1 + place % 8)},
                               .local = {.family = ADDR_IPV4, .port = 3478},
                               .transport = place & 1 ? TURN_TCP : TURN_UDP};
}

// A request of a user from a place; ticket NULL: without the attribute. True when it succeeded.
static bool request(struct world *w, uint16_t method, uint8_t place, uint8_t user, int lifetime,
                    const uint8_t *ticket, size_t ticket_len)
{
    uint8_t data[512], txid[STUN_TXID_LEN] = {0};
    struct auth_grant grant = {.key_len = 16, .user_len = 1};
    struct turn_tuple t = tuple(place);
    struct stun_writer writer;
    struct stun_msg answer;
    struct stun_attr attr;

    grant.user[0] = user;
    w->transaction++;
    memcpy(txid, &w->transaction, sizeof(w->transaction));
    stun_begin(&writer, data, sizeof(data), STUN_REQUEST, method, txid, NULL);
    stun_put_u32(&writer, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
    if (lifetime >= 0)
        stun_put_u32(&writer, STUN_ATTR_LIFETIME, (uint32_t)lifetime);
    if (ticket)
        stun_put(&writer, STUN_ATTR_MOBILITY_TICKET, ticket, ticket_len);
    struct turn_input in = {.tuple = &t, .data = data, .now_ms = w->now_ms, .link = w};
    in.len = stun_end(&writer);
    enum turn_action action = turn_server_granted(w->server, &in, &grant, &w->out);
    if (action != TURN_REPLY)
        return false;
    CHECK(stun_parse(&answer, w->out.reply, w->out.reply_len) == STUN_PARSE_OK);
    if (answer.class_ != STUN_SUCCESS)
        return false;
    if (stun_find(&answer, STUN_ATTR_MOBILITY_TICKET, &attr)) {
        struct given *g = &w->given[w->given_count++];
        CHECK(attr.len == TICKET_LEN);
        memcpy(g->bytes, attr.value, TICKET_LEN);
        g->user = user;
    }
    return true;
}

static void show(struct world *w, struct input *in, uint8_t place, uint8_t user, uint8_t how)
{
    uint8_t ticket[64] = {0};
    size_t len = TICKET_LEN, count = w->given_count;
    int lifetime = how & 4 ? 0 : -1;
    bool got = false;

    if (how & 1 && count > 0) {
        memcpy(ticket, w->given[next(in) % count].bytes, TICKET_LEN);
        if (how & 2)
            ticket[next(in) % TICKET_LEN] ^= next(in);
    } else {
        len = next(in) % sizeof(ticket);
        for (size_t i = 0; i < len; i++)
            ticket[i] = next(in);
    }
    if (!request(w, STUN_REFRESH, place, user, lifetime, ticket, len))
        return;
    for (size_t i = 0; i < count; i++)
        got = got || (len == TICKET_LEN && w->given[i].user == user &&
                      memcmp(w->given[i].bytes, ticket, len) == 0);
    CHECK(got);
}

static void step(struct world *w, struct input *in)
{
    uint8_t what = next(in), place = next(in), user = place & 0x40 ? 'b' : 'a';
    struct turn_tuple t = tuple(place);
    struct turn_allocation *a = turn_server_find(w->server, &t, w->now_ms);
    struct turn_elsewhere elsewhere;

    switch (what % 8) {
    case 0:
        request(w, STUN_ALLOCATE, place, user, -1, (const uint8_t *)"", 0);
        break;
    case 1:
    case 2:
    case 3:
        show(w, in, place, user, what / 8);
        break;
    case 4:
        if (!a)
            turn_server_arrive(w->server, &t, w->now_ms, &elsewhere);
        break;
    case 5:
        if (a)
            turn_server_disconnect(w->server, a, &elsewhere);
        else
            turn_server_leave(w->server, &t);
        break;
    case 6:
        request(w, STUN_REFRESH, place, user, what & 8 ? 0 : -1, NULL, 0);
        break;
    default:
        w->now_ms += (int64_t)place * place * 16;
        turn_server_sweep(w->server, w->now_ms);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct turn_ops ops = {
        .relay_open = relay_open, .relay_close = relay_close, .event = event};
    static const uint8_t key[TICKET_KEY_LEN] = "not random here";
    static const struct auth_config auth = {.realm = "r"};
    static const struct policy policy;
    static const struct turn_config cfg = {.auth = &auth,
                                           .policy = &policy,
                                           .relay_ipv4 = true,
                                           .mobility = true,
                                           .lifetime_default = 600,
                                           .lifetime_max = 3600};
    static struct world w;
    struct input in = {data, data + size};
    struct quota *quota = quota_new();

    w = (struct world){.now_ms = 1000};
    CHECK(quota);
    w.server = turn_server_new(&ops, &w, quota, 0, key);
    CHECK(w.server);
    turn_server_configure(w.server, &cfg);
    for (int i = 0; i < STEPS && in.at < in.end; i++)
        step(&w, &in);
    CHECK(turn_server_count(w.server) == w.open);
    turn_server_free(w.server);
    CHECK(w.open == 0 && quota_total(quota) == 0);
    quota_free(quota);
    return 0;
}
