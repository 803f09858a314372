// SPDX-License-Identifier: BSD-2-Clause
// Input: a byte of flags, lengths of pieces, then what a client sends behind the opening handshake
// of a WebSocket in these pieces. What comes back is compared with what RFC 6455 wants, which a
// second, simple reader here finds out. Bits 0 to 3 of the flags: how many lengths there are; 4:
// all comes in one piece with the handshake; 5: the client closes its sending side behind it.
#include "http_world.h"

#include <string.h>
#include <unistr.h>

#define EARLY 0x10
#define FINISH 0x20
#define MESSAGE_MAX 2048 // bytes, of text and binary
#define PONGS_MAX 4096

enum { CONT, TEXT, BINARY, CLOSE = 8, PING, PONG };

struct frame {
    uint8_t opcode, rsv;
    bool fin, masked, minimal;
    uint64_t len;
    const uint8_t *payload;
    size_t size; // of all of it
};

// What has to come back.
struct wanted {
    struct {
        const uint8_t *at;
        size_t len;
    } pongs[PONGS_MAX];
    size_t pong_count;
    size_t doomed_at; // pongs before text was no UTF-8, which may be told at once; SIZE_MAX: it is
    bool must_close;
    unsigned codes[2]; // one of them
    size_t code_count;
    bool no_code; // but none at all
    bool tail;    // part of a frame is left, of which the server may think what it wants
    bool hub;     // a message was whole: the protocol above may have closed it
};

static void must_close(struct wanted *w, unsigned code)
{
    w->must_close = true;
    w->codes[w->code_count++] = code;
}

// False: there is only a part of its header.
static bool read_frame(struct frame *f, const uint8_t *at, size_t len)
{
    if (len < 2)
        return false;
    uint8_t n = at[1] & 0x7f;
    size_t head = 2 + (n == 126 ? 2 : n == 127 ? 8 : 0), mask = at[1] & 0x80 ? 4 : 0;
    if (len < head + mask)
        return false;
    *f = (struct frame){.opcode = at[0] & 15,
                        .rsv = at[0] >> 4 & 7,
                        .fin = at[0] & 0x80,
                        .masked = mask,
                        .len = n > 125 ? 0 : n,
                        .payload = at + head + mask};
    for (size_t i = 2; i < head; i++)
        f->len = f->len << 8 | at[i];
    f->minimal = n < 126 || (n == 126 ? f->len > 125 : f->len > 65535);
    f->size = head + mask + (size_t)f->len;
    return true;
}

static bool is_control(const struct frame *f)
{
    return f->opcode >= 8;
}

// Sections 5.2, 5.4 and 5.5: what the header alone shows. in: the opcode of the message that it
// would go on with, or CONT; have: what there is of it.
static bool check_header(const struct frame *f, uint8_t in, size_t have, struct wanted *w)
{
    bool known = f->opcode <= BINARY || (is_control(f) && f->opcode <= PONG);
    bool wrong = f->rsv || !known || !f->masked || !f->minimal || f->len >> 63;
    if (is_control(f))
        wrong |= !f->fin || f->len > 125;
    else
        wrong |= (f->opcode == CONT) == (in == CONT);
    if (wrong)
        must_close(w, 1002);
    if (!is_control(f) && (f->len > MESSAGE_MAX || have + f->len > MESSAGE_MAX))
        must_close(w, 1009);
    return !w->must_close;
}

// Section 7.4. Some codes were registered later, which the server may know or not.
static void check_close(const uint8_t *payload, size_t len, struct wanted *w)
{
    unsigned code = len > 1 ? (unsigned)(payload[0] << 8 | payload[1]) : 0;
    bool later = code >= 1012 && code <= 1014;
    bool good = !len || (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1011) ||
                (code >= 3000 && code <= 4999);
    bool text = len <= 2 || !u8_check(payload + 2, len - 2);
    w->no_code = !len;
    if (!text)
        must_close(w, 1007);
    else if (good || later)
        must_close(w, code);
    if (!good)
        must_close(w, 1002);
}

// Whether it is UTF-8, or more bytes can make it that.
static bool begins_well(const uint8_t *text, size_t len)
{
    static const uint8_t fill[] = {0x80, 0x90, 0xa0};
    const uint8_t *bad = u8_check(text, len);
    size_t n = bad ? len - (size_t)(bad - text) : 0;
    uint8_t c[4];
    if (n == 0 || n > 3)
        return n == 0;
    for (size_t i = 0; i < sizeof fill; i++) {
        memset(c, fill[i], sizeof c);
        memcpy(c, bad, n);
        for (size_t whole = n + 1; whole <= sizeof c; whole++)
            if (!u8_check(c, whole))
                return true;
    }
    return false;
}

struct message {
    uint8_t opcode; // CONT: there is none
    size_t len;
    uint8_t data[MESSAGE_MAX];
};

