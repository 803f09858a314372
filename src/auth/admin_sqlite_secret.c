// SPDX-License-Identifier: BSD-2-Clause
// Shared secrets, and the keys of access tokens, in an SQLite file.
#include <errno.h>
#include <string.h>
#include <time.h>

#include "auth/admin_sqlite.h"
#include "auth/sqlite_db.h"

int admin_sqlite_secret_add(struct admin_store *s, const char *realm, const char *secret)
{
    // One statement: counting and inserting cannot come apart.
    sqlite3_stmt *st =
        admin_sqlite_prepare(s,
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
        r = admin_sqlite_fail(s);
    else if (sqlite3_changes(admin_sqlite_db(s)) == 0)
        r = admin_fail(s, -ENOSPC, "there are %d secrets already; retire one first", AUTH_KEYS_MAX);
    sqlite3_finalize(st);
    return r;
}

int admin_sqlite_secret_delete(struct admin_store *s, const char *realm, const char *secret)
{
    sqlite3_stmt *st =
        admin_sqlite_prepare(s, "DELETE FROM secrets WHERE realm = ?1 AND secret = ?2", realm);
    int r = 0;

    if (!st)
        return -EIO;
    sqlite3_bind_text(st, 2, secret, -1, SQLITE_STATIC);
    if (sqlite3_step(st) != SQLITE_DONE)
        r = admin_sqlite_fail(s);
    else if (sqlite3_changes(admin_sqlite_db(s)) == 0)
        r = -ENOENT;
    sqlite3_finalize(st);
    return r;
}

int admin_sqlite_secret_list(struct admin_store *s, const char *realm, struct admin_secret *out,
                             size_t cap)
{
    sqlite3_stmt *st = admin_sqlite_prepare(
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
    int r = rc == SQLITE_ROW || rc == SQLITE_DONE ? (int)n : admin_sqlite_fail(s);
    sqlite3_finalize(st);
    return r;
}

int admin_sqlite_token_key_add(struct admin_store *s, const char *realm,
                               const struct auth_record *rec)
{
    const struct token_key *k = &rec->token_key;
    sqlite3_stmt *st =
        admin_sqlite_prepare(s,
                             "INSERT INTO token_keys (realm, kid, algorithm, key, created, expires)"
                             " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                             realm);

    if (!st)
        return -EIO;
    sqlite3_bind_blob(st, 2, rec->user, (int)rec->user_len, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, token_algorithm_name(k->algorithm), -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 4, k->bytes, (int)token_key_len(k->algorithm), SQLITE_STATIC);
    sqlite3_bind_int64(st, 5, rec->created);
    sqlite3_bind_int64(st, 6, rec->expires);
    int rc = sqlite3_step(st);
    int r = rc == SQLITE_DONE ? 0
            : rc == SQLITE_CONSTRAINT
                ? admin_about_token_key(s, -EEXIST, realm, rec->user, rec->user_len)
                : admin_sqlite_fail(s);
    sqlite3_finalize(st);
    return r;
}

int admin_sqlite_token_key_get(struct admin_store *s, const char *realm, const void *kid,
                               size_t len, struct auth_record *out)
{
    sqlite3_stmt *st = admin_sqlite_prepare(
        s, "SELECT " SQLITE_DB_TOKEN_COLUMNS " FROM token_keys WHERE realm = ?1 AND kid = ?2",
        realm);
    int r = 0;

    if (!st)
        return -EIO;
    sqlite3_bind_blob(st, 2, kid, (int)len, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        r = admin_about_token_key(s, -ENOENT, realm, kid, len);
    else if (rc != SQLITE_ROW)
        r = admin_sqlite_fail(s);
    else if (!sqlite_db_read_token_key(st, out))
        r = admin_about_token_key(s, -EBADMSG, realm, kid, len);
    sqlite3_finalize(st);
    return r;
}

int admin_sqlite_token_key_delete(struct admin_store *s, const char *realm, const void *kid,
                                  size_t len)
{
    sqlite3_stmt *st =
        admin_sqlite_prepare(s, "DELETE FROM token_keys WHERE realm = ?1 AND kid = ?2", realm);
    int r = 0;

    if (!st)
        return -EIO;
    sqlite3_bind_blob(st, 2, kid, (int)len, SQLITE_STATIC);
    if (sqlite3_step(st) != SQLITE_DONE)
        r = admin_sqlite_fail(s);
    else if (sqlite3_changes(admin_sqlite_db(s)) == 0)
        r = admin_about_token_key(s, -ENOENT, realm, kid, len);
    sqlite3_finalize(st);
    return r;
}

int admin_sqlite_token_key_list(struct admin_store *s, const char *realm, admin_each *each,
                                void *arg)
{
    struct auth_record rec;
    int rc, r = 0;
    sqlite3_stmt *st = admin_sqlite_prepare(
        s, "SELECT " SQLITE_DB_TOKEN_COLUMNS " FROM token_keys WHERE realm = ?1 ORDER BY kid",
        realm);

    if (!st)
        return -EIO;
    while (r == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW)
            r = admin_sqlite_fail(s);
        else if (!sqlite_db_read_token_key(st, &rec))
            r = admin_about_token_key(s, -EBADMSG, realm, sqlite3_column_blob(st, 0),
                                      (size_t)sqlite3_column_bytes(st, 0));
        else
            r = each(&rec, arg);
    }
    sqlite3_finalize(st);
    return r;
}
