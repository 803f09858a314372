// SPDX-License-Identifier: BSD-2-Clause
// The admin CLI: finds the command, reads its options, runs it.
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"
#include "util/standard.h"

static const struct ctl_command *const commands[] = {
    &ctl_user_add,      &ctl_user_passwd,    &ctl_user_show,        &ctl_user_list,
    &ctl_user_set,      &ctl_user_disable,   &ctl_user_enable,      &ctl_user_delete,
    &ctl_secret_add,    &ctl_secret_list,    &ctl_secret_retire,    &ctl_ice_servers,
    &ctl_token_key_add, &ctl_token_key_list, &ctl_token_key_retire, &ctl_token,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

struct ctl_option {
    const char *name;
    const char *argument; // NULL: none
    unsigned bit;         // CTL_OPT_, which commands take it
    const char *help;
};

static const struct ctl_option options[] = {
    {"realm", "REALM", CTL_OPT_REALM, "the realm, instead of the configuration's"},
    {"store", "URI", CTL_OPT_STORE,
     "the store, instead of the configuration's first: sqlite:PATH, redis://..."},
    {"json", NULL, CTL_OPT_JSON, "print JSON"},
    {"expires", "WHEN", CTL_OPT_EXPIRES,
     "30d, 12h, 2027-01-31, 2027-01-31T12:00Z or never [never]"},
    {"max-allocations", "N", CTL_OPT_MAX_ALLOCATIONS,
     "allocations at a time; 0: the server's limit [0]"},
    {"max-bps", "N", CTL_OPT_MAX_BPS,
     "bits per second, as 2000000 or 2M; 0: the server's limit [0]"},
    {"kid", "ID", CTL_OPT_KID, "the id of the key"},
    {"algorithm", "NAME", CTL_OPT_ALGORITHM, "A256GCM or A128GCM [A256GCM]"},
    {"server", "NAME", CTL_OPT_SERVER, "the server's name [tokens.server of the configuration]"},
    {"generate", NULL, CTL_OPT_GENERATE, "make one up, and print it this once"},
    {"password-file", "FILE", CTL_OPT_PASSWORD_FILE,
     "read the password from the first line of a file"},
    {"secret-file", "FILE", CTL_OPT_SECRET_FILE, "read the secret from the first line of a file"},
    {"user", "NAME", CTL_OPT_USER, "a name for the logs, part of the user name"},
    {"ttl", "TIME", CTL_OPT_TTL, "how long the credential is good for, as 3600, 12h or 7d [24h]"},
    {"host", "HOST", CTL_OPT_HOST, "the host in the URLs [the public address, or the realm]"},
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))
#define OPTION_BASE 256

static void print_help(const char *group, const struct ctl_command *command)
{
    if (command) {
        printf("Usage: turnpikectl [-c FILE] %s%s%s%s%s [OPTION]...\n\n%s\n\nOptions:\n",
               command->group ? command->group : "", command->group ? " " : "", command->name,
               command->argument ? " " : "", command->argument ? command->argument : "",
               command->summary);
        for (size_t i = 0; i < OPTION_COUNT; i++) {
            const struct ctl_option *o = &options[i];
            if (command->options & o->bit)
                printf("  --%s%s%-*s  %s\n", o->name, o->argument ? " " : "",
                       (int)(22 - strlen(o->name) - (o->argument ? 1 : 0)),
                       o->argument ? o->argument : "", o->help);
        }
    } else {
        printf("Usage: turnpikectl [-c FILE] %s%s [OPTION]...\n\nCommands:\n",
               group ? group : "COMMAND", group ? " COMMAND" : "");
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            const struct ctl_command *c = commands[i];
            char line[64];
            if (group && (!c->group || strcmp(c->group, group) != 0))
                continue;
            snprintf(line, sizeof(line), "%s%s%s%s%s", c->group ? c->group : "",
                     c->group ? " " : "", c->name, c->argument ? " " : "",
                     c->argument ? c->argument : "");
            printf("  %-20s  %s\n", line, c->summary);
        }
        printf("\nOptions:\n");
    }
    printf("  -c, --config FILE         the configuration [%s/turnpike.conf]\n"
           "  -h, --help                show this; after a command, its options\n"
           "  -V, --version             show the version\n\n"
           "Exit status: 0 done, 1 it failed (exists, not found), 2 a mistake in the arguments or\n"
           "the configuration, 3 the store cannot be reached. See turnpikectl(1).\n",
           TP_SYSCONFDIR);
}

