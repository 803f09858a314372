// SPDX-License-Identifier: BSD-2-Clause
// turnpike-probe punch: what its files share.
#ifndef TP_PROBE_PUNCH_H
#define TP_PROBE_PUNCH_H

#include "probe/probe.h"
#include "probe/punch_message.h"

struct punch {
    struct probe *p;
    struct session *s; // the allocation through which the two meet
    bool first;        // waits for the other
    uint8_t key[PUNCH_KEY_LEN];
    uint8_t nonce[2][PUNCH_NONCE_LEN];
    // the socket of the direct path
    int fd;
    struct addr local, mapped; // mapped: ADDR_NONE when no server told
    uint8_t flags;             // PUNCH_: the own NAT
    unsigned own_count;
    struct addr own[PUNCH_CANDIDATES];
    // the other
    bool met;
    struct addr other_relayed;
    uint8_t other_flags;
    unsigned other_count;
    struct addr other[PUNCH_CANDIDATES];
    bool other_done;
    uint32_t other_replies;
};

// Step "mapping": opens the socket of the direct path and finds out its mapped address, and whether
// its NAT gives every destination another one. 0, or -1, reported.
int punch_open_socket(struct punch *u);

// Step "meet": waits for the other, or calls it. 0, or -1, reported.
int punch_meet(struct punch *u, const char *code);

// Step "punch": tries all pairs, then a few packets on what got through. True when it did.
bool punch_path(struct punch *u);

// Tells the other through the relay. 0 or a negative errno.
int punch_tell(struct punch *u, enum punch_type type, uint32_t number);

// Makes a message of this probe. Its length, or 0.
size_t punch_compose(const struct punch *u, uint8_t out[PUNCH_MESSAGE_LEN], enum punch_type type,
                     uint32_t number);

// Reads what the other has said in this run. False for anything else.
bool punch_accept(const struct punch *u, struct punch_message *m, const uint8_t *data, size_t len);

#endif
