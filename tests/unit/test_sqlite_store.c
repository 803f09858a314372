// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "admin_changes.h"
#include "auth/admin.h"
#include "store_client.h"

static char dir[64], path[128], uri[140];

static int make_dir(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/tp-sqlite-XXXXXX");
    snprintf(path, sizeof(path), "%s/users.db", mkdtemp(dir) ? dir : "");
    snprintf(uri, sizeof(uri), "sqlite:%s", path);
    return 0;
}

static int remove_dir(void **state)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

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

    if (admin_open(&s, uri, &why) < 0)
        fail_msg("%s", why);
    return s;
}

static void open_client(struct store_client *c)
{
    const char *why = "";

    store_client_init(c, uri);
    if (store_client_open(c, &why) < 0)
        fail_msg("%s", why);
}

static void created_by_whoever_comes_first(void **state)
{
    struct store_client c;
    struct store_ask a;
    struct stat st;

    open_client(&c);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777 & ~0640, 0);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_NOT_FOUND);
    struct admin_store *admin = open_admin();
    struct auth_record rec = record_of("alice", 5);
    rec.max_allocations = 3;
    rec.max_bps = 1u << 31;
    rec.expires = 4000000000;
    assert_int_equal(admin_user_add(admin, "example.org", &rec), 0);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_memory_equal(&a.rec.keys[0], &rec.keys[0], sizeof(rec.keys[0]));
    assert_int_equal(a.rec.max_allocations, 3);
    assert_true(a.rec.max_bps == 1u << 31);
    assert_true(a.rec.expires == 4000000000 && a.rec.created == 1700000000);
    // A change is seen by the next look-up.
    rec.disabled = true;
    assert_int_equal(admin_user_change(admin, "example.org", &rec, ADMIN_USER_DISABLED), 0);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_true(a.rec.disabled);
    assert_int_equal(admin_user_delete(admin, "example.org", "alice", 5), 0);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_NOT_FOUND);
    admin_close(admin);
    store_client_close(&c);
}

static void found_by_userhash(void **state)
{
    struct admin_store *admin = open_admin();
    struct auth_record rec = record_of("hash", 4);
    struct store_client c;
    struct store_ask a;
    uint8_t hash[STUN_USERHASH_LEN];

    assert_int_equal(admin_user_add(admin, "example.org", &rec), 0);
    open_client(&c);
    stun_userhash(hash, "hash", 4, "example.org");
    store_client_start(&c, &a, hash, sizeof(hash), true);
    assert_int_equal(a.status, STORE_FOUND);
    assert_string_equal((char *)a.rec.user, "hash");
    hash[0] ^= 1;
    store_client_start(&c, &a, hash, sizeof(hash), true);
    assert_int_equal(a.status, STORE_NOT_FOUND);
    store_client_close(&c);
    admin_close(admin);
}

static int count_user(const struct auth_record *rec, void *arg)
{
    ++*(int *)arg;
    return 0;
}

