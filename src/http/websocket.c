// SPDX-License-Identifier: BSD-2-Clause
// WebSocket (RFC 6455): the opening handshake, and messages out of frames and back. With the
// upgrade the socket is ours: one read takes what has come of many messages, and what a turn of the
// loop has for a client leaves with one write at its end. evhttp and the bufferevent only own the
// socket, and close it.
#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/websocket.h"
#include "util/codec.h"

#define ACCEPT_LEN 28 // base64 of a SHA-1

static struct websocket *of(struct link *l)
{
    return (struct websocket *)l;
}

// --- for the hub ---

static void ws_send_text(struct link *l, const void *data, size_t len)
{
    websocket_queue_frame(of(l), WS_TEXT, data, len);
}

static void ws_ping(struct link *l)
{
    websocket_queue_frame(of(l), WS_PING, NULL, 0);
}

static void ws_close(struct link *l, unsigned code, const char *reason)
{
    websocket_queue_close(of(l), code, reason);
}

static size_t ws_backlog(const struct link *l)
{
    return websocket_backlog((const struct websocket *)l);
}

static void ws_lost(struct link *l)
{
    if (event_initialized(&of(l)->event))
        event_del(&of(l)->event);
    websocket_untouch(of(l));
}

static void ws_free(struct link *l)
{
    struct websocket *ws = of(l);
    wsframe_reader_free(&ws->reader);
    free(ws->out);
    free(ws);
}

static const struct link_kind kind = {ws_send_text, ws_ping, ws_close,
                                      ws_backlog,   ws_lost, ws_free};

// --- reading ---

// The client does not keep to the protocol. For what the hub would have closed it for, had it come
// that far, its session is over, too.
static void fail(struct websocket *ws, unsigned code)
{
    ws->deaf = true;
    if (code == WS_CODE_INVALID || code == WS_CODE_TOO_BIG)
        ws->link.code = SIGNAL_CLOSE_KICK;
    websocket_queue_close(ws, code, "");
}

static void take_message(struct websocket *ws, enum wsframe_kind frame,
                         const struct wsframe_found *found, int64_t now_ms)
{
    struct signal_conn *conn = ws->link.conn;
    switch (frame) {
    case WSFRAME_TEXT:
        if (conn)
            signal_conn_text(conn, found->data, found->len, now_ms);
        break;
    case WSFRAME_BINARY:
        if (conn)
            signal_conn_binary(conn, found->data, found->len, now_ms);
        break;
    case WSFRAME_PING:
        websocket_queue_frame(ws, WS_PONG, found->data, found->len);
        break;
    case WSFRAME_PONG:
        if (conn)
            signal_conn_pong(conn, now_ms);
        break;
    case WSFRAME_CLOSE:
        ws->deaf = ws->close_taken = true;
        ws->link.code = found->code;
        websocket_queue_close(ws, found->code, "");
        break;
    default:
        fail(ws, found->code);
    }
}

static void take_bytes(struct websocket *ws, uint8_t *at, size_t len)
{
    const struct conf *c = http_conf(ws->link.http);
    const struct wsframe_limits limits = {c->signal.text_bytes, c->signal.binary_bytes};
    const uint8_t *end = at + len;
    int64_t now_ms = http_clock_ms();
    struct wsframe_found found;
    enum wsframe_kind frame;

    while (!ws->deaf &&
           (frame = wsframe_read(&ws->reader, &limits, &at, end, &found)) != WSFRAME_MORE)
        take_message(ws, frame, &found, now_ms);
    if (ws->deaf) {
        link_end(&ws->link);
        websocket_touch(ws);
    }
    link_check_backlog(&ws->link);
}

// Bytes that have come, 0 for none now, -1 when there is an end to it.
static ssize_t get_tls(struct websocket *ws, uint8_t *buf, size_t cap)
{
    size_t len = 0;
    do { // records that OpenSSL has read already would not make the socket readable
        ERR_clear_error();
        int n = SSL_read(ws->ssl, buf + len, (int)(cap - len));
        if (n <= 0) {
            int err = SSL_get_error(ws->ssl, n);
            if (err != SSL_ERROR_WANT_READ && err != SSL_ERROR_WANT_WRITE)
                return len ? (ssize_t)len : -1; // an end that is told again
            break;
        }
        len += (size_t)n;
    } while (len < cap && SSL_has_pending(ws->ssl));
    ws->again = len == cap;
    return (ssize_t)len;
}

static ssize_t get(struct websocket *ws, uint8_t *buf, size_t cap)
{
    if (ws->early) {
        int n = evbuffer_remove(bufferevent_get_input(ws->link.client->bev), buf, cap);
        ws->early = ws->again = n > 0;
        if (n > 0)
            return n;
    }
    if (ws->ssl)
        return get_tls(ws, buf, cap);
    ssize_t n = recv(event_get_fd(&ws->event), buf, cap, 0);
    return n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct websocket *ws = arg;
    struct http *h = ws->link.http;
    if (what & (EV_READ | EV_TIMEOUT)) {
        bool again = ws->again;
        ws->again = false;
        ssize_t n = get(ws, h->input, sizeof h->input);
        if (n < 0) {
            client_close(ws->link.client);
            return;
        }
        if (again != ws->again)
            ws->broken |= !websocket_watch(ws);
        if (n > 0 && !ws->deaf)
            take_bytes(ws, h->input, (size_t)n);
    }
    if (ws->waits && (what & EV_WRITE || ws->ssl))
        websocket_send(ws);
    if (ws->broken || ws->link.end_ms)
        websocket_touch(ws);
    if (h->touched_count >= WEBSOCKET_SPARE)
        websocket_turn_end(-1, EV_TIMEOUT, h); // may end this one
}

