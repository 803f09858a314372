// SPDX-License-Identifier: BSD-2-Clause
// Bad input, line by line, and every limit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "signal_fixture.h"

static void each(const char *const *frames, size_t count, const char *code)
{
    for (size_t i = 0; i < count; i++) {
        struct fixture *f = fixture_new();
        struct client *a = client_named(f, 0, "a");
        client_join(a, "r");
        say(a, frames[i]);
        expect_error(a, code);
        expect_nothing(a);
        assert_int_equal(a->code, 0);
        fixture_free(f);
    }
}

#define EACH(code, ...)                                                                            \
    do {                                                                                           \
        static const char *const frames[] = {__VA_ARGS__};                                         \
        each(frames, sizeof frames / sizeof *frames, code);                                        \
    } while (0)

static void not_json(void **state)
{
    EACH("bad_json", "", " ", "{", "}", "{'type'}", "{'type':}", "{'type':'ping'",
         "{'type':'ping',}", "{type:'ping'}", "{'type':'ping'}x", "{'type':'ping'}{}", "'open",
         "nul", "tru", "01", "+1", "1.", ".5", "1e", "-", "[1,]", "[1 2]", "{'a':1 'b':2}", "'\\x'",
         "'\\u12g4'", "'a\nb'", "'\\", "[}", "{'a':[1}]", "{'a':{]}", "NaN", "/**/{}",
         "{'a':1,,'b':2}", "{,}", "[,]");
}

static void too_deep(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_named(f, 0, "a");
    static char text[60000];

    client_join(a, "r");
    memset(text, '[', sizeof text);
    say_bytes(a, text, sizeof text);
    expect_error(a, "bad_json");
    strcpy(text, "{\"type\":\"message\",\"data\":");
    size_t at = strlen(text) + 65;
    memset(text + at - 65, '[', 65);
    memset(text + at, ']', 65);
    strcpy(text + at + 65, "}");
    say(a, text);
    expect_error(a, "bad_json");
    fixture_free(f);
}

static void no_type_or_wrong_field(void **state)
{
    EACH("bad_request", "{}", "[]", "5", "true", "'join'", "{'type':5}", "{'type':null}",
         "{'event':[]}", "{'type':{},'event':'ping'}", "{'type':'ping','id':[]}",
         "{'type':'ping','id':true}", "{'type':'ping','id':{'a':1}}",
         "{'type':'ping','id':'"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}",
         "{'type':'join'}", "{'type':'join','room':1}", "{'type':'join','room':''}",
         "{'type':'leave'}", "{'type':'leave','room':{}}", "{'type':'message'}",
         "{'type':'message','to':5,'data':1}", "{'type':'message','room':[],'data':1}",
         "{'type':'message','data':1,'scope':'world'}", "{'type':'message','data':1,'scope':1}",
         "{'type':'message','data':1,'ack':'yes','id':1}",
         "{'type':'message','data':1,'to':'a','scope':'all'}", "{'type':'ack'}",
         "{'type':'ack','id':1}", "{'candidate':5}", "{'type':'resume'}",
         "{'type':'resume','token':5}", "{'type':'register'}");
}

static void unknown_types(void **state)
{
    EACH("unknown_type", "{'type':'nothing'}", "{'type':''}", "{'type':'Join','room':'r'}",
         "{'event':'media'}", "{'type':'media','room':'r','mime':'video/webm','mode':'raw'}",
         "{'type':'START_REC_BLOB'}", "{'type':'offer'}", "{'type':'answer','sdp':1}",
         "{'type':'candidate','candidate':''}", "{'type':'joined','room':'r'}",
         "{'type':'join\\u0000','room':'r'}");
}

static void other_refusals(void **state)
{
    EACH("not_in_room", "{'type':'leave','room':'other'}",
         "{'type':'message','room':'other','data':1}");
    EACH("no_such_user", "{'type':'message','to':'b','data':1}", "{'type':'ack','to':'b','id':1}");
}

static void ten_mistakes(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_named(f, 0, "a"), *b = client_named(f, 1, "b");

    client_join(a, "r");
    client_join(b, "r");
    expect(a, "{'type':'otherjoin'}");
    for (int i = 0; i < 9; i++) {
        say(a, i % 2 ? "{" : "{'type':'?'}");
        expect_error(a, i % 2 ? "bad_json" : "unknown_type");
    }
    say(a, "{'type':'leave','room':'not there'}"); // no mistake: it may happen to the best
    expect_error(a, "not_in_room");
    assert_int_equal(a->code, 0);
    say(a, "{}");
    expect_error(a, "bad_request");
    expect_closed(a, 1008);
    expect(b, "{'type':'bye','name':'a','reason':'kick'}");
    say(b, "{'type':'message','to':'a','data':1}");
    expect_error(b, "no_such_user");
    fixture_free(f);
}

