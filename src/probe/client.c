// SPDX-License-Identifier: BSD-2-Clause
#include "probe/client.h"

#include <errno.h>
#include <string.h>

#include "probe/clock.h"
#include "stun/channel_data.h"
#include "util/codec.h"
#include "util/rand.h"

#define RTO 500000 // us (RFC 8489 6.2.1)

static void put_attr(struct stun_writer *w, const struct request_attr *a)
{
    const struct stun_attr_info *info = stun_attr_info(a->type);
    switch (info ? info->kind : STUN_KIND_BYTES) {
    case STUN_KIND_U32:
        stun_put_u32(w, a->type, a->u32);
        break;
    case STUN_KIND_ADDR:
    case STUN_KIND_XADDR:
        stun_put_addr(w, a->type, a->addr);
        break;
    default:
        stun_put(w, a->type, a->bytes, a->len);
    }
}

static void put_credentials(struct client *c, struct stun_writer *w)
{
    const struct credentials *cred = c->cred;
    size_t user_len = strlen(cred->user), password_len = strlen(cred->password);
    uint8_t key[STUN_KEY_SHA256_LEN];
    size_t key_len = STUN_KEY_MD5_LEN;

    stun_put(w, STUN_ATTR_USERNAME, cred->user, user_len);
    stun_put_text(w, STUN_ATTR_REALM, c->realm);
    stun_put(w, STUN_ATTR_NONCE, c->nonce, c->nonce_len);
    if (c->algorithm) {
        stun_put(w, STUN_ATTR_PASSWORD_ALGORITHMS, c->algorithms, c->algorithms_len);
        stun_put_u32(w, STUN_ATTR_PASSWORD_ALGORITHM, (uint32_t)c->algorithm << 16);
    }
    if (c->algorithm == STUN_ALG_SHA256) {
        stun_key_sha256(key, cred->user, user_len, c->realm, cred->password, password_len);
        key_len = STUN_KEY_SHA256_LEN;
    } else {
        stun_key_md5(key, cred->user, user_len, c->realm, cred->password, password_len);
    }
    if (c->sha256)
        stun_put_integrity256(w, key, key_len);
    else
        stun_put_integrity(w, key, key_len);
    explicit_bzero(key, sizeof(key));
}

static bool check_signature(const struct client *c)
{
    const struct credentials *cred = c->cred;
    size_t user_len = strlen(cred->user), password_len = strlen(cred->password);
    uint8_t key[STUN_KEY_SHA256_LEN];
    size_t key_len = STUN_KEY_MD5_LEN;
    bool ok;

    if (c->algorithm == STUN_ALG_SHA256) {
        stun_key_sha256(key, cred->user, user_len, c->realm, cred->password, password_len);
        key_len = STUN_KEY_SHA256_LEN;
    } else {
        stun_key_md5(key, cred->user, user_len, c->realm, cred->password, password_len);
    }
    ok = c->sha256 ? stun_check_integrity256(&c->msg, key, key_len)
                   : stun_check_integrity(&c->msg, key, key_len);
    explicit_bzero(key, sizeof(key));
    return ok;
}

// Relayed data goes to on_data; true when it was that.
static bool take_data(struct client *c, size_t len)
{
    struct channel_data channel;
    struct stun_msg msg;
    struct stun_attr data;
    struct addr peer;

    if (demux_first_byte(c->in[0]) == DEMUX_CHANNEL) {
        if (channel_data_parse(&channel, c->in, len) == 0 && c->on_data)
            c->on_data(c->arg, NULL, channel.channel, channel.payload, channel.len);
        return true;
    }
    if (stun_parse(&msg, c->in, len) != STUN_PARSE_OK || msg.class_ != STUN_INDICATION)
        return false;
    if (msg.method == STUN_DATA && stun_find(&msg, STUN_ATTR_DATA, &data) &&
        stun_get_addr(&msg, STUN_ATTR_XOR_PEER_ADDRESS, &peer) == 0 && c->on_data)
        c->on_data(c->arg, &peer, 0, data.value, data.len);
    return true;
}

