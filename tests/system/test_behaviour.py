# SPDX-License-Identifier: BSD-2-Clause
"""NAT behaviour discovery (RFC 5780) on two addresses by two ports, and what RFC 3489 clients get of it."""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import netns
import stun
import tap
from daemon import Daemon, free_port

SOURCE_ADDRESS, CHANGED_ADDRESS, RESPONSE_ADDRESS = 0x0004, 0x0005, 0x0002
PADDING, RESPONSE_PORT = 0x0026, 0x0027
CHANGE_IP, CHANGE_PORT = 4, 2
HOSTS = ("127.0.0.1", "127.0.0.2")
SOL_UDP, UDP_SEGMENT = 17, 103


def change(flags):
    return (stun.CHANGE_REQUEST, struct.pack("!I", flags))


def grid(hosts, ports, transports=("udp",)):
    return [{"transport": t, "address": h, "port": p} for t in transports for h in hosts for p in ports]


def two_ports():
    first = free_port()
    while True:
        second = free_port()
        if second != first:
            return first, second


def daemon(hosts=HOSTS, transports=("udp",), **over):
    ports = two_ports()
    d = Daemon(port=ports[0], server=hosts[0], listen=grid(hosts, ports, transports), **over)
    d.ports = ports
    return d


def ask(sock, server, *attrs, **kw):
    """An unconnected client: the answer, where it came from, and the request."""
    packet = stun.build(stun.BINDING, attrs=attrs, **kw)
    for _ in range(10):
        sock.sendto(packet, server)
        got = client.received(sock, 3 * tap.SLOW)
        while got and got[0][8:20] != packet[8:20]:  # what was sent again before may be answered twice
            got = client.received(sock, 3 * tap.SLOW)
        if got:
            return stun.Message(got[0]), got[1][:2], packet
    raise AssertionError("no answer from %s:%d" % server[:2])


def other(d, hosts, host, port):
    """The corner across."""
    return (hosts[1 - hosts.index(host)], d.ports[1 - d.ports.index(port)])


def walk(d, sock, hosts):
    """Every corner with every change."""
    mapped = client.name_of(sock)
    for host in hosts:
        for port in d.ports:
            far = other(d, hosts, host, port)
            for flags in (None, 0, CHANGE_PORT, CHANGE_IP, CHANGE_IP | CHANGE_PORT):
                msg, source, _ = ask(sock, (host, port), *([] if flags is None else [change(flags)]))
                wanted = (far[0] if (flags or 0) & CHANGE_IP else host, far[1] if (flags or 0) & CHANGE_PORT else port)
                tap.equal(msg.cls, stun.SUCCESS, "class")
                tap.equal(source, wanted, "source of the answer to flags %r" % flags)
                tap.equal(msg.address(stun.RESPONSE_ORIGIN, xor=False), wanted, "RESPONSE-ORIGIN")
                tap.equal(msg.address(stun.OTHER_ADDRESS, xor=False), far, "OTHER-ADDRESS")
                tap.equal(msg.address(stun.XOR_MAPPED_ADDRESS), mapped, "XOR-MAPPED-ADDRESS")
                tap.equal(msg.address(stun.MAPPED_ADDRESS, xor=False), mapped, "MAPPED-ADDRESS")


def test_change_request():
    """answers leave from the address and port that CHANGE-REQUEST asks for, from each of the four"""
    with daemon() as d:
        with client.udp_socket() as sock:
            walk(d, sock, HOSTS)
        tap.check("RFC 5780) is on for udp 127.0.0.1 and 127.0.0.2, ports %d and %d" % d.ports in d.read_log(), "no notice")


def test_ipv6():
    """the same with IPv6, in a namespace of two addresses of each family at the same time"""
    netns.need()
    server, host = netns.Namespace(), netns.Namespace()
    v4, v6 = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")
    netns.pair(server, [a + "/24" for a in v4] + [a + "/64" for a in v6], host, ["192.0.2.9/24", "2001:db8::9/64"])
    ports = two_ports()
    with Daemon(netns=server, port=ports[0], server=v4[0], listen=grid(v4 + v6, ports),
                relay={"addresses": [v4[0], v6[0]]}) as d:
        d.ports = ports
        for hosts, local in ((v4, "192.0.2.9"), (v6, "2001:db8::9")):
            with host.inside():
                sock = client.udp_socket(local)
            with sock:
                walk(d, sock, hosts)
                padded(sock, (hosts[0], ports[1]))


