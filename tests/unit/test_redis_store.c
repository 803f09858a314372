// SPDX-License-Identifier: BSD-2-Clause
// The Redis store while Redis is well: cache, coalescing, invalidation, layouts, damage.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "auth/admin.h"
#include "redis_server.h"
#include "store_client.h"
#include "util/codec.h"

static struct redis_server server;

static int flush(void **state)
{
    redis_server_do(&server, "FLUSHALL");
    redis_server_do(&server, "CONFIG RESETSTAT");
    return 0;
}

static struct admin_store *open_admin(void)
{
    struct admin_store *s;
    const char *why = "";

    if (admin_open(&s, server.uri, &why) < 0)
        fail_msg("%s", why);
    return s;
}

static struct auth_record record_of(const void *name, size_t len)
{
    struct auth_record r = {.user_len = len, .key_count = 1, .created = 1700000000};

    memcpy(r.user, name, len);
    stun_key_md5(r.keys[0].md5, name, len, "example.org", "pw", 2);
    r.keys[0].has_md5 = true;
    return r;
}

static void add_user(const void *name, size_t len)
{
    struct admin_store *s = open_admin();
    struct auth_record rec = record_of(name, len);

    assert_int_equal(admin_user_add(s, "example.org", &rec), 0);
    admin_close(s);
}

static long subscribers(void)
{
    redisReply *r = redis_server_run(&server, "PUBSUB NUMSUB turnpike:invalidate");
    long n = (long)r->element[1]->integer;

    freeReplyObject(r);
    return n;
}

// Opens and waits until the subscription stands: from then on answers are cached.
static void open_client(struct store_client *c, const char *uri)
{
    static const bool never = false;
    const char *why = "";
    long before = subscribers();

    if (uri)
        store_client_init(c, uri);
    if (store_client_open(c, &why) < 0)
        fail_msg("%s", why);
    for (int i = 0; i < 500 && subscribers() == before && !strstr(c->uris[0], "coturn"); i++)
        store_client_run(c, &never, 10);
    store_client_run(c, &never, 30);
}

static void found_cached_and_not_found(void **state)
{
    struct store_client c;
    struct store_ask a;

    add_user("alice", 5);
    open_client(&c, server.uri);
    redis_server_do(&server, "CONFIG RESETSTAT");
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_int_equal(a.rec.created, 1700000000);
    assert_true(a.rec.keys[0].has_md5 && !a.rec.keys[0].has_sha256);
    assert_int_equal(redis_server_calls(&server, "hmget"), 1);
    for (int i = 0; i < 100; i++) {
        store_client_start(&c, &a, "alice", 5, false);
        assert_true(a.done && a.status == STORE_FOUND);
    }
    assert_int_equal(store_client_ask(&c, &a, "bob"), STORE_NOT_FOUND);
    for (int i = 0; i < 100; i++)
        assert_int_equal(store_client_ask(&c, &a, "bob"), STORE_NOT_FOUND);
    assert_int_equal(redis_server_calls(&server, "hmget"), 2);
    store_client_close(&c);
}

static void a_ttl_ends(void **state)
{
    static const bool never = false;
    struct store_client c;
    struct store_ask a;

    add_user("alice", 5);
    store_client_init(&c, server.uri);
    c.cfg.cache_ttl_ms = 50;
    open_client(&c, NULL);
    redis_server_do(&server, "CONFIG RESETSTAT");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
        store_client_run(&c, &never, 80);
    }
    assert_int_equal(redis_server_calls(&server, "hmget"), 3);
    store_client_close(&c);
}

static void the_same_question_is_asked_once(void **state)
{
    struct store_client c;
    struct store_ask a[50];

    add_user("alice", 5);
    open_client(&c, server.uri);
    redis_server_do(&server, "CONFIG RESETSTAT");
    for (size_t i = 0; i < 50; i++)
        store_client_start(&c, &a[i], "alice", 5, false);
    stores_cancel(c.stores, a[7].lookup);
    for (size_t i = 0; i < 50; i++)
        assert_true(i == 7 || store_client_run(&c, &a[i].done, STORE_PATIENCE));
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(a[i].calls, i == 7 ? 0 : 1);
    assert_int_equal(redis_server_calls(&server, "hmget"), 1);
    store_client_close(&c);
}

