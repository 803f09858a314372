#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP server: the page, iceServers, origins, limits, TLS, what does not belong there."""

import gzip
import os
import re
import resource
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import certs  # noqa: E402
import daemon  # noqa: E402
import tap  # noqa: E402
import websocket  # noqa: E402
from websocket import Closed, Connection, fetch  # noqa: E402


def server(tls=None, **over):
    """A daemon with the signaling server on; .http is its port."""
    port = daemon.free_port()
    limits = {"address_connections": 1000}
    if tls:
        over["tls"] = {"certificate": tls[0], "key": tls[1]}
        limits["tls"] = True
    d = daemon.Daemon(signal={"address": "127.0.0.1", "port": port, **limits, **over.pop("signal", {})}, **over)
    d.http = port
    return d


def test_page():
    """The page is there, with a tag, compressed for who can take it, and with a policy for the browser"""
    with server() as d:
        plain = fetch(d.http, "/")
        tap.equal(plain.status, 200, "status")
        tap.equal(plain.headers["content-type"], "text/html; charset=utf-8", "type")
        tap.check(b"<!doctype html>" in plain.body.lower(), "a page")
        tap.equal(fetch(d.http, "/index.html").body, plain.body, "the page by its name")
        zipped = fetch(d.http, "/", headers={"Accept-Encoding": "br, gzip;q=0.5"})
        tap.equal(zipped.headers.get("content-encoding"), "gzip", "encoding")
        tap.equal(gzip.decompress(zipped.body), plain.body, "what was compressed")
        tap.check(zipped.headers["etag"] != plain.headers["etag"], "a tag for each form")
        for refuse in ("identity", "gzip;q=0", "x-gzip"):
            r = fetch(d.http, "/", headers={"Accept-Encoding": refuse})
            tap.check("content-encoding" not in r.headers, "compressed for %r" % refuse)
        policy = plain.headers["content-security-policy"]
        tap.check("default-src 'self'" in policy and "frame-ancestors 'none'" in policy, policy)
        tap.check("unsafe" not in policy, policy)
        tap.equal(plain.headers["x-content-type-options"], "nosniff", "X-Content-Type-Options")
        tap.equal(plain.headers["referrer-policy"], "no-referrer", "Referrer-Policy")
        # What the page names is there, too.
        names = re.findall(r'(?:href|src)="([a-z./-]+\.(?:css|js|svg))"', plain.body.decode())
        tap.check(names, "the page has a style")
        for name in names:
            tap.equal(fetch(d.http, "/" + name).status, 200, name)


def test_conditional():
    """If-None-Match gets 304 for the tag in any of its forms, and HEAD the headers alone"""
    with server() as d:
        c = Connection(d.http)
        full = c.get("/")
        tag = full.headers["etag"]
        for value in (tag, "W/" + tag, '"other", ' + tag, "*"):
            r = c.get("/", headers={"If-None-Match": value})
            tap.equal((r.status, r.body), (304, b""), value)
            tap.equal(r.headers["etag"], tag, "tag with 304")
        tap.equal(c.get("/", headers={"If-None-Match": '"other"'}).status, 200, "another tag")
        head = c.get("/", "HEAD")
        tap.equal((head.status, int(head.headers["content-length"])), (200, len(full.body)), "HEAD")
        tap.equal(c.get("/").body, full.body, "after HEAD on the same connection")


def test_wrong_requests():
    """What is not there is 404, what cannot be done 405 or 501, and a body where none belongs ends the connection"""
    with server() as d:
        for path in ("/nothing", "/../etc/passwd", "/%2e%2e/etc/passwd", "/index.html/", "//", "/signal2", "/index.html%00.js"):
            tap.equal(fetch(d.http, path).status, 404, path)
        for path in ("/", "/ice"):
            for method in ("POST", "PUT", "DELETE"):
                r = fetch(d.http, path, method)
                tap.equal(r.status, 405, method + " " + path)
                tap.check("GET" in r.headers["allow"], "Allow")
        tap.equal(fetch(d.http, "/", "BREW").status, 501, "BREW")
        for headers in ({"Content-Length": "20"}, {"Transfer-Encoding": "chunked"}):
            c = Connection(d.http)
            c.request("/", headers=headers)
            c.send(b"GET /ice HTTP/1.1\r\nHost: localhost\r\n\r\n")
            tap.check(c.response().status in (400, 413), "a GET with a body")
            tap.check(c.ended() and b"iceServers" not in c.buffer, "the connection ends")
        for garbage in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60, b"\0" * 100,
                        b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n: \r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a" * 20000,
                        b"GET /" + b"a" * 20000, b"POST /ice HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                        b"POST /ice HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                        b"POST /ice HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
            c = Connection(d.http)
            c.send(garbage)
            try:
                c.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            tap.check(c.ended(), "the connection ends after %r" % garbage[:40])
        tap.equal(fetch(d.http, "/").status, 200, "and the server lives")


