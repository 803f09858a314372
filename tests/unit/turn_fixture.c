// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "stun/integrity.h"
#include "turn_fixture.h"

struct addr ip_port(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, text), 0);
    return a;
}

struct addr_range range(const char *text)
{
    struct addr_range r;
    const char *why;
    assert_int_equal(addr_range_parse(&r, text, &why), 0);
    return r;
}

static int relay_open(void *arg, struct turn_allocation *a, struct turn_relay_request *req)
{
    struct fixture *f = arg;
    unsigned i = turn_relay_index(req->family);
    int rc = i ? f->open_result6 : f->open_result;

    f->last_open = *req;
    f->last_open_token = req->token_in != NULL;
    if (rc < 0)
        return rc;
    assert_null(a->relay[i].socket);
    a->relay[i].socket = f;
    a->relay[i].relayed = ip_port(i ? "[2001:db8::7]:50000" : "203.0.113.7:50000");
    a->relay[i].relayed.port = (uint16_t)(50000 + f->opened++ % 10000);
    if (req->reserve_next)
        memcpy(req->token_out, "token123", 8);
    f->open++;
    return 0;
}

static void relay_close(void *arg, struct turn_allocation *a, uint8_t family)
{
    struct fixture *f = arg;
    for (unsigned i = 0; i < 2; i++) {
        if (family != ADDR_NONE && i != turn_relay_index(family))
            continue;
        f->open -= a->relay[i].socket != NULL;
        memset(&a->relay[i], 0, sizeof(a->relay[i]));
    }
}

static void event(void *arg, const struct turn_event_info *info)
{
    struct fixture *f = arg;
    f->events[info->event]++;
    f->last = *info;
    if (info->peer)
        f->last_peer = *info->peer;
    if (info->event == TURN_EVENT_UNEXPECTED)
        f->unexpected_at = info->worker;
}

static void relay_detach(void *arg, struct turn_allocation *a)
{
    struct fixture *f = arg;
    for (unsigned i = 0; i < 2; i++)
        f->open -= a->relay[i].socket != NULL;
    f->detached++;
}

static int relay_adopt(void *arg, struct turn_allocation *a)
{
    struct fixture *f = arg;
    for (unsigned i = 0; i < 2; i++)
        f->open += a->relay[i].socket != NULL;
    f->adopted++;
    return f->adopt_result;
}

static int peer_open(void *arg, struct turn_connection *c)
{
    struct fixture *f = arg;
    if (f->peer_result < 0)
        return f->peer_result;
    c->socket = f;
    f->peers++;
    return 0;
}

static void peer_close(void *arg, struct turn_connection *c)
{
    struct fixture *f = arg;
    assert_ptr_equal(c->socket, f);
    c->socket = NULL;
    assert_true(f->peers > 0);
    f->peers--;
}

static void send_message(void *arg, struct turn_allocation *a, const uint8_t *msg, size_t len)
{
    struct fixture *f = arg;
    assert_ptr_equal(a->link, f);
    assert_in_range(len, STUN_HEADER_LEN, sizeof(f->sent));
    memcpy(f->sent, msg, len);
    assert_int_equal(stun_parse(&f->sent_msg, f->sent, len), STUN_PARSE_OK);
    f->sent_count++;
}

static const struct turn_ops ops = {relay_open, relay_close, relay_detach, relay_adopt,
                                    event,      peer_open,   peer_close,   send_message};
static const uint8_t ticket_key[TURN_TICKET_KEY_LEN] = "the key of all tickets";

struct fixture *fixture_new(void)
{
    return fixture_new_worker(3);
}

struct fixture *fixture_new_worker(uint8_t worker)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    f->auth = (struct auth_config){.realm = REALM, .nonce_key = {1, 2, 3}, .nonce_lifetime = 3600};
    f->cfg = (struct turn_config){
        .auth = &f->auth,
        .policy = &f->policy,
        .relay_ipv4 = true,
        .relay_ipv6 = true,
        .mobility = true,
        .lifetime_default = 600,
        .lifetime_max = 3600,
        .permission_lifetime = 300,
        .channel_lifetime = 600,
        .max_permissions = 100,
        .max_channels = 100,
        .max_connections = 100,
        .software = "turnpike",
    };
    f->tuple.client = ip_port("198.51.100.9:40000");
    f->tuple.local = ip_port("203.0.113.1:3478");
    f->now_ms = 1000123;
    f->unix_time = 1700000000;
    f->user = "alice";
    f->password = "secret";
    f->sign = true;
    f->quota = quota_new();
    assert_non_null(f->quota);
    f->worker = worker;
    f->server = turn_server_new(&ops, f, f->quota, worker, ticket_key);
    assert_non_null(f->server);
    turn_server_configure(f->server, &f->cfg);
    return f;
}

