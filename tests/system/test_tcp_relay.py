#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""TCP allocations (RFC 6062): connections to peers and from them, and what goes through them."""

import contextlib
import hashlib
import os
import socket
import ssl
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from certs import Authority
from daemon import add_user, Daemon, free_block, free_port, Redis

MEGA = 1 << 20


def listener(host="127.0.0.1"):
    sock = socket.socket(client.family(host), socket.SOCK_STREAM)
    tap.cleanup(sock.close)
    sock.bind((host, 0))
    sock.listen(64)
    sock.settimeout(30 * tap.SLOW)
    return sock


def accept(sock):
    """The next connection of a listener: (socket, where it comes from)."""
    peer, name = sock.accept()
    tap.cleanup(peer.close)
    peer.settimeout(30 * tap.SLOW)
    return peer, name[:2]


def connect_peer(relayed, source=None):
    peer = socket.create_connection(relayed, 30 * tap.SLOW, source)
    tap.cleanup(peer.close)
    return peer


def serve_tls(**over):
    """A daemon that takes both TCP and TLS."""
    port = free_port()
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp", "tcp+tls")]
    return Daemon(port=port, listen=listen, tls=Authority().settings(), **over)


def control(d, host=None, transport="tcp", **kw):
    """A client with a TCP allocation."""
    c = d.client(transport, host=host)
    c.allocate_tcp(**kw)
    return c


def pair(c, host="127.0.0.1"):
    """A data connection with the peer at its other end: (client's, peer's)."""
    with listener(host) as at:
        bound = c.data_connection(c.connect(client.name_of(at)))
        tap.cleanup(bound.close)
        return bound, accept(at)[0]


def read_all(sock):
    """Everything until the end of a socket, None when it was reset."""
    out = b""
    try:
        while chunk := sock.recv(MEGA):
            out += chunk
    except ConnectionError:
        return None
    return out


def gone(sock):
    """Whether a socket ends, one way or the other."""
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def test_connect():
    """Connect: the peer sees the relayed address, bytes go both ways"""
    with Daemon() as d:
        c = control(d)
        at = listener()
        bound = c.data_connection(c.connect(client.name_of(at)))
        peer, source = accept(at)
        tap.equal(source, c.relayed[0], "what the peer sees")
        bound.send_raw(b"from the client")
        tap.equal(peer.recv(100), b"from the client", "at the peer")
        peer.sendall(b"\x40\x00\x00\x04from the peer")  # nothing is framed any more
        tap.equal(bound.recv_bytes(17), b"\x40\x00\x00\x04from the peer", "at the client")
        tap.equal(c.refresh(), 600, "lifetime of a refresh meanwhile")
        bound.close()
        tap.equal(peer.recv(1), b"", "the end at the peer")
        # The two addresses may be connected again.
        peer.close()
        d.wait_log("connection closed: it is not needed any more")


