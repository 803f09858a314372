// SPDX-License-Identifier: BSD-2-Clause
#include "auth/verdict_token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "util/codec.h"

#define MARK_LEN 8 // bytes that stand for a mac_key in names

// coturn, its server and its clients, make MESSAGE-INTEGRITY with so many bytes of a mac_key and
// leave out the rest. Who can talk to coturn with tokens does it, too: it is taken next to what the
// RFC says.
#define COTURN_KEY_LEN 16

// Fills who it is, and what answers are signed with. 0 or -ENOMEM.
static int fill_grant(struct auth_grant *g, const struct stun_msg *msg,
                      const struct auth_request *req, const uint8_t *mac_key, size_t mac_key_len)
{
    const struct store_query *q = &req->query;
    uint8_t mac[32];
    char hex[2 * MARK_LEN + 1];

    if (hmac_sha256(mac, mac_key, mac_key_len, q->id, q->id_len) < 0)
        return -ENOMEM;
    hex_encode(hex, mac, MARK_LEN);
    memset(g, 0, sizeof(*g));
    memcpy(g->key, mac_key, mac_key_len);
    g->key_len = mac_key_len;
    // The key suits both MACs: the answer is signed as the request was.
    g->integrity256 = req->answer256 || !msg->integrity;
    memcpy(g->user, q->id, q->id_len);
    g->user[q->id_len] = '#';
    memcpy(g->user + q->id_len + 1, hex, 2 * MARK_LEN);
    g->user_len = q->id_len + 1 + 2 * MARK_LEN;
    g->token = true;
    g->kid_len = (uint8_t)q->id_len;
    return 0;
}

enum auth_step auth_finish_token(const struct auth_config *cfg, const struct stun_msg *msg,
                                 const struct auth_request *req, const struct auth_record *rec,
                                 int64_t now, struct auth_grant *grant, struct auth_reject *reject)
{
    static const struct token_key nobody;
    struct token t;
    int r = token_decode(&t, req->token.value, req->token.len, rec ? &rec->token_key : &nobody,
                         cfg->token_server);
    bool sound = r == 0 && rec && req->query.id_len <= TOKEN_KID_MAX;

    if (r == -ENOMEM)
        return auth_reject_with(reject, 500, false);
    // Without a token that can be read the MACs are made all the same, with a key of zeros: who
    // guesses learns nothing from the time that it takes.
    size_t key_len = sound ? t.mac_key_len : TOKEN_MAC_KEY_MIN;
    bool fits = auth_check_with(msg, req, t.mac_key, key_len);
    if (!req->integrity256 && auth_check_with(msg, req, t.mac_key, COTURN_KEY_LEN) && !fits) {
        fits = true;
        key_len = COTURN_KEY_LEN;
    }
    uint32_t remaining = sound ? token_remaining(&t, now) : 0;
    bool good = sound && fits && remaining > 0 && (rec->expires == 0 || rec->expires > now);
    if (good)
        r = fill_grant(grant, msg, req, t.mac_key, key_len);
    OPENSSL_cleanse(&t, sizeof(t));
    if (!good)
        return auth_reject_with(reject, 401, true);
    if (r < 0)
        return auth_reject_with(reject, 500, false);
    grant->lifetime_max = remaining;
    grant->token_expires = now + remaining;
    return AUTH_OK;
}

enum auth_step auth_finish_session(const struct stun_msg *msg, const struct auth_request *req,
                                   int64_t now, struct auth_grant *grant,
                                   struct auth_reject *reject)
{
    const struct auth_session *s = req->session;

    if (!auth_check_with(msg, req, s->mac_key, s->mac_key_len) || s->expires <= now)
        return auth_reject_with(reject, 401, true);
    if (fill_grant(grant, msg, req, s->mac_key, s->mac_key_len) < 0)
        return auth_reject_with(reject, 500, false);
    int64_t left = s->expires - now;
    grant->lifetime_max = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
    grant->token_expires = s->expires;
    return AUTH_OK;
}

struct auth_session *auth_session_new(const struct auth_grant *grant)
{
    struct auth_session *s = calloc(1, sizeof(*s) + grant->kid_len);

    if (!s)
        return NULL;
    s->expires = grant->token_expires;
    s->mac_key_len = (uint8_t)grant->key_len;
    memcpy(s->mac_key, grant->key, grant->key_len);
    s->kid_len = grant->kid_len;
    memcpy(s->kid, grant->user, grant->kid_len);
    return s;
}

void auth_session_free(struct auth_session *s)
{
    if (!s)
        return;
    OPENSSL_cleanse(s, sizeof(*s));
    free(s);
}

bool auth_session_matches(const struct auth_session *s, const struct auth_grant *grant)
{
    return grant->token && grant->kid_len == s->kid_len && grant->key_len == s->mac_key_len &&
           memcmp(grant->user, s->kid, s->kid_len) == 0 &&
           CRYPTO_memcmp(grant->key, s->mac_key, s->mac_key_len) == 0;
}
