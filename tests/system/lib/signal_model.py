# SPDX-License-Identifier: BSD-2-Clause
"""A model of the signaling server, for test_signal_walk: sessions and rooms, and clients that know what they have to hear."""

import base64
import json

import tap
from websocket import CONT, PONG, TEXT, Closed, Connection, WebSocket, frame


class Session:
    """conn is None within its grace; held is what came meanwhile; rooms: the last comes first."""

    def __init__(self, name):
        self.name, self.rooms, self.conn, self.held, self.dead = name, [], None, [], False
        self.id = self.resume = None
        self.ice = False  # has been given credentials


class World:
    """Who is where."""

    def __init__(self, capacity):
        self.sessions, self.rooms, self.conns = [], {}, []  # sessions: the last comes first
        self.capacity = capacity

    def by_name(self, name):
        return next((s for s in self.sessions if s.name == name), None)

    def by_to(self, to):
        return next((s for s in self.sessions if s.id == to), None) or self.by_name(to)

    def tell(self, s, **f):
        if s.conn and not s.dead:
            s.conn.want.append(f)

    def deliver(self, s, **f):
        if s.conn:
            s.conn.want.append(f)
        else:
            s.held.append(f)

    def leave(self, s, room, reason):
        self.rooms[room].remove(s)
        for m in self.rooms[room]:
            self.tell(m, type="bye", room=room, id=s.id, name=s.name, reason=reason)
        if not self.rooms[room]:
            del self.rooms[room]
        s.rooms.remove(room)

    def end(self, s, reason):
        s.dead = True
        while s.rooms:
            self.leave(s, s.rooms[0], reason)
        self.sessions.remove(s)
        for o in self.sessions:
            self.tell(o, type="userdel", name=s.name)

    def lost(self, c, reason, over):
        s, c.session = c.session, None
        c.gone = True
        if c in self.conns:
            self.conns.remove(c)
        if s:
            s.conn = None
            if over:
                self.end(s, reason)

    def kick(self, c, code):
        c.want.append(("close", code))
        self.lost(c, "kick", True)

    def joined(self, c, s, room):
        s.ice = True
        others = [{"id": m.id, "name": m.name} for m in self.rooms[room] if m is not s]
        c.want.append(dict(type="joined", room=room, id=s.id, members=others, count=len(others) + 1, capacity=self.capacity,
                           resume=s.resume))


class Peer:
    """What both transports have: want is what is to come, a message or the code of the end."""

    def start(self, rnd, kind):
        self.session, self.want, self.mistakes, self.gone, self.out, self.learn = None, [], 0, False, [], None
        self.rnd, self.what = rnd, "%s %d" % (kind, self.sock.getsockname()[1])

    def check(self):
        for f in self.want:
            got = self.get()
            if isinstance(f, tuple):
                tap.equal(got, f, "frame to %s" % self.what)
                try:
                    self.fill()
                    raise AssertionError("%s has more behind its end: %r" % (self.what, self.buffer))
                except Closed:
                    pass
                self.sock.close()
                break
            tap.check(isinstance(got, dict), "%s got %r, expected %r" % (self.what, got, f))
            if f.get("id") == "?":  # a new session
                self.learn.id, self.learn.resume = got["peer"], got["resume"]
                f = {k: v for k, v in f.items() if k != "id"}
            for k, v in f.items():
                tap.check(k in got and got[k] == v, "%s got %r, expected %r of %r" % (self.what, got, f, self.want))
            if f["type"] == "message" and "id" not in f:
                tap.check("id" not in got, "id in %r" % got)
        self.want = []


class Socket(WebSocket, Peer):
    def __init__(self, port, rnd):
        super().__init__(port)
        self.start(rnd, "ws")

    def say(self, data):
        r = self.rnd
        if r.random() < 0.2 and len(data) > 1:
            cut = r.randrange(len(data))
            self.out.append(frame(TEXT, data[:cut], fin=False))
            if r.random() < 0.5:
                self.out.append(frame(PONG, b"x"))
            self.out.append(frame(CONT, data[cut:]))
        else:
            self.out.append(frame(TEXT, data))

    def flush(self):
        data, self.out = b"".join(self.out), []
        while data:
            n = len(data) if self.rnd.random() < 0.7 else self.rnd.randrange(1, len(data) + 1)
            try:
                self.send(data[:n])
            except OSError:
                return
            data = data[n:]

    def get(self):
        try:
            return self.recv_json()
        except Closed as e:
            return ("close", e.code)


class Stream(Connection, Peer):
    def __init__(self, port, rnd):
        super().__init__(port)
        self.start(rnd, "es")
        self.id = base64.urlsafe_b64encode(rnd.randbytes(18)).decode()
        self.request("/signal/" + self.id)
        tap.equal(self.response().status, 200, "status")
        self.poster = Connection(port)

    def say(self, data):
        self.out.append(data)

    def flush(self):
        for data in self.out:
            headers = {} if data else {"Content-Length": "0"}
            status = self.poster.get("/signal/" + self.id, "POST", headers=headers, body=data).status
            tap.check(status in (204, 404), "a post is answered %d" % status)
        self.out = []

    def get(self):
        while True:
            try:
                text = self.take_until(b"\n\n").decode()
            except Closed:
                return ("end", None)
            if text.startswith(":"):
                continue
            if text.startswith("event: close\n"):
                return ("close", json.loads(text.split("data: ", 1)[1])["code"])
            tap.check(text.startswith("data: "), "event %r" % text)
            return json.loads(text[6:])