def test_pipelined():
    """Hundreds of requests at once, over plain HTTP and TLS, are answered one after the other"""
    authority = certs.Authority()
    for tls in (None, authority.issue()):
        with server(tls=tls) as d:
            c = Connection(d.http, tls=authority.context() if tls else None)
            host = "Host: 127.0.0.1:%d\r\n" % d.http
            c.send("".join("%s /%s HTTP/1.1\r\n%s\r\n" % (method, path, host) for _ in range(100) for method, path in
                           (("GET", ""), ("HEAD", "ice"), ("GET", "nothing"), ("GET", "ice"))).encode())
            for _ in range(100):
                tap.equal([c.response(m).status for m in ("GET", "HEAD", "GET", "GET")], [200, 200, 404, 200], "statuses")
            c.send(("GET / HTTP/1.1\r\n" + host + "\r\n").encode() * 200)
            c.close()  # and one that does not wait for them
            tap.equal(fetch(d.http, "/", tls=authority.context() if tls else None).status, 200, "and the server lives")


def credentials(answer):
    servers = [s for s in answer["iceServers"] if "username" in s]
    tap.equal(len(servers), 1, "entries with a credential")
    return servers[0]


def relays(d, name, password, transport="udp"):
    with d.client(transport, user=name, password=password) as c:
        c.allocate()
        return c


def test_ice():
    """/ice gives URLs of this server and a credential that allocates in every worker, over UDP and TCP"""
    with server(workers=2) as d:
        r = fetch(d.http, "/ice")
        tap.equal((r.status, r.headers["content-type"]), (200, "application/json"), "answer")
        tap.equal(r.headers["cache-control"], "no-store", "Cache-Control")
        answer = r.json()
        tap.equal(answer["ttl"], 86400, "ttl")
        tap.equal(answer["iceServers"][0]["urls"], ["stun:127.0.0.1:%d" % d.port], "STUN")
        entry = credentials(answer)
        tap.equal(entry["urls"], ["turn:127.0.0.1:%d?transport=%s" % (d.port, t) for t in ("udp", "tcp")], "TURN")
        left = int(entry["username"].split(":")[0]) - time.time()
        tap.check(86400 - 300 < left < 86400 + 5, "it is good for a day")
        other = credentials(fetch(d.http, "/ice").json())
        tap.check(other["username"] != entry["username"], "a name of one's own")
        for transport in ("udp", "tcp"):
            for _ in range(4):  # so that both workers are asked
                relays(d, entry["username"], entry["credential"], transport)
        with d.client(user=entry["username"], password=other["credential"]) as c:
            tap.equal(c.try_allocate().code, 401, "with another's password")


def test_matrix_form():
    """Matrix clients get the same in their form, and it allocates"""
    with server(signal={"ttl": 600, "host": "localhost"}) as d:
        for version in ("v3", "r0"):
            answer = fetch(d.http, "/_matrix/client/%s/voip/turnServer" % version).json()
            tap.equal(sorted(answer), ["password", "ttl", "uris", "username"], "fields")
            tap.equal(answer["ttl"], 600, "ttl")
            tap.check("turn:localhost:%d?transport=udp" % d.port in answer["uris"], "the configured host")
            relays(d, answer["username"], answer["password"])


