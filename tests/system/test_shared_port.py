#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TURN and HTTP on one port (listen.http): who gets what, and what happens on the way from one to the other."""

import concurrent.futures
import contextlib
import glob
import os
import re
import resource
import signal
import socket
import ssl
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import daemon
import stun
import tap
import websocket
from certs import Authority
from daemon import config_text, folder, free_port, run_daemon, settings
from shared import (BROWSER, Proxied, Slow, byte_by_byte, connect, descriptors, half_close, page, proxied, records, refuses,
                    relays, serve, talk, ticks, wait)
from websocket import Connection, fetch


def test_tls():
    """https, wss and turns on one port for TLS only, and an /ice that says so; HTTP in the clear is refused"""
    with serve("tls") as d:
        ws = websocket.WebSocket(d.port, tls=d.browser)
        relays(d)
        talk(ws)
        page(d)
        entry = fetch(d.port, "/ice", tls=d.browser).json()["iceServers"][-1]
        tap.check("turns:127.0.0.1:%d?transport=tcp" % d.port in entry["urls"], "URLs %s" % entry["urls"])
        relays(d, user=entry["username"], password=entry["credential"])
        tap.check(client.is_closed(connect(d, b"GET / HTTP/1.1\r\n\r\n")), "closed")
        d.wait_log("refused: HTTP in the clear on a port for TLS only")
        tap.check(re.search(r"signaling and page on \*:%d \(https, shared with TURN\)" % d.port, d.read_log()), "the log")


