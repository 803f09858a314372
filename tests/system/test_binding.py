# SPDX-License-Identifier: BSD-2-Clause
"""Binding: what every client asks first (RFC 8489 section 3, RFC 5780 7.1, RFC 3489 for the oldest)."""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from daemon import Daemon, free_port

HOSTS = ("127.0.0.1", "127.0.0.5", "::1")


def check_binding(msg, c, origin):
    tap.check(msg is not None, "no answer")
    tap.equal((msg.method, msg.cls), (stun.BINDING, stun.SUCCESS), "type")
    tap.equal(msg.address(stun.XOR_MAPPED_ADDRESS), c.local, "XOR-MAPPED-ADDRESS")
    tap.equal(msg.address(stun.MAPPED_ADDRESS, xor=False), c.local, "MAPPED-ADDRESS")
    tap.equal(msg.address(stun.RESPONSE_ORIGIN, xor=False), origin, "RESPONSE-ORIGIN")


def test_mapped_address_and_origin():
    """Binding answers hold MAPPED-ADDRESS, XOR-MAPPED-ADDRESS and RESPONSE-ORIGIN on each address and transport"""
    with Daemon() as d:
        for host in HOSTS:
            for transport in ("udp", "tcp"):
                with d.client(transport, host=host) as c:
                    check_binding(c.binding(), c, (host, d.port))


def test_answers_from_the_address_asked():
    """a wildcard listener answers from the address that it was asked on"""
    with Daemon() as d:
        for host in HOSTS:
            # Not connected: the kernel would hide an answer that comes from elsewhere.
            with client.udp_socket("::1" if host == "::1" else "127.0.0.1") as sock:
                packet = stun.build(stun.BINDING)
                sock.sendto(packet, (host, d.port))
                data, source = sock.recvfrom(2048)
                tap.equal(source[:2], (host, d.port), "source of the answer")
                tap.equal(stun.Message(data).txid, packet[8:20], "transaction")


def test_fixed_listeners():
    """listeners on single addresses answer there and nowhere else"""
    port = free_port()
    listen = [{"transport": "udp", "address": "127.0.0.1", "port": port},
              {"transport": "tcp", "address": "::1", "port": port}]
    with Daemon(port=port, listen=listen) as d:
        with d.client() as c:
            check_binding(c.binding(), c, ("127.0.0.1", port))
        with d.client("tcp", host="::1") as c:
            check_binding(c.binding(), c, ("::1", port))
        for transport, host in (("tcp", "127.0.0.1"), ("tcp", "127.0.0.5")):
            try:
                client.Client((host, port), transport).close()
            except ConnectionRefusedError:
                continue
            raise AssertionError("%s %s took a connection" % (transport, host))
        with d.client(host="127.0.0.5") as c:
            tap.equal(c.exchange(stun.build(stun.BINDING), 0.3, retransmit=False), None, "answer on 127.0.0.5")


def test_classic_client():
    """a client of RFC 3489 (no magic cookie) gets MAPPED-ADDRESS with its 16-byte transaction id"""
    with Daemon() as d, d.client() as c:
        packet = stun.build(stun.BINDING, magic=0x01020304)
        c.send_raw(packet)
        data = c.recv_raw(c.timeout)
        tap.check(data is not None, "no answer")
        msg = stun.Message(data)
        tap.equal(data[4:20], packet[4:20], "16 bytes of the transaction id")
        tap.equal((msg.method, msg.cls), (stun.BINDING, stun.SUCCESS), "type")
        tap.equal(msg.address(stun.MAPPED_ADDRESS, xor=False), c.local, "MAPPED-ADDRESS")
        tap.check(not msg.has(stun.XOR_MAPPED_ADDRESS), "XOR-MAPPED-ADDRESS without a cookie to xor with")


def test_fingerprint():
    """a request with FINGERPRINT is answered; one with a wrong FINGERPRINT is not"""
    with Daemon() as d, d.client() as c:
        msg = c.binding(fingerprint=True)
        tap.check(msg and msg.cls == stun.SUCCESS, "no success with a right fingerprint")
        if msg.has(stun.FINGERPRINT):
            tap.check(msg.fingerprint_ok(), "wrong fingerprint in the answer")
        packet = stun.build(stun.BINDING, attrs=[(stun.FINGERPRINT, b"\x01\x02\x03\x04")])
        tap.equal(c.exchange(packet, 0.4, retransmit=False), None, "answer to a wrong fingerprint")


def test_unknown_attributes():
    """comprehension-required attributes that are not known are listed with 420; optional ones are ignored"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            with d.client(transport) as c:
                msg = c.binding(attrs=[(0x7001, b"abc"), (0x9001, b"x"), (0x7002, b"")])
                tap.equal(msg.code, 420, "code")
                tap.equal(sorted(msg.unknown), [0x7001, 0x7002], "UNKNOWN-ATTRIBUTES")
                tap.equal(c.binding(attrs=[(0x9001, b"x"), (stun.SOFTWARE, b"a test")]).cls, stun.SUCCESS, "class")


def test_what_is_not_answered():
    """indications, answers and unknown methods get no Binding answer, and nothing ends the daemon"""
    with Daemon() as d, d.client() as c:
        for cls in (stun.INDICATION, stun.SUCCESS, stun.ERROR):
            c.send_raw(stun.build(stun.BINDING, cls))
        tap.equal(c.recv_raw(0.3), None, "answer")
        c.send_raw(stun.build(0x0FE))
        data = c.recv_raw(0.3)
        tap.check(data is None or stun.Message(data).cls == stun.ERROR, "an unknown method has no success")
        tap.equal(c.binding().cls, stun.SUCCESS, "class")


def test_many_on_one_stream():
    """requests in one TCP segment are answered in their order"""
    with Daemon() as d, d.client("tcp") as c:
        packets = [stun.build(stun.BINDING) for _ in range(200)]
        c.send_raw(b"".join(packets))
        for p in packets:
            data = c.recv_raw(c.timeout)
            tap.check(data is not None, "no answer")
            tap.equal(data[8:20], p[8:20], "transaction")


def test_answer_sizes():
    """an answer to an unauthenticated request is small: the amplification is printed and bounded"""
    with Daemon() as d, d.client() as c:
        small = stun.build(stun.BINDING)
        answer = c.exchange(small)
        tap.diag("Binding: %d bytes for %d (x%.1f)" % (len(answer.data), len(small), len(answer.data) / len(small)))
        ask = stun.build(stun.ALLOCATE, attrs=[(stun.REQUESTED_TRANSPORT, struct.pack("!B3x", 17))])
        refusal = c.exchange(ask)
        tap.equal(refusal.code, 401, "code")
        tap.diag("401: %d bytes for %d (x%.1f)" % (len(refusal.data), len(ask), len(refusal.data) / len(ask)))
        tap.check(len(answer.data) <= 100, "Binding answer of %d bytes" % len(answer.data))
        tap.check(len(refusal.data) <= 200, "401 of %d bytes" % len(refusal.data))


if __name__ == "__main__":
    tap.main()
