// SPDX-License-Identifier: BSD-2-Clause
// The configuration as an immutable snapshot: parsed, checked, then shared read-only by every
// worker.
#ifndef TP_CONF_CONF_H
#define TP_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/addr.h"
#include "util/log.h"

// What a listener speaks. A port of two tells them apart by the first byte (RFC 7983).
enum conf_transport { CONF_UDP, CONF_TCP, CONF_TLS, CONF_DTLS, CONF_TCP_TLS, CONF_UDP_DTLS };

// Whether clients connect to it; else they send datagrams.
static inline bool conf_transport_stream(enum conf_transport t)
{
    return t == CONF_TCP || t == CONF_TLS || t == CONF_TCP_TLS;
}

// Whether it takes STUN in the clear.
static inline bool conf_transport_plain(enum conf_transport t)
{
    return t != CONF_TLS && t != CONF_DTLS;
}

// Whether it takes TLS or DTLS.
static inline bool conf_transport_secure(enum conf_transport t)
{
    return t != CONF_UDP && t != CONF_TCP;
}

// "udp", "tcp+tls", ...: as it is written in the file.
const char *conf_transport_name(enum conf_transport t);

enum conf_tls_version { CONF_TLS_1_2, CONF_TLS_1_3 };

struct conf_listen {
    enum conf_transport transport;
    bool any;            // address "*": every address, IPv4 and IPv6
    struct addr addr;    // with the port; family ADDR_NONE when any (the port is still set)
    bool proxy_protocol; // every connection begins with a header of the PROXY protocol
    bool http;           // HTTP is served there, too
};

struct conf_external { // 1:1 NAT: what is told to clients instead of a relay address
    struct addr relay; // family ADDR_NONE: whichever of the family of external is found at start
                       // (relay.addresses is empty)
    struct addr external;
};

struct conf_certificate { // PEM files
    char *certificate;    // the server's first, then its issuers
    char *key;
};

struct conf_user {
    char *name;
    char *password; // one of the two
    char *key;      // MD5 key, 32 hex digits
};

// The algorithms of access tokens (RFC 7635).
enum conf_token_algorithm { CONF_A256GCM, CONF_A128GCM };

struct conf_token_key {
    char *id;
    char *key; // hex or base64
    enum conf_token_algorithm algorithm;
};

struct conf {
    char *file;                  // where it came from; NULL for --dev
    struct conf_origin *origins; // where each value was set, for conf_explain
    size_t origin_count;
    bool dev;
    char *realm;
    unsigned workers;   // as given; 0: one per CPU
    char *user, *group; // to run as; NULL: stay

    struct conf_listen *listen;
    size_t listen_count;

    struct {
        char *certificate, *key; // NULL: no listener needs them
        struct conf_certificate *additional;
        size_t additional_count;
        enum conf_tls_version min_version;
        char *ciphers;      // of TLS 1.2 and DTLS 1.2
        char *ciphersuites; // of TLS 1.3
        char *groups;       // of the key exchange
        char *client_ca;    // NULL: clients need no certificate
    } tls;

    struct {
        struct addr *addresses; // port 0. Empty: the address of the default route's interface,
                                // found at start
        size_t address_count;
        struct conf_external *external;
        size_t external_count;
        uint16_t port_min, port_max;
        struct addr_range *allow, *deny;
        size_t allow_count, deny_count;
        bool tcp;          // TCP allocations, RFC 6062
        bool mobility;     // RFC 8016
        uint32_t coalesce; // us
    } relay;

    struct { // where Allocate requests are sent instead, RFC 8489 10
        struct addr *servers;
        size_t server_count;
        char *domain;
    } alternate;

    struct {
        char **stores;
        size_t store_count;
        struct conf_user *users;
        size_t user_count;
        char **secrets;
        size_t secret_count;
        bool username_anonymity; // RFC 8489 9.2
        unsigned nonce_lifetime; // s
        char *nonce_key;         // NULL: random at start
        unsigned cache_ttl;      // s
        unsigned timeout;        // ms
        unsigned cache_entries;
        unsigned max_pending;
    } auth;

    struct {
        char *server; // NULL: no access tokens
        struct conf_token_key *keys;
        size_t key_count;
    } tokens;

