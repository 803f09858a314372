// SPDX-License-Identifier: BSD-2-Clause
#include "http/wsframe.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_MIN 1024 // bytes that memory for a message in pieces begins with

// What wsframe_read goes on with after a step; other values are a code to fail with.
enum { GO_ON = 0, NEED_MORE = 1 };

// --- payload ---

static void rotate_mask(struct wsframe_reader *r, size_t n)
{
    uint8_t was[4];
    memcpy(was, r->mask, 4);
    for (size_t i = 0; i < 4; i++)
        r->mask[i] = was[(i + n) & 3];
}

// RFC 6455 5.3, eight bytes at a time. Whether all of it is ASCII.
static bool unmask(struct wsframe_reader *r, uint8_t *p, size_t n)
{
    uint64_t key, w, seen = 0;
    size_t i = 0;

    memcpy(&key, r->mask, 4);
    memcpy((uint8_t *)&key + 4, r->mask, 4);
    for (; n - i >= 8; i += 8) {
        memcpy(&w, p + i, 8);
        w ^= key;
        seen |= w;
        memcpy(p + i, &w, 8);
    }
    for (; i < n; i++) {
        p[i] ^= r->mask[i & 3];
        seen |= p[i];
    }
    rotate_mask(r, n);
    return (seen & 0x8080808080808080u) == 0;
}

// The first byte of a character of several (RFC 3629 section 4): what keeps out overlong forms,
// surrogates and everything over U+10FFFF are the bounds of the second.
static bool begin_character(struct wsframe_reader *r, uint8_t c)
{
    if (c < 0xc2 || c > 0xf4)
        return false;
    r->utf8_more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    r->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    r->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    return true;
}

// More of a text. False: this is no UTF-8, whatever may follow.
static bool check_utf8(struct wsframe_reader *r, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;

    while (p < end) {
        uint64_t w;
        if (r->utf8_more == 0 && end - p >= 8 &&
            (memcpy(&w, p, 8), (w & 0x8080808080808080u) == 0)) {
            p += 8;
            continue;
        }
        uint8_t c = *p++;
        if (r->utf8_more == 0) {
            if (c >= 0x80 && !begin_character(r, c))
                return false;
            continue;
        }
        if (c < r->utf8_low || c > r->utf8_high)
            return false;
        r->utf8_more--;
        r->utf8_low = 0x80;
        r->utf8_high = 0xbf;
    }
    return true;
}

static bool append(struct wsframe_reader *r, const uint8_t *p, size_t n)
{
    if (n > r->cap - r->len) {
        size_t cap = r->cap ? r->cap : KEEP_MIN;
        while (cap - r->len < n)
            cap *= 2;
        uint8_t *grown = realloc(r->message, cap);
        if (!grown)
            return false;
        r->message = grown;
        r->cap = cap;
    }
    if (n)
        memcpy(r->message + r->len, p, n);
    r->len += n;
    return true;
}

static void forget_message(struct wsframe_reader *r)
{
    free(r->message);
    r->message = NULL;
    r->len = r->cap = 0;
    r->handed_over = false;
}

void wsframe_reader_free(struct wsframe_reader *r)
{
    free(r->message);
    *r = (struct wsframe_reader){0};
}

// --- header (5.2) ---

static bool is_control(uint8_t opcode)
{
    return opcode & 8;
}

// What the first two bytes can show.
static bool can_be(const struct wsframe_reader *r)
{
    uint8_t opcode = r->header[0] & 0x0f, len = r->header[1] & 0x7f;
    bool fin = r->header[0] & 0x80, rsv = r->header[0] & 0x70, masked = r->header[1] & 0x80;

    if (rsv || !masked)
        return false; // without extensions the one, and 5.1 for the other
    if (is_control(opcode))
        return opcode <= WS_PONG && fin && len <= WSFRAME_CONTROL_MAX; // 5.5
    if (opcode > WS_BINARY)
        return false;
    // 5.4: a continuation continues something, anything else begins.
    return (opcode == WS_CONTINUATION) == (r->type != WS_CONTINUATION);
}

static bool gather(struct wsframe_reader *r, uint8_t **at, const uint8_t *end, size_t want)
{
    size_t there = (size_t)(end - *at), n = want - r->header_len;

    n = n < there ? n : there;
    memcpy(r->header + r->header_len, *at, n);
    r->header_len += (uint8_t)n;
    *at += n;
    return r->header_len == want;
}

// The length behind the first two bytes, of `bytes` bytes. False: there is a shorter way to write
// it, or it has the highest bit set.
static bool read_length(struct wsframe_reader *r, size_t bytes)
{
    uint64_t n = bytes ? 0 : r->header[1] & 0x7f;

    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | r->header[2 + i];
    r->left = n;
    return bytes == 0 || (bytes == 2 ? n > 125 : n > 0xffff && n >> 63 == 0);
}

