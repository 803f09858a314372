# SPDX-License-Identifier: BSD-2-Clause
"""Bandwidth limits: limits.user_bps, limits.total_bps and a user's own, by counting what arrives."""

import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import tap
from certs import Authority
from daemon import Daemon, add_user, config_text, folder, free_port, settings

RATE = 800000  # bits/s
BURST = 65536  # bytes; more than 250 ms of RATE
SIZE = 1000


class Flow:
    """A client with a channel to a peer of its own."""

    def __init__(self, d, transport="udp", **kw):
        self.c = d.client(transport, **kw)
        self.relay = self.c.allocate()
        self.peer = client.udp_socket("127.0.0.2")
        tap.cleanup(self.peer.close)
        self.peer.setblocking(False)
        self.c.bind(client.name_of(self.peer), 0x4000)
        self.sent = self.up = self.down = 0

    def send(self, up, down):
        for _ in range(up):
            self.c.send_channel(0x4000, b"u" * SIZE)
        for _ in range(down):
            self.peer.sendto(b"d" * SIZE, self.relay)
        self.sent += (up + down) * SIZE

    def read(self, seconds=0.0):
        while True:
            try:
                self.up += len(self.peer.recv(65536))
            except (BlockingIOError, socket.timeout):
                break
        while True:
            data = self.c.recv(seconds)
            if data is None:
                break
            self.down += len(data.payload)

    @property
    def got(self):
        return self.up + self.down


class Took(float):
    """Seconds; stalled: those of them in which a busy machine let nothing be sent."""

    def __new__(cls, seconds, stalled):
        self = super().__new__(cls, seconds)
        self.stalled = stalled
        return self


def pump(flows, up=4, down=4, seconds=1.5):
    """Sends more than is let through; gives the bytes that arrived and the seconds that it took."""
    for f in flows:
        f.sent = f.up = f.down = 0
    began = now = time.monotonic()
    stalled = 0
    while (then := now) - began < seconds:
        for f in flows:
            f.send(up, down)
        for f in flows:
            f.read()
        time.sleep(0.002)
        now = time.monotonic()
        stalled += max(0, now - then - 0.05)
    for f in flows:
        f.read(0.1)
    return sum(f.got for f in flows), Took(now - began, stalled)


def within(flows, got, took, rate=RATE, burst=BURST):
    """Not more than the limit gives in that time, and not much less, unless less was sent."""
    most = burst + rate / 8 * (took + 0.3)
    least = 0.6 * min(rate / 8 * (took - took.stalled), sum(f.sent for f in flows))
    tap.diag("%d of %d bytes in %.2f s, allowed %d" % (got, sum(f.sent for f in flows), took, most))
    tap.check(least <= got <= most, "%d bytes arrived in %.2f s, allowed are %d to %d" % (got, took, least, most))


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


def reload(d, **limits):
    count = d.read_log().count("configuration reloaded")
    with open(d.config, "w", encoding="utf-8") as f:
        f.write(config_text(settings(d.port, limits={"unauthenticated_rate": 0, **limits})))
    os.kill(d.pid, signal.SIGHUP)
    end = time.monotonic() + 30 * tap.SLOW
    while d.read_log().count("configuration reloaded") == count:
        tap.check(time.monotonic() < end, "no reload")
        time.sleep(0.02)
    time.sleep(0.2)  # the workers hear of it by mailbox


def test_reload():
    """a reload gives live allocations a limit, another one, and none"""
    with Daemon() as d:
        f = Flow(d)
        for rate in (0, RATE, 8 * RATE, 0):
            reload(d, user_bps=rate)
            got, took = pump([f], 10, 10, 1.0)
            if rate:
                within([f], got, took, rate, max(BURST, rate / 32))
            else:
                tap.check(got > min(0.8 * f.sent, 2000000), "%d of %d bytes without a limit" % (got, f.sent))


if __name__ == "__main__":
    tap.main()
