#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""DTLS on UDP listeners (RFC 7350): handshakes, relaying, what a port takes, sessions and their ends."""

import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import dtls
import stun
import tap
from certs import Authority
from daemon import Daemon, PATIENCE, config_text, free_port, need, settings

HOSTS = ("127.0.0.1", "::1")


def serve(authority=None, transports=("udp+dtls",), tls=None, **over):
    """A daemon with these transports, each on a port of its own: the first on .port, all in .ports."""
    authority = authority or Authority()
    ports = [free_port() for _ in transports]
    listen = [{"transport": t, "address": "*", "port": p} for t, p in zip(transports, ports)]
    made = Daemon(port=ports[0], listen=listen, tls={**authority.settings(), **(tls or {})}, **over)
    made.ports = dict(zip(transports, ports))
    made.authority = authority
    return made


def setup(d, **kw):
    """A client with an allocation on DTLS, and a peer bound to channel 0x4000."""
    c = d.client("dtls", **kw)
    c.relay = c.allocate()
    peer = client.udp_socket("127.0.0.1" if "." in c.relay[0] else "::1")
    tap.cleanup(peer.close)
    c.bind(client.name_of(peer), 0x4000)
    return c, peer


def both_ways(c, peer, text=b"hello"):
    c.send_channel(0x4000, text)
    got, where = peer.recvfrom(65536)
    tap.equal(got, text, "what the peer got")
    peer.sendto(text, where)
    data = c.recv()
    tap.check(data, "nothing came back")
    tap.equal(data.payload, text, "what came back")


def sessions(d, count):
    """Waits until that many sessions were opened, by the log."""
    end = time.monotonic() + PATIENCE
    while d.read_log().count("session opened") < count:
        tap.check(time.monotonic() < end, "there never were %d sessions" % count)
        time.sleep(0.02)


