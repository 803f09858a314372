#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""WebSocket (RFC 6455) as the server speaks it, and the event stream for those who cannot have one."""

import base64
import hashlib
import hmac
import json
import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import daemon  # noqa: E402
import tap  # noqa: E402
from certs import Authority  # noqa: E402
from websocket import (BINARY, CLOSE, CONT, PING, PONG, TEXT, Closed, Connection, WebSocket, fetch, frame,  # noqa: E402
                       upgrade_headers)


def server(**signal):
    port = daemon.free_port()
    d = daemon.Daemon(signal={"address": "127.0.0.1", "port": port, "address_connections": 1000, "register_timeout": 600,
                              **signal})
    d.http = port
    return d


def ping_text(name):
    return json.dumps({"type": "ping", "id": name}, ensure_ascii=False).encode()


def expect_pong(ws, name):
    tap.equal(ws.recv_json(), {"type": "pong", "id": name}, "answer")


def member(d, name, room=None, cls=WebSocket, **kw):
    ws = cls(d.http, **kw)
    ws.send_json(type="register", name=name)
    ws.registered = ws.expect("registered")
    if room:
        ws.send_json(type="join", room=room)
        ws.expect("joined")
    return ws


def test_upgrade_errors():
    """What is no good opening handshake gets 426 or 400, and one with small differences is served"""
    with server() as d:
        good = upgrade_headers()
        for change, status in (({"Upgrade": None}, 426), ({"Connection": "keep-alive"}, 426), ({"Upgrade": "h2c"}, 426),
                               ({"Sec-WebSocket-Version": "8"}, 426), ({"Sec-WebSocket-Version": None}, 426),
                               ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": "short"}, 400),
                               ({"Sec-WebSocket-Key": "!" * 24}, 400),
                               ({"Sec-WebSocket-Key": base64.b64encode(b"x" * 17).decode()}, 400)):
            headers = {k: v for k, v in {**good, **change}.items() if v is not None}
            r = fetch(d.http, "/signal", headers=headers)
            tap.equal(r.status, status, "status with %r" % change)
            if status == 426:
                tap.equal(r.headers["sec-websocket-version"], "13", "the version that is spoken")
        tap.equal(fetch(d.http, "/signal", "POST", headers=good).status, 405, "POST")
        for change in ({"Upgrade": "h2c, WebSocket"}, {"Connection": "keep-alive, upgrade"},
                       {"Sec-WebSocket-Extensions": "permessage-deflate", "Sec-WebSocket-Protocol": "a, b"}):
            ws = WebSocket(d.http, headers=change)
            ws.send_frame(TEXT, ping_text("x"))
            expect_pong(ws, "x")
            ws.close()


def test_behind_the_request():
    """Frames that come in one segment with the request are not lost"""
    with server() as d:
        ws = WebSocket(d.http, early=frame(TEXT, ping_text("one")) + frame(TEXT, ping_text("two"))[:7])
        expect_pong(ws, "one")
        ws.close()
        rest = frame(TEXT, ping_text("three"))
        ws = WebSocket(d.http, early=rest[:3])
        ws.send(rest[3:])
        expect_pong(ws, "three")


def test_fragments():
    """Messages in pieces, control frames between them, pieces of nothing, byte by byte: all arrive whole"""
    with server() as d:
        ws = WebSocket(d.http)
        text = ping_text("f\u00fc\u4e16\U0001f30d")
        for cut in range(1, len(text), 5):
            ws.send(frame(TEXT, text[:cut], fin=False) + frame(CONT, text[cut:]))
            expect_pong(ws, "f\u00fc\u4e16\U0001f30d")
        pieces = [frame(TEXT, text[:1], fin=False)]
        for i in range(1, len(text)):
            pieces += [frame(CONT, b"", fin=False), frame(PING, b"p%d" % i), frame(CONT, text[i:i + 1], fin=False)]
        ws.send(b"".join(pieces) + frame(CONT, b""))
        for i in range(1, len(text)):
            tap.equal(ws.recv(), (PONG, b"p%d" % i), "pong")
        expect_pong(ws, "f\u00fc\u4e16\U0001f30d")
        for byte in frame(TEXT, text):
            ws.send(bytes([byte]))
        expect_pong(ws, "f\u00fc\u4e16\U0001f30d")
        for size in (0, 1, 125):
            ws.send_frame(PING, b"x" * size)
            tap.equal(ws.recv(), (PONG, b"x" * size), "pong of %d bytes" % size)
        ws.send_frame(PONG, b"nobody asked")
        for size in (125, 126, 127, 65535, 65536):
            padded = ping_text("n") + b" " * (size - len(ping_text("n")))
            ws.send_frame(TEXT, padded)
            expect_pong(ws, "n")


