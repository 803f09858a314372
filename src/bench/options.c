// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include "bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/options_table.h"
#include "probe/password.h"
#include "util/codec.h"

static const struct command {
    const char *name;
    enum bench_command bit;
    const char *summary;
} commands[] = {
    {"relay", BENCH_RELAY, "packets through relays at one rate: loss, latency, the server's CPU"},
    {"ramp", BENCH_RAMP, "the highest rate at which no packet is lost"},
    {"hold", BENCH_HOLD, "allocations that do nothing: memory of each"},
    {"allocate", BENCH_ALLOCATE, "a storm of allocations that come and go"},
    {"refresh", BENCH_REFRESH, "a storm of Refresh requests"},
    {"binding", BENCH_BINDING, "a storm of Binding requests"},
    {"signal", BENCH_SIGNAL,
     "messages through the rooms of a signaling server, or idle connections"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int bad_value(const struct option_row *row, const char *value, const char *allowed)
{
    char shown[128];
    return bench_usage("--%s %s: allowed is %s", row->name,
                       text_escape(shown, sizeof(shown), value, strlen(value)), allowed);
}

static int take_number(const struct option_row *row, const char *value, uint32_t *out, uint32_t min,
                       uint32_t max)
{
    char *end, allowed[48];
    unsigned long long n;

    errno = 0;
    n = strtoull(value, &end, 10);
    *out = (uint32_t)n;
    if (!errno && *value >= '0' && *value <= '9' && !*end && n >= min && n <= max)
        return 0;
    snprintf(allowed, sizeof(allowed), "%u to %u", min, max);
    return bad_value(row, value, allowed);
}

static int take_seconds(const struct option_row *row, const char *value, double *out, double min)
{
    char *end, allowed[48];
    *out = strtod(value, &end);
    if (end != value && !*end && isfinite(*out) && *out >= min && *out <= 86400)
        return 0;
    snprintf(allowed, sizeof(allowed), "%g to 86400 seconds", min);
    return bad_value(row, value, allowed);
}

// One of some words; its index.
static int take_word(const struct option_row *row, const char *value, const char *const *words,
                     int *out)
{
    char allowed[96] = "";
    for (int i = 0; words[i]; i++) {
        size_t used = strlen(allowed);
        if (strcmp(value, words[i]) == 0) {
            *out = i;
            return 0;
        }
        snprintf(allowed + used, sizeof(allowed) - used, "%s%s",
                 i == 0         ? ""
                 : words[i + 1] ? ", "
                                : " or ",
                 words[i]);
    }
    return bad_value(row, value, allowed);
}

static int take_address(const struct option_row *row, const char *value, struct addr *list,
                        unsigned *count)
{
    if (*count == BENCH_ADDRESSES)
        return bench_usage("--%s can be given %d times", row->name, BENCH_ADDRESSES);
    if (addr_parse_ip(&list[*count], value, 0) < 0)
        return bad_value(row, value, "an IP address of this host");
    (*count)++;
    return 0;
}

static int take_text(const struct option_row *row, const char *value, char out[CLIENT_TEXT])
{
    if (!*value || strlen(value) > 508) // RFC 8489 14.3
        return bad_value(row, value, "1 to 508 bytes");
    strcpy(out, value);
    return 0;
}

static int take_transport(struct bench_options *o, const struct option_row *row, const char *value)
{
    static const char *const words[] = {"udp", "tcp", "tls", "dtls", NULL};
    int i, rc = take_word(row, value, words, &i);
    if (rc == 0) {
        o->uri.transport = (enum transport)(TRANSPORT_UDP + i);
        o->uri.secure = transport_is_secure(o->uri.transport);
    }
    return rc;
}

// What has a word for a value, or none.
static int take_word_option(struct bench_options *o, const struct option_row *row,
                            const char *value)
{
    static const char *const directions[] = {"up", "down", "both", "echo", NULL};
    static const char *const profiles[] = {"none", "audio", "video", "mix", NULL};
    static const char *const protocols[] = {"turn", "floor", NULL};
    static const char *const dialect_words[] = {"turnpike", "peerjs", "socketio", NULL};
    int i = 0, rc = 0;
    switch (row->id) {
    case OPT_DIRECTION:
        rc = take_word(row, value, directions, &i);
        o->direction = (enum bench_direction)i;
        break;
    case OPT_PROFILE:
        rc = take_word(row, value, profiles, &i);
        o->profile = (enum bench_profile)i;
        break;
    case OPT_PROTOCOL:
        rc = take_word(row, value, protocols, &i);
        o->floor = i == 1;
        break;
    case OPT_DIALECT:
        rc = take_word(row, value, dialect_words, &i);
        o->dialect = (enum bench_dialect)i;
        break;
    case OPT_TRANSPORT:
        rc = take_transport(o, row, value);
        break;
    default:
        *(bool *)((char *)o + row->offset) = true;
    }
    return rc;
}

static int take_option(struct bench_options *o, const struct option_row *row, const char *value,
                       const char **password_file)
{
    uint32_t n = 0;
    int rc;
    switch (row->kind) {
    case KIND_NUMBER:
        return take_number(row, value, (uint32_t *)((char *)o + row->offset), row->min, row->max);
    case KIND_SIZE:
        rc = take_number(row, value, &n, row->min, row->max);
        *(size_t *)((char *)o + row->offset) = n;
        return rc;
    case KIND_SECONDS:
        return take_seconds(row, value, (double *)((char *)o + row->offset), row->min / 10.0);
    case KIND_STRING:
        *(const char **)((char *)o + row->offset) = value;
        return 0;
    case KIND_WORD:
        return take_word_option(o, row, value);
    default:
        break;
    }
    switch (row->id) {
    case OPT_USER:
        return take_text(row, value, o->cred.user);
    case OPT_PASSWORD:
        return take_text(row, value, o->cred.password);
    case OPT_PASSWORD_FILE:
        *password_file = value;
        return 0;
    case OPT_PID:
        rc = take_number(row, value, &n, 1, INT32_MAX);
        o->pid = (pid_t)n;
        return rc;
    case OPT_PEER:
        return take_address(row, value, o->peers, &o->peer_count);
    default:
        return take_address(row, value, o->sources, &o->source_count);
    }
}

static void print_help(const struct command *cmd)
{
    if (cmd)
        printf("Usage: turnpike-bench %s [OPTION]...\n\nMeasures %s.\n", cmd->name, cmd->summary);
    else
        printf("Usage: turnpike-bench COMMAND [OPTION]...\n\nCommands:\n");
    for (size_t i = 0; !cmd && i < COMMANDS; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].summary);
    printf("\nOptions:\n");
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        const struct option_row *row = &option_rows[i];
        char line[64];
        if (cmd && !(row->commands & cmd->bit))
            continue;
        snprintf(line, sizeof(line), "%s%c%s --%s%s%s", row->letter ? "-" : " ",
                 row->letter ? row->letter : ' ', row->letter ? "," : " ", row->name,
                 row->argument ? " " : "", row->argument ? row->argument : "");
        printf("  %-29s %s\n", line, row->help);
    }
    printf("  -h, --help                    show this; after a command, its options\n"
           "  -V, --version                 show the version\n"
           "\nA password that is not given is read from the variable " PASSWORD_VARIABLE ",\n"
           "asked for, or read from standard input.\n"
           "Exit status: 0 it was measured, 1 it was not, 2 a mistake in the arguments.\n"
           "See turnpike-bench(1).\n");
}

