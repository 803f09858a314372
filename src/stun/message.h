// SPDX-License-Identifier: BSD-2-Clause
// STUN messages: bytes to struct and back (RFC 8489 section 5). No I/O.
//
//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  |0 0|     STUN Message Type     |         Message Length        |
//  |                         Magic Cookie                          |
//  |                     Transaction ID (96 bits)                  |
#ifndef TP_STUN_MESSAGE_H
#define TP_STUN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stun/attribute.h"
#include "stun/cursor.h"
#include "util/addr.h"

#define STUN_HEADER_LEN 20
#define STUN_MAGIC_COOKIE 0x2112A442u
#define STUN_TXID_LEN 12

enum stun_class { STUN_REQUEST = 0, STUN_INDICATION = 1, STUN_SUCCESS = 2, STUN_ERROR = 3 };

enum stun_method {
    STUN_BINDING = 0x001,
    STUN_ALLOCATE = 0x003, // RFC 8656 17
    STUN_REFRESH = 0x004,
    STUN_SEND = 0x006,
    STUN_DATA = 0x007,
    STUN_CREATE_PERMISSION = 0x008,
    STUN_CHANNEL_BIND = 0x009,
    STUN_CONNECT = 0x00A, // RFC 6062 6.1
    STUN_CONNECTION_BIND = 0x00B,
    STUN_CONNECTION_ATTEMPT = 0x00C,
};

// A parsed message: a view into the caller's bytes, which must outlive it.
struct stun_msg {
    const uint8_t *buf;
    size_t len; // header + attributes
    enum stun_class class_;
    uint16_t method;     // 12 bits, known or not
    bool classic;        // RFC 3489: no magic cookie, 16-byte transaction id (buf + 4)
    const uint8_t *txid; // 12 bytes at buf + 8
    // Offsets of the attribute header from buf, 0 where absent.
    uint16_t integrity;    // MESSAGE-INTEGRITY
    uint16_t integrity256; // MESSAGE-INTEGRITY-SHA256
    uint16_t fingerprint;
    size_t attrs_end; // ordinary attributes lie in [20, attrs_end): what follows an integrity
                      // attribute is ignored (RFC 8489 14.5, 14.6), but for
                      // MESSAGE-INTEGRITY-SHA256 behind MESSAGE-INTEGRITY, and FINGERPRINT
    uint64_t types; // of ordinary attributes, a bit each (stun_type_bit): most that are looked for
                    // are not there
};

// Some types share a bit, which costs a walk.
static inline uint64_t stun_type_bit(uint16_t type)
{
    return UINT64_C(1) << ((type ^ type >> 10) & 63);
}

struct stun_attr {
    uint16_t type;
    uint16_t len; // of the value
    const uint8_t *value;
};

enum stun_parse {
    STUN_PARSE_OK = 0,
    STUN_PARSE_NOT_STUN = -1, // not a STUN message: drop silently
    STUN_PARSE_MALFORMED =
        -2, // STUN header is sound, attributes are not: a request may be answered with 400.
            // buf, class_, method, txid and classic are set, there are no attributes.
};

// Takes a whole datagram or a whole frame of a stream. Checks: the two zero bits, length a multiple
// of 4 and equal to what is there, each attribute inside the message, known attributes within the
// lengths of the table (an integrity attribute of a wrong length is malformed), FINGERPRINT last
// and right (a wrong one is NOT_STUN, RFC 8489 7.3). More than 65535 bytes are malformed. Never
// reads past len; no alignment is asked.
enum stun_parse stun_parse(struct stun_msg *msg, const void *data, size_t len);

// First attribute of a type among the ordinary ones; true and *out set, or false.
bool stun_find(const struct stun_msg *msg, uint16_t type, struct stun_attr *out);

// Walks the ordinary attributes: start with *pos = 0, false at the end.
bool stun_next(const struct stun_msg *msg, size_t *pos, struct stun_attr *out);

// Typed reads of the first attribute of that type. 0, -ENOENT when absent, -EBADMSG when malformed
// (address family unknown, wrong length).
int stun_get_addr(const struct stun_msg *msg, uint16_t type,
                  struct addr *out); // plain or XORed by the table
int stun_get_u32(const struct stun_msg *msg, uint16_t type, uint32_t *out);
int stun_get_u64(const struct stun_msg *msg, uint16_t type, uint64_t *out);
int stun_get_error(const struct stun_msg *msg, int *code, const char **reason, size_t *reason_len);

// Reads the address in an attribute that the caller found with stun_next (several
// XOR-PEER-ADDRESS). As above.
int stun_attr_addr(const struct stun_msg *msg, const struct stun_attr *attr, struct addr *out);

// Lists the comprehension-required ordinary attributes that are not in the table or for which
// accept() says no (NULL: the table alone). Each type once, at most cap. Returns how many were
// written.
size_t stun_unknown_required(const struct stun_msg *msg,
                             bool (*accept)(uint16_t method, uint16_t type), uint16_t *out,
                             size_t cap);

// --- writing ---
// stun_begin, any number of stun_put_*, optionally integrity and fingerprint in that order,
// stun_end.

struct stun_writer {
    struct cursor c;
};

// Writes a header. txid: the 12 bytes. cookie bytes are taken from `like` when it is a classic
// request (so that the whole 16-byte id is echoed); like may be NULL.
void stun_begin(struct stun_writer *w, void *buf, size_t cap, enum stun_class class_,
                uint16_t method, const uint8_t txid[STUN_TXID_LEN], const struct stun_msg *like);

// stun_begin for the answer to a request: its method and transaction id, class SUCCESS or ERROR.
void stun_begin_reply(struct stun_writer *w, void *buf, size_t cap, enum stun_class class_,
                      const struct stun_msg *req);

// Each appends an attribute. With one that does not fit, stun_end returns 0.
void stun_put(struct stun_writer *w, uint16_t type, const void *value,
              size_t len); // pads with zeros
void stun_put_u32(struct stun_writer *w, uint16_t type, uint32_t value);
void stun_put_u64(struct stun_writer *w, uint16_t type, uint64_t value);
void stun_put_text(struct stun_writer *w, uint16_t type, const char *text);
void stun_put_addr(struct stun_writer *w, uint16_t type,
                   const struct addr *a); // plain or XORed by the table
void stun_put_error(struct stun_writer *w, int code,
                    const char *reason); // reason NULL: the standard one
void stun_put_u16_list(struct stun_writer *w, uint16_t type, const uint16_t *list,
                       size_t n); // UNKNOWN-ATTRIBUTES

// The length of the finished message, or 0 when it did not fit.
size_t stun_end(struct stun_writer *w);

// The standard reason phrase of an error code, "Unauthorized"; "Error" for one that we do not know.
const char *stun_reason(int code);

// "Allocate", "CreatePermission"; NULL for a method that we do not know.
const char *stun_method_name(uint16_t method);

#endif
