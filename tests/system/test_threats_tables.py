# SPDX-License-Identifier: BSD-2-Clause
"""T12: floods of permissions and channels on one allocation, double bindings, and expiry to the second."""

import functools
import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from daemon import Daemon


def public(n):
    """The n-th address of 9.0.0.0/8: public, and nothing is ever sent there."""
    n += 1
    return "9.%d.%d.%d" % (n >> 16 & 255, n >> 8 & 255, n & 255)


def flood(c, packets):
    """Sends signed requests in bunches over TCP: the codes of the answers (0: success), in order."""
    codes = []
    bunch = []
    for packet in packets:
        bunch.append(packet)
        if len(bunch) == 100:
            codes += burst(c, bunch)
            bunch = []
    return codes + burst(c, bunch)


def burst(c, bunch):
    c.send_raw(b"".join(bunch))
    codes = []
    for packet in bunch:
        frame = c.recv_raw(c.timeout)
        tap.check(frame is not None, "no answer")
        tap.check(frame[8:20] == packet[8:20], "answers out of order")
        codes.append(0 if not frame[0] & 1 or not frame[1] & 0x10 else stun.Message(frame).code)
    return codes


def permissions(c, count, at_once=40):
    for first in range(0, count, at_once):
        yield c.signed(stun.CREATE_PERMISSION, lambda txid: [stun.peer((public(n), 0), txid)
                                                             for n in range(first, first + at_once)])


def channels(c, count):
    for n in range(count):
        yield c.signed(stun.CHANNEL_BIND, lambda txid: [(stun.CHANNEL_NUMBER, struct.pack("!HH", 0x4000 + n % 0x1000, 0)),
                                                        stun.peer((public(n), 4000), txid)])


def works(c, peer, number=None):
    """What was there before the flood still relays."""
    name = client.name_of(peer)
    if number is None:
        c.send_indication(name, b"still")
    else:
        c.send_channel(number, b"still")
    tap.equal(peer.recv(100), b"still", "at the peer")
    peer.sendto(b"here", c.relayed[0])
    tap.equal(c.recv(), client.Data(None if number else name, number, b"here"), "at the client")


