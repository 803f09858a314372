# SPDX-License-Identifier: BSD-2-Clause
"""The machine that measures: its CPUs, its limits, what it is, and how far the work is."""

import ctypes
import os
import platform
import resource
import shlex
import signal
import sys
import time

OPEN_FILES = 262144  # 50,000 allocations are a socket each at the server, and as many at the clients
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def raise_file_limit():
    """The most that this user may have, up to OPEN_FILES; children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in ((OPEN_FILES, max(hard, OPEN_FILES)), (hard, hard)):
        try:
            if soft < limit[0]:
                resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            return
        except (ValueError, OSError):
            continue


def split_cpus(workers, pin=True):
    """(server's CPUs, generator's CPUs): the last ones for the server; both empty where there are too few to part."""
    cpus = sorted(os.sched_getaffinity(0))
    if not pin or len(cpus) <= workers:
        return [], []
    return cpus[-workers:], cpus[:-workers]


def in_child(cpus, enter=None):
    """A preexec_fn: ends with its parent, runs on cpus, in the network namespace that enter() goes to."""
    parent = os.getpid()

    def run():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        if enter:
            enter()
        if cpus:
            os.sched_setaffinity(0, cpus)
    return run


def end_on_sigterm():
    """SIGTERM as Ctrl-C: what was started is ended and what was made is removed."""
    def leave(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, leave)


def _model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def facts(argv):
    """What a reader has to know of the machine and of the run."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "cpus": os.cpu_count(), "cpu": _model(),
            "memory_gib": round(memory / 2**30, 1), "kernel": f"{platform.system()} {platform.release()}",
            "load_average": round(os.getloadavg()[0], 2),
            "command": shlex.join([os.path.join("contrib/bench", os.path.basename(argv[0])), *argv[1:]])}


class Progress:
    """One line on a terminal, elsewhere a line every ten seconds. steps: about how many seconds each of them takes."""

    def __init__(self, steps, quiet=False):
        self.left = list(steps)
        self.total, self.done, self.quiet = len(steps), 0, quiet
        self.said, self.began, self.expected, self.running = 0, time.monotonic(), 0.0, None

    def begin(self, text):
        left = sum(self.left)
        if self.expected > 5:  # what took longer than expected so far will go on like that
            left *= max(0.3, (time.monotonic() - self.began) / self.expected)
        minutes = left / 60
        rest = f"about {minutes:.0f} min left" if minutes >= 1.5 else f"about {max(left, 1):.0f} s left"
        self.running = self.left.pop(0) if self.left else 0
        self._show(f"{text}: {rest}")

    def end(self):
        self.done += 1
        self.expected += self.running or 0

    def _show(self, text):
        if self.quiet:
            return
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K" + text[:os.get_terminal_size(2).columns - 1])
        elif time.monotonic() - self.said >= 10 or self.done == 0:
            self.said = time.monotonic()
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def note(self, text):
        """A line that stays."""
        sys.stderr.write(("\r\x1b[K" if sys.stderr.isatty() and not self.quiet else "") + text + "\n")
        sys.stderr.flush()

    def clear(self):
        if sys.stderr.isatty() and not self.quiet:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
