// SPDX-License-Identifier: BSD-2-Clause
#include "redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "redis_server: %s\n", what);
    abort();
}

bool redis_server_installed(void)
{
    return system("command -v redis-server >/dev/null 2>&1") == 0;
}

// Below the range that the kernel gives out by itself, so that it stays free while the server is
// down.
static uint16_t free_port(void)
{
    for (int tries = 0; tries < 1000; tries++) {
        uint16_t port = 0;
        if (getentropy(&port, sizeof(port)) < 0)
            die("getentropy");
        port = 10000 + port % 22000;
        struct sockaddr_in sin = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            die("socket");
        bool taken = bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0;
        close(fd);
        if (!taken)
            return port;
    }
    die("no free port");
}

static void exec_server(const struct redis_server *s, const char *const *extra)
{
    char port[8];
    const char *argv[24] = {"redis-server", "--port", port,   "--bind",
                            "127.0.0.1",    "--save", "",     "--appendonly",
                            "no",           "--dir",  s->dir, "--enable-debug-command",
                            "local"};
    size_t n = 13;
    int null = open("/dev/null", O_RDWR);

    snprintf(port, sizeof(port), "%u", s->port);
    while (extra && *extra && n < 23)
        argv[n++] = *extra++;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool answers(struct redis_server *s)
{
    struct timeval limit = {.tv_sec = 5};

    s->c = redisConnect("127.0.0.1", s->port);
    if (s->c && !s->c->err && redisSetTimeout(s->c, limit) == REDIS_OK) {
        redisReply *r = redisCommand(s->c, "PING");
        if (r) {
            freeReplyObject(r);
            return true;
        }
    }
    redisFree(s->c);
    s->c = NULL;
    return false;
}

static bool start_once(struct redis_server *s, const char *const *extra)
{
    s->pid = fork();
    if (s->pid < 0)
        die("fork");
    if (s->pid == 0)
        exec_server(s, extra);
    for (int i = 0; i < 500; i++) {
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            return false;
        }
        if (answers(s))
            return true;
        usleep(20000);
    }
    return false;
}

void redis_server_start(struct redis_server *s, const char *const *extra)
{
    bool again = s->port != 0;

    if (!again) {
        snprintf(s->dir, sizeof(s->dir), "/tmp/tp-redis-XXXXXX");
        if (!mkdtemp(s->dir))
            die("mkdtemp");
    }
    for (int tries = 0; tries < 5; tries++) {
        if (!again)
            s->port = free_port();
        snprintf(s->uri, sizeof(s->uri), "redis://127.0.0.1:%u", s->port);
        if (start_once(s, extra))
            return;
        if (again)
            usleep(100000);
    }
    die("redis-server does not start");
}

void redis_server_kill(struct redis_server *s)
{
    redisFree(s->c);
    s->c = NULL;
    if (s->pid > 0) {
        kill(s->pid, SIGCONT);
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    s->pid = 0;
}

void redis_server_remove(struct redis_server *s)
{
    redis_server_kill(s);
    rmdir(s->dir);
}

static redisReply *run(struct redis_server *s, const char *fmt, va_list ap)
{
    redisReply *r = redisvCommand(s->c, fmt, ap);

    if (!r)
        die(s->c->errstr);
    if (r->type == REDIS_REPLY_ERROR)
        die(r->str);
    return r;
}

redisReply *redis_server_run(struct redis_server *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    redisReply *r = run(s, fmt, ap);
    va_end(ap);
    return r;
}

void redis_server_do(struct redis_server *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    freeReplyObject(run(s, fmt, ap));
    va_end(ap);
}

long redis_server_calls(struct redis_server *s, const char *command)
{
    char wanted[64];
    redisReply *r = redis_server_run(s, "INFO commandstats");
    long calls = 0;

    snprintf(wanted, sizeof(wanted), "cmdstat_%s:calls=", command);
    const char *at = strstr(r->str, wanted);
    if (at)
        calls = strtol(at + strlen(wanted), NULL, 10);
    freeReplyObject(r);
    return calls;
}
