// SPDX-License-Identifier: BSD-2-Clause
// Input: a user (even) or a token key (odd), then what stands in the columns of its row: a type,
// for a text or a blob its length and as many bytes, for a number eight bytes. SQLite stores any
// type in any column. A record that is taken is sound.
#include "fuzz.h"

#include <string.h>

#include "auth/sqlite_db.h"
#include "stun/cursor.h"

#define USER_COLUMNS 8
#define TOKEN_COLUMNS 5

static sqlite3_stmt *row_of(unsigned columns)
{
    static sqlite3 *db;
    static sqlite3_stmt *rows[2];
    sqlite3_stmt **row = &rows[columns == TOKEN_COLUMNS];

    if (!db)
        CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
    if (!*row)
        CHECK(sqlite3_prepare_v2(db,
                                 columns == TOKEN_COLUMNS ? "SELECT ?1, ?2, ?3, ?4, ?5"
                                                          : "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8",
                                 -1, row, NULL) == SQLITE_OK);
    sqlite3_reset(*row);
    return *row;
}

static void bind_value(sqlite3_stmt *row, int column, struct cursor *c)
{
    unsigned type = cursor_u8(c) % 5;
    uint64_t number;
    double real;
    size_t len = 0;

    if (type == 1 || type == 2) {
        len = cursor_u8(c) * 4u;
        len = len < cursor_left(c) ? len : cursor_left(c);
    }
    if (type == 1) {
        sqlite3_bind_blob(row, column, cursor_take(c, len), (int)len, SQLITE_TRANSIENT);
    } else if (type == 2) {
        sqlite3_bind_text(row, column, (const char *)cursor_take(c, len), (int)len,
                          SQLITE_TRANSIENT);
    } else if (type >= 3) {
        number = (uint64_t)cursor_u32(c) << 32;
        number |= cursor_u32(c);
        memcpy(&real, &number, sizeof(real));
        if (type == 3)
            sqlite3_bind_int64(row, column, (sqlite3_int64)number);
        else
            sqlite3_bind_double(row, column, real);
    } else {
        sqlite3_bind_null(row, column);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_reader(data, size);
    bool token = cursor_u8(&c) & 1;
    int columns = token ? TOKEN_COLUMNS : USER_COLUMNS;
    sqlite3_stmt *row = row_of((unsigned)columns);
    struct auth_record rec;

    for (int i = 1; i <= columns; i++)
        bind_value(row, i, &c);
    CHECK(sqlite3_step(row) == SQLITE_ROW);
    if (token && sqlite_db_read_token_key(row, &rec)) {
        CHECK(rec.is_token_key && rec.user_len > 0 && rec.user_len <= TOKEN_KID_MAX);
        CHECK(rec.key_count == 0 && rec.expires >= 0);
        CHECK(token_key_len(rec.token_key.algorithm) <= TOKEN_KEY_MAX);
    } else if (!token && sqlite_db_read_user(row, &rec)) {
        CHECK(!rec.is_token_key && rec.user_len > 0 && rec.user_len <= AUTH_USER_MAX);
        CHECK(rec.key_count == 1 && (rec.keys[0].has_md5 || rec.keys[0].has_sha256));
        CHECK(rec.expires >= 0 && rec.max_bps <= INT64_MAX);
    }
    return 0;
}
