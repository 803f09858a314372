// SPDX-License-Identifier: BSD-2-Clause
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "util/addr.h"
#include "util/codec.h"

#define LINE_CAP 2048
#define FILE_PREFIX "file:"

enum log_level log_threshold = LOG_LVL_INFO;

// Where lines go. Writers hold the lock for reading, so that a target is never closed under them.
static struct {
    pthread_rwlock_t lock;
    enum log_format format;
    int fd;       // -1: syslog
    bool journal; // the other end is journald, which stamps lines itself
    char *path;   // of a file target, else NULL
} target = {.lock = PTHREAD_RWLOCK_INITIALIZER, .fd = STDERR_FILENO};

static const char *const level_names[] = {"error", "warning", "notice", "info", "debug"};
static const int level_priorities[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG};

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

int log_level_parse(const char *name)
{
    for (int i = 0; i <= LOG_LVL_DEBUG; i++) {
        if (strcmp(name, level_names[i]) == 0)
            return i;
    }
    return -1;
}

// systemd.exec(5): JOURNAL_STREAM is inherited by children whose output goes elsewhere, so the
// device and inode it names have to be compared.
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(fd, &st) == 0 &&
           st.st_dev == dev && st.st_ino == ino;
}

static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    return fd < 0 ? -errno : fd;
}

// Caller holds the lock for writing.
static void close_target(void)
{
    if (target.path) {
        close(target.fd);
        free(target.path);
    } else if (target.fd < 0) {
        closelog();
    }
    target.path = NULL;
    target.fd = STDERR_FILENO;
    target.journal = false;
}

int log_setup(enum log_level level, enum log_format format, const char *name)
{
    int fd;
    char *path = NULL;

    if (strcmp(name, "stderr") == 0) {
        fd = STDERR_FILENO;
    } else if (strcmp(name, "stdout") == 0) {
        fd = STDOUT_FILENO;
    } else if (strcmp(name, "syslog") == 0) {
        fd = -1;
    } else if (strncmp(name, FILE_PREFIX, strlen(FILE_PREFIX)) == 0) {
        path = strdup(name + strlen(FILE_PREFIX));
        if (!path)
            return -ENOMEM;
        fd = open_file(path);
        if (fd < 0) {
            free(path);
            return fd;
        }
    } else {
        return -EINVAL;
    }

    pthread_rwlock_wrlock(&target.lock);
    close_target();
    target.format = format;
    target.fd = fd;
    target.path = path;
    target.journal = fd >= 0 && !path && is_journal(fd);
    if (fd < 0)
        openlog("turnpiked", LOG_PID, LOG_DAEMON);
    __atomic_store_n(&log_threshold, level, __ATOMIC_RELAXED);
    pthread_rwlock_unlock(&target.lock);
    return 0;
}

void log_close(void)
{
    pthread_rwlock_wrlock(&target.lock);
    close_target();
    target.journal = is_journal(target.fd);
    pthread_rwlock_unlock(&target.lock);
}

int log_reopen(void)
{
    int rc = 0;
    pthread_rwlock_wrlock(&target.lock);
    if (target.path) {
        int fd = open_file(target.path);
        if (fd < 0) {
            rc = fd;
        } else {
            close(target.fd);
            target.fd = fd;
        }
    }
    pthread_rwlock_unlock(&target.lock);
    return rc;
}

// A line under construction. The tail ("..." and what closes the line) always has room.
struct line {
    char buf[LINE_CAP];
    size_t len;
    bool full;
};
#define TAIL_ROOM 8

static void line_put(struct line *l, const char *text, size_t len)
{
    if (l->full || len > sizeof(l->buf) - TAIL_ROOM - l->len) {
        l->full = true;
        return;
    }
    memcpy(l->buf + l->len, text, len);
    l->len += len;
}

__attribute__((format(printf, 2, 3))) static void line_printf(struct line *l, const char *fmt, ...)
{
    char part[160];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(part, sizeof(part), fmt, ap);
    va_end(ap);
    if (n > 0)
        line_put(l, part, (size_t)n < sizeof(part) ? (size_t)n : sizeof(part) - 1);
}