// Whether these bytes answer that request; then c->msg is set.
static bool take_answer(struct client *c, size_t len, enum stun_method method, const uint8_t *txid)
{
    struct stun_msg msg;
    if (len > sizeof(c->answer) || stun_parse(&msg, c->in, len) != STUN_PARSE_OK)
        return false;
    if (msg.method != method || (msg.class_ != STUN_SUCCESS && msg.class_ != STUN_ERROR) ||
        memcmp(msg.txid, txid, STUN_TXID_LEN) != 0)
        return false;
    memcpy(c->answer, c->in, len);
    return stun_parse(&c->msg, c->answer, len) == STUN_PARSE_OK;
}

static int result_of(const struct stun_msg *msg)
{
    const char *reason;
    size_t reason_len;
    int code;
    if (msg->class_ == STUN_SUCCESS)
        return 0;
    return stun_get_error(msg, &code, &reason, &reason_len) == 0 ? code : -EBADMSG;
}

// Sends a ready request until it is answered or the time is over.
static int transact(struct client *c, const uint8_t *packet, size_t len, enum stun_method method)
{
    int64_t end = clock_us() + c->timeout, rto = RTO;
    bool stream = transport_is_stream(c->conn->transport);
    int refused = -ETIMEDOUT;

    for (c->sent = 0; clock_us() < end; rto *= 2) {
        int64_t sent_at = clock_us(), until = stream || sent_at + rto > end ? end : sent_at + rto;
        int rc = conn_send(c->conn, packet, len);
        if (rc < 0)
            return rc;
        c->sent++;
        for (;;) {
            ssize_t n = conn_recv(c->conn, c->in, sizeof(c->in), until);
            if (n == -ETIMEDOUT)
                break;
            if (n == -ECONNREFUSED && !stream) {
                // ICMP is not authentic and a server may be starting: believed when it comes again.
                if (c->sent > 1 || c->timeout <= RTO)
                    return (int)n;
                refused = -ECONNREFUSED;
                continue;
            }
            if (n < 0)
                return (int)n;
            if (!take_data(c, (size_t)n) &&
                take_answer(c, (size_t)n, method, packet + STUN_HEADER_LEN - STUN_TXID_LEN)) {
                c->rtt = clock_us() - sent_at;
                return result_of(&c->msg);
            }
        }
    }
    return refused;
}

static int send_request(struct client *c, enum stun_method method, const struct request_attr *attrs,
                        size_t count, bool with_credentials)
{
    struct stun_writer w;
    uint8_t packet[4096], txid[STUN_TXID_LEN];
    size_t len;

    rand_bytes(txid, sizeof(txid));
    stun_begin(&w, packet, sizeof(packet), STUN_REQUEST, method, txid, NULL);
    for (size_t i = 0; i < count; i++)
        put_attr(&w, &attrs[i]);
    if (with_credentials)
        put_credentials(c, &w);
    stun_put_fingerprint(&w);
    len = stun_end(&w);
    return len ? transact(c, packet, len, method) : -EMSGSIZE;
}

int client_exchange(struct client *c, enum stun_method method, const struct request_attr *attrs,
                    size_t count)
{
    return send_request(c, method, attrs, count, false);
}

int client_request(struct client *c, enum stun_method method, const struct request_attr *attrs,
                   size_t count)
{
    int rc = -EINVAL;
    for (int attempt = 0; attempt < 3; attempt++) {
        rc = send_request(c, method, attrs, count, c->signed_in);
        if (rc == 0 && c->signed_in && !check_signature(c))
            return CLIENT_UNSIGNED;
        if (rc != 438 || client_learn(c, &c->msg) < 0)
            break;
    }
    return rc;
}

