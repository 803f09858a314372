// SPDX-License-Identifier: BSD-2-Clause
#include "probe/advice.h"

#include <errno.h>
#include <string.h>

static const struct {
    int code;
    enum stun_method method; // 0: any
    struct advice advice;
} codes[] = {
    {300,
     0,
     {"The server sends its clients to another one, and that has been followed already.",
      {"whether the servers send clients to each other in a circle"}}},
    {400,
     0,
     {"The server takes the request for malformed, or asks for something that it lacks.",
      {"what the log of the server says about this client"}}},
    {401,
     0,
     {"The server does not accept the user name with this password. It says the same for a user "
      "that "
      "it does not know and for a wrong password, and that is right so.",
      {"the user name and the realm, letter by letter: a password belongs to both",
       "that the password has no blank or line end too many",
       "for names of the form TIME:NAME: that the time has not passed, that the shared secret is "
       "the "
       "server's, and that the clocks agree",
       "on the server: turnpikectl user show NAME, and its log"}}},
    {403,
     STUN_CREATE_PERMISSION,
     {"The server forbids to relay to this peer. Loopback, private and other special addresses are "
      "usually refused, so that nobody reaches the server's own network through it.",
      {"relay.allow and relay.deny of turnpiked (allowed-peer-ip, denied-peer-ip of coturn), for a "
       "test in a private network",
       "that the relay address which the server uses is the public one"}}},
    {403,
     STUN_CHANNEL_BIND,
     {"The server forbids to relay to this peer, although it gave a permission for it.",
      {"what the log of the server says"}}},
    {403,
     0,
     {"The server knows the user and forbids this all the same.",
      {"what the log of the server says"}}},
    {420,
     0,
     {"The server does not know an attribute that it would need for this.",
      {"the version of the server"}}},
    {437,
     STUN_ALLOCATE,
     {"The server believes that an allocation from this address and port exists already.",
      {"whether a NAT gave a port out again that another client used a moment ago; try again",
       "whether several servers answer on this address without sharing their state"}}},
    {437,
     0,
     {"The server does not know the allocation that it has just made.",
      {"whether a load balancer sends the packets of a client to different servers",
       "whether a NAT changes the port of this client while it is in use"}}},
    {438,
     0,
     {"The server refused the nonce that it had just given out, again and again.",
      {"whether several servers answer on this address without sharing the key of their nonces",
       "whether this client reaches the server from changing addresses (a NAT with several)"}}},
    {440,
     0,
     {"The server has no relay address of this family.",
      {"relay.addresses of the server; -4 and -6 choose here"}}},
    {441,
     0,
     {"The allocation belongs to other credentials.",
      {"whether a NAT gave a port out again that another client used a moment ago; try again"}}},
    {442, 0, {"The server does not relay by UDP.", {"whether it is a server for TCP relays only"}}},
    {443,
     0,
     {"The relay address of the server and the peer are not of one family.",
      {"-4 and -6 choose here"}}},
    {486,
     0,
     {"The user has as many allocations as it may have.",
      {"whether earlier calls have ended: what is not deleted stays for its lifetime, 10 minutes",
       "limits.user_allocations of the server, and the limit of the user (turnpikectl user "
       "show)"}}},
    {500,
     0,
     {"The server has a problem of its own, such as a store of users that does not answer.",
      {"the log of the server, and its store (SQLite, Redis)"}}},
    {508,
     0,
     {"The server has no capacity left: no free relay port, or its limit is reached.",
      {"relay.ports and limits.total_allocations of the server",
       "whether the host is overloaded"}}},
};

const struct advice *advice_for_code(enum stun_method method, int code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code == code && (codes[i].method == 0 || codes[i].method == method))
            return &codes[i].advice;
    }
    return NULL;
}

