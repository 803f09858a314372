# SPDX-License-Identifier: BSD-2-Clause
"""Debian's turnutils_uclient and turnutils_peer against turnpiked: 10,000 packets a case, none lost.

The cases of a test run at the same time, since the tool spends most of its time waiting.
"""

import contextlib
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system", "lib"))

import tap
from daemon import Daemon, folder, free_port, need, overflows, Process, tail, wait_for_udp

PAIRS, ALTERNATE, TCP_RELAYS = "RTP and RTCP pairs (EVEN-PORT)", "ALTERNATE-SERVER", "TCP relays (RFC 6062)"
CLIENTS, PACKETS, INTERVAL = 10, 1000, 3 * tap.SLOW  # the interval is in ms


class Case:
    """One run of the client with its own daemon and peer. feature: what the compatibility matrix calls it, if it has it."""

    def __init__(self, *flags, host="127.0.0.1", peer_host="127.0.0.1", redirect=False, packets=PACKETS, feature=None,
                 interval=INTERVAL):
        program, peer_program = need("turnutils_uclient"), need("turnutils_peer")
        self.again = lambda: Case(*flags, host=host, peer_host=peer_host, redirect=redirect, packets=packets, feature=feature,
                                  interval=2 * interval)
        self.overflows = overflows()
        self.flags = " ".join(flags) or "with RTCP"
        self.feature = feature
        self.transport = "tcp" if {"-t", "-T", "-P"} & set(flags) else "udp"
        self.family, self.relay = 6 if ":" in host else 4, 6 if "-x" in flags else 4
        self.daemon = Daemon(log={"level": "info"})
        self.first = Daemon(alternate={"servers": ["%s:%d" % (host, self.daemon.port)]}) if redirect else None
        self.log = os.path.join(folder(), "log")
        self.peer_port = peer_port = free_port()
        if not {"-y", "-T", "-P"} & set(flags):
            peer_log = os.path.join(folder(), "log")
            self.peer = Process([peer_program, "-L", peer_host, "-p", str(peer_port)], peer_log)
            wait_for_udp(self.peer, peer_port)
        self.client = Process([program, "-u", "user", "-w", "pass", "-p", str((self.first or self.daemon).port), "-e", peer_host,
                               "-r", str(peer_port), "-m", str(CLIENTS), "-n", str(packets), "-z", str(interval), "-l", "160",
                               *flags, host], self.log, cwd=self.daemon.folder)
        tap.on_failure(lambda: "turnutils_uclient %s:\n%s" % (self.flags, tail(self.log, 15)))

    def cell(self):
        if not self.feature:
            return contextlib.nullcontext()
        return tap.cell("turnutils_uclient", self.feature, self.transport, self.family, self.relay)

    def finish(self, last):
        """Whether it was a run to judge. It is not, unless it is the last one, when packets were lost and the kernel has dropped
        some at a full receive buffer: the tool's hold what comes in 50 ms, and a busy machine may need longer to give it a
        processor."""
        code = self.client.wait(200 * tap.SLOW)
        lost = re.search(r"Total lost packets ([1-9]\d*)", self.output())
        if lost and not last and overflows() > self.overflows:
            tap.diag("uclient %s: lost %s, %d datagrams found full receive buffers, %d of them that of its peer: once more, at half "
                     "the rate" % (self.flags, lost.group(1), overflows() - self.overflows, drops(self.peer_port)))
            return False
        with self.cell():
            self.judge(code)
        return True

    def output(self):
        with open(self.log, encoding="utf-8", errors="backslashreplace") as f:
            return f.read()

    def judge(self, code):
        """Its summary has to count as many packets back as were sent."""
        out = self.output()
        totals = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", out)
        summary = re.findall(r"Total lost packets (\d+) \([0-9.]+%\), total send dropped (\d+)", out)
        tap.check(totals and summary, "uclient %s: no summary, exit code %d" % (self.flags, code))
        sent, received = (int(n) for n in totals[-1])
        lost, dropped = (int(n) for n in summary[-1])
        tap.diag("uclient %s: sent %d, came back %d, lost %d, dropped %d" % (self.flags, sent, received, lost, dropped))
        tap.check(sent >= PACKETS * CLIENTS, "only %d packets were sent" % sent)
        tap.equal((received, lost, dropped), (sent, 0, 0), "received, lost and dropped of uclient " + self.flags)
        if "-M" in self.flags.split():
            moved = self.daemon.read_log().count("allocation moved")
            tap.diag("%d moves" % moved)
            tap.check(moved >= CLIENTS, "the tool moved %d times only" % moved)
        if self.first:
            tap.check("300 Try Alternate" in self.first.read_log(), "nobody was redirected")
            tap.check("allocation created" not in self.first.read_log(), "the first server served somebody")
            self.first.stop()
        self.daemon.stop()


