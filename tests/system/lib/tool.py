# SPDX-License-Identifier: BSD-2-Clause
"""Runs turnpike-probe and turnpike-bench."""

import os
import resource
import subprocess

import daemon
import tap


def run(program, *args, code, password="pass", env=None, seconds=30, files=None):
    """(standard output, standard error). password: what it reads, None for nothing; files: how many it may open."""
    def prepare():
        daemon.die_with_parent()
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    args = [str(a) for a in args]
    own = {k: v for k, v in os.environ.items() if k != "TURNPIKE_PASSWORD"}
    done = subprocess.run([program, *args], input=(password or "") + "\n", capture_output=True, text=True, check=False,
                          timeout=seconds * tap.SLOW, preexec_fn=prepare, errors="backslashreplace", env={**own, **(env or {})})
    for word in ("Sanitizer", "runtime error:"):
        tap.check(word not in done.stderr, "a sanitizer has something to say:\n" + done.stderr)
    if done.returncode != code:
        raise AssertionError("%r: exit status %d instead of %d\n%s\n%s" % (args, done.returncode, code, done.stdout, done.stderr))
    return done.stdout, done.stderr