def transfer(send, receive, size):
    """Sends random bytes and compares what arrives. Gives a thread."""
    block = os.urandom(MEGA)
    want, got = hashlib.sha256(), hashlib.sha256()

    def feed():
        for _ in range(size // MEGA):
            want.update(block)
            send(block)

    def run():
        feeder = threading.Thread(target=feed)
        feeder.start()
        left = size
        while left > 0:
            chunk = receive(left)
            if not chunk:
                break
            got.update(chunk)
            left -= len(chunk)
        feeder.join()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, want, got


def test_ten_megabytes():
    """10 MB each way at the same time arrive as they were sent"""
    with Daemon() as d:
        c = control(d)
        bound, peer = pair(c)
        runs = [transfer(bound.sock.sendall, peer.recv, 10 * MEGA), transfer(peer.sendall, bound.sock.recv, 10 * MEGA)]
        for thread, want, got in runs:
            thread.join()
            tap.equal(got.hexdigest(), want.hexdigest(), "SHA-256")
        c.try_refresh(0)
        d.wait_log("sent %d bytes, received %d bytes" % (10 * MEGA, 10 * MEGA))


def test_attempt():
    """a permitted peer that connects is announced, another one is closed"""
    with Daemon() as d:
        c = control(d)
        stranger = connect_peer(c.relayed[0])
        tap.equal(stranger.recv(1), b"", "what a stranger gets")
        tap.equal(c.attempt(0.2), None, "attempt of a stranger")
        c.permit("127.0.0.1")
        peer = connect_peer(c.relayed[0])
        a = c.attempt()
        tap.equal(a.peer, client.name_of(peer), "the peer of the attempt")
        tap.equal(c.try_connect(a.peer).code, 446, "Connect to a peer that has connected")
        bound = c.data_connection(a.id)
        bound.send_raw(b"hello")
        tap.equal(peer.recv(5), b"hello", "at the peer")
        peer.sendall(b"you too")
        tap.equal(bound.recv_bytes(7), b"you too", "at the client")


def test_early_data():
    """what a peer sends before ConnectionBind waits, however it ends, and costs no memory"""
    with Daemon() as d:
        c = control(d)
        c.permit("127.0.0.1")
        early = os.urandom(200000)
        peer = connect_peer(c.relayed[0])
        sender = threading.Thread(target=lambda: (peer.sendall(early), peer.close()))
        sender.start()
        a = c.attempt()
        bound = c.data_connection(a.id)
        tap.check(bound.recv_bytes() == early, "the early data are not what was sent")
        sender.join()
        before = d.rss()
        flooders = [connect_peer(c.relayed[0]) for _ in range(20)]
        block = bytes(MEGA)
        for f in flooders:
            f.setblocking(False)
        for _ in range(10):
            for f in flooders:
                try:
                    f.send(block)
                except BlockingIOError:
                    pass
        tap.check(d.answers(), "no answer")
        tap.bounded(d.rss() - before, 2000, "20 peers that send before the bind")


def test_half_close():
    """the end of one direction is passed on, the other one goes on"""
    with Daemon() as d:
        c = control(d)
        bound, peer = pair(c)
        bound.send_raw(b"the whole request")
        bound.sock.shutdown(socket.SHUT_WR)
        tap.equal(read_all(peer), b"the whole request", "request and end at the peer")
        answer = os.urandom(3 * MEGA)
        peer.sendall(answer)
        peer.close()
        tap.check(bound.recv_bytes() == answer, "the answer is not what was sent")
        bound, peer = pair(c)
        peer.sendall(answer[:1000])
        peer.shutdown(socket.SHUT_WR)
        tap.check(bound.recv_bytes() == answer[:1000], "the first part is not what was sent")
        bound.send_raw(b"still here")
        bound.close()
        tap.equal(read_all(peer), b"still here", "at the peer after it had ended its own")


def test_reset():
    """a connection that breaks breaks the other one: nobody takes a part for the whole"""
    reset = struct.pack("ii", 1, 0)
    with Daemon() as d:
        c = control(d)
        bound, peer = pair(c)
        peer.sendall(b"part")
        tap.equal(bound.recv_bytes(4), b"part", "before")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        peer.close()
        tap.equal(read_all(bound.sock), None, "the client's end")
        bound, peer = pair(c)
        bound.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        bound.close()
        tap.equal(read_all(peer), None, "the peer's end")


def blocked_after(sock, block):
    """Sends until nothing is taken for a while; how much was."""
    sock.setblocking(False)
    total, idle = 0, 0
    while idle < 10:
        try:
            total += sock.send(block[total % 256:])  # goes on where it was cut
            idle = 0
        except BlockingIOError:
            idle += 1
            time.sleep(0.02 * tap.SLOW)
    sock.settimeout(30 * tap.SLOW)
    return total


def test_back_pressure():
    """a receiver that stops stops the sender, and the daemon keeps next to nothing"""
    with Daemon() as d:
        c = control(d)
        bound, peer = pair(c)
        block = bytes(range(256)) * 4096
        for name, sender, receiver in (("client", bound.sock, peer), ("peer", peer, bound.sock)):
            before = d.rss()
            total = blocked_after(sender, block)
            tap.diag("the %s was stopped after %d KiB" % (name, total >> 10))
            tap.bounded(d.rss() - before, 1000, "a receiver that stops")
            got = 0
            while got < total:
                chunk = receiver.recv(MEGA)
                tap.check(chunk == (block + block)[got % 256:got % 256 + len(chunk)], "not what was sent, at %d" % got)
                got += len(chunk)
            sender.sendall(b"goes on")
            tap.equal(receiver.recv(100), b"goes on", "afterwards")


def refuses(name):
    try:
        connect_peer(name).close()
        return False
    except ConnectionRefusedError:
        return True


def test_end_of_allocation():
    """when the control connection or the allocation ends, all ends"""
    with Daemon() as d:
        for end in ("close", "refresh"):
            c = control(d)
            c.permit("127.0.0.1")
            relayed = c.relayed[0]
            socks = [s for _ in range(3) for s in pair(c)]
            pending = connect_peer(relayed)
            tap.check(c.attempt(), "no attempt")
            if end == "close":
                c.close()
            else:
                c.refresh(0)
            for s in socks + [pending]:
                sock = getattr(s, "sock", s)
                sock.settimeout(30 * tap.SLOW)
                tap.check(gone(sock), "a connection lives on after " + end)
            tap.until("the relayed address listens no more", lambda: refuses(relayed))


def test_bind_refused():
    """ConnectionBind: unknown, used and another user's id, no id, by UDP, by a control connection: 400"""
    with Daemon() as d:
        c = control(d)
        at = listener()
        used = c.connect(client.name_of(at))
        c.data_connection(used)
        c.permit("127.0.0.1")
        connect_peer(c.relayed[0])
        free = c.attempt().id
        other = c.another(user="other", password="word")
        tap.equal(other.try_connection_bind(free).code, 400, "of another user")
        tap.equal(other.try_connection_bind(used).code, 400, "of another user, used")
        mine = c.another()
        tap.equal(mine.try_connection_bind(used).code, 400, "used")
        for _ in range(50):
            tap.equal(mine.try_connection_bind(os.urandom(4)).code, 400, "unknown")
        tap.equal(mine.request(stun.CONNECTION_BIND).code, 400, "without an id")
        wrong = c.another(password="wrong")
        tap.equal(wrong.try_connection_bind(free).code, 401, "wrong password")
        tap.equal(d.client().try_connection_bind(free).code, 400, "by UDP")
        tap.equal(c.try_connection_bind(free).code, 400, "by the control connection")
        tap.equal(mine.try_connection_bind(free).cls, stun.SUCCESS, "at last")


def test_refusals():
    """Allocate and Connect: 442, 400, 403, 437, 446, 447, 508"""
    with Daemon(limits={"unauthenticated_rate": 0, "peer_connections": 3}) as d:
        tap.equal(d.client().try_allocate(transport=stun.TCP_PROTOCOL).code, 400, "TCP allocation by UDP")
        for kind, value in ((stun.EVEN_PORT, b"\0"), (stun.DONT_FRAGMENT, b""), (stun.RESERVATION_TOKEN, bytes(8))):
            msg = d.client("tcp").try_allocate(transport=stun.TCP_PROTOCOL, extra=[(kind, value)])
            tap.equal(msg.code, 400, "with attribute %#x" % kind)
        c = d.client("tcp")
        tap.equal(c.try_connect(("127.0.0.1", 9)).code, 437, "without an allocation")
        c.allocate()
        tap.equal(c.try_connect(("127.0.0.1", 9)).code, 437, "with a UDP allocation")
        c = control(d)
        tap.equal(c.try_connect(("10.1.2.3", 9)).code, 403, "a private address")
        tap.equal(c.try_connect(("127.0.0.1", d.port)).code, 403, "our own listener")
        tap.equal(c.try_connect(c.relayed[0]).code, 403, "itself")
        tap.equal(c.try_connect(("::1", 9)).code, 443, "another family")
        tap.equal(c.request(stun.CONNECT).code, 400, "no peer")
        tap.equal(c.try_connect(("127.0.0.1", free_port())).code, 447, "where nobody listens")
        at = listener()
        c.connect(client.name_of(at))
        tap.equal(c.try_connect(client.name_of(at)).code, 446, "twice")
        tap.equal(c.try_bind(("127.0.0.1", 9), 0x4000).code, 400, "ChannelBind")
        c.connect(client.name_of(listener()))
        c.permit("127.0.0.1")
        connect_peer(c.relayed[0])
        tap.check(c.attempt(), "no attempt")
        tap.equal(c.try_connect(client.name_of(listener())).code, 508, "one too many")
        tap.equal(connect_peer(c.relayed[0]).recv(1), b"", "a peer too many")
        # Nothing of datagrams goes through, and nothing breaks of it.
        c.send_indication(("127.0.0.1", 9), b"x")
        c.send_channel(0x4000, b"x")
        tap.equal(c.refresh(), 600, "lifetime")
    with Daemon(relay={"addresses": ["127.0.0.1"], "tcp": False}) as d:
        tap.equal(d.client("tcp").try_allocate(transport=stun.TCP_PROTOCOL).code, 442, "relay.tcp = false")


def test_ipv6():
    """IPv6: relayed address, peers and clients"""
    with Daemon() as d:
        for host in ("127.0.0.1", "::1"):
            c = control(d, host=host, family=stun.IPV6)
            bound, peer = pair(c, "::1")
            bound.send_raw(b"six")
            tap.equal(peer.recv(3), b"six", "at the peer")
            c.permit("::1")
            connect_peer(c.relayed[0]).sendall(b"back")
            tap.equal(c.data_connection(c.attempt().id).recv_bytes(4), b"back", "at the client")


def many_pairs(d, clients, each, transport="tcp"):
    controls = [control(d, transport=transport) for _ in range(clients)]
    pairs = [pair(c) for c in controls for _ in range(each)]
    for number, (bound, peer) in enumerate(pairs):
        bound.send_raw(b"up %d" % number)
        peer.sendall(b"down %d" % number)
    for number, (bound, peer) in enumerate(pairs):
        up, down = b"up %d" % number, b"down %d" % number
        tap.equal(peer.recv(100), up, "at peer %d" % number)
        tap.equal(bound.recv_bytes(len(down)), down, "at client %d" % number)
        bound.close()
        tap.equal(peer.recv(1), b"", "the end at peer %d" % number)


def test_other_workers():
    """4 workers: a data connection finds its peer wherever it was accepted"""
    with Daemon(workers=4) as d:
        many_pairs(d, 6, 8)


def test_store_that_takes_time():
    """the same while users are looked up in Redis"""
    redis = Redis()
    add_user(redis.uri, "user", "pass")
    with Daemon(workers=4, auth={"stores": [redis.uri], "users": [], "cache_ttl": 0}) as d:
        many_pairs(d, 2, 8)


def exchange_tls(sock, incoming, outgoing, call):
    """Runs a call of an ssl.SSLObject until it needs nothing more."""
    while True:
        try:
            got = call()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))
    return got