    struct {
        uint32_t user_allocations, total_allocations;
        uint32_t permissions, channels;                 // of one allocation
        uint32_t lifetime, lifetime_max;                // s
        uint32_t permission_lifetime, channel_lifetime; // s
        uint32_t unauthenticated_rate; // answers per second to one source prefix before
                                       // authentication, 0: no limit
        uint32_t tcp_connections;      // of one source IP, per worker
        uint32_t tcp_idle;             // s until a connection without allocation is closed
        uint32_t tcp_backlog;          // bytes queued to a receiver that does not read
        uint32_t peer_connections;     // of one TCP allocation
        uint32_t tls_handshakes;       // unfinished, TLS and DTLS together, per worker
        uint32_t tls_timeout;          // s for a handshake
        uint32_t dtls_sessions;        // per worker
        uint64_t user_bps, total_bps;  // bits/s, 0: no limit
    } limits;

    struct {                       // the public HTTP server: signaling, iceServers, the page
        struct conf_listen listen; // port 0: no port of its own. The transport is not used
        bool tls;                  // on that port
        char *client_ca;           // NULL: clients of HTTPS need no certificate
        char *host;                // in the URLs of iceServers; NULL: conf_ice_host finds one
        char **origins;
        size_t origin_count;
        struct addr_range *proxies; // whose X-Forwarded-For is believed
        size_t proxy_count;
        char **jwt_secrets; // none: no tokens are asked for
        size_t jwt_secret_count;
        uint32_t ttl;              // s, of the credentials in iceServers
        uint32_t capacity;         // of a room
        uint32_t rooms;            // of one connection
        uint32_t name_bytes;       // of users and rooms
        uint32_t text_bytes;       // of a message
        uint32_t binary_bytes;     // of a binary message
        uint32_t rate, burst;      // messages of one connection, per second and at once
        uint32_t rate_bytes;       // per second, of these, for all who get them. 0: no limit
        uint32_t register_timeout; // s
        uint32_t grace;            // s that a lost connection can be resumed
        uint32_t ping_interval;    // s
        uint32_t connections, address_connections;
        uint32_t backlog;         // bytes queued to a receiver that does not read
        uint32_t request_timeout; // s for a request to arrive
    } signal;

    struct {
        enum log_level level;
        enum log_format format;
        char *target;
    } log;
};

// One mistake, as the user sees it: "file:line: key: what is wrong, what is allowed".
struct conf_errors {
    char *text; // one line each, newline-terminated; NULL when there are none, or no memory for it
    unsigned count;
};

// A `key=value` from the command line that overrides the file; key is the dotted path
// ("log.level").
struct conf_override {
    const char *key;
    const char *value;
};

// Whether there is an HTTP server: on a port of its own, or on one of the relay's.
bool conf_serves_http(const struct conf *c);

// Loads and checks a file (NULL: defaults, as --dev starts from) with overrides. NULL with errors
// filled on any mistake: all of them are reported, not the first. Free errors->text with free().
struct conf *conf_load(const char *file, bool dev, const struct conf_override *overrides,
                       size_t override_count, struct conf_errors *errors);
// The same from memory; name stands for the file in messages. For tests and the fuzzer.
struct conf *conf_load_text(const char *text, const char *name, bool dev,
                            const struct conf_override *overrides, size_t override_count,
                            struct conf_errors *errors);
void conf_free(struct conf *c);

// For mistakes that show only when the configuration is used, such as in the files that it names:
// writes why, which as a rule begins with a key ("tls.key: cannot read ..."), behind the file and
// line that set it, or behind the file alone where it is not set there or begins otherwise.
void conf_explain(const struct conf *c, const char *why, char *out, size_t cap);

// How the URIs of auth.stores are checked; NULL (the start value): their form only. Once, before
// any load: the stores are a layer of their own, and this way their URIs are checked where the
// file's line is known.
void conf_set_store_check(int (*check)(const char *uri, const char **why));

// Writes the whole configuration with every default filled in, in the file's own syntax, commented
// from the schema. Secrets are shown as "<hidden>".
void conf_print(const struct conf *c, FILE *out);

// Writes the schema as the manual's option list (mdoc), so that an option is described in one place
// only.
void conf_print_manual(FILE *out);

#endif