static void bytes_that_are_no_text(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_open(f, 0);

    say(a, "{'type':'ping','x':'\xff'}");
    expect_closed(a, 1007);
    client_open(f, 0);
    say(a, "{'type':'ping','x':'12345678\xed\xa0\x80'}");
    expect_closed(a, 1007);
    client_open(f, 0);
    signal_conn_binary(a->conn, "x", 1, f->now_ms);
    expect_error(a, "bad_request");
    fixture_free(f);
}

static void too_large(void **state)
{
    static char text[(1 << 20) + 1];
    struct fixture *f = fixture_new();
    struct client *a = client_open(f, 0);

    memset(text, ' ', sizeof text);
    memcpy(text, "{\"type\":\"ping\"}", 15);
    say_bytes(a, text, 65536);
    expect(a, "{'type':'pong'}");
    say_bytes(a, text, 65537);
    expect_closed(a, 1009);
    client_open(f, 0);
    signal_conn_binary(a->conn, text, sizeof text - 1, f->now_ms);
    expect_error(a, "bad_request");
    signal_conn_binary(a->conn, text, sizeof text, f->now_ms);
    expect_closed(a, 1009);
    f->settings.text_max = 100000;
    fixture_settings(f);
    client_open(f, 0);
    say_bytes(a, text, 65537);
    expect(a, "{'type':'pong'}");
    fixture_free(f);
}

static void register_first(void **state)
{
    static const char *const frames[] = {"{'type':'join','room':'r'}",
                                         "{'type':'users'}",
                                         "{'type':'ice'}",
                                         "{'type':'message','data':1}",
                                         "null",
                                         "{'type':'offer','sdp':''}",
                                         "{'type':'leave','room':'r'}",
                                         "{'type':'ack','to':'a','id':1}"};

    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        struct fixture *f = fixture_new();
        struct client *a = client_open(f, 0);
        say(a, "{'type':'ping','id':'p'}");
        expect(a, "{'type':'pong','id':'p'}");
        say(a, frames[i]);
        expect_error(a, "unauthorized");
        expect_closed(a, 4401);
        fixture_free(f);
    }
}

static void register_within_five_seconds(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_open(f, 0), *b;

    fixture_wait(f, 4990);
    b = client_named(f, 1, "b");
    expect_nothing(a);
    say(a, "{'type':'ping'}");
    expect(a, "{'type':'pong'}");
    fixture_wait(f, 20);
    expect_error(a, "unauthorized");
    expect_closed(a, 4401);
    fixture_wait(f, 5000);
    expect_nothing(b);
    assert_int_equal(b->code, 0);
    fixture_free(f);
}

static void too_fast(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_named(f, 0, "a"), *b = client_named(f, 1, "b");

    client_join(a, "r");
    client_join(b, "r");
    fixture_wait(f, 5000);
    skip_all(a);
    for (int i = 0; i < 200; i++) {
        say(a, "{'type':'ping'}");
        expect(a, "{'type':'pong'}");
    }
    say(a, "{'type':'ping'}");
    expect(a, "{'type':'error','code':'rate_limited','retry_ms':20}");
    fixture_wait(f, 20);
    say(a, "{'type':'ping'}");
    expect(a, "{'type':'pong'}");
    fixture_wait(f, 1000);
    for (int i = 0; i < 50; i++) {
        say(a, "{'type':'ping'}");
        expect(a, "{'type':'pong'}");
    }
    // What was under way is forgiven, a second's worth.
    for (int i = 0; i < 49; i++) {
        say(a, "{'type':'ping'}");
        expect(a, "{'type':'error','code':'rate_limited'}");
    }
    say(a, "{'type':'ping'}");
    expect_error(a, "rate_limited");
    expect_closed(a, 4429);
    expect(b, "{'type':'bye','reason':'kick'}");
    fixture_free(f);
}

static void what_goes_to_all_counts_more(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_named(f, 0, "a"), *b = client_named(f, 1, "b");

    fixture_wait(f, 5000);
    for (int i = 0; i < 20; i++) {
        say(a, i % 2 ? "{'type':'users'}" : "{'type':'message','scope':'all','data':1}");
        skip_all(a);
        skip_all(b);
    }
    say(a, "{'type':'message','scope':'all','data':1}");
    expect(a, "{'type':'error','code':'rate_limited'}");
    expect_nothing(b);
    fixture_free(f);
}

