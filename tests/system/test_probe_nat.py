# SPDX-License-Identifier: BSD-2-Clause
"""turnpike-probe behind NATs that nftables makes in network namespaces."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import daemon
import nat
import tap
from daemon import Daemon
from tap import SLOW

PROBE = os.environ.get("TURNPIKE_PROBE") or os.path.join(daemon.BUILD, "src", "turnpike-probe")
WORKS, FAILS = 0, 1
SERVER, OTHER = "203.0.113.1", "203.0.113.2"


def start(ns, *args):
    """Starts it in a namespace."""
    return subprocess.Popen([PROBE, *args, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            env={**os.environ, "TURNPIKE_PASSWORD": "pass"}, preexec_fn=prepare(ns))


def prepare(ns):
    def enter():
        daemon.die_with_parent()
        ns.enter()
    return enter


def finish(process, code):
    """Its report."""
    out, _ = process.communicate(timeout=30 * SLOW)
    tap.equal(process.returncode, code, "exit status; %s" % out)
    return json.loads(out)


def coturn(ns):
    """Debian's turnserver with two addresses, for RFC 5780; gives its port."""
    program, folder, port = daemon.need("turnserver"), daemon.folder(), 3478
    log = os.path.join(folder, "log")
    process = daemon.Process(
        [program, "-n", "-L", SERVER, "-L", OTHER, "-p", str(port), "--alt-listening-port=3479", "--no-tls", "--no-dtls",
         "--no-cli", "--lt-cred-mech", "-u", "user:pass", "-r", daemon.REALM, "--userdb", os.path.join(folder, "turndb"),
         "--log-file=stdout", "--simple-log", "--pidfile", os.path.join(folder, "pid")], log, ns, cwd=folder)
    tap.on_failure(lambda: "log of turnserver:\n" + daemon.tail(log))
    end = time.monotonic() + daemon.PATIENCE
    while subprocess.run([PROBE, "stun", "stun:%s:%d" % (SERVER, port), "--timeout", "0.3", "--count", "1"],
                         capture_output=True, check=False, preexec_fn=ns.enter).returncode:
        tap.check(process.alive() and time.monotonic() < end, "turnserver did not start")
    return port


def turnpiked(ns):
    """The daemon with two addresses; gives its port."""
    listen = [{"transport": "udp", "address": a, "port": p} for a in (SERVER, OTHER) for p in (3478, 3479)]
    Daemon(netns=ns, server=SERVER, port=3478, listen=listen, relay={"addresses": [SERVER]})
    return 3478


def nat_types(server):
    """Asks that server from behind every kind of NAT."""
    net = nat.Internet()
    port = server(net.host(SERVER, OTHER))
    hosts = [
        (net.host("203.0.113.21"), "open internet", "none", "endpoint-independent"),
        (net.host("203.0.113.22", firewall=True), "symmetric firewall", "none", "address- and port-dependent"),
        (net.behind("masquerade"), "port-restricted cone", "endpoint-independent",
         "address- and port-dependent"),
        (net.behind("static"), "full cone", "endpoint-independent", "endpoint-independent"),
        (net.behind("restricted"), "restricted cone", "endpoint-independent", "address-dependent"),
        (net.behind("random"), "symmetric", "address- and port-dependent",
         "address- and port-dependent"),
    ]
    running = [start(ns, "nat", "stun:%s:%d" % (SERVER, port)) for ns, *_ in hosts]
    for process, (_, *want) in zip(running, hosts):
        report = finish(process, WORKS)
        tap.equal([report["type"], report["mapping"], report["filtering"]], want, "nat")


def test_nat_types():
    """nat: tells the kinds of NAT apart, by turnpiked on two addresses"""
    nat_types(turnpiked)


def test_nat_types_by_coturn():
    """nat: tells the kinds of NAT apart, by coturn on two addresses"""
    nat_types(coturn)


def test_udp_blocked():
    """nat: where UDP is blocked"""
    net = nat.Internet()
    net.host(SERVER)
    host = net.host("203.0.113.21")
    report = finish(start(host, "nat", "stun:" + SERVER, "--timeout", "1"), FAILS)
    tap.equal((report["type"], report["failure"]["step"], report["failure"]["code"]),
              ("UDP blocked", "binding", "timeout"), "nat")


def test_two_servers():
    """nat: with two servers of one address each, the mapping only"""
    net = nat.Internet()
    for address in (SERVER, OTHER):
        Daemon(netns=net.host(address), server=address, port=3478, relay={"addresses": [address]})
    for kind, want in (("masquerade", ("cone of some kind", "endpoint-independent", "unknown")),
                       ("random", ("symmetric", "dependent on the destination", "unknown"))):
        host = net.behind(kind)
        report = finish(start(host, "nat", "stun:" + SERVER, "stun:" + OTHER), FAILS)
        tap.equal((report["type"], report["mapping"], report["filtering"]), want, "nat")


def relay(net):
    """turnpiked on the wide area network; gives its URI."""
    net.server = net.host(SERVER)
    Daemon(netns=net.server, server=SERVER, port=3478,
           listen=[{"transport": t, "address": "*", "port": 3478} for t in ("udp", "tcp")],
           relay={"addresses": [SERVER], "allow": ["203.0.113.0/24"]})
    return "turn:" + SERVER


