// SPDX-License-Identifier: BSD-2-Clause
#include "stun/attribute.h"

#include <stddef.h>

#define ANY_LEN 65535
// RFC 8489 section 14: fewer than 128 characters of UTF-8, which can be as long as 763 bytes.
#define TEXT_LEN 763
#define ROW(t, attr_name, attr_kind, min, max)                                                     \
    [STUN_ATTR_##t & 0x7fff] = {.type = STUN_ATTR_##t,                                             \
                                .name = attr_name,                                                 \
                                .kind = STUN_KIND_##attr_kind,                                     \
                                .min_len = min,                                                    \
                                .max_len = max}

// Both tables are indexed by the type without its top bit; a row without a name is a type that we
// do not know.
static const struct stun_attr_info required[] = {
    ROW(MAPPED_ADDRESS, "MAPPED-ADDRESS", ADDR, 8, 20),
    ROW(RESPONSE_ADDRESS, "RESPONSE-ADDRESS", ADDR, 8, 20),
    ROW(CHANGE_REQUEST, "CHANGE-REQUEST", U32, 4, 4),
    ROW(SOURCE_ADDRESS, "SOURCE-ADDRESS", ADDR, 8, 20),
    ROW(CHANGED_ADDRESS, "CHANGED-ADDRESS", ADDR, 8, 20),
    ROW(USERNAME, "USERNAME", TEXT, 0, 508),
    ROW(MESSAGE_INTEGRITY, "MESSAGE-INTEGRITY", BYTES, 20, 20),
    ROW(ERROR_CODE, "ERROR-CODE", ERROR, 4, 4 + TEXT_LEN),
    ROW(UNKNOWN_ATTRIBUTES, "UNKNOWN-ATTRIBUTES", BYTES, 0, ANY_LEN),
    ROW(CHANNEL_NUMBER, "CHANNEL-NUMBER", U32, 4, 4),
    ROW(LIFETIME, "LIFETIME", U32, 4, 4),
    ROW(XOR_PEER_ADDRESS, "XOR-PEER-ADDRESS", XADDR, 8, 20),
    ROW(DATA, "DATA", BYTES, 0, ANY_LEN),
    ROW(REALM, "REALM", TEXT, 0, TEXT_LEN),
    ROW(NONCE, "NONCE", TEXT, 0, TEXT_LEN),
    ROW(XOR_RELAYED_ADDRESS, "XOR-RELAYED-ADDRESS", XADDR, 8, 20),
    ROW(REQUESTED_ADDRESS_FAMILY, "REQUESTED-ADDRESS-FAMILY", U32, 4, 4),
    ROW(EVEN_PORT, "EVEN-PORT", BYTES, 1, 1),
    ROW(REQUESTED_TRANSPORT, "REQUESTED-TRANSPORT", U32, 4, 4),
    ROW(DONT_FRAGMENT, "DONT-FRAGMENT", FLAG, 0, 0),
    ROW(ACCESS_TOKEN, "ACCESS-TOKEN", BYTES, 0, ANY_LEN),
    ROW(MESSAGE_INTEGRITY_SHA256, "MESSAGE-INTEGRITY-SHA256", BYTES, 16, 32),
    ROW(PASSWORD_ALGORITHM, "PASSWORD-ALGORITHM", BYTES, 4, ANY_LEN),
    ROW(USERHASH, "USERHASH", BYTES, 32, 32),
    ROW(XOR_MAPPED_ADDRESS, "XOR-MAPPED-ADDRESS", XADDR, 8, 20),
    ROW(RESERVATION_TOKEN, "RESERVATION-TOKEN", BYTES, 8, 8),
    ROW(PRIORITY, "PRIORITY", U32, 4, 4),
    ROW(USE_CANDIDATE, "USE-CANDIDATE", FLAG, 0, 0),
    ROW(PADDING, "PADDING", BYTES, 0, ANY_LEN),
    // RFC 5780 7.5 speaks of 16 bits and two bytes of padding: senders disagree whether the length
    // counts those.
    ROW(RESPONSE_PORT, "RESPONSE-PORT", BYTES, 2, 4),
    ROW(CONNECTION_ID, "CONNECTION-ID", U32, 4, 4),
};

static const struct stun_attr_info optional[] = {
    ROW(ADDITIONAL_ADDRESS_FAMILY, "ADDITIONAL-ADDRESS-FAMILY", U32, 4, 4),
    ROW(ADDRESS_ERROR_CODE, "ADDRESS-ERROR-CODE", BYTES, 4, 4 + TEXT_LEN),
    ROW(PASSWORD_ALGORITHMS, "PASSWORD-ALGORITHMS", BYTES, 4, ANY_LEN),
    ROW(ALTERNATE_DOMAIN, "ALTERNATE-DOMAIN", TEXT, 0, 255),
    ROW(ICMP, "ICMP", BYTES, 8, 8),
    ROW(SOFTWARE, "SOFTWARE", TEXT, 0, TEXT_LEN),
    ROW(ALTERNATE_SERVER, "ALTERNATE-SERVER", ADDR, 8, 20),
    ROW(CACHE_TIMEOUT, "CACHE-TIMEOUT", U32, 4, 4),
    ROW(FINGERPRINT, "FINGERPRINT", U32, 4, 4),
    ROW(ICE_CONTROLLED, "ICE-CONTROLLED", U64, 8, 8),
    ROW(ICE_CONTROLLING, "ICE-CONTROLLING", U64, 8, 8),
    ROW(RESPONSE_ORIGIN, "RESPONSE-ORIGIN", ADDR, 8, 20),
    ROW(OTHER_ADDRESS, "OTHER-ADDRESS", ADDR, 8, 20),
    ROW(ECN_CHECK, "ECN-CHECK", U32, 4, 4),
    ROW(THIRD_PARTY_AUTHORIZATION, "THIRD-PARTY-AUTHORIZATION", TEXT, 0, ANY_LEN),
    ROW(MOBILITY_TICKET, "MOBILITY-TICKET", BYTES, 0, ANY_LEN),
};

const struct stun_attr_info *stun_attr_info(uint16_t type)
{
    bool req = stun_attr_required(type);
    const struct stun_attr_info *table = req ? required : optional;
    size_t rows =
        req ? sizeof(required) / sizeof(required[0]) : sizeof(optional) / sizeof(optional[0]);
    size_t i = type & 0x7fff;
    return i < rows && table[i].name ? &table[i] : NULL;
}
