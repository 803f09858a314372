# SPDX-License-Identifier: BSD-2-Clause
"""turnpike-probe against the real daemon and against coturn: what it does, what it says, how it exits."""

import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import daemon
import name_server
import stun
import tap
import tool
import udp_server
from certs import Authority
from daemon import Daemon

PROBE = os.environ.get("TURNPIKE_PROBE") or os.path.join(daemon.BUILD, "src", "turnpike-probe")
WORKS, FAILS, USAGE = range(3)


def run(*args, code=WORKS, **kw):
    return tool.run(PROBE, *args, code=code, **kw)


def json(*args, **kw):
    """Runs it with --json: the report, with its steps by name."""
    out, _ = run(*args, "--json", **kw)
    report = daemon.json_of(out)
    tap.equal(report["ok"], kw.get("code", WORKS) == WORKS, "ok")
    report["by_step"] = {s["step"]: s for s in report["steps"]}
    for step in report["steps"]:
        tap.check(step["status"] in ("ok", "warning", "failed") and step["ms"] >= 0, "step %r" % step)
    return report


def failure(*args, step, failure_code, **kw):
    """It must fail in that step with that code, and say what that means; gives the failure."""
    found = json(*args, code=FAILS, **kw)["failure"]
    tap.equal((found["step"], found["code"]), (step, failure_code), "failure %r" % found)
    return found


TURN_STEPS = ["resolve", "connect", "challenge", "allocate", "permission", "send", "channel", "echo", "refresh",
              "delete"]


def check_turn(report, steps=None):
    tap.equal([s["step"] for s in report["steps"]], steps or TURN_STEPS, "steps")
    tap.check(all(s["status"] == "ok" for s in report["steps"]), "steps: %r" % report["steps"])
    echo = report["by_step"]["echo"]
    tap.equal((echo["back"], echo["at_peer"]), (echo["sent"], echo["sent"]), "packets back and at the peer")
    tap.check(echo["round_trip_ms"]["min"] <= echo["round_trip_ms"]["median"] <= echo["round_trip_ms"]["max"],
              "round trips %r" % echo["round_trip_ms"])


def turn(uri, *args, **kw):
    return json("turn", uri, "--user", "user", "--count", "10", "--interval", "2", *args, **kw)


def test_stun():
    """stun: mapped address and round trips by UDP and TCP, IPv4 and IPv6"""
    with Daemon() as d:
        for host in HOSTS.values():
            for transport in ("udp", "tcp"):
                report = json("stun", "stun:%s:%d?transport=%s" % (host, d.port, transport), "--interval", "1")
                tap.equal([s["step"] for s in report["steps"]], ["resolve", "connect", "binding", "round trip"], "steps")
                tap.equal(report["mapped_address"], report["local_address"], "addresses")
                tap.equal(report["nat"], False, "nat")
                tap.equal(report["by_step"]["round trip"]["answered"], 5, "answers")
        out, err = run("stun", "stun:127.0.0.1:%d" % d.port, "--interval", "1")
        tap.check("It works" in out and "5 of 5 answered" in out and err == "", out + err)


HOSTS = {4: "127.0.0.1", 6: "[::1]"}


def every_turn(d, transport, *args, secure=None):
    """All IP versions of both legs."""
    uri = "%s:%%s:%d?transport=%s" % ("turns" if secure else "turn", d.port, "udp" if transport in ("udp", "dtls") else "tcp")
    steps = TURN_STEPS[:2] + [transport] + TURN_STEPS[2:] if secure else TURN_STEPS
    for family, host in HOSTS.items():
        for relay in HOSTS:
            with tap.cell("turnpike-probe", "turn", transport, family, relay):
                report = turn(uri % host, "--relay", str(relay), *args)
                check_turn(report, steps)
                tap.equal(report["by_step"]["permission"]["peer"], "socket", "peer")
                tap.equal("[" in report["by_step"]["allocate"]["relayed_address"], relay == 6, "IPv6 of the relayed address")
    return report


