# SPDX-License-Identifier: BSD-2-Clause
"""Every transport and IP version of both legs: turnutils_uclient by channels and by Send, and our own client with what no
installed client speaks. Few packets a cell; what is carried and how much of it is for the other tests."""

import contextlib
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system", "lib"))

import certs
import stun
import tap
from client import name_of, udp_socket
from daemon import Daemon, folder, free_port, need, Process, tail

HOSTS = {4: "127.0.0.1", 6: "::1"}
FLAGS = {"udp": [], "tcp": ["-t"], "tls": ["-t", "-S"], "dtls": ["-S"]}
PACKETS = 20
LEGS = [(family, relay) for family in HOSTS for relay in HOSTS]


def daemon(**over):
    """All transports on one port number."""
    port = free_port()
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tcp+tls")]
    return Daemon(port=port, listen=listen, tls=certs.Authority().settings(), **over)


def uclient(d, transport, family, relay, *flags):
    """Starts one; gives a function that waits for it and judges."""
    program = need("turnutils_uclient")
    log = os.path.join(folder(), "log")
    more = ["-x"] if relay == 6 else []
    child = Process([program, "-u", "user", "-w", "pass", "-p", str(d.port), "-y", "-c", "-m", "2", "-n", str(PACKETS), "-z", "5",
                     "-l", "120", *FLAGS[transport], *more, *flags, HOSTS[family]], log, cwd=d.folder)

    def finish():
        child.wait(40 * tap.SLOW)
        totals = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", tail(log, 200))
        tap.check(totals, "no summary: " + tail(log, 15))
        sent, received = (int(n) for n in totals[-1])
        tap.check(sent >= 2 * PACKETS and received == sent, "%s sent, %s came back:\n%s" % (sent, received, tail(log, 15)))
    return finish


def run_uclient(transport):
    with daemon(log={"level": "info"}) as d:
        runs = []
        for family, relay in LEGS:
            for feature, flags in (("channels", []), ("Send indications", ["-s"]), ("mobility", ["-M"])):
                runs.append((feature, family, relay, uclient(d, transport, family, relay, *flags)))
        broken = []
        for feature, family, relay, finish in runs:
            try:
                with tap.cell("turnutils_uclient", feature, transport, family, relay):
                    finish()
            except AssertionError as why:
                broken.append("%s %d%d: %s" % (feature, family, relay, why))
        tap.check(not broken, "\n".join(broken))


def test_uclient_udp():
    """turnutils_uclient over UDP: channels, Send, mobility; all IP versions"""
    run_uclient("udp")


def test_uclient_tcp():
    """turnutils_uclient over TCP (-t): channels, Send, mobility; all IP versions"""
    run_uclient("tcp")


def test_uclient_tls():
    """turnutils_uclient over TLS (-t -S): channels, Send, mobility; all IP versions"""
    run_uclient("tls")


def test_uclient_dtls():
    """turnutils_uclient over DTLS (-S): channels, Send, mobility; all IP versions"""
    run_uclient("dtls")


# --- our own client ---

def binding(c, relay):
    tap.equal(c.binding().address(stun.XOR_MAPPED_ADDRESS), c.local, "mapped address")


def allocate(c, relay):
    address = c.allocate(family=1 if relay == 4 else 2)
    tap.equal(":" in address[0], relay == 6, "family of the relayed address")
    return address


def echo(c, relay, send, number=None):
    """One payload to a peer and one back."""
    with udp_socket(HOSTS[relay]) as peer:
        where = name_of(peer)
        if number:
            c.bind(where, number)
        else:
            c.permit(where[0])
        send(where)
        payload, source = peer.recvfrom(2048)
        peer.sendto(payload[::-1], source)
        got = c.recv()
        tap.check(got and got.payload == payload[::-1], "nothing came back: %r" % (got,))
        return source


def by_channel(c, relay):
    allocate(c, relay)
    echo(c, relay, lambda where: c.send_channel(0x4000, b"by channel"), 0x4000)


def by_send(c, relay):
    allocate(c, relay)
    echo(c, relay, lambda where: c.send_indication(where, b"by Send"))


def refresh(c, relay):
    allocate(c, relay)
    tap.check(c.refresh(700) >= 700, "lifetime")
    tap.equal(c.refresh(0), 0, "lifetime of a deletion")


def both_families(c, relay):
    tap.check(c.try_allocate(additional=2).cls == stun.SUCCESS, "refused")
    tap.equal(sorted(":" in a[0] for a in c.relayed), [False, True], "families")
    with contextlib.closing(c):
        echo(c, relay, lambda where: c.send_indication(where, b"one of two"))


def even_port(c, relay):
    address = c.allocate(even_port=True, family=1 if relay == 4 else 2)
    tap.equal(address[1] % 2, 0, "port")
    tap.check(c.token, "no token")


PLAIN = (("Binding", binding), ("channels", by_channel), ("Send indications", by_send), ("Refresh", refresh),
         ("EVEN-PORT, RESERVATION-TOKEN", even_port), ("both families in one allocation", both_families))
MODERN = (("SHA-256 integrity and password algorithm", by_channel),)
ANONYMOUS = (("USERHASH", by_channel),)


def run_own(transport):
    with daemon() as d:
        for family, relay in LEGS:
            for cases, how in ((PLAIN, {}), (MODERN, {"modern": True}), (ANONYMOUS, {"modern": True, "anonymous": True})):
                for feature, case in cases:
                    if feature == "Binding" and family != relay:
                        continue
                    with tap.cell("our own client", feature, transport, family, relay), \
                            d.client(transport, host=HOSTS[family], **how) as c:
                        case(c, relay)


def test_own_udp():
    """our own client over UDP: all IP versions"""
    run_own("udp")


def test_own_tcp():
    """our own client over TCP: all IP versions"""
    run_own("tcp")


def test_own_tls():
    """our own client over TLS: all IP versions"""
    run_own("tls")


def test_own_dtls():
    """our own client over DTLS: all IP versions"""
    run_own("dtls")


if __name__ == "__main__":
    tap.main()
