# SPDX-License-Identifier: BSD-2-Clause
"""T1-T3: what a relay must not reach, in every notation, by every method that names a peer."""

import contextlib
import ipaddress
import os
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import daemon
import netns
import stun
import tap
from daemon import Daemon, Redis

SPECIAL_V4 = (
    "0.0.0.0", "0.1.2.3", "0.255.255.255", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
    "127.255.255.254", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "224.0.1.1", "239.255.255.255", "240.0.0.1", "254.1.2.3", "255.255.255.254", "255.255.255.255")
SPECIAL_V6 = (
    "::", "::1", "fc00::1", "fdff:ffff::1", "fe80::1", "febf:ffff::1", "fec0::1", "ff00::", "ff02::1", "ff05::2",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "100::1", "2001:db8::1", "2001:10::1", "3fff::1", "5f00::1")
PUBLIC_V4 = (
    "1.0.0.0", "9.255.255.255", "11.0.0.9", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255",
    "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
    "223.255.255.255")
PUBLIC_V6 = ("2001:4860:4860::8888", "2606:4700::1111", "2a00:9::1", "2003::1", "2400:cb00::1")


def embed(v4):
    """The IPv6 notations that carry an IPv4 address."""
    a = int(ipaddress.IPv4Address(v4))
    inverted = a ^ 0xFFFFFFFF
    yield "v4-mapped", (0xFFFF << 32) | a
    yield "v4-compatible", a
    yield "v4-translated", (0xFFFF << 48) | a
    yield "6to4", (0x2002 << 112) | (a << 80) | 1
    yield "NAT64", (0x0064FF9B << 96) | a
    yield "local NAT64", (0x0064FF9B0001 << 80) | a
    # RFC 6052 2.2: behind a /48 the address stands in bits 48-63 and 72-87.
    yield "local NAT64 /48", (0x0064FF9B0001 << 80) | ((a >> 16) << 64) | ((a & 0xFFFF) << 40)
    yield "Teredo client", (0x20010000 << 96) | (0x08080808 << 64) | inverted
    yield "Teredo server", (0x20010000 << 96) | (a << 64) | (0x08080808 ^ 0xFFFFFFFF)


def notations():
    """(what, address) of everything that is refused by default."""
    for v4 in SPECIAL_V4:
        yield "IPv4", v4
        for what, value in embed(v4):
            yield "%s of %s" % (what, v4), str(ipaddress.IPv6Address(value))
    for v6 in SPECIAL_V6:
        yield "IPv6", v6


class Both:
    """A client with an allocation of both families, and a fresh channel number for every bind."""

    def __init__(self, d, **kw):
        self.c = d.client(**kw)
        self.c.allocate(additional=stun.IPV6)
        self.number = 0x4000

    def permit(self, host):
        return self.c.try_permit(host).code

    def bind(self, host, port=4000):
        code = self.c.try_bind((host, port), self.number).code
        if code is None:
            self.number += 1
        return code


def test_special_ranges():
    """T1: every special range in every notation is refused with 403 by CreatePermission and ChannelBind"""
    with Daemon(relay={"addresses": ["127.0.0.44", "::1"], "allow": []}) as d:
        both = Both(d)
        count = 0
        for what, host in notations():
            if host == "::1":
                continue  # a relay address of this daemon: test_own_addresses has such
            tap.equal(both.permit(host), 403, "CreatePermission of %s (%s)" % (host, what))
            tap.equal(both.bind(host), 403, "ChannelBind of %s (%s)" % (host, what))
            count += 1
        tap.diag("%d addresses" % count)


def test_public_neighbours():
    """T1: the addresses next to the special ranges are public and served"""
    with Daemon(relay={"allow": []}) as d:
        both = Both(d)
        for host in PUBLIC_V4 + PUBLIC_V6:
            tap.equal(both.permit(host), None, "CreatePermission of " + host)
            tap.equal(both.bind(host), None, "ChannelBind of " + host)


