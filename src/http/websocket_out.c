// SPDX-License-Identifier: BSD-2-Clause
// What WebSockets are sent. Everything is queued, and what a turn of the loop has for a client
// leaves with one write at its end, or when enough others have something to send: in a busy room
// that is many messages.
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/websocket.h"

#define OUT_MIN 4096         // bytes that memory for what waits to be sent begins with
#define OUT_EAGER (64 << 10) // so much does not wait for the end of the turn

void websocket_untouch(struct websocket *ws)
{
    if (!ws->prev)
        return;
    *ws->prev = ws->next;
    if (ws->next)
        ws->next->prev = ws->prev;
    ws->prev = NULL;
    ws->link.http->touched_count--;
}

void websocket_touch(struct websocket *ws)
{
    struct http *h = ws->link.http;
    if (ws->prev)
        return;
    if (!h->touched)
        event_active(&h->turn_end, EV_TIMEOUT, 0);
    ws->next = h->touched;
    ws->prev = &h->touched;
    if (ws->next)
        ws->next->prev = &ws->next;
    h->touched = ws;
    h->touched_count++;
}

// --- the queue ---

// Many take turns with little memory, which then is in the processor's caches, and which malloc
// does not fetch from the system and give back all the time.
static uint8_t *take_memory(struct http *h, size_t cap)
{
    return cap == OUT_MIN && h->spare_count ? h->spare[--h->spare_count] : malloc(cap);
}

static void give_memory(struct http *h, uint8_t *memory, size_t cap)
{
    if (cap == OUT_MIN && h->spare_count < WEBSOCKET_SPARE)
        h->spare[h->spare_count++] = memory;
    else
        free(memory);
}

void websockets_free(struct http *h)
{
    while (h->spare_count)
        free(h->spare[--h->spare_count]);
}

static bool move(struct websocket *ws, size_t cap)
{
    size_t have = websocket_backlog(ws);
    uint8_t *moved = take_memory(ws->link.http, cap);
    if (!moved)
        return false;
    if (have)
        memcpy(moved, ws->out + ws->out_at, have);
    give_memory(ws->link.http, ws->out, ws->out_cap);
    ws->out = moved;
    ws->out_cap = cap;
    ws->out_at = 0;
    ws->out_len = have;
    return true;
}

// Room for so many bytes more. What has been sent makes room, too, but only where little is to be
// moved: else a slow reader would have us move its whole queue with every message.
static bool reserve(struct websocket *ws, size_t len)
{
    size_t have = websocket_backlog(ws), cap = ws->out_cap ? ws->out_cap : OUT_MIN;
    if (ws->out_cap - ws->out_len >= len)
        return true;
    while (cap - have < len || have > cap / 2)
        cap *= 2;
    if (cap != ws->out_cap)
        return move(ws, cap);
    memmove(ws->out, ws->out + ws->out_at, have);
    ws->out_at = 0;
    ws->out_len = have;
    return true;
}

static void append(struct websocket *ws, const void *data, size_t len)
{
    if (len)
        memcpy(ws->out + ws->out_len, data, len);
    ws->out_len += len;
}

void websocket_queue_bytes(struct websocket *ws, const void *head, size_t head_len,
                           const void *data, size_t len)
{
    websocket_touch(ws);
    // Out of memory: the client would miss something and never know.
    ws->broken = ws->broken || !reserve(ws, head_len + len);
    if (ws->broken)
        return;
    append(ws, head, head_len);
    append(ws, data, len);
    if (!ws->waits && websocket_backlog(ws) >= OUT_EAGER)
        websocket_send(ws);
}

void websocket_queue_frame(struct websocket *ws, enum ws_opcode opcode, const void *data,
                           size_t len)
{
    uint8_t header[WSFRAME_HEADER_MAX];
    if (!ws->close_sent)
        websocket_queue_bytes(ws, header, wsframe_header(header, opcode, len), data, len);
}

void websocket_queue_close(struct websocket *ws, unsigned code, const char *reason)
{
    uint8_t frame[WSFRAME_CLOSE_MAX];
    if (ws->close_sent)
        return;
    ws->close_sent = true;
    websocket_queue_bytes(ws, frame, wsframe_close(frame, code, reason), NULL, 0);
}

// --- the socket ---

// Bytes that were taken, 0 if there is no room, -1 when the connection has failed.
static ssize_t put(struct websocket *ws, const uint8_t *data, size_t len)
{
    if (!ws->ssl) {
        ssize_t n = send(event_get_fd(&ws->event), data, len, MSG_NOSIGNAL);
        return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    ERR_clear_error();
    int n = SSL_write(ws->ssl, data, len < INT_MAX ? (int)len : INT_MAX);
    if (n > 0)
        return n;
    int err = SSL_get_error(ws->ssl, n);
    return err == SSL_ERROR_WANT_WRITE || err == SSL_ERROR_WANT_READ ? 0 : -1;
}

void websocket_send(struct websocket *ws)
{
    bool waited = ws->waits;
    while (websocket_backlog(ws) > 0 && !ws->broken) {
        ssize_t n = put(ws, ws->out + ws->out_at, websocket_backlog(ws));
        ws->broken = n < 0;
        if (n <= 0)
            break;
        ws->out_at += (size_t)n;
    }
    ws->waits = websocket_backlog(ws) > 0;
    if (!ws->waits) {
        give_memory(ws->link.http, ws->out, ws->out_cap);
        ws->out = NULL;
        ws->out_at = ws->out_len = ws->out_cap = 0;
    }
    if (ws->waits != waited && !ws->broken)
        ws->broken = !websocket_watch(ws);
}

// When all is said: the server closes first (RFC 6455 7.1.1), but behind a client that broke the
// rules only when that has seen why.
static void finish(struct websocket *ws)
{
    if (ws->broken)
        client_close(ws->link.client);
    else if (!ws->link.end_ms || websocket_backlog(ws) > 0)
        return;
    else if (ws->close_taken && ws->close_sent)
        client_close(ws->link.client);
    else if (ws->deaf)
        shutdown(event_get_fd(&ws->event), SHUT_WR);
}

void websocket_turn_end(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    while (h->touched) {
        struct websocket *ws = h->touched;
        websocket_untouch(ws);
        if (!ws->waits)
            websocket_send(ws);
        link_check_backlog(&ws->link);
        finish(ws);
    }
}
