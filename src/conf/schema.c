// SPDX-License-Identifier: BSD-2-Clause
// The options. An option is defined here and nowhere else.
#include <config.h>

#include "conf/option.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

#define AT(field) .offset = offsetof(struct conf, field)
#define LIST(field, n, most)                                                                       \
    .list = true, .offset = offsetof(struct conf, field), .count = offsetof(struct conf, n),       \
    .size = sizeof(*((struct conf *)0)->field), .max_items = most
#define IN(type, field) .offset = offsetof(struct type, field)

#ifdef WITH_SQLITE
#define DEFAULT_STORES "[ \"sqlite:" TP_LOCALSTATEDIR "/lib/turnpike/users.db\" ]"
#else
#define DEFAULT_STORES "[ ]"
#endif

#ifdef WITH_SIGNAL
#define DEV_SIGNAL_PORT "8080"
#else
#define DEV_SIGNAL_PORT "0"
#endif

const struct conf_option conf_options[] = {
    {"realm",
     "The realm of the long-term credentials, as a rule the domain name of the service. It is part "
     "of every stored "
     "key: to change it means to set every password again.",
     CONF_STRING, AT(realm), .min = 1, .max = 127, .check = conf_check_realm, .opaque = true,
     .required = true, .dev_value = "\"turnpike\""},
    {"workers", "How many threads serve clients. 0: one per CPU. Only a restart changes it.",
     CONF_UINT, AT(workers), .max = 256, .value = "0"},
    {"user", "The user to run as once the sockets are open. Not set: the one that started it.",
     CONF_STRING, AT(user), .min = 1, .max = 255},
    {"group", "The group to run as. Not set: the primary group of user.", CONF_STRING, AT(group),
     .min = 1, .max = 255},

    {"listen",
     "Where clients connect to. If the UDP listeners of a family that name their addresses and "
     "take "
     "clients in the clear are two addresses by two ports, these answer NAT behaviour discovery "
     "(RFC 5780), with the addresses of relay.external where they have one there; the log says so "
     "at start.",
     CONF_GROUPS, LIST(listen, listen_count, 64), .min_items = 1,
     .value = "( { transport = \"udp\"; }, { transport = \"tcp\"; } )",
     .dev_value = "( { transport = \"udp\"; address = \"127.0.0.1\"; }, { transport = \"tcp\"; "
                  "address = \"127.0.0.1\"; },"
                  "  { transport = \"udp\"; address = \"::1\"; }, { transport = \"tcp\"; address = "
                  "\"::1\"; } )"},
    {"listen.transport",
     "The transport protocol. \"tls\" and \"dtls\" speak nothing else; \"tcp+tls\" and "
     "\"udp+dtls\" tell by the first byte whether a client speaks in the clear.",
     CONF_CODED, IN(conf_listen, transport), .codec = &conf_codec_transport, .required = true},
    {"listen.address",
     "The IP address. \"*\" is every address of the host, IPv4 and IPv6; answers leave from the "
     "address that was "
     "asked.",
     CONF_CODED, .offset = 0, .codec = &conf_codec_listen_address, .value = "\"*\""},
    {"listen.port", "The port.", CONF_PORT, IN(conf_listen, addr.port), .min = 1, .max = 65535,
     .value = "3478"},
    {"listen.proxy_protocol",
     "Whether a load balancer stands in front that begins each connection with a header of the "
     "PROXY protocol, version 1 or 2. Then it is required, and the client's address is taken from "
     "it: nobody else may reach that port. TCP and TLS only.",
     CONF_BOOL, IN(conf_listen, proxy_protocol), .value = "false"},
    {"listen.http",
     "Whether the signaling server and its page are reached on this port as well, so that 443 does "
     "for all. In the clear the first byte tells HTTP from STUN. In TLS it is HTTP if the client "
     "offers \"http/1.1\" (ALPN), as browsers do, and none of TURN's protocols. Where ALPN does "
     "not tell, as with wget, the first byte inside does; until then such a client is treated as "
     "one of TURN and needs a certificate of tls.client_ca, if that is set. If signal.client_ca is "
     "another file, HTTP in there is refused with a line in the log. TCP and TLS only.",
     CONF_BOOL, IN(conf_listen, http), .value = "false"},

    {"tls", "Certificates and ciphers of TLS and DTLS.", CONF_GROUP},
    {"tls.certificate",
     "A PEM file: the server's certificate, then those of its issuers. Read at start and at each "
     "reload.",
     CONF_STRING, AT(tls.certificate), .min = 1, .max = 1023},
    {"tls.key",
     "The PEM file of its private key, without a pass phrase. It is read at start with the rights "
     "of whoever starts the server, but at a reload with those of user: give that user's group "
     "the right to read it.",
     CONF_STRING, AT(tls.key), .min = 1, .max = 1023},
    {"tls.additional",
     "More certificates. A client that names the server it wants gets the first that is for that "
     "name, others the one above.",
     CONF_GROUPS, LIST(tls.additional, tls.additional_count, 100), .value = "( )"},
    {"tls.additional.certificate", "As tls.certificate.", CONF_STRING,
     IN(conf_certificate, certificate), .min = 1, .max = 1023, .required = true},
    {"tls.additional.key", "As tls.key.", CONF_STRING, IN(conf_certificate, key), .min = 1,
     .max = 1023, .required = true},
    {"tls.min_version", "The oldest version of TLS. DTLS is always 1.2.", CONF_CODED,
     AT(tls.min_version), .codec = &conf_codec_tls_version, .value = "\"1.2\""},
    {"tls.ciphers", "The ciphers of TLS 1.2 and DTLS 1.2, in the notation of openssl-ciphers(1).",
     CONF_STRING, AT(tls.ciphers), .min = 1, .max = 1023,
     .value = "\"ECDHE+AESGCM:ECDHE+CHACHA20\""},
    {"tls.ciphersuites", "The cipher suites of TLS 1.3.", CONF_STRING, AT(tls.ciphersuites),
     .min = 1, .max = 1023,
     .value = "\"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256\""},
    {"tls.groups", "The groups for the key exchange, best first.", CONF_STRING, AT(tls.groups),
     .min = 1, .max = 1023, .value = "\"X25519:P-256:P-384\""},
    {"tls.client_ca",
     "A PEM file of certificate authorities. If set, a client of TURN has to show a certificate "
     "that one of them signed. Browsers have none for it; HTTPS has signal.client_ca.",
     CONF_STRING, AT(tls.client_ca), .min = 1, .max = 1023},

    {"relay", "The addresses that peers see, and the peers that may be reached.", CONF_GROUP},
    {"relay.addresses",
     "The IP addresses to relay from. Empty: the addresses of the interfaces with the default "
     "routes.",
     CONF_CODED, LIST(relay.addresses, relay.address_count, 64), .codec = &conf_codec_address,
     .value = "[ ]", .dev_value = "[ \"127.0.0.1\", \"::1\" ]"},
    {"relay.external",
     "For hosts behind 1:1 NAT: the public address that clients are told instead of the relay "
     "address; alone or, with several relay addresses of a family, in pairs written "
     "\"relay/public\".",
     CONF_CODED, LIST(relay.external, relay.external_count, 64), .codec = &conf_codec_external,
     .value = "[ ]"},
    {"relay.ports",
     "The first and the last port to relay from. Each allocation takes one, chosen at random.",
     CONF_PORTS, AT(relay.port_min), .min = 1, .max = 65535, .value = "[ 49152, 65535 ]"},
    {"relay.allow",
     "Peers to be reached although they are refused by default, as loopback, private, link-local "
     "and other "
     "special addresses are. Open no more than is needed: clients choose their peers.",
     CONF_CODED, LIST(relay.allow, relay.allow_count, 4096), .codec = &conf_codec_range,
     .value = "[ ]", .dev_value = "[ \"127.0.0.0/8\", \"::1\" ]"},
    {"relay.deny", "Peers to be refused, on top of the built-in refusals. Wins over allow.",
     CONF_CODED, LIST(relay.deny, relay.deny_count, 4096), .codec = &conf_codec_range,
     .value = "[ ]"},
    {"relay.tcp", "Whether clients may have TCP connections to and from peers relayed (RFC 6062).",
     CONF_BOOL, AT(relay.tcp), .value = "true"},
    {"relay.mobility",
     "Whether a client may take its allocation along to another address or transport (RFC 8016). "
     "An "
     "allocation with a ticket for that outlives its connection until it expires. If false, who "
     "asks "
     "for a ticket gets 405 (Mobility Forbidden).",
     CONF_BOOL, AT(relay.mobility), .value = "true"},
    {"relay.coalesce",
     "Microseconds that packets may wait for others when they come faster than that, so that one "
     "wake-up serves many: less CPU per packet, for so much latency. Packets that come more slowly "
     "never wait. 0: none does.",
     CONF_UINT, AT(relay.coalesce), .max = 10000, .value = "0"},

    {"alternate", "Where clients are sent that ask for an allocation.", CONF_GROUP},
    {"alternate.servers",
     "If set, Allocate requests are answered with 300 (Try Alternate) and one of these, in turn, "
     "of the family that the client used. A family without any is served here, and nobody is sent "
     "to the address that he asked, so that several servers may share one list.",
     CONF_CODED, LIST(alternate.servers, alternate.server_count, 64),
     .codec = &conf_codec_transport_address, .value = "[ ]"},
    {"alternate.domain",
     "The name that the certificates of these servers are for, when it is not the one of this "
     "server.",
     CONF_STRING, AT(alternate.domain), .min = 1, .max = 255, .check = conf_check_domain},

    {"auth", "Who may relay. Every allocation needs a user.", CONF_GROUP},
    {"auth.stores",
     "Where users live, asked in this order after the users and secrets below: \"sqlite:PATH\", "
     "\"redis://[[USER:]PASSWORD@]HOST[:PORT][/DB]\", "
     "\"redis+unix:[//[[USER:]PASSWORD@]]/PATH[?db=DB]\", "
     "\"redis+sentinel://[[USER:]PASSWORD@]HOST[:PORT],.../MASTER[/DB]\"; \"?layout=coturn\" "
     "(\"&layout=coturn\" behind db=DB) at the end of a Redis URI reads an existing coturn "
     "database. What a name or password has of /, @, : or % is written as %XX. turnpikectl writes "
     "to the first.",
     CONF_STRING, LIST(auth.stores, auth.store_count, 8), .min = 1, .max = 1023,
     .check = conf_check_store, .uri = true, .value = DEFAULT_STORES, .dev_value = "[ ]",
     .manual = "[ \"sqlite:@localstatedir@/lib/turnpike/users.db\" ]"},
    {"auth.users", "Users of this file; for more than a few take a store.", CONF_GROUPS,
     LIST(auth.users, auth.user_count, 1000), .value = "( )"},
    {"auth.users.name",
     "The user name. Like realm and password it is prepared as RFC 8265 says (OpaqueString).",
     CONF_STRING, IN(conf_user, name), .min = 1, .max = 508, .opaque = true, .required = true},
    {"auth.users.password", "The password. Either this or key.", CONF_STRING,
     IN(conf_user, password), .min = 1, .max = 508, .opaque = true, .secret = true},
    {"auth.users.key",
     "MD5 of name:realm:password as 32 hex digits, so that the password need not stand here.",
     CONF_STRING, IN(conf_user, key), .min = 32, .max = 32, .check = conf_check_user_key,
     .secret = true},
    {"auth.secrets",
     "Secrets shared with the application server, which makes time-limited user names and "
     "passwords from them "
     "(draft-uberti-behave-turn-rest). All are valid at once, so that they can be replaced one by "
     "one; turnpikectl "
     "ice-servers uses the first.",
     CONF_STRING, LIST(auth.secrets, auth.secret_count, 8), .min = 1, .max = 256, .secret = true,
     .value = "[ ]"},
    {"auth.username_anonymity",
     "Whether clients are told to send a hash in place of their user name (RFC 8489). Those that "
     "know "
     "of it do; they are served without this as well, and others with it. Not possible with shared "
     "secrets, those in stores included, or \"layout=coturn\": there nobody can be found by a "
     "hash.",
     CONF_BOOL, AT(auth.username_anonymity), .value = "false"},
    {"auth.nonce_lifetime", "Seconds that a nonce is good for.", CONF_UINT, AT(auth.nonce_lifetime),
     .min = 1, .max = 86400, .value = "3600"},
    {"auth.nonce_key",
     "64 hex digits that sign nonces, the same on every node that shall accept the others' nonces. "
     "Not set: random at "
     "each start.",
     CONF_STRING, AT(auth.nonce_key), .min = 64, .max = 64, .check = conf_check_nonce_key,
     .secret = true},
    {"auth.cache_ttl",
     "Seconds that the answer of a Redis is used without asking again. Changes made with "
     "turnpikectl take effect at "
     "once all the same.",
     CONF_UINT, AT(auth.cache_ttl), .max = 86400, .value = "60"},
    {"auth.timeout", "Milliseconds until a look-up in a Redis is given up; the client can retry.",
     CONF_UINT, AT(auth.timeout), .min = 10, .max = 60000, .value = "1000"},
    {"auth.cache_entries", "How many answers each worker keeps. The oldest go first.", CONF_UINT,
     AT(auth.cache_entries), .min = 1, .max = 10000000, .value = "10000"},
    {"auth.max_pending",
     "How many look-ups may wait in each worker; more are answered with error 500.", CONF_UINT,
     AT(auth.max_pending), .min = 1, .max = 1000000, .value = "1000"},

    {"tokens",
     "Access tokens of third-party authorization (RFC 7635): an authorization server that shares a "
     "key with this server seals them, and clients present them in place of a password.",
     CONF_GROUP},
    {"tokens.server",
     "The name that tokens for this server are made for; clients are told it. Not set: no tokens.",
     CONF_STRING, AT(tokens.server), .min = 1, .max = 127, .check = conf_check_token_server},
    {"tokens.keys",
     "Keys shared with authorization servers. More may be in auth.stores, where turnpikectl "
     "token-key puts them.",
     CONF_GROUPS, LIST(tokens.keys, tokens.key_count, 64), .value = "( )"},
    {"tokens.keys.id", "The key's id (kid), which clients send as their user name.", CONF_STRING,
     IN(conf_token_key, id), .min = 1, .max = 128, .required = true},
    {"tokens.keys.key",
     "The key, 32 bytes for A256GCM or 16 bytes for A128GCM, in hex digits or base64.", CONF_STRING,
     IN(conf_token_key, key), .min = 24, .max = 64, .check = conf_check_token_key, .secret = true,
     .required = true},
    {"tokens.keys.algorithm", "How tokens are sealed with the key.", CONF_CODED,
     IN(conf_token_key, algorithm), .codec = &conf_codec_token_algorithm, .value = "\"A256GCM\""},

    {"limits", "How much anyone may use.", CONF_GROUP},
    {"limits.user_allocations", "Allocations of one user at a time. 0: no limit.", CONF_UINT,
     AT(limits.user_allocations), .max = INT32_MAX, .value = "0"},
    {"limits.total_allocations", "Allocations at a time. 0: as many as there are ports.", CONF_UINT,
     AT(limits.total_allocations), .max = INT32_MAX, .value = "0"},
    {"limits.permissions", "Permissions of one allocation.", CONF_UINT, AT(limits.permissions),
     .min = 1, .max = 65536, .value = "256"},
    {"limits.channels", "Channels of one allocation.", CONF_UINT, AT(limits.channels), .min = 1,
     .max = 4096, .value = "256"},
    {"limits.lifetime",
     "Seconds that an allocation lives when the client asks for nothing or less.", CONF_UINT,
     AT(limits.lifetime), .min = 1, .max = 86400, .value = "600"},
    {"limits.lifetime_max",
     "Seconds that an allocation lives at most before it has to be refreshed.", CONF_UINT,
     AT(limits.lifetime_max), .min = 1, .max = 86400, .value = "3600"},
    {"limits.permission_lifetime",
     "Seconds that a permission lives. RFC 8656 says 300, and clients refresh accordingly.",
     CONF_UINT, AT(limits.permission_lifetime), .min = 1, .max = 86400, .value = "300"},
    {"limits.channel_lifetime",
     "Seconds that a channel binding lives. RFC 8656 says 600, and clients refresh accordingly.",
     CONF_UINT, AT(limits.channel_lifetime), .min = 1, .max = 86400, .value = "600"},
    {"limits.unauthenticated_rate",
     "Answers per second of each worker to one source (a /24 of IPv4, a /64 of IPv6) that has not "
     "authenticated. "
     "More requests are "
     "dropped, so that forged sources cannot use the server to flood others. 0: no limit.",
     CONF_UINT, AT(limits.unauthenticated_rate), .max = 1000000, .value = "100", .dev_value = "0"},
    {"limits.tcp_connections",
     "TCP and TLS connections and DTLS sessions of one source (an IPv4 address, a /64 of IPv6) to "
     "each "
     "worker. With listen.proxy_protocol the source is the client, not the load balancer.",
     CONF_UINT, AT(limits.tcp_connections), .min = 1, .max = 1000000, .value = "1024"},
    {"limits.tcp_idle",
     "Seconds until a TCP or TLS connection or a DTLS session without an allocation is closed.",
     CONF_UINT, AT(limits.tcp_idle), .min = 1, .max = 86400, .value = "60"},
    {"limits.tcp_backlog",
     "Bytes that are queued for a TCP client that does not read; beyond that data is dropped.",
     CONF_UINT, AT(limits.tcp_backlog), .min = 4096, .max = 1 << 30, .value = "262144"},

    {"limits.peer_connections",
     "Connections to and from peers of one TCP allocation, unfinished ones included. Beyond it a "
     "client's Connect is refused (508), and what peers open is closed.",
     CONF_UINT, AT(limits.peer_connections), .min = 1, .max = 65536, .value = "64"},
    {"limits.tls_handshakes",
     "Unfinished TLS and DTLS handshakes of each worker. When there are more, the oldest of the "
     "source that has the most of them gives way to the new one.",
     CONF_UINT, AT(limits.tls_handshakes), .min = 1, .max = 1000000, .value = "1000"},
    {"limits.tls_timeout",
     "Seconds until an unfinished handshake is given up, and an unfinished header of the PROXY "
     "protocol.",
     CONF_UINT, AT(limits.tls_timeout), .min = 1, .max = 3600, .value = "10"},
    {"limits.dtls_sessions",
     "DTLS sessions of each worker; further clients are not answered. A session takes about 64 KiB "
     "while there are packets, and half of it while there are none.",
     CONF_UINT, AT(limits.dtls_sessions), .min = 1, .max = 10000000, .value = "10000"},
    {"limits.user_bps",
     "Bits per second that one user may relay, counted over all allocations, both directions and "
     "the payload alone; the number in a user's record wins. Bursts of 250 ms' worth or 64 KiB "
     "pass; "
     "datagrams beyond are dropped, data of TCP peers waits. A new number counts from the reload "
     "on. 0: no limit.",
     CONF_UINT64, AT(limits.user_bps), .value = "0L"},
    {"limits.total_bps",
     "Bits per second that the whole server relays, counted likewise. 0: no limit.", CONF_UINT64,
     AT(limits.total_bps), .value = "0L"},

    {"signal",
     "The signaling server and the page that shows what it does: HTTP and WebSocket on a port of "
     "their own, on ports of the relay (listen.http), or both.",
     CONF_GROUP},
    {"signal.address", "The IP address to listen on. \"*\" is every address of the host.",
     CONF_CODED, AT(signal.listen), .codec = &conf_codec_listen_address, .value = "\"*\"",
     .dev_value = "\"127.0.0.1\""},
    {"signal.port", "The TCP port. 0: none but those with listen.http.", CONF_PORT,
     AT(signal.listen.addr.port), .min = 0, .max = 65535, .value = "0",
     .dev_value = DEV_SIGNAL_PORT},
    {"signal.tls",
     "Whether that port speaks HTTPS, with the certificates of tls. Browsers give camera and "
     "microphone "
     "to pages of HTTPS and of this machine only, so that without this a proxy has to do it.",
     CONF_BOOL, AT(signal.tls), .value = "false"},
    {"signal.client_ca",
     "A PEM file of certificate authorities. If set, a client of HTTPS has to show a certificate "
     "that one of them signed.",
     CONF_STRING, AT(signal.client_ca), .min = 1, .max = 1023},
    {"signal.host",
     "The host name or address of this server in the URLs that clients get. Not set: that of the "
     "listener, else the first of relay.external, else the first of relay.addresses, else the "
     "realm. "
     "TLS needs a name that the certificate is for. Who comes to a loopback address by a name is "
     "served by this one, localhost and the realm only, unless it is one of signal.proxies.",
     CONF_STRING, AT(signal.host), .min = 1, .max = 255, .check = conf_check_host},
    {"signal.origins",
     "Web sites that may use it besides the page that it serves itself, such as "
     "\"https://app.example.org\"; \"*\" is every one. Clients that are no browser send no origin "
     "and are not asked for one.",
     CONF_STRING, LIST(signal.origins, signal.origin_count, 64), .min = 1, .max = 255,
     .check = conf_check_origin, .value = "[ ]"},
    {"signal.proxies",
     "Reverse proxies in front of it: the client's address is taken from the X-Forwarded-For of "
     "these and nobody else.",
     CONF_CODED, LIST(signal.proxies, signal.proxy_count, 64), .codec = &conf_codec_range,
     .value = "[ ]"},
    {"signal.jwt_secrets",
     "If set, who registers and who asks for iceServers has to show a JSON Web Token (HS256) that "
     "is "
     "signed with one of these.",
     CONF_STRING, LIST(signal.jwt_secrets, signal.jwt_secret_count, 8), .min = 16, .max = 256,
     .secret = true, .value = "[ ]"},
    {"signal.ttl",
     "Seconds that the credentials in iceServers are good for, but not beyond the token of who "
     "asks "
     "for them. They are made from the first of auth.secrets, and if there is none from a random "
     "one, which lasts until the server ends.",
     CONF_UINT, AT(signal.ttl), .min = 60, .max = 7 * 86400, .value = "86400"},
    {"signal.capacity", "Members of a room.", CONF_UINT, AT(signal.capacity), .min = 1, .max = 1000,
     .value = "2"},
    {"signal.rooms", "Rooms that one connection may be in.", CONF_UINT, AT(signal.rooms), .min = 1,
     .max = 1000, .value = "8"},
    {"signal.name_bytes", "Bytes of the name of a user or room.", CONF_UINT, AT(signal.name_bytes),
     .min = 8, .max = 255, .value = "64"},
    {"signal.text_bytes", "Bytes of a message.", CONF_UINT, AT(signal.text_bytes), .min = 1024,
     .max = 1 << 24, .value = "65536"},
    {"signal.binary_bytes", "Bytes of a binary message.", CONF_UINT, AT(signal.binary_bytes),
     .min = 1024, .max = 1 << 26, .value = "1048576"},
    {"signal.rate", "Messages per second of one connection.", CONF_UINT, AT(signal.rate), .min = 1,
     .max = 1000000, .value = "50"},
    {"signal.burst", "Messages that a connection may send at once.", CONF_UINT, AT(signal.burst),
     .min = 1, .max = 1000000, .value = "200"},
    {"signal.rate_bytes",
     "Bytes per second that what one connection says to others may come to, counted for each who "
     "gets it, and as many at once. 0: any number. Messages to everybody have a limit of their "
     "own.",
     CONF_UINT, AT(signal.rate_bytes), .max = 1 << 30, .value = "16777216"},
    {"signal.register_timeout", "Seconds until a connection that does not register is closed.",
     CONF_UINT, AT(signal.register_timeout), .min = 1, .max = 3600, .value = "5"},
    {"signal.grace", "Seconds that a lost connection can be resumed before the others are told.",
     CONF_UINT, AT(signal.grace), .max = 3600, .value = "10"},
    {"signal.ping_interval",
     "Seconds between two pings. A connection that leaves two of them unanswered is closed.",
     CONF_UINT, AT(signal.ping_interval), .min = 1, .max = 3600, .value = "15"},
    {"signal.connections",
     "Connections at a time. For one more that goes which has waited longest for a request; where "
     "none waits it is answered with 503.",
     CONF_UINT, AT(signal.connections), .min = 1, .max = 10000000, .value = "20000"},
    {"signal.address_connections",
     "Connections of one source (an IPv4 address, a /64 of IPv6): so many for signaling, and as "
     "many again for other requests, where one that has been answered goes for a new one.",
     CONF_UINT, AT(signal.address_connections), .min = 1, .max = 10000000, .value = "32"},
    {"signal.backlog",
     "Bytes that are queued for a client that does not read; then the connection is closed.",
     CONF_UINT, AT(signal.backlog), .min = 65536, .max = 1 << 30, .value = "1048576"},
    {"signal.request_timeout",
     "Seconds for a whole request to arrive, TLS handshake included, and until a connection "
     "without "
     "requests is closed.",
     CONF_UINT, AT(signal.request_timeout), .min = 1, .max = 3600, .value = "10"},

    {"log", "What is written where.", CONF_GROUP},
    {"log.level", "The least important messages to write.", CONF_CODED, AT(log.level),
     .codec = &conf_codec_level, .value = "\"info\""},
    {"log.format", "Lines for people or for programs.", CONF_CODED, AT(log.format),
     .codec = &conf_codec_format, .value = "\"text\""},
    {"log.target",
     "\"stderr\", \"stdout\", \"syslog\" or \"file:/path\"; the signal HUP reopens the file.",
     CONF_STRING, AT(log.target), .min = 1, .max = 1023, .check = conf_check_target,
     .value = "\"stderr\""},
};

