# SPDX-License-Identifier: BSD-2-Clause
"""A WebSocket client (RFC 6455) and an HTTP client that do just what they are told, mistakes included."""

import base64
import contextlib
import hashlib
import json
import os
import socket
import struct

import daemon
import tap

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Closed(Exception):
    """The connection ended: code is that of the Close frame, None without one."""

    def __init__(self, code=None, reason=""):
        super().__init__("closed with %s %r" % (code, reason))
        self.code = code
        self.reason = reason


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # names in lower case
        self.body = body

    def json(self):
        return daemon.json_of(self.body.decode())


class Connection:
    """HTTP/1.1 on one socket."""

    def __init__(self, port, host="127.0.0.1", tls=None, source=None):
        self.port = port
        self.host = host
        # A port of ours must not meet one that the kernel gave out before: let it choose.
        self.sock = socket.create_connection((host, port), daemon.PATIENCE, source)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=host)
        self.buffer = b""
        tap.cleanup(self.close)

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def fill(self):
        """Reads some more; raises Closed at the end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed()
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def take_until(self, mark):
        while mark not in self.buffer:
            self.fill()
        data, self.buffer = self.buffer.split(mark, 1)
        return data

    def request(self, path, method="GET", headers=(), body=b"", host=None, behind=b""):
        """behind: what follows in the same segment. Part of another request keeps the connection from being idle."""
        head = ["%s %s HTTP/1.1" % (method, path), "Host: " + (host or "%s:%d" % (self.host, self.port))]
        head += ["%s: %s" % h for h in (headers.items() if isinstance(headers, dict) else headers)]
        if body:
            head.append("Content-Length: %d" % len(body))
        self.send("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body + behind)

    def response(self, method="GET"):
        lines = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        body = b""
        if method != "HEAD" and status not in (101, 204, 304):
            if "content-length" in headers:
                body = self.take(int(headers["content-length"]))
            elif headers.get("content-type") != "text/event-stream":
                try:
                    while True:
                        self.fill()
                except Closed:
                    body, self.buffer = self.buffer, b""
        return Response(status, headers, body)

    def get(self, path, method="GET", **kw):
        self.request(path, method, **kw)
        return self.response(method)

    def ended(self):
        """Waits for the end of the connection."""
        try:
            while True:
                self.fill()
        except Closed:
            return True


def fetch(port, path, method="GET", **kw):
    """One request on a connection of its own."""
    tls = kw.pop("tls", None)
    c = Connection(port, tls=tls)
    try:
        return c.get(path, method, **kw)
    finally:
        c.close()


def frame(opcode, payload=b"", fin=True, mask=True, rsv=0, length=None):
    """length: what the header says in place of the payload's."""
    n = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", n)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", n)
    if not mask:
        return head + payload
    key = os.urandom(4)
    stream = key * (len(payload) // 4 + 1)
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(stream[:len(payload)], "big")).to_bytes(len(payload), "big")
    return head + key + masked


def upgrade_headers(key=None):
    return {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key or base64.b64encode(os.urandom(16)).decode()}


class WebSocket(Connection):
    def __init__(self, port, path="/signal", headers=(), early=b"", **kw):
        """early: bytes that go out behind the request, in one write with it."""
        super().__init__(port, **kw)
        key = base64.b64encode(os.urandom(16)).decode()
        head = {**upgrade_headers(key), **dict(headers)}
        self.request(path, headers=head, body=b"") if not early else self.send(self._text(path, head) + early)
        answer = self.response()
        tap.equal(answer.status, 101, "status of the upgrade")
        want = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
        tap.equal(answer.headers.get("sec-websocket-accept"), want, "Sec-WebSocket-Accept")
        self.partial = b""

    def _text(self, path, headers):
        lines = ["GET %s HTTP/1.1" % path, "Host: %s:%d" % (self.host, self.port)]
        return "\r\n".join(lines + ["%s: %s" % h for h in headers.items()]).encode() + b"\r\n\r\n"

    def send_frame(self, opcode, payload=b"", **kw):
        self.send(frame(opcode, payload, **kw))

    def send_json(self, **message):
        self.send_frame(TEXT, json.dumps(message).encode())

    def recv_frame(self):
        """(opcode, payload, fin) of the next frame, which must be a good one of a server."""
        first, second = self.take(2)
        tap.equal(second & 0x80, 0, "mask bit of a server's frame")
        tap.equal(first & 0x70, 0, "reserved bits")
        n = second & 0x7f
        if n == 126:
            n = struct.unpack("!H", self.take(2))[0]
            tap.check(n > 125, "%d bytes in the form of 16 bits" % n)
        elif n == 127:
            n = struct.unpack("!Q", self.take(8))[0]
            tap.check(65535 < n < 1 << 63, "%d bytes in the form of 64 bits" % n)
        return first & 15, self.take(n), bool(first & 0x80)

    def recv(self):
        """(opcode, payload) of the next message or pong. Answers pings; raises Closed, having answered a Close frame."""
        while True:
            opcode, payload, fin = self.recv_frame()
            tap.check(fin, "a server that fragments")
            if opcode == PING:
                with contextlib.suppress(OSError):  # it may have ended since
                    self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else None
                try:
                    self.send_frame(CLOSE, payload[:2])
                except OSError:
                    pass  # the server has nothing to wait for
                raise Closed(code, payload[2:].decode())
            else:
                return opcode, payload

    def recv_json(self):
        opcode, payload = self.recv()
        tap.equal(opcode, TEXT, "opcode of an answer")
        return daemon.json_of(payload.decode())

    def expect(self, kind):
        """The next message of that type; others are passed over."""
        while True:
            message = self.recv_json()
            if message.get("type") == kind:
                return message

    def expect_close(self):
        """Reads to the Close frame and to the end of the connection. Its code, None when there was none."""
        try:
            while True:
                self.recv()
        except Closed as end:
            code = end.code
        tap.check(self.ended(), "the connection ends")
        return code
