// SPDX-License-Identifier: BSD-2-Clause
// Times, durations and numbers as people write them.
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"

#define DURATION_MAX (UINT64_C(100) * 366 * 86400)

// Digits at the start of the text; *end is what follows them.
static int leading_number(uint64_t *out, const char *text, const char **end)
{
    uint64_t n = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > (UINT64_MAX - 9) / 10)
            return -EINVAL;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    *out = n;
    *end = p;
    return p > text ? 0 : -EINVAL;
}

// The number times the factor of its suffix, one character of suffixes.
static int scaled(uint64_t *out, const char *text, const char *suffixes, const uint64_t *factors,
                  uint64_t max)
{
    const char *end, *suffix;
    uint64_t n, factor = 1;

    if (leading_number(&n, text, &end) < 0)
        return -EINVAL;
    if (*end) {
        suffix = strchr(suffixes, *end);
        if (!suffix || end[1])
            return -EINVAL;
        factor = factors[suffix - suffixes];
    }
    if (n > max / factor)
        return -EINVAL;
    *out = n * factor;
    return 0;
}

int ctl_parse_duration(uint64_t *out, const char *text)
{
    static const uint64_t factors[] = {1, 60, 3600, 86400, 7 * 86400};
    return scaled(out, text, "smhdw", factors, DURATION_MAX);
}

int ctl_parse_number(uint64_t *out, const char *text, uint64_t max)
{
    static const uint64_t factors[] = {1000, 1000000, 1000000000};
    return scaled(out, text, "kMG", factors, max);
}

static bool parse_iso(int64_t *out, const char *text)
{
    struct tm tm = {0}, copy;
    int end = 0;
    size_t len = strlen(text);

    if (text[strspn(text, "0123456789-T:Z")]) // sscanf takes blanks and signs
        return false;
    // Each form has to match to the end of the text; seconds and the Z may be left out.
    if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &end) != 3)
        return false;
    if ((size_t)end < len) {
        int more = 0;
        if (sscanf(text + end, "T%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &more) != 2)
            return false;
        end += more;
        more = 0;
        if (text[end] == ':' && sscanf(text + end, ":%2d%n", &tm.tm_sec, &more) != 1)
            return false;
        end += more;
        end += text[end] == 'Z';
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    copy = tm;
    *out = timegm(&copy);
    // timegm carries February 30 over to March.
    return (size_t)end == len && copy.tm_mday == tm.tm_mday && copy.tm_mon == tm.tm_mon &&
           copy.tm_hour == tm.tm_hour && copy.tm_min == tm.tm_min && copy.tm_sec == tm.tm_sec;
}

int ctl_parse_expires(int64_t *out, const char *text, int64_t now)
{
    uint64_t seconds;
    if (strcmp(text, "never") == 0) {
        *out = 0;
        return 0;
    }
    if (parse_iso(out, text))
        return *out > now ? 0 : -EINVAL;
    if (ctl_parse_duration(&seconds, text) < 0 || seconds == 0)
        return -EINVAL;
    *out = now + (int64_t)seconds;
    return 0;
}

const char *ctl_format_time(int64_t t, char buf[32])
{
    struct tm tm;
    time_t time = (time_t)t;
    if (t == 0)
        return strcpy(buf, "never");
    if (!gmtime_r(&time, &tm) || strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(buf, 32, "%lld", (long long)t);
    return buf;
}
