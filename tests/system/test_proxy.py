# SPDX-License-Identifier: BSD-2-Clause
"""The PROXY protocol, versions 1 and 2, in front of TCP and TLS."""

import itertools
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from certs import Authority
from daemon import Daemon, free_port, run_daemon, settings, config_text, folder

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def line(source, dest):
    kind = "TCP6" if ":" in source[0] else "TCP4"
    return ("PROXY %s %s %s %d %d\r\n" % (kind, source[0], dest[0], source[1], dest[1])).encode()


def binary(source=None, dest=None, command=0x21, extras=b"", kind=None):
    body = b""
    if source:
        family = client.family(source[0])
        body = socket.inet_pton(family, source[0]) + socket.inet_pton(family, dest[0])
        body += struct.pack("!HH", source[1], dest[1])
        kind = kind or (0x21 if family == socket.AF_INET6 else 0x11)
    body += extras
    return SIGNATURE + struct.pack("!BBH", command, kind or 0, len(body)) + body


def serve(transport="tcp", **over):
    port = free_port()
    authority = Authority() if transport != "tcp" else None
    listen = [{"transport": "udp", "port": port}, {"transport": transport, "port": port, "proxy_protocol": True}]
    return Daemon(port=port, listen=listen, tls=authority and authority.settings(), **over)


PORTS = itertools.count(20000)


def four():
    """A source that no other client of this run has, and where it connected to."""
    return ("192.0.2.1", next(PORTS)), ("198.51.100.7", 3478)


def six():
    return ("2001:db8::1", next(PORTS)), ("2001:db8::2", 443)


FOUR = four()


def check(d, transport, preface, mapped):
    """mapped: what the server must take for the client; None: its real address."""
    c = d.client(transport, preface=preface)
    tap.equal(c.binding().address(stun.XOR_MAPPED_ADDRESS), mapped or c.local, "mapped address after %r" % preface)
    tap.check(c.allocate() is not None, "no allocation after %r" % preface)
    return c


def test_versions():
    """v1 and v2, IPv4 and IPv6, in front of TCP and TLS: the client is the one of the header, also in the log"""
    for transports in (("tcp",), ("tls",), ("tcp", "tls")):
        with serve("+".join(transports)) as d:
            for transport in transports:
                for name, make_pair in (("192.0.2.1", four), ("[2001:db8::1]", six)):
                    for make in line, binary:
                        source, dest = make_pair()
                        check(d, transport, make(source, dest), source)
                        d.wait_log("client=%s:%d allocation created" % (name, source[1]))


def test_twins():
    """two connections of what the balancer says is one client: a mobile client at one of them, data from the other"""
    with serve(workers=1) as d:
        source, dest = four()
        old = d.client()
        ticket = old.try_allocate(extra=[(stun.MOBILITY_TICKET, b"")]).get(stun.MOBILITY_TICKET)
        one, two = (d.client("tcp", preface=line(source, dest)) for _ in range(2))
        tap.equal(one.request(stun.REFRESH, [(stun.MOBILITY_TICKET, ticket)]).code, None, "the code")
        two.send_channel(0x4000, b"data")
        tap.check(two.binding(), "no answer to the other one")
        tap.equal(one.refresh(0), 0, "the lifetime")


def test_relaying():
    """an allocation behind a header relays both ways, and another client's header gives another 5-tuple"""
    with serve() as d, client.udp_socket("127.0.0.2") as peer:
        for source, dest in (four(), four(), six()):
            c = check(d, "tcp", line(source, dest), source)
            c.bind(client.name_of(peer), 0x4000)
            c.send_channel(0x4000, b"out")
            data, relay = peer.recvfrom(100)
            tap.equal((data, relay), (b"out", c.relayed[0]), "at the peer")
            peer.sendto(b"in", relay)
            tap.equal(c.recv().payload, b"in", "at the client")


def test_own_address():
    """LOCAL, UNKNOWN and families without addresses keep the connection's own"""
    with serve() as d:
        for preface in (binary(command=0x20), binary(*FOUR, command=0x20), b"PROXY UNKNOWN\r\n", binary(),
                        b"PROXY UNKNOWN 1.2.3.4 and more\r\n", binary(extras=bytes(216), kind=0x31)):
            check(d, "tcp", preface, None)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_extras():
    """what a balancer adds is passed over; its checksum is checked"""
    name = b"\x02\0\x09a.example"
    with serve() as d:
        pair = four()
        check(d, "tcp", binary(*pair, extras=name + b"\xee\x03\xe8" + bytes(1000)), pair[0])
        pair = four()
        good = crc32c(binary(*pair, extras=name + b"\x03\0\x04" + bytes(4)))
        check(d, "tcp", binary(*pair, extras=name + b"\x03\0\x04" + struct.pack("!I", good)), pair[0])
        refused(d, binary(*pair, extras=name + b"\x03\0\x04" + struct.pack("!I", good ^ 1)), "a damaged PROXY header")


