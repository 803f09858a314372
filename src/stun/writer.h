// SPDX-License-Identifier: BSD-2-Clause
// What the files that write messages share; others use message.h and integrity.h.
#ifndef TP_STUN_WRITER_H
#define TP_STUN_WRITER_H

#include "stun/message.h"

// Sets the header's length to what has been written plus extra bytes that are about to follow
// (integrity and fingerprint cover a header that counts them already). False when the writer has
// failed or they do not fit.
bool stun_writer_set_length(struct stun_writer *w, size_t extra);

#endif
