// SPDX-License-Identifier: BSD-2-Clause
// From a URI to the addresses to try, in order: RFC 5928 for TURN (NAPTR, SRV, A, AAAA), RFC 8489
// section 8 for STUN (SRV, A, AAAA). No I/O: the questions are asked by the caller's function.
#ifndef TP_PROBE_RESOLVE_H
#define TP_PROBE_RESOLVE_H

#include <stdint.h>

#include "probe/uri.h"
#include "util/addr.h"

enum dns_type { DNS_A, DNS_AAAA, DNS_SRV, DNS_NAPTR };

// One answer. Addresses: addr. SRV: priority, weight, port, name. NAPTR: order, preference, flags,
// services, name (the replacement).
struct dns_record {
    union {
        uint16_t priority;
        uint16_t order;
    };
    union {
        uint16_t weight;
        uint16_t preference;
    };
    uint16_t port;
    char flags[8];
    char services[64];
    char name[URI_HOST_LEN]; // without a dot at its end; "" is the root
    struct addr addr;
};

#define DNS_RECORDS 16

struct dns_ops {
    // Asks for the records of a name: how many (at most cap) were written to out, or a negative
    // errno: -ENOENT no such name or no record of that type, -ETIMEDOUT no answer, -EAGAIN the name
    // servers failed or refused, -EBADMSG an answer that makes no sense.
    int (*lookup)(void *arg, enum dns_type type, const char *name, struct dns_record *out, int cap);
    // Uniform in [0, bound): chooses among SRV records by weight (RFC 2782).
    uint32_t (*random)(uint32_t bound);
    void *arg;
};

struct target {
    enum transport transport;
    struct addr addr;
};

struct question {
    enum dns_type type;
    char name[URI_HOST_LEN];
    int result; // how many records, or the negative errno
};

#define RESOLVE_TARGETS 16
#define RESOLVE_QUESTIONS 40

struct resolution {
    unsigned count;
    struct target targets[RESOLVE_TARGETS]; // no two alike
    unsigned question_count;                // in the order in which they were asked
    struct question questions[RESOLVE_QUESTIONS];
};

// family: ADDR_NONE for both, else only that. 0 with at least one target, or the negative errno of
// what stopped it (see lookup; -ENOENT when names exist but no address of that family).
int resolve_uri(struct resolution *out, const struct probe_uri *uri, uint8_t family,
                const struct dns_ops *ops);

// "A", "AAAA", "SRV", "NAPTR".
const char *dns_type_name(enum dns_type type);

#endif
