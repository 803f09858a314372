#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Random walks through the signaling protocol: clients by WebSocket and by event stream do what they may and may not, and a
model of the server tells what each of them has to hear, in which order, and nothing else. TP_WALKS=FIRST-LAST: other seeds."""

import json
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import daemon  # noqa: E402
import tap  # noqa: E402
from signal_model import Session, Socket, Stream, World  # noqa: E402
from websocket import BINARY, CLOSE, CONT, TEXT, Closed, frame  # noqa: E402

FIRST, LAST = map(int, os.environ.get("TP_WALKS", "1-4").split("-"))
STEPS = 250
CLIENTS = 9
NAMES = ["ann", "bob", "eve", "\u00fcrs", '"q\\', "<b>"]
ROOMS = ["r", "s", "\u4e16"]
ROOMS_MAX = 2
KICKS = (1007, 1009)  # of the codes that a broken frame is closed with


def only_id(m, name="id"):
    return {name: m["id"]} if "id" in m else {}


class Walk:
    def __init__(self, seed, port, capacity):
        self.r, self.port, self.w, self.n = random.Random(seed), port, World(capacity), 0
        self.trace = []
        self.old = []  # tokens of sessions that were
        self.ended = []  # connections that a step of another has ended

    def send(self, c, **m):
        if m["type"] != "ping":
            self.trace.append(m)
        c.say(json.dumps(m, ensure_ascii=self.r.random() < 0.5).encode())

    def error(self, c, code, i=None, mistake=False):
        f = dict(type="error", code=code)
        if i is not None:
            f["id"] = i
        c.want.append(f)
        if mistake:
            c.mistakes += 1
            if c.mistakes == 10:
                self.w.kick(c, 1008)

    def id(self):
        self.n += 1
        return self.r.choice([None, self.n, "i%d" % self.n, 1, "\u00fc\n"])

    # --- what may be done; each models what it sends ---
    def do_open(self):
        if len(self.w.conns) < CLIENTS:
            self.w.conns.append((Socket if self.r.random() < 0.6 else Stream)(self.port, self.r))

    def strangers(self, c, m):
        """True: not registered, and so kicked."""
        if c.session:
            return False
        self.error(c, "unauthorized", m.get("id"))
        self.w.kick(c, 4401)
        return True

    def with_id(self, m):
        i = self.id()
        if i is not None:
            m["id"] = i
        return m

    def do_register(self, c):
        m = self.with_id(dict(type="register", name=self.r.choice(NAMES)))
        if c.session and self.r.random() < 0.5:
            m["name"] = "  " + c.session.name + " "
        self.send(c, **m)
        name, w = m["name"].strip(), self.w
        if c.session:
            if name != c.session.name:
                return self.error(c, "bad_request", m.get("id"), True)
            return c.want.append(dict(type="registered", name=name, peer=c.session.id, **only_id(m)))
        if w.by_name(name):
            return self.error(c, "name_taken", m.get("id"))
        s = Session(name)
        s.conn, c.session, c.learn = c, s, s
        w.sessions.insert(0, s)
        c.want.append(dict(type="registered", name=name, id="?"))
        for o in w.sessions:
            if o is not s:
                w.tell(o, type="useradd", name=name)
        return "barrier"

    def do_join(self, c):
        m = self.with_id(dict(type="join", room=self.r.choice(ROOMS)))
        self.send(c, **m)
        if self.strangers(c, m):
            return
        s, room, w = c.session, m["room"], self.w
        if room not in s.rooms:
            if len(s.rooms) >= ROOMS_MAX:
                return self.error(c, "quota_exceeded", m.get("id"))
            members = w.rooms.setdefault(room, [])
            if len(members) >= w.capacity:
                return c.want.append(dict(type="full", room=room, capacity=self.w.capacity, **only_id(m)))
            members.append(s)
            s.rooms.insert(0, room)
            w.joined(c, s, room)
            for o in members:
                if o is not s:
                    w.tell(o, type="otherjoin", room=room, id=s.id, name=s.name, count=len(members))
        else:
            w.joined(c, s, room)
        if "id" in m:
            c.want[-1]["re"] = m["id"]

    def do_leave(self, c):
        m = self.with_id(dict(type="leave", room=self.r.choice(ROOMS)))
        self.send(c, **m)
        if self.strangers(c, m):
            return
        s = c.session
        if m["room"] not in s.rooms:
            return self.error(c, "not_in_room", m.get("id"))
        c.want.append(dict(type="leaved", room=m["room"], id=s.id, **only_id(m, "re")))
        self.w.leave(s, m["room"], "leave")

    def do_message(self, c):
        r, w, s = self.r, self.w, c.session
        m = self.with_id(dict(type="message", data=r.choice([None, 1, "x", {"a": [1, {"b": None}]}, "\u00fc" * r.randrange(300)])))
        kind = r.choice(["room", "room", "only", "room-all", "all", "to", "to", "both"])
        if kind in ("room", "room-all", "both"):
            m["room"] = r.choice(ROOMS)
        if kind in ("room-all", "all"):
            m["scope"] = kind
        if kind in ("to", "both"):
            m["to"] = r.choice([x.id for x in w.sessions] + [x.name for x in w.sessions] + ["nobody", "0" * 20])
        if r.random() < 0.4:
            m["ack"] = r.random() < 0.7
        self.send(c, **m)
        if self.strangers(c, m):
            return
        if m.get("ack") and "id" not in m:
            return self.error(c, "bad_request", None, True)
        room = None
        if "to" in m:
            peer = w.by_to(m["to"])
            if not peer:
                return self.error(c, "no_such_user", m.get("id"))
            if "room" in m:
                if m["room"] not in s.rooms:
                    return self.error(c, "not_in_room", m.get("id"))
                if m["room"] not in peer.rooms:
                    return self.error(c, "no_such_user", m.get("id"))
                room = m["room"]
            to = [peer]
        elif kind == "all":
            to = [x for x in w.sessions if x is not s]
        else:
            if "room" not in m and len(s.rooms) > 1:
                return self.error(c, "bad_request", m.get("id"), True)
            room = m.get("room") or (s.rooms[0] if s.rooms else None)
            if room not in s.rooms:
                return self.error(c, "not_in_room", m.get("id"))
            to = [x for x in w.rooms[room] if kind == "room-all" or x is not s]
        self.fan(s, to, room, m)
        if "id" in m and not (m.get("ack") and to):
            c.want.append(dict(type="ack", id=m["id"], ok=not (m.get("ack") and not to), count=len(to)))

    def fan(self, s, to, room, m):
        f = {"type": "message", "from": s.id, "name": s.name, "data": m["data"]}
        if room:
            f["room"] = room
        if m.get("ack"):
            f["id"] = m["id"]
        for x in to:
            self.w.deliver(x, **f)

    def do_bare(self, c):
        s = c.session
        m = self.r.choice([None, {"type": "offer", "sdp": "v=0"}, {"candidate": "x", "sdpMid": "0"}, {"type": "answer", "sdp": ""}])
        c.say(json.dumps(m).encode())
        if self.strangers(c, {}):
            return
        if len(s.rooms) > 1:
            return self.error(c, "bad_request", None, True)
        if not s.rooms:
            return self.error(c, "not_in_room")
        self.fan(s, [x for x in self.w.rooms[s.rooms[0]] if x is not s], s.rooms[0], {"data": m})

    def do_ack(self, c):
        r, w = self.r, self.w
        m = dict(type="ack", to=r.choice([x.id for x in w.sessions] + ["nobody"]), id=r.randrange(9), args=[1])
        self.send(c, **m)
        if self.strangers(c, m):
            return
        peer = w.by_to(m["to"])
        if not peer:
            return self.error(c, "no_such_user", m["id"])
        w.deliver(peer, **{"type": "ack", "id": m["id"], "ok": True, "from": c.session.id, "name": c.session.name, "args": [1]})

    def do_users(self, c):
        m = self.with_id(dict(type="users"))
        self.send(c, **m)
        if self.strangers(c, m):
            return
        names = [x.name for x in self.w.sessions if x is not c.session]
        c.want.append(dict(type="users", users=names, count=len(names), **only_id(m)))

    def do_ice(self, c):
        m = self.with_id(dict(type="ice"))
        self.send(c, **m)
        if not self.strangers(c, m):
            c.session.ice = True
            c.want.append(dict(type="ice", ttl=86400, **only_id(m)))

    def do_junk(self, c):
        text, code = self.r.choice([("{", "bad_json"), ("[1,]", "bad_json"), ("", "bad_json"), ("[]", "bad_request"),
                                    ('{"type":5}', "bad_request"), ('{"type":"ping","id":[]}', "bad_request"),
                                    ('{"type":"no"}', "unknown_type")])
        c.say(text.encode())
        self.error(c, code, None, True)

    def do_binary(self, c):
        if isinstance(c, Socket):
            c.out.append(frame(BINARY, b"x" * self.r.randrange(300)))
            self.error(c, "bad_request", None, True)

    def do_broken(self, c):
        if isinstance(c, Socket):
            data, code = self.r.choice([(frame(3), 1002), (frame(TEXT, b"x", mask=False), 1002), (frame(CONT, b"x"), 1002),
                                        (frame(TEXT, b"\xff"), 1007), (frame(TEXT, length=1 << 20), 1009)])
            c.out.append(data)
            c.want.append(("close", code))
            self.w.lost(c, "kick", code in KICKS)

    def do_resume(self, c):
        r, w = self.r, self.w
        tokens = [x.resume for x in w.sessions if not x.conn] * 4 + [x.resume for x in w.sessions]
        tokens += self.old[-3:] + ["x", "0" * 52]
        m = self.with_id(dict(type="resume", token=r.choice(tokens)))
        self.send(c, **m)
        if c.session:
            return self.error(c, "bad_request", m.get("id"), True)
        s = next((x for x in w.sessions if x.resume == m["token"]), None)
        if not s:
            return self.error(c, "no_such_session", m.get("id"))
        if s.conn:
            old = s.conn
            old.want.append(("close", 4409))
            old.session, s.conn = None, None
            w.lost(old, "", False)
            self.ended.append(old)
        s.conn, c.session = c, s
        c.want.append(dict(type="registered", name=s.name, peer=s.id, resume=s.resume, resumed=True, **only_id(m)))
        for room in s.rooms:
            w.joined(c, s, room)
        if s.ice and not s.rooms:
            c.want.append(dict(type="ice", ttl=86400))
        c.want += s.held
        s.held = []
        return "barrier"

    def do_close(self, c):
        code = self.r.choice([1000, 1001, 1005, 3000, 4999])
        if isinstance(c, Socket):
            c.out.append(frame(CLOSE, struct.pack("!H", code) if code != 1005 else b""))
            c.want.append(("close", code if code != 1005 else None))
        else:
            c.flush()
            code = 1006
            c.sock.close()
            c.want = []
        self.w.lost(c, "leave" if code == 1000 else "disconnect", code == 1000)
        return "end"

    def do_vanish(self, c):
        c.flush()
        for x in self.w.conns:  # what was on its way to it is not to be missed
            self.barrier(x)
        if c.gone:
            return
        how = self.r.choice(["reset", "half", "fin"])
        if how == "half":
            c.sock.shutdown(socket.SHUT_WR)
            tap.check(c.ended(), "%s ends" % c.what)
        elif how == "reset":
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.sock.close()
        c.want = []
        self.w.lost(c, "disconnect", False)
        return "end"

    def barrier(self, c):
        if not c.gone:
            self.n += 1
            self.send(c, type="ping", id=self.n)
            c.want.append(dict(type="pong", id=self.n))
            c.flush()
        c.check()

    def step(self):
        r, w = self.r, self.w
        if not w.conns or r.random() < 0.08:
            return self.do_open()
        c, self.ended, done = r.choice(w.conns), [], None
        ways = [(self.do_register, 4 if c.session else 30), (self.do_join, 12), (self.do_leave, 6), (self.do_message, 20),
                (self.do_bare, 5), (self.do_ack, 5), (self.do_users, 3), (self.do_ice, 2), (self.do_junk, 1), (self.do_binary, 1),
                (self.do_broken, 1), (self.do_resume, 3 if c.session else 40), (self.do_close, 3), (self.do_vanish, 3)]
        if not c.session:
            ways = [(f, n) for f, n in ways if n >= 30 or r.random() < 0.1]
        for _ in range(r.choice([1, 1, 2, 5])):
            f = r.choices([f for f, n in ways], [n for f, n in ways])[0]
            before = [x.resume for x in w.sessions]
            self.trace.append((c.what, c.session and c.session.name, f.__name__))
            done = f(c)
            self.old += [x for x in before if x and x not in [y.resume for y in w.sessions]]
            if c.gone or done:
                break
        try:
            c.flush()
        except (OSError, Closed):
            tap.check(c.gone, "%s was closed" % c.what)
        if c.want or not c.gone:
            self.barrier(c)
        for x in self.ended + list(w.conns):
            self.barrier(x)


def walk(capacity):
    for seed in range(FIRST, LAST + 1):
        port = daemon.free_port()
        signal = {"address": "127.0.0.1", "port": port, "address_connections": 1000, "register_timeout": 3600,
                  "ping_interval": 3600, "request_timeout": 3600, "rate": 1000000, "burst": 1000000, "capacity": capacity,
                  "rooms": ROOMS_MAX, "grace": 3600}
        with daemon.Daemon(signal=signal, log={"level": "info"}):
            w = Walk(seed * 1000 + capacity, port, capacity)
            try:
                for _ in range(STEPS):
                    w.step()
            except BaseException:
                tap.diag("TP_WALKS=%d-%d; before that:" % (seed, seed))
                for line in w.trace[-30:]:
                    tap.diag(line)
                raise


@tap.limit(300)
def test_alone():
    """Rooms for one: nobody meets anybody, except by name"""
    walk(1)


@tap.limit(300)
def test_pairs():
    """Rooms for two"""
    walk(2)


@tap.limit(300)
def test_more():
    """Rooms for four"""
    walk(4)


if __name__ == "__main__":
    tap.main()
