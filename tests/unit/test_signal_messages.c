// SPDX-License-Identifier: BSD-2-Clause
// What is relayed to whom, and that it arrives as it was sent.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "signal_fixture.h"

struct three {
    struct fixture *f;
    struct client *a, *b, *c; // in room r, and d nowhere
    struct client *d;
};

static struct three begin(void)
{
    struct three t = {.f = fixture_new()};
    t.f->settings.capacity = 3;
    fixture_settings(t.f);
    t.a = client_named(t.f, 0, "a");
    t.b = client_named(t.f, 1, "b");
    t.c = client_named(t.f, 2, "c");
    t.d = client_named(t.f, 3, "d");
    client_join(t.a, "r");
    client_join(t.b, "r");
    client_join(t.c, "r");
    skip_all(t.a);
    skip_all(t.b);
    return t;
}

static void silent(struct three *t)
{
    expect_nothing(t->a);
    expect_nothing(t->b);
    expect_nothing(t->c);
    expect_nothing(t->d);
}

// The frame in which c gets what a sends to room r.
static void expect_data(struct client *to, const struct client *from, const char *data)
{
    char text[70000];
    snprintf(text, sizeof text,
             "{\"type\":\"message\",\"room\":\"r\",\"from\":\"%s\",\"name\":\"a\",\"data\":%s}",
             from->id, data);
    expect_bytes(to, text);
}

static void to_the_room(void **state)
{
    struct three t = begin();
    say(t.a, "{'type':'message','room':'r','data':{'x':1}}");
    expect_data(t.b, t.a, "{\"x\":1}");
    expect_data(t.c, t.a, "{\"x\":1}");
    silent(&t);
    // Without a room it is the only one.
    say(t.a, "{'event':'message','data':2}");
    expect_data(t.b, t.a, "2");
    skip_all(t.c);
    silent(&t);
    fixture_free(t.f);
}

static void the_bytes_of_data_stay(void **state)
{
    static const char *const data[] = {
        "{\"a\":1,\"a\":2}",
        "{\"b\":1,\"a\":2}",
        "12345678901234567890123",
        "0.1000000000000000055511151231257827",
        "-0",
        "1E400",
        "{ \"sdp\" :\r\n\t\"v=0\\r\\no=- 1 2 IN IP4 0.0.0.0\\r\\n\" }",
        "\"\\u0041\\/\\ud83d\\ude00 \\ud800 \\u0000\"",
        "\"\xf0\x9f\x98\x80\"",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]"
        "]]]]]]]]]"
        "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        "null",
        "\"from\"",
        "{\"type\":\"bye\",\"from\":\"server\"}",
    };
    struct three t = begin();
    for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
        char text[512];
        int n =
            snprintf(text, sizeof text, "{\"type\":\"message\",\"data\": %s ,\"x\":1}", data[i]);
        say_bytes(t.a, text, (size_t)n);
        expect_data(t.b, t.a, data[i]);
        skip_all(t.c);
    }
    silent(&t);
    fixture_free(t.f);
}

static void the_longest_is_relayed(void **state)
{
    static char text[65537], data[65537];
    struct three t = begin();
    size_t head = (size_t)sprintf(text, "{\"type\":\"message\",\"data\":\"");
    memset(text + head, 'x', 65536 - head - 2);
    memcpy(text + 65536 - 2, "\"}", 3);
    say_bytes(t.a, text, 65536);
    snprintf(data, sizeof data, "%.*s", (int)(65536 - head), text + head - 1);
    expect_data(t.b, t.a, data);
    skip_all(t.c);
    silent(&t);
    fixture_free(t.f);
}

