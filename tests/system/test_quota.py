# SPDX-License-Identifier: BSD-2-Clause
"""Quotas and ports: 486, 508, and that everything comes back exactly (T11 as far as one server sees it)."""

import contextlib
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import netns
import stun
import tap
from daemon import add_user, Daemon, folder, free_block


def small(first, count, **kw):
    """A server with that many relay ports."""
    limits = {"unauthenticated_rate": 0, **kw.pop("limits", {})}
    return Daemon(relay={"addresses": ["127.0.0.1"], "ports": [first, first + count - 1]}, limits=limits, **kw)


def fill(d, count, **kw):
    """count clients with an allocation each."""
    clients = [d.client(**kw) for _ in range(count)]
    for c in clients:
        c.allocate()
    return clients


def refused(d, **kw):
    with d.client(**kw) as c:
        return c.try_allocate().code


def cpu_seconds(d):
    """What the daemon's threads have used so far."""
    return time.clock_gettime(~d.pid << 3 | 2)  # clock_getcpuclockid(3)


def test_user_quota():
    """486 over the user's number, counted across workers; others are not touched; it comes back one by one"""
    with Daemon(workers=2, limits={"user_allocations": 3, "unauthenticated_rate": 0}) as d:
        clients = fill(d, 3)
        for _ in range(8):  # from several ports, so that both workers are asked
            tap.equal(refused(d), 486, "fourth of the user")
        tap.equal(refused(d, user="other", password="word"), None, "another user")
        for round in range(10):
            c = clients[round % 3]
            c.refresh(0)
            c.allocate()
            tap.equal(refused(d), 486, "code in round %d" % round)


def test_total_quota():
    """508 over the server's number, whoever asks"""
    with Daemon(workers=2, limits={"total_allocations": 4, "unauthenticated_rate": 0}) as d:
        clients = fill(d, 4)
        for _ in range(6):
            tap.equal(refused(d), 508, "fifth")
            tap.equal(refused(d, user="other", password="word"), 508, "fifth, another user")
        clients[0].refresh(0)
        clients[1].refresh(0)
        fill(d, 2)
        tap.equal(refused(d), 508, "fifth again")


def test_record_quota():
    """a user's own number in the store wins over the server's"""
    store = "sqlite:" + os.path.join(folder(), "users.db")
    add_user(store, "two", "pass", "--max-allocations", "2")
    add_user(store, "any", "pass")
    with Daemon(auth={"users": [], "stores": [store]}, limits={"user_allocations": 4, "unauthenticated_rate": 0}) as d:
        fill(d, 2, user="two")
        tap.equal(refused(d, user="two"), 486, "third of a user with two")
        fill(d, 4, user="any")
        tap.equal(refused(d, user="any"), 486, "fifth of a user without a number")


def test_ports_run_out():
    """508 when the ports are used up; each that is given back can be used again, and only that one"""
    first = free_block(10)
    with small(first, 10) as d:
        clients = fill(d, 10)
        tap.equal(sorted(c.relayed[0][1] for c in clients), list(range(first, first + 10)), "ports")
        before = cpu_seconds(d)
        for _ in range(20):
            tap.equal(refused(d), 508, "eleventh")
        tap.check(cpu_seconds(d) - before < 5 * tap.SLOW, "a refusal takes long when no port is free")
        for round in range(20):
            c = clients[round * 7 % 10]
            port = c.relayed[0][1]
            c.refresh(0)
            tap.equal(c.allocate()[1], port, "the only free port")


def allocate_soon(c, **kw):
    """The answer, when what others had has come back: an allocation that is over gives its port back within a second."""
    return tap.until("what has ended comes back", lambda: (msg := c.try_allocate(**kw)).code is None and msg)


def test_back_after_expiry():
    """ports and quota come back exactly when allocations expire, on UDP and TCP"""
    first = free_block(6)
    limits = {"lifetime": 2, "lifetime_max": 600, "user_allocations": 6}
    with small(first, 6, limits=limits) as d:
        for round in range(2):
            clients = [d.client(t) for t in ("udp", "tcp") * 3]
            for c in clients:
                tap.equal(allocate_soon(c, lifetime=600).lifetime, 600, "LIFETIME")
            tap.check(refused(d) in (486, 508), "seventh")
            for c in clients:  # no expiry before all six are there
                tap.equal(c.refresh(1), 2, "LIFETIME of the Refresh")
            tap.until("all six have expired", lambda: all(c.try_permit("127.0.0.2").code == 437 for c in clients))
            if round < 1:
                for c in clients:
                    c.close()
        for c in clients:
            tap.equal(c.try_refresh().code, 437, "Refresh after expiry")