static void read_data(const struct frame *f, const uint8_t *payload, struct message *m,
                      struct wanted *w)
{
    if (f->opcode != CONT)
        m->opcode = f->opcode;
    memcpy(m->data + m->len, payload, (size_t)f->len);
    m->len += (size_t)f->len;
    if (m->opcode == TEXT && w->doomed_at == SIZE_MAX && !begins_well(m->data, m->len))
        w->doomed_at = w->pong_count;
    if (!f->fin)
        return;
    if (m->opcode == TEXT && u8_check(m->data, m->len))
        must_close(w, 1007);
    else
        w->hub = true;
    m->opcode = CONT;
    m->len = 0;
}

// data is unmasked on the way.
static void read_wishes(struct wanted *w, uint8_t *data, size_t len)
{
    static struct message m;
    struct frame f;
    m.opcode = CONT;
    m.len = 0;
    while (len > 0 && !w->must_close) {
        w->tail = !read_frame(&f, data, len);
        if (w->tail || !check_header(&f, m.opcode, m.len, w))
            return;
        w->tail = f.size > len;
        if (w->tail)
            return;
        uint8_t *payload = data + (f.payload - data);
        for (size_t i = 0; i < f.len; i++)
            payload[i] ^= f.payload[(ptrdiff_t)(i % 4) - 4];
        if (f.opcode == PING && w->pong_count < PONGS_MAX) {
            w->pongs[w->pong_count].at = payload;
            w->pongs[w->pong_count++].len = (size_t)f.len;
        } else if (f.opcode == CLOSE) {
            check_close(payload, (size_t)f.len, w);
        } else if (!is_control(&f)) {
            read_data(&f, payload, &m, w);
        }
        data += f.size;
        len -= f.size;
    }
}

// --- what came ---

static bool is_one_of(unsigned code, const unsigned *codes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (codes[i] == code)
            return true;
    return false;
}

static void check_end(const struct wanted *w, const struct frame *f, size_t pongs, bool ended)
{
    static const unsigned above[] = {1008, 4401, 4429, 1013}, broken[] = {1002, 1007, 1009};
    unsigned code = f->len ? (unsigned)(f->payload[0] << 8 | f->payload[1]) : 0;
    CHECK(f->len != 1);
    if (w->hub && is_one_of(code, above, 4))
        return; // and waits for our answer
    CHECK(ended);
    CHECK(is_one_of(code, w->codes, w->code_count) || (w->tail && is_one_of(code, broken, 3)) ||
          (w->doomed_at != SIZE_MAX && code == 1007));
    CHECK(code || w->no_code);
    CHECK(pongs >= (w->doomed_at < w->pong_count ? w->doomed_at : w->pong_count));
}

static void check_frames(const struct wanted *w, const uint8_t *at, const uint8_t *end, bool ended)
{
    size_t pongs = 0;
    struct frame f = {0};
    while (at < end) {
        CHECK(read_frame(&f, at, (size_t)(end - at)) && f.size <= (size_t)(end - at));
        CHECK(f.fin && !f.rsv && !f.masked && f.minimal && !(f.len >> 63));
        CHECK(f.opcode == TEXT || f.opcode == PONG || f.opcode == CLOSE);
        at += f.size;
        if (f.opcode == TEXT) {
            CHECK(w->hub && f.len > 2 && *f.payload == '{' && !u8_check(f.payload, (size_t)f.len));
        } else if (f.opcode == PONG) {
            CHECK(pongs < w->pong_count && f.len == w->pongs[pongs].len);
            CHECK(memcmp(f.payload, w->pongs[pongs].at, (size_t)f.len) == 0);
            pongs++;
        } else {
            CHECK(at == end);
            check_end(w, &f, pongs, ended);
            return;
        }
    }
    CHECK(!w->must_close && !ended);
    CHECK(pongs == w->pong_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char handshake[] =
        "GET /signal HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    const size_t head = sizeof handshake - 1;
    static struct wanted w;
    static struct http *h;
    struct world_client c;
    if (!h)
        h = world_server(
            "register_timeout = 3600; grace = 0; ping_interval = 3600; rate = 1000000; "
            "burst = 1000000; text_bytes = 2048; binary_bytes = 2048;");
    if (size < 1)
        return 0;
    uint8_t flags = *data++;
    size_t cuts = flags & 15;
    size--;
    if (cuts > size)
        cuts = size;
    const uint8_t *stream = data + cuts;
    size_t len = size - cuts;
    uint8_t *copy = malloc(head + len);
    memcpy(copy, handshake, head);
    memcpy(copy + head, stream, len);

    world_connect(&c, h);
    world_say(&c, copy, flags & EARLY ? head + len : head);
    CHECK(c.received && strncmp((char *)c.received, "HTTP/1.1 101 ", 13) == 0);
    size_t answer = (size_t)(strstr((char *)c.received, "\r\n\r\n") + 4 - (char *)c.received);
    if (!(flags & EARLY))
        world_say_cut(&c, stream, len, data, cuts);
    w.pong_count = w.code_count = 0;
    w.doomed_at = SIZE_MAX;
    w.must_close = w.no_code = w.tail = w.hub = false;
    read_wishes(&w, copy + head, len);
    check_frames(&w, c.received + answer, c.received + c.len, c.ended);
    if (flags & FINISH) {
        world_finish(&c);
        CHECK(c.ended);
    }
    world_disconnect(&c);
    world_check_empty(h);
    free(copy);
    return 0;
}
