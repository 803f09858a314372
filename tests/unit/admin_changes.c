// SPDX-License-Identifier: BSD-2-Clause
#include "admin_changes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/admin.h"

#define REALM "example.org"
#define PROCESSES_MAX 8

static struct admin_store *open_store(const char *uri)
{
    struct admin_store *s;
    const char *why = "";

    if (admin_open(&s, uri, &why) < 0)
        fail_msg("%s", why);
    return s;
}

static struct auth_record add_alice(struct admin_store *s)
{
    struct auth_record r = {.user = "alice", .user_len = 5, .key_count = 1, .created = 1700000000};

    r.keys[0].has_md5 = r.keys[0].has_sha256 = true;
    assert_int_equal(admin_user_add(s, REALM, &r), 0);
    return r;
}

static void expect_alice(struct admin_store *s, const struct auth_record *expected)
{
    struct auth_record got;

    assert_int_equal(admin_user_get(s, REALM, "alice", 5, &got), 0);
    assert_memory_equal(&got, expected, sizeof(got));
}

// Gives the parts values that n tells apart.
static void set_parts(struct auth_record *rec, unsigned parts, uint64_t n)
{
    if (parts & ADMIN_USER_PASSWORD) {
        memset(rec->keys[0].md5, (int)n, sizeof(rec->keys[0].md5));
        memset(rec->keys[0].sha256, (int)n, sizeof(rec->keys[0].sha256));
    }
    if (parts & ADMIN_USER_EXPIRES)
        rec->expires = 4000000000 + (int64_t)n;
    if (parts & ADMIN_USER_DISABLED)
        rec->disabled = n % 2 == 1;
    if (parts & ADMIN_USER_MAX_ALLOCATIONS)
        rec->max_allocations = (uint32_t)n;
    if (parts & ADMIN_USER_MAX_BPS)
        rec->max_bps = n;
}

// 0, or which step failed; 4: a change is lost.
static int change_over_and_over(const char *uri, unsigned parts, uint64_t rounds)
{
    struct auth_record rec, got;
    struct admin_store *s = open_store(uri);

    for (uint64_t i = 1; i <= rounds; i++) {
        if (admin_user_get(s, REALM, "alice", 5, &rec) < 0)
            return 1;
        set_parts(&rec, parts, i);
        if (admin_user_change(s, REALM, &rec, parts) < 0)
            return 2;
        if (admin_user_get(s, REALM, "alice", 5, &got) < 0)
            return 3;
        rec = got;
        set_parts(&rec, parts, i);
        if (memcmp(&rec, &got, sizeof(rec)) != 0)
            return 4;
    }
    admin_close(s);
    return 0;
}

void admin_changes_at_once(const char *uri, const unsigned *parts, size_t count, uint64_t rounds)
{
    struct admin_store *s = open_store(uri);
    struct auth_record expected = add_alice(s);
    pid_t pid[PROCESSES_MAX];

    assert_true(count <= PROCESSES_MAX);
    admin_close(s); // SQLite is not to be taken across a fork
    for (size_t i = 0; i < count; i++) {
        pid[i] = fork();
        assert_true(pid[i] >= 0);
        if (pid[i] == 0)
            _exit(change_over_and_over(uri, parts[i], rounds));
        set_parts(&expected, parts[i], rounds);
    }
    for (size_t i = 0; i < count; i++) {
        int status;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }
    s = open_store(uri);
    expect_alice(s, &expected);
    admin_close(s);
}

void admin_change_by_an_old_record(const char *uri)
{
    static const unsigned first = ADMIN_USER_DISABLED | ADMIN_USER_MAX_BPS | ADMIN_USER_EXPIRES;
    static const unsigned second = ADMIN_USER_PASSWORD | ADMIN_USER_MAX_ALLOCATIONS;
    struct admin_store *a = open_store(uri), *b = open_store(uri);
    struct auth_record rec = add_alice(a), old = rec;

    set_parts(&rec, first, 1);
    assert_int_equal(admin_user_change(a, REALM, &rec, first), 0);
    set_parts(&old, second, 7);
    set_parts(&rec, second, 7);
    old.created = 1; // never changes
    assert_int_equal(admin_user_change(b, REALM, &old, second), 0);
    expect_alice(a, &rec);
    set_parts(&old, first, 2);
    set_parts(&rec, first, 2);
    assert_int_equal(admin_user_change(b, REALM, &old, first), 0);
    expect_alice(a, &rec);
    admin_close(a);
    admin_close(b);
}
