# SPDX-License-Identifier: BSD-2-Clause
"""ICMP errors on the way to peers (RFC 8656 11.5 and 18.13), and the IP headers of what is relayed (13 to 15)."""

import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import netns
import stun
import tap
from certs import Authority
from daemon import Daemon, free_port

UNREACHABLE, TIME_EXCEEDED, SOURCE_QUENCH, PARAMETER = 3, 11, 4, 12
DF = [(stun.DONT_FRAGMENT, b"")]


def closed_port(host):
    """An address that answers with a port unreachable."""
    return host, free_port()


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def raw_icmp():
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        raise tap.Skip("forging ICMP needs root") from None
    tap.cleanup(sock.close)
    sock.bind(("127.0.0.9", 0))
    return sock


def forge(sock, kind, code, relayed, peer, data=0):
    """What a router would say about a datagram from the relayed address to the peer."""
    udp = struct.pack("!HHHH", relayed[1], peer[1], 20, 0) + b"x" * 12
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 60, 17, 0, socket.inet_aton(relayed[0]), socket.inet_aton(peer[0]))
    message = struct.pack("!BBHI", kind, code, 0, data) + ip + udp
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    sock.sendto(message, (relayed[0], 0))


def secure():
    """A daemon with every transport on one port."""
    port = free_port()
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tcp+tls")]
    return Daemon(port=port, listen=listen, tls=Authority().settings())


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_port_unreachable():
    """a peer's closed port: a Data indication with its address and ICMP, by Send and by channel, on every transport, both families"""
    with secure() as d:
        for transport in ("udp", "tcp", "tls", "dtls"):
            for family, host, want in ((stun.IPV4, "127.0.0.2", (3, 3, 0)), (stun.IPV6, "::1", (1, 4, 0))):
                with d.client(transport) as c:
                    c.allocate(family=family)
                    name = closed_port(host)
                    c.permit(host)
                    c.send_indication(name, b"anyone?")
                    tap.equal(c.recv_icmp(), client.Icmp(name, *want), "after a Send indication (%s)" % transport)
                    c.bind(name, 0x4000)
                    c.send_channel(0x4000, b"anyone?")
                    tap.equal(c.recv_icmp(), client.Icmp(name, *want), "after ChannelData (%s)" % transport)
                    tap.equal(len(c.data), 0, "relayed data")


def test_nothing_is_lost():
    """datagrams to others arrive all while one peer's port is closed, whichever comes first in a batch"""
    with Daemon() as d, d.client() as c, client.udp_socket("127.0.0.2") as peer:
        c.allocate()
        name, dead = client.name_of(peer), closed_port("127.0.0.3")
        c.bind(name, 0x4000)
        c.bind(dead, 0x4001)
        for n in range(300):
            c.send_channel(0x4001, b"to nobody")
            c.send_channel(0x4000, b"%d" % n)
            if n % 3 == 0:
                c.send_channel(0x4001, b"to nobody")
            if n % 20 == 19:
                for k in range(n - 19, n + 1):
                    tap.equal(peer.recv(100), b"%d" % k, "at the peer")
        tap.equal(c.refresh(), 600, "Refresh")


def test_errors_are_limited():
    """of many errors the client hears of few"""
    with Daemon() as d, d.client() as c:
        c.allocate()
        c.bind(closed_port("127.0.0.2"), 0x4000)
        began = time.monotonic()
        for n in range(400):
            c.send_channel(0x4000, b"%d" % n)
            if n % 20 == 0:
                tap.equal(c.refresh(), 600, "Refresh")
        while c.recv_raw(0.2):
            c.icmp.append(None)
        seconds = time.monotonic() - began
        tap.diag("%d indications in %.1f s" % (len(c.icmp), seconds))
        tap.check(1 <= len(c.icmp) <= 10 + 5 * (seconds + 1), "%d indications" % len(c.icmp))


def test_which_errors():
    """only the types that RFC 8656 names, only for peers with a permission; too big with the MTU"""
    with Daemon() as d, d.client() as c:
        raw = raw_icmp()
        relayed, peer = c.allocate(), ("127.0.0.2", 4000)
        c.permit("127.0.0.2")
        for kind, code, data, told in ((UNREACHABLE, 1, 0, 0), (UNREACHABLE, 4, 1234, 1234), (UNREACHABLE, 13, 77, 0),
                                       (TIME_EXCEEDED, 0, 5, 0), (SOURCE_QUENCH, 0, 0, None), (PARAMETER, 0, 0, None)):
            forge(raw, kind, code, relayed, ("127.0.0.3", 4000), data)
            forge(raw, kind, code, relayed, peer, data)
            if told is not None:
                tap.equal(c.recv_icmp(), client.Icmp(peer, kind, code, told), "indication")
        tap.equal(c.recv_icmp(0.3), None, "about another peer, or of another type")


