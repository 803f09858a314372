// SPDX-License-Identifier: BSD-2-Clause
// Transactions with a STUN or TURN server: retransmission (RFC 8489 6.2.1), long-term credentials
// (9.2), and the data that a TURN server relays.
#ifndef TP_PROBE_CLIENT_H
#define TP_PROBE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/conn.h"
#include "stun/integrity.h"
#include "stun/message.h"

#define CLIENT_TEXT                                                                                \
    512 // longest user, password, realm or nonce (RFC 8489 14.3, 14.9, 14.10), and a zero

struct credentials {
    char user[CLIENT_TEXT];
    char password[CLIENT_TEXT];
};

struct client {
    struct conn *conn;              // borrowed
    const struct credentials *cred; // borrowed; NULL for STUN
    int64_t timeout;                // us for one transaction
    char realm[CLIENT_TEXT * 2];
    uint8_t nonce[1024];
    size_t nonce_len;
    uint8_t algorithms[64]; // PASSWORD-ALGORITHMS as offered, empty: none
    size_t algorithms_len;
    enum stun_password_algorithm algorithm; // used for signing, 0: before RFC 8489, MD5
    bool sha256;                            // sign with MESSAGE-INTEGRITY-SHA256
    bool signed_in;                         // realm and nonce are known
    struct addr relayed, mapped;
    uint32_t lifetime;
    // Relayed data that comes in at any time; channel 0: a Data indication from peer.
    void (*on_data)(void *arg, const struct addr *peer, uint16_t channel, const uint8_t *data,
                    size_t len);
    void *arg;
    unsigned sent; // requests and retransmissions of the last transaction
    int64_t rtt;   // us between its last request and the answer
    uint8_t in[CONN_BUFFER];
    struct stun_msg msg; // the last answer, a view into answer[]
    uint8_t answer[2048];
};

// An attribute of a request: by its kind in the table u32, addr or bytes and len are used.
struct request_attr {
    uint16_t type;
    uint32_t u32;
    const struct addr *addr;
    const void *bytes;
    size_t len;
};

enum { CLIENT_UNSIGNED = -1001 }; // a success whose integrity is missing or wrong

// One transaction without credentials. 0 for a success response, a positive STUN error code (300 to
// 699) for an error response, a negative errno otherwise; the answer is in c->msg.
int client_exchange(struct client *c, enum stun_method method, const struct request_attr *attrs,
                    size_t count);

// The same with credentials; takes new nonces (438) up to twice. Also CLIENT_UNSIGNED.
int client_request(struct client *c, enum stun_method method, const struct request_attr *attrs,
                   size_t count);

// Takes realm, nonce and algorithms from an error response (401, 438). 0, or -EBADMSG when one is
// missing.
int client_learn(struct client *c, const struct stun_msg *msg);

// Relays to a peer by a Send indication, or by a channel. 0 or a negative errno.
int client_send(struct client *c, const struct addr *peer, const void *data, size_t len);
int client_send_channel(struct client *c, uint16_t channel, const void *data, size_t len);

// Handles what has come in, without waiting. 0, or a negative errno of the connection.
int client_poll(struct client *c);

#endif
