// SPDX-License-Identifier: BSD-2-Clause
#include "probe/nat_verdict.h"

const char *nat_behaviour_name(enum nat_behaviour b)
{
    static const char *const names[] = {
        "unknown",
        "none",
        "endpoint-independent",
        "address-dependent",
        "address- and port-dependent",
        "dependent on the destination",
    };
    return names[b];
}

enum nat_behaviour nat_mapping(bool own_address, enum nat_answer other_address,
                               bool other_address_same, enum nat_answer other_port,
                               bool other_port_same)
{
    if (own_address)
        return NAT_NONE;
    if (other_address != NAT_ANSWERED)
        return NAT_UNKNOWN;
    if (other_address_same)
        return NAT_ENDPOINT_INDEPENDENT;
    if (other_port != NAT_ANSWERED)
        return NAT_DEPENDENT;
    return other_port_same ? NAT_ADDRESS_DEPENDENT : NAT_ADDRESS_AND_PORT_DEPENDENT;
}

enum nat_behaviour nat_filtering(enum nat_answer other_address, enum nat_answer other_port)
{
    if (other_address == NAT_ANSWERED)
        return NAT_ENDPOINT_INDEPENDENT;
    if (other_address == NAT_NOT_TRIED || other_port == NAT_NOT_TRIED)
        return NAT_UNKNOWN;
    return other_port == NAT_ANSWERED ? NAT_ADDRESS_DEPENDENT : NAT_ADDRESS_AND_PORT_DEPENDENT;
}

const char *nat_type(enum nat_behaviour mapping, enum nat_behaviour filtering)
{
    switch (mapping) {
    case NAT_NONE:
        return filtering == NAT_UNKNOWN                ? "no NAT"
               : filtering == NAT_ENDPOINT_INDEPENDENT ? "open internet"
                                                       : "symmetric firewall";
    case NAT_ENDPOINT_INDEPENDENT:
        return filtering == NAT_UNKNOWN                ? "cone of some kind"
               : filtering == NAT_ENDPOINT_INDEPENDENT ? "full cone"
               : filtering == NAT_ADDRESS_DEPENDENT    ? "restricted cone"
                                                       : "port-restricted cone";
    case NAT_ADDRESS_DEPENDENT:
    case NAT_ADDRESS_AND_PORT_DEPENDENT:
    case NAT_DEPENDENT:
        return "symmetric";
    default:
        return "NAT of unknown kind";
    }
}

const char *nat_meaning(enum nat_behaviour mapping, enum nat_behaviour filtering)
{
    switch (mapping) {
    case NAT_NONE:
        return filtering == NAT_ENDPOINT_INDEPENDENT ? "Everyone can reach this host by UDP."
               : filtering == NAT_UNKNOWN ? "This host has a public address; whether a firewall "
                                            "stands before it was not found out."
                                          : "This host has a public address, and a firewall lets "
                                            "in only what it has asked for. "
                                            "Direct calls work with nearly everyone.";
    case NAT_ENDPOINT_INDEPENDENT:
        return filtering == NAT_ENDPOINT_INDEPENDENT
                   ? "Once this host has sent anything, everyone can reach it. Direct calls work."
               : filtering == NAT_ADDRESS_DEPENDENT ? "Hosts to which this one has sent can reach "
                                                      "it from any port. Direct calls work, also "
                                                      "with a host behind a symmetric NAT."
               : filtering == NAT_UNKNOWN
                   ? "The mapped address is the same for everyone, which direct calls need."
                   : "The usual kind. Direct calls work, but not with a host behind a symmetric "
                     "NAT: then "
                     "the relay carries them.";
    case NAT_UNKNOWN:
        return "This host is behind a NAT, and which kind was not found out.";
    default:
        return "Every destination sees another address. Direct calls fail with hosts behind a "
               "port-restricted or a symmetric NAT: then the relay carries them.";
    }
}
