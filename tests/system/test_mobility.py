# SPDX-License-Identifier: BSD-2-Clause
"""Mobility (RFC 8016): allocations follow their clients to other addresses, transports and workers. T8, T15."""

import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from certs import Authority
from daemon import Daemon, free_block, free_port, PATIENCE

TICKET = stun.MOBILITY_TICKET
MOBILE = [(TICKET, b"")]
CHANNEL = 0x4001


def start(d, transport="udp", **kw):
    """An allocation with a ticket."""
    c = d.client(transport, **kw)
    c.ticket = c.try_allocate(extra=MOBILE).get(TICKET)
    tap.check(c.ticket, "no ticket in the Allocate answer")
    return c


def another(d, c, transport="udp", **kw):
    """The same user at another 5-tuple, which has not done anything yet."""
    n = d.client(transport, user=c.user, password=c.password, **kw)
    n.realm, n.nonce = c.realm, c.nonce  # on the same IP
    n.relayed, n.ticket = c.relayed, c.ticket
    return n


def show(c, ticket=None, lifetime=None, **kw):
    attrs = [(stun.LIFETIME, struct.pack("!I", lifetime))] if lifetime is not None else []
    return c.request(stun.REFRESH, attrs + [(TICKET, c.ticket if ticket is None else ticket)], **kw)


def arrive(c, **kw):
    """A Refresh with the ticket has to succeed and to give another one."""
    msg = show(c, **kw)
    tap.equal(msg.code, None, "error to a good ticket")
    tap.check(msg.has(TICKET) and msg.get(TICKET) != c.ticket, "no new ticket")
    tap.equal(len(msg.get(TICKET)), len(c.ticket), "length of tickets")
    c.ticket = msg.get(TICKET)
    return c


def move(d, c, transport="udp", **kw):
    return arrive(another(d, c, transport, **kw))


def refused(c, ticket, code, **kw):
    tap.equal(show(c, ticket, **kw).code, code, "code")


def both_ways(c, peer, note="x"):
    """Data from the client, then to it. The first datagram of a moved client may wait for its allocation."""
    payload = ("%s %d" % (note, random.randrange(1 << 30))).encode()
    c.send_channel(CHANNEL, payload)
    tap.equal(peer.recv(100), payload, "at the peer")
    peer.sendto(payload[::-1], c.relayed[0])
    tap.equal(c.recv(), client.Data(None, CHANNEL, payload[::-1]), "at the client")


def silent(c, peer):
    """Peers do not reach it, and it reaches no peer."""
    c.send_channel(CHANNEL, b"from the past")
    tap.equal(client.received(peer), None, "at the peer")
    peer.settimeout(c.timeout)


class Peer:
    def __enter__(self):
        self.sock = client.udp_socket("127.0.0.2")
        tap.cleanup(self.sock.close)
        return self.sock

    def __exit__(self, *_):
        self.sock.close()


def with_workers(*counts):
    def wrap(fn):
        def run():
            for workers in counts:
                with Daemon(workers=workers) as d, Peer() as peer:
                    fn(d, peer)
        run.__doc__ = fn.__doc__
        run.__name__ = fn.__name__
        return run
    return wrap


@with_workers(1, 4)
def test_traffic(d, peer):
    """traffic before and after 12 moves, on one worker and on four; permissions and channels come along"""
    c = start(d)
    c.bind(client.name_of(peer), CHANNEL)
    c.permit("127.0.0.3")
    both_ways(c, peer)
    third = client.udp_socket("127.0.0.3")
    tap.cleanup(third.close)
    for n in range(12):
        old, c = c, move(d, c)
        both_ways(c, peer, "move %d" % n)
        if n % 4 == 0:
            silent(old, peer)
        tap.equal(old.request(stun.REFRESH).code, 437, "Refresh at the old 5-tuple")
        c.send_indication(client.name_of(third), b"by Send")
        tap.equal(third.recv(100), b"by Send", "at the other peer")
    # All else goes on, too.
    c.refresh(300)
    c.bind(client.name_of(third), CHANNEL + 1)
    c.send_channel(CHANNEL + 1, b"new")
    tap.equal(third.recv(100), b"new", "by the new channel")
    tap.equal(c.refresh(0), 0, "lifetime")
    tap.equal(show(another(d, c)).code, 437, "ticket of what was deleted")


