# SPDX-License-Identifier: BSD-2-Clause
"""Third-party authorization (RFC 7635): access tokens, the keys that they are sealed with, and turnpikectl for both."""

import base64
import json
import os
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import access_token
import client
import stun
import tap
from access_token import Token
from daemon import config_text, ctl, Daemon, folder, json_of, must_ctl, REALM, Redis, run_daemon, settings

ACCESS_TOKEN, THIRD_PARTY_AUTHORIZATION = 0x001B, 0x802E
SERVER = "turn.example.org"
NORTH, UNION = b"01234567890123456789012345678901", b"1234567890123456"
KEYS = [{"id": "north", "key": base64.b64encode(NORTH).decode()},
        {"id": "union", "key": UNION.hex(), "algorithm": "A128GCM"}]
TOKENS = {"server": SERVER, "keys": KEYS}


class TokenClient(client.Client):
    """Signs with a token's mac_key, and sends the token with Allocate and Refresh (RFC 7635 section 9)."""

    def __init__(self, daemon, token, kid="north", key=NORTH, transport="udp", server=SERVER, **kw):
        super().__init__(daemon.server, transport, user=kid, **kw)
        tap.cleanup(self.close)
        self.methods = (stun.ALLOCATE, stun.REFRESH)
        self.use(token, kid, key, server)

    def use(self, token, kid="north", key=NORTH, server=SERVER):
        self.user = kid
        self.mac_key = token.mac_key
        self.sealed = token.seal(key, server)

    def key(self):
        return self.mac_key

    def signed(self, method, attrs=(), txid=None, **kw):
        txid = txid or stun.new_txid()
        attrs = attrs(txid) if callable(attrs) else list(attrs)
        if method in self.methods:
            attrs.append((ACCESS_TOKEN, self.sealed))
        return super().signed(method, attrs, txid, **kw)


def echo(c, relayed):
    """A packet each way, by channel."""
    with client.udp_socket() as peer:
        name = client.name_of(peer)
        c.permit(name)
        c.bind(name, 0x4001)
        c.send_channel(0x4001, b"there")
        data, source = peer.recvfrom(100)
        tap.equal((data, source[1]), (b"there", relayed[1]), "at the peer")
        peer.sendto(b"and back", source)
        got = c.recv()
        tap.equal((got.channel, got.payload), (0x4001, b"and back"), "at the client")


def code_of(d, token, **kw):
    """None when an Allocate from a new client is granted, else the code. The allocation is deleted again, unless the key has
    come to its end meanwhile."""
    with TokenClient(d, token, **kw) as c:
        code = c.try_allocate(timeout=30 * tap.SLOW).code
        if code is None:
            c.try_refresh(0)
        return code


def everywhere(d, code, token, **kw):
    """Whether new clients get this answer, whichever worker they come to: each learns of a change by itself."""
    return all(code_of(d, token, **kw) == code for _ in range(8))


