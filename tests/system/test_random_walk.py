# SPDX-License-Identifier: BSD-2-Clause
"""Random walks through the states of allocations: requests, data and silence in any order, on all transports, with a model
that says what must come back. Seeds are printed; TP_SEED repeats one, TP_STEPS makes it longer."""

import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import stun
import tap
from certs import Authority
from daemon import Daemon, PATIENCE, free_block, free_port

SEED = int(os.environ.get("TP_SEED") or 1)
STEPS = int(os.environ.get("TP_STEPS") or 150)
TICKET = stun.MOBILITY_TICKET
LIFETIME, LIFETIME_MAX, PERMISSION, CHANNEL = 3, 5, 1, 2  # seconds
SLACK = 0.1  # of the server's coarse clock, and more
SLOTS, PORTS = 3, 48
USERS = {"user": "pass", "other": "word"}


def version_of(host):
    return 6 if client.is_v6(host) else 4


class Span:
    """When something ends: the server took the request at some time between these two."""

    def __init__(self, began, seconds):
        self.first, self.last = began + seconds - SLACK, time.monotonic() + seconds + SLACK

    def end(self):
        self.first = self.last = 0

    def lives(self, since=None):
        """Asked when the answer is there. since: when the request left. True, False, or None: it may have ended between."""
        if time.monotonic() < self.first:
            return True
        return False if (since or time.monotonic()) > self.last else None


class Slot:
    """A 5-tuple and what it should have."""

    def __init__(self, d, rnd, transport=None, user=None):
        self.transport = transport or rnd.choice(("udp", "udp", "tcp", "tls", "dtls"))
        user = user or rnd.choice(sorted(USERS))
        self.c = d.client(self.transport, user=user, password=USERS[user], modern=rnd.random() < 0.5)
        self.forget()

    def forget(self):
        self.relayed, self.ends, self.permitted, self.bound = {}, {}, {}, {}
        self.ticket = None

    def lives(self, since):
        states = [span.lives(since) for span in self.ends.values()]
        return True if True in states else None if None in states else False

    def has(self, family, since):
        return self.ends[family].lives(since) if family in self.ends else False

    def extend(self, family, began, seconds):
        """A Refresh has succeeded. Of two families one may have expired before it, in which case it stays so."""
        for version, span in self.ends.items():
            lives = family == version or len(self.ends) == 1 or span.lives(began)
            if lives and family in (None, version):
                self.ends[version] = Span(began, seconds)
            elif lives is None and family is None:
                span.last = Span(began, seconds).last

    def drop(self, family):
        for host, span in [*self.permitted.items(), *((x[0][0], x[1]) for x in self.bound.values())]:
            if version_of(host) == family:
                span.end()
        del self.relayed[family], self.ends[family]

    def take(self, old, ticket):
        self.relayed, self.ends, self.permitted, self.bound = old.relayed, old.ends, old.permitted, old.bound
        self.ticket = ticket


