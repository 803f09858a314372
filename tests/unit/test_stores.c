// SPDX-License-Identifier: BSD-2-Clause
// The chain: order, what an unavailable store means, cancelling.
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "auth/admin.h"
#include "store_client.h"

static const struct stores_user users[] = {{.name = "alice", .password = "wonder"}};
static const char *const secrets[] = {"first", "second"};

static void name_in(char *out, size_t cap, int64_t seconds)
{
    snprintf(out, cap, "%lld:bob", (long long)time(NULL) + seconds);
}

static void configuration_alone(void **state)
{
    struct store_client c;
    struct store_ask a;
    const char *why;
    char name[64];

    store_client_init(&c, NULL);
    c.cfg.users = users;
    c.cfg.user_count = 1;
    c.cfg.secrets = secrets;
    c.cfg.secret_count = 2;
    assert_int_equal(store_client_open(&c, &why), 0);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_int_equal(a.rec.key_count, 1);
    assert_int_equal(store_client_ask(&c, &a, "bob"), STORE_NOT_FOUND);
    assert_int_equal(store_client_ask(&c, &a, ""), STORE_NOT_FOUND);
    name_in(name, sizeof(name), 100);
    assert_int_equal(store_client_ask(&c, &a, name), STORE_FOUND);
    assert_int_equal(a.rec.key_count, 2);
    assert_false(a.rec.incomplete);
    name_in(name, sizeof(name), -1);
    assert_int_equal(store_client_ask(&c, &a, name), STORE_NOT_FOUND);
    assert_int_equal(store_client_ask(&c, &a, "99999999999999:x"), STORE_NOT_FOUND);
    store_client_close(&c);
}

static void token_keys_of_the_configuration(void **state)
{
    const struct stores_token_key keys[] = {
        {"north", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", TOKEN_A256GCM},
        {"union", "31323334353637383930313233343536", TOKEN_A128GCM}};
    const struct stores_token_key bad[] = {{"", keys[0].key, TOKEN_A256GCM},
                                           {"x", keys[0].key, TOKEN_A128GCM},
                                           {"x", "zz", TOKEN_A128GCM}};
    struct store_client c;
    struct store_ask a;
    const char *why = "";

    store_client_init(&c, NULL);
    c.cfg.token_keys = keys;
    c.cfg.token_key_count = 2;
    assert_int_equal(store_client_open(&c, &why), 0);
    assert_int_equal(store_client_ask_token(&c, &a, "north", 5), STORE_FOUND);
    assert_true(a.rec.is_token_key && a.rec.token_key.algorithm == TOKEN_A256GCM);
    assert_memory_equal(a.rec.token_key.bytes, "01234567890123456789012345678901", 32);
    assert_int_equal(store_client_ask_token(&c, &a, "union", 5), STORE_FOUND);
    assert_memory_equal(a.rec.token_key.bytes, "1234567890123456", 16);
    assert_int_equal(store_client_ask_token(&c, &a, "nort", 4), STORE_NOT_FOUND);
    assert_int_equal(store_client_ask_token(&c, &a, "", 0), STORE_NOT_FOUND);
    assert_int_equal(store_client_ask(&c, &a, "north"), STORE_NOT_FOUND);
    // A kid that looks like a name with an expiry is none.
    assert_int_equal(store_client_ask_token(&c, &a, "9999999999:x", 12), STORE_NOT_FOUND);
    store_client_close(&c);
    for (size_t i = 0; i < 3; i++) {
        store_client_init(&c, NULL);
        c.cfg.token_keys = &bad[i];
        c.cfg.token_key_count = 1;
        assert_int_equal(store_client_open(&c, &why), -22);
        assert_non_null(strstr(why, "token key"));
    }
}

static void another_realm_is_refused(void **state)
{
    struct store_client c;
    const char *why;
    struct store_ask a;

    store_client_init(&c, NULL);
    c.cfg.users = users;
    c.cfg.user_count = 1;
    assert_int_equal(store_client_open(&c, &why), 0);
    c.cfg.realm = "other"; // the opened stores keep theirs
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    store_client_close(&c);
}

static void mistakes_fail_the_opening(void **state)
{
    struct store_client c;
    const char *why = NULL;

    store_client_init(&c, "nonsense://x");
    assert_int_equal(store_client_open(&c, &why), -22);
    assert_non_null(strstr(why, "allowed are"));
}

#if defined(WITH_SQLITE) && defined(WITH_HIREDIS)
// A server that takes connections and never says a word.
static int silent_listener(char uri[64])
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    snprintf(uri, 64, "redis://127.0.0.1:%u", ntohs(sin.sin_port));
    return fd;
}

