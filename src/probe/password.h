// SPDX-License-Identifier: BSD-2-Clause
// Where the password comes from: never from the arguments, which every user of the host can see.
#ifndef TP_PROBE_PASSWORD_H
#define TP_PROBE_PASSWORD_H

#include "probe/client.h"
#include "util/secret_input.h"

#define PASSWORD_VARIABLE "TURNPIKE_PASSWORD"

// Reads the password of cred->user: of a file when one is given, else of the variable, of a prompt
// or of standard input. 0, or a negative errno with in->why set; the rest of *in is overwritten.
int password_read(struct credentials *cred, const char *file, struct secret_input *in);

// Gives both the OpaqueString form (RFC 8489 14.3, 18.5.1), which servers store. What has none
// stays as it is: the server may have taken it so.
void password_prepare(struct credentials *cred);

#endif
