// SPDX-License-Identifier: BSD-2-Clause
#include "auth/sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/uri.h"

#define SCHEMA_VERSION 2 // 1 had no token_keys
#define FOLDER_MAX sizeof(((struct store_uri *)0)->path)
#define READ_BUSY_MS 100 // a server's worker waits no longer: everything it serves waits with it
#define WRITE_BUSY_MS 5000

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS users ("
    " realm TEXT NOT NULL, name BLOB NOT NULL, userhash BLOB NOT NULL,"
    " key_md5 BLOB, key_sha256 BLOB, created INTEGER NOT NULL, expires INTEGER NOT NULL DEFAULT 0,"
    " disabled INTEGER NOT NULL DEFAULT 0, max_allocations INTEGER NOT NULL DEFAULT 0,"
    " max_bps INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (realm, name)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS users_userhash ON users (userhash);"
    "CREATE TABLE IF NOT EXISTS secrets ("
    " realm TEXT NOT NULL, secret TEXT NOT NULL, created INTEGER NOT NULL,"
    " PRIMARY KEY (realm, secret)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS token_keys ("
    " realm TEXT NOT NULL, kid BLOB NOT NULL, algorithm TEXT NOT NULL, key BLOB NOT NULL,"
    " created INTEGER NOT NULL, expires INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY (realm, kid)) WITHOUT ROWID;"
    "PRAGMA user_version = 2;";

// path has a slash: uri.c sees to that.
static void folder_of(char folder[FOLDER_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');

    snprintf(folder, FOLDER_MAX, "%.*s", slash ? (int)(slash - path) + 1 : 0, path);
}

// What root creates belongs to the owner of the folder, who is the one that the server runs as: the
// CLI may be run by root before the server has started. SQLite does the same for the -wal and -shm
// files.
static void give_away(int fd, const char *path)
{
    char folder[FOLDER_MAX];
    struct stat st;

    if (geteuid() != 0)
        return;
    folder_of(folder, path);
    if (stat(folder, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0)
        return; // who cannot read it is told when he opens it
}

// Creates an empty file. 1: created, 0: it is there already.
static int create_file(const char *path, const char **why)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

    if (fd >= 0) {
        give_away(fd, path);
        close(fd);
        return 1;
    }
    if (errno == EEXIST)
        return 0;
    int r = -errno;
    const char *slash = strrchr(path, '/');
    if (r == -ENOENT && slash)
        *why = store_why("%s: cannot be created, since the folder %.*s does not exist", path,
                         slash == path ? 1 : (int)(slash - path), path);
    else
        *why = store_why("%s: cannot be created: %s", path, strerror(-r));
    return r;
}

static int read_number(sqlite3 *db, const char *sql, int *out)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *out = sqlite3_column_int(st, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc;
}

// The schema's version; 0 for a foreign database, -1 for one that holds nothing yet. The tables are
// counted first: they and the version come in one transaction, so that who sees tables sees their
// version, too.
static int read_version(sqlite3 *db, int *version)
{
    int tables = 0;
    int rc = read_number(db, "SELECT count(*) FROM sqlite_master", &tables);

    if (rc == SQLITE_OK)
        rc = read_number(db, "PRAGMA user_version", version);
    if (rc == SQLITE_OK && *version == 0 && tables == 0)
        *version = -1;
    return rc;
}

// Whether a file's schema is still to be made, or to be completed.
static bool is_behind(int version)
{
    return version == -1 || version == 1;
}

// Several processes and workers may come here at once: the first that gets the lock creates, the
// others find it done.
static int create_schema(sqlite3 *db)
{
    int version = 0;
    // The switch to WAL fails at once, whatever the busy timeout says, when another process is
    // making it.
    for (int tries = 0; tries < 50; tries++) {
        int rc = sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            break;
        if (rc != SQLITE_BUSY)
            return rc;
        usleep(20000);
    }
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = read_version(db, &version);
    if (rc == SQLITE_OK && is_behind(version))
        rc = sqlite3_exec(db, schema, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    else
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

// What SQLite's texts leave out: who only reads writes, too, to the -shm file next to the database.
static const char *access_hint(const char *path)
{
    char folder[FOLDER_MAX];

    if (access(path, R_OK | W_OK) < 0)
        return "; the user that this runs as may not read and write the file";
    folder_of(folder, path);
    if (access(folder, W_OK | X_OK) < 0)
        return "; the user that this runs as may not write in its folder";
    return "";
}

static int open_handle(sqlite3 **db, const char *path, bool writable, const char **why)
{
    int flags = writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    int rc = sqlite3_open_v2(path, db, flags | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc != SQLITE_OK) {
        *why = store_why("%s: %s%s", path, *db ? sqlite3_errmsg(*db) : sqlite3_errstr(rc),
                         access_hint(path));
        sqlite3_close(*db);
        *db = NULL;
        return rc == SQLITE_NOMEM ? -ENOMEM : -EIO;
    }
    sqlite3_extended_result_codes(*db, 0);
    sqlite3_busy_timeout(*db, WRITE_BUSY_MS);
    return 0;
}

static int fail(sqlite3 *db, const char *path, const char **why)
{
    *why = store_why("%s: %s%s", path, sqlite3_errmsg(db), access_hint(path));
    sqlite3_close(db);
    return -EIO;
}

// Makes the schema in a file that is empty, that somebody else is only just making it in, or that
// an older version has made.
static int fill(const char *path, const char **why)
{
    sqlite3 *db = NULL;
    int r = open_handle(&db, path, true, why);

    if (r < 0)
        return r;
    if (create_schema(db) != SQLITE_OK)
        return fail(db, path, why);
    sqlite3_close(db);
    return 0;
}

int sqlite_db_open(sqlite3 **out, const char *path, bool writable, const char **why)
{
    sqlite3 *db = NULL;
    int version = 0;
    int r = create_file(path, why);

    if (r == 1)
        r = fill(path, why);
    if (r == 0)
        r = open_handle(&db, path, writable, why);
    if (r < 0)
        return r;
    if (read_version(db, &version) != SQLITE_OK)
        return fail(db, path, why);
    if (is_behind(version)) {
        r = fill(path, why);
        if (r == 0 && read_version(db, &version) != SQLITE_OK)
            return fail(db, path, why);
    }
    if (r == 0 && version != SCHEMA_VERSION) {
        *why =
            version <= 0
                ? store_why("%s: not a user database of turnpike, or one made from a dump, which "
                            "leaves out its PRAGMA user_version",
                            path)
                : store_why("%s: schema %d, this build knows %d", path, version, SCHEMA_VERSION);
        r = -EINVAL;
    }
    if (r < 0) {
        sqlite3_close(db);
        return r;
    }
    if (!writable)
        sqlite3_busy_timeout(db, READ_BUSY_MS);
    *out = db;
    return 0;
}

// A key column: NULL, or a blob of exactly len bytes.
static bool read_key(sqlite3_stmt *row, int column, uint8_t *out, int len, bool *has)
{
    *has = false;
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return true;
    if (sqlite3_column_type(row, column) != SQLITE_BLOB)
        return false;
    const void *p = sqlite3_column_blob(row, column);
    if (!p || sqlite3_column_bytes(row, column) != len)
        return false;
    memcpy(out, p, (size_t)len);
    *has = true;
    return true;
}

// A kid or a user name: a blob of 1 to max bytes.
static bool read_name(sqlite3_stmt *row, struct auth_record *rec, int max)
{
    memset(rec, 0, sizeof(*rec));
    const void *name = sqlite3_column_blob(row, 0);
    int len = sqlite3_column_bytes(row, 0);
    if (!name || len <= 0 || len > max)
        return false;
    memcpy(rec->user, name, (size_t)len);
    rec->user_len = (size_t)len;
    return true;
}

bool sqlite_db_read_token_key(sqlite3_stmt *row, struct auth_record *rec)
{
    struct token_key *k = &rec->token_key;
    bool has;

    if (!read_name(row, rec, TOKEN_KID_MAX) || sqlite3_column_type(row, 1) != SQLITE_TEXT ||
        token_algorithm_parse(&k->algorithm, (const char *)sqlite3_column_text(row, 1)) < 0 ||
        !read_key(row, 2, k->bytes, (int)token_key_len(k->algorithm), &has) || !has ||
        sqlite3_column_type(row, 3) != SQLITE_INTEGER ||
        sqlite3_column_type(row, 4) != SQLITE_INTEGER)
        return false;
    rec->is_token_key = true;
    rec->created = sqlite3_column_int64(row, 3);
    rec->expires = sqlite3_column_int64(row, 4);
    return rec->expires >= 0;
}

bool sqlite_db_read_user(sqlite3_stmt *row, struct auth_record *rec)
{
    struct auth_key *k = &rec->keys[0];

    if (!read_name(row, rec, AUTH_USER_MAX))
        return false;
    if (!read_key(row, 1, k->md5, sizeof(k->md5), &k->has_md5) ||
        !read_key(row, 2, k->sha256, sizeof(k->sha256), &k->has_sha256) ||
        !(k->has_md5 || k->has_sha256))
        return false;
    // SQLite stores any type in any column, and reads a text as 0: not disabled, without an expiry.
    for (int column = 3; column <= 7; column++)
        if (sqlite3_column_type(row, column) != SQLITE_INTEGER)
            return false;
    rec->key_count = 1;
    rec->created = sqlite3_column_int64(row, 3);
    rec->expires = sqlite3_column_int64(row, 4);
    sqlite3_int64 disabled = sqlite3_column_int64(row, 5);
    sqlite3_int64 allocations = sqlite3_column_int64(row, 6);
    sqlite3_int64 bps = sqlite3_column_int64(row, 7);
    if (rec->expires < 0 || disabled < 0 || disabled > 1 || allocations < 0 ||
        allocations > UINT32_MAX || bps < 0)
        return false;
    rec->disabled = disabled != 0;
    rec->max_allocations = (uint32_t)allocations;
    rec->max_bps = (uint64_t)bps;
    return true;
}
