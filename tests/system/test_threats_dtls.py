#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""T13: what strangers can send to a DTLS listener, and what a client with a session can."""

import contextlib
import itertools
import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import dtls
import tap
from certs import Authority
from daemon import Daemon, free_port

FLOOD = 100000 // tap.SLOW
VERIFY = 3  # HelloVerifyRequest
NUMBERS = itertools.count()


def serve(**over):
    port = free_port()
    return Daemon(port=port, listen=[{"transport": "udp+dtls", "address": "*", "port": port}], workers=1,
                  tls=Authority().settings(), **over)


def u24(n):
    return n.to_bytes(3, "big")


def record(kind, fragment, epoch=0, number=0, length=None):
    return struct.pack("!BHHHIH", kind, 0xFEFD, epoch, 0, number, len(fragment) if length is None else length) + fragment


def handshake(kind, body, sequence=0, at=0, length=None):
    return bytes([kind]) + u24(len(body) if length is None else length) + struct.pack("!H", sequence) + u24(at) + \
        u24(len(body)) + body


def hello_body(cookie=b"", extensions=True, nonce=b"r" * 32):
    more = bytes.fromhex("000a00040002001d" "000b00020100" "000d0004000204030017" "0000")
    return b"\xfe\xfd" + nonce + b"\0" + bytes([len(cookie)]) + cookie + b"\0\2\xc0\x2b\1\0" + \
        (struct.pack("!H", len(more)) + more if extensions else b"")


def hello(cookie=b"", sequence=0, **kw):
    return record(22, handshake(1, hello_body(cookie, **kw), sequence), number=sequence)


def stranger(d, port=0):
    sock = client.udp_socket("127.0.0.1", port)
    tap.cleanup(sock.close)
    sock.connect(d.server)
    return sock


def cookie_of(answer):
    tap.equal((answer[0], answer[13]), (22, VERIFY), "type of record and message")
    return answer[28:]


def verified(sock, **kw):
    """The cookie that this socket gets."""
    sock.send(hello(**kw))
    return cookie_of(sock.recv(2048))


def sessions(d):
    """Handshakes that the server began, finished or given up: they all end in the log at last."""
    return d.read_log().count(" dtls client=")


def session(d):
    """A client with an allocation, and its peer on a channel."""
    c = d.client("dtls")
    c.allocate()
    peer = client.udp_socket("127.0.0.1")
    tap.cleanup(peer.close)
    c.bind(client.name_of(peer), 0x4000)
    return c, peer


def works(c, peer):
    """Data still pass, both ways. A flood may have filled the server's receive buffer for a while."""
    want, before = b"still there %d" % next(NUMBERS), peer.gettimeout()
    peer.settimeout(0.5 * tap.SLOW)

    def there():
        c.send_channel(0x4000, want)
        with contextlib.suppress(socket.timeout):
            while (got := peer.recvfrom(2048))[0] != want:
                tap.check(got[0].startswith(b"still there"), "the peer got %r" % got[0])
            return got[1]
    where = tap.until("what the peer gets", there)
    peer.settimeout(before)
    peer.sendto(want, where)
    data = c.recv()
    tap.check(data and data.payload == want, "nothing came back")


def silent(sock, seconds=0.2):
    got = client.received(sock, seconds)
    tap.equal(got, None, "answer")


def test_flood_of_hellos():
    """T13: 100,000 ClientHellos without a cookie, or with a wrong one, keep no state"""
    with serve() as d:
        c, peer = session(d)
        sock = stranger(d)
        sock.setblocking(False)

        def flood(count):
            answers = 0
            for i in range(count):
                try:
                    sock.send(hello(cookie=b"" if i & 1 else os.urandom(21), sequence=i >> 1 & 1, nonce=os.urandom(32)))
                except BlockingIOError:
                    pass
                while i % 16 == 0:
                    try:
                        sock.recv(2048)
                        answers += 1
                    except BlockingIOError:
                        break
            return answers

        def growth():
            before = d.rss()
            answers, end = flood(FLOOD), time.monotonic() + 60 * tap.SLOW
            while answers <= 1000:
                tap.check(time.monotonic() < end, "the flood was not answered, so it did not arrive: %d" % answers)
                answers += flood(2000)
            works(c, peer)
            tap.diag("%d ClientHellos, %d answers: %d KiB" % (FLOOD, answers, d.rss() - before))
            return d.rss() - before

        flood(2000)
        lines = sessions(d)
        # A server that lags behind uses receive slots for the first time, 2 MiB of them; what is kept of a flood is kept of each.
        kept = growth()
        for _ in range(2):
            if kept >= 512:
                kept = min(kept, growth())
        tap.bounded(kept, 512, "100,000 ClientHellos")
        tap.equal(sessions(d), lines, "handshakes")
        other, other_peer = session(d)
        works(other, other_peer)


