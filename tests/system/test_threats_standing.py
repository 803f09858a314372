#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""T19: certificates that are replaced under live TLS and DTLS sessions, descriptors that run out among TLS clients and TCP
relays, and SIGTERM with thousands of allocations over all transports."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import dtls
import stun
import tap
from certs import Authority
from daemon import Daemon, free_port, PATIENCE

CHANNEL = 0x4001


def serve(tls, **over):
    port = free_port()
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tcp+tls")]
    return Daemon(port=port, listen=listen, tls=tls, **over)


class Live:
    """A session with an allocation and traffic both ways."""

    def __init__(self, d, transport, **kw):
        self.c = d.client(transport, **kw)
        self.relay = self.c.allocate()
        self.peer = client.udp_socket("127.0.0.2")
        tap.cleanup(self.peer.close)
        self.c.bind(client.name_of(self.peer), CHANNEL)

    def goes_on(self):
        self.c.send_channel(CHANNEL, b"out")
        tap.equal(self.peer.recv(100), b"out", "at the peer")
        self.peer.sendto(b"in", self.relay)
        tap.equal(self.c.recv(), client.Data(None, CHANNEL, b"in"), "at the client")


def trusted(d, authority, transport):
    """Whether a new session is served with a certificate of that authority."""
    try:
        if transport == "dtls":
            c = d.client("dtls", options={"authority": authority.pem})
        else:
            c = d.client("tls", context=authority.context())
        with c:
            return c.binding() is not None
    except (OSError, dtls.DtlsError):
        return False


def until(what, fn):
    end = time.monotonic() + PATIENCE
    while not fn():
        tap.check(time.monotonic() < end, what)
        time.sleep(0.02)


