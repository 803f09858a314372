# SPDX-License-Identifier: BSD-2-Clause
"""Every transport and IP version of both legs, with every client of the command line: few packets a cell. What is carried and
how much of it is for the other tests; what no installed client speaks is spoken by our own client library, written from the
RFCs. The cells are printed as one table by tests/interop/matrix."""

import base64
import contextlib
import os
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system", "lib"))

import certs
import client
import stun
import tap
from access_token import Token
from client import name_of, udp_socket
from daemon import BUILD, Daemon, die_with_parent, folder, free_port, need, Process, tail

HOSTS = {4: "127.0.0.1", 6: "::1"}
FAMILIES = {4: stun.IPV4, 6: stun.IPV6}
LEGS = [(family, relay) for family in HOSTS for relay in HOSTS]
PACKETS = 20
KID, KEY = "north", b"01234567890123456789012345678901"  # a key that turnutils_uclient has built in
TOKENS = {"server": "blackdow.carleon.gov", "keys": [{"id": KID, "key": base64.b64encode(KEY).decode()}]}
ACCESS_TOKEN = 0x001B


def daemon(authority=None, **over):
    """All transports on one port number."""
    port = free_port()
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tcp+tls")]
    return Daemon(port=port, listen=listen, tls=(authority or certs.Authority()).settings(), **over)


class Broken:
    """Judges cells one after the other, so that one that fails does not hide the others."""

    def __init__(self):
        self.why = []

    @contextlib.contextmanager
    def cell(self, *where):
        try:
            with tap.cell(*where):
                yield
        except tap.Skip:
            raise
        except Exception as why:
            self.why.append("%s: %s: %s" % (" ".join(str(w) for w in where), type(why).__name__, why))

    def done(self):
        tap.check(not self.why, "\n".join(self.why))


# --- turnutils_uclient: it spends its time waiting, so that all runs of a transport go side by side ---

FLAGS = {"udp": [], "tcp": ["-t"], "tls": ["-t", "-S"], "dtls": ["-S"]}
UCLIENT = (("channels", ["-c"]), ("Send indications", ["-c", "-s"]), ("RTP and RTCP pairs (EVEN-PORT)", []),
           ("DONT-FRAGMENT, padding, more requests", ["-c", "-g", "-D", "-G"]))
# Over TLS and DTLS the tool does not get through its own moves (it ends with "send: Success", with coturn's server too), and
# opens connections for TCP relays with random old versions of TLS, over and over.
UCLIENT_PLAIN = {"udp": (("mobility (RFC 8016)", ["-c", "-M"]),),
                 "tcp": (("mobility (RFC 8016)", ["-c", "-M"]), ("TCP relays (RFC 6062)", ["-T"]))}


def uclient(d, transport, family, relay, flags):
    """Starts one; gives a function that waits for it and judges."""
    program = need("turnutils_uclient")
    log = os.path.join(folder(), "log")
    kind = [] if "-T" in flags else ["-y"]
    child = Process([program, "-u", "user", "-w", "pass", "-p", str(d.port), *kind, "-m", "2", "-n", str(PACKETS), "-z", "5",
                     "-l", "120", *FLAGS[transport], *(["-x"] if relay == 6 else []), *flags, HOSTS[family]], log, cwd=d.folder)

    def finish():
        child.wait(150 * tap.SLOW)
        totals = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", tail(log, 200))
        tap.check(totals, "no summary: " + tail(log, 15))
        sent, received = (int(n) for n in totals[-1])
        tap.check(sent >= 2 * PACKETS and received == sent, "%s sent, %s came back:\n%s" % (sent, received, tail(log, 15)))
    return finish


def run_uclient(transport):
    features = UCLIENT + UCLIENT_PLAIN.get(transport, ())
    broken = Broken()
    with daemon(log={"level": "info"}) as d:
        runs = [(feature, family, relay, uclient(d, transport, family, relay, flags))
                for family, relay in LEGS for feature, flags in features]
        for feature, family, relay, finish in runs:
            with broken.cell("turnutils_uclient", feature, transport, family, relay):
                finish()
        if transport in UCLIENT_PLAIN and not broken.why:
            tap.check("allocation moved" in d.read_log(), "no client moved")
    broken.done()


