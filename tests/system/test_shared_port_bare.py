#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TURN and HTTP on one port (listen.http), for clients of TLS that do not say by ALPN what they want: the first byte inside
does."""

import concurrent.futures
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import daemon
import stun
import tap
import websocket
from certs import Authority
from shared import (Proxied, Slow, byte_by_byte, connect, descriptors, half_close, page, proxied, refuses, relays, serve, talk,
                    wait)
from websocket import Connection, fetch

ICE = b"GET /ice HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Over(Connection):
    """HTTP on TLS that a Slow has."""

    def __init__(self, d, slow):
        self.port, self.host, self.sock, self.buffer = d.port, "127.0.0.1", self, b""
        self.slow = slow

    def sendall(self, data):
        self.slow.do(self.slow.tls.write, data)

    def recv(self, count):
        return self.slow.do(self.slow.tls.read, count)


def held_back(slow):
    """A handshake whose last flight waits, so that more can leave with it."""
    while True:
        try:
            slow.tls.do_handshake()
            return
        except ssl.SSLWantReadError:
            slow.sock.sendall(slow.outgoing.read())
            slow.incoming.write(slow.sock.recv(65536))


def test_both():
    """Both protocols in TLS 1.2 and 1.3, with no offer, with unknown ones, and with one that is too long to be looked at"""
    offers = None, ["h2"], ["http/1.10"], ["http/1.1"] + ["x" * 255] * 70
    for transport in "tls", "tcp+tls":
        with serve(transport) as d:
            for version in 2, 3:
                for offer in offers:
                    context = d.authority.context(version, alpn=offer)
                    c = Connection(d.port, tls=context)
                    for _ in range(3):
                        tap.equal(c.get("/ice").status, 200, "status with %.60s" % offer)
                    tap.equal(c.sock.selected_alpn_protocol(), None, "protocol with %.60s" % offer)
                    relays(d, context=context)
            entry = fetch(d.port, "/ice", tls=d.bare).json()["iceServers"][-1]
            tap.check("turns:127.0.0.1:%d?transport=tcp" % d.port in entry["urls"], "URLs %s" % entry["urls"])
            relays(d, user=entry["username"], password=entry["credential"])
            for garbage in b"BREW / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"get / HTTP/1.1\r\n\r\n", b"\xff", b"\x16\x03\x01":
                c = Connection(d.port, tls=d.bare)
                c.send(garbage)
                half_close(c.sock)
                tap.check(c.ended() and b" 200 " not in c.buffer, "%r ends" % garbage)
            d.wait_log("refused: something that is neither STUN nor ChannelData")


def test_pieces():
    """A byte in a record and a record in bytes, of HTTP and of TURN; empty records go unnoticed"""
    with serve() as d:
        for version in 2, 3:
            c = Connection(d.port, tls=d.authority.context(version))
            for byte in byte_by_byte(ICE):
                c.send(byte)
            tap.equal(c.response().status, 200, "status")
            for size in 1, 2, 10, len(ICE) - 1:
                c = Connection(d.port, tls=d.authority.context(version))
                c.send(ICE[:size])
                c.send(ICE[size:])
                tap.equal(c.response().status, 200, "status, cut after %d" % size)
            with d.client("tls", context=d.authority.context(version)) as turn:
                for byte in byte_by_byte(stun.build(stun.BINDING)):
                    turn.send_raw(byte)
                tap.equal(stun.Message(turn.recv_raw(daemon.PATIENCE)).cls, stun.SUCCESS, "class")
                tap.check(turn.allocate(), "an allocation")
            for data in ICE, stun.build(stun.BINDING):
                slow = Slow(d, d.authority.context(version), byte_by_byte)
                slow.do(slow.tls.do_handshake)
                slow.tls.write(data)
                for byte in byte_by_byte(slow.outgoing.read()):
                    slow.sock.sendall(byte)
                answer = slow.do(slow.tls.read, 4096)
                tap.check(answer.startswith(b"HTTP/1.1 200 " if data == ICE else b"\x01\x01"), "the answer %.60r" % answer)


def test_behind_the_handshake():
    """Requests in the same segment as the end of the handshake, in one record and in many; the same for TURN"""
    with serve() as d:
        for count, records in ((1, 1), (40, 1), (3, 3), (40, 40), (1, len(ICE))):
            slow = Slow(d, d.authority.context(3), lambda hello: [hello])
            held_back(slow)
            data = ICE * count
            size = -(-len(data) // records)
            for at in range(0, len(data), size):
                slow.tls.write(data[at:at + size])
            slow.sock.sendall(slow.outgoing.read())
            c = Over(d, slow)
            for _ in range(count):
                tap.equal(c.response().status, 200, "%d requests in %d records" % (count, records))
        slow = Slow(d, d.authority.context(3), lambda hello: [hello])
        held_back(slow)
        for _ in range(50):
            slow.tls.write(stun.build(stun.BINDING))
        slow.sock.sendall(slow.outgoing.read())
        for _ in range(50):
            tap.equal(stun.Message(slow.do(slow.tls.read, 4096)).cls, stun.SUCCESS, "class")


def test_posts():
    """Bodies of up to 60 KiB right behind the head arrive whole, and so does what is streamed back"""
    with serve() as d:
        session = "/signal/" + secrets.token_urlsafe(24)
        stream = Connection(d.port, tls=d.bare)
        stream.request(session)
        tap.equal(stream.response().status, 200, "status of the stream")
        for message in {"type": "register", "name": "a"}, {"type": "join", "room": "r"}:
            tap.equal(fetch(d.port, session, "POST", tls=d.bare, body=json.dumps(message).encode()).status, 204, "POST")
        for size in 10, 16000, 16384, 16400, 60000:
            text = secrets.token_hex(size // 2)
            body = json.dumps({"type": "message", "scope": "room-all", "data": text}).encode()
            c = Connection(d.port, tls=d.bare)
            c.request(session, "POST", body=body)
            tap.equal(c.response().status, 204, "POST of %d" % size)
            tap.equal(c.get("/ice").status, 200, "the next request")
            tap.check(text.encode() in stream.take_until(text[-40:].encode() + b'"') + text[-40:].encode(), "%d bytes come back" % size)
        c = Connection(d.port, tls=d.bare)
        with contextlib.suppress(OSError):  # it is cut off before all of it is there
            c.request(session, "POST", body=b"x" * 200000)
            tap.check(c.ended() and b" 204 " not in c.buffer, "too long")
        page(d, tls=d.bare)


def test_websockets():
    """WebSockets, with frames in the record of their request, and long messages both ways"""
    with serve() as d:
        for version in 2, 3:
            context = d.authority.context(version)
            ws = websocket.WebSocket(d.port, tls=context, early=websocket.frame(websocket.PING, b"early") * 20)
            for _ in range(20):
                tap.equal(ws.recv(), (websocket.PONG, b"early"), "what came with the request")
            ws.send_json(type="register", name="bob%d" % version)
            ws.expect("registered")
            ws.send_json(type="join", room="r%d" % version)
            ws.expect("joined")
            text = secrets.token_hex(25000)
            for i in range(10):
                ws.send_json(type="message", scope="room-all", data=text + str(i))
                tap.equal(ws.expect("message")["data"], text + str(i), "a long message")
            talk(ws)


def run(*args, data=b"", codes=(0,)):
    """What the program says; None where there is none."""
    program = shutil.which(args[0])
    if not program:
        tap.diag(args[0] + " is not installed")
        return None
    done = subprocess.run([program, *args[1:]], input=data, capture_output=True, check=False, timeout=daemon.PATIENCE)
    tap.check(done.returncode in codes, "%s: exit code %d: %s" % (args[0], done.returncode, done.stderr.decode()))
    return done.stdout


NODE = """
const { get } = require("node:https");
get(process.argv[1], { ca: require("node:fs").readFileSync(process.argv[2]), ALPNProtocols: [] }, (r) => r.pipe(process.stdout));
"""


def test_programs():
    """Programs that offer nothing by ALPN: wget, curl without it, Node's https without it, openssl s_client"""
    with serve() as d:
        want = page(d)
        url = "https://127.0.0.1:%d/" % d.port
        got = {"wget": run("wget", "-q", "-O", "-", "--no-config", "--ca-certificate=" + d.authority.pem, url),
               "curl": run("curl", "-sS", "--no-alpn", "--noproxy", "*", "--cacert", d.authority.pem, url),
               "node": run("node", "-e", NODE, url, d.authority.pem)}
        for name, body in got.items():
            tap.check(body in (None, want), "the page by %s: %.200r" % (name, body))
        # evhttp says no good-bye when it closes, which s_client minds.
        said = run("openssl", "s_client", "-quiet", "-CAfile", d.authority.pem, "-connect", "127.0.0.1:%d" % d.port,
                   data=b"GET /ice HTTP/1.0\r\nHost: localhost\r\n\r\n", codes=(0, 1))
        tap.check(said.startswith(b"HTTP/1.0 200 ") and b"iceServers" in said, "s_client got %.200r" % said)


