// SPDX-License-Identifier: BSD-2-Clause
// The one way to read and write wire data: bounds-checked, with a sticky error. After the first
// overrun every read gives 0 and every write does nothing; check ok once at the end.
#ifndef TP_STUN_CURSOR_H
#define TP_STUN_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
    uint8_t *base;
    size_t len; // readable (reader) or capacity (writer)
    size_t pos;
    bool ok;
};

static inline struct cursor cursor_reader(const void *data, size_t len)
{
    return (struct cursor){.base = (uint8_t *)(uintptr_t)data, .len = len, .ok = true};
}

static inline struct cursor cursor_writer(void *buf, size_t cap)
{
    return (struct cursor){.base = buf, .len = cap, .ok = true};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return c->ok ? c->len - c->pos : 0;
}

// Claims n bytes and moves past them; NULL (and the error sticks) when there are fewer.
static inline uint8_t *cursor_take(struct cursor *c, size_t n)
{
    if (!c->ok || n > c->len - c->pos) {
        c->ok = false;
        return NULL;
    }
    uint8_t *p = c->base + c->pos;
    c->pos += n;
    return p;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    const uint8_t *p = cursor_take(c, 1);
    return p ? p[0] : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    const uint8_t *p = cursor_take(c, 2);
    return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    const uint8_t *p = cursor_take(c, 4);
    return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline void cursor_put_u8(struct cursor *c, uint8_t v)
{
    uint8_t *p = cursor_take(c, 1);
    if (p)
        p[0] = v;
}

static inline void cursor_put_u16(struct cursor *c, uint16_t v)
{
    uint8_t *p = cursor_take(c, 2);
    if (p) {
        p[0] = (uint8_t)(v >> 8);
        p[1] = (uint8_t)v;
    }
}

static inline void cursor_put_u32(struct cursor *c, uint32_t v)
{
    uint8_t *p = cursor_take(c, 4);
    if (p) {
        p[0] = (uint8_t)(v >> 24);
        p[1] = (uint8_t)(v >> 16);
        p[2] = (uint8_t)(v >> 8);
        p[3] = (uint8_t)v;
    }
}

static inline void cursor_put(struct cursor *c, const void *data, size_t n)
{
    uint8_t *p = cursor_take(c, n);
    if (p && n)
        memcpy(p, data, n);
}

static inline void cursor_put_zero(struct cursor *c, size_t n)
{
    uint8_t *p = cursor_take(c, n);
    if (p)
        memset(p, 0, n);
}

#endif
