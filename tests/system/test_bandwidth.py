# SPDX-License-Identifier: BSD-2-Clause
"""Bandwidth limits: limits.user_bps, limits.total_bps and a user's own, by counting what arrives."""

import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from certs import Authority
from daemon import Daemon, PATIENCE, add_user, config_text, folder, free_port, settings

RATE = 800000  # bits/s
BURST = 65536  # bytes; more than 250 ms of RATE
SIZE = 1000


class Flow:
    """A client with a channel to a peer of its own. Next to its traffic it asks Binding of the worker that relays for it, over
    and over: how long that takes shows how long a busy machine kept the server from its work."""

    def __init__(self, d, transport="udp", **kw):
        self.c = d.client(transport, **kw)
        self.relay = self.c.allocate()
        self.peer = client.udp_socket("127.0.0.2")
        tap.cleanup(self.peer.close)
        self.peer.setblocking(False)
        self.c.bind(client.name_of(self.peer), 0x4000)
        self.begin()

    def begin(self):
        self.sent = self.up = self.down = 0
        self.asked, self.question, self.stalled = None, None, 0.0

    def send(self, up, down):
        for _ in range(up):
            self.c.send_channel(0x4000, b"u" * SIZE)
        for _ in range(down):
            self.peer.sendto(b"d" * SIZE, self.relay)
        self.sent += (up + down) * SIZE
        now = time.monotonic()
        if self.asked is None:
            self.asked, self.question = now, stun.build(stun.BINDING)
            self.c.send_raw(self.question)
        elif now - self.asked > 1 and not self.c.stream:
            self.c.send_raw(self.question)  # there was no room for it

    def answered(self, msg):
        if self.asked is not None and msg.txid == self.question[8:20]:
            self.stalled += max(0, time.monotonic() - self.asked - 0.05)
            self.asked = None

    def read(self):
        while True:
            try:
                self.up += len(self.peer.recv(65536))
            except (BlockingIOError, socket.timeout):
                break
        while (frame := self.c.recv_raw(0)) is not None:
            msg = self.c._keep(frame)
            if msg:
                self.answered(msg)
        while self.c.data:
            self.down += len(self.c.data.popleft().payload)

    @property
    def got(self):
        return self.up + self.down


def pump(flows, up=4, down=4, seconds=1.5, limited=True):
    """Sends more than is let through, for as long as that takes; gives the bytes that arrived and the seconds: in which it was
    sent, until all had come, and in which a busy machine let nothing be sent."""
    for f in flows:
        f.begin()
    began = now = then = time.monotonic()
    stalled = 0
    while now - began < seconds or limited and now - began < PATIENCE and \
            min(f.sent for f in flows) < 2 * (BURST + RATE / 8 * (now - began)):
        times = min(max(1, int((now - then) / 0.01)), 100) if limited else 1  # more where we were kept from it
        stalled += max(0, now - then - 0.05)
        then = now
        for f in flows:
            f.send(up * times, down * times)
        for f in flows:
            f.read()
        time.sleep(0.002)
        now = time.monotonic()
    for f in flows:
        if f.asked is not None:
            f.stalled += max(0, now - f.asked - 0.05)
            f.asked = None
        f.c.settle()
        f.read()
    return sum(f.got for f in flows), (now - began, time.monotonic() - began, stalled)


def within(flows, got, took, rate=RATE, burst=BURST):
    """Not more than the limit gives in that time, and not much less, unless less was sent."""
    sending, all_of_it, stalled = took
    sent, stalled = sum(f.sent for f in flows), max(stalled, max(f.stalled for f in flows))
    most = burst + rate / 8 * (all_of_it + 0.3)
    least = 0.6 * min(rate / 8 * (sending - stalled), sent)
    tap.diag("%d of %d bytes in %.2f s, %.2f s of which the server stood; allowed are %d to %d" % (got, sent, sending, stalled, least, most))
    tap.check(least <= got <= most, "%d bytes arrived in %.2f s, allowed are %d to %d" % (got, sending, least, most))


