# SPDX-License-Identifier: BSD-2-Clause
"""T16: malformed packets through the network. The daemon lives, answers others, and no answer holds what it should not."""

import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from certs import Authority
from daemon import Daemon, free_port

# Nothing may leave this machine, whatever random requests ask for.
CLOSED = {"deny": ["0.0.0.0-126.255.255.255", "128.0.0.0-255.255.255.255", "::2-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]}
UDP = (stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")
KNOWN = (0x0001, 0x0003, 0x0006, 0x0008, 0x0009, 0x000A, 0x000C, 0x000D, 0x0012, 0x0013, 0x0014, 0x0015, 0x0016, 0x0017, 0x0018,
         0x0019, 0x001A, 0x001C, 0x001D, 0x001E, 0x0020, 0x0022, 0x0024, 0x0025, 0x0026, 0x0027, 0x002A, 0x8000, 0x8001, 0x8002,
         0x8003, 0x8004, 0x8022, 0x8023, 0x8028, 0x8029, 0x802B, 0x802C, 0x8030)


def valid(c):
    """One of each message that a client sends, signed for c."""
    txid = stun.new_txid()
    peer = stun.peer(("127.0.0.2", 4000), txid)
    yield stun.build(stun.BINDING, attrs=[(stun.SOFTWARE, b"test")], fingerprint=True)
    yield stun.build(stun.ALLOCATE, attrs=[UDP])
    yield c.signed(stun.ALLOCATE, [UDP, (stun.LIFETIME, b"\0\0\2\x58"), (stun.EVEN_PORT, b"\x80")], fingerprint=True)
    yield c.signed(stun.REFRESH, [(stun.LIFETIME, b"\0\0\2\x58")], integrity="sha256")
    yield c.signed(stun.CREATE_PERMISSION, [peer, peer], txid=txid)
    yield c.signed(stun.CHANNEL_BIND, [(stun.CHANNEL_NUMBER, b"\x40\0\0\0"), peer], txid=txid)
    yield stun.build(stun.SEND, stun.INDICATION, [peer, (stun.DATA, b"payload")], txid)
    yield stun.channel_data(0x4000, b"payload")


def check_answer(data):
    """An answer is a whole message or ChannelData, no longer than needed, its padding zero."""
    if data[0] & 0xC0 == 0x40:
        return
    msg = stun.Message(data)
    tap.check(not any(msg.padding), "padding holds %s" % msg.padding.hex())
    tap.check(len(data) <= 1280, "an answer of %d bytes" % len(data))
    tap.check(msg.cls in (stun.SUCCESS, stun.ERROR, stun.INDICATION), "%r" % msg)


def collect(c, seconds=0.0):
    count = 0
    while True:
        data = c.recv_raw(seconds)
        if data is None:
            return count
        check_answer(data)
        count += 1


def test_truncated_udp():
    """T16: every truncation of every message over UDP"""
    with Daemon(relay=CLOSED) as d, d.client() as c:
        c.allocate()
        for packet in valid(c):
            for n in range(len(packet)):
                c.send_raw(packet[:n])
                collect(c)
            collect(c, 0.05)
        tap.check(d.answers(), "no answer")
        tap.equal(c.refresh(), 600, "Refresh of the allocation")


def test_truncated_with_right_length():
    """T16: messages cut inside their attributes, the header's length corrected, so that only the attribute is wrong"""
    with Daemon(relay=CLOSED) as d:
        for transport in ("udp", "tcp"):
            with d.client(transport) as c:
                c.allocate()
                for packet in list(valid(c))[:7]:
                    for n in range(20, len(packet)):
                        cut = packet[:2] + struct.pack("!H", n - 20) + packet[4:n]
                        if transport == "tcp" and n % 4:
                            continue
                        c.send_raw(cut)
                        collect(c)
                collect(c, 0.1)
                tap.equal(c.closed, False, "closed")
                tap.equal(c.refresh(), 600, "Refresh of the allocation (%s)" % transport)


def test_truncated_tcp():
    """T16: every truncation over TCP, then the end of the stream"""
    with Daemon(relay=CLOSED) as d:
        with d.client() as c:
            c.allocate()
            packets = list(valid(c))
        for packet in packets:
            for n in range(0, len(packet), 1 if len(packet) < 60 else 3):
                with d.client("tcp") as c:
                    c.send_raw(packet[:n])
        tap.check(d.answers(), "no answer")


def test_lengths():
    """T16: header lengths that are odd, too large, or near 65,535, on UDP and TCP"""
    lengths = [1, 2, 3, 5, 7, 21, 1500, 32767, 32768, 65507, 65515, 65516, 65520, 65531, 65532, 65533, 65534, 65535]
    with Daemon(relay=CLOSED) as d:
        with d.client() as c:
            for n in lengths:
                for packet in (stun.build(stun.BINDING, length=n), stun.build(stun.BINDING, length=n) + b"\0" * 1200,
                               stun.channel_data(0x4000, b"x" * 100, length=n)):
                    c.send_raw(packet)
            c.send_raw((stun.build(stun.BINDING, length=65487)).ljust(65507, b"\0"))
            c.send_raw((stun.build(stun.BINDING, length=65484)).ljust(65504, b"\0"))
            collect(c, 0.1)
            tap.check(c.binding() is not None, "no answer over UDP")
        for n in lengths:
            with d.client("tcp") as c:
                c.send_raw(stun.build(stun.BINDING, length=n) + b"\0" * 200)
                collect(c, 0.01)
        # As long as a stream message can be, and whole: zeros are 16,383 attributes of type 0.
        with d.client("tcp") as c:
            c.send_raw(stun.build(stun.BINDING, length=65532) + b"\0" * 65532)
            c.send_raw(stun.build(stun.BINDING))
            collect(c, 0.3)
        tap.check(d.answers(), "no answer")


def test_attribute_lengths():
    """T16: attribute lengths past the end of the message, near 65,535 and wrapping"""
    with Daemon(relay=CLOSED) as d:
        for transport in ("udp", "tcp"):
            with d.client(transport) as c:
                c.allocate()
                for kind in KNOWN + (0x7FFF, 0xFFFF):
                    for n in (1, 5, 12, 1000, 32768, 65516, 65528, 65531, 65532, 65533, 65535):
                        bad = stun.attribute(kind, b"12345678", length=n)
                        c.send_raw(stun.build(stun.BINDING, attrs=[bad]))
                        c.send_raw(stun.build(stun.SEND, stun.INDICATION, [bad]))
                        c.send_raw(c.signed(stun.REFRESH, [bad]))
                        collect(c)
                    collect(c, 0.002)
                collect(c, 0.2)
                tap.equal(c.refresh(), 600, "Refresh of the allocation (%s)" % transport)


def every_transport(**over):
    port = free_port()
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tcp+tls")]
    return Daemon(port=port, listen=listen, tls=Authority().settings(), relay=CLOSED, **over)


def test_odd_sizes_of_known_attributes():
    """T16: every attribute in every size from 0 to 40, signed, on every method"""
    with Daemon(relay=CLOSED) as d:
        for transport in ("udp", "tcp"):
            with d.client(transport) as c:
                c.allocate()
                for method in (stun.ALLOCATE, stun.REFRESH, stun.CREATE_PERMISSION, stun.CHANNEL_BIND):
                    for kind in KNOWN:
                        if kind in (stun.MESSAGE_INTEGRITY, stun.MESSAGE_INTEGRITY_SHA256):
                            continue
                        for size in range(0, 41, 1 if kind < 0x30 else 5):
                            # A REFRESH with a LIFETIME of zeros would be valid, and end the allocation.
                            c.send_raw(c.signed(method, [(kind, b"\x01" * size)]))
                        collect(c)
                    collect(c, 0.1)
                tap.equal(c.closed, False, "closed")
                tap.equal(c.refresh(), 600, "Refresh of the allocation (%s)" % transport)


def test_unknown_attributes():
    """T16: 128 and 1,000 unknown attributes: 420, and the answer is no larger than its limit"""
    with Daemon(relay=CLOSED) as d:
        for transport, count in (("udp", 128), ("tcp", 128), ("tcp", 1000), ("udp", 340)):
            with d.client(transport) as c:
                attrs = [(0x4000 + n, b"") for n in range(count)]
                msg = c.binding(attrs=attrs)
                if msg is None and count > 128:
                    tap.diag("%d unknown attributes over %s: dropped" % (count, transport))
                    continue
                tap.check(msg is not None, "no answer to %d unknown attributes" % count)
                check_answer(msg.data)
                tap.check(msg.code in (400, 420), "%r" % msg)
                tap.diag("%d unknown attributes in %d bytes: %d listed in %d bytes"
                         % (count, 20 + 4 * count, len(msg.unknown), len(msg.data)))
                tap.check(len(msg.data) <= 20 + 4 * count, "the answer is longer than the request")
                c.challenge()
                msg = c.exchange(c.signed(stun.ALLOCATE, [UDP] + attrs))
                tap.check(msg is None or msg.code in (400, 420), "signed: %r" % msg)


def test_duplicates():
    """T16: of a duplicate attribute the first counts (RFC 8489 section 14), on UDP and TCP, in requests and indications"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            with d.client(transport) as c, client.udp_socket("127.0.0.2") as peer, client.udp_socket("127.0.0.2") as second:
                msg = c.try_allocate(extra=[(stun.REQUESTED_TRANSPORT, b"\x06\0\0\0")] * 3)
                tap.equal(msg.cls, stun.SUCCESS, "class of %r" % msg)
                msg = c.request(stun.REFRESH, [(stun.LIFETIME, struct.pack("!I", 700)), (stun.LIFETIME, b"\0\0\0\0")])
                tap.equal(msg.lifetime, 700, "LIFETIME")
                c.permit("127.0.0.2")
                txid = stun.new_txid()
                c.send_raw(stun.build(stun.SEND, stun.INDICATION, [
                    stun.peer(client.name_of(peer), txid), (stun.DATA, b"first"),
                    stun.peer(client.name_of(second), txid), (stun.DATA, b"second")], txid))
                tap.equal(peer.recv(100), b"first", "at the first peer")
                tap.equal(client.received(second, 0.1), None, "at the second")


def test_channel_lengths():
    """T16: ChannelData that is shorter than its length is not relayed, nor is what lies behind it in memory"""
    with Daemon() as d, client.udp_socket("127.0.0.2") as peer:
        for transport in ("udp", "tcp"):
            with d.client(transport) as c:
                c.allocate()
                c.bind(client.name_of(peer), 0x4000)
                if transport == "udp":
                    for size in (0, 1, 3, 4, 100):
                        for length in (size + 1, size + 4, 1500, 32768, 65500, 65532, 65535):
                            c.send_raw(stun.channel_data(0x4000, b"x" * size, length=length))
                    for n in range(4):
                        c.send_raw(stun.channel_data(0x4000, b"")[:n])
                    tap.equal(c.refresh(), 600, "Refresh")
                else:
                    c.send_raw(stun.channel_data(0x4000, b"x" * 100, length=65535))
                tap.equal(client.received(peer, 0.1), None, "at the peer (%s)" % transport)
            tap.equal(client.received(peer, 0.1), None, "at the peer after the end (%s)" % transport)
        # DATA that claims more than the message has.
        with d.client() as c:
            c.allocate()
            c.permit("127.0.0.2")
            for length in (5, 8, 1000, 65532, 65535):
                txid = stun.new_txid()
                c.send_raw(stun.build(stun.SEND, stun.INDICATION, [stun.peer(client.name_of(peer), txid),
                                                                   stun.attribute(stun.DATA, b"1234", length=length)], txid))
            tap.equal(client.received(peer, 0.1), None, "at the peer")


def test_padding():
    """T16: no answer has anything but zeros in its padding, whatever was in the request's"""
    with Daemon(realm="example.orgx") as d:
        for transport in ("udp", "tcp"):
            with d.client(transport) as c:
                c.send_raw(stun.build(stun.ALLOCATE, attrs=[UDP, stun.attribute(stun.SOFTWARE, b"abcde", pad=b"Z")]))
                msg = stun.Message(c.recv_raw(c.timeout))
                tap.check(not any(msg.padding), "padding %s" % msg.padding.hex())
                c.learn(msg)
                msg = c.exchange(c.signed(stun.ALLOCATE, [stun.attribute(0x7001, b"x", pad=b"Z"), UDP]))
                tap.equal(msg.code, 420, "code")
                tap.check(not any(msg.padding), "padding %s" % msg.padding.hex())
                tap.equal(len(msg.unknown), 1, "attributes listed")


def mutate(r, packet):
    data = bytearray(packet)
    for _ in range(r.choice((1, 1, 1, 2, 4, 16))):
        kind = r.randrange(7)
        at = r.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] ^= 1 << r.randrange(8)
        elif kind == 1 and data:
            data[at] = r.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            data[at:at] = r.randbytes(r.randrange(1, 9))
        elif kind == 3:
            del data[at:at + r.randrange(1, 9)]
        elif kind == 4 and len(data) >= 4:
            struct.pack_into("!H", data, 2, r.choice((0, 4, 8, 65535, 65532, r.randrange(65536), max(len(data) - 20, 0))))
        elif kind == 5 and len(data) > 24:
            struct.pack_into("!H", data, r.randrange(20, len(data) - 3) & ~3, r.choice(KNOWN))
        elif kind == 6 and len(data) > 24:
            data[20:20] = data[20 + (at & ~3) % (len(data) - 20):]
    if r.randrange(2) and len(data) >= 20:
        struct.pack_into("!H", data, 2, (len(data) - 20) & 0xFFFF)
    return bytes(data[:65000])


def seed():
    value = int(os.environ.get("TP_SEED", random.SystemRandom().randrange(1 << 32)))
    tap.diag("TP_SEED=%d repeats this run" % value)
    return random.Random(value)


def test_mutations_udp():
    """T16: 20,000 random mutations over UDP"""
    r = seed()
    with Daemon(relay=CLOSED, log={"level": "notice"}) as d, d.client() as c:
        c.allocate()
        packets = list(valid(c))
        before = d.rss()
        for n in range(20000 // tap.SLOW):
            c.send_raw(mutate(r, r.choice(packets)))
            if n % 16 == 0:
                collect(c)
            if n % 2000 == 0:
                tap.check(d.answers(), "no answer after %d mutations" % n)
        collect(c, 0.1)
        tap.bounded(d.rss() - before, 4096, "20,000 mutations")
        tap.check(d.answers(), "no answer")


def test_mutations_encrypted():
    """T16: 2,000 random mutations within TLS and DTLS, of clients with an allocation and without"""
    r = seed()
    with every_transport(log={"level": "notice"}) as d:
        with d.client("tls") as c:
            context = c.sock.context

        def fresh(transport, n):
            c = d.client(transport, context=context) if transport == "tls" else d.client(transport)
            if n % 2:
                c.allocate()
            return c
        for transport in ("tls", "dtls"):
            c = fresh(transport, 1)
            packets = list(valid(c)) + [c.signed(stun.CONNECT, [stun.peer(("127.0.0.2", 1), bytes(12))], txid=bytes(12)),
                                        c.signed(stun.CONNECTION_BIND, [(stun.CONNECTION_ID, b"\0\0\0\1")])]
            before = None
            for n in range(1000 // tap.SLOW):
                data = mutate(r, r.choice(packets))[:16000]
                try:
                    if data:
                        c.send_raw(data)
                    if n % 8 == 0:
                        collect(c)
                except (ConnectionError, OSError, stun.Malformed):
                    c.closed = True
                if c.closed or r.randrange(32) == 0:
                    c.close()
                    c = fresh(transport, n)
                if n % 200 == 0:
                    tap.check(d.answers(), "no answer after %d mutations" % n)
                    before = before or d.rss()
            c.close()
            tap.bounded(d.rss() - before, 8192, "1,000 mutations by " + transport)
            with d.client(transport) as c:
                tap.check(c.binding() is not None, "no answer over " + transport)


def test_methods_of_tcp_relays():
    """T16: every attribute in odd sizes on Connect and ConnectionBind, and answers and indications of theirs that clients send"""
    with every_transport() as d:
        for transport in ("tcp", "tls"):
            with d.client(transport) as c:
                c.allocate_tcp()
                for method in (stun.CONNECT, stun.CONNECTION_BIND):
                    for kind in KNOWN:
                        for size in (0, 1, 3, 4, 5, 7, 8, 9, 12, 19, 20, 21):
                            if kind not in (stun.MESSAGE_INTEGRITY, stun.MESSAGE_INTEGRITY_SHA256):
                                c.send_raw(c.signed(method, [(kind, b"\x01" * size)]))
                        collect(c)
                for method in (stun.CONNECT, stun.CONNECTION_BIND, stun.CONNECTION_ATTEMPT):
                    for cls in (stun.INDICATION, stun.SUCCESS, stun.ERROR):
                        c.send_raw(stun.build(method, cls, [(stun.CONNECTION_ID, b"\0\0\0\1")]))
                msg = c.refresh()
                tap.equal((msg, c.closed), (600, False), "the allocation (%s)" % transport)


def test_mutations_tcp():
    """T16: 2,000 random mutations over TCP, in random pieces"""
    r = seed()
    with Daemon(relay=CLOSED, log={"level": "notice"}) as d:
        with d.client() as c:
            c.allocate()
            packets = list(valid(c))
        c = d.client("tcp")
        for n in range(2000 // tap.SLOW):
            stream = mutate(r, r.choice(packets)) + (mutate(r, r.choice(packets)) if r.randrange(2) else b"")
            try:
                while stream:
                    size = r.choice((1, 4, 20, 64, 1500, 65536))
                    c.send_raw(stream[:size])
                    stream = stream[size:]
                    if r.randrange(4) == 0:
                        collect(c)
            except (ConnectionError, stun.Malformed):
                c.closed = True
            if c.closed or r.randrange(8) == 0:
                c.close()
                c = d.client("tcp")
            if n % 200 == 0:
                tap.check(d.answers(), "no answer after %d mutations" % n)
        c.close()
        tap.check(d.answers(), "no answer")


def test_random_signed():
    """T16: 5,000 requests of random attributes with the right signature, so that they reach the methods"""
    r = seed()
    with Daemon(relay=CLOSED, log={"level": "notice"}) as d:
        clients = [d.client(), d.client("tcp"), d.client(modern=True)]
        for c in clients:
            c.challenge()
        for n in range(5000 // tap.SLOW):
            c = r.choice(clients)
            txid = stun.new_txid()
            attrs = []
            for _ in range(r.randrange(6)):
                kind = r.choice(KNOWN)
                size = r.choice((0, 1, 2, 4, 4, 4, 8, 8, 20, r.randrange(300)))
                if kind in (stun.XOR_PEER_ADDRESS,) and r.randrange(4):
                    attrs.append(stun.peer((r.choice(("127.0.0.2", "::1", "127.0.0.3")), r.randrange(65536)), txid))
                elif kind in (stun.CHANNEL_NUMBER,) and r.randrange(4):
                    attrs.append((kind, struct.pack("!HH", 0x4000 + r.randrange(8), 0)))
                elif kind not in (stun.MESSAGE_INTEGRITY, stun.MESSAGE_INTEGRITY_SHA256, stun.FINGERPRINT):
                    attrs.append((kind, r.randbytes(size)))
            if r.randrange(3) == 0:
                attrs.append(UDP)
            method = r.choice((1, 3, 3, 4, 6, 8, 8, 9, 9, 10, 11, 12, r.randrange(0x1000)))
            try:
                c.send_raw(c.signed(method, attrs, txid=txid))
                if n % 8 == 0:
                    for one in clients:
                        collect(one)
            except ConnectionError:
                clients[1].closed = True
            if clients[1].closed:
                clients[1] = d.client("tcp")
                clients[1].challenge()
            if n % 500 == 0:
                for one in clients:
                    if one.transport == "udp":
                        one.challenge()
                tap.check(d.answers(), "no answer after %d requests" % n)
        for c in clients:
            collect(c, 0.05)
        tap.check(d.answers(), "no answer")


def test_alignment():
    """T16: frames at odd places of a stream: ChannelData of every length before a request"""
    with Daemon() as d, d.client("tcp") as c, client.udp_socket("127.0.0.2") as peer:
        c.allocate()
        c.bind(client.name_of(peer), 0x4000)
        for size in range(0, 9):
            request = c.signed(stun.REFRESH)
            c.send_raw(stun.channel_data(0x4000, b"y" * size, pad=True) + request)
            msg = c.wait(request[8:20], c.timeout)
            tap.check(msg and msg.cls == stun.SUCCESS, "request after %d bytes of ChannelData: %r" % (size, msg))
            tap.equal(peer.recv(100), b"y" * size, "at the peer")


def test_small_datagrams():
    """T16: 0 to 19 bytes of anything"""
    with Daemon() as d, d.client(timeout=0.3) as c:
        for size in range(20):
            for byte in (b"\0", b"\x01", b"\x40", b"\x7f", b"\x80", b"\x16", b"\xff"):
                c.send_raw(byte * size)
        tap.equal(c.recv_raw(0.2), None, "answer")
        tap.check(d.answers(), "no answer")


if __name__ == "__main__":
    tap.main()
