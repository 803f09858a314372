// SPDX-License-Identifier: BSD-2-Clause
// Whether a request is authentic: one decision for every method and transport (RFC 8489
// section 9.2.4). No I/O: the caller looks the user up between the two steps.
#ifndef TP_AUTH_VERDICT_H
#define TP_AUTH_VERDICT_H

#include "auth/store.h"
#include "stun/message.h"

struct auth_config {
    const char *realm;
    uint8_t nonce_key[32];  // of this process, or shared by nodes that accept each other's nonces
    int64_t nonce_lifetime; // seconds
    // What a challenge offers (RFC 8489 9.2.1); both are off in a zeroed struct, which suits every
    // store.
    bool md5_only; // no PASSWORD-ALGORITHMS: some store has nothing but MD5 keys, and a client
                   // takes SHA-256 if it is offered
    const char *token_server; // this server's name in access tokens, which are accepted then (RFC
                              // 7635); NULL: not
    bool username_anonymity;  // clients must send USERHASH: no shared secrets and no coturn layout,
                              // which cannot be searched by hash
};

// What an access token leaves behind for the requests that come without one on the 5-tuple of the
// allocation that it made: clients send ACCESS-TOKEN with Allocate and Refresh only (RFC 7635
// section 9).
struct auth_session {
    int64_t expires; // of the token, Unix seconds
    uint8_t mac_key_len, kid_len;
    uint8_t mac_key[TOKEN_MAC_KEY_MAX];
    uint8_t kid[]; // the USERNAME that goes with it
};

enum auth_step {
    AUTH_LOOKUP, // step 1 passed: look req->query up, then auth_finish
    AUTH_CHECK,  // step 1 passed and there is nothing to look up: auth_finish
    AUTH_OK,     // authentic; grant is filled
    AUTH_REJECT, // answer with reject->code
};

struct auth_request {
    struct store_query query; // points into the message
    bool integrity256;        // which integrity attribute is checked
    bool answer256; // which one signs the answer: SHA-256 when the request named an algorithm (RFC
                    // 8489 9.2.4, end)
    enum stun_password_algorithm algorithm;
    struct stun_attr token;             // ACCESS-TOKEN when query.token_key
    const struct auth_session *session; // with AUTH_CHECK
};

struct auth_reject {
    int code;       // 400, 401, 438, 500
    bool challenge; // the answer carries REALM, a fresh NONCE and what else a client needs to try
                    // again
};

struct auth_grant {
    uint8_t key[TOKEN_MAC_KEY_MAX];
    size_t key_len;
    bool integrity256;
    // The user. With a token: "<kid>#<16 hex digits that stand for its mac_key>", since many
    // clients share a kid; what one token made counts together.
    uint8_t user[AUTH_USER_MAX];
    size_t user_len;
    uint32_t max_allocations;
    uint64_t max_bps;
    bool token;            // by an access token, or by what one has left behind; then:
    uint8_t kid_len;       // of the user, which begins with the kid
    uint32_t lifetime_max; // seconds that an allocation may live on
    int64_t token_expires; // Unix seconds
    bool unproven; // nothing is granted: another worker has to see for itself (a request that was
                   // moved)
};

// Step 1: attributes and nonce. client: address that the request came from (a nonce is bound to its
// IP); now: Unix seconds. session: of the 5-tuple, or NULL; borrowed by req.
enum auth_step auth_begin(const struct auth_config *cfg, const struct stun_msg *msg,
                          const struct addr *client, int64_t now,
                          const struct auth_session *session, struct auth_request *req,
                          struct auth_reject *reject);

// Step 2: the record (NULL unless STORE_FOUND) against the integrity attribute. An unknown,
// disabled or expired user and a wrong password cost the same and give the same answer; so do an
// unknown kid and a token that is not good. STORE_UNAVAILABLE gives 500 without a challenge.
enum auth_step auth_finish(const struct auth_config *cfg, const struct stun_msg *msg,
                           const struct auth_request *req, enum store_status status,
                           const struct auth_record *rec, int64_t now, struct auth_grant *grant,
                           struct auth_reject *reject);

// What a grant by token leaves behind. NULL: out of memory.
struct auth_session *auth_session_new(const struct auth_grant *grant);
void auth_session_free(struct auth_session *s);
// Whether a grant is by the token that the session is of.
bool auth_session_matches(const struct auth_session *s, const struct auth_grant *grant);

// Appends ERROR-CODE and, for a challenge, REALM, NONCE, PASSWORD-ALGORITHMS and
// THIRD-PARTY-AUTHORIZATION.
void auth_put_reject(struct stun_writer *w, const struct auth_config *cfg,
                     const struct addr *client, int64_t now, const struct auth_reject *reject);

// Appends the integrity attribute of an authenticated answer.
void auth_sign(struct stun_writer *w, const struct auth_grant *grant);

#endif