def test_challenge():
    """the challenge names the server, next to realm and nonce; without tokens it does not, and a token is answered with 420"""
    with Daemon(tokens=TOKENS) as d:
        c = d.client()
        msg = c.challenge()
        tap.equal(msg.get(THIRD_PARTY_AUTHORIZATION), SERVER.encode(), "THIRD-PARTY-AUTHORIZATION")
        tap.check(msg.has(stun.REALM) and msg.has(stun.NONCE) and msg.has(stun.PASSWORD_ALGORITHMS), "the rest of the challenge")
        c.nonce = b"obMatJos2" + b"A" * 36
        packet = c.signed(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")])
        msg = c.exchange(packet)
        tap.equal((msg.code, msg.get(THIRD_PARTY_AUTHORIZATION)), (438, SERVER.encode()), "438")
    with Daemon() as d:
        tap.check(not d.client().challenge().has(THIRD_PARTY_AUTHORIZATION), "the server is named")
        msg = TokenClient(d, Token()).try_allocate()
        tap.equal((msg.code, msg.get(stun.UNKNOWN_ATTRIBUTES)), (420, struct.pack("!H", ACCESS_TOKEN)), "the answer")


def test_life():
    """allocate, permit, bind, send and receive, refresh, delete: over UDP and TCP, with keys of both algorithms"""
    with Daemon(tokens=TOKENS) as d:
        for transport in ("udp", "tcp"):
            for kid, key in (("north", NORTH), ("union", UNION)):
                c = TokenClient(d, Token(lifetime=900), kid, key, transport)
                echo(c, c.allocate())
                tap.equal(c.refresh(), 600, "LIFETIME")
                c.methods = (stun.ALLOCATE,)  # what the token has left behind is enough
                tap.equal(c.refresh(700), 700, "LIFETIME without the token")
                c.refresh(0)
                tap.equal(c.try_permit("127.0.0.1").code, 401, "CreatePermission after the end")
        text = d.read_log()
        tap.check("user north#" in text, "the log does not name the token's user")


def data_connection(d, c, connection, mac_key=None):
    """The data connection of a TCP relay, asked for as RFC 7635 has it: without the token. (client, answer)"""
    other = TokenClient(d, Token(mac_key or c.mac_key), c.user, transport="tcp")
    other.methods = ()
    other.realm, other.nonce = c.realm, c.nonce
    return other, other.try_connection_bind(connection)


def test_tcp_relays():
    """TCP relays (RFC 6062): ConnectionBind without the token finds its allocation's, on 4 workers; no other key does"""
    with Daemon(workers=4, tokens=TOKENS) as d, socket.socket() as at:
        at.bind(("127.0.0.1", 0))
        at.listen(16)
        for _ in range(3):
            c = TokenClient(d, Token(), transport="tcp")
            c.allocate_tcp()
            for number in range(6):
                connection = c.connect(at.getsockname())
                peer = at.accept()[0]
                with peer:
                    _, msg = data_connection(d, c, connection, os.urandom(20))
                    tap.equal(msg.code, 401, "ConnectionBind with another key")
                    bound, msg = data_connection(d, c, connection)
                    tap.equal(msg.code, None, "ConnectionBind")
                    bound.send_raw(b"up %d" % number)
                    tap.equal(peer.recv(100), b"up %d" % number, "at the peer")
                    peer.sendall(b"down %d" % number)
                    tap.equal(bound.recv_bytes(6), b"down %d" % number, "at the client")
                    bound.close()
            for wrong in (b"\0\0\0\0", b"\xff\xff\xff\xff", os.urandom(4)):
                tap.equal(data_connection(d, c, wrong)[1].code, 401, "ConnectionBind to nothing")


def test_bind_at_the_end_of_an_allocation():
    """a stranger's ConnectionBind where an allocation has just expired gets 401; the server lives"""
    with Daemon(workers=2, tokens=TOKENS, limits={"lifetime": 1}) as d:
        for _ in range(2):
            c = d.client("tcp")
            c.allocate()
            end = time.monotonic() + 2.2  # the sweep comes up to a second after the allocation's own
            c.user = "nobody"
            while time.monotonic() < end:
                tap.equal(c.try_connection_bind(os.urandom(4)).code, 401, "code")
                time.sleep(0.02)


def test_mac_keys():
    """mac_keys of 20, 32 and 64 bytes, MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256"""
    with Daemon(tokens=TOKENS) as d:
        for length in (20, 32, 64):
            for modern in (False, True):
                c = TokenClient(d, Token(os.urandom(length)), modern=modern)
                c.allocate()
                c.permit("127.0.0.1")
        tap.equal(code_of(d, Token(os.urandom(19))), 401, "19 bytes")
        tap.equal(code_of(d, Token(os.urandom(65))), 401, "65 bytes")


def test_lifetime():
    """an allocation lives no longer than its token"""
    with Daemon(tokens=TOKENS) as d:
        c = TokenClient(d, Token(lifetime=70))
        msg = c.try_allocate(lifetime=3000)
        tap.equal(msg.lifetime, 70, "LIFETIME of Allocate")
        tap.check(60 <= c.refresh(3000) <= 70, "LIFETIME of Refresh")
        old = TokenClient(d, Token(timestamp=time.time() - 100, lifetime=130))
        left = old.try_allocate().lifetime
        tap.check(30 - 20 * tap.SLOW <= left <= 36, "LIFETIME of an old token is %d" % left)
        short = TokenClient(d, Token())
        short.challenge()
        short.use(Token(lifetime=1))
        tap.equal(short.try_allocate().lifetime, 1, "LIFETIME of a short one")
        short.methods = ()
        tap.until("its end", lambda: short.try_permit("127.0.0.1").code == 401)
        # The server's own limits hold as well.
        tap.equal(TokenClient(d, Token(lifetime=100000)).try_allocate(lifetime=50000).lifetime, 3600, "the server's limit")


def refusals(d):
    """[(what, message)] of tokens that are not good, each as an Allocate."""
    now = time.time()
    good = Token()

    def changed(fn):
        return lambda c: setattr(c, "sealed", fn(c.sealed))

    cases = [
        ("expired", Token(timestamp=now - 1000, lifetime=900), {}, None),
        ("from the future", Token(timestamp=now + 1000), {}, None),
        ("lifetime 0", Token(lifetime=0), {}, None),
        ("unknown kid", good, {"kid": "south"}, None),
        ("another's kid", good, {"kid": "union"}, None),
        ("a user's name", good, {"kid": "user"}, None),
        ("a long kid", good, {"kid": "k" * 500}, None),
        ("another key", good, {"key": bytes(32)}, None),
        ("another server", good, {"server": "turn.example.com"}, None),
        ("tampered", good, {}, changed(lambda s: s[:-1] + bytes([s[-1] ^ 1]))),
        ("cut", good, {}, changed(lambda s: s[:-20])),
        ("oversized", good, {}, changed(lambda s: s + bytes(900))),
        ("empty", good, {}, changed(lambda s: b"")),
        ("another mac_key", good, {}, lambda c: setattr(c, "mac_key", os.urandom(20))),
    ]
    for what, token, kw, change in cases:
        c = TokenClient(d, token, **kw)
        if change:
            change(c)
        yield what, c.try_allocate()


def test_refused():
    """what is not good is refused with one and the same answer, whether the kid is known or not"""
    with Daemon(tokens=TOKENS) as d:
        shapes = set()
        for what, msg in refusals(d):
            tap.equal(msg.code, 401, what)
            tap.check(not msg.has(stun.MESSAGE_INTEGRITY), "%s: the answer is signed" % what)
            shapes.add((msg.reason, len(msg.data)))
        tap.equal(len(shapes), 1, "kinds of answers")
        # And none of them has broken anything.
        tap.equal(code_of(d, Token()), None, "a good one")


def test_refresh_with_another_token():
    """a newer token prolongs an allocation, also under another kid; the one before is worth nothing then"""
    with Daemon(tokens=TOKENS) as d:
        c = TokenClient(d, Token(lifetime=60))
        relayed = c.allocate()
        first = c.mac_key
        c.use(Token(lifetime=2000))
        tap.equal(c.refresh(1000), 1000, "LIFETIME with a newer token")
        echo(c, relayed)
        second = c.mac_key
        c.mac_key = first
        tap.equal(c.try_permit("127.0.0.1").code, 401, "the first key")
        c.mac_key = second
        c.use(Token(lifetime=500), "union", UNION)
        tap.equal(c.refresh(1000), 500, "LIFETIME with a token of another key")
        c.permit("127.0.0.2")
        # Another token has to show itself by a Refresh before it may do anything else.
        c.use(Token())
        c.methods = (stun.CREATE_PERMISSION,)
        tap.equal(c.try_permit("127.0.0.1").code, 441, "CreatePermission with another token")


def test_users_beside_tokens():
    """users with passwords go on as ever, and neither gets at the other's allocations"""
    with Daemon(tokens=TOKENS) as d:
        for modern in (False, True):
            with d.client(modern=modern) as c:
                c.allocate()
                c.permit("127.0.0.1")
                tap.equal(c.refresh(), 600, "LIFETIME")
                c.refresh(0)
        c = TokenClient(d, Token())
        c.allocate()
        intruder = d.client(source=None)
        intruder.close()
        # The same 5-tuple, by the same socket.
        intruder.sock, intruder.realm, intruder.nonce = c.sock, c.realm, c.nonce
        tap.equal(intruder.try_refresh(0).code, 441, "Refresh by a user")
        intruder.user = "north"
        tap.equal(intruder.try_permit("127.0.0.1").code, 401, "a password for a kid")
        c.permit("127.0.0.1")


def test_quota():
    """the allocations of one token count together, those of another by themselves"""
    with Daemon(tokens=TOKENS, limits={"user_allocations": 2}) as d:
        for token in (Token(), Token()):
            codes = [TokenClient(d, token).try_allocate().code for _ in range(3)]
            tap.equal(codes, [None, None, 486], "Allocate")


def life_of_a_key(store):
    """add, use, retire: seen by the running daemon within a second."""
    where = ("--realm", REALM, "--store", store)
    with Daemon(auth={"stores": [store]}, tokens={"server": SERVER}) as d:
        tap.equal(code_of(d, Token(), kid="app"), 401, "before token-key add")
        must_ctl("token-key", "add", "app", *where, stdin=base64.b64encode(NORTH).decode() + "\n")
        tap.until("token-key add", lambda: everywhere(d, None, Token(), kid="app"))
        made = json_of(must_ctl("token-key", "add", "next", "--algorithm", "A128GCM", "--generate", "--json", *where))
        key = base64.b64decode(made["key"])
        tap.equal((len(key), made["algorithm"]), (16, "A128GCM"), "a generated key")
        tap.until("the next key", lambda: everywhere(d, None, Token(), kid="next", key=key))
        tap.equal(code_of(d, Token(), kid="app"), None, "the first beside it")

        c = TokenClient(d, Token(), "app")
        c.allocate()
        must_ctl("token-key", "retire", "app", *where)
        tap.until("token-key retire", lambda: everywhere(d, 401, Token(), kid="app"))
        c.permit("127.0.0.1")  # the allocation lives on ...
        tap.equal(c.try_refresh().code, 401, "Refresh with a token of a retired key")
        c.use(Token(), "next", key)
        tap.equal(c.refresh(), 600, "Refresh with one of the next key")

        must_ctl("token-key", "add", "brief", "--expires", "2s", *where, stdin=NORTH.hex() + "\n")
        tap.until("its expiry", lambda: code_of(d, Token(), kid="brief") == 401)


def test_keys_in_sqlite():
    """SQLite: keys are added, replaced and retired while the daemon runs"""
    life_of_a_key("sqlite:" + os.path.join(folder(), "users.db"))


def test_keys_in_redis():
    """Redis: the same"""
    life_of_a_key(Redis().uri)


def test_reload():
    """keys of the configuration change with SIGHUP; a key without a server, or of a wrong length, is a mistake"""
    with Daemon(tokens=TOKENS) as d:
        c = TokenClient(d, Token())
        c.allocate()
        fresh = os.urandom(32)
        with open(d.config, "w", encoding="utf-8") as f:
            f.write(config_text(settings(d.port, tokens={"server": SERVER, "keys": [{"id": "fresh", "key": fresh.hex()}]})))
        os.kill(d.pid, signal.SIGHUP)
        tap.until("the reload", lambda: everywhere(d, None, Token(), kid="fresh", key=fresh))
        tap.equal(code_of(d, Token()), 401, "a key that is gone")
        c.permit("127.0.0.1")
    code, out, _ = run_daemon("-c", d.config, "--print-config")
    tap.equal((code, fresh.hex() in out, SERVER in out), (0, False, True), "--print-config")
    for tokens, says in (({"keys": KEYS}, "tokens.keys: are set without tokens.server"),
                         ({"server": SERVER, "keys": [{"id": "x", "key": UNION.hex()}]},
                          "tokens.keys: the key has 16 bytes, its algorithm takes 32"),
                         ({"server": SERVER, "keys": KEYS + KEYS[:1]}, "tokens.keys: the id is that of entry 1")):
        with open(d.config, "w", encoding="utf-8") as f:
            f.write(config_text(settings(d.port, tokens=tokens)))
        code, _, err = run_daemon("-c", d.config, "--check")
        tap.check(code != 0 and says in err, "--check says %r" % err)


def test_ctl_token():
    """turnpikectl token makes one that others can read and the daemon takes"""
    path = os.path.join(folder(), "users.db")
    store = "sqlite:" + path
    where = ("--realm", REALM, "--store", store)
    must_ctl("token-key", "add", "stored", *where, stdin=UNION.hex() + UNION.hex() + "\n")
    with Daemon(auth={"stores": [store]}, tokens=TOKENS) as d:
        for kid, key in (("north", NORTH), ("union", UNION), ("stored", UNION + UNION)):
            before = int(time.time())
            made = json_of(must_ctl("-c", d.config, "token", "--kid", kid, "--ttl", "5m"))
            token = access_token.open_token(base64.b64decode(made["access_token"]), key, SERVER)
            tap.equal((made["kid"], made["expires_in"], made["server"], made["realm"]), (kid, 300, SERVER, REALM), "the rest")
            tap.equal((token.lifetime, token.mac_key), (300, base64.b64decode(made["key"])), "inside")
            tap.check(before - 1 <= token.timestamp <= time.time() + 1, "timestamp")
            c = TokenClient(d, token, kid, key)
            c.sealed = base64.b64decode(made["access_token"])
            echo(c, c.allocate())
        for args, code, says in ((("token", "--kid", "nobody"), 1, "there is no token key nobody"),
                                 (("token",), 2, "--kid"), (("token", "--kid", "north", "--ttl", "0"), 2, "--ttl"),
                                 (("token", "--kid", "north", "--server", ""), 2, "--server")):
            got, out, err = ctl("-c", d.config, *args)
            tap.check(got == code and says in err and not out, "%r: %d %r %r" % (args, got, out, err))
    code, _, err = ctl("token", "--kid", "stored", *where)
    tap.check(code == 2 and "--server is needed" in err, "without a server: %d %r" % (code, err))
    made = json_of(must_ctl("token", "--kid", "stored", "--server", "other.example", *where))
    access_token.open_token(base64.b64decode(made["access_token"]), UNION + UNION, "other.example")


def ctl_keys(store):
    where = ("--realm", REALM, "--store", store)
    text = base64.b64encode(NORTH).decode()
    must_ctl("token-key", "add", "north", *where, stdin=text + "\n")
    must_ctl("token-key", "add", "a b/%s", "--algorithm", "A128GCM", "--expires", "30d", *where, stdin=UNION.hex() + "\n")
    listed = json_of(must_ctl("token-key", "list", "--json", *where))
    tap.equal([(k["kid"], k["algorithm"], k["expires"] is None) for k in listed],
              [("a b/%s", "A128GCM", False), ("north", "A256GCM", True)], "list --json")
    shown = must_ctl("token-key", "list", *where)
    tap.equal(len(shown.splitlines()), 3, "lines of list")
    for secret in (text, NORTH.hex(), UNION.hex(), NORTH.decode()):
        tap.check(secret not in shown + json.dumps(listed), "list shows a key")
    for args, stdin, code, says in (
            (("add", "north"), text, 1, "token key north exists"),
            (("add", "x"), UNION.hex(), 2, "A256GCM takes 32 bytes"),
            (("add", "x"), "no key", 2, "A256GCM takes 32 bytes"),
            (("add", "x", "--algorithm", "A192GCM"), text, 2, "--algorithm A192GCM"),
            (("add", "k" * 129), text, 2, "129 bytes"), (("add", ""), text, 2, "0 bytes"), (("add",), text, 2, "KID is missing"),
            (("retire", "nobody"), "", 1, "there is no token key nobody")):
        got, out, err = ctl("token-key", *args, *where, stdin=stdin)
        tap.check(got == code and says in err and not out, "%r: %d %r %r" % (args, got, out, err))
        tap.check(stdin == "" or stdin not in err, "the key is shown: %r" % err)
    for kid in ("north", "a b/%s"):
        must_ctl("token-key", "retire", kid, *where)
    tap.equal(json_of(must_ctl("token-key", "list", "--json", *where)), [], "list after retire")
    tap.equal(json_of(must_ctl("user", "list", "--json", *where)), [], "users")


def test_ctl_keys_sqlite():
    """turnpikectl token-key on SQLite"""
    ctl_keys("sqlite:" + os.path.join(folder(), "users.db"))


def test_ctl_keys_redis():
    """turnpikectl token-key on Redis"""
    ctl_keys(Redis().uri)


if __name__ == "__main__":
    tap.main()
