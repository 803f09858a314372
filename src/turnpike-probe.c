// SPDX-License-Identifier: BSD-2-Clause
// The diagnosis tool: finds the command, reads its options and the password, runs it.
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/probe.h"
#include "probe/punch_code.h"
#include "util/codec.h"

enum {
    CMD_STUN = 1,
    CMD_TURN = 2,
    CMD_NAT = 4,
    CMD_PUNCH = 8,
    CMD_ALL = 15,
};

static const struct command {
    const char *name, *arguments, *summary;
    unsigned bit;
    int min_words, max_words;
    int (*run)(struct probe *p);
} commands[] = {
    {"stun", "URI", "the address that a server sees, and how long its answers take", CMD_STUN, 1, 1,
     probe_stun},
    {"turn", "URI --user NAME", "everything that a call needs of a relay, step by step", CMD_TURN,
     1, 1, probe_turn},
    {"nat", "URI [URI]", "which kind of NAT this host is behind", CMD_NAT, 1, 2, probe_nat},
    {"punch", "URI --user NAME [CODE]", "whether two hosts get through to each other", CMD_PUNCH, 1,
     2, probe_punch},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

enum {
    OPT_JSON = 256,
    OPT_TIMEOUT,
    OPT_CA,
    OPT_INSECURE,
    OPT_SOURCE,
    OPT_DNS,
    OPT_USER,
    OPT_PASSWORD_FILE,
    OPT_COUNT,
    OPT_SIZE,
    OPT_INTERVAL,
    OPT_PEER,
    OPT_RELAY,
    OPT_LIFETIME,
    OPT_STUN,
    OPT_WAIT,
};

static const struct opt {
    int id;
    const char *name, *argument; // argument NULL: none
    unsigned commands;           // CMD_
    const char *help;
} opts[] = {
    {OPT_USER, "user", "NAME", CMD_TURN | CMD_PUNCH, "the user of the TURN server"},
    {OPT_PASSWORD_FILE, "password-file", "FILE", CMD_TURN | CMD_PUNCH,
     "read the password from the first line of a file"},
    {OPT_COUNT, "count", "N", CMD_STUN | CMD_TURN | CMD_PUNCH,
     "packets to send [stun, punch 5; turn 50]"},
    {OPT_SIZE, "size", "BYTES", CMD_TURN, "bytes in each, 12 to 1400 [160]"},
    {OPT_INTERVAL, "interval", "MS", CMD_STUN | CMD_TURN, "between two packets [20]"},
    {OPT_PEER, "peer", "KIND", CMD_TURN,
     "the other end: socket (of this host), relay (a second allocation), auto [auto]"},
    {OPT_RELAY, "relay", "4|6", CMD_TURN,
     "ask for a relayed address of IPv4 or IPv6 [the server's choice]"},
    {OPT_LIFETIME, "lifetime", "SECONDS", CMD_NAT,
     "also how long a binding of the NAT lives, up to that; takes as long"},
    {OPT_STUN, "stun", "ADDRESS:PORT", CMD_PUNCH,
     "a STUN server by UDP [the TURN server's address, its port or 3478]"},
    {OPT_WAIT, "wait", "SECONDS", CMD_PUNCH, "how long the first host waits for the second [300]"},
    {OPT_SOURCE, "source", "ADDRESS", CMD_ALL, "send from this address of this host"},
    {'4', NULL, NULL, CMD_ALL, "IPv4 only"},
    {'6', NULL, NULL, CMD_ALL, "IPv6 only"},
    {OPT_DNS, "dns", "ADDRESS", CMD_ALL, "ask this name server (IPv4, :PORT if it is not 53)"},
    {OPT_CA, "ca", "FILE", CMD_STUN | CMD_TURN | CMD_PUNCH,
     "trust the certificates in this PEM file, instead of the host's"},
    {OPT_INSECURE, "insecure", NULL, CMD_STUN | CMD_TURN | CMD_PUNCH,
     "go on with a certificate that is not accepted"},
    {OPT_TIMEOUT, "timeout", "SECONDS", CMD_ALL, "how long to wait for each answer [5]"},
    {OPT_JSON, "json", NULL, CMD_ALL, "print JSON"},
};
#define OPT_TABLE_LEN (sizeof(opts) / sizeof(opts[0]))

int probe_usage(const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fputs("turnpike-probe: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return PROBE_USAGE;
}

static void print_options(unsigned bits)
{
    for (size_t i = 0; i < OPT_TABLE_LEN; i++) {
        const struct opt *o = &opts[i];
        char line[64];
        if (!(o->commands & bits))
            continue;
        if (o->name)
            snprintf(line, sizeof(line), "--%s%s%s", o->name, o->argument ? " " : "",
                     o->argument ? o->argument : "");
        else
            snprintf(line, sizeof(line), "-%c", o->id);
        printf("  %-22s %s\n", line, o->help);
    }
    printf("  -h, --help             show this; after a command, its options\n"
           "  -V, --version          show the version\n");
}

static void print_help(const struct command *cmd)
{
    if (cmd) {
        printf("Usage: turnpike-probe %s %s [OPTION]...\n\nTells %s.\n\nOptions:\n", cmd->name,
               cmd->arguments, cmd->summary);
        print_options(cmd->bit);
    } else {
        printf("Usage: turnpike-probe COMMAND URI [OPTION]...\n\nCommands:\n");
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            char line[64];
            snprintf(line, sizeof(line), "%s %s", commands[i].name, commands[i].arguments);
            printf("  %-28s %s\n", line, commands[i].summary);
        }
        printf("\nOptions:\n");
        print_options(CMD_ALL);
    }
    printf("\nA URI is stun:HOST, stuns:HOST, turn:HOST or turns:HOST, then :PORT and\n"
           "?transport=udp or ?transport=tcp if need be, as in a browser's iceServers.\n");
    if (!cmd || (cmd->bit & (CMD_TURN | CMD_PUNCH)))
        printf("The password is asked for, or read from --password-file, from the "
               "variable\n" PROBE_PASSWORD_VARIABLE
               " or from standard input: never from the arguments.\n");
    printf("\nExit status: 0 it works, 1 it does not, 2 a mistake in the arguments.\n"
           "See turnpike-probe(1).\n");
}

static int parse_timeout(int64_t *out, const char *text)
{
    char *end;
    double s = strtod(text, &end);
    if (end == text || *end || !isfinite(s) || s < 0.1 || s > 300)
        return -EINVAL;
    *out = (int64_t)(s * 1e6);
    return 0;
}

static int bad_value(const struct opt *o, const char *value, const char *allowed)
{
    char shown[128];
    return probe_usage("--%s %s: allowed is %s", o->name,
                       text_escape(shown, sizeof(shown), value, strlen(value)), allowed);
}

// A decimal number within bounds.
static int take_number(const struct opt *o, const char *value, unsigned *out, unsigned min,
                       unsigned max)
{
    char *end, allowed[32];
    unsigned long n;

    errno = 0;
    n = strtoul(value, &end, 10);
    *out = (unsigned)n;
    if (!errno && end != value && !*end && *value != '-' && *value != '+' && n >= min && n <= max)
        return 0;
    snprintf(allowed, sizeof(allowed), "%u to %u", min, max);
    return bad_value(o, value, allowed);
}

static int take_dns(struct probe *p, const struct opt *o, const char *value)
{
    if ((addr_parse_ip(&p->dns, value, 0) < 0 && addr_parse(&p->dns, value) < 0) ||
        p->dns.family != ADDR_IPV4)
        return bad_value(o, value,
                         "the IPv4 address of a name server, as 192.0.2.53 or 192.0.2.53:5353");
    return 0;
}

static int take_peer(struct probe *p, const struct opt *o, const char *value)
{
    static const char *const kinds[] = {"auto", "socket", "relay"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(value, kinds[i]) == 0) {
            p->peer = (enum peer_kind)i;
            return 0;
        }
    }
    return bad_value(o, value, "auto, socket or relay");
}

