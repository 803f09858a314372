// SPDX-License-Identifier: BSD-2-Clause
// What the tests of RFC 5780 say about a NAT, in its words and in those of RFC 3489.
#ifndef TP_PROBE_NAT_VERDICT_H
#define TP_PROBE_NAT_VERDICT_H

#include <stdbool.h>

// RFC 4787 sections 4.1 (mapping) and 5 (filtering).
enum nat_behaviour {
    NAT_UNKNOWN,
    NAT_NONE, // mapping only: the address is the host's own
    NAT_ENDPOINT_INDEPENDENT,
    NAT_ADDRESS_DEPENDENT,
    NAT_ADDRESS_AND_PORT_DEPENDENT,
    NAT_DEPENDENT, // mapping only: on the destination, and not known on what of it
};

// What became of a Binding request.
enum nat_answer { NAT_NO_ANSWER, NAT_ANSWERED, NAT_NOT_TRIED };

// "endpoint-independent" and so on.
const char *nat_behaviour_name(enum nat_behaviour b);

// RFC 5780 4.3. other_address: whether the request to the other address and the primary port (test
// II) was answered, and whether with the mapped address of test I; other_port: the same for the
// other address and port (test III) against that of test II.
enum nat_behaviour nat_mapping(bool own_address, enum nat_answer other_address,
                               bool other_address_same, enum nat_answer other_port,
                               bool other_port_same);

// RFC 5780 4.4: whether answers came from the other address and port (test II), and from the
// primary address and other port (test III).
enum nat_behaviour nat_filtering(enum nat_answer other_address, enum nat_answer other_port);

// "open internet", "symmetric firewall", "full cone", "restricted cone", "port-restricted cone",
// "symmetric" (RFC 3489 section 5 and 10.1), or how much of that is known.
const char *nat_type(enum nat_behaviour mapping, enum nat_behaviour filtering);

// What that is for a call. Never NULL.
const char *nat_meaning(enum nat_behaviour mapping, enum nat_behaviour filtering);

#endif