static int read_header(struct wsframe_reader *r, const struct wsframe_limits *limits, uint8_t **at,
                       const uint8_t *end)
{
    if (r->header_len < 2 && !gather(r, at, end, 2))
        return NEED_MORE;
    if (!can_be(r))
        return WS_CODE_PROTOCOL;
    uint8_t len = r->header[1] & 0x7f;
    size_t bytes = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (!gather(r, at, end, 2 + bytes + 4))
        return NEED_MORE;
    if (!read_length(r, bytes))
        return WS_CODE_PROTOCOL;
    memcpy(r->mask, r->header + 2 + bytes, 4);
    r->header_len = 0;
    r->control_len = 0;
    r->opcode = r->header[0] & 0x0f;
    r->fin = r->header[0] & 0x80;
    r->payload = true;
    if (is_control(r->opcode))
        return GO_ON;
    if (r->opcode != WS_CONTINUATION)
        r->type = r->opcode;
    size_t max = r->type == WS_TEXT ? limits->text : limits->binary;
    return r->left > max || r->len > max - r->left ? WS_CODE_TOO_BIG : GO_ON;
}

// --- frames ---

// RFC 6455 7.4: those that may be sent. 1004 to 1006 and 1015 may not, those up to 2999 are for
// whoever extends the protocol.
static bool is_code(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static int finish_close(struct wsframe_reader *r, struct wsframe_found *out)
{
    out->code = WS_CODE_NONE;
    if (out->len == 0)
        return GO_ON;
    if (out->len == 1) // 5.5.1
        return WS_CODE_PROTOCOL;
    out->code = (unsigned)out->data[0] << 8 | out->data[1];
    out->data += 2;
    out->len -= 2;
    if (!is_code(out->code))
        return WS_CODE_PROTOCOL;
    // It may stand between the frames of a text, which nobody will read on.
    r->utf8_more = 0;
    return check_utf8(r, out->data, out->len) && r->utf8_more == 0 ? GO_ON : WS_CODE_INVALID;
}

// What is there of the payload, at p.
static int take_control(struct wsframe_reader *r, uint8_t *p, size_t n, struct wsframe_found *out)
{
    unmask(r, p, n);
    if (n)
        memcpy(r->control + r->control_len, p, n);
    r->control_len += (uint8_t)n;
    if (r->left > 0)
        return NEED_MORE;
    r->payload = false;
    out->data = r->control;
    out->len = r->control_len;
    return r->opcode == WS_CLOSE ? finish_close(r, out) : GO_ON;
}

static int take_data(struct wsframe_reader *r, uint8_t *p, size_t n, struct wsframe_found *out)
{
    bool ascii = unmask(r, p, n), last = r->fin && r->left == 0;

    if (r->type == WS_TEXT && !(ascii && r->utf8_more == 0) && !check_utf8(r, p, n))
        return WS_CODE_INVALID;
    if (last && r->utf8_more > 0)
        return WS_CODE_INVALID;
    out->data = p;
    out->len = n;
    if (!last || r->len > 0) {
        if (!append(r, p, n))
            return WS_CODE_INTERNAL;
        out->data = r->message;
        out->len = r->len;
    }
    if (r->left == 0)
        r->payload = false;
    r->handed_over = last;
    return last ? GO_ON : NEED_MORE;
}

enum wsframe_kind wsframe_read(struct wsframe_reader *r, const struct wsframe_limits *limits,
                               uint8_t **at, const uint8_t *end, struct wsframe_found *out)
{
    *out = (struct wsframe_found){0};
    if (r->handed_over)
        forget_message(r);
    for (;;) {
        int rc = r->payload ? GO_ON : read_header(r, limits, at, end);
        if (rc == GO_ON) {
            uint8_t *p = *at;
            size_t there = (size_t)(end - p), n = r->left < there ? (size_t)r->left : there;
            *at += n;
            r->left -= n;
            rc = is_control(r->opcode) ? take_control(r, p, n, out) : take_data(r, p, n, out);
        }
        if (rc == GO_ON) {
            uint8_t type = r->type;
            if (is_control(r->opcode))
                return (enum wsframe_kind)r->opcode;
            r->type = WS_CONTINUATION;
            return (enum wsframe_kind)type;
        }
        if (rc != NEED_MORE) {
            *out = (struct wsframe_found){.code = (unsigned)rc};
            return WSFRAME_FAILED;
        }
        if (*at == end)
            return WSFRAME_MORE;
    }
}

// --- writing ---

size_t wsframe_header(uint8_t out[WSFRAME_HEADER_MAX], enum ws_opcode opcode, uint64_t len)
{
    size_t bytes = len < 126 ? 0 : len <= 0xffff ? 2 : 8;

    out[0] = (uint8_t)(0x80 | opcode);
    out[1] = (uint8_t)(bytes == 0 ? len : bytes == 2 ? 126 : 127);
    for (size_t i = bytes; i > 0; i--, len >>= 8)
        out[1 + i] = (uint8_t)len;
    return 2 + bytes;
}

size_t wsframe_close(uint8_t out[WSFRAME_CLOSE_MAX], unsigned code, const char *reason)
{
    size_t len = strlen(reason);

    if (code == WS_CODE_NONE)
        return wsframe_header(out, WS_CLOSE, 0);
    len = len < WSFRAME_CONTROL_MAX - 2 ? len : WSFRAME_CONTROL_MAX - 2;
    size_t head = wsframe_header(out, WS_CLOSE, 2 + len);
    out[head] = (uint8_t)(code >> 8);
    out[head + 1] = (uint8_t)code;
    memcpy(out + head + 2, reason, len);
    return head + 2 + len;
}