def test_configured_secret():
    """With auth.secrets credentials come from the first of them; without, they outlive a reload"""
    with server(auth={"secrets": ["first secret", "second"]}) as d:
        entry = credentials(fetch(d.http, "/ice").json())
        code, out, err = daemon.ctl("ice-servers", "-c", d.config, "--user", "somebody")
        tap.equal(code, 0, err)
        tap.equal(credentials(daemon.json_of(out))["urls"], entry["urls"], "URLs of turnpikectl")
        relays(d, entry["username"], entry["credential"])
    with server() as d:
        entry = credentials(fetch(d.http, "/ice").json())
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("configuration reloaded")
        relays(d, entry["username"], entry["credential"])


def test_peer_is_refused():
    """The signaling port is none that can be relayed to"""
    with server() as d:
        with d.client(user="user", password="pass") as c:
            c.allocate()
            c.permit("127.0.0.1")
            tap.equal(c.try_bind(("127.0.0.1", d.http), 0x4000).code, 403, "ChannelBind of the signaling port")
            tap.equal(c.try_bind(("127.0.0.1", daemon.free_port()), 0x4001).code, None, "of another")


def test_origin():
    """Pages of other origins are refused, those of the list and our own are not"""
    with server(signal={"origins": ["https://app.example.org"]}) as d:
        own = "http://127.0.0.1:%d" % d.http
        for origin, status in (("https://app.example.org", 200), (own, 200), ("https://evil.example", 403),
                               ("http://app.example.org", 403), ("null", 403), (own + ".evil.example", 403),
                               ("https://app.example.org.evil.example", 403)):
            r = fetch(d.http, "/ice", headers={"Origin": origin})
            tap.equal(r.status, status, origin)
            tap.equal("access-control-allow-origin" in r.headers, origin == "https://app.example.org", "CORS for " + origin)
            r = fetch(d.http, "/signal", headers={"Origin": origin})
            tap.equal(r.status, 426 if status == 200 else 403, "upgrade from " + origin)
        r = fetch(d.http, "/ice", "OPTIONS", headers={"Origin": "https://app.example.org",
                                                     "Access-Control-Request-Method": "GET"})
        tap.equal((r.status, r.headers["access-control-allow-origin"]), (204, "https://app.example.org"), "preflight")
        tap.check("Authorization" in r.headers["access-control-allow-headers"], "a token may be sent")
    with server(signal={"origins": ["*"]}) as d:
        tap.equal(fetch(d.http, "/ice", headers={"Origin": "https://evil.example"}).status, 200, "every origin")


def test_too_many():
    """Over the limit of an address: 503 with Retry-After, and room again when others have gone"""
    with server(signal={"address_connections": 4}) as d:
        held = [Connection(d.http) for _ in range(4)]
        for c in held:
            tap.equal(c.get("/ice", behind=b"GET").status, 200, "within the limit")
        r = fetch(d.http, "/ice")
        tap.equal(r.status, 503, "over the limit")
        tap.check(int(r.headers["retry-after"]) > 0, "Retry-After")
        held.pop().close()
        end = time.monotonic() + daemon.PATIENCE
        while fetch(d.http, "/ice").status != 200:
            tap.check(time.monotonic() < end, "there is room again")
            time.sleep(0.05)
    with server(signal={"connections": 2}) as d:
        held = [Connection(d.http) for _ in range(2)]
        for c in held:
            c.get("/ice", behind=b"GET")
        tap.equal(fetch(d.http, "/ice").status, 503, "over the limit of all")


def test_idle_make_room():
    """Over the limit of an address the connection goes that has waited longest for another request"""
    with server(signal={"address_connections": 4, "request_timeout": 600}) as d:
        held = [Connection(d.http) for _ in range(4)]
        for c in held:
            tap.equal(c.get("/ice").status, 200, "within the limit")
        time.sleep(0.01)  # the server counts in milliseconds
        tap.equal(held[1].get("/ice").status, 200, "the second has waited least")
        for turn, gone in enumerate((0, 2, 3, 1)):
            held.append(Connection(d.http))
            tap.equal(held[-1].get("/ice").status, 200, "a new one, %d" % turn)
            tap.check(held[gone].ended(), "the oldest has ended, %d" % turn)
        for c in held[4:]:
            tap.equal(c.get("/ice").status, 200, "the new ones go on")


