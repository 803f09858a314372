#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP server and signaling, attacked: what browsers can be made to do, what proxies read in another way, what fills memory."""

import contextlib
import os
import secrets
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import certs  # noqa: E402
import daemon  # noqa: E402
import netns  # noqa: E402
import tap  # noqa: E402
from websocket import TEXT, Closed, Connection, WebSocket, fetch, upgrade_headers  # noqa: E402


def server(tls=None, signal=None, host="127.0.0.1", **over):
    """A daemon with the signaling server on; .http is its port."""
    port = daemon.free_port()
    if tls:
        over["tls"] = {"certificate": tls[0], "key": tls[1]}
    d = daemon.Daemon(signal={"address": host, "port": port, "tls": bool(tls), "address_connections": 1000, "register_timeout": 600,
                              **(signal or {})}, **over)
    d.http = port
    return d


class Stream(Connection):
    """An event stream, as bytes."""

    def __init__(self, port, session=None, **kw):
        super().__init__(port, **kw)
        self.session = session or secrets.token_urlsafe(24)
        self.request("/signal/" + self.session)
        tap.equal(self.response().status, 200, "status of the stream")

    def post(self, text):
        return fetch(self.port, "/signal/" + self.session, "POST", body=text)

    def event(self):
        """The next one with data, as it stands there."""
        while True:
            event = self.take_until(b"\n\n")
            if not event.startswith(b":"):
                return event


def pour(c, data, most):
    """Sends until nobody takes it any more, reading nothing; gives how much."""
    c.sock.settimeout(1.5 * tap.SLOW)
    sent = 0
    with contextlib.suppress(OSError):
        while sent < most:
            sent += c.sock.send(data)
    return sent


@tap.limit(300)
def test_answers_not_read():
    """T14: whoever sends on and on, and reads no answer, is not read either"""
    authority = certs.Authority()
    most = 48 << 20
    endless = b"POST /signal/%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % secrets.token_hex(16).encode()
    for what, tls, first, rest in (("requests", None, b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000),
                                   ("requests over TLS", authority.issue(), b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000),
                                   ("a line that begins a chunk", None, endless, b"0" * 65536)):
        with server(tls=tls, signal={"request_timeout": 600}) as d:
            fetch(d.http, "/", tls=authority.context() if tls else None)
            c = Connection(d.http, tls=authority.context() if tls else None)
            before = d.rss()
            c.send(first)
            sent = pour(c, rest, most)
            tap.bounded(d.rss() - before, 8192, "%s, %d bytes taken" % (what, sent))
            tap.check(sent < most, "all of it was read: " + what)
            tap.equal(fetch(d.http, "/ice", tls=authority.context() if tls else None).status, 200, "and others are served")


def test_header_lines():
    """T14: lines of headers that say nothing are not kept by the thousand, before a body or behind its chunks"""
    head, path = b"Host: localhost\r\n", b"/signal/" + b"x" * 32
    chunked = b"POST %s HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n" % (path, head)
    with server(signal={"request_timeout": 600}) as d:
        for what, text, status in (("200 headers", b"GET /ice HTTP/1.1\r\n" + head + b"X: y\r\n" * 200 + b"\r\n", 200),
                                   ("200 chunks", chunked + b"1\r\nx\r\n" * 200 + b"0\r\n\r\n", 404)):
            c = Connection(d.http)
            c.send(text)
            tap.equal(c.response().status, status, what)
        endless = (("behind the first line", b"GET / HTTP/1.1\r\n" + head), ("behind another request", b"GET /ice HTTP/1.1\r\n%s\r\nGET / HTTP/1.1\r\n" % head + head),
                   ("behind chunks", chunked + b"1\r\nx\r\n0\r\n"))
        for what, begin in endless:
            for line in (b":\n", b"a:\r\n", b":\n "):
                c = Connection(d.http)
                with contextlib.suppress(OSError):
                    c.send(begin + line * 5000)
                tap.check(c.ended(), "thousands of lines " + what)
        before = d.rss()
        held = [Connection(d.http) for _ in range(100)]
        for c in held:
            c.send(b"GET / HTTP/1.1\r\n" + head + b":\n" * 480)
        tap.equal(fetch(d.http, "/ice").status, 200, "another request")
        tap.bounded(d.rss() - before, 100 * 80, "100 times 480 lines")


