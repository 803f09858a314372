// SPDX-License-Identifier: BSD-2-Clause
// The diagnosis tool: finds the command, reads its options and the password, runs it.
#include <config.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "probe/options.h"
#include "probe/password.h"
#include "probe/probe.h"
#include "probe/punch_code.h"
#include "util/codec.h"

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

static void print_options(unsigned bits)
{
    for (size_t i = 0; i < PROBE_OPTIONS; i++) {
        const struct opt *o = &probe_options[i];
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
            printf("  %-28s  %s\n", line, commands[i].summary);
        }
        printf("\nOptions:\n");
        print_options(CMD_ALL);
    }
    printf("\nA URI is stun:HOST, stuns:HOST, turn:HOST or turns:HOST, then :PORT and\n"
           "?transport=udp or ?transport=tcp if need be, as in a browser's iceServers.\n");
    if (!cmd || (cmd->bit & (CMD_TURN | CMD_PUNCH)))
        printf("The password is asked for, or read from --password-file, from the "
               "variable\n" PASSWORD_VARIABLE
               " or from standard input: never from the arguments.\n");
    printf("\nExit status: 0 it works, 1 it does not, 2 a mistake in the arguments.\n"
           "See turnpike-probe(1).\n");
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

    for (size_t i = 0; i < PROBE_OPTIONS; i++) {
        if (given[i] && !(probe_options[i].commands & cmd->bit))
            return probe_usage("--%s is not an option of %s", probe_options[i].name, cmd->name);
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
    struct option longs[PROBE_OPTIONS + 3] = {{0}};
    bool given[PROBE_OPTIONS] = {false}, help = false;
    const char *password_file = NULL;
    char shown[128];
    int opt, rc, n = 0;

    for (size_t i = 0; i < PROBE_OPTIONS; i++) {
        if (probe_options[i].name)
            longs[n++] = (struct option){
                probe_options[i].name, probe_options[i].argument ? required_argument : no_argument,
                NULL, probe_options[i].id};
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
        for (size_t i = 0; i < PROBE_OPTIONS; i++) {
            if (probe_options[i].id != opt)
                continue;
            given[i] = true;
            if ((rc = probe_take_option(p, &probe_options[i], optarg, &password_file)) != 0)
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
        struct secret_input in;
        if (password_read(&p->cred, password_file, &in) < 0)
            return probe_usage("%s", in.why);
        password_prepare(&p->cred);
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
