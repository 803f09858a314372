# SPDX-License-Identifier: BSD-2-Clause
"""turnpike-bench against the real daemon and a forwarder that loses, delays and misdirects packets: are its figures true?"""

import os
import re
import select
import socket
import struct
import sys
import threading
import time
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import daemon
import tap
import tool
from certs import Authority
from daemon import Daemon

BENCH = os.environ.get("TURNPIKE_BENCH") or os.path.join(daemon.BUILD, "src", "turnpike-bench")
MEASURED, FAILED, USAGE = range(3)


def run(*args, code=MEASURED, seconds=60, **kw):
    return tool.run(BENCH, *args, code=code, seconds=seconds, **kw)


def json(*args, **kw):
    out, _ = run(*args, "--json", **kw)
    return daemon.json_of(out)


LITTLE = ("--user", "user", "--clients", 4, "--rate", 800, "--duration", 0.2, "--warmup", 0.1)
# So short that what is sent in all that time has room in a relay's socket, should the server stand still.
LENGTHS = (0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5, 0.6, 0.6)


def longer(fits, *args, lengths=LENGTHS, measure=None, **kw):
    """The figures of a short run: of another where a busy machine let the generator do too little in that time."""
    for n, seconds in enumerate(lengths, 1):
        try:
            r = (measure or json)(*args, "--duration", seconds, **kw)
        except AssertionError as why:
            if "stopped before the measurement began" not in str(why) or n == len(lengths):
                raise
            continue
        if fits(r):
            break
    return r


def timed(r):
    """Whether the thread that takes the times had its turn before the end."""
    return r.get("seconds", 0) > 0 and r.get("generator_cpu_s", 0) > 0


def relay(*args, enough=1, patience=30, **kw):
    def fits(r):
        return r["sent"] >= enough and timed(r) and r.get("server_process", {}).get("cpu_us_per_packet", 1) > 0
    return longer(fits, "relay", *args, "--patience", patience, **kw)


def check_traffic(r):
    """What has to hold between the figures of any run."""
    tap.check(0 <= r["delivered"] <= r["sent"], "delivered %(delivered)d of %(sent)d" % r)
    tap.equal(sum(s["sent"] for s in r["timeline"]), r["sent"], "sent, over time")
    tap.equal(sum(s["delivered"] for s in r["timeline"]), r["delivered"], "delivered, over time")
    if r["delivered"]:
        lat = r["latency_us"]
        tap.equal(sum(count for _, _, count in lat["histogram"]), r["delivered"], "packets in the histogram")
        tap.check(lat["p50"] <= lat["p90"] <= lat["p99"] <= lat["p99_9"] <= lat["max"], "latencies %r" % lat)
        tap.check(all(a < b for a, b, _ in lat["histogram"]), "bars")
    tap.check(r["seconds"] > 0 and r["generator_cpu_s"] > 0, "times")


def check_all_delivered(r):
    check_traffic(r)
    tap.check(r["sent"] > 0, "nothing was sent")
    tap.equal((r["delivered"], r["lost_percent"], r["wrong"], r["late"]), (r["sent"], 0, 0, 0), "delivered, lost, wrong, late")


def serve(**over):
    """A daemon on every transport: (daemon, port of TLS and DTLS, authority)."""
    authority = Authority()
    port, secure = daemon.free_port(), daemon.free_port()
    listen = [{"transport": t, "address": "*", "port": p}
              for t, p in (("udp", port), ("tcp", port), ("tls", secure), ("dtls", secure))]
    return Daemon(port=port, listen=listen, tls=authority.settings(), **over), secure, authority


@tap.limit(180)
def test_relay():
    """relay: every transport, direction and framing delivers all of a little, by IPv4 and IPv6"""
    d, secure, authority = serve()
    with d:
        for transport in ("udp", "tcp", "tls", "dtls"):
            port = secure if transport in ("tls", "dtls") else d.port
            for direction in ("up", "down", "echo") if transport == "udp" else ("both",):
                r = relay(*LITTLE, "--server", "127.0.0.1:%d" % port, "--transport", transport, "--ca",
                          authority.pem, "--direction", direction, "--pid", d.pid)
                check_all_delivered(r)
                tap.equal((r["transport"], r["direction"], r["clients"]), (transport, direction, 4), "what was done")
                tap.check(r["server_process"]["cpu_us_per_packet"] > 0, "CPU of the server")
            check_all_delivered(relay(*LITTLE, "--server", "turns:[::1]:%d" % port if port == secure
                                      else "turn:[::1]:%d" % port, "--transport", transport, "--insecure", "--send",
                                      "--direction", "both"))


