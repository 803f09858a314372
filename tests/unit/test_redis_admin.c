// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin_changes.h"
#include "auth/admin.h"
#include "redis_server.h"

static struct redis_server server;

static struct auth_record record_of(const void *name, size_t len)
{
    struct auth_record r = {.user_len = len, .key_count = 1, .created = 1700000000};

    memcpy(r.user, name, len);
    stun_key_md5(r.keys[0].md5, name, len, "example.org", "pw", 2);
    stun_key_sha256(r.keys[0].sha256, name, len, "example.org", "pw", 2);
    r.keys[0].has_md5 = r.keys[0].has_sha256 = true;
    return r;
}

static struct admin_store *open_admin(void)
{
    struct admin_store *s;
    const char *why = "";

    if (admin_open(&s, server.uri, &why) < 0)
        fail_msg("%s", why);
    return s;
}

static int flush(void **state)
{
    redis_server_do(&server, "FLUSHALL");
    return 0;
}

static void a_record_as_it_lies_there(void **state)
{
    struct admin_store *s = open_admin();
    struct auth_record rec = record_of("alice", 5), got;

    rec.disabled = true;
    rec.max_bps = 123;
    assert_int_equal(admin_user_add(s, "example.org", &rec), 0);
    redisReply *r = redis_server_run(&server, "HGETALL %s", "turnpike:{example.org}:user:alice");
    assert_int_equal(r->elements, 14);
    for (size_t i = 0; i < r->elements; i++)
        assert_null(strstr(r->element[i]->str, "pw"));
    freeReplyObject(r);
    r = redis_server_run(&server, "HGET %s key_md5", "turnpike:{example.org}:user:alice");
    assert_int_equal(r->len, 32);
    freeReplyObject(r);
    r = redis_server_run(&server, "KEYS turnpike:{example.org}:userhash:*");
    assert_int_equal(r->elements, 1);
    redisReply *name = redis_server_run(&server, "GET %s", r->element[0]->str);
    assert_string_equal(name->str, "alice");
    freeReplyObject(name);
    freeReplyObject(r);
    assert_int_equal(admin_user_get(s, "example.org", "alice", 5, &got), 0);
    assert_memory_equal(&got, &rec, sizeof(got));

    assert_int_equal(admin_user_add(s, "example.org", &rec), -17);
    assert_string_equal(admin_error(s), "user alice exists in realm example.org");
    rec.keys[0].has_sha256 = false;
    memset(rec.keys[0].sha256, 0, sizeof(rec.keys[0].sha256));
    rec.disabled = false;
    assert_int_equal(admin_user_change(s, "example.org", &rec, ~0u), 0);
    assert_int_equal(admin_user_get(s, "example.org", "alice", 5, &got), 0);
    assert_memory_equal(&got, &rec, sizeof(got));
    assert_int_equal(admin_user_delete(s, "example.org", "alice", 5), 0);
    r = redis_server_run(&server, "DBSIZE");
    assert_int_equal(r->integer, 0);
    freeReplyObject(r);
    assert_int_equal(admin_user_delete(s, "example.org", "alice", 5), -2);
    assert_int_equal(admin_user_change(s, "example.org", &rec, ~0u), -2);
    assert_int_equal(admin_user_get(s, "example.org", "alice", 5, &got), -2);
    admin_close(s);
}

struct seen {
    uint8_t last[AUTH_USER_MAX];
    size_t last_len;
    unsigned count;
};

static int see(const struct auth_record *rec, void *arg)
{
    struct seen *s = arg;
    size_t n = s->last_len < rec->user_len ? s->last_len : rec->user_len;
    int d = memcmp(s->last, rec->user, n);

    assert_true(s->count == 0 || d < 0 || (d == 0 && s->last_len < rec->user_len));
    memcpy(s->last, rec->user, rec->user_len);
    s->last_len = rec->user_len;
    s->count++;
    return 0;
}

