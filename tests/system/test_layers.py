# SPDX-License-Identifier: BSD-2-Clause
"""The table of layers in doc/architecture.md is what the code does: in its includes, and in what its libraries call."""

import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SRC = os.path.join(ROOT, "src")
BUILD = os.environ.get("TP_BUILDDIR", ".")
OUTSIDE = set("accept accept4 bind clock_gettime close connect epoll_wait fopen fprintf getaddrinfo gettimeofday listen log_line "
              "open open64 openat poll printf puts read recv recvfrom recvmmsg recvmsg select send sendmmsg sendmsg sendto "
              "setsockopt socket syslog time vfprintf write".split())


def table():
    """By folder: the folders and the single headers that it may use."""
    rows = {}
    with open(os.path.join(ROOT, "doc", "architecture.md"), encoding="utf-8") as f:
        for line in f:
            found = re.match(r"\| `(\w+)/` \|.*\| ([^|]*) \|$", line.rstrip())
            if found:
                folder, cell = found.groups()
                headers = set(re.findall(r"`(\w+/\w+\.h)`", cell))
                used = set(re.findall(r"\w+", re.sub(r"`[^`]*`", "", cell))) & set(rows)
                rows[folder] = (set(rows) if "all of the above" in cell else used), headers
    return rows


def includes():
    """(file, header) for each header of ours that a file in a folder includes."""
    for path in sorted(glob.glob(os.path.join(SRC, "*", "*.[ch]"))):
        with open(path, encoding="utf-8") as f:
            for header in re.findall(r'^#include "(\w+/\w+\.h)"', f.read(), re.M):
                yield os.path.relpath(path, SRC), header


def symbols(archive):
    """What the objects of a library define for others, and by object what it calls."""
    defined, calls = set(), {}
    out = subprocess.run(["nm", "-A", archive], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        where, kind, name = line.rsplit(None, 2)
        if kind == "U":
            calls.setdefault(where.rsplit(":", 2)[-2], set()).add(name.split("@")[0])
        elif kind.isupper():
            defined.add(name)
    return defined, calls


def test_table():
    """it has a row for every folder"""
    folders = {os.path.basename(os.path.dirname(path)) for path in glob.glob(os.path.join(SRC, "*", "*"))}
    tap.equal(sorted(set(table())), sorted(folders), "folders")


def test_includes():
    """no folder includes what it may not use"""
    rows, wrong = table(), []
    for path, header in includes():
        folder, of = os.path.dirname(path), os.path.dirname(header)
        if folder != of and of not in rows[folder][0] and header not in rows[folder][1]:
            wrong.append("%s includes %s" % (path, header))
    tap.equal(wrong, [], "includes")


def test_headers():
    """every header that the table names is used by that folder"""
    used = {(os.path.dirname(path), header) for path, header in includes()}
    named = {(folder, header) for folder, (_, headers) in table().items() for header in headers}
    tap.equal(sorted(named - used), [], "headers")


def test_calls():
    """no library calls what only a folder above it, or a program, has"""
    rows, wrong = table(), []
    libs = {os.path.basename(path)[3:-2]: symbols(path) for path in glob.glob(os.path.join(BUILD, "src", "lib*.a"))}
    tap.check({"util", "stun", "auth", "turn", "conf", "net", "worker"} <= set(libs), "libraries: %s" % sorted(libs))
    for path in glob.glob(os.path.join(BUILD, "src", "turnpike*.o")):
        libs[os.path.basename(path)] = symbols(path)
    for name, (_, calls) in libs.items():
        if name not in rows:
            continue
        below = rows[name][0] | {os.path.dirname(header) for header in rows[name][1]} | {name}
        ours = set().union(*(libs[n][0] for n in below if n in libs))
        above = {s: n for n, (defined, _) in libs.items() if n not in below for s in defined}
        wrong += ["%s calls %s of %s" % (o, s, above[s]) for o, names in calls.items() for s in names - ours if s in above]
    tap.equal(sorted(wrong), [], "calls")


def test_no_io():
    """messages, the state machine, the verdict and the rooms know no socket, clock, file or log"""
    for name, only in (("stun", ""), ("turn", ""), ("auth", r"\b(verdict\w*|nonce|token)\.o$"), ("signal", "")):
        archive = os.path.join(BUILD, "src", "lib%s.a" % name)
        if not os.path.exists(archive):
            tap.check(name == "signal", archive)
            continue
        calls = {o: sorted(names & OUTSIDE) for o, names in symbols(archive)[1].items() if re.search(only, o)}
        tap.check(calls, "no objects in " + archive)
        tap.equal({o: names for o, names in calls.items() if names}, {}, "calls of lib%s" % name)


if __name__ == "__main__":
    tap.main()
