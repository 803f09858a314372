// SPDX-License-Identifier: BSD-2-Clause
#include "auth/admin_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/sqlite_db.h"

struct admin_sqlite {
    struct admin_store admin;
    sqlite3 *db;
};

static sqlite3 *db_of(struct admin_store *s)
{
    return ((struct admin_sqlite *)s)->db;
}

static int db_fail(struct admin_store *s)
{
    sqlite3 *db = db_of(s);

    return admin_fail(s, -EIO, "%s: %s", sqlite3_db_filename(db, "main"), sqlite3_errmsg(db));
}

// Prepares a statement with ?1 = realm. NULL: failed, the error is set.
static sqlite3_stmt *prepare(struct admin_store *s, const char *sql, const char *realm)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v2(db_of(s), sql, -1, &st, NULL) != SQLITE_OK ||
        sqlite3_bind_text(st, 1, realm, -1, SQLITE_STATIC) != SQLITE_OK) {
        db_fail(s);
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
    sqlite3_stmt *st = prepare(
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
                                      : db_fail(s);
    sqlite3_finalize(st);
    return r;
}

static int user_put(struct admin_store *s, const char *realm, const struct auth_record *rec)
{
    uint8_t hash[STUN_USERHASH_LEN];
    sqlite3_stmt *st = prepare(
        s,
        "UPDATE users SET userhash = ?3, key_md5 = ?4, key_sha256 = ?5, created = ?6, expires = ?7,"
        " disabled = ?8, max_allocations = ?9, max_bps = ?10 WHERE realm = ?1 AND name = ?2",
        realm);
    int r = 0;

    if (!st)
        return -EIO;
    bind_record(st, realm, rec, hash);
    if (sqlite3_step(st) != SQLITE_DONE)
        r = db_fail(s);
    else if (sqlite3_changes(db_of(s)) == 0)
        r = admin_user_missing(s, realm, rec->user, rec->user_len);
    sqlite3_finalize(st);
    return r;
}

static int user_get(struct admin_store *s, const char *realm, const void *user, size_t len,
                    struct auth_record *out)
{
    sqlite3_stmt *st = prepare(
        s, "SELECT " SQLITE_DB_USER_COLUMNS " FROM users WHERE realm = ?1 AND name = ?2", realm);
    int r = 0;

    if (!st)
        return -EIO;
    sqlite3_bind_blob(st, 2, user, (int)len, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        r = admin_user_missing(s, realm, user, len);
    else if (rc != SQLITE_ROW)
        r = db_fail(s);
    else if (!sqlite_db_read_user(st, out))
        r = admin_user_damaged(s, realm, user, len);
    sqlite3_finalize(st);
    return r;
}

static int user_delete(struct admin_store *s, const char *realm, const void *user, size_t len)
{
    sqlite3_stmt *st = prepare(s, "DELETE FROM users WHERE realm = ?1 AND name = ?2", realm);
    int r = 0;

    if (!st)
        return -EIO;
    sqlite3_bind_blob(st, 2, user, (int)len, SQLITE_STATIC);
    if (sqlite3_step(st) != SQLITE_DONE)
        r = db_fail(s);
    else if (sqlite3_changes(db_of(s)) == 0)
        r = admin_user_missing(s, realm, user, len);
    sqlite3_finalize(st);
    return r;
}

static int user_list(struct admin_store *s, const char *realm, admin_each *each, void *arg)
{
    struct auth_record rec;
    int rc, r = 0;
    sqlite3_stmt *st = prepare(
        s, "SELECT " SQLITE_DB_USER_COLUMNS " FROM users WHERE realm = ?1 ORDER BY name", realm);

    if (!st)
        return -EIO;
    while (r == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW)
            r = db_fail(s);
        else if (!sqlite_db_read_user(st, &rec))
            r = admin_user_damaged(s, realm, sqlite3_column_blob(st, 0),
                                   (size_t)sqlite3_column_bytes(st, 0));
        else
            r = each(&rec, arg);
    }
    sqlite3_finalize(st);
    return r;
}

static int secret_add(struct admin_store *s, const char *realm, const char *secret)
{
    // One statement: counting and inserting cannot come apart.
    sqlite3_stmt *st =
        prepare(s,
                "INSERT INTO secrets (realm, secret, created) SELECT ?1, ?2, ?3"
                " WHERE (SELECT count(*) FROM secrets WHERE realm = ?1) < ?4"
                " OR EXISTS (SELECT 1 FROM secrets WHERE realm = ?1 AND secret = ?2)",
                realm);
    int r = 0;

    if (!st)
        return -EIO;
    sqlite3_bind_text(st, 2, secret, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 3, time(NULL));
    sqlite3_bind_int(st, 4, AUTH_KEYS_MAX);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_CONSTRAINT)
        r = admin_fail(s, -EEXIST, "this secret is there already");
    else if (rc != SQLITE_DONE)
        r = db_fail(s);
    else if (sqlite3_changes(db_of(s)) == 0)
        r = admin_fail(s, -ENOSPC, "there are %d secrets already; retire one first", AUTH_KEYS_MAX);
    sqlite3_finalize(st);
    return r;
}

static int secret_delete(struct admin_store *s, const char *realm, const char *secret)
{
    sqlite3_stmt *st = prepare(s, "DELETE FROM secrets WHERE realm = ?1 AND secret = ?2", realm);
    int r = 0;

    if (!st)
        return -EIO;
    sqlite3_bind_text(st, 2, secret, -1, SQLITE_STATIC);
    if (sqlite3_step(st) != SQLITE_DONE)
        r = db_fail(s);
    else if (sqlite3_changes(db_of(s)) == 0)
        r = -ENOENT;
    sqlite3_finalize(st);
    return r;
}

static int secret_list(struct admin_store *s, const char *realm, struct admin_secret *out,
                       size_t cap)
{
    sqlite3_stmt *st = prepare(
        s, "SELECT secret, created FROM secrets WHERE realm = ?1 ORDER BY created DESC, secret",
        realm);
    size_t n = 0;
    int rc;

    if (!st)
        return -EIO;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW && n < cap) {
        const void *text = sqlite3_column_text(st, 0);
        size_t len = (size_t)sqlite3_column_bytes(st, 0);
        if (!text || len == 0 || len >= sizeof(out->secret))
            continue;
        memcpy(out[n].secret, text, len + 1);
        out[n].created = sqlite3_column_int64(st, 1);
        n++;
    }
    int r = rc == SQLITE_ROW || rc == SQLITE_DONE ? (int)n : db_fail(s);
    sqlite3_finalize(st);
    return r;
}

static void close_store(struct admin_store *s)
{
    sqlite3_close(db_of(s));
    free(s);
}

static const struct admin_ops sqlite_admin = {.close = close_store,
                                              .user_add = user_add,
                                              .user_get = user_get,
                                              .user_put = user_put,
                                              .user_delete = user_delete,
                                              .user_list = user_list,
                                              .secret_add = secret_add,
                                              .secret_delete = secret_delete,
                                              .secret_list = secret_list};

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