def test_back_after_tcp_close():
    """ports and quota come back exactly when TCP connections end, by FIN and by RST"""
    first = free_block(6)
    with small(first, 6, limits={"user_allocations": 6}) as d:
        for round in range(6):
            clients = fill(d, 6, transport="tcp")
            tap.check(refused(d) in (486, 508), "seventh")
            for c in clients:
                if round % 2:
                    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                c.close()
            made = [d.client() for _ in range(6)]
            for c in made:
                allocate_soon(c)
            for c in made:
                c.refresh(0)


def test_delete_races():
    """T11: Refresh 0 sent many times at once, with requests behind it, gives back one allocation and not more"""
    first = free_block(4)
    with small(first, 4, limits={"user_allocations": 4}) as d:
        keep = fill(d, 3)
        c = d.client()
        for _ in range(30):
            c.allocate()
            gone = [c.signed(stun.REFRESH, [(stun.LIFETIME, b"\0\0\0\0")]) for _ in range(5)]
            for p in gone + gone[:2]:
                c.send_raw(p)
            c.send_raw(c.signed(stun.REFRESH))
            first_answer = c.wait(gone[0][8:20], c.timeout)
            tap.equal(first_answer and first_answer.cls, stun.SUCCESS, "class of the first Refresh 0")
        while c.recv_raw(0.1):
            pass
        c.allocate()
        tap.check(refused(d) in (486, 508), "fifth")
        tap.equal([k.refresh() for k in keep], [600] * 3, "the others")


def test_even_port_loop():
    """T11: EVEN-PORT and reservations in a loop neither leak ports nor hand out one twice"""
    first = free_block(8)
    with small(first, 8) as d:
        for _ in range(20):
            a, b = d.client(), d.client()
            relayed = a.allocate(even_port=True)
            tap.equal(relayed[1] % 2, 0, "port modulo 2")
            tap.equal(b.allocate(token=a.token)[1], relayed[1] + 1, "reserved port")
            a.refresh(0)
            b.refresh(0)
        clients = fill(d, 8)
        tap.equal(len({c.relayed[0] for c in clients}), 8, "different ports")
        for c in clients:
            c.refresh(0)
        # Tokens that nobody shows hold their ports for 30 s at least and then give them back.
        holders = [d.client() for _ in range(4)]
        began = time.monotonic()
        for h in holders:
            h.allocate(even_port=True)
        tap.equal(refused(d), 508, "while all even ports are used and all odd ones held")
        for h in holders:
            h.refresh(0)
        tap.equal(d.client().try_allocate(even_port=True).code, 508, "a pair whose odd port is held")
        fill(d, 4)
        tap.equal(refused(d), 508, "while the odd ones are held")
        time.sleep(max(0, began + 29 - time.monotonic()))
        code = refused(d)
        tap.check(code == 508 or time.monotonic() > began + 30, "after 29 s: %s" % code)
        late = [d.client() for _ in range(4 if code else 3)]
        for c in late:
            allocate_soon(c)
        tap.equal(refused(d), 508, "when all eight are used again")


def test_refused_allocations_cost_nothing():
    """T11: 2,000 refused Allocates leave memory and ports as they were"""
    first = free_block(4)
    with small(first, 4) as d:
        fill(d, 4)
        c = d.client()
        for _ in range(100):
            c.try_allocate()
        before = d.rss()
        for _ in range(1000):
            tap.equal(c.try_allocate().code, 508, "code")
            tap.equal(c.try_allocate(family=stun.IPV6).code, 440, "code")
        tap.bounded(d.rss() - before, 1024, "2,000 refused Allocates")


