# SPDX-License-Identifier: BSD-2-Clause
"""ALTERNATE-SERVER and ALTERNATE-DOMAIN (RFC 8489 section 10) for those who ask for an allocation."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from daemon import config_text, Daemon, settings


def redirected(c):
    """Where a 300 sends the client; None when it got its allocation. It asks once: each has its turn."""
    msg = c.try_allocate(retransmit=False)
    if msg.cls == stun.SUCCESS:
        return None
    tap.equal(msg.code, 300, "code")
    kind = stun.MESSAGE_INTEGRITY_SHA256 if c.algorithm else stun.MESSAGE_INTEGRITY
    tap.check(msg.integrity_ok(c.key(), kind), "300 without integrity")
    return msg


def test_redirect():
    """an Allocate is sent to the other daemon, which serves it; strangers hear 401 first"""
    with Daemon() as there, Daemon(alternate={"servers": ["127.0.0.1:%d" % there.port], "domain": "b.example"}) as here:
        for transport in ("udp", "tcp"):
            with here.client(transport, modern=transport == "tcp") as c:
                tap.equal(c.challenge().code, 401, "code without credentials")
                msg = redirected(c)
                tap.equal(msg.address(stun.ALTERNATE_SERVER, xor=False), ("127.0.0.1", there.port), "ALTERNATE-SERVER")
                tap.equal(msg.get(stun.ALTERNATE_DOMAIN), b"b.example", "ALTERNATE-DOMAIN")
                with client.Client(msg.address(stun.ALTERNATE_SERVER, xor=False), transport) as other:
                    tap.check(other.allocate(), "no allocation there")
            with here.client(transport, password="wrong") as c:
                tap.equal(c.try_allocate().code, 401, "code for a wrong password")
            with here.client(transport) as c:
                tap.equal(c.binding().cls, stun.SUCCESS, "class of Binding")
                tap.equal(c.try_refresh().code, 437, "code of Refresh")


def test_families_and_turns():
    """each family is sent to servers of its own, in turn; a family that has none is served"""
    servers = ["192.0.2.1:3478", "192.0.2.2:3478", "192.0.2.3:5000"]
    with Daemon(workers=1, alternate={"servers": servers}) as d:
        for transport in ("udp", "tcp"):
            seen = []
            for _ in range(6):
                with d.client(transport) as c:
                    seen.append("%s:%d" % redirected(c).address(stun.ALTERNATE_SERVER, xor=False))
            tap.equal(sorted(seen), sorted(servers * 2), "servers")
            with d.client(transport, host="::1") as c:
                tap.equal(redirected(c), None, "redirection of an IPv6 client")
    with Daemon(workers=2, alternate={"servers": ["[2001:db8::1]:3478"]}) as d:
        with d.client(host="::1") as c:
            msg = redirected(c)
            tap.equal(msg.address(stun.ALTERNATE_SERVER, xor=False), ("2001:db8::1", 3478), "ALTERNATE-SERVER")
            tap.check(not msg.has(stun.ALTERNATE_DOMAIN), "ALTERNATE-DOMAIN that is not set")
        with d.client() as c:
            tap.equal(redirected(c), None, "redirection of an IPv4 client")


def test_not_to_itself():
    """a server that lists itself, as a common configuration of several does, sends nobody to itself"""
    with Daemon(start=False) as d:
        with open(d.config, "w", encoding="utf-8") as f:
            f.write(config_text(settings(d.port, alternate={"servers": ["127.0.0.1:%d" % d.port, "192.0.2.1:3478"]})))
        d.start()
        for _ in range(3):
            with d.client() as c:
                tap.equal(redirected(c).address(stun.ALTERNATE_SERVER, xor=False), ("192.0.2.1", 3478), "ALTERNATE-SERVER")


def test_reload():
    """a reload turns it on and off; who has an allocation keeps it"""
    with Daemon() as d, d.client() as c:
        relayed = c.allocate()
        for alternate in ({"servers": ["192.0.2.1:3478"]}, None):
            with open(d.config, "w", encoding="utf-8") as f:
                f.write(config_text(settings(d.port, **({"alternate": alternate} if alternate else {}))))
            os.kill(d.pid, signal.SIGHUP)
            end = time.monotonic() + 30 * tap.SLOW
            while True:
                with d.client() as other:
                    if bool(redirected(other)) == bool(alternate):
                        break
                tap.check(time.monotonic() < end, "the reload changed nothing")
                time.sleep(0.02)
            tap.check(c.refresh() > 0 and relayed, "the allocation is gone")


if __name__ == "__main__":
    tap.main()