def test_waiting_make_room_for_all():
    """Over the limit of all the connection goes that has waited longest for a request; those at work stay"""
    with server(signal={"connections": 4, "request_timeout": 600, "ping_interval": 3600}) as d:
        ws = websocket.WebSocket(d.http)
        busy = Connection(d.http)
        tap.equal(busy.get("/ice", behind=b"GET /ice").status, 200, "with half a request behind it")
        waiting = [Connection(d.http)]  # which has asked for nothing yet
        waiting.append(Connection(d.http))
        tap.equal(waiting[1].get("/ice").status, 200, "within the limit")
        for turn in range(4):
            waiting.append(Connection(d.http))
            tap.equal(waiting[-1].get("/ice").status, 200, "a new one, %d" % turn)
            tap.check(waiting[turn].ended(), "who has waited longest has ended, %d" % turn)
        busy.send(b" HTTP/1.1\r\nHost: %s:%d\r\n\r\nGET" % (b"127.0.0.1", d.http))
        tap.equal(busy.response().status, 200, "the rest of the request")
        for c in waiting[-2:]:
            tap.equal(c.get("/ice", behind=b"GET").status, 200, "the last ones go on")
        tap.equal(fetch(d.http, "/ice").status, 503, "when all are at work")
        ws.send_frame(websocket.PING, b"still here")
        tap.equal(ws.recv(), (websocket.PONG, b"still here"), "the WebSocket goes on")
        ws.close()
        end = time.monotonic() + daemon.PATIENCE
        while fetch(d.http, "/ice").status != 200:
            tap.check(time.monotonic() < end, "there is room again")
            time.sleep(0.05)


def test_slow_requests():
    """A request that comes byte by byte, or never, is given up in time; one behind it is not"""
    with server(signal={"request_timeout": 1}) as d:
        silent, drip, kept = (Connection(d.http) for _ in range(3))
        drip.send(b"GET / HTTP/1.1\r\nX: ")
        drip.sock.settimeout(0.1)
        ended = False
        end = time.monotonic() + daemon.PATIENCE
        while not ended:
            tap.check(time.monotonic() < end, "the slow one is cut off")
            try:
                drip.send(b"x")
                drip.fill()
            except socket.timeout:
                pass
            except (Closed, OSError):
                ended = True
        tap.check(silent.ended(), "the silent one is cut off")
        tap.check(kept.ended(), "the third, too")
        tap.equal(fetch(d.http, "/ice").status, 200, "and the server lives")


def test_proxies():
    """X-Forwarded-For counts from the proxies of the configuration and from nobody else"""
    with server(signal={"proxies": ["127.0.0.0/8"], "address_connections": 2}) as d:
        ws = [websocket.WebSocket(d.http, headers={"X-Forwarded-For": "203.0.113.%d" % i}) for i in range(6)]
        for _ in range(2):
            ws.append(websocket.WebSocket(d.http, headers={"X-Forwarded-For": "1.2.3.4, 198.51.100.7"}))
        r = fetch(d.http, "/signal", headers={**websocket.upgrade_headers(), "X-Forwarded-For": "9.9.9.9, 198.51.100.7"})
        tap.equal(r.status, 503, "what a client says of itself is not believed")
        r = fetch(d.http, "/signal", headers=[*websocket.upgrade_headers().items(), ("X-Forwarded-For", "9.9.9.9"),
                                              ("X-Forwarded-For", "198.51.100.7")])
        tap.equal(r.status, 503, "nor in a header of its own")
    with server(signal={"address_connections": 2}) as d:
        ws = [websocket.WebSocket(d.http, headers={"X-Forwarded-For": "203.0.113.%d" % i}) for i in range(2)]
        r = fetch(d.http, "/signal", headers={**websocket.upgrade_headers(), "X-Forwarded-For": "203.0.113.9"})
        tap.equal(r.status, 503, "without proxies the header is nothing")