static int bad_option(const char *name, const char *value, const char *allowed)
{
    char *shown = ctl_printable(value, strlen(value));
    ctl_fail(CTL_USAGE, "--%s %s: allowed are %s", name, shown, allowed);
    free(shown);
    return CTL_USAGE;
}

// Takes the value of an option. CTL_OK or CTL_USAGE, reported.
static int take_option(struct ctl *c, const struct ctl_option *o, const char *value)
{
    uint64_t n;
    switch (o->bit) {
    case CTL_OPT_REALM:
        c->realm = value;
        break;
    case CTL_OPT_STORE:
        c->store_uri = value;
        break;
    case CTL_OPT_JSON:
        c->json = true;
        break;
    case CTL_OPT_GENERATE:
        c->generate = true;
        break;
    case CTL_OPT_PASSWORD_FILE:
    case CTL_OPT_SECRET_FILE:
        c->secret_file = value;
        break;
    case CTL_OPT_USER:
        c->user = value;
        break;
    case CTL_OPT_HOST:
        c->host = value;
        break;
    case CTL_OPT_EXPIRES:
        if (ctl_parse_expires(&c->expires, value, c->now) < 0)
            return bad_option(o->name, value,
                              "a time to come: 30d, 12h, 2027-01-31, 2027-01-31T12:00Z, or never");
        break;
    case CTL_OPT_MAX_ALLOCATIONS:
        if (ctl_parse_number(&n, value, INT32_MAX) < 0)
            return bad_option(o->name, value, "0 to 2147483647");
        c->max_allocations = (uint32_t)n;
        break;
    case CTL_OPT_MAX_BPS:
        if (ctl_parse_number(&c->max_bps, value, INT64_MAX) < 0)
            return bad_option(o->name, value, "numbers, with k, M or G behind them");
        break;
    case CTL_OPT_KID:
        c->kid = value;
        break;
    case CTL_OPT_ALGORITHM:
        if (token_algorithm_parse(&c->algorithm, value) < 0)
            return bad_option(o->name, value, "A256GCM and A128GCM");
        break;
    case CTL_OPT_SERVER:
        c->server = value;
        break;
    case CTL_OPT_TTL:
        if (ctl_parse_duration(&c->ttl, value) < 0 || c->ttl == 0)
            return bad_option(o->name, value, "seconds, or a time like 12h or 7d");
        break;
    }
    return CTL_OK;
}

static bool is_group(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i]->group && strcmp(commands[i]->group, name) == 0)
            return true;
    }
    return false;
}

static const struct ctl_command *find_command(const char *group, const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT && name; i++) {
        const struct ctl_command *c = commands[i];
        if (strcmp(c->name, name) == 0 &&
            (group ? c->group && strcmp(c->group, group) == 0 : !c->group))
            return c;
    }
    return NULL;
}

static int unknown_command(const char *group, const char *word)
{
    char *shown = word ? ctl_printable(word, strlen(word)) : NULL;
    if (shown)
        ctl_fail(CTL_USAGE,
                 "%s%s%s: there is no such command; `turnpikectl %s%s--help` lists those there are",
                 group ? group : "", group ? " " : "", shown, group ? group : "", group ? " " : "");
    else
        ctl_fail(CTL_USAGE, "a command is missing; `turnpikectl %s%s--help` lists those there are",
                 group ? group : "", group ? " " : "");
    free(shown);
    return CTL_USAGE;
}

static int check_argument(const struct ctl *c)
{
    size_t len;
    if (!c->command->argument)
        return CTL_OK;
    len = strlen(c->argument);
    if (strcmp(c->command->argument, "KID") == 0)
        return len > 0 && len <= TOKEN_KID_MAX
                   ? CTL_OK
                   : ctl_fail(CTL_USAGE, "the id of the key has %zu bytes, allowed are 1 to %d",
                              len, TOKEN_KID_MAX);
    if (strcmp(c->command->argument, "NAME") != 0)
        return CTL_OK;
    if (len == 0)
        return ctl_fail(CTL_USAGE, "the user name is empty, allowed are 1 to %d bytes",
                        AUTH_USER_MAX);
    if (len > AUTH_USER_MAX)
        return ctl_fail(CTL_USAGE, "the user name has %zu bytes, allowed are 1 to %d", len,
                        AUTH_USER_MAX);
    return CTL_OK;
}

