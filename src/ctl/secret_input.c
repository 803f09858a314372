// SPDX-License-Identifier: BSD-2-Clause
// Passwords and secrets come from a prompt without echo, from standard input or from a file: never
// from the arguments, which every user of the host can see.
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "util/codec.h"
#include "util/rand.h"

static struct termios saved_terminal;

static void restore_and_die(int sig)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &saved_terminal);
    signal(sig, SIG_DFL);
    raise(sig);
}

// The first line, without its end. CTL_OK, or a status that has been reported.
static int read_line(FILE *in, const char *what, char *buf, size_t cap)
{
    size_t len = 0;
    int c;

    while ((c = getc(in)) != EOF && c != '\n') {
        if (c == '\0')
            return ctl_fail(CTL_USAGE, "the %s holds a NUL byte", what);
        if (len + 1 == cap)
            return ctl_fail(CTL_USAGE, "the %s is longer than %zu bytes", what, cap - 1);
        buf[len++] = (char)c;
    }
    if (ferror(in))
        return ctl_fail(CTL_FAILED, "the %s cannot be read: %s", what, strerror(errno));
    if (len > 0 && buf[len - 1] == '\r')
        len--; // a file with Windows line ends
    buf[len] = '\0';
    return len > 0 ? CTL_OK : ctl_fail(CTL_USAGE, "the %s is empty", what);
}

static int prompt(const char *text, const char *what, char *buf, size_t cap)
{
    struct sigaction act = {.sa_handler = restore_and_die}, old_int, old_term;
    struct termios quiet;
    int rc;

    if (tcgetattr(STDIN_FILENO, &saved_terminal) < 0)
        return ctl_fail(CTL_FAILED, "the terminal: %s", strerror(errno));
    quiet = saved_terminal;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    sigaction(SIGINT, &act, &old_int);
    sigaction(SIGTERM, &act, &old_term);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    fprintf(stderr, "%s: ", text);
    rc = read_line(stdin, what, buf, cap);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved_terminal);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    fputc('\n', stderr);
    return rc;
}

static int prompt_twice(const char *what, char *buf, size_t cap)
{
    char text[32];
    char *again = malloc(cap);
    int rc;

    if (!again)
        return ctl_fail(CTL_FAILED, "out of memory");
    snprintf(text, sizeof(text), "New %s", what);
    rc = prompt(text, what, buf, cap);
    if (rc == CTL_OK)
        rc = prompt("Once more", what, again, cap);
    if (rc == CTL_OK && strcmp(buf, again) != 0)
        rc = ctl_fail(CTL_USAGE, "the two are not the same");
    explicit_bzero(again, cap);
    free(again);
    return rc;
}

int ctl_read_secret(const struct ctl *c, const char *what, char *buf, size_t cap)
{
    FILE *f;
    int rc;

    if (c->generate) {
        // 144 bits that survive any shell, URL and JSON text.
        uint8_t random[18];
        rand_bytes(random, sizeof(random));
        hex_encode(buf, random, sizeof(random));
        return CTL_OK;
    }
    if (!c->secret_file)
        return isatty(STDIN_FILENO) ? prompt_twice(what, buf, cap)
                                    : read_line(stdin, what, buf, cap);
    f = fopen(c->secret_file, "re");
    if (!f)
        return ctl_fail(CTL_USAGE, "%s: %s", c->secret_file, strerror(errno));
    rc = read_line(f, what, buf, cap);
    fclose(f);
    return rc;
}
