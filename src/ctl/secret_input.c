// SPDX-License-Identifier: BSD-2-Clause
// The password or secret of a command: made up, from a file, from a prompt or from standard input.
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "util/codec.h"
#include "util/rand.h"
#include "util/secret_input.h"

static int prompt_twice(struct secret_input *in)
{
    char text[32];
    struct secret_input again = *in;
    int rc;

    again.buf = malloc(in->cap);
    if (!again.buf) {
        snprintf(in->why, sizeof(in->why), "out of memory");
        return -EIO;
    }
    snprintf(text, sizeof(text), "New %s", in->what);
    rc = secret_prompt(in, text);
    if (rc == 0) {
        rc = secret_prompt(&again, "Once more");
        memcpy(in->why, again.why, sizeof(in->why));
    }
    if (rc == 0 && strcmp(in->buf, again.buf) != 0) {
        snprintf(in->why, sizeof(in->why), "the two are not the same");
        rc = -EINVAL;
    }
    explicit_bzero(again.buf, in->cap);
    free(again.buf);
    return rc;
}

int ctl_read_secret(const struct ctl *c, const char *what, char *buf, size_t cap)
{
    struct secret_input in = {.what = what, .buf = buf, .cap = cap};
    bool piped = !c->secret_file && !isatty(STDIN_FILENO);
    int rc;

    *buf = '\0';
    if (c->generate) {
        // 144 bits that survive any shell, URL and JSON text.
        uint8_t random[18];
        rand_bytes(random, sizeof(random));
        hex_encode(buf, random, sizeof(random));
        return CTL_OK;
    }
    if (c->secret_file)
        rc = secret_read_file(&in, c->secret_file);
    else
        rc = piped ? secret_read_stdin(&in) : prompt_twice(&in);
    if (rc == 0)
        return CTL_OK;
    if (rc == -EINVAL && piped && !*buf)
        return ctl_fail(
            CTL_USAGE,
            "%s: without a terminal it is read from standard input; --generate makes one up",
            in.why);
    return ctl_fail(rc == -EINVAL ? CTL_USAGE : CTL_FAILED, "%s", in.why);
}