def can_raise_limit():
    """CAP_SYS_RESOURCE."""
    with open("/proc/self/status", encoding="ascii") as f:
        return bool(int(re.search("CapEff:\\s*(\\w+)", f.read())[1], 16) >> 24 & 1)


@tap.limit(180)
def test_shapes():
    """relay: bursts, offload, threads, odd lengths and the profiles"""
    with Daemon() as d:
        for args in (("--burst", 8, "--payload", 1200), ("--burst", 8, "--payload", 1200, "--offload"),
                     ("--threads", 3), ("--payload", 33), ("--payload", 33, "--transport", "tcp"),
                     ("--burst", 4, "--transport", "tcp"), ("--send", "--payload", 1400)):
            check_all_delivered(relay(*LITTLE, "--direction", "both", "--server", "127.0.0.1:%d" % d.port, *args))
        # With few files, clients share peers; who may raise the limit does so instead.
        if not can_raise_limit():
            for direction in ("both", "echo"):
                check_all_delivered(relay(*LITTLE, "--clients", 30, "--threads", 3, "--direction", direction,
                                          "--server", "127.0.0.1:%d" % d.port, files=100))
        for profile in ("audio", "video", "mix"):
            r = relay("--user", "user", "--server", "127.0.0.1:%d" % d.port, "--clients", 3, "--profile", profile,
                      "--warmup", 0, "--threads", 2, lengths=LENGTHS[:4])
            check_all_delivered(r)
            tap.equal(r["direction"], "both", "direction of a profile")


@tap.limit(120)
def test_storms_and_hold():
    """allocate, refresh, binding and hold: operations are counted and the server is empty afterwards"""
    with Daemon(workers=1, limits={"unauthenticated_rate": 0, "user_allocations": 20}) as d:
        server = ("--server", "127.0.0.1:%d" % d.port, "--pid", d.pid, "--user", "user")
        # Each but the last would leave nothing for the next if it did not release.
        for command in ("allocate", "refresh", "hold", "allocate", "binding"):
            args = ("--rate", 200, "--warmup", 0.1) if command != "hold" else ()
            args += ("--patience", 30) if command in ("refresh", "binding") else ()
            r = longer(lambda r: r.get("operations", 1) > 0, command, *server, "--clients", 20, *args)
            if command == "hold":
                tap.equal(r["allocations"], 20, "allocations")
                tap.check(r["setup_cpu_us"]["first_1000"] > 0, "CPU of the set-up: %r" % r)
                continue
            tap.check(r["operations"] > 0, "%s: no operations" % command)
            tap.equal(r["failed"], {}, command + ": failures")
            tap.check(r["cpu_us_per_operation"] > 0, "CPU per operation")
            tap.check(sum(n for _, _, n in r["latency_us"]["histogram"]) <= r["operations"] + 1, "latencies")
        r = longer(lambda r: r["operations"] > 0, "binding", *server, "--transport", "tcp", "--window", 8, "--patience", 30)
        tap.check(r["operations"] > 0 and not r["failed"], "binding by TCP: %r" % r)


def test_failures():
    """who failed, at which step and why; failures of a storm by their code"""
    with Daemon(limits={"unauthenticated_rate": 0, "user_allocations": 3}) as d:
        server = ("--server", "127.0.0.1:%d" % d.port)
        _, err = run("relay", *LITTLE, *server, "--threads", 1, code=FAILED)
        tap.equal(re.findall(r"client [0-3]: Allocate: 486 [A-Z]", err) != [], True, "client named in %r" % err)
        _, err = run("relay", *LITTLE, *server, password="wrong", code=FAILED)
        tap.check(re.search("client [0-3]: Allocate: 401 Unauthorized", err), "wrong password: %r" % err)
        r = longer(lambda r: r["failed"], "allocate", *server, "--user", "user", "--clients", 12, "--warmup", 0)
        tap.check(r["failed"].get("486", 0) > 0 and set(r["failed"]) == {"486"}, "failures %r" % r["failed"])
    _, err = run("relay", *LITTLE, "--transport", "tcp", *server, code=FAILED)
    tap.check("client 0: connect: Connection refused" in err, "no server: %r" % err)