def test_broken_frames():
    """Each rule that a frame can break ends the connection with its code"""
    close = lambda code, text=b"": struct.pack("!H", code) + text  # noqa: E731
    cases = [
        ("unmasked text", frame(TEXT, ping_text("x"), mask=False), 1002),
        ("unmasked close", frame(CLOSE, close(1000), mask=False), 1002),
        ("reserved bit 1", frame(TEXT, b"{}", rsv=4), 1002),
        ("reserved bit 2", frame(BINARY, b"{}", rsv=2), 1002),
        ("reserved bit 3 of a ping", frame(PING, b"", rsv=1), 1002),
        ("a ping of 126 bytes", frame(PING, b"x" * 126), 1002),
        ("a ping in fragments", frame(PING, b"x", fin=False), 1002),
        ("a close in fragments", frame(CLOSE, b"", fin=False), 1002),
        ("a continuation of nothing", frame(CONT, b"x"), 1002),
        ("text inside of text", frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002),
        ("a length of 2^63", frame(BINARY, b"x", length=1 << 63), 1002),
        ("close with one byte", frame(CLOSE, b"\x03"), 1002),
        ("close with 999", frame(CLOSE, close(999)), 1002),
        ("close with 1005", frame(CLOSE, close(1005)), 1002),
        ("close with 1006", frame(CLOSE, close(1006)), 1002),
        ("close with 5000", frame(CLOSE, close(5000)), 1002),
        ("close with a reason that is no UTF-8", frame(CLOSE, close(1000, b"\xff")), 1007),
        ("text that is no UTF-8", frame(TEXT, b'{"type":"\xc3\x28"}'), 1007),
        ("a surrogate", frame(TEXT, b'"\xed\xa0\x80"'), 1007),
        ("an overlong form", frame(TEXT, b'"\xc0\xaf"'), 1007),
        ("beyond U+10FFFF", frame(TEXT, b'"\xf4\x90\x80\x80"'), 1007),
        ("text that ends within a character", frame(TEXT, b'"\xe4\xb8'), 1007),
        ("no UTF-8 in the second fragment", frame(TEXT, b'"\xe4', fin=False) + frame(CONT, b"\xff\xff"), 1007),
        ("text of 64 KiB and a byte", frame(TEXT, b" " * 65537), 1009),
        ("a header that says so", frame(TEXT, b"x", length=65537), 1009),
        ("fragments that add up to it", frame(TEXT, b" " * 65000, fin=False) + frame(CONT, b" " * 537), 1009),
        ("binary of 1 MiB and a byte", frame(BINARY, b"x", length=(1 << 20) + 1), 1009),
        ("a length of 2^62", frame(BINARY, b"x", length=1 << 62), 1009),
    ] + [("opcode %d" % n, frame(n, b"x"), 1002) for n in (3, 7, 11, 15)]
    with server() as d:
        other = WebSocket(d.http)
        for what, data, code in cases:
            ws = WebSocket(d.http)
            # What stands behind the mistake is not read any more.
            ws.send(data + frame(TEXT, ping_text("behind")))
            got = ws.expect_close()
            tap.equal(got, code, what)
            ws.close()
        other.send_frame(TEXT, ping_text("alive"))
        expect_pong(other, "alive")


def test_closing():
    """A Close frame is answered with its code, and the server ends the connection"""
    with server() as d:
        for payload in (b"", struct.pack("!H", 1000), struct.pack("!H", 1001) + b"bye", struct.pack("!H", 4999)):
            ws = WebSocket(d.http)
            ws.send(frame(CLOSE, payload) + frame(TEXT, ping_text("too late")))
            opcode, answer, _ = ws.recv_frame()
            tap.equal((opcode, answer[:2]), (CLOSE, payload[:2]), "the answer")
            tap.check(ws.ended() and not ws.buffer, "nothing follows")
        ws = WebSocket(d.http)
        ws.close()  # without a word


