# SPDX-License-Identifier: BSD-2-Clause
"""Relayed data: RFC 8656 sections 11 and 12, in both directions, byte for byte."""

import os
import random
import select
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import netns
import stun
import tap
from daemon import Daemon, die_with_parent, PATIENCE

SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 100, 999, 1000, 1199, 1200, 1400, 1472, 1473, 1500, 4095, 9000, 32768, 65000)
PEERS = {"127.0.0.1": "127.0.0.2", "::1": "::1"}


def setup(d, transport, host="127.0.0.1", family=None, **kw):
    """A client with an allocation and a peer."""
    c = d.client(transport, host=host, **kw)
    c.relay = c.allocate(family=family)
    peer = client.udp_socket(PEERS[c.relay[0]])
    tap.cleanup(peer.close)
    return c, peer, client.name_of(peer)


def payload(size, seed=0):
    return random.Random(seed * 100003 + size).randbytes(size)


def test_both_ways():
    """channels, Send and Data, both ways, UDP and TCP clients on IPv4 and IPv6, peers of both families"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            for host in ("127.0.0.1", "::1"):
                for family in (stun.IPV4, stun.IPV6):
                    c, peer, name = setup(d, transport, host, family)
                    c.permit(name[0])
                    c.send_indication(name, b"by Send")
                    data, source = peer.recvfrom(65536)
                    tap.equal((data, source[:2]), (b"by Send", c.relay), "at the peer")
                    peer.sendto(b"by Data", c.relay)
                    tap.equal(c.recv(), client.Data(name, None, b"by Data"), "at the client")
                    c.bind(name, 0x4001)
                    c.send_channel(0x4001, b"by channel")
                    data, source = peer.recvfrom(65536)
                    tap.equal((data, source[:2]), (b"by channel", c.relay), "at the peer")
                    peer.sendto(b"back", c.relay)
                    tap.equal(c.recv(), client.Data(None, 0x4001, b"back"), "at the client")
                    c.close()
                    peer.close()


def test_sizes():
    """payloads of 0 to 65,000 bytes arrive whole, by channel and by Send and Data, on UDP and TCP"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            c, peer, name = setup(d, transport)
            c.permit(name[0])
            for bound in (False, True):
                if bound:
                    c.bind(name, 0x4000)
                for size in SIZES:
                    data = payload(size)
                    if bound:
                        c.send_channel(0x4000, data)
                    else:
                        c.send_indication(name, data)
                    tap.check(peer.recv(65536) == data, "%s, bound %s: %d bytes to the peer" % (transport, bound, size))
                    peer.sendto(data, c.relay)
                    got = c.recv()
                    tap.check(got and got.payload == data, "%s, bound %s: %d bytes to the client: %s"
                              % (transport, bound, size, got and len(got.payload)))


def behind(c, peer, mark):
    """What comes to the client before a mark that the peer sends until it gets through: there may be no room for it yet."""
    got = []
    for _ in range(60):
        peer.sendto(mark, c.relay)
        while (data := c.recv(0.5 * tap.SLOW)) is not None:
            if data.payload == mark:
                return got
            got.append(data.payload)
    raise AssertionError("%r does not come to the client" % mark)


