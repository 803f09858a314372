#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""T8: what belongs to another client. Its 5-tuple, mobility ticket, reservation token, connection id and access token, over four
workers and across restarts: refused with the right error, and the victim goes on as if nothing had happened."""

import base64
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from access_token import Token
from certs import Authority
from daemon import Daemon, free_port, PATIENCE

UDP = (stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")
TICKET, ACCESS_TOKEN = stun.MOBILITY_TICKET, 0x001B
TRANSPORTS = ("udp", "tcp", "tls", "dtls")
CHANNEL = 0x4001
THIEF = {"user": "other", "password": "word"}
SERVER, KEY = "turn.example.org", b"01234567890123456789012345678901"
TOKENS = {"server": SERVER, "keys": [{"id": "app", "key": base64.b64encode(KEY).decode()}]}


def serve(**over):
    port = free_port()
    over = {"workers": 4, "limits": {"unauthenticated_rate": 0}, **over}
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tcp+tls")]
    return Daemon(port=port, listen=listen, tls=Authority().settings(), **over)


class Victim:
    """An allocation with all that can be had, and a peer that it talks to."""

    def __init__(self, d, transport="udp", **kw):
        self.c = d.client(transport, **kw)
        self.ticket = self.c.try_allocate(extra=[(TICKET, b"")]).get(TICKET)
        self.peer = client.udp_socket("127.0.0.2")
        tap.cleanup(self.peer.close)
        self.c.bind(client.name_of(self.peer), CHANNEL)
        self.count = 0

    def goes_on(self):
        """Both ways, under its own address, and nothing else has come meanwhile."""
        self.count += 1
        want = b"victim %d" % self.count
        self.c.send_channel(CHANNEL, want)
        got, where = self.peer.recvfrom(2048)
        tap.equal((got, where[:2]), (want, self.c.relayed[0]), "at the victim's peer")
        self.peer.sendto(want[::-1], where)
        tap.equal(self.c.recv(), client.Data(None, CHANNEL, want[::-1]), "at the victim")


def as_other(c, user="other", password="word"):
    """Another user who sends from the victim's very address and port."""
    other = client.Client.__new__(client.Client)
    other.__dict__.update(c.__dict__)
    other.user, other.password = user, password
    return other


def test_same_tuple():
    """T8: with other credentials on the victim's 5-tuple: 441 for every method, on every transport; nothing changes"""
    with serve() as d:
        for transport in TRANSPORTS:
            victim = Victim(d, transport)
            for user, password, code in (("other", "word", 441), ("user", "word", 401), ("nobody", "pass", 401)):
                thief = as_other(victim.c, user, password)
                requests = {"Refresh": lambda t: t.try_refresh(), "Refresh 0": lambda t: t.try_refresh(0),
                            "CreatePermission": lambda t: t.try_permit("127.0.0.3"),
                            "ChannelBind": lambda t: t.try_bind(("127.0.0.3", 9), 0x4002),
                            "ChannelBind of the victim's number": lambda t: t.try_bind(("127.0.0.3", 9), CHANNEL)}
                for what, ask in requests.items():
                    tap.equal(ask(thief).code, code, "%s of %s by %s" % (what, user, transport))
                tap.equal(thief.try_allocate().code, 437 if code == 441 else 401, "Allocate of %s by %s" % (user, transport))
                tap.equal(thief.exchange(stun.build(stun.REFRESH, attrs=[(stun.LIFETIME, bytes(4))])).code, 401, "unsigned")
            with client.udp_socket("127.0.0.3") as stranger:
                victim.c.send_indication(client.name_of(stranger), b"no permission was made")
                victim.goes_on()
                tap.equal(client.received(stranger, 0.05), None, "at a peer of the thief's")
            tap.equal(victim.c.refresh(), 600, "the victim's Refresh")
        for transport in ("tcp", "tls"):
            c = d.client(transport)
            c.allocate_tcp()
            at = socket.create_server(("127.0.0.1", 0))
            tap.cleanup(at.close)
            tap.equal(as_other(c).try_connect(client.name_of(at)).code, 441, "Connect by " + transport)
            at.setblocking(False)
            try:
                at.accept()
                raise AssertionError("a connection was made for the thief")
            except BlockingIOError:
                pass
            c.connect(client.name_of(at))