def end_tls(slow):
    with contextlib.suppress(ssl.SSLWantReadError):
        slow.tls.unwrap()
    slow.sock.sendall(slow.outgoing.read())


def served(d, context, behind=b""):
    c = Connection(d.port, tls=context)
    tap.equal(c.get("/ice", behind=behind).status, 200, "status")
    return c


def turn_refused(d, context):
    with contextlib.suppress(OSError), d.client("tls", context=context) as c:
        tap.check(c.binding() is None, "TURN without a certificate")


NEEDS_ALPN = 'refused: HTTP in TLS of a client that has to offer "http/1.1" by ALPN, so that it is asked for the certificate of ' \
    'signal.client_ca'


def test_certificates_of_turn():
    """tls.client_ca: who has its certificate gets HTTP, too; others are refused and have to offer it by ALPN"""
    known, stranger = Authority("known"), Authority("stranger")
    own, foreign = known.issue("client"), stranger.issue("client")
    with serve(tls={"client_ca": known.pem}) as d:
        for version in 2, 3:
            for certificate in None, foreign:
                context = d.authority.context(version, certificate)
                tap.check(refuses(d, context), "certificate %s" % (certificate,))
                turn_refused(d, context)
            context = d.authority.context(version, own)
            served(d, context)
            relays(d, context=context)
        page(d)