void fixture_free(struct fixture *f)
{
    turn_server_free(f->server);
    assert_int_equal(f->open, 0);
    assert_int_equal(f->peers, 0);
    if (!f->fellow) {
        assert_int_equal(quota_total(f->quota), 0);
        quota_free(f->quota);
    }
    test_free(f);
}

int fixture_setup(void **state)
{
    struct fixture *f = fixture_new();
    fixture_login(f);
    *state = f;
    return 0;
}

int fixture_setup_allocated(void **state)
{
    fixture_setup(state);
    assert_int_equal(do_allocate(*state), 0);
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

struct fixture *fixture_fellow(struct fixture *f, uint8_t worker)
{
    struct fixture *fellow = test_calloc(1, sizeof(*fellow));
    *fellow = *f;
    fellow->fellow = true;
    fellow->worker = worker;
    fellow->open = 0;
    fellow->cfg.auth = &fellow->auth;
    fellow->cfg.policy = &fellow->policy;
    fellow->server = turn_server_new(&ops, fellow, f->quota, worker, ticket_key);
    assert_non_null(fellow->server);
    turn_server_configure(fellow->server, &fellow->cfg);
    return fellow;
}

static int read_answer(struct fixture *f, size_t request_len);

int fixture_route(struct fixture *from, struct fixture *to)
{
    struct turn_elsewhere at = from->out.elsewhere;
    struct turn_input in = {.tuple = &from->tuple,
                            .data = from->request,
                            .len = from->request_len,
                            .now_ms = from->now_ms,
                            .unix_time = from->unix_time,
                            .routed = true,
                            .worker = from->worker,
                            .session = at.session};
    enum turn_action action = turn_server_granted(to->server, &in, &from->out.grant, &from->out);
    assert_int_equal(action, TURN_REPLY);
    at.worker = to->worker;
    assert_int_equal(turn_server_visit(from->server, &at, &from->tuple, from, from->out.visit_ms),
                     0);
    return read_answer(from, from->request_len);
}

void request_begin(struct fixture *f, enum stun_class class_, uint16_t method)
{
    uint8_t txid[STUN_TXID_LEN] = "transaction";
    f->transaction++;
    memcpy(txid, &f->transaction, sizeof(f->transaction));
    stun_begin(&f->w, f->request, sizeof(f->request), class_, method, txid, NULL);
}

static void client_key(const struct fixture *f, struct auth_key *key)
{
    size_t user_len = strlen(f->user), password_len = strlen(f->password);
    *key = (struct auth_key){.has_md5 = true, .has_sha256 = true};
    stun_key_md5(key->md5, f->user, user_len, REALM, f->password, password_len);
    stun_key_sha256(key->sha256, f->user, user_len, REALM, f->password, password_len);
}

static void put_token(struct fixture *f)
{
    static const uint8_t nonce[AEAD_NONCE_LEN] = "of a fixture";
    uint8_t sealed[TOKEN_MAX];
    int len = token_encode(sealed, f->token, &f->token_key, f->auth.token_server, nonce);
    assert_true(len > 0);
    stun_put(&f->w, STUN_ATTR_ACCESS_TOKEN, sealed, (size_t)len);
}

void request_end(struct fixture *f)
{
    if (f->sign && f->send_token)
        put_token(f);
    if (f->sign && f->token) {
        stun_put_text(&f->w, STUN_ATTR_USERNAME, f->user);
        stun_put_text(&f->w, STUN_ATTR_REALM, REALM);
        stun_put(&f->w, STUN_ATTR_NONCE, f->nonce, f->nonce_len);
        (f->sha256 ? stun_put_integrity256 : stun_put_integrity)(&f->w, f->token->mac_key,
                                                                 f->token->mac_key_len);
    } else if (f->sign) {
        struct auth_key key;
        client_key(f, &key);
        stun_put_text(&f->w, STUN_ATTR_USERNAME, f->user);
        stun_put_text(&f->w, STUN_ATTR_REALM, REALM);
        stun_put(&f->w, STUN_ATTR_NONCE, f->nonce, f->nonce_len);
        if (f->sha256) {
            const uint8_t both[] = {0, 2, 0, 0, 0, 1, 0, 0}, chosen[] = {0, 2, 0, 0};
            struct stun_attr offer;
            if (stun_find(&f->answer, STUN_ATTR_PASSWORD_ALGORITHMS, &offer))
                stun_put(&f->w, STUN_ATTR_PASSWORD_ALGORITHMS, offer.value, offer.len);
            else
                stun_put(&f->w, STUN_ATTR_PASSWORD_ALGORITHMS, both, sizeof(both));
            stun_put(&f->w, STUN_ATTR_PASSWORD_ALGORITHM, chosen, sizeof(chosen));
            stun_put_integrity256(&f->w, key.sha256, sizeof(key.sha256));
        } else {
            stun_put_integrity(&f->w, key.md5, sizeof(key.md5));
        }
    }
    if (f->fingerprint)
        stun_put_fingerprint(&f->w);
    f->request_len = stun_end(&f->w);
    assert_true(f->request_len > 0);
}

static void look_up(struct fixture *f, const struct store_query *q, struct auth_record *rec)
{
    *rec = (struct auth_record){
        .max_allocations = f->max_allocations, .max_bps = f->max_bps, .key_count = 1};
    assert_false(q->userhash);
    assert_string_equal(q->realm, REALM);
    memcpy(rec->user, q->id, q->id_len);
    rec->user_len = q->id_len;
    f->lookups++;
    if (q->token_key) {
        rec->is_token_key = true;
        rec->token_key = f->token_key;
        return;
    }
    stun_key_md5(rec->keys[0].md5, q->id, q->id_len, REALM, "secret", 6);
    stun_key_sha256(rec->keys[0].sha256, q->id, q->id_len, REALM, "secret", 6);
    rec->keys[0].has_md5 = rec->keys[0].has_sha256 = true;
}

static int read_answer(struct fixture *f, size_t request_len)
{
    const char *reason;
    size_t reason_len;
    int code = 0;
    struct auth_key key;

    assert_in_range(f->out.reply_len, STUN_HEADER_LEN, TURN_REPLY_MAX);
    assert_int_equal(stun_parse(&f->answer, f->out.reply, f->out.reply_len), STUN_PARSE_OK);
    client_key(f, &key);
    if (f->token)
        f->answer_signed = (f->sha256 ? stun_check_integrity256 : stun_check_integrity)(
            &f->answer, f->token->mac_key, f->token->mac_key_len);
    else
        f->answer_signed = stun_check_integrity(&f->answer, key.md5, sizeof(key.md5)) ||
                           stun_check_integrity256(&f->answer, key.sha256, sizeof(key.sha256));
    if (f->answer.class_ == STUN_SUCCESS)
        return 0;
    assert_int_equal(f->answer.class_, STUN_ERROR);
    assert_int_equal(stun_get_error(&f->answer, &code, &reason, &reason_len), 0);
    return code;
}

int fixture_input(struct fixture *f, const void *data, size_t len)
{
    // At the very end of its own block, so that ASan sees a read past it.
    uint8_t *copy = test_malloc(len ? len : 1);
    memcpy(copy, data, len);
    struct turn_input in = {.tuple = &f->tuple,
                            .data = copy,
                            .len = len,
                            .now_ms = f->now_ms,
                            .unix_time = f->unix_time,
                            .link = f};
    enum turn_action action = turn_server_input(f->server, &in, &f->out);
    if (action == TURN_LOOKUP) {
        struct auth_record rec;
        look_up(f, &f->out.query, &rec);
        action = turn_server_resume(f->server, &in, f->store_status,
                                    f->store_status == STORE_FOUND ? &rec : NULL, &f->out);
    }
    int rc = DROPPED;
    if (action == TURN_REPLY || action == TURN_BIND)
        rc = read_answer(f, len);
    else if (action == TURN_SEND)
        rc = SENT;
    else if (action == TURN_MOVE)
        rc = MOVED;
    else if (action == TURN_FORWARD)
        rc = FORWARDED;
    else if (action == TURN_CLAIM)
        rc = CLAIMED;
    else
        assert_int_equal(action, TURN_DROP);
    // What is sent on points into the input: the tests look at its first bytes afterwards.
    if (rc == SENT)
        f->out.payload = f->request + (f->out.payload - copy);
    test_free(copy);
    return rc;
}

int fixture_run(struct fixture *f)
{
    return fixture_input(f, f->request, f->request_len);
}

int fixture_send(struct fixture *f)
{
    request_end(f);
    return fixture_run(f);
}

void fixture_login(struct fixture *f)
{
    struct stun_attr nonce;
    bool sign = f->sign;

    f->sign = false;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    assert_int_equal(fixture_send(f), 401);
    assert_true(stun_find(&f->answer, STUN_ATTR_NONCE, &nonce));
    assert_in_range(nonce.len, 1, sizeof(f->nonce));
    memcpy(f->nonce, nonce.value, nonce.len);
    f->nonce_len = nonce.len;
    f->sign = sign;
}

int do_allocate(struct fixture *f)
{
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
    return fixture_send(f);
}

int do_refresh(struct fixture *f, int64_t lifetime)
{
    request_begin(f, STUN_REQUEST, STUN_REFRESH);
    if (lifetime >= 0)
        stun_put_u32(&f->w, STUN_ATTR_LIFETIME, (uint32_t)lifetime);
    return fixture_send(f);
}

int do_permit(struct fixture *f, const char *peer)
{
    struct addr a = ip_port(peer);
    request_begin(f, STUN_REQUEST, STUN_CREATE_PERMISSION);
    stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &a);
    return fixture_send(f);
}

