// SPDX-License-Identifier: BSD-2-Clause
// For clients that cannot have a WebSocket: GET opens a stream of server-sent events (WHATWG HTML,
// section 9.2), one a message; POST to the same path brings a message. The path ends with an id
// that the client has chosen at random, which is what joins the two and keeps others out.
#include "http/internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/codec.h"

#define ID_MIN 22 // 128 bits in base64
#define ID_MAX 64

struct event_stream {
    struct link link;
    struct event_stream *next, **prev; // in its bucket
    size_t id_len;
    char id[ID_MAX];
};

static struct event_stream *of(struct link *l)
{
    return (struct event_stream *)l;
}

// --- by id ---

static struct event_stream **bucket(struct http *h, const char *id, size_t len)
{
    return &h->sessions[siphash(&h->hash_key, id, len) % EVENTS_BUCKETS];
}

static struct event_stream *find(struct http *h, const char *id, size_t len)
{
    for (struct event_stream *s = *bucket(h, id, len); s; s = s->next)
        if (s->id_len == len && memcmp(s->id, id, len) == 0)
            return s;
    return NULL;
}

static void remember(struct event_stream *s)
{
    struct event_stream **head = bucket(s->link.http, s->id, s->id_len);
    s->next = *head;
    s->prev = head;
    if (s->next)
        s->next->prev = &s->next;
    *head = s;
}

static void forget(struct event_stream *s)
{
    if (!s->prev)
        return;
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->prev = NULL;
}

// --- for the hub ---

static struct evbuffer *output(struct link *l)
{
    return bufferevent_get_output(l->client->bev);
}

static char *put(char *p, const void *data, size_t len)
{
    memcpy(p, data, len);
    return p + len;
}