def test_churn():
    """3,000 allocations made and deleted leave memory as it was and no descriptor behind"""
    with Daemon(limits={"user_allocations": 1, "unauthenticated_rate": 0}, log={"level": "notice"}) as d:
        c = d.client()

        def turn(count):
            for _ in range(count):
                c.allocate()
                c.bind(("127.0.0.2", 4000), 0x4000)
                c.refresh(0)
        turn(500 // tap.SLOW)
        before, files = d.rss(), len(os.listdir("/proc/%d/fd" % d.pid))
        turn(2500 // tap.SLOW)
        tap.bounded(d.rss() - before, 512, "2,500 allocations")
        tap.equal(len(os.listdir("/proc/%d/fd" % d.pid)), files, "open files")


def test_unauthenticated_rate():
    """T10: answers to one source prefix are limited before authentication; other prefixes are not touched"""
    with Daemon(workers=1, limits={"unauthenticated_rate": 20}) as d:
        time.sleep(0.3)
        with d.client() as c, d.client(source="127.0.7.1") as other:
            began = time.monotonic()
            for _ in range(500):
                c.send_raw(stun.build(stun.BINDING))
            # Behind the burst in the same queue: when this is answered, all of the burst has been handled.
            tap.check(other.exchange(stun.build(stun.BINDING)), "another prefix is not answered")
            took = time.monotonic() - began
            count = 0
            while c.recv_raw(0.1):
                count += 1
        tap.diag("%d answers to a burst of 500 with a rate of 20" % count)
        tap.check(1 <= count <= 60 + 20 * took, "%d answers" % count)
        time.sleep(1.1)
        with d.client() as c:
            tap.check(c.exchange(stun.build(stun.BINDING), retransmit=False), "no answer after a second of silence")


def test_rate_tells_no_names():
    """T4: beyond the rate an unknown user and a wrong password are answered alike, with silence"""
    with Daemon(workers=1, limits={"unauthenticated_rate": 1}) as d:
        count, took = {}, 0
        for n, name in enumerate(("user", "nobody")):
            with d.client(source="127.0.%d.1" % (20 + n), user=name, password="wrong") as c:
                c.learn(c.exchange(stun.build(stun.ALLOCATE)))
                began = time.monotonic()
                for _ in range(50):
                    c.send_raw(c.signed(stun.ALLOCATE))
                with d.client(source="127.0.%d.1" % (30 + n)) as other:  # all of them have been handled when it is answered
                    tap.check(other.binding(), "another prefix is not answered")
                took = max(took, time.monotonic() - began)
                count[name] = 0
                while c.recv_raw(0.3):
                    count[name] += 1
        tap.diag("answers of 50: %r" % count)
        tap.check(max(count.values()) <= 10 + took, "answers: %r" % count)


def test_authenticated_are_not_limited():
    """T10: who has an allocation is served at any rate"""
    with Daemon(workers=1, limits={"unauthenticated_rate": 20}) as d, d.client() as c:
        c.allocate()
        for _ in range(200):
            tap.equal(c.exchange(c.signed(stun.REFRESH), retransmit=False).cls, stun.SUCCESS, "class")


def closed(c, seconds):
    """Whether the server ends that connection within the time."""
    end = time.monotonic() + seconds
    while not c.closed and time.monotonic() < end:
        c.recv_raw(0.05)
    return c.closed


def test_tcp_connections():
    """T14: connections of one address beyond the limit are closed; one that ends makes room"""
    with Daemon(workers=1, limits={"tcp_connections": 3, "unauthenticated_rate": 0}) as d:
        held = [d.client("tcp") for _ in range(3)]
        for c in held:
            tap.check(c.binding() is not None, "no answer")
        fourth = d.client("tcp")
        tap.check(closed(fourth, 20 * tap.SLOW), "a fourth connection stays open")
        with d.client("tcp", source="127.0.0.9") as other:
            tap.check(other.binding() is not None, "another address is not served")
        held[0].close()

        def served():
            with contextlib.suppress(ConnectionError), d.client("tcp") as c:
                return c.binding()
        tap.until("room after a connection has ended", served)


def test_tcp_connections_of_a_prefix():
    """T14: the addresses of one IPv6 /64 count as one source"""
    netns.need()
    server, left = netns.Namespace(), netns.Namespace()
    netns.pair(server, ["2a00:1::1/64"], left, ["2a00:1::%d/64" % n for n in range(2, 6)] + ["2a00:1:0:1::2/64"])
    server.ip("-6", "route", "add", "2a00:1:0:1::/64", "via", "2a00:1::2")
    over = {"workers": 1, "limits": {"tcp_connections": 3, "unauthenticated_rate": 0}, "relay": {"addresses": ["2a00:1::1"]}}
    with Daemon(netns=server, server="2a00:1::1", **over) as d:
        held = [client.Client(d.server, "tcp", source="2a00:1::%d" % n, inside=left.inside) for n in range(2, 5)]
        for c in held:
            tap.cleanup(c.close)
            tap.check(c.binding() is not None, "no answer")
        with client.Client(d.server, "tcp", source="2a00:1::5", inside=left.inside) as fourth:
            tap.check(closed(fourth, 20 * tap.SLOW), "a fourth connection stays open")
        with client.Client(d.server, "tcp", source="2a00:1:0:1::2", inside=left.inside) as other:
            tap.check(other.binding() is not None, "another prefix is not served")


def test_tcp_idle():
    """T14: a connection without an allocation is closed after its time, also when it sends a byte now and then"""
    with Daemon(limits={"tcp_idle": 1, "unauthenticated_rate": 0}) as d:
        def allocated():
            busy = d.client("tcp")
            busy.allocate()
            return busy
        busy = tap.persist(allocated, OSError, client.NoAnswer)
        idle, slow = d.client("tcp"), d.client("tcp")
        request = stun.build(stun.BINDING)
        began = time.monotonic()
        for n in range(8):
            time.sleep(0.25 * tap.SLOW ** 0.5)
            try:
                slow.send_raw(request[n:n + 1])
            except ConnectionError:
                break
        tap.check(closed(idle, 60 * tap.SLOW), "an idle connection stays open")
        tap.check(closed(slow, 60 * tap.SLOW), "a byte a quarter of a second keeps a connection open")
        tap.diag("closed within %.1f s" % (time.monotonic() - began))
        tap.equal(busy.refresh(), 600, "a connection with an allocation")


if __name__ == "__main__":
    tap.main()