def test_no_packet_leaves():
    """T1: Send to any of them, whatever else the client does, puts no packet on any wire"""
    netns.need()
    ns = netns.Namespace()
    device = ns.catch_all("11.0.0.1/24", "2a00:1::1/64")
    relay = {"addresses": ["11.0.0.1", "2a00:1::1"], "allow": []}
    with Daemon(netns=ns, server="11.0.0.1", relay=relay) as d:
        both = Both(d)
        sniffers = [netns.Sniffer(ns, device), netns.Sniffer(ns, "lo")]
        # A permission for a public peer first: the sniffer has to see what is allowed.
        both.c.permit("11.0.0.77", "2a00:1::77")
        for peer in ("11.0.0.77", "2a00:1::77"):
            both.c.send_indication((peer, 4000), b"needle allowed")
        seen = []
        tap.until("allowed packets are seen", lambda: seen.extend(relayed(sniffers[0], b"needle allowed")) or len(seen) == 2)
        for what, host in notations():
            if host in ("127.0.0.1", "::1"):
                tap.equal(both.permit(host), 403, "CreatePermission of " + host)
                tap.equal(both.bind(host), 403, "ChannelBind of " + host)
            both.c.try_permit("11.0.0.77", host)
            both.c.send_indication((host, 4000), b"needle refused")
            both.c.send_indication((host, 0), b"needle refused")
            for s in sniffers:
                found = relayed(s, b"needle refused", 0)
                tap.check(not found, "a packet left for %s (%s): %s" % (host, what, found and found[0].hex()))
        both.c.settle()
        for s in sniffers:
            tap.check(not relayed(s, b"needle refused"), "a packet left late")


def relayed(sniffer, needle, seconds=0.2):
    """Packets with that UDP payload, not those that a client wrapped it in."""
    found = []
    for p in sniffer.packets(max(seconds, 0.001)):
        head = (p[0] & 15) * 4 if p[0] >> 4 == 4 else 40
        if p[head + 8:].startswith(needle):
            found.append(p)
    return found


def test_ranges_off_a_prefix():
    """T2: ranges that begin and end anywhere compare as whole addresses"""
    relay = {"deny": ["9.1.2.250-9.1.5.3", "8.8.0.0/13", "2a00:1:2:ff00::-2a00:1:3:1::5", "2a09:8000::/17"],
             "allow": ["10.1.255.254-10.2.0.1"]}
    cases = {
        "9.1.2.249": None, "9.1.2.250": 403, "9.1.3.0": 403, "9.1.4.251": 403, "9.1.5.3": 403, "9.1.5.4": None, "9.0.3.1": None,
        "8.7.255.255": None, "8.8.0.0": 403, "8.15.255.255": 403, "8.16.0.0": None,
        "10.1.255.253": 403, "10.1.255.254": None, "10.2.0.0": None, "10.2.0.1": None, "10.2.0.2": 403, "10.1.0.1": 403,
        "2a00:1:2:feff:ffff::": None, "2a00:1:2:ff00::": 403, "2a00:1:3::ffff": 403, "2a00:1:3:1::5": 403,
        "2a00:1:3:1::6": None, "2a09:7fff::1": None, "2a09:8000::": 403, "2a09:ffff::1": 403, "2a0a::": None,
    }
    with Daemon(relay=relay) as d:
        both = Both(d)
        for host, want in cases.items():
            tap.equal(both.permit(host), want, "CreatePermission of " + host)
            tap.equal(both.bind(host), want, "ChannelBind of " + host)


def test_deny_in_other_notations():
    """T2: a denied IPv4 range is denied in the notations that embed it, and deny wins over allow"""
    with Daemon(relay={"deny": ["9.9.9.0/24", "127.0.0.9"]}) as d:
        both = Both(d)
        tap.equal(both.permit("127.0.0.9"), 403, "denied inside allowed")
        for what, value in embed("9.9.9.9"):
            tap.equal(both.permit(str(ipaddress.IPv6Address(value))), 403, what)


def test_own_listener_and_store():
    """T3: the server's own listeners and its Redis are refused even where loopback is allowed"""
    redis = Redis()
    with Daemon(auth={"stores": [redis.uri]}) as d, client.udp_socket("127.0.0.2") as peer:
        both = Both(d)
        c = both.c
        for host in ("127.0.0.1", "127.0.0.5", "::1"):
            tap.equal(both.bind(host, d.port), 403, "ChannelBind of the listener at " + host)
        tap.equal(both.bind("127.0.0.1", redis.port), 403, "ChannelBind of Redis")
        neighbour = redis.port + (1 if redis.port + 1 != d.port else 2)
        tap.equal(both.bind("127.0.0.1", neighbour), None, "ChannelBind of its neighbour")
        # A permission has no port: Send is where the listener is refused. It would answer this Binding request.
        c.permit("127.0.0.1", "127.0.0.5", "127.0.0.2", "::1")
        request = stun.build(stun.BINDING)
        for host in ("127.0.0.1", "127.0.0.5", "::1"):
            c.send_indication((host, d.port), request)
        tap.equal(c.recv(0.3), None, "an answer of our own listener")
        c.send_indication(client.name_of(peer), request)
        tap.equal(peer.recv(100), request, "at an allowed peer")
        # Something UDP on the store's port would be refused too.
        with client.udp_socket("127.0.0.1", redis.port) as store:
            c.send_indication(("127.0.0.1", redis.port), b"FLUSHALL\r\n")
            tap.equal(client.received(store, 0.2), None, "at the store's port")


