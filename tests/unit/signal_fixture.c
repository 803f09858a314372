// SPDX-License-Identifier: BSD-2-Clause
#include "signal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "signal/name.h"
#include "stun/integrity.h"
#include "util/codec.h"

static void send_text(void *link, const void *data, size_t len)
{
    struct client *c = link;

    assert_non_null(c);
    assert_int_equal(c->code, 0);
    if (c->read == c->count)
        c->used = c->count = c->read = 0;
    assert_true(c->count < FRAMES && c->used + len <= sizeof c->bytes);
    memcpy(c->bytes + c->used, data, len);
    c->at[c->count++] = c->used;
    c->used += len;
    c->at[c->count] = c->used;
}

static void ping(void *link)
{
    struct client *c = link;
    assert_int_equal(c->code, 0);
    c->pings++;
}

static void close_link(void *link, unsigned code, const char *reason)
{
    struct client *c = link;
    assert_int_equal(c->code, 0);
    c->code = code;
    c->conn = NULL;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
    assert_true(strlen(reason) <= 123);
}

static size_t backlog(void *link)
{
    struct client *c = link;
    return c->backlog;
}

static int ice_servers(void *arg, const char *user, size_t user_len, int64_t until, char *out,
                       size_t cap, uint32_t *ttl)
{
    struct fixture *f = arg;
    if (f->ice_fails)
        return f->ice_fails;
    int64_t left = until - f->unix_ms / 1000;
    *ttl = left < 0 ? 0 : left < f->ice_ttl ? (uint32_t)left : f->ice_ttl;
    f->ice_made++;
    char name[NAME_QUOTED(SIGNAL_NAME_MAX)];
    size_t len = name_quote(name, user, user_len);
    return snprintf(out, cap, "[{\"urls\":[\"turn:t\"],\"username\":%.*s,\"credential\":\"%u\"}]",
                    (int)len, name, f->ice_made);
}

static void random_bytes(void *arg, void *buf, size_t len)
{
    struct fixture *f = arg;
    unsigned char *p = buf;
    for (size_t i = 0; i < len; i++) {
        f->seed = f->seed * 6364136223846793005u + 1442695040888963407u;
        p[i] = (unsigned char)(f->seed >> 33);
    }
}

static int64_t unix_ms(void *arg)
{
    struct fixture *f = arg;
    return f->unix_ms;
}

const struct signal_ops fixture_ops = {send_text,   ping,         close_link, backlog,
                                       ice_servers, random_bytes, unix_ms};

struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->scratch = malloc(SCRATCH);
    assert_non_null(f->scratch);
    signal_settings_default(&f->settings);
    f->settings.presence_max = 0;
    f->now_ms = 1000;
    f->unix_ms = 1700000000000;
    f->ice_ttl = 100;
    f->seed = 1;
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &f->clients[i];
        c->f = f;
        c->addr = (struct addr){.family = ADDR_IPV4, .ip = {192, 0, 2, (uint8_t)(i + 1)}};
    }
    f->hub = signal_hub_new(&f->settings, &fixture_ops, f);
    assert_non_null(f->hub);
    return f;
}

void fixture_settings(struct fixture *f)
{
    assert_int_equal(signal_hub_configure(f->hub, &f->settings), 0);
}

void fixture_free(struct fixture *f)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &f->clients[i];
        if (c->conn)
            client_lose(c, SIGNAL_CLOSE_NORMAL);
        json_decref(c->last);
    }
    f->settings.grace_ms = 10000;
    fixture_wait(f, 2 * f->settings.grace_ms);
    struct signal_stats stats = signal_hub_stats(f->hub);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.users, 0);
    assert_int_equal(stats.rooms, 0);
    assert_true(signal_hub_due(f->hub) == INT64_MAX);
    signal_hub_free(f->hub);
    free(f->scratch);
    free(f);
}

void fixture_wait(struct fixture *f, int64_t ms)
{
    int64_t end = f->now_ms + ms, due;

    while ((due = signal_hub_due(f->hub)) <= end) {
        if (due > f->now_ms) {
            f->unix_ms += due - f->now_ms;
            f->now_ms = due;
        }
        assert_true(signal_hub_tick(f->hub, f->now_ms) > f->now_ms);
    }
    f->unix_ms += end - f->now_ms;
    f->now_ms = end;
}

bool client_open_with(struct client *c, const char *token)
{
    assert_null(c->conn);
    c->code = 0;
    c->used = c->count = c->read = c->pings = 0;
    c->conn = signal_hub_open(c->f->hub, c, &c->addr, token, c->f->now_ms);
    return c->conn != NULL;
}

struct client *client_open(struct fixture *f, unsigned i)
{
    assert_true(client_open_with(&f->clients[i], NULL));
    return &f->clients[i];
}

struct client *client_named(struct fixture *f, unsigned i, const char *name)
{
    struct client *c = client_open(f, i);
    char text[512];

