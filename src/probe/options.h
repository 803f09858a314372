// SPDX-License-Identifier: BSD-2-Clause
// The options of turnpike-probe: one table for reading, for the help, and for which command takes
// what.
#ifndef TP_PROBE_OPTIONS_H
#define TP_PROBE_OPTIONS_H

#include "probe/probe.h"

enum {
    CMD_STUN = 1,
    CMD_TURN = 2,
    CMD_NAT = 4,
    CMD_PUNCH = 8,
    CMD_ALL = 15,
};

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

struct opt {
    int id;
    const char *name, *argument; // argument NULL: none
    unsigned commands;           // CMD_
    const char *help;
};

#define PROBE_OPTIONS 18
extern const struct opt probe_options[PROBE_OPTIONS];

// Takes the value of an option (NULL for one that has none), borrowed as long as p lives. The name
// of the password's file goes to *password_file. 0, or PROBE_USAGE, reported.
int probe_take_option(struct probe *p, const struct opt *o, const char *value,
                      const char **password_file);

// "turnpike-probe: " and the text to standard error. Returns PROBE_USAGE.
int probe_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
