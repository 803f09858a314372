# SPDX-License-Identifier: BSD-2-Clause
"""Runs one of our command line tools to its end."""

import os
import resource
import subprocess

import daemon
import tap


def path(name):
    """Of the program that was built: TURNPIKE_BENCH for turnpike-bench, or where the build put it."""
    return os.environ.get(name.upper().replace("-", "_")) or os.path.join(daemon.BUILD, "src", name)


def run(*command, code=0, typed="", env=None, seconds=60, files=None):
    """(standard output, standard error). It has to end with that code, in time and without a sanitizer's report. typed: its
    standard input; files: how many it may have open."""
    def prepare():
        daemon.die_with_parent()
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    command = [str(part) for part in command]
    clean = {k: v for k, v in os.environ.items() if k != "TURNPIKE_PASSWORD"}
    done = subprocess.run(command, input=typed, capture_output=True, text=True, check=False, timeout=seconds * tap.SLOW,
                          preexec_fn=prepare, errors="backslashreplace", env={**clean, **(env or {})})
    for word in ("Sanitizer", "runtime error:"):
        tap.check(word not in done.stderr, "a sanitizer has something to say:\n" + done.stderr)
    if done.returncode != code:
        raise AssertionError("%r: exit status %d instead of %d\n%s\n%s" % (command[1:], done.returncode, code, done.stdout,
                                                                           done.stderr))
    return done.stdout, done.stderr
