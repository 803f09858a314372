#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""RFC 6455, section by section, as a client on the wire sees it: frames in every form and every cut, each mistake that a
frame can have, the opening and the closing handshake. Nothing here knows how the server is made."""

import base64
import hashlib
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import certs  # noqa: E402
import daemon  # noqa: E402
import tap  # noqa: E402
from websocket import BINARY, CLOSE, CONT, GUID, PING, PONG, TEXT, Closed, Connection, WebSocket, frame  # noqa: E402

TEXT_MAX, BINARY_MAX = 65536, 1 << 20
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of section 1.3


def server(tls=None, **signal):
    port = daemon.free_port()
    over = {}
    if tls:
        over["tls"] = {"certificate": tls[0], "key": tls[1]}
        signal["tls"] = True
    d = daemon.Daemon(signal={"address": "127.0.0.1", "port": port, "address_connections": 10000, "register_timeout": 3600,
                              "ping_interval": 3600, "rate": 100000, "burst": 100000, "rate_bytes": 0, "grace": 0, **signal}, **over)
    d.http = port
    return d


def close_frame(code, reason=b""):
    return frame(CLOSE, struct.pack("!H", code) + reason)


def masked(opcode, payload, key, fin=True):
    """A frame with a mask of our choice."""
    n = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    head += bytes([0x80 | n]) if n < 126 else bytes([0xfe]) + struct.pack("!H", n) if n < 65536 else \
        bytes([0xff]) + struct.pack("!Q", n)
    return head + key + bytes(b ^ key[i & 3] for i, b in enumerate(payload))


class Echo(WebSocket):
    """In a room of its own, to which it says everything twice: a message comes back byte for byte."""
    names = 0

    def __init__(self, d, **kw):
        super().__init__(d.http, **kw)
        Echo.names += 1
        self.name = "e%d" % Echo.names
        self.send_json(type="register", name=self.name)
        self.expect("registered")
        self.send_json(type="join", room=self.name)
        self.expect("joined")

    @staticmethod
    def wrap(data):
        """data is JSON, as bytes."""
        return b'{"type":"message","scope":"room-all","data":' + data + b"}"

    def back(self, data):
        """Expects it from the server. Who else comes and goes does not matter."""
        opcode, payload = self.recv()
        while payload.startswith(b'{"type":"user'):
            opcode, payload = self.recv()
        tap.equal(opcode, TEXT, "opcode of the echo")
        at = payload.find(b'"data":')
        tap.check(payload[at + 7:-1] == data, "an echo of %d bytes is %.200r" % (len(data), payload))

    def echo(self, data):
        self.send_frame(TEXT, self.wrap(data))
        self.back(data)

    def alive(self):
        mark = os.urandom(8)
        self.send_frame(PING, mark)
        while self.recv() != (PONG, mark):
            pass


def filler(rng, size):
    """A JSON string of that many bytes."""
    return b'"' + bytes(rng.choice(b"abcdefghijklmnopqrstuvwxyz 0123456789") for _ in range(size - 2)) + b'"'


def fails(d, what, data, codes, cut=None):
    """The server ends the connection with one of the codes, and says nothing behind it; cut: bytes a write."""
    ws = WebSocket(d.http)
    try:
        for at in range(0, len(data), cut or len(data)):
            ws.send(data[at:at + (cut or len(data))])
        ws.send(frame(PING, b"behind") + frame(TEXT, b'{"type":"ping"}'))
    except OSError:
        pass  # it has ended already
    try:
        while True:
            opcode, payload = ws.recv()
            tap.check(opcode == PONG and payload == b"before", "%s: an answer %d %r" % (what, opcode, payload))
    except Closed as end:
        tap.check(end.code in codes, "%s: closed with %s %r, not with %r" % (what, end.code, end.reason, codes))
    tap.check(ws.ended() and not ws.buffer, "%s: something follows the Close frame" % what)
    ws.close()


# --- 5.2: the frame ---

def test_lengths():
    """5.2: payloads of every form of length, up to the limit, both ways; the server masks nothing and uses the short form"""
    rng = random.Random(1)
    with server(backlog=1 << 22) as d:
        ws = Echo(d)
        around = len(Echo.wrap(b""))
        for size in (60, 124, 125, 126, 127, 128, 129, 254, 255, 256, 65533, 65534, 65535, 65536):
            ws.echo(filler(rng, size - around))
        # What the server puts around the data: so that its frames have each of the lengths, too.
        ws.send_frame(TEXT, Echo.wrap(b"1"))
        more = len(ws.recv()[1]) - 1
        for size in (125, 126, 127, 65534, 65535, 65536, 65537):
            if size - more + around <= TEXT_MAX:
                ws.send_frame(TEXT, Echo.wrap(filler(rng, size - more)))
                tap.equal(len(ws.recv()[1]), size, "bytes of the server's frame")
        ws.send_frame(TEXT, b"")
        tap.equal(ws.recv_json().get("code"), "bad_json", "answer to nothing")
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536, BINARY_MAX):
            ws = Echo(d)
            ws.send_frame(BINARY, os.urandom(size))
            tap.equal(ws.recv_json().get("code"), "bad_request", "answer to %d bytes of binary" % size)
            ws.alive()
            ws.close()


def test_masks():
    """5.3: whatever the mask, and wherever a payload begins"""
    rng = random.Random(2)
    with server() as d:
        ws = Echo(d)
        for key in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0", b'{"ty', rng.randbytes(4)):
            data = filler(rng, 77)
            ws.send(masked(TEXT, Echo.wrap(data), key))
            ws.back(data)
        for n in range(2, 68):
            ws.echo(filler(rng, n))
        # Many in a row: each begins at another place in what the server has read.
        sent = [filler(rng, rng.randrange(2, 300)) for _ in range(300)]
        ws.send(b"".join(frame(TEXT, Echo.wrap(data)) for data in sent))
        for data in sent:
            ws.back(data)


def test_cuts():
    """5.2: a frame may come in any number of segments, cut anywhere"""
    rng = random.Random(3)
    with server() as d:
        ws = Echo(d)
        data = filler(rng, 150)
        whole = frame(TEXT, Echo.wrap(data))
        for cut in range(1, len(whole)):
            ws.send(whole[:cut])
            ws.send(whole[cut:])
            ws.back(data)
        for size in (2, 124, 200, 65000):
            data = filler(rng, size)
            whole = frame(TEXT, Echo.wrap(data))
            for step in (1, 2, 3, 5, 7, 11, 61, 997, 1460, 4096, 16384):
                if len(whole) // step > 3000:
                    continue
                for at in range(0, len(whole), step):
                    ws.send(whole[at:at + step])
                ws.back(data)


def test_two_at_once():
    """5.2: halves of frames of two connections, sent by turns, do not meet"""
    rng = random.Random(4)
    with server() as d:
        pair = [Echo(d), Echo(d)]
        for _ in range(50):
            data = [filler(rng, rng.randrange(2, 3000)) for _ in pair]
            frames = [frame(TEXT, Echo.wrap(one)) for one in data]
            cuts = [rng.randrange(1, len(one)) for one in frames]
            for ws, one, cut in zip(pair, frames, cuts):
                ws.send(one[:cut])
            for ws, one, cut in zip(pair, frames, cuts):
                ws.send(one[cut:])
            for ws, one in zip(pair, data):
                ws.back(one)


def test_broken_headers():
    """5.2: reserved bits and opcodes, no mask, lengths that are not minimal or have the top bit: 1002"""
    x = b'{"type":"ping"}'
    key = b"\1\2\3\4"
    cases = [("reserved bits %d, opcode %d" % (rsv, opcode), frame(opcode, b"", rsv=rsv))
             for rsv in range(1, 8) for opcode in (TEXT, BINARY, CLOSE, PING, PONG)]
    cases += [("a reserved bit in a later fragment", frame(TEXT, x[:5], fin=False) + frame(CONT, x[5:], rsv=4))]
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        cases += [("opcode %d" % opcode, frame(opcode, b"x")), ("opcode %d, empty" % opcode, frame(opcode)),
                  ("opcode %d, not final" % opcode, frame(opcode, b"x", fin=False)),
                  ("opcode %d among fragments" % opcode, frame(TEXT, x[:5], fin=False) + frame(opcode, x[5:]))]
    cases += [("opcode %d without a mask" % n, frame(n, b"", mask=False)) for n in (TEXT, BINARY, CLOSE, PING, PONG)]
    cases += [("text without a mask", frame(TEXT, x, mask=False)),
              ("a second fragment without a mask", frame(TEXT, x[:5], fin=False) + frame(CONT, x[5:], mask=False)),
              ("125 bytes in the form of 16 bits", b"\x82\xfe\0\x7d" + key + bytes(125)),
              ("nothing in the form of 16 bits", b"\x82\xfe\0\0" + key),
              ("65,535 bytes in the form of 64 bits", b"\x82\xff" + struct.pack("!Q", 65535) + key + bytes(65535)),
              ("one byte in the form of 64 bits", b"\x82\xff" + struct.pack("!Q", 1) + key + b"x"),
              ("a length of 2^63", b"\x82\xff" + struct.pack("!Q", 1 << 63) + key),
              ("a length of 2^64 - 1", b"\x82\xff" + b"\xff" * 8 + key),
              ("a ping in the form of 16 bits", b"\x89\xfe\0\x05" + key + bytes(5)),
              ("a ping in the form of 64 bits", b"\x89\xff" + struct.pack("!Q", 5) + key + bytes(5))]
    with server() as d:
        other = Echo(d)
        for what, data in cases:
            fails(d, what, data, (1002,))
        for what, data in cases[::9]:
            fails(d, what + ", after good ones", frame(PING, b"before") * 3 + data, (1002,))
            fails(d, what + ", byte by byte", data, (1002,), cut=1) if len(data) < 100 else None
        other.alive()


def test_too_long():
    """5.2, 10.4: what is over the limit is 1009 as soon as its header says so"""
    half = frame(TEXT, b" " * (TEXT_MAX // 2), fin=False)
    with server() as d:
        for what, data in (
                ("text", frame(TEXT, b" " * (TEXT_MAX + 1))),
                ("the header alone", frame(TEXT, b"", length=TEXT_MAX + 1)),
                ("a length of 2^32", frame(TEXT, b"", length=1 << 32)),
                ("a length of 2^63 - 1", frame(BINARY, b"", length=(1 << 63) - 1)),
                ("a length that wraps with what was there before", half + frame(CONT, b"", length=(1 << 63) - 1)),
                ("binary", frame(BINARY, b"", length=BINARY_MAX + 1)),
                ("the third fragment", half + frame(CONT, b" " * (TEXT_MAX // 2), fin=False) + frame(CONT, b" ")),
                ("the header of a fragment", half + frame(CONT, b"", length=TEXT_MAX // 2 + 1)),
                ("fragments of binary", frame(BINARY, bytes(BINARY_MAX), fin=False) + frame(CONT, b"x"))):
            fails(d, what, data, (1009,))
        ws = Echo(d)  # as many as there may be, in two pieces
        ws.send(half + frame(CONT, b" " * (TEXT_MAX // 2)))
        tap.equal(ws.recv_json().get("code"), "bad_json", "answer to spaces")
        ws.alive()


# --- 5.4, 5.5: fragments and control frames ---

def test_fragments():
    """5.4: a message in any number of fragments, of any size, with control frames between them"""
    rng = random.Random(5)
    with server() as d:
        ws = Echo(d)
        for size in (2, 100, 5000, 60000):
            for pieces in (2, 3, 10, 100):
                data = filler(rng, size)
                text = Echo.wrap(data)
                cuts = sorted(rng.randrange(len(text) + 1) for _ in range(pieces - 1))  # some are of nothing
                parts = [text[a:b] for a, b in zip([0] + cuts, cuts + [len(text)])]
                out, pings = b"", 0
                for i, part in enumerate(parts):
                    out += frame(CONT if i else TEXT, part, fin=i == len(parts) - 1)
                    if i < len(parts) - 1 and rng.random() < 0.5:
                        out += frame(PING, b"%d" % i) + frame(PONG, b"nobody asked")
                        pings += 1
                ws.send(out)
                for _ in range(pings):
                    tap.equal(ws.recv()[0], PONG, "between the fragments")
                ws.back(data)
        # A fragment that waits keeps no control frame waiting.
        text = Echo.wrap(b'"later"')
        ws.send(frame(TEXT, text[:9], fin=False))
        ws.alive()
        ws.send(frame(CONT, text[9:-1], fin=False))
        ws.alive()
        ws.send(frame(CONT, text[-1:]))
        ws.back(b'"later"')
        # Closed in the middle of a message.
        ws.send(frame(TEXT, text[:9], fin=False) + close_frame(1000))
        tap.equal(ws.expect_close(), 1000, "close within a message")


def test_wrong_fragments():
    """5.4: a continuation of nothing, a message within a message: 1002"""
    begun = frame(TEXT, b'{"type"', fin=False)
    cases = [("a continuation of nothing", frame(CONT, b"x")), ("an empty one", frame(CONT)),
             ("a fragment of nothing", frame(CONT, b"x", fin=False)),
             ("a continuation behind a whole message", frame(PING, b"before") + frame(PONG, b"") + frame(CONT, b"x"))]
    for opcode in (TEXT, BINARY):
        for fin in (True, False):
            cases.append(("opcode %d, final %s, within a message" % (opcode, fin), begun + frame(opcode, b"{}", fin=fin)))
            cases.append(("the same behind a ping", begun + frame(PING, b"before") + frame(opcode, b"", fin=fin)))
    with server() as d:
        for what, data in cases:
            fails(d, what, data, (1002,))
        ws = Echo(d)
        ws.send(begun + frame(CONT, b':"ping"}'))
        ws.expect("pong")
        ws.send(frame(CONT, b"x"))  # the message is over
        tap.equal(ws.expect_close(), 1002, "a continuation behind the last fragment")


def test_control_frames():
    """5.5: a ping comes back as it was, a pong that nobody asked for does nothing, neither may be long or in fragments"""
    with server() as d:
        ws = Echo(d)
        for payload in (b"", b"x", b"Hello", bytes(range(125)), bytes(range(131, 256)), b"\xff" * 125, b"\0" * 125):
            ws.send_frame(PING, payload)
            tap.equal(ws.recv(), (PONG, payload), "pong")
            for byte in frame(PING, payload):
                ws.send(bytes([byte]))
            tap.equal(ws.recv(), (PONG, payload), "pong to what came byte by byte")
            ws.send_frame(PONG, payload)
        # Many at once: at least the last is answered (5.5.3), and what is answered is in order.
        ws.send(b"".join(frame(PING, b"%d" % i) for i in range(1000)))
        last = -1
        while last != 999:
            opcode, payload = ws.recv()
            tap.check(opcode == PONG and int(payload) > last, "pong %r behind %d" % (payload, last))
            last = int(payload)
        ws.echo(b'"and goes on"')
        for opcode in (PING, PONG, CLOSE):
            fails(d, "opcode %d in fragments" % opcode, frame(opcode, b"", fin=False), (1002,))
            fails(d, "opcode %d, with its second half" % opcode, frame(opcode, b"", fin=False) + frame(CONT, b""), (1002,))
            for size in (126, 127, 65535, 65536):
                fails(d, "opcode %d of %d bytes" % (opcode, size), frame(opcode, b"\x03\xe8" + b"x" * (size - 2)), (1002,))


# --- 5.6, 8.1: text ---

GOOD_TEXT = ("plain", "\u03ba\u1f79\u03c3\u03bc\u03b5", "\u0080", "\u07ff", "\u0800", "\uffff", "\ud7ff", "\ue000",
             "\ufdd0", "\ufffe", "\U00010000", "\U0010ffff", "\U0001fffe", "\ufeff", "\U0001f469\u200d\U0001f680", "a\u0300\u0301")
BAD_TEXT = (
    ("a lone continuation byte", b"\x80"), ("another", b"\xbf"), ("six of them", b"\x80\xbf\x80\xbf\x80\xbf"),
    ("a lone first byte of two", b"\xc3 "), ("of three", b"\xe4\xb8 "), ("of four", b"\xf0\x9f\x98 "),
    ("two first bytes", b"\xc3\xc3\xa4"), ("C0", b"\xc0\x80"), ("C1", b"\xc1\xbf"), ("a slash in two bytes", b"\xc0\xaf"),
    ("in three", b"\xe0\x80\xaf"), ("in four", b"\xf0\x80\x80\xaf"), ("in five", b"\xf8\x80\x80\x80\xaf"),
    ("in six", b"\xfc\x80\x80\x80\x80\xaf"), ("the longest overlong forms", b"\xe0\x9f\xbf"), ("of four bytes", b"\xf0\x8f\xbf\xbf"),
    ("the first surrogate", b"\xed\xa0\x80"), ("the last", b"\xed\xbf\xbf"), ("a pair of them", b"\xed\xa0\xbd\xed\xb8\x80"),
    ("U+110000", b"\xf4\x90\x80\x80"), ("U+1FFFFF", b"\xf7\xbf\xbf\xbf"), ("F5", b"\xf5\x80\x80\x80"), ("FE", b"\xfe"),
    ("FF", b"\xff"), ("FE FF", b"\xfe\xff"), ("NUL in two bytes", b"\xc0\x80"),
)


def test_good_text():
    """5.6, 8.1: every kind of UTF-8 arrives, whole, in fragments cut within a character, and byte by byte"""
    with server() as d:
        ws = Echo(d)
        for text in GOOD_TEXT + ("".join(GOOD_TEXT),):
            data = b'"' + text.encode() + b'"'
            ws.echo(data)
            whole = Echo.wrap(data)
            at = whole.index(data)
            for cut in range(at, len(whole)):
                ws.send(frame(TEXT, whole[:cut], fin=False) + frame(CONT, whole[cut:]))
                ws.back(data)
            ws.send(b"".join(frame(CONT if i else TEXT, whole[i:i + 1], fin=False) for i in range(len(whole))) + frame(CONT))
            ws.back(data)
            for byte in frame(TEXT, whole):
                ws.send(bytes([byte]))
            ws.back(data)


def test_bad_text():
    """8.1: what is no UTF-8 is 1007: in one frame, over two, at the end of a message, at either end of a long one"""
    with server() as d:
        for what, bad in BAD_TEXT:
            text = b'{"type":"ping","x":"' + bad + b'"}'
            at = text.index(bad)
            fails(d, what, frame(TEXT, text), (1007,))
            fails(d, what + ", in the second fragment", frame(TEXT, text[:at], fin=False) + frame(CONT, text[at:]), (1007,))
            for cut in range(at + 1, at + len(bad)):
                fails(d, what + ", cut in two", frame(TEXT, text[:cut], fin=False) + frame(PING, b"before") +
                      frame(CONT, text[cut:]), (1007,))
            fails(d, what + ", far behind", frame(TEXT, b'{"x":"' + b"x" * 60000 + bad + b'"}'), (1007,), cut=9999)
            fails(d, what + ", far in front", frame(TEXT, b'{"x":"' + bad + b"x" * 60000 + b'"}'), (1007,), cut=9999)
        for cut in (b"\xc3", b"\xe4", b"\xe4\xb8", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98"):
            fails(d, "text that ends with %r" % cut, frame(TEXT, b'"' + cut), (1007,))
            fails(d, "fragments that end with %r" % cut, frame(TEXT, b'"' + cut, fin=False) + frame(CONT), (1007,))
        ws = Echo(d)
        ws.send_frame(BINARY, b"\xff\xfe\x80")  # where it does not matter
        tap.equal(ws.recv_json().get("code"), "bad_request", "answer to binary")
        ws.alive()


# --- 7: closing ---

def test_close_codes():
    """7.4: a Close frame with a code that may be there comes back with it; with one that may not: 1002"""
    with server() as d:
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
            for reason in (b"", b"going", "\u00fc".encode() * 61, b"x" * 123):
                ws = WebSocket(d.http)
                ws.send(close_frame(code, reason))
                opcode, payload, fin = ws.recv_frame()
                tap.equal((opcode, payload[:2], fin), (CLOSE, struct.pack("!H", code), True), "the answer to %d" % code)
                tap.check(ws.ended() and not ws.buffer, "nothing follows")
                ws.close()
        ws = WebSocket(d.http)
        ws.send(frame(CLOSE))
        tap.equal(ws.recv_frame()[:2], (CLOSE, b""), "the answer to one without a code")
        tap.check(ws.ended() and not ws.buffer, "nothing follows")
        for code in (1012, 1013, 1014):  # registered since: an older server need not know them
            fails(d, "code %d" % code, close_frame(code), (code, 1002))
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
            fails(d, "code %d" % code, close_frame(code), (1002,))
        fails(d, "one byte", frame(CLOSE, b"\x03"), (1002,))
        for what, bad in BAD_TEXT:
            fails(d, "a reason with " + what, close_frame(1000, b"x" + bad), (1007,))
        fails(d, "a reason that ends within a character", close_frame(1000, b"\xe4\xb8"), (1007,))


def test_close_order():
    """7.1: nothing behind a Close frame counts, every answer is before it, and the server ends the connection first"""
    with server() as d:
        ws = Echo(d)
        ws.send(frame(TEXT, Echo.wrap(b'"1"')) + frame(PING, b"p") + close_frame(1000) +
                frame(TEXT, Echo.wrap(b'"2"')) + frame(PING, b"q") + b"\xff" * 1000)
        ws.back(b'"1"')
        tap.equal(ws.recv(), (PONG, b"p"), "pong")
        tap.equal(ws.recv_frame()[:2], (CLOSE, struct.pack("!H", 1000)), "then the Close frame")
        tap.check(ws.ended() and not ws.buffer, "nothing follows")
        # Two of them; one in pieces.
        ws = Echo(d)
        ws.send(close_frame(1001) + close_frame(1000))
        tap.equal(ws.expect_close(), 1001, "the first counts")
        ws = Echo(d)
        for byte in close_frame(4000, b"in pieces"):
            ws.send(bytes([byte]))
        tap.equal(ws.expect_close(), 4000, "byte by byte")
        # Closed by the server: what comes then is not read, and one that never answers is not waited for.
        for answer in (True, False):
            ws = Echo(d)
            for _ in range(20):
                ws.send_frame(TEXT, b"not JSON")
            code = None
            while code is None:
                opcode, payload, _ = ws.recv_frame()
                code = struct.unpack("!H", payload[:2])[0] if opcode == CLOSE else None
            tap.equal(code, 1008, "too many mistakes")
            try:
                ws.send(frame(PING, b"late") + (close_frame(code) if answer else b""))
            except OSError:
                pass
            tap.check(ws.ended() and not ws.buffer, "nothing follows, and the connection ends")


def test_half_close():
    """7.1.5: a client that shuts its side down, at any point of a frame, is gone for the others at once"""
    whole = frame(TEXT, Echo.wrap(b'"x"'))
    with server() as d:
        other = Echo(d)
        for what, data in (("nothing", b""), ("half a header", whole[:1]), ("a header", whole[:6]), ("half a frame", whole[:20]),
                           ("a fragment", frame(TEXT, b"{", fin=False)), ("a frame", whole)):
            ws = WebSocket(d.http)
            ws.send_json(type="register", name="half")
            ws.expect("registered")
            tap.equal(other.expect("useradd")["name"], "half", "who came")
            ws.send(data)
            ws.sock.shutdown(socket.SHUT_WR)
            tap.equal(other.expect("userdel")["name"], "half", "who is gone after " + what)
            tap.check(ws.ended(), "the connection ends after " + what)
            ws.close()
        ws = Echo(d)
        ws.send(close_frame(1000))
        ws.sock.shutdown(socket.SHUT_WR)
        tap.equal(ws.expect_close(), 1000, "the answer to a Close frame with FIN behind it")


def test_silence():
    """5.5.2: who says nothing for longer than a request may take is not cut off"""
    with server(request_timeout=1) as d:
        ws, other = tap.persist(lambda: Echo(d), OSError, Closed), Connection(d.http)
        tap.check(other.ended(), "one that sends no request is cut off")
        other = Connection(d.http)
        tap.check(other.ended(), "another, later")
        ws.alive()
        ws.echo(b'"still here"')


# --- 4: the opening handshake ---

def handshake(d, head, status, what, behind=b""):
    """Sends these lines and expects that status. The connection, and the answer."""
    c = Connection(d.http)
    lines = [line.encode("latin-1") if isinstance(line, str) else line for line in head]
    c.send(b"\r\n".join(lines) + b"\r\n\r\n" + behind)
    answer = c.response(head[0].split()[0])
    tap.equal(answer.status, status, what)
    if status == 426:
        tap.equal(answer.headers["sec-websocket-version"], "13", "the version that is spoken")
        tap.equal(answer.headers["upgrade"].lower(), "websocket", "the protocol that is spoken")
    return c, answer


def lines(d, **change):
    """A good handshake but for the changes: None leaves a line out, a list gives it more than once."""
    fields = {"Host": "127.0.0.1:%d" % d.http, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
              "Sec-WebSocket-Key": KEY}
    names = {name.lower().replace("-", "_"): name for name in fields}
    request = change.pop("request", "GET /signal HTTP/1.1")
    extra = change.pop("extra", [])
    for name, value in change.items():
        fields[names[name]] = value
    out = [request]
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                out.append("%s: %s" % (name, one))
    return out + extra


def serves(d, head, what):
    """It is an opening handshake, and what follows are frames."""
    c, answer = handshake(d, head, 101, what, frame(PING, b"early"))
    tap.equal(answer.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Accept of section 1.3")
    tap.equal(answer.headers["upgrade"].lower(), "websocket", "Upgrade")
    tap.equal(answer.headers["connection"].lower(), "upgrade", "Connection")
    for name in ("sec-websocket-protocol", "sec-websocket-extensions", "content-length", "transfer-encoding"):
        tap.check(name not in answer.headers, "%s with 101 (%s)" % (name, what))
    tap.equal(c.take(7), b"\x8a\x05early", "the frame behind the request (%s)" % what)
    c.close()


def test_handshake():
    """4.2: spelling, order and spaces of the opening handshake do not matter, nor what else is offered"""
    with server() as d:
        tap.equal(base64.b64encode(hashlib.sha1(KEY.encode() + GUID).digest()), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "section 1.3")
        serves(d, lines(d), "as it should be")
        serves(d, lines(d)[:1] + lines(d)[:0:-1], "in another order")
        serves(d, [lines(d)[0]] + [line.split(":", 1)[0].lower() + ":" + line.split(":", 1)[1] for line in lines(d)[1:]], "lower case")
        serves(d, [lines(d)[0]] + [line.split(":", 1)[0].upper() + ":" + line.split(":", 1)[1] for line in lines(d)[1:]], "upper case")
        serves(d, [lines(d)[0]] + [line.replace(": ", ":", 1) for line in lines(d)[1:]], "without spaces")
        serves(d, [lines(d)[0]] + [line.replace(": ", ":   ", 1) + "  " for line in lines(d)[1:]], "with more of them")
        serves(d, [lines(d)[0]] + [line.replace(": ", ":\t", 1) + " \t" for line in lines(d)[1:]], "with tabs")
        serves(d, lines(d, upgrade="WebSocket", connection="UPGRADE"), "values in capitals")
        serves(d, lines(d, upgrade="h2c, websocket", connection="keep-alive ,\tUpgrade"), "in lists")
        serves(d, lines(d, upgrade=["h2c", "websocket"], connection=["keep-alive", "Upgrade"]), "in lists over two lines")
        serves(d, lines(d, request="GET /signal?token=x&y=%20z HTTP/1.1"), "with a query")
        serves(d, lines(d, request="GET http://127.0.0.1:%d/signal HTTP/1.1" % d.http), "in absolute form")
        serves(d, lines(d, extra=["Sec-WebSocket-Protocol: chat, superchat", "Sec-WebSocket-Protocol: third"]), "with subprotocols")
        serves(d, lines(d, extra=["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame",
                                  "Sec-WebSocket-Extensions: foo; bar=\"baz\""]), "with extensions")
        serves(d, lines(d, extra=["X-%d: %s" % (i, "y" * 200) for i in range(60)]), "with 12 KiB of headers")
        serves(d, lines(d, extra=["Content-Length: 0"]), "with a body of nothing")
        # An ordinary request in front of it.
        c = Connection(d.http)
        c.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + "\r\n".join(lines(d)).encode() + b"\r\n\r\n" + frame(PING, b"3"))
        tap.equal((c.response("HEAD").status, c.response().status), (200, 101), "a request, then the handshake")
        tap.equal(c.take(3), b"\x8a\x013", "the frame behind both")


def test_no_handshake():
    """4.2.1: what lacks a part of it is refused, with the version that is spoken where it helps, and nothing is upgraded"""
    with server() as d:
        for what, status, head in (
                ("no Upgrade", 426, lines(d, upgrade=None)), ("another Upgrade", 426, lines(d, upgrade="h2c")),
                ("part of the word", 426, lines(d, upgrade="websocket2")), ("an empty one", 426, lines(d, upgrade="")),
                ("no Connection", 426, lines(d, connection=None)), ("another Connection", 426, lines(d, connection="keep-alive")),
                ("part of the word", 426, lines(d, connection="no-upgrade")),
                ("no version", 426, lines(d, sec_websocket_version=None)), ("version 8", 426, lines(d, sec_websocket_version="8")),
                ("version 0", 426, lines(d, sec_websocket_version="0")), ("version 014", 426, lines(d, sec_websocket_version="014")),
                ("version 13.0", 426, lines(d, sec_websocket_version="13.0")), ("version -13", 426, lines(d, sec_websocket_version="-13")),
                ("two versions", 426, lines(d, sec_websocket_version="8, 7")),
                ("HTTP/1.0", 426, lines(d, request="GET /signal HTTP/1.0")),
                ("no key", 400, lines(d, sec_websocket_key=None)), ("an empty key", 400, lines(d, sec_websocket_key="")),
                ("a key of 15 bytes", 400, lines(d, sec_websocket_key=base64.b64encode(b"x" * 15).decode())),
                ("of 17", 400, lines(d, sec_websocket_key=base64.b64encode(b"x" * 17).decode())),
                ("of 18", 400, lines(d, sec_websocket_key=base64.b64encode(b"x" * 18).decode())),
                ("of 16 without padding", 400, lines(d, sec_websocket_key=KEY[:22])),
                ("with more behind it", 400, lines(d, sec_websocket_key=KEY + "x")),
                ("that is no base64", 400, lines(d, sec_websocket_key="-_" * 11 + "==")),
                ("two keys", 400, lines(d, sec_websocket_key=[KEY, base64.b64encode(b"y" * 16).decode()])),
                ("a long key", 400, lines(d, sec_websocket_key="A" * 8000)),
                ("no Host", 400, lines(d, host=None)), ("two hosts", 400, lines(d, host=["a", "b"])),
                ("POST", 405, lines(d, request="POST /signal HTTP/1.1", extra=["Content-Length: 0"])),
                ("HEAD", 405, lines(d, request="HEAD /signal HTTP/1.1")),
                ("PUT", 405, lines(d, request="PUT /signal HTTP/1.1", extra=["Content-Length: 0"])),
                ("DELETE", 405, lines(d, request="DELETE /signal HTTP/1.1")),
                ("a body", 400, lines(d, extra=["Content-Length: 5", "", "12345"])),
                ("a body in chunks", 400, lines(d, extra=["Transfer-Encoding: chunked", "", "1", "x", "0"])),
                ("another path", 404, lines(d, request="GET /signals HTTP/1.1")),
                ("a path below", 404, lines(d, request="GET /signal/x HTTP/1.1")),
                ("another origin", 403, lines(d, extra=["Origin: https://evil.example"])),
                ("the origin null", 403, lines(d, extra=["Origin: null"]))):
            handshake(d, head, status, what)[0].close()
        # Of a page: not upgraded, whatever it asks for.
        handshake(d, lines(d, request="GET / HTTP/1.1"), 200, "of the page")[0].close()
        Echo(d).alive()


def test_broken_requests():
    """4.2.1: damaged requests get 400, 413, 431, 501 or the end of the connection, never an upgrade"""
    with server() as d:
        good = b"\r\n".join(line.encode() for line in lines(d))
        cases = [
            ("a space in front of a colon", good.replace(b"Host:", b"Host :")),
            ("a space in front of another colon", good + b"\r\nContent-Length : 5"),
            ("a control character in a name", good + b"\r\nX\x01: y"),
            ("a name of nothing", good + b"\r\n: y"),
            ("no colon", good + b"\r\nnothing"),
            ("a line end within a value", good + b"\r\nX: a\rY: b"),
            ("a fold with it", good + b"\r\nX: a\r Y: b"),
            ("HTTP/2.0", good.replace(b"HTTP/1.1", b"HTTP/2.0")), ("HTTP/0.9", b"GET /signal"),
            ("no version", good.replace(b" HTTP/1.1", b"")), ("a version of letters", good.replace(b"HTTP/1.1", b"HTTP/x.y")),
            ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM"),
            ("an unknown method", good.replace(b"GET", b"BREW")), ("a method in small letters", good.replace(b"GET", b"get")),
            ("a long line", good + b"\r\nX: " + b"y" * 70000), ("many headers", good + b"\r\nX: y" * 20000),
            ("a long target", good.replace(b"/signal", b"/signal?" + b"x" * 70000)),
            ("frames at once", frame(TEXT, b"{}") * 10), ("two lengths", good + b"\r\nContent-Length: 0\r\nContent-Length: 9"),
        ]
        for what, data in cases:
            c = Connection(d.http)
            try:
                c.send(data + b"\r\n\r\n")
                c.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            c.ended()
            tap.check(b" 101 " not in c.buffer.split(b"\r\n")[0], "upgraded: " + what)
            if c.buffer:
                tap.check(c.buffer[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 413 ", b"HTTP/1.1 431 ", b"HTTP/1.1 501 ", b"HTTP/1.0 400 ",
                                            b"HTTP/1.1 405 ", b"HTTP/1.1 426 ", b"HTTP/1.1 404 ", b"HTTP/1.0 426 ", b"HTTP/1.1 505 "),
                          "%s: %r" % (what, c.buffer[:60]))
            c.close()
        Echo(d).alive()


def test_nothing_is_reflected():
    """4.2.2: no line of a request becomes one of the answer"""
    with server(origins=["*"]) as d:
        for value in ("https://a.example\r X-Evil: 1", "https://a.example\r\n X-Evil: 1", "https://a.example\rX-Evil: 1",
                      "https://a.example%0d%0aX-Evil: 1", "https://a.example\x0bX-Evil: 1", "https://a.example\x85X-Evil: 1"):
            for name in ("Origin", "Host", "Sec-WebSocket-Protocol", "Sec-WebSocket-Version"):
                head = [line for line in lines(d) if not line.startswith(name + ":")] + ["%s: %s" % (name, value)]
                for request in ("GET /signal HTTP/1.1", "GET /ice HTTP/1.1", "GET / HTTP/1.1"):
                    c = Connection(d.http)
                    c.send("\r\n".join([request] + head[1:]).encode("latin-1") + b"\r\n\r\n")
                    c.sock.shutdown(socket.SHUT_WR)
                    c.ended()
                    answer = c.buffer.split(b"\r\n\r\n")[0]
                    for line in answer.split(b"\n")[1:]:
                        tap.check(not line.strip().lower().startswith(b"x-evil"), "a line of its own: %r" % answer)
                    tap.check(b"\r" not in answer.replace(b"\r\n", b""), "a bare CR: %r" % answer)
                    c.close()


# --- over TLS ---

def test_over_tls():
    """1.7: the same in TLS, with frames over several records and several in one"""
    authority, rng = certs.Authority(), random.Random(6)
    with server(tls=authority.issue()) as d:
        ws = Echo(d, tls=authority.context())
        for size in (2, 125, 126, 16000, 17000, 60000):
            data = filler(rng, size)
            whole = frame(TEXT, Echo.wrap(data))
            ws.echo(data)
            for step in (1, 3, 61, 997, 16384, 16385):
                if len(whole) // step > 1000:
                    continue
                for at in range(0, len(whole), step):
                    ws.send(whole[at:at + step])
                ws.back(data)
        sent = [filler(rng, rng.randrange(2, 3000)) for _ in range(200)]
        ws.send(b"".join(frame(TEXT, Echo.wrap(data)) for data in sent))
        for data in sent:
            ws.back(data)
        ws.send(close_frame(1000))
        tap.equal(ws.expect_close(), 1000, "close")
        ws = WebSocket(d.http, tls=authority.context())
        ws.send(frame(TEXT, b"\xff"))
        tap.equal(ws.expect_close(), 1007, "no UTF-8")


if __name__ == "__main__":
    tap.main()
