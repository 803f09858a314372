# SPDX-License-Identifier: BSD-2-Clause
"""A daemon that has TURN and HTTP on one port (listen.http), and clients of it that take their time."""

import contextlib
import os
import socket
import ssl
import struct
import time

import daemon
import tap
import websocket
from certs import Authority
from daemon import Daemon, free_port
from websocket import Connection, fetch

BROWSER = ["h2", "http/1.1"]


def serve(transport="tcp+tls", listen=None, tls=None, **over):
    """A daemon with HTTP on the port of TURN; .authority is that of its certificate; .browser and .bare are contexts for it,
    one that offers what browsers do (ALPN), one that offers nothing."""
    port = free_port()
    authority = Authority()
    stream = {"transport": transport, "port": port, "http": True, **(listen or {})}
    d = Daemon(port=port, listen=[{"transport": "udp", "port": port}, stream], tls={**authority.settings(), **(tls or {})},
               signal={"address_connections": 1000, "register_timeout": 600, "request_timeout": 600,
                       "ping_interval": 600, **over.pop("signal", {})}, **over)
    d.authority = authority
    d.browser, d.bare = authority.context(alpn=BROWSER), authority.context()
    return d


def page(d, tls=True):
    """tls: a context, True for .browser, or False."""
    answer = fetch(d.port, "/", tls=d.browser if tls is True else tls or None)
    tap.equal(answer.status, 200, "status of the page")
    return answer.body


def talk(ws):
    ws.send_frame(websocket.PING, b"hello")
    tap.equal(ws.recv(), (websocket.PONG, b"hello"), "the WebSocket")


def relays(d, transport="tls", **kw):
    with d.client(transport, **kw) as c:
        tap.check(c.allocate(), "an allocation by " + transport)


def connect(d, data=b""):
    sock = socket.create_connection(d.server, daemon.PATIENCE)
    tap.cleanup(sock.close)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(data)
    return sock


def half_close(sock):
    with contextlib.suppress(OSError):  # the server may have closed it before
        sock.shutdown(socket.SHUT_WR)


def wait(condition, what):
    end = time.monotonic() + daemon.PATIENCE
    while not condition():
        tap.check(time.monotonic() < end, what)
        time.sleep(0.02)


def descriptors(d):
    return len(os.listdir("/proc/%d/fd" % d.pid))


def ticks(d):
    with open("/proc/%d/stat" % d.pid, encoding="ascii") as f:
        return sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13])


class Slow:
    """TLS on a socket, whose first flight goes out as cut() gives it."""

    def __init__(self, d, context, cut):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.sock = connect(d)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        for piece in cut(self.outgoing.read()):
            self.sock.sendall(piece)
            time.sleep(0.0005)

    def do(self, what, *args):
        while True:
            try:
                result = what(*args)
                self.sock.sendall(self.outgoing.read())
                return result
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                data = self.sock.recv(65536)
                tap.check(data, "the connection ended")
                self.incoming.write(data)


def byte_by_byte(hello):
    return [hello[i:i + 1] for i in range(len(hello))]


def records(size):
    def cut(hello):
        return [b"\x16\x03\x01" + struct.pack("!H", len(p)) + p
                for p in (hello[i:i + size] for i in range(5, len(hello), size))]
    return cut


def proxied(source, port=50000):
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, 0x11, 12) + socket.inet_aton(source) + \
        socket.inet_aton("198.51.100.7") + struct.pack("!HH", port, 443)


class Proxied(Connection):
    def __init__(self, d, source, tls):
        super().__init__(d.port)
        self.send(proxied(source))
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=self.host)


def refuses(d, context):
    """Whether HTTP gets nothing there."""
    try:
        c = Connection(d.port, tls=context)
        c.request("/ice")
        return c.ended() and not c.buffer
    except (ssl.SSLError, OSError):
        return True