static const struct advice udp_timeout = {
    "Nothing came back by UDP: a firewall on the way drops it, or no server is there. Many offices "
    "and "
    "hotels drop UDP.",
    {"the same by TCP: ?transport=tcp, or turns: on port 443 or 5349",
     "that the server runs, and listens on this address and port (turnpiked: listen)",
     "that the firewall of the server lets UDP in on this port"},
};
static const struct advice udp_refused = {
    "The host is there and says (by ICMP) that nobody listens on this UDP port.",
    {"the port: 3478 is usual, 5349 for turns:", "that the server runs and listens on UDP here"},
};
static const struct advice tcp_refused = {
    "The host is there and refuses: nobody listens on this TCP port, or a firewall answers so.",
    {"the port: 3478 is usual, 5349 for turns:", "that the server runs and listens on TCP here"},
};
static const struct advice tcp_timeout = {
    "The server gave no answer by TCP: a firewall on the way drops the packets, or no host is "
    "there.",
    {"the address and the port", "that the firewall of the server lets TCP in on this port",
     "whether other ports get through: 443 nearly always does"},
};
static const struct advice unreachable = {
    "This host has no way to that address, or a router on the way has none.",
    {"the network of this host: ip route get ADDRESS", "whether it has that family at all: -4, -6"},
};
static const struct advice closed = {
    "The other side hung up. It may expect TLS here, or none; or it limits connections.",
    {"the scheme and the port: turn: speaks plain, turns: speaks TLS", "the log of the server"},
};
static const struct advice not_stun = {
    "What came back is not STUN. Another program listens on this port, or a proxy has answered.",
    {"the port, and the scheme: turn: speaks plain, turns: speaks TLS"},
};
static const struct advice no_source = {
    "This host cannot send from the address that --source asks for.",
    {"that the address is this host's, and of the family of the server's"},
};
static const struct advice local_firewall = {
    "This host itself does not let the packet out: a firewall on it forbids that.",
    {"the rules of this host for what goes out: nft list ruleset, iptables -L OUTPUT",
     "other programs here that guard the network, a VPN for instance"},
};
static const struct advice other = {
    "The operating system did not let this happen.",
    {"the message above, and the network of this host"},
};

const struct advice *advice_for_errno(int err, enum transport transport)
{
    switch (-err) {
    case ETIMEDOUT:
        return transport_is_stream(transport) ? &tcp_timeout : &udp_timeout;
    case ECONNREFUSED:
        return transport_is_stream(transport) ? &tcp_refused : &udp_refused;
    case ENETUNREACH:
    case EHOSTUNREACH:
        return &unreachable;
    case EPIPE:
    case ECONNRESET:
        return &closed;
    case EPROTO:
    case EBADMSG:
        return &not_stun;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return &no_source;
    case EPERM:
    case EACCES:
        return &local_firewall;
    default:
        return &other;
    }
}

const struct advice *advice_for_dns(int err)
{
    static const struct advice nothing = {
        "The name servers answer, and know no address for this name.",
        {"the spelling of the host", "-4 or -6, if given: the name may have the other family only",
         "the DNS zone: an A or AAAA record, or SRV records _turn._udp, _turn._tcp, _turns._tcp"},
    };
    static const struct advice silent = {
        "No name server answered, so it is not known whether the name exists.",
        {"the network of this host", "/etc/resolv.conf, or the address given with --dns",
         "the address of the server in place of its name"},
    };
    static const struct advice broken = {
        "The name servers failed or refused to answer, so it is not known whether the name exists.",
        {"the network of this host", "another name server: --dns ADDRESS",
         "the DNS zone and its delegation (dig +trace)"},
    };
    return err == -ENOENT                              ? &nothing
           : err == -ETIMEDOUT || err == -ECONNREFUSED ? &silent
                                                       : &broken;
}

const struct advice *advice_for_handshake(int err, enum transport transport)
{
    static const struct advice refused = {
        "The server speaks TLS of another kind, or no TLS at all on this port.",
        {"the scheme and the port: turns: is usually on 5349 or 443",
         "that the server allows TLS 1.2 or 1.3 (DTLS 1.2)",
         "that its certificate and key are loaded: the log of the server"},
    };
    static const struct advice silent = {
        "The connection is there, and no TLS answer comes. The server may speak plain TURN on this "
        "port, or a device on the way stops what it does not like.",
        {"the port: turns: is usually on 5349 or 443", "the same on port 443"},
    };
    if (err == -EPROTO || err == -EPIPE || err == -ECONNRESET)
        return &refused;
    if (err == -ETIMEDOUT && transport == TRANSPORT_TLS)
        return &silent;
    return advice_for_errno(err, transport);
}