def test_largest_does_no_harm():
    """the largest datagrams, which have no room for a header, are dropped and nothing else"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            c, peer, name = setup(d, transport)
            c.permit(name[0])
            for size in (65507, 65504, 65503, 65480, 65471):
                peer.sendto(payload(size), c.relay)
            for got in behind(c, peer, b"mark %s" % transport.encode()):
                tap.check(got == payload(len(got)), "payload of %d bytes" % len(got))
            c.bind(name, 0x4000)
            for size in (65507, 65504, 65503):
                peer.sendto(payload(size), c.relay)
            if transport == "tcp":
                for size in (65535, 65508, 65507):
                    c.send_channel(0x4000, payload(size))
            behind(c, peer, b"me too")
            c.send_channel(0x4000, b"still here")
            while (got := peer.recv(65536)) != b"still here":
                tap.check(len(got) > 60000, "%d bytes at the peer" % len(got))


def test_permission_is_needed():
    """without a permission nothing passes in either direction; it covers every port of the address"""
    with Daemon() as d:
        c, peer, name = setup(d, "udp")
        c.send_indication(name, b"no")
        peer.sendto(b"no", c.relay)
        c.settle()
        tap.equal(client.received(peer, 0.2), None, "at the peer")
        tap.equal(c.recv(0.2), None, "at the client")
        c.permit((name[0], 1))
        with client.udp_socket(name[0]) as second:
            for sock in (peer, second):
                c.send_indication(client.name_of(sock), b"yes")
                sock.settimeout(30)
                tap.equal(sock.recv(100), b"yes", "at the peer")
                sock.sendto(b"yes", c.relay)
                tap.equal(c.recv().payload, b"yes", "at the client")
        with client.udp_socket("127.0.0.3") as stranger:
            stranger.sendto(b"stranger", c.relay)
            tap.equal(c.recv(0.2), None, "from another address")


def test_channel_gives_permission():
    """ChannelBind installs the permission; an unbound number is dropped; another port of the peer comes as Data"""
    with Daemon() as d:
        c, peer, name = setup(d, "udp")
        c.bind(name, 0x4010)
        c.send_channel(0x4011, b"unbound")
        c.send_channel(0x4010, b"bound")
        tap.equal(peer.recv(100), b"bound", "at the peer")
        with client.udp_socket(name[0]) as second:
            second.sendto(b"port", c.relay)
            tap.equal(c.recv(), client.Data(client.name_of(second), None, b"port"), "at the client")


def test_trailing_bytes():
    """ChannelData shorter than its datagram: the rest is padding; longer: dropped (RFC 8656 12.5)"""
    with Daemon() as d:
        c, peer, name = setup(d, "udp")
        c.bind(name, 0x4000)
        c.send_raw(stun.channel_data(0x4000, b"abcde", pad=True))
        tap.equal(peer.recv(100), b"abcde", "padded")
        c.send_raw(stun.channel_data(0x4000, b"abcde", length=6))
        c.send_raw(stun.channel_data(0x4000, b"abcde", length=65535))
        c.send_raw(stun.channel_data(0x4000, b"end"))
        tap.equal(peer.recv(100), b"end", "after two with a length past the datagram")


WINDOW = 100  # packets that a relayed address's receive buffer holds easily, be it of the usual size


def paced(send, receive, count, size, rate):
    """Sends count numbered packets at that rate while it receives: the numbers in the order of arrival. Whoever has to wait for
    the processor does not make up for it by a burst: never more than WINDOW are under way."""
    got = []
    tail = b"x" * (size - 4)
    begin = time.monotonic()
    sent = 0
    last = begin
    while len(got) < count and time.monotonic() - last < PATIENCE / 3:
        due = min(count, int((time.monotonic() - begin) * rate) + 1, len(got) + WINDOW)
        while sent < due:
            send(struct.pack("!I", sent) + tail)
            sent += 1
            last = time.monotonic()
        data = receive()
        while data is not None:
            got.append(struct.unpack_from("!I", data)[0])
            last = time.monotonic()
            data = receive()
        time.sleep(0.0005)
    return got


def peek(sock):
    return sock.recv(65536) if select.select([sock], [], [], 0)[0] else None


def next_channel(c):
    """The next channel payload that has arrived already, or None."""
    if not c.data and (c.buffer or select.select([c.sock], [], [], 0)[0]):
        frame = c.recv_raw(0)
        if frame:
            c._keep(frame)
    return c.data.popleft().payload if c.data else None


def test_ten_thousand_in_order():
    """10,000 paced packets each way on UDP and TCP: none lost, none out of order"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            c, peer, name = setup(d, transport)
            c.bind(name, 0x4000)
            rate = 8000 // tap.SLOW ** 0.5
            got = paced(lambda data: c.send_channel(0x4000, data), lambda: peek(peer), 10000, 172, rate)
            tap.check(got == list(range(10000)), "%s to the peer: %d of 10000" % (transport, len(got)))
            got = paced(lambda data: peer.sendto(data, c.relay), lambda: next_channel(c), 10000, 172, rate)
            tap.check(got == list(range(10000)), "%s to the client: %d of 10000" % (transport, len(got)))