def test_all_at_once():
    """over TLS: ConnectionBind, data and close_notify in one segment get to the peer, whichever worker the client is at"""
    with serve_tls(workers=4) as d:
        lst = listener()
        c = control(d, transport="tls")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        for n in range(12):
            id = c.connect(lst.getsockname())
            peer, _ = accept(lst)
            with socket.create_connection(d.server, 5 * tap.SLOW) as sock:
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
                exchange_tls(sock, incoming, outgoing, tls.do_handshake)
                sock.sendall(outgoing.read())
                tls.write(c.signed(stun.CONNECTION_BIND, [(stun.CONNECTION_ID, id)]))
                tls.write(b"early" * 100)
                try:
                    tls.unwrap()
                except ssl.SSLWantReadError:
                    pass
                sock.sendall(outgoing.read())
                got = b""
                while len(got) < 500:
                    got += peer.recv(1000)
                tap.equal((got, peer.recv(1)), (b"early" * 100, b""), "at the peer")
                peer.close()


def test_tls():
    """TLS: 10 MB each way, a receiver that stops, connections to other workers, and of TLS to a control on TCP"""
    with serve_tls(workers=4) as d:
        c = control(d, transport="tls")
        bound, peer = pair(c)
        before = d.rss()
        for name, sender, receiver in (("client", bound.sock, peer), ("peer", peer, bound.sock)):
            want = os.urandom(10 * MEGA)
            feeder = threading.Thread(target=sender.sendall, args=(want,))
            feeder.start()
            feeder.join(0.3)
            tap.diag("10 MB of the %s %s" % (name, "wait" if feeder.is_alive() else "have gone into buffers"))
            tap.bounded(d.rss() - before, 2000, "a receiver that stops")
            got = hashlib.sha256()
            left = len(want)
            while left:
                chunk = receiver.recv(min(left, 1 << 16))
                tap.check(chunk, "it ends after %d bytes" % (len(want) - left))
                got.update(chunk)
                left -= len(chunk)
            feeder.join()
            tap.equal(got.hexdigest(), hashlib.sha256(want).hexdigest(), "SHA-256 of what the %s sent" % name)
        many_pairs(d, 3, 6, "tls")
        # The control connection and the data connection need not be of one kind.
        at = listener()
        connection = c.connect(client.name_of(at))
        plain = d.client("tcp")
        tap.equal(plain.try_connection_bind(connection).cls, stun.SUCCESS, "by TCP for one made by TLS")
        plain.send_raw(b"plain")
        tap.equal(accept(at)[0].recv(5), b"plain", "at the peer")