def test_amplification():
    """T13: no answer to a stranger is longer than what it answers, and there is one at most"""
    with serve() as d:
        for extensions in (True, False):
            sock = stranger(d)
            sent = hello(extensions=extensions)
            sock.send(sent)
            answer = sock.recv(2048)
            tap.check(len(answer) <= len(sent), "%d bytes for %d" % (len(answer), len(sent)))
            silent(sock)
            tap.diag("%d bytes for %d: factor %.2f" % (len(answer), len(sent), len(answer) / len(sent)))


def test_rate():
    """T13: limits.unauthenticated_rate holds for them too"""
    with serve(limits={"unauthenticated_rate": 10}) as d:
        sock = stranger(d)
        began = time.monotonic()
        for _ in range(500):
            sock.send(hello())
        with d.client(source="127.0.7.1") as other:  # behind them: when it is answered, they have been handled
            tap.check(other.binding(), "another prefix is not answered")
        took, answers = time.monotonic() - began, 0
        while client.received(sock, 0.5):
            answers += 1
        tap.check(10 <= answers <= 100 + 10 * took, "%d answers to 500 ClientHellos" % answers)


def test_cookies():
    """T13: a cookie is good for its address, its port and its ClientHello only"""
    with serve() as d:
        sock, other = stranger(d), stranger(d)
        cookie = verified(sock)
        lines = sessions(d)
        for why, where, sent in (
                ("another port's", other, hello(cookie, 1)),
                ("another ClientHello's", sock, hello(cookie, 1, nonce=b"s" * 32)),
                ("cut", sock, hello(cookie[:-1], 1)),
                ("changed", sock, hello(cookie[:-1] + bytes([cookie[-1] ^ 1]), 1)),
                ("of 255 bytes", sock, hello(cookie + bytes(255 - len(cookie)), 1))):
            where.send(sent)
            answer = where.recv(2048)
            tap.equal((answer[13], len(answer)), (VERIFY, 49), "answer to a cookie that is " + why)
        tap.equal(sessions(d), lines, "handshakes")
        sock.send(hello(cookie, 1))
        tap.equal(sock.recv(2048)[13], 2, "answer to the right cookie")


def test_fragments():
    """T13: a ClientHello in pieces is not put together, and lengths that lie get no answer"""
    with serve() as d:
        sock = stranger(d)
        cookie = verified(sock)
        for body, sequence in ((hello_body(), 0), (hello_body(cookie), 1)):
            whole = len(body)
            for sent in (
                    record(22, handshake(1, body[:30], sequence, 0, whole)), record(22, handshake(1, body[30:], sequence, 30, whole)),
                    record(22, handshake(1, body, sequence, 0, 0xFFFFFF)), record(22, handshake(1, body, sequence, 1, whole)),
                    record(22, handshake(1, body, sequence), length=65535), record(22, handshake(1, body, sequence), length=12),
                    record(22, handshake(1, body[:-1], sequence)), record(22, handshake(1, body + b"\0", sequence)),
                    record(22, handshake(1, body, sequence))[:40], record(22, b""), b"\x16", b"\x16\xfe\xfd"):
                sock.send(sent)
        silent(sock, 0.5)
        tap.equal(verified(sock)[1:], cookie[1:], "cookie afterwards")


def test_strangers():
    """T13: application data, alerts and the rest of a handshake from those who have no session: no word"""
    with serve() as d:
        c, peer = session(d)
        sock = stranger(d)
        before = d.rss()
        for i in range(20000):
            kind = random.choice((20, 21, 22, 23, 24, 25, 63))
            size = random.randrange(1, 1200)
            body = os.urandom(size) if kind != 22 else bytes([random.choice((0, 2, 11, 16, 20))]) + os.urandom(size)
            try:
                sock.send(record(kind, body, random.randrange(3), i))
            except BlockingIOError:
                pass
        silent(sock, 0.5)
        works(c, peer)
        tap.bounded(d.rss() - before, 512, "20,000 datagrams of strangers")