def test_openssl():
    """openssl s_client -dtls: certificate, version, ALPN, goodbye"""
    program = need("openssl")
    with serve() as d:
        for host in HOSTS:
            where = ("[%s]:%d" if ":" in host else "%s:%d") % (host, d.port)
            child = subprocess.Popen([program, "s_client", "-dtls", "-connect", where, "-CAfile", d.authority.pem, "-alpn",
                                      "stun.turn", "-verify_return_error"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            tap.cleanup(child.kill)
            sessions(d, HOSTS.index(host) + 1)
            out = child.communicate("Q\n", timeout=PATIENCE)[0]
            for word in ("Verify return code: 0 (ok)", "DTLSv1.2", "ALPN protocol: stun.turn"):
                tap.check(word in out, "%r is not in\n%s" % (word, out))
        d.wait_log("session closed: by the client")


def test_facts():
    """DTLS 1.2 is what our client gets, with ALPN or without; an unknown protocol is no reason to refuse"""
    with serve() as d:
        for alpn, want in (((), None), (("stun.turn",), "stun.turn"), (("stun.nat-discovery",), "stun.nat-discovery"),
                           (("webrtc",), None)):
            with d.client("dtls", options={"alpn": alpn, "authority": d.authority.pem}) as c:
                tap.equal((c.sock.version, c.sock.alpn), ("DTLSv1.2", want), "version and ALPN")
                tap.equal(c.binding().cls, stun.SUCCESS, "Binding")


def test_relay():
    """allocations, channels and Send both ways, IPv4 and IPv6, from each address of a wildcard listener"""
    with serve() as d:
        for host in HOSTS + ("127.0.0.3",):
            c, peer = setup(d, host=host)
            for size in (1, 2, 3, 4, 5, 160, 1200, 4000, 16000):
                both_ways(c, peer, bytes(i & 255 for i in range(size)))
            c.send_indication(client.name_of(peer), b"sent")
            tap.equal(peer.recvfrom(2048)[0], b"sent", "sent")
            c.refresh(0)


def test_datagrams():
    """ChannelData is not padded, Data indications are, and what no record holds is dropped"""
    with serve() as d:
        c, peer = setup(d)
        peer.sendto(b"abcde", c.relay)
        tap.equal(c.recv_raw(PATIENCE), stun.channel_data(0x4000, b"abcde", pad=False), "ChannelData")
        other = client.udp_socket("127.0.0.1")
        tap.cleanup(other.close)
        peer.sendto(bytes(16381), c.relay)
        other.sendto(b"abcde", c.relay)
        frame = c.recv_raw(PATIENCE)
        tap.equal(len(frame) % 4, 0, "length of the indication, modulo 4")
        tap.equal(stun.Message(frame).get(stun.DATA), b"abcde", "data")
        both_ways(c, peer)


def test_bulk():
    """2,000 packets each way in bursts, in order"""
    with serve() as d:
        c, peer = setup(d)
        for i in range(0, 2000, 50):
            for j in range(i, i + 50):
                c.send_channel(0x4000, b"%08d" % j + bytes(100))
            for j in range(i, i + 50):
                got, where = peer.recvfrom(2048)
                tap.equal(got[:8], b"%08d" % j, "payload at the peer")
                peer.sendto(got, where)
            for j in range(i, i + 50):
                data = c.recv()
                tap.equal(data and data.payload[:8], b"%08d" % j, "payload that came back")


def test_one_port():
    """plain STUN and DTLS on one port, from one socket too"""
    with serve() as d:
        plain = d.client()
        plain.allocate()
        c, peer = setup(d, source=plain.local[0])
        both_ways(c, peer)
        tap.equal(plain.refresh(), 600, "lifetime of the plain allocation")
        # The same 5-tuple but for the transport: an allocation of its own.
        raw = c.sock.sock
        raw.send(stun.build(stun.BINDING))
        tap.equal(stun.Message(raw.recv(2048)).cls, stun.SUCCESS, "Binding in the clear")
        both_ways(c, peer)


def test_mistaken_port():
    """plain STUN on a dtls port and DTLS on a udp port are dropped, and logged once a worker"""
    with serve(transports=("udp", "dtls"), workers=1) as d:
        for _ in range(3):
            with client.Client(("127.0.0.1", d.ports["dtls"])) as c:
                c.send_raw(stun.build(stun.BINDING))
                c.send_raw(stun.channel_data(0x4000, b"data", pad=False))
                tap.equal(c.recv_raw(0.1), None, "answer to plain STUN")
            with client.Client(d.server) as c:
                c.send_raw(hello())
                tap.equal(c.recv_raw(0.1), None, "answer to a ClientHello")
        with client.Client(("127.0.0.1", d.ports["dtls"]), "dtls") as c, d.client() as plain:
            c.allocate()
            plain.settle()
            c.settle()  # so that all of that has been looked at
        log = d.read_log()
        tap.equal(log.count("plain STUN on a port for DTLS only"), 1, "lines about plain STUN")
        tap.equal(log.count("DTLS on a plain port"), 1, "lines about DTLS")


def hello(cookie=b"", message_seq=0, random=bytes(32)):
    """A ClientHello of an ECDHE client."""
    body = b"\xfe\xfd" + random + b"\0" + bytes([len(cookie)]) + cookie + b"\0\x04\xc0\x2b\xc0\x2f\x01\0"
    extensions = bytes.fromhex("000a00040002001d" "000b00020100" "000d0004000204030017" "0000")
    body += len(extensions).to_bytes(2, "big") + extensions
    length = len(body).to_bytes(3, "big")
    message = b"\x01" + length + message_seq.to_bytes(2, "big") + b"\0\0\0" + length + body
    return b"\x16\xfe\xfd" + bytes(7) + bytes([message_seq]) + len(message).to_bytes(2, "big") + message


def begin(d, source=None):
    """A client that stops in the middle of its handshake: after the cookie, with the server's flight on its way."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tap.cleanup(raw.close)
    if source:
        raw.bind(source)
    raw.connect(d.server)
    raw.settimeout(30 * tap.SLOW)
    s = dtls.DtlsSocket(raw, 20 * tap.SLOW, handshake=False)
    tap.cleanup(s.abandon)
    s.step()
    s.feed(raw.recv(2048))
    s.step()
    raw.recv(2048)
    return s


def test_handshake_limit():
    """limits.tls_handshakes: the oldest unfinished one gives way, and real clients get in all the same"""
    with serve(workers=1, limits={"tls_handshakes": 4}) as d:
        unfinished = [begin(d) for _ in range(8)]
        tap.equal(d.read_log().count("the oldest of limits.tls_handshakes"), 4, "handshakes that gave way")
        c, peer = setup(d)
        both_ways(c, peer)
        tap.equal(len(unfinished), 8, "unfinished handshakes")


def test_timeout():
    """limits.tls_timeout ends a handshake that goes nowhere; until then the server says its part again"""
    with serve(workers=1, limits={"tls_timeout": 3}) as d:
        s = begin(d)
        tap.equal(s.sock.recv(2048)[0], 22, "what comes again")
        d.wait_log("not finished within limits.tls_timeout")


def test_idle():
    """limits.tcp_idle closes a session without an allocation, and says so; one with an allocation stays"""
    with serve(workers=1, limits={"tcp_idle": 2}) as d:
        busy, peer = setup(d)
        idle = d.client("dtls")
        idle.binding()
        tap.equal(idle.recv_raw(PATIENCE), None, "what comes")
        tap.check(idle.closed, "no close_notify came")
        both_ways(busy, peer)
        busy.refresh(0)
        tap.equal(busy.recv_raw(PATIENCE), None, "what comes")
        tap.check(busy.closed, "no close_notify came when the allocation had gone")


def test_close():
    """close_notify ends the allocation, and is answered; the address can be used again at once"""
    with serve(workers=1) as d:
        source = ("127.0.0.1", free_port())  # which nobody else takes meanwhile
        c, _ = setup(d, source=source)
        raw = c.sock.sock.dup()
        c.close()
        raw.settimeout(30 * tap.SLOW)
        tap.equal(raw.recv(2048)[0], 21, "type of the answer")
        raw.close()
        d.wait_log("allocation closed")
        again, peer = setup(d, source=source)
        both_ways(again, peer)


def test_restart():
    """a client that crashed comes back on the same port: its new handshake ends the old session (RFC 6347 4.2.8)"""
    with serve(workers=1) as d:
        source = ("127.0.0.1", free_port())
        c, _ = setup(d, source=source)
        old = c.relay
        c.sock.abandon()
        again, peer = setup(d, source=source)
        d.wait_log("session closed: the client began anew")
        both_ways(again, peer)
        tap.check(again.relay != old, "the allocation was inherited")
        tap.equal(d.read_log().count("allocation closed"), 1, "allocations that ended")


def test_forged_restart():
    """a ClientHello, with the cookie or without, ends no session before a handshake is complete"""
    with serve(workers=1) as d:
        c, peer = setup(d)
        raw = c.sock.sock
        first = c.sock.sent[1]  # its own ClientHello with the cookie: said again it changes nothing
        for datagram in (hello(), first, first):
            raw.send(datagram)
            both_ways(c, peer)
        s = dtls.DtlsSocket(raw.dup(), 20 * tap.SLOW, handshake=False)
        tap.cleanup(s.abandon)
        s.step()
        s.feed(next_record(raw, 22))
        s.step()  # now there are two for this 5-tuple
        tap.equal(next_record(raw, 22)[13], 2, "a ServerHello")
        both_ways(c, peer)
        tap.equal(d.read_log().count("session closed"), 0, "sessions that ended")


def next_record(raw, kind):
    """The next datagram of that type."""
    while True:
        datagram = raw.recv(65536)
        if datagram[0] == kind:
            return datagram


def test_loss():
    """a handshake whose first datagram is lost, and later ChangeCipherSpec, so that Finished comes before it"""
    with serve() as d:
        c = d.client("dtls", options={"handshake": False})
        lost = []
        kinds = [22, 20]  # a ClientHello, ChangeCipherSpec
        c.sock.lose = lambda datagram: kinds and datagram[0] == kinds[0] and (lost.append(kinds.pop(0)) or True)
        c.sock.timeout = 20 * tap.SLOW
        c.sock.handshake()
        tap.equal(lost, [22, 20], "what was lost")
        tap.equal(c.binding().cls, stun.SUCCESS, "Binding")


def test_session_limit():
    """limits.dtls_sessions and limits.tcp_connections: more clients get no session, those that have one go on"""
    for limit, most in (("dtls_sessions", 3), ("tcp_connections", 2)):
        with serve(workers=1, limits={limit: most}) as d:
            have = [setup(d) for _ in range(most)]
            try:
                d.client("dtls", timeout=0.7)
            except socket.timeout:
                pass
            else:
                raise AssertionError("one session more than " + limit)
            for c, peer in have:
                both_ways(c, peer)
            have[0][0].close()
            d.wait_log("session closed")
            setup(d)


def test_resumption():
    """a session is resumed by its ticket, also by another worker"""
    program = need("openssl")
    with serve(workers=2) as d:
        ticket = os.path.join(d.folder, "ticket")
        for option, word in (("-sess_out", "New, "), ("-sess_in", "Reused, ")) + (("-sess_in", "Reused, "),) * 3:
            before = d.read_log().count("session opened")
            child = subprocess.Popen([program, "s_client", "-dtls", "-connect", "127.0.0.1:%d" % d.port, option, ticket],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            tap.cleanup(child.kill)
            sessions(d, before + 1)
            out = child.communicate("Q\n", timeout=PATIENCE)[0]
            tap.check(word in out, "%r is not in\n%s" % (word, out))
        tap.equal(d.read_log().count(", resumed"), 4, "sessions that the server resumed")


def test_client_certificate():
    """tls.client_ca: who has no certificate gets no session"""
    authority = Authority()
    with serve(authority, tls={"client_ca": authority.pem}) as d:
        good = d.client("dtls", options={"certificate": authority.issue("client")})
        tap.equal(good.binding().cls, stun.SUCCESS, "Binding")
        c = d.client("dtls", options={"handshake": False})
        try:
            c.sock.handshake()
            c.sock.recv(100)
        except (dtls.DtlsError, ConnectionResetError) as why:
            tap.diag(str(why))
        else:
            raise AssertionError("served without a certificate")
        d.wait_log("did not return a certificate")


def test_reload():
    """a new certificate for new sessions on reload; those that there are go on"""
    authority, other = Authority(), Authority("another authority")
    d = serve(authority)
    with d:
        c, peer = setup(d, options={"authority": authority.pem})
        changed = settings(d.port, listen=[{"transport": "udp+dtls", "address": "*", "port": d.port}], tls=other.settings())
        with open(d.config, "w", encoding="utf-8") as f:
            f.write(config_text(changed))
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("configuration")
        end = time.monotonic() + 30 * tap.SLOW
        while True:
            try:
                setup(d, options={"authority": other.pem})
                break
            except dtls.DtlsError:
                tap.check(time.monotonic() < end, "still the old certificate")
        both_ways(c, peer)


def test_end():
    """at the end of the daemon sessions are closed; after its restart clients get new ones"""
    with serve() as d:
        source = ("127.0.0.1", free_port())
        c, _ = setup(d, source=source)
        d.stop()
        tap.equal(c.recv_raw(PATIENCE), None, "what comes")
        tap.check(c.closed, "no close_notify came")
        c.close()
        d.start()
        again, peer = setup(d, source=source)
        both_ways(again, peer)


if __name__ == "__main__":
    tap.main()
