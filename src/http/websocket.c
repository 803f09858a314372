// SPDX-License-Identifier: BSD-2-Clause
// WebSocket (RFC 6455): the opening handshake, and messages out of frames and back. wslay reads and
// writes the frames; messages are put together here, because it would keep every fragment, however
// short, in a piece of memory of its own.
#include "http/internal.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "util/codec.h"

#define ACCEPT_LEN 28 // base64 of a SHA-1
#define KEEP_BYTES 1024

struct websocket {
    struct link link;
    wslay_event_context_ptr ctx;
    uint8_t *message; // what has come of one in several pieces
    size_t len, cap;
    uint8_t opcode; // of the message under way
    uint8_t frame;  // of the frame under way, continuation included
    bool failed;    // the client does not keep to the protocol: nothing more is read
    bool silent;    // the Close frame was written
};

static struct websocket *of(struct link *l)
{
    return (struct websocket *)l;
}

static struct evbuffer *output(struct websocket *ws)
{
    return bufferevent_get_output(ws->link.client->bev);
}

// Has wslay write what it has queued.
static void flush(struct websocket *ws)
{
    if (ws->link.client && !ws->silent)
        wslay_event_send(ws->ctx);
}

static void queue_close(struct websocket *ws, unsigned code, const char *reason)
{
    if (ws->silent)
        return;
    wslay_event_queue_close(ws->ctx, (uint16_t)code, (const uint8_t *)reason, strlen(reason));
    flush(ws);
}

// Closes it from inside of a callback of wslay.
static void fail(struct websocket *ws, unsigned code)
{
    ws->failed = true;
    queue_close(ws, code, "");
    wslay_event_shutdown_read(ws->ctx);
}

// --- for the hub ---

static void send_frame(struct websocket *ws, uint8_t opcode, const void *data, size_t len)
{
    const struct wslay_event_msg msg = {.opcode = opcode, .msg = data, .msg_length = len};
    // Out of memory: the client would miss something and never know.
    if (wslay_event_queue_msg(ws->ctx, &msg) == WSLAY_ERR_NOMEM)
        queue_close(ws, WSLAY_CODE_INTERNAL_SERVER_ERROR, "");
    flush(ws);
}

static void ws_send_text(struct link *l, const void *data, size_t len)
{
    send_frame(of(l), WSLAY_TEXT_FRAME, data, len);
}

static void ws_ping(struct link *l)
{
    send_frame(of(l), WSLAY_PING, NULL, 0);
}

static void ws_close(struct link *l, unsigned code, const char *reason)
{
    queue_close(of(l), code, reason);
}

static void ws_free(struct link *l)
{
    struct websocket *ws = of(l);
    wslay_event_context_free(ws->ctx);
    free(ws->message);
    free(ws);
}

static const struct link_kind kind = {ws_send_text, ws_ping, ws_close, ws_free};

// --- frames in and out ---

static ssize_t on_wslay_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags,
                             void *arg)
{
    struct websocket *ws = arg;
    int n = evbuffer_remove(bufferevent_get_input(ws->link.client->bev), buf, len);
    if (n > 0)
        return n;
    wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static ssize_t on_wslay_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len,
                             int flags, void *arg)
{
    struct websocket *ws = arg;
    if (evbuffer_add(output(ws), data, len) == 0)
        return (ssize_t)len;
    wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void on_frame_start(wslay_event_context_ptr ctx,
                           const struct wslay_event_on_frame_recv_start_arg *arg, void *user)
{
    struct websocket *ws = user;
    const struct conf *c = http_conf(ws->link.http);
    ws->frame = arg->opcode;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE && arg->payload_length == 1)
        fail(ws, WSLAY_CODE_PROTOCOL_ERROR); // half a status code (RFC 6455 5.5.1)
    if (wslay_is_ctrl_frame(arg->opcode))
        return;
    if (arg->opcode != WSLAY_CONTINUATION_FRAME) {
        ws->opcode = arg->opcode;
        ws->len = 0;
    }
    size_t max = ws->opcode == WSLAY_TEXT_FRAME ? c->signal.text_bytes : c->signal.binary_bytes;
    if (arg->payload_length > max || ws->len > max - arg->payload_length)
        fail(ws, WSLAY_CODE_MESSAGE_TOO_BIG);
}

static bool append(struct websocket *ws, const uint8_t *data, size_t len)
{
    if (len > ws->cap - ws->len) {
        size_t cap = ws->cap ? ws->cap : KEEP_BYTES;
        while (cap < ws->len + len)
            cap *= 2;
        uint8_t *grown = realloc(ws->message, cap);
        if (!grown)
            return false;
        ws->message = grown;
        ws->cap = cap;
    }
    memcpy(ws->message + ws->len, data, len);
    ws->len += len;
    return true;
}

static void on_frame_chunk(wslay_event_context_ptr ctx,
                           const struct wslay_event_on_frame_recv_chunk_arg *arg, void *user)
{
    struct websocket *ws = user;
    if (ws->failed || wslay_is_ctrl_frame(ws->frame) || arg->data_length == 0)
        return;
    if (!append(ws, arg->data, arg->data_length))
        fail(ws, WSLAY_CODE_INTERNAL_SERVER_ERROR);
}

