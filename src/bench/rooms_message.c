// SPDX-License-Identifier: BSD-2-Clause
// Messages between the two of a room. A payload begins with who sent it, its number there and when,
// in letters a to p, which no server has a reason to escape; the rest is filling.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rooms.h"
#include "bench/wsclient.h"

#define INDEX_AT 2
#define NUMBER_AT 10
#define TIME_AT 18

static void put_letters(char *out, uint64_t n, size_t count)
{
    for (size_t i = count; i > 0; i--, n >>= 4)
        out[i - 1] = (char)('a' + (n & 15));
}

static uint64_t take_letters(const uint8_t *p, size_t count)
{
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++)
        n = n << 4 | ((uint64_t)(p[i] - 'a') & 15);
    return n;
}

// RFC 6455 5.3 wants keys that nobody can foresee; here they only have to differ.
static uint32_t next_key(struct rooms *r)
{
    r->random = r->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->random >> 32);
}

size_t room_frame_write(struct rooms *r, uint8_t *out, uint8_t opcode, const void *data, size_t len)
{
    uint32_t key = next_key(r);
    size_t head = wsclient_header(out, opcode, len, key);
    if (len)
        memcpy(out + head, data, len);
    wsclient_mask(out + head, len, key);
    return head + len;
}

int room_message_prepare(struct rooms *r, struct room_client *c)
{
    char before[DIALECT_TEXT], behind[DIALECT_TEXT];
    size_t size = r->options->size;
    size_t head = dialect_fill(before, r->dialect->before, r->run, c->index);
    size_t tail = dialect_fill(behind, r->dialect->behind, r->run, c->index);

    c->text = malloc(head + size + tail);
    if (!c->text)
        return -ENOMEM;
    memcpy(c->text, before, head);
    memcpy(c->text + head + size, behind, tail);
    c->mark_at = head;
    c->text_len = head + size + tail;
    memcpy(c->text + head, "tp", INDEX_AT);
    put_letters(c->text + head + INDEX_AT, c->index, 8);
    for (size_t i = ROOMS_MARK; i < size; i++)
        c->text[head + i] = (char)('A' + i % 26);
    return 0;
}

size_t room_message_write(struct rooms *r, struct room_client *c, uint8_t *out, size_t cap)
{
    char *mark = c->text + c->mark_at;
    size_t len = 0, most = WSCLIENT_HEADER_MAX + c->text_len;

    put_letters(mark + TIME_AT, (uint64_t)bench_now(CLOCK_MONOTONIC), 16);
    for (; c->credit > 0 && cap - len >= most; c->credit--) {
        put_letters(mark + NUMBER_AT, c->sent++, 8);
        len += room_frame_write(r, out + len, WSCLIENT_TEXT, c->text, c->text_len);
        r->sent++;
    }
    return len;
}

static void allow(struct rooms *r, struct room_client *c)
{
    c->credit++;
    if (c->listed)
        return;
    c->listed = true;
    r->todo[r->todo_len++] = c->index;
}

bool room_message_take(struct rooms *r, struct room_client *c, const uint8_t *data, size_t len)
{
    size_t size = r->options->size, tail = r->dialect->tail;

    if (len < tail + size || memcmp(data + len - tail - size, "tp", INDEX_AT) != 0)
        return false; // something that the server has to say
    const uint8_t *mark = data + len - tail - size;
    if (take_letters(mark + INDEX_AT, 8) != (c->index ^ 1) ||
        take_letters(mark + NUMBER_AT, 8) != c->received) {
        r->wrong++;
        return true;
    }
    c->received++;
    r->delivered++;
    if (r->measuring) {
        int64_t took = (int64_t)((uint64_t)r->read_ns - take_letters(mark + TIME_AT, 16));
        histogram_add(&r->latency, took > 0 ? (uint64_t)took : 0);
    }
    if (r->sending)
        allow(r, &r->clients[c->index ^ 1]);
    return true;
}
