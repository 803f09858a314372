// SPDX-License-Identifier: BSD-2-Clause
// JSON Web Tokens: who may register, for how long, for which room.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "signal/jwt.h"
#include "signal_fixture.h"

#define HEADER "{'alg':'HS256','typ':'JWT'}"
#define NOW 1700000000 // of the fixture, s

static const char *const secrets[] = {"an old secret", "the secret of today"};

static struct fixture *begin(void)
{
    struct fixture *f = fixture_new();
    f->settings.secrets = secrets;
    f->settings.secret_count = 2;
    fixture_settings(f);
    return f;
}

static int check(const char *token)
{
    struct jwt_key keys[2] = {{secrets[0], strlen(secrets[0])}, {secrets[1], strlen(secrets[1])}};
    struct jwt_claims claims;
    return jwt_check(&claims, keys, 2, token, strlen(token), NOW * INT64_C(1000));
}

// Made by another implementation (Python's hmac and base64).
static void a_token_from_elsewhere(void **state)
{
    assert_int_equal(check("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
                           "eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwMDB9."
                           "HJaP_w6FSPkqQnk2Pm1hCwUI6GT66H6qPe7JwsWrxWc"),
                     0);
}

static void good_ones(void **state)
{
    static const char *const claims[] = {
        "{'sub':'ann','exp':1700000001}",
        "{'sub':'ann','exp':1700000000.5}",
        "{'sub':'ann','exp':1.8e9,'nbf':1700000000,'room':'r','iss':'x','aud':['y']}",
        "{'sub':'ann','exp':1700000001,'nbf':1700000005}",
    };
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
        for (int k = 0; k < 2; k++)
            assert_int_equal(check(make_token(secrets[k], HEADER, claims[i])), 0);
}

static void bad_claims(void **state)
{
    static const char *const claims[] = {
        "{}",
        "[]",
        "{",
        "",
        "{'sub':'ann'}",
        "{'exp':1800000000}",
        "{'sub':5,'exp':1800000000}",
        "{'sub':'','exp':1800000000}",
        "{'sub':'a\\u0000b','exp':1800000000}",
        "{'sub':'ann','exp':1700000000}",
        "{'sub':'ann','exp':'1800000000'}",
        "{'sub':'ann','exp':-1}",
        "{'sub':'ann','exp':1e99}",
        "{'sub':'ann','exp':1e400}",
        "{'sub':'ann','exp':1800000000,'exp':1}",
        "{'sub':'ann','exp':1800000000,'nbf':1700000006}",
        "{'sub':'ann','exp':1800000000,'nbf':null}",
        "{'sub':'ann','exp':1800000000,'nbf':'now'}",
        "{'sub':'ann','exp':1800000000,'room':''}",
        "{'sub':'ann','exp':1800000000,'room':['r']}",
        "{'sub':'ann','exp':1800000000,'room':null}",
        "{'sub':'\xff','exp':1800000000}",
    };
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
        assert_int_equal(check(make_token(secrets[1], HEADER, claims[i])), -EACCES);
}