// A line end would begin another line of the event, with a name of its own: a frame of nothing but
// those would grow by seven. JSON has them between tokens only, where a space says the same.
static char *put_line(char *p, const char *data, size_t len)
{
    char *end = put(p, data, len);
    for (; p < end; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    return end;
}

// The whole event or, without memory, none: then the stream ends, since the client would miss
// something and never know.
static void write_event(struct link *l, const char *name, const char *data, size_t len)
{
    static const char field[] = "event: ", text[] = "data: ";
    struct evbuffer *out = output(l);
    struct evbuffer_iovec space;
    size_t name_len = name ? strlen(name) : 0;
    size_t need = name_len + sizeof field + sizeof text + len + 2;
    if (evbuffer_reserve_space(out, (ev_ssize_t)need, &space, 1) != 1) {
        l->end_ms = http_clock_ms();
        return;
    }
    char *p = space.iov_base;
    if (name) {
        p = put(p, field, sizeof field - 1);
        p = put(p, name, name_len);
        *p++ = '\n';
    }
    p = put(p, text, sizeof text - 1);
    p = put_line(p, data, len);
    p = put(p, "\n\n", 2);
    space.iov_len = (size_t)(p - (char *)space.iov_base);
    evbuffer_commit_space(out, &space, 1);
}

static void es_send_text(struct link *l, const void *data, size_t len)
{
    write_event(l, NULL, data, len);
}

// A comment keeps proxies from giving up on it. What it says of the client is told by
// on_written: all that was sent has been taken.
static void es_ping(struct link *l)
{
    evbuffer_add(output(l), ":\n\n", 3);
}

static void es_close(struct link *l, unsigned code, const char *reason)
{
    char text[160];
    int len = snprintf(text, sizeof text, "{\"code\":%u,\"reason\":\"%.123s\"}", code, reason);
    write_event(l, "close", text, (size_t)len);
    forget(of(l));
}

static size_t es_backlog(const struct link *l)
{
    return evbuffer_get_length(bufferevent_get_output(l->client->bev));
}

static void es_lost(struct link *l)
{
    (void)l; // callbacks of a bufferevent end with it
}

static void es_free(struct link *l)
{
    forget(of(l));
    free(of(l));
}

static const struct link_kind kind = {es_send_text, es_ping, es_close,
                                      es_backlog,   es_lost, es_free};

// --- the stream ---

static void on_written(struct bufferevent *bev, void *arg)
{
    struct link *l = arg;
    if (l->end_ms)
        client_close(l->client);
    else if (l->conn)
        signal_conn_pong(l->conn, http_clock_ms());
}

static void on_readable(struct bufferevent *bev, void *arg)
{
    struct evbuffer *input = bufferevent_get_input(bev);
    evbuffer_drain(input, evbuffer_get_length(input));
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct link *l = arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        client_close(l->client);
}

// The kernel takes a few thousand pings for a client that is gone: it is to say so when nobody
// has acknowledged them for as long as a WebSocket may leave pings unanswered.
static void limit_silence(const struct exchange *x)
{
    unsigned ms = http_conf(x->http)->signal.ping_interval * 3000;
    setsockopt(bufferevent_getfd(x->client->bev), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

static void take_over(struct exchange *x, struct event_stream *s)
{
    struct bufferevent *bev = x->client->bev;
    answer_add(x, "Content-Type", "text/event-stream");
    answer_add(x, "Cache-Control", "no-store");
    answer_add(x, "X-Accel-Buffering", "no"); // nginx would collect them
    answer_add(x, "X-Content-Type-Options", "nosniff");
    answer_add(x, "Connection", "close");
    client_take(x->client, &s->link);
    limit_silence(x);
    bufferevent_setcb(bev, on_readable, on_written, on_event, s);
    answer_begin(x, 200, "OK", bufferevent_get_output(bev));
    evbuffer_add(bufferevent_get_output(bev), ":\n\n", 3); // so that the client sees it open
    evhttp_clear_headers(evhttp_request_get_input_headers(x->req));
    evhttp_clear_headers(evhttp_request_get_output_headers(x->req));
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void open_stream(struct exchange *x, const char *id, size_t len)
{
    char token[TOKEN_TEXT_MAX];
    struct addr addr = answer_client_address(x);
    struct event_stream *old = find(x->http, id, len);
    // A browser opens a lost stream again by itself, perhaps before we know that it is lost.
    if (old && old->link.client)
        client_close(old->link.client);
    struct event_stream *s = calloc(1, sizeof *s);
    if (!s || !link_open(&s->link, x->http, &kind, &addr, answer_token(x, token, sizeof token))) {
        free(s);
        answer_add(x, "Retry-After", "10");
        answer_error(x, 503, "too many connections");
        return;
    }
    s->id_len = len;
    memcpy(s->id, id, len);
    remember(s);
    take_over(x, s);
}

static void take_message(struct exchange *x, const char *id, size_t len)
{
    struct event_stream *s = find(x->http, id, len);
    struct evbuffer *body = evhttp_request_get_input_buffer(x->req);
    size_t size = evbuffer_get_length(body);
    if (!s || !s->link.conn || !s->link.client) {
        answer_error(x, 404, "there is no stream of that id");
        return;
    }
    if (size > http_conf(x->http)->signal.text_bytes) {
        answer_error(x, 413, "the message is too long");
        return;
    }
    const unsigned char *data = size ? evbuffer_pullup(body, -1) : (const unsigned char *)"";
    if (!data) {
        answer_error(x, 500, "out of memory");
        return;
    }
    if (!utf8_valid(data, size)) {
        answer_error(x, 400, "the message is not UTF-8");
        return;
    }
    signal_conn_text(s->link.conn, data, size, http_clock_ms());
    link_check_backlog(&s->link);
    answer_add(x, "Cache-Control", "no-store");
    answer_send(x, 204, NULL, NULL, 0);
}

void events_answer(struct exchange *x, const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    if (id[len] || len < ID_MIN || len > ID_MAX)
        answer_error(x, 404, "the id of a session is 22 to 64 letters, digits, - and _");
    else if (x->method == EVHTTP_REQ_GET)
        open_stream(x, id, len);
    else if (x->method == EVHTTP_REQ_POST)
        take_message(x, id, len);
    else
        answer_not_allowed(x, "GET, POST, OPTIONS");
}