class Walk:
    def __init__(self, d, seed):
        self.d, self.rnd = d, random.Random(seed)
        self.slots, self.tokens = [], []
        self.peers = {v: [client.udp_socket(h) for h in hosts]
                      for v, hosts in ((4, ("127.0.0.2", "127.0.0.3")), (6, ("::1",)))}
        for p in self.peers[4] + self.peers[6]:
            tap.cleanup(p.close)
        self.count = 0
        self.never = set()  # payloads that must not arrive

    # What may come back

    def expect(self, what, msg, lives, codes=(None,), dead=(437,)):
        """codes: to a live allocation, dead: to none."""
        allowed = {True: codes, False: dead, None: tuple(codes) + tuple(dead)}[lives]
        tap.check(msg.code in allowed, "%s is answered with %s, expected one of %s" % (what, msg.code, allowed))
        return msg.code is None

    def payload(self):
        self.count += 1
        return b"%d:" % self.count + b"x" * self.rnd.choice((0, 1, 2, 3, 100, 1100))

    # Steps

    def step_allocate(self, s):
        rnd = self.rnd
        kind = rnd.choice(("plain", "v6", "both", "both", "both", "even", "pair", "token"))
        wish = {"plain": {}, "v6": {"family": stun.IPV6}, "both": {"additional": stun.IPV6}, "even": {"even_port": False},
                "pair": {"even_port": True}, "token": {}}[kind]
        owner = None
        if kind == "token" and self.tokens:
            reserved = self.tokens.pop(self.rnd.randrange(len(self.tokens)))
            wish["token"], owner, port, until = reserved
        lifetime = rnd.choice((None, 0, 1, LIFETIME + 1, 0xFFFFFFFF))
        mobile = rnd.random() < 0.4
        began, txid = time.monotonic(), stun.new_txid()
        kw = dict(lifetime=lifetime, txid=txid, extra=[(TICKET, b"")] if mobile else [], **wish)
        msg = s.c.try_allocate(**kw)
        dead = (None,)
        if owner:
            dead = (508,) if owner != s.c.user else (None, 508) if time.monotonic() > until else (None,)
        if not self.expect("Allocate " + kind, msg, s.lives(since=began), (437,), dead):
            if owner:
                self.tokens.append(reserved)
            return
        s.forget()
        seconds = min(max(lifetime or 0, LIFETIME), LIFETIME_MAX)
        tap.equal(msg.lifetime, seconds, "LIFETIME")
        tap.equal(msg.has(TICKET), mobile, "MOBILITY-TICKET")
        tap.equal(msg.has(stun.RESERVATION_TOKEN), kind == "pair", "RESERVATION-TOKEN")
        for relayed in msg.addresses(stun.XOR_RELAYED_ADDRESS):
            version = version_of(relayed[0])
            s.relayed[version], s.ends[version] = relayed, Span(began, seconds)
        if owner:
            tap.equal([r[1] for r in s.relayed.values()], [port], "reserved port")
        else:
            tap.equal(sorted(s.relayed), {"v6": [6], "both": [4, 6]}.get(kind, [4]), "families")
        if kind in ("even", "pair"):
            tap.equal(s.relayed[4][1] % 2, 0, "parity")
        if kind == "pair":
            self.tokens.append((msg.get(stun.RESERVATION_TOKEN), s.c.user, s.relayed[4][1] + 1, began + 29))
        s.ticket = msg.get(TICKET)
        again = s.c.try_allocate(**kw)
        if s.lives(began):
            tap.equal((again.code, again.addresses(stun.XOR_RELAYED_ADDRESS)), (None, msg.addresses(stun.XOR_RELAYED_ADDRESS)),
                      "the answer to a retransmission")

    def step_refresh(self, s):
        family = self.rnd.choice((None, None, 4, 6))
        lifetime = self.rnd.choice((None, 1, LIFETIME + 1, 0xFFFFFFFF, 0) if family else (None, 0xFFFFFFFF))
        began = time.monotonic()
        msg = s.c.try_refresh(lifetime, {4: stun.IPV4, 6: stun.IPV6}.get(family))
        codes = {True: (None,), False: (443,), None: (None, 443)}[s.has(family, began) if family else True]
        if not self.expect("Refresh", msg, s.lives(since=began), codes):
            return
        if lifetime == 0:
            tap.equal(msg.lifetime, 0, "LIFETIME")
            s.drop(family)
        else:
            seconds = min(max(lifetime or 0, LIFETIME), LIFETIME_MAX)
            tap.equal(msg.lifetime, seconds, "LIFETIME")
            s.extend(family, began, seconds)

    def step_permit(self, s):
        hosts = [self.rnd.choice(("127.0.0.2", "127.0.0.3", "::1")) for _ in range(self.rnd.randrange(1, 4))]
        began = time.monotonic()
        msg = s.c.try_permit(*hosts)
        states = [s.has(version_of(h), began) for h in hosts]
        codes = (443,) if False in states else (None, 443) if None in states else (None,)
        if self.expect("CreatePermission", msg, s.lives(since=began), codes):
            for h in hosts:
                s.permitted[h] = Span(began, PERMISSION)

    def any_peer(self, s):
        """One of those that it has, or once had, a channel to, rather than another."""
        names = {client.name_of(sock): sock for socks in self.peers.values() for sock in socks}
        bound = [x[0] for x in s.bound.values()]
        peer = self.rnd.choice(bound if bound and self.rnd.random() < 0.6 else sorted(names))
        return names[peer], peer

    def step_bind(self, s):
        _, peer = self.any_peer(s)
        number = 0x4000 + self.rnd.randrange(3)
        began = time.monotonic()
        msg = s.c.try_bind(peer, number)
        others = [(span.lives(began), s.has(version_of(p[0]), began)) for n, (p, span) in s.bound.items()
                  if (n == number) != (p == peer)]
        conflicts = [False if False in pair else None if None in pair else True for pair in others]
        codes = {True: (None,), False: (443,), None: (None, 443)}[s.has(version_of(peer[0]), began)]
        codes = (400,) if True in conflicts else codes + (400,) if None in conflicts else codes
        if self.expect("ChannelBind", msg, s.lives(since=began), codes):
            s.bound = {n: x for n, x in s.bound.items() if x[0] != peer}
            s.bound[number] = (peer, Span(began, CHANNEL))
            s.permitted[peer[0]] = Span(began, PERMISSION)

    def arrives(self, sock, payload):
        """Reads a peer until it is there; what must not come is noticed on the way."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            got = client.received(sock, 1)
            if got:
                tap.check(got[0] not in self.never, "a peer got %.20r" % got[0])
                if got[0] == payload:
                    return got[1]
        raise AssertionError("a peer never got %.20r" % payload)

    def step_send(self, s):
        sock, peer = self.any_peer(s)
        version = version_of(peer[0])
        payload, began = self.payload(), time.monotonic()
        by_channel = [(n, x[1]) for n, x in s.bound.items() if x[0] == peer]
        if by_channel and self.rnd.random() < 0.7:
            number, span = by_channel[0]
            s.c.send_channel(number, payload)
        else:
            span = s.permitted.get(peer[0])
            s.c.send_indication(peer, payload)
        tap.check(s.c.binding(), "no answer behind data")  # by now it is on its way, or never will be
        states = [s.has(version, began), span.lives(began) if span else False]
        if states == [True, True]:
            tap.equal(self.arrives(sock, payload)[1], s.relayed[version][1], "port that data comes from")
        elif False in states:
            self.never.add(payload)

    def step_receive(self, s):
        sock, peer = self.any_peer(s)
        version = version_of(peer[0])
        if version not in s.relayed:
            return
        payload, began = self.payload(), time.monotonic()
        sock.sendto(payload, s.relayed[version])
        for _ in range(2):  # what is ready when a request comes is handled with it, in the same turn of the loop
            tap.check(s.c.binding(), "no answer")
        span = s.permitted.get(peer[0])
        states = [s.has(version, began), span.lives(began) if span else False]
        channels = {n: x[1].lives(began) for n, x in s.bound.items() if x[0] == peer}
        if states == [True, False]:
            self.never.add(payload)
        while states == [True, True]:
            got = s.c.recv(PATIENCE)
            tap.check(got, "a client never got %.20r" % payload)
            tap.check(got.payload not in self.never, "a client got %.20r" % got.payload)
            if got.payload == payload:
                bound = got.channel in channels and channels[got.channel] is not False
                tap.check(bound or (got.peer == peer and True not in channels.values()),
                          "data came as %r, with channels %r" % ((got.peer, got.channel), channels))
                return

    def step_stranger(self, s):
        """Another user on the same 5-tuple."""
        began, mine = time.monotonic(), (s.c.user, s.c.password)
        s.c.user = "other" if s.c.user == "user" else "user"
        s.c.password = USERS[s.c.user]
        msg = self.rnd.choice((s.c.try_refresh, lambda: s.c.try_refresh(0), lambda: s.c.try_permit("127.0.0.9"),
                               lambda: s.c.try_bind(("127.0.0.9", 9), 0x4009)))()
        s.c.user, s.c.password = mine
        self.expect("another user's request", msg, s.lives(since=began), (441,))

    def step_move(self, s):
        """Shows the ticket at a new 5-tuple and goes on there; the old one may end before, or live on without."""
        if not s.ticket:
            return
        new = Slot(self.d, self.rnd, user=s.c.user)
        began = time.monotonic()
        first = self.rnd.random() < 0.3 and s.transport != "udp"
        if first:
            s.c.close()
        msg = new.c.request(stun.REFRESH, [(TICKET, s.ticket)])
        if self.expect("Refresh with a ticket", msg, s.lives(since=began)):
            s.extend(None, began, LIFETIME)
            new.take(s, msg.get(TICKET))
            tap.check(new.ticket and new.ticket != s.ticket, "no new ticket")
            for _ in range(2):  # the first has it come there, the second finds it there
                began = time.monotonic()
                if self.expect("Refresh at the new 5-tuple", new.c.try_refresh(), new.lives(since=began)):
                    new.extend(None, began, LIFETIME)
            if not first:
                tap.equal(s.c.try_refresh().code, 437, "Refresh at the old 5-tuple")
        self.replace(s, new)

    def step_leave(self, s):
        """A connection ends, and with it its allocation, unless that has a ticket; on UDP nobody notices."""
        s.c.close()
        self.replace(s, Slot(self.d, self.rnd))

    def step_wait(self, s):
        time.sleep(self.rnd.choice((0.01, 0.3, 1)))

    def replace(self, s, new):
        s.c.close()
        self.slots[self.slots.index(s)] = new

    def run(self, steps):
        kinds = [n for n in sorted(dir(self)) if n.startswith("step_")]
        weights = [{"step_leave": 1, "step_wait": 3, "step_move": 3, "step_stranger": 2, "step_send": 12,
                    "step_receive": 12}.get(n, 6) for n in kinds]
        self.slots = [Slot(self.d, self.rnd) for _ in range(SLOTS)]
        for number in range(steps):
            s, kind = self.rnd.choice(self.slots), self.rnd.choices(kinds, weights)[0]
            try:
                getattr(self, kind)(s)
            except Exception:
                tap.diag("step %d: %s by %s of %s" % (number, kind, s.transport, s.c.user))
                raise
        for p in self.peers[4] + self.peers[6]:
            while True:
                got = client.received(p, 0.01)
                if not got:
                    break
                tap.check(got[0] not in self.never, "a peer got %.20r" % got[0])

    def end(self):
        for token, owner, _, _ in self.tokens:  # or their ports would be held for half a minute
            c = self.d.client(user=owner, password=USERS[owner])
            if c.try_allocate(token=token).code is None:
                c.refresh(0)
        for s in self.slots:
            s.c.try_refresh(0)
            s.c.close()


def living(d):
    log = d.read_log()
    return log.count("allocation created") - sum(log.count("allocation " + end) for end in ("expired", "deleted", "closed"))


def has_both(d):
    """A port of either family is taken; false, and none is, when there is but one."""
    c = d.client()
    msg = c.try_allocate(additional=stun.IPV6, lifetime=LIFETIME_MAX)
    both = len(msg.addresses(stun.XOR_RELAYED_ADDRESS)) == 2
    if not both and msg.code is None:
        c.refresh(0)
    return both


@tap.limit(120 + STEPS)
def test_walk():
    """a random walk of several clients: every answer and every datagram as a model says, and all ports come back"""
    tap.diag("seed %d" % SEED)
    port, first = free_port(), free_block(PORTS, ("127.0.0.1", "::1"))
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tcp+tls")]
    with Daemon(port=port, listen=listen, tls=Authority().settings(), workers=4,
                relay={"ports": [first, first + PORTS - 1]},
                limits={"lifetime": LIFETIME, "lifetime_max": LIFETIME_MAX, "permission_lifetime": PERMISSION,
                        "channel_lifetime": CHANNEL}) as d:
        walk = Walk(d, SEED)
        walk.run(STEPS)
        walk.end()
        # Whoever left without a word has gone soon, and everything is free.
        until = time.monotonic() + LIFETIME_MAX + PATIENCE
        while living(d) and time.monotonic() < until:
            time.sleep(0.1)
        tap.equal(living(d), 0, "allocations that have not ended")
        for number in range(PORTS):
            while not has_both(d) and time.monotonic() < until:  # a reservation that came to its end takes a second more
                time.sleep(0.2)
            tap.check(time.monotonic() < until, "port %d of %d is not free again" % (number + 1, PORTS))


if __name__ == "__main__":
    tap.main()
