// SPDX-License-Identifier: BSD-2-Clause
#include "auth/verdict.h"

#include <string.h>

#include "auth/nonce.h"
#include "auth/verdict_token.h"

// What a challenge offers, best first (RFC 8489 14.11, 18.5): algorithm, length of its parameters
// (none).
static const uint8_t algorithms_offered[] = {0, STUN_ALG_SHA256, 0, 0, 0, STUN_ALG_MD5, 0, 0};

// RFC 8489 9.2.4, third check. False: the client or someone on the way altered what we had offered.
static bool choose_algorithm(const struct stun_msg *msg, const struct stun_attr *nonce,
                             struct auth_request *req)
{
    struct stun_attr list, chosen;
    bool has_list = stun_find(msg, STUN_ATTR_PASSWORD_ALGORITHMS, &list);
    bool has_chosen = stun_find(msg, STUN_ATTR_PASSWORD_ALGORITHM, &chosen);

    req->algorithm = STUN_ALG_MD5;
    if (!(nonce_features(nonce->value, nonce->len) & NONCE_FEATURE_PASSWORD_ALGORITHMS) ||
        (!has_list && !has_chosen))
        return true;
    if (!has_list || !has_chosen || list.len != sizeof(algorithms_offered) ||
        memcmp(list.value, algorithms_offered, sizeof(algorithms_offered)) != 0)
        return false;
    // Both algorithms take no parameters (18.5.1).
    if (chosen.len != 4 || chosen.value[0] != 0 || chosen.value[2] != 0 || chosen.value[3] != 0)
        return false;
    if (chosen.value[1] != STUN_ALG_SHA256 && chosen.value[1] != STUN_ALG_MD5)
        return false;
    req->algorithm = chosen.value[1];
    req->answer256 = true;
    return true;
}

enum auth_step auth_begin(const struct auth_config *cfg, const struct stun_msg *msg,
                          const struct addr *client, int64_t now,
                          const struct auth_session *session, struct auth_request *req,
                          struct auth_reject *reject)
{
    struct stun_attr user, realm, nonce;
    bool userhash = false;

    memset(req, 0, sizeof(*req));
    if (!msg->integrity && !msg->integrity256)
        return auth_reject_with(reject, 401, true);

    bool has_user = stun_find(msg, STUN_ATTR_USERNAME, &user);
    if (!has_user)
        has_user = userhash = stun_find(msg, STUN_ATTR_USERHASH, &user);
    if (!has_user || user.len > (userhash ? STUN_USERHASH_LEN : AUTH_USER_MAX) ||
        !stun_find(msg, STUN_ATTR_REALM, &realm) || !stun_find(msg, STUN_ATTR_NONCE, &nonce))
        return auth_reject_with(reject, 400, false);
    if (!choose_algorithm(msg, &nonce, req))
        return auth_reject_with(reject, 400, false);

    // The RFC has this check last. It is made before the look-up here, so that requests with
    // made-up nonces reach no store; feature bits that were cleared on the way end here too, since
    // the MAC covers them.
    if (nonce_check(nonce.value, nonce.len, cfg->nonce_key, cfg->realm, client, now,
                    cfg->nonce_lifetime) != NONCE_VALID)
        return auth_reject_with(reject, 438, true);
    if (realm.len != strlen(cfg->realm) || memcmp(realm.value, cfg->realm, realm.len) != 0)
        return auth_reject_with(reject, 401, true);

    req->query.realm = cfg->realm;
    req->query.id = user.value;
    req->query.id_len = user.len;
    req->query.userhash = userhash;
    req->integrity256 = msg->integrity256 != 0;
    if (cfg->token_server && stun_find(msg, STUN_ATTR_ACCESS_TOKEN, &req->token)) {
        if (userhash) // RFC 7635 section 5: the kid is in USERNAME
            return auth_reject_with(reject, 400, false);
        req->query.token_key = true;
    } else if (session && !userhash && user.len == session->kid_len &&
               memcmp(user.value, session->kid, user.len) == 0) {
        req->session = session;
        return AUTH_CHECK;
    }
    return AUTH_LOOKUP;
}

// RFC 8489 14.6 lets a STUN usage shorten MESSAGE-INTEGRITY-SHA256; RFC 8656 does not do so for
// TURN.
static bool is_whole(const struct stun_msg *msg)
{
    struct cursor c = cursor_reader(msg->buf + msg->integrity256 + 2, 2);

    return cursor_u16(&c) == 32;
}

