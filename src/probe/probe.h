// SPDX-License-Identifier: BSD-2-Clause
// turnpike-probe: what its commands share.
#ifndef TP_PROBE_PROBE_H
#define TP_PROBE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/client.h"
#include "probe/report.h"
#include "probe/resolve.h"
#include "probe/uri.h"

// Exit statuses.
enum { PROBE_WORKS = 0, PROBE_FAILS = 1, PROBE_USAGE = 2 };

enum peer_kind { PEER_AUTO, PEER_SOCKET, PEER_RELAY };

struct probe {
    const char *const *words; // behind the command: URIs, a code
    int word_count;
    struct probe_uri uri;    // of words[0]
    struct probe_uri second; // of words[1], for nat
    bool json, insecure;
    uint8_t family;       // ADDR_NONE: both
    uint8_t relay_family; // ADDR_NONE: the server's choice, which is IPv4
    int64_t timeout;      // us for an answer
    const char *ca_file;
    struct addr source; // ADDR_NONE: the kernel's choice
    struct addr dns;    // ADDR_NONE: the host's resolver
    struct credentials cred;
    unsigned count, size; // packets, and bytes in each
    unsigned interval_ms;
    enum peer_kind peer;
    unsigned lifetime;       // s, 0: not asked for
    const char *stun_server; // "ADDRESS:PORT" that punch asks for its mapped address
    unsigned wait;           // s that the first of two probes waits for the second
    struct report report;
};

// A connection with a server and the client on it.
struct session {
    struct target target;
    struct conn *conn;
    struct client client;
};

// The commands. The report has begun; they return PROBE_WORKS or PROBE_FAILS, and PROBE_USAGE
// before anything has been reported.
int probe_stun(struct probe *p);
int probe_turn(struct probe *p);
int probe_nat(struct probe *p);
int probe_punch(struct probe *p);

// Step "resolve". 0, or a negative errno that has been reported.
int session_resolve(struct probe *p, const struct probe_uri *uri, struct resolution *out);

// Steps "resolve", "connect", "tls" and what first() does, for one address after the other until
// one answers. first gets last = true for the last address: then it fails its step, else it warns.
// It returns 0; 300 after the error response that named another server; 1 to try the next address;
// -1 when that makes no sense. 0 with *out set, or -1, reported.
typedef int session_first(struct probe *p, struct session *s, bool last);
int session_open(struct probe *p, const struct probe_uri *uri, session_first *first,
                 struct session **out);

// Connects to a target without a word. 0 or a negative errno.
int session_connect(struct probe *p, const struct target *target, struct session **out);
void session_close(struct session *s);

// Ends the running step with the result of a transaction: a STUN error code or a negative errno.
void session_fail(struct probe *p, const struct session *s, enum stun_method method, int rc,
                  bool last);

// Asks for a realm and a nonce: step "challenge". A session_first.
int session_challenge(struct probe *p, struct session *s, bool last);

// Step "allocate". As a session_first.
int session_enter(struct probe *p, struct session *s, uint8_t family, bool last);

// Allocates, with the family of the relayed address unless ADDR_NONE; sets relayed, mapped and
// lifetime of the client. As client_request, and -EBADMSG when the answer lacks an address.
int session_allocate(struct session *s, uint8_t family);
// CreatePermission and ChannelBind. As client_request.
int session_permit(struct session *s, const struct addr *peer);
int session_bind(struct session *s, const struct addr *peer, uint16_t channel);
// 0 s: delete. As client_request.
int session_refresh(struct session *s, uint32_t lifetime);

#endif
