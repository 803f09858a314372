// SPDX-License-Identifier: BSD-2-Clause
// Answers, and what every request is asked.
#include "http/internal.h"

#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NO_STORE "no-store"
#define PATH_LOGGED 200

// The next header of that name behind one, or the first.
static const struct evkeyval *next_header(const struct exchange *x, const char *name,
                                          const struct evkeyval *behind)
{
    const struct evkeyval *h =
        behind ? behind->next.tqe_next : evhttp_request_get_input_headers(x->req)->tqh_first;
    while (h && strcasecmp(h->key, name) != 0)
        h = h->next.tqe_next;
    return h;
}

const char *answer_header(const struct exchange *x, const char *name)
{
    const struct evkeyval *h = next_header(x, name, NULL);
    return h ? h->value + strspn(h->value, " \t") : NULL; // evhttp leaves a tab in front
}

const char *answer_only(const struct exchange *x, const char *name)
{
    const struct evkeyval *h = next_header(x, name, NULL);
    return h && !next_header(x, name, h) ? answer_header(x, name) : NULL;
}

bool answer_has(const struct exchange *x, const char *name, const char *word)
{
    const struct evkeyval *h = NULL;
    while ((h = next_header(x, name, h)))
        if (header_has(h->value, word))
            return true;
    return false;
}

void answer_add(struct exchange *x, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(x->req), name, value);
}

bool header_has(const char *value, const char *word)
{
    size_t len = strlen(word);
    while (value && *value) {
        value += strspn(value, " \t,");
        size_t n = strcspn(value, ",");
        size_t used = n;
        while (used && (value[used - 1] == ' ' || value[used - 1] == '\t'))
            used--;
        if (used == len && strncasecmp(value, word, len) == 0)
            return true;
        value += n;
    }
    return false;
}

// --- security ---

// A host as it may stand in a header of ours: nothing that could end it.
static bool plain_host(const char *host)
{
    size_t len = strlen(host);
    return len > 0 && len < 256 &&
           strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                        "0123456789.-:[]_") == len;
}

