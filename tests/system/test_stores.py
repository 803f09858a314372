# SPDX-License-Identifier: BSD-2-Clause
"""T18 and the life of a user: SQLite, Redis with its troubles, shared secrets; all without a restart of the daemon."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import stun
import tap
from daemon import add_user, ctl, Daemon, folder, json_of, must_ctl, REALM, Redis

PASSWORD = "correct horse battery staple"
KEY = "turnpike:{%s}:user:%s"
CHANNEL = "turnpike:invalidate"


def answer(d, user, password=PASSWORD, c=None, **kw):
    """None when an Allocate from a new client is granted, else the code. The allocation is deleted again, if the user still may."""
    own = c is None
    c = c or d.client(user=user, password=password, **kw)
    c.user, c.password = user, password
    code = c.try_allocate(timeout=30 * tap.SLOW).code
    if code is None:
        c.try_refresh(0)
    if own:
        c.close()
    return code


def until(what, fn):
    """Polls fn until it is true; how long that took."""
    begin = time.monotonic()
    tap.until(what, fn)
    return time.monotonic() - begin


def everywhere(d, code, user, password=PASSWORD, **kw):
    """Whether new clients get this answer, whichever worker they come to: each learns of a change by itself."""
    return all(answer(d, user, password, **kw) == code for _ in range(8))


def ctl_for(store, *args, stdin=None):
    return must_ctl(*args, "--realm", REALM, "--store", store, stdin=stdin)


def life_of_a_user(d, store):
    """add, use, disable, enable, passwd, delete: each seen by the running daemon within a second."""
    tap.equal(answer(d, "alice"), 401, "before user add")
    add_user(store, "alice", PASSWORD)
    waited = until("user add", lambda: answer(d, "alice") is None)
    until("user add at every worker", lambda: everywhere(d, None, "alice"))
    tap.diag("seen %.0f ms after user add" % (waited * 1000))
    for modern in (False, True):
        tap.equal(answer(d, "alice", modern=modern), None, "alice, modern %s" % modern)
    tap.equal(answer(d, "alice", modern=True, anonymous=True), None, "alice by USERHASH")
    tap.equal(answer(d, "alice", "wrong"), 401, "wrong password")

    holder = d.client(user="alice", password=PASSWORD)
    holder.allocate()
    ctl_for(store, "user", "disable", "alice")
    waited = until("user disable", lambda: holder.try_refresh().code == 401)
    tap.diag("refused %.0f ms after user disable" % (waited * 1000))
    until("new clients after user disable", lambda: everywhere(d, 401, "alice"))
    ctl_for(store, "user", "enable", "alice")
    until("user enable", lambda: holder.try_refresh().code is None)

    ctl_for(store, "user", "passwd", "alice", stdin="another\n")
    until("user passwd", lambda: everywhere(d, None, "alice", "another"))
    tap.equal(answer(d, "alice"), 401, "the old password")
    shown = json_of(ctl_for(store, "user", "show", "alice", "--json"))
    tap.check("alice" in json.dumps(shown), "user show: %r" % shown)
    tap.check("another" not in json.dumps(shown), "user show shows the password")
    ctl_for(store, "user", "delete", "alice")
    until("user delete", lambda: everywhere(d, 401, "alice", "another"))


def test_redis_life():
    """Redis: user add, disable, enable, passwd and delete are seen by the running daemon within a second"""
    redis = Redis()
    with Daemon(auth={"users": [], "stores": [redis.uri]}) as d:
        life_of_a_user(d, redis.uri)


def test_sqlite_life():
    """SQLite: the same"""
    path = os.path.join(folder(), "users.db")
    with Daemon(auth={"users": [], "stores": ["sqlite:" + path]}) as d:
        life_of_a_user(d, "sqlite:" + path)
        tap.equal(os.stat(path).st_mode & 0o007, 0, "permissions of the file for others")


def test_sqlite_file_replaced():
    """another SQLite file in the place of the first: told, and read after a reload; the same when it was removed"""
    home = folder()
    path, other = os.path.join(home, "users.db"), os.path.join(home, "other.db")
    add_user("sqlite:" + path, "alice", PASSWORD)
    with Daemon(workers=1, auth={"users": [], "stores": ["sqlite:" + path]}) as d:
        tap.equal(answer(d, "alice"), None, "alice")
        tap.check("replaced" not in d.read_log(), "told too early")
        for n, name in enumerate(("bob", "carol")):
            if n:
                os.unlink(path)
                for ending in ("-wal", "-shm"):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path + ending)
                add_user("sqlite:" + path, name, PASSWORD)
            else:
                add_user("sqlite:" + other, name, PASSWORD)
                os.rename(other, path)
            tap.equal(answer(d, name), 401, "%s before the reload" % name)
            tap.equal(d.read_log().count("users.db was replaced or removed"), n + 1, "lines about it")
            tap.equal(answer(d, name), 401, "%s once more" % name)
            tap.equal(d.read_log().count("users.db was replaced or removed"), n + 1, "lines about it then")
            os.kill(d.pid, signal.SIGHUP)
            until(name, lambda name=name: answer(d, name) is None)
            tap.equal(answer(d, "alice"), 401, "alice after the reload")


def test_redis_record():
    """Redis: the record is a hash of keys; neither it nor anything else in Redis holds the password"""
    redis = Redis()
    add_user(redis.uri, "alice", PASSWORD)
    key = KEY % (REALM, "alice")
    tap.equal(redis.cli("TYPE", key).strip(), "hash", "type of " + key)
    record = redis.cli("HGETALL", key)
    tap.diag("HGETALL %s: %s" % (key, " ".join(record.split())))
    tap.check(stun.key_md5("alice", REALM, PASSWORD).hex() in record, "no MD5 key")
    tap.check(stun.key_sha256("alice", REALM, PASSWORD).hex() in record, "no SHA-256 key")
    for k in redis.cli("KEYS", "*").split():
        kind = redis.cli("TYPE", k).strip()
        value = redis.cli(*{"hash": ("HGETALL", k), "set": ("SMEMBERS", k), "zset": ("ZRANGE", k, "0", "-1")}.get(
            kind, ("GET", k)))
        for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), PASSWORD.encode().hex()):
            tap.check(secret not in value, "%s holds the password" % k)


def test_sqlite_record():
    """SQLite: the file does not hold the password"""
    path = os.path.join(folder(), "users.db")
    add_user("sqlite:" + path, "alice", PASSWORD)
    data = b"".join(open(os.path.join(os.path.dirname(path), name), "rb").read() for name in os.listdir(os.path.dirname(path)))
    tap.check(b"alice" in data, "no user in the file")
    tap.check(PASSWORD.encode() not in data, "the password is in the file")


def test_cli_messages():
    """the CLI names what is wrong and exits with its own codes"""
    redis = Redis()
    store = redis.uri
    add_user(store, "alice", PASSWORD)
    code, _, err = ctl("user", "add", "alice", "--realm", REALM, "--store", store, stdin="x\n")
    tap.equal(code, 1, "exit code of a second user add")
    for word in ("alice", REALM, "passwd"):
        tap.check(word in err, "%r is not in %r" % (word, err))
    code, _, err = ctl("user", "disable", "bob", "--realm", REALM, "--store", store)
    tap.check(code == 1 and "bob" in err, "user disable of nobody: %d %r" % (code, err))
    for args in (("user",), ("user", "fly", "x"), ("user", "add"), ("user", "list", "--nonsense")):
        tap.equal(ctl(*args)[0], 2, "exit code of %r" % (args,))
    redis.kill()
    code, _, err = ctl("user", "list", "--realm", REALM, "--store", store)
    tap.check(code not in (0, 2) and str(redis.port) in err, "Redis away: %d %r" % (code, err))


def test_redis_killed_and_back():
    """T18: Redis killed: the known user goes on, also over a reload, an unknown one gets 500; Redis back: all works, no restart"""
    redis = Redis()
    add_user(redis.uri, "alice", PASSWORD)
    with Daemon(workers=1, auth={"users": [], "stores": [redis.uri]}) as d:
        pid = d.pid
        with d.client(user="alice", password=PASSWORD) as holder:
            holder.allocate()
            redis.kill()
            time.sleep(0.1)
            begin = time.monotonic()
            tap.equal(holder.refresh(), 600, "Refresh of a known user")
            holder.permit("127.0.0.2")
            tap.equal(answer(d, "alice"), None, "another client of a known user")
            tap.check(time.monotonic() - begin < 15 * tap.SLOW, "known users wait for auth.timeout while Redis is away")
            begin = time.monotonic()
            tap.equal(answer(d, "bob"), 500, "an unknown user")
            tap.diag("500 after %.0f ms" % ((time.monotonic() - begin) * 1000))
            tap.equal(answer(d, "alice", "wrong"), 401, "a wrong password of a known user")
            tap.check(d.answers(), "no Binding answer while Redis is away")
            os.kill(d.pid, signal.SIGHUP)  # such as for a new certificate
            d.wait_log("configuration reloaded")
            for _ in range(5):
                tap.equal(holder.refresh(), 600, "Refresh of a known user after a reload")
                time.sleep(0.05)
            redis.start()
            add_user(redis.uri, "bob", PASSWORD)
            waited = until("bob", lambda: answer(d, "bob") is None)
            tap.diag("works %.1f s after Redis is back" % waited)
            tap.equal(answer(d, "carol"), 401, "an unknown user afterwards")
            # Announcements are heard again on the new connection.
            ctl_for(redis.uri, "user", "disable", "bob")
            until("user disable after the return", lambda: answer(d, "bob") == 401)
            tap.equal(d.pid, pid, "process")
        tap.check(PASSWORD not in d.read_log(), "the password is in the log")


def test_redis_paused():
    """T18: Redis that hangs for 4 s: no stall for anyone else, 500 for unknown users, then all works"""
    redis = Redis()
    add_user(redis.uri, "alice", PASSWORD)
    add_user(redis.uri, "bob", PASSWORD)
    with Daemon(workers=1, auth={"users": [], "stores": [redis.uri], "timeout": 4000}) as d:
        with d.client(user="alice", password=PASSWORD) as holder, d.client(user="bob", password=PASSWORD) as bob:
            holder.allocate()
            bob.challenge()
            # A subscription that comes up later than the first look-up has everything asked once more.
            tap.until("a subscription", lambda: redis.cli("PUBSUB", "NUMSUB", CHANNEL).split()[1:] == ["1"])
            for _ in range(3):  # it has been told by now, and has had its turns to read it
                tap.check(d.answers(), "no Binding answer")
            holder.refresh()
            redis.pause()
            begin = time.monotonic()
            request = bob.signed(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")])
            bob.send_raw(request)
            worst = 0
            for _ in range(50):
                one = time.monotonic()
                tap.equal(holder.refresh(), 600, "Refresh of a known user")
                tap.check(d.answers(), "no Binding answer")
                worst = max(worst, time.monotonic() - one)
            tap.diag("worst answer while Redis hangs: %.1f ms" % (worst * 1000))
            tap.check(worst < 3.5 * tap.SLOW, "a stall of %.0f ms" % (worst * 1000))
            msg = bob.wait(request[8:20], bob.timeout)
            took = time.monotonic() - begin
            tap.equal(msg and msg.code, 500, "unknown user's code")
            tap.check(took > 3.8, "500 came after %.2f s with a timeout of 4 s" % took)
            # A retransmission meanwhile must not let anyone in or pile up.
            for _ in range(20):
                bob.send_raw(request)
            redis.resume()
            until("bob after the pause", lambda: answer(d, "bob") is None)


def test_redis_slow_then_found():
    """T18: Redis that hangs for half a second: the user waits and gets in"""
    redis = Redis()
    add_user(redis.uri, "alice", PASSWORD)
    with Daemon(workers=1, auth={"users": [], "stores": [redis.uri]}) as d, \
            d.client(user="alice", password=PASSWORD) as c:
        c.challenge()
        redis.pause()
        request = c.signed(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")])
        c.send_raw(request)
        c.send_raw(request)  # retransmitted while the first one waits
        tap.equal(c.wait(request[8:20], 0.5), None, "answer while Redis hangs")
        redis.resume()
        msg = c.wait(request[8:20], c.timeout)
        tap.equal(msg and msg.cls, stun.SUCCESS, "class of %r" % msg)
        again = c.wait(request[8:20], 1)
        if again:
            tap.equal(again.get(stun.XOR_RELAYED_ADDRESS), msg.get(stun.XOR_RELAYED_ADDRESS), "the retransmission's address")


def test_clients_that_leave_while_redis_hangs():
    """T18: TCP clients that go away while their look-up waits do no harm"""
    redis = Redis()
    with Daemon(workers=1, auth={"users": [], "stores": [redis.uri], "timeout": 500, "max_pending": 20}) as d:
        redis.pause()
        for n in range(40):
            with d.client("tcp", user="u%d" % n, password="x") as c:
                c.challenge()
                c.send_raw(c.signed(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")]))
        tap.check(d.answers(), "no Binding answer")
        # More than may wait: refused at once.
        clients = [d.client(user="v%d" % n, password="x") for n in range(30)]
        for c in clients:
            c.challenge()
        sent = [c.signed(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")]) for c in clients]
        for c, packet in zip(clients, sent):
            c.send_raw(packet)
        for c, packet in zip(clients, sent):
            msg = c.wait(packet[8:20], 60 * tap.SLOW)
            tap.equal(msg and msg.code, 500, "code")
        redis.resume()
        add_user(redis.uri, "alice", PASSWORD)
        until("alice", lambda: answer(d, "alice") is None)


def test_reload_while_redis_hangs():
    """requests that wait for Redis are answered after a SIGHUP, too: a client on TCP asks once"""
    redis = Redis()
    add_user(redis.uri, "alice", PASSWORD)
    with Daemon(workers=1, auth={"users": [], "stores": [redis.uri], "timeout": 20000}) as d:
        clients = [d.client(transport, user="alice", password=PASSWORD) for transport in ("tcp", "udp", "tcp")]
        gone = d.client("tcp", user="alice", password=PASSWORD)
        for c in clients + [gone]:
            c.challenge()
        redis.pause()
        allocate = [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")]
        sent = [c.signed(stun.ALLOCATE, allocate) for c in clients]
        for c, packet in zip(clients, sent):
            c.send_raw(packet + (c.signed(stun.REFRESH) if c.stream else b""))
        gone.send_raw(gone.signed(stun.ALLOCATE, allocate))
        gone.close()
        tap.check(d.answers(), "no Binding answer")
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("configuration reloaded")
        redis.resume()
        for c, packet in zip(clients, sent):
            msg = c.wait(packet[8:20], 30 * tap.SLOW)
            tap.equal(msg and msg.cls, stun.SUCCESS, "class of %r, %s" % (msg, c.transport))
            tap.equal(c.refresh(0), 0, "lifetime")


def test_redis_wrong_types():
    """T18: keys of a wrong type and records that make no sense let nobody in and break nothing"""
    redis = Redis()
    add_user(redis.uri, "alice", PASSWORD)
    md5 = stun.key_md5("eve", REALM, PASSWORD).hex()
    key = KEY % (REALM, "%s")
    records = {
        "string": ("SET", key % "string", md5),
        "list": ("LPUSH", key % "list", "a", "b"),
        "set": ("SADD", key % "set", md5),
        "nokeys": ("HSET", key % "nokeys", "created", "1"),
        "badhex": ("HSET", key % "badhex", "md5", "zz" * 16),
        "short": ("HSET", key % "short", "md5", "00"),
        "long": ("HSET", key % "long", "md5", "00" * 4000),
        "empty": ("HSET", key % "empty", "md5", ""),
        "numbers": ("HSET", key % "numbers", "md5", "00" * 16, "expires", "never", "disabled", "maybe", "max_allocations", "-1"),
        "huge": ("HSET", key % "huge", "x", "y" * 100000),
    }
    for args in records.values():
        redis.cli(*args)
    with Daemon(auth={"users": [], "stores": [redis.uri]}) as d:
        for user in records:
            for password in (PASSWORD, "", "pass"):
                code = answer(d, user, password)
                tap.check(code in (401, 500), "%s: %s" % (user, code))
            tap.equal(answer(d, "alice"), None, "alice after %s" % user)
        redis.cli("SET", "turnpike:{%s}:secrets" % REALM, "a string")
        name = "%d:x" % (time.time() + 60)
        code = answer(d, name, "x")
        tap.check(code in (401, 500), "secrets of a wrong type: %s" % code)
        redis.cli("PUBLISH", "turnpike:invalidate", "x" * 100000)
        redis.cli("PUBLISH", "turnpike:invalidate", "")
        redis.cli("PUBLISH", "turnpike:invalidate", "\xff\n%s%n {}")
        tap.equal(answer(d, "alice"), None, "alice after odd announcements")


def test_redis_full():
    """T18: a full Redis: the CLI fails with a message or has stored all of the record; those who are in it get in"""
    redis = Redis()
    add_user(redis.uri, "alice", PASSWORD)
    with Daemon(auth={"users": [], "stores": [redis.uri]}) as d:
        redis.cli("CONFIG", "SET", "maxmemory", "1")
        code, _, err = ctl("user", "add", "bob", "--realm", REALM, "--store", redis.uri, stdin="x\n")
        tap.diag("user add: %d %s" % (code, err.strip()))
        tap.check(code == 0 or "memory" in err.lower(), "user add: %d %r" % (code, err))
        tap.equal(answer(d, "alice"), None, "alice")
        tap.equal(answer(d, "bob", "x"), None if code == 0 else 401, "bob")


def test_redis_password():
    """Redis with a password: it is in the URI and nowhere in the log; a wrong one keeps all out"""
    redis = Redis()
    add_user(redis.uri, "alice", PASSWORD)
    redis.cli("CONFIG", "SET", "requirepass", "sesame")
    uri = "redis://:sesame@127.0.0.1:%d/0" % redis.port
    with Daemon(auth={"users": [], "stores": [uri]}) as d:
        until("alice", lambda: answer(d, "alice") is None)
        tap.check("sesame" not in d.read_log(), "the password of Redis is in the log")
    with Daemon(auth={"users": [], "stores": [uri.replace("sesame", "tahini")]}) as d:
        tap.equal(answer(d, "alice"), 500, "code with a wrong password of Redis")
        tap.check("tahini" not in d.read_log(), "the password of Redis is in the log")


def test_redis_coturn_layout():
    """layout=coturn: users and secrets of an existing coturn database get in"""
    redis = Redis()
    redis.cli("SET", "turn/realm/%s/user/carl/key" % REALM, stun.key_md5("carl", REALM, PASSWORD).hex())
    redis.cli("SADD", "turn/realm/%s/secret" % REALM, "shared")
    with Daemon(auth={"users": [], "stores": [redis.uri + "?layout=coturn"]}) as d:
        tap.equal(answer(d, "carl"), None, "carl")
        tap.equal(answer(d, "carl", "wrong"), 401, "carl with a wrong password")
        name = "%d:dora" % (time.time() + 60)
        tap.equal(answer(d, name, rest(name, "shared")), None, "a shared-secret user")
        tap.equal(answer(d, name, rest(name, "other")), 401, "with another secret")


def rest(user, secret):
    return base64.b64encode(hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()).decode()


def secrets_of(store):
    """secret add, two at once, ice-servers, retire."""
    with Daemon(auth={"users": [], "stores": [store]}) as d:
        now = int(time.time())
        ctl_for(store, "secret", "add", stdin="first secret\n")
        ctl_for(store, "secret", "add", stdin="second secret\n")
        name = "%d:zoe" % (now + 600)
        for secret in ("first secret", "second secret"):
            until(secret, lambda secret=secret: everywhere(d, None, name, rest(name, secret)))
        tap.equal(answer(d, name, rest(name, "third secret")), 401, "an unknown secret")
        listed = json_of(ctl_for(store, "secret", "list", "--json"))
        text = json.dumps(listed)
        tap.check("first secret" not in text and "second secret" not in text, "secret list shows the secrets")
        ident = hashlib.sha256(b"first secret").hexdigest()[:16]
        tap.check(ident in text, "%s is not in %s" % (ident, text))
        before = time.time()
        ice = json_of(ctl_for(store, "ice-servers", "--user", "zoe", "--ttl", "300", "--json", "--host", "127.0.0.1"))
        after = time.time()
        server = [s for s in ice["iceServers"] if "credential" in s][0]
        tap.check(server["username"].endswith(":zoe"), "user name %r" % server["username"])
        expiry = int(server["username"].split(":")[0]) - 300
        tap.check(before - 2 < expiry < after + 2, "expiry in %r" % server["username"])
        tap.equal(answer(d, server["username"], server["credential"]), None, "with what ice-servers gave")
        ctl_for(store, "secret", "retire", ident)
        until("secret retire", lambda: answer(d, name, rest(name, "first secret")) == 401)
        tap.equal(answer(d, name, rest(name, "second secret")), None, "the other secret")


def test_secrets_sqlite():
    """shared secrets in SQLite: two at once, ice-servers makes credentials that work, retire ends one"""
    secrets_of("sqlite:" + os.path.join(folder(), "users.db"))


def test_secrets_redis():
    """shared secrets in Redis: the same"""
    secrets_of(Redis().uri)


def test_too_many_secrets():
    """more shared secrets than are tried: the log says so once, the others work"""
    store = "sqlite:" + os.path.join(folder(), "users.db")
    secrets = ["secret %d" % n for n in range(8)]
    must_ctl("secret", "add", "--realm", REALM, "--store", store, stdin="one more\n")
    with Daemon(auth={"stores": [store], "secrets": secrets}) as d:
        name = "%d:bob" % (time.time() + 1000)
        for secret, wanted in ((secrets[0], stun.SUCCESS), (secrets[7], stun.SUCCESS), ("one more", stun.ERROR)):
            password = base64.b64encode(hmac.new(secret.encode(), name.encode(), hashlib.sha1).digest()).decode()
            with d.client(user=name, password=password) as c:
                tap.equal(c.try_allocate().cls, wanted, "class with %r" % secret)
        tap.equal(d.read_log().count("more than 8 shared secrets"), 1, "warnings")
    with Daemon(auth={"stores": [store], "secrets": secrets[:7]}) as d, d.client(user=name, password=password) as c:
        tap.equal(c.try_allocate().cls, stun.SUCCESS, "class with eight")
        tap.check("more than 8 shared secrets" not in d.read_log(), "a warning for eight")


def test_order_of_stores():
    """several stores: the first that knows the user answers; one that is away costs nobody else anything"""
    redis = Redis()
    path = "sqlite:" + os.path.join(folder(), "users.db")
    add_user(redis.uri, "alice", "redis")
    add_user(path, "alice", "sqlite")
    add_user(path, "bob", "sqlite")
    with Daemon(workers=1, auth={"users": [{"name": "carl", "password": "file"}], "stores": [path, redis.uri]}) as d:
        tap.equal(answer(d, "alice", "sqlite"), None, "alice of the first store")
        tap.equal(answer(d, "alice", "redis"), 401, "alice of the second store")
        redis.kill()
        tap.equal(answer(d, "bob", "sqlite"), None, "bob while Redis is away")
        tap.equal(answer(d, "carl", "file"), None, "carl while Redis is away")
        tap.equal(answer(d, "nobody", "x"), 500, "who may be in the store that is away")


def test_expired_user():
    """a user that expires is refused from that moment on"""
    store = "sqlite:" + os.path.join(folder(), "users.db")
    with Daemon(auth={"users": [], "stores": [store]}) as d:
        for seconds in (3, 10, 40):  # one that has expired before the answer is there shows nothing
            name, began = "brief%d" % seconds, time.monotonic()
            add_user(store, name, PASSWORD, "--expires", "%ds" % seconds)
            made, code = time.monotonic(), answer(d, name)
            if code is None or time.monotonic() - began < seconds - 1:
                break
        tap.equal(code, None, "before")
        time.sleep(max(0, made + seconds + 1.1 - time.monotonic()))
        tap.equal(answer(d, name), 401, "after")


if __name__ == "__main__":
    tap.main()