bool auth_check_with(const struct stun_msg *msg, const struct auth_request *req, const uint8_t *key,
                     size_t key_len)
{
    return req->integrity256 ? stun_check_integrity256(msg, key, key_len) && is_whole(msg)
                             : stun_check_integrity(msg, key, key_len);
}

// Tries every key of the record, also after one has fitted: the time tells nothing about which did.
static int find_key(const struct stun_msg *msg, const struct auth_request *req,
                    const struct auth_record *rec)
{
    static const uint8_t dummy[STUN_KEY_SHA256_LEN];
    bool sha256 = req->algorithm == STUN_ALG_SHA256;
    size_t key_len = sha256 ? STUN_KEY_SHA256_LEN : STUN_KEY_MD5_LEN;
    unsigned count = rec && rec->key_count <= AUTH_KEYS_MAX ? rec->key_count : 0;
    int found = -1;

    for (unsigned i = 0; i < count; i++) {
        const struct auth_key *k = &rec->keys[i];
        bool has = sha256 ? k->has_sha256 : k->has_md5;
        bool fits = auth_check_with(msg, req, !has ? dummy : sha256 ? k->sha256 : k->md5, key_len);
        if (fits && has && found < 0)
            found = (int)i;
    }
    if (count == 0)
        auth_check_with(msg, req, dummy, key_len);
    return found;
}

enum auth_step auth_finish(const struct auth_config *cfg, const struct stun_msg *msg,
                           const struct auth_request *req, enum store_status status,
                           const struct auth_record *rec, int64_t now, struct auth_grant *grant,
                           struct auth_reject *reject)
{
    if (req->session)
        return auth_finish_session(msg, req, now, grant, reject);
    if (status == STORE_UNAVAILABLE)
        return auth_reject_with(reject, 500, false);
    if (status != STORE_FOUND || rec->is_token_key != req->query.token_key)
        rec = NULL;
    if (req->query.token_key)
        return auth_finish_token(cfg, msg, req, rec, now, grant, reject);

    int i = find_key(msg, req, rec);
    if (!rec || rec->disabled || (rec->expires != 0 && rec->expires <= now))
        return auth_reject_with(reject, 401, true);
    if (i < 0)
        return rec->incomplete ? auth_reject_with(reject, 500, false)
                               : auth_reject_with(reject, 401, true);

    memset(grant, 0, sizeof(*grant));
    if (req->algorithm == STUN_ALG_SHA256) {
        grant->key_len = STUN_KEY_SHA256_LEN;
        memcpy(grant->key, rec->keys[i].sha256, grant->key_len);
    } else {
        grant->key_len = STUN_KEY_MD5_LEN;
        memcpy(grant->key, rec->keys[i].md5, grant->key_len);
    }
    grant->integrity256 = req->answer256;
    memcpy(grant->user, rec->user, rec->user_len);
    grant->user_len = rec->user_len;
    grant->max_allocations = rec->max_allocations;
    grant->max_bps = rec->max_bps;
    return AUTH_OK;
}

void auth_put_reject(struct stun_writer *w, const struct auth_config *cfg,
                     const struct addr *client, int64_t now, const struct auth_reject *reject)
{
    uint32_t features = (cfg->md5_only ? 0 : NONCE_FEATURE_PASSWORD_ALGORITHMS) |
                        (cfg->username_anonymity ? NONCE_FEATURE_USERNAME_ANONYMITY : 0);
    char nonce[NONCE_LEN];

    stun_put_error(w, reject->code, NULL);
    if (!reject->challenge)
        return;
    nonce_make(nonce, cfg->nonce_key, cfg->realm, features, client, now);
    stun_put_text(w, STUN_ATTR_REALM, cfg->realm);
    stun_put(w, STUN_ATTR_NONCE, nonce, sizeof(nonce));
    if (!cfg->md5_only)
        stun_put(w, STUN_ATTR_PASSWORD_ALGORITHMS, algorithms_offered, sizeof(algorithms_offered));
    // Behind 438, too: clients forget the token that they have when it is not there.
    if (cfg->token_server)
        stun_put_text(w, STUN_ATTR_THIRD_PARTY_AUTHORIZATION, cfg->token_server);
}

void auth_sign(struct stun_writer *w, const struct auth_grant *grant)
{
    if (grant->integrity256)
        stun_put_integrity256(w, grant->key, grant->key_len);
    else
        stun_put_integrity(w, grant->key, grant->key_len);
}
