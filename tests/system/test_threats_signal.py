#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Attacks on the signaling server: hostile names (T7), what is not one's own (T8), joins without end (T15), random bytes
(T17), certificates, descriptors and the end of the server (T19)."""

import base64
import glob
import json
import os
import random
import resource
import shutil
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import certs  # noqa: E402
import daemon  # noqa: E402
import tap  # noqa: E402
from websocket import CLOSE, PING, PONG, TEXT, Closed, Connection, WebSocket, fetch, frame  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SEEDS = os.path.join(os.path.dirname(HERE), "fuzz", "seeds")
BATCH = 500


def server(tls=None, **over):
    port = daemon.free_port()
    group = {"address": "127.0.0.1", "port": port, "address_connections": 100000, "register_timeout": 3600,
             "ping_interval": 3600, "request_timeout": 600, "rate": 1000000, "burst": 1000000, "rate_bytes": 0, **over.pop("signal", {})}
    if tls:
        over["tls"] = {"certificate": tls[0], "key": tls[1]}
        group["tls"] = True
    d = daemon.Daemon(signal=group, **over)
    d.http = port
    return d


def member(d, name, room=None, **kw):
    ws = WebSocket(d.http, **kw)
    ws.send_json(type="register", name=name)
    ws.registered = ws.expect("registered")
    if room:
        ws.send_json(type="join", room=room)
        ws.joined = ws.expect("joined")
    return ws


def until(what, fn):
    end = time.monotonic() + daemon.PATIENCE
    while not fn():
        tap.check(time.monotonic() < end, what)
        time.sleep(0.02)


# --- T7 ---

SHOWN = ("%s%n%x%s%s%n", "%s" * 30, "a/b/../../etc/passwd", "two words", "'; DROP TABLE users; --", '" OR 1=1',
         "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "*", "{example.org}:user", "\\", '\\"', "</script>", "&lt;", "../x",
         "\u00fcmlaut \u4e16\u754c \U0001f680", "u" * 64, "[]", "{}", "null", "-1", "a:b", "__proto__", "constructor")
REFUSED = ("", " ", "line\r\nFLUSHALL\r\n", "a\nb", "nul\0nul", "\0", "\x1b[31mred\x1b[0m", "\x7f", "\u202euser", "\u200b", "\u0085", "\ufeff",
           "u" * 65, "u" * 513, "u" * 60000, "\ufdd0", "0123456789abcdef0123")
NO_TEXT = (b"\xff\xfe\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4\xb8")


def check_log(d):
    """One line an event, printable, with nothing secret."""
    with open(d.log, "rb") as f:
        log = f.read()
    for byte in (b"\0", b"\r", b"\x1b", b"\x7f"):
        tap.check(byte not in log, "%r in the log" % byte)
    for line in log.decode("utf-8").split("\n"):
        tap.check(not line.startswith(("FLUSHALL", "b ", "X-Evil")), "a name began a line: %r" % line)
    return log


def knock(d):
    """Every name, of a user and of a room, by WebSocket, by HTTP, and as that of a credential on the relay."""
    seen = member(d, "witness")
    for name in SHOWN:
        ws = WebSocket(d.http)
        ws.send_json(type="register", name=name)
        tap.equal(ws.expect("registered")["name"], name, "name")
        tap.equal(seen.expect("useradd")["name"], name, "name, for others")
        ws.send_json(type="join", room=name)
        joined = ws.expect("joined")
        tap.equal(joined["room"], name, "room")
        seen.send_json(type="join", room=name)
        tap.equal(seen.expect("joined")["members"][0]["name"], name, "name of a member")
        ws.send_json(type="message", room=name, data=name)
        message = seen.expect("message")
        tap.equal((message["room"], message["name"], message["data"]), (name, name, name), "message")
        seen.send_json(type="leave", room=name)
        seen.expect("leaved")
        entry = joined["iceServers"][-1]
        with d.client(user=entry["username"], password=entry["credential"]) as c:
            c.allocate()
        ws.send_frame(CLOSE, struct.pack("!H", 1000))
        tap.equal(seen.expect("userdel")["name"], name, "who has gone")
        ws.close()
    for name in REFUSED:
        ws = WebSocket(d.http)
        ws.send_json(type="register", name=name)
        answer = ws.recv_json()
        tap.equal((answer["type"], answer.get("code")), ("error", "bad_request"), "answer to the name %r" % name[:70])
        ws.send_json(type="register", name="good")
        ws.expect("registered")
        if name != REFUSED[-1]:  # rooms have no ids
            ws.send_json(type="join", room=name)
            tap.equal(ws.recv_json().get("code"), "bad_request", "answer to the room %r" % name[:70])
        ws.send_json(type="message", to=name, data=1)
        tap.check(ws.recv_json().get("code") in ("bad_request", "no_such_user"), "answer to a message to %r" % name[:70])
        ws.send_frame(CLOSE, struct.pack("!H", 1000))
        tap.equal(ws.expect_close(), 1000, "closed")
        ws.close()
    for name in NO_TEXT:
        ws = WebSocket(d.http)
        ws.send_frame(TEXT, b'{"type":"register","name":"' + name + b'"}')
        tap.equal(ws.expect_close(), 1007, "%r" % name)
        ws.close()
    for raw in [name.encode() for name in SHOWN + REFUSED] + list(NO_TEXT):
        for head in (b"GET /" + raw + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /ice?token=" + raw + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     b"GET /ice HTTP/1.1\r\nHost: " + raw + b"\r\n\r\n", b"GET /ice HTTP/1.1\r\nHost: localhost\r\nOrigin: " + raw + b"\r\n\r\n",
                     b"GET /signal/" + raw + b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + raw + b"\r\n\r\n"):
            c = Connection(d.http)
            try:
                c.send(head)
                c.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # more than there may be
            c.ended()
            tap.check(b"\r\nX-Evil" not in c.buffer and b"alert(1)" not in c.buffer, "reflected: %r" % c.buffer[:300])
            c.close()
    seen.send_json(type="ping", id=1)
    seen.expect("pong")


def test_names():
    """T7: hostile names of users and rooms: as they are in JSON, harmless in logs and on the relay, or refused"""
    with server() as d:
        knock(d)
        tap.check(b"/%s%n%x%s%s%n" in check_log(d), "a path is logged as it is")


def test_names_json_log():
    """T7: the same with log.format = "json": every line is an object"""
    with server(log={"level": "debug", "format": "json", "target": "stderr"}) as d:
        knock(d)
        for line in check_log(d).splitlines():
            tap.check(isinstance(json.loads(line.decode("utf-8")), dict), "no object: %r" % line)


# --- T8 ---

def test_forged():
    """T8: a forged from, name or id is overwritten or ignored; the session of another is not resumed without its key"""
    with server(signal={"capacity": 3, "grace": 600}) as d:
        ann, bob, eve = (member(d, name, "r") for name in ("ann", "bob", "eve"))
        ids = {ws.registered["name"]: ws.registered["peer"] for ws in (ann, bob, eve)}
        forged = {"from": ids["ann"], "name": "ann", "peer": ids["ann"], "uid": ann.registered["uid"]}
        for extra in ({}, {"room": "r"}, {"to": "bob"}, {"to": ids["bob"]}, {"to": "bob", "room": "r"}, {"scope": "room-all"},
                      {"scope": "all"}):
            eve.send_json(type="message", data="x", **{**forged, **extra})
            got = bob.expect("message")
            tap.equal((got["from"], got["name"]), (ids["eve"], "eve"), "sender with %r" % extra)
        eve.send_json(type="offer", sdp="v=0", **forged)
        got = bob.expect("message")
        tap.equal((got["from"], got["data"]["from"]), (ids["eve"], ids["ann"]), "sender of a bare offer: data is data")
        eve.send_json(type="ack", to="bob", id=1, args=[1], **forged)
        tap.equal(bob.expect("ack")["from"], ids["eve"], "sender of an acknowledgement")
        # Messages of the server, from a client.
        for kind in ("joined", "bye", "otherjoin", "useradd", "registered", "goaway", "error"):
            eve.send_json(type=kind, room="r", id=ids["ann"], name="ann", reason="kick")
            tap.equal(eve.expect("error")["code"], "unknown_type", kind)
        key = ann.registered["resume"]
        tap.check(key.startswith(ids["ann"]) and len(key) > len(ids["ann"]) + 24, "a key that nobody is told")
        thief = WebSocket(d.http)
        for token in (ids["ann"], ids["ann"] + "0" * (len(key) - 20), key[:-1], key[:-1] + ("0" if key[-1] != "0" else "1"),
                      key.upper() if key.upper() != key else "", key + "0", ""):
            thief.send_json(type="resume", token=token)
            tap.equal(thief.expect("error")["code"], "no_such_session", "with %r" % token)
        thief.close()
        for name in ("ann", "ann ", " ann"):
            thief = WebSocket(d.http)
            thief.send_json(type="register", name=name)
            tap.equal(thief.expect("error")["code"], "name_taken", "registering as %r" % name)
            thief.send_json(type="register", name=ids["ann"])
            tap.equal(thief.expect("error")["code"], "bad_request", "registering as her id")
            thief.close()
        for one, other in ((ann, bob), (bob, ann)):
            one.send_json(type="message", to=other.registered["name"], data="still here")
            while other.expect("message")["data"] != "still here":
                pass


# --- T15 ---

def plain(message):
    """A frame with a mask of zeros, which is as good as any and can be counted in."""
    payload = json.dumps(message, separators=(",", ":")).encode()
    head = bytes([0x81, 0x80 | len(payload)]) if len(payload) < 126 else b"\x81\xfe" + struct.pack("!H", len(payload))
    return head + b"\0\0\0\0" + payload


def come_and_go(ws, batches, rooms):
    """Joins and leaves, all of them answered. rooms: frames, made before."""
    sent = b"".join(rooms)
    for _ in range(batches):
        ws.send(sent)
        left, rest = len(rooms), b""
        while left:
            data = rest + ws.sock.recv(1 << 20)
            tap.check(len(data) > len(rest), "the connection ended")
            left -= data.count(b'{"type":"leaved"')
            rest = data[-15:] if left else b""
            tap.check(b'"type":"error"' not in data, "an error: %r" % data[data.find(b'"error"') - 10:][:200])


@tap.limit(300)
def test_joins():
    """T15: two hundred thousand joins and leaves of ever new rooms (TP_JOINS: as many): flat memory"""
    count = int(os.environ.get("TP_JOINS", 20000 if tap.SANITIZED else 200000))
    with server(log={"level": "notice"}, signal={"backlog": 1 << 26, "grace": 1}) as d:
        ws = member(d, "comes and goes")
        names = iter(range(1 << 62))

        def batch():
            made = []
            for _ in range(BATCH):
                room = "room %d" % next(names)
                made.append(plain({"type": "join", "room": room}) + plain({"type": "leave", "room": room}))
            return made
        come_and_go(ws, 4, batch())
        before = d.rss()
        began = time.monotonic()
        for _ in range(max(count // BATCH // 10, 1)):
            come_and_go(ws, 10, batch())
        tap.diag("%.0f joins and leaves a second" % (count / (time.monotonic() - began)))
        tap.bounded(d.rss() - before, 1024, "%d joins and leaves" % count)
        # The same by clients that come and go themselves.
        for i in range(count // 200):
            if i == count // 400:
                before = d.rss()
            ws = WebSocket(d.http)
            ws.send(plain({"type": "register", "name": "n%d" % i}) + plain({"type": "join", "room": "r%d" % (i % 7)}))
            if i % 2:
                ws.send_frame(CLOSE, struct.pack("!H", 1000))
                ws.expect_close()
            elif i % 3:
                ws.expect("registered")
            ws.close()
        tap.bounded(d.rss() - before, 4096, "%d clients that come and go" % (count // 200))


# --- T17 ---

def mutate(r, data):
    data = bytearray(data)
    for _ in range(r.choice((0, 1, 1, 2, 3, 8))):
        if not data:
            break
        at = r.randrange(len(data))
        kind = r.randrange(6)
        if kind == 0:
            data[at] ^= 1 << r.randrange(8)
        elif kind == 1:
            data[at] = r.choice(b"\0\r\n \t:;,%\xff\x80\x7f/?\"{}")
        elif kind == 2:
            del data[at:at + r.choice((1, 1, 2, 16))]
        elif kind == 3:
            data[at:at] = r.randbytes(r.choice((1, 2, 8)))
        elif kind == 4:
            data[at:at] = data[at:at + r.randrange(40)] * r.randrange(4)
        else:
            del data[at:]
    return bytes(data)


def seeds(name):
    """What is in the seeds of a fuzzer, without its flags."""
    out = []
    for path in sorted(glob.glob(os.path.join(SEEDS, name, "*"))):
        with open(path, "rb") as f:
            data = f.read()
        out.append(data[1 + (data[0] & 15):])
    tap.check(out, "no seeds of " + name)
    return out


@tap.limit(300)
def test_mutations():
    """T17: 3,000 random mutations of requests and frames, in random pieces, several at a time: it lives, memory is flat"""
    r, before = random.Random(20), None
    requests, frames, count = seeds("http"), seeds("frames"), 3000 // tap.SLOW
    with server(log={"level": "notice"}, signal={"grace": 0}) as d:
        open_ones = []
        for n in range(count):
            if n % 2:
                c, data = Connection(d.http), b"".join(mutate(r, r.choice(requests)) for _ in range(r.choice((1, 1, 3))))
            else:
                c, data = WebSocket(d.http), b"".join(mutate(r, r.choice(frames)) for _ in range(r.choice((1, 2, 5))))
            try:
                while data:
                    size = r.choice((1, 7, 64, 1500, 65536))
                    c.send(data[:size])
                    data = data[size:]
                if r.randrange(3) == 0:
                    c.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            open_ones.append(c)
            if len(open_ones) > 30:
                open_ones.pop(r.randrange(len(open_ones))).close()
            if n % 500 == 0:
                tap.equal(fetch(d.http, "/ice").status, 200, "after %d" % n)
                before = d.rss() if n == count // 3 // 500 * 500 else before
        for c in open_ones:
            c.close()
        tap.equal(fetch(d.http, "/").status, 200, "the page")
        tap.bounded(d.rss() - (before or d.rss()), 4096, "%d mutations" % count)


# --- T19 ---

def test_certificates():
    """T19: SIGHUP gives new https and wss connections the new certificate; live ones go on; a bad one keeps the old, and says why"""
    one, two = certs.Authority("one"), certs.Authority("two")
    pem, key = (os.path.join(one.folder, name) for name in ("live.pem", "live.key"))

    def put(files):
        shutil.copy(files[0], pem)
        shutil.copy(files[1], key)

    def trusted(authority):
        try:
            return fetch(d.http, "/ice", tls=authority.context()).status == 200
        except OSError:
            return False
    put(one.issue())
    with server(tls=(pem, key)) as d:
        live = [member(d, "a", "r", tls=one.context()), member(d, "b", "r", tls=one.context())]
        kept = Connection(d.http, tls=one.context())
        tap.check(trusted(one) and not trusted(two), "the first certificate")
        put(two.issue())
        os.kill(d.pid, signal.SIGHUP)
        until("the new certificate is not used", lambda: trusted(two))
        tap.check(not trusted(one), "the old one is used")
        for what in (lambda: put((two.issue("good")[0], one.issue("bad")[1])), lambda: os.unlink(pem)):
            what()
            lines = d.read_log().count("the old configuration stays")
            os.kill(d.pid, signal.SIGHUP)
            until("no reason in the log", lambda: d.read_log().count("the old configuration stays") > lines)
            tap.check(trusted(two) and not trusted(one), "the old one stays")
        new = member(d, "c", tls=two.context())
        for ws in live + [new]:
            ws.send_frame(PING, b"alive")
            while ws.recv() != (PONG, b"alive"):
                pass
        live[0].send_json(type="message", room="r", data="over the old keys")
        tap.equal(live[1].expect("message")["data"], "over the old keys", "message")
        tap.equal(kept.get("/ice").status, 200, "a request on an old connection")


def cpu(d):
    with open("/proc/%d/stat" % d.pid, encoding="ascii") as f:
        return sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")


def test_descriptors():
    """T19: no descriptor left: those in rooms go on, the others wait without the server spinning; then all is well again"""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with server() as d:
        pair = [member(d, "a", "r"), member(d, "b", "r")]
        calm = len(os.listdir("/proc/%d/fd" % d.pid))
        numbers = max(int(n) for n in os.listdir("/proc/%d/fd" % d.pid)) + 1
        resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (numbers, hard))
        waiting = []
        while "cannot accept" not in d.read_log():
            waiting.append(Connection(d.http))
            if len(waiting) == 200:
                d.wait_log("cannot accept")
            time.sleep(0.01)
        waiting.append(Connection(d.http))  # accepted by the kernel
        waiting[-1].request("/ice")
        used = cpu(d)
        time.sleep(1)
        tap.check(cpu(d) - used < 0.7, "%.2f s of CPU in a second of waiting" % (cpu(d) - used))
        for i in range(20):
            pair[0].send_json(type="message", room="r", data=i)
            tap.equal(pair[1].expect("message")["data"], i, "message")
        pair[0].send_json(type="ice")
        tap.check(pair[0].expect("ice")["iceServers"], "credentials")
        tap.check(d.read_log().count("cannot accept") < 20, "the log is not flooded")
        resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (hard, hard))
        tap.equal(waiting[-1].response().status, 200, "the one that waited")
        for c in waiting:
            c.close()
        tap.equal(fetch(d.http, "/").status, 200, "a new one")
        until("descriptors are left", lambda: len(os.listdir("/proc/%d/fd" % d.pid)) <= calm + 2)


@tap.limit(300)
def test_sigterm():
    """T19: SIGTERM with thousands of WebSockets, event streams, half requests and one that does not read: goaway, 1001, exit 0"""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(3000, hard // 3) // tap.SLOW
    with server(log={"level": "notice"}, signal={"connections": 20000}) as d:
        sockets = [WebSocket(d.http) for _ in range(count)]
        for i, ws in enumerate(sockets[:-10]):  # some say nothing
            ws.send_json(type="register", name="n%d" % i)
            ws.send_json(type="join", room="r%d" % (i // 2))
        for ws in sockets[:-10]:
            ws.expect("joined")
        streams = []
        for _ in range(50):
            c = Connection(d.http)
            c.request("/signal/" + base64.urlsafe_b64encode(os.urandom(18)).decode())
            tap.equal(c.response().status, 200, "event stream")
            streams.append(c)
        half = [Connection(d.http) for _ in range(200)]
        for c in half:
            c.send(b"GET /signal HTTP/1.1\r\nHost: localhost\r\nUpgr")
        deaf = member(d, "deaf")
        for _ in range(40):
            sockets[0].send_json(type="message", to="deaf", data="x" * 20000)
        began = time.monotonic()
        d.stop()
        tap.diag("%d connections, ended in %.2f s" % (count + 251, time.monotonic() - began))
        for i, ws in enumerate(sockets):
            away, code = False, None
            try:
                while True:
                    opcode, payload = ws.recv()
                    away = away or (opcode == TEXT and b'{"type":"goaway"' in payload)
            except Closed as end:
                code = end.code
            tap.equal((away, code), (True, 1001), "goaway and close code of the connection %d" % i)
            ws.close()
        for c in streams:
            c.ended()
            tap.check(b'"goaway"' in c.buffer and b'event: close\ndata: {"code":1001' in c.buffer, "%r" % c.buffer[-200:])
        for c in half:
            tap.check(c.ended(), "half a request ends")
        deaf.close()
        d.start()
        tap.equal(fetch(d.http, "/ice").status, 200, "after a restart on the same port")


if __name__ == "__main__":
    tap.main()