@with_workers(1, 4)
def test_make_before_break(d, peer):
    """the old 5-tuple is served until the client sends data from the new one, or goes on there with its requests"""
    for _ in range(8):
        old = start(d)
        old.bind(client.name_of(peer), CHANNEL)
        new = move(d, old)
        both_ways(old, peer, "still the old one")
        tap.equal(new.recv(0.02), None, "data at the new one")
        both_ways(new, peer, "the new one")
        both_ways(new, peer, "for good")
        peer.sendto(b"late", new.relayed[0])
        tap.equal(new.recv().payload, b"late", "data of a peer")
        tap.equal(old.recv(0.02), None, "data at the old one")
        newer = move(d, new)
        both_ways(new, peer, "the one before the newest")
        newer.permit("127.0.0.9")
        peer.sendto(b"heard", newer.relayed[0])
        tap.equal(newer.recv().payload, b"heard", "data of a peer to who only asked")
        tap.equal(new.recv(0.02), None, "data at the one before")
        both_ways(newer, peer, "the newest one")
        newer.refresh(0)


@with_workers(1, 4)
def test_retransmission(d, peer):
    """a Refresh that is sent again gets the same answer, before and after the move; a used ticket nothing"""
    for n in range(6):
        c = start(d)
        c.bind(client.name_of(peer), CHANNEL)
        new = another(d, c)
        packet = new.signed(stun.REFRESH, [(TICKET, c.ticket)])
        first = new.exchange(packet)
        tap.equal(new.exchange(packet).data, first.data, "the answer to the same request")
        new.ticket = first.get(TICKET)
        both_ways(new, peer)
        tap.equal(new.exchange(packet).data, first.data, "the answer to the same request after the move")
        refused(new, c.ticket, 400)
        refused(new, new.ticket, 400)  # no change of address
        tap.check(show(another(d, new), c.ticket).code in (400, 437), "a used ticket was taken")
        both_ways(new, peer)
        used = new.ticket
        new = move(d, new)
        # 437 where the worker that made it has forgotten the allocation.
        tap.check(show(another(d, new), used).code in (400, 437), "a used ticket was taken")


