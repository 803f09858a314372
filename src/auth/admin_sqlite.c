// SPDX-License-Identifier: BSD-2-Clause
#include "auth/admin_sqlite.h"

#include <errno.h>
#include <stdlib.h>

#include "auth/sqlite_db.h"

sqlite3 *admin_sqlite_db(struct admin_store *s)
{
    return ((struct admin_sqlite *)s)->db;
}

int admin_sqlite_fail(struct admin_store *s)
{
    sqlite3 *db = admin_sqlite_db(s);

    return admin_fail(s, -EIO, "%s: %s", sqlite3_db_filename(db, "main"), sqlite3_errmsg(db));
}

sqlite3_stmt *admin_sqlite_prepare(struct admin_store *s, const char *sql, const char *realm)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v2(admin_sqlite_db(s), sql, -1, &st, NULL) != SQLITE_OK ||
        sqlite3_bind_text(st, 1, realm, -1, SQLITE_STATIC) != SQLITE_OK) {
        admin_sqlite_fail(s);
        sqlite3_finalize(st);
        return NULL;
    }
    return st;
}

static void bind_key(sqlite3_stmt *st, int column, const uint8_t *key, int len, bool has)
{
    if (has)
        sqlite3_bind_blob(st, column, key, len, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, column);
}

// ?2 name, ?3 userhash, ?4 .. ?10 the rest. hash has to live until the statement has run.
static void bind_record(sqlite3_stmt *st, const char *realm, const struct auth_record *rec,
                        uint8_t hash[STUN_USERHASH_LEN])
{
    const struct auth_key *k = &rec->keys[0];

    stun_userhash(hash, rec->user, rec->user_len, realm);
    sqlite3_bind_blob(st, 2, rec->user, (int)rec->user_len, SQLITE_STATIC);
    sqlite3_bind_blob(st, 3, hash, STUN_USERHASH_LEN, SQLITE_STATIC);
    bind_key(st, 4, k->md5, sizeof(k->md5), k->has_md5);
    bind_key(st, 5, k->sha256, sizeof(k->sha256), k->has_sha256);
    sqlite3_bind_int64(st, 6, rec->created);
    sqlite3_bind_int64(st, 7, rec->expires);
    sqlite3_bind_int(st, 8, rec->disabled);
    sqlite3_bind_int64(st, 9, rec->max_allocations);
    sqlite3_bind_int64(st, 10, (sqlite3_int64)rec->max_bps);
}