def test_plain():
    """http, ws and TURN over TCP on one port, alone and with TLS"""
    for transport in "tcp", "tcp+tls":
        with serve(transport) as d:
            ws = websocket.WebSocket(d.port)
            relays(d, "tcp")
            talk(ws)
            page(d, tls=False)
            if transport == "tcp+tls":
                page(d)
                relays(d)
            else:
                tap.check(client.is_closed(connect(d, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")), "TLS on a plain port is closed")
            for garbage in b"BREW", b"GET", b"\xff":
                sock = connect(d, garbage)
                half_close(sock)
                tap.check(client.is_closed(sock), "%r is closed" % garbage)
            relays(d, "tcp")


def test_both():
    """A port of its own besides, with and without TLS: the same rooms, and each origin by its own scheme"""
    own = free_port()
    with serve(signal={"port": own}) as d:
        one, other = websocket.WebSocket(own), websocket.WebSocket(d.port, tls=d.browser)
        for ws, name in ((one, "ann"), (other, "bob")):
            ws.send_json(type="register", name=name)
            ws.expect("registered")
            ws.send_json(type="join", room="r")
            ws.expect("joined")
        one.expect("otherjoin")
        tap.equal(fetch(own, "/").body, page(d), "the page")
        for port, tls, scheme, status in ((own, None, "http", 200), (own, None, "https", 200), (d.port, d.browser, "https", 200),
                                          (d.port, d.browser, "http", 403), (d.port, None, "http", 200)):
            r = fetch(port, "/ice", tls=tls, headers={"Origin": "%s://127.0.0.1:%d" % (scheme, port)})
            tap.equal(r.status, status, "%s origin at %s" % (scheme, "TLS" if tls else "plain"))


def test_protocols():
    """ALPN decides: http/1.1 or http/1.0 without a protocol of STUN is HTTP; TURN is served whatever is offered; TLS 1.2 and 1.3"""
    offers = ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), (["http/1.0"], "http/1.0"),
              (["x" * 255] * 20 + ["http/1.1"], "http/1.1"), (None, None), (["h2"], None), (["stun.turn"], "stun.turn"),
              (["http/1.1", "stun.turn"], "stun.turn"), (["stun.nat-discovery", "http/1.1"], "stun.nat-discovery"),
              (["http/1.10"], None))
    with serve() as d:
        for version in 2, 3:
            for offer, chosen in offers:
                context = d.authority.context(version, alpn=offer)
                if chosen and chosen.startswith("http"):
                    c = Connection(d.port, tls=context)
                    tap.equal(c.get("/ice").status, 200, "status for %.60s" % offer)
                    tap.equal(c.sock.selected_alpn_protocol(), chosen, "protocol for %.60s" % offer)
                    continue
                with d.client("tls", context=context) as c:
                    tap.check(c.binding(), "an answer for %.60s" % offer)
                    tap.equal(c.sock.selected_alpn_protocol(), chosen, "protocol for %.60s" % offer)
        for offer in ["stun.turn"], ["stun.nat-discovery", "http/1.1"]:
            c = Connection(d.port, tls=d.authority.context(alpn=offer))
            c.request("/")
            tap.check(c.ended() and not c.buffer, "HTTP in TLS of TURN, with %s" % offer)
        d.wait_log("refused: HTTP in TLS of a client that offered a protocol of STUN by ALPN")


def test_long_hello():
    """A ClientHello that is longer than what is looked at is TURN's, and is served"""
    with serve() as d:
        context = d.authority.context(alpn=["http/1.1"] + ["x" * 255] * 70)
        with d.client("tls", context=context) as c:
            tap.check(c.binding(), "an answer")


def test_pieces():
    """A ClientHello byte by byte and in small records, of HTTP and of TURN; a plain request byte by byte"""
    request = b"GET /ice HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serve() as d:
        for alpn, data in ((BROWSER, request), (["stun.turn"], stun.build(stun.BINDING))):
            context = d.authority.context(alpn=alpn)
            for cut in byte_by_byte, records(3), records(100), lambda hello: [hello[:3], hello[3:300], hello[300:]]:
                slow = Slow(d, context, cut)
                slow.do(slow.tls.do_handshake)
                slow.do(slow.tls.write, data)
                answer = slow.do(slow.tls.read, 4096)
                if data == request:
                    tap.check(answer.startswith(b"HTTP/1.1 200 "), "HTTP said %.60r" % answer)
                else:
                    tap.equal(stun.Message(answer).cls, stun.SUCCESS, "class")
        c = Connection(d.port)
        for byte in byte_by_byte(request):
            c.send(byte)
            time.sleep(0.0005)
        tap.equal(c.response().status, 200, "status")


def test_half_hellos():
    """Hundreds of ClientHellos that stop somewhere: given up in time, without a load on the CPU; others are served"""
    with serve(limits={"tls_timeout": 3}) as d:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            d.browser.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1").do_handshake()
        hello = outgoing.read()
        before = ticks(d)
        held = [connect(d, hello[:1 + i * 7 % (len(hello) - 1)]) for i in range(300)]
        for sock in held[::3]:
            half_close(sock)  # never more, and the kernel says so again and again
        page(d)
        relays(d)
        for sock in held:
            tap.check(client.is_closed(sock), "closed")
        used = (ticks(d) - before) * 1000 // os.sysconf("SC_CLK_TCK")
        tap.diag("%d ms of CPU" % used)
        tap.check(used < 1000 * tap.SLOW, "%d ms of CPU for waiting" % used)
        d.wait_log("refused: no whole TLS handshake within limits.tls_timeout seconds")
        page(d)


def test_proxy_protocol():
    """Behind a PROXY header HTTP counts and logs the client of the header, TURN maps it"""
    with serve(listen={"proxy_protocol": True}, signal={"address_connections": 2}) as d:
        for tls, mine in ((d.browser, "192.0.2.1"), (None, "192.0.2.2")):
            kept = [Proxied(d, mine, tls) for _ in range(2)]
            for c in kept:
                tap.equal(c.get("/ice", behind=b"GET").status, 200, "within the limit of the client")
            tap.equal(Proxied(d, mine, tls).get("/ice").status, 503, "over it")
            tap.equal(Proxied(d, "192.0.2.3", tls).get("/ice").status, 200, "another client")
            d.wait_log("client=%s:50000 /ice: 200" % mine)
        for transport in "tcp", "tls":
            with d.client(transport, preface=proxied("192.0.2.9", 1234)) as c:
                tap.equal(c.binding().address(stun.XOR_MAPPED_ADDRESS), ("192.0.2.9", 1234), "mapped address")


def test_reload():
    """New certificates for HTTP and TURN at a reload, while both go on where they were"""
    with serve() as d:
        old = Connection(d.port, tls=d.browser)
        old.get("/ice")
        ws = websocket.WebSocket(d.port, tls=d.browser)
        serial = old.sock.getpeercert()["serialNumber"]
        turn = d.client("tls", context=d.authority.context())
        d.authority.issue()
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("configuration reloaded")

        def changed():
            new = Connection(d.port, tls=d.browser)
            tap.equal(new.get("/ice").status, 200, "status")
            with d.client("tls", context=d.authority.context()) as c:
                tap.check(c.binding(), "an answer")
                return serial not in (new.sock.getpeercert()["serialNumber"], c.sock.getpeercert()["serialNumber"])
        tap.until("a new certificate", changed)  # workers learn of it one after the other
        tap.equal(old.get("/ice").status, 200, "the old connection")
        talk(ws)
        tap.check(turn.binding(), "the old client of TURN")


def test_client_certificates():
    """tls.client_ca asks clients of TURN and no browser, signal.client_ca the other way round"""
    known, stranger = Authority("known"), Authority("stranger")
    own, foreign = known.issue("client"), stranger.issue("client")
    with serve(tls={"client_ca": known.pem}) as d:
        page(d)
        with d.client("tls", context=d.authority.context(certificate=own)) as c:
            tap.check(c.binding(), "an answer")
        try:
            with d.client("tls", context=d.authority.context()) as c:
                tap.check(c.binding() is None, "TURN without a certificate")
        except OSError:
            pass
    with serve(signal={"client_ca": known.pem}) as d:
        for version in 2, 3:
            tap.check(refuses(d, d.authority.context(version, alpn=BROWSER)), "no certificate")
            tap.check(refuses(d, d.authority.context(version, foreign, BROWSER)), "a stranger's certificate")
            c = Connection(d.port, tls=d.authority.context(version, own, BROWSER))
            tap.equal(c.get("/ice").status, 200, "with a certificate")
        relays(d)


def test_leaving():
    """Clients that go while they are handed over: by FIN, by RST, in TLS and in the clear; nothing of them is left"""
    with serve() as d:
        hello = ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            d.browser.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="127.0.0.1").do_handshake()
        hello = hello.read()
        page(d)
        page(d, tls=False)
        before = descriptors(d)
        for i in range(400):
            with socket.create_connection(d.server, daemon.PATIENCE) as sock:
                if i % 3 == 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.sendall((hello, b"GET / HTTP/1.1\r\n\r\n", b"G", hello[:-1])[i % 4])
                if i % 5 == 0:
                    half_close(sock)
        wait(lambda: descriptors(d) <= before, "%d descriptors, before %d" % (descriptors(d), before))
        page(d)
        relays(d)


