// SPDX-License-Identifier: BSD-2-Clause
// A whole call with each allocation failing in turn: that one request fails, the next one works,
// nothing is left behind. And a million joins and leaves.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "alloc_hook.h"
#include "signal_fixture.h"

static const char *const secrets[] = {"secret"};

// What a client asks for is done, or refused for want of memory and then done.
static json_t *try(struct client *c, const char *text, const char *answer)
{
    unsigned before = alloc_failed;

    for (int i = 0; i < 2; i++) {
        say(c, text);
        if (alloc_failed == before)
            break;
        // Some of what failed was not needed: tables and buffers that do not grow.
        const char *frame = c->bytes + c->at[c->read];
        if (c->read < c->count && strncmp(frame, "{\"type\":\"error\"", 15) != 0)
            break;
        expect(c, "{'type':'error','code':'unavailable'}");
        before = alloc_failed;
    }
    return expect(c, answer);
}

static void open_again(struct client *c, const char *token)
{
    if (!client_open_with(c, token))
        assert_true(client_open_with(c, token));
}

static void call(struct fixture *f, const char *token)
{
    struct client *a = &f->clients[0], *b = &f->clients[1];
    char text[256], room[64];

    open_again(a, token);
    open_again(b, token);
    try(a, "{'type':'register','name':'a'}", "{'type':'registered'}");
    snprintf(a->resume, sizeof a->resume, "%s",
             json_string_value(json_object_get(a->last, "resume")));
    client_lose(b, SIGNAL_CLOSE_LOST);
    open_again(
        b, make_token(secrets[0], "{'alg':'HS256'}", "{'sub':'b','exp':1800000000,'room':'r5'}"));
    try(b, "{'type':'register'}", "{'type':'registered','name':'b'}");
    for (int i = 0; i < 8; i++) {
        snprintf(text, sizeof text, "{'type':'join','room':'r%d'}", i);
        snprintf(room, sizeof room, "{'type':'joined','room':'r%d'}", i);
        try(a, text, room);
    }
    try(b, "{'type':'join','room':'r5'}", "{'type':'joined','count':2}");
    expect(a, "{'type':'otherjoin','room':'r5'}");
    try(a, "{'type':'message','room':'r5','data':'hello','id':1}", "{'type':'ack','count':1}");
    expect(b, "{'type':'message','data':'hello'}");
    try(a, "{'type':'users'}", "{'type':'users','users':['b']}");
    client_lose(a, SIGNAL_CLOSE_LOST);
    unsigned before = alloc_failed;
    say(b, "{'type':'message','room':'r5','data':'held'}");
    open_again(a, NULL);
    snprintf(text, sizeof text, "{'type':'resume','token':'%s'}", a->resume);
    say(a, text);
    if (alloc_failed > before && b->read < b->count) {
        // It could not be kept: said, not passed over.
        expect(b, "{'type':'bye','name':'a'}");
        expect(a, "{'type':'error','code':'no_such_session'}");
    } else {
        expect(a, "{'type':'registered','resumed':true}");
        for (int i = 0; i < 8; i++)
            expect(a, "{'type':'joined'}");
        expect(a, "{'type':'message','data':'held'}");
    }
    expect_nothing(a);
    expect_nothing(b);
}

static void each_allocation_fails(void **state)
{
    int rounds = 0;
    char token[1024];

    snprintf(token, sizeof token, "%s",
             make_token(secrets[0], "{'alg':'HS256'}", "{'sub':'a','exp':1800000000}"));
    struct fixture *first = fixture_new();
    first->settings.secrets = secrets;
    first->settings.secret_count = 1;
    fixture_settings(first);
    call(first, token);
    fixture_free(first);
    long before = alloc_live;
    for (;; rounds++) {
        struct fixture *f = fixture_new();
        f->settings.secrets = secrets;
        f->settings.secret_count = 1;
        fixture_settings(f);
        alloc_failed = 0;
        alloc_fail_at = rounds;
        call(f, token);
        alloc_fail_at = -1;
        fixture_free(f);
        assert_int_equal(alloc_live, before);
        if (!alloc_failed)
            break;
    }
    printf("# %d allocations failed, one by one\n", rounds);
    assert_true(rounds > 20);
}