// Some browsers do not count WebSockets to the same host as 'self'.
static void add_policy(struct exchange *x)
{
    char policy[1024], sockets[600] = "";
    const char *host = answer_header(x, "Host");
    if (host && plain_host(host))
        snprintf(sockets, sizeof sockets, " ws://%s wss://%s", host, host);
    snprintf(
        policy, sizeof policy,
        "default-src 'self'; connect-src 'self'%s; img-src 'self' data: blob:; media-src 'self' "
        "blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        sockets);
    answer_add(x, "Content-Security-Policy", policy);
}

static void add_security(struct exchange *x)
{
    add_policy(x);
    // For all ports of a name: at localhost others live, too.
    if (x->client->tls && !host_is_localhost(x))
        answer_add(x, "Strict-Transport-Security", "max-age=31536000");
    answer_add(x, "Cross-Origin-Resource-Policy", "same-origin"); // CORS is asked for otherwise
    answer_add(x, "X-Content-Type-Options", "nosniff");
    answer_add(x, "Referrer-Policy", "no-referrer");
    answer_add(x, "X-Frame-Options", "DENY");
    answer_add(x, "Cross-Origin-Opener-Policy", "same-origin");
    answer_add(x, "Permissions-Policy",
               "camera=(self), microphone=(self), display-capture=(self), geolocation=()");
}

// RFC 6454: the page was served by the host that it talks to. A proxy in front may be the one that
// speaks TLS, so that without TLS of our own either scheme will do.
static bool same_origin(const struct exchange *x, const char *origin)
{
    const char *host = answer_header(x, "Host");
    bool secure = strncmp(origin, "https://", 8) == 0;
    if (!host || (!secure && strncmp(origin, "http://", 7) != 0))
        return false;
    if (x->client->tls && !secure)
        return false;
    return strcasecmp(origin + (secure ? 8 : 7), host) == 0;
}

static bool listed_origin(const struct exchange *x, const char *origin)
{
    const struct conf *c = http_conf(x->http);
    if (strpbrk(origin, " \t\r\n")) // it goes into a header of ours
        return false;
    for (size_t i = 0; i < c->signal.origin_count; i++)
        if (strcmp(c->signal.origins[i], "*") == 0 || strcmp(c->signal.origins[i], origin) == 0)
            return true;
    return false;
}

// Pages of elsewhere can have requests sent that name no origin: for an image, a script, a frame.
// Browsers say so of them (Fetch Metadata). A link to /ice may be followed.
static bool foreign_without_origin(const struct exchange *x)
{
    const char *site = answer_header(x, "Sec-Fetch-Site");
    const char *dest = answer_header(x, "Sec-Fetch-Dest");
    return site && (strcasecmp(site, "cross-site") == 0 || strcasecmp(site, "same-site") == 0) &&
           !(dest && strcasecmp(dest, "document") == 0);
}

bool answer_origin(struct exchange *x)
{
    const char *origin = answer_header(x, "Origin");
    answer_add(x, "Vary", "Origin");
    if (host_is_rebound(x)) {
        answer_error(x, 421, "this is not the name of the server: see signal.host");
        return false;
    }
    if (origin ? same_origin(x, origin) : !foreign_without_origin(x))
        return true;
    if (!origin || !listed_origin(x, origin)) {
        answer_error(x, 403, "this origin may not use the server: see signal.origins");
        return false;
    }
    answer_add(x, "Access-Control-Allow-Origin", origin);
    return true;
}

const char *answer_token(const struct exchange *x, char *buf, size_t cap)
{
    static const char scheme[] = "Bearer ";
    const char *text = answer_header(x, "Authorization");
    size_t len = 0;
    if (text && strncasecmp(text, scheme, sizeof scheme - 1) == 0) {
        text += sizeof scheme - 1;
        text += strspn(text, " ");
        len = strlen(text);
    } else {
        for (text = x->query; text; text = strchr(text, '&') ? strchr(text, '&') + 1 : NULL)
            if (strncmp(text, "token=", 6) == 0)
                break;
        if (text) {
            text += 6;
            len = strcspn(text, "&");
        }
    }
    if (!text || !len || len >= cap)
        return NULL;
    memcpy(buf, text, len);
    buf[len] = '\0';
    return buf;
}

// --- answers ---

// Neither query nor headers, which may carry a token, nor the id of an event stream, which is one.
static void log_request(const struct exchange *x, int status)
{
    static const char streams[] = "/signal/";
    int len = sizeof streams - 1;
    if (!log_on(LOG_LVL_DEBUG))
        return;
    if (strncmp(x->path, streams, (size_t)len) != 0)
        len = PATH_LOGGED;
    log_line(LOG_LVL_DEBUG, "http", &(struct log_about){.client = &x->client->addr}, "%.*s: %d",
             len, x->path, status);
}

void answer_send(struct exchange *x, int status, const char *type, const void *body, size_t len)
{
    char length[32];
    struct evbuffer *buffer = NULL;
    add_security(x);
    if (type) {
        answer_add(x, "Content-Type", type);
        snprintf(length, sizeof length, "%zu", len);
        answer_add(x, "Content-Length", length);
    }
    if (type && len && x->method != EVHTTP_REQ_HEAD) {
        buffer = evbuffer_new();
        if (!buffer || evbuffer_add(buffer, body, len)) {
            if (buffer)
                evbuffer_free(buffer);
            client_close(x->client);
            return;
        }
    }
    log_request(x, status);
    evhttp_send_reply(x->req, status, NULL, buffer);
    if (buffer)
        evbuffer_free(buffer);
}

void answer_error(struct exchange *x, int status, const char *text)
{
    char body[256];
    int len = snprintf(body, sizeof body, "{\"error\":\"%s\"}\n", text);
    answer_add(x, "Cache-Control", NO_STORE);
    answer_send(x, status, "application/json", body, (size_t)len);
}

void answer_not_allowed(struct exchange *x, const char *allowed)
{
    if (x->method != EVHTTP_REQ_OPTIONS) {
        answer_add(x, "Allow", allowed);
        answer_error(x, 405, "this method is not allowed here");
        return;
    }
    answer_add(x, "Allow", allowed);
    answer_add(x, "Access-Control-Allow-Methods", allowed);
    answer_add(x, "Access-Control-Allow-Headers", "Authorization, Content-Type");
    answer_add(x, "Access-Control-Max-Age", "600");
    answer_send(x, 204, NULL, NULL, 0);
}

void answer_begin(struct exchange *x, int status, const char *reason, struct evbuffer *out)
{
    struct evkeyval *header;
    log_request(x, status);
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, reason);
    for (header = evhttp_request_get_output_headers(x->req)->tqh_first; header;
         header = header->next.tqe_next)
        evbuffer_add_printf(out, "%s: %s\r\n", header->key, header->value);
    evbuffer_add(out, "\r\n", 2);
}