static int64_t ms_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool is_disabled(struct store_client *c)
{
    struct store_ask a;

    assert_int_equal(store_client_ask(c, &a, "alice"), STORE_FOUND);
    return a.rec.disabled;
}

// Two workers; a change by the CLI reaches both within a second, and a new user whose absence was
// cached gets in.
static void changes_reach_every_worker(void **state)
{
    static const bool never = false;
    struct store_client c[2];
    struct store_ask a;
    struct admin_store *admin = open_admin();
    struct auth_record rec = record_of("alice", 5);

    add_user("alice", 5);
    for (int i = 0; i < 2; i++) {
        open_client(&c[i], server.uri);
        assert_false(is_disabled(&c[i]));
        assert_int_equal(store_client_ask(&c[i], &a, "new"), STORE_NOT_FOUND);
    }
    rec.disabled = true;
    assert_int_equal(admin_user_change(admin, "example.org", &rec, ADMIN_USER_DISABLED), 0);
    int64_t start = ms_now();
    for (int i = 0; i < 2; i++)
        while (!is_disabled(&c[i])) {
            assert_true(ms_now() - start < 60000);
            store_client_run(&c[i], &never, 5);
        }
    add_user("new", 3);
    for (int i = 0; i < 2; i++)
        assert_true(store_client_until(&c[i], "new", STORE_FOUND, STORE_PATIENCE));
    assert_int_equal(admin_user_delete(admin, "example.org", "alice", 5), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(store_client_until(&c[i], "alice", STORE_NOT_FOUND, STORE_PATIENCE));
        store_client_close(&c[i]);
    }
    admin_close(admin);
}

static void found_by_userhash(void **state)
{
    static const bool never = false;
    struct store_client c;
    struct store_ask a;
    struct admin_store *admin = open_admin();
    uint8_t hash[STUN_USERHASH_LEN];
    char hex[2 * STUN_USERHASH_LEN + 1];

    add_user("alice", 5);
    add_user("mallory", 7);
    open_client(&c, server.uri);
    stun_userhash(hash, "alice", 5, "example.org");
    store_client_start(&c, &a, hash, sizeof(hash), true);
    assert_true(store_client_run(&c, &a.done, STORE_PATIENCE));
    assert_int_equal(a.status, STORE_FOUND);
    assert_string_equal((char *)a.rec.user, "alice");
    store_client_start(&c, &a, hash, sizeof(hash), true);
    assert_true(a.done); // cached
    // A change of the user drops what was cached by hash, too.
    assert_int_equal(admin_user_delete(admin, "example.org", "alice", 5), 0);
    for (int i = 0; i < 6000 && a.status == STORE_FOUND; i++) {
        store_client_run(&c, &never, 10);
        store_client_start(&c, &a, hash, sizeof(hash), true);
        assert_true(store_client_run(&c, &a.done, STORE_PATIENCE));
    }
    assert_int_equal(a.status, STORE_NOT_FOUND);
    // An index entry that leads to somebody else leads nowhere.
    hash[0] ^= 1;
    hex_encode(hex, hash, sizeof(hash));
    redis_server_do(&server, "SET turnpike:{example.org}:userhash:%s mallory", hex);
    store_client_start(&c, &a, hash, sizeof(hash), true);
    assert_true(store_client_run(&c, &a.done, STORE_PATIENCE));
    assert_int_equal(a.status, STORE_NOT_FOUND);
    store_client_close(&c);
    admin_close(admin);
}