def test_certificates_of_http():
    """signal.client_ca: TURN does not ask for it, so that HTTP is refused whoever it is, with a line that says how to get it"""
    known = Authority("known")
    own = known.issue("client")
    with serve(signal={"client_ca": known.pem}) as d:
        for version in 2, 3:
            for certificate in None, own:
                context = d.authority.context(version, certificate)
                tap.check(refuses(d, context), "HTTP with certificate %s" % (certificate,))
                relays(d, context=context)
        tap.equal(d.read_log().count(NEEDS_ALPN), 4, "lines of the log")
        served(d, d.authority.context(certificate=own, alpn=["http/1.1"]))


def test_certificates_of_both():
    """The same file for both asks for one certificate, that is good for both; another file asks for another one"""
    known, other = Authority("known"), Authority("other")
    own, others = known.issue("client"), other.issue("client")
    with serve(tls={"client_ca": known.pem}, signal={"client_ca": known.pem}) as d:
        for version in 2, 3:
            context = d.authority.context(version, own)
            first = served(d, context)
            relays(d, context=context)
            again = Connection(d.port)
            again.sock = context.wrap_socket(again.sock, server_hostname="127.0.0.1", session=first.sock.session)
            tap.equal((again.get("/ice").status, again.sock.session_reused), (200, True), "a session that is resumed")
            for certificate in None, others:
                context = d.authority.context(version, certificate)
                tap.check(refuses(d, context), "HTTP with certificate %s" % (certificate,))
                turn_refused(d, context)
            tap.check(refuses(d, d.authority.context(version, others, ["http/1.1"])), "the same with ALPN")
    with serve(tls={"client_ca": known.pem}, signal={"client_ca": other.pem}) as d:
        for version in 2, 3:
            for certificate in None, own, others:
                tap.check(refuses(d, d.authority.context(version, certificate)), "HTTP with certificate %s" % (certificate,))
            relays(d, context=d.authority.context(version, own))
            served(d, d.authority.context(version, others, ["http/1.1"]))
        tap.equal(d.read_log().count(NEEDS_ALPN), 2, "lines of the log")