def test_uclient_udp():
    """turnutils_uclient over UDP"""
    run_uclient("udp")


def test_uclient_tcp():
    """turnutils_uclient over TCP (-t)"""
    run_uclient("tcp")


def test_uclient_tls():
    """turnutils_uclient over TLS (-t -S)"""
    run_uclient("tls")


def test_uclient_dtls():
    """turnutils_uclient over DTLS (-S)"""
    run_uclient("dtls")


# --- turnpike-probe ---

PROBE = os.environ.get("TURNPIKE_PROBE") or os.path.join(BUILD, "src", "turnpike-probe")
URIS = {"udp": "turn:%s:%d?transport=udp", "tcp": "turn:%s:%d?transport=tcp", "tls": "turns:%s:%d?transport=tcp",
        "dtls": "turns:%s:%d?transport=udp"}


def probe(*args):
    done = subprocess.run([PROBE, *args], input="pass\n", capture_output=True, text=True, timeout=30 * tap.SLOW, check=False,
                          preexec_fn=die_with_parent, errors="backslashreplace")
    tap.equal((done.returncode, done.stderr if done.returncode else ""), (0, ""), "turnpike-probe %s: %s" % (args, done.stdout))


def test_probe():
    """turnpike-probe stun over all transports; its turn is for test_probe.py"""
    authority, broken = certs.Authority(), Broken()
    with daemon(authority) as d:
        for transport, form in URIS.items():
            for family, host in HOSTS.items():
                uri = form % ("[%s]" % host if family == 6 else host, d.port)
                with broken.cell("turnpike-probe", "stun", transport, family):
                    probe("stun", uri.replace("turn", "stun", 1), "--ca", authority.pem, "--interval", "1")
    broken.done()


# --- coturn's STUN clients ---

def run_tool(program, d, host, *flags):
    for _ in range(5):
        done = subprocess.run([need(program), "-p", str(d.port), *flags, host], capture_output=True, text=True, check=False,
                              timeout=150 * tap.SLOW, preexec_fn=die_with_parent, errors="backslashreplace")
        out = done.stdout + done.stderr
        if "Address already in use" not in out:  # a port that the tool has guessed for itself
            break
    return out


def test_discovery():
    """turnutils_stunclient and turnutils_natdiscovery on two addresses by two ports"""
    broken = Broken()
    # Loopback has one IPv6 address only, so that version is for the namespaces of test_natdiscovery.py.
    port, other = free_port(), free_port()
    hosts = ("127.0.0.1", "127.0.0.2")
    listen = [{"transport": "udp", "address": h, "port": p} for h in hosts for p in (port, other)]
    with Daemon(port=port, listen=listen) as d:
        with broken.cell("turnutils_stunclient", "RFC 5780: other address, RESPONSE-PORT", "udp"):
            tap.check("RFC 5780 response 3" in run_tool("turnutils_stunclient", d, "127.0.0.1"), "not all answers")
        for feature, flags, said in (("mapping (RFC 5780)", ["-m"], "Endpoint Independent Mapping"),
                                     ("filtering (RFC 5780)", ["-f"], "Endpoint Independent Filtering")):
            with broken.cell("turnutils_natdiscovery", feature, "udp"):
                out = run_tool("turnutils_natdiscovery", d, "127.0.0.1", *flags)
                tap.check(said in out or "No NAT" in out, out)
    broken.done()


# --- our own client ---

def binding(c, relay):
    tap.equal(c.binding().address(stun.XOR_MAPPED_ADDRESS), c.local, "mapped address")


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
        tap.equal(client.is_v6(source[0]), relay == 6, "family of the relayed address")


def by_channel(c, relay):
    c.allocate(family=FAMILIES[relay])
    echo(c, relay, lambda where: c.send_channel(0x4000, b"by channel"), 0x4000)


def by_send(c, relay):
    c.allocate(family=FAMILIES[relay])
    echo(c, relay, lambda where: c.send_indication(where, b"by Send"))


