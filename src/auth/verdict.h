// SPDX-License-Identifier: BSD-2-Clause
// Whether a request is authentic: one decision for every method and transport (RFC 8489 section 9.2.4). No I/O: the caller
// looks the user up between the two steps.
#ifndef TP_AUTH_VERDICT_H
#define TP_AUTH_VERDICT_H

#include "auth/store.h"
#include "stun/message.h"

struct auth_config {
    const char *realm;
    uint8_t nonce_key[32];   // of this process, or shared by nodes that accept each other's nonces
    int64_t nonce_lifetime;  // seconds
    // What a challenge offers (RFC 8489 9.2.1); both are off in a zeroed struct, which suits every store.
    bool md5_only;           // no PASSWORD-ALGORITHMS: some store has nothing but MD5 keys, and a client takes SHA-256 if it is offered
    bool username_anonymity; // clients must send USERHASH: no shared secrets and no coturn layout, which cannot be searched by hash
};

enum auth_step {
    AUTH_LOOKUP, // step 1 passed: look req->query up, then auth_finish
    AUTH_OK,     // authentic; grant is filled
    AUTH_REJECT, // answer with reject->code
};

struct auth_request {
    struct store_query query; // points into the message
    bool integrity256;        // which integrity attribute is checked
    bool answer256;           // which one signs the answer: SHA-256 when the request named an algorithm (RFC 8489 9.2.4, end)
    enum stun_password_algorithm algorithm;
};

struct auth_reject {
    int code;          // 400, 401, 438, 500
    bool challenge;    // the answer carries REALM, a fresh NONCE and PASSWORD-ALGORITHMS
};

struct auth_grant {
    uint8_t key[STUN_KEY_SHA256_LEN];
    size_t key_len;
    bool integrity256;
    uint8_t user[AUTH_USER_MAX];
    size_t user_len;
    uint32_t max_allocations;
    uint64_t max_bps;
};

// Step 1: attributes and nonce. client: address that the request came from (a nonce is bound to its IP); now: Unix seconds.
enum auth_step auth_begin(const struct auth_config *cfg, const struct stun_msg *msg, const struct addr *client, int64_t now,
                          struct auth_request *req, struct auth_reject *reject);

// Step 2: the record (NULL unless STORE_FOUND) against the integrity attribute. An unknown, disabled or expired user and a wrong password
// cost the same and give the same answer. STORE_UNAVAILABLE gives 500 without a challenge.
enum auth_step auth_finish(const struct auth_config *cfg, const struct stun_msg *msg, const struct auth_request *req,
                           enum store_status status, const struct auth_record *rec, int64_t now, struct auth_grant *grant,
                           struct auth_reject *reject);

// Appends ERROR-CODE and, for a challenge, REALM, NONCE and PASSWORD-ALGORITHMS.
void auth_put_reject(struct stun_writer *w, const struct auth_config *cfg, const struct addr *client, int64_t now,
                     const struct auth_reject *reject);

// Appends the integrity attribute of an authenticated answer.
void auth_sign(struct stun_writer *w, const struct auth_grant *grant);

#endif