def test_tls_ends():
    """TLS: the end of a peer is told by close_notify and the other direction goes on; a break is no such end"""
    with serve_tls() as d:
        c = control(d, transport="tls")
        bound, peer = pair(c)
        bound.sock.suppress_ragged_eofs = False
        whole = os.urandom(MEGA)
        feeder = threading.Thread(target=lambda: (peer.sendall(whole), peer.shutdown(socket.SHUT_WR)))
        feeder.start()
        tap.check(bound.recv_bytes() == whole, "not what was sent")
        feeder.join()
        bound.send_raw(b"still here")
        bound.close()
        tap.equal(read_all(peer), b"still here", "at the peer after it had ended its own")
        bound, peer = pair(c)
        bound.sock.suppress_ragged_eofs = False
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        try:
            tap.check(bound.sock.recv(1), "a break is told as an end")
        except (ConnectionError, ssl.SSLError):
            pass


def test_ends_before_it_is_read():
    """a client that sends and closes at once: the peer gets all, whenever it reads; by TLS all, or a reset"""
    with serve_tls() as d:
        for transport in ("tcp", "tls"):
            c = control(d, transport=transport)
            bound, peer = pair(c)
            whole = os.urandom(2 * MEGA)
            bound.send_raw(whole)
            bound.close()
            peer.shutdown(socket.SHUT_WR)
            time.sleep(0.1 * tap.SLOW)
            got = read_all(peer)
            # A close_notify for a socket that is closed makes the client's kernel drop what it has not sent yet.
            tap.check(got == whole or (got is None and transport == "tls"), "by %s: not what was sent" % transport)