def test_permission_flood():
    """T12: 100,000 permissions on one allocation: up to the limit, then 508, memory bounded, old ones still serve"""
    with Daemon() as d, d.client("tcp") as c, client.udp_socket("127.0.0.2") as peer:
        c.allocate()
        c.permit("127.0.0.2")
        before = d.rss()
        codes = flood(c, permissions(c, 100000))
        tap.bounded(d.rss() - before, 4096, "100,000 permissions asked for")
        good = codes.count(0)
        tap.equal(good, 255 // 40, "requests served with a limit of 256 permissions")
        tap.equal(set(codes[good:]), {508}, "codes over the limit")
        c.permit("127.0.0.2")
        works(c, peer)


def test_permissions_up_to_a_high_limit():
    """T12: with a high limit every permission is kept and found"""
    limits = {"permissions": 65536, "unauthenticated_rate": 0}
    with Daemon(limits=limits) as d, d.client("tcp") as c, client.udp_socket("127.0.0.2") as peer:
        c.allocate()
        before = d.rss()
        codes = flood(c, permissions(c, 70000))
        tap.equal(codes.count(0), 65536 // 40, "requests served")
        tap.bounded(d.rss() - before, 16384, "65,520 permissions held")
        c.permit("127.0.0.2")
        works(c, peer)
        c.refresh(0)
        c.allocate()
        tap.equal(flood(c, permissions(c, 4000)), [0] * 100, "codes on the next allocation")


def test_channel_flood():
    """T12: 100,000 ChannelBinds on one allocation: up to the limit, then 508 or 400, old ones still serve"""
    with Daemon() as d, d.client("tcp") as c, client.udp_socket("127.0.0.2") as peer:
        c.allocate()
        c.bind(client.name_of(peer), 0x4FFF)
        before = d.rss()
        codes = flood(c, channels(c, 100000 // tap.SLOW))
        growth = d.rss() - before
        tap.equal(codes[:255], [0] * 255, "codes up to the limit of 256")
        tap.check(set(codes[255:]) <= {400, 508} and 508 in codes, "codes over the limit: %r" % set(codes[255:]))
        tap.bounded(growth, 4096, "%d channels asked for" % len(codes))
        c.bind(client.name_of(peer), 0x4FFF)
        works(c, peer, 0x4FFF)


def test_channels_up_to_a_high_limit():
    """T12: 4,096 channels on one allocation, each to its own peer"""
    limits = {"permissions": 65536, "channels": 4096, "unauthenticated_rate": 0}
    with Daemon(limits=limits) as d, d.client("tcp") as c, client.udp_socket("127.0.0.2") as peer:
        c.allocate()
        codes = flood(c, channels(c, 4095))
        tap.equal(codes, [0] * 4095, "codes")
        c.bind(client.name_of(peer), 0x4FFF)
        works(c, peer, 0x4FFF)


def test_channel_conflicts():
    """T12: a number bound twice, and one peer under two numbers, are refused and change nothing"""
    with Daemon() as d, d.client() as c, client.udp_socket("127.0.0.2") as p, client.udp_socket("127.0.0.2") as q:
        c.allocate()
        c.bind(client.name_of(p), 0x4000)
        for _ in range(3):
            tap.equal(c.try_bind(client.name_of(q), 0x4000).code, 400, "the number for another peer")
            tap.equal(c.try_bind(client.name_of(p), 0x4001).code, 400, "another number for the peer")
        works(c, p, 0x4000)
        c.send_channel(0x4001, b"no")
        tap.equal(client.received(p, 0.2), None, "over the refused number")
        tap.equal(client.received(q, 0.1), None, "at the refused peer")
        p.settimeout(30 * tap.SLOW)
        c.bind(client.name_of(q), 0x4001)
        works(c, q, 0x4001)
        works(c, p, 0x4000)


EARLY, LATE = 0.1, 0.5  # seconds that the server's coarse clock, and what it does within one turn, may make of difference


class TooSlow(Exception):
    """The machine gave one of us no processor for so long that a look came too late to show anything."""


def timed(test):
    """Decorator of tests by the clock: repeated while what it looks at came too late. What it has seen counts at once."""
    @tap.limit(240)
    @functools.wraps(test)
    def run():
        tap.persist(test, TooSlow, seconds=200)
    return run


def until(moment):
    time.sleep(max(0, moment - time.monotonic()))


def passes(c, peer, end):
    """Channel data get through both ways, as they have to until that moment."""
    c.send_channel(0x4000, b"out")
    c.settle()
    there = client.received(peer, 0.1)
    peer.sendto(b"back", c.relayed[0])
    c.settle()
    back = c.recv(0.1)
    if time.monotonic() > end - EARLY:
        raise TooSlow("a look at data came too late")
    tap.equal(there and there[0], b"out", "what gets to the peer before the end")
    tap.equal(back, client.Data(None, 0x4000, b"back"), "what gets to the client before the end")


def stopped(peer):
    tap.equal(client.received(peer, 0.2), None, "what gets to the peer after the end")


@timed
def test_expiry_to_the_second():
    """T12: an allocation ends when its lifetime ends, not a second early or late, and Refresh moves that moment"""
    limits = {"lifetime": 3, "lifetime_max": 4, "unauthenticated_rate": 0}
    with Daemon(limits=limits) as d, d.client() as c, client.udp_socket("127.0.0.2") as peer:
        c.challenge()
        began = time.monotonic()
        msg = c.try_allocate()
        tap.equal(msg.lifetime, 3, "LIFETIME")
        code = c.try_bind(client.name_of(peer), 0x4000).code
        until(began + 1)
        refreshed = time.monotonic()
        msg = c.try_refresh()
        if time.monotonic() > began + 3 - EARLY:
            raise TooSlow("the Refresh came too late")
        tap.equal((code, msg.code, msg.lifetime), (None, None, 3), "codes, and LIFETIME of Refresh")
        over = time.monotonic() + 3 + LATE
        until(refreshed + 2.3)
        passes(c, peer, refreshed + 3)
        until(over)
        c.send_channel(0x4000, b"late")
        stopped(peer)
        peer.sendto(b"late", c.relayed[0])
        tap.equal(c.recv(0.2), None, "data after its time")
        tap.equal(c.try_refresh().code, 437, "Refresh after its time")
        tap.equal(c.try_allocate(lifetime=4).lifetime, 4, "a new allocation on the same 5-tuple")


@timed
def test_permission_and_channel_expiry():
    """T12: permissions and channels end to the second too, each by its own clock"""
    limits = {"permission_lifetime": 4, "channel_lifetime": 7, "unauthenticated_rate": 0}
    with Daemon(limits=limits) as d, d.client() as c, client.udp_socket("127.0.0.2") as peer:
        c.allocate()
        name = client.name_of(peer)
        bound = time.monotonic()
        c.bind(name, 0x4000)
        answered = time.monotonic()
        until(bound + 3.3)
        passes(c, peer, bound + 4)
        until(answered + 4 + LATE)
        peer.sendto(b"late", c.relayed[0])
        tap.equal(c.recv(0.2), None, "data from the peer after the permission's time")
        c.send_indication(name, b"late")
        stopped(peer)
        renewed = time.monotonic()
        c.permit(name)  # the channel is not refreshed by it
        passes(c, peer, min(bound + 7, renewed + 4))
        until(answered + 7 + LATE)
        c.send_channel(0x4000, b"late")
        stopped(peer)
        peer.sendto(b"here", c.relayed[0])
        c.settle()
        got = c.recv(0.1)
        if time.monotonic() > renewed + 4 - EARLY:
            raise TooSlow("the permission has ended as well")
        tap.equal(got, client.Data(name, None, b"here"), "no channel, but a permission: an indication")


@timed
def test_expiry_in_the_log():
    """T12: eight allocations with different lifetimes each end in their own time"""
    limits = {"lifetime": 1, "lifetime_max": 8, "unauthenticated_rate": 0}
    with Daemon(limits=limits) as d:
        made = []
        for n in range(8):
            c, lifetime = d.client(), 2 + n % 4 * 2
            c.challenge()
            asked = time.monotonic()
            tap.equal(c.try_allocate(lifetime=lifetime).lifetime, lifetime, "LIFETIME")
            made.append((lifetime, c, asked + lifetime - EARLY, time.monotonic() + lifetime + LATE))
        began = time.monotonic()
        for second in (3, 5, 7):
            until(began + second)
            for lifetime, c, first, last in made:
                asked = time.monotonic()
                gone = c.request(stun.CREATE_PERMISSION, lambda t: [stun.peer(("127.0.0.2", 0), t)]).code == 437
                if asked < last and time.monotonic() > first:
                    raise TooSlow("a look at lifetime %d came at its end" % lifetime)
                tap.equal(gone, asked >= last, "lifetime %d after %d s" % (lifetime, second))


if __name__ == "__main__":
    tap.main()
