#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""T14, T15: what can be done to connections. Frames that never end, bytes that trickle, requests by the thousand, answers that
nobody reads, protocols that are not ours, connections that come by the thousand."""

import contextlib
import os
import signal
import socket
import ssl
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from certs import Authority
from daemon import config_text, Daemon, free_port, PATIENCE, settings

RESET = struct.pack("ii", 1, 0)
UDP = (stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")
STRANGER_MAX = 4096  # bytes of a frame that those without an allocation may send


class Door(Daemon):
    """All transports on one port, and plain, TLS and PROXY ports beside it."""

    def __init__(self, **over):
        self.plain, self.secure, self.behind = free_port(), free_port(), free_port()
        port = free_port()
        listen = [("udp+dtls", port), ("tcp+tls", port), ("udp", self.plain), ("tcp", self.plain), ("tls", self.secure),
                  ("dtls", self.secure), ("tcp+tls", self.behind)]
        self.settings = {"listen": [{"transport": t, "address": "*", "port": p, "proxy_protocol": p == self.behind}
                                    for t, p in listen], "tls": Authority().settings(), **over}
        super().__init__(port=port, **self.settings)

    def reload(self, **over):
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(config_text(settings(self.port, **{**self.settings, **over})))
        os.kill(self.pid, signal.SIGHUP)
        self.wait_log("configuration reloaded")

    def connect(self, port=None, data=b"", source=None):
        sock = socket.create_connection(("127.0.0.1", port or self.port), PATIENCE, source)
        tap.cleanup(sock.close)
        sock.sendall(data)
        return sock

    def files(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def files_back(self, most):
        end = time.monotonic() + PATIENCE
        while self.files() > most:
            tap.check(time.monotonic() < end, "%d descriptors, expected %d" % (self.files(), most))
            time.sleep(0.05)

    def rest(self):
        """Waits until it has nothing to do: it has read all that was sent."""
        end, calm = time.monotonic() + PATIENCE, 0
        while calm < 3 and time.monotonic() < end:
            before = time.clock_gettime(self.clock())
            time.sleep(0.1)
            calm = calm + 1 if time.clock_gettime(self.clock()) - before < 0.01 else 0

    def clock(self):
        """Its CPU time, as clock_getcpuclockid(3) has it."""
        return ~self.pid << 3 | 2

    def works(self):
        """Everybody else is served on all transports."""
        for transport in ("udp", "tcp", "tls", "dtls"):
            with self.client(transport) as c:
                tap.check(c.binding() is not None, "no answer over " + transport)


def ended(sock):
    """Whether the server ends it in time, and what it said before."""
    sock.settimeout(PATIENCE)
    said = b""
    try:
        while chunk := sock.recv(65536):
            said += chunk
    except socket.timeout:
        return False, said
    except OSError:
        pass
    return True, said


def quiet(fn):
    with contextlib.suppress(OSError):
        fn()


def proxy(n, source="192.0.2.1"):
    return b"PROXY TCP4 %s 198.51.100.7 %d 3478\r\n" % (source.encode(), n)


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(incoming, outgoing, server_hostname="a.example").do_handshake()
    return outgoing.read()


# --- half frames, slow bytes ---

def test_half_frames():
    """T14: 300 unfinished frames, by TCP and TLS: little memory, others are served, limits.tcp_idle ends them"""
    with Door(limits={"tcp_connections": 4000, "unauthenticated_rate": 0}) as d:
        with d.client("tls") as c:
            context = c.sock.context
        d.works()
        files = d.files()
        for transport, each in (("tcp", 8), ("tls", 48)):
            before = d.rss()
            halves = [d.client(transport, context=context) if transport == "tls" else d.client("tcp") for _ in range(150)]
            for n, c in enumerate(halves):
                whole = stun.build(stun.BINDING, attrs=[(stun.SOFTWARE, bytes(4000))])
                if n % 3 == 1:
                    whole = stun.channel_data(0x4000, bytes(STRANGER_MAX - 4))
                c.send_raw(whole[:1 + n % 3] if n % 10 == 0 else whole[:-1])
            d.works()
            tap.bounded(d.rss() - before, 150 * each, "150 half frames over " + transport)
            # What says that it is longer is not waited for.
            for head in (stun.header(stun.BINDING, stun.REQUEST, 65532, stun.new_txid()), stun.channel_data(0x4000, b"", length=65535),
                         stun.header(stun.BINDING, stun.REQUEST, STRANGER_MAX, stun.new_txid())):
                with d.client(transport) as c:
                    c.send_raw(head)
                    tap.check(c.recv_raw(PATIENCE) is None and c.closed, "a stranger's long frame is waited for")
        d.reload(limits={"tcp_connections": 4000, "unauthenticated_rate": 0, "tcp_idle": 1})
        d.files_back(files)
        d.works()


def test_slow_bytes():
    """T14: a byte now and then, on a plain connection, within TLS, in its handshake and in PROXY headers, ends all the same"""
    with Door(limits={"tcp_idle": 1, "tls_timeout": 1, "unauthenticated_rate": 0}) as d:
        long = stun.build(stun.BINDING, attrs=[(stun.SOFTWARE, bytes(700))])
        began = time.monotonic()
        tls = tap.persist(lambda: d.client("tls"), OSError)
        slow = {"a plain frame": (d.connect(d.plain), long), "a plain frame, TLS possible": (d.connect(), long),
                "a frame within TLS": (tls.sock, long), "a handshake": (d.connect(d.secure), client_hello()),
                "a header": (d.connect(d.behind), b"PROXY TCP6 " + b"2001:0db8:0000:0000:0000:0000:0000:0001 " * 2),
                "a binary header": (d.connect(d.behind), b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x08\0" + bytes(2000)),
                "a handshake behind a header": (d.connect(d.behind, proxy(1000)), client_hello()),
                "a frame behind a header": (d.connect(d.behind, proxy(1001)), long)}
        end, n = time.monotonic() + PATIENCE, 0
        still = dict(slow)
        while still and time.monotonic() < end:
            for what, (sock, data) in list(still.items()):
                sock.settimeout(0.01)
                try:
                    sock.sendall(data[n:n + 1])
                    if sock.recv(4096) == b"":
                        del still[what]
                except socket.timeout:
                    pass
                except OSError:
                    del still[what]
            n = min(n + 1, 70)
            time.sleep(0.1)
        tap.check(not still, "still open: %s" % ", ".join(still))
        tap.check(time.monotonic() - began > 0.9, "closed at once: the test shows nothing")
        d.reload(limits={"unauthenticated_rate": 0})
        d.works()
        for why in ("no whole TLS handshake within", "no whole PROXY header within"):
            tap.check(d.read_log().count(why) >= 2, "the log does not say: " + why)


# --- thousands of requests ---

def test_pipelined():
    """T14: 5,000 requests in one write are all answered, in order, by TCP and TLS, with an allocation and without"""
    with Door() as d:
        for transport in ("tcp", "tls"):
            for own in (False, True):
                with d.client(transport) as c:
                    if own:
                        c.allocate()
                    txids = [stun.new_txid() for _ in range(5000)]
                    data = b"".join(c.signed(stun.REFRESH, txid=t) if own and n % 7 == 0 else stun.build(stun.BINDING, txid=t)
                                    for n, t in enumerate(txids))
                    c.send_raw(data)
                    got = []
                    while len(got) < len(txids) and (frame := c.recv_raw(PATIENCE)):
                        got.append(stun.Message(frame).txid)
                    tap.check(got == txids, "%s: %d of %d answers, or not in order" % (transport, len(got), len(txids)))


def test_answers_not_read():
    """T14: 120,000 requests of clients that read no answer: bounded memory; what they read later is whole and in order"""
    count = 120000
    # MAPPED-ADDRESS and the rest are longer than what asks for them.
    stream = b"".join(stun.header(stun.BINDING, stun.REQUEST, 0, struct.pack("!3I", 1, 2, n)) for n in range(count))
    for transport in ("tcp", "tls"):
        for own in (False, True):
            with Door(workers=1, limits={"unauthenticated_rate": 0}) as d:
                d.works()
                with d.client(transport) as c:
                    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                    if own:
                        c.allocate()
                    before = d.rss()
                    c.send_raw(stream)
                    d.works()
                    d.rest()
                    got, last = 0, b""
                    while last != struct.pack("!3I", 1, 2, count - 1) and (frame := c.recv_raw(0.5 * tap.SLOW)):
                        txid = stun.Message(frame).txid
                        tap.check(txid > last, "answers are not in order")
                        got, last = got + 1, txid
                    tap.check(not c.closed, "the connection was closed")
                    tap.diag("%d of %d answers came late by %s" % (got, count, transport))
                    tap.bounded(int(d.status("VmHWM").split()[0]) - before, 2048, "at most")
                    tap.check(got < count, "nothing was held up: the test shows nothing")
                    tap.check(c.binding() is not None, "no answer afterwards")


# --- other protocols ---

def test_other_protocols():
    """T14: TLS on a plain port and the reverse, HTTP, DTLS on TCP, TLS on UDP: no answer, a logged reason, nothing is kept"""
    http, tls, plain = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", client_hello(), stun.build(stun.BINDING)
    dtls = b"\x16\xfe\xfd" + bytes(8) + struct.pack("!H", len(tls)) + tls
    with Door(workers=1) as d:
        d.works()
        files, before = d.files(), d.rss()
        for port, header in ((d.plain, b""), (d.secure, b""), (d.port, b""), (d.behind, proxy(2000))):
            for data, on_plain, on_tls in (
                    (http, "HTTP, which is not served here", "HTTP, which is not served here"),
                    (b"POST / HTTP/1.0\r\n", "HTTP, which", "HTTP, which"), (b"PRI * HTTP/2.0\r\n", "HTTP, which", "HTTP, which"),
                    (tls, "TLS on a plain port", None), (plain, None, "plain STUN on a port for TLS only"),
                    (dtls, "TLS on a plain port", "TLS handshake"), (b"\x80\x2e\1\0\2", "neither STUN", "not TLS"),
                    (b"\0\1\0\x01" + bytes(30), "neither STUN", "plain STUN"), (b"\xc0\0\0\0", "neither STUN", "not TLS")):
                reason = on_plain if port == d.plain else on_tls if port == d.secure else None
                if port in (d.plain, d.secure) and reason is None:
                    continue
                if port in (d.port, d.behind) and data not in (http, dtls):
                    continue
                lines = d.read_log().count("connection refused: ")
                sock = d.connect(port, header + data)
                closed, said = ended(sock)
                tap.check(closed, "%r on port %d is still open" % (data[:10], port))
                alert = said[:1] == b"\x15" and len(said) == 7 and data is dtls
                tap.check(not said or alert, "an answer to %r: %r" % (data[:10], said[:20]))
                end = time.monotonic() + PATIENCE
                while d.read_log().count("connection refused: ") == lines:
                    tap.check(time.monotonic() < end, "no line in the log for %r" % data[:10])
                    time.sleep(0.01)
                tap.check(reason is None or reason in d.read_log(), "the log does not say %r" % reason)
        for port in (d.plain, d.secure, d.port):
            with client.udp_socket() as sock:
                sock.connect(("127.0.0.1", port))
                for data in (tls, http, b"\x16\3\1"):
                    sock.send(data)
                tap.equal(client.received(sock, 0.1), None, "answer to TLS on UDP")
        d.works()
        d.files_back(files)
        tap.bounded(d.rss() - before, 1024, "all of it")


# --- TCP relays ---

def listener():
    sock = socket.create_server(("127.0.0.1", 0), backlog=300)
    sock.settimeout(PATIENCE)
    tap.cleanup(sock.close)
    return sock


def pair(c):
    """A data connection and the peer at its other end."""
    with listener() as at:
        bound = c.data_connection(c.connect(client.name_of(at)))
        tap.cleanup(bound.close)
        peer = at.accept()[0]
    tap.cleanup(peer.close)
    peer.settimeout(PATIENCE)
    return bound, peer


def control(d, transport):
    c = d.client(transport)
    c.allocate_tcp()
    return c


def test_bound_then_closed():
    """T14: a ConnectionBind whose connection ends at once, on any of four workers: its peer's ends too, and the id with it"""
    with Door(workers=4, limits={"unauthenticated_rate": 0, "peer_connections": 4}) as d:
        for transport in ("tcp", "tls"):
            c = control(d, transport)
            context = {"context": c.sock.context} if transport == "tls" else {}
            d.works()
            files = None
            for n in range(24):
                at = listener()
                connection = c.connect(client.name_of(at))
                peer = at.accept()[0]
                half = c.another(**context)
                half.binding()
                packet = half.signed(stun.CONNECTION_BIND, [(stun.CONNECTION_ID, connection)])
                whole = n % 4 != 3
                half.send_raw(packet + b"early bytes" * (n % 2) if whole else packet[:-5])
                if n % 3 == 0:
                    half.wait(packet[8:20], c.timeout if whole else 0.05)
                    half.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                half.close()
                if not whole:  # it was not bound, so it can be still
                    bound = c.data_connection(connection, **context)
                    bound.send_raw(b"mine")
                    tap.equal(peer.recv(4), b"mine", "at the peer")
                    bound.close()
                closed, said = ended(peer)
                tap.check(closed, "the peer's connection goes on")
                tap.check(said in (b"", b"early bytes"), "at the peer: %r" % said)
                peer.close()
                at.close()
                with c.another(**context) as late:
                    tap.equal(late.try_connection_bind(connection).code, 400, "the id of a connection that has ended")
                files = files or d.files()
            d.files_back(files + 8)
            bound, peer = pair(c)
            bound.send_raw(b"on")
            tap.equal(peer.recv(2), b"on", "at a peer afterwards")