// Length of the printable UTF-8 character at p, or 0 for a byte that has to be escaped: one that is
// not UTF-8, or a control character, of which U+0080 to U+009F make terminals act too.
static size_t printable(const char *p, size_t left)
{
    unsigned char c = (unsigned char)*p;
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (c < 0x20 || c == 0x7f || n > left || !utf8_valid(p, n))
        return 0;
    return c == 0xc2 && (unsigned char)p[1] < 0xa0 ? 0 : n;
}

static void line_put_escaped(struct line *l, const char *text, bool json)
{
    for (size_t left = strlen(text), n; left > 0; text += n, left -= n) {
        n = printable(text, left);
        if (n == 0) {
            n = 1;
            line_printf(l, json ? "\\\\x%02x" : "\\x%02x", (unsigned char)*text);
        } else if (json && (*text == '"' || *text == '\\')) {
            char pair[2] = {'\\', *text};
            line_put(l, pair, 2);
        } else {
            line_put(l, text, n);
        }
    }
}

static void line_put_time(struct line *l)
{
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    line_printf(l, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ts.tv_nsec / 1000000));
}

static void format_text(struct line *l, enum log_level level, const char *area,
                        const struct log_about *about, const char *msg, bool stamp)
{
    char addr[ADDR_STRLEN];
    if (stamp) {
        line_put_time(l);
        line_printf(l, " %-5s ", level_names[level]);
    }
    line_printf(l, "%s ", area);
    if (about && about->session)
        line_printf(l, "session=%016llx ", (unsigned long long)about->session);
    if (about && about->client)
        line_printf(l, "client=%s ", addr_format(about->client, addr));
    line_put_escaped(l, msg, false);
    if (l->full) {
        memcpy(l->buf + l->len, "...", 3);
        l->len += 3;
    }
}

static void format_json(struct line *l, enum log_level level, const char *area,
                        const struct log_about *about, const char *msg)
{
    char addr[ADDR_STRLEN];
    line_put(l, "{\"ts\":\"", 7);
    line_put_time(l);
    line_printf(l, "\",\"level\":\"%s\",\"area\":\"%s\"", level_names[level], area);
    if (about && about->session)
        line_printf(l, ",\"session\":\"%016llx\"", (unsigned long long)about->session);
    if (about && about->client)
        line_printf(l, ",\"client\":\"%s\"", addr_format(about->client, addr));
    line_put(l, ",\"msg\":\"", 8);
    line_put_escaped(l, msg, true);
    if (l->full) {
        memcpy(l->buf + l->len, "...", 3);
        l->len += 3;
    }
    memcpy(l->buf + l->len, "\"}", 2);
    l->len += 2;
}

void log_line(enum log_level level, const char *area, const struct log_about *about,
              const char *fmt, ...)
{
    char msg[LINE_CAP];
    struct line l = {.len = 0};
    int saved = errno;
    va_list ap;

    if (!log_on(level))
        return;
    va_start(ap, fmt);
    if (vsnprintf(msg, sizeof(msg), fmt, ap) < 0)
        snprintf(msg, sizeof(msg), "a message that could not be formatted");
    va_end(ap);

    pthread_rwlock_rdlock(&target.lock);
    if (target.journal)
        line_printf(&l, "<%d>", level_priorities[level]);
    if (target.format == LOG_FMT_JSON)
        format_json(&l, level, area, about, msg);
    else
        format_text(&l, level, area, about, msg, target.fd >= 0 && !target.journal);
    if (target.fd < 0) {
        syslog(level_priorities[level], "%.*s", (int)l.len, l.buf);
    } else {
        l.buf[l.len++] = '\n';
        // A log that cannot be written (disk full, pipe gone) must not stop the server.
        while (write(target.fd, l.buf, l.len) < 0 && errno == EINTR)
            ;
    }
    pthread_rwlock_unlock(&target.lock);
    errno = saved;
}

bool log_limit_pass(struct log_limit *l, uint32_t burst, int64_t now, uint32_t *suppressed)
{
    *suppressed = 0;
    if (now < l->window || now - l->window >= 10) {
        l->window = now;
        l->used = 0;
    }
    if (l->used >= burst) {
        if (l->swallowed < UINT32_MAX)
            l->swallowed++;
        return false;
    }
    l->used++;
    *suppressed = l->swallowed;
    l->swallowed = 0;
    return true;
}