def drops(port):
    """Those of the UDP sockets that are bound to a port."""
    count = 0
    for name in ("udp", "udp6"):
        with open("/proc/net/" + name, encoding="ascii") as f:
            rows = [line.split() for line in f][1:]
        count += sum(int(row[-1]) for row in rows if int(row[1].rsplit(":", 1)[1], 16) == port)
    return count


def run(*cases):
    for left in (3, 2, 1, 0):
        cases = [case.again() for case in [case for case in cases if not case.finish(last=left == 0)]]


@tap.limit(600)
def test_udp():
    """UDP: channels (-c: no RTCP pairs), channels with RTCP pairs by EVEN-PORT, Send indications (-s)"""
    run(Case("-c"), Case(feature=PAIRS), Case("-s", "-c"))


@tap.limit(600)
def test_tcp():
    """TCP (-t): channels, Send with RTCP pairs, extra requests (-G) with padding (-D) and DONT-FRAGMENT (-g)"""
    run(Case("-t", "-c"), Case("-t", "-s", feature=PAIRS), Case("-t", "-c", "-D", "-G", "-g"))


@tap.limit(600)
def test_ipv6():
    """IPv6 relays (-x): for IPv6 clients, for IPv4 clients over TCP with RTCP pairs, with Send"""
    run(Case("-x", "-c", host="::1", peer_host="::1"), Case("-x", "-t", peer_host="::1", feature=PAIRS),
        Case("-x", "-s", "-c", host="::1", peer_host="::1"))


@tap.limit(600)
def test_client_to_client():
    """client to client (-y), relay to relay: channels, Send over TCP with RTCP pairs, IPv6"""
    run(Case("-y", "-c"), Case("-y", "-t", "-s"), Case("-y", "-x", "-c", host="::1"))


@tap.limit(600)
def test_alternate():
    """ALTERNATE-SERVER: the tool goes from the first daemon to the second, over UDP and TCP"""
    run(Case("-c", redirect=True, feature=ALTERNATE), Case("-t", "-c", redirect=True, feature=ALTERNATE))


@tap.limit(600)
def test_tcp_relay():
    """TCP relays (-T, client to client): Connect and ConnectionAttempt, IPv6; with peers that connect (-P)"""
    packets = 100  # few enough for the receive buffers of -P's peers: they never read
    passive = Case("-P", packets=packets, feature="TCP relays to peers that connect (-P)")
    run(Case("-T", feature=TCP_RELAYS), Case("-T", "-x", host="::1", feature=TCP_RELAYS))
    with passive.cell():
        judge_passive(passive, packets)


def judge_passive(passive, packets):
    # The tool does not count at those peers, so that the daemon's bytes are looked at. It makes two allocations a client and
    # leaves one of them at once; the other it deletes, or its end does.
    passive.client.wait(200 * tap.SLOW)
    passive.daemon.stop()
    found = re.findall(r"TCP allocation .* after \d+ s, sent (\d+) bytes, received (\d+) bytes", passive.daemon.read_log())
    ends = [(int(sent), int(received)) for sent, received in found if int(sent)]
    tap.diag("uclient -P: %d of %d allocations were used: %r" % (len(ends), len(found), ends))
    tap.equal(ends, [(packets * 160,) * 2] * (CLIENTS // 2), "bytes that the daemon relayed")


def test_negative():
    """the tool's negative tests (-R, -N): the daemon lives through them"""
    program = need("turnutils_uclient")
    with Daemon(log={"level": "notice"}) as d:
        children = [Process([program, "-u", "user", "-w", "pass", "-p", str(d.port), "-e", "127.0.0.1", "-n", "20", "-m", "2", "-z",
                             "5", flag, "-c", "127.0.0.1"], os.path.join(folder(), "log"), cwd=d.folder) for flag in ("-R", "-N")]
        end = time.monotonic() + 3
        while time.monotonic() < end and any(c.alive() for c in children):
            time.sleep(0.1)
            tap.check(d.answers(), "no answer")
        for c in children:
            c.kill()
        tap.check(d.answers(), "no answer afterwards")


if __name__ == "__main__":
    tap.main()