def test_response_port():
    """RESPONSE-PORT has the answer sent to another port of the same client"""
    with daemon() as d, client.udp_socket() as sock, client.udp_socket() as there:
        for flags in (0, CHANGE_IP | CHANGE_PORT):
            packet = stun.build(stun.BINDING, attrs=[
                (RESPONSE_PORT, struct.pack("!HH", client.name_of(there)[1], 0)), change(flags)])
            sock.sendto(packet, (HOSTS[1], d.ports[0]))
            data, source = there.recvfrom(2048)
            msg = stun.Message(data)
            tap.equal(msg.txid, packet[8:20], "transaction")
            tap.equal(msg.address(stun.XOR_MAPPED_ADDRESS), client.name_of(sock), "XOR-MAPPED-ADDRESS")
            tap.equal(source, (HOSTS[0], d.ports[1]) if flags else (HOSTS[1], d.ports[0]), "source")
        tap.equal(client.received(sock, 0.1), None, "answer to where it came from")
        tap.equal(ask(sock, d.server, (RESPONSE_PORT, b"\0\0\0\0"))[0].code, 400, "code for port 0")
        both = [(RESPONSE_PORT, struct.pack("!HH", client.name_of(there)[1], 0)), (PADDING, b"x" * 600)]
        tap.equal(ask(sock, d.server, *both)[0].code, 400, "code for RESPONSE-PORT with PADDING")
        tap.equal(client.received(there, 0.1), None, "answer that was asked to go elsewhere")


def padded(sock, server):
    for size in (0, 4, 100, 1200, 1500, 1600, 9000):
        msg, _, packet = ask(sock, server, (PADDING, b"x" * size))
        tap.equal(msg.cls, stun.SUCCESS, "class")
        value = msg.get(PADDING)
        tap.check(value is not None and len(value) % 4 == 0 and not any(value), "PADDING of %r" % value)
        tap.check(len(value) == 0 or len(msg.data) <= len(packet), "%d bytes for %d" % (len(msg.data), len(packet)))
        tap.check(size < 1600 or len(value) == 1500, "PADDING of %d bytes for %d" % (len(value), size))


def test_padding():
    """PADDING is answered with PADDING, as long as an Ethernet frame but never more than was sent"""
    with daemon() as d, client.udp_socket() as sock:
        padded(sock, d.server)
        msg, source, _ = ask(sock, d.server, (PADDING, b"x" * 1500), change(CHANGE_IP | CHANGE_PORT), fingerprint=True)
        tap.equal(source, (HOSTS[1], d.ports[1]), "source")
        tap.check(msg.fingerprint_ok(), "wrong fingerprint")


def test_segments():
    """requests that arrive coalesced (GSO to GRO) are each answered from where they ask for"""
    with daemon() as d, client.udp_socket() as sock:
        flags = [0, CHANGE_PORT, CHANGE_IP, CHANGE_IP | CHANGE_PORT] * 4
        packets = [stun.build(stun.BINDING, attrs=[change(f)]) for f in flags]
        sock.sendmsg([b"".join(packets)], [(SOL_UDP, UDP_SEGMENT, struct.pack("@H", len(packets[0])))], 0, d.server)
        wanted = {p[8:20]: (HOSTS[bool(f & CHANGE_IP)], d.ports[bool(f & CHANGE_PORT)]) for p, f in zip(packets, flags)}
        while wanted:
            data, source = sock.recvfrom(2048)
            tap.equal(source, wanted.pop(data[8:20]), "source")


def refused(d, host):
    with client.udp_socket(host) as sock:
        msg, _, _ = ask(sock, (host, d.port))
        tap.check(not msg.has(stun.OTHER_ADDRESS), "OTHER-ADDRESS without another address")
        for attr in (change(CHANGE_IP), change(CHANGE_PORT), (RESPONSE_PORT, b"\x12\x34\0\0"), (PADDING, b"x" * 1000)):
            msg, source, _ = ask(sock, (host, d.port), attr)
            tap.equal((msg.code, msg.unknown, source), (420, [attr[0]], (host, d.port)), "answer to %#06x" % attr[0])
        tap.equal(ask(sock, (host, d.port), change(0))[0].cls, stun.SUCCESS, "class for no change")


def test_off():
    """without two addresses by two ports there is no OTHER-ADDRESS, and 420 for what would need it"""
    first, second = two_ports()
    for listen in (None, grid(HOSTS[:1], (first, second)), grid(HOSTS, (first,)), grid(HOSTS, (first, second))[:3],
                   grid(HOSTS + ("127.0.0.3",), (first, second))):
        with Daemon(port=first, **({"listen": listen} if listen else {})) as d:
            refused(d, "127.0.0.1")
            tap.check("RFC 5780" not in d.read_log(), "a notice")
    with Daemon() as d:
        refused(d, "::1")


def test_next_to_a_wildcard():
    """a wildcard listener on a third port changes nothing, and offers nothing"""
    ports = two_ports()
    third = free_port()
    while third in ports:
        third = free_port()
    with Daemon(port=third, listen=grid(HOSTS, ports) + grid(("*",), (third,), ("udp", "tcp"))) as d:
        d.ports = ports
        refused(d, "127.0.0.2")
        with client.udp_socket() as sock:
            walk(d, sock, HOSTS)