// T7, and a realm that is a glob pattern lists nothing but its own users.
static void names_are_bytes(void **state)
{
    static const struct {
        const char *name;
        size_t len;
    } names[] = {{"%s%n%b", 6}, {"a/b", 3},          {"with space", 10},  {"cr\r\nlf", 6},
                 {"nul\0x", 5}, {"nul", 3},          {"\xff\xfe\x80", 3}, {"*", 1},
                 {"{x}", 3},    {"' .. KEYS[1]", 12}};
    struct admin_store *s = open_admin();
    struct auth_record rec, got;
    struct seen seen = {.count = 0};

    rec = record_of("outsider", 8);
    assert_int_equal(admin_user_add(s, "exampleXorg", &rec), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        rec = record_of(names[i].name, names[i].len);
        assert_int_equal(admin_user_add(s, "example?org", &rec), 0);
        assert_int_equal(admin_user_add(s, "example?org", &rec), -17);
        assert_int_equal(admin_user_get(s, "example?org", names[i].name, names[i].len, &got), 0);
        assert_memory_equal(&got, &rec, sizeof(got));
    }
    assert_int_equal(admin_user_list(s, "example?org", see, &seen), 0);
    assert_int_equal(seen.count, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(admin_user_delete(s, "example?org", names[i].name, names[i].len), 0);
    admin_close(s);
}

static void changes_at_once_are_all_kept(void **state)
{
    static const unsigned parts[] = {ADMIN_USER_PASSWORD, ADMIN_USER_EXPIRES, ADMIN_USER_DISABLED,
                                     ADMIN_USER_MAX_ALLOCATIONS, ADMIN_USER_MAX_BPS};

    admin_changes_at_once(server.uri, parts, 5, 60);
}

static void a_change_by_an_old_record(void **state)
{
    admin_change_by_an_old_record(server.uri);
}

static void only_one_of_two_adds_wins(void **state)
{
    struct auth_record rec = record_of("race", 4);
    pid_t pid[4];
    unsigned won = 0;

    for (size_t i = 0; i < 4; i++) {
        pid[i] = fork();
        assert_true(pid[i] >= 0);
        if (pid[i] == 0) {
            struct admin_store *s = open_admin();
            int r = admin_user_add(s, "example.org", &rec);
            admin_close(s);
            _exit(r == 0 ? 0 : r == -17 ? 1 : 2);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        int status;
        waitpid(pid[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        won += WEXITSTATUS(status) == 0;
    }
    assert_int_equal(won, 1);
}

static void secrets_rotate(void **state)
{
    struct admin_store *s = open_admin();
    struct admin_secret list[AUTH_KEYS_MAX];
    char text[16];

    assert_int_equal(admin_secret_list(s, "example.org", list, AUTH_KEYS_MAX), 0);
    for (int i = 0; i < AUTH_KEYS_MAX; i++) {
        snprintf(text, sizeof(text), "secret%d", i);
        assert_int_equal(admin_secret_add(s, "example.org", text), 0);
    }
    assert_int_equal(admin_secret_add(s, "example.org", "secret3"), -17);
    assert_int_equal(admin_secret_add(s, "example.org", "more"), -28);
    assert_int_equal(admin_secret_list(s, "example.org", list, AUTH_KEYS_MAX), AUTH_KEYS_MAX);
    assert_true(list[0].created > 1700000000);
    assert_int_equal(admin_secret_retire(s, "example.org", list[2].id), 0);
    assert_int_equal(admin_secret_retire(s, "example.org", list[2].id), -2);
    assert_int_equal(admin_secret_list(s, "example.org", list, AUTH_KEYS_MAX), AUTH_KEYS_MAX - 1);
    admin_close(s);
}

static int ignore(const struct auth_record *rec, void *arg)
{
    return 0;
}

static void damage_is_told_not_trusted(void **state)
{
    struct admin_store *s = open_admin();
    struct auth_record rec;

    redis_server_do(&server, "SET %s x", "turnpike:{example.org}:user:text");
    redis_server_do(&server, "HSET %s key_md5 nothex", "turnpike:{example.org}:user:bad");
    redis_server_do(&server, "SET %s x", "turnpike:{example.org}:secrets");
    assert_int_equal(admin_user_get(s, "example.org", "text", 4, &rec), -EBADMSG);
    assert_non_null(strstr(admin_error(s), "user text "));
    assert_int_equal(admin_user_get(s, "example.org", "bad", 3, &rec), -EBADMSG);
    assert_int_equal(admin_user_list(s, "example.org", ignore, NULL), -EBADMSG);
    assert_non_null(strstr(admin_error(s), "user bad "));
    assert_int_equal(admin_user_delete(s, "example.org", "bad", 3), 0);
    assert_int_equal(admin_user_delete(s, "example.org", "text", 4), 0);
    assert_int_equal(admin_user_list(s, "example.org", ignore, NULL), 0);
    assert_int_equal(admin_secret_add(s, "example.org", "a"), -5);
    assert_non_null(strstr(admin_error(s), "WRONGTYPE"));
    admin_close(s);
}

static void opening_says_what_failed(void **state)
{
    struct admin_store *s;
    const char *why = "";
    char uri[128];

    snprintf(uri, sizeof(uri), "%s?layout=coturn", server.uri);
    assert_int_equal(admin_open(&s, uri, &why), -22);
    snprintf(uri, sizeof(uri), "%s/99", server.uri);
    assert_int_equal(admin_open(&s, uri, &why), -5);
    assert_non_null(strstr(why, "SELECT"));
    snprintf(uri, sizeof(uri), "redis://:hunter2@127.0.0.1:%u", server.port);
    assert_int_equal(admin_open(&s, uri, &why), -5);
    assert_non_null(strstr(why, "AUTH"));
    assert_null(strstr(why, "hunter2"));
    assert_int_equal(admin_open(&s, "redis://127.0.0.1:1", &why), -5);
    assert_non_null(strstr(why, "127.0.0.1:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_record_as_it_lies_there, flush),
        cmocka_unit_test_setup(names_are_bytes, flush),
        cmocka_unit_test_setup(changes_at_once_are_all_kept, flush),
        cmocka_unit_test_setup(a_change_by_an_old_record, flush),
        cmocka_unit_test_setup(only_one_of_two_adds_wins, flush),
        cmocka_unit_test_setup(secrets_rotate, flush),
        cmocka_unit_test_setup(damage_is_told_not_trusted, flush),
        cmocka_unit_test_setup(opening_says_what_failed, flush),
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