// The words that are not options: group, command, argument.
static int take_words(struct ctl *c, int argc, char **argv, bool help)
{
    const char *group = argc > 0 && is_group(argv[0]) ? argv[0] : NULL;
    int used = group ? 1 : 0;

    c->command = find_command(group, argc > used ? argv[used] : NULL);
    if (help && (c->command || argc == used)) {
        print_help(group, c->command);
        return CTL_OK;
    }
    if (!c->command)
        return unknown_command(group, argc > used ? argv[used] : NULL);
    used++;
    if (c->command->argument) {
        if (argc <= used)
            return ctl_fail(CTL_USAGE, "%s is missing; `turnpikectl %s %s --help` shows how",
                            c->command->argument, group, c->command->name);
        c->argument = argv[used++];
    }
    if (argc > used) {
        char *shown = ctl_printable(argv[used], strlen(argv[used]));
        ctl_fail(CTL_USAGE, "%s: one argument too many", shown);
        free(shown);
        return CTL_USAGE;
    }
    return check_argument(c);
}

// Whether a command takes the options that were given, a set of CTL_OPT_.
static int check_options(const struct ctl *c, unsigned given)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (given & options[i].bit & ~c->command->options)
            return ctl_fail(CTL_USAGE, "--%s is not an option of %s%s%s", options[i].name,
                            c->command->group ? c->command->group : "",
                            c->command->group ? " " : "", c->command->name);
    }
    if (c->generate && c->secret_file)
        return ctl_fail(CTL_USAGE, "--generate and a file to read from exclude each other");
    return CTL_OK;
}

// Sets *done when there is nothing left to run.
static int parse(struct ctl *c, int argc, char **argv, bool *done)
{
    struct option longs[OPTION_COUNT + 4] = {{0}};
    unsigned given = 0;
    bool help = false;
    int opt, rc;

    for (size_t i = 0; i < OPTION_COUNT; i++)
        longs[i] =
            (struct option){options[i].name, options[i].argument ? required_argument : no_argument,
                            NULL, OPTION_BASE + (int)i};
    longs[OPTION_COUNT] = (struct option){"config", required_argument, NULL, 'c'};
    longs[OPTION_COUNT + 1] = (struct option){"help", no_argument, NULL, 'h'};
    longs[OPTION_COUNT + 2] = (struct option){"version", no_argument, NULL, 'V'};

    *done = true;
    while ((opt = getopt_long(argc, argv, "c:hV", longs, NULL)) != -1) {
        if (opt == 'c') {
            c->conf_file = optarg;
        } else if (opt == 'h') {
            help = true;
        } else if (opt == 'V') {
            puts("turnpikectl " PACKAGE_VERSION);
            return CTL_OK;
        } else if (opt < OPTION_BASE) {
            return CTL_USAGE; // getopt_long has said why
        } else {
            given |= options[opt - OPTION_BASE].bit;
            if ((rc = take_option(c, &options[opt - OPTION_BASE], optarg)) != CTL_OK)
                return rc;
        }
    }
    rc = take_words(c, argc - optind, argv + optind, help);
    if (help || rc != CTL_OK)
        return rc;
    *done = false;
    c->given = given;
    return check_options(c, given);
}

int main(int argc, char **argv)
{
    struct ctl c = {.ttl = 86400, .now = time(NULL)};
    bool done;
    int rc;

    standard_fill();
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN); // a Redis that goes away is an error, not the end
    rc = parse(&c, argc, argv, &done);
    if (rc == CTL_OK && !done) {
        rc = c.command->run(&c);
        ctl_close(&c);
    }
    if (fflush(stdout) != 0 && rc == CTL_OK)
        rc = ctl_fail(CTL_FAILED, "the output cannot be written: %s", strerror(errno));
    return rc;
}
