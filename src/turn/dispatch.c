// SPDX-License-Identifier: BSD-2-Clause
// From bytes to the file of a method: the checks that all messages share, in the order of RFC
// 8489 6.3.
#include <string.h>

#include "turn/internal.h"

struct method {
    uint16_t method;
    bool authenticated;
    turn_handler *handle;
};

static const struct method requests[] = {
    {STUN_BINDING, false, turn_handle_binding},
    {STUN_ALLOCATE, true, turn_handle_allocate},
    {STUN_REFRESH, true, turn_handle_refresh},
    {STUN_CREATE_PERMISSION, true, turn_handle_create_permission},
    {STUN_CHANNEL_BIND, true, turn_handle_channel_bind},
    {STUN_CONNECT, true, turn_handle_connect},
    {STUN_CONNECTION_BIND, true, turn_handle_connection_bind},
};

// What this server understands. An attribute that is understood but not expected in a message is
// ignored, as RFC 8489 6.3 says, so that one list serves all methods.
static bool understood(uint16_t method, uint16_t type)
{
    switch (type) {
    case STUN_ATTR_USERNAME:
    case STUN_ATTR_USERHASH:
    case STUN_ATTR_REALM:
    case STUN_ATTR_NONCE:
    case STUN_ATTR_PASSWORD_ALGORITHM:
    case STUN_ATTR_MESSAGE_INTEGRITY:
    case STUN_ATTR_MESSAGE_INTEGRITY_SHA256:
    // Of answers: meaningless in a request, but known.
    case STUN_ATTR_MAPPED_ADDRESS:
    case STUN_ATTR_XOR_MAPPED_ADDRESS:
    case STUN_ATTR_ERROR_CODE:
    case STUN_ATTR_UNKNOWN_ATTRIBUTES:
        return true;
    case STUN_ATTR_CHANNEL_NUMBER:
    case STUN_ATTR_LIFETIME:
    case STUN_ATTR_XOR_PEER_ADDRESS:
    case STUN_ATTR_DATA:
    case STUN_ATTR_XOR_RELAYED_ADDRESS:
    case STUN_ATTR_REQUESTED_ADDRESS_FAMILY:
    case STUN_ATTR_EVEN_PORT:
    case STUN_ATTR_REQUESTED_TRANSPORT:
    case STUN_ATTR_DONT_FRAGMENT:
    case STUN_ATTR_RESERVATION_TOKEN:
    case STUN_ATTR_CONNECTION_ID:
        return true;
    case STUN_ATTR_ACCESS_TOKEN: // where tokens are not accepted: handle_request
        return method != STUN_BINDING;
    case STUN_ATTR_CHANGE_REQUEST:
    case STUN_ATTR_PADDING:
    case STUN_ATTR_RESPONSE_PORT:
        return method == STUN_BINDING; // judged there
    default:
        return false;
    }
}

bool turn_is_owner(const struct turn_allocation *a, const struct auth_grant *grant)
{
    const struct auth_session *session =
        ((const struct allocation_box *)a)->session; // by name a user could be taken for a token
    if (session || grant->token)
        return session && auth_session_matches(session, grant);
    return a->user->name_len == grant->user_len &&
           memcmp(a->user->name, grant->user, grant->user_len) == 0;
}

int turn_require_allocation(struct turn_request *r)
{
    if (!r->allocation)
        return 437;
    if (!turn_is_owner(r->allocation, &r->grant))
        return 441;
    limit_grant(r->server, r->allocation, &r->grant);
    return 0;
}

void turn_report(struct turn_request *r, enum turn_event event, const struct addr *peer,
                 uint16_t channel)
{
    struct turn_event_info info = {
        .event = event,
        .tuple = r->in->tuple,
        .allocation = r->allocation,
        .peer = peer,
        .channel = channel,
        .method = r->msg.method,
    };
    if (r->allocation) {
        info.user = r->allocation->user->name;
        info.user_len = r->allocation->user->name_len;
    }
    r->server->ops.event(r->server->arg, &info);
}

bool turn_peer_allowed(struct turn_request *r, const struct addr *peer)
{
    enum policy_verdict verdict = policy_check_peer(r->server->cfg->policy, peer);
    if (verdict == POLICY_ALLOW)
        return true;
    struct turn_event_info info = {
        .event = TURN_EVENT_PEER_REFUSED,
        .tuple = r->in->tuple,
        .allocation = r->allocation,
        .peer = peer,
        .method = r->msg.method,
        .code = 403,
        .verdict = verdict,
        .user = r->allocation->user->name,
        .user_len = r->allocation->user->name_len,
    };
    r->server->ops.event(r->server->arg, &info);
    return false;
}