static void bad_tokens(void **state)
{
    static const char good[] = "{'sub':'ann','exp':1800000000}";
    static const char *const headers[] = {"{'alg':'none'}",
                                          "{'alg':'HS512'}",
                                          "{'alg':'hs256'}",
                                          "{}",
                                          "[]",
                                          "{'alg':'HS256','crit':['b64'],'b64':false}",
                                          "{'alg':['HS256']}"};
    char token[8192];

    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_int_equal(check(make_token(secrets[1], headers[i], good)), -EACCES);
    assert_int_equal(check(make_token("another secret", HEADER, good)), -EACCES);
    assert_int_equal(check(make_token("", HEADER, good)), -EACCES);
    assert_int_equal(check(""), -EACCES);
    assert_int_equal(check("."), -EACCES);
    assert_int_equal(check(".."), -EACCES);
    assert_int_equal(check("a.b"), -EACCES);
    // Each character changed, and each cut.
    strcpy(token, make_token(secrets[1], HEADER, good));
    for (size_t i = 0, len = strlen(token); i < len; i++) {
        char was = token[i];
        token[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(check(token), -EACCES);
        token[i] = 0;
        assert_int_equal(check(token), -EACCES);
        token[i] = was;
    }
    assert_int_equal(check(token), 0);
    strcat(token, ".");
    assert_int_equal(check(token), -EACCES);
    token[strlen(token) - 1] = '=';
    assert_int_equal(check(token), -EACCES);
}

static void say_token(struct client *c, const char *fields, const char *token)
{
    char text[9000];
    snprintf(text, sizeof text, "{'type':'register'%s,'token':'%s'}", fields, token);
    say(c, text);
}

static void registering_needs_one(void **state)
{
    struct fixture *f = begin();
    const char *ann = make_token(secrets[0], HEADER, "{'sub':'ann','exp':1800000000}");
    struct client *c = &f->clients[0];

    client_open(f, 0);
    say(c, "{'type':'register','name':'ann'}");
    expect_error(c, "unauthorized");
    expect_closed(c, 4401);
    client_open(f, 0);
    say_token(c, ",'name':'bob','id':1", ann);
    expect(c, "{'type':'error','code':'unauthorized','id':1}");
    expect_closed(c, 4401);
    client_open(f, 0);
    say_token(c, ",'name':'ann'", "a.b.c");
    expect_error(c, "unauthorized");
    expect_closed(c, 4401);
    client_open(f, 0);
    say_token(c, ",'name':'ann'", ann);
    expect(c, "{'type':'registered','name':'ann'}");
    client_lose(c, SIGNAL_CLOSE_NORMAL);
    // The name is that of the token; the token may come with the connection.
    assert_true(client_open_with(c, ann));
    say(c, "{'type':'register'}");
    expect(c, "{'type':'registered','name':'ann'}");
    client_lose(c, SIGNAL_CLOSE_NORMAL);
    assert_true(client_open_with(c, "x.y.z"));
    say(c, "{'type':'register','name':'ann'}");
    expect_error(c, "unauthorized");
    expect_closed(c, 4401);
    fixture_free(f);
}

static void only_that_room(void **state)
{
    struct fixture *f = begin();
    struct client *a = client_open(f, 0), *b = client_open(f, 1), *c = client_open(f, 2);

    say_token(a, "", make_token(secrets[0], HEADER, "{'sub':'a','exp':1800000000,'room':'r'}"));
    expect(a, "{'type':'registered'}");
    say_token(b, "", make_token(secrets[1], HEADER, "{'sub':'b','exp':1800000000}"));
    expect(b, "{'type':'registered'}");
    say_token(c, "", make_token(secrets[1], HEADER, "{'sub':'c','exp':1800000000}"));
    expect(c, "{'type':'registered'}");
    say(a, "{'type':'join','room':'other'}");
    expect_error(a, "unauthorized");
    assert_int_equal(a->code, 0);
    client_join(a, "r");
    say(a, "{'type':'message','to':'b','data':1}");
    expect_error(a, "no_such_user");
    say(a, "{'type':'users'}");
    expect_error(a, "unauthorized");
    say(a, "{'type':'message','scope':'all','data':1}");
    expect_error(a, "unauthorized");
    client_join(b, "r");
    expect(a, "{'type':'otherjoin'}");
    say(a, "{'type':'message','to':'b','data':1}");
    expect(b, "{'type':'message','data':1}");
    say(c, "{'type':'message','scope':'all','data':2}");
    expect(b, "{'type':'message','data':2}");
    expect_nothing(a);
    fixture_free(f);
}

// A token's time is up for the room that it was for, whatever other token one has.
static void no_other_room_by_renewal(void **state)
{
    struct fixture *f = begin();
    struct client *a = client_open(f, 0);
    char s_room[1024];

    snprintf(s_room, sizeof s_room, "%s",
             make_token(secrets[0], HEADER, "{'sub':'a','exp':1800000000,'room':'s'}"));
    say_token(a, "", make_token(secrets[0], HEADER, "{'sub':'a','exp':1700000010,'room':'r'}"));
    expect(a, "{'type':'registered'}");
    client_join(a, "r");
    say_token(a, ",'id':1", s_room);
    expect(a, "{'type':'error','code':'unauthorized','id':1}");
    assert_int_equal(a->code, 0);
    say(a, "{'type':'join','room':'s'}");
    expect_error(a, "unauthorized");
    // The same room, or any: it may stay.
    say_token(a, "", make_token(secrets[0], HEADER, "{'sub':'a','exp':1700000020,'room':'r'}"));
    expect(a, "{'type':'registered'}");
    skip_all(a); // credentials that are good for longer
    say_token(a, "", make_token(secrets[0], HEADER, "{'sub':'a','exp':1700000020}"));
    expect(a, "{'type':'registered'}");
    skip_all(a); // credentials that are good for longer
    say(a, "{'type':'leave','room':'r'}");
    expect(a, "{'type':'leaved'}");
    say_token(a, "", s_room);
    expect(a, "{'type':'registered'}");
    skip_all(a); // credentials that are good for longer
    client_join(a, "s");
    fixture_free(f);
}

static void the_end_of_a_token(void **state)
{
    struct fixture *f = begin();
    struct client *a = client_open(f, 0), *b = client_open(f, 1);

    say_token(a, "", make_token(secrets[0], HEADER, "{'sub':'a','exp':1700000200}"));
    say_token(b, "", make_token(secrets[0], HEADER, "{'sub':'b','exp':1700000010}"));
    expect(a, "{'type':'registered'}");
    expect(b, "{'type':'registered'}");
    client_join(a, "r");
    client_join(b, "r");
    expect(a, "{'type':'otherjoin'}");
    fixture_wait(f, 9000);
    expect(b, "{'type':'ice','ttl':2}");
    // With another one in time it goes on.
    say_token(b, "", make_token(secrets[1], HEADER, "{'sub':'b','exp':1700000030}"));
    expect(b, "{'type':'registered'}");
    expect(b, "{'type':'ice','ttl':21}");
    fixture_wait(f, 20500);
    expect(b, "{'type':'ice','ttl':5}");
    assert_int_equal(b->code, 0);
    fixture_wait(f, 1000);
    expect_error(b, "unauthorized");
    expect_closed(b, 4401);
    expect(a, "{'type':'bye','name':'b','reason':'kick'}");
    // The wall clock jumps: seen within a minute.
    signal_conn_pong(a->conn, f->now_ms);
    f->unix_ms += 500000;
    fixture_wait(f, 40000);
    expect_error(a, "unauthorized");
    expect_closed(a, 4401);
    fixture_free(f);
}

static void credentials_do_not_outlive_the_token(void **state)
{
    struct fixture *f = begin();
    struct client *a;

    f->settings.ping_ms = 1000000;
    fixture_settings(f);
    a = client_open(f, 0);
    say_token(a, "", make_token(secrets[0], HEADER, "{'sub':'a','exp':1700000050}"));
    expect(a, "{'type':'registered'}");
    say(a, "{'type':'join','room':'r'}");
    expect(a, "{'type':'joined','ttl':50}");
    fixture_wait(f, 39990);
    expect_nothing(a);
    fixture_wait(f, 10);
    expect(a, "{'type':'ice','ttl':10}");
    fixture_wait(f, 8000);
    expect(a, "{'type':'ice','ttl':2}");
    // Nothing better could come: it does not come faster and faster.
    fixture_wait(f, 1500);
    expect_nothing(a);
    say(a, "{'type':'ice','id':1}");
    expect(a, "{'type':'ice','id':1,'ttl':1}");
    // Another token brings others at once, and as before from then on.
    say_token(a, "", make_token(secrets[0], HEADER, "{'sub':'a','exp':1700010000}"));
    expect(a, "{'type':'registered'}");
    expect(a, "{'type':'ice','ttl':100}");
    fixture_wait(f, 79990);
    expect_nothing(a);
    fixture_wait(f, 10);
    expect(a, "{'type':'ice','ttl':100}");
    fixture_free(f);
}

static void a_session_does_not_outlive_its_token(void **state)
{
    struct fixture *f = begin();
    struct client *a = client_open(f, 0), *b = client_open(f, 1);
    char resume[128];

    say_token(b, "", make_token(secrets[0], HEADER, "{'sub':'b','exp':1800000000}"));
    skip_all(b);
    client_join(b, "r");
    say_token(a, "", make_token(secrets[0], HEADER, "{'sub':'a','exp':1700000005}"));
    json_t *m = expect(a, "{'type':'registered'}");
    snprintf(resume, sizeof resume, "{'type':'resume','token':'%s'}",
             json_string_value(json_object_get(m, "resume")));
    client_join(a, "r");
    expect(b, "{'type':'otherjoin'}");
    client_lose(a, SIGNAL_CLOSE_LOST);
    f->unix_ms += 5000; // before its timer notices
    client_open(f, 0);
    say(a, resume);
    expect_error(a, "unauthorized");
    expect_closed(a, 4401);
    expect(b, "{'type':'bye','name':'a'}");
    fixture_free(f);
}

static void tokens_for_other_requests(void **state)
{
    struct fixture *f = begin();
    const char *t = make_token(secrets[1], HEADER, "{'sub':' zo\\u0065\\u0308 ','exp':1800000000}");
    char user[SIGNAL_NAME_MAX + 1] = "x";
    int64_t until = 0;

    assert_int_equal(signal_hub_check_token(f->hub, t, strlen(t), user, sizeof user, &until), 0);
    assert_string_equal(user, "zo\xc3\xab");
    assert_int_equal(until, 1800000000);
    assert_int_equal(signal_hub_check_token(f->hub, t, strlen(t) - 1, user, sizeof user, &until),
                     -EACCES);
    assert_int_equal(signal_hub_check_token(f->hub, NULL, 0, user, sizeof user, &until), -EACCES);
    f->settings.secret_count = 0;
    fixture_settings(f);
    assert_int_equal(signal_hub_check_token(f->hub, NULL, 0, user, sizeof user, &until), 0);
    assert_string_equal(user, "");
    assert_true(until == INT64_MAX);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_from_elsewhere),
        cmocka_unit_test(good_ones),
        cmocka_unit_test(bad_claims),
        cmocka_unit_test(bad_tokens),
        cmocka_unit_test(registering_needs_one),
        cmocka_unit_test(only_that_room),
        cmocka_unit_test(no_other_room_by_renewal),
        cmocka_unit_test(the_end_of_a_token),
        cmocka_unit_test(credentials_do_not_outlive_the_token),
        cmocka_unit_test(a_session_does_not_outlive_its_token),
        cmocka_unit_test(tokens_for_other_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