def test_sessions():
    """A session of such a client is resumed for HTTP and for TURN; one of HTTP by ALPN is not, and nothing is lost by it"""
    with serve() as d:
        for version in 2, 3:
            bare, browser = d.authority.context(version), d.authority.context(version, alpn=["http/1.1"])
            kept = served(d, bare).sock.session
            for _ in range(4):
                c = Connection(d.port)
                c.sock = bare.wrap_socket(c.sock, server_hostname="127.0.0.1", session=kept)
                tap.equal((c.get("/ice").status, c.sock.session_reused), (200, True), "HTTP, resumed")
                with d.client("tls", context=bare, session=kept) as turn:
                    tap.check(turn.binding() and turn.sock.session_reused, "TURN, resumed")
            kept = served(d, browser).sock.session
            browser.set_alpn_protocols(["h2"])
            c = Connection(d.port)
            c.sock = browser.wrap_socket(c.sock, server_hostname="127.0.0.1", session=kept)
            tap.equal((c.get("/ice").status, c.sock.session_reused), (200, False), "a session of the other kind")


def test_names():
    """The certificate is that of the name that the client asks for (SNI)"""
    authority = Authority()
    more = [dict(zip(("certificate", "key"), authority.issue("other", names=["other.example"], ips=[], kind="rsa")))]
    with serve(tls={**authority.settings(authority.issue("main")), "additional": more}) as d:
        for version in 2, 3:
            context = authority.context(version)
            context.check_hostname = False
            for name, want in (("127.0.0.1", "main"), ("other.example", "other"), ("unknown.example", "main")):
                c = Connection(d.port)
                c.sock = context.wrap_socket(c.sock, server_hostname=name)
                tap.equal(c.get("/ice").status, 200, "status as " + name)
                tap.equal(dict(item[0] for item in c.sock.getpeercert()["subject"])["commonName"], want, "certificate for " + name)


def test_reload():
    """At a reload those go on that are served, and those that have said nothing since their handshake"""
    with serve() as d:
        kept = served(d, d.bare)
        ws = websocket.WebSocket(d.port, tls=d.bare)
        silent = [Connection(d.port, tls=d.bare) for _ in range(4)]
        serial = kept.sock.getpeercert()["serialNumber"]
        d.authority.issue()
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("configuration reloaded")
        # Workers learn of it one after the other.
        tap.until("a new certificate", lambda: served(d, d.bare).sock.getpeercert()["serialNumber"] != serial)
        for c in [kept, *silent]:
            tap.equal(c.get("/ice").status, 200, "an old connection")
        talk(ws)


def test_proxy_protocol():
    """Behind a PROXY header HTTP counts and logs the client of the header, TURN maps it"""
    with serve(listen={"proxy_protocol": True}, signal={"address_connections": 2}) as d:
        kept = [Proxied(d, "192.0.2.1", d.bare) for _ in range(2)]
        for c in kept:
            tap.equal(c.get("/ice", behind=b"GET").status, 200, "within the limit of the client")
        tap.equal(Proxied(d, "192.0.2.1", d.bare).get("/ice").status, 503, "over it")
        tap.equal(Proxied(d, "192.0.2.3", d.bare).get("/ice").status, 200, "another client")
        d.wait_log("client=192.0.2.1:50000 /ice: 200")
        with d.client("tls", preface=proxied("192.0.2.9", 1234)) as c:
            tap.equal(c.binding().address(stun.XOR_MAPPED_ADDRESS), ("192.0.2.9", 1234), "mapped address")


def status(d):
    with contextlib.suppress(OSError, websocket.Closed):
        return fetch(d.port, "/ice", tls=d.bare).status


def test_counted_once():
    """Until the first byte a connection counts for limits.tcp_connections, then for signal.address_connections alone"""
    with serve(workers=1, limits={"tcp_connections": 3}, signal={"address_connections": 8}) as d:
        kept = []
        for _ in range(8):
            kept.append(served(d, d.bare, b"GET"))
        tap.equal(status(d), 503, "over the limit")
        silent = [Connection(d.port, tls=d.bare) for _ in range(3)]
        with contextlib.suppress(OSError):
            tap.check(Connection(d.port, tls=d.bare).ended(), "one more that says nothing")
        held = descriptors(d)
        for c in kept:
            c.close()
        wait(lambda: descriptors(d) <= held - len(kept), "their ends are seen")
        for c in silent:
            tap.equal(c.get("/ice").status, 200, "the silent ones")
        turn = [d.client("tls") for _ in range(3)]
        for c in turn:
            tap.check(c.binding(), "TURN beside HTTP")