const struct advice *advice_for_certificate(void)
{
    static const struct advice advice = {
        "Browsers refuse such a certificate, and say only that the connection failed.",
        {"that the certificate is for the host name in the URI, and has not expired",
         "that the server sends the intermediate certificates, too",
         "for a CA of your own: --ca FILE; --insecure goes on without a check"},
    };
    return &advice;
}

const char *errno_code(int err)
{
    switch (-err) {
    case ETIMEDOUT:
        return "timeout";
    case ECONNREFUSED:
        return "refused";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "unreachable";
    case EPIPE:
    case ECONNRESET:
        return "closed";
    case EPROTO:
    case EBADMSG:
        return "protocol";
    case EPERM:
    case EACCES:
        return "firewall";
    case ENOENT:
        return "not-found";
    case ENOMEM:
        return "memory";
    default:
        return "system";
    }
}

const char *errno_text(int err)
{
    switch (-err) {
    case ETIMEDOUT:
        return "no answer";
    case ECONNREFUSED:
        return "refused";
    case EPERM:
    case EACCES:
        return "this host does not let the packet out";
    case EPIPE:
    case ECONNRESET:
        return "the other side hung up";
    case EPROTO:
    case EBADMSG:
        return "the answer makes no sense";
    default:
        return strerror(-err);
    }
}

const struct advice advice_unsigned = {
    "The answer is not signed with the key of this user, so it may come from anyone.",
    {"whether something between here and the server changes the packets",
     "whether the server has another password for this user than the one given"},
};
const struct advice advice_realm = {
    "A server that asks for a password has to name its realm and give a nonce.",
    {"that it is a TURN server, with long-term credentials (coturn: lt-cred-mech)"},
};
const struct advice advice_relay = {
    "The server takes packets and does not deliver them.",
    {"that the firewall of the server lets UDP in and out on its relay ports (49152-65535)",
     "that its relay address is the right one: behind 1:1 NAT the external address has to be set",
     "with --peer relay: whether two allocations reach each other on the server"},
};
const struct advice advice_no_other_address = {
    "Mapping and filtering are found out by answers from a second address of the server (RFC "
    "5780), "
    "and this one has none.",
    {"a second server, at another address: turnpike-probe nat URI URI2 tells the mapping",
     "a server with two addresses and RFC 5780 for the rest"},
};
const struct advice advice_other_address = {
    "The server names a second address, and nothing comes back from there.",
    {"that both addresses of the server are reachable, on both ports (firewall)",
     "that the second address is a public one"},
};
const struct advice advice_both_symmetric = {
    "Both NATs give every destination another port, so neither host can tell the other where to "
    "send. "
    "No trick helps but guessing ports. A call between these hosts goes through the relay.",
    {"that browsers get the TURN server in their iceServers",
     "the settings of either NAT: \"endpoint-"
     "independent mapping\", \"full cone\", or not to randomize ports"},
};
const struct advice advice_one_symmetric = {
    "The symmetric NAT gives every destination another port, which the other host cannot know; the "
    "other NAT lets in only packets from where its host has sent to. So neither can begin, and a "
    "call "
    "between these hosts goes through the relay.",
    {"that browsers get the TURN server in their iceServers",
     "the settings of either NAT: \"endpoint-independent mapping\" of the one, \"full cone\" of "
     "the "
     "other"},
};
const struct advice advice_no_path = {
    "The two hosts met through the relay, and no packet got through directly. A call between them "
    "goes "
    "through the relay.",
    {"turnpike-probe nat on both: which NAT they are behind",
     "firewalls that drop incoming UDP even where this host has sent first"},
};
const struct advice advice_no_meeting = {
    "The other probe was not heard of through the relay.",
    {"that it runs, with the code of this run: each code is good for one",
     "that both use the same server; behind one name there may be several",
     "that the server relays between two of its own allocations"},
};