class Sentinel:
    """Tells who asks it where the master is: `answers` connections, and no other until there are more."""

    def __init__(self):
        self.master, self.answers = None, 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        tap.cleanup(self.listening.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listening.accept()[0],), daemon=True).start()

    def serve(self, sock):
        with sock, contextlib.suppress(OSError):
            if not sock.recv(4096):
                return
            self.answers -= 1
            if self.answers >= 0:
                sock.sendall(b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05d\r\n" % self.master)
            while sock.recv(4096):
                pass


class Master:
    """Where a Redis could be: whoever has connected has been told of it."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(2 * daemon.PATIENCE)
        self.port = self.listening.getsockname()[1]
        tap.cleanup(self.listening.close)

    def found(self):
        sock = self.listening.accept()[0]
        tap.cleanup(sock.close)
        return sock


def test_master_of_a_sentinel():
    """T3: the master that a sentinel names to one worker is refused by all, also after a reload and a failover"""
    first, second, sentinel = Master(), Master(), Sentinel()
    sentinel.master, sentinel.answers = first.port, 1
    uri = "redis+sentinel://127.0.0.1:%d/main" % sentinel.port
    with Daemon(workers=2, auth={"stores": [uri], "timeout": 60000}) as d:

        def answers(port):
            """To clients of both workers: by their own ports they come to the one or the other."""
            codes = set()
            for _ in range(10):
                both = Both(d)
                codes.add(both.bind("127.0.0.1", port))
                both.c.close()
            return codes
        found = first.found()
        tap.equal(answers(first.port), {403}, "ChannelBind of the master")
        tap.equal(answers(second.port), {None}, "ChannelBind of what is no master yet")
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("configuration reloaded")
        tap.equal(answers(first.port), {403}, "ChannelBind of the master after a reload")
        sentinel.master, sentinel.answers = second.port, 1
        found.close()
        second.found()
        tap.equal(answers(second.port), {403}, "ChannelBind of the new master")
        tap.equal(answers(first.port), {403}, "ChannelBind of the old one, which may be a replica now")
        tap.equal(answers(d.port), {403}, "ChannelBind of the listener")


def test_own_addresses():
    """T3: the server's own public addresses are refused, but for the relay ports of its clients"""
    netns.need()
    ns = netns.Namespace()
    ns.catch_all("11.0.0.1/24", "11.0.0.2/24", "2a00:1::1/64")
    relay = {"addresses": ["11.0.0.1", "2a00:1::1"], "allow": []}
    with Daemon(netns=ns, server="11.0.0.2", relay=relay) as d:
        both = Both(d)
        with ns.inside():
            victim = client.udp_socket("11.0.0.1", 9000)
            second = client.udp_socket("11.0.0.2", 50000)
        tap.cleanup(victim.close)
        tap.cleanup(second.close)
        tap.equal(both.permit("11.0.0.2"), 403, "CreatePermission of an own address")
        for host, port in (("11.0.0.1", 22), ("11.0.0.1", d.port), ("11.0.0.1", 9000), ("11.0.0.2", 80), ("11.0.0.2", 50000),
                           ("2a00:1::1", 22), ("2a00:1::1", d.port)):
            tap.equal(both.bind(host, port), 403, "ChannelBind of %s port %d" % (host, port))
        both.c.try_permit("11.0.0.1")
        both.c.send_indication(("11.0.0.1", 9000), b"in")
        both.c.send_indication(("11.0.0.2", 50000), b"in")
        tap.equal(client.received(victim, 0.2), None, "at a service of the relay address")
        tap.equal(client.received(second, 0.2), None, "at a service of the other address")
        # Two clients of this server find each other by their relayed addresses.
        other = Both(d)
        meet(both.c, other.c)


def meet(a, b):
    """Two clients talk from relay to relay on every family that they have."""
    for n, (ra, rb) in enumerate(zip(a.relayed, b.relayed)):
        a.bind(rb, 0x4F00 + n)
        b.bind(ra, 0x4F10 + n)
        a.send_channel(0x4F00 + n, b"to b")
        tap.equal(b.recv(), client.Data(None, 0x4F10 + n, b"to b"), "at b from %s" % ra[0])
        b.send_channel(0x4F10 + n, b"to a")
        tap.equal(a.recv(), client.Data(None, 0x4F00 + n, b"to a"), "at a from %s" % rb[0])


def test_relay_to_relay():
    """T3: relay to relay between two clients works, with nothing allowed, on every mix of transports"""
    with Daemon(relay={"allow": []}) as d:
        for ta, tb in (("udp", "udp"), ("udp", "tcp"), ("tcp", "tcp")):
            meet(Both(d, transport=ta).c, Both(d, transport=tb).c)


def test_relay_to_relay_external():
    """T3: two clients meet by their external addresses too, which the host itself cannot be reached at"""
    netns.need()
    ns = netns.Namespace()
    device = ns.catch_all("11.0.0.1/24")
    relay = {"addresses": ["11.0.0.1"], "external": ["11.0.0.1/12.0.0.1"], "allow": []}
    with Daemon(netns=ns, server="11.0.0.1", relay=relay) as d:
        a, b = d.client(), d.client()
        ra, rb = a.allocate(), b.allocate()
        tap.equal((ra[0], rb[0]), ("12.0.0.1", "12.0.0.1"), "relayed addresses")
        sniffer = netns.Sniffer(ns, device)
        tap.equal(a.try_bind(rb, 0x4000).code, None, "ChannelBind of the other's external address")
        tap.equal(a.try_bind(("12.0.0.1", 22), 0x4001).code, 403, "ChannelBind of the external address, port 22")
        tap.equal(a.try_bind(("12.0.0.1", d.port), 0x4001).code, 403, "ChannelBind of the external listener")
        b.bind(ra, 0x4000)
        a.send_channel(0x4000, b"needle hairpin")
        got, left = None, []

        def came():
            nonlocal got, left
            got = b.recv(0.5)
            left += relayed(sniffer, b"needle hairpin")
            return got or left
        tap.until("it comes by one way or the other", came)
        tap.diag("external to external: %s" % ("inside the server" if got else "left to the NAT to hairpin"))
        tap.check(got == client.Data(None, 0x4000, b"needle hairpin") or len(left) == 1, "lost: %r, %r" % (got, left))


def test_no_loop():
    """T3: a client's own relayed address as its peer comes back at most once; there is no way to build a loop"""
    with Daemon() as d:
        a = d.client()
        relayed_a = a.allocate()
        if a.try_bind(relayed_a, 0x4000).code is None:
            a.send_channel(0x4000, b"once")
            a.settle()
            first = a.recv(0.5)
            tap.diag("own relayed address: %s" % ("delivered once" if first else "dropped"))
            tap.equal(a.recv(0.5), None, "a second copy")
        # Through the relay to the listener, to get an allocation whose client is a relay.
        tap.equal(a.try_bind(("127.0.0.1", d.port), 0x4001).code, 403, "ChannelBind of the listener")
        # Two relays that point at each other, with a packet put between them.
        b = d.client()
        relayed_b = b.allocate()
        a.bind(relayed_b, 0x4002)
        b.bind(relayed_a, 0x4002)
        a.send_channel(0x4002, b"ping")
        tap.equal(b.recv(), client.Data(None, 0x4002, b"ping"), "at b")
        tap.equal(b.recv(0.3), None, "again at b")
        tap.equal(a.recv(0.1), None, "back at a")


def test_port_zero():
    """a peer with port 0: ChannelBind and Send do nothing harmful"""
    with Daemon() as d, d.client() as c:
        c.allocate()
        code = c.try_bind(("127.0.0.2", 0), 0x4000).code
        tap.check(code in (None, 400, 403), "ChannelBind of port 0 is %s" % code)
        c.permit("127.0.0.2")
        c.send_indication(("127.0.0.2", 0), b"x")
        tap.check(d.answers(), "no answer afterwards")


if __name__ == "__main__":
    tap.main()