def refused(d, data, reason):
    with socket.create_connection(d.server, 30 * tap.SLOW) as sock:
        sock.sendall(data)
        try:
            tap.equal(sock.recv(100), b"", "answer to %r" % data[:40])
        except ConnectionError:
            pass
    d.wait_log("connection refused: " + reason)


def test_bad_headers():
    """no header, a damaged, a foreign and an endless one: closed with a logged reason, before any answer"""
    binding = stun.build(stun.BINDING)
    for transport in "tcp", "tls":
        with serve(transport) as d:
            refused(d, binding, "no PROXY header, which this port requires")
            refused(d, b"GET / HTTP/1.1\r\n\r\n", "no PROXY header, which this port requires")
            refused(d, b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 1\r\n" + binding, "a damaged PROXY line")
            refused(d, b"PROXY UNKNOWN " + b"a" * 93, "a PROXY line that does not end")
            refused(d, binary(*FOUR, command=0x11) + binding, "a PROXY header of an unknown version or command")
            refused(d, binary(*FOUR, kind=0x12) + binding, "a PROXY header of another protocol than TCP")
            refused(d, binary(*FOUR)[:14] + b"\xff\xff", "a PROXY header that is too long")
            check(d, transport, line(*FOUR), FOUR[0])


def test_in_pieces():
    """a header that comes byte by byte, and one in one segment with what follows"""
    with serve("tcp+tls") as d:
        for preface in line(*six()), binary(*FOUR, extras=b"\x04\0\x20" + bytes(32)):
            with socket.create_connection(d.server, 30 * tap.SLOW) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in preface + stun.build(stun.BINDING):
                    sock.sendall(bytes([byte]))
                    time.sleep(0.001)
                tap.equal(stun.Message(sock.recv(1000)).cls, stun.SUCCESS, "class")
            with socket.create_connection(d.server, 30 * tap.SLOW) as sock:
                sock.sendall(preface + stun.build(stun.BINDING) * 2)
                data = b""
                while len(data) < 2 * (stun.frame_length(data) or 1000):
                    more = sock.recv(1000)
                    tap.check(more, "closed")
                    data += more


def test_half_headers():
    """a header that does not end is given up after limits.tls_timeout, without a load on the CPU meanwhile"""
    with serve(limits={"tls_timeout": 1}) as d:
        held = [socket.create_connection(d.server, 30 * tap.SLOW) for _ in range(20)]
        for sock in held:
            tap.cleanup(sock.close)
            sock.sendall(b"PROXY TCP4 192.0")
        with open("/proc/%d/stat" % d.pid, encoding="ascii") as f:
            before = sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13])
        for sock in held:
            try:
                tap.equal(sock.recv(100), b"", "answer to half a header")
            except ConnectionError:
                pass
        with open("/proc/%d/stat" % d.pid, encoding="ascii") as f:
            used = sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13]) - before
        tap.check(used * 1000 // os.sysconf("SC_CLK_TCK") < 500 * tap.SLOW, "%d ticks of CPU for waiting" % used)
        d.wait_log("refused: no whole PROXY header within limits.tls_timeout seconds")


def test_counted_by_client():
    """limits.tcp_connections counts the clients of the headers, not the balancer"""
    with serve(workers=1, limits={"tcp_connections": 3}) as d:
        kept = [check(d, "tcp", line(("192.0.2.%d" % host, 1000 + i), FOUR[1]), ("192.0.2.%d" % host, 1000 + i))
                for host in (1, 2, 3) for i in range(3)]
        c = d.client("tcp", preface=line(("192.0.2.1", 2000), FOUR[1]))
        try:
            tap.check(c.binding() is None and c.closed, "a fourth connection of one client was served")
        except ConnectionError:
            pass
        d.wait_log("its source has limits.tcp_connections already")
        kept[0].close()
        end = time.monotonic() + 30 * tap.SLOW
        while True:
            try:
                c = d.client("tcp", preface=line(("192.0.2.1", 2001), FOUR[1]))
                if c.binding() is not None:
                    break
            except ConnectionError:
                pass
            tap.check(time.monotonic() < end, "no room after one has left")


def test_only_streams():
    """proxy_protocol on a UDP port is a mistake of the configuration"""
    port = free_port()
    path = os.path.join(folder(), "turnpike.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(config_text(settings(port, listen=[{"transport": "udp", "port": port, "proxy_protocol": True}])))
    code, _, err = run_daemon("-c", path, "--check")
    tap.equal(code, 2, "exit code")
    tap.check("listen: udp cannot have proxy_protocol" in err, "says %s" % err)


if __name__ == "__main__":
    tap.main()