// T7: whatever bytes a name has, it is stored, found, listed and deleted as they are.
static void names_are_bytes(void **state)
{
    static const struct {
        const char *name;
        size_t len;
    } names[] = {{"%s%n%n", 6},           {"a/b/../c", 8},     {"with space", 10},
                 {"cr\r\nlf", 6},         {"nul\0behind", 10}, {"nul", 3},
                 {"\xff\xfe\x80", 3},     {"' OR 1=1;--", 11}, {"\"quoted\"", 8},
                 {"\xc3\xa9t\xc3\xa9", 5}};
    struct admin_store *admin = open_admin();
    struct store_client c;
    struct store_ask a;
    struct auth_record rec;
    uint8_t longest[AUTH_USER_MAX];
    int count = 0;

    memset(longest, 0xfe, sizeof(longest));
    rec = record_of(longest, sizeof(longest));
    assert_int_equal(admin_user_add(admin, "bytes", &rec), 0);
    open_client(&c);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        rec = record_of(names[i].name, names[i].len);
        assert_int_equal(admin_user_add(admin, "example.org", &rec), 0);
        assert_int_equal(admin_user_add(admin, "example.org", &rec), -17);
        assert_null(strpbrk(admin_error(admin), "\r\n"));
        store_client_start(&c, &a, names[i].name, names[i].len, false);
        assert_int_equal(a.status, STORE_FOUND);
        assert_int_equal(a.rec.user_len, names[i].len);
        assert_memory_equal(a.rec.user, names[i].name, names[i].len);
    }
    assert_int_equal(admin_user_list(admin, "example.org", count_user, &count), 0);
    assert_int_equal(count, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(admin_user_delete(admin, "example.org", names[i].name, names[i].len), 0);
    assert_int_equal(admin_user_get(admin, "bytes", longest, sizeof(longest), &rec), 0);
    assert_int_equal(rec.user_len, AUTH_USER_MAX);
    store_client_start(&c, &a, longest, sizeof(longest), false);
    assert_int_equal(a.status, STORE_NOT_FOUND); // another realm
    store_client_close(&c);
    admin_close(admin);
}

struct order {
    char last[AUTH_USER_MAX + 1];
    int count;
};

static int check_order(const struct auth_record *rec, void *arg)
{
    struct order *o = arg;

    assert_true(strcmp(o->last, (const char *)rec->user) < 0);
    memcpy(o->last, rec->user, sizeof(o->last));
    return ++o->count == 3 ? 42 : 0;
}

static void the_cli_gets_told(void **state)
{
    static const char *const names[] = {"m", "z", "b", "a"};
    struct admin_store *admin = open_admin();
    struct auth_record rec;
    struct order order = {.last = ""};

    for (size_t i = 0; i < 4; i++) {
        rec = record_of(names[i], 1);
        assert_int_equal(admin_user_add(admin, "example.org", &rec), 0);
    }
    assert_int_equal(admin_user_list(admin, "example.org", check_order, &order), 42);
    assert_int_equal(order.count, 3);
    rec = record_of("m", 1);
    assert_int_equal(admin_user_add(admin, "example.org", &rec), -17);
    assert_string_equal(admin_error(admin), "user m exists in realm example.org");
    rec = record_of("nobody", 6);
    assert_int_equal(admin_user_change(admin, "example.org", &rec, ~0u), -2);
    assert_int_equal(admin_user_get(admin, "example.org", "nobody", 6, &rec), -2);
    assert_int_equal(admin_user_delete(admin, "example.org", "nobody", 6), -2);
    assert_string_equal(admin_error(admin), "there is no user nobody in realm example.org");
    rec.user_len = 0;
    assert_int_equal(admin_user_add(admin, "example.org", &rec), -22);
    admin_close(admin);
}

static void secrets_rotate(void **state)
{
    struct admin_store *admin = open_admin();
    struct admin_secret list[AUTH_KEYS_MAX];
    struct store_client c;
    struct store_ask a;
    char text[16], name[64];

    open_client(&c);
    snprintf(name, sizeof(name), "%lld:x", (long long)time(NULL) + 60);
    assert_int_equal(store_client_ask(&c, &a, name), STORE_NOT_FOUND);
    for (int i = 0; i < AUTH_KEYS_MAX; i++) {
        snprintf(text, sizeof(text), "secret%d", i);
        assert_int_equal(admin_secret_add(admin, "example.org", text), 0);
    }
    assert_int_equal(admin_secret_add(admin, "example.org", "secret3"), -17);
    assert_int_equal(admin_secret_add(admin, "example.org", "one more"), -28);
    assert_int_equal(admin_secret_add(admin, "example.org", ""), -22);
    assert_int_equal(admin_secret_add(admin, "other", "one more"), 0);
    assert_int_equal(store_client_ask(&c, &a, name), STORE_FOUND);
    assert_int_equal(a.rec.key_count, AUTH_KEYS_MAX);
    assert_int_equal(admin_secret_list(admin, "example.org", list, AUTH_KEYS_MAX), AUTH_KEYS_MAX);
    for (int i = 1; i < AUTH_KEYS_MAX; i++)
        assert_int_equal(admin_secret_retire(admin, "example.org", list[i].id), 0);
    assert_int_equal(admin_secret_retire(admin, "example.org", list[1].id), -2);
    assert_int_equal(admin_secret_retire(admin, "example.org", "%s%n"), -2);
    assert_int_equal(store_client_ask(&c, &a, name), STORE_FOUND);
    assert_int_equal(a.rec.key_count, 1);
    store_client_close(&c);
    admin_close(admin);
}