struct chain {
    struct store_client c;
    char dir[64], sqlite[128], redis[64];
    int fd;
};

// sqlite with "carol" and one secret, behind it a silent Redis.
static void chain_open(struct chain *ch, bool redis_first)
{
    struct admin_store *admin;
    struct auth_record rec = {.user = "carol", .user_len = 5, .key_count = 1};
    struct auth_record number = {.user = "49301234567", .user_len = 11, .key_count = 1};
    const char *why = "";

    snprintf(ch->dir, sizeof(ch->dir), "/tmp/tp-stores-XXXXXX");
    assert_non_null(mkdtemp(ch->dir));
    snprintf(ch->sqlite, sizeof(ch->sqlite), "sqlite:%s/users.db", ch->dir);
    ch->fd = silent_listener(ch->redis);
    assert_int_equal(admin_open(&admin, ch->sqlite, &why), 0);
    rec.keys[0].has_md5 = true;
    assert_int_equal(admin_user_add(admin, "example.org", &rec), 0);
    number.keys[0].has_md5 = true;
    assert_int_equal(admin_user_add(admin, "example.org", &number), 0);
    assert_int_equal(admin_secret_add(admin, "example.org", "third"), 0);
    admin_close(admin);

    store_client_init(&ch->c, redis_first ? ch->redis : ch->sqlite);
    ch->c.uris[1] = redis_first ? ch->sqlite : ch->redis;
    ch->c.cfg.uri_count = 2;
    ch->c.cfg.timeout_ms = 100;
    ch->c.cfg.users = users;
    ch->c.cfg.user_count = 1;
    ch->c.cfg.secrets = secrets;
    ch->c.cfg.secret_count = 1;
    assert_int_equal(store_client_open(&ch->c, &why), 0);
}

static void chain_close(struct chain *ch)
{
    char command[128];

    store_client_close(&ch->c);
    close(ch->fd);
    snprintf(command, sizeof(command), "rm -rf '%s'", ch->dir);
    assert_int_equal(system(command), 0);
}

static void first_that_knows_answers(void **state)
{
    struct chain ch;
    struct store_ask a;

    chain_open(&ch, false);
    assert_int_equal(store_client_ask(&ch.c, &a, "alice"), STORE_FOUND);
    store_client_start(&ch.c, &a, "carol", 5, false);
    assert_true(a.done); // Redis, behind, is not asked
    assert_int_equal(a.status, STORE_FOUND);
    chain_close(&ch);
    chain_open(&ch, true);
    assert_int_equal(store_client_ask(&ch.c, &a, "carol"), STORE_FOUND); // Redis is away: go on
    chain_close(&ch);
}

static void nobody_is_refused_because_a_store_is_away(void **state)
{
    struct chain ch;
    struct store_ask a;

    chain_open(&ch, false);
    assert_int_equal(store_client_ask(&ch.c, &a, "dave"), STORE_UNAVAILABLE);
    chain_close(&ch);
}