def test_half_a_bind():
    """T14: a ConnectionBind that is never finished holds neither its connection nor the peer's"""
    with Daemon(limits={"tcp_idle": 1, "unauthenticated_rate": 0}) as d:
        c = tap.persist(lambda: control(d), OSError, client.NoAnswer)
        at = listener()
        connection = c.connect(client.name_of(at))
        halves = [c.another() for _ in range(20)]
        for half in halves:
            tap.cleanup(half.close)
            with contextlib.suppress(ConnectionError):  # such as one that has had its second already
                half.send_raw(half.signed(stun.CONNECTION_BIND, [(stun.CONNECTION_ID, connection)])[:-9])
        for half in halves:
            tap.check(gone(half.sock), "it is still open")
        bound = tap.persist(lambda: c.data_connection(connection), OSError, client.NoAnswer)
        bound.send_raw(b"whole")
        tap.equal(accept(at)[0].recv(5), b"whole", "at the peer")
        time.sleep(2.5)  # a data connection may be silent for longer than limits.tcp_idle
        bound.send_raw(b"still here")
        tap.equal(c.refresh(), 600, "lifetime")
        bound.sock.settimeout(0.1)
        try:
            tap.check(bound.sock.recv(1) == b"x", "the data connection was closed")
        except socket.timeout:
            pass