    snprintf(text, sizeof text, "{'type':'register','name':'%s'}", name);
    say(c, text);
    json_t *m = expect(c, "{'type':'registered'}");
    snprintf(c->id, sizeof c->id, "%s", json_string_value(json_object_get(m, "peer")));
    snprintf(c->resume, sizeof c->resume, "%s", json_string_value(json_object_get(m, "resume")));
    expect_nothing(c);
    return c;
}

void client_join(struct client *c, const char *room)
{
    char text[512];

    snprintf(text, sizeof text, "{'type':'join','room':'%s'}", room);
    say(c, text);
    snprintf(text, sizeof text, "{'type':'joined','room':'%s'}", room);
    expect(c, text);
}

void client_lose(struct client *c, unsigned code)
{
    struct signal_conn *conn = c->conn;
    c->conn = NULL;
    signal_conn_closed(conn, code, c->f->now_ms);
}

// At the end of a block, so that a sanitizer sees whoever reads beyond.
static char *place(struct fixture *f, const void *data, size_t len)
{
    assert_true(len <= SCRATCH);
    return memcpy(f->scratch + SCRATCH - len, data, len);
}

static char *unquote(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\'')
            text[i] = '"';
    return text;
}

void say_bytes(struct client *c, const void *data, size_t len)
{
    assert_non_null(c->conn);
    signal_conn_text(c->conn, place(c->f, data, len), len, c->f->now_ms);
}

void say(struct client *c, const char *text)
{
    size_t len = strlen(text);
    assert_non_null(c->conn);
    char *plain = unquote(place(c->f, text, len), len);
    signal_conn_text(c->conn, plain, len, c->f->now_ms);
}

static bool holds(json_t *whole, json_t *part)
{
    const char *key;
    json_t *value;

    if (!json_is_object(part))
        return json_equal(whole, part);
    if (!json_is_object(whole))
        return false;
    json_object_foreach(part, key, value)
    {
        json_t *other = json_object_get(whole, key);
        if (!other || !holds(other, value))
            return false;
    }
    return true;
}

static const char *next_frame(struct client *c, size_t *len)
{
    if (c->read == c->count)
        fail_msg("no frame has come (closed %u)", c->code);
    const char *at = c->bytes + c->at[c->read];
    *len = c->at[c->read + 1] - c->at[c->read];
    c->read++;
    return at;
}

json_t *expect(struct client *c, const char *text)
{
    char copy[4096];
    size_t len;
    json_error_t error;

    snprintf(copy, sizeof copy, "%s", text);
    json_t *part = json_loads(unquote(copy, strlen(copy)), JSON_DECODE_ANY, &error);
    if (!part)
        fail_msg("not JSON: %s", text);
    const char *frame = next_frame(c, &len);
    json_decref(c->last);
    c->last = json_loadb(frame, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!c->last)
        fail_msg("not JSON: %.*s: %s", (int)len, frame, error.text);
    if (!holds(c->last, part))
        fail_msg("expected %s, not %.*s", copy, (int)len, frame);
    json_decref(part);
    return c->last;
}

void expect_bytes(struct client *c, const char *text)
{
    size_t len;
    const char *frame = next_frame(c, &len);
    if (len != strlen(text) || memcmp(frame, text, len) != 0)
        fail_msg("expected %s, not %.*s", text, (int)len, frame);
}

void expect_error(struct client *c, const char *code)
{
    char text[128];
    snprintf(text, sizeof text, "{'type':'error','code':'%s'}", code);
    json_t *m = expect(c, text);
    assert_true(json_string_length(json_object_get(m, "message")) > 0);
}

void expect_closed(struct client *c, unsigned code)
{
    expect_nothing(c);
    assert_int_equal(c->code, code);
    assert_null(c->conn);
    assert_true(*c->reason);
}

void expect_nothing(struct client *c)
{
    size_t len;
    if (c->read == c->count)
        return;
    const char *frame = next_frame(c, &len);
    fail_msg("nothing expected, not %.*s", (int)len, frame);
}

void skip_all(struct client *c)
{
    c->read = c->count;
}

static size_t base64url(char *out, const void *data, size_t len)
{
    size_t n = base64_encode(out, data, len);
    while (n > 0 && out[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    return n;
}

const char *make_token(const char *key, const char *header, const char *claims)
{
    static char token[8192];
    char plain[4096];
    uint8_t mac[32];
    size_t len;

    snprintf(plain, sizeof plain, "%s", header);
    len = base64url(token, unquote(plain, strlen(plain)), strlen(plain));
    token[len++] = '.';
    snprintf(plain, sizeof plain, "%s", claims);
    len += base64url(token + len, unquote(plain, strlen(plain)), strlen(plain));
    assert_int_equal(hmac_sha256(mac, key, strlen(key), token, len), 0);
    token[len++] = '.';
    len += base64url(token + len, mac, sizeof mac);
    token[len] = 0;
    return token;
}