def test_early_peers():
    """T14: 50 peers that send all they can before the bind: no memory; then all of it arrives, by TCP and TLS"""
    with Door(limits={"unauthenticated_rate": 0}) as d:
        for transport in ("tcp", "tls"):
            tap.persist(lambda transport=transport: early_peers(d, transport), TooSlow)


class TooSlow(Exception):
    """Who is not bound within half a minute has gone by right."""


def early_peers(d, transport):
    began = time.monotonic()
    c = control(d, transport)
    c.permit("127.0.0.1")
    d.works()
    before = d.rss()
    peers, block = [], os.urandom(1 << 16)
    for _ in range(50):
        peer = socket.create_connection(c.relayed[0], PATIENCE)
        tap.cleanup(peer.close)
        attempt = c.attempt()
        tap.check(attempt, "no attempt")
        peer.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 1 << 20:
                sent += peer.send(block[sent % len(block):])
        peers.append((attempt.id, sent))
    d.works()
    tap.bounded(d.rss() - before, 1024, "50 peers before the bind")
    for connection, sent in peers[::5]:
        try:
            bound = c.data_connection(connection)
        except client.StunError as why:
            raise TooSlow() if time.monotonic() - began > 28 else why
        got = bound.recv_bytes(sent)
        tap.check(got == (block * 17)[:sent], "what came early is not what was sent")
        bound.close()


