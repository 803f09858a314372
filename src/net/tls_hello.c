// SPDX-License-Identifier: BSD-2-Clause
#include "net/tls_hello.h"

#include <string.h>

#include "net/hello.h"

#define RECORD_HEADER_LEN 5 // RFC 8446 section 5.1
#define RECORD_MAX 16384
#define RECORD_HANDSHAKE 22
#define VERSION_MAJOR 3
#define MESSAGE_HEADER_LEN 4
#define EXTENSION_ALPN 16

static bool is_one_of(const uint8_t *name, size_t len, const char *const *names)
{
    for (; *names; names++)
        if (strlen(*names) == len && memcmp(*names, name, len) == 0)
            return true;
    return false;
}

// RFC 7301 section 3.1.
static bool offers_http(const uint8_t *list, size_t list_len)
{
    static const char *const of_http[] = {"http/1.1", "http/1.0", NULL};
    static const char *const of_stun[] = {"stun.turn", "stun.nat-discovery", NULL};
    struct cursor c = cursor_reader(list, list_len);
    size_t names_len, len;
    const uint8_t *names = hello_vector(&c, true, &names_len);
    bool http = false, stun = false;
    if (!c.ok || cursor_left(&c))
        return false;
    c = cursor_reader(names, names_len);
    while (cursor_left(&c)) {
        const uint8_t *name = hello_vector(&c, false, &len);
        if (!name || len == 0)
            return false;
        http |= is_one_of(name, len, of_http);
        stun |= is_one_of(name, len, of_stun);
    }
    return http && !stun;
}

// The whole message but its header (RFC 8446 section 4.1.2).
static bool parse_hello(const uint8_t *body, size_t body_len)
{
    struct cursor c = cursor_reader(body, body_len);
    size_t session_id_len, len;
    cursor_u16(&c); // version
    cursor_take(&c, HELLO_RANDOM_LEN);
    hello_vector(&c, false, &session_id_len);
    hello_vector(&c, true, &len);  // cipher suites
    hello_vector(&c, false, &len); // compression methods
    const uint8_t *extensions = hello_vector(&c, true, &len);
    if (!c.ok || cursor_left(&c) || session_id_len > HELLO_SESSION_ID_MAX)
        return false;
    c = cursor_reader(extensions, len);
    while (cursor_left(&c)) {
        uint16_t type = cursor_u16(&c);
        const uint8_t *data = hello_vector(&c, true, &len);
        if (data && type == EXTENSION_ALPN)
            return offers_http(data, len);
    }
    return false;
}

// What has come of the message. True: there is no more to be learned.
static bool look_at_message(const uint8_t *data, size_t len, bool *http)
{
    struct cursor c = cursor_reader(data, len);
    if (len < MESSAGE_HEADER_LEN)
        return false;
    if (cursor_u8(&c) != HELLO_CLIENT)
        return true;
    size_t body_len = hello_u24(&c);
    if (cursor_left(&c) < body_len)
        return false;
    *http = parse_hello(data + MESSAGE_HEADER_LEN, body_len);
    return true;
}

// Records are joined at the beginning of data, one by one: what comes behind the message is none of
// our business.
size_t tls_hello_look(uint8_t *data, size_t len, bool *http)
{
    size_t at = 0, have = 0;
    *http = false;
    while (len - at >= RECORD_HEADER_LEN) {
        const uint8_t *header = data + at;
        size_t n = (size_t)header[3] << 8 | header[4];
        if (header[0] != RECORD_HANDSHAKE || header[1] != VERSION_MAJOR || n == 0 || n > RECORD_MAX)
            return 0;
        at += RECORD_HEADER_LEN;
        if (n > len - at)
            return at + n > TLS_HELLO_MAX ? 0 : at + n;
        memmove(data + have, data + at, n);
        have += n;
        at += n;
        if (look_at_message(data, have, http))
            return 0;
    }
    return at + RECORD_HEADER_LEN > TLS_HELLO_MAX ? 0 : at + RECORD_HEADER_LEN;
}