def test_bandwidth():
    """limits.user_bps slows connections down and loses nothing, in both directions"""
    with Daemon(limits={"unauthenticated_rate": 0, "user_bps": 16000000}) as d:
        c = control(d)
        bound, peer = pair(c)
        for name, sender, receiver in (("client", bound.sock, peer), ("peer", peer, bound.sock)):
            began = time.monotonic()
            thread, want, got = transfer(sender.sendall, receiver.recv, MEGA)
            thread.join()
            took = time.monotonic() - began
            tap.equal(got.hexdigest(), want.hexdigest(), "SHA-256 of what the %s sent" % name)
            tap.diag("1 MiB of the %s at 2 MB/s: %.2f s" % (name, took))
            tap.check(took > 0.15, "1 MiB took %.2f s" % took)  # 0.52 s, less the burst


def test_relay_to_relay():
    """two clients of the server reach each other by their relayed addresses"""
    with Daemon() as d:
        a, b = control(d), control(d)
        b.permit("127.0.0.1")
        to_b = a.data_connection(a.connect(b.relayed[0]))
        attempt = b.attempt()
        tap.equal(attempt.peer, a.relayed[0], "who connects")
        to_a = b.data_connection(attempt.id)
        to_b.send_raw(b"a to b")
        tap.equal(to_a.recv_bytes(6), b"a to b", "at b")
        to_a.send_raw(b"b to a")
        tap.equal(to_b.recv_bytes(6), b"b to a", "at a")


def test_ports_come_back():
    """ports of TCP allocations come back, descriptors too, and a port is nobody else's meanwhile"""
    first = free_block(4)
    with Daemon(workers=1, relay={"addresses": ["127.0.0.1"], "allow": ["127.0.0.0/8"], "ports": [first, first + 3]}) as d:
        fds = None
        for _ in range(20):
            held = [control(d), control(d), control(d), d.client()]
            held[3].allocate()
            tap.equal(len({c.relayed[0][1] for c in held}), 4, "different ports")
            with d.client("tcp") as late:
                tap.equal(late.try_allocate(transport=stun.TCP_PROTOCOL).code, 508, "no port is left")
            bound, peer = pair(held[0])
            bound.send_raw(b"x")
            tap.equal(peer.recv(1), b"x", "at the peer")
            for c in held[:3]:
                c.refresh(0)
                c.close()
            held[3].refresh(0)
            tap.check(gone(peer) and gone(bound.sock), "it lives on")
            bound.close()
            tap.check(d.answers(), "no answer")
            now = len(os.listdir("/proc/%d/fd" % d.pid))
            fds = fds or now
            tap.check(now <= fds + 8, "%d descriptors, %d at first" % (now, fds))


if __name__ == "__main__":
    tap.main()