// ADDRESS:PORT, or a URI.
static int take_server(struct bench_options *o)
{
    struct addr a;
    struct probe_uri uri;
    char shown[128], text[ADDR_STRLEN];
    const char *why = "";

    if (addr_parse(&a, o->server) == 0) {
        uri = (struct probe_uri){.literal = true, .turn = true, .port = a.port};
        snprintf(uri.host, sizeof(uri.host), "%s", addr_format_ip(&a, text));
        a.port = 0;
        uri.address = a;
        uri.transport = TRANSPORT_UDP;
    } else if (uri_parse(&uri, o->server, &why) < 0) {
        return bench_usage("--server %s: %s, or ADDRESS:PORT",
                           text_escape(shown, sizeof(shown), o->server, strlen(o->server)), why);
    }
    if (o->uri.transport) { // --transport comes first
        uri.transport = o->uri.transport;
        uri.secure = o->uri.secure;
    }
    o->uri = uri;
    return 0;
}

static void set_defaults(struct bench_options *o, const bool *given)
{
    bool traffic = o->command & BENCH_TRAFFIC, signal = o->command == BENCH_SIGNAL;
    if (!o->server)
        o->server = signal ? "127.0.0.1:8080" : "127.0.0.1:3478";
    if (signal)
        o->uri.transport = TRANSPORT_TCP;
    if (signal && !given[OPT_WINDOW])
        o->window = 16;
    if (!o->pairs)
        o->pairs = 1;
    if (!o->clients)
        o->clients = o->command == BENCH_HOLD ? 10000 : 50;
    if (o->seconds < 0)
        o->seconds = o->command == BENCH_RAMP || o->command == BENCH_HOLD || o->idle ? 2 : 5;
    if (traffic && !o->rate)
        o->rate = o->command == BENCH_RAMP ? 10000 : 20000;
    if (o->profile && !given[OPT_DIRECTION])
        o->direction = DIRECTION_BOTH;
    if (o->paced > o->clients)
        o->paced = o->clients;
}

// Whether it wants something that only users get.
static bool asks_turn(const struct bench_options *o)
{
    return !(o->command & (BENCH_BINDING | BENCH_SIGNAL)) && !o->floor;
}

