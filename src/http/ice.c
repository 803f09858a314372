// SPDX-License-Identifier: BSD-2-Clause
// Where the relay is and a credential for it (draft-uberti-behave-turn-rest), as the argument of
// new RTCPeerConnection() and in the form of Matrix (client-server API, voip/turnServer).
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "auth/shared_secret.h"
#include "conf/ice.h"
#include "http/internal.h"
#include "util/codec.h"
#include "util/rand.h"

#define USER_MAX 255

// Without memory for one of them there are none.
static void append(const char *url, void *arg)
{
    json_t **urls = arg;
    if (!*urls || json_array_append_new(*urls, json_string(url)) == 0)
        return;
    json_decref(*urls);
    *urls = NULL;
}

static json_t *make_urls(const struct http *h, enum conf_ice_kind kind)
{
    const struct conf *c = http_conf(h);
    json_t *urls = json_array();
    conf_ice_urls(c, kind, c->signal.host, c->realm, append, &urls);
    return urls;
}

// Nobody is to tell users apart by a name that they have in common.
static const char *name_or_random(const char *user, char buf[17])
{
    uint8_t random[8];
    if (*user)
        return user;
    rand_bytes(random, sizeof random);
    return hex_encode(buf, random, sizeof random);
}

// One for signal.ttl, not beyond until (Unix seconds); ttl: the seconds that are left of it.
static int make_credential(const struct http *h, const char *user, int64_t until,
                           struct shared_secret_credential *out, uint32_t *ttl)
{
    char random[17];
    int64_t now = time(NULL), expires = now + (int64_t)http_conf(h)->signal.ttl;
    if (expires > until)
        expires = until;
    *ttl = expires > now ? (uint32_t)(expires - now) : 0;
    return shared_secret_make(out, h->snapshot->ice_secret, expires, name_or_random(user, random));
}

// The array of iceServers, or NULL when out of memory.
static json_t *make_servers(const struct http *h, const char *user, int64_t until, uint32_t *ttl)
{
    struct shared_secret_credential made;
    if (make_credential(h, user, until, &made, ttl))
        return NULL;
    json_t *stun = make_urls(h, CONF_ICE_STUN), *turn = make_urls(h, CONF_ICE_TURN);
    json_t *servers = json_array();
    bool whole = stun && turn && servers;
    if (whole && json_array_size(stun) > 0)
        whole = json_array_append_new(servers, json_pack("{s:O}", "urls", stun)) == 0;
    if (whole)
        whole =
            json_array_append_new(servers, json_pack("{s:O, s:s, s:s}", "urls", turn, "username",
                                                     made.name, "credential", made.password)) == 0;
    json_decref(stun);
    json_decref(turn);
    if (whole)
        return servers;
    json_decref(servers);
    return NULL;
}

int ice_servers(void *http, const char *user, size_t user_len, int64_t until, char *out, size_t cap,
                uint32_t *ttl)
{
    const struct http *h = http;
    char name[USER_MAX + 1];
    if (user_len > USER_MAX)
        return -EINVAL;
    memcpy(name, user, user_len);
    name[user_len] = '\0';
    json_t *servers = make_servers(h, name, until, ttl);
    if (!servers)
        return -ENOMEM;
    size_t len = json_dumpb(servers, out, cap, JSON_COMPACT);
    json_decref(servers);
    return len == 0 || len > cap ? -ENOMEM : (int)len;
}

static json_t *make_answer(const struct http *h, const char *user, int64_t until)
{
    uint32_t ttl;
    json_t *servers = make_servers(h, user, until, &ttl);
    return servers ? json_pack("{s:o, s:I}", "iceServers", servers, "ttl", (json_int_t)ttl) : NULL;
}

static json_t *make_matrix(const struct http *h, const char *user, int64_t until)
{
    struct shared_secret_credential made;
    uint32_t ttl;
    if (make_credential(h, user, until, &made, &ttl))
        return NULL;
    return json_pack("{s:s, s:s, s:o, s:I}", "username", made.name, "password", made.password,
                     "uris", make_urls(h, CONF_ICE_TURN), "ttl", (json_int_t)ttl);
}

void ice_answer(struct exchange *x, bool matrix)
{
    char token[TOKEN_TEXT_MAX], user[USER_MAX + 1];
    const char *given = answer_token(x, token, sizeof token);
    int64_t until;
    int err = signal_hub_check_token(x->http->hub, given, given ? strlen(given) : 0, user,
                                     sizeof user, &until);
    if (err == -EACCES) {
        answer_add(x, "WWW-Authenticate", "Bearer");
        answer_error(x, 401, "a valid token is needed");
        return;
    }
    json_t *answer = NULL;
    if (!err)
        answer = matrix ? make_matrix(x->http, user, until) : make_answer(x->http, user, until);
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    json_decref(answer);
    if (!text) {
        answer_error(x, 500, "out of memory");
        return;
    }
    answer_add(x, "Cache-Control", "no-store");
    answer_send(x, 200, "application/json", text, strlen(text));
    free(text);
}