def refresh(c, relay):
    c.allocate(family=FAMILIES[relay])
    tap.check(c.refresh(700) >= 700, "lifetime")
    tap.equal(c.refresh(0), 0, "lifetime of a deletion")


def both_families(c, relay):
    tap.equal(c.try_allocate(additional=stun.IPV6).cls, stun.SUCCESS, "class")
    tap.equal(sorted(client.is_v6(a[0]) for a in c.relayed), [False, True], "families")
    echo(c, relay, lambda where: c.send_indication(where, b"one of two"))


def even_port(c, relay):
    tap.equal(c.allocate(even_port=True, family=FAMILIES[relay])[1] % 2, 0, "port")
    with c.another() as other:
        tap.equal(other.try_allocate(token=c.token).cls, stun.SUCCESS, "class with the token")
        tap.equal(other.relayed[0][1], c.relayed[0][1] + 1, "reserved port")


def icmp(c, relay):
    c.allocate(family=FAMILIES[relay])
    with udp_socket(HOSTS[relay]) as peer:
        closed = name_of(peer)
    c.permit(closed[0])
    c.send_indication(closed, b"anybody?")
    tap.equal(c.recv_icmp()[:2], (closed, 3 if relay == 4 else 1), "peer and type")


def mobility(c, relay):
    ticket = c.try_allocate(family=FAMILIES[relay], extra=[(stun.MOBILITY_TICKET, b"")]).get(stun.MOBILITY_TICKET)
    with c.another() as moved:
        msg = moved.request(stun.REFRESH, [(stun.MOBILITY_TICKET, ticket)])
        tap.equal(msg.cls, stun.SUCCESS, "class of the Refresh with a ticket")
        echo(moved, relay, lambda where: moved.send_indication(where, b"moved"))


def tcp_relay(c, relay):
    c.allocate_tcp(family=FAMILIES[relay])
    with socket.create_server((HOSTS[relay], 0), family=client.family(HOSTS[relay])) as listener:
        listener.settimeout(c.timeout)
        with c.data_connection(c.connect(name_of(listener))) as data:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"to the client")
                tap.equal(data.recv_bytes(13), b"to the client", "bytes")


def access_token(c, relay):
    token = Token()
    sealed = token.seal(KEY, TOKENS["server"])
    c.user, c.key = KID, lambda: token.mac_key
    msg = c.try_allocate(family=FAMILIES[relay], extra=[(ACCESS_TOKEN, sealed)])
    tap.equal(msg.cls, stun.SUCCESS, "class with a token")
    echo(c, relay, lambda where: c.send_indication(where, b"with a token"))


OWN = (("Binding", binding, {}), ("channels", by_channel, {}), ("Send indications", by_send, {}), ("Refresh", refresh, {}),
       ("EVEN-PORT, RESERVATION-TOKEN", even_port, {}), ("both families in one allocation", both_families, {}),
       ("ICMP attribute", icmp, {}), ("mobility (RFC 8016)", mobility, {}), ("access token (RFC 7635)", access_token, {}),
       ("SHA-256 key and integrity", by_channel, {"modern": True}),
       ("USERHASH", by_channel, {"modern": True, "anonymous": True}))


def run_own(transport):
    broken = Broken()
    cases = OWN + ((("TCP relays (RFC 6062)", tcp_relay, {}),) if transport in ("tcp", "tls") else ())
    with daemon(tokens=TOKENS) as d:
        for family, relay in LEGS:
            for feature, case, how in cases:
                if feature == "Binding" and family != relay:
                    continue
                with broken.cell("our own client", feature, transport, family, relay), \
                        d.client(transport, host=HOSTS[family], **how) as c:
                    case(c, relay)
    broken.done()


def test_own_udp():
    """our own client over UDP"""
    run_own("udp")


def test_own_tcp():
    """our own client over TCP"""
    run_own("tcp")


def test_own_tls():
    """our own client over TLS"""
    run_own("tls")


def test_own_dtls():
    """our own client over DTLS"""
    run_own("dtls")


if __name__ == "__main__":
    tap.main()