@with_workers(1, 4)
def test_takeover(d, peer):
    """T8: forged and truncated tickets 400, another user's 441, a place that is taken 437; nothing changes"""
    victim = start(d)
    victim.bind(client.name_of(peer), CHANNEL)
    good = victim.ticket
    for _ in range(5):
        thief = d.client(user="other", password="word")
        thief.challenge()
        refused(thief, good, 441)
        refused(thief, good, 441, lifetime=0)
        refused(thief, os.urandom(len(good)), 400)
        thief.send_channel(CHANNEL, b"stolen")
        mine = another(d, victim)
        for forged in (b"", good[:-1], good[:-4], good + b"\0\0\0\0", good[::-1], b"\0" * len(good), os.urandom(2000),
                       bytes([good[0] ^ 1]) + good[1:], good[:-1] + bytes([good[-1] ^ 1])):
            refused(mine, forged, 400)
        packet = stun.build(stun.REFRESH, attrs=[(TICKET, good)])
        tap.equal(mine.exchange(packet).code, 401, "a ticket without credentials")
        both_ways(victim, peer)
        thief.allocate()
        refused(thief, good, 437)
        mine.allocate()
        refused(mine, good, 437)
        tap.equal(mine.request(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0"), (TICKET, b"1234")]).code, 437,
                  "a second Allocate")
        tap.equal(d.client().request(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0"), (TICKET, b"1234")]).code, 400,
                  "an Allocate that brings a ticket")
        # And one that is expected at a 5-tuple does not open it for others.
        new = move(d, victim)
        new.user, new.password = "other", "word"
        tap.equal(new.request(stun.REFRESH).code, 441, "another user at the new 5-tuple")
        tap.equal(new.request(stun.CREATE_PERMISSION, lambda t: [stun.peer(("127.0.0.9", 1), t)]).code, 441,
                  "another user's permission")
        new.user, new.password = "user", "pass"
        both_ways(victim, peer)
        victim, good = new, new.ticket
        both_ways(victim, peer)


@tap.limit(120)
def test_transports():
    """between UDP, TCP, TLS and DTLS, and back after the connection was lost"""
    authority = Authority()
    port = free_port()
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tcp+tls")]
    for workers in (1, 4):
        with Daemon(port=port, listen=listen, tls=authority.settings(), workers=workers) as d, Peer() as peer:
            for first in ("udp", "tcp", "tls", "dtls"):
                make_before_break(d, peer, first)
                break_before_make(d, peer, first)
                old_one_ends(d, peer, first)


def make_before_break(d, peer, first):
    c = start(d, first)
    c.bind(client.name_of(peer), CHANNEL)
    for transport in ("tls", "tcp", "dtls", "udp", "tcp", "dtls", "tls", first):
        old, c = c, move(d, c, transport)
        both_ways(old, peer, "old " + old.transport)
        both_ways(c, peer, transport)
        tap.equal(old.request(stun.REFRESH).code, 437, "Refresh at the old 5-tuple")
        c.send_channel(CHANNEL, b"l" * 5000)
        tap.equal(peer.recv(65536), b"l" * 5000, "a long one")
        old.close()
    c.refresh(0)


def break_before_make(d, peer, first):
    c = start(d, first)
    c.bind(client.name_of(peer), CHANNEL)
    for transport in ("udp", "tcp", "tls", "dtls", first):
        c.close()
        c = move(d, c, transport)
        both_ways(c, peer)
    c.refresh(0)


def old_one_ends(d, peer, first):
    """The old connection ends when the client is expected elsewhere, and it has sent nothing from there."""
    if first == "udp":
        return
    for transport in ("udp", "tcp", "tls", "dtls"):
        old = start(d, first)
        old.bind(client.name_of(peer), CHANNEL)
        both_ways(old, peer)
        c = move(d, old, transport)
        old.close()
        deadline = time.monotonic() + 30 * tap.SLOW
        got = None
        while not got and time.monotonic() < deadline:
            peer.sendto(b"come", c.relayed[0])
            got = c.recv(0.02)
        tap.equal(got, client.Data(None, CHANNEL, b"come"), "at the new connection")
        c.refresh(0)


def test_lost_connection_expires():
    """an allocation whose connection has ended waits for its client, until it expires"""
    with Daemon(workers=2, limits={"lifetime": 3, "user_allocations": 1}) as d:
        for _ in range(10):
            second = d.client()
            second.challenge()
            expired = d.read_log().count("allocation expired")
            c = start(d, "tcp")
            c.close()
            time.sleep(0.05)
            code = second.try_allocate().code
            if code is not None or d.read_log().count("allocation expired") == expired:
                break
            second.refresh(0)  # on a busy machine it had expired meanwhile
        tap.equal(code, 486, "code")
        end = time.monotonic() + PATIENCE
        while d.read_log().count("allocation expired") == expired:
            tap.check(time.monotonic() < end, "it never expired")
            time.sleep(0.05)
        d.client().allocate()


def test_forbidden():
    """relay.mobility = false: 405 to who asks for a ticket, nothing else changes"""
    with Daemon(relay={"mobility": False}) as d:
        c = d.client()
        tap.equal(c.request(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")] + MOBILE).code, 405, "code")
        msg = c.try_allocate()
        tap.check(not msg.has(TICKET), "a ticket that nobody asked for")
        tap.equal(show(d.client(), b"x" * 32).code, 405, "code of Refresh")
        c.refresh(600)
        c.close()


def test_two_families():
    """both relayed addresses of an allocation move as one"""
    with Daemon(workers=4) as d, Peer() as peer, client.udp_socket("::1") as peer6:
        c = d.client()
        c.ticket = c.try_allocate(additional=stun.IPV6, extra=MOBILE).get(TICKET)
        c.permit("127.0.0.2")
        c.permit("::1")
        for _ in range(8):
            c = move(d, c, random.choice(("udp", "tcp")))
            for p in (peer, peer6):
                c.send_indication(client.name_of(p), b"out")
                data, relayed = p.recvfrom(100)
                tap.equal(data, b"out", "at the peer")
                p.sendto(b"in", relayed[:2])
                tap.equal(c.recv().payload, b"in", "at the client")


@tap.limit(120)
def test_chain():
    """T15: a chain of 1,000 moves over four workers: memory flat, ports and quota come back exactly"""
    ports = 4
    first = free_block(ports)
    with Daemon(workers=4, relay={"ports": [first, first + ports - 1], "addresses": ["127.0.0.1"]},
                limits={"user_allocations": ports}, log={"level": "notice"}) as d, Peer() as peer:
        c = start(d)
        c.bind(client.name_of(peer), CHANNEL)
        for n in range(1000):
            old, c = c, move(d, c, "tcp" if n % 10 == 0 else "udp")
            if n % 3:
                c.send_channel(CHANNEL, b"%d" % n)
                tap.equal(peer.recv(100), b"%d" % n, "at the peer")
            if n % 50 == 0:
                c.bind(client.name_of(peer), CHANNEL)
            old.close()
            if n == 200:
                before = d.rss()
        both_ways(c, peer)
        tap.bounded(d.rss() - before, 1024, "800 moves")
        others = [d.client() for _ in range(ports - 1)]
        for o in others:
            o.allocate()
        tap.equal(d.client().request(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")]).code, 486, "quota")
        for x in others + [c]:
            x.refresh(0)
        for round in range(2):
            again = [d.client() for _ in range(ports)]
            for a in again:
                a.allocate()
            for a in again:
                a.refresh(0)


def storm(d, clients, seconds, peer):
    """All move all the time, some with data and some without, some abandoned; answers are awaited late or never."""
    end = time.monotonic() + seconds
    moves = 0
    while time.monotonic() < end:
        i = random.randrange(len(clients))
        c = clients[i]
        new = another(d, c, random.choice(("udp", "udp", "tcp")))
        msg = show(new)
        tap.equal(msg.code, None, "error to a good ticket in a storm")
        new.ticket = msg.get(TICKET)
        kind = random.randrange(6)
        if kind < 3:
            for _ in range(5):
                new.send_channel(CHANNEL, b"storm" * 50)
        if kind == 3:
            c.send_channel(CHANNEL, b"from the old one")
        if kind == 4:
            new.send_raw(new.signed(stun.REFRESH, [(TICKET, b"x" * 32)]))
            new.send_raw(new.signed(stun.CREATE_PERMISSION, lambda t: [stun.peer(("127.0.0.7", 1), t)]))
        peer.sendto(b"y" * 500, new.relayed[0])
        c.close()
        clients[i] = new
        moves += 1
    return moves


@tap.limit(60)
def test_storm():
    """T15: a storm of moves over four workers, with traffic: memory flat; it still serves"""
    with Daemon(workers=4, log={"level": "notice"}) as d, Peer() as peer:
        clients = []
        for _ in range(20):
            c = start(d)
            c.bind(client.name_of(peer), CHANNEL)
            clients.append(c)
        storm(d, clients, 1, peer)
        before = d.rss()
        tap.diag("%d moves" % storm(d, clients, 2, peer))
        tap.bounded(d.rss() - before, 4096, "a storm")
        with Peer() as fresh:  # nothing of the storm is still on its way to it
            c = start(d)
            c.bind(client.name_of(fresh), CHANNEL)
            both_ways(move(d, c), fresh)


def test_place_is_free_again():
    """where a client was expected whose allocation it then deleted, the next one is welcome at first try"""
    with Daemon(workers=4) as d:
        places = [d.client() for _ in range(8)]
        for n in range(48):
            c, new = d.client(), places[n % 8]
            msg = c.try_allocate(extra=MOBILE)
            new.realm, new.nonce, new.ticket = c.realm, c.nonce, msg.get(TICKET)
            tap.equal(show(new, lifetime=3600).code, None, "code")
            tap.equal(c.refresh(0), 0, "lifetime")


def test_pipelined():
    """what follows a Refresh with a ticket in the same segment, an Allocate or another ticket, confuses nobody"""
    with Daemon(workers=4) as d, Peer() as peer:
        for n in range(16):
            olds = [start(d, "tcp"), start(d, "tcp")]
            for c in olds:
                c.bind(client.name_of(peer), CHANNEL)
            new = another(d, olds[0], "tcp")
            first = new.signed(stun.REFRESH, [(TICKET, olds[0].ticket)])
            allocate = [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")]
            second = (new.signed(stun.ALLOCATE, allocate), new.signed(stun.REFRESH, [(TICKET, olds[1].ticket)]))[n % 2]
            new.send_raw(first + second)
            new.wait(second[8:20], 0.05)
            if n % 4 < 2:  # its connection ends first
                new.close()
                d.answers()
            for c in olds:
                c.close()
                peer.sendto(b"x", c.relayed[0])
            new.close()
        both_ways(move(d, bound(d, peer)), peer)


def bound(d, peer):
    c = start(d)
    c.bind(client.name_of(peer), CHANNEL)
    return c


def test_sigterm_in_a_storm():
    """SIGTERM in the middle of a storm of moves: exit 0, nothing leaks"""
    for _ in range(3):
        with Daemon(workers=4, log={"level": "notice"}) as d, Peer() as peer:
            clients = []
            for _ in range(10):
                c = start(d)
                c.bind(client.name_of(peer), CHANNEL)
                clients.append(c)
            storm(d, clients, 0.5, peer)
            # Whatever is under way now is not waited for.
            for c in clients * 3:
                new = another(d, c, random.choice(("udp", "tcp")))
                new.send_raw(new.signed(stun.REFRESH, [(TICKET, c.ticket)]))
                new.send_channel(CHANNEL, b"at once")


if __name__ == "__main__":
    tap.main()
