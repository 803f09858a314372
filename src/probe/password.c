// SPDX-License-Identifier: BSD-2-Clause
// Where the password comes from: never from the arguments, which every user of the host can see.
#include "probe/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/codec.h"
#include "util/opaque.h"
#include "util/secret_input.h"

static int read_password(struct probe *p, const char *file)
{
    struct secret_input in = {
        .what = "password", .buf = p->cred.password, .cap = sizeof(p->cred.password)};
    const char *variable = getenv(PROBE_PASSWORD_VARIABLE);
    char question[REPORT_TEXT], name[REPORT_TEXT / 2];

    if (!file && variable) {
        if (!*variable || strlen(variable) >= sizeof(p->cred.password))
            return probe_usage(PROBE_PASSWORD_VARIABLE " is empty or too long");
        strcpy(p->cred.password, variable);
        return 0;
    }
    snprintf(question, sizeof(question), "Password of %s",
             text_escape(name, sizeof(name), p->cred.user, strlen(p->cred.user)));
    int rc = file                   ? secret_read_file(&in, file)
             : isatty(STDIN_FILENO) ? secret_prompt(&in, question)
                                    : secret_read_stdin(&in);
    return rc == 0 ? 0 : probe_usage("%s", in.why);
}

// The OpaqueString form of a name or password (RFC 8489 14.3, 18.5.1), which servers store. What
// has none is sent as it is: the server may have taken it so.
static void prepare(char *text, size_t cap)
{
    char out[CLIENT_TEXT];
    const char *why;
    if (opaque_prepare(out, cap < sizeof(out) ? cap : sizeof(out), text, strlen(text), &why) >= 0)
        strcpy(text, out);
    explicit_bzero(out, sizeof(out));
}

int probe_read_password(struct probe *p, const char *file)
{
    int rc = read_password(p, file);
    if (rc != 0)
        return rc;
    prepare(p->cred.user, sizeof(p->cred.user));
    prepare(p->cred.password, sizeof(p->cred.password));
    return 0;
}