int do_bind(struct fixture *f, unsigned number, const char *peer)
{
    struct addr a = ip_port(peer);
    request_begin(f, STUN_REQUEST, STUN_CHANNEL_BIND);
    stun_put_u32(&f->w, STUN_ATTR_CHANNEL_NUMBER, number << 16);
    stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &a);
    return fixture_send(f);
}

int do_send(struct fixture *f, const char *peer)
{
    struct addr a = ip_port(peer);
    bool sign = f->sign;

    f->sign = false;
    request_begin(f, STUN_INDICATION, STUN_SEND);
    stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &a);
    stun_put(&f->w, STUN_ATTR_DATA, "hello", 5);
    int rc = fixture_send(f);
    f->sign = sign;
    return rc;
}

int do_allocate_tcp(struct fixture *f)
{
    f->tuple.transport = TURN_TCP;
    request_begin(f, STUN_REQUEST, STUN_ALLOCATE);
    stun_put_u32(&f->w, STUN_ATTR_REQUESTED_TRANSPORT, 6u << 24);
    return fixture_send(f);
}

int do_connect(struct fixture *f, const char *peer)
{
    struct addr a = ip_port(peer);
    request_begin(f, STUN_REQUEST, STUN_CONNECT);
    stun_put_addr(&f->w, STUN_ATTR_XOR_PEER_ADDRESS, &a);
    return fixture_send(f);
}