def test_turn():
    """turn: every step by UDP and TCP, all IP versions, and nothing is left behind"""
    with Daemon(limits={"user_allocations": 2}) as d:
        for transport in ("udp", "tcp"):
            report = every_turn(d, transport)
            tap.equal(report["by_step"]["challenge"]["realm"], daemon.REALM, "realm")
            tap.equal(report["by_step"]["challenge"]["password_algorithm"], "SHA-256", "algorithm")
            check_turn(turn("turn:127.0.0.1:%d?transport=%s" % (d.port, transport), "--peer", "relay"))


def test_turn_text():
    """turn: the text for people, and the sizes of packets"""
    with Daemon() as d:
        uri = "turn:127.0.0.1:%d" % d.port
        for size in ("12", "1400"):
            out, err = run("turn", uri, "--user", "user", "--count", "5", "--interval", "0", "--size", size)
            tap.check("5 of 5 packets of %s bytes came back" % size in out and "It works" in out and not err, out + err)
        lines = [line for line in out.splitlines() if re.match(r"  [a-z]+ +ok +[0-9.]+ (ms|s) ", line)]
        tap.equal([line.split()[0] for line in lines], TURN_STEPS, "lines")
        tap.check(max(map(len, out.splitlines())) <= 100, "a line is longer than 100")


def test_chooses_relay_peer():
    """turn: where the server may not relay to this host, a second allocation is the peer"""
    with Daemon(relay={"addresses": ["127.0.0.1"], "allow": []}) as d:
        uri = "turn:127.0.0.1:%d" % d.port
        report = turn(uri, "--source", "127.0.0.2")
        tap.equal(report["by_step"]["permission"]["peer"], "relay", "peer")
        tap.equal([s["step"] for s in report["steps"] if s["status"] == "warning"], ["permission"], "warnings")
        found = failure("turn", uri, "--user", "user", "--source", "127.0.0.2", "--peer", "socket", step="permission",
                        failure_code="403")
        tap.check("forbids" in found["means"] and found["check"], "advice %r" % found)


def test_credentials():
    """turn: a wrong password and an unknown user are one failure, an expired name is told"""
    with Daemon() as d:
        uri = "turn:127.0.0.1:%d" % d.port
        wrong = failure("turn", uri, "--user", "user", step="allocate", failure_code="401", password="nonsense")
        unknown = failure("turn", uri, "--user", "nobody", step="allocate", failure_code="401")
        tap.equal(wrong, unknown, "failures")
        out, _ = run("turn", uri, "--user", "1000000000:x", code=FAILS)
        tap.check("expired" in out and "What it means" in out and "- " in out, out)


def test_quota():
    """turn: a user with all its allocations in use"""
    with Daemon(limits={"user_allocations": 1}) as d:
        with d.client() as c:
            c.allocate()
            found = failure("turn", "turn:127.0.0.1:%d" % d.port, "--user", "user", step="allocate", failure_code="486")
            tap.check("limits.user_allocations" in " ".join(found["check"]), "advice %r" % found)
            c.refresh(0)


def test_wrong_port():
    """nobody there: refused by ICMP and RST, silence, a server of another kind"""
    port = daemon.free_port()
    for transport in ("udp", "tcp"):
        uri = "turn:127.0.0.1:%d?transport=%s" % (port, transport)
        step = "challenge" if transport == "udp" else "connect"
        failure("turn", uri, "--user", "user", step=step, failure_code="refused")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        found = failure("stun", "stun:127.0.0.1:%d" % deaf.getsockname()[1], "--timeout", "0.7", step="binding",
                        failure_code="timeout")
        tap.check("transport=tcp" in " ".join(found["check"]), "advice %r" % found)
    with listener(lambda c: (c.recv(100), c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), c.recv(100))) as port:
        failure("stun", "stun:127.0.0.1:%d?transport=tcp" % port, step="binding", failure_code="protocol")
    with listener(lambda c: c.recv(100)) as port:
        failure("stun", "stun:127.0.0.1:%d?transport=tcp" % port, step="binding", failure_code="closed")


