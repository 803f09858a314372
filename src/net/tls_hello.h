// SPDX-License-Identifier: BSD-2-Clause
// Whose a connection of TLS is, when TURN and HTTP share a port: told by the protocols that the
// client offers in its first message (ALPN, RFC 7301), before anything is answered.
#ifndef TP_NET_TLS_HELLO_H
#define TP_NET_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// So far a ClientHello is looked at. Browsers' have up to 2 KiB, with a key share that withstands
// quantum computers; tickets of sessions can add a few more.
#define TLS_HELLO_MAX 16384

// Looks at the first len bytes (1 to TLS_HELLO_MAX) of a connection, which are overwritten. 0: it
// is decided, and *http says whether HTTP is offered and none of STUN's protocols (RFC 7443); what
// is damaged or longer than TLS_HELLO_MAX is not HTTP's. Else more is needed: the number of bytes
// that there have to be at least before it is worth looking again, more than len and at most
// TLS_HELLO_MAX.
size_t tls_hello_look(uint8_t *data, size_t len, bool *http);

#endif
