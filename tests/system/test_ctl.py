# SPDX-License-Identifier: BSD-2-Clause
"""turnpikectl on SQLite and on a real Redis: what it does, what it says, how it exits."""

import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import pty
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import daemon
import tap

CTL = os.environ.get("TURNPIKECTL", "src/turnpikectl")
REALM = "example.org"
PASSWORD = b"correct horse battery staple"

OK, FAILED, USAGE, UNREACHABLE = range(4)


def folder():
    path = tempfile.mkdtemp(prefix="turnpike-ctl-")
    tap.cleanup(lambda: shutil.rmtree(path, ignore_errors=True))
    return path


def run(*args, stdin=b"", code=OK):
    """Runs turnpikectl; gives back its standard output and error as bytes."""
    done = subprocess.run([CTL, *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != code:
        raise AssertionError("%r: exit status %d instead of %d, %r %r" %
                             (args, done.returncode, code, done.stdout[-400:], done.stderr[-2000:]))
    return done.stdout, done.stderr


def need(uri):
    """Skips the test in a build without that kind of store."""
    done = subprocess.run([CTL, "user", "list", "--realm", REALM, "--store", uri], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    if done.returncode == USAGE:
        raise tap.Skip("built without " + uri.split(":")[0])


class Redis:
    def __init__(self):
        need("redis://127.0.0.1:1/0")
        if not shutil.which("redis-server"):
            raise tap.Skip("no redis-server")
        self.port = daemon.free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=folder(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tap.cleanup(self.stop)
        end = time.monotonic() + daemon.PATIENCE
        while self.cli("ping").strip() != b"PONG":
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError("redis-server did not start")
            time.sleep(0.05)
        self.uri = "redis://127.0.0.1:%d/0" % self.port

    def cli(self, *args):
        return subprocess.run(["redis-cli", "-p", str(self.port), *args], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout

    def stop(self):
        self.process.terminate()
        self.process.wait()


def sqlite_uri():
    need("sqlite:/nonexistent/users.db")
    return "sqlite:" + os.path.join(folder(), "users.db")


def keys_of(name, password=PASSWORD, realm=REALM):
    text = name + b":" + realm.encode() + b":" + password
    return hashlib.md5(text).digest(), hashlib.sha256(text).digest()


def names(where):
    return [u["name"] for u in json.loads(run("user", "list", "--json", *where)[0])]


def life_of_a_user(uri):
    where = ("--realm", REALM, "--store", uri)
    out, _ = run("user", "add", "alice", *where, stdin=PASSWORD + b"\n")
    tap.equal(out, b"user alice added to realm example.org\n", "user add")

    _, err = run("user", "add", "alice", *where, stdin=PASSWORD, code=FAILED)
    tap.equal(err, b"turnpikectl: user alice exists in realm example.org; use `turnpikectl user passwd alice` "
                   b"to change the password\n", "user add of one that exists")

    record = json.loads(run("user", "show", "alice", "--json", *where)[0])
    tap.equal((record["name"], record["realm"], record["disabled"], record["expires"]), ("alice", REALM, False, None), "record")
    tap.check(b"alice" in run("user", "show", "alice", *where)[0], "show has no name")

    added = json.loads(run("user", "add", "bob", "--expires", "30d", "--max-allocations", "5", "--max-bps", "2M",
                           "--generate", "--json", *where)[0])
    tap.equal((added["max_allocations"], added["max_bps"]), (5, 2000000), "limits")
    tap.check(len(added["password"]) >= 20 and added["expires"], "no password or no expiry: %r" % added)
    shown = json.loads(run("user", "show", "bob", "--json", *where)[0])
    tap.check("password" not in shown, "show gives a password away")

    run("user", "passwd", "alice", *where, stdin=b"another")
    changed = run("user", "passwd", "alice", "--generate", *where)[0]
    tap.check(b"password: " in changed, "passwd --generate prints none")
    for command, state in (("disable", True), ("disable", True), ("enable", False)):
        run("user", command, "alice", *where)
        tap.equal(json.loads(run("user", "show", "alice", "--json", *where)[0])["disabled"], state, command)

    changed = json.loads(run("user", "set", "bob", "--max-bps", "2M", "--expires", "never", "--json", *where)[0])
    tap.equal((changed["max_bps"], changed["max_allocations"], changed["expires"]), (2000000, 5, None), "after user set")
    run("user", "set", "bob", "--max-allocations", "0", *where)
    again = json.loads(run("user", "show", "bob", "--json", *where)[0])
    tap.equal((again["max_bps"], again["max_allocations"], again["disabled"]), (2000000, 0, False), "after another")

    tap.equal(names(where), ["alice", "bob"], "list")
    lines = run("user", "list", *where)[0].decode().splitlines()
    tap.equal(len(lines), 3, "lines of list")
    tap.equal([line.index(word) for line, word in zip(lines, ("STATE", "active", "active"))],
              [lines[0].index("STATE")] * 3, "column of the state")
    tap.equal(names(("--realm", "other.example", "--store", uri)), [], "list of another realm")

    run("user", "delete", "alice", *where)
    for command in ("show", "passwd", "disable", "enable", "delete"):
        _, err = run("user", command, "alice", *where, stdin=b"x", code=FAILED)
        tap.equal(err, b"turnpikectl: there is no user alice in realm example.org\n", command)
    tap.equal(names(where), ["bob"], "list after delete")


def hostile_names(uri, rename):
    """rename makes another name of a stored user's, as a tool of somebody else may write it."""
    where = ("--realm", REALM, "--store", uri)
    hostile = [b"%s%n%x", b"a/b:c", b"two  spaces ", b"line\r\nfeed", b"\xff\xfe invalid", "jos\u00e9 \u202e".encode(), b"*",
               "a\u061cb\u009b31m".encode(), b"{example.org}:user:x", b"'; DROP TABLE users; --", b"x" * 508, b"\x1b[31mred"]
    forbidden = [b"line\r\nfeed", b"\xff\xfe invalid", "jos\u00e9 \u202e".encode(), "a\u061cb\u009b31m".encode(), b"\x1b[31mred"]
    for name in hostile:
        if name in forbidden:
            _, err = run("user", "add", name, *where, stdin=PASSWORD, code=USAGE)
            tap.check(err.startswith(b"turnpikectl: the user name ") and name not in err, "no reason: %r" % err)
            run("user", "add", "seed", *where, stdin=PASSWORD)
            rename(b"seed", name)
        else:
            run("user", "add", name, *where, stdin=PASSWORD)
        record = json.loads(run("user", "show", name, "--json", *where)[0])
        got = bytes.fromhex(record["name_hex"]) if "name_hex" in record else record["name"].encode()
        tap.equal(got, name, "the name in JSON")
        out = run("user", "show", name, *where)[0]
        tap.check(not any(c in out for c in (b"\x1b", b"\r", b"\xe2\x80\xae", b"\xd8\x9c", b"\xc2\x9b")),
                  "raw control bytes: %r" % out)
        run("user", "disable", name, *where)
        tap.check(run("user", "show", name, "--json", *where)[0].isascii(), "JSON that a terminal may obey")
    listed = json.loads(run("user", "list", "--json", *where)[0])
    tap.equal(sorted(bytes.fromhex(u["name_hex"]) if "name_hex" in u else u["name"].encode() for u in listed),
              sorted(hostile), "all the names")
    tap.equal(len(run("user", "list", *where)[0].splitlines()), len(hostile) + 1, "lines of list")
    for name in hostile:
        run("user", "delete", *where, "--", name)
    tap.equal(names(where), [], "list after delete")


def life_of_a_secret(uri):
    where = ("--realm", REALM, "--store", uri)
    _, err = run("ice-servers", "--host", "turn.example.org", *where, code=FAILED)
    tap.check(b"turnpikectl secret add" in err, "no advice: %r" % err)

    run("secret", "add", *where, stdin=b"first secret\n")
    _, err = run("secret", "add", *where, stdin=b"first secret\n", code=FAILED)
    tap.check(b"already" in err, "exists: %r" % err)
    listed = json.loads(run("secret", "list", "--json", *where)[0])
    tap.equal([s["id"] for s in listed], [hashlib.sha256(b"first secret").hexdigest()[:16]], "ids")
    tap.check(b"first" not in run("secret", "list", *where)[0], "list gives a secret away")

    before = int(time.time())
    ice = json.loads(run("ice-servers", "--host", "turn.example.org", "--user", "al ice", "--ttl", "1h", *where)[0])
    server = ice["iceServers"][0]
    tap.equal(ice["ttl"], 3600, "ttl")
    tap.equal(server["urls"], ["turn:turn.example.org:3478?transport=udp", "turn:turn.example.org:3478?transport=tcp"], "urls")
    expiry, user = server["username"].split(":", 1)
    tap.equal(user, "al ice", "user")
    # time(2) may lag behind by a tick, and so by a second
    tap.check(before + 3599 <= int(expiry) <= before + 3600 + 30 * tap.SLOW, "expiry %s" % expiry)
    tap.equal(server["credential"], credential(b"first secret", server["username"]), "credential")

    for n in range(7):
        run("secret", "add", *where, stdin=b"secret %d" % n)
    run("secret", "add", "--generate", *where, code=FAILED)  # one more than there can be
    run("secret", "retire", listed[0]["id"], *where)
    run("secret", "retire", listed[0]["id"], *where, code=FAILED)
    made = json.loads(run("secret", "add", "--generate", "--json", *where)[0])
    tap.check(made["id"] in run("secret", "list", *where)[0].decode(), "the new id is not listed")


def credential(secret, username):
    return base64.b64encode(hmac.new(secret, username.encode(), hashlib.sha1).digest()).decode()


def test_users_sqlite():
    """a user's life in SQLite"""
    life_of_a_user(sqlite_uri())


def test_users_redis():
    """a user's life in Redis"""
    life_of_a_user(Redis().uri)


def test_names_sqlite():
    """hostile user names in SQLite"""
    uri = sqlite_uri()

    def rename(old, new):
        with contextlib.closing(sqlite3.connect(uri[len("sqlite:"):])) as db, db:
            db.execute("UPDATE users SET name = ?, userhash = ? WHERE name = ?",
                       (new, hashlib.sha256(new + b":" + REALM.encode()).digest(), old))
    hostile_names(uri, rename)


def test_names_redis():
    """hostile user names in Redis"""
    redis = Redis()
    key = b"turnpike:{%s}:user:" % REALM.encode()
    hostile_names(redis.uri, lambda old, new: redis.cli("rename", key + old, key + new))


def prepared_names(uri):
    where = ("--realm", REALM, "--store", uri)
    run("user", "add", "u\u0308ber\u00a0alles", *where, stdin="p\u00e5ss\u3000\u212b".encode())
    composed = "\u00fcber alles"
    tap.equal(names(where), [composed], "list")
    _, err = run("user", "add", composed, *where, stdin=PASSWORD, code=FAILED)
    tap.check(b"exists" in err, "the same name twice: %r" % err)
    for spelled in (composed, "u\u0308ber\u2003alles"):
        record = json.loads(run("user", "show", spelled, "--json", *where)[0])
        tap.equal(record["name"], composed, "name")
        run("user", "disable", spelled, *where)
        run("user", "enable", spelled, *where)
        run("user", "passwd", spelled, *where, stdin=PASSWORD)
    for bad in ("tab\there", "zero\u200bwidth", "\u0378"):
        _, err = run("user", "add", bad, *where, stdin=PASSWORD, code=USAGE)
        tap.check(b"the user name has U+" in err, "no reason: %r" % err)
        _, err = run("user", "passwd", composed, *where, stdin=bad.encode(), code=USAGE)
        tap.check(b"the password has U+" in err, "no reason: %r" % err)
    _, err = run("user", "passwd", composed, *where, stdin=b"\xff\xfe", code=USAGE)
    tap.check(b"the password is not valid UTF-8" in err, "no reason: %r" % err)
    run("user", "delete", "u\u0308ber alles", *where)
    tap.equal(names(where), [], "list after delete")


def test_prepared_names():
    """names and passwords are made into OpaqueString (RFC 8265): one user however it is typed"""
    prepared_names(sqlite_uri())
    prepared_names(Redis().uri)


def test_secrets_sqlite():
    """a secret's life in SQLite, and ice-servers from it"""
    life_of_a_secret(sqlite_uri())


def test_secrets_redis():
    """a secret's life in Redis, and ice-servers from it"""
    life_of_a_secret(Redis().uri)


def test_foreign_secrets():
    """more secrets than may be, and odd times, that another tool wrote into Redis: all are listed, and each can be retired"""
    redis = Redis()
    where = ("--realm", REALM, "--store", redis.uri)
    for n in range(12):
        redis.cli("zadd", "turnpike:{%s}:secrets" % REALM, ("+inf", "-inf", "1e300", "-5")[n] if n < 4 else str(1700000000 + n), "secret %d" % n)
    ids = [s["id"] for s in json.loads(run("secret", "list", "--json", *where)[0])]
    tap.equal(len(set(ids)), 12, "secrets listed")
    for secret in ids:
        run("secret", "retire", secret, *where)
    tap.equal(json.loads(run("secret", "list", "--json", *where)[0]), [], "after all are retired")


def test_no_password_is_stored():
    """a Redis record has both keys and no password"""
    redis = Redis()
    run("user", "add", "alice", "--realm", REALM, "--store", redis.uri, stdin=PASSWORD)
    key = "turnpike:{%s}:user:alice" % REALM
    tap.check(key.encode() in redis.cli("--scan").splitlines(), "keys: %r" % redis.cli("--scan"))
    dump = redis.cli("hgetall", key)
    md5, sha256 = keys_of(b"alice")
    tap.check(PASSWORD not in dump and b"horse" not in dump, "the password is in %r" % dump)
    tap.check(md5.hex().encode() in dump and sha256.hex().encode() in dump, "the keys are not in %r" % dump)


def test_no_password_in_sqlite():
    """the SQLite file has no password and is not readable by everyone"""
    uri = sqlite_uri()
    path = uri[len("sqlite:"):]
    run("user", "add", "alice", "--realm", REALM, "--store", uri, stdin=PASSWORD)
    with open(path, "rb") as f:
        tap.check(b"horse" not in f.read(), "the password is in the file")
    tap.equal(os.stat(path).st_mode & 0o007, 0, "what others may")


def test_changes_are_published():
    """a change in Redis is published on turnpike:invalidate"""
    redis = Redis()
    listener = subprocess.Popen(["redis-cli", "-p", str(redis.port), "subscribe", "turnpike:invalidate"], stdout=subprocess.PIPE)
    tap.cleanup(listener.wait)
    tap.cleanup(listener.terminate)
    tap.equal([listener.stdout.readline().strip() for _ in range(3)], [b"subscribe", b"turnpike:invalidate", b"1"], "reply")
    run("user", "add", "alice", "--realm", REALM, "--store", redis.uri, stdin=PASSWORD)
    run("user", "disable", "alice", "--realm", REALM, "--store", redis.uri)
    tap.equal([listener.stdout.readline().strip() for _ in range(2)], [b"message", b"turnpike:invalidate"], "message")


def test_passwords_from_a_file():
    """--password-file reads the first line; empty, long and NUL are refused"""
    uri = sqlite_uri()
    where = ("--realm", REALM, "--store", uri)
    path = os.path.join(folder(), "password")
    for content, code in ((PASSWORD + b"\r\nsecond line\n", OK), (b"", USAGE), (b"\n", USAGE), (b"a\0b\n", USAGE),
                          (b"x" * 509, USAGE), (b"x" * 508, OK)):
        with open(path, "wb") as f:
            f.write(content)
        run("user", "add", "user%d" % len(content), "--password-file", path, *where, code=code)
    run("user", "add", "nobody", "--password-file", path + ".missing", *where, code=USAGE)
    run("user", "add", "nobody", "--password-file", path, "--generate", *where, code=USAGE)
    tap.equal(len(names(where)), 2, "users")


def prompted(typed, *args):
    """Runs turnpikectl on a terminal; types each line when a prompt ends in ": "."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(CTL, [CTL, *args])
    seen = b""
    typed = list(typed)
    while True:
        try:
            data = os.read(fd, 1024)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        seen += data
        if seen.endswith(b": ") and typed:
            os.write(fd, typed.pop(0) + b"\n")
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen


def test_prompt():
    """on a terminal the password is asked for twice and not shown"""
    where = ("--realm", REALM, "--store", sqlite_uri())
    code, seen = prompted([PASSWORD, PASSWORD], "user", "add", "alice", *where)
    tap.equal(code, OK, "exit status, output %r" % seen)
    tap.check(b"horse" not in seen, "the password is echoed: %r" % seen)
    code, seen = prompted([PASSWORD, b"other"], "user", "add", "bob", *where)
    tap.equal(code, USAGE, "exit status of two that differ, output %r" % seen)
    tap.equal(names(where), ["alice"], "users")


def waiting_for_a_password(*args):
    """Starts turnpikectl and gives it the first byte of the password, until it has read that."""
    p = subprocess.Popen([CTL, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    tap.cleanup(p.kill)
    os.write(p.stdin.fileno(), b"a")
    end, unread = time.monotonic() + 30 * tap.SLOW, 1
    while unread:
        tap.check(p.poll() is None and time.monotonic() < end, "it never read a password")
        time.sleep(0.01)
        unread = struct.unpack("i", fcntl.ioctl(p.stdin, termios.FIONREAD, b"\0" * 4))[0]
    return p


def test_disabled_while_a_password_is_typed():
    """passwd does not bring back a user who is disabled or deleted while the password is typed"""
    where = ("--realm", REALM, "--store", sqlite_uri())
    run("user", "add", "alice", *where, stdin=PASSWORD)
    p = waiting_for_a_password("user", "passwd", "alice", *where)
    run("user", "disable", "alice", *where)
    p.communicate(b"nother\n")
    tap.equal(p.returncode, OK, "exit status")
    tap.equal(json.loads(run("user", "show", "alice", "--json", *where)[0])["disabled"], True, "disabled")
    p = waiting_for_a_password("user", "passwd", "alice", *where)
    run("user", "delete", "alice", *where)
    tap.check(b"there is no user alice" in p.communicate(b"nother\n")[1], "not told that the user is gone")
    tap.equal(p.returncode, FAILED, "exit status")


def changes_at_once(uri, stored_md5):
    """Several commands for one user, all started together: none undoes what another has done"""
    where = ("--realm", REALM, "--store", uri)
    run("user", "add", "alice", *where, stdin=PASSWORD)
    for n in range(1, 7):
        password = b"password %d" % n
        started = [subprocess.Popen([CTL, "user", *args, *where], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT)
                   for args in (("passwd", "alice"), ("disable" if n % 2 else "enable", "alice"),
                                ("set", "alice", "--max-allocations", str(n)), ("set", "alice", "--max-bps", str(n)))]
        for p in started[1:]:
            p.stdin.close()
        out = [started[0].communicate(password)[0]] + [p.stdout.read() for p in started[1:]]
        tap.equal([p.wait() for p in started], [OK] * 4, "exit statuses, %r" % out)
        record = json.loads(run("user", "show", "alice", "--json", *where)[0])
        tap.equal((record["disabled"], record["max_allocations"], record["max_bps"], stored_md5()),
                  (n % 2 == 1, n, n, keys_of(b"alice", password)[0]), "record after round %d" % n)


def test_changes_at_once_sqlite():
    """user passwd, disable and set at the same time on SQLite: all of it is kept"""
    uri = sqlite_uri()

    def stored():
        with contextlib.closing(sqlite3.connect(uri.split(":", 1)[1])) as db:
            return db.execute("SELECT key_md5 FROM users WHERE name = ?", (b"alice",)).fetchone()[0]
    changes_at_once(uri, stored)


def test_changes_at_once_redis():
    """user passwd, disable and set at the same time on Redis: all of it is kept"""
    redis = Redis()
    changes_at_once(redis.uri, lambda: bytes.fromhex(
        redis.cli("hget", "turnpike:{%s}:user:alice" % REALM, "key_md5").decode()))


def test_damaged_record():
    """a record that cannot be read is named, does not count as a store that is away, and can be deleted"""
    redis = Redis()
    where = ("--realm", REALM, "--store", redis.uri)
    run("user", "add", "alice", *where, stdin=PASSWORD)
    run("user", "add", "bob", *where, stdin=PASSWORD)
    for name, damage in (("alice", ("hset", "turnpike:{%s}:user:alice" % REALM, "key_md5", "nothex")),
                         ("bob", ("set", "turnpike:{%s}:user:bob" % REALM, "text"))):
        redis.cli(*damage)
        for command in (("list",), ("show", name), ("add", name), ("passwd", name), ("disable", name)):
            _, err = run("user", *command, *where, stdin=PASSWORD, code=FAILED)
            tap.check(b"the record of user %s in realm" % name.encode() in err, "%r says %r" % (command, err))
        run("user", "delete", name, *where)
    tap.equal(names(where), [], "list after delete")


def test_usage_mistakes():
    """mistakes in the arguments exit 2 and say what is wrong"""
    where = ("--realm", REALM, "--store", sqlite_uri())
    cases = (
        ((), b"a command is missing"), (("user",), b"a command is missing"), (("frob",), b"no such command"),
        (("user", "frob"), b"no such command"), (("user", "add"), b"NAME is missing"),
        (("user", "add", "a", "b"), b"one argument too many"), (("user", "add", "a", "--frob"), b"--frob"),
        (("user", "list", "--ttl", "5"), b"--ttl is not an option of user list"),
        (("user", "add", "", *where), b"the user name is empty"),
        (("user", "add", "a", *where), b"the password is empty: without a terminal it is read from standard input; --generate"),
        (("user", "add", "x" * 509, *where), b"509 bytes"),
        (("user", "add", "a", "--expires", "yesterday", *where), b"--expires yesterday"),
        (("user", "add", "a", "--expires", "2020-01-01", *where), b"--expires 2020-01-01"),
        (("user", "add", "a", "--max-allocations", "-1", *where), b"--max-allocations -1"),
        (("user", "set", "a", *where), b"nothing to set"),
        (("ice-servers", "--ttl", "0", *where), b"--ttl 0"),
        (("user", "list", "--realm", "", "--store", "sqlite:/x"), b"--realm"),
        (("user", "list", "--realm", "x", "--store", "mysql://x"), b"--store"),
        (("user", "list", "-c", "/nonexistent/turnpike.conf"), b"/nonexistent/turnpike.conf: cannot be read"),
    )
    for args, says in cases:
        out, err = run(*args, code=USAGE)
        tap.check(says in err and not out, "%r says %r %r" % (args, out, err))


def test_help_and_version():
    """--help on every level, --version"""
    for args, says in ((("--help",), b"user add NAME"), (("user", "--help"), b"user passwd NAME"),
                       (("user", "add", "--help"), b"--max-bps"), (("secret", "-h"), b"secret retire ID"),
                       (("ice-servers", "--help"), b"--ttl"), (("--version",), b"turnpikectl ")):
        out, err = run(*args)
        tap.check(says in out and not err, "%r says %r %r" % (args, out, err))
    tap.check(b"secret add" not in run("user", "--help")[0], "user --help shows other commands")


def test_unreachable_store():
    """a store that cannot be reached exits 3 and names it"""
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))  # bound, not listening: refused
        port = s.getsockname()[1]
        _, err = run("user", "list", "--realm", REALM, "--store", "redis://:SECRET@127.0.0.1:%d/0" % port, code=UNREACHABLE)
    tap.check(b"127.0.0.1:%d" % port in err and b"SECRET" not in err, "says %r" % err)
    _, err = run("user", "list", "--realm", REALM, "--store", "sqlite:/nonexistent/folder/users.db", code=UNREACHABLE)
    tap.check(b"/nonexistent/folder" in err, "says %r" % err)


def test_hanging_redis():
    """a Redis that does not answer is told as that, and exits 3"""
    redis = Redis()
    os.kill(redis.process.pid, signal.SIGSTOP)
    tap.cleanup(lambda: os.kill(redis.process.pid, signal.SIGCONT))
    _, err = run("user", "list", "--realm", REALM, "--store", redis.uri, code=UNREACHABLE)
    tap.equal(err, b"turnpikectl: redis 127.0.0.1:%d: no answer within 5 s (at PING)\n" % redis.port, "message")


def test_closed_output():
    """without a standard output a command fails, and nothing that was meant for it goes to Redis"""
    redis = Redis()
    where = ("--realm", REALM, "--store", redis.uri)
    run("user", "add", "alice", *where, stdin=PASSWORD)
    for command in (("show", "alice"), ("list",), ("list", "--json")):
        done = subprocess.run([CTL, "user", *command, *where], preexec_fn=lambda: os.close(1), stderr=subprocess.PIPE, check=False)
        tap.equal(done.returncode, FAILED, "exit status of %r: %r" % (command, done.stderr))
        tap.check(b"the output cannot be written" in done.stderr, "%r says %r" % (command, done.stderr))
    stats = redis.cli("info", "stats")
    tap.check(b"unexpected_error_replies:0" in stats, "what Redis heard: %r" % stats)


def test_configuration():
    """realm, store, listeners and secrets come from the configuration"""
    path = os.path.join(folder(), "turnpike.conf")
    store = sqlite_uri()
    with open(path, "w") as f:
        f.write('realm = "conf.example";\n'
                'listen = ( { transport = "tcp"; address = "*"; port = 3479; }, { transport = "udp"; address = "2001:db8::1"; } );\n'
                'relay = { external = [ "203.0.113.7" ]; };\n'
                'auth = { stores = [ "%s" ]; secrets = [ "from the file", "second" ]; };\n' % store)
    run("-c", path, "user", "add", "alice", stdin=PASSWORD)
    tap.equal(json.loads(run("user", "show", "alice", "--json", "-c", path)[0])["realm"], "conf.example", "realm")
    server = json.loads(run("ice-servers", "-c", path)[0])["iceServers"][0]
    tap.equal(server["urls"], ["turn:203.0.113.7:3479?transport=tcp", "turn:[2001:db8::1]:3478?transport=udp"], "urls")
    tap.equal(server["credential"], credential(b"from the file", server["username"]), "credential")
    server = json.loads(run("ice-servers", "-c", path, "--host", "::1")[0])["iceServers"][0]
    tap.equal(server["urls"], ["turn:[::1]:3479?transport=tcp", "turn:[::1]:3478?transport=udp"], "urls of --host")

    with open(path, "w") as f:
        f.write('realm = "conf.example";\nauth = { stores = [ "redis//x" ]; };\nworkers = -1;\n')
    _, err = run("-c", path, "user", "list", code=USAGE)
    tap.check(b"%s:2: auth.stores[0]: " % path.encode() in err and b"%s:3: workers: -1" % path.encode() in err, "says %r" % err)


if __name__ == "__main__":
    tap.main()
