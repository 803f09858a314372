// SPDX-License-Identifier: BSD-2-Clause
#include "probe/password.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/codec.h"
#include "util/opaque.h"

int password_read(struct credentials *cred, const char *file, struct secret_input *in)
{
    const char *variable = getenv(PASSWORD_VARIABLE);
    char question[1024], name[512];

    *in = (struct secret_input){
        .what = "password", .buf = cred->password, .cap = sizeof(cred->password)};
    if (!file && variable) {
        if (!*variable || strlen(variable) >= sizeof(cred->password)) {
            snprintf(in->why, sizeof(in->why), PASSWORD_VARIABLE " is empty or too long");
            return -EINVAL;
        }
        strcpy(cred->password, variable);
        return 0;
    }
    snprintf(question, sizeof(question), "Password of %s",
             text_escape(name, sizeof(name), cred->user, strlen(cred->user)));
    return file                   ? secret_read_file(in, file)
           : isatty(STDIN_FILENO) ? secret_prompt(in, question)
                                  : secret_read_stdin(in);
}

static void prepare(char *text, size_t cap)
{
    char out[CLIENT_TEXT];
    const char *why;
    if (opaque_prepare(out, cap < sizeof(out) ? cap : sizeof(out), text, strlen(text), &why) >= 0)
        strcpy(text, out);
    explicit_bzero(out, sizeof(out));
}

void password_prepare(struct credentials *cred)
{
    prepare(cred->user, sizeof(cred->user));
    prepare(cred->password, sizeof(cred->password));
}