const size_t conf_option_count = sizeof(conf_options) / sizeof(conf_options[0]);

const struct conf_option *conf_option_find(const char *key)
{
    for (size_t i = 0; i < conf_option_count; i++) {
        if (strcmp(conf_options[i].key, key) == 0)
            return &conf_options[i];
    }
    return NULL;
}

const char *conf_option_name(const struct conf_option *o)
{
    const char *dot = strrchr(o->key, '.');
    return dot ? dot + 1 : o->key;
}

const struct conf_option *conf_option_parent(const struct conf_option *o)
{
    const char *name = conf_option_name(o);
    size_t len = (size_t)(name - o->key);
    for (size_t i = 0; len > 0 && i < conf_option_count; i++) {
        if (strlen(conf_options[i].key) == len - 1 &&
            memcmp(conf_options[i].key, o->key, len - 1) == 0)
            return &conf_options[i];
    }
    return NULL;
}

const char *conf_option_allowed(const struct conf_option *o, char *buf, size_t cap)
{
    if (o->type == CONF_CODED)
        snprintf(buf, cap, "%s", o->codec->allowed);
    else if (o->type == CONF_STRING && o->min == o->max)
        snprintf(buf, cap, "%u characters", o->min);
    else if (o->type == CONF_STRING)
        snprintf(buf, cap, "%u to %u bytes", o->min, o->max);
    else if (o->type == CONF_BOOL)
        snprintf(buf, cap, "true and false");
    else if (o->type == CONF_UINT64)
        snprintf(buf, cap, "0 to %" PRId64, INT64_MAX);
    else
        snprintf(buf, cap, "%u to %u", o->min, o->max);
    return buf;
}