static void secrets_are_cached_and_rotate(void **state)
{
    static const bool never = false;
    struct store_client c;
    struct store_ask a;
    struct admin_store *admin = open_admin();
    struct admin_secret list[AUTH_KEYS_MAX];
    char name[64];

    assert_int_equal(admin_secret_add(admin, "example.org", "one"), 0);
    open_client(&c, server.uri);
    redis_server_do(&server, "CONFIG RESETSTAT");
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "%lld:u%d", (long long)time(NULL) + 60, i);
        assert_int_equal(store_client_ask(&c, &a, name), STORE_FOUND);
        assert_int_equal(a.rec.key_count, 1);
    }
    assert_int_equal(redis_server_calls(&server, "zrevrange"), 1);
    assert_int_equal(redis_server_calls(&server, "hmget"), 0);
    assert_int_equal(admin_secret_add(admin, "example.org", "two"), 0);
    for (int i = 0; i < 6000 && a.rec.key_count != 2; i++) {
        store_client_run(&c, &never, 10);
        assert_int_equal(store_client_ask(&c, &a, name), STORE_FOUND);
    }
    assert_int_equal(a.rec.key_count, 2);
    assert_int_equal(admin_secret_list(admin, "example.org", list, AUTH_KEYS_MAX), 2);
    assert_int_equal(admin_secret_retire(admin, "example.org", list[0].id), 0);
    assert_int_equal(admin_secret_retire(admin, "example.org", list[1].id), 0);
    assert_true(store_client_until(&c, name, STORE_NOT_FOUND, STORE_PATIENCE));
    store_client_close(&c);
    admin_close(admin);
}

static void names_are_bytes(void **state)
{
    static const struct {
        const char *name;
        size_t len;
    } names[] = {{"%s%n%b", 6}, {"a/b", 3}, {"with space", 10},  {"cr\r\nDEL x", 9},
                 {"nul\0x", 5}, {"nul", 3}, {"\xff\xfe\x80", 3}, {"*", 1}};
    struct store_client c;
    struct store_ask a;
    uint8_t longest[AUTH_USER_MAX];

    memset(longest, 0xfe, sizeof(longest));
    add_user(longest, sizeof(longest));
    open_client(&c, server.uri);
    for (int known = 0; known < 2; known++)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            static const bool never = false;
            if (known)
                add_user(names[i].name, names[i].len);
            for (int tries = 0; tries < 6000; tries++) {
                store_client_start(&c, &a, names[i].name, names[i].len, false);
                assert_true(store_client_run(&c, &a.done, STORE_PATIENCE));
                if (a.status == (known ? STORE_FOUND : STORE_NOT_FOUND))
                    break;
                store_client_run(&c, &never, 10);
            }
            assert_int_equal(a.status, known ? STORE_FOUND : STORE_NOT_FOUND);
            if (known)
                assert_memory_equal(a.rec.user, names[i].name, names[i].len);
        }
    store_client_start(&c, &a, longest, sizeof(longest), false);
    assert_true(store_client_run(&c, &a.done, STORE_PATIENCE));
    assert_int_equal(a.status, STORE_FOUND);
    store_client_close(&c);
}

