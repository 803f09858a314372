// SPDX-License-Identifier: BSD-2-Clause
// What a process under test has used: CPU time and user memory, read from outside.
#ifndef TP_BENCH_PROC_H
#define TP_BENCH_PROC_H

#include <stdint.h>
#include <sys/types.h>

struct proc_cpu {
    int64_t total_ns;                // all threads, exact: the kernel's per-process CPU clock
    int64_t user_ns;                 // from /proc/PID/stat, counted in clock ticks
    int64_t system_ns;               // likewise
    uint64_t voluntary, involuntary; // context switches, summed over the living threads
};

// 0 or a negative errno (no such process).
int proc_cpu_read(pid_t pid, struct proc_cpu *out);

// What it has used in between.
struct proc_cpu proc_cpu_since(const struct proc_cpu *before, const struct proc_cpu *after);

struct proc_mem {
    int64_t rss_anon; // bytes: private memory that is resident, "user memory"
    int64_t pss;      // bytes: everything resident, shared pages by their share
};

// 0 or a negative errno.
int proc_mem_read(pid_t pid, struct proc_mem *out);

#endif
