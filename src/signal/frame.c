// SPDX-License-Identifier: BSD-2-Clause
#include "signal/frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int resize(struct frame *f, size_t cap)
{
    char *data = realloc(f->data, cap);

    if (!data)
        return -ENOMEM;
    f->data = data;
    f->cap = cap;
    return 0;
}

int frame_init(struct frame *f, size_t cap)
{
    *f = (struct frame){0};
    return resize(f, cap);
}

void frame_free(struct frame *f)
{
    free(f->data);
}

void frame_begin(struct frame *f, size_t keep)
{
    if (f->cap > keep)
        resize(f, keep);
    f->len = 0;
    f->failed = false;
}

void frame_put(struct frame *f, const void *data, size_t len)
{
    if (f->failed)
        return;
    if (f->cap - f->len < len && resize(f, 2 * f->cap + len) < 0) {
        f->failed = true;
        return;
    }
    memcpy(f->data + f->len, data, len);
    f->len += len;
}

void frame_number(struct frame *f, int64_t n)
{
    char digits[24];
    frame_put(f, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)n));
}

void frame_member(struct frame *f, const char *key, const struct jvalue *v)
{
    if (v->type == J_ABSENT)
        return;
    frame_text(f, ",\"");
    frame_text(f, key);
    frame_text(f, "\":");
    frame_put(f, v->at, v->len);
}
