// SPDX-License-Identifier: BSD-2-Clause
// What time does: pings, graces and resuming, credentials, the end of the server.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "signal_fixture.h"

static void resume(struct client *c, const char *token)
{
    char text[128];
    snprintf(text, sizeof text, "{'type':'resume','token':'%s','id':'again'}", token);
    say(c, text);
}

static void come_back(struct client *c)
{
    client_open(c->f, (unsigned)(c - c->f->clients));
    resume(c, c->resume);
}

static void pair(struct fixture *f, struct client **a, struct client **b)
{
    *a = client_named(f, 0, "a");
    *b = client_named(f, 1, "b");
    client_join(*a, "r");
    client_join(*b, "r");
    skip_all(*a);
}

static void a_lost_socket_is_a_bye_after_the_grace(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a, *b, *c = client_named(f, 2, "c");

    pair(f, &a, &b);
    client_lose(a, SIGNAL_CLOSE_LOST);
    fixture_wait(f, 9990);
    expect_nothing(b);
    say(c, "{'type':'join','room':'r'}");
    expect(c, "{'type':'full'}");
    fixture_wait(f, 20);
    expect(b, "{'type':'bye','room':'r','name':'a','reason':'disconnect'}");
    client_join(c, "r");
    client_named(f, 0, "a");
    fixture_free(f);
}

static void resume_takes_it_all_back(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a, *b;
    char text[256];

    pair(f, &a, &b);
    client_join(a, "r2");
    client_lose(a, SIGNAL_CLOSE_LOST);
    say(b, "{'type':'message','room':'r','data':'one','id':1}");
    expect(b, "{'type':'ack','count':1}");
    say(b, "{'type':'message','to':'a','data':'two'}");
    snprintf(text, sizeof text, "{'type':'ack','to':'%s','id':'x'}", a->id);
    say(b, text);
    fixture_wait(f, 9000);
    come_back(a);
    expect(a, "{'type':'registered','name':'a','resumed':true,'id':'again'}");
    expect(a, "{'type':'joined','room':'r2','count':1}");
    snprintf(text, sizeof text,
             "{'type':'joined','room':'r','id':'%s','members':[{'id':'%s','name':'b'}]}", a->id,
             b->id);
    expect(a, text);
    expect(a, "{'type':'message','room':'r','data':'one'}");
    expect(a, "{'type':'message','data':'two'}");
    expect(a, "{'type':'ack','id':'x','name':'b'}");
    expect_nothing(a);
    fixture_wait(f, 20000);
    say(a, "{'type':'message','room':'r','data':1}");
    expect(b, "{'type':'message','name':'a'}");
    expect_nothing(b);
    fixture_free(f);
}

static void resume_before_the_loss_is_noticed(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a, *b, *second;

    pair(f, &a, &b);
    second = client_open(f, 2);
    resume(second, a->resume);
    expect_closed(a, 4409);
    expect(second, "{'type':'registered','name':'a','resumed':true}");
    expect(second, "{'type':'joined','room':'r','count':2}");
    say(b, "{'type':'message','data':1}");
    expect(second, "{'type':'message','data':1}");
    fixture_wait(f, 11000);
    expect_nothing(b);
    fixture_free(f);
}

static void tokens_that_resume_nothing(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a, *b, *c = client_open(f, 2);
    char token[64];

    pair(f, &a, &b);
    strcpy(token, a->resume);
    token[51] ^= 1;
    resume(c, token);
    expect(c, "{'type':'error','code':'no_such_session','id':'again'}");
    resume(c, a->id);
    expect_error(c, "no_such_session");
    resume(c, "");
    expect_error(c, "no_such_session");
    memcpy(token, "00000000000000000000", 20);
    resume(c, token);
    expect_error(c, "no_such_session");
    say(c, "{'type':'resume'}");
    expect_error(c, "bad_request");
    assert_int_equal(a->code, 0);
    resume(b, a->resume);
    expect_error(b, "bad_request");
    // The connection is still good for a new beginning.
    strcpy(token, a->resume);
    client_lose(a, SIGNAL_CLOSE_LOST);
    say(c, "{'type':'register','name':'a'}");
    expect_error(c, "name_taken");
    say(c, "{'type':'register','name':'c'}");
    expect(c, "{'type':'registered','name':'c'}");
    fixture_wait(f, 10000);
    client_open(f, 0);
    resume(a, token);
    expect_error(a, "no_such_session");
    say(a, "{'type':'register','name':'a'}");
    expect(a, "{'type':'registered'}");
    fixture_free(f);
}

static void a_normal_close_ends_at_once(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a, *b;

    pair(f, &a, &b);
    client_lose(a, SIGNAL_CLOSE_NORMAL);
    expect(b, "{'type':'bye','name':'a','reason':'leave'}");
    come_back(a);
    expect_error(a, "no_such_session");
    f->settings.grace_ms = 0;
    fixture_settings(f);
    client_lose(b, SIGNAL_CLOSE_LOST);
    assert_int_equal(signal_hub_stats(f->hub).users, 0);
    fixture_free(f);
}

static void whom_the_link_has_put_out_is_gone_at_once(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a, *b;

    pair(f, &a, &b);
    client_lose(a, SIGNAL_CLOSE_KICK);
    expect(b, "{'type':'bye','name':'a','reason':'kick'}");
    come_back(a);
    expect_error(a, "no_such_session");
    fixture_free(f);
}

