# SPDX-License-Identifier: BSD-2-Clause
"""The table of attacks in doc/security.md names tests that exist, and every test whose title begins with its number."""

import ast
import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def table():
    """By number: {(file, test)} and the fuzzers."""
    rows = {}
    with open(os.path.join(ROOT, "doc", "security.md"), encoding="utf-8") as f:
        for line in f:
            found = re.match(r"\| (T\d+) \|", line)
            if not found:
                continue
            cell = line.rstrip().strip("|").split("|")[-1]
            tests = {(name, test) for name, tests in re.findall(r"`(test_\w+)`: ([\w, ]+)", cell) for test in tests.strip().split(", ")}
            rows[found[1]] = tests, set(re.findall(r"`(fuzz_\w+)`", cell))
    return rows


def titles():
    """By file and test: the number that its title begins with, or None."""
    out = {}
    for path in glob.glob(os.path.join(HERE, "test_*.py")):
        with open(path, encoding="utf-8") as f:
            tree = ast.parse(f.read())
        for fn in tree.body:
            if isinstance(fn, ast.FunctionDef) and fn.name.startswith("test_"):
                number = re.match(r"T\d+(?=: )", ast.get_docstring(fn) or "")
                out[os.path.basename(path)[:-3], fn.name[5:]] = number and number[0]
    return out


def test_table():
    """every test in the table exists, and every test with a number is in its row"""
    rows, have = table(), titles()
    tap.equal(sorted(rows, key=lambda n: int(n[1:])), ["T%d" % n for n in range(1, 21)], "rows of the table")
    for number, (tests, fuzzers) in rows.items():
        tap.check(tests or fuzzers, "nothing shows " + number)
        tap.equal(sorted(tests - set(have)), [], "tests in row %s that do not exist" % number)
        tap.equal(sorted(t for t, n in have.items() if n == number and t not in tests), [], "tests that row %s lacks" % number)
        for name in fuzzers:
            tap.check(os.path.exists(os.path.join(ROOT, "tests", "fuzz", name + ".c")), name + " does not exist")
    tap.equal(sorted({n for n in have.values() if n} - set(rows)), [], "numbers that the table lacks")


if __name__ == "__main__":
    tap.main()