// What is known already when a request comes the second time: the answer of the store, or that
// another worker found it authentic.
struct second_time {
    const struct auth_grant *grant;
    enum store_status status;
    const struct auth_record *record;
    bool begun; // the first of the two steps of authentication need not be repeated
};

// What a token has left behind for a request: on its 5-tuple or, for a ConnectionBind, which comes
// by a connection of its own, with the allocation of the connection that it names.
static const struct auth_session *session_of(struct turn_request *r)
{
    struct turn_allocation *a = turn_server_find(r->server, r->in->tuple, r->in->now_ms);
    uint32_t id;

    if (!a && r->msg.method == STUN_CONNECTION_BIND &&
        stun_get_u32(&r->msg, STUN_ATTR_CONNECTION_ID, &id) == 0) {
        struct turn_connection *c = connection_find(r->server, id);
        a = c ? c->allocation : NULL;
    }
    return a ? allocation_box(a)->session : NULL;
}

// Whether a ConnectionBind of who is no user may be one without its token, for an allocation of
// another worker. It is moved there to be judged, and no further.
static bool is_to_be_judged_elsewhere(struct turn_request *r, const struct second_time *known)
{
    struct turn_server *s = r->server;
    struct stun_attr token;
    uint32_t id;

    if (!known || r->granted || known->status != STORE_NOT_FOUND || !s->cfg->auth->token_server ||
        r->msg.method != STUN_CONNECTION_BIND || !turn_transport_stream(r->in->tuple->transport) ||
        stun_find(&r->msg, STUN_ATTR_ACCESS_TOKEN, &token) ||
        stun_get_u32(&r->msg, STUN_ATTR_CONNECTION_ID, &id) < 0 ||
        connection_owner(s, id) == s->worker)
        return false;
    // One that has expired ends now: a connection leaves its worker without an allocation only.
    if (allocation_take(s, r->in->tuple, r->in->now_ms))
        return false;
    r->out->worker = connection_owner(s, id);
    r->out->grant = (struct auth_grant){.unproven = true};
    return true;
}

// The request waits for the answer of a store.
static void begun_note(struct turn_request *r)
{
    struct begun *b = &r->server->begun;
    b->data = r->in->data;
    b->tuple = *r->in->tuple;
    b->unix_time = r->in->unix_time;
    b->msg = r->msg;
    r->out->query = b->req.query;
}

// Whether it is what the server has seen last, and when: one that had to wait was copied, and time
// has passed.
static bool begun_is(const struct begun *b, const struct turn_input *in)
{
    return b->data && b->data == in->data && b->msg.len == in->len &&
           b->unix_time == in->unix_time && memcmp(&b->tuple, in->tuple, sizeof(b->tuple)) == 0;
}

static enum auth_step authenticate(struct turn_request *r, const struct second_time *known,
                                   struct auth_reject *reject)
{
    const struct auth_config *cfg = r->server->cfg->auth;
    const struct turn_input *in = r->in;
    struct auth_request *req = &r->server->begun.req;

    if (known && known->grant && !known->grant->unproven) {
        r->grant = *known->grant;
        r->authenticated = true;
        return AUTH_OK;
    }
    enum auth_step step = AUTH_LOOKUP;
    if (!known || !known->begun)
        step =
            auth_begin(cfg, &r->msg, &in->tuple->client, in->unix_time, session_of(r), req, reject);

    if (step != AUTH_LOOKUP && step != AUTH_CHECK)
        return step;
    if (step == AUTH_LOOKUP && !known) {
        begun_note(r);
        return AUTH_LOOKUP;
    }
    step = auth_finish(cfg, &r->msg, req, known ? known->status : STORE_NOT_FOUND,
                       known ? known->record : NULL, in->unix_time, &r->grant, reject);
    r->authenticated = step == AUTH_OK;
    return step;
}