int do_connection_bind(struct fixture *f, uint32_t id)
{
    request_begin(f, STUN_REQUEST, STUN_CONNECTION_BIND);
    stun_put_u32(&f->w, STUN_ATTR_CONNECTION_ID, id);
    return fixture_send(f);
}

int sent_code(const struct fixture *f)
{
    const char *reason;
    size_t reason_len;
    int code = 0;
    if (f->sent_msg.class_ == STUN_ERROR)
        assert_int_equal(stun_get_error(&f->sent_msg, &code, &reason, &reason_len), 0);
    return code;
}

uint32_t sent_connection_id(const struct fixture *f)
{
    uint32_t id;
    assert_int_equal(stun_get_u32(&f->sent_msg, STUN_ATTR_CONNECTION_ID, &id), 0);
    return id;
}

bool answer_has(const struct fixture *f, uint16_t type)
{
    struct stun_attr attr;
    return stun_find(&f->answer, type, &attr);
}

uint32_t answer_u32(const struct fixture *f, uint16_t type)
{
    uint32_t value = 0;
    assert_int_equal(stun_get_u32(&f->answer, type, &value), 0);
    return value;
}

struct addr answer_addr(const struct fixture *f, uint16_t type)
{
    struct addr a;
    assert_int_equal(stun_get_addr(&f->answer, type, &a), 0);
    return a;
}

struct turn_allocation *the_allocation(struct fixture *f)
{
    return turn_server_find(f->server, &f->tuple, f->now_ms);
}
