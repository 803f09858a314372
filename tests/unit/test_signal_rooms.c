// SPDX-License-Identifier: BSD-2-Clause
// Register, users, join, leave, and who hears of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "signal_fixture.h"

static void register_answers(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_open(f, 0);

    say(a, "{'type':'register','name':'Ada L. <b>','id':7,'unknown':[1]}");
    json_t *m = expect(a, "{'type':'registered','name':'Ada L. <b>','uid':1700000000000,"
                          "'fileName':'AdaL.b_1700000000000.webm','id':7,'grace_ms':10000}");
    assert_int_equal(json_string_length(json_object_get(m, "peer")), 20);
    assert_int_equal(json_string_length(json_object_get(m, "resume")), 52);
    // Again: who am I? By another name: no.
    say(a, "{'event':'register','name':'Ada L. <b>'}");
    expect(a, "{'type':'registered','uid':1700000000000}");
    say(a, "{'type':'register','name':'b'}");
    expect_error(a, "bad_request");
    // Two in one millisecond still have uids of their own.
    struct client *b = client_open(f, 1);
    say(b, "{'type':'register','name':'../..'}");
    expect(b, "{'type':'registered','uid':1700000000001,'fileName':'user_1700000000001.webm'}");
    fixture_free(f);
}

static void names_are_compared_in_one_form(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_open(f, 0), *b = client_open(f, 1);

    say(a, "{'type':'register','name':'  caf\\u0065\\u0301 '}");
    expect(a, "{'type':'registered','name':'caf\xc3\xa9'}");
    say(b, "{'type':'register','name':'caf\xc3\xa9'}");
    expect_error(b, "name_taken");
    say(b, "{'type':'register','name':'Caf\xc3\xa9'}");
    expect(b, "{'type':'registered'}");
    client_join(a, "r\xc3\xb6om");
    say(b, "{'type':'join','room':'ro\xcc\x88om'}");
    expect(b, "{'type':'joined','room':'r\xc3\xb6om','count':2}");
    expect(a, "{'type':'otherjoin','room':'r\xc3\xb6om'}");
    fixture_free(f);
}

static void names_are_refused(void **state)
{
    static const char *const bad[] = {
        "{'type':'register'}",
        "{'type':'register','name':''}",
        "{'type':'register','name':'   '}",
        "{'type':'register','name':null}",
        "{'type':'register','name':5}",
        "{'type':'register','name':['a']}",
        "{'type':'register','name':'a\\u0000b'}",
        "{'type':'register','name':'a\\nb'}",
        "{'type':'register','name':'\\u202egpj.exe'}",
        "{'type':'register','name':'a\\u200bb'}",
        "{'type':'register','name':'\\ud800'}",
        "{'type':'register','name':'0123456789abcdef0123'}",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fixture *f = fixture_new();
        struct client *a = client_open(f, 0);
        say(a, bad[i]);
        expect_error(a, "bad_request");
        assert_int_equal(signal_hub_stats(f->hub).users, 0);
        fixture_free(f);
    }
}

