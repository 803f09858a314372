# SPDX-License-Identifier: BSD-2-Clause
"""T5 and the rest of RFC 8489 9.2: what is signed how, what an answer carries, bid-down, user names as hashes and as text.

test_threats_auth.py has the plain cases of T5."""

import hashlib
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from daemon import add_user, Daemon, folder, must_ctl, REALM, Redis

UDP = (stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")
MI, MI256 = stun.MESSAGE_INTEGRITY, stun.MESSAGE_INTEGRITY_SHA256
CHALLENGE = (stun.REALM, stun.NONCE, stun.PASSWORD_ALGORITHMS)


def integrities(msg):
    return [t for t in msg.types() if t in (MI, MI256)]


def choice(algorithm):
    return (stun.PASSWORD_ALGORITHM, struct.pack("!HH", algorithm, 0))


def test_what_answers_carry():
    """401 and 438 have realm, nonce and algorithms and are not signed; 400 has none of it; later errors are signed"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            with d.client(transport, modern=True) as c:
                c.challenge()
                names = [(stun.USERNAME, b"user"), (stun.REALM, c.realm), (stun.NONCE, c.nonce)]
                stale = [(stun.USERNAME, b"user"), (stun.REALM, c.realm), (stun.NONCE, b"obMatJos2AAAAstale")]
                for code, attrs in ((401, None), (401, [(stun.USERNAME, b"nobody")] + names[1:]), (400, names[1:]),
                                    (400, names[:1] + names[2:]), (400, names[:2]), (438, stale)):
                    msg = c.exchange(stun.build(stun.ALLOCATE, attrs=[UDP] + (attrs or []), key=b"k" if attrs else None))
                    tap.equal(msg.code, code, "code")
                    tap.equal([msg.has(t) for t in CHALLENGE], [code != 400] * 3, "realm, nonce and algorithms with %d" % code)
                    tap.check(not integrities(msg) and not msg.has(stun.USERNAME) and not msg.has(stun.USERHASH) and
                              not msg.has(stun.SOFTWARE), "too much in %r" % msg)
                    if code != 400:
                        tap.check(stun.nonce_features(msg.get(stun.NONCE)) & stun.FEATURE_PASSWORD_ALGORITHMS, "no feature bit")
                for code, method, attrs in ((437, stun.REFRESH, []), (420, stun.ALLOCATE, [UDP, (0x7001, b"")]),
                                            (400, stun.ALLOCATE, []), (442, stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x63\0\0\0")])):
                    msg = c.exchange(c.signed(method, attrs))
                    tap.equal((msg.code, integrities(msg)), (code, [MI256]), "code and integrity")
                    tap.check(msg.integrity_ok(c.key(), MI256), "wrong integrity of %r" % msg)
                    tap.check(not any(msg.has(t) for t in CHALLENGE), "a challenge in %r" % msg)


def test_answers_are_signed_as_asked():
    """the answer has one integrity: SHA-256 if the request named an algorithm, else SHA-1, whatever signed the request"""
    with Daemon() as d:
        for algorithm in (None, stun.ALGORITHM_MD5, stun.ALGORITHM_SHA256):
            for integrity in ("sha1", "sha256", "both"):
                with d.client() as c:
                    c.challenge()
                    c.algorithm = algorithm
                    msg = c.exchange(c.signed(stun.ALLOCATE, [UDP], integrity=integrity))
                    tap.equal(msg.cls, stun.SUCCESS, "class of %s with algorithm %r" % (integrity, algorithm))
                    kind = MI256 if algorithm else MI
                    tap.equal(integrities(msg), [kind], "integrity of the answer to %s with %r" % (integrity, algorithm))
                    tap.check(msg.integrity_ok(c.key(), kind), "wrong integrity")
                    c.exchange(c.signed(stun.REFRESH, [(stun.LIFETIME, b"\0\0\0\0")]))


def test_order_of_integrities():
    """T5: what follows SHA-256 is ignored, a second integrity of the same kind too; the first ones have to be right"""
    with Daemon() as d:
        for transport in ("udp", "tcp"):
            for integrity, after in (("sha256", (MI, b"x" * 20)), ("sha256", (MI, b"x")), ("sha1", (MI, b"x" * 20)),
                                     ("both", (MI256, b"x" * 32)), ("sha256", (MI256, b"x" * 32)),
                                     ("sha256", (stun.LIFETIME, b"\0\0\x0e\x10"))):
                with d.client(transport) as c:
                    c.challenge()
                    msg = c.exchange(c.signed(stun.ALLOCATE, [UDP], integrity=integrity, after=[after]))
                    tap.equal((msg.cls, msg.lifetime), (stun.SUCCESS, 600), "%s, then %#06x: %r" % (integrity, after[0], msg))
                    c.exchange(c.signed(stun.REFRESH, [(stun.LIFETIME, b"\0\0\0\0")]))
            # A right SHA-1 does not vouch for a wrong SHA-256 behind it, which is not ignored.
            with d.client(transport) as c:
                c.challenge()
                msg = c.exchange(c.signed(stun.ALLOCATE, [UDP], integrity="sha1", after=[(MI256, b"x" * 32)]))
                tap.equal(msg.code, 401, "code for a wrong SHA-256 behind a right SHA-1")
                # FINGERPRINT behind an integrity is looked at, and nothing may come behind it.
                msg = c.exchange(c.signed(stun.ALLOCATE, [UDP], fingerprint=True))
                tap.check(msg.cls == stun.SUCCESS and msg.fingerprint_ok(), "no fingerprint in %r" % msg)


def test_unsigned_everywhere():
    """T5: a peer, a connection id, a ticket or a reservation that nobody signed opens nothing, whichever hash signs the rest"""
    with Daemon(workers=4) as d, socket.create_server(("127.0.0.1", 0)) as at:
        at.setblocking(False)
        for modern in (False, True):
            c = d.client("tcp", modern=modern)
            c.allocate_tcp()
            txid = stun.new_txid()
            peer = stun.peer(client.name_of(at), txid)
            tap.equal(c.exchange(c.signed(stun.CONNECT, txid=txid, after=[peer])).code, 400, "Connect with an unsigned peer")
            try:
                at.accept()
                raise AssertionError("a connection to an unsigned peer")
            except BlockingIOError:
                pass
            connection = (stun.CONNECTION_ID, c.connect(client.name_of(at)))
            other = c.another()
            tap.equal(other.exchange(other.signed(stun.CONNECTION_BIND, after=[connection])).code, 400, "an unsigned connection id")
            tap.equal(other.exchange(other.signed(stun.CONNECTION_BIND, [connection])).cls, stun.SUCCESS, "the same, signed")
            at.accept()[0].close()
            c.close()

            c, other = d.client(modern=modern), d.client(modern=modern)
            msg = c.try_allocate(even_port=True, extra=[(stun.MOBILITY_TICKET, b"")])
            ticket = (stun.MOBILITY_TICKET, msg.get(stun.MOBILITY_TICKET))
            other.challenge()
            tap.equal(other.exchange(other.signed(stun.REFRESH, after=[ticket])).code, 437, "an unsigned ticket")
            txid = stun.new_txid()
            packet = other.signed(stun.ALLOCATE, [UDP], txid=txid, after=[(stun.RESERVATION_TOKEN, c.token)])
            relayed = other.exchange(packet).address(stun.XOR_RELAYED_ADDRESS)
            tap.check(relayed != (c.relayed[0][0], c.relayed[0][1] + 1), "an unsigned reservation token was taken")
            # Between the two integrities: behind the first, so that only the first counts for it.
            attrs = b"".join(stun.attribute(*a) for a in c.credentials())
            attrs += stun.attribute(MI, stun.sign(stun.REFRESH, stun.REQUEST, attrs, txid, c.key(), hashlib.sha1, 20))
            attrs += stun.attribute(stun.LIFETIME, b"\0\0\0\0")
            packet = stun.build(stun.REFRESH, attrs=[attrs], txid=txid, key=c.key(), integrity="sha256")
            msg = c.exchange(packet)
            tap.check(msg.cls == stun.ERROR or msg.lifetime == 600, "a lifetime between the integrities was taken")
            tap.equal(c.refresh(), 600, "Refresh")


def test_duplicates():
    """T5: of an attribute that is there twice the first counts (RFC 8489 14)"""
    with Daemon() as d, d.client() as c:
        c.challenge()
        for extra, code in (((stun.USERNAME, b"other"), None), ((stun.REALM, b"x"), None), ((stun.NONCE, b"x"), None)):
            msg = c.exchange(stun.build(stun.REFRESH, attrs=c.credentials() + [extra], key=c.key()))
            tap.equal(msg.code, 437, "code with a second %#06x" % extra[0])
            msg = c.exchange(stun.build(stun.REFRESH, attrs=[extra] + c.credentials(), key=c.key()))
            tap.check(msg.code in (401, 438), "a first %#06x: %r" % (extra[0], msg))


def test_bid_down_bit_by_bit():
    """T5: every changed bit of the offered list gives 400, of the nonce 438, of the choice 400 or 401"""
    with Daemon() as d, d.client(modern=True) as c:
        c.challenge()
        key = c.key()

        def ask(offered, chosen, nonce):
            attrs = [(stun.USERNAME, b"user"), (stun.REALM, c.realm), (stun.NONCE, nonce), (stun.PASSWORD_ALGORITHMS, offered),
                     (stun.PASSWORD_ALGORITHM, chosen)]
            return c.exchange(stun.build(stun.REFRESH, attrs=attrs, key=key, integrity="sha256")).code

        def flip(data, bit):
            return data[:bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1:]

        right = choice(stun.ALGORITHM_SHA256)[1]
        tap.equal(ask(c.offered, right, c.nonce), 437, "code unchanged")
        for bit in range(8 * len(c.offered)):
            tap.equal(ask(flip(c.offered, bit), right, c.nonce), 400, "code for bit %d of PASSWORD-ALGORITHMS" % bit)
        for bit in range(8 * len(right)):
            tap.check(ask(c.offered, flip(right, bit), c.nonce) in (400, 401), "bit %d of PASSWORD-ALGORITHM is ignored" % bit)
        for bit in range(8 * len(c.nonce)):
            tap.equal(ask(c.offered, right, flip(c.nonce, bit)), 438, "code for bit %d of the nonce" % bit)
        for offered in (c.offered[:4], c.offered[4:], c.offered + c.offered[:4], c.offered + b"\0\x03\0\0"):
            tap.equal(ask(offered, right, c.nonce), 400, "code for %r" % offered)
        for chosen in (right + right, right + b"\0\0\0\0", b"\0\x02\0\x04abcd", b"\0\x00\0\0", b"\0\x03\0\0"):
            tap.equal(ask(c.offered, chosen, c.nonce), 400, "code for the choice %r" % chosen)


def hashed(d, user, password="pass", modern=True):
    """The code that a client gets which sends USERHASH; None: it got its allocation."""
    with d.client(user=user, password=password, anonymous=True, modern=modern) as c:
        msg = c.try_allocate()
        if msg.cls == stun.SUCCESS:
            c.refresh(0)
        return msg.code


def test_userhash():
    """USERHASH is looked up in the configuration, in SQLite and in Redis, with each algorithm"""
    redis = Redis()
    sqlite = "sqlite:" + os.path.join(folder(), "users.db")
    add_user(sqlite, "ann", "pass")
    add_user(redis.uri, "\u00fcmit", "pass")
    with Daemon(auth={"stores": [sqlite, redis.uri]}) as d:
        for user in ("user", "ann", "\u00fcmit"):
            for modern in (True, False):
                tap.equal(hashed(d, user, modern=modern), None, "code for %s" % user)
                tap.equal(hashed(d, user, "wrong", modern), 401, "code for %s and a wrong password" % user)
        tap.equal(hashed(d, "nobody"), 401, "code for nobody")
        with d.client() as c:
            c.challenge()
            tail = [(stun.REALM, c.realm), (stun.NONCE, c.nonce)]
            good = stun.userhash("user", REALM)
            for value, codes in ((good[:31], (400,)), (good + b"x", (400,)), (b"", (400,)), (b"user", (400,)), (bytes(32), (401,))):
                msg = c.exchange(stun.build(stun.REFRESH, attrs=[(stun.USERHASH, value)] + tail, key=c.key()))
                tap.check(msg.code in codes, "USERHASH %r: %r" % (value, msg))
            # Who sends both is known by the name.
            both = [(stun.USERHASH, bytes(32)), (stun.USERNAME, b"user")] + tail
            tap.equal(c.exchange(stun.build(stun.REFRESH, attrs=both, key=c.key())).code, 437, "code for both")


def test_userhash_where_there_is_none():
    """names made from a shared secret and coturn's layout cannot be found by a hash: 401, as for anybody unknown"""
    redis = Redis()
    redis.cli("SET", "turn/realm/%s/user/carl/key" % REALM, hashlib.md5(("carl:%s:pass" % REALM).encode()).hexdigest())
    with Daemon(auth={"stores": [redis.uri + "?layout=coturn"], "secrets": ["secret"]}) as d:
        with d.client(user="carl") as c:
            tap.check(c.allocate(), "carl is not let in by name")
        tap.equal(hashed(d, "carl", modern=False), 401, "code for coturn's user")
        tap.equal(hashed(d, "99999999999:x", modern=False), 401, "code for a name from a secret")


def test_username_anonymity():
    """auth.username_anonymity: the nonce tells clients to send USERHASH, and cannot be told otherwise on the way"""
    with Daemon(auth={"username_anonymity": True}) as d, d.client(modern=True) as c:
        c.challenge()
        wanted = stun.FEATURE_PASSWORD_ALGORITHMS | stun.FEATURE_USERNAME_ANONYMITY
        tap.equal(stun.nonce_features(c.nonce), wanted, "feature bits")
        tap.equal(hashed(d, "user"), None, "code with USERHASH")
        tap.check(c.allocate(), "a client that sends its name is kept out")
    with Daemon() as d, d.client() as c:
        c.challenge()
        tap.equal(stun.nonce_features(c.nonce), stun.FEATURE_PASSWORD_ALGORITHMS, "feature bits by default")


def test_opaque_strings():
    """names, realm and passwords are prepared (RFC 8265): in the file, in stores; a client that prepares gets in"""
    redis = Redis()
    sqlite = "sqlite:" + os.path.join(folder(), "users.db")
    realm = "re\u0301al.example"  # as typed, in pieces
    for store in (sqlite, redis.uri):
        said = must_ctl("user", "add", "jo\u0308rg\u00a0%s" % store[:5], "--realm", realm, "--store", store, stdin="pa\u030ass\u3000x\n")
        tap.check("j\u00f6rg " in said, "the name is not prepared: %r" % said)
    users = [{"name": "u\u0308", "password": "o\u0308"}]
    with Daemon(realm=realm, auth={"stores": [sqlite, redis.uri], "users": users}) as d:
        for user, password in (("\u00fc", "\u00f6"), ("j\u00f6rg sqlit", "p\u00e5ss x"), ("j\u00f6rg redis", "p\u00e5ss x")):
            for kw in ({}, {"modern": True}, {"modern": True, "anonymous": True}):
                with d.client(user=user, password=password, **kw) as c:
                    tap.check(c.allocate(), "%s is kept out" % user)
                    tap.equal(c.realm, "r\u00e9al.example".encode(), "REALM")
                    c.refresh(0)
        # The bytes of the wire are not prepared: the key of such a client would not fit either.
        with d.client(user="u\u0308", password="o\u0308") as c:
            tap.equal(c.try_allocate().code, 401, "code for a client that does not prepare")


def test_names_as_another_tool_stored_them():
    """what is in a store is found by its bytes, prepared or not"""
    redis = Redis()
    name = "u\u0308\u200b x"
    key = hashlib.md5(("%s:%s:pass" % (name, REALM)).encode()).hexdigest()
    redis.cli("SET", "turn/realm/%s/user/%s/key" % (REALM, name), key)
    with Daemon(auth={"stores": [redis.uri + "?layout=coturn"]}) as d, d.client(user=name) as c:
        tap.check(c.allocate(), "a user in coturn's layout is kept out")
    redis.cli("HSET", "turnpike:{%s}:user:%s" % (REALM, name), "key_md5", key, "created", "1")
    with Daemon(auth={"stores": [redis.uri]}) as d, d.client(user=name) as c:
        tap.check(c.allocate(), "a user of another tool is kept out")


if __name__ == "__main__":
    tap.main()
