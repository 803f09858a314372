// SPDX-License-Identifier: BSD-2-Clause
// The SQLite file that users and secrets live in: its schema, and how it is opened.
#ifndef TP_AUTH_SQLITE_DB_H
#define TP_AUTH_SQLITE_DB_H

#include <stdbool.h>

#include <sqlite3.h>

#include "auth/store.h"

// Opens the file, creating it (mode 0640) with its schema if it is not there. writable: for the
// CLI; a server reads only. 0 or a negative errno with *why, which names the path.
int sqlite_db_open(sqlite3 **out, const char *path, bool writable, const char **why);

#define SQLITE_DB_USER_COLUMNS                                                                     \
    "name, key_md5, key_sha256, created, expires, disabled, max_allocations, max_bps"

#define SQLITE_DB_TOKEN_COLUMNS "kid, algorithm, key, created, expires"

// Reads a row of SQLITE_DB_TOKEN_COLUMNS. False when it is no sound record.
bool sqlite_db_read_token_key(sqlite3_stmt *row, struct auth_record *rec);

// Reads a row of SQLITE_DB_USER_COLUMNS. False when it is no sound record.
bool sqlite_db_read_user(sqlite3_stmt *row, struct auth_record *rec);

#endif