static void who_cannot_be_kept_anything_for_is_gone(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a, *b;
    static char text[40000];

    pair(f, &a, &b);
    client_lose(a, SIGNAL_CLOSE_LOST);
    memset(text, 'x', sizeof text);
    memcpy(text, "{'type':'message','data':'", 26);
    strcpy(text + sizeof text - 3, "'}");
    for (int i = 0; i < 6; i++) {
        say(b, text);
        expect_nothing(b);
    }
    say(b, text);
    expect(b, "{'type':'bye','name':'a','reason':'disconnect'}");
    come_back(a);
    expect_error(a, "no_such_session");
    fixture_free(f);
}

static void two_pings_missed(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a, *b, *c = client_named(f, 2, "c");

    pair(f, &a, &b);
    for (int i = 0; i < 3; i++) {
        fixture_wait(f, 14900);
        signal_conn_pong(b->conn, f->now_ms);
        say(c, "{'type':'ping'}"); // is as good
        skip_all(c);
    }
    assert_int_equal(a->code, 0);
    assert_int_equal(a->pings, 2);
    fixture_wait(f, 400);
    assert_int_equal(a->pings, 2);
    expect_closed(a, 4408);
    expect_nothing(b);
    fixture_wait(f, 10000);
    expect(b, "{'type':'bye','name':'a','reason':'timeout'}");
    assert_int_equal(b->code, 0);
    assert_int_equal(c->code, 0);
    fixture_free(f);
}

static void credentials_are_renewed(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_named(f, 0, "a"), *b = client_named(f, 1, "b");

    f->settings.ping_ms = 1000000;
    fixture_settings(f);
    client_lose(a, SIGNAL_CLOSE_LOST);
    come_back(a);
    expect(a, "{'type':'registered'}");
    expect_nothing(a); // never asked for any
    client_join(a, "r");
    fixture_wait(f, 79990);
    expect_nothing(a);
    fixture_wait(f, 20);
    expect(a, "{'type':'ice','ttl':100,'iceServers':[{'urls':['turn:t'],'username':'a','credential'"
              ":'2'}]}");
    fixture_wait(f, 80000);
    expect(a, "{'type':'ice','iceServers':[{'urls':['turn:t'],'username':'a','credential':'3'}]}");
    say(b, "{'type':'ice','id':1}");
    expect(b, "{'type':'ice','id':1,'ttl':100,'iceServers':[{'urls':['turn:t'],'username':'b',"
              "'credential':'4'}]}");
    fixture_free(f);
}

static void there_may_be_no_credentials(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a = client_named(f, 0, "a");

    f->ice_fails = -12;
    say(a, "{'type':'ice','id':1}");
    expect(a, "{'type':'error','code':'unavailable','id':1}");
    say(a, "{'type':'join','room':'r'}");
    expect(a, "{'type':'joined','iceServers':[],'ttl':0}");
    fixture_wait(f, 30000);
    expect_nothing(a);
    f->ice_fails = 0;
    fixture_wait(f, 10000);
    expect(a, "{'type':'ice','ttl':100}");
    fixture_free(f);
}

static void the_server_stops(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a, *b, *c = client_open(f, 2);

    pair(f, &a, &b);
    signal_hub_drain(f->hub, 2500);
    expect(a, "{'type':'goaway','retry_ms':2500}");
    expect(b, "{'type':'goaway'}");
    expect(c, "{'type':'goaway'}");
    assert_false(client_open_with(&f->clients[3], NULL));
    say(a, "{'type':'message','data':1}");
    expect(b, "{'type':'message'}");
    signal_hub_close_all(f->hub);
    // One is told of the other; who is first is not said.
    if (a->count == a->read)
        expect(b, "{'type':'bye','name':'a','reason':'drain'}");
    else
        expect(a, "{'type':'bye','name':'b','reason':'drain'}");
    expect_closed(a, 1001);
    expect_closed(b, 1001);
    expect_closed(c, 1001);
    fixture_free(f);
}

static void freed_in_the_middle(void **state)
{
    struct fixture *f = fixture_new();
    struct client *a, *b;

    pair(f, &a, &b);
    client_lose(a, SIGNAL_CLOSE_LOST);
    say(b, "{'type':'message','data':1}");
    client_open(f, 2);
    signal_hub_free(f->hub); // without a word
    expect_nothing(b);
    assert_int_equal(b->code, 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        f->clients[i].conn = NULL;
    f->hub = signal_hub_new(&f->settings, &fixture_ops, f);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_socket_is_a_bye_after_the_grace),
        cmocka_unit_test(resume_takes_it_all_back),
        cmocka_unit_test(resume_before_the_loss_is_noticed),
        cmocka_unit_test(tokens_that_resume_nothing),
        cmocka_unit_test(a_normal_close_ends_at_once),
        cmocka_unit_test(whom_the_link_has_put_out_is_gone_at_once),
        cmocka_unit_test(who_cannot_be_kept_anything_for_is_gone),
        cmocka_unit_test(two_pings_missed),
        cmocka_unit_test(credentials_are_renewed),
        cmocka_unit_test(there_may_be_no_credentials),
        cmocka_unit_test(the_server_stops),
        cmocka_unit_test(freed_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
