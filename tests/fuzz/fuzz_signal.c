// SPDX-License-Identifier: BSD-2-Clause
// Input: what a few clients of the signaling hub do, a step a line: which of them (a digit), what
// (a letter), and with what. In texts @0 to @7 stand for the id of that client.
//   o claims  opens a connection, with a token that is signed (none without claims)
//   t text    b bytes    p pong    c code of its Close frame
//   r digit   resumes that client's session          q  takes nothing any more, or again
//   w ms      time passes                            j  the wall clock jumps by so many seconds
//   s digits  other settings                         i  no credentials any more, or again
//   d         drain                                  x  close_all
#include "fuzz.h"

#include <string.h>

#include "signal/hub.h"
#include "signal/jtext.h"
#include "stun/integrity.h"
#include "util/codec.h"

#define CLIENTS 8
#define ID_LEN 20
#define RESUME_LEN 52
#define LINE_MAX 9000
#define SECRET "secret"

struct client {
    struct world *w;
    struct signal_conn *conn;
    char id[ID_LEN], resume[RESUME_LEN]; // of its last session
    bool slow;
};

struct world {
    struct signal_hub *hub;
    struct signal_settings settings;
    struct client clients[CLIENTS];
    const struct client
        *speaker; // whose message is being handled; NULL: what was kept may come, too
    int64_t now_ms, unix_ms;
    uint64_t random;
    bool no_ice;
    uint32_t capacity; // the most there ever was
};

static bool is_one_of(const struct jvalue *v, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (jvalue_is(v, words[i]))
            return true;
    return false;
}

static void copy_hex(const struct jvalue *v, char *out, size_t len)
{
    char again[RESUME_LEN];
    CHECK(v->type == J_STRING && jvalue_string(v, again, sizeof again) == (int)len);
    for (size_t i = 0; i < len; i++)
        CHECK(strchr("0123456789abcdef", again[i]) && again[i]);
    memcpy(out, again, len);
}

// Whatever comes in, what goes out is one of our messages, and nobody speaks for others.
static void send_text(void *link, const void *data, size_t len)
{
    static const char *const types[] = {"registered", "users", "useradd", "userdel", "joined",
                                        "otherjoin",  "full",  "leaved",  "bye",     "message",
                                        "ack",        "ice",   "pong",    "goaway",  "error"};
    static const char *const names[] = {"type", "from", "peer", "resume", "count"};
    struct client *c = link;
    struct jvalue top, v[5];

    CHECK(c->conn && !c->slow);
    CHECK(utf8_valid(data, len));
    CHECK(jtext_scan(data, len, &top, names, 5, v) == 0 && top.type == J_OBJECT);
    CHECK(top.at == data && top.len == len);
    CHECK(is_one_of(&v[0], types, sizeof types / sizeof *types));
    if (jvalue_is(&v[0], "registered"))
        copy_hex(&v[2], c->id, ID_LEN);
    if (jvalue_is(&v[0], "registered") || jvalue_is(&v[0], "joined"))
        copy_hex(&v[3], c->resume, RESUME_LEN);
    if (jvalue_is(&v[0], "joined"))
        CHECK(strtoul(v[4].at, NULL, 10) <= c->w->capacity);
    if (v[1].type != J_ABSENT) {
        char from[ID_LEN];
        CHECK(jvalue_is(&v[0], "message") || jvalue_is(&v[0], "ack"));
        copy_hex(&v[1], from, ID_LEN);
        CHECK(!c->w->speaker || memcmp(from, c->w->speaker->id, ID_LEN) == 0);
    }
}

static void ping(void *link)
{
    struct client *c = link;
    CHECK(c->conn);
}

static void close_link(void *link, unsigned code, const char *reason)
{
    struct client *c = link;
    CHECK(c->conn && code >= 1000 && code < 5000 && strlen(reason) <= 123);
    c->conn = NULL;
}

static size_t backlog(void *link)
{
    struct client *c = link;
    return c->slow ? (size_t)1 << 30 : 0;
}

static int ice_servers(void *arg, const char *user, size_t user_len, int64_t until, char *out,
                       size_t cap, uint32_t *ttl)
{
    struct world *w = arg;
    CHECK(user_len > 0 && user_len <= SIGNAL_NAME_MAX && utf8_valid(user, user_len));
    CHECK(!memchr(user, 0, user_len));
    CHECK(until > 0);
    *ttl = until < 60 ? (uint32_t)until : 60;
    return w->no_ice ? -5 : snprintf(out, cap, "[]");
}

static void random_bytes(void *arg, void *buf, size_t len)
{
    struct world *w = arg;
    for (size_t i = 0; i < len; i++) {
        w->random = w->random * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)buf)[i] = (uint8_t)(w->random >> 33);
    }
}

static int64_t unix_ms(void *arg)
{
    struct world *w = arg;
    return w->unix_ms;
}

static void open_client(struct world *w, struct client *c, unsigned number, const char *claims,
                        size_t len)
{
    struct addr addr = {.family = ADDR_IPV4, .ip = {10, 0, 0, (uint8_t)(number / 4)}};
    char token[3 * LINE_MAX];
    uint8_t mac[32];
    size_t n = 0;

    if (c->conn)
        return;
    c->slow = false;
    if (len > 0) {
        n += base64_encode(token, "{\"alg\":\"HS256\" }", 16);
        while (token[n - 1] == '=')
            n--;
        token[n++] = '.';
        n += base64_encode(token + n, claims, len);
        for (char *p = token; p < token + n; p++)
            *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
        while (token[n - 1] == '=')
            n--;
        hmac_sha256(mac, SECRET, strlen(SECRET), token, n);
        token[n++] = '.';
        size_t at = n;
        n += base64_encode(token + n, mac, 32) - 1;
        for (char *p = token + at; p < token + n; p++)
            *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
    }
    token[n] = 0;
    c->conn = signal_hub_open(w->hub, c, &addr, token, w->now_ms);
}