def test_stopped_receivers():
    """T14: receivers that read nothing, of channels and of TCP relays both ways, by TCP and TLS: bounded memory"""
    with Door(limits={"unauthenticated_rate": 0, "tcp_backlog": 65536}) as d:
        d.works()
        block = os.urandom(8000)
        for transport in ("tcp", "tls"):
            before, held, udp = d.rss(), [], client.udp_socket("127.0.0.2")
            tap.cleanup(udp.close)
            for _ in range(8):
                c = d.client(transport)
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                c.relay = c.allocate()
                c.bind(client.name_of(udp), 0x4000)
                held.append(c)
            for n in range(1200):  # 9.6 MB for each, which no kernel keeps
                for c in held:
                    udp.sendto(block, c.relay)
                if n % 8 == 0:
                    time.sleep(0.002 * tap.SLOW)
            d.works()
            # Records wait encrypted behind what is kept of the frames.
            tap.bounded(d.rss() - before, 8 * 384, "8 clients with channels by " + transport)
            for c in held[:3]:
                while (got := c.recv(0.3)) is not None:
                    tap.check(got.payload == block, "a frame is damaged")
                tap.check(c.refresh() > 0, "no Refresh after the jam")
            for c in held:
                c.close()
            c, before = control(d, transport), d.rss()
            pairs = [pair(c) for _ in range(3)]
            stream = os.urandom(1 << 20)
            total = {}
            for bound, peer in pairs:
                for sock in (bound.sock, peer):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                for sock in (bound.sock, peer):
                    sock.settimeout(0.05)
                    try:
                        total[sock] = 0
                        while total[sock] < 64 << 20:
                            total[sock] += sock.send(stream)
                    except (socket.timeout, ssl.SSLWantWriteError):
                        pass
            d.works()
            tap.bounded(d.rss() - before, 3 * 384, "3 data connections that nobody reads by " + transport)
            for bound, peer in pairs:
                tap.check(max(total[peer], total[bound.sock]) < 64 << 20, "nobody was stopped")


