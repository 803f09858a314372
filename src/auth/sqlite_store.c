// SPDX-License-Identifier: BSD-2-Clause
// Users in an SQLite file. There is no cache: what the CLI writes is seen by the next look-up.
#include "auth/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/sqlite_db.h"
#include "util/log.h"

struct sqlite_store {
    struct backend backend;
    sqlite3 *db;
    sqlite3_stmt *by_name, *by_hash, *secrets, *token_key;
    struct log_limit limit;
    bool moved; // told
};

static const char by_name_sql[] =
    "SELECT " SQLITE_DB_USER_COLUMNS " FROM users WHERE realm = ?1 AND name = ?2";
static const char by_hash_sql[] =
    "SELECT " SQLITE_DB_USER_COLUMNS " FROM users WHERE userhash = ?2 AND realm = ?1";
static const char token_key_sql[] =
    "SELECT " SQLITE_DB_TOKEN_COLUMNS " FROM token_keys WHERE realm = ?1 AND kid = ?2";
static const char secrets_sql[] =
    "SELECT secret FROM secrets WHERE realm = ?1 ORDER BY created DESC LIMIT ?2";

static void complain(struct sqlite_store *s, const char *what)
{
    uint32_t swallowed;

    if (log_limit_pass(&s->limit, 5, time(NULL), &swallowed))
        log_error("store", "%s: %s (%u more like this)", sqlite3_db_filename(s->db, "main"), what,
                  swallowed);
}

// What is open is read to its end, as if nothing had happened to its name: an administrator who has
// put another file there wonders why nobody gets in, or still does.
static void notice_move(struct sqlite_store *s)
{
    int moved = 0;

    if (s->moved || sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) || !moved)
        return;
    s->moved = true;
    log_warning("store", "%s was replaced or removed: the old file is read until a reload (SIGHUP)",
                sqlite3_db_filename(s->db, "main"));
}

static struct store_lookup *lookup(struct store *store, const struct store_query *q,
                                   store_done *done, void *arg)
{
    struct sqlite_store *s = (struct sqlite_store *)store;
    sqlite3_stmt *st = q->token_key ? s->token_key : q->userhash ? s->by_hash : s->by_name;
    enum store_status status = STORE_UNAVAILABLE;
    struct auth_record rec;

    notice_move(s);
    // An empty name binds as NULL, which equals nothing.
    int rc = sqlite3_bind_text(st, 1, q->realm, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob(st, 2, q->id, (int)q->id_len, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        status = STORE_NOT_FOUND;
    else if (rc != SQLITE_ROW)
        complain(s, sqlite3_errmsg(s->db));
    else if (q->token_key ? sqlite_db_read_token_key(st, &rec) : sqlite_db_read_user(st, &rec))
        status = STORE_FOUND;
    else
        complain(s, q->token_key ? "the record of a token key is not sound"
                                 : "the record of a user is not sound");
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    done(status, status == STORE_FOUND ? &rec : NULL, arg);
    return NULL;
}

static struct store_lookup *secrets(struct backend *b, const char *realm, secrets_done *done,
                                    void *arg)
{
    struct sqlite_store *s = (struct sqlite_store *)b;
    struct secret_list list;

    list.count = 0;
    list.more = false;
    int rc = sqlite3_bind_text(s->secrets, 1, realm, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int(s->secrets, 2, AUTH_KEYS_MAX + 1);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s->secrets);
    for (; rc == SQLITE_ROW; rc = sqlite3_step(s->secrets)) {
        const void *text = sqlite3_column_text(s->secrets, 0);
        int len = sqlite3_column_bytes(s->secrets, 0);
        if (!text || len <= 0 || len > SECRET_MAX)
            continue;
        if (list.count == AUTH_KEYS_MAX) {
            list.more = true;
            break;
        }
        list.item[list.count].len = (size_t)len;
        memcpy(list.item[list.count].text, text, (size_t)len + 1);
        list.count++;
    }
    if (list.more)
        rc = SQLITE_DONE;
    if (rc != SQLITE_DONE)
        complain(s, sqlite3_errmsg(s->db));
    sqlite3_reset(s->secrets);
    sqlite3_clear_bindings(s->secrets);
    done(rc != SQLITE_DONE ? STORE_UNAVAILABLE
         : list.count > 0  ? STORE_FOUND
                           : STORE_NOT_FOUND,
         &list, arg);
    return NULL;
}

static void cancel(struct store *store, struct store_lookup *l)
{
    // Every answer comes before lookup returns: there is never anything to cancel.
}

static void close_store(struct store *store)
{
    struct sqlite_store *s = (struct sqlite_store *)store;

    sqlite3_finalize(s->by_name);
    sqlite3_finalize(s->by_hash);
    sqlite3_finalize(s->secrets);
    sqlite3_finalize(s->token_key);
    sqlite3_close(s->db);
    free(s);
}

static const struct store_ops sqlite_ops = {
    .close = close_store, .lookup = lookup, .cancel = cancel};

int sqlite_store_open(struct backend **out, const struct store_uri *uri, const char **why)
{
    struct sqlite_store *s = calloc(1, sizeof(*s));

    *why = "out of memory";
    if (!s)
        return -ENOMEM;
    s->backend.store.ops = &sqlite_ops;
    s->backend.secrets = secrets;
    int r = sqlite_db_open(&s->db, uri->path, false, why);
    if (r < 0) {
        free(s);
        return r;
    }
    if (sqlite3_prepare_v3(s->db, by_name_sql, -1, SQLITE_PREPARE_PERSISTENT, &s->by_name, NULL) ||
        sqlite3_prepare_v3(s->db, by_hash_sql, -1, SQLITE_PREPARE_PERSISTENT, &s->by_hash, NULL) ||
        sqlite3_prepare_v3(s->db, token_key_sql, -1, SQLITE_PREPARE_PERSISTENT, &s->token_key,
                           NULL) ||
        sqlite3_prepare_v3(s->db, secrets_sql, -1, SQLITE_PREPARE_PERSISTENT, &s->secrets, NULL)) {
        *why = store_why("%s: %s", uri->path, sqlite3_errmsg(s->db));
        close_store(&s->backend.store);
        return -EIO;
    }
    *out = &s->backend;
    return 0;
}