bool websocket_watch(struct websocket *ws)
{
    // By the clock, so that others have their turn in between.
    static const struct timeval soon = {0, 1};
    short events = (short)(EV_READ | EV_PERSIST | (ws->waits ? EV_WRITE : 0));
    evutil_socket_t fd = bufferevent_getfd(ws->link.client->bev);
    if (event_initialized(&ws->event))
        event_del(&ws->event);
    event_assign(&ws->event, ws->link.http->base, fd, events, on_socket, ws);
    return event_add(&ws->event, ws->again ? &soon : NULL) == 0;
}

// --- the opening handshake (RFC 6455 section 4.2) ---

static bool accept_key(const char *key, char out[ACCEPT_LEN + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t nonce[16], digest[EVP_MAX_MD_SIZE];
    char text[24 + sizeof guid];
    if (strlen(key) != 24 || base64_decode(nonce, sizeof nonce, key, 24) != sizeof nonce)
        return false;
    memcpy(text, key, 24);
    memcpy(text + 24, guid, sizeof guid);
    if (EVP_Digest(text, 24 + sizeof guid - 1, digest, NULL, EVP_sha1(), NULL) != 1)
        return false;
    base64_encode(out, digest, 20);
    return true;
}

// What is wrong with it has been answered.
static bool check_request(struct exchange *x, char accept[ACCEPT_LEN + 1])
{
    const char *version = answer_only(x, "Sec-WebSocket-Version");
    const char *key = answer_only(x, "Sec-WebSocket-Key");
    // HTTP/1.0 knows no upgrade (RFC 9110 section 7.8).
    bool upgrade =
        !x->old && answer_has(x, "Upgrade", "websocket") && answer_has(x, "Connection", "upgrade");
    if (!upgrade || !version || strcmp(version, "13") != 0) {
        answer_add(x, "Upgrade", "websocket");
        answer_add(x, "Connection", "Upgrade");
        answer_add(x, "Sec-WebSocket-Version", "13");
        answer_error(x, 426, "only WebSocket, version 13, is spoken here");
        return false;
    }
    if (!key || !accept_key(key, accept)) {
        answer_error(x, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
        return false;
    }
    return true;
}

// From here on the bufferevent only owns the socket.
static void take_socket(struct websocket *ws)
{
    struct bufferevent *bev = ws->link.client->bev;
    bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
    bufferevent_disable(bev, EV_READ | EV_WRITE);
    ws->ssl = bufferevent_openssl_get_ssl(bev);
    if (ws->ssl) {
        SSL_set_mode(ws->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_set_read_ahead(ws->ssl, 1);
    }
    // Frames may have come right behind the request.
    ws->early = ws->again = true;
    ws->broken = !websocket_watch(ws);
}

static void send_answer(struct exchange *x, struct websocket *ws, const char *accept)
{
    struct evbuffer *answer = evbuffer_new();
    const unsigned char *head = NULL;
    evhttp_clear_headers(evhttp_request_get_output_headers(x->req));
    answer_add(x, "Upgrade", "websocket");
    answer_add(x, "Connection", "Upgrade");
    answer_add(x, "Sec-WebSocket-Accept", accept);
    if (answer) {
        answer_begin(x, 101, "Switching Protocols", answer);
        head = evbuffer_pullup(answer, -1);
    }
    ws->broken |= !head;
    websocket_queue_bytes(ws, head, head ? evbuffer_get_length(answer) : 0, NULL, 0);
    if (answer)
        evbuffer_free(answer);
}

static void take_over(struct exchange *x, struct websocket *ws, const char *accept)
{
    client_take(x->client, &ws->link);
    take_socket(ws);
    send_answer(x, ws, accept);
    // They are read no more, and a browser's are long.
    evhttp_clear_headers(evhttp_request_get_input_headers(x->req));
    evhttp_clear_headers(evhttp_request_get_output_headers(x->req));
}

void websocket_upgrade(struct exchange *x)
{
    char accept[ACCEPT_LEN + 1], token[TOKEN_TEXT_MAX];
    if (!check_request(x, accept))
        return;
    struct addr addr = answer_client_address(x);
    struct websocket *ws = calloc(1, sizeof *ws);
    if (!ws || !link_open(&ws->link, x->http, &kind, &addr, answer_token(x, token, sizeof token))) {
        free(ws);
        answer_add(x, "Retry-After", "10");
        answer_error(x, 503, "too many connections");
        return;
    }
    take_over(x, ws, accept);
}
