// SPDX-License-Identifier: BSD-2-Clause
// One line an event: level, area, session id and client address where there are any, and the text.
// Safe from every thread: a line is one write(2).
#ifndef TP_UTIL_LOG_H
#define TP_UTIL_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARNING, LOG_LVL_NOTICE, LOG_LVL_INFO, LOG_LVL_DEBUG };
enum log_format { LOG_FMT_TEXT, LOG_FMT_JSON };

struct addr;

// What a line is about; either field may be 0.
struct log_about {
    uint64_t session;          // allocation's session id, printed as 16 hex digits
    const struct addr *client; // borrowed until the call returns
};

extern enum log_level log_threshold; // read through log_on()

// Sets level, format and target ("stderr", "stdout", "syslog" or "file:<path>", opened for append).
// 0, or a negative errno of the failed open; the old target stays then.
int log_setup(enum log_level level, enum log_format format, const char *target);

// Closes what log_setup opened and goes back to stderr.
void log_close(void);

// Reopens a file target (after log rotation). 0 or a negative errno.
int log_reopen(void);

static inline bool log_on(enum log_level level)
{
    // Relaxed: the level may be changed while other threads log.
    return level <= __atomic_load_n(&log_threshold, __ATOMIC_RELAXED);
}

// Writes one line. area is a short static word ("turn", "store", "conf"). about may be NULL.
// Control characters and newlines in the formatted text are escaped; a line is cut at 2 KiB.
void log_line(enum log_level level, const char *area, const struct log_about *about,
              const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#define log_error(area, ...) log_line(LOG_LVL_ERROR, area, NULL, __VA_ARGS__)
#define log_warning(area, ...) log_line(LOG_LVL_WARNING, area, NULL, __VA_ARGS__)
#define log_notice(area, ...) log_line(LOG_LVL_NOTICE, area, NULL, __VA_ARGS__)
#define log_info(area, ...) log_line(LOG_LVL_INFO, area, NULL, __VA_ARGS__)
#define log_debug(area, ...)                                                                       \
    do {                                                                                           \
        if (log_on(LOG_LVL_DEBUG))                                                                 \
            log_line(LOG_LVL_DEBUG, area, NULL, __VA_ARGS__);                                      \
    } while (0)

// A limiter for one kind of repeated line: at most `burst` lines in each 10 s. Returns true if the
// line may be written; *suppressed gets the number of lines swallowed before it. now is in seconds.
// Not shared between threads.
struct log_limit {
    int64_t window;
    uint32_t used;
    uint32_t swallowed;
};
bool log_limit_pass(struct log_limit *l, uint32_t burst, int64_t now, uint32_t *suppressed);

// "error", "warning", ...; and back, or -1.
const char *log_level_name(enum log_level level);
int log_level_parse(const char *name);

#endif
