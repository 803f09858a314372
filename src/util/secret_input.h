// SPDX-License-Identifier: BSD-2-Clause
// Passwords and secrets come from a prompt without echo, from standard input or from a file: never
// from the arguments, which every user of the host can see.
#ifndef TP_UTIL_SECRET_INPUT_H
#define TP_UTIL_SECRET_INPUT_H

#include <stddef.h>

// Where a secret is read to. cap counts the zero at its end. On failure why holds a sentence for
// the user. Functions return 0; -EINVAL when what was given cannot be used (no such file, empty,
// longer than cap - 1 bytes, a NUL byte); -EIO when it cannot be read.
struct secret_input {
    const char *what; // "password", "secret": for the sentence
    char *buf;
    size_t cap;
    char why[512];
};

// The first line of a file, without its end.
int secret_read_file(struct secret_input *in, const char *path);

// The first line of standard input.
int secret_read_stdin(struct secret_input *in);

// Asks on standard error and reads from standard input, a terminal, which does not echo meanwhile.
int secret_prompt(struct secret_input *in, const char *question);

#endif
