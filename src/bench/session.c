// SPDX-License-Identifier: BSD-2-Clause
#include "bench/session.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/codec.h"
#include "util/rand.h"

#define RETRY_NS 250000000
#define MAX_TRIES 12
#define MAX_CHALLENGES 3
#define KEEP_FIRST_S 100 // a permission lives 300 s (RFC 8656 9): each is renewed between these
#define KEEP_LAST_S 220

static const char *step_name(const struct session_env *env, enum session_step step)
{
    if (env->options->floor)
        return "floor";
    switch (step) {
    case SESSION_BIND:
    case SESSION_REBIND:
        return env->options->indications ? "CreatePermission" : "ChannelBind";
    case SESSION_REFRESH:
    case SESSION_RELEASE:
        return "Refresh";
    default:
        return "Allocate";
    }
}

static uint16_t step_method(const struct session_env *env, enum session_step step)
{
    switch (step) {
    case SESSION_BIND:
    case SESSION_REBIND:
        return env->options->indications ? STUN_CREATE_PERMISSION : STUN_CHANNEL_BIND;
    case SESSION_REFRESH:
    case SESSION_RELEASE:
        return STUN_REFRESH;
    default:
        return STUN_ALLOCATE;
    }
}

bool session_busy(const struct bench_client *c)
{
    return c->step != SESSION_NEW && c->step != SESSION_READY && c->step != SESSION_QUIET &&
           c->step != SESSION_GONE && c->step != SESSION_FAILED;
}

void session_request_begin(struct stun_writer *w, uint8_t *buf, size_t cap, uint16_t method,
                           const uint8_t *txid)
{
    stun_begin(w, buf, cap, STUN_REQUEST, method, txid, NULL);
}

size_t session_request_end(struct session_env *env, const struct bench_client *c,
                           struct stun_writer *w)
{
    stun_put_text(w, STUN_ATTR_USERNAME, env->options->cred.user);
    stun_put_text(w, STUN_ATTR_REALM, env->realm);
    stun_put(w, STUN_ATTR_NONCE, c->nonce, c->nonce_len);
    stun_put_integrity(w, env->key, sizeof(env->key));
    return stun_end(w);
}

static size_t write_request(struct session_env *env, const struct bench_client *c, uint8_t *buf,
                            size_t cap)
{
    struct stun_writer w;
    session_request_begin(&w, buf, cap, step_method(env, c->step), c->txid);
    switch (c->step) {
    case SESSION_CHALLENGE:
    case SESSION_ALLOCATE:
        stun_put_u32(&w, STUN_ATTR_REQUESTED_TRANSPORT, (uint32_t)IPPROTO_UDP << 24);
        if (c->peer.family == ADDR_IPV6)
            stun_put_u32(&w, STUN_ATTR_REQUESTED_ADDRESS_FAMILY, 0x02000000);
        break;
    case SESSION_BIND:
    case SESSION_REBIND:
        if (!env->options->indications)
            stun_put_u32(&w, STUN_ATTR_CHANNEL_NUMBER, (uint32_t)BENCH_CHANNEL << 16);
        stun_put_addr(&w, STUN_ATTR_XOR_PEER_ADDRESS, &c->peer);
        break;
    case SESSION_RELEASE:
        stun_put_u32(&w, STUN_ATTR_LIFETIME, 0);
        break;
    default: // a Refresh for the server's usual lifetime
        break;
    }
    return c->step == SESSION_CHALLENGE ? stun_end(&w) : session_request_end(env, c, &w);
}

// Sends the request of the client's step; the same again when it is a retransmission.
static void send_request(struct session_env *env, struct bench_client *c, bool again)
{
    uint8_t buf[1536];
    char peer[ADDR_STRLEN];
    size_t len;
    if (!again) {
        rand_bytes(c->txid, sizeof(c->txid));
        c->tries = 0;
    }
    if (env->options->floor)
        len = (size_t)snprintf((char *)buf, sizeof(buf), "floor %s", addr_format(&c->peer, peer));
    else
        len = write_request(env, c, buf, sizeof(buf));
    // A failed send is a lost packet: the deadline covers both.
    if (len)
        link_send(&c->link, buf, len, 1, false);
    c->tries++;
    c->deadline = bench_now(CLOCK_MONOTONIC) + RETRY_NS;
}

void session_begin(struct session_env *env, struct bench_client *c, enum session_step step)
{
    c->step = step;
    if (step == SESSION_CHALLENGE || step == SESSION_ALLOCATE) {
        c->challenges = 0;
        c->begun_ns = bench_now(CLOCK_MONOTONIC);
    }
    if (session_busy(c))
        send_request(env, c, false);
}

void session_fail(struct session_env *env, struct bench_client *c, const char *step, int error,
                  const char *why)
{
    c->failure = error;
    c->step = SESSION_FAILED;
    __atomic_store_n(&c->live, false, __ATOMIC_RELAXED);
    snprintf(env->failure, sizeof(env->failure), "client %u: %s: %s", c->index, step,
             why ? why : strerror(-error));
}

static void fail_step(struct session_env *env, struct bench_client *c, int error, const char *why)
{
    session_fail(env, c, step_name(env, c->step), error, why);
}

int session_learn(struct session_env *env, struct bench_client *c, const struct stun_msg *msg)
{
    struct stun_attr realm, nonce;
    const char *user = env->options->cred.user, *password = env->options->cred.password;

    if (!stun_find(msg, STUN_ATTR_REALM, &realm) || !stun_find(msg, STUN_ATTR_NONCE, &nonce) ||
        realm.len >= sizeof(env->realm) || nonce.len > sizeof(c->nonce))
        return -EPROTO;
    memcpy(c->nonce, nonce.value, nonce.len);
    c->nonce_len = nonce.len;
    if (!env->have_key) {
        memcpy(env->realm, realm.value, realm.len);
        env->realm[realm.len] = '\0';
        stun_key_md5(env->key, user, strlen(user), env->realm, password, strlen(password));
        env->have_key = true;
    }
    return 0;
}