static void mistakes_name_the_path(void **state)
{
    struct store_client c;
    const char *why = "";
    char missing[256], text[256];
    FILE *f;

    snprintf(missing, sizeof(missing), "sqlite:%s/no/such.db", dir);
    store_client_init(&c, missing);
    assert_int_equal(store_client_open(&c, &why), -2);
    snprintf(text, sizeof(text), "%s/no does not exist", dir);
    assert_non_null(strstr(why, text));

    f = fopen(path, "w");
    assert_non_null(f);
    fputs("this is no database, whatever its name says; it is long enough to look at, too.", f);
    fclose(f);
    store_client_init(&c, uri);
    assert_true(store_client_open(&c, &why) < 0);
    assert_non_null(strstr(why, path));
}

static void a_foreign_database_is_left_alone(void **state)
{
    struct store_client c;
    const char *why = "";
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_OK);
    store_client_init(&c, uri);
    assert_int_equal(store_client_open(&c, &why), -22);
    assert_non_null(strstr(why, "not a user database"));
    assert_int_not_equal(sqlite3_exec(db, "SELECT * FROM users", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_newer_schema_is_refused(void **state)
{
    struct store_client c;
    const char *why = "";
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 3", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    store_client_init(&c, uri);
    assert_int_equal(store_client_open(&c, &why), -22);
    assert_non_null(strstr(why, "schema 3"));
}

static void a_damaged_record_lets_nobody_in(void **state)
{
    static const char *const damage[] = {"UPDATE users SET key_md5 = x'00'",
                                         "UPDATE users SET key_md5 = NULL, key_sha256 = NULL",
                                         "UPDATE users SET key_md5 = NULL, max_bps = -1",
                                         "UPDATE users SET max_allocations = 1 << 40",
                                         "UPDATE users SET expires = -5",
                                         "UPDATE users SET disabled = 'yes'",
                                         "UPDATE users SET disabled = 2",
                                         "UPDATE users SET disabled = 1 << 32",
                                         "UPDATE users SET expires = 'tomorrow'",
                                         "UPDATE users SET max_allocations = 'few'",
                                         "UPDATE users SET key_md5 = '0123456789abcdef'",
                                         "DROP TABLE users"};
    struct store_client c;
    struct store_ask a;
    sqlite3 *db;

    for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
        struct admin_store *admin = open_admin();
        struct auth_record rec = record_of("alice", 5);
        admin_user_delete(admin, "example.org", "alice", 5);
        assert_int_equal(admin_user_add(admin, "example.org", &rec), 0);
        admin_close(admin);
        open_client(&c);
        assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, damage[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_UNAVAILABLE);
        store_client_close(&c);
    }
}

static int ignore(const struct auth_record *rec, void *arg)
{
    return 0;
}

static void a_damaged_record_is_named_and_can_be_deleted(void **state)
{
    struct admin_store *admin = open_admin();
    struct auth_record rec = record_of("alice", 5);
    sqlite3 *db;

    assert_int_equal(admin_user_add(admin, "example.org", &rec), 0);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE users SET key_md5 = x'00'", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(admin_user_get(admin, "example.org", "alice", 5, &rec), -EBADMSG);
    assert_int_equal(admin_user_list(admin, "example.org", ignore, NULL), -EBADMSG);
    assert_non_null(strstr(admin_error(admin), "user alice "));
    assert_int_equal(admin_user_delete(admin, "example.org", "alice", 5), 0);
    assert_int_equal(admin_user_list(admin, "example.org", ignore, NULL), 0);
    admin_close(admin);
}

// Runs in a child, which gives up root for good. 0: refused with that text.
static int refused_with(const char *text)
{
    struct admin_store *s;
    const char *why = "";

    if (setgid(65534) < 0 || setuid(65534) < 0)
        return 2;
    return admin_open(&s, uri, &why) < 0 && strstr(why, text) ? 0 : 1;
}

static void refused_in_child(const char *text)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(refused_with(text));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

// `sudo turnpikectl user add` before the first start of a server that runs as somebody else.
static void what_root_creates_is_the_servers(void **state)
{
    struct stat st;

    if (geteuid() != 0 || chown(dir, 65534, 65533) < 0)
        skip();
    admin_close(open_admin());
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_gid, 65533);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void it_is_told_what_may_not_be_accessed(void **state)
{
    admin_close(open_admin());
    if (geteuid() != 0 || chown(path, 0, 0) < 0)
        skip();
    assert_int_equal(chmod(dir, 0755), 0);
    refused_in_child("may not read and write the file");
    assert_int_equal(chown(path, 65534, 65534), 0);
    refused_in_child("may not write in its folder");
}

// Another process writes all the time; every look-up is answered, at once and whole.
static void a_writer_disturbs_nobody(void **state)
{
    struct store_client c;
    struct store_ask a;
    struct auth_record rec = record_of("alice", 5);
    struct admin_store *admin = open_admin();

    assert_int_equal(admin_user_add(admin, "example.org", &rec), 0);
    admin_close(admin);
    open_client(&c);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        admin = open_admin();
        for (uint64_t i = 1; i <= 500; i++) {
            rec.max_bps = i;
            rec.max_allocations = (uint32_t)i;
            if (admin_user_change(admin, "example.org", &rec,
                                  ADMIN_USER_MAX_BPS | ADMIN_USER_MAX_ALLOCATIONS) < 0)
                _exit(1);
        }
        admin_close(admin);
        _exit(0);
    }
    int status = 0;
    uint64_t last = 0;
    unsigned changes = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
        assert_true(a.rec.max_bps == a.rec.max_allocations && a.rec.max_bps >= last);
        changes += a.rec.max_bps != last;
        last = a.rec.max_bps;
    }
    assert_int_equal(status, 0);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_int_equal(a.rec.max_bps, 500);
    assert_true(changes > 1);
    store_client_close(&c);
}