static void secrets_of_all_stores_count(void **state)
{
    struct chain ch;
    struct store_ask a;
    char name[64];

    chain_open(&ch, true);
    name_in(name, sizeof(name), 100);
    assert_int_equal(store_client_ask(&ch.c, &a, name), STORE_FOUND);
    assert_int_equal(a.rec.key_count, 2); // the configuration's and SQLite's
    assert_true(a.rec.incomplete);        // Redis may have more
    chain_close(&ch);
}

// A telephone number is a user's name, if the store says so, and no expiry in the year 3532.
static void a_number_may_be_a_user(void **state)
{
    struct chain ch;
    struct store_ask a;

    chain_open(&ch, false);
    store_client_start(&ch.c, &a, "49301234567", 11, false);
    assert_true(a.done); // Redis, behind, is not asked
    assert_int_equal(a.status, STORE_FOUND);
    assert_int_equal(a.rec.key_count, 1);
    assert_int_equal(a.rec.expires, 0);
    assert_int_equal(store_client_ask(&ch.c, &a, "49301234568"), STORE_FOUND);
    assert_int_equal(a.rec.key_count, 2);
    assert_int_equal(a.rec.expires, 49301234568);
    assert_true(a.rec.incomplete);
    assert_int_equal(store_client_ask(&ch.c, &a, "49301234567:x"), STORE_FOUND);
    assert_int_equal(a.rec.expires, 49301234567);
    chain_close(&ch);
}

static void cancelled_is_not_called(void **state)
{
    struct chain ch;
    struct store_ask a, b;
    static const bool never = false;

    chain_open(&ch, false);
    store_client_start(&ch.c, &a, "dave", 4, false);
    store_client_start(&ch.c, &b, "dave", 4, false);
    assert_false(a.done || b.done);
    stores_cancel(ch.c.stores, a.lookup);
    assert_true(store_client_run(&ch.c, &b.done, STORE_PATIENCE));
    store_client_run(&ch.c, &never, 300);
    assert_false(a.done);
    assert_int_equal(b.calls, 1);
    // Closing with one pending calls nothing, and leaks nothing.
    assert_true(store_client_until(&ch.c, "x", STORE_UNAVAILABLE, STORE_PATIENCE));
    do {
        store_client_start(&ch.c, &a, "erin", 4, false);
        store_client_run(&ch.c, &never, 5);
    } while (a.done);
    chain_close(&ch);
    assert_false(a.done);
}

static bool pending_from_done;

static void ask_again(enum store_status status, const struct auth_record *rec, void *arg)
{
    struct store_client *c = arg;
    struct store_query q = {.realm = "example.org", .id = (const uint8_t *)"alice", .id_len = 5};

    pending_from_done = true;
    assert_int_equal(status, STORE_UNAVAILABLE);
    struct store_ask a;
    store_client_start(c, &a, q.id, q.id_len, false);
    assert_int_equal(a.status, STORE_FOUND);
}

static void done_may_look_up(void **state)
{
    struct chain ch;
    struct store_query q = {.realm = "example.org", .id = (const uint8_t *)"zoe", .id_len = 3};

    chain_open(&ch, false);
    pending_from_done = false;
    stores_lookup(ch.c.stores, &q, time(NULL), ask_again, &ch.c);
    assert_true(store_client_run(&ch.c, &pending_from_done, STORE_PATIENCE));
    chain_close(&ch);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration_alone),
        cmocka_unit_test(token_keys_of_the_configuration),
        cmocka_unit_test(another_realm_is_refused),
        cmocka_unit_test(mistakes_fail_the_opening),
#if defined(WITH_SQLITE) && defined(WITH_HIREDIS)
        cmocka_unit_test(first_that_knows_answers),
        cmocka_unit_test(nobody_is_refused_because_a_store_is_away),
        cmocka_unit_test(secrets_of_all_stores_count),
        cmocka_unit_test(a_number_may_be_a_user),
        cmocka_unit_test(cancelled_is_not_called),
        cmocka_unit_test(done_may_look_up),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
