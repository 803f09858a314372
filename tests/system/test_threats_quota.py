# SPDX-License-Identifier: BSD-2-Clause
"""T11: floods of Allocate, reservations in loops, clients that vanish, races of Refresh 0: ports, quota, descriptors and
memory come back exactly, whichever workers are asked."""

import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import stun
import tap
from certs import Authority
from daemon import Daemon, free_block, free_port

GONE = [(stun.LIFETIME, b"\0\0\0\0")]
UDP = (stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")


class Small(Daemon):
    """Four workers, and that many relay ports."""

    def __init__(self, count, **limits):
        first = free_block(count)
        self.ports = set(range(first, first + count))
        super().__init__(workers=4, relay={"addresses": ["127.0.0.1"], "ports": [first, first + count - 1]},
                         limits={"unauthenticated_rate": 0, **limits}, log={"level": "notice"})

    def files(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))


def all_are_there(d, count, code, user="user", password="pass", lifetime=None):
    """Exactly count allocations can be made, on ports of their own; then they are given back."""
    clients = [d.client(user=user, password=password) for _ in range(count)]
    for c in clients:
        tap.until("all come back", lambda c=c: c.try_allocate(lifetime=lifetime).code is None)
    tap.equal(len({c.relayed[0][1] for c in clients}), count, "different ports")
    with d.client(user=user, password=password) as c:
        tap.equal(c.try_allocate().code, code, "one more")
    for c in clients:
        c.refresh(0)
        c.close()


def at_once(count, work):
    """Runs work(n) in that many threads; the first exception is raised here."""
    failed = []

    def run(n):
        try:
            work(n)
        except BaseException as why:
            failed.append(why)
    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


def test_allocate_flood():
    """T11: a flood from many sockets gets exactly the quota, of the user and of the ports"""
    for limits, count, code in (({"user_allocations": 10}, 10, 486), ({"total_allocations": 9}, 9, 508), ({}, 16, 508)):
        with Small(16, **limits) as d:
            clients = [d.client() for _ in range(40)]
            codes = []

            def work(n):
                for c in clients[n::4]:
                    codes.append(c.try_allocate().code)
            at_once(4, work)
            tap.equal((codes.count(None), codes.count(code)), (count, 40 - count), "made and refused with %d" % code)
            tap.check({c.relayed[0][1] for c in clients if c.relayed} <= d.ports, "a port that is none of the range")
            for c in clients:
                if c.relayed:
                    c.refresh(0)
            all_are_there(d, count, code)


