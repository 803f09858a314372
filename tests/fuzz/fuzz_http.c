// SPDX-License-Identifier: BSD-2-Clause
// Input: a byte of flags, lengths of pieces, then what a client sends to the HTTP server in these
// pieces. Its whole way is that of the daemon: a socket, evhttp, routes, answers. Bits 0 to 3 of
// the flags: how many lengths there are; 4: to the server that wants tokens and knows origins and
// proxies; 5: the client closes its sending side behind it; 6: so much time passes that everything
// is given up.
#include "http_world.h"

#include <string.h>
#include <strings.h>

#define STRICT 0x10
#define FINISH 0x20
#define TIMEOUT 0x40
#define SESSION "/signal/AAAAAAAAAAAAAAAAAAAAAA" // an event stream that is there

// Whatever comes in, no header of an answer is the client's.
static bool is_ours(const char *name, size_t len)
{
    static const char *const names[] = {"Access-Control-Allow-Headers",
                                        "Access-Control-Allow-Methods",
                                        "Access-Control-Allow-Origin",
                                        "Access-Control-Max-Age",
                                        "Allow",
                                        "Cache-Control",
                                        "Connection",
                                        "Content-Encoding",
                                        "Content-Length",
                                        "Content-Security-Policy",
                                        "Content-Type",
                                        "Cross-Origin-Opener-Policy",
                                        "Cross-Origin-Resource-Policy",
                                        "Date",
                                        "ETag",
                                        "Permissions-Policy",
                                        "Referrer-Policy",
                                        "Retry-After",
                                        "Sec-WebSocket-Accept",
                                        "Sec-WebSocket-Version",
                                        "Upgrade",
                                        "Strict-Transport-Security",
                                        "Vary",
                                        "WWW-Authenticate",
                                        "X-Accel-Buffering",
                                        "X-Content-Type-Options",
                                        "X-Frame-Options"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == len && strncasecmp(names[i], name, len) == 0)
            return true;
    fprintf(stderr, "header: %.*s\n", (int)len, name);
    return false;
}

struct answer {
    unsigned status;
    size_t length; // that it says
    bool stream;
    bool last;
};

// One line without its end.
static void check_header(const char *line, size_t len, struct answer *a)
{
    const char *colon = memchr(line, ':', len);
    CHECK(colon && is_ours(line, (size_t)(colon - line)));
    for (size_t i = 0; i < len; i++)
        CHECK((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
    if (strncasecmp(line, "Content-Length: ", 16) == 0)
        a->length = strtoul(line + 16, NULL, 10);
    if (strncasecmp(line, "Content-Type: text/event-stream", 31) == 0)
        a->stream = true;
    if (strncasecmp(line, "Connection: close", 17) == 0)
        a->last = true;
}

// The head of an answer; what is behind it.
static const char *check_head(const char *at, const char *end, struct answer *a)
{
    CHECK(end - at > 16 && strncmp(at, "HTTP/", 5) == 0 && strchr(at, ' '));
    a->status = (unsigned)strtoul(strchr(at, ' '), NULL, 10);
    CHECK(a->status >= 100 && a->status < 600);
    for (const char *line = strstr(at, "\r\n") + 2;;) {
        const char *stop = strstr(line, "\r\n");
        CHECK(stop);
        if (stop == line)
            return stop + 2;
        check_header(line, (size_t)(stop - line), a);
        line = stop + 2;
    }
}

static void check_events(const char *at, const char *end)
{
    CHECK(end - at >= 3 && end[-1] == '\n' && end[-2] == '\n');
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        CHECK(stop && !memchr(at, '\r', (size_t)(stop - at)));
        CHECK(stop == at || *at == ':' || strncmp(at, "data: ", 6) == 0 ||
              strncmp(at, "event: ", 7) == 0);
        at = stop + 1;
    }
}

static void check_answers(const struct world_client *c, bool strict)
{
    if (!c->received)
        return;
    const char *at = (const char *)c->received, *end = at + c->len;
    // Without the key nobody has a token.
    CHECK(!strict || !memmem(at, c->len, "\"credential\":\"", 14));
    while (at < end) {
        struct answer a = {0};
        at = check_head(at, end, &a);
        if (a.status == 101)
            return; // fuzz_frames looks at what follows
        if (a.stream) {
            check_events(at, end);
            return;
        }
        // That to HEAD has a length and no body.
        if (a.length > 0 && (end - at < 5 || strncmp(at, "HTTP/", 5) != 0)) {
            CHECK(a.length <= (size_t)(end - at) || at == end);
            at = at == end ? end : at + a.length;
        } else if (a.length == 0 && a.last) {
            return; // an error of evhttp, whose body ends with the connection
        }
    }
}

static struct http *server(bool strict)
{
    static struct http *plain, *other;
    static const char common[] = "register_timeout = 3600; grace = 0; ping_interval = 3600; "
                                 "text_bytes = 2048; connections = 100; ";
    static char settings[1000];
    if (!strict && !plain) {
        snprintf(settings, sizeof settings, "%sorigins = [ \"*\" ];", common);
        plain = world_server(settings);
    } else if (strict && !other) {
        snprintf(settings, sizeof settings,
                 "%sorigins = [ \"https://app.example.org\" ]; proxies = [ \"127.0.0.0/8\" ]; "
                 "jwt_secrets = [ \"0123456789abcdef0123456789abcdef\" ]; "
                 "address_connections = 2;",
                 common);
        other = world_server(settings);
    }
    return strict ? other : plain;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char open_session[] = "GET " SESSION " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct world_client c, session;
    if (size < 1)
        return 0;
    uint8_t flags = *data++;
    size_t cuts = flags & 15;
    size--;
    if (cuts > size)
        cuts = size;
    struct http *h = server(flags & STRICT);
    bool posts = memmem(data, size, SESSION, strlen(SESSION));
    if (posts) {
        world_connect(&session, h);
        world_say(&session, open_session, sizeof open_session - 1);
    }
    world_connect(&c, h);
    world_say_cut(&c, data + cuts, size - cuts, data, cuts);
    if (flags & FINISH)
        world_finish(&c);
    check_answers(&c, flags & STRICT);
    if (flags & TIMEOUT) {
        clients_sweep(h, INT64_MAX / 2);
        links_sweep(h, INT64_MAX / 2);
        world_turn(h);
        CHECK(!h->clients);
    }
    world_disconnect(&c);
    if (posts) {
        world_say(&session, "", 0);
        check_answers(&session, flags & STRICT);
        world_disconnect(&session);
    }
    world_check_empty(h);
    return 0;
}
