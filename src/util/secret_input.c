// SPDX-License-Identifier: BSD-2-Clause
#include "util/secret_input.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved_terminal;

static void restore_and_die(int sig)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &saved_terminal);
    signal(sig, SIG_DFL);
    raise(sig);
}

static int __attribute__((format(printf, 3, 4)))
fail(struct secret_input *in, int rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(in->why, sizeof(in->why), fmt, ap);
    va_end(ap);
    return rc;
}

static int read_line(struct secret_input *in, FILE *f)
{
    size_t len = 0;
    int c;

    while ((c = getc(f)) != EOF && c != '\n') {
        if (c == '\0')
            return fail(in, -EINVAL, "the %s holds a NUL byte", in->what);
        if (len + 1 == in->cap)
            return fail(in, -EINVAL, "the %s is longer than %zu bytes", in->what, in->cap - 1);
        in->buf[len++] = (char)c;
    }
    if (ferror(f))
        return fail(in, -EIO, "the %s cannot be read: %s", in->what, strerror(errno));
    if (len > 0 && in->buf[len - 1] == '\r')
        len--; // a file with Windows line ends
    in->buf[len] = '\0';
    return len > 0 ? 0 : fail(in, -EINVAL, "the %s is empty", in->what);
}

int secret_read_file(struct secret_input *in, const char *path)
{
    FILE *f = fopen(path, "re");
    int rc;

    if (!f)
        return fail(in, -EINVAL, "%s: %s", path, strerror(errno));
    rc = read_line(in, f);
    fclose(f);
    return rc;
}

int secret_read_stdin(struct secret_input *in)
{
    return read_line(in, stdin);
}

int secret_prompt(struct secret_input *in, const char *question)
{
    struct sigaction act = {.sa_handler = restore_and_die}, old_int, old_term;
    struct termios quiet;
    int rc;

    if (tcgetattr(STDIN_FILENO, &saved_terminal) < 0)
        return fail(in, -EIO, "the terminal: %s", strerror(errno));
    quiet = saved_terminal;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    sigaction(SIGINT, &act, &old_int);
    sigaction(SIGTERM, &act, &old_term);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    fprintf(stderr, "%s: ", question);
    rc = read_line(in, stdin);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved_terminal);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    fputc('\n', stderr);
    return rc;
}
