# SPDX-License-Identifier: BSD-2-Clause
"""A peer that much is sent to gets a socket of its own on the relayed address. Nobody outside can tell."""

import errno
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from daemon import Daemon, PATIENCE

CHANNEL = 0x4001
ENOUGH = 200  # packets in a row


def endpoint(text):
    ip, port = text.split(":")
    raw = b"".join(struct.pack("=I", int(ip[i:i + 8], 16)) for i in range(0, len(ip), 8))
    return socket.inet_ntop(socket.AF_INET6 if len(raw) == 16 else socket.AF_INET, raw), int(port, 16)


def sockets(relay):
    """The remote ends of the kernel's UDP sockets on that address: ('0.0.0.0', 0) for one that is not connected."""
    found = []
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with open(table, encoding="ascii") as f:
            for line in f.readlines()[1:]:
                local, remote = line.split()[1:3]
                if endpoint(local) == relay:
                    found.append(endpoint(remote))
    return sorted(found)


def open_ones(relay):
    return [remote for remote in sockets(relay) if remote[1] == 0]


def connected_ones(relay):
    return [remote for remote in sockets(relay) if remote[1] != 0]


def expect(look, relay, want, what):
    """The kernel gives its table in pieces: while others open and close sockets, one may be missing in it, or be there twice."""
    end = time.monotonic() + PATIENCE
    while (found := look(relay)) != want and time.monotonic() < end:
        time.sleep(0.05)
    tap.equal(found, want, what)


def a_peer(host="127.0.0.2"):
    sock = client.udp_socket(host)
    tap.cleanup(sock.close)
    return sock


def start(d, transport="udp", host="127.0.0.1", peer_host="127.0.0.2", family=None, **kw):
    c = d.client(transport, host=host)
    c.relay = c.allocate(family=family, **kw)[:2]
    peer = a_peer(peer_host)
    c.bind(client.name_of(peer), CHANNEL)
    return c, peer


def up(c, peer, count, channel=CHANNEL):
    for n in range(count):
        payload = b"up %d" % n
        c.send_channel(channel, payload)
        data, source = peer.recvfrom(100)
        tap.equal((data, source[:2]), (payload, c.relay), "packet %d at the peer" % n)


def down(c, peer, channel=CHANNEL, count=20):
    for n in range(count):
        payload = b"down %d" % n
        peer.sendto(payload, c.relay)
        tap.equal(c.recv(), client.Data(None, channel, payload), "packet %d at the client" % n)


def test_one_peer():
    """after many packets in a row there is a second socket, connected to the peer; both ways, by UDP and TCP, IPv4 and IPv6"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            for host, peer_host, family in (("127.0.0.1", "127.0.0.2", stun.IPV4), ("::1", "::1", stun.IPV6)):
                c, peer = start(d, transport, host, peer_host, family)
                up(c, peer, 3)
                down(c, peer)
                expect(connected_ones, c.relay, [], "connected sockets after three packets")
                up(c, peer, ENOUGH)
                expect(connected_ones, c.relay, [client.name_of(peer)[:2]], "connected sockets after many")
                expect(lambda relay: len(open_ones(relay)), c.relay, 1, "open sockets")
                down(c, peer)
                up(c, peer, 20)
                tap.equal(c.try_refresh(0).code, None, "code of the last Refresh")
                expect(sockets, c.relay, [], "sockets after the end")
                c.close()


def test_others():
    """others that are permitted still arrive, those that are not do not, and no other process gets the port"""
    with Daemon() as d:
        c, peer = start(d)
        up(c, peer, ENOUGH)
        expect(lambda relay: len(connected_ones(relay)), c.relay, 1, "connected sockets")
        neighbour = a_peer("127.0.0.2")  # another port of the permitted address: no channel, so Data indications
        neighbour.sendto(b"neighbour", c.relay)
        tap.equal(c.recv(), client.Data(client.name_of(neighbour), None, b"neighbour"), "from the neighbour")
        stranger = a_peer("127.0.0.3")
        stranger.sendto(b"stranger", c.relay)
        down(c, peer)
        c.permit("127.0.0.3")
        stranger.sendto(b"a friend now", c.relay)
        tap.equal(c.recv(), client.Data(client.name_of(stranger), None, b"a friend now"), "once permitted")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                thief.bind(c.relay)
                raise AssertionError("another process got the relayed address")
            except OSError as e:
                tap.equal(e.errno, errno.EADDRINUSE, "error of bind")


def test_change():
    """the socket goes over to another peer when the first is not sent to any more, and its packets still arrive; it stays when both are"""
    with Daemon() as d:
        c, first = start(d)
        second = a_peer("127.0.0.3")
        c.bind(client.name_of(second), CHANNEL + 1)
        up(c, first, ENOUGH)
        expect(connected_ones, c.relay, [client.name_of(first)[:2]], "connected to")
        for n in range(ENOUGH):
            up(c, first, 1)
            up(c, second, 1, CHANNEL + 1)
        expect(connected_ones, c.relay, [client.name_of(first)[:2]], "with both sent to, connected to")
        up(c, second, 3 * ENOUGH, CHANNEL + 1)
        expect(connected_ones, c.relay, [client.name_of(second)[:2]], "after the change, connected to")
        down(c, first)
        down(c, second, CHANNEL + 1)
        up(c, first, 3)


def test_channel_ends_with_permission():
    """what the connected peer sends needs a permission all the same"""
    with Daemon() as d:
        c, peer = start(d)
        up(c, peer, ENOUGH)
        expect(lambda relay: len(connected_ones(relay)), c.relay, 1, "connected sockets")
        c.close()
        again = d.client("udp")
        again.relay = again.allocate()[:2]
        peer.sendto(b"early", again.relay)
        tap.equal(again.recv(0.3), None, "at a client without permissions")


def test_workers():
    """an allocation that moves to other workers takes both sockets along"""
    with Daemon(workers=4) as d:
        c = d.client("udp")
        c.ticket = c.try_allocate(extra=[(stun.MOBILITY_TICKET, b"")]).get(stun.MOBILITY_TICKET)
        c.relay = c.relayed[0][:2]
        peer = a_peer()
        c.bind(client.name_of(peer), CHANNEL)
        up(c, peer, ENOUGH)
        for _ in range(8):
            n = d.client("udp")
            n.realm, n.nonce, n.relayed, n.relay = c.realm, c.nonce, c.relayed, c.relay
            msg = n.request(stun.REFRESH, [(stun.MOBILITY_TICKET, c.ticket)])
            tap.equal(msg.code, None, "code to a good ticket")
            n.ticket = msg.get(stun.MOBILITY_TICKET)
            c = n
            up(c, peer, 20)
            down(c, peer)
            expect(connected_ones, c.relay, [client.name_of(peer)[:2]], "connected to")
        c.refresh(0)
        expect(sockets, c.relay, [], "sockets after the end")


def test_coalesce():
    """relay.coalesce lets packets gather and loses none"""
    with Daemon(relay={"coalesce": 2000}) as d:
        c, peer = start(d)
        up(c, peer, ENOUGH)
        down(c, peer)
        for n in range(ENOUGH):
            c.send_channel(CHANNEL, b"%d" % n)
        tap.equal([peer.recv(100) for _ in range(ENOUGH)], [b"%d" % n for n in range(ENOUGH)], "a burst, in order")


if __name__ == "__main__":
    tap.main()