def bursts():
    """Lists of payloads: equal sizes, a shorter last one, changing sizes, empty ones between."""
    r = random.Random(1)
    yield [payload(1200, i) for i in range(64)]
    yield [payload(1200, i) for i in range(40)] + [payload(17)]
    yield [payload(1, i) for i in range(64)]
    yield [payload(r.randrange(1, 1400), i) for i in range(64)]
    yield [payload(1200 if i % 2 else 1199, i) for i in range(64)]
    yield [payload(600, i) for i in range(20)] + [payload(900, i) for i in range(20)] + [payload(300, i) for i in range(20)]
    yield [payload(0 if i % 5 == 0 else 500, i) for i in range(50)]
    yield [payload(1403, i) for i in range(45)]
    yield [payload(8000, i) for i in range(8)]


def gso(sock, payloads, to=None):
    """One system call for many equal datagrams (UDP_SEGMENT), so that the server's GRO sees them as one."""
    size = len(payloads[0])
    anc = [(socket.IPPROTO_UDP, 103, struct.pack("=H", size))]
    sock.sendmsg([b"".join(payloads)], anc, 0, *([to] if to else []))


def test_bursts():
    """bursts with equal and unequal sizes, sent at once and segmented by the kernel, are the same bytes after relaying"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            c, peer, name = setup(d, transport)
            c.bind(name, 0x4000)
            for n, burst in enumerate(bursts()):
                what = "%s, burst %d" % (transport, n)
                for data in burst:
                    peer.sendto(data, c.relay)
                got = [c.recv() for _ in burst]
                tap.check([g and g.payload for g in got] == burst, what + " to the client")
                if transport == "tcp":
                    c.send_raw(b"".join(stun.channel_data(0x4000, data, pad=True) for data in burst))
                else:
                    for data in burst:
                        c.send_channel(0x4000, data)
                tap.check([peer.recv(65536) for _ in burst] == burst, what + " to the peer")


def test_segmented_bursts():
    """what a client or a peer hands to the kernel as one segmented datagram comes out as the same datagrams"""
    with Daemon() as d:
        c, peer, name = setup(d, "udp")
        c.bind(name, 0x4000)
        cases = [[payload(1000, i) for i in range(50)], [payload(1000, i) for i in range(30)] + [payload(333)],
                 [payload(1396, i) for i in range(44)], [payload(20, i) for i in range(60)]]
        for n, burst in enumerate(cases):
            try:
                gso(peer, burst, c.relay)
            except OSError as why:
                raise tap.Skip("no UDP_SEGMENT here: %s" % why) from None
            got = [c.recv() for _ in burst]
            tap.check([g and g.payload for g in got] == burst, "case %d to the client" % n)
            gso(c.sock, [stun.channel_data(0x4000, data) for data in burst])
            tap.check([peer.recv(65536) for _ in burst] == burst, "case %d to the peer" % n)


def test_mixed_segments():
    """a segmented datagram with several channels, an unbound one and a STUN request of the same size between"""
    with Daemon() as d:
        c, peer, name = setup(d, "udp")
        second = client.udp_socket("127.0.0.3")
        tap.cleanup(second.close)
        c.bind(name, 0x4000)
        c.bind(client.name_of(second), 0x4001)
        request = stun.build(stun.BINDING, attrs=[(stun.SOFTWARE, b"s" * 72)])
        size = len(request)
        parts, want = [], {0x4000: [], 0x4001: []}
        for i in range(24):
            number = (0x4000, 0x4001, 0x4002)[i % 3]
            data = payload(size - 4, i)
            parts.append(stun.channel_data(number, data))
            if number in want:
                want[number].append(data)
        parts[12:12] = [request]
        try:
            gso(c.sock, parts)
        except OSError as why:
            raise tap.Skip("no UDP_SEGMENT here: %s" % why) from None
        tap.check([peer.recv(65536) for _ in want[0x4000]] == want[0x4000], "channel 0x4000")
        tap.check([second.recv(65536) for _ in want[0x4001]] == want[0x4001], "channel 0x4001")
        tap.check(c.wait(request[8:20], c.timeout) is not None, "no answer to the request between")


def test_two_peers_burst():
    """two peers that send at once to one relayed address: each packet comes from the one that sent it"""
    with Daemon() as d:
        c, peer, name = setup(d, "udp")
        with client.udp_socket("127.0.0.3") as second:
            c.permit("127.0.0.2", "127.0.0.3")
            c.bind(client.name_of(second), 0x4007)
            for i in range(50):
                peer.sendto(payload(300, i), c.relay)
                second.sendto(payload(300, 1000 + i), c.relay)
            got = [c.recv() for _ in range(100)]
            tap.check(None not in got, "%d of 100 came" % (100 - got.count(None)))
            tap.check([g.payload for g in got if g.channel] == [payload(300, 1000 + i) for i in range(50)], "bound peer")
            rest = [g for g in got if not g.channel]
            tap.check([g.payload for g in rest] == [payload(300, i) for i in range(50)], "peer without a channel")
            tap.check(all(g.peer == name for g in rest), "XOR-PEER-ADDRESS")


def test_stream_byte_by_byte():
    """TCP: frames that come one byte at a time, and many frames in one segment"""
    with Daemon() as d:
        c, peer, name = setup(d, "tcp")
        c.bind(name, 0x4000)
        txid = stun.new_txid()
        frames = [stun.channel_data(0x4000, b"abcde", pad=True), stun.build(stun.BINDING, txid=txid),
                  stun.channel_data(0x4000, b"", pad=True), stun.channel_data(0x4000, b"fghi", pad=True)]
        for byte in b"".join(frames):
            c.send_raw(bytes([byte]))
        tap.equal([peer.recv(100) for _ in range(3)], [b"abcde", b"", b"fghi"], "at the peer")
        tap.check(c.wait(txid, c.timeout) is not None, "no answer")
        c.send_raw(b"".join(frames * 50))
        tap.equal([peer.recv(100) for _ in range(150)], [b"abcde", b"", b"fghi"] * 50, "at the peer")
        # A cut at every place of a frame.
        whole = stun.channel_data(0x4000, b"0123456789", pad=True)
        for cut in range(1, len(whole)):
            c.send_raw(whole[:cut])
            time.sleep(0.002)
            c.send_raw(whole[cut:])
            tap.equal(peer.recv(100), b"0123456789", "cut at %d" % cut)


def test_stream_padding():
    """TCP: ChannelData to the client is padded to 4 with zeros, whatever its length"""
    with Daemon() as d:
        c, peer, name = setup(d, "tcp")
        c.bind(name, 0x4000)
        for size in range(0, 17):
            peer.sendto(payload(size), c.relay)
        got = [c.recv() for _ in range(17)]  # Client refuses padding that is wrong or not zero
        tap.check([g and g.payload for g in got] == [payload(s) for s in range(17)], "payloads")


def test_stream_garbage():
    """TCP: bytes that are no frame end that connection, not the others"""
    with Daemon() as d:
        with d.client("tcp") as good:
            good.allocate()
            for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60,
                            b"\x80" * 64, b"\xff" * 4):
                with d.client("tcp") as c:
                    c.send_raw(garbage)
                    end = time.monotonic() + 60 * tap.SLOW
                    while not c.closed:
                        tap.check(time.monotonic() < end, "connection open after %r" % garbage[:16])
                        try:
                            data = c.recv_raw(0.2)
                        except stun.Malformed:
                            break
                        tap.equal(data, None, "answer to %r" % garbage[:16])
            tap.equal(good.refresh(), 600, "the other connection")


def test_slow_receiver():
    """a TCP client that stops reading costs bounded memory, others are served, and what it gets later is whole frames"""
    with Daemon() as d:
        c, peer, name = setup(d, "tcp")
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        c.bind(name, 0x4000)
        before = d.rss()
        block = payload(1200)
        sent = 0
        for _ in range(100000 // tap.SLOW):
            peer.sendto(block, c.relay)
            sent += 1
            if sent % 500 == 0:
                time.sleep(0.005)
        growth = d.rss() - before
        tap.bounded(growth, 8192, "%d MB sent to a client that does not read" % (sent * 1200 // 1000000))
        tap.check(d.answers(), "no answer to others")
        late = []
        while not c.closed and (got := c.recv(0.5)) is not None:
            late.append(got.payload)
        if not c.closed:
            late += behind(c, peer, b"after the jam")
        tap.check(all(p == block for p in late), "a frame is damaged")
        tap.diag("%d of %d packets were delivered late%s" % (len(late), sent, ", then closed" if c.closed else ""))


def test_many_slow_writers():
    """TCP clients that hold half a frame open do not keep others waiting"""
    with Daemon() as d:
        held = [d.client("tcp") for _ in range(50)]
        for c in held:
            c.send_raw(stun.channel_data(0x4000, b"x" * 30000)[:20000])
        tap.check(d.answers(), "no answer over UDP")
        with d.client("tcp") as c:
            tap.check(c.binding() is not None, "no answer over TCP")


def test_external_mapping():
    """behind 1:1 NAT: clients are told the external address, the socket is on the relay address"""
    external = "198.51.100.7"
    with Daemon(relay={"external": ["127.0.0.1/" + external]}) as d:
        c, peer, name = setup_external(d, external)
        c.permit(name[0])
        c.send_indication(name, b"out")
        data, source = peer.recvfrom(100)
        tap.equal((data, source), (b"out", ("127.0.0.1", c.relay[1])), "at the peer")
        peer.sendto(b"in", ("127.0.0.1", c.relay[1]))
        tap.equal(c.recv(), client.Data(name, None, b"in"), "at the client")


def setup_external(d, external):
    c = d.client()
    c.relay = c.allocate()
    tap.equal(c.relay[0], external, "relayed address")
    peer = client.udp_socket("127.0.0.2")
    tap.cleanup(peer.close)
    return c, peer, client.name_of(peer)


def test_several_relay_addresses():
    """several relay addresses are all used"""
    with Daemon(relay={"addresses": ["127.0.0.1", "127.0.0.6", "127.0.0.7"]}) as d:
        hosts = {d.client().allocate()[0] for _ in range(60)}
        tap.equal(hosts, {"127.0.0.1", "127.0.0.6", "127.0.0.7"}, "relay addresses in use")


def test_dont_fragment():
    """DONT-FRAGMENT in Allocate and Send: served, or refused with 420 as an unknown attribute"""
    with Daemon() as d:
        c, peer, name = setup(d, "udp")
        c.permit(name[0])
        with d.client() as second:
            msg = second.try_allocate(extra=[(stun.DONT_FRAGMENT, b"")])
            tap.check(msg.cls == stun.SUCCESS or msg.code == 420, "%r" % msg)
            tap.diag("DONT-FRAGMENT: %s" % (msg.code or "served"))
        c.send_indication(name, b"df", extra=[(stun.DONT_FRAGMENT, b"")])
        if msg.cls == stun.SUCCESS:
            tap.equal(peer.recv(100), b"df", "at the peer")


def test_dont_fragment_beyond_mtu():
    """a Send indication with DONT-FRAGMENT that is longer than the path takes is dropped, one without it is fragmented"""
    netns.need()
    server, right = netns.Namespace(), netns.Namespace()
    netns.pair(server, ["11.0.2.1/24", "2a00:2::1/64"], right, ["11.0.2.2/24", "2a00:2::2/64"])
    relay = {"addresses": ["11.0.2.1", "2a00:2::1"], "allow": []}
    with Daemon(netns=server, server="127.0.0.1", relay=relay) as d:
        for family, host in ((stun.IPV4, "11.0.2.2"), (stun.IPV6, "2a00:2::2")):
            with right.inside():
                peer = client.udp_socket(host)
            tap.cleanup(peer.close)
            # To IPv6 it counts for clients on streams only (RFC 8656 13.1 and 15).
            c = d.client("udp" if family == stun.IPV4 else "tcp")
            c.allocate(family=family)
            c.permit(host)
            name = client.name_of(peer)
            df = [(stun.DONT_FRAGMENT, b"")]
            for size, extra, arrives in ((3000, [], True), (3000, df, False), (1000, df, True), (3000, [], True)):
                c.send_indication(name, payload(size), extra=extra)
                got = peer.recv(65536) if arrives else client.received(peer, 0.3)
                peer.settimeout(30 * tap.SLOW)
                tap.check(got == (payload(size) if arrives else None), "%s, %d bytes, %r" % (host, size, extra))
            tap.equal(c.recv_icmp(0.1), None, "an indication, though no router said anything")


def test_between_hosts():
    """client, server and peer on three hosts (network namespaces), routed, on both families"""
    netns.need()
    server, left, right = netns.Namespace(), netns.Namespace(), netns.Namespace()
    netns.pair(server, ["11.0.1.1/24", "2a00:1::1/64"], left, ["11.0.1.2/24", "2a00:1::2/64"])
    netns.pair(server, ["11.0.2.1/24", "2a00:2::1/64"], right, ["11.0.2.2/24", "2a00:2::2/64"])
    left.ip("route", "add", "default", "via", "11.0.1.1")
    right.ip("route", "add", "default", "via", "11.0.2.1")
    right.ip("-6", "route", "add", "default", "via", "2a00:2::1")
    relay = {"addresses": ["11.0.2.1", "2a00:2::1"], "allow": []}
    with Daemon(netns=server, server="11.0.1.1", relay=relay) as d:
        for transport in ("udp", "tcp"):
            for host, family, other in (("11.0.1.1", stun.IPV4, "11.0.2.2"), ("2a00:1::1", stun.IPV6, "2a00:2::2")):
                c = client.Client((host, d.port), transport, inside=left.inside)
                tap.cleanup(c.close)
                relayed = c.allocate(family=family)
                with right.inside():
                    peer = client.udp_socket(other)
                tap.cleanup(peer.close)
                c.bind(client.name_of(peer), 0x4000)
                c.send_channel(0x4000, b"there" * 300)
                data, source = peer.recvfrom(65536)
                tap.equal((data, source[:2]), (b"there" * 300, relayed), "at the peer")
                peer.sendto(b"back" * 300, relayed)
                tap.equal(c.recv(), client.Data(None, 0x4000, b"back" * 300), "at the client")


def flood(source, to):
    """A child that sends to an address as fast as it can; its id."""
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        with client.udp_socket(source) as sock:
            while True:
                try:
                    gso(sock, [b"x" * 20] * 60, to)
                except OSError:
                    pass

    def end():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    tap.cleanup(end)


def cpu_seconds(d):
    """What the daemon's threads have used so far."""
    return time.clock_gettime(~d.pid << 3 | 2)  # clock_getcpuclockid(3)


def test_flooded_relay():
    """a relayed address that is flooded faster than it can be read leaves the worker's other clients their share"""
    with Daemon(workers=1, log={"level": "notice"}) as d:
        c, peer, name = setup(d, "udp")
        c.permit(name[0])
        for _ in range(2):
            flood(name[0], c.relay)
        time.sleep(0.3)
        # By the server's own time: how often it is given a processor is not its doing. Half of the answers are looked at, since
        # it goes on with the flood while it is our turn to have none.
        used = []
        with d.client() as other:
            for _ in range(30):
                before = cpu_seconds(d)
                tap.check(other.exchange(stun.build(stun.BINDING), retransmit=False), "no answer")
                used.append(cpu_seconds(d) - before)
        used.sort()
        tap.diag("an answer takes %.1f ms of CPU, %.1f at most" % (used[15] * 1000, used[-1] * 1000))
        tap.check(used[15] < 0.03 * tap.SLOW, "an answer took %.0f ms of CPU" % (used[15] * 1000))


if __name__ == "__main__":
    tap.main()