// The feature bits behind the nonce cookie "obMatJos2" (RFC 8489 9.2, 18.1); 0 without one.
static uint32_t nonce_features(const uint8_t *nonce, size_t len)
{
    uint8_t bits[3];
    if (len < 13 || memcmp(nonce, "obMatJos2", 9) != 0 ||
        base64_decode(bits, sizeof(bits), (const char *)nonce + 9, 4) != 3)
        return 0;
    return (uint32_t)bits[0] << 16 | (uint32_t)bits[1] << 8 | bits[2];
}

// Chooses SHA-256 where it is offered, else MD5 where something is (RFC 8489 9.2.5).
static void choose_algorithm(struct client *c, const struct stun_msg *msg)
{
    struct stun_attr list;
    struct cursor cur;

    c->algorithms_len = 0;
    c->algorithm = 0;
    c->sha256 = false;
    if (!(nonce_features(c->nonce, c->nonce_len) & 0x800000) ||
        !stun_find(msg, STUN_ATTR_PASSWORD_ALGORITHMS, &list) || list.len > sizeof(c->algorithms))
        return;
    memcpy(c->algorithms, list.value, list.len);
    c->algorithms_len = list.len;
    cur = cursor_reader(list.value, list.len);
    while (cursor_left(&cur) >= 4) {
        uint16_t algorithm = cursor_u16(&cur), len = cursor_u16(&cur);
        cursor_take(&cur, (len + 3u) & ~3u);
        if (algorithm == STUN_ALG_SHA256 || (algorithm == STUN_ALG_MD5 && !c->algorithm))
            c->algorithm = (enum stun_password_algorithm)algorithm;
    }
    c->sha256 = c->algorithm != 0;
}

int client_learn(struct client *c, const struct stun_msg *msg)
{
    struct stun_attr realm, nonce;

    if (!stun_find(msg, STUN_ATTR_NONCE, &nonce) || nonce.len > sizeof(c->nonce))
        return -EBADMSG;
    if (stun_find(msg, STUN_ATTR_REALM, &realm)) {
        if (realm.len >= sizeof(c->realm) || memchr(realm.value, 0, realm.len))
            return -EBADMSG;
        memcpy(c->realm, realm.value, realm.len);
        c->realm[realm.len] = '\0';
    } else if (!c->signed_in) {
        return -EBADMSG;
    }
    memcpy(c->nonce, nonce.value, nonce.len);
    c->nonce_len = nonce.len;
    choose_algorithm(c, msg);
    c->signed_in = true;
    return 0;
}

int client_send(struct client *c, const struct addr *peer, const void *data, size_t len)
{
    struct stun_writer w;
    uint8_t packet[2048], txid[STUN_TXID_LEN];
    size_t n;

    rand_bytes(txid, sizeof(txid));
    stun_begin(&w, packet, sizeof(packet), STUN_INDICATION, STUN_SEND, txid, NULL);
    stun_put_addr(&w, STUN_ATTR_XOR_PEER_ADDRESS, peer);
    stun_put(&w, STUN_ATTR_DATA, data, len);
    n = stun_end(&w);
    return n ? conn_send(c->conn, packet, n) : -EMSGSIZE;
}

int client_send_channel(struct client *c, uint16_t channel, const void *data, size_t len)
{
    uint8_t packet[2048];
    size_t padded = transport_is_stream(c->conn->transport) ? (len + 3) & ~(size_t)3 : len;

    if (padded > sizeof(packet) - CHANNEL_HEADER_LEN)
        return -EMSGSIZE;
    memset(packet, 0, CHANNEL_HEADER_LEN + padded);
    channel_data_header(packet, channel, (uint16_t)len);
    memcpy(packet + CHANNEL_HEADER_LEN, data, len);
    return conn_send(c->conn, packet, CHANNEL_HEADER_LEN + padded);
}

int client_poll(struct client *c)
{
    for (;;) {
        ssize_t n = conn_recv(c->conn, c->in, sizeof(c->in), 0);
        if (n == -ETIMEDOUT || n == -ECONNREFUSED)
            return 0;
        if (n < 0)
            return (int)n;
        take_data(c, (size_t)n);
    }
}