// What one says to everybody costs memory for each of them.
static void what_goes_to_all_is_bounded_in_bytes(void **state)
{
    struct fixture *f = fixture_new();
    f->settings.all_max = 4; // KiB
    fixture_settings(f);
    struct client *a = client_named(f, 0, "a"), *b = client_named(f, 1, "b");
    struct client *c = client_named(f, 2, "c");
    char text[4096];

    fixture_wait(f, 5000);
    snprintf(text, sizeof text, "{'type':'message','scope':'all','id':7,'data':'%02200d'}", 0);
    say(a, text);
    expect(a, "{'type':'error','code':'quota_exceeded','id':7}");
    expect_nothing(b);
    snprintf(text, sizeof text, "{'type':'message','scope':'all','id':8,'data':'%01500d'}", 0);
    say(a, text);
    expect(a, "{'type':'ack','id':8,'count':2}");
    expect(b, "{'type':'message','name':'a'}");
    expect(c, "{'type':'message','name':'a'}");
    // Of all senders together.
    say(b, text);
    expect(b, "{'type':'error','code':'rate_limited','id':8,'retry_ms':1000}");
    expect_nothing(a);
    expect_nothing(c);
    fixture_wait(f, 1000);
    say(b, text);
    expect(b, "{'type':'ack','id':8,'count':2}");
    fixture_free(f);
}

// What one says to many costs memory for each of them, too.
static void what_goes_to_others_is_bounded_in_bytes(void **state)
{
    static const char *const scopes[] = {"'room':'r'", "'room':'r','scope':'room-all'", "'to':'b'"};
    static const int fit[] = {1700, 1100, 4000}, never[] = {2200, 1500, 0};
    char text[4600];

    for (int i = 0; i < 3; i++) {
        struct fixture *f = fixture_new();
        f->settings.bytes = 4096;
        f->settings.capacity = 3;
        fixture_settings(f);
        struct client *a = client_named(f, 0, "a"), *b = client_named(f, 1, "b");
        struct client *c = client_named(f, 2, "c");
        client_join(a, "r");
        client_join(b, "r");
        client_join(c, "r");
        fixture_wait(f, 5000);
        skip_all(a);
        skip_all(b);
        if (never[i]) {
            snprintf(text, sizeof text, "{'type':'message',%s,'id':7,'data':'%0*d'}", scopes[i],
                     never[i], 0);
            say(a, text);
            expect(a, "{'type':'error','code':'quota_exceeded','id':7}");
            expect_nothing(b);
        }
        snprintf(text, sizeof text, "{'type':'message',%s,'id':8,'data':'%0*d'}", scopes[i], fit[i],
                 0);
        say(a, text);
        expect(b, "{'type':'message','name':'a'}");
        skip_all(a);
        say(a, text);
        expect(a, "{'type':'error','code':'rate_limited','id':8}");
        expect_nothing(b);
        // Of one sender, unlike messages to everybody.
        say(c, text);
        expect(b, "{'type':'message','name':'c'}");
        skip_all(a);
        fixture_wait(f, 1000);
        say(a, text);
        expect(b, "{'type':'message','name':'a'}");
        fixture_free(f);
    }
}

static void one_to_one_always_fits(void **state)
{
    struct fixture *f = fixture_new();
    static char text[65536];

    f->settings.bytes = 1000;
    fixture_settings(f);
    struct client *a = client_named(f, 0, "a"), *b = client_named(f, 1, "b");
    snprintf(text, sizeof text, "{'type':'ack','to':'b','id':1,'args':'%060000d'}", 0);
    for (int i = 0; i < 3; i++) {
        say(a, text);
        expect(b, "{'type':'ack','name':'a'}");
        say(a, text);
        expect(a, "{'type':'error','code':'rate_limited','retry_ms':1001}");
        fixture_wait(f, 1001);
    }
    f->settings.bytes = 0;
    fixture_settings(f);
    for (int i = 0; i < 4; i++) {
        say(a, text);
        expect(b, "{'type':'ack','name':'a'}");
    }
    fixture_free(f);
}

// A list of members for who comes, and a word to each of them.
static void joins_are_bounded_in_bytes(void **state)
{
    struct fixture *f = fixture_new();

    f->settings.bytes = 1600;
    f->settings.capacity = 10;
    fixture_settings(f);
    struct client *a = client_named(f, 0, "a");
    for (unsigned i = 1; i < 6; i++)
        client_join(client_named(f, i, (char[]){(char)('a' + i), 0}), "r");
    say(a, "{'type':'join','room':'r'}");
    expect(a, "{'type':'joined','count':6}");
    say(a, "{'type':'join','room':'r','id':1}");
    expect(a, "{'type':'error','code':'rate_limited','id':1}");
    fixture_wait(f, 1000);
    say(a, "{'type':'join','room':'r'}");
    expect(a, "{'type':'joined'}");
    fixture_free(f);
}

