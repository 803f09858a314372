// SPDX-License-Identifier: BSD-2-Clause
// A Redis of our own, on a free port of 127.0.0.1, that keeps nothing.
#ifndef TP_TESTS_REDIS_SERVER_H
#define TP_TESTS_REDIS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <hiredis/hiredis.h>

struct redis_server {
    pid_t pid;
    uint16_t port;
    char dir[64];
    char uri[64];
    redisContext *c; // for the test's own commands
};

bool redis_server_installed(void);

// Starts it on a free port, or again on the one that it had; returns when it answers. Aborts when
// that fails. extra: further arguments, ended by NULL, or NULL.
void redis_server_start(struct redis_server *s, const char *const *extra);
void redis_server_kill(struct redis_server *s);   // SIGKILL
void redis_server_remove(struct redis_server *s); // and its folder

// Runs a command; aborts on an error. The reply is the caller's.
redisReply *redis_server_run(struct redis_server *s, const char *fmt, ...);
void redis_server_do(struct redis_server *s, const char *fmt, ...); // and drops the reply

// How often a command was called, by INFO commandstats.
long redis_server_calls(struct redis_server *s, const char *command);

#endif
