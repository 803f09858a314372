# SPDX-License-Identifier: BSD-2-Clause
"""A minimal TAP runner: the functions named test_* of the calling module, in the order in which they are written."""

import contextlib
import os
import signal
import sys
import time
import traceback

TIME_LIMIT = 180  # seconds: for what hangs, not for what a busy machine makes slow
SANITIZED = os.environ.get("TP_SANITIZER", "no") not in ("", "no")
SLOW = 4 if SANITIZED else 1  # how much more time a sanitized daemon gets

_cleanups = []
_logs = []


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


class TimeLimit(BaseException):
    """The test took too long. No Exception, so that no test catches it by chance."""


def diag(text):
    for line in str(text).splitlines() or [""]:
        print("# " + "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line[:2000]), flush=True)


def cleanup(fn):
    """Has fn called when the running test ends, last one first."""
    _cleanups.append(fn)
    return fn


def on_failure(fn):
    """fn gives lines to print when the running test fails."""
    _logs.append(fn)


def limit(seconds):
    """Decorator: a time limit of its own."""
    def wrap(fn):
        fn.time_limit = seconds
        return fn
    return wrap


def equal(got, want, what="value"):
    if got != want:
        raise AssertionError("%s is %.600r, expected %.600r" % (what, got, want))


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def until(what, fn, seconds=60):
    """Polls fn until it gives something true, and gives that."""
    end = time.monotonic() + seconds * SLOW
    while not (got := fn()):
        check(time.monotonic() < end, "%s: not within %d s" % (what, seconds * SLOW))
        time.sleep(0.02)
    return got


def persist(fn, *errors, seconds=60):
    """Calls fn until it raises none of these errors, and gives what it gave. Where the server ends after a second what is slow,
    this gets through on a machine that had something else to do for so long."""
    end = time.monotonic() + seconds * SLOW
    while True:
        try:
            return fn()
        except errors:
            if time.monotonic() >= end:
                raise


FIRST_TOUCH = 2304  # KiB: receive slots that are used for the first time: 512 of a worker that lags behind, a page each, and some of another


def bounded(kib, limit, what):
    """Memory that grew. A sanitizer keeps what was freed for a while, so there it is printed only."""
    diag("%s: +%d KiB" % (what, kib))
    limit += FIRST_TOUCH
    check(SANITIZED or kib < limit, "%s: memory grew by %d KiB, expected less than %d" % (what, kib, limit))


@contextlib.contextmanager
def cell(client, feature, transport, family=4, relay=None):
    """A cell of the compatibility matrix (tests/interop/matrix): works when the block ends without an exception.

    transport: udp, tcp, tls or dtls; family: of the client's leg, relay: of the relayed address, both 4 or 6.
    """
    text = "matrix: %s | %s | %s | %d | %d | " % (client, feature, transport, family, relay or family)
    try:
        yield
    except Skip:
        raise
    except BaseException:
        diag(text + "fails")
        raise
    diag(text + "works")


def _alarm(*_):
    raise TimeLimit()


def _terminate(*_):
    sys.exit(1)


def _clean():
    while _cleanups:
        fn = _cleanups.pop()
        try:
            fn()
        except Exception:
            diag("cleanup: " + traceback.format_exc())


def _run(fn):
    """None when it passed, else (kind, text)."""
    seconds = getattr(fn, "time_limit", TIME_LIMIT) * SLOW
    signal.alarm(seconds)
    try:
        fn()
        return None
    except Skip as why:
        return ("skip", str(why))
    except TimeLimit:
        return ("fail", "no end after %d s\n%s" % (seconds, traceback.format_exc()))
    except Exception:
        return ("fail", traceback.format_exc())
    finally:
        signal.alarm(0)


def main(module=None):
    """Runs them all; the exit code is for those who start a file by hand."""
    module = module or sys.modules["__main__"]
    tests = [(name, fn) for name, fn in vars(module).items() if name.startswith("test_") and callable(fn)]
    wanted = sys.argv[1:]
    if wanted:
        tests = [t for t in tests if t[0] in wanted or t[0][5:] in wanted]
    signal.signal(signal.SIGALRM, _alarm)
    signal.signal(signal.SIGTERM, _terminate)
    print("1..%d" % len(tests), flush=True)
    failed = 0
    for number, (name, fn) in enumerate(tests, 1):
        title = (fn.__doc__ or name).strip().splitlines()[0].replace("#", "no. ")
        result = None
        began = time.monotonic()
        try:
            result = _run(fn)
            if result and result[0] == "fail":
                failed += 1
                diag(result[1])
                for log in _logs:
                    diag(log())
        finally:
            _clean()
            _logs.clear()
        if time.monotonic() - began > 2:
            diag("%.1f s" % (time.monotonic() - began))
        if result is None:
            print("ok %d - %s" % (number, title), flush=True)
        elif result[0] == "skip":
            print("ok %d - %s # SKIP %s" % (number, title, result[1]), flush=True)
        else:
            print("not ok %d - %s" % (number, title), flush=True)
    sys.exit(1 if failed else 0)