static void ready(struct bench_client *c)
{
    // Spread, so that thousands of clients do not come back in the same second.
    uint32_t s = KEEP_FIRST_S + c->index * 2654435761u % (KEEP_LAST_S - KEEP_FIRST_S);
    c->step = SESSION_READY;
    c->keep_ns = bench_now(CLOCK_MONOTONIC) + (int64_t)s * 1000000000;
    __atomic_store_n(&c->live, true, __ATOMIC_RELEASE);
}

// From now on the peer's socket sends to the relay, and gets from it alone.
static int use_relayed(struct session_env *env, struct bench_client *c, const struct addr *relayed)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(relayed, &ss);

    if (!target_allows(env->target, relayed)) {
        fail_step(env, c, -EPERM,
                  "the server gave a relayed address that is not loopback; "
                  "use --i-own-this-server if all that is yours");
        return -EPERM;
    }
    c->relayed = *relayed;
    if (c->peer_fd >= 0 && !c->peer_shared &&
        connect(c->peer_fd, (struct sockaddr *)&ss, len) < 0) {
        fail_step(env, c, -errno, NULL);
        return -EIO;
    }
    return 0;
}

static void take_success(struct session_env *env, struct bench_client *c,
                         const struct stun_msg *msg)
{
    struct addr relayed;
    switch (c->step) {
    case SESSION_CHALLENGE:
        fail_step(env, c, -EPROTO, "the server lets everybody in: no credentials were asked for");
        break;
    case SESSION_ALLOCATE:
        if (stun_get_addr(msg, STUN_ATTR_XOR_RELAYED_ADDRESS, &relayed) < 0)
            fail_step(env, c, -EPROTO, "the answer has no relayed address");
        else if (use_relayed(env, c, &relayed) == 0)
            session_begin(env, c, SESSION_BIND);
        break;
    case SESSION_REFRESH:
        session_begin(env, c, SESSION_REBIND);
        break;
    case SESSION_RELEASE:
        c->step = SESSION_GONE;
        break;
    default:
        ready(c);
    }
}

static void take_error(struct session_env *env, struct bench_client *c, const struct stun_msg *msg)
{
    char why[256], text[160];
    const char *reason;
    size_t reason_len;
    int code;

    if (stun_get_error(msg, &code, &reason, &reason_len) < 0) {
        fail_step(env, c, -EPROTO, "an error response without a code");
        return;
    }
    if ((code == 401 || code == 438) && c->challenges++ < MAX_CHALLENGES &&
        (code == 438 || c->step == SESSION_CHALLENGE || c->challenges == 1)) {
        if (session_learn(env, c, msg) < 0) {
            fail_step(env, c, -EPROTO, "a challenge without realm or nonce");
            return;
        }
        if (c->step == SESSION_CHALLENGE)
            c->step = SESSION_ALLOCATE;
        send_request(env, c, false);
        return;
    }
    if (c->step == SESSION_RELEASE && code == 437) {
        c->step = SESSION_GONE; // expired, or the answer to the first try was lost
        return;
    }
    snprintf(why, sizeof(why), "%d %s", code,
             reason_len ? text_escape(text, sizeof(text), reason, reason_len) : stun_reason(code));
    fail_step(env, c, code, why);
}

// "floor 127.0.0.1:40000": where the peer finds this client's relay.
static void take_floor(struct session_env *env, struct bench_client *c, const uint8_t *data,
                       size_t len)
{
    char text[ADDR_STRLEN + 8] = {0};
    struct addr relayed;

    if (c->step == SESSION_READY || len >= sizeof(text) || len < 6 || memcmp(data, "floor ", 6))
        return;
    memcpy(text, data, len);
    while (len > 6 && (text[len - 1] == '\n' || text[len - 1] == ' '))
        text[--len] = '\0';
    if (addr_parse(&relayed, text + 6) < 0) {
        fail_step(env, c, -EPROTO, "the answer is no address");
        return;
    }
    if (use_relayed(env, c, &relayed) == 0)
        ready(c);
}

void session_take(struct session_env *env, struct bench_client *c, const uint8_t *data, size_t len)
{
    struct stun_msg msg;

    if (!session_busy(c))
        return;
    if (env->options->floor) {
        take_floor(env, c, data, len);
        return;
    }
    if (stun_parse(&msg, data, len) != STUN_PARSE_OK ||
        memcmp(msg.txid, c->txid, STUN_TXID_LEN) != 0 || msg.method != step_method(env, c->step))
        return;
    if (msg.class_ == STUN_SUCCESS)
        take_success(env, c, &msg);
    else if (msg.class_ == STUN_ERROR)
        take_error(env, c, &msg);
}

void session_tick(struct session_env *env, struct bench_client *c, int64_t now)
{
    char why[64];
    if (!session_busy(c) || now < c->deadline)
        return;
    if (c->tries >= MAX_TRIES) {
        snprintf(why, sizeof(why), "no answer to %u tries", c->tries);
        fail_step(env, c, -ETIMEDOUT, why);
        return;
    }
    if (transport_is_stream(env->target->transport)) {
        c->tries++;
        c->deadline = now + RETRY_NS;
        return;
    }
    env->retransmissions++;
    send_request(env, c, true);
}