static void wrong_types_let_nobody_in(void **state)
{
    struct store_client c;
    struct store_ask a;
    uint8_t hash[STUN_USERHASH_LEN];
    char hex[2 * STUN_USERHASH_LEN + 1], name[64];

    redis_server_do(&server, "SET turnpike:{example.org}:user:string x");
    redis_server_do(&server, "RPUSH turnpike:{example.org}:user:list x");
    redis_server_do(
        &server, "HSET turnpike:{example.org}:user:hex key_md5 zz93fbc53ba582fb4c044c456bdc40eb");
    redis_server_do(&server, "HSET turnpike:{example.org}:user:short key_md5 84");
    redis_server_do(&server, "HSET turnpike:{example.org}:user:nokey disabled 0");
    redis_server_do(
        &server,
        "HSET turnpike:{example.org}:user:neg key_md5 8493fbc53ba582fb4c044c456bdc40eb expires -1");
    redis_server_do(&server, "HSET turnpike:{example.org}:user:dis key_md5 "
                             "8493fbc53ba582fb4c044c456bdc40eb disabled yes");
    redis_server_do(&server, "HSET turnpike:{example.org}:user:big key_md5 "
                             "8493fbc53ba582fb4c044c456bdc40eb max_bps 9223372036854775808");
    redis_server_do(&server, "HSET turnpike:{example.org}:user:good key_md5 "
                             "8493fbc53ba582fb4c044c456bdc40eb other field");
    redis_server_do(&server, "HSET turnpike:{example.org}:user:foreign other field");
    redis_server_do(&server, "SET turnpike:{example.org}:secrets x");
    open_client(&c, server.uri);
    static const char *const bad[] = {"string", "list", "hex", "short",
                                      "nokey",  "neg",  "dis", "big"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(store_client_ask(&c, &a, bad[i]), STORE_UNAVAILABLE);
    assert_int_equal(store_client_ask(&c, &a, "good"), STORE_FOUND);
    assert_int_equal(store_client_ask(&c, &a, "foreign"), STORE_NOT_FOUND);
    snprintf(name, sizeof(name), "%lld:x", (long long)time(NULL) + 60);
    assert_int_equal(store_client_ask(&c, &a, name), STORE_UNAVAILABLE);
    stun_userhash(hash, "u", 1, "example.org");
    hex_encode(hex, hash, sizeof(hash));
    redis_server_do(&server, "HSET turnpike:{example.org}:userhash:%s a b", hex);
    store_client_start(&c, &a, hash, sizeof(hash), true);
    assert_true(store_client_run(&c, &a.done, STORE_PATIENCE));
    assert_int_equal(a.status, STORE_UNAVAILABLE);
    // A record that turns bad after it was cached is not answered from the cache.
    redis_server_do(&server, "DEL turnpike:{example.org}:user:good");
    redis_server_do(&server, "SET turnpike:{example.org}:user:good x");
    redis_server_do(&server, "PUBLISH turnpike:invalidate %s", "example.org user good");
    assert_true(store_client_until(&c, "good", STORE_UNAVAILABLE, STORE_PATIENCE));
    store_client_close(&c);
}

// What is published may be anything.
static void odd_messages_do_no_harm(void **state)
{
    static const bool never = false;
    static const char *const odd[] = {"",
                                      " ",
                                      "example.org",
                                      "example.org ",
                                      "example.org user",
                                      "example.org user ",
                                      "example.org secretsX",
                                      "example.org token",
                                      "example.org token ",
                                      "other user alice",
                                      "example.orguser alice",
                                      "user alice"};
    struct store_client c;
    struct store_ask a;
    char big[2000];

    add_user("alice", 5);
    open_client(&c, server.uri);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    redis_server_do(&server, "CONFIG RESETSTAT");
    memset(big, 'x', sizeof(big));
    memcpy(big, "example.org user ", 17);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        redis_server_do(&server, "PUBLISH turnpike:invalidate %s", odd[i]);
    redis_server_do(&server, "PUBLISH turnpike:invalidate %b", big, sizeof(big));
    store_client_run(&c, &never, 100);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_int_equal(redis_server_calls(&server, "hmget"), 0);
    store_client_close(&c);
}

static void coturns_layout_is_read(void **state)
{
    struct store_client c;
    struct store_ask a;
    char uri[128], name[64];
    uint8_t hash[STUN_USERHASH_LEN];

    snprintf(uri, sizeof(uri), "%s/2?layout=coturn", server.uri);
    redis_server_do(&server, "SELECT 2");
    redis_server_do(&server,
                    "SET turn/realm/example.org/user/alice/key 8493fbc53ba582fb4c044c456bdc40eb");
    redis_server_do(&server, "SET turn/realm/example.org/user/bad/key secret");
    redis_server_do(&server, "SADD turn/realm/example.org/secret one two");
    open_client(&c, uri);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_true(a.rec.keys[0].has_md5 && !a.rec.keys[0].has_sha256);
    assert_int_equal(a.rec.keys[0].md5[0], 0x84);
    redis_server_do(&server, "CONFIG RESETSTAT");
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_int_equal(redis_server_calls(&server, "get"), 0);
    assert_int_equal(store_client_ask(&c, &a, "bad"), STORE_UNAVAILABLE);
    assert_int_equal(store_client_ask(&c, &a, "bob"), STORE_NOT_FOUND);
    assert_int_equal(store_client_ask(&c, &a, "x/key"), STORE_NOT_FOUND);
    stun_userhash(hash, "alice", 5, "example.org");
    store_client_start(&c, &a, hash, sizeof(hash), true);
    assert_true(a.done && a.status == STORE_NOT_FOUND);
    snprintf(name, sizeof(name), "%lld:x", (long long)time(NULL) + 60);
    assert_int_equal(store_client_ask(&c, &a, name), STORE_FOUND);
    assert_int_equal(a.rec.key_count, 2);
    store_client_close(&c);
    redis_server_do(&server, "DEL turn/realm/example.org/secret");
    redis_server_do(&server, "SET turn/realm/example.org/secret alone");
    open_client(&c, uri);
    assert_int_equal(store_client_ask(&c, &a, name), STORE_FOUND);
    assert_int_equal(a.rec.key_count, 1);
    store_client_close(&c);
    redis_server_do(&server, "SELECT 0");
}

static int count_one(const struct auth_record *rec, void *arg)
{
    assert_true(rec->is_token_key);
    ++*(size_t *)arg;
    return 0;
}

// What the CLI does to keys of access tokens, and what a server sees of it.
static void token_keys(void **state)
{
    static const struct {
        const char *kid;
        size_t len;
    } kids[] = {{"north", 5}, {"%s%n", 4}, {"nul\0x", 5}, {"\xff\xfe", 2}, {"a b/c", 5}};
    struct admin_store *s = open_admin();
    struct store_client c;
    struct store_ask a;
    struct auth_record rec, got;
    char longest[TOKEN_KID_MAX + 1];

    memset(longest, 'k', sizeof(longest));
    open_client(&c, server.uri);
    for (size_t i = 0; i < sizeof(kids) / sizeof(kids[0]); i++) {
        enum token_algorithm algorithm = i % 2 ? TOKEN_A128GCM : TOKEN_A256GCM;
        assert_int_equal(store_client_ask_token(&c, &a, kids[i].kid, kids[i].len), STORE_NOT_FOUND);
        rec = store_token_key(kids[i].kid, kids[i].len, algorithm, (uint8_t)i);
        rec.expires = (int64_t)i * 1000;
        assert_int_equal(admin_token_key_add(s, "example.org", &rec), 0);
        assert_int_equal(admin_token_key_add(s, "example.org", &rec), -EEXIST);
        assert_true(store_client_until_token(&c, &a, kids[i].kid, kids[i].len, STORE_FOUND));
        assert_true(a.rec.is_token_key);
        assert_int_equal(a.rec.token_key.algorithm, algorithm);
        assert_memory_equal(&a.rec.token_key, &rec.token_key, sizeof(rec.token_key));
        assert_int_equal(a.rec.expires, rec.expires);
        assert_int_equal(a.rec.user_len, kids[i].len);
        assert_memory_equal(a.rec.user, kids[i].kid, kids[i].len);
        assert_int_equal(admin_token_key_get(s, "example.org", kids[i].kid, kids[i].len, &got), 0);
        assert_memory_equal(&got.token_key, &rec.token_key, sizeof(rec.token_key));
    }
    // A kid is no user, and a user no kid.
    assert_int_equal(store_client_ask(&c, &a, "north"), STORE_NOT_FOUND);
    assert_int_equal(store_client_ask_token(&c, &a, "alice", 5), STORE_NOT_FOUND);
    size_t count = 0;
    assert_int_equal(admin_token_key_list(s, "example.org", count_one, &count), 0);
    assert_int_equal(count, sizeof(kids) / sizeof(kids[0]));
    count = 0;
    assert_int_equal(admin_token_key_list(s, "example.com", count_one, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(admin_token_key_delete(s, "example.org", "north", 5), 0);
    assert_int_equal(admin_token_key_delete(s, "example.org", "north", 5), -ENOENT);
    assert_int_equal(admin_token_key_get(s, "example.org", "north", 5, &got), -ENOENT);
    assert_true(store_client_until_token(&c, &a, "north", 5, STORE_NOT_FOUND));
    rec = store_token_key(longest, sizeof(longest), TOKEN_A256GCM, 1);
    assert_int_equal(admin_token_key_add(s, "example.org", &rec), -EINVAL);
    rec.user_len--;
    assert_int_equal(admin_token_key_add(s, "example.org", &rec), 0);
    assert_true(store_client_until_token(&c, &a, longest, sizeof(longest) - 1, STORE_FOUND));
    assert_int_equal(store_client_ask_token(&c, &a, longest, sizeof(longest)), STORE_NOT_FOUND);
    store_client_close(&c);
    admin_close(s);
}

static void token_keys_are_cached(void **state)
{
    struct admin_store *s = open_admin();
    struct auth_record rec = store_token_key("north", 5, TOKEN_A256GCM, 1);
    struct store_client c[2];
    struct store_ask a;

    assert_int_equal(admin_token_key_add(s, "example.org", &rec), 0);
    for (int i = 0; i < 2; i++) {
        open_client(&c[i], server.uri);
        assert_int_equal(store_client_ask_token(&c[i], &a, "north", 5), STORE_FOUND);
    }
    redis_server_do(&server, "CONFIG RESETSTAT");
    for (int i = 0; i < 100; i++) {
        assert_int_equal(store_client_ask_token(&c[i % 2], &a, "north", 5), STORE_FOUND);
        assert_memory_equal(&a.rec.token_key, &rec.token_key, sizeof(rec.token_key));
    }
    assert_int_equal(redis_server_calls(&server, "hmget"), 0);
    // Retired: every worker hears of it.
    assert_int_equal(admin_token_key_delete(s, "example.org", "north", 5), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(store_client_until_token(&c[i], &a, "north", 5, STORE_NOT_FOUND));
        store_client_close(&c[i]);
    }
    admin_close(s);
}

#define HEX32 "3031323334353637383930313233343536373839303132333435363738393031"

static void damaged_token_keys_let_nobody_in(void **state)
{
    static const char *const bad[] = {"string", "none", "short", "nokey", "neg", "swap", "far"};
    struct store_client c;
    struct store_ask a;
    struct admin_store *s = open_admin();
    struct auth_record rec;

    redis_server_do(&server, "SET turnpike:{example.org}:token:string x");
    redis_server_do(&server, "HSET turnpike:{example.org}:token:none algorithm none key " HEX32);
    redis_server_do(&server, "HSET turnpike:{example.org}:token:short algorithm A256GCM key 30");
    redis_server_do(&server, "HSET turnpike:{example.org}:token:nokey algorithm A256GCM");
    redis_server_do(&server, "HSET turnpike:{example.org}:token:neg algorithm A256GCM key " HEX32
                             " expires -1");
    redis_server_do(&server, "HSET turnpike:{example.org}:token:swap algorithm A128GCM key " HEX32);
    redis_server_do(&server, "HSET turnpike:{example.org}:token:far algorithm A256GCM key " HEX32
                             " expires 99999999999999999999");
    redis_server_do(&server, "HSET turnpike:{example.org}:token:good algorithm A256GCM key " HEX32);
    redis_server_do(&server, "HSET turnpike:{example.org}:token:foreign other field");
    open_client(&c, server.uri);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(store_client_ask_token(&c, &a, bad[i], strlen(bad[i])), STORE_UNAVAILABLE);
        assert_int_equal(admin_token_key_get(s, "example.org", bad[i], strlen(bad[i]), &rec),
                         -EBADMSG);
        assert_int_equal(admin_token_key_delete(s, "example.org", bad[i], strlen(bad[i])), 0);
    }
    assert_int_equal(store_client_ask_token(&c, &a, "good", 4), STORE_FOUND);
    assert_int_equal(a.rec.created, 0);
    assert_memory_equal(a.rec.token_key.bytes, "01234567890123456789012345678901", 32);
    assert_int_equal(store_client_ask_token(&c, &a, "foreign", 7), STORE_NOT_FOUND);
    store_client_close(&c);
    admin_close(s);
}

// The records of coturn's own example, turndb/schema.userdb.redis, and of its turnadmin.
static void coturns_token_keys_are_read(void **state)
{
    static const struct {
        const char *kid;
        enum store_status status;
    } cases[] = {
        {"oldempire", STORE_FOUND},   {"union", STORE_FOUND},     {"plain", STORE_FOUND},
        {"here", STORE_FOUND},        {"there", STORE_NOT_FOUND}, {"none", STORE_NOT_FOUND},
        {"short", STORE_UNAVAILABLE}, {"cbc", STORE_UNAVAILABLE}, {"empty", STORE_UNAVAILABLE}};
    struct store_client c;
    struct store_ask a;
    char uri[128];

    snprintf(uri, sizeof(uri), "%s/2?layout=coturn", server.uri);
    redis_server_do(&server, "SELECT 2");
    redis_server_do(&server, "HMSET turn/oauth/kid/oldempire ikm_key "
                             "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK as_rs_alg A256GCM");
    redis_server_do(&server,
                    "HMSET turn/oauth/kid/union ikm_key MTIzNDU2Nzg5MDEyMzQ1Ngo= as_rs_alg "
                    "A128GCM timestamp 1700000000 lifetime 1000 realm example.org");
    redis_server_do(&server, "HMSET turn/oauth/kid/plain ikm_key "
                             "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK timestamp 1700000000 "
                             "lifetime 0");
    redis_server_do(&server, "HMSET turn/oauth/kid/here ikm_key "
                             "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK realm example.org");
    redis_server_do(&server, "HMSET turn/oauth/kid/there ikm_key "
                             "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK realm north.gov");
    redis_server_do(&server, "HMSET turn/oauth/kid/short ikm_key MTIzNDU2Nzg5MDEyMzQ1Ngo=");
    redis_server_do(&server, "HMSET turn/oauth/kid/cbc ikm_key "
                             "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK as_rs_alg A256CBC");
    redis_server_do(&server, "HMSET turn/oauth/kid/empty as_rs_alg A256GCM");
    open_client(&c, uri);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(store_client_ask_token(&c, &a, cases[i].kid, strlen(cases[i].kid)),
                         cases[i].status);
    assert_int_equal(store_client_ask_token(&c, &a, "oldempire", 9), STORE_FOUND);
    assert_int_equal(a.rec.expires, 0);
    assert_memory_equal(a.rec.token_key.bytes, "12345678901234567890123456789012", 32);
    assert_int_equal(store_client_ask_token(&c, &a, "union", 5), STORE_FOUND);
    assert_int_equal(a.rec.token_key.algorithm, TOKEN_A128GCM);
    assert_int_equal(a.rec.expires, 1700001000);
    assert_memory_equal(a.rec.token_key.bytes, "1234567890123456", 16);
    store_client_close(&c);
    redis_server_do(&server, "SELECT 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(found_cached_and_not_found, flush),
        cmocka_unit_test_setup(a_ttl_ends, flush),
        cmocka_unit_test_setup(the_same_question_is_asked_once, flush),
        cmocka_unit_test_setup(changes_reach_every_worker, flush),
        cmocka_unit_test_setup(found_by_userhash, flush),
        cmocka_unit_test_setup(secrets_are_cached_and_rotate, flush),
        cmocka_unit_test_setup(names_are_bytes, flush),
        cmocka_unit_test_setup(wrong_types_let_nobody_in, flush),
        cmocka_unit_test_setup(odd_messages_do_no_harm, flush),
        cmocka_unit_test_setup(coturns_layout_is_read, flush),
        cmocka_unit_test_setup(token_keys, flush),
        cmocka_unit_test_setup(token_keys_are_cached, flush),
        cmocka_unit_test_setup(damaged_token_keys_let_nobody_in, flush),
        cmocka_unit_test_setup(coturns_token_keys_are_read, flush),
    };

    if (!redis_server_installed()) {
        printf("1..0 # SKIP redis-server is not installed\n");
        return 0;
    }
    redis_server_start(&server, NULL);
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_remove(&server);
    return r;
}
