# SPDX-License-Identifier: BSD-2-Clause
"""T7: user names as weapons, through every store, into the logs and out of the CLI."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import stun
import tap
from daemon import ctl, Daemon, folder, json_of, REALM, Redis

UDP = (stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")
NAMES = (b"%s%n%x%s%s%n", b"%s" * 100, b"a/b/../../etc/passwd", b"two words", b"line\r\nFLUSHALL\r\n", b"a\nb", b"nul\0nul", b"\0",
         b"\xff\xfe\x80", b"\xc0\xaf", b"'; DROP TABLE users; --", b"\" OR 1=1", b"<script>alert(1)</script>", b"*", b"user*",
         b"{example.org}:user", b"\x1b[31mred\x1b[0m", "\u202euser".encode(), b"u" * 508, b"u" * 509, b"u" * 513, b"u" * 763,
         b"$6\r\nfoobar", b"user\0", b" user", b"user ")


def knock(d, transport="udp"):
    """Every name with a password that fits no user: the codes."""
    with d.client(transport) as c:
        for name in NAMES:
            c.user, c.password = name, "pass"
            c.challenge()
            msg = c.exchange(c.signed(stun.ALLOCATE, [UDP]))
            tap.check(msg is not None, "no answer for %r" % name)
            tap.check(msg.code in (400, 401), "%r: %r" % (name, msg))
            tap.check(len(name) < 4 or name not in msg.data, "%r comes back in the answer" % name)
        c.user, c.password = "user", "pass"
        tap.check(c.allocate(), "the real user is kept out")


def check_log(d):
    """One line an event, printable, no secrets."""
    log = open(d.log, "rb").read()
    for byte in (b"\0", b"\r", b"\x1b"):
        tap.check(byte not in log, "%r in the log" % byte)
    for line in log.split(b"\n"):
        tap.check(not line.startswith((b"FLUSHALL", b"b ", b"foobar")), "a user name began a line: %r" % line)
    log.decode("utf-8")
    tap.check(b"pass" not in log.replace(b"password", b"").replace(b"passwd", b""), "a password in the log")


def test_names_static():
    """T7: hostile user names against the configuration's own users"""
    with Daemon() as d:
        knock(d)
        knock(d, "tcp")
        check_log(d)


def test_names_sqlite():
    """T7: hostile user names against SQLite"""
    store = "sqlite:" + os.path.join(folder(), "users.db")
    with Daemon(auth={"stores": [store]}) as d:
        knock(d)
        check_log(d)


def test_names_redis():
    """T7: hostile user names against Redis: no command gets through, no other key is read"""
    redis = Redis()
    redis.cli("SET", "canary", "alive")
    with Daemon(auth={"stores": [redis.uri]}) as d:
        knock(d)
        tap.equal(redis.cli("GET", "canary").strip(), "alive", "canary")
        tap.equal(redis.cli("DBSIZE").strip(), "1", "keys")
        check_log(d)


def test_json_log():
    """T7: with log.format = "json" every line is an object, whatever the names are"""
    with Daemon(log={"level": "debug", "format": "json", "target": "stderr"}) as d:
        knock(d)
        for line in open(d.log, "rb").read().splitlines():
            tap.check(isinstance(json.loads(line.decode("utf-8")), dict), "no object: %r" % line)


def test_names_in_the_cli():
    """T7: the CLI stores odd names as they are, or refuses them, and prints them harmlessly"""
    redis = Redis()
    stores = ("sqlite:" + os.path.join(folder(), "users.db"), redis.uri)
    names = ("%s%n%s", "a/b/../c", "two words", "'; DROP TABLE users; --", "<b>&\"", "*", "\u00fcmlaut", "-dash", "x" * 508)
    for store in stores:
        made = []
        with Daemon(auth={"stores": [store]}) as d:
            for name in names:
                code, _, err = ctl("user", "add", "--realm", REALM, "--store", store, "--", name, stdin="pass\n")
                if code == 0:
                    made.append(name)
                else:
                    tap.diag("%r refused: %s" % (name[:40], err.strip()[:200]))
                    tap.check(err.strip(), "refused without a word")
            for name in made:
                with d.client(user=name) as c:
                    tap.equal(c.try_allocate().cls, stun.SUCCESS, "class for %r" % name)
        code, out, err = ctl("user", "list", "--realm", REALM, "--store", store, "--json")
        tap.equal(code, 0, "exit code of user list (%s)" % err)
        text = json.dumps(json_of(out), ensure_ascii=False)
        for name in made:
            tap.check(json.dumps(name, ensure_ascii=False) in text, "%r is not in the list: %s" % (name, text[:500]))
        tap.check(len(made) >= 5, "only %d names were taken" % len(made))
        for bad in ("", "x" * 509):
            code, out, err = ctl("user", "add", "--realm", REALM, "--store", store, "--", bad, stdin="pass\n")
            tap.check(code in (1, 2) and err, "%r: exit code %d" % (bad[:20], code))
        # Names with control characters: taken or not, they reach no terminal as they are.
        for odd in ("a\nb", "a\x1b[31mb", "a\rb"):
            for args in (("add",), ("add",), ("show",), ("disable",), ("enable",), ("delete",), ("delete",)):
                _, out, err = ctl("user", *args, "--realm", REALM, "--store", store, "--", odd, stdin="pass\n")
                tap.check(odd not in out + err, "user %s shows %r as it is: %r" % (args[0], odd, out + err))
                if args[0] == "add":
                    _, out, _ = ctl("user", "list", "--realm", REALM, "--store", store)
                    tap.check(odd not in out, "user list shows %r as it is" % odd)


if __name__ == "__main__":
    tap.main()