def test_tcp():
    """over TCP there is OTHER-ADDRESS to connect to, and nothing can be sent from elsewhere"""
    with daemon(transports=("udp", "tcp")) as d:
        with d.client("tcp") as c:
            msg = c.binding()
            tap.equal(msg.address(stun.OTHER_ADDRESS, xor=False), (HOSTS[1], d.ports[1]), "OTHER-ADDRESS")
            tap.equal(msg.address(stun.RESPONSE_ORIGIN, xor=False), d.server, "RESPONSE-ORIGIN")
            for attr in (change(CHANGE_PORT), (RESPONSE_PORT, b"\x12\x34\0\0"), (PADDING, b"x" * 100)):
                tap.equal(c.binding(attrs=[attr]).code, 420, "code for %#06x" % attr[0])
            tap.equal(c.binding().cls, stun.SUCCESS, "class afterwards")


def test_nat():
    """behind 1:1 NAT clients are told the public addresses; one for both would be no other address"""
    public = ("198.51.100.1", "198.51.100.2")
    relay = {"addresses": list(HOSTS), "external": ["%s/%s" % pair for pair in zip(HOSTS, public)]}
    with daemon(relay=relay) as d, client.udp_socket() as sock:
        msg, source, _ = ask(sock, d.server, change(CHANGE_IP))
        tap.equal(source, (HOSTS[1], d.ports[0]), "source")
        tap.equal(msg.address(stun.RESPONSE_ORIGIN, xor=False), (public[1], d.ports[0]), "RESPONSE-ORIGIN")
        tap.equal(msg.address(stun.OTHER_ADDRESS, xor=False), (public[1], d.ports[1]), "OTHER-ADDRESS")
    with daemon(relay={"addresses": list(HOSTS), "external": ["%s/%s" % (h, public[0]) for h in HOSTS]}) as d:
        refused(d, HOSTS[0])


def test_rate():
    """answers that go elsewhere are limited as all answers to strangers are"""
    with daemon(workers=1, limits={"unauthenticated_rate": 5}) as d, client.udp_socket() as sock, client.udp_socket() as there:
        for _ in range(300):
            sock.sendto(stun.build(stun.BINDING, attrs=[(RESPONSE_PORT, struct.pack("!HH", client.name_of(there)[1], 0))]), d.server)
        there.recv(2048)
        count = 1
        while client.received(there, 0.3 * tap.SLOW):
            count += 1
        tap.check(count < 150, "%d answers to 300 requests" % count)


def classic(sock, server, *attrs):
    packet = stun.build(stun.BINDING, attrs=attrs, magic=0x01020304)
    for _ in range(10):
        sock.sendto(packet, server)
        got = client.received(sock, 3 * tap.SLOW)
        while got and got[0][4:20] != packet[4:20]:
            got = client.received(sock, 3 * tap.SLOW)
        if got:
            return stun.Message(got[0]), got[1][:2]
    raise AssertionError("no answer")


def test_classic():
    """RFC 3489 clients get MAPPED-ADDRESS, SOURCE-ADDRESS and CHANGED-ADDRESS; RESPONSE-ADDRESS is refused"""
    with daemon() as d, client.udp_socket() as sock:
        for flags, wanted in ((0, d.server), (CHANGE_IP, (HOSTS[1], d.ports[0])), (CHANGE_PORT, (HOSTS[0], d.ports[1])),
                              (CHANGE_IP | CHANGE_PORT, (HOSTS[1], d.ports[1]))):
            msg, source = classic(sock, d.server, change(flags))
            tap.equal(source, wanted, "source")
            tap.equal(msg.types(), [stun.MAPPED_ADDRESS, SOURCE_ADDRESS, CHANGED_ADDRESS], "attributes")
            tap.equal(msg.address(stun.MAPPED_ADDRESS, xor=False), client.name_of(sock), "MAPPED-ADDRESS")
            tap.equal(msg.address(SOURCE_ADDRESS, xor=False), wanted, "SOURCE-ADDRESS")
            tap.equal(msg.address(CHANGED_ADDRESS, xor=False), (HOSTS[1], d.ports[1]), "CHANGED-ADDRESS")
        with client.udp_socket() as victim:
            msg, source = classic(sock, d.server, (RESPONSE_ADDRESS, stun.address(client.name_of(victim), xor=False)))
            tap.equal((msg.code, msg.unknown), (420, [RESPONSE_ADDRESS] * 2), "answer")
            tap.equal(len(msg.padding), 0, "bytes of padding, which RFC 3489 does not know")
            tap.equal(client.received(victim, 0.1), None, "packet to somebody else")


if __name__ == "__main__":
    tap.main()