def test_many_line_ends():
    """T14: a message of line ends does not grow on its way into an event stream"""
    with server() as d:
        stream = Stream(d.http)
        tap.equal(stream.post(b'{"type":"register","name":"a"}').status, 204, "POST")
        tap.equal(stream.event()[:6], b"data: ", "an event")
        ws = WebSocket(d.http)
        ws.send_json(type="register", name="b")
        ws.expect("registered")
        text = b'{"type":"message","to":"a","data":[' + b"\r\n" * 20000 + b'"\\n"]}'
        ws.send_frame(TEXT, text)
        while True:
            event = stream.event()
            if b'"message"' in event:
                break
        tap.check(len(event) < len(text) + 200, "%d bytes became %d" % (len(text), len(event)))
        tap.equal(daemon.json_of(event[6:].decode())["data"], ["\n"], "what it says")


def test_framing():
    """T17: requests that a proxy may take for others end the connection; nothing behind them is taken for a request"""
    path = "/signal/" + secrets.token_hex(16)
    bad = (
        ("two lengths", "Content-Length: 4\r\nContent-Length: 0"),
        ("two equal ones", "Content-Length: 4\r\nContent-Length: 4"),
        ("a list of lengths", "Content-Length: 4, 4"),
        ("a sign", "Content-Length: +4"),
        ("a tab", "Content-Length:\t4"),
        ("a space in the name", "Content-Length : 4"),
        ("a length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked"),
        ("another coding", "Transfer-Encoding: gzip, chunked"),
        ("chunks twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ("chunks on the next line", "Transfer-Encoding:\r\n chunked"),
        ("chunks behind a tab", "Transfer-Encoding:\tchunked"),
        ("identity", "Transfer-Encoding: identity"),
        ("two hosts", "Host: evil.example"),
    )
    with server() as d:
        behind = "GET /ice HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for what, headers in bad:
            for method in ("POST", "GET"):
                c = Connection(d.http)
                c.send(("%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n0\r\n\r\n%s" % (method, path, headers, behind)).encode())
                tap.equal(c.response().status // 100, 4, what)
                tap.check(c.ended() and b"iceServers" not in c.buffer, "the connection ends behind " + what)
        # What is right is taken, and what follows chunks, which evhttp takes as they come, is not.
        c = Connection(d.http)
        c.send(("POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n%s" % (path, behind)).encode())
        tap.equal(c.response().status, 404, "chunks")
        tap.check(c.ended() and b"iceServers" not in c.buffer, "the connection ends behind chunks")
        c = Connection(d.http)
        c.send(("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}%s" % (path, behind)).encode())
        tap.equal((c.response().status, c.response().status), (404, 200), "one length")


ASKED = ("/ice", "/_matrix/client/v3/voip/turnServer", "/signal", "/signal/" + "x" * 32)


def test_rebinding():
    """T3: a page whose name has come to mean this host itself gets nothing from a server that only this host can come to"""
    with server(signal={"host": "rtc.example.net"}) as d:
        for host in ("evil.example", "evil.example:%d" % d.http, "127.0.0.1.evil.example", "localhost.evil.example", "notlocalhost", "e" * 400):
            for path in ASKED:
                r = fetch(d.http, path, host=host, headers=upgrade_headers() if path == "/signal" else ())
                tap.equal(r.status, 421, "%s as %s" % (path, host[:40]))
                tap.check(b"iceServers" not in r.body and b"password" not in r.body, "no credential")
        for host in ("localhost:%d" % d.http, "LOCALHOST", "a.localhost.", "127.0.0.1", "[::1]:%d" % d.http, "192.0.2.7:80",
                     "rtc.example.net", "example.org:8080"):
            tap.equal(fetch(d.http, "/ice", host=host).status, 200, host)
        for path in ("/", "/main.js"):
            tap.equal(fetch(d.http, path, host="evil.example").status, 200, "there is no harm in " + path)
    with server(signal={"proxies": ["127.0.0.0/8"]}) as d:
        tap.equal(fetch(d.http, "/ice", host="any.example").status, 200, "a proxy says what it was called")


def test_requests_of_other_pages():
    """T3: what a page of elsewhere has its browser ask for without an origin, an image or a script, is refused"""
    with server() as d:
        for path in ASKED[:2] + ASKED[3:]:
            for site in ("cross-site", "same-site"):
                r = fetch(d.http, path, headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"})
                tap.equal(r.status, 403, "%s, %s" % (path, site))
        for headers in ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}, {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"},
                        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}):
            tap.equal(fetch(d.http, "/ice", headers=headers).status, 200, str(headers))
    with server(signal={"origins": ["*"]}) as d:
        r = fetch(d.http, "/ice", headers={"Origin": "https://a.example\r\n X: y"})
        tap.equal((r.status, r.headers.get("access-control-allow-origin")), (403, None), "an origin with more in it")


def test_headers():
    """T7: what is answered tells browsers not to embed, keep or guess it, and to stay with TLS where there is TLS"""
    authority = certs.Authority()
    for tls in (None, authority.issue()):
        with server(tls=tls) as d:
            for path in ("/", "/ice", "/nothing"):
                headers = fetch(d.http, path, tls=authority.context() if tls else None).headers
                tap.equal(headers["cross-origin-resource-policy"], "same-origin", path)
                tap.equal("strict-transport-security" in headers, tls is not None, "HSTS of " + path)
                tap.equal(headers["x-frame-options"], "DENY", path)
            tap.check("set-cookie" not in headers, "no cookie")
            tap.check("strict-transport-security" not in fetch(d.http, "/", host="localhost:%d" % d.http,
                                                               tls=authority.context() if tls else None).headers, "HSTS of localhost")


def test_forwarded():
    """T10: an address behind proxies is found in every form, and none that a client invents"""
    with server(signal={"proxies": ["127.0.0.0/8", "10.0.0.0/8"], "address_connections": 1}) as d:
        def status(*forwarded):
            headers = [*upgrade_headers().items(), *(("X-Forwarded-For", text) for text in forwarded)]
            return fetch(d.http, "/signal", headers=headers).status

        held = []

        def hold(text):
            held.append(WebSocket(d.http, headers={"X-Forwarded-For": text}))

        hold("192.0.2.1")
        for again in (["192.0.2.1:1234"], [" 192.0.2.1\t"], ["6.6.6.6, 192.0.2.1"], ["192.0.2.1, 10.0.0.1"], ["192.0.2.1", "10.0.0.1"],
                      ["6.6.6.6", "192.0.2.1, 10.0.0.1", "10.0.0.2"]):
            tap.equal(status(*again), 503, str(again))
        hold("2001:db8::1")
        for again in (["[2001:db8::1]:443"], ["[2001:db8::2]"], ["2001:db8:0:0:ffff::1"]):
            tap.equal(status(*again), 503, str(again))
        tap.equal(status("2001:db8:0:1::1"), 101, "another /64")
        hold("unknown")  # counts for the proxy
        for again in ([""], ["192.0.2.9 192.0.2.1"], ["6.6.6.6, nonsense"], ["a" * 300], [","], ["127.0.0.1"]):
            tap.equal(status(*again), 503, str(again))


def test_nothing_secret_in_the_log():
    """T20: neither tokens nor the ids of event streams, which speak for a user, are logged"""
    with server() as d:
        stream = Stream(d.http)
        tap.equal(stream.post(b'{"type":"register","name":"a"}').status, 204, "POST")
        resume = daemon.json_of(stream.event()[6:].decode())["resume"]
        token = "secret" + secrets.token_hex(8)
        fetch(d.http, "/ice?token=" + token, headers={"Authorization": "Bearer " + token})
        fetch(d.http, "/signal/%s/x?token=%s" % (stream.session, token))
        fetch(d.http, "/signal?token=" + token, headers=upgrade_headers())
        d.wait_log("/ice")
        d.wait_log("/signal/")
        for secret in (stream.session, token, resume):
            tap.check(secret not in d.read_log(), "a secret is logged")


@tap.limit(300)
def test_vanished_stream():
    """T14: a client of an event stream that is cut off without a word holds its name no longer than one of a WebSocket"""
    netns.need()
    ours, theirs = netns.Namespace(), netns.Namespace()
    _, device = netns.pair(ours, ["192.0.2.1/24"], theirs, ["192.0.2.2/24"])
    with server(netns=ours, server="127.0.0.1", host="192.0.2.1", signal={"ping_interval": 1, "grace": 1, "register_timeout": 600}) as d:
        with theirs.inside():
            stream = Stream(d.http, host="192.0.2.1")
            poster = Connection(d.http, host="192.0.2.1")
        poster.request("/signal/" + stream.session, "POST", body=b'{"type":"register","name":"a"}')
        tap.equal(poster.response().status, 204, "POST")
        theirs.ip("link", "set", device, "down")
        with ours.inside():
            ws = WebSocket(d.http, host="192.0.2.1")
        end = time.monotonic() + 60
        answer = {"code": "name_taken"}
        while answer.get("code") == "name_taken":
            tap.check(time.monotonic() < end, "the name is free again")
            time.sleep(0.3)
            try:
                ws.send_json(type="register", name="a", id=1)
                answer = ws.recv_json()
            except (Closed, OSError):
                with ours.inside():
                    ws = WebSocket(d.http, host="192.0.2.1")
        tap.equal(answer["type"], "registered", "answer")


def test_states():
    """T14: connections that end, in every way, in every state; the server lives and forgets them"""
    path = "/signal/" + secrets.token_hex(16)
    upgrade = "GET /signal HTTP/1.1\r\nHost: localhost\r\n" + "".join("%s: %s\r\n" % h for h in upgrade_headers().items()) + "\r\n"
    begun = ("", "GE", "GET / HTTP/1.1\r\nHost: lo", "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{" % path,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{" % path,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n" % path,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nExpect: nothing\r\nContent-Length: 9\r\n\r\n" % path,
             "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50, upgrade, upgrade + "x" * 30, upgrade * 3,
             "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5 + upgrade + "\x81", "GET / HTTP/1.0\r\n\r\n" + upgrade,
             "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path + upgrade,
             upgrade.replace("HTTP/1.1\r\n", "HTTP/1.1\r\nExpect: 100-continue\r\n", 1))
    with server() as d:
        fetch(d.http, "/")
        for text in begun:
            for way in range(6):
                c = Connection(d.http)
                c.send(text.encode("latin-1"))
                if way % 2:
                    time.sleep(0.01)  # so that it has been read
                if way >= 4:
                    with contextlib.suppress(OSError):
                        c.sock.shutdown(socket.SHUT_WR)
                    c.ended()
                elif way >= 2:
                    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
                c.close()
        end = time.monotonic() + daemon.PATIENCE
        while len(os.listdir("/proc/%d/fd" % d.pid)) > 64:
            tap.check(time.monotonic() < end, "descriptors come back")
            time.sleep(0.05)
        tap.equal(fetch(d.http, "/ice").status, 200, "and the server lives")


if __name__ == "__main__":
    tap.main()