static enum turn_action handle_request(struct turn_request *r, const struct second_time *known)
{
    const struct method *m = NULL;
    struct turn_elsewhere elsewhere;
    bool is_elsewhere = false;
    struct auth_reject reject;
    uint16_t unknown[TURN_UNKNOWN_MAX] = {STUN_ATTR_ACCESS_TOKEN};
    struct stun_attr token;
    size_t count;

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        if (requests[i].method == r->msg.method)
            m = &requests[i];
    // RFC 8489 11: without the cookie it is a Binding request of RFC 3489 or no STUN at all.
    if (r->msg.classic && (!m || m->method != STUN_BINDING))
        return TURN_DROP;
    if (!m)
        return reply_error(r, 400);
    // RFC 8489 6.3: first the authentication mechanism's checks ...
    if (m->authenticated) {
        // RFC 7635 section 7: a token that was not asked for is an unknown attribute.
        if (!r->server->cfg->auth->token_server &&
            stun_find(&r->msg, STUN_ATTR_ACCESS_TOKEN, &token))
            return reply_unknown(r, unknown, 1);
        switch (authenticate(r, known, &reject)) {
        case AUTH_OK:
            break;
        case AUTH_LOOKUP:
        case AUTH_CHECK: // went on to be checked
            return TURN_LOOKUP;
        case AUTH_REJECT:
            return is_to_be_judged_elsewhere(r, known) ? TURN_MOVE : reply_auth(r, &reject);
        }
        r->allocation = allocation_take(r->server, r->in->tuple, r->in->now_ms);
        if (!r->allocation)
            is_elsewhere = mobility_find(r, &elsewhere);
    }
    // ... then unknown attributes (6.3.1), then the method.
    count = stun_unknown_required(&r->msg, understood, unknown, TURN_UNKNOWN_MAX);
    if (count)
        return reply_unknown(r, unknown, count);
    if (is_elsewhere)
        return mobility_forward(r, &elsewhere);
    // Another worker's client is not here any more; only Refresh has more to say.
    if (r->in->routed && r->in->worker != r->server->worker && !r->allocation &&
        m->method != STUN_REFRESH)
        return reply_error(r, 437);
    return m->handle(r);
}

// RFC 8489 6.3.2: an indication is never answered, and dropped for whatever is wrong with it.
static enum turn_action handle_indication(struct turn_request *r)
{
    uint16_t unknown;
    if (r->msg.classic || r->msg.method != STUN_SEND)
        return TURN_DROP;
    if (stun_unknown_required(&r->msg, understood, &unknown, 1))
        return TURN_DROP;
    return turn_handle_send(r);
}

static enum turn_action process(struct turn_server *s, const struct turn_input *in,
                                const struct second_time *known, struct turn_output *out)
{
    struct turn_request r = {.server = s, .in = in, .out = out, .granted = known && known->grant};
    enum stun_parse parse = STUN_PARSE_OK;

    out->reply_len = 0;
    out->allocation = NULL;
    out->connection = NULL;
    s->begun.data = NULL;
    if (known && known->begun)
        r.msg = s->begun.msg;
    else
        parse = stun_parse(&r.msg, in->data, in->len);
    if (parse == STUN_PARSE_NOT_STUN)
        return TURN_DROP;
    if (parse == STUN_PARSE_MALFORMED) {
        if (r.msg.class_ != STUN_REQUEST || (r.msg.classic && r.msg.method != STUN_BINDING))
            return TURN_DROP;
        return reply_error(&r, 400);
    }
    switch (r.msg.class_) {
    case STUN_REQUEST:
        return handle_request(&r, known);
    case STUN_INDICATION:
        return handle_indication(&r);
    default:
        return TURN_DROP; // this server asks nobody
    }
}

enum turn_action turn_server_input(struct turn_server *s, const struct turn_input *in,
                                   struct turn_output *out)
{
    return process(s, in, NULL, out);
}

enum turn_action turn_server_resume(struct turn_server *s, const struct turn_input *in,
                                    enum store_status status, const struct auth_record *rec,
                                    struct turn_output *out)
{
    struct second_time known = {.status = status, .record = rec, .begun = begun_is(&s->begun, in)};
    return process(s, in, &known, out);
}

enum turn_action turn_server_granted(struct turn_server *s, const struct turn_input *in,
                                     const struct auth_grant *grant, struct turn_output *out)
{
    struct second_time known = {.grant = grant, .status = STORE_NOT_FOUND};
    enum turn_action action = process(s, in, &known, out);
    mobility_tell_visit(s, in, out);
    return action;
}