def test_counted_once():
    """A connection of HTTP counts for signal.address_connections, and no more for limits.tcp_connections"""
    with serve(workers=1, limits={"tcp_connections": 3}, signal={"address_connections": 8}) as d:
        kept = []
        for i in range(8):
            kept.append(Connection(d.port, tls=d.browser if i % 2 else None))
            tap.equal(kept[-1].get("/ice", behind=b"GET").status, 200, "within the limit")
        tap.equal(fetch(d.port, "/ice", tls=d.browser).status, 503, "over the limit")
        turn = [d.client("tcp") for _ in range(3)]
        for c in turn:
            tap.check(c.binding(), "TURN beside HTTP")
        kept.pop().close()
        for c in turn:
            c.close()
        wait(lambda: _status(d) == 200, "there is room again")


def _status(d):
    try:
        return fetch(d.port, "/ice", tls=d.browser).status
    except (OSError, websocket.Closed):
        return None


def test_idle():
    """HTTP that asks for nothing ends after signal.request_timeout, TURN in the clear may be silent for longer"""
    with serve(signal={"request_timeout": 1}) as d:
        turn = d.client("tcp")
        silent = Connection(d.port, tls=d.browser)
        half = Connection(d.port)
        half.send(b"GET / HTTP/1.1\r\nX: ")

        def answered():
            c = Connection(d.port, tls=d.browser)
            tap.equal(c.get("/ice").status, 200, "status")
            return c
        kept = tap.persist(answered, OSError, websocket.Closed)
        for c in silent, half, kept:
            tap.check(c.ended(), "cut off")
        tap.check(turn.binding(), "an answer")