def test_other_tuple():
    """T8: the right credentials of another user from his own 5-tuple reach nothing of the victim's: no data, no address"""
    with serve() as d:
        for transport in TRANSPORTS:
            victim = Victim(d, transport)
            thief = d.client(transport, **THIEF)
            tap.equal(thief.try_refresh(0).code, 437, "Refresh without an allocation")
            thief.send_channel(CHANNEL, b"stolen")
            thief.send_indication(client.name_of(victim.peer), b"stolen")
            thief.allocate()
            thief.send_channel(CHANNEL, b"stolen")  # his number means nothing
            thief.send_indication(client.name_of(victim.peer), b"stolen")  # without a permission of his own
            thief.permit(victim.c.relayed[0][0])
            thief.send_indication(victim.c.relayed[0], b"from relay to relay")  # the victim has no permission for him
            tap.equal(thief.refresh(), 600, "the thief's own")
            tap.equal(victim.c.recv(0.05), None, "at the victim")
            victim.goes_on()


def test_tickets():
    """T8: another user's mobility ticket, on every transport and worker: 441 or 437, and it stays good for its owner"""
    with serve() as d:
        for transport in TRANSPORTS:
            victim = Victim(d, transport)
            for other in TRANSPORTS:
                thief = d.client(other, **THIEF)
                for lifetime in ([], [(stun.LIFETIME, bytes(4))]):
                    msg = thief.request(stun.REFRESH, [(TICKET, victim.ticket)] + lifetime)
                    tap.equal((msg.code, msg.has(TICKET)), (441, False), "the victim's ticket by " + other)
                thief.send_channel(CHANNEL, b"stolen")
                thief.allocate()
                tap.equal(thief.request(stun.REFRESH, [(TICKET, victim.ticket)]).code, 437, "with an allocation of his own")
                nobody = d.client(other, user="user", password="guessed")
                tap.equal(nobody.request(stun.REFRESH, [(TICKET, victim.ticket)]).code, 401, "with a wrong password")
            victim.goes_on()
            moved = d.client("udp")
            tap.equal(moved.request(stun.REFRESH, [(TICKET, victim.ticket)]).code, None, "code for the owner")
            moved.relayed = victim.c.relayed
            victim.c = moved
            victim.goes_on()


def test_reservations():
    """T8: another user's reservation token, on every transport and worker: 508, and the owner gets what he reserved"""
    with serve() as d:
        for n in range(8):
            owner = d.client(TRANSPORTS[n % 4])
            relayed = owner.allocate(even_port=True)
            for other in TRANSPORTS:
                thief = d.client(other, **THIEF)
                tap.equal(thief.try_allocate(token=owner.token).code, 508, "code for the thief by " + other)
                tap.equal(thief.try_refresh().code, 437, "an allocation was made")
            second = d.client(TRANSPORTS[(n + 1) % 4])
            tap.equal(second.allocate(token=owner.token), (relayed[0], relayed[1] + 1), "what the owner gets")
            tap.equal(d.client().try_allocate(token=owner.token).code, 508, "the same token again")


def test_connection_ids():
    """T8: another user's connection id, before and after it was bound, from every worker: 400; what early came is the owner's"""
    with serve() as d:
        for transport in ("tcp", "tls"):
            owner = d.client(transport)
            owner.allocate_tcp()
            with socket.create_server(("127.0.0.1", 0)) as at:
                at.settimeout(PATIENCE)
                connection = owner.connect(client.name_of(at))
                peer = at.accept()[0]
            tap.cleanup(peer.close)
            peer.settimeout(PATIENCE)
            peer.sendall(b"a secret, early")

            def steal():
                for _ in range(12):  # with four workers it comes to each of them
                    with d.client("tcp", **THIEF) as thief:
                        tap.equal(thief.try_connection_bind(connection).code, 400, "the victim's connection")
                        thief.send_raw(stun.channel_data(CHANNEL, b"nor is it a data connection", pad=True))
                        tap.equal(thief.binding().cls, stun.SUCCESS, "frames go on")
            steal()
            bound = owner.data_connection(connection)
            tap.equal(bound.recv_bytes(15), b"a secret, early", "at the owner")
            steal()
            with owner.another() as twice:
                tap.equal(twice.try_connection_bind(connection).code, 400, "the owner's second connection")
            bound.send_raw(b"up")
            tap.equal(peer.recv(100), b"up", "at the peer")
            peer.sendall(b"down")
            tap.equal(bound.recv_bytes(4), b"down", "at the owner")