# --- floods of connections ---

def test_connection_flood():
    """T14: 1,000 connections of one source get limits.tcp_connections of them, also behind a load balancer; others get in"""
    limits = {"tcp_connections": 20, "unauthenticated_rate": 0, "tls_timeout": 600, "tcp_idle": 600}
    with Door(workers=1, limits=limits) as d:
        d.works()
        files, before = d.files(), d.rss()
        for port, header in ((d.plain, lambda n: b""), (d.secure, lambda n: b""), (d.behind, proxy)):
            held = []
            for n in range(1000 // tap.SLOW):
                # The server may have closed it before it is written to.
                sock = socket.create_connection(("127.0.0.1", port), PATIENCE, ("127.0.0.3", 0))
                tap.cleanup(sock.close)
                quiet(lambda: sock.sendall(header(3000 + n)))
                held.append(sock)
            d.works()
            d.rest()  # one that is refused has a descriptor, too, for as long as that takes
            tap.until("20 descriptors for a flood", lambda: d.files() == files + 20)
            if port == d.behind:
                with d.client("tcp") as other:
                    tap.check(other.binding() is not None, "no answer")
                again = client.Client(("127.0.0.1", d.behind), "tcp", preface=proxy(9000, "192.0.2.2"))
                tap.cleanup(again.close)
                tap.check(again.binding() is not None, "another client behind the balancer gets no answer")
                again.close()
            for sock in held:
                sock.close()
            d.files_back(files)
        tap.bounded(d.rss() - before, 1024, "floods of connections")


@tap.limit(300)
def test_reconnects():
    """T15: 1,200 clients that come, allocate with a ticket, and are cut off, over all transports: flat memory, all comes back"""
    limits = {"unauthenticated_rate": 0, "lifetime": 1, "lifetime_max": 1, "tcp_idle": 2 * tap.SLOW, "tcp_connections": 4000}
    with Door(workers=4, limits=limits) as d:
        with d.client("tls") as c:
            context = c.sock.context

        def arrive(transport):
            c = d.client(transport, context=context) if transport == "tls" else d.client(transport)
            return c, c.try_allocate(extra=[(stun.MOBILITY_TICKET, b"")]).get(stun.MOBILITY_TICKET)

        def move(c, transport, ticket):
            with d.client(transport) as back:
                back.realm, back.nonce = c.realm, c.nonce
                return back.request(stun.REFRESH, [(stun.MOBILITY_TICKET, ticket)]).code

        def storm(count, *transports):
            for n in range(count // tap.SLOW):
                transport = transports[n % len(transports)]
                c, ticket = tap.persist(lambda transport=transport: arrive(transport), OSError, client.NoAnswer)
                if n % 3 == 0:  # comes back by another way, and is cut off again
                    code = tap.persist(lambda: move(c, "tcp" if n % 2 else "udp", ticket), OSError, client.NoAnswer)
                    tap.check(code in (None, 437), "%r to a good ticket" % code)  # 437: it had expired
                if transport == "dtls":
                    c.sock.abandon()
                elif transport != "udp":
                    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                c.close()

        def settled():
            end = time.monotonic() + PATIENCE
            while (log := d.read_log()).count("session closed") < log.count("session opened"):
                tap.check(time.monotonic() < end, "sessions of DTLS are left")
                time.sleep(0.1)
            d.files_back(files + 8)

        d.works()
        files = d.files()
        plain = ("udp", "tcp", "tls")
        storm(300, "dtls")
        storm(300, *plain)
        settled()
        # What OpenSSL allocates for DTLS leaves more holes behind than the rest.
        for most, transports in ((512, plain), (8192, ("dtls",))):
            before = d.rss()
            storm(300, *transports)
            settled()
            tap.bounded(d.rss() - before, most, "300 clients more by " + ", ".join(transports))
        d.works()


if __name__ == "__main__":
    tap.main()
