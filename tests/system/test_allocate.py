# SPDX-License-Identifier: BSD-2-Clause
"""Allocations: RFC 8656 sections 7 and 8, every error code in the order of checks that is prescribed there."""

import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from daemon import Daemon, free_block, free_port, PATIENCE

UDP = (stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")
UNKNOWN = (0x7001, b"abc")


def other_peer(n=1):
    return ("127.0.0.%d" % (1 + n), 40000 + n)


def test_allocate_answers():
    """an allocation has its relayed address, mapped address and lifetime, on UDP and TCP, with each integrity"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            for modern in (False, True):
                for anonymous in (False, True) if modern else (False,):
                    with d.client(transport, modern=modern, anonymous=anonymous) as c:
                        msg = c.try_allocate()
                        tap.equal(msg.cls, stun.SUCCESS, "class of %r" % msg)
                        host, port = msg.address(stun.XOR_RELAYED_ADDRESS)
                        tap.equal(host, "127.0.0.1", "relayed address")
                        tap.check(49152 <= port <= 65535, "relayed port %d" % port)
                        tap.equal(msg.address(stun.XOR_MAPPED_ADDRESS), c.local, "XOR-MAPPED-ADDRESS")
                        tap.equal(msg.lifetime, 600, "LIFETIME")
                        if modern:
                            tap.equal(c.algorithm, stun.ALGORITHM_SHA256, "password algorithm on offer")
                        c.refresh(0)


def test_challenge():
    """without credentials: 401 with realm, nonce and algorithms, and no state"""
    with Daemon() as d, d.client() as c:
        msg = c.challenge()
        tap.equal((msg.cls, msg.code), (stun.ERROR, 401), "answer")
        tap.equal(c.realm, b"example.org", "REALM")
        bits = stun.nonce_features(c.nonce)
        tap.check(bits is not None, "nonce %r has no cookie" % c.nonce)
        tap.check(bits & stun.FEATURE_PASSWORD_ALGORITHMS, "feature bits %06x" % bits)
        tap.check(c.offered, "no PASSWORD-ALGORITHMS")
        tap.check(not msg.has(stun.MESSAGE_INTEGRITY), "a 401 cannot be signed")
        for method, attrs in ((stun.REFRESH, ()), (stun.CREATE_PERMISSION, ()), (stun.CHANNEL_BIND, ())):
            answer = c.exchange(stun.build(method, attrs=attrs))
            tap.equal(answer.code, 401, "method %#x" % method)


def test_401_before_everything():
    """an unauthenticated request with any other mistake still gets 401"""
    with Daemon() as d, d.client() as c:
        for attrs in ([UNKNOWN, UDP], [], [(stun.REQUESTED_TRANSPORT, b"\x06\0\0\0")], [UDP, (stun.EVEN_PORT, b"\x80"),
                      (stun.RESERVATION_TOKEN, b"12345678")]):
            tap.equal(c.exchange(stun.build(stun.ALLOCATE, attrs=attrs)).code, 401, "code for %r" % attrs)


def test_420():
    """unknown comprehension-required attributes: 420 that lists them, signed, and no allocation"""
    with Daemon() as d, d.client() as c:
        msg = c.try_allocate(extra=[UNKNOWN, (0x7FFF, b""), (0x9999, b"optional")])
        tap.equal(msg.code, 420, "code")
        tap.equal(sorted(msg.unknown), [0x7001, 0x7FFF], "UNKNOWN-ATTRIBUTES")
        tap.check(msg.integrity_ok(c.key()), "420 is not signed")
        tap.equal(c.try_refresh().code, 437, "refresh afterwards")
        tap.equal(c.try_allocate(extra=[(0x9999, b"optional")]).cls, stun.SUCCESS, "optional attribute")


def test_437_second_allocate():
    """a second Allocate on the same 5-tuple: 437, even with further mistakes in it"""
    with Daemon() as d, d.client() as c:
        c.allocate()
        tap.equal(c.try_allocate().code, 437, "second Allocate")
        tap.equal(c.try_allocate(transport=None).code, 437, "without REQUESTED-TRANSPORT")
        tap.equal(c.try_allocate(transport=6).code, 437, "with TCP")
        tap.equal(c.try_allocate(family=9).code, 437, "with an unknown family")


def test_437_without_allocation():
    """Refresh, CreatePermission and ChannelBind without an allocation: 437"""
    with Daemon() as d, d.client() as c:
        tap.equal(c.try_refresh().code, 437, "Refresh")
        tap.equal(c.try_refresh(0).code, 437, "Refresh 0")
        tap.equal(c.try_permit("127.0.0.2").code, 437, "CreatePermission")
        tap.equal(c.try_bind(other_peer(), 0x4000).code, 437, "ChannelBind")


def test_transport():
    """REQUESTED-TRANSPORT absent or malformed: 400; anything but UDP: 442"""
    with Daemon() as d, d.client() as c:
        tap.equal(c.try_allocate(transport=None).code, 400, "absent")
        for value in (b"", b"\x11", b"\x11\0\0\0\0\0\0\0"):
            msg = c.request(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, value)])
            tap.equal(msg.code, 400, "%d bytes" % len(value))
        for protocol in (0, 1, 132, 255):
            tap.equal(c.try_allocate(transport=protocol).code, 442, "protocol %d" % protocol)
        # 442 comes before what is wrong with the families.
        tap.equal(c.try_allocate(transport=132, family=9).code, 442, "protocol 132 with a bad family")


def test_reservation_token_with_others():
    """RESERVATION-TOKEN with EVEN-PORT or a family: 400; a token that nobody gave out: 508"""
    with Daemon() as d, d.client() as c:
        token = b"\1\2\3\4\5\6\7\x08"
        tap.equal(c.try_allocate(token=token, even_port=False).code, 400, "with EVEN-PORT")
        tap.equal(c.try_allocate(token=token, family=stun.IPV4).code, 400, "with REQUESTED-ADDRESS-FAMILY")
        tap.equal(c.try_allocate(token=token, additional=stun.IPV6).code, 400, "with ADDITIONAL-ADDRESS-FAMILY")
        tap.equal(c.try_allocate(token=token).code, 508, "unknown token")
        tap.equal(c.try_allocate(token=b"1234").code, 400, "short token")


def test_families():
    """REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY: both families, 440, 400"""
    with Daemon() as d:
        with d.client() as c:
            tap.equal(c.allocate(family=stun.IPV6)[0], "::1", "relayed address")
        with d.client(host="::1") as c:
            tap.equal(c.allocate()[0], "127.0.0.1", "the default is IPv4, also for an IPv6 client")
        with d.client() as c:
            msg = c.try_allocate(additional=stun.IPV6)
            hosts = [a[0] for a in msg.addresses(stun.XOR_RELAYED_ADDRESS)]
            tap.equal(hosts, ["127.0.0.1", "::1"], "relayed addresses")
        with d.client() as c:
            tap.equal(c.try_allocate(family=stun.IPV4, additional=stun.IPV6).code, 400, "both attributes")
            tap.equal(c.try_allocate(additional=stun.IPV4).code, 400, "additional IPv4")
            tap.equal(c.try_allocate(additional=stun.IPV6, even_port=True).code, 400, "additional with EVEN-PORT R=1")
            tap.equal(c.try_allocate(family=3).code, 440, "family 3")
    with Daemon(relay={"addresses": ["127.0.0.1"]}) as d:
        with d.client() as c:
            tap.equal(c.try_allocate(family=stun.IPV6).code, 440, "no IPv6 relay")
        with d.client() as c:
            # RFC 8656 7.2 step 7 and 7.3: the IPv4 half is given, ADDRESS-ERROR-CODE tells about the other.
            msg = c.try_allocate(additional=stun.IPV6)
            tap.equal(msg.cls, stun.SUCCESS, "class")
            value = msg.get(stun.ADDRESS_ERROR_CODE)
            tap.check(value is not None, "no ADDRESS-ERROR-CODE")
            tap.equal((value[0], (value[2] & 7) * 100 + value[3]), (stun.IPV6, 440), "family and code")
    with Daemon(relay={"addresses": ["::1"]}) as d, d.client() as c:
        tap.equal(c.try_allocate().code, 440, "IPv4 asked of a server with IPv6 relays only")
        tap.equal(c.allocate(family=stun.IPV6)[0], "::1", "relayed address")


def test_440_before_486():
    """440 comes before the quota, and an answer of 486 leaves the 5-tuple free"""
    with Daemon(limits={"user_allocations": 1, "unauthenticated_rate": 0}) as d:
        with d.client() as a, d.client() as b:
            a.allocate()
            tap.equal(b.try_allocate(family=3).code, 440, "family 3 over quota")
            tap.equal(b.try_allocate().code, 486, "over quota")
            a.refresh(0)
            tap.equal(b.try_allocate().cls, stun.SUCCESS, "class after the other has gone")


def test_retransmission():
    """a retransmitted Allocate gets the same answer; so do Refresh 0 and the rest, harmlessly"""
    with Daemon() as d, d.client() as c:
        c.challenge()
        packet = c.signed(stun.ALLOCATE, [UDP])
        began = time.monotonic()
        first = c.exchange(packet)
        tap.equal(first.cls, stun.SUCCESS, "class")
        for _ in range(3):
            again = c.exchange(packet)
            tap.equal(again.cls, stun.SUCCESS, "class of the repeated answer")
            for kind in (stun.XOR_RELAYED_ADDRESS, stun.XOR_MAPPED_ADDRESS):
                tap.equal(again.get(kind), first.get(kind), "attribute %#06x" % kind)
            most = time.monotonic() - began + 2
            tap.check(abs(again.lifetime - first.lifetime) <= most, "LIFETIME %d" % again.lifetime)
        gone = c.signed(stun.REFRESH, [(stun.LIFETIME, b"\0\0\0\0")])
        tap.equal(c.exchange(gone).cls, stun.SUCCESS, "Refresh 0")
        again = c.exchange(gone)
        tap.check(again.cls == stun.SUCCESS or again.code == 437, "Refresh 0 repeated: %r" % again)


def test_lifetimes():
    """LIFETIME: at least the default, at most the maximum; Refresh counts the same; 0 deletes"""
    limits = {"lifetime": 600, "lifetime_max": 1800, "unauthenticated_rate": 0}
    with Daemon(limits=limits) as d:
        for asked, given in ((None, 600), (0, None), (1, 600), (600, 600), (1000, 1000), (1800, 1800), (1801, 1800),
                             (0xFFFFFFFF, 1800)):
            with d.client() as c:
                if given is not None:
                    tap.equal(c.try_allocate(lifetime=asked).lifetime, given, "Allocate LIFETIME %s" % asked)
                    tap.equal(c.refresh(asked), given, "Refresh LIFETIME %s" % asked)
                else:
                    c.allocate()
                    tap.equal(c.refresh(0), 0, "Refresh LIFETIME 0")
                    tap.equal(c.try_refresh().code, 437, "Refresh of what was deleted")
                    c.allocate()


def test_refresh_family():
    """Refresh with a family that the allocation has not: 443; with one that it has: success"""
    with Daemon() as d:
        with d.client() as c:
            c.allocate()
            tap.equal(c.try_refresh(family=stun.IPV6).code, 443, "IPv6 of an IPv4 allocation")
            tap.equal(c.try_refresh(family=stun.IPV4).cls, stun.SUCCESS, "IPv4")
        with d.client() as c:
            c.allocate(additional=stun.IPV6)
            tap.equal(c.try_refresh(lifetime=0, family=stun.IPV6).cls, stun.SUCCESS, "Refresh 0 of IPv6")
            tap.equal(c.try_permit("::1").code, 443, "permission of the family that was given up")
            tap.equal(c.try_permit("127.0.0.2").cls, stun.SUCCESS, "permission of the other")


def test_permission_errors():
    """CreatePermission: no peer or a malformed one 400, another family 443, several peers at once all or nothing"""
    with Daemon(relay={"deny": ["127.0.0.9/32"]}) as d, d.client() as c, client.udp_socket("127.0.0.2") as sock:
        relayed = c.allocate()
        tap.equal(c.request(stun.CREATE_PERMISSION).code, 400, "no peer")
        tap.equal(c.request(stun.CREATE_PERMISSION, [(stun.XOR_PEER_ADDRESS, b"\0\1\2")]).code, 400, "3 bytes")
        tap.equal(c.request(stun.CREATE_PERMISSION, [(stun.XOR_PEER_ADDRESS, b"\0\7" + b"\0" * 6)]).code, 400, "family 7")
        tap.equal(c.try_permit("::1").code, 443, "IPv6 peer")
        tap.equal(c.try_permit("127.0.0.2", "127.0.0.9").code, 403, "one of two refused")
        sock.sendto(b"early", relayed)
        c.settle()
        tap.equal(c.recv(0.2), None, "data after the refused request")
        c.permit("127.0.0.2", "127.0.0.3")
        sock.sendto(b"now", relayed)
        tap.equal(c.recv().payload, b"now", "data")


def test_channel_errors():
    """ChannelBind: missing or malformed attributes, numbers out of range, conflicts: 400; another family: 443"""
    with Daemon() as d, d.client() as c:
        c.allocate()
        number = (stun.CHANNEL_NUMBER, struct.pack("!HH", 0x4000, 0))
        tap.equal(c.request(stun.CHANNEL_BIND, [number]).code, 400, "no peer")
        tap.equal(c.request(stun.CHANNEL_BIND, lambda t: [stun.peer(other_peer(), t)]).code, 400, "no number")
        tap.equal(c.request(stun.CHANNEL_BIND, lambda t: [(stun.CHANNEL_NUMBER, b"\x40"), stun.peer(other_peer(), t)]).code,
                  400, "number of 1 byte")
        for n in (0, 0x3FFF, 0x8000, 0xFFFF):
            tap.equal(c.try_bind(other_peer(), n).code, 400, "number %#x" % n)
        tap.equal(c.try_bind(("::1", 4000), 0x4000).code, 443, "IPv6 peer")
        c.bind(other_peer(1), 0x4000)
        c.bind(other_peer(1), 0x4000)
        c.bind(other_peer(2), 0x7FFF)
        tap.equal(c.try_bind(other_peer(2), 0x4000).code, 400, "number of another peer")
        tap.equal(c.try_bind(other_peer(1), 0x4001).code, 400, "peer of another number")


def test_even_port():
    """EVEN-PORT: an even port; with R the next one is held for whoever shows the token, once"""
    with Daemon() as d:
        for _ in range(10):
            with d.client() as c:
                tap.equal(c.allocate(even_port=False)[1] % 2, 0, "port modulo 2")
                tap.equal(c.token, None, "token")
        for round in range(5):
            with d.client() as a, d.client(["udp", "tcp"][round % 2]) as b, d.client() as third:
                first = a.allocate(even_port=True)
                tap.equal(first[1] % 2, 0, "port modulo 2")
                tap.equal(len(a.token), 8, "bytes of the token")
                tap.equal(b.allocate(token=a.token), (first[0], first[1] + 1), "reserved address")
                tap.equal(third.try_allocate(token=a.token).code, 508, "token shown twice")


def worker_of(d, c):
    """The number of the worker that has the client's allocation: the first byte of its session, in the log."""
    name = "client=%s:%d allocation created" % c.local
    d.wait_log(name)
    line = [text for text in d.read_log().splitlines() if name in text][-1]
    return int(line.split("session=")[1][:2], 16)


def test_even_port_across_workers():
    """a token is good in every worker, whichever gave it out"""
    with Daemon(workers=4) as d:
        pairs = set()
        for n in range(64):
            with d.client() as a, d.client(["udp", "tcp"][n % 2]) as b:
                first = a.allocate(even_port=True)
                tap.equal(b.allocate(token=a.token), (first[0], first[1] + 1), "reserved address")
                pairs.add((worker_of(d, a), worker_of(d, b)))
                a.refresh(0)
                b.refresh(0)
            if n >= 8 and sum(x != y for x, y in pairs) >= 3:
                break
        tap.diag("from worker to worker: %r" % sorted(pairs))
        tap.check(any(x != y for x, y in pairs), "every token was taken in the worker that gave it out")


def test_families_expire_by_themselves():
    """of two relayed addresses the one that is not refreshed ends, its port is free again, and the other lives on"""
    short = max(6, 2 * tap.SLOW)
    ports = free_block(8, ("127.0.0.1", "::1"))  # that no other test takes, once they are free
    with Daemon(limits={"lifetime": short, "lifetime_max": 600, "unauthenticated_rate": 0},
                relay={"ports": [ports, ports + 7]}) as d:
        begun = [(kept, lost, *begin_two(d, kept, lost)) for kept, lost in (("127.0.0.1", "::1"), ("::1", "127.0.0.1"))]
        for kept, lost, c, relayed, peer, began in begun:
            end = time.monotonic() + PATIENCE
            while (code := c.try_bind((lost, 4000), 0x4010).code) != 443:
                tap.equal(code, None, "channel of the family that will expire")
                tap.check(time.monotonic() < end, "the family that was not refreshed lives on")
                time.sleep(0.1)
            tap.check(time.monotonic() - began > short - 1, "it expired after %.1f s" % (time.monotonic() - began))
            other = stun.IPV4 if kept == "::1" else stun.IPV6
            tap.equal(c.try_refresh(family=other).code, 443, "its Refresh")
            with client.udp_socket(lost, relayed[lost]):
                pass  # its port can be bound
            peer.sendto(b"alive", (kept, relayed[kept]))
            tap.equal(c.recv().payload, b"alive", "data of the other")
            tap.equal(c.try_refresh(lifetime=0).cls, stun.SUCCESS, "Refresh 0")
            tap.equal(c.try_refresh().code, 437, "Refresh of what was deleted")


def begin_two(d, kept, lost):
    """An allocation of both families, of which one is refreshed: the client, the ports, a peer of the one, when it began."""
    c, began = d.client(), time.monotonic()
    msg = c.try_allocate(additional=stun.IPV6)
    relayed = dict(msg.addresses(stun.XOR_RELAYED_ADDRESS))
    tap.equal(set(relayed), {kept, lost}, "relayed addresses")
    tap.equal(c.try_refresh(lifetime=600, family=stun.IPV6 if kept == "::1" else stun.IPV4).lifetime, 600, "LIFETIME")
    c.bind((lost, 4001), 0x4000)
    peer = client.udp_socket(kept)
    tap.cleanup(peer.close)
    c.bind(client.name_of(peer), 0x4001)
    return c, relayed, peer, began


def test_address_error_codes():
    """ADDRESS-ERROR-CODE: either family may be the one that is missing, for either reason; neither: an error"""
    def error(msg):
        value = msg.get(stun.ADDRESS_ERROR_CODE)
        tap.check(value is not None and not value[1] and not value[2] & ~7, "ADDRESS-ERROR-CODE is %r" % value)
        return value[0], value[2] * 100 + value[3], value[4:]
    with Daemon(relay={"addresses": ["::1"]}) as d, d.client() as c:
        msg = c.try_allocate(additional=stun.IPV6)
        tap.equal([a[0] for a in msg.addresses(stun.XOR_RELAYED_ADDRESS)], ["::1"], "relayed addresses")
        tap.equal(error(msg), (stun.IPV4, 440, b"Address Family not Supported"), "ADDRESS-ERROR-CODE")
    first = free_block(2, ("127.0.0.1", "::1"))
    with Daemon(relay={"ports": [first, first + 1]}) as d:
        def only(host):
            clients = [d.client() for _ in range(2)]
            for c in clients:
                c.allocate(family=stun.IPV6 if host == "::1" else stun.IPV4)
            return clients
        for full, left, family in (("::1", "127.0.0.1", stun.IPV6), ("127.0.0.1", "::1", stun.IPV4)):
            clients = only(full)
            with d.client() as c:
                msg = c.try_allocate(additional=stun.IPV6)
                tap.equal([a[0] for a in msg.addresses(stun.XOR_RELAYED_ADDRESS)], [left], "relayed addresses")
                tap.equal(error(msg), (family, 508, b"Insufficient Capacity"), "ADDRESS-ERROR-CODE")
                c.refresh(0)
            for c in clients:
                c.refresh(0)
        clients = only("::1") + only("127.0.0.1")
        with d.client() as c:
            tap.equal(c.try_allocate(additional=stun.IPV6).code, 508, "neither family")
        for c in clients:
            c.refresh(0)


def test_token_of_another_user():
    """T8: a reservation token is good for the user that it was given to, and nobody else: 508"""
    with Daemon() as d, d.client() as a, d.client(user="other", password="word") as thief, d.client() as b:
        relayed = a.allocate(even_port=True)
        tap.equal(thief.try_allocate(token=a.token).code, 508, "another user")
        tap.equal(b.allocate(token=a.token), (relayed[0], relayed[1] + 1), "the same user")


def test_441():
    """a request for an allocation with another user's credentials: 441, and it lives on"""
    with Daemon() as d, d.client() as c:
        c.allocate()
        c.user, c.password = "other", "word"
        tap.equal(c.try_refresh(0).code, 441, "Refresh")
        tap.equal(c.try_permit("127.0.0.2").code, 441, "CreatePermission")
        tap.equal(c.try_bind(other_peer(), 0x4000).code, 441, "ChannelBind")
        c.user, c.password = "user", "pass"
        tap.equal(c.refresh(), 600, "the owner's Refresh")


def test_tuple():
    """the 5-tuple is the client's address, the server's address and the transport"""
    port = free_port()
    with Daemon() as d:
        with d.client(source=("127.0.0.1", port)) as a:
            first = a.allocate()
            with d.client("tcp", source=("127.0.0.1", port)) as b:
                tap.check(b.allocate() != first, "UDP and TCP share a relayed address")
            with client.udp_socket() as sock:
                sock.connect(("127.0.0.5", d.port))
        with d.client(source=("127.0.0.1", port), host="127.0.0.5") as c:
            tap.equal(c.try_refresh().code, 437, "Refresh to another address of the server")


def test_tcp_close_ends_it():
    """a TCP client that goes away takes its allocation with it"""
    with Daemon(limits={"user_allocations": 1, "unauthenticated_rate": 0}) as d:
        for _ in range(3):
            with d.client("tcp") as c:
                c.allocate()
            end = time.monotonic() + 20 * tap.SLOW
            with d.client() as c:
                while c.try_allocate().code == 486:
                    tap.check(time.monotonic() < end, "the allocation outlives its connection")
                    time.sleep(0.05)
                c.refresh(0)


def test_many_clients():
    """200 clients at once each have a relayed address of their own"""
    with Daemon() as d:
        clients = [d.client() for _ in range(200)]
        relayed = {c.allocate() for c in clients}
        tap.equal(len(relayed), 200, "relayed addresses")


def test_many_behind_one_address():
    """R21: 300 users behind one IP address get in at once, by retransmission where the rate limit drops some"""
    with Daemon(limits={"unauthenticated_rate": 50}) as d:
        clients = [d.client("tcp" if n % 10 == 0 else "udp", timeout=20) for n in range(300)]
        began = time.monotonic()
        tap.equal(len({c.allocate() for c in clients}), 300, "relayed addresses")
        tap.diag("300 allocations in %.1f s" % (time.monotonic() - began))


if __name__ == "__main__":
    tap.main()