class Every(Daemon):
    """Four workers, that many relay ports on IPv4 and IPv6, and all transports."""

    def __init__(self, count, **limits):
        port, first = free_port(), free_block(count, ("127.0.0.1", "::1"))
        super().__init__(workers=4, port=port, tls=Authority().settings(), log={"level": "notice"},
                         listen=[{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tcp+tls")],
                         relay={"ports": [first, first + count - 1]}, limits={"unauthenticated_rate": 0, **limits})


def test_every_transport():
    """T11: floods over UDP, TCP, TLS and DTLS, of TCP relays and of both families, deleted or cut off, give all back exactly"""
    kinds = [(t, {}) for t in ("udp", "tcp", "tls", "dtls")] + [("tcp", {"transport": stun.TCP_PROTOCOL})] + \
        [("tls", {"transport": stun.TCP_PROTOCOL}), ("tls", {"additional": stun.IPV6}), ("dtls", {"additional": stun.IPV6})]
    with Every(12, user_allocations=12, total_allocations=12) as d:
        with d.client("tls") as c:
            context = c.sock.context
        all_are_there(d, 12, 486)
        files = before = None
        for round in range(4):
            made = []
            for n in range(24):
                transport, kind = kinds[(n + round) % len(kinds)]
                c = d.client(transport, context=context) if transport == "tls" else d.client(transport)
                end = time.monotonic() + 60 * tap.SLOW
                while (code := c.try_allocate(**kind).code) and n < 12:
                    tap.check(code in (486, 508) and time.monotonic() < end, "%d: not all came back" % code)
                    time.sleep(0.02)
                tap.equal(code, None if n < 12 else 486, "Allocate %d by %s" % (n, transport))
                made.append(c)
            for n, c in enumerate(made):
                if n < 12 and (c.transport == "udp" or n % 2 == 0):
                    c.send_raw(c.signed(stun.REFRESH, GONE))
                    if c.transport == "udp":
                        c.recv_raw(c.timeout)
                elif c.stream:
                    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.close()  # of DTLS with close_notify, in whatever order
            all_are_there(d, 12, 486)
            if round == 0:
                files, before = len(os.listdir("/proc/%d/fd" % d.pid)), d.rss()
        end = time.monotonic() + 60 * tap.SLOW
        while len(os.listdir("/proc/%d/fd" % d.pid)) > files + 2:
            tap.check(time.monotonic() < end, "descriptors are left")
            time.sleep(0.05)
        tap.bounded(d.rss() - before, 4096, "72 clients more")


def test_pipelined_allocates():
    """T11: many Allocates on one 5-tuple before any answer make one allocation, on UDP and TCP"""
    with Small(8, user_allocations=8) as d:
        for transport in ("udp", "tcp"):
            with d.client(transport) as c:
                c.challenge()
                for _ in range(20):
                    packets = [c.signed(stun.ALLOCATE, [UDP]) for _ in range(10)]
                    for p in packets:
                        c.send_raw(p)
                    codes = [c.wait(p[8:20], c.timeout).code for p in packets]
                    tap.equal(sorted(codes, key=str), [437] * 9 + [None], "codes")
                    c.refresh(0)
            all_are_there(d, 8, 486)


def test_vanish():
    """T11: clients that allocate and vanish: UDP ones expire, TCP ones end with FIN or RST, in the middle of a request"""
    seconds = 3
    with Small(16, lifetime=seconds, lifetime_max=600, user_allocations=16) as d:
        all_are_there(d, 16, 486, lifetime=600)
        files, before = d.files(), None
        for round in range(2):
            made = [d.client(("udp", "tcp")[n % 2]) for n in range(16)]
            for c in made:
                tap.until("room for one more", lambda c=c: c.try_allocate().code is None)
            for n, c in enumerate(made):
                packet = c.signed(stun.REFRESH)
                c.send_raw(packet if n % 3 else packet[:30])
                if n % 4 == 1:
                    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.close()
            time.sleep(seconds + 0.1)
            all_are_there(d, 16, 486, lifetime=600)
            before = before or d.rss()
        end = time.monotonic() + 60 * tap.SLOW
        while d.files() != files and time.monotonic() < end:
            time.sleep(0.05)
        tap.equal(d.files(), files, "open files")
        tap.bounded(d.rss() - before, 512, "32 clients that vanished")


def test_reservations():
    """T11: EVEN-PORT and tokens in loops over several workers: every port comes back, each token counts once"""
    with Small(16) as d:
        for _ in range(15):
            holders = [d.client() for _ in range(4)]
            for h in holders:
                h.allocate(even_port=True)
            takers = [[d.client() for _ in range(3)] for _ in holders]
            won = []

            def work(n):
                for t in takers[n]:
                    if t.try_allocate(token=holders[n].token).code is None:
                        won.append((t.relayed[0][1], holders[n].relayed[0][1] + 1))
            at_once(4, work)
            tap.equal(len(won), 4, "tokens that were taken")
            tap.check(all(a == b for a, b in won), "reserved and given: %r" % won)
            for c in holders + [t for group in takers for t in group]:
                if c.relayed:
                    c.refresh(0)
                c.close()
        all_are_there(d, 16, 508)


def test_reserve_and_refuse():
    """T11: EVEN-PORT requests that end with an error hold nothing"""
    with Small(8, user_allocations=4) as d:
        keep = [d.client() for _ in range(4)]
        for c in keep:
            c.allocate()
        with d.client() as c:
            for _ in range(200):
                tap.equal(c.try_allocate(even_port=True).code, 486, "over quota")
                tap.equal(c.try_allocate(even_port=True, transport=132).code, 442, "another transport")
                tap.equal(c.try_allocate(even_port=True, token=b"12345678").code, 400, "both attributes")
                tap.equal(c.try_allocate(token=b"12345678").code, 486, "a token that nobody gave out, over quota")
        for c in keep:
            c.refresh(0)
        all_are_there(d, 4, 486)
        all_are_there(d, 4, 486, "other", "word")


def test_delete_races():
    """T11: Refresh 0 on one socket while others do the same, with copies, a new Allocate behind it, or the connection's end"""
    with Small(12, user_allocations=12) as d:
        stay = [d.client(("udp", "tcp")[n % 2]) for n in range(4)]
        for c in stay:
            c.allocate()

        def udp(n):
            with d.client() as c:
                for _ in range(25):
                    c.allocate()
                    gone = c.signed(stun.REFRESH, GONE)
                    again = c.signed(stun.ALLOCATE, [UDP])
                    for p in (gone, gone, again, gone, c.signed(stun.REFRESH)):
                        c.send_raw(p)
                    tap.equal(c.wait(gone[8:20], c.timeout).cls, stun.SUCCESS, "Refresh 0")
                    tap.equal(c.wait(again[8:20], c.timeout).cls, stun.SUCCESS, "Allocate behind it")
                    while c.try_refresh(0).code is None:
                        pass

        def tcp(n):
            for k in range(25):
                with d.client("tcp") as c:
                    # Another worker may still have to see the end of the one before.
                    tap.until("room for one more", lambda c=c: c.try_allocate().code is None)
                    c.send_raw(c.signed(stun.REFRESH, GONE) * (1 + k % 3))
                    if k % 2:
                        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        at_once(6, lambda n: (udp, tcp)[n % 2](n))
        tap.equal([c.refresh() for c in stay], [600] * 4, "the others")
        for c in stay:
            c.refresh(0)
        all_are_there(d, 12, 486)


def test_same_transaction_on_two_sockets():
    """T11: one transaction id, byte for byte the same Refresh 0, sent on two 5-tuples ends each once"""
    with Small(4, user_allocations=4) as d:
        for _ in range(20):
            a, b = d.client(), d.client()
            a.allocate()
            b.allocate()
            b.nonce = a.nonce
            gone = a.signed(stun.REFRESH, GONE)
            for c in (a, b, a, b):
                c.send_raw(gone)
            for c in (a, b):
                tap.equal(c.wait(gone[8:20], c.timeout).cls, stun.SUCCESS, "Refresh 0")
                c.close()
        all_are_there(d, 4, 486)


if __name__ == "__main__":
    tap.main()