def test_tiny_fragments():
    """A message in fragments of one byte takes no more memory than in one"""
    with server() as d:
        warm = WebSocket(d.http)
        warm.send_frame(TEXT, ping_text("x"))
        expect_pong(warm, "x")
        before = d.rss()
        senders = [WebSocket(d.http) for _ in range(4)]
        piece = frame(CONT, b"x", fin=False) * 4096
        for ws in senders:
            ws.send(frame(BINARY, b"x", fin=False))
            for _ in range(240000 // 4096):
                ws.send(piece)
            ws.send_frame(PING, b"")
            tap.equal(ws.recv(), (PONG, b""), "all was read")
        tap.bounded(d.rss() - before, 4096, "4 x 240,000 fragments")


def test_kicked():
    """Whoever is closed for what it has sent is out of its rooms at once; for a broken frame it may come back"""
    with server(grace=3600) as d:
        for what, bad, code, reason in (("no UTF-8", frame(TEXT, b"\xff"), 1007, "kick"), ("too long", frame(TEXT, b"", length=65537), 1009, "kick"),
                                        ("binary, too long", frame(2, b"", length=1 << 24), 1009, "kick"),
                                        ("no such frame", frame(3), 1002, None)):
            a, b = member(d, "alice " + what, what), member(d, "bob", what)
            a.send(bad)
            tap.equal(a.expect_close(), code, what)
            if reason:
                tap.equal(b.expect("bye")["reason"], reason, what)
            again = WebSocket(d.http)
            again.send_json(type="resume", token=a.registered["resume"])
            tap.check(again.expect("error" if reason else "registered"), what)
            b.send_frame(CLOSE, struct.pack("!H", 1000))
            b.expect_close()


def test_slow_reader():
    """A member that never reads is closed with 1013 and costs no more than its backlog; the sender does not notice"""
    with server(rate=100000, burst=100000, rate_bytes=0) as d:
        deaf, sender = member(d, "deaf", "r"), member(d, "sender", "r")
        deaf.expect("otherjoin")
        before = d.rss()
        data = "x" * 60000
        end = time.monotonic() + daemon.PATIENCE
        while "1013" not in d.read_log():
            tap.check(time.monotonic() < end, "the deaf one is closed")
            for _ in range(20):
                sender.send_json(type="message", room="r", data=data)
            sender.send_frame(TEXT, ping_text("here"))
            sender.expect("pong")
        # Its backlog, and what is held for it until its grace is over.
        tap.bounded(d.rss() - before, 4096, "for one that does not read")
        sender.send_frame(TEXT, ping_text("still"))
        sender.expect("pong")
        tap.check(deaf.ended(), "its connection ends")


def test_pings_unread():
    """A client that pings and never reads the answers is closed, too"""
    with server(backlog=65536) as d:
        ws = WebSocket(d.http)
        data = frame(PING, b"x" * 125) * 200
        ws.sock.settimeout(daemon.PATIENCE)
        before = d.rss()
        try:
            while True:
                ws.send(data)
        except OSError:
            pass
        tap.bounded(d.rss() - before, 4096, "pongs for one that does not read")
        tap.equal(fetch(d.http, "/ice").status, 200, "the server lives")


def test_half_closed():
    """Connections that vanish without a word leave nothing behind"""
    with server() as d:
        def round_trip():
            for _ in range(50):
                ws = WebSocket(d.http)
                ws.send(frame(TEXT, b"{", fin=False) + frame(TEXT, b"x" * 2000)[:1000])
                ws.close()
            last = WebSocket(d.http)
            last.send_frame(TEXT, ping_text("x"))
            expect_pong(last, "x")
            last.close()
        for _ in range(4):
            round_trip()
        before = d.rss()
        for _ in range(10):
            round_trip()
        tap.bounded(d.rss() - before, 1024, "500 lost connections")


def test_tls():
    """wss: what comes in one record with the request, many messages in one write, and more than sockets and records hold"""
    authority = Authority()
    certificate, key = authority.issue()
    port = daemon.free_port()
    with daemon.Daemon(tls={"certificate": certificate, "key": key},
                       signal={"address": "127.0.0.1", "port": port, "tls": True, "rate": 100000, "burst": 100000, "rate_bytes": 0}) as d:
        d.http = port
        context = authority.context()
        ws = WebSocket(d.http, tls=context, early=frame(TEXT, ping_text("one")) + frame(TEXT, ping_text("two"))[:7])
        expect_pong(ws, "one")
        ws.close()
        a, b = member(d, "alice", "r", tls=context), member(d, "bob", "r", tls=context)
        a.expect("otherjoin")
        for sizes in ((1,) * 500, (16384,), (60000,) * 40, (1, 60000, 16000, 2)):
            texts = [json.dumps({"type": "message", "room": "r", "data": "%d " % i + "x" * n}).encode() for i, n in enumerate(sizes)]
            b.send(b"".join(frame(TEXT, text) for text in texts))
            for text in texts:  # alice reads only now
                tap.equal(a.expect("message")["data"], json.loads(text)["data"], "what came")
        a.send_frame(CLOSE, struct.pack("!H", 1000))
        tap.equal(a.expect_close(), 1000, "the answer to Close")
        tap.equal(b.expect("bye")["name"], "alice", "who left")


def test_two_members():
    """Two strangers meet in a room, with credentials; the third finds it full; the first leaves"""
    with server() as d:
        a = WebSocket(d.http)
        a.send_json(type="register", name="alice")
        a.expect("registered")
        a.send_json(type="join", room="r")
        joined = a.expect("joined")
        tap.check(any("turn:127.0.0.1:%d?transport=udp" % d.port in s["urls"] for s in joined["iceServers"]), "iceServers")
        entry = [s for s in joined["iceServers"] if "credential" in s][0]
        with d.client(user=entry["username"], password=entry["credential"]) as c:
            c.allocate()
        b = member(d, "bob", "r")
        tap.equal(a.expect("otherjoin")["name"], "bob", "who came")
        sdp = {"type": "offer", "sdp": "v=0\r\n\u00fc<b>"}
        b.send_json(type="message", room="r", data=sdp)
        message = a.expect("message")
        tap.equal((message["name"], message["data"]), ("bob", sdp), "the message")
        c = member(d, "carol")
        c.send_json(type="join", room="r")
        c.expect("full")
        b.send_frame(CLOSE, struct.pack("!H", 1000))
        tap.equal(a.expect("bye")["name"], "bob", "who left")


class Stream(Connection):
    """The event stream and its posts, with the methods of a WebSocket that the tests use."""

    def __init__(self, port, session=None, **kw):
        super().__init__(port, **kw)
        self.session = session or base64.urlsafe_b64encode(os.urandom(18)).decode()
        self.request("/signal/" + self.session, headers={"Accept": "text/event-stream"})
        answer = self.response()
        tap.equal((answer.status, answer.headers["content-type"]), (200, "text/event-stream"), "answer")

    def post(self, body, **kw):
        return fetch(self.port, "/signal/" + self.session, "POST", body=body, **kw)

    def send_json(self, **message):
        tap.equal(self.post(json.dumps(message).encode()).status, 204, "status of a post")

    def event(self):
        """(name, data) of the next one."""
        while True:
            name, data = "message", []
            for line in self.take_until(b"\n\n").decode().split("\n"):
                field, _, value = line.partition(":")
                if field == "data":
                    data.append(value[1:] if value.startswith(" ") else value)
                elif field == "event":
                    name = value.strip()
            if data:
                return name, "\n".join(data)

    def expect(self, kind):
        while True:
            name, data = self.event()
            message = daemon.json_of(data)
            if name == "message" and message.get("type") == kind:
                return message


def test_event_stream():
    """Without WebSocket: posts up, events down, in a room with one who has one"""
    with server() as d:
        a, b = member(d, "alice", "r"), member(d, "bob", "r", Stream)
        tap.equal(a.expect("otherjoin")["name"], "bob", "who came")
        b.send_json(type="message", room="r", data={"n": 1})
        tap.equal(a.expect("message")["data"], {"n": 1}, "up")
        # Line ends between tokens of JSON are the only ones that may reach an event.
        a.send_frame(TEXT, b'{"type":"message","room":"r","data":{\n"n":\r\n2, "text":"\\n\xc3\xbc"}}')
        tap.equal(b.expect("message")["data"], {"n": 2, "text": "\n\u00fc"}, "down")
        tap.equal(b.post(b" " * 65537).status, 413, "a post that is too long")
        tap.equal(b.post(b'"\xff"').status, 400, "no UTF-8")
        tap.equal(fetch(d.http, "/signal/" + b.session, "DELETE").status, 405, "another method")
        tap.equal(b.post(b'{"type":"ping"}', headers={"Origin": "https://evil.example"}).status, 403, "another origin")
        b.close()
        tap.equal(fetch(d.http, "/signal/" + "x" * 30, "POST", body=b"{}").status, 404, "a session that is not there")
        tap.equal(fetch(d.http, "/signal/short").status, 404, "an id that can be guessed")


def test_event_stream_again():
    """A stream that is opened again takes the place of the old one, which may be dead"""
    with server() as d:
        first = Stream(d.http)
        second = Stream(d.http, first.session)
        tap.check(first.ended(), "the first ends")
        second.send_json(type="ping", id="x")
        tap.equal(second.expect("pong")["id"], "x", "the second is there")


def test_limits_of_one():
    """More connections than an address may have: 503 with Retry-After, event streams counted, too"""
    with server(address_connections=3) as d:
        held = [WebSocket(d.http), WebSocket(d.http), Stream(d.http)]
        r = fetch(d.http, "/signal", headers=upgrade_headers())
        tap.equal(r.status, 503, "a fourth")
        tap.check(int(r.headers["retry-after"]) > 0, "Retry-After")
        held[0].send_frame(CLOSE)
        tap.check(held[0].expect_close() is None, "closed")
        end = time.monotonic() + daemon.PATIENCE
        while fetch(d.http, "/signal", headers=upgrade_headers()).status != 101:
            tap.check(time.monotonic() < end, "there is room again")
            time.sleep(0.05)


def token(secret, **claims):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    body = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (body + b"." + part(hmac.new(secret.encode(), body, hashlib.sha256).digest())).decode()


def test_tokens():
    """With jwt_secrets nobody gets credentials without a token, by header or query"""
    secret, now = "0123456789abcdef0123456789abcdef", int(time.time())
    with server(jwt_secrets=[secret]) as d:
        good = token(secret, sub="alice", exp=now + 600)
        for text, status in ((None, 401), ("x.y.z", 401), (token("f" * 32, sub="alice", exp=now + 600), 401),
                             (token(secret, sub="alice", exp=now - 600), 401), (good, 200)):
            headers = {"Authorization": "Bearer " + text} if text else {}
            tap.equal(fetch(d.http, "/ice", headers=headers).status, status, "with %r" % text)
        answer = fetch(d.http, "/ice?x=1&token=" + good).json()
        tap.check(answer["iceServers"][-1]["username"].endswith(":alice"), "the name in it")
        ws = WebSocket(d.http, path="/signal?token=" + good)
        ws.send_json(type="register", name="alice")
        ws.expect("registered")
        ws = WebSocket(d.http)
        ws.send_json(type="register", name="bob")
        tap.equal(ws.expect_close(), 4401, "close code without one")
        tap.check(good not in d.read_log(), "tokens are not logged")


def ends(answer):
    """When the credential ends, after a look that ttl says the same."""
    entry = answer if "username" in answer else answer["iceServers"][-1]
    end = int(entry["username"].split(":")[0])
    tap.check(end - 2 <= time.time() + answer["ttl"] < end + daemon.PATIENCE, "ttl is what is left")
    return end


def test_credentials_end_with_the_token():
    """iceServers are good for signal.ttl, but not beyond the token: in joined, ice, /ice and in Matrix's form"""
    secret, now = "0123456789abcdef0123456789abcdef", int(time.time())
    with server(jwt_secrets=[secret], ttl=3600) as d:
        def ask(text):
            headers = {"Authorization": "Bearer " + text}
            return [fetch(d.http, path, headers=headers).json() for path in ("/ice", "/_matrix/client/v3/voip/turnServer")]

        short, long = (token(secret, sub="alice", exp=now + seconds) for seconds in (900, 90000))
        ws = WebSocket(d.http)
        ws.send_json(type="register", token=short)
        ws.expect("registered")
        ws.send_json(type="join", room="r")
        joined = ws.expect("joined")
        ws.send_json(type="ice")
        for answer in [joined, ws.expect("ice"), *ask(short)]:
            tap.equal(ends(answer), now + 900, "the end of the credential")
        entry = joined["iceServers"][-1]
        with d.client(user=entry["username"], password=entry["credential"]) as c:
            c.allocate()
        ws.send_json(type="register", token=long)
        ws.expect("registered")
        for answer in [ws.expect("ice"), *ask(long)]:
            tap.check(now + 3600 <= ends(answer) < now + 90000, "that of signal.ttl")


def test_messages_after_the_close():
    """Whoever is closed by the server can say nothing more"""
    with server() as d:
        ws = WebSocket(d.http)
        ws.send(frame(TEXT, b"not JSON") * 30)
        tap.equal(ws.expect_close(), 1008, "after too many mistakes")
        try:
            ws.recv()
        except (Closed, OSError):
            pass


if __name__ == "__main__":
    tap.main()