// Ids in place of @0 to @7.
static size_t substitute(const struct world *w, char *out, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + ID_LEN < LINE_MAX; i++) {
        if (text[i] == '@' && i + 1 < len && text[i + 1] >= '0' && text[i + 1] < '0' + CLIENTS) {
            memcpy(out + n, w->clients[text[++i] - '0'].id, ID_LEN);
            n += ID_LEN;
        } else {
            out[n++] = text[i];
        }
    }
    return n;
}

static void say(struct world *w, struct client *c, const char *text, size_t len)
{
    char *line = malloc(LINE_MAX);
    size_t n = substitute(w, line, text, len);
    char *exact = malloc(n + 1);

    memcpy(exact, line, n);
    exact = realloc(exact, n ? n : 1);
    // What is kept for a session comes when it is resumed, from others.
    bool resuming = memmem(text, len, "resume", 6) || memmem(text, len, "\\u", 2);
    w->speaker = resuming ? NULL : c;
    signal_conn_text(c->conn, exact, n, w->now_ms);
    w->speaker = NULL;
    free(exact);
    free(line);
}

static void resume(struct world *w, struct client *c, const struct client *whose)
{
    char text[128];
    int n = snprintf(text, sizeof text, "{\"type\":\"resume\",\"token\":\"%.*s\"}", RESUME_LEN,
                     whose->resume);
    signal_conn_text(c->conn, text, (size_t)n, w->now_ms);
}

static void wait(struct world *w, int64_t ms)
{
    w->now_ms += ms;
    w->unix_ms += ms;
    CHECK(signal_hub_tick(w->hub, w->now_ms) > w->now_ms);
}

static void set(struct world *w, unsigned which)
{
    static const char *const secrets[] = {SECRET};
    struct signal_settings *s = &w->settings;

    s->secrets = secrets;
    s->secret_count = which & 1;
    s->capacity = which & 2 ? 5 : 2;
    s->grace_ms = which & 4 ? 0 : 10000;
    s->presence_max = which & 8 ? 0 : 100;
    s->rate = which & 16 ? 1000 : 20;
    s->burst = which & 16 ? 1000 : 40;
    if (s->capacity > w->capacity)
        w->capacity = s->capacity;
    CHECK(signal_hub_configure(w->hub, s) == 0);
}

static void step(struct world *w, const char *line, size_t len)
{
    unsigned number = (unsigned)(line[0] - '0') % CLIENTS;
    struct client *c = &w->clients[number];
    const char *rest = line + 2;
    size_t rest_len = len - 2;
    char digits[8] = "";

    memcpy(digits, rest, rest_len < 7 ? rest_len : 7);
    unsigned value = (unsigned)strtoul(digits, NULL, 10);
    if (line[1] == 'o')
        open_client(w, c, number, rest, rest_len);
    else if (line[1] == 'w')
        wait(w, value % 200000);
    else if (line[1] == 'j')
        w->unix_ms += value * INT64_C(1000);
    else if (line[1] == 's')
        set(w, value);
    else if (line[1] == 'i')
        w->no_ice = !w->no_ice;
    else if (line[1] == 'd')
        signal_hub_drain(w->hub, value);
    else if (line[1] == 'x')
        signal_hub_close_all(w->hub);
    if (!c->conn)
        return;
    if (line[1] == 't')
        say(w, c, rest, rest_len);
    else if (line[1] == 'b')
        signal_conn_binary(c->conn, rest, rest_len, w->now_ms);
    else if (line[1] == 'p')
        signal_conn_pong(c->conn, w->now_ms);
    else if (line[1] == 'r')
        resume(w, c, &w->clients[value % CLIENTS]);
    else if (line[1] == 'q')
        c->slow = !c->slow;
    else if (line[1] == 'c') {
        struct signal_conn *conn = c->conn;
        c->conn = NULL;
        signal_conn_closed(conn, value, w->now_ms);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct signal_ops ops = {send_text,   ping,         close_link, backlog,
                                          ice_servers, random_bytes, unix_ms};
    struct world *w = calloc(1, sizeof *w);
    const char *at = (const char *)data, *end = at + size;

    signal_settings_default(&w->settings);
    w->now_ms = 1;
    w->unix_ms = 1700000000000;
    w->settings.address_max = 3;
    w->settings.held_max = 1000;
    w->settings.text_max = 4096;
    w->hub = signal_hub_new(&w->settings, &ops, w);
    for (unsigned i = 0; i < CLIENTS; i++) {
        w->clients[i].w = w;
        memset(w->clients[i].id, '0', ID_LEN);
        memset(w->clients[i].resume, '0', RESUME_LEN);
    }
    set(w, 0);
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop ? stop : end) - at);
        if (len >= 2 && len < LINE_MAX)
            step(w, at, len);
        at += len + 1;
        struct signal_stats stats = signal_hub_stats(w->hub);
        CHECK(stats.connections <= CLIENTS && stats.users <= 2 * CLIENTS);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (w->clients[i].conn) {
            struct signal_conn *conn = w->clients[i].conn;
            w->clients[i].conn = NULL;
            signal_conn_closed(conn, SIGNAL_CLOSE_LOST, w->now_ms);
        }
    }
    wait(w, 10000);
    struct signal_stats stats = signal_hub_stats(w->hub);
    CHECK(stats.connections == 0 && stats.users == 0 && stats.rooms == 0);
    signal_hub_free(w->hub);
    free(w);
    return 0;
}