static void a_new_connection_is_no_new_bucket(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_named(f, 0, "a");
    char text[128];

    snprintf(text, sizeof text, "{'type':'resume','token':'%s'}", a->resume);
    for (int i = 0; i < 199; i++)
        say(a, "{'type':'ping'}");
    skip_all(a);
    client_lose(a, SIGNAL_CLOSE_LOST);
    client_open(f, 0);
    say(a, text);
    expect(a, "{'type':'registered','resumed':true}");
    say(a, "{'type':'ping'}");
    expect_error(a, "rate_limited");
    fixture_free(f);
}

static bool open_from(struct fixture *f, struct client *c, const char *ip)
{
    assert_int_equal(addr_parse_ip(&c->addr, ip, 1), 0);
    if (!client_open_with(c, NULL))
        return false;
    return true;
}

static void connections_of_an_address(void **state)
{
    struct fixture *f = fixture_new();
    struct client *c = f->clients;

    f->settings.address_max = 2;
    fixture_settings(f);
    assert_true(open_from(f, &c[0], "192.0.2.1"));
    assert_true(open_from(f, &c[1], "::ffff:192.0.2.1"));
    assert_false(open_from(f, &c[2], "192.0.2.1"));
    assert_true(open_from(f, &c[2], "::ffff:192.0.2.2"));
    assert_true(open_from(f, &c[3], "2001:db8:1:2::1"));
    assert_true(open_from(f, &c[4], "2001:db8:1:2:ffff::1"));
    assert_false(open_from(f, &c[5], "2001:db8:1:2:8::"));
    assert_true(open_from(f, &c[5], "2001:db8:1:3::1"));
    assert_int_equal(signal_hub_stats(f->hub).refused, 2);
    client_lose(&c[0], SIGNAL_CLOSE_LOST);
    assert_true(open_from(f, &c[0], "192.0.2.1"));
    f->settings.address_max = 0;
    f->settings.connections_max = 7;
    fixture_settings(f);
    assert_true(open_from(f, &c[6], "192.0.2.1"));
    assert_false(open_from(f, &c[7], "192.0.2.9"));
    fixture_free(f);
}

// Whoever registers, goes and comes again leaves no more behind than connections are allowed.
static void sessions_of_an_address(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = &f->clients[0];
    char name[16];

    f->settings.address_max = 4;
    fixture_settings(f);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "u%d", i);
        client_named(f, 0, name);
        client_lose(a, SIGNAL_CLOSE_LOST);
        assert_true(signal_hub_stats(f->hub).users <= 4);
    }
    assert_int_equal(signal_hub_stats(f->hub).users, 4);
    fixture_wait(f, 10000);
    assert_int_equal(signal_hub_stats(f->hub).users, 0);
    fixture_free(f);
}

static void settings_that_make_no_sense(void **state)
{
    struct fixture *f = fixture_new();
    uint32_t *const never_zero[] = {&f->settings.text_max, &f->settings.rate,
                                    &f->settings.burst,    &f->settings.capacity,
                                    &f->settings.name_max, &f->settings.rooms_max,
                                    &f->settings.ping_ms,  &f->settings.register_ms};

    for (size_t i = 0; i < sizeof never_zero / sizeof *never_zero; i++) {
        uint32_t was = *never_zero[i];
        *never_zero[i] = 0;
        assert_int_equal(signal_hub_configure(f->hub, &f->settings), -22);
        assert_null(signal_hub_new(&f->settings, &fixture_ops, f));
        *never_zero[i] = was;
    }
    f->settings.name_max = 256;
    assert_int_equal(signal_hub_configure(f->hub, &f->settings), -22);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_json),
        cmocka_unit_test(too_deep),
        cmocka_unit_test(no_type_or_wrong_field),
        cmocka_unit_test(unknown_types),
        cmocka_unit_test(other_refusals),
        cmocka_unit_test(ten_mistakes),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(too_large),
        cmocka_unit_test(register_first),
        cmocka_unit_test(register_within_five_seconds),
        cmocka_unit_test(too_fast),
        cmocka_unit_test(what_goes_to_all_counts_more),
        cmocka_unit_test(what_goes_to_all_is_bounded_in_bytes),
        cmocka_unit_test(what_goes_to_others_is_bounded_in_bytes),
        cmocka_unit_test(one_to_one_always_fits),
        cmocka_unit_test(joins_are_bounded_in_bytes),
        cmocka_unit_test(a_new_connection_is_no_new_bucket),
        cmocka_unit_test(connections_of_an_address),
        cmocka_unit_test(sessions_of_an_address),
        cmocka_unit_test(settings_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