def test_tls():
    """https with the certificate of turns:, which a reload replaces; plain HTTP there gets nothing"""
    authority = certs.Authority()
    with server(tls=authority.issue()) as d:
        context = authority.context()
        c = Connection(d.http, tls=context)
        page = c.get("/")
        tap.equal(page.status, 200, "status")
        serial = c.sock.getpeercert()["serialNumber"]
        ws = websocket.WebSocket(d.http, tls=context)
        authority.issue()
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("configuration reloaded")
        end = time.monotonic() + daemon.PATIENCE
        while True:  # the thread that serves it hears of it by mailbox
            new = Connection(d.http, tls=context)
            if new.sock.getpeercert()["serialNumber"] != serial:
                break
            tap.check(time.monotonic() < end, "still the old certificate")
        tap.equal(new.get("/").body, page.body, "the page over the new certificate")
        tap.equal(c.get("/").status, 200, "the old connection goes on")
        ws.send_frame(websocket.PING, b"still there")
        tap.equal(ws.recv(), (websocket.PONG, b"still there"), "and so does the WebSocket")
        plain = Connection(d.http)
        plain.request("/")
        tap.check(plain.ended() and b"HTTP" not in plain.buffer, "no HTTP in the clear")
        with Connection(d.http, tls=context).sock as half:  # and one that ends in the middle
            half.sendall(b"GET / HT")


@tap.limit(120)
def test_half_open():
    """Ten thousand that begin an upgrade and never finish cost little, and others are served meanwhile"""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(10000, hard - 1000) // (5 if tap.SANITIZED else 1)
    head = b"GET /signal HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSo"
    with server(signal={"connections": 20000, "address_connections": 100000, "request_timeout": 600}) as d:
        fetch(d.http, "/ice")
        before, files = d.rss(), len(os.listdir("/proc/%d/fd" % d.pid))
        socks = []
        for i in range(count):
            s = socket.socket()
            tap.cleanup(s.close)
            s.connect(("127.0.0.1", d.http))
            s.sendall(head)
            socks.append(s)
        ws = websocket.WebSocket(d.http)
        ws.send_frame(websocket.PING, b"x")
        tap.equal(ws.recv(), (websocket.PONG, b"x"), "somebody else's WebSocket")
        # All of them are there.
        tap.check(len(os.listdir("/proc/%d/fd" % d.pid)) >= files + count, "connections that the server has")
        tap.bounded(d.rss() - before, count * 8, "%d half-open upgrades" % count)
        # One of them goes on after all.
        socks[count // 2].sendall(b"cket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        tap.check(socks[count // 2].recv(1000).startswith(b"HTTP/1.1 101 "), "the end of one upgrade")
        for s in socks:
            s.close()
        ws.close()
        end = time.monotonic() + daemon.PATIENCE
        while len(os.listdir("/proc/%d/fd" % d.pid)) > files + 1:
            tap.check(time.monotonic() < end, "descriptors are left")
            time.sleep(0.05)


def test_stop():
    """SIGTERM closes what is open with 1001 and does not wait for those that do not listen"""
    with server() as d:
        ws = websocket.WebSocket(d.http)
        idle = Connection(d.http)
        idle.get("/")
        half = Connection(d.http)
        half.send(b"GET / HT")
        d.stop()
        tap.equal(ws.expect_close(), 1001, "close code")
        tap.check(idle.ended() and half.ended(), "the others end")
        d.start()
        tap.equal(fetch(d.http, "/ice").status, 200, "after a restart on the same port")


def test_mistakes():
    """Mistakes in the configuration are told with their line"""
    port = daemon.free_port()
    text = daemon.config_text(daemon.settings(port))
    path = os.path.join(daemon.folder(), "t.conf")
    for line, what in (('signal = { port = %d; };' % port, "listened on already"),
                       ('signal = { port = 80; tls = true; };', "needs tls.certificate"),
                       ('signal = { origins = ["example.org"]; };', "is not an origin"),
                       ('signal = { host = "a b"; };', "signal.host"),
                       ('signal = { jwt_secrets = ["short"]; };', "16 to 256")):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + line + "\n")
        code, _, err = daemon.run_daemon("--check", "-c", path)
        tap.equal(code, 2, "exit code for " + line)
        tap.check(what in err and path in err, err)


if __name__ == "__main__":
    tap.main()
