// SPDX-License-Identifier: BSD-2-Clause
// The part of the verdict that is about access tokens (RFC 7635 section 7). Inside verdict.c.
#ifndef TP_AUTH_VERDICT_TOKEN_H
#define TP_AUTH_VERDICT_TOKEN_H

#include "auth/verdict.h"

// As auth_finish. rec: of the key, or NULL.
enum auth_step auth_finish_token(const struct auth_config *cfg, const struct stun_msg *msg,
                                 const struct auth_request *req, const struct auth_record *rec,
                                 int64_t now, struct auth_grant *grant, struct auth_reject *reject);
enum auth_step auth_finish_session(const struct stun_msg *msg, const struct auth_request *req,
                                   int64_t now, struct auth_grant *grant,
                                   struct auth_reject *reject);

// Checks the integrity attribute that the request is judged by.
bool auth_check_with(const struct stun_msg *msg, const struct auth_request *req, const uint8_t *key,
                     size_t key_len);

static inline enum auth_step auth_reject_with(struct auth_reject *reject, int code, bool challenge)
{
    *reject = (struct auth_reject){.code = code, .challenge = challenge};
    return AUTH_REJECT;
}

#endif
