# SPDX-License-Identifier: BSD-2-Clause
"""turnpike-bench signal against the real daemon and against servers that speak its other dialects, and may lose messages;
contrib/bench/signal: what its tables say comes from its runs. No figure is asserted."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))

import daemon
import tap
import tool
from tap import SLOW
from websocket import CLOSE, PING, PONG, TEXT

BENCH = os.environ.get("TURNPIKE_BENCH") or os.path.join(daemon.BUILD, "src", "turnpike-bench")
CONTRIB = os.path.join(os.path.dirname(os.path.dirname(HERE)), "contrib", "bench")
MEASURED, FAILED, USAGE = range(3)
SHORT = ("--duration", 0.2 * SLOW, "--warmup", 0.1)


def run(*args, code=MEASURED):
    return tool.run(BENCH, "signal", *args, code=code, seconds=60)


def figures(*args, **kw):
    return daemon.json_of(run("--json", *args, **kw)[0])


def messages(*args):
    """The figures of a short run: of a longer one where a busy machine let no message through in that time."""
    for seconds in (0.2 * SLOW, 1 * SLOW, 4 * SLOW):
        r = figures(*args, "--warmup", 0.1, "--duration", seconds)
        if r["delivered"]:
            break
    return r


def serve():
    port = daemon.free_port()
    d = daemon.Daemon(signal={"address": "127.0.0.1", "port": port, "rate": 1000000, "burst": 1000000, "rate_bytes": 0, "register_timeout": 600,
                              "address_connections": 1000})
    d.http = "127.0.0.1:%d" % port
    return d


def check_messages(r):
    tap.check(r["delivered"] > 0 and r["sent"] >= r["delivered"], "delivered %(delivered)d of %(sent)d" % r)
    tap.equal((r["lost"], r["wrong"]), (0, 0), "lost, wrong")
    lat = r["latency_us"]
    tap.equal(sum(count for _, _, count in lat["histogram"]), r["delivered"], "messages in the histogram")
    tap.check(lat["p50"] <= lat["p99"] <= lat["max"], "latencies %r" % lat)
    tap.check(r["limited_by"] in ("generator", "server"), "who was the limit")


def test_daemon():
    """messages of every length class through one room and many, all delivered; idle connections"""
    with serve() as d:
        for pairs, window, size in ((1, 1, 34), (1, 16, 200), (7, 3, 20000), (20, 4, 60000)):
            r = messages("--server", d.http, "--pid", d.pid, "--pairs", pairs, "--window", window, "--size", size)
            check_messages(r)
            tap.equal((r["pairs"], r["window"], r["size"], r["clients"]), (pairs, window, size, 2 * pairs), "what was done")
            tap.check(r["server_process"]["cpu_us_per_message"] > 0, "CPU of the server")
        r = figures("--server", d.http, "--pid", d.pid, "--idle", 40, "--duration", 0.2)
        tap.check("bytes_each" in r and "delivered" not in r and r["clients"] == 40, "idle: %r" % r)
        out, _ = run("--server", d.http, "--pid", d.pid, *SHORT, "--histogram")
        for part in ("turnpike, 1 pair, 200 bytes", "messages/s", "lost          0", "p99", "server CPU", "###"):
            tap.check(part in out, "%r in\n%s" % (part, out))


class Fake:
    """A server of one dialect. lose: one of so many messages is dropped; close: instead of a greeting."""

    def __init__(self, dialect, lose=0, close=False):
        self.greet, self.take = getattr(self, "greet_" + dialect), getattr(self, "take_" + dialect)
        self.lose, self.close = lose, close
        self.writers, self.rooms = {}, {}
        self.messages = self.pongs = 0

    def __enter__(self):
        self.loop, started = asyncio.new_event_loop(), threading.Event()

        async def begin():
            self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
            self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
            started.set()
        self.loop.create_task(begin())
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        tap.check(started.wait(daemon.PATIENCE), "the fake server is there")
        return self

    def __exit__(self, *_):
        async def end():
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            self.server.close()
        asyncio.run_coroutine_threadsafe(end(), self.loop).result(daemon.PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def send(self, writer, text, opcode=TEXT):
        data = text.encode()
        head = bytes([0x80 | opcode, len(data)]) if len(data) < 126 else bytes([0x80 | opcode, 126]) + len(data).to_bytes(2, "big")
        writer.write(head + data)

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(head.split()[1]).query)
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            self.greet(writer, query)
            if self.close:
                writer.write(bytes([0x80 | CLOSE, 2]) + (1013).to_bytes(2, "big"))
            self.send(writer, "", PING)
            while True:
                first, second = await reader.readexactly(2)
                size = second & 0x7f
                if size == 126:
                    size = int.from_bytes(await reader.readexactly(2), "big")
                mask = await reader.readexactly(4)
                data = bytes(b ^ mask[i % 4] for i, b in enumerate(await reader.readexactly(size)))
                if first & 15 == PONG:
                    self.pongs += 1
                else:
                    self.take(writer, data.decode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def relay(self, writer, text):
        self.messages += 1
        if not self.lose or self.messages % self.lose:
            self.send(writer, text)

    def greet_peerjs(self, writer, query):
        self.writers[query["id"][0]] = writer
        self.send(writer, '{"type":"OPEN"}')

    def take_peerjs(self, writer, text):
        message = json.loads(text)
        self.relay(self.writers[message["dst"]], json.dumps(message, separators=(",", ":")))

    def greet_socketio(self, writer, query):
        tap.equal(query, {"EIO": ["4"], "transport": ["websocket"]}, "query")
        self.send(writer, '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}')

    def take_socketio(self, writer, text):
        if text == "40":
            self.send(writer, '40{"sid":"y"}')
            self.send(writer, "2")
        elif text == "3":
            self.pongs += 1
        else:
            event, room, *rest = json.loads(text[2:])
            if event == "join":
                self.rooms.setdefault(room, []).append(writer)
                self.send(writer, '42["joined","%s","y"]' % room)
            for other in self.rooms[room]:
                if other is not writer and event == "message":
                    self.relay(other, "42" + json.dumps([event, room, *rest], separators=(",", ":")))


def test_dialects():
    """the dialects of PeerJS and socket.io: all is delivered, pings are answered"""
    for dialect in ("peerjs", "socketio"):
        with Fake(dialect) as fake:
            check_messages(messages("--server", fake.address, "--dialect", dialect, "--pairs", 2, "--window", 4))
            tap.check(fake.pongs >= 4, "%s: answers to pings" % dialect)


def test_honesty():
    """a server that refuses or loses messages, closes, or is none at all is told"""
    port = daemon.free_port()
    with daemon.Daemon(signal={"address": "127.0.0.1", "port": port}):
        _, err = run("--server", "127.0.0.1:%d" % port, *SHORT, code=FAILED)
        tap.check("the server refuses: rate_limited: " in err, err)
    with Fake("peerjs", lose=5) as fake:
        out, err = run("--json", "--server", fake.address, "--dialect", "peerjs", *SHORT, code=FAILED)
        tap.check(daemon.json_of(out)["lost"] > 0 and "were lost" in err, "%s\n%s" % (out, err))
    with Fake("peerjs", close=True) as fake:
        _, err = run("--server", fake.address, "--dialect", "peerjs", *SHORT, code=FAILED)
        tap.check("closes with 1013" in err, err)
    with serve() as d:
        _, err = run("--server", d.http, "--dialect", "peerjs", *SHORT, code=FAILED)
        tap.check("no WebSocket of this dialect" in err, err)
    _, err = run("--server", "127.0.0.1:1", code=FAILED)
    tap.check("refused" in err, err)


def test_mistakes():
    """mistakes in the arguments say what is wrong and what is allowed"""
    for args, part in ((["--dialect", "irc"], "turnpike, peerjs or socketio"), (["--size", 20], "34 to 60000"),
                       (["--idle", 10, "--window", 4], "--idle clients send nothing"), (["--user", "u"], "not an option of signal"),
                       (["--server", "192.0.2.1:80"], "--i-own-this-server"), (["--pairs", 0], "1 to 500000")):
        _, err = run(*args, code=USAGE)
        tap.check(part in err, "%r: %r in %r" % (args, part, err))


@tap.limit(120)
def test_comparison():
    """contrib/bench/signal: its tables are those of its runs, and what is not installed is said"""
    folder = daemon.folder()
    path = os.path.join(folder, "runs.json")
    modules = os.environ.get("TP_BENCH_MODULES") or os.path.join(CONTRIB, "peers", "signal", "node_modules")
    done = subprocess.run([os.path.join(CONTRIB, "signal"), "--quick", "--no-progress", "--builddir", daemon.BUILD, "--only", "one-16",
                           "--only", "idle", "--json", path, "--modules", modules], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=100 * SLOW, preexec_fn=daemon.die_with_parent)
    tap.equal(done.returncode, 0, "exit status\n%s\n%s\n" % (done.stdout, done.stderr))
    with open(path, encoding="utf-8") as f:
        document = json.load(f)
    names = [server["name"] for server in document["servers"]]
    tap.equal(sorted((r["work"], r["server"]) for r in document["runs"]),
              sorted((work, name) for work in ("idle", "one-16") for name in names), "runs")
    for run_ in document["runs"]:
        if run_["work"] == "one-16":
            check_messages(run_["result"])
            tap.check("%s" % format(round(run_["result"]["delivered_per_s"]), ",") in done.stdout, "the rate of %r" % run_)
    for name in document["missing"]:
        tap.check("%s: left out" % name in done.stderr, "that %s is missing" % name)
        tap.diag("without %s" % name)


tap.main()
