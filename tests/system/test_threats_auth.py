# SPDX-License-Identifier: BSD-2-Clause
"""T4-T6: getting in. Credentials, nonces, integrity, and user names that carry their own expiry."""

import base64
import hashlib
import hmac
import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from daemon import Daemon, add_user, folder, must_ctl, REALM

UDP = (stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")
SECRET = "north and south"


def shape(msg):
    """What a stranger can tell of an answer: everything but nonce and transaction."""
    return (msg.cls, msg.get(stun.ERROR_CODE), tuple(msg.types()), len(msg.data), msg.get(stun.REALM),
            msg.get(stun.PASSWORD_ALGORITHMS))


def refusal(d, user, password, **kw):
    """The answer to one Allocate with these credentials."""
    with d.client(user=user, password=password, **kw) as c:
        c.challenge()
        return c.exchange(c.signed(stun.ALLOCATE, [UDP]))


def test_same_answer():
    """T4: unknown user, wrong password, disabled and expired user get the same answer, byte for byte but the nonce"""
    store = "sqlite:" + os.path.join(folder(), "users.db")
    add_user(store, "disabled", "pass")
    must_ctl("user", "disable", "disabled", "--realm", REALM, "--store", store)
    with Daemon(auth={"stores": [store]}) as d:
        for kw in ({}, {"modern": True}, {"transport": "tcp"}):
            shapes = {shape(refusal(d, user, password, **kw)) for user, password in
                      (("user", "wrong"), ("nobody", "pass"), ("disabled", "pass"), ("user", ""), ("u" * 508, "pass"))}
            tap.equal(len(shapes), 1, "different answers for %r: %r" % (kw, shapes))
            tap.equal(refusal(d, "nobody", "pass", **kw).code, 401, "code")


def test_same_cost():
    """T4: an unknown user costs the same time as a wrong password (printed; asserted coarsely)"""
    with Daemon() as d:
        times = {}
        clients = {"user": d.client(user="user", password="wrong"), "nobody": d.client(user="nobody", password="wrong")}
        for name, c in clients.items():
            c.challenge()
            times[name] = []
        for _ in range(300):
            for name, c in clients.items():
                packet = c.signed(stun.REFRESH)
                begin = time.perf_counter()
                tap.equal(c.exchange(packet).code, 401, "code")
                times[name].append(time.perf_counter() - begin)
        # Not the median: what a busy machine adds can be more than the answer takes in half of all cases.
        quick = {name: sorted(t)[len(t) // 10] * 1e6 for name, t in times.items()}
        tap.diag("a tenth is quicker than: wrong password %.0f us, unknown user %.0f us" % (quick["user"], quick["nobody"]))
        tap.check(abs(quick["user"] - quick["nobody"]) < 200 * tap.SLOW, "times differ: %r" % quick)


def test_wrong_realm():
    """T4: another realm in the request is refused"""
    with Daemon() as d, d.client() as c:
        c.challenge()
        c.realm = b"example.com"
        tap.check(c.exchange(c.signed(stun.ALLOCATE, [UDP])).code in (400, 401), "a foreign realm is let in")
        c.challenge()
        tap.equal(c.try_allocate().cls, stun.SUCCESS, "class with the right realm")


def test_replayed_nonce():
    """T4: a nonce that was given to another address is stale (438); the answer holds a fresh one"""
    with Daemon() as d, d.client() as a, d.client(source="127.0.0.2") as b:
        a.challenge()
        b.challenge()
        b.nonce, own = a.nonce, b.nonce
        msg = b.exchange(b.signed(stun.ALLOCATE, [UDP]))
        tap.equal(msg.code, 438, "code")
        tap.check(msg.has(stun.REALM) and msg.has(stun.NONCE), "438 without REALM and NONCE")
        tap.check(msg.get(stun.NONCE) != a.nonce, "438 gives the same nonce again")
        tap.check(not msg.has(stun.XOR_RELAYED_ADDRESS), "relayed address in an error")
        b.nonce = own
        tap.equal(b.exchange(b.signed(stun.ALLOCATE, [UDP])).cls, stun.SUCCESS, "class with its own nonce")
        # Refreshing a stranger's allocation by replaying the whole request from elsewhere.
        a.allocate()
        replay = a.signed(stun.REFRESH, [(stun.LIFETIME, b"\0\0\0\0")])
        with d.client(source="127.0.0.3") as thief:
            tap.equal(thief.exchange(replay).code, 438, "replay from another address")
        tap.equal(a.refresh(), 600, "the owner's Refresh")


def test_stale_nonce():
    """T4: a nonce past its lifetime gives 438, also for the owner of an allocation; the fresh one works"""
    auth = {"nonce_lifetime": 1, "users": [{"name": "user", "password": "pass"}]}
    with Daemon(auth=auth) as d, d.client() as c:
        tap.persist(c.allocate, client.StunError)  # as often as a nonce has grown old on the way
        time.sleep(2.2)
        msg = c.exchange(c.signed(stun.REFRESH))
        tap.equal(msg.code, 438, "code")

        def fresh():
            nonlocal msg
            c.learn(msg)
            asked = time.monotonic()
            msg = c.exchange(c.signed(stun.REFRESH))
            tap.check(msg.cls == stun.SUCCESS or time.monotonic() - asked > 0.5, "a fresh nonce is refused: %r" % msg)
            return msg.cls == stun.SUCCESS
        tap.until("success with a fresh nonce", fresh)


def test_forged_nonces():
    """T4: nonces that we did not make, or made and changed in any place, are stale"""
    with Daemon() as d, d.client() as c:
        c.challenge()
        good = c.nonce
        forged = [b"", b"x", b"obMatJos2", b"obMatJos2AAAA", good[:-1], good + b"A", good[:13], b"A" * len(good), b"x" * 763,
                  b"\0" * 46, b"%n%s" * 10]
        for i in range(0, len(good)):
            forged.append(good[:i] + bytes([good[i] ^ 1]) + good[i + 1:])
        for nonce in forged:
            c.nonce = nonce
            msg = c.exchange(c.signed(stun.ALLOCATE, [UDP]))
            tap.check(msg.cls == stun.ERROR and msg.code in (400, 401, 438), "nonce %r: %r" % (nonce, msg))
        c.nonce = good
        tap.equal(c.exchange(c.signed(stun.ALLOCATE, [UDP])).cls, stun.SUCCESS, "class with the untouched nonce")


def test_missing_attributes():
    """T4: MESSAGE-INTEGRITY without USERNAME, REALM or NONCE: 400 without a challenge; none at all: 401 with one"""
    with Daemon() as d, d.client() as c:
        c.challenge()
        names = {stun.USERNAME: b"user", stun.REALM: c.realm, stun.NONCE: c.nonce}
        for missing in names:
            attrs = [UDP] + [(k, v) for k, v in names.items() if k != missing]
            msg = c.exchange(stun.build(stun.ALLOCATE, attrs=attrs, key=c.key()))
            tap.equal(msg.code, 400, "code without %#06x" % missing)
            tap.check(not msg.has(stun.NONCE), "400 with a nonce")
        msg = c.exchange(stun.build(stun.ALLOCATE, attrs=[UDP] + list(names.items())))
        tap.equal(msg.code, 401, "code without integrity")
        tap.check(msg.has(stun.NONCE) and msg.has(stun.REALM), "401 without a challenge")
        tap.equal(c.try_refresh().code, 437, "nothing was allocated")


def test_attributes_after_integrity():
    """T5: what stands behind MESSAGE-INTEGRITY is ignored, on every method"""
    with Daemon() as d:
        with d.client() as c:
            c.challenge()
            # A lifetime, a transport and a comprehension-required stranger that nobody signed.
            after = [(stun.LIFETIME, struct.pack("!I", 3600)), (stun.EVEN_PORT, b"\x80"), (0x7001, b"x")]
            msg = c.exchange(c.signed(stun.ALLOCATE, [UDP], after=after))
            tap.equal(msg.cls, stun.SUCCESS, "class of %r" % msg)
            tap.equal(msg.lifetime, 600, "LIFETIME")
            tap.check(not msg.has(stun.RESERVATION_TOKEN), "an unsigned EVEN-PORT was obeyed")
            msg = c.exchange(c.signed(stun.REFRESH, after=[(stun.LIFETIME, b"\0\0\0\0")]))
            tap.equal((msg.cls, msg.lifetime), (stun.SUCCESS, 600), "Refresh with an unsigned lifetime 0")
            tap.equal(c.refresh(), 600, "Refresh")
            txid = stun.new_txid()
            packet = c.signed(stun.CREATE_PERMISSION, txid=txid, after=[stun.peer(("127.0.0.2", 1), txid)])
            tap.equal(c.exchange(packet).code, 400, "CreatePermission with an unsigned peer only")
            packet = c.signed(stun.CHANNEL_BIND, [(stun.CHANNEL_NUMBER, b"\x40\0\0\0")], txid=txid,
                              after=[stun.peer(("127.0.0.2", 1), txid)])
            tap.equal(c.exchange(packet).code, 400, "ChannelBind with an unsigned peer")
        with d.client() as c:
            c.challenge()
            tap.equal(c.exchange(c.signed(stun.ALLOCATE, after=[UDP])).code, 400, "unsigned REQUESTED-TRANSPORT only")
            # Credentials that only stand behind the integrity do not count.
            after = [(stun.USERNAME, b"user"), (stun.REALM, c.realm), (stun.NONCE, c.nonce)]
            msg = c.exchange(stun.build(stun.ALLOCATE, attrs=[UDP], key=c.key(), after=after))
            tap.check(msg.cls == stun.ERROR, "credentials behind the integrity were used: %r" % msg)


def test_integrity_length():
    """T5: MESSAGE-INTEGRITY of any length but 20 and SHA-256 shorter than its 32 bytes or odd are refused"""
    with Daemon() as d, d.client() as c:
        c.challenge()
        base = [UDP] + c.credentials()
        txid = stun.new_txid()
        body = b"".join(stun.attribute(*a) for a in base)
        for size in (0, 1, 4, 16, 19, 21, 24, 32, 64):
            mac = stun.sign(stun.ALLOCATE, stun.REQUEST, body, txid, c.key(), hashlib.sha1, min(size, 20))
            packet = stun.build(stun.ALLOCATE, attrs=base + [(stun.MESSAGE_INTEGRITY, mac.ljust(size, b"\0"))], txid=txid)
            msg = c.exchange(packet, timeout=0.3, retransmit=False)
            tap.check(msg is None or msg.code in (400, 401), "%d bytes: %r" % (size, msg))
    with Daemon() as d:
        for size in (0, 4, 12, 15, 17, 20, 28, 31, 36):
            with d.client(modern=True) as c:
                c.challenge()
                msg = c.exchange(c.signed(stun.ALLOCATE, [UDP], truncate=size), timeout=0.3, retransmit=False)
                # RFC 8489 14.6: 16 to 32 in steps of 4, but long-term credentials use all 32 unless agreed otherwise.
                tap.check(msg is None or msg.code in (400, 401), "SHA-256 of %d bytes: %r" % (size, msg))


def test_both_integrities():
    """T5: with both integrity attributes the SHA-256 one counts; a wrong one is not saved by the right other"""
    with Daemon() as d:
        with d.client(modern=True) as c:
            c.challenge()
            msg = c.exchange(c.signed(stun.ALLOCATE, [UDP], integrity="both"))
            tap.check(msg.cls == stun.SUCCESS or msg.code in (400, 401), "both right: %r" % msg)
            tap.diag("both integrity attributes: %s" % (msg.code or "accepted"))
        for wrong in ("sha1", "sha256"):
            with d.client(modern=True) as c:
                c.challenge()
                packet = bytearray(c.signed(stun.ALLOCATE, [UDP], integrity="both"))
                for kind, value, at in stun.Message(packet).attrs:
                    if kind == (stun.MESSAGE_INTEGRITY if wrong == "sha1" else stun.MESSAGE_INTEGRITY_SHA256):
                        packet[at + 4] ^= 1
                msg = c.exchange(bytes(packet))
                if wrong == "sha256":
                    tap.check(msg.code in (400, 401), "SHA-256 wrong: %r" % msg)


def test_bid_down():
    """T5: a changed PASSWORD-ALGORITHMS, a choice that was not offered, or a nonce with its bits cleared is refused"""
    with Daemon() as d:
        with d.client(modern=True) as c:
            c.challenge()
            tap.check(c.offered, "no PASSWORD-ALGORITHMS on offer")
            md5_only = struct.pack("!HH", stun.ALGORITHM_MD5, 0)
            names = [UDP, (stun.USERNAME, b"user"), (stun.REALM, c.realm), (stun.NONCE, c.nonce)]
            sha256 = (stun.PASSWORD_ALGORITHM, struct.pack("!HH", stun.ALGORITHM_SHA256, 0))
            md5 = (stun.PASSWORD_ALGORITHM, md5_only)
            key_md5 = stun.key_md5("user", c.realm, "pass")
            key_sha256 = stun.key_sha256("user", c.realm, "pass")
            cases = {
                "a shortened list": (names + [(stun.PASSWORD_ALGORITHMS, md5_only), md5], key_md5),
                "a list in another order": (names + [(stun.PASSWORD_ALGORITHMS, c.offered[4:] + c.offered[:4]), md5], key_md5),
                "a list without a choice": (names + [(stun.PASSWORD_ALGORITHMS, c.offered)], key_md5),
                "a choice without the list": (names + [sha256], key_sha256),
                "an algorithm that was not offered": (names + [(stun.PASSWORD_ALGORITHMS, c.offered),
                                                               (stun.PASSWORD_ALGORITHM, b"\0\x09\0\0")], key_md5),
                "an empty choice": (names + [(stun.PASSWORD_ALGORITHMS, c.offered), (stun.PASSWORD_ALGORITHM, b"")], key_md5),
            }
            for what, (attrs, key) in cases.items():
                for integrity in ("sha1", "sha256"):
                    msg = c.exchange(stun.build(stun.ALLOCATE, attrs=attrs, key=key, integrity=integrity))
                    tap.check(msg.code in (400, 401), "%s (%s): %r" % (what, integrity, msg))
            # The nonce's feature bits cleared, as a man in the middle would: the nonce is no longer ours.
            bits = base64.b64encode(b"\0\0\0")
            c.nonce = c.nonce[:9] + bits + c.nonce[13:]
            c.algorithm = None
            tap.equal(c.exchange(c.signed(stun.ALLOCATE, [UDP])).code, 438, "nonce with its bits cleared")
        with d.client(modern=True) as c:
            # The right way still works, with each algorithm.
            for algorithm in (stun.ALGORITHM_MD5, stun.ALGORITHM_SHA256):
                c.challenge()
                c.algorithm = algorithm
                msg = c.exchange(c.signed(stun.ALLOCATE, [UDP]))
                tap.equal(msg.cls, stun.SUCCESS, "class with algorithm %d" % algorithm)
                c.refresh(0)


def test_classic_integrity_still_works():
    """T5: a client that knows SHA-1 and MD5 only is served although more is offered"""
    with Daemon() as d, d.client() as c:
        tap.check(c.allocate(), "no relayed address")


def rest(user, secret=SECRET):
    """The password of draft-uberti-behave-turn-rest."""
    return base64.b64encode(hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()).decode()


def test_rest_names():
    """T6: shared-secret user names: valid ones get in, past, huge, negative, non-numeric and overflowing times do not"""
    with Daemon(auth={"users": [], "secrets": ["an older secret", SECRET]}) as d:
        now = int(time.time())
        for user in ("%d:alice" % (now + 60), "%d" % (now + 60), "%d:" % (now + 60), "%d:a:b" % (now + 3600)):
            for modern in (False, True):
                with d.client(user=user, password=rest(user), modern=modern) as c:
                    tap.equal(c.try_allocate().cls, stun.SUCCESS, "class for %r" % user)
        user = "%d:old" % (now + 60)
        with d.client(user=user, password=rest(user, "an older secret")) as c:
            tap.equal(c.try_allocate().cls, stun.SUCCESS, "class with the other secret")
        bad = ["%d:alice" % (now - 1), "0:alice", "1:alice", "-1:alice", "-%d:alice" % (now + 60), "+%d:alice" % (now + 60),
               " %d:alice" % (now + 60), "0x7fffffffff:alice", "%dx:alice" % (now + 60), "%d.5:alice" % (now + 60), "1e12:alice",
               "18446744073709551616:alice", "9223372036854775808:alice", "18446744073709551615:alice",
               "%d:alice" % (now + 60 + 2**64), "9" * 100 + ":alice", ":alice", ":", "alice", "alice:%d" % (now + 60)]
        for user in bad:
            tap.equal(refusal(d, user, rest(user)).code, 401, "code for %r" % user)
        good = "%d:alice" % (now + 60)
        for password in ("", SECRET, rest(good, "another"), rest(good)[:-1], rest(good).lower()):
            tap.equal(refusal(d, good, password).code, 401, "code for the password %r" % password)


def test_rest_expiry():
    """T6: a user name that expires while its allocation lives cannot make another one"""
    with Daemon(auth={"users": [], "secrets": [SECRET]}) as d:
        for seconds in (3, 10, 40):  # one that expires before the answer is there shows nothing
            until = int(time.time()) + seconds
            user = "%d:brief" % until
            code = d.client(user=user, password=rest(user)).try_allocate().code
            if code is None or time.time() < until - 1:
                break
        tap.equal(code, None, "code before its time")
        time.sleep(max(0, until + 1.1 - time.time()))
        tap.equal(refusal(d, user, rest(user)).code, 401, "code after its time")


if __name__ == "__main__":
    tap.main()