def call(uri, first_host, second_host, *args):
    """Starts both."""
    first = start(first_host, "punch", uri, "--user", "user", *args)
    told = json.loads(first.stdout.readline())
    tap.check(told["run"].endswith(told["code"]), "command %r" % told)
    return first, start(second_host, "punch", uri, "--user", "user", told["code"], *args)


def punch(uri, first_host, second_host):
    """Runs both, which get through; gives their reports."""
    return [finish(process, WORKS) for process in call(uri, first_host, second_host)]


def steps(report):
    return {s["step"]: s for s in report["steps"]}


def check_path(report, address):
    """It got through, to that address of the other's NAT, and packets came back."""
    step = steps(report)["punch"]
    tap.equal((step["path"].split(":")[0], step["answered"] > 0, report["direct"]), (address, True, True), "path")


def test_punch():
    """punch: two hosts behind two NATs that lets in only answers get through, from the socket of the mapping"""
    net = nat.Internet()
    uri = relay(net)
    a, b = net.behind("masquerade"), net.behind("masquerade")
    first, second = punch(uri, a, b)
    check_path(first, b.public)
    check_path(second, a.public)
    tap.equal(steps(first)["punch"]["path"], steps(second)["mapping"]["mapped_address"], "path")
    tap.equal(steps(second)["punch"]["path"], steps(first)["mapping"]["mapped_address"], "path")
    tap.equal((steps(first)["mapping"]["symmetric"], steps(first)["meet"]["symmetric"]), (False, False), "symmetric")


def test_punch_by_tcp():
    """punch: also where the two meet by TCP"""
    net = nat.Internet()
    uri = relay(net) + "?transport=tcp"
    a = net.behind("masquerade")
    first, second = punch(uri, a, net.host("203.0.113.43"))
    check_path(first, "203.0.113.43")
    check_path(second, a.public)


def test_punch_symmetric_and_full_cone():
    """punch: a symmetric NAT on one side works with a full cone on the other"""
    net = nat.Internet()
    uri = relay(net)
    a, b = net.behind("random"), net.behind("static")
    first, second = punch(uri, a, b)
    tap.equal((steps(first)["mapping"]["symmetric"], steps(second)["meet"]["symmetric"]), (True, True), "symmetric")
    check_path(first, b.public)
    check_path(second, a.public)


def test_punch_two_symmetric():
    """punch: two symmetric NATs do not get through, and both probes say why"""
    net = nat.Internet()
    uri = relay(net)
    kinds = (("random", "random", "both-symmetric"), ("masquerade", "random", "one-symmetric"))
    pairs = [(call(uri, net.behind(a), net.behind(b), "--timeout", "3"), code) for a, b, code in kinds]
    for pair, code in pairs:
        for process in pair:
            report = finish(process, FAILS)
            tap.equal((report["failure"]["step"], report["failure"]["code"]), ("punch", code), "failure")
            tap.check("relay" in report["failure"]["means"] and report["direct"] is False, "report %r" % report)


def test_loss():
    """turn: tells what was lost on the way to the peer from what was lost on the way back"""
    net = nat.Internet()
    uri = relay(net)
    # Packets of 160 bytes with their headers: as ChannelData to the server, and as the peer sends them.
    for length, there, back in ((192, 20.0, 0.0), (188, 0.0, 20.0)):
        host = net.host("203.0.113.%d" % length)
        nat.nft(net.server, "table ip t%d { chain in { type filter hook input priority 0;"
                            " ip saddr 203.0.113.%d meta length %d numgen inc mod 5 0 drop; }\n}\n" % ((length,) * 3))
        report = finish(start(host, "turn", uri, "--user", "user", "--count", "20"), WORKS)
        echo = steps(report)["echo"]
        tap.equal((echo["status"], echo["back"], echo["loss_to_peer_percent"], echo["loss_back_percent"]),
                  ("warning", 16, there, back), "echo")


def test_local_firewall():
    """turn: a firewall on this host that forbids to send"""
    net = nat.Internet()
    host = net.host("203.0.113.81")
    nat.nft(host, "table ip t { chain out { type filter hook output priority 0; meta l4proto udp drop; }\n}\n")
    report = finish(start(host, "turn", "turn:" + SERVER, "--user", "user"), FAILS)
    tap.equal((report["failure"]["step"], report["failure"]["code"]), ("challenge", "firewall"), "failure")


def test_turn_behind_nat():
    """turn: behind a NAT the second socket is reached through it, and behind a symmetric one"""
    net = nat.Internet()
    uri = relay(net)
    for kind in ("masquerade", "random"):
        host = net.behind(kind)
        report = finish(start(host, "turn", uri, "--user", "user", "--count", "5"), WORKS)
        tap.equal(steps(report)["permission"]["peer"], "socket", "peer")
        tap.equal(steps(report)["allocate"]["mapped_address"].split(":")[0], host.public, "mapped address")


tap.main()