static void from_is_set_by_the_server(void **state)
{
    struct three t = begin();
    say(t.a,
        "{'type':'message','from':'forged','name':'c','id':'x','uid':1,'data':1,'from':'again'}");
    expect_data(t.b, t.a, "1");
    expect_data(t.c, t.a, "1");
    expect(t.a, "{'type':'ack','id':'x','ok':true,'count':2}");
    silent(&t);
    // Written in another way it is still the same word; the last of two counts.
    say(t.a, "{'ty\\u0070e':'join','type':'mess\\u0061ge','data':1,'da\\u0074a':2}");
    expect_data(t.b, t.a, "2");
    skip_all(t.c);
    fixture_free(t.f);
}

static void four_ways_to_emit(void **state)
{
    struct three t = begin();
    say(t.a, "{'type':'message','scope':'room-all','data':1}");
    expect_data(t.a, t.a, "1");
    expect_data(t.b, t.a, "1");
    expect_data(t.c, t.a, "1");
    silent(&t);
    say(t.a, "{'type':'message','scope':'room','data':2}");
    expect_data(t.b, t.a, "2");
    expect_data(t.c, t.a, "2");
    silent(&t);
    say(t.a, "{'type':'message','scope':'all','room':'elsewhere','data':3}");
    json_t *m = expect(t.b, "{'type':'message','name':'a','data':3}");
    assert_null(json_object_get(m, "room"));
    expect(t.c, "{'type':'message','name':'a','data':3}");
    expect(t.d, "{'type':'message','name':'a','data':3}");
    silent(&t);
    say(t.a, "{'type':'message','to':'a','data':4}");
    expect(t.a, "{'type':'message','name':'a','data':4}");
    silent(&t);
    fixture_free(t.f);
}

static void to_one(void **state)
{
    struct three t = begin();
    char text[256];

    say(t.a, "{'type':'message','to':'d','data':1,'id':5}");
    json_t *m = expect(t.d, "{'type':'message','name':'a','data':1}");
    assert_null(json_object_get(m, "room"));
    assert_string_equal(json_string_value(json_object_get(m, "from")), t.a->id);
    expect(t.a, "{'type':'ack','id':5,'ok':true,'count':1}");
    snprintf(text, sizeof text, "{'type':'message','to':'%s','room':'r','data':2}", t.b->id);
    say(t.d, "{'type':'message','to':'b','room':'r','data':2}");
    expect_error(t.d, "not_in_room");
    say(t.a, text);
    expect(t.b, "{'type':'message','room':'r','data':2}");
    say(t.a, "{'type':'message','to':'d','room':'r','data':2}");
    expect_error(t.a, "no_such_user");
    say(t.a, "{'type':'message','to':'nobody','data':2,'id':'i'}");
    expect(t.a, "{'type':'error','code':'no_such_user','id':'i'}");
    say(t.a, "{'type':'message','to':'00000000000000000000','data':2}");
    expect_error(t.a, "no_such_user");
    silent(&t);
    fixture_free(t.f);
}

static void rooms_that_one_is_not_in(void **state)
{
    struct three t = begin();
    say(t.d, "{'type':'message','room':'r','data':1}");
    expect_error(t.d, "not_in_room");
    say(t.d, "{'type':'message','data':1}");
    expect_error(t.d, "not_in_room");
    say(t.d, "{'type':'offer','sdp':''}");
    expect_error(t.d, "not_in_room");
    client_join(t.a, "r2");
    say(t.a, "{'type':'message','data':1}");
    expect_error(t.a, "bad_request");
    say(t.a, "null");
    expect_error(t.a, "bad_request");
    silent(&t);
    fixture_free(t.f);
}

static void bare_descriptions_and_candidates(void **state)
{
    static const char *const bare[] = {
        "{\"type\":\"offer\",\"sdp\":\"v=0\\r\\n\"}",
        "{ \"sdp\":\"v=0\\r\\n\" , \"type\":\"answer\" }",
        "{\"candidate\":\"candidate:1 1 udp 1 192.0.2.1 9 typ "
        "host\",\"sdpMid\":\"0\",\"sdpMLineIndex\":0,"
        "\"usernameFragment\":null}",
        "{\"candidate\":\"\"}",
        "{\"type\":\"offer\",\"sdp\":\"\",\"room\":\"x\",\"to\":\"d\",\"scope\":\"all\",\"id\":[]}",
        "null",
    };
    struct three t = begin();
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++) {
        say_bytes(t.a, bare[i], strlen(bare[i]));
        expect_data(t.b, t.a, bare[i]);
        expect_data(t.c, t.a, bare[i]);
        silent(&t);
    }
    say(t.a, " null\n");
    expect_data(t.b, t.a, "null");
    expect_data(t.c, t.a, "null");
    fixture_free(t.f);
}