// Two and not many, since each waits for the disk, and for the other no longer than SQLite's
// time-out.
static void changes_at_once_are_all_kept(void **state)
{
    static const unsigned parts[] = {ADMIN_USER_PASSWORD | ADMIN_USER_EXPIRES |
                                         ADMIN_USER_MAX_ALLOCATIONS,
                                     ADMIN_USER_DISABLED | ADMIN_USER_MAX_BPS};

    admin_changes_at_once(uri, parts, 2, 20);
}

static void a_change_by_an_old_record(void **state)
{
    admin_change_by_an_old_record(uri);
}

// Two that find no file create one schema.
static void two_may_create_at_once(void **state)
{
    for (int round = 0; round < 20; round++) {
        pid_t pid[4];
        assert_int_equal(remove_dir(NULL), 0); // the -wal and -shm files, too
        make_dir(NULL);
        for (size_t i = 0; i < 4; i++) {
            pid[i] = fork();
            assert_true(pid[i] >= 0);
            if (pid[i] == 0) {
                struct store_client c;
                struct admin_store *s;
                const char *why;
                store_client_init(&c, uri);
                if (i % 2 == 0 ? store_client_open(&c, &why) < 0 : admin_open(&s, uri, &why) < 0) {
                    fprintf(stderr, "%s\n", why);
                    _exit(1);
                }
                _exit(0);
            }
        }
        for (size_t i = 0; i < 4; i++) {
            int status;
            assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
            assert_int_equal(status, 0);
        }
    }
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
    open_client(&c);
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

static void a_damaged_token_key_lets_nobody_in(void **state)
{
    static const char *const damage[] = {"UPDATE token_keys SET key = x'00'",
                                         "UPDATE token_keys SET key = NULL",
                                         "UPDATE token_keys SET algorithm = 'none'",
                                         "UPDATE token_keys SET algorithm = 'A128GCM'",
                                         "UPDATE token_keys SET algorithm = x'41323536'",
                                         "UPDATE token_keys SET expires = 'never'",
                                         "UPDATE token_keys SET expires = -1",
                                         "DROP TABLE token_keys"};
    struct store_client c;
    struct store_ask a;
    sqlite3 *db;

    for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
        struct auth_record rec = store_token_key("north", 5, TOKEN_A256GCM, 1), got;
        struct admin_store *s = open_admin();
        admin_token_key_add(s, "example.org", &rec);
        open_client(&c);
        assert_int_equal(store_client_ask_token(&c, &a, "north", 5), STORE_FOUND);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        // What may not be NULL is not stored so: then nothing has changed.
        bool done = sqlite3_exec(db, damage[i], NULL, NULL, NULL) == SQLITE_OK;
        assert_int_equal(store_client_ask_token(&c, &a, "north", 5),
                         done ? STORE_UNAVAILABLE : STORE_FOUND);
        assert_int_not_equal(admin_token_key_get(s, "example.org", "north", 5, &got), done ? 0 : 1);
        sqlite3_exec(db, "DELETE FROM token_keys", NULL, NULL, NULL);
        sqlite3_close(db);
        store_client_close(&c);
        admin_close(s);
    }
}