def test_deadlines():
    """Silence after the handshake ends after limits.tcp_idle as ever; a request has signal.request_timeout from its first byte on"""
    with serve(limits={"tls_timeout": 1}, signal={"request_timeout": 1}) as d:
        silent, begun, kept = (tap.persist(lambda: Connection(d.port, tls=d.bare), OSError) for _ in range(3))
        begun.send(b"G")
        tap.equal(kept.get("/ice").status, 200, "status")
        tap.check(begun.ended() and kept.ended(), "cut off")
        tap.check(client.is_closed(connect(d, b"\x16\x03\x01\x02\x00\x01")), "half a ClientHello is closed")
        d.wait_log("refused: no whole TLS handshake within limits.tls_timeout seconds")
        tap.equal(silent.get("/ice").status, 200, "after silence for longer than limits.tls_timeout")
    with serve(limits={"tcp_idle": 1}) as d:
        tap.check(Connection(d.port, tls=d.bare).ended(), "silence ends")
        tap.persist(lambda: page(d, tls=d.bare), OSError, websocket.Closed)


LEAVE = {
    "in the handshake": lambda s: None,
    "after it": lambda s: s.do(s.tls.do_handshake),
    "after a letter": lambda s: (s.do(s.tls.do_handshake), s.do(s.tls.write, b"G")),
    "in the request": lambda s: (s.do(s.tls.do_handshake), s.do(s.tls.write, b"GET /ice HT")),
    "after the request": lambda s: (s.do(s.tls.do_handshake), s.do(s.tls.write, ICE)),
    "after many": lambda s: (s.do(s.tls.do_handshake), s.do(s.tls.write, ICE * 50)),
    "in the body": lambda s: (s.do(s.tls.do_handshake),
                              s.do(s.tls.write, b"POST /ice HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")),
    "in a record": lambda s: (s.do(s.tls.do_handshake), s.tls.write(ICE), s.sock.sendall(s.outgoing.read()[:-5])),
    "after the answer": lambda s: (s.do(s.tls.do_handshake), s.do(s.tls.write, ICE), s.do(s.tls.read, 10)),
    "with a good-bye": lambda s: (s.do(s.tls.do_handshake), end_tls(s)),
    "asking and with a good-bye": lambda s: (s.do(s.tls.do_handshake), s.tls.write(ICE), end_tls(s)),
    "as TURN": lambda s: (s.do(s.tls.do_handshake), s.do(s.tls.write, stun.build(stun.BINDING))),
}


def test_leaving():
    """Hundreds of clients that go in every state, by FIN, by RST and by good-byes: nothing of them is left"""
    def leave(i):
        state = list(LEAVE.values())[i % len(LEAVE)]
        slow = Slow(d, d.authority.context(2 + i // len(LEAVE) % 2), lambda hello: [hello])
        state(slow)
        how = i // len(LEAVE) // 2 % 3
        if how == 0:
            slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == 1:
            half_close(slow.sock)
        slow.sock.close()

    with serve(workers=4, signal={"address_connections": 10000}) as d:
        page(d, tls=d.bare)
        page(d)
        before = descriptors(d)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(leave, i) for i in range(len(LEAVE) * (12 if tap.SANITIZED else 30))]:
                done.result()
        wait(lambda: descriptors(d) <= before, "%d descriptors, before %d" % (descriptors(d), before))
        page(d, tls=d.bare)
        relays(d)


def test_many():
    """Many of all kinds at once, with four workers"""
    def one(i):
        kind = i % 6
        if kind == 0:
            relays(d)
        elif kind == 1:
            talk(websocket.WebSocket(d.port, tls=d.bare))
        elif kind == 2:
            Connection(d.port, tls=d.bare).close()
        else:
            page(d, tls=(d.bare, True, False)[kind - 3])

    with serve(workers=4) as d:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for done in [pool.submit(one, i) for i in range(90 if tap.SANITIZED else 180)]:
                done.result()


def test_stop():
    """At the end a WebSocket hears 1001 and all else closes, in whatever state it is"""
    d = serve(workers=2)
    ws = websocket.WebSocket(d.port, tls=d.bare)
    idle = served(d, d.bare)
    silent = [Connection(d.port, tls=d.bare) for _ in range(10)]
    late = [Connection(d.port, tls=d.bare) for _ in range(30)]
    for c in late:
        c.send(ICE)
    d.stop()
    tap.equal(ws.expect_close(), 1001, "close code")
    tap.check(all(c.ended() for c in [idle, *silent, *late]), "the others end")


if __name__ == "__main__":
    tap.main()