static void hand_over(struct websocket *ws)
{
    struct signal_conn *conn = ws->link.conn;
    size_t len = ws->len;
    ws->len = 0;
    if (!conn)
        return;
    const uint8_t *data = ws->message ? ws->message : (const uint8_t *)"";
    if (ws->opcode == WSLAY_TEXT_FRAME)
        signal_conn_text(conn, data, len, http_clock_ms());
    else
        signal_conn_binary(conn, data, len, http_clock_ms());
    if (ws->cap > KEEP_BYTES) {
        free(ws->message);
        ws->message = NULL;
        ws->cap = 0;
    }
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user)
{
    struct websocket *ws = user;
    if (ws->failed)
        return;
    if (arg->opcode == WSLAY_TEXT_FRAME || arg->opcode == WSLAY_BINARY_FRAME)
        hand_over(ws);
    else if (arg->opcode == WSLAY_PONG && ws->link.conn)
        signal_conn_pong(ws->link.conn, http_clock_ms());
    else if (arg->opcode == WSLAY_CONNECTION_CLOSE)
        ws->link.code = arg->status_code ? arg->status_code : WSLAY_CODE_NO_STATUS_RCVD;
}

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = on_wslay_recv,
    .send_callback = on_wslay_send,
    .on_frame_recv_start_callback = on_frame_start,
    .on_frame_recv_chunk_callback = on_frame_chunk,
    .on_msg_recv_callback = on_message,
};

// --- the socket ---

// When all is said: the server closes first (RFC 6455 7.1.1), but behind a client that broke the
// rules only when that has seen why.
static void finish(struct websocket *ws)
{
    struct client *c = ws->link.client;
    if (!ws->link.end_ms || link_backlog(&ws->link) > 0)
        return;
    if (wslay_event_get_close_received(ws->ctx) && wslay_event_get_close_sent(ws->ctx))
        client_close(c);
    else if (ws->failed)
        shutdown(bufferevent_getfd(c->bev), SHUT_WR);
}

static void read_frames(struct websocket *ws)
{
    int err = wslay_event_recv(ws->ctx);
    if (err && err != WSLAY_ERR_CALLBACK_FAILURE) {
        client_close(ws->link.client); // out of memory
        return;
    }
    if (err && !ws->failed && !wslay_event_get_close_received(ws->ctx)) {
        // A frame that cannot be: wslay would close without saying why.
        static const uint8_t close_1002[] = {0x88, 2, 0x03, 0xea};
        ws->failed = ws->silent = true;
        evbuffer_add(output(ws), close_1002, sizeof close_1002);
    }
    flush(ws);
    if (!wslay_event_get_read_enabled(ws->ctx)) {
        ws->failed |= !wslay_event_get_close_received(ws->ctx);
        link_end(&ws->link);
    }
    link_check_backlog(&ws->link);
    finish(ws);
}

static void on_readable(struct bufferevent *bev, void *arg)
{
    struct websocket *ws = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    if (wslay_event_get_read_enabled(ws->ctx))
        read_frames(ws);
    else
        evbuffer_drain(input, evbuffer_get_length(input));
}

static void on_written(struct bufferevent *bev, void *arg)
{
    finish(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct websocket *ws = arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        client_close(ws->link.client);
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
    const char *version = answer_header(x, "Sec-WebSocket-Version");
    const char *key = answer_header(x, "Sec-WebSocket-Key");
    bool upgrade = header_has(answer_header(x, "Upgrade"), "websocket") &&
                   header_has(answer_header(x, "Connection"), "upgrade");
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

static struct websocket *ws_new(const struct conf *c)
{
    struct websocket *ws = calloc(1, sizeof *ws);
    if (!ws || wslay_event_context_server_init(&ws->ctx, &callbacks, ws)) {
        free(ws);
        return NULL;
    }
    uint32_t max = c->signal.text_bytes > c->signal.binary_bytes ? c->signal.text_bytes
                                                                 : c->signal.binary_bytes;
    wslay_event_config_set_no_buffering(ws->ctx, 1);
    wslay_event_config_set_max_recv_msg_length(ws->ctx, max);
    return ws;
}

static void take_over(struct exchange *x, struct websocket *ws, const char *accept)
{
    struct bufferevent *bev = x->client->bev;
    evhttp_clear_headers(evhttp_request_get_output_headers(x->req));
    answer_add(x, "Upgrade", "websocket");
    answer_add(x, "Connection", "Upgrade");
    answer_add(x, "Sec-WebSocket-Accept", accept);
    client_take(x->client, &ws->link);
    bufferevent_setcb(bev, on_readable, on_written, on_event, ws);
    answer_begin(x, 101, "Switching Protocols", bufferevent_get_output(bev));
    // They are read no more, and a browser's are long.
    evhttp_clear_headers(evhttp_request_get_input_headers(x->req));
    evhttp_clear_headers(evhttp_request_get_output_headers(x->req));
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    // Frames may have come right behind the request.
    bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

void websocket_upgrade(struct exchange *x)
{
    char accept[ACCEPT_LEN + 1], token[TOKEN_TEXT_MAX];
    if (!check_request(x, accept))
        return;
    struct addr addr = answer_client_address(x);
    struct websocket *ws = ws_new(http_conf(x->http));
    if (!ws || !link_open(&ws->link, x->http, &kind, &addr, answer_token(x, token, sizeof token))) {
        if (ws)
            ws_free(&ws->link);
        answer_add(x, "Retry-After", "10");
        answer_error(x, 503, "too many connections");
        return;
    }
    take_over(x, ws, accept);
}
