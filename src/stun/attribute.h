// SPDX-License-Identifier: BSD-2-Clause
// Every STUN attribute type that we know, in one table (IANA "STUN Attributes" registry).
#ifndef TP_STUN_ATTRIBUTE_H
#define TP_STUN_ATTRIBUTE_H

#include <stdbool.h>
#include <stdint.h>

enum stun_attr_type {
    // Comprehension-required, 0x0000-0x7FFF
    STUN_ATTR_MAPPED_ADDRESS = 0x0001,           // RFC 8489 14.1
    STUN_ATTR_RESPONSE_ADDRESS = 0x0002,         // RFC 3489 (classic)
    STUN_ATTR_CHANGE_REQUEST = 0x0003,           // RFC 5780 7.2
    STUN_ATTR_SOURCE_ADDRESS = 0x0004,           // RFC 3489 11.2.5 (classic)
    STUN_ATTR_CHANGED_ADDRESS = 0x0005,          // RFC 3489 11.2.3 (classic)
    STUN_ATTR_USERNAME = 0x0006,                 // RFC 8489 14.3
    STUN_ATTR_MESSAGE_INTEGRITY = 0x0008,        // RFC 8489 14.5
    STUN_ATTR_ERROR_CODE = 0x0009,               // RFC 8489 14.8
    STUN_ATTR_UNKNOWN_ATTRIBUTES = 0x000A,       // RFC 8489 14.13
    STUN_ATTR_CHANNEL_NUMBER = 0x000C,           // RFC 8656 18.1
    STUN_ATTR_LIFETIME = 0x000D,                 // RFC 8656 18.2
    STUN_ATTR_XOR_PEER_ADDRESS = 0x0012,         // RFC 8656 18.3
    STUN_ATTR_DATA = 0x0013,                     // RFC 8656 18.4
    STUN_ATTR_REALM = 0x0014,                    // RFC 8489 14.9
    STUN_ATTR_NONCE = 0x0015,                    // RFC 8489 14.10
    STUN_ATTR_XOR_RELAYED_ADDRESS = 0x0016,      // RFC 8656 18.5
    STUN_ATTR_REQUESTED_ADDRESS_FAMILY = 0x0017, // RFC 8656 18.6
    STUN_ATTR_EVEN_PORT = 0x0018,                // RFC 8656 18.7
    STUN_ATTR_REQUESTED_TRANSPORT = 0x0019,      // RFC 8656 18.8
    STUN_ATTR_DONT_FRAGMENT = 0x001A,            // RFC 8656 18.9
    STUN_ATTR_ACCESS_TOKEN = 0x001B,             // RFC 7635 6.2
    STUN_ATTR_MESSAGE_INTEGRITY_SHA256 = 0x001C, // RFC 8489 14.6
    STUN_ATTR_PASSWORD_ALGORITHM = 0x001D,       // RFC 8489 14.12
    STUN_ATTR_USERHASH = 0x001E,                 // RFC 8489 14.4
    STUN_ATTR_XOR_MAPPED_ADDRESS = 0x0020,       // RFC 8489 14.2
    STUN_ATTR_RESERVATION_TOKEN = 0x0022,        // RFC 8656 18.10
    STUN_ATTR_PRIORITY = 0x0024,                 // RFC 8445
    STUN_ATTR_USE_CANDIDATE = 0x0025,            // RFC 8445
    STUN_ATTR_PADDING = 0x0026,                  // RFC 5780 7.6
    STUN_ATTR_RESPONSE_PORT = 0x0027,            // RFC 5780 7.5
    STUN_ATTR_CONNECTION_ID = 0x002A,            // RFC 6062 6.2.1
    // Comprehension-optional, 0x8000-0xFFFF
    STUN_ATTR_ADDITIONAL_ADDRESS_FAMILY = 0x8000, // RFC 8656 18.11
    STUN_ATTR_ADDRESS_ERROR_CODE = 0x8001,        // RFC 8656 18.12
    STUN_ATTR_PASSWORD_ALGORITHMS = 0x8002,       // RFC 8489 14.11
    STUN_ATTR_ALTERNATE_DOMAIN = 0x8003,          // RFC 8489 14.16
    STUN_ATTR_ICMP = 0x8004,                      // RFC 8656 18.13
    STUN_ATTR_SOFTWARE = 0x8022,                  // RFC 8489 14.14
    STUN_ATTR_ALTERNATE_SERVER = 0x8023,          // RFC 8489 14.15
    STUN_ATTR_CACHE_TIMEOUT = 0x8027,             // RFC 5780 7.7
    STUN_ATTR_FINGERPRINT = 0x8028,               // RFC 8489 14.7
    STUN_ATTR_ICE_CONTROLLED = 0x8029,            // RFC 8445
    STUN_ATTR_ICE_CONTROLLING = 0x802A,           // RFC 8445
    STUN_ATTR_RESPONSE_ORIGIN = 0x802B,           // RFC 5780 7.3
    STUN_ATTR_OTHER_ADDRESS = 0x802C,             // RFC 5780 7.4
    STUN_ATTR_ECN_CHECK = 0x802D,                 // RFC 6679
    STUN_ATTR_THIRD_PARTY_AUTHORIZATION = 0x802E, // RFC 7635 6.1
    STUN_ATTR_MOBILITY_TICKET = 0x8030,           // RFC 8016 3.3
};

enum stun_attr_kind {
    STUN_KIND_BYTES, // opaque
    STUN_KIND_TEXT,  // UTF-8
    STUN_KIND_U32,   // 32 bits, including "value and three reserved bytes"
    STUN_KIND_U64,   // 64 bits
    STUN_KIND_ADDR,  // plain address
    STUN_KIND_XADDR, // XORed address
    STUN_KIND_ERROR, // ERROR-CODE
    STUN_KIND_FLAG,  // no value
};

struct stun_attr_info {
    uint16_t type;
    const char *name; // as the RFC writes it, "XOR-MAPPED-ADDRESS"
    enum stun_attr_kind kind;
    uint16_t min_len, max_len; // of the value, in bytes, without padding
};

// The table's row for a type, or NULL when we do not know it. Constant time.
const struct stun_attr_info *stun_attr_info(uint16_t type);

static inline bool stun_attr_required(uint16_t type)
{
    return type < 0x8000;
}

#endif