static int take_user(struct probe *p, const struct opt *o, const char *value)
{
    if (!*value || strlen(value) > 508) // RFC 8489 14.3
        return bad_value(o, value, "a name of 1 to 508 bytes");
    strcpy(p->cred.user, value);
    return 0;
}

// The value of an option. 0, or PROBE_USAGE, reported.
static int take_option(struct probe *p, const struct opt *o, const char *value,
                       const char **password_file)
{
    struct addr server;
    switch (o->id) {
    case '4':
        p->family = ADDR_IPV4;
        return 0;
    case '6':
        p->family = ADDR_IPV6;
        return 0;
    case OPT_JSON:
        p->json = true;
        return 0;
    case OPT_INSECURE:
        p->insecure = true;
        return 0;
    case OPT_CA:
        p->ca_file = value;
        return 0;
    case OPT_PASSWORD_FILE:
        *password_file = value;
        return 0;
    case OPT_USER:
        return take_user(p, o, value);
    case OPT_PEER:
        return take_peer(p, o, value);
    case OPT_DNS:
        return take_dns(p, o, value);
    case OPT_TIMEOUT:
        return parse_timeout(&p->timeout, value) == 0 ? 0
                                                      : bad_value(o, value, "0.1 to 300 seconds");
    case OPT_SOURCE:
        return addr_parse_ip(&p->source, value, 0) == 0 ? 0 : bad_value(o, value, "an IP address");
    case OPT_STUN:
        p->stun_server = value;
        return addr_parse(&server, value) == 0 ? 0 : bad_value(o, value, "ADDRESS:PORT");
    case OPT_RELAY:
        p->relay_family = *value == '6' ? ADDR_IPV6 : ADDR_IPV4;
        return strcmp(value, "4") == 0 || strcmp(value, "6") == 0 ? 0
                                                                  : bad_value(o, value, "4 or 6");
    case OPT_WAIT:
        return take_number(o, value, &p->wait, 1, 3600);
    case OPT_COUNT:
        return take_number(o, value, &p->count, 1, 100000);
    case OPT_SIZE:
        return take_number(o, value, &p->size, 12, 1400);
    case OPT_INTERVAL:
        return take_number(o, value, &p->interval_ms, 0, 10000);
    default:
        return take_number(o, value, &p->lifetime, 2, 7200);
    }
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int take_uri(const char *text, struct probe_uri *out)
{
    char shown[128];
    const char *why;
    if (uri_parse(out, text, &why) == 0)
        return 0;
    return probe_usage("%s: %s", text_escape(shown, sizeof(shown), text, strlen(text)), why);
}

// RFC 5780 is about plain UDP.
static int take_udp_uri(const char *text, struct probe_uri *out)
{
    int rc = take_uri(text, out);
    if (rc != 0)
        return rc;
    if (out->transport == TRANSPORT_NONE && !out->secure)
        out->transport = TRANSPORT_UDP;
    return out->transport == TRANSPORT_UDP ? 0
                                           : probe_usage("nat works by plain UDP, as in stun:HOST");
}

// What belongs together: words, URI, options of the command, user.
static int check(struct probe *p, const struct command *cmd, const bool *given)
{
    struct punch_code code;
    char shown[128];
    int rc;

    for (size_t i = 0; i < OPT_TABLE_LEN; i++) {
        if (given[i] && !(opts[i].commands & cmd->bit))
            return probe_usage("--%s is not an option of %s", opts[i].name, cmd->name);
    }
    if (p->word_count < cmd->min_words)
        return probe_usage("the URI is missing: turnpike-probe %s %s", cmd->name, cmd->arguments);
    if (p->word_count > cmd->max_words)
        return probe_usage("%s: one argument too many",
                           text_escape(shown, sizeof(shown), p->words[cmd->max_words],
                                       strlen(p->words[cmd->max_words])));
    rc = cmd->bit == CMD_NAT ? take_udp_uri(p->words[0], &p->uri) : take_uri(p->words[0], &p->uri);
    if (rc == 0 && cmd->bit == CMD_NAT && p->word_count > 1)
        rc = take_udp_uri(p->words[1], &p->second);
    if (rc != 0)
        return rc;
    if (cmd->bit & (CMD_TURN | CMD_PUNCH)) {
        if (!p->uri.turn)
            return probe_usage("%s asks a TURN server: the URI begins with turn: or turns:",
                               cmd->name);
        if (!p->cred.user[0])
            return probe_usage("--user is missing: a TURN server relays for its users only");
    }
    if (cmd->bit == CMD_PUNCH && p->word_count > 1 && punch_code_decode(&code, p->words[1]) < 0)
        return probe_usage("%s: this is not a code that the first probe has printed",
                           text_escape(shown, sizeof(shown), p->words[1], strlen(p->words[1])));
    if (!p->count)
        p->count = cmd->bit == CMD_TURN ? 50 : 5;
    return 0;
}

// Reads the arguments; *cmd stays NULL when there is nothing left to do. 0 or PROBE_USAGE.
static int parse(struct probe *p, int argc, char **argv, const struct command **cmd)
{
    struct option longs[OPT_TABLE_LEN + 3] = {{0}};
    bool given[OPT_TABLE_LEN] = {false}, help = false;
    const char *password_file = NULL;
    char shown[128];
    int opt, rc, n = 0;

    for (size_t i = 0; i < OPT_TABLE_LEN; i++) {
        if (opts[i].name)
            longs[n++] = (struct option){
                opts[i].name, opts[i].argument ? required_argument : no_argument, NULL, opts[i].id};
    }
    longs[n++] = (struct option){"help", no_argument, NULL, 'h'};
    longs[n] = (struct option){"version", no_argument, NULL, 'V'};
    while ((opt = getopt_long(argc, argv, "46hV", longs, NULL)) != -1) {
        if (opt == 'h') {
            help = true;
        } else if (opt == 'V') {
            puts("turnpike-probe " PACKAGE_VERSION);
            return 0;
        } else if (opt == '?') {
            return PROBE_USAGE; // getopt_long has said why
        }
        for (size_t i = 0; i < OPT_TABLE_LEN; i++) {
            if (opts[i].id != opt)
                continue;
            given[i] = true;
            if ((rc = take_option(p, &opts[i], optarg, &password_file)) != 0)
                return rc;
        }
    }
    const struct command *found = optind < argc ? find_command(argv[optind]) : NULL;
    if (help && (found || optind == argc)) {
        print_help(found);
        return 0;
    }
    if (optind == argc)
        return probe_usage(
            "a command is missing: stun, turn, nat or punch; see turnpike-probe --help");
    if (!found)
        return probe_usage("%s: there is no such command; there are stun, turn, nat and punch",
                           text_escape(shown, sizeof(shown), argv[optind], strlen(argv[optind])));
    p->words = (const char *const *)&argv[optind + 1];
    p->word_count = argc - optind - 1;
    if ((rc = check(p, found, given)) != 0)
        return rc;
    if (found->bit & (CMD_TURN | CMD_PUNCH)) {
        if ((rc = probe_read_password(p, password_file)) != 0)
            return rc;
    }
    *cmd = found;
    return 0;
}

int main(int argc, char **argv)
{
    struct probe p = {.timeout = 5000000, .size = 160, .interval_ms = 20, .wait = 300};
    const struct command *cmd = NULL;
    int rc = parse(&p, argc, argv, &cmd);

    if (rc != 0 || !cmd)
        return rc;
    signal(SIGPIPE, SIG_IGN); // a connection that ends is a finding, not the end
    if (report_begin(&p.report, p.json, cmd->name, p.words[0]) < 0)
        return PROBE_FAILS;
    report_line(&p.report, "turnpike-probe %s %s\n", cmd->name, p.words[0]);
    rc = report_end(&p.report, cmd->run(&p) == PROBE_WORKS);
    explicit_bzero(&p.cred, sizeof(p.cred));
    return rc;
}