// A file of the version that knew no token keys gets their table, and keeps what it has.
static void an_older_schema_is_completed(void **state)
{
    struct admin_store *s = open_admin();
    struct auth_record rec = record_of("alice", 5);
    struct store_client c;
    struct store_ask a;
    sqlite3 *db;

    for (int writer = 0; writer < 2; writer++) {
        if (!writer)
            assert_int_equal(admin_user_add(s, "example.org", &rec), 0);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(
            sqlite3_exec(db, "DROP TABLE token_keys; PRAGMA user_version = 1", NULL, NULL, NULL),
            SQLITE_OK);
        sqlite3_close(db);
        admin_close(s);
        if (writer) {
            s = open_admin();
            rec = store_token_key("north", 5, TOKEN_A256GCM, 1);
            assert_int_equal(admin_token_key_add(s, "example.org", &rec), 0);
        }
        open_client(&c);
        assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
        assert_int_equal(store_client_ask_token(&c, &a, "north", 5),
                         writer ? STORE_FOUND : STORE_NOT_FOUND);
        store_client_close(&c);
        if (!writer)
            s = open_admin();
    }
    admin_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(created_by_whoever_comes_first, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(found_by_userhash, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(names_are_bytes, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(the_cli_gets_told, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secrets_rotate, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(mistakes_name_the_path, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_foreign_database_is_left_alone, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_damaged_record_lets_nobody_in, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_damaged_record_is_named_and_can_be_deleted, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(what_root_creates_is_the_servers, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(it_is_told_what_may_not_be_accessed, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_writer_disturbs_nobody, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(changes_at_once_are_all_kept, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_change_by_an_old_record, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(two_may_create_at_once, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(token_keys, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_damaged_token_key_lets_nobody_in, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(an_older_schema_is_completed, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
