// SPDX-License-Identifier: BSD-2-Clause
// turnpikectl: one admin command, one descriptor. What the commands share.
#ifndef TP_CTL_CTL_H
#define TP_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "auth/admin.h"
#include "conf/conf.h"

// Exit statuses.
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_UNREACHABLE = 3 };

// The options, as bits: which of them a command takes.
enum {
    CTL_OPT_JSON = 1 << 0,
    CTL_OPT_EXPIRES = 1 << 1,
    CTL_OPT_MAX_ALLOCATIONS = 1 << 2,
    CTL_OPT_MAX_BPS = 1 << 3,
    CTL_OPT_GENERATE = 1 << 4,
    CTL_OPT_PASSWORD_FILE = 1 << 5,
    CTL_OPT_SECRET_FILE = 1 << 6,
    CTL_OPT_USER = 1 << 7,
    CTL_OPT_TTL = 1 << 8,
    CTL_OPT_HOST = 1 << 9,
    CTL_OPT_REALM = 1 << 10,
    CTL_OPT_STORE = 1 << 11,
    CTL_OPT_KID = 1 << 12,
    CTL_OPT_ALGORITHM = 1 << 13,
    CTL_OPT_SERVER = 1 << 14,
};
#define CTL_OPTS_STORE (CTL_OPT_JSON | CTL_OPT_REALM | CTL_OPT_STORE)

struct ctl;

struct ctl_command {
    const char *group; // "user", "secret"; NULL: none
    const char *name;
    const char *argument; // "NAME", "ID"; NULL: takes none
    const char *summary;
    unsigned options; // CTL_OPT_
    int (*run)(struct ctl *c);
};

struct ctl {
    // from the command line
    const struct ctl_command *command;
    const char *argument;
    const char *conf_file;
    const char *realm;
    const char *store_uri;
    bool json;
    bool generate;
    const char *secret_file; // of --password-file and --secret-file
    int64_t expires;         // 0: never
    uint32_t max_allocations;
    uint64_t max_bps;
    unsigned given; // CTL_OPT_ of what was on the command line
    enum token_algorithm algorithm;
    const char *kid;
    const char *server;
    const char *user;
    const char *host;
    uint64_t ttl;
    int64_t now;
    // prepared by OpaqueString (util/opaque.h)
    char prepared_realm[128];
    char prepared_name[AUTH_USER_MAX + 1];
    // opened on demand
    struct conf *conf; // NULL: none was needed
    struct admin_store *store;
};

extern const struct ctl_command ctl_user_add, ctl_user_passwd, ctl_user_show, ctl_user_list,
    ctl_user_set, ctl_user_disable, ctl_user_enable, ctl_user_delete, ctl_secret_add,
    ctl_secret_list, ctl_secret_retire, ctl_ice_servers, ctl_token_key_add, ctl_token_key_list,
    ctl_token_key_retire, ctl_token;

// "turnpikectl: " and the text to standard error. Returns status.
int ctl_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// Loads the configuration where realm or store are still to be found, or whole is asked for, and
// sets them. CTL_OK, or a status that has been reported.
int ctl_configure(struct ctl *c, bool whole);

// Configures, then opens the store.
int ctl_open(struct ctl *c);
void ctl_close(struct ctl *c);

// Reports a failed call of auth/admin.h that has no better text. Returns the status.
int ctl_store_failed(const struct ctl *c, int err);

// Puts the prepared form (OpaqueString, RFC 8265) of a user name, realm or password into buf, which
// text may be. CTL_OK, or a status that has been reported. what begins the sentence: "the
// password".
int ctl_prepare(const char *what, char *buf, size_t cap, const char *text);

// As admin_user_get for the user of the command line: the prepared name, and if there is none the
// one as it was typed, which an older or another tool may have stored. c->argument becomes the one
// that the answer is about.
int ctl_find_user(struct ctl *c, struct auth_record *rec);

// Looks the user of the command line up. CTL_OK, or a status that has been reported.
int ctl_get_user(struct ctl *c, struct auth_record *rec);

// Reports that ctl_find_user failed for it. Returns the status.
int ctl_user_failed(const struct ctl *c, int err);

// Reads what the user types or pipes, or makes one: at most cap - 1 bytes. what is "password" or
// "secret".
int ctl_read_secret(const struct ctl *c, const char *what, char *buf, size_t cap);

// Puts the keys of a password into the record.
void ctl_set_password(struct auth_record *rec, const char *realm, const char *password);

// A name as a terminal may show it: valid UTF-8 as it is, anything else escaped. Freed by the
// caller.
char *ctl_printable(const void *name, size_t len);
size_t ctl_width(const char *printable);

const char *ctl_format_time(int64_t t, char buf[32]); // "never" for 0

// "30d", "12h", a date or a time in ISO 8601 (UTC), "never". 0 or -EINVAL.
int ctl_parse_expires(int64_t *out, const char *text, int64_t now);
int ctl_parse_duration(uint64_t *out, const char *text); // "90", "90s", "15m", "12h", "30d", "2w"
int ctl_parse_number(uint64_t *out, const char *text,
                     uint64_t max); // decimal, with k, M or G behind it

// What there is to say of a user. NULL: out of memory.
json_t *ctl_record_json(const struct ctl *c, const struct auth_record *rec);
// Prints and frees. CTL_OK or CTL_FAILED.
int ctl_print_json(json_t *j);

#endif