static void a_hub_without_memory(void **state)
{
    struct fixture *f = fixture_new();
    long before = alloc_live;

    for (int i = 0;; i++) {
        alloc_fail_at = i;
        alloc_failed = 0;
        struct signal_hub *hub = signal_hub_new(&f->settings, &fixture_ops, f);
        alloc_fail_at = -1;
        signal_hub_free(hub);
        assert_int_equal(alloc_live, before);
        if (!alloc_failed)
            break;
        assert_null(hub);
    }
    // A reload fails whole.
    alloc_fail_at = 0;
    f->settings.capacity = 9;
    assert_int_equal(signal_hub_configure(f->hub, &f->settings), -12);
    alloc_fail_at = -1;
    fixture_free(f);
}

static void a_million_joins_and_leaves(void **state)
{
    struct fixture *f = fixture_new();
    long blocks = 0, bytes = 0;

    f->settings.rate = f->settings.burst = 1000000;
    fixture_settings(f);
    struct client *a = client_named(f, 0, "a");
    for (int i = 0; i < 1000000; i++) {
        char text[64];
        snprintf(text, sizeof text, "{'type':'join','room':'r%d'}", i);
        say(a, text);
        snprintf(text, sizeof text, "{'type':'leave','room':'r%d'}", i);
        say(a, text);
        skip_all(a);
        if (i % 1000 == 0)
            f->now_ms += 1000;
        if (i % 10000 == 0) { // and visitors who vanish
            client_named(f, 1, "visitor");
            client_lose(&f->clients[1], SIGNAL_CLOSE_LOST);
            signal_conn_pong(a->conn, f->now_ms);
            fixture_wait(f, 10000);
        }
        if (i == 1000) {
            blocks = alloc_live;
            bytes = alloc_bytes;
        }
    }
    assert_int_equal(alloc_live, blocks);
    assert_int_equal(alloc_bytes, bytes);
    assert_int_equal(signal_hub_stats(f->hub).rooms, 0);
    fixture_free(f);
}

// What an idle user in a room takes, without the server's side of the socket.
static void memory_of_a_user(void **state)
{
    enum { USERS = 1000 };
    static struct signal_conn *conns[USERS];
    struct fixture *f = fixture_new();
    struct client *sink = &f->clients[0];

    f->settings.address_max = 0;
    f->settings.grace_ms = 0;
    fixture_settings(f);
    long bytes = alloc_bytes;
    for (int i = 0; i < USERS; i++) {
        char text[64];
        conns[i] = signal_hub_open(f->hub, sink, &sink->addr, NULL, f->now_ms);
        assert_non_null(conns[i]);
        int n = snprintf(text, sizeof text, "{\"type\":\"register\",\"name\":\"user-%d\"}", i);
        signal_conn_text(conns[i], text, (size_t)n, f->now_ms);
        n = snprintf(text, sizeof text, "{\"type\":\"join\",\"room\":\"room-%d\"}", i / 2);
        signal_conn_text(conns[i], text, (size_t)n, f->now_ms);
        skip_all(sink);
    }
    printf("# %ld bytes of the hub for a user in a room of two\n", (alloc_bytes - bytes) / USERS);
    assert_true((alloc_bytes - bytes) / USERS < 1536);
    for (int i = 0; i < USERS; i++) {
        signal_conn_closed(conns[i], SIGNAL_CLOSE_NORMAL, f->now_ms);
        skip_all(sink);
    }
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails),
        cmocka_unit_test(a_hub_without_memory),
        cmocka_unit_test(a_million_joins_and_leaves),
        cmocka_unit_test(memory_of_a_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