@tap.limit(120)
def test_churn():
    """clients that come and go while traffic passes; those that stay are told apart and lose nothing"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            r = longer(lambda r: timed(r) and r["paced"]["sent"] and r["churn"]["allocated"], "relay", "--user", "user", "--server",
                       "127.0.0.1:%d" % d.port, "--transport", transport, "--clients", 8, "--profile", "audio", "--churn", 10,
                       "--paced", 2, "--patience", 5, lengths=(1.5, 5, 15))
            check_traffic(r)
            tap.equal(r["paced"]["sent"], r["paced"]["delivered"], "packets of those who stay")
            tap.check(r["paced"]["sent"] > 0 and r["churn"]["allocated"] > 0 and r["churn"]["failed"] == 0, "churn %r" % r["churn"])


@tap.limit(180)
def test_ramp():
    """ramp: steps, and a highest rate that it has measured"""
    with Forwarder(most=2000) as f:
        r = longer(lambda r: r["highest_rate"] > 0 and timed(r), "ramp", *f.args, "--clients", 4, "--rate", 500, "--warmup", 0,
                   lengths=(0.2,) + (0.1,) * 30)  # short ones, that a busy machine lets alone
        check_traffic(r)
        tap.equal((round(r["highest_rate"], 3), r["delivered"]), (r["rate"], r["sent"]), "the rate that is reported")
        tap.check(len(r["steps"]) >= 3 and any(s["verdict"] != "good" for s in r["steps"]), "steps %r" % r["steps"])
        tap.check(r["limited_by"] in ("server", "generator"), "limit")
        good = [s["rate"] for s in r["steps"] if s["verdict"] == "good"]
        tap.equal(r["highest_rate"], max(good), "the highest rate without loss")


class Forwarder:
    """The bare forwarder's protocol, with faults. lose: each so manieth packet; swap: pairs in the wrong order; astray: to
    the next peer; most: packets a second."""

    def __init__(self, lose=0, swap=False, astray=False, most=0):
        self.lose, self.swap, self.astray, self.most = lose, swap, astray, most
        self.main = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.big_buffers(self.main)
        self.main.bind(("127.0.0.1", 0))
        self.args = ("--protocol", "floor", "--server", "127.0.0.1:%d" % self.main.getsockname()[1])
        self.relays, self.clients, self.count, self.held = {}, {}, 0, None
        self.tokens, self.filled = 0, time.monotonic()
        self.stopping = False
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        for sock in [self.main, *self.clients]:
            sock.close()

    def serve(self):
        while not self.stopping:
            for sock in select.select([self.main, *self.clients], [], [], 0.05)[0]:
                data, source = sock.recvfrom(65536)
                if sock is not self.main:
                    self.forward(self.main, struct.pack("!HH", 0x4001, len(data)) + data, self.clients[sock])
                elif data.startswith(b"floor "):
                    self.answer(data, source)
                else:
                    relay, peer = self.relays[source]
                    self.forward(relay, data[4:], peer)

    def answer(self, data, source):
        if source not in self.relays:
            host, port = data.decode()[6:].rsplit(":", 1)
            there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.big_buffers(there)
            there.bind(("127.0.0.1", 0))
            self.relays[source] = there, (host, int(port))
            self.clients[there] = source
        self.main.sendto(b"floor 127.0.0.1:%d" % self.relays[source][0].getsockname()[1], source)

    def forward(self, sock, data, to):
        self.count += 1
        if self.lose and self.count % self.lose == 0:
            return
        if self.most and not self.token():
            return
        if self.astray and self.count % 10 == 0:
            # From the socket that the wrong peer listens to, so that it gets there.
            sock, to = [r for r in self.relays.values() if r[0] is not sock][-1]  # the last: the first may be of a run before
        if self.swap and self.held is None:
            self.held = sock, data, to
            return
        sock.sendto(data, to)
        if self.held:
            self.held[0].sendto(*self.held[1:])
            self.held = None

    def token(self):
        now = time.monotonic()
        self.tokens = min(self.tokens + (now - self.filled) * self.most, self.most / 10)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@tap.limit(180)
def test_faults():
    """what is lost, late or astray is reported so, and never as delivered"""
    little, lossy = LITTLE[2:], {"enough": 100, "patience": 1.5}
    with Forwarder() as f:
        for direction in ("up", "down", "echo"):
            check_all_delivered(relay(*f.args, *little, "--direction", direction))
    with Forwarder(lose=10) as f:
        r = relay(*f.args, *little, **lossy)
        check_traffic(r)
        tap.check(8 <= r["lost_percent"] <= 12, "one in ten was dropped, said to be lost: %r %%" % r["lost_percent"])
    with Forwarder(swap=True) as f:
        r = relay(*f.args, *little, "--clients", 1, **lossy)
        check_traffic(r)
        tap.check(abs(r["late"] - r["delivered"] / 2) <= 2, "half came late: %d of %d" % (r["late"], r["delivered"]))
    with Forwarder(astray=True) as f:
        r = relay(*f.args, *little, **lossy)
        check_traffic(r)
        tap.check(r["wrong"] > 0 and r["delivered"] < r["sent"], "astray: %r" % r)


def test_refusal():
    """no load for others: foreign addresses, and a relay on one, are refused"""
    for uri in ("192.0.2.1:3478", "turn:192.0.2.1", "turn:[2001:db8::1]"):
        _, err = run("binding", "--server", uri, code=USAGE)
        tap.check("--i-own-this-server" in err, "refusal of %s: %r" % (uri, err))


def test_mistakes():
    """mistakes in the arguments say what is wrong and what is allowed"""
    for args, part in ((["relay"], "--user is missing"), (["relay", "--payload", 20], "32 to 1400"), ([], "a command is missing"),
                       (["fly"], "there is no such command"), (["hold", "--burst", 2], "not an option of hold"),
                       (["relay", "--direction", "left"], "up, down, both or echo"), (["relay", "relay"], "one argument too many"),
                       (["relay", "--user", "u", "--server", "here"], "ADDRESS:PORT"),
                       (["relay", "--user", "u", "--churn", 1, "--paced", 50], "below --clients"),
                       (["relay", "--user", "u", "--profile", "audio", "--rate", 5], "--clients"),
                       (["binding", "--clients", 1], "open files are needed")):
        if "open files" in part:
            if can_raise_limit():
                continue
            _, err = run(*args, code=FAILED, files=20)
        else:
            _, err = run(*args, code=USAGE)
        tap.check(part in err, "%r: %r in %r" % (args, part, err))
    out, _ = run("--help")
    tap.check(all(word in out for word in ("relay", "ramp", "hold", "--i-own-this-server")), "help")


def test_output():
    """the table, the histogram and the picture"""
    picture = os.path.join(daemon.folder(), "run.svg")
    with Daemon() as d:
        out, _ = longer(lambda r: not re.search(r"^ *sent +0\b", r[0], re.MULTILINE), "relay", *LITTLE, "--server", "127.0.0.1:%d" % d.port,
                        "--pid", d.pid, "--histogram", "--plot", picture, "--patience", 30, measure=run)
    for part in ("sent ", "delivered ", "lost          0.0000 %", "latency       p50", "server CPU", "server memory", "###"):
        tap.check(part in out, "%r in\n%s" % (part, out))
    root = xml.etree.ElementTree.parse(picture).getroot()
    tap.equal(root.tag, "{http://www.w3.org/2000/svg}svg", "root of the picture")
    kinds = [e.tag.rpartition("}")[2] for e in root]
    tap.check(kinds.count("path") >= 5 and "rect" in kinds and "text" in kinds, "elements %r" % sorted(set(kinds)))
    numbers = re.findall(r' (?:x|y|width|height)="([^"]*)"', open(picture, encoding="utf-8").read())
    tap.check(all(0 <= float(n) <= 1000 for n in numbers), "coordinates inside the picture")


tap.main()