class Bearer(client.Client):
    """Signs with a token's mac_key; sends the token with Allocate and Refresh."""

    def __init__(self, d, token, transport="udp", mac_key=None, **kw):
        super().__init__(d.server, transport, user="app", **kw)
        tap.cleanup(self.close)
        self.token_, self.mac_key = token.seal(KEY, SERVER), mac_key or token.mac_key

    def key(self):
        return self.mac_key

    def signed(self, method, attrs=(), txid=None, **kw):
        txid = txid or stun.new_txid()
        attrs = attrs(txid) if callable(attrs) else list(attrs)
        if method in (stun.ALLOCATE, stun.REFRESH):
            attrs.append((ACCESS_TOKEN, self.token_))
        return super().signed(method, attrs, txid, **kw)


def test_access_tokens():
    """T8: another's access token without its mac_key, and one's own token for what another's has made, over four workers"""
    with serve(tokens=TOKENS) as d:
        for transport in TRANSPORTS:
            token, own = Token(), Token()
            owner = Bearer(d, token, transport)
            ticket = owner.try_allocate(extra=[(TICKET, b"")], even_port=True)
            ticket, reservation = ticket.get(TICKET), ticket.get(stun.RESERVATION_TOKEN)
            for mac_key in (own.mac_key, os.urandom(20), bytes(20), token.mac_key[:-1]):
                tap.equal(Bearer(d, token, transport, mac_key).try_allocate().code, 401, "the token without its mac_key")
                # The same, from where the owner is.
                thief = as_other(owner, "app")
                thief.key = lambda: mac_key
                for what, msg in (("Refresh 0", thief.request(stun.REFRESH, [(stun.LIFETIME, bytes(4)), (ACCESS_TOKEN, owner.token_)])),
                                  ("CreatePermission", thief.try_permit("127.0.0.3"))):
                    tap.equal(msg.code, 401, what + " without the mac_key")
            for _ in range(6):
                other = Bearer(d, own, transport)
                tap.equal(other.try_refresh(0).code, 437, "Refresh with one's own token")
                tap.equal(other.request(stun.REFRESH, [(TICKET, ticket)]).code, 441, "the owner's ticket with one's own token")
                user = d.client(transport, **THIEF)
                tap.equal(user.request(stun.REFRESH, [(TICKET, ticket)]).code, 441, "the owner's ticket with a password")
                tap.equal(user.try_allocate(token=reservation).code, 508, "the owner's reservation with a password")
                elsewhere = Bearer(d, own, transport, source="127.0.0.9")
                tap.equal(elsewhere.try_allocate(token=reservation).code, 508, "the owner's reservation from elsewhere")
            by_password = as_other(owner)
            tap.equal(by_password.try_refresh(0).code, 441, "a password where a token has allocated")
            owner.permit("127.0.0.4")
            tap.equal(owner.refresh(), 600, "the owner's")
        owner = Bearer(d, token, "tcp")
        owner.allocate_tcp()
        with socket.create_server(("127.0.0.1", 0)) as at:
            connection = owner.connect(client.name_of(at))
            for _ in range(12):
                thief = Bearer(d, own, "tcp")
                tap.equal(thief.try_connection_bind(connection).code, 401, "the owner's connection with another mac_key")
            user = d.client("tcp", **THIEF)
            tap.equal(user.try_connection_bind(connection).code, 400, "the owner's connection with a password")


