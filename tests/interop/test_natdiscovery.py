# SPDX-License-Identifier: BSD-2-Clause
"""Debian's turnutils_natdiscovery and turnutils_stunclient against NAT behaviour discovery on two addresses by two ports."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system", "lib"))

import netns
import tap
from daemon import Daemon, die_with_parent, free_port, need


def daemon(hosts, **over):
    ports = (free_port(), free_port())
    while ports[0] == ports[1]:
        ports = (free_port(), free_port())
    d = Daemon(port=ports[0], server=hosts[0], listen=[{"transport": "udp", "address": h, "port": p} for h in hosts for p in ports],
               relay={"addresses": [hosts[0]]}, **over)
    d.other = "%s:%d" % (hosts[1], ports[1])  # the tools put no brackets around IPv6
    return d


def run(program, d, host, *flags, ns=None):
    def enter():
        die_with_parent()
        if ns:
            ns.enter()
    for _ in range(5):
        done = subprocess.run([need(program), *flags, "-p", str(d.port), host], capture_output=True, text=True, preexec_fn=enter,
                              timeout=50 * tap.SLOW, check=False, errors="backslashreplace")
        # The tools guess a port of their own, which others may have.
        if "Address already in use" not in done.stderr + done.stdout:
            break
    tap.on_failure(lambda: "%s %s: exit code %d\n%s%s" % (program, " ".join(flags), done.returncode, done.stdout, done.stderr))
    tap.equal(done.returncode, 0, "exit code of %s %s" % (program, " ".join(flags)))
    tap.check("Other addr: : " + d.other in done.stdout, "the other address is not %s: %s" % (d.other, done.stdout))
    return done.stdout


def cell(feature, family=4):
    return tap.cell("turnutils_natdiscovery", feature, "udp", family)


def check_discovery(out):
    for line in ("Endpoint Independent Mapping!", "Endpoint Independent Filtering!", "No ALG: Mapped == XOR-Mapped"):
        tap.check(line in out, "it does not say %r: %s" % (line, out))


def test_loopback():
    """on loopback: mapping and filtering (-m -f), with padding (-P), lifetime (-t), hairpinning (-H), collision (-c)"""
    with daemon(("127.0.0.1", "127.0.0.2")) as d:
        check_discovery(run("turnutils_natdiscovery", d, "127.0.0.1", "-m", "-f"))
        with cell("mapping and filtering with PADDING (-P)"):
            check_discovery(run("turnutils_natdiscovery", d, "127.0.0.1", "-m", "-f", "-P"))
        with cell("lifetime of bindings by RESPONSE-PORT (-t)"):
            # A client whose RESPONSE-PORT is not honoured would hear nothing the second time.
            tap.check("RFC 5780 response 2" in run("turnutils_natdiscovery", d, "127.0.0.1", "-t", "-T", "1"), "no second answer")
        with cell("hairpinning (-H)"):
            tap.check("Received a request" in run("turnutils_natdiscovery", d, "127.0.0.1", "-H"), "no hairpinning")
        run("turnutils_natdiscovery", d, "127.0.0.1", "-c", "-L", "127.0.0.1", "-A", "127.0.0.3")


def test_namespace():
    """from another host, by IPv4 and IPv6"""
    netns.need()
    server, host = netns.Namespace(), netns.Namespace()
    netns.pair(server, ["192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/64", "2001:db8::2/64"],
               host, ["192.0.2.9/24", "2001:db8::9/64"])
    for family, hosts in ((4, ("192.0.2.1", "192.0.2.2")), (6, ("2001:db8::1", "2001:db8::2"))):
        with daemon(hosts, netns=server) as d:
            with cell("mapping (RFC 5780)", family), cell("filtering (RFC 5780)", family):
                check_discovery(run("turnutils_natdiscovery", d, hosts[0], "-m", "-f", ns=host))
            # On this link what is padded travels in fragments.
            with cell("mapping and filtering with PADDING (-P)", family):
                check_discovery(run("turnutils_natdiscovery", d, hosts[0], "-m", "-f", "-P", ns=host))


def test_stunclient():
    """turnutils_stunclient hears from the other address, also after RESPONSE-PORT (-f: also forced)"""
    with daemon(("127.0.0.1", "127.0.0.2")) as d:
        for flags in ((), ("-f",)):
            out = run("turnutils_stunclient", d, "127.0.0.1", *flags)
            for n in (1, 2, 3):
                tap.check("RFC 5780 response %d" % n in out, "answer %d is missing: %s" % (n, out))
            tap.check("Response origin: : " + d.other in out, "nothing came from the other address: " + out)


def test_one_address():
    """where there is no second address both tools say so"""
    with Daemon() as d:
        done = subprocess.run([need("turnutils_stunclient"), "-p", str(d.port), "127.0.0.1"], capture_output=True, text=True,
                              timeout=50 * tap.SLOW, preexec_fn=die_with_parent, check=False, errors="backslashreplace")
        tap.check("UDP reflexive addr: 127.0.0.1:" in done.stdout, "no address: " + done.stdout)
        tap.check("Other addr" not in done.stdout, "there is no other address: " + done.stdout)


if __name__ == "__main__":
    tap.main()
