// SPDX-License-Identifier: BSD-2-Clause
// Transport addresses and address ranges, in a form that can be hashed and compared as bytes.
#ifndef TP_UTIL_ADDR_H
#define TP_UTIL_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ADDR_NONE = 0, ADDR_IPV4 = 4, ADDR_IPV6 = 6 };

// A transport address. All 24 bytes are significant: unused ones are zero, so that two addresses
// are equal exactly when their bytes are. IPv4 uses ip[0..3]. An IPv4-mapped IPv6 address stays
// family 6: nothing here unmaps silently.
struct addr {
    uint8_t ip[16]; // network order
    uint32_t scope; // IPv6 link-local scope (interface index), else 0
    uint16_t port;  // host order
    uint8_t family; // ADDR_NONE, ADDR_IPV4 or ADDR_IPV6
    uint8_t zero;   // always 0
};

// Inclusive range of IP addresses of one family, compared as whole numbers.
struct addr_range {
    uint8_t first[16];
    uint8_t last[16];
    uint8_t family;
};

#define ADDR_STRLEN 72 // "[v6%scope]:port" and the terminating zero

// Fills *out from a sockaddr. 0, or -EAFNOSUPPORT for a family that is neither AF_INET nor
// AF_INET6.
int addr_from_sockaddr(struct addr *out, const struct sockaddr *sa);

// Writes a into *ss; returns the length to hand to the kernel, 0 for ADDR_NONE.
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss);

// Parses a numeric IP ("192.0.2.1", "2001:db8::1", "[2001:db8::1]", "fe80::1%eth0") and sets the
// port. 0, or -EINVAL.
int addr_parse_ip(struct addr *out, const char *text, uint16_t port);

// Parses "ip:port" or "[ip6]:port". 0, or -EINVAL.
int addr_parse(struct addr *out, const char *text);

// "192.0.2.1:3478", "[2001:db8::1]:3478", "-" for ADDR_NONE. Returns buf.
const char *addr_format(const struct addr *a, char buf[ADDR_STRLEN]);

// The address without the port and without brackets. Returns buf.
const char *addr_format_ip(const struct addr *a, char buf[ADDR_STRLEN]);

bool addr_equal(const struct addr *a, const struct addr *b);    // address, port, family, scope
bool addr_equal_ip(const struct addr *a, const struct addr *b); // address and family only
bool addr_is_any(const struct addr *a);                         // 0.0.0.0 or ::

// Bytes of ip[] in use: 4, 16, or 0 for ADDR_NONE.
static inline size_t addr_ip_len(const struct addr *a)
{
    return a->family == ADDR_IPV4 ? 4 : a->family == ADDR_IPV6 ? 16 : 0;
}

// Parses "192.0.2.1", "192.0.2.0/24", "192.0.2.5-192.0.3.7" and the same for IPv6. Host bits that
// are set beyond a prefix are refused. 0, or -EINVAL with *why set to a static text that says what
// is wrong.
int addr_range_parse(struct addr_range *out, const char *text, const char **why);

// Whether the IP of a lies inside r. False when the families differ.
bool addr_range_contains(const struct addr_range *r, const struct addr *a);

#endif