// What does not go together.
static int check(const struct bench_options *o, const bool *given)
{
    if (o->idle && (given[OPT_PAIRS] || given[OPT_WINDOW] || given[OPT_SIZE]))
        return bench_usage("--idle clients send nothing: without --pairs, --window and --size");
    if (o->churn && o->paced >= o->clients)
        return bench_usage("--paced leaves nobody to come and go: it must be below --clients");
    if (o->churn && o->floor)
        return bench_usage("--churn is not for the bare forwarder, which keeps what it has");
    if (o->floor && (o->indications || o->uri.transport != TRANSPORT_UDP))
        return bench_usage("--protocol floor is UDP with channels");
    if (o->profile && (given[OPT_PAYLOAD] || given[OPT_BURST]))
        return bench_usage("--profile says how long packets and bursts are");
    if (o->profile && given[OPT_RATE] && o->command == BENCH_RELAY)
        return bench_usage("--profile says how many packets a client sends: give --clients");
    if (asks_turn(o) && !o->uri.turn)
        return bench_usage("%s asks a TURN server: the URI begins with turn: or turns:",
                           o->command_name);
    if (asks_turn(o) && !o->cred.user[0])
        return bench_usage("--user is missing: a TURN server relays for its users only");
    return 0;
}

static int read_password(struct bench_options *o, const char *file)
{
    struct secret_input in;
    if (!asks_turn(o))
        return 0;
    if (!o->cred.password[0] && password_read(&o->cred, file, &in) < 0)
        return bench_usage("%s", in.why);
    password_prepare(&o->cred);
    return 0;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; name && i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

// The command, once options have been read: the first word that is left.
static int take_command(struct bench_options *o, int argc, char **argv, bool help,
                        const bool *given)
{
    const struct command *cmd = find_command(argv[optind]);
    char shown[128];

    if (help && (cmd || optind == argc)) {
        print_help(cmd);
        return -1;
    }
    if (optind == argc)
        return bench_usage("a command is missing: relay, ramp, hold, allocate, refresh, binding or "
                           "signal; see turnpike-bench --help");
    if (!cmd)
        return bench_usage("%s: there is no such command; there are relay, ramp, hold, allocate, "
                           "refresh, binding and signal",
                           text_escape(shown, sizeof(shown), argv[optind], strlen(argv[optind])));
    if (optind + 1 < argc)
        return bench_usage(
            "%s: one argument too many",
            text_escape(shown, sizeof(shown), argv[optind + 1], strlen(argv[optind + 1])));
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        if (given[option_rows[i].id] && !(option_rows[i].commands & cmd->bit))
            return bench_usage("--%s is not an option of %s", option_rows[i].name, cmd->name);
    }
    o->command = cmd->bit;
    o->command_name = cmd->name;
    return 0;
}

static int read_options(struct bench_options *o, int argc, char **argv, const char **password_file,
                        bool *given)
{
    struct option longs[OPTION_ROWS + 3] = {{0}};
    char shorts[OPTION_ROWS * 2 + 8] = "hV";
    bool help = false;
    int n = 0, letter, rc;

    for (size_t i = 0; i < OPTION_ROWS; i++) {
        const struct option_row *row = &option_rows[i];
        char text[3] = {row->letter, row->argument ? ':' : '\0', '\0'};
        longs[n++] = (struct option){row->name, row->argument ? required_argument : no_argument,
                                     NULL, (int)row->id + 256};
        strcat(shorts, text);
    }
    longs[n++] = (struct option){"help", no_argument, NULL, 'h'};
    longs[n] = (struct option){"version", no_argument, NULL, 'V'};
    while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (letter == '?')
            return BENCH_USAGE; // getopt_long has said why
        if (letter == 'V') {
            puts("turnpike-bench " PACKAGE_VERSION);
            return -1;
        }
        help = help || letter == 'h';
        for (size_t i = 0; i < OPTION_ROWS; i++) {
            const struct option_row *row = &option_rows[i];
            if (letter != (int)row->id + 256 && (!row->letter || letter != row->letter))
                continue;
            given[row->id] = true;
            if ((rc = take_option(o, row, optarg, password_file)) != 0)
                return rc;
        }
    }
    return take_command(o, argc, argv, help, given);
}

int options_parse(struct bench_options *o, int argc, char **argv)
{
    bool given[OPTION_IDS] = {false};
    const char *password_file = NULL;
    int rc;

    *o = (struct bench_options){.payload = 200,
                                .size = 200,
                                .burst = 1,
                                .tick_us = 193, // no divisor of a clock tick
                                .window = 4,
                                .threads = 1,
                                .seconds = -1,
                                .warmup = 0.5,
                                .patience = -1};
    rc = read_options(o, argc, argv, &password_file, given);
    if (rc)
        return rc;
    set_defaults(o, given);
    rc = take_server(o);
    if (rc == 0)
        rc = check(o, given);
    return rc ? rc : read_password(o, password_file);
}
