// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/uri.h"

static int parse(struct store_uri *u, const char *text)
{
    const char *why = NULL;
    int r = store_uri_parse(u, text, &why);

    assert_true(r == 0 || (r == -22 && why && *why));
    return r;
}

#ifdef WITH_SQLITE
static void sqlite_paths(void **state)
{
    struct store_uri u;

    assert_int_equal(parse(&u, "sqlite:/var/lib/x.db"), 0);
    assert_string_equal(u.path, "/var/lib/x.db");
    assert_int_equal(parse(&u, "sqlite:x.db"), 0);
    assert_string_equal(u.path, "./x.db");
    assert_int_equal(parse(&u, "sqlite::memory:"), 0);
    assert_string_equal(u.path, "./:memory:");
    assert_int_equal(parse(&u, "sqlite:"), -22);
    assert_int_equal(parse(&u, "sqlite:/var/lib/"), -22);
}
#endif

#ifdef WITH_HIREDIS
static void redis_parts(void **state)
{
    struct store_uri u;

    assert_int_equal(parse(&u, "redis://127.0.0.1"), 0);
    assert_string_equal(u.endpoint[0].host, "127.0.0.1");
    assert_int_equal(u.endpoint[0].port, 6379);
    assert_int_equal(u.db, 0);
    assert_false(u.coturn);
    assert_int_equal(parse(&u, "redis://:p%40ss%2fw@[2001:db8::1]:7000/3?layout=coturn"), 0);
    assert_string_equal(u.password, "p@ss/w");
    assert_string_equal(u.user, "");
    assert_string_equal(u.endpoint[0].host, "2001:db8::1");
    assert_int_equal(u.endpoint[0].port, 7000);
    assert_int_equal(u.db, 3);
    assert_true(u.coturn);
    assert_int_equal(parse(&u, "redis://tp:pw@redis.example/0"), 0);
    assert_string_equal(u.user, "tp");
    assert_string_equal(u.password, "pw");
    assert_int_equal(parse(&u, "redis://pw@localhost"), 0);
    assert_string_equal(u.password, "pw");
    assert_int_equal(parse(&u, "redis+unix:/run/redis.sock"), 0);
    assert_string_equal(u.path, "/run/redis.sock");
    assert_int_equal(u.endpoint_count, 0);
    assert_int_equal(u.db, 0);
    assert_string_equal(u.password, "");
    assert_int_equal(parse(&u, "redis+sentinel://:pw@a,b:1,[::1]:2/main/5"), 0);
    assert_int_equal(u.endpoint_count, 3);
    assert_int_equal(u.endpoint[0].port, 26379);
    assert_int_equal(u.endpoint[1].port, 1);
    assert_string_equal(u.endpoint[2].host, "::1");
    assert_string_equal(u.master, "main");
    assert_int_equal(u.db, 5);
}
#endif

#ifdef WITH_HIREDIS
static void sockets(void **state)
{
    static const struct {
        const char *uri, *user, *password, *path;
        unsigned db;
        bool coturn;
    } good[] = {
        {"redis+unix:/r.sock?db=3", "", "", "/r.sock", 3, false},
        {"redis+unix:///run/r.sock", "", "", "/run/r.sock", 0, false},
        {"redis+unix://pw@/run/r.sock", "", "pw", "/run/r.sock", 0, false},
        {"redis+unix://:p%40s%2Fs@/r?db=0", "", "p@s/s", "/r", 0, false},
        {"redis+unix://tp:p:w@/r.sock?db=65535&layout=coturn", "tp", "p:w", "/r.sock", 65535, true},
        {"redis+unix://tp:pw@/a@b?layout=coturn&db=7", "tp", "pw", "/a@b", 7, true},
        {"redis+unix:/a@b/%3fc", "", "", "/a@b/?c", 0, false},
        {"redis+unix:/r?layout=turnpike&db=1", "", "", "/r", 1, false},
    };
    static const char *const bad[] = {
        "redis+unix:",          "redis+unix://",
        "redis+unix://pw@",     "redis+unix://run/redis.sock",
        "redis+unix://pw@r",    "redis+unix://@/r",
        "redis+unix://tp:@/r",  "redis+unix://:%zz@/r",
        "redis+unix:/r?db=",    "redis+unix:/r?db=x",
        "redis+unix:/r?db=-1",  "redis+unix:/r?db=65536",
        "redis+unix:/r?",       "redis+unix:/r?db=1&",
        "redis+unix:/r?&db=1",  "redis+unix:/r?db=1?db=2",
        "redis+unix:/r?pass=x", "redis+unix:/r?layout=coturns",
        "redis+unix:/r%00",     "redis://h?db=1",
    };
    struct store_uri u;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(parse(&u, good[i].uri), 0);
        assert_int_equal(u.kind, STORE_KIND_REDIS);
        assert_string_equal(u.user, good[i].user);
        assert_string_equal(u.password, good[i].password);
        assert_string_equal(u.path, good[i].path);
        assert_int_equal(u.db, good[i].db);
        assert_int_equal(u.coturn, good[i].coturn);
        assert_int_equal(u.endpoint_count, 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(&u, bad[i]), -22);
}
#endif