def own_name(d):
    """The address of the socket that connections are handed over by."""
    inodes = set()
    for path in glob.glob("/proc/%d/fd/*" % d.pid):
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(path))
    with open("/proc/%d/net/unix" % d.pid, encoding="ascii") as f:
        names = [fields[7] for fields in (line.split() for line in f) if len(fields) == 8 and "socket:[%s]" % fields[6] in inodes]
    tap.equal(len(names), 1, "listening sockets of the daemon")
    return "\0" + names[0][1:]


def test_strangers():
    """Who connects to the socket that is for ourselves finds nobody there, and is in nobody's way"""
    with serve() as d:
        name = own_name(d)
        before = descriptors(d)
        for _ in range(20):
            held = []
            for _ in range(20):
                held.append(socket.socket(socket.AF_UNIX))
                held[-1].settimeout(daemon.PATIENCE)
                held[-1].connect(name)
                with contextlib.suppress(OSError):
                    held[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            page(d)
            page(d, tls=False)
            for sock in held:
                with contextlib.suppress(ConnectionError):
                    tap.equal(sock.recv(100), b"", "what a stranger gets")
                sock.close()
        wait(lambda: descriptors(d) <= before, "descriptors are given back")


def test_short_of_descriptors():
    """Without descriptors a connection waits for its turn, and gets it"""
    with serve(workers=1) as d:
        page(d)
        sock = connect(d)
        with d.client("tcp") as c:
            c.binding()  # the worker has accepted both by now
            limit = resource.prlimit(d.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
            sock.sendall(b"GET /ice HTTP/1.1\r\nHost: localhost\r\n\r\n")
            d.wait_log("cannot take a connection over: Too many open files; trying again")
            resource.prlimit(d.pid, resource.RLIMIT_NOFILE, limit)
        tap.check(sock.recv(100).startswith(b"HTTP/1.1 200 "), "the answer")
        page(d)


def test_many():
    """Many of both at once, with four workers"""
    def one(i):
        if i % 4 == 0:
            relays(d, "tls")
        elif i % 4 == 1:
            with Connection(d.port, tls=d.browser).sock:
                pass
        else:
            page(d, tls=i % 4 == 2)

    with serve(workers=4) as d:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for done in [pool.submit(one, i) for i in range(60 if tap.SANITIZED else 120)]:
                done.result()


def test_stop():
    """At the end a WebSocket hears 1001 and all else closes, half-sent ClientHellos included"""
    d = serve()
    ws = websocket.WebSocket(d.port, tls=d.browser)
    idle = Connection(d.port, tls=d.browser)
    idle.get("/ice")
    half = connect(d, b"\x16\x03\x01\x02\x00\x01")
    late = [connect(d, b"GET /ice HTTP/1.1\r\n\r\n") for _ in range(50)]
    d.stop()
    tap.equal(ws.expect_close(), 1001, "close code")
    tap.check(idle.ended() and client.is_closed(half) and all(client.is_closed(s) for s in late), "the others end")


def test_mistakes():
    """Mistakes of the configuration are told with their line, and a change needs a restart"""
    port = free_port()
    path = os.path.join(folder(), "turnpike.conf")
    http = {"transport": "tcp", "port": port, "http": True}
    for over, what in (({"listen": [{"transport": "udp", "port": port, "http": True}]},
                        'listen: udp cannot have http, allowed are "tcp", "tls" and "tcp+tls"'),
                       ({"listen": [http], "signal": {"client_ca": "/x.pem"}},
                        "signal.client_ca: is set, but nothing speaks HTTPS: see signal.tls and listen.http"),
                       ({"listen": [http], "auth": {"username_anonymity": True}},
                        "auth.username_anonymity: is set together with listen.http"),
                       ({"listen": [http], "signal": {"port": port}}, "signal.port: tcp port %d is listened on already" % port)):
        with open(path, "w", encoding="utf-8") as f:
            f.write(config_text(settings(port, **over)))
        code, _, err = run_daemon("--check", "-c", path)
        tap.equal(code, 2, "exit code for %s" % over)
        tap.check(what in err and path in err, err)
    with serve() as d:
        with open(d.config, encoding="utf-8") as f:
            text = f.read()
        with open(d.config, "w", encoding="utf-8") as f:
            f.write(text.replace("http = true", "http = false"))
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("listen cannot change while the server runs: restart it")
        page(d)


if __name__ == "__main__":
    tap.main()