static void names_have_64_bytes(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_open(f, 0);
    char text[256];

    snprintf(text, sizeof text, "{'type':'register','name':'%065d'}", 1);
    say(a, text);
    expect_error(a, "bad_request");
    // 33 characters of two bytes each
    snprintf(
        text, sizeof text, "{'type':'register','name':'%s%s%s'}",
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
    say(a, text);
    expect_error(a, "bad_request");
    snprintf(text, sizeof text, "{'type':'register','name':'%064d'}", 1);
    say(a, text);
    expect(a, "{'type':'registered'}");
    snprintf(text, sizeof text, "{'type':'join','room':'%065d'}", 1);
    say(a, text);
    expect_error(a, "bad_request");
    fixture_free(f);
}

static void quotes_in_names_are_escaped(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_open(f, 0), *b = client_named(f, 1, "b");

    say(a, "{'type':'register','name':'a\\\\\\u0022,\\u0022type\\u0022:\\u0022x'}");
    expect(a, "{'type':'registered','name':'a\\\\\\u0022,\\u0022type\\u0022:\\u0022x'}");
    client_join(b, "r\\\\");
    say(a, "{'type':'join','room':'r\\\\'}");
    json_t *m = expect(a, "{'type':'joined','room':'r\\\\'}");
    assert_int_equal(json_array_size(json_object_get(m, "members")), 1);
    expect(b, "{'type':'otherjoin','name':'a\\\\\\u0022,\\u0022type\\u0022:\\u0022x'}");
    fixture_free(f);
}

static void users_come_and_go(void **state)
{
    struct fixture *f = fixture_new();
    f->settings.presence_max = 3;
    fixture_settings(f);
    struct client *a = client_named(f, 0, "a"), *b = client_named(f, 1, "b");

    expect(a, "{'type':'useradd','name':'b'}");
    say(b, "{'type':'users','id':'q'}");
    expect(b, "{'type':'users','users':['a'],'count':1,'id':'q'}");
    struct client *c = client_named(f, 2, "c");
    expect(a, "{'type':'useradd','name':'c'}");
    expect(b, "{'type':'useradd','name':'c'}");
    // A crowd: only who has asked.
    struct client *d = client_named(f, 3, "d");
    expect_nothing(a);
    expect(b, "{'type':'useradd','name':'d'}");
    client_lose(d, SIGNAL_CLOSE_NORMAL);
    expect_nothing(a);
    expect(b, "{'type':'userdel','name':'d'}");
    client_lose(b, SIGNAL_CLOSE_NORMAL);
    expect(a, "{'type':'userdel','name':'b'}");
    expect(c, "{'type':'userdel','name':'b'}");
    fixture_free(f);
}

// A list holds 1000 names; beyond, coming and going is not told, and has to be asked for.
static void a_crowd_is_not_told(void **state)
{
    enum { CROWD = 1005 };
    static struct signal_conn *conns[CROWD];
    struct fixture *f = fixture_new();
    struct client *a = client_named(f, 0, "a"), *sink = &f->clients[1];
    char text[64];

    f->settings.address_max = 0;
    f->settings.grace_ms = 0;
    fixture_settings(f);
    say(a, "{'type':'users'}");
    expect(a, "{'type':'users','count':0}");
    for (int i = 0; i < CROWD; i++) {
        conns[i] = signal_hub_open(f->hub, sink, &sink->addr, NULL, f->now_ms);
        int n = snprintf(text, sizeof text, "{\"type\":\"register\",\"name\":\"u%d\"}", i);
        signal_conn_text(conns[i], text, (size_t)n, f->now_ms);
        skip_all(sink);
        if (i < 999)
            expect(a, "{'type':'useradd'}");
        expect_nothing(a);
    }
    say(a, "{'type':'users'}");
    json_t *m = expect(a, "{'type':'users','count':1005}");
    assert_int_equal(json_array_size(json_object_get(m, "users")), 1000);
    for (int i = 0; i < CROWD; i++) {
        signal_conn_closed(conns[i], SIGNAL_CLOSE_LOST, f->now_ms);
        if (i > 5)
            expect(a, "{'type':'userdel'}");
        else
            skip_all(a);
    }
    fixture_free(f);
}

static void a_room_of_two(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_named(f, 0, "a"), *b = client_named(f, 1, "b"),
                  *c = client_named(f, 2, "c");
    char text[512];

    say(a, "{'type':'join','room':'r','id':1}");
    snprintf(
        text, sizeof text,
        "{'type':'joined','room':'r','id':'%s','members':[],'count':1,'capacity':2,'resume':'%s',"
        "'iceServers':[{'urls':['turn:t'],'username':'a','credential':'1'}],'ttl':100,'re':1,"
        "'limits':{'text':65536,'binary':1048576,'rate':50,'burst':200,'bytes':16777216,'rooms':8,'"
        "names':64}}",
        a->id, a->resume);
    expect(a, text);
    say(b, "{'type':'join','room':'r'}");
    snprintf(text, sizeof text,
             "{'type':'joined','id':'%s','members':[{'id':'%s','name':'a'}],'count':2}", b->id,
             a->id);
    expect(b, text);
    snprintf(text, sizeof text, "{'type':'otherjoin','room':'r','id':'%s','name':'b','count':2}",
             b->id);
    expect(a, text);
    say(c, "{'type':'join','room':'r','id':'third'}");
    expect(c, "{'type':'full','room':'r','capacity':2,'id':'third'}");
    // Again is no second place, and nobody hears of it.
    say(b, "{'type':'join','room':'r'}");
    expect(b, "{'type':'joined','count':2}");
    expect_nothing(a);
    say(a, "{'type':'leave','room':'r','id':9}");
    snprintf(text, sizeof text, "{'type':'leaved','room':'r','id':'%s','re':9}", a->id);
    expect(a, text);
    snprintf(text, sizeof text, "{'type':'bye','room':'r','id':'%s','name':'a','reason':'leave'}",
             a->id);
    expect(b, text);
    say(a, "{'type':'leave','room':'r'}");
    expect_error(a, "not_in_room");
    say(c, "{'type':'join','room':'r'}");
    expect(c, "{'type':'joined','count':2}");
    expect(b, "{'type':'otherjoin','name':'c'}");
    fixture_free(f);
}

static void capacity_can_change(void **state)
{
    struct fixture *f = fixture_new();
    f->settings.capacity = 3;
    fixture_settings(f);
    for (unsigned i = 0; i < 3; i++)
        client_join(client_named(f, i, (char[]){(char)('a' + i), 0}), "r");
    struct client *d = client_named(f, 3, "d");
    say(d, "{'type':'join','room':'r'}");
    expect(d, "{'type':'full','capacity':3}");
    f->settings.capacity = 2;
    fixture_settings(f);
    client_lose(&f->clients[0], SIGNAL_CLOSE_NORMAL);
    say(d, "{'type':'join','room':'r'}");
    expect(d, "{'type':'full','capacity':2}");
    skip_all(&f->clients[1]);
    say(&f->clients[1], "{'type':'message','data':1}");
    skip_all(&f->clients[2]);
    fixture_free(f);
}

static void eight_rooms_each(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_named(f, 0, "a"), *b = client_named(f, 1, "b");

    for (char c = '0'; c < '8'; c++)
        client_join(a, (char[]){c, 0});
    say(a, "{'type':'join','room':'8','id':8}");
    expect(a, "{'type':'error','code':'quota_exceeded','id':8}");
    say(a, "{'type':'leave','room':'3'}");
    expect(a, "{'type':'leaved','room':'3'}");
    client_join(a, "8");
    client_join(b, "5");
    skip_all(a);
    client_lose(a, SIGNAL_CLOSE_NORMAL);
    expect(b, "{'type':'bye','room':'5','reason':'leave'}");
    assert_int_equal(signal_hub_stats(f->hub).rooms, 1);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(register_answers),
        cmocka_unit_test(names_are_compared_in_one_form),
        cmocka_unit_test(names_are_refused),
        cmocka_unit_test(names_have_64_bytes),
        cmocka_unit_test(quotes_in_names_are_escaped),
        cmocka_unit_test(users_come_and_go),
        cmocka_unit_test(a_crowd_is_not_told),
        cmocka_unit_test(a_room_of_two),
        cmocka_unit_test(capacity_can_change),
        cmocka_unit_test(eight_rooms_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
