// SPDX-License-Identifier: BSD-2-Clause
// A text frame while it is written. An error sticks: without memory the frame has failed and the
// rest is not written.
#ifndef TP_SIGNAL_FRAME_H
#define TP_SIGNAL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "signal/jtext.h"

struct frame {
    char *data;
    size_t len, cap;
    bool failed;
};

// Room for what is written most often, so that it needs no memory later. 0, or -ENOMEM.
int frame_init(struct frame *f, size_t cap);
void frame_free(struct frame *f);

// Begins anew. Gives back what a frame longer than keep has taken.
void frame_begin(struct frame *f, size_t keep);

// Appends bytes. Out of memory: failed is set, and nothing is appended any more.
void frame_put(struct frame *f, const void *data, size_t len);
// Likewise decimal digits.
void frame_number(struct frame *f, int64_t n);
// ,"id":<as it came>; nothing for a value that is absent. key is ASCII.
void frame_member(struct frame *f, const char *key, const struct jvalue *v);

static inline void frame_text(struct frame *f, const char *text)
{
    frame_put(f, text, strlen(text));
}

#endif
