// SPDX-License-Identifier: BSD-2-Clause
// Every answer is built here. One to an authenticated request is signed, errors included (RFC
// 8489 9.2.4); one to a stranger is as small as can be.
#include <stdio.h>
#include <string.h>

#include "turn/internal.h"

#define SOFTWARE_MAX 128 // RFC 8489 14.14: characters; the rest of the answer must fit behind it

static void begin(struct turn_request *r, enum stun_class class_)
{
    r->out->reply_from = r->in->tuple->local;
    r->out->reply_to = r->in->tuple->client;
    stun_begin_reply(&r->w, r->out->reply, sizeof(r->out->reply), class_, &r->msg);
}

void reply_begin(struct turn_request *r)
{
    begin(r, STUN_SUCCESS);
}

enum turn_action reply_end(struct turn_request *r)
{
    const char *software = r->server->cfg->software;
    if (r->authenticated) {
        if (software && strlen(software) <= SOFTWARE_MAX)
            stun_put_text(&r->w, STUN_ATTR_SOFTWARE, software);
        auth_sign(&r->w, &r->grant);
    }
    if (r->msg.fingerprint)
        stun_put_fingerprint(&r->w);
    r->out->reply_len = stun_end(&r->w);
    return r->out->reply_len ? TURN_REPLY : TURN_DROP;
}

static void report(struct turn_request *r, enum turn_event event, int code, const uint8_t *user,
                   size_t user_len)
{
    struct turn_event_info info = {
        .event = event,
        .tuple = r->in->tuple,
        .allocation = r->allocation,
        .method = r->msg.method,
        .code = code,
        .user = user,
        .user_len = user_len,
    };
    r->server->ops.event(r->server->arg, &info);
}

static void report_refused(struct turn_request *r, int code)
{
    report(r, TURN_EVENT_REFUSED, code, r->authenticated ? r->grant.user : NULL,
           r->authenticated ? r->grant.user_len : 0);
}

// Attributes of RFC 3489 have no padding: there blanks fill the reason up (11.2.9).
static void put_error(struct turn_request *r, int code)
{
    const char *reason = stun_reason(code);
    int len = (int)(strlen(reason) + 3) & ~3;
    char filled[64];

    snprintf(filled, sizeof(filled), "%-*s", len, reason);
    stun_put_error(&r->w, code, r->msg.classic ? filled : reason);
}

enum turn_action reply_error(struct turn_request *r, int code)
{
    if (code != 403) // reported as TURN_EVENT_PEER_REFUSED
        report_refused(r, code);
    begin(r, STUN_ERROR);
    put_error(r, code);
    return reply_end(r);
}

enum turn_action reply_unknown(struct turn_request *r, const uint16_t *types, size_t count)
{
    uint16_t list[TURN_UNKNOWN_MAX + 1];

    report_refused(r, 420);
    begin(r, STUN_ERROR);
    put_error(r, 420);
    memcpy(list, types, count * sizeof(list[0]));
    if (r->msg.classic && count % 2) { // RFC 3489 11.2.10: an odd list repeats one
        list[count] = list[count - 1];
        count++;
    }
    stun_put_u16_list(&r->w, STUN_ATTR_UNKNOWN_ATTRIBUTES, list, count);
    return reply_end(r);
}

enum turn_action reply_alternate(struct turn_request *r, const struct addr *alternate)
{
    const char *domain = r->server->cfg->alternate_domain;

    report_refused(r, 300);
    begin(r, STUN_ERROR);
    put_error(r, 300);
    stun_put_addr(&r->w, STUN_ATTR_ALTERNATE_SERVER, alternate);
    if (domain)
        stun_put_text(&r->w, STUN_ATTR_ALTERNATE_DOMAIN, domain);
    return reply_end(r);
}

enum turn_action reply_auth(struct turn_request *r, const struct auth_reject *reject)
{
    struct stun_attr user;
    bool named = stun_find(&r->msg, STUN_ATTR_USERNAME, &user);

    report(r, TURN_EVENT_AUTH_REFUSED, reject->code, named ? user.value : NULL,
           named ? user.len : 0);
    begin(r, STUN_ERROR);
    auth_put_reject(&r->w, r->server->cfg->auth, &r->in->tuple->client, r->in->unix_time, reject);
    return reply_end(r);
}