def test_certificates():
    """T19: SIGHUP gives new TLS and DTLS sessions the new certificate; live ones go on; a bad one keeps the old, and says why"""
    one, two = Authority("one"), Authority("two")
    pem, key = (os.path.join(one.folder, name) for name in ("live.pem", "live.key"))

    def put(files):
        shutil.copy(files[0], pem)
        shutil.copy(files[1], key)

    def all_by(d, right, wrong):
        # Workers take a reload over one after the other; a client may come to any of them.
        for transport in ("tls", "dtls"):
            until("no more than a part of the sessions by %s have the right certificate" % transport,
                  lambda: all(trusted(d, right, transport) for _ in range(6)))
            tap.check(not trusted(d, wrong, transport), "another certificate by " + transport)
    put(one.issue())
    with serve({"certificate": pem, "key": key}, limits={"unauthenticated_rate": 0}) as d:
        live = [Live(d, "tls"), Live(d, "dtls"), Live(d, "tcp"), Live(d, "udp")]
        all_by(d, one, two)
        put(two.issue())
        os.kill(d.pid, signal.SIGHUP)
        all_by(d, two, one)
        live += [Live(d, "tls"), Live(d, "dtls")]
        for session in live:
            session.goes_on()
        good, bad = two.issue("good"), one.issue("bad")
        with open(bad[0], "rb") as f:
            whole = f.read()
        for why, what in (
                ("tls.key: %s: the key does not belong to the certificate" % key, lambda: put((good[0], bad[1]))),
                ("tls.certificate: cannot read %s: No such file or directory" % pem, lambda: os.unlink(pem)),
                ("tls.certificate: %s: " % pem, lambda: write(pem, b"")),
                ("tls.certificate: %s: " % pem, lambda: write(pem, whole[:len(whole) // 2])),
                ("tls.key: %s: " % key, lambda: (put(good), write(key, b"-----BEGIN PRIVATE KEY-----\n"))),
                ("tls.key: %s: there is no private key" % key, lambda: (os.unlink(key), os.mkdir(key)))):
            what()
            lines = d.read_log().count("the old configuration stays")
            os.kill(d.pid, signal.SIGHUP)
            until("no reason in the log for " + why, lambda: d.read_log().count("the old configuration stays") > lines)
            line = [n for n in d.read_log().splitlines() if "the old configuration stays" in n][-1]
            tap.check(why in line, "says %r, not %r" % (line, why))
            all_by(d, two, one)
        os.rmdir(key)
        put(one.issue())
        os.kill(d.pid, signal.SIGHUP)
        all_by(d, one, two)
        for session in live:
            session.goes_on()
            tap.check(session.c.refresh(0) == 0, "Refresh 0")


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def files_of(d):
    return len(os.listdir("/proc/%d/fd" % d.pid))


def test_descriptors():
    """T19: no descriptor left among TLS clients and TCP relays: right errors, all that there is goes on; then all is well again"""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serve(Authority().settings(), limits={"unauthenticated_rate": 0, "tls_timeout": 600, "tcp_idle": 600}) as d:
        live = [Live(d, t) for t in ("udp", "tcp", "tls", "dtls")]
        control, at = d.client("tls"), socket.create_server(("127.0.0.1", 0))
        tap.cleanup(at.close)
        at.settimeout(PATIENCE)
        control.allocate_tcp()
        control.permit("127.0.0.1")
        bound = control.data_connection(control.connect(client.name_of(at)))
        peer = at.accept()[0]
        tap.cleanup(peer.close)
        idle = [d.client(t) for t in ("udp", "tls", "tcp", "dtls")]
        for c in idle:
            c.binding()
            c.challenge()
        calm = files_of(d)
        numbers = max(int(n) for n in os.listdir("/proc/%d/fd" % d.pid)) + 1
        resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (numbers, hard))

        def recover():
            resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (hard, hard))
        # Gaps below the limit are filled by connections that wait.
        waiting = []
        while "cannot accept" not in d.read_log():
            sock = socket.create_connection(d.server, PATIENCE)
            tap.cleanup(sock.close)
            waiting.append(sock)
            if len(waiting) == 200:
                d.wait_log("cannot accept")
            time.sleep(0.01)
        for c in idle:
            tap.equal(c.try_allocate().code, 508, "Allocate by " + c.transport)
        tap.equal(idle[1].try_allocate(transport=stun.TCP_PROTOCOL).code, 508, "Allocate of a TCP relay by TLS")
        other = socket.create_server(("127.0.0.1", 0))
        tap.cleanup(other.close)
        tap.check(control.try_connect(client.name_of(other)).code in (447, 508), "Connect did not fail")
        late = socket.create_connection(control.relayed[0], PATIENCE)  # accepted by the kernel
        tap.cleanup(late.close)
        late.sendall(b"waits")
        for session in live:
            session.goes_on()
        bound.send_raw(b"goes on")
        tap.equal(peer.recv(100), b"goes on", "at the peer of a TCP relay")
        used = cpu(d)
        time.sleep(1)
        tap.check(cpu(d) - used < 0.7, "%.2f s of CPU in a second of waiting" % (cpu(d) - used))
        for sock in waiting:
            sock.close()
        recover()
        for transport in ("udp", "tcp", "tls", "dtls"):
            session = Live(d, transport)
            session.goes_on()
            session.c.refresh(0)
            session.c.close()
        tap.check(control.connect(client.name_of(other)), "Connect again")
        attempt = control.attempt()
        if attempt:  # it was still waiting
            tap.equal(control.data_connection(attempt.id).recv_bytes(5), b"waits", "from the peer that waited")
        for session in live:
            session.goes_on()
        until("descriptors are left: %d, at first %d" % (files_of(d), calm), lambda: files_of(d) <= calm + 6)


def cpu(d):
    with open("/proc/%d/stat" % d.pid, encoding="ascii") as f:
        return sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")


@tap.limit(300)
def test_sigterm():
    """T19: SIGTERM with 2,000 allocations over UDP, TCP, TLS, DTLS and TCP relays, and packets and handshakes under way: exit 0"""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(2000, hard // 3) // tap.SLOW
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with serve(Authority().settings(), workers=4, log={"level": "notice"},
               limits={"unauthenticated_rate": 0, "tcp_connections": 4096}) as d:
        with d.client("tls") as c:
            context = c.sock.context
        peer, at = client.udp_socket("127.0.0.2"), socket.create_server(("127.0.0.1", 0), backlog=1000)
        tap.cleanup(peer.close)
        tap.cleanup(at.close)
        made = []
        for n in range(count):
            transport = ("udp", "tcp", "udp", "tls", "udp", "dtls")[n % 6]
            c = d.client(transport, context=context) if transport == "tls" else d.client(transport)
            relay_tcp = transport in ("tcp", "tls") and n % 4 == 1
            c.relay = c.allocate(transport=stun.TCP_PROTOCOL) if relay_tcp else c.allocate()
            if relay_tcp and n % 3 == 0:
                c.data_connection(c.connect(client.name_of(at)), **({"context": context} if transport == "tls" else {}))
            elif relay_tcp:
                c.connect(client.name_of(at))
            else:
                c.bind(client.name_of(peer), CHANNEL)
            made.append(c)
        tap.diag("%d allocations, %d descriptors" % (len(made), files_of(d)))
        # What is under way now is not waited for.
        for n, c in enumerate(made[:600]):
            if c.transport == "udp":
                c.send_channel(CHANNEL, b"x" * 500)
                peer.sendto(b"y" * 500, c.relay)
            c.send_raw(c.signed(stun.REFRESH))
        for _ in range(20):
            sock = socket.create_connection(d.server, PATIENCE)
            tap.cleanup(sock.close)
            sock.sendall(b"\x16\x03\x01\x02\0")
        began = time.monotonic()
        d.stop()
        tap.diag("ended in %.2f s" % (time.monotonic() - began))
        for c in made:
            if c.transport in ("tcp", "tls"):
                with contextlib.suppress(OSError):
                    while c.sock.recv(65536):
                        pass
        d.start()
        Live(d, "tls").goes_on()


if __name__ == "__main__":
    tap.main()