def test_restart():
    """T8: tickets, reservations, connection ids and nonces of the process before open nothing in the next, for their owner neither"""
    for nonce_key in (None, "5f" * 32):
        auth = {"nonce_key": nonce_key} if nonce_key else {}
        with serve(auth=auth) as d:
            victim = Victim(d)
            reserver = d.client()
            reserver.allocate(even_port=True)
            control = d.client("tcp")
            control.allocate_tcp()
            at = socket.create_server(("127.0.0.1", 0))
            tap.cleanup(at.close)
            connection = control.connect(client.name_of(at))
            before = victim.c
            d.stop()
            d.start()
            for transport in TRANSPORTS:
                for who in ({}, THIEF):
                    new = d.client(transport, **who)
                    new.realm, new.nonce = before.realm, before.nonce
                    packet = new.signed(stun.REFRESH, [(TICKET, victim.ticket)])
                    tap.equal(new.exchange(packet).code, 400 if nonce_key else 438, "with a nonce of the process before")
                    tap.equal(new.request(stun.REFRESH, [(TICKET, victim.ticket)]).code, 400, "a ticket of the process before")
                    tap.equal(new.try_refresh().code, 437, "an allocation of the process before")
                    tap.equal(new.try_allocate(token=reserver.token).code, 508, "a reservation of the process before")
                    if transport in ("tcp", "tls"):
                        # The same counter is enciphered with another key: an id may exist again by a chance of 2^-32.
                        tap.equal(new.try_connection_bind(connection).code, 400, "a connection id of the process before")
            again = Victim(d)
            tap.equal(again.c.request(stun.REFRESH, [(TICKET, victim.ticket)]).code, 400, "an old ticket over an allocation")
            again.goes_on()


def balanced(what, values):
    """Every bit is set about half the time, and no step from one to the next repeats."""
    size = 8 * len(values[0])
    numbers = [int.from_bytes(v, "big") for v in values]
    tap.equal(len(set(numbers)), len(numbers), what + " that differ")
    steps = [(b - a) % (1 << size) for a, b in zip(numbers, numbers[1:])]
    tap.equal(len(set(steps)), len(steps), "steps between %s that differ" % what)
    spread = 8 * (len(numbers) / 4) ** 0.5  # 8 standard deviations
    for bit in range(size):
        ones = sum(n >> bit & 1 for n in numbers)
        tap.check(abs(ones - len(numbers) / 2) < spread, "bit %d of %s is set in %d of %d" % (bit, what, ones, len(numbers)))


def test_guessing():
    """T8: ids and tickets are not to be guessed: sampled over four workers; thousands of guesses, near and far, open nothing"""
    with serve(limits={"unauthenticated_rate": 0, "peer_connections": 512}) as d:
        victim = Victim(d)
        owner = d.client("tcp")
        owner.allocate_tcp()
        ids, began = [], time.monotonic()
        for _ in range(300):
            at = socket.create_server(("127.0.0.1", 0))
            tap.cleanup(at.close)
            ids.append(owner.connect(client.name_of(at)))
        balanced("connection ids", ids)
        tickets = []
        for _ in range(100):
            with d.client() as c:
                tickets.append(c.try_allocate(extra=[(TICKET, b"")]).get(TICKET))
                c.refresh(0)
        # All of it but what may be in clear: none of 64 bits in a row is the same twice.
        for at in range(0, len(tickets[0]) - 8, 8):
            tap.equal(len({t[at:at + 8] for t in tickets}), len(tickets), "bytes %d to %d of tickets that differ" % (at, at + 8))
        thief = d.client("tcp", **THIEF)
        thief.allocate()
        own = d.client("tcp", **THIEF)
        own.challenge()
        last = int.from_bytes(ids[-1], "big")
        guesses = [struct.pack("!I", (last + n) % (1 << 32)) for n in range(-500, 500)] + [os.urandom(4) for _ in range(1000)] + ids
        wanted = []
        for guess in guesses:
            packet = own.signed(stun.CONNECTION_BIND, [(stun.CONNECTION_ID, guess)])
            wanted.append(packet[8:20])
            own.send_raw(packet)
            if len(wanted) == 50:
                for txid in wanted:
                    tap.equal(own.wait(txid, own.timeout).code, 400, "a guess")
                wanted = []
        own = d.client(**THIEF)
        for n in range(1000):
            forged = bytearray(victim.ticket)
            forged[n % len(forged)] ^= 1 << (n // len(forged)) % 8
            tap.equal(own.request(stun.REFRESH, [(TICKET, bytes(forged))]).code, 400, "a ticket with one bit changed")
        victim.goes_on()
        fresh = owner.connect(client.name_of(at := socket.create_server(("127.0.0.1", 0))))
        tap.cleanup(at.close)
        thief = d.client("tcp", **THIEF)
        tap.equal(thief.try_connection_bind(fresh).code, 400, "one that is there")
        # Who is not bound within half a minute has gone.
        for connection in ids[:1] * (time.monotonic() - began < 25) + [fresh]:
            tap.check(owner.data_connection(connection) is not None, "the owner's connection")


if __name__ == "__main__":
    tap.main()