def test_forged():
    """T13: what a stranger sends from a client's address ends nothing"""
    with serve() as d:
        c, peer = session(d)
        raw = c.sock.sock
        real = c.sock.sent[-1]
        for kind in (20, 21, 22, 23, 24):
            for epoch in (0, 1, 2, 65535):
                for body in (b"\1", b"\2\0", b"\1\0", b"\2\x28", os.urandom(40), os.urandom(1200)):
                    raw.send(record(kind, body, epoch, random.randrange(1 << 31)))
        raw.send(real)  # again
        raw.send(hello())
        works(c, peer)
        tap.equal(d.read_log().count("session closed"), 0, "sessions that ended")


def begin(d):
    """After the cookie: the server waits for the client's part."""
    sock = stranger(d)
    sock.settimeout(30 * tap.SLOW)
    s = dtls.DtlsSocket(sock, 20 * tap.SLOW, handshake=False)
    tap.cleanup(s.abandon)
    s.step()
    s.feed(sock.recv(2048))
    s.step()
    sock.recv(2048)
    return sock


def test_memory_of_handshakes():
    """T13: a handshake that is begun keeps little, whatever is claimed in it; and it ends"""
    with serve(limits={"tls_timeout": 3}) as d:
        tap.persist(lambda: session(d), OSError, dtls.DtlsError)
        before = d.rss()
        socks = [begin(d) for _ in range(50)]
        plain = d.rss() - before
        for sock in socks:
            for i in range(2, 60):
                sock.send(record(22, handshake(16, b"x", i, 0, 2000), number=i))
                sock.send(record(22, handshake(11, b"x", i, 0, 0xFFFFFF), number=i))
                sock.send(record(22, os.urandom(40), 1, i))
                sock.send(record(23, os.urandom(1000), 1, i))
        with d.client() as c:
            c.binding()  # all of it was read
        grown = d.rss() - before
        tap.bounded(plain, 50 * 120, "50 unfinished handshakes")
        tap.bounded(grown, 50 * 320, "50 unfinished handshakes that were fed")
        tap.until("50 handshakes given up", lambda: d.read_log().count("handshake given up") >= 50)


def test_memory_of_sessions():
    """T13: sessions that do nothing keep about 40 KiB each"""
    with serve() as d:
        d.client("dtls").binding()
        before = d.rss()
        have = [d.client("dtls") for _ in range(100)]
        for c in have:
            c.binding()
        busy = d.rss() - before
        tap.diag("100 sessions, just used: %.1f KiB each" % (busy / 100))
        tap.bounded(busy, 100 * 110, "100 sessions")


def test_no_renegotiation():
    """T13: a client that asks for a new handshake within its session gets none"""
    with serve() as d:
        c, peer = session(d)
        c.sock.renegotiate()
        asked = len(c.sock.sent)
        tap.check(c.sock.sent[-1][0] == 22, "the client did not ask")
        silent(c.sock.sock)
        tap.equal(asked, len(c.sock.sent), "datagrams of the client")
        quiet = d.client("dtls")  # before any data
        quiet.sock.renegotiate()
        got = client.received(quiet.sock.sock, 0.3)
        tap.check(got is None or got[0][0] == 21, "not an alert: %r" % (got and got[0][:14],))
        again, peer = session(d)
        works(again, peer)


def test_old_versions():
    """T13: DTLS 1.0 is refused"""
    with serve() as d:
        sock = stranger(d)
        old = hello_body(b"").replace(b"\xfe\xfd", b"\xfe\xff", 1)
        sock.send(record(22, handshake(1, old)))
        cookie = cookie_of(sock.recv(2048))
        old = hello_body(cookie).replace(b"\xfe\xfd", b"\xfe\xff", 1)
        sock.send(record(22, handshake(1, old, 1), number=1))
        answer = client.received(sock, 2)
        tap.check(answer is None or answer[0][0] == 21, "answered with %r" % (answer,))
        c, peer = session(d)
        works(c, peer)


def test_noise():
    """T13: 20,000 changed copies of a real client's datagrams"""
    with serve() as d:
        c, peer = session(d)
        seeds = c.sock.sent[:6]
        sock = stranger(d)
        sock.setblocking(False)
        source = random.Random(7)
        for _ in range(20000):
            data = bytearray(source.choice(seeds))
            for _ in range(source.randrange(1, 6)):
                data[source.randrange(len(data))] = source.randrange(256)
            data = data[:source.randrange(1, len(data) + 1)] if source.randrange(4) == 0 else data
            data[0] = source.choice((20, 21, 22, 23)) if source.randrange(3) == 0 else data[0]
            try:
                sock.send(data)
            except BlockingIOError:
                pass
        works(c, peer)


if __name__ == "__main__":
    tap.main()