class listener:
    """A TCP server that does this with every connection; gives its port."""

    def __init__(self, handle):
        self.handle = handle
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            with conn:
                try:
                    self.handle(conn)
                except OSError:
                    pass

    def __enter__(self):
        self.thread.start()
        return self.sock.getsockname()[1]

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.thread.join(daemon.PATIENCE)


class FakeServer(udp_server.Server):
    """A STUN server whose answers a function makes: request -> bytes or None."""

    def __init__(self, make):
        self.make = make
        super().__init__()

    def answer(self, data):
        return self.make(stun.Message(data))


def error(msg, code, *attrs):
    value = bytes([0, 0, code // 100, code % 100]) + b"As told\x1b[31m"
    return stun.build(msg.method, stun.ERROR, [(stun.ERROR_CODE, value), *attrs], msg.txid)


CHALLENGE = ((stun.REALM, b"example.org"), (stun.NONCE, b"nonce"))


def test_error_codes():
    """turn: a nonce that is always stale, 437, 508, 300 in a circle, an open relay's answer, an unsigned success"""
    for code in (437, 438, 508, 500, 420):
        server = FakeServer(lambda m: error(m, code if m.has(stun.USERNAME) else 401, *CHALLENGE))
        found = failure("turn", "turn:127.0.0.1:%d" % server.port, "--user", "user", step="allocate",
                        failure_code=str(code))
        tap.check("\x1b" not in found["text"] and "As told" in found["text"], "text %r" % found["text"])
        tap.check(found["means"] and found["check"], "advice %r" % found)
    server = FakeServer(lambda m: error(m, 401))
    failure("turn", "turn:127.0.0.1:%d" % server.port, "--user", "user", step="challenge", failure_code="no-realm")
    server = FakeServer(lambda m: error(m, 300, (stun.ALTERNATE_SERVER, b"\0\1" + server.port.to_bytes(2, "big")
                                                 + bytes((127, 0, 0, 1)))))
    failure("turn", "turn:127.0.0.1:%d" % server.port, "--user", "user", step="redirect", failure_code="300")
    server = FakeServer(lambda m: error(m, 401, *CHALLENGE) if not m.has(stun.USERNAME) else stun.build(
        m.method, stun.SUCCESS, [(stun.LIFETIME, b"\0\0\2\x58")], m.txid))
    failure("turn", "turn:127.0.0.1:%d" % server.port, "--user", "user", step="allocate", failure_code="unsigned")


def test_resolution():
    """names: NAPTR, SRV and addresses by RFC 5928, the next address where one is dead"""
    with Daemon() as d:
        dead = daemon.free_port()
        zone = name_server.Server({
            ("example.org", name_server.NAPTR): [(1, 1, "s", "RELAY:turn.udp", "_turn._udp.example.org")],
            ("_turn._udp.example.org", name_server.SRV): [(1, 0, dead, "host.example.org"), (2, 0, d.port, "host.example.org")],
            ("_stun._tcp.example.org", name_server.SRV): [(1, 0, d.port, "host.example.org")],
            ("host.example.org", name_server.A): ["127.0.0.1"],
        })
        report = turn("turn:example.org", "--dns", zone.address)
        resolve = report["by_step"]["resolve"]
        tap.equal([t["address"] for t in resolve["targets"]], ["127.0.0.1:%d" % dead, "127.0.0.1:%d" % d.port], "targets")
        tap.equal([s["status"] for s in report["steps"][:5]], ["ok", "ok", "warning", "ok", "ok"], "steps")
        tap.check(("example.org", name_server.NAPTR) in zone.asked, "questions %r" % zone.asked)
        json("stun", "stun:example.org?transport=tcp", "--dns", zone.address, "--interval", "1")


def test_resolution_fails():
    """names: not there, name servers that fail, that do not answer"""
    failure("stun", "stun:nothing.example.org", "--dns", name_server.Server({}).address, step="resolve",
            failure_code="dns-not-found")
    failure("stun", "stun:nothing.example.org", "--dns", name_server.Server({}, code=name_server.SERVFAIL).address,
            step="resolve", failure_code="dns-failed")
    failure("stun", "stun:a.example.org:1", "-4", "--timeout", "0.5", "--dns", name_server.Server({}, silent=True).address,
            step="resolve", failure_code="dns-failed")
    failure("stun", "stun:127.0.0.1", "-6", step="resolve", failure_code="not-found")


def test_usage():
    """mistakes in the arguments are told, with 2"""
    for args, part in ((["stun"], "URI is missing"), ([], "command is missing"), (["ping", "x"], "no such command"),
                       (["stun", "example.org"], "begin with stun:"), (["turn", "turn:a"], "--user is missing"),
                       (["turn", "stun:a", "--user", "x"], "turn: or turns:"), (["stun", "stun:a", "b"], "too many"),
                       (["stun", "stun:a", "--user", "x"], "not an option of stun"),
                       (["stun", "stun:a", "--timeout", "0"], "0.1 to 300"),
                       (["stun", "stun:a", "--count", "x"], "1 to 100000"), (["nat", "stuns:a"], "plain UDP"),
                       (["turn", "turn:a", "--user", "x", "--size", "1401"], "12 to 1400"),
                       (["turn", "turn:a", "--user", "x", "--password-file", "/nonexistent"], "No such file")):
        _, err = run(*args, code=USAGE)
        tap.check(part in err, "%r says %r" % (args, err))
    _, err = run("turn", "turn:a", "--user", "x", password="", code=USAGE)
    tap.check("password is empty" in err, err)
    for args in (["--help"], ["turn", "--help"], ["--version"]):
        out, err = run(*args)
        tap.check("turnpike-probe" in out and not err, out)


def test_password():
    """the password: from a file, the environment, a terminal without echo"""
    password = "Kq7-shown-nowhere"
    with Daemon(auth={"users": [{"name": "user", "password": password}]}) as d:
        args = ["turn", "turn:127.0.0.1:%d" % d.port, "--user", "user", "--count", "1"]
        path = os.path.join(daemon.folder(), "password")
        with open(path, "w", encoding="utf-8") as f:
            f.write(password + "\n")
        out, err = run(*args, "--password-file", path, "--json", password="wrong")
        tap.check(password not in out + err, "the password is shown")
        run(*args, password="wrong", env={"TURNPIKE_PASSWORD": password})
        out = on_terminal([PROBE, *args], b"Password of user: ", password.encode() + b"\n")
        tap.check(b"It works" in out and password.encode() not in out, "terminal: %r" % out)


def on_terminal(argv, question, answer):
    """Runs a program on a terminal and answers its question; what the terminal showed."""
    pid, fd = pty.fork()
    if pid == 0:
        daemon.die_with_parent()
        os.environ.pop("TURNPIKE_PASSWORD", None)
        os.execv(argv[0], argv)
    out, end, asked = b"", time.monotonic() + daemon.PATIENCE, False
    while time.monotonic() < end:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        out += data
        if question in out and not asked:
            os.write(fd, answer)
            asked = True
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    tap.equal(os.waitstatus_to_exitcode(status), 0, "exit status on a terminal, which showed %r" % out)
    return out


class Coturn:
    """Debian's turnserver on two loopback addresses, which is what RFC 5780 needs, with a certificate of its own."""

    def __init__(self):
        program = daemon.need("turnserver")
        self.folder = daemon.folder()
        self.port, self.tls_port = daemon.free_port(), daemon.free_port()
        authority = Authority()
        self.ca = authority.pem
        certificate, key = authority.issue(ips=["127.0.0.1"])
        log = os.path.join(self.folder, "log")
        tap.on_failure(lambda: "log of turnserver:\n" + daemon.tail(log))
        self.process = daemon.Process(
            [program, "-n", "-L", "127.0.0.1", "-L", "127.0.0.2", "-E", "127.0.0.1", "-p", str(self.port),
             "--alt-listening-port=%d" % daemon.free_port(), "--tls-listening-port=%d" % self.tls_port,
             "--alt-tls-listening-port=%d" % daemon.free_port(), "--allow-loopback-peers", "--lt-cred-mech",
             "-u", "user:pass", "-r", daemon.REALM, "--cert", certificate, "--pkey", key, "--no-cli",
             "--userdb", os.path.join(self.folder, "turndb"), "--log-file=stdout", "--simple-log",
             "--pidfile", os.path.join(self.folder, "pid")], log, cwd=self.folder)
        end = time.monotonic() + daemon.PATIENCE
        while subprocess.run([PROBE, "stun", "stun:127.0.0.1:%d" % self.port, "--timeout", "0.3", "--count", "1"],
                             capture_output=True, check=False).returncode:
            tap.check(self.process.alive() and time.monotonic() < end, "turnserver did not start")


def test_coturn():
    """coturn: turn by UDP, TCP, TLS and DTLS; nat with its two addresses"""
    server = Coturn()
    tls = TURN_STEPS[:2] + ["tls"] + TURN_STEPS[2:]
    dtls = TURN_STEPS[:2] + ["dtls"] + TURN_STEPS[2:]
    for uri, steps in (("turn:127.0.0.1:%d" % server.port, TURN_STEPS),
                       ("turn:127.0.0.1:%d?transport=tcp" % server.port, TURN_STEPS),
                       ("turns:127.0.0.1:%d" % server.tls_port, tls),
                       ("turns:localhost:%d?transport=udp" % server.tls_port, dtls)):
        report = turn(uri, "-4", "--ca", server.ca)
        check_turn(report, steps)
        check_tls(report, "localhost, turn.example.org, 127.0.0.1")
    report = json("nat", "stun:127.0.0.1:%d" % server.port)
    tap.equal((report["type"], report["mapping"], report["filtering"]),
              ("open internet", "none", "endpoint-independent"), "nat")


def check_tls(report, names):
    facts = report["by_step"].get("tls") or report["by_step"].get("dtls")
    if facts:
        tap.check(facts["verified"] and facts["alpn"] == "stun.turn" and facts["days_left"] in (29, 30), "facts %r" % facts)
        tap.equal(facts["names"], names, "names")


def secure_daemon(authority, certificate=None, **over):
    """A daemon with everything on one port, and TLS and DTLS alone on another; gives it and that port."""
    port, only = daemon.free_port(), daemon.free_port()
    listen = [{"transport": t, "address": "*", "port": p} for t, p in
              (("udp+dtls", port), ("tcp+tls", port), ("tls", only), ("dtls", only))]
    return Daemon(port=port, listen=listen, tls=authority.settings(certificate), **over), only


def test_tls():
    """turn and stun by TLS and DTLS, on ports of their own and on one port for everything"""
    authority = Authority()
    d, only = secure_daemon(authority)
    for transport, step, version in (("tcp", "tls", "TLSv1.3"), ("udp", "dtls", "DTLSv1.2")):
        every_turn(d, step, "--ca", authority.pem, secure=True)
        report = turn("turns:127.0.0.1:%d?transport=%s" % (only, transport), "--ca", authority.pem)
        check_turn(report, TURN_STEPS[:2] + [step] + TURN_STEPS[2:])
        check_tls(report, "localhost, turn.example.org, 127.0.0.1, ::1")
        tap.equal(report["by_step"][step]["version"], version, "version")
        report = json("stun", "stuns:[::1]:%d?transport=%s" % (only, transport), "--ca", authority.pem, "--interval", "1")
        tap.equal(report["by_step"][step]["alpn"], "stun.nat-discovery", "ALPN")
        check_turn(turn("turns:127.0.0.1:%d?transport=%s" % (only, transport), "--ca", authority.pem, "--peer", "relay"),
                   TURN_STEPS[:2] + [step] + TURN_STEPS[2:])
    check_turn(turn("turn:127.0.0.1:%d?transport=tcp" % d.port))


def test_certificates():
    """a certificate of an unknown authority, for another name, that has expired; --insecure"""
    authority = Authority()
    d, _ = secure_daemon(authority)
    for transport, step in (("tcp", "tls"), ("udp", "dtls")):
        uri = "turns:127.0.0.1:%d?transport=%s" % (d.port, transport)
        found = failure("turn", uri, "--user", "user", step=step, failure_code="tls-certificate")
        tap.check("--ca" in " ".join(found["check"]), "advice %r" % found)
        report = turn(uri, "--insecure")
        tap.equal(report["by_step"][step]["verified"], False, "verified")
        other = "turns:127.0.0.2:%d?transport=%s" % (d.port, transport)
        found = failure("turn", other, "--user", "user", "--ca", authority.pem, step=step, failure_code="tls-certificate")
        tap.check("mismatch" in found["text"], "text %r" % found)
    failure("turn", uri, "--user", "user", "--ca", "/nonexistent", step="dtls", failure_code="ca-file")
    d, _ = secure_daemon(authority, authority.issue("old", days=-1))
    found = failure("turn", "turns:127.0.0.1:%d" % d.port, "--user", "user", "--ca", authority.pem, step="tls",
                    failure_code="tls-certificate")
    tap.check("expired" in found["text"], "text %r" % found)


def test_alternate_server():
    """turn: goes to the server that ALTERNATE-SERVER names, whose certificate is for ALTERNATE-DOMAIN"""
    authority = Authority()
    _, only = secure_daemon(authority, authority.issue("alternate", names=["other.example.org"], ips=[]))
    for domain, code in (("other.example.org", WORKS), ("", FAILS)):
        alternate = {"servers": ["127.0.0.1:%d" % only], **({"domain": domain} if domain else {})}
        d, _ = secure_daemon(authority, authority.issue("first", names=["localhost"], ips=[]), alternate=alternate)
        report = json("turn", "turns:localhost:%d" % d.port, "-4", "--user", "user", "--count", "5", "--ca", authority.pem,
                      code=code)
        tap.equal([s["status"] for s in report["steps"] if s["step"] == "allocate"],
                  ["warning", "ok"] if domain else ["warning"], "allocations")
    tap.equal(report["failure"]["code"], "tls-certificate", "failure")


def test_nat():
    """nat: by turnpiked on two addresses by two ports"""
    ports = daemon.free_port(), daemon.free_port()
    Daemon(port=ports[0], server="127.0.0.1", relay={"addresses": ["127.0.0.1"]},
           listen=[{"transport": "udp", "address": a, "port": p} for a in ("127.0.0.1", "127.0.0.2") for p in ports])
    report = json("nat", "stun:127.0.0.1:%d" % ports[0], "--lifetime", "2", "--timeout", "2")
    tap.equal((report["type"], report["mapping"], report["filtering"]),
              ("open internet", "none", "endpoint-independent"), "nat")
    tap.equal(report["by_step"]["binding"]["other_address"], "127.0.0.2:%d" % ports[1], "other address")
    lifetime = report["by_step"]["lifetime"]
    tap.equal((lifetime["alive_s"], lifetime["dead_s"]), (2, None), "lifetime")


def test_plain_to_tls_port():
    """plain TURN to a port that speaks TLS says so"""
    _, only = secure_daemon(Authority())
    found = failure("turn", "turn:127.0.0.1:%d?transport=tcp" % only, "--user", "user", step="challenge",
                    failure_code="closed")
    tap.check("turns: speaks TLS" in " ".join(found["check"]), "advice %r" % found)


def test_tls_to_plain_port():
    """TLS to a port that speaks plain TURN says so"""
    with Daemon() as d:
        found = failure("turn", "turns:127.0.0.1:%d" % d.port, "--user", "user", "--timeout", "2", step="tls",
                        failure_code="closed")
        tap.check("no TLS at all" in found["means"], "advice %r" % found)


def test_nat_without_other_address():
    """nat: says what a server without a second address cannot tell"""
    with Daemon() as d, Daemon() as e:
        report = json("nat", "stun:127.0.0.1:%d" % d.port, code=FAILS)
        tap.equal((report["type"], report["mapping"], report["filtering"]), ("no NAT", "none", "unknown"), "nat")
        tap.check("limited" in report, "report %r" % report)
        report = json("nat", "stun:127.0.0.1:%d" % d.port, "stun:127.0.0.2:%d" % e.port, code=FAILS)
        tap.equal(report["by_step"]["mapping"]["status"], "ok", "mapping by two servers")


tap.main()