def test_user_limit():
    """limits.user_bps: up, down and both, on every transport; what is over is dropped and told in the log"""
    transports = ("udp", "tcp", "tls", "dtls")
    port = free_port()
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tcp+tls")]
    users = [{"name": t, "password": "pass"} for t in transports]
    began = time.monotonic()
    with Daemon(port=port, listen=listen, tls=Authority().settings(), auth={"users": users}, limits={"user_bps": RATE}) as d:
        for transport in transports:
            f = Flow(d, transport, user=transport)
            for up, down in ((4, 0), (0, 4), (3, 3)) if transport == "udp" else ((3, 3),):
                got, took = pump([f], up, down, 1.0)
                within([f], got, took)
                tap.check(up or not f.up, "up %d" % f.up)
                tap.check(down or not f.down, "down %d" % f.down)
            d.wait_log("user %s is limited to %d bits/s" % (transport, RATE))
            f.c.refresh(0)
        d.wait_log("over the bandwidth limit")
        lines = d.read_log().count("is limited to")
        tap.check(4 <= lines <= 4 + 4 * (time.monotonic() - began) / 10, "%d lines in the log" % lines)


def test_user_limit_across_workers():
    """one limit for all allocations of a user, in whatever workers; another user has one of its own"""
    with Daemon(workers=4, limits={"user_bps": RATE}) as d:
        flows = [Flow(d, ("udp", "tcp")[n % 2]) for n in range(6)]
        other = Flow(d, user="other", password="word")
        got, took = pump(flows + [other], 2, 2)
        within(flows, got - other.got, took)
        within([other], other.got, took)


def test_total_limit():
    """limits.total_bps: one limit for all users together"""
    with Daemon(workers=4, limits={"total_bps": RATE}) as d:
        flows = [Flow(d), Flow(d, "tcp"), Flow(d, user="other", password="word"), Flow(d, "tcp", user="other", password="word")]
        got, took = pump(flows, 2, 2)
        within(flows, got, took)
        d.wait_log("the server is limited to %d bits/s" % RATE)


def test_limit_of_a_record():
    """a user's own limit in the store wins over the server's, be it lower or higher; 0 is the server's"""
    store = "sqlite:" + os.path.join(folder(), "users.db")
    add_user(store, "low", "pass", "--max-bps", "400k")
    add_user(store, "high", "pass", "--max-bps", "1600k")
    add_user(store, "any", "pass")
    with Daemon(auth={"users": [], "stores": [store]}, limits={"user_bps": RATE}) as d:
        flows = [Flow(d, user=u) for u in ("low", "high", "any")]
        _, took = pump(flows, 4, 4)
        for f, rate in zip(flows, (400000, 1600000, RATE)):
            within([f], f.got, took, rate)
        d.wait_log("user low is limited to 400000 bits/s")


def reload(d, f, **limits):
    count = d.read_log().count("configuration reloaded")
    with open(d.config, "w", encoding="utf-8") as out:
        out.write(config_text(settings(d.port, limits={"unauthenticated_rate": 0, **limits})))
    os.kill(d.pid, signal.SIGHUP)
    end = time.monotonic() + PATIENCE
    while d.read_log().count("configuration reloaded") == count:
        tap.check(time.monotonic() < end, "no reload")
        time.sleep(0.02)
    f.c.settle()  # its worker has heard of it by mailbox


def test_reload():
    """a reload gives live allocations a limit, another one, and none"""
    with Daemon() as d:
        f = Flow(d)
        for rate in (0, RATE, 8 * RATE, 0):
            reload(d, f, user_bps=rate)
            got, took = pump([f], 10, 10, 1.0, limited=rate)
            if rate:
                within([f], got, took, rate, max(BURST, rate / 32))
                continue
            for _ in range(20):  # a machine that is too busy for what a limit would not let through
                if got > min(0.8 * f.sent, 2000000):
                    break
                got, _ = pump([f], 10, 10, 1.0, limited=False)
            tap.check(got > min(0.8 * f.sent, 2000000), "%d of %d bytes without a limit" % (got, f.sent))


if __name__ == "__main__":
    tap.main()