static void mistakes(void **state)
{
    static const char *const bad[] = {"",
                                      "mysql://x",
                                      "redis:",
                                      "redis://",
                                      "redis://h:0",
                                      "redis://h:65536",
                                      "redis://h:x",
                                      "redis://h:-1",
                                      "redis://h/x",
                                      "redis://h/99999999999",
                                      "redis://a,b",
                                      "redis://:@h",
                                      "redis://:%zz@h",
                                      "redis://:%00@h",
                                      "redis://:%4",
                                      "redis://[::1",
                                      "redis://[::1]x",
                                      "redis://h?layout=x",
                                      "redis+sentinel://h",
                                      "redis+sentinel://h/",
                                      "redis+sentinel://a,b,c,d,e,f,g,h,i/m",
                                      "redis+unix:relative",
                                      "sqlite"};
    struct store_uri u;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(&u, bad[i]), -22);
}

#ifdef WITH_HIREDIS
static void endpoints(void **state)
{
    struct stores_endpoint e[2];

    assert_int_equal(stores_endpoints("redis+sentinel://a,b:1,c/m", e, 2), 2);
    assert_string_equal(e[1].host, "b");
    assert_int_equal(e[1].port, 1);
    assert_int_equal(stores_endpoints("redis://h", e, 2), 1);
    assert_int_equal(stores_endpoints("sqlite:/x", e, 2), 0);
    assert_int_equal(stores_endpoints("nonsense", e, 2), 0);
}
#endif

static void md5_alone_is_noticed(void **state)
{
    static const char *const coturn[] = {"redis://h?layout=coturn"};
    const struct stores_user both = {.name = "a", .password = "p"}, old = {.name = "a", .key = "k"};
    struct stores_config cfg = {.users = &both, .user_count = 1};

    assert_false(stores_md5_only(&cfg));
    cfg.users = &old;
    assert_true(stores_md5_only(&cfg));
    cfg = (struct stores_config){.uris = coturn, .uri_count = 1};
#ifdef WITH_HIREDIS
    assert_true(stores_md5_only(&cfg));
#else
    assert_false(stores_md5_only(&cfg));
#endif
}

static void a_password_is_never_shown(void **state)
{
    static const char *const bad[] = {"redis://:hunter2@h:x", "redis+unix://:hunter2@r",
                                      "redis+unix://:hunter2/r", "redis+unix://:hunter2@/r?db=x",
                                      "redis+unix://hunter2:@/r"};
    const char *why;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(stores_check_uri(bad[i], &why), -22);
        assert_null(strstr(why, "hunter2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef WITH_SQLITE
        cmocka_unit_test(sqlite_paths),
#endif
#ifdef WITH_HIREDIS
        cmocka_unit_test(redis_parts),
        cmocka_unit_test(sockets),
        cmocka_unit_test(endpoints),
#endif
        cmocka_unit_test(mistakes),
        cmocka_unit_test(md5_alone_is_noticed),
        cmocka_unit_test(a_password_is_never_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