static int user_add(struct admin_store *s, const char *realm, const struct auth_record *rec)
{
    uint8_t hash[STUN_USERHASH_LEN];
    sqlite3_stmt *st = admin_sqlite_prepare(
        s,
        "INSERT INTO users (realm, name, userhash, key_md5, key_sha256, created, expires, disabled,"
        " max_allocations, max_bps) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        realm);

    if (!st)
        return -EIO;
    bind_record(st, realm, rec, hash);
    int rc = sqlite3_step(st);
    int r = rc == SQLITE_DONE         ? 0
            : rc == SQLITE_CONSTRAINT ? admin_user_exists(s, realm, rec->user, rec->user_len)
                                      : admin_sqlite_fail(s);
    sqlite3_finalize(st);
    return r;
}

static int user_change(struct admin_store *s, const char *realm, const struct auth_record *rec,
                       unsigned what)
{
    uint8_t hash[STUN_USERHASH_LEN];
    // One statement, so that what it leaves out cannot change between reading and writing it.
    sqlite3_stmt *st = admin_sqlite_prepare(
        s,
        "UPDATE users SET userhash = ?3,"
        " key_md5 = CASE WHEN ?11 THEN ?4 ELSE key_md5 END,"
        " key_sha256 = CASE WHEN ?11 THEN ?5 ELSE key_sha256 END,"
        " expires = CASE WHEN ?12 THEN ?7 ELSE expires END,"
        " disabled = CASE WHEN ?13 THEN ?8 ELSE disabled END,"
        " max_allocations = CASE WHEN ?14 THEN ?9 ELSE max_allocations END,"
        " max_bps = CASE WHEN ?15 THEN ?10 ELSE max_bps END WHERE realm = ?1 AND name = ?2",
        realm);
    int r = 0;

    if (!st)
        return -EIO;
    bind_record(st, realm, rec, hash);
    sqlite3_bind_int(st, 11, (what & ADMIN_USER_PASSWORD) != 0);
    sqlite3_bind_int(st, 12, (what & ADMIN_USER_EXPIRES) != 0);
    sqlite3_bind_int(st, 13, (what & ADMIN_USER_DISABLED) != 0);
    sqlite3_bind_int(st, 14, (what & ADMIN_USER_MAX_ALLOCATIONS) != 0);
    sqlite3_bind_int(st, 15, (what & ADMIN_USER_MAX_BPS) != 0);
    if (sqlite3_step(st) != SQLITE_DONE)
        r = admin_sqlite_fail(s);
    else if (sqlite3_changes(admin_sqlite_db(s)) == 0)
        r = admin_user_missing(s, realm, rec->user, rec->user_len);
    sqlite3_finalize(st);
    return r;
}

static int user_get(struct admin_store *s, const char *realm, const void *user, size_t len,
                    struct auth_record *out)
{
    sqlite3_stmt *st = admin_sqlite_prepare(
        s, "SELECT " SQLITE_DB_USER_COLUMNS " FROM users WHERE realm = ?1 AND name = ?2", realm);
    int r = 0;

    if (!st)
        return -EIO;
    sqlite3_bind_blob(st, 2, user, (int)len, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        r = admin_user_missing(s, realm, user, len);
    else if (rc != SQLITE_ROW)
        r = admin_sqlite_fail(s);
    else if (!sqlite_db_read_user(st, out))
        r = admin_user_damaged(s, realm, user, len);
    sqlite3_finalize(st);
    return r;
}

static int user_delete(struct admin_store *s, const char *realm, const void *user, size_t len)
{
    sqlite3_stmt *st =
        admin_sqlite_prepare(s, "DELETE FROM users WHERE realm = ?1 AND name = ?2", realm);
    int r = 0;

    if (!st)
        return -EIO;
    sqlite3_bind_blob(st, 2, user, (int)len, SQLITE_STATIC);
    if (sqlite3_step(st) != SQLITE_DONE)
        r = admin_sqlite_fail(s);
    else if (sqlite3_changes(admin_sqlite_db(s)) == 0)
        r = admin_user_missing(s, realm, user, len);
    sqlite3_finalize(st);
    return r;
}

static int user_list(struct admin_store *s, const char *realm, admin_each *each, void *arg)
{
    struct auth_record rec;
    int rc, r = 0;
    sqlite3_stmt *st = admin_sqlite_prepare(
        s, "SELECT " SQLITE_DB_USER_COLUMNS " FROM users WHERE realm = ?1 ORDER BY name", realm);

    if (!st)
        return -EIO;
    while (r == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW)
            r = admin_sqlite_fail(s);
        else if (!sqlite_db_read_user(st, &rec))
            r = admin_user_damaged(s, realm, sqlite3_column_blob(st, 0),
                                   (size_t)sqlite3_column_bytes(st, 0));
        else
            r = each(&rec, arg);
    }
    sqlite3_finalize(st);
    return r;
}

static void close_store(struct admin_store *s)
{
    sqlite3_close(admin_sqlite_db(s));
    free(s);
}

static const struct admin_ops sqlite_admin = {.close = close_store,
                                              .user_add = user_add,
                                              .user_get = user_get,
                                              .user_change = user_change,
                                              .user_delete = user_delete,
                                              .user_list = user_list,
                                              .token_key_add = admin_sqlite_token_key_add,
                                              .token_key_get = admin_sqlite_token_key_get,
                                              .token_key_delete = admin_sqlite_token_key_delete,
                                              .token_key_list = admin_sqlite_token_key_list,
                                              .secret_add = admin_sqlite_secret_add,
                                              .secret_delete = admin_sqlite_secret_delete,
                                              .secret_list = admin_sqlite_secret_list};

int admin_sqlite_open(struct admin_store **out, const struct store_uri *uri, const char **why)
{
    struct admin_sqlite *s = calloc(1, sizeof(*s));

    *why = "out of memory";
    if (!s)
        return -ENOMEM;
    s->admin.ops = &sqlite_admin;
    int r = sqlite_db_open(&s->db, uri->path, true, why);
    if (r < 0) {
        free(s);
        return r;
    }
    *out = &s->admin;
    return 0;
}