def test_forged_errors_do_no_harm():
    """a flood of forged errors costs no datagram in either direction, nor CPU afterwards"""
    with Daemon(workers=1, log={"level": "notice"}) as d, d.client() as c, client.udp_socket("127.0.0.2") as peer:
        raw = raw_icmp()
        relayed, name = c.allocate(), client.name_of(peer)
        c.bind(name, 0x4000)
        codes = [(UNREACHABLE, 3), (UNREACHABLE, 4), (UNREACHABLE, 0), (TIME_EXCEEDED, 0), (PARAMETER, 0), (UNREACHABLE, 2)]
        for n in range(600):
            for k in range(6):
                forge(raw, *codes[k], relayed, (name[0], name[1] + k % 2), 300)
            c.send_channel(0x4000, b"up %d" % n)
            peer.sendto(b"down %d" % n, relayed)
            tap.equal(peer.recv(100), b"up %d" % n, "at the peer")
            tap.equal(c.recv(), client.Data(None, 0x4000, b"down %d" % n), "at the client")
        big = b"b" * 1400
        c.send_channel(0x4000, big)
        tap.equal(peer.recv(2000), big, "beyond the MTU that was forged")
        time.sleep(0.2)
        before = cpu_seconds(d.pid)
        time.sleep(1)
        used = cpu_seconds(d.pid) - before
        tap.check(used < 0.5, "%.2f s of CPU in an idle second" % used)


def routed(mtu):
    """A daemon's namespace, and a peer's behind a router whose link to it has that MTU."""
    netns.need()
    server, router, right = netns.Namespace(), netns.Namespace(), netns.Namespace()
    netns.pair(server, ["11.0.1.1/24", "2a00:1::1/64"], router, ["11.0.1.2/24", "2a00:1::2/64"])
    near, far = netns.pair(router, ["11.0.2.1/24", "2a00:2::1/64"], right, ["11.0.2.2/24", "2a00:2::2/64"])
    server.ip("route", "add", "default", "via", "11.0.1.2")
    server.ip("-6", "route", "add", "default", "via", "2a00:1::2")
    right.ip("route", "add", "default", "via", "11.0.2.1")
    right.ip("-6", "route", "add", "default", "via", "2a00:2::1")
    router.ip("link", "set", near, "mtu", str(mtu))
    right.ip("link", "set", far, "mtu", str(mtu))
    router.sysctl("net/ipv4/ip_forward", 1)
    router.sysctl("net/ipv6/conf/all/forwarding", 1)
    return server, right


def test_path_mtu():
    """a datagram too big for the path: DONT-FRAGMENT gives the MTU by ICMP, each time; without it fragments arrive"""
    server, right = routed(1300)
    relay = {"addresses": ["11.0.1.1", "2a00:1::1"], "allow": []}
    with Daemon(netns=server, relay=relay) as d:
        for family, host, want in ((stun.IPV4, "11.0.2.2", (3, 4, 1300)), (stun.IPV6, "2a00:2::2", (2, 0, 1300))):
            with right.inside():
                peer = client.udp_socket(host)
            tap.cleanup(peer.close)
            name = client.name_of(peer)
            with d.client("tcp") as c:
                c.allocate(family=family)
                c.permit(host)
                for _ in range(3):
                    c.send_indication(name, b"x" * 1400, extra=DF)
                    tap.equal(c.recv_icmp(), client.Icmp(name, *want), "with DONT-FRAGMENT")
                c.send_indication(name, b"y" * 1400)
                tap.equal(peer.recv(2000), b"y" * 1400, "without it")
                c.send_indication(name, b"z" * 1200, extra=DF)
                tap.equal(peer.recv(2000), b"z" * 1200, "one that fits")


def test_header_fields():
    """relayed datagrams have the default TTL, best effort and Not-ECT, whatever came in (RFC 8656 14, alternate behavior)"""
    with Daemon() as d, d.client() as c, client.udp_socket("127.0.0.2") as peer:
        relayed, name = c.allocate(), client.name_of(peer)
        c.bind(name, 0x4000)
        for sock in (c.sock, peer):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB9)  # EF, ECT(1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 7)
            sock.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
            sock.setsockopt(socket.IPPROTO_IP, 13, 1)  # IP_RECVTOS
        with open("/proc/sys/net/ipv4/ip_default_ttl", encoding="ascii") as f:
            ttl = int(f.read())
        for sock, send in ((peer, lambda: c.send_channel(0x4000, b"up")), (c.sock, lambda: peer.sendto(b"down", relayed))):
            send()
            sock.settimeout(c.timeout)
            _, ancillary, _, _ = sock.recvmsg(2000, 200)
            fields = {kind: int.from_bytes(value, sys.byteorder) for _, kind, value in ancillary}
            tap.equal((fields[socket.IP_TTL], fields[socket.IP_TOS]), (ttl, 0), "TTL and TOS")


def test_df():
    """the DF bit is set for a Send indication with DONT-FRAGMENT, and for nothing else"""
    netns.need()
    server, right = netns.Namespace(), netns.Namespace()
    device, _ = netns.pair(server, ["11.0.2.1/24"], right, ["11.0.2.2/24"])
    with Daemon(netns=server, relay={"addresses": ["11.0.2.1"], "allow": []}) as d:
        with right.inside():
            peer = client.udp_socket("11.0.2.2")
        tap.cleanup(peer.close)
        name = client.name_of(peer)
        for transport in ("udp", "tcp"):
            with d.client(transport) as c:
                c.allocate()
                c.bind(name, 0x4000)
                sniffer = netns.Sniffer(server, device)
                c.send_indication(name, b"plain Send")
                c.send_indication(name, b"whole Send", extra=DF)
                c.send_channel(0x4000, b"by channel")
                for _ in range(3):
                    peer.recv(100)
                bits = {p[28:]: struct.unpack_from("!H", p, 6)[0] for p in sniffer.packets() if p[0] == 0x45 and p[9] == 17}
                tap.equal(bits, {b"plain Send": 0, b"whole Send": 0x4000, b"by channel": 0}, "fragment fields (%s)" % transport)


if __name__ == "__main__":
    tap.main()