static void acknowledgements(void **state)
{
    struct three t = begin();
    char text[256], want[256];

    say(t.a, "{'type':'message','to':'d','data':'ring','id':'q1','ack':true}");
    expect(t.d, "{'type':'message','name':'a','data':'ring','id':'q1'}");
    silent(&t);
    snprintf(text, sizeof text,
             "{'type':'ack','to':'%s','id':'q1','args':[1.50, {'x':2}],'from':'b','ok':false}",
             t.a->id);
    say(t.d, text);
    snprintf(want, sizeof want,
             "{\"type\":\"ack\",\"id\":\"q1\",\"ok\":true,\"from\":\"%s\",\"name\":\"d\",\"args\":["
             "1.50, "
             "{\"x\":2}]}",
             t.d->id);
    expect_bytes(t.a, want);
    // All in a room are asked, and each answers.
    say(t.a, "{'type':'message','room':'r','data':1,'id':2,'ack':true}");
    expect(t.b, "{'id':2}");
    expect(t.c, "{'id':2}");
    say(t.b, "{'type':'ack','to':'a','id':2}");
    json_t *m = expect(t.a, "{'type':'ack','id':2,'ok':true,'name':'b'}");
    assert_null(json_object_get(m, "args"));
    silent(&t);
    // Nobody is there to answer.
    client_join(t.d, "alone");
    say(t.d, "{'type':'message','data':1,'id':3,'ack':true}");
    expect(t.d, "{'type':'ack','id':3,'ok':false,'count':0}");
    say(t.d, "{'type':'message','data':1,'id':4,'ack':false}");
    expect(t.d, "{'type':'ack','id':4,'ok':true,'count':0}");
    say(t.d, "{'type':'ack','to':'gone','id':4}");
    expect_error(t.d, "no_such_user");
    say(t.d, "{'type':'ack','to':'a'}");
    expect_error(t.d, "bad_request");
    say(t.d, "{'type':'message','data':1,'ack':true}");
    expect_error(t.d, "bad_request");
    silent(&t);
    fixture_free(t.f);
}

static void slow_receivers_are_closed(void **state)
{
    struct three t = begin();
    t.b->backlog = (1 << 20) - 50;
    say(t.a, "{'type':'message','data':1,'id':1}");
    expect_closed(t.b, 1013);
    expect(t.c, "{'type':'message','data':1}");
    expect(t.a, "{'type':'ack','count':2}");
    // It can come back, and has not lost that one.
    t.b->backlog = 0;
    char text[128];
    snprintf(text, sizeof text, "{'type':'resume','token':'%s'}", t.b->resume);
    client_open(t.f, 1);
    say(t.b, text);
    expect(t.b, "{'type':'registered','resumed':true}");
    expect(t.b, "{'type':'joined','room':'r','count':3}");
    expect_data(t.b, t.a, "1");
    silent(&t);
    fixture_free(t.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_the_room),
        cmocka_unit_test(the_bytes_of_data_stay),
        cmocka_unit_test(the_longest_is_relayed),
        cmocka_unit_test(from_is_set_by_the_server),
        cmocka_unit_test(four_ways_to_emit),
        cmocka_unit_test(to_one),
        cmocka_unit_test(rooms_that_one_is_not_in),
        cmocka_unit_test(bare_descriptions_and_candidates),
        cmocka_unit_test(acknowledgements),
        cmocka_unit_test(slow_receivers_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
