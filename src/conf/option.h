// SPDX-License-Identifier: BSD-2-Clause
// One option of the configuration, described once: the loader, --print-config and the manual are
// made from the table.
#ifndef TP_CONF_OPTION_H
#define TP_CONF_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_type {
    CONF_GROUP,  // { ... }: only a heading, its members follow
    CONF_GROUPS, // ( { ... }, ... ): a list of structs, whose members follow with offsets into the
                 // struct
    CONF_STRING, // char *, min and max are bytes
    CONF_CODED,  // a string that a codec turns into the field
    CONF_UINT,   // uint32_t
    CONF_UINT64, // uint64_t, 0 to INT64_MAX: min and max are not looked at
    CONF_BOOL,   // bool
    CONF_PORT,   // uint16_t
    CONF_PORTS,  // two uint16_t: [first, last]
};

// How the text of a CONF_CODED option becomes its field, and back.
struct conf_codec {
    const char *allowed; // ends the sentence "allowed are ..."
    // 0, or -EINVAL with *why. out is zeroed.
    int (*parse)(void *out, const char *text, const char **why);
    void (*format)(const void *value, char *buf, size_t cap);
};
#define CONF_CODED_MAX 160 // a formatted value and its zero

struct conf_option {
    const char *key; // dotted path
    const char *help;
    enum conf_type type;
    bool list;     // of strings or coded values; CONF_GROUPS are one anyway
    bool required; // has no default and must be set
    bool secret;   // never shown
    bool opaque;   // a text of credentials: prepared by util/opaque.h
    bool uri;      // may carry a password, which is never shown
    size_t
        offset;   // of the field in struct conf, or in the element of the CONF_GROUPS it belongs to
    size_t count; // lists: offset of the number of elements
    size_t size;  // lists: of one element
    unsigned min_items, max_items;
    uint32_t min, max;
    const struct conf_codec *codec;
    int (*check)(const char *text, const char **why); // of a CONF_STRING
    const char *value;     // the default in the file's syntax; NULL: not set
    const char *dev_value; // the default with --dev where it differs
    const char *manual;    // the default as the manual shows it where that differs
};

extern const struct conf_option conf_options[];
extern const size_t conf_option_count;

// The option of that path, or NULL.
const struct conf_option *conf_option_find(const char *key);

// The option that o is directly inside of (a CONF_GROUP or CONF_GROUPS), or NULL.
const struct conf_option *conf_option_parent(const struct conf_option *o);

// The last part of the path.
const char *conf_option_name(const struct conf_option *o);

// What a check or codec refuses a text for.
int conf_refuse(const char **why, const char *reason);

// "min to max", "1 to 127 bytes", or the codec's text. Returns buf.
const char *conf_option_allowed(const struct conf_option *o, char *buf, size_t cap);

extern const struct conf_codec conf_codec_transport, conf_codec_listen_address, conf_codec_address,
    conf_codec_external, conf_codec_range, conf_codec_level, conf_codec_format,
    conf_codec_transport_address, conf_codec_tls_version, conf_codec_token_algorithm;

// Whether a text will do for an option: 0, or -EINVAL with *why.
int conf_check_realm(const char *text, const char **why);
int conf_check_user_key(const char *text, const char **why);
int conf_check_nonce_key(const char *text, const char **why);
int conf_check_store(const char *text, const char **why);
int conf_check_target(const char *text, const char **why);
int conf_check_token_server(const char *text, const char **why);
int conf_check_token_key(const char *text, const char **why);

// The bytes in hex digits or base64 of a token's key: 16 or 32; 0 when it is neither.
size_t conf_token_key_len(const char *text);
int conf_check_host(const char *text, const char **why);
int conf_check_origin(const char *text, const char **why);
int conf_check_domain(const char *text, const char **why);

#endif
