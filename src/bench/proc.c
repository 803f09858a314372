// SPDX-License-Identifier: BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/proc.h"

// Finds "<key>   <number>" at the start of a line of a file in /proc. 0 or a negative errno.
static int read_field(const char *path, const char *key, int64_t *out)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return -errno;
    char line[256];
    size_t key_len = strlen(key);
    int rc = -ENOENT;
    while (rc && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, key_len) == 0) {
            *out = strtoll(line + key_len, NULL, 10);
            rc = 0;
        }
    }
    fclose(f);
    return rc;
}

static int read_switches(pid_t pid, struct proc_cpu *out)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return -errno;
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        int64_t n = 0;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, entry->d_name);
        if (read_field(path, "voluntary_ctxt_switches:", &n) == 0)
            out->voluntary += (uint64_t)n;
        if (read_field(path, "nonvoluntary_ctxt_switches:", &n) == 0)
            out->involuntary += (uint64_t)n;
    }
    closedir(dir);
    return 0;
}

static int read_ticks(pid_t pid, struct proc_cpu *out)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return -errno;
    const char *rest = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    fclose(f);
    uint64_t user, system;
    // Fields 14 and 15 (proc(5)); the name in field 2 may hold spaces, so count from its end.
    if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                        &user, &system) != 2)
        return -EPROTO;
    int64_t tick_ns = 1000000000 / sysconf(_SC_CLK_TCK);
    out->user_ns = (int64_t)user * tick_ns;
    out->system_ns = (int64_t)system * tick_ns;
    return 0;
}

int proc_cpu_read(pid_t pid, struct proc_cpu *out)
{
    *out = (struct proc_cpu){0};
    clockid_t clock;
    int rc = clock_getcpuclockid(pid, &clock);
    if (rc)
        return -rc;
    struct timespec ts;
    if (clock_gettime(clock, &ts) < 0)
        return -errno;
    out->total_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
    rc = read_ticks(pid, out);
    return rc ? rc : read_switches(pid, out);
}

int proc_mem_read(pid_t pid, struct proc_mem *out)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    int rc = read_field(path, "RssAnon:", &out->rss_anon);
    if (rc)
        return rc;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    rc = read_field(path, "Pss:", &out->pss);
    out->rss_anon *= 1024;
    out->pss *= 1024;
    return rc;
}

struct proc_cpu proc_cpu_since(const struct proc_cpu *before, const struct proc_cpu *after)
{
    return (struct proc_cpu){
        .total_ns = after->total_ns - before->total_ns,
        .user_ns = after->user_ns - before->user_ns,
        .system_ns = after->system_ns - before->system_ns,
        .voluntary = after->voluntary - before->voluntary,
        .involuntary = after->involuntary - before->involuntary,
    };
}
