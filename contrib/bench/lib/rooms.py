# SPDX-License-Identifier: BSD-2-Clause
"""Signaling servers, what they are sent to do, and the table of what came out, for contrib/bench/signal."""

import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass

import machine
import report
import servers
from evaluate import spread

HERE = os.path.join(servers.PEERS, "signal")
ANY_RATE = 1000000  # messages/s and bursts that turnpike lets a connection have
REFERENCES = ("peerjs", "socketio")
PACKAGES = {"peerjs": "peer", "socketio": "socket.io"}
FACTOR = 5  # what is wanted: so many times the rate of either
IDLE_BYTES = 16384  # user memory of an idle connection, at most


class Turnpike(servers.Turnpike):
    """turnpiked with nothing but what signaling needs; its limits of rate and number are out of the way."""

    dialect = "turnpike"

    def settings(self, place, relays):
        connections = 1000000
        return {"realm": self.realm, "workers": 1, "listen": [{"transport": "udp", "address": self.address, "port": self.port}],
                "relay": {"addresses": servers.Array(relays)}, "auth": {"stores": servers.Array(), "secrets": servers.Array(["s" * 32])},
                "signal": {"address": self.address, "port": self.tls_port, "rate": ANY_RATE, "burst": ANY_RATE, "rate_bytes": 0,
                           "connections": connections, "address_connections": connections, "register_timeout": 600},
                "log": {"level": "warning"}}

    def target(self, transport="tcp"):
        return f"{self.address}:{self.tls_port}"

    def await_answer(self, link):
        await_port(self, self.tls_port)


class Node(servers.Server):
    """A server of node_modules."""

    def __init__(self, name, modules):
        super().__init__(name, shutil.which("node") or "node")
        self.dialect, self.modules = name, modules

    def missing(self):
        """Why it cannot be measured, or None."""
        if not shutil.which("node"):
            return "node is not here"
        if not os.path.isdir(os.path.join(self.modules, PACKAGES[self.name])):
            return f"the npm package {PACKAGES[self.name]} is not in {self.modules}: contrib/bench/signal --install"
        return None

    def version(self):
        with open(os.path.join(self.modules, PACKAGES[self.name], "package.json"), encoding="utf-8") as f:
            package = json.load(f)["version"]
        return f"{PACKAGES[self.name]} {package}, node {super().version()}"

    def command(self, place, relays):
        return ["env", "NODE_ENV=production", f"NODE_PATH={self.modules}", self.program,
                os.path.join(HERE, self.name + ".cjs"), self.address, str(self.port)]

    def target(self, transport="tcp"):
        return f"{self.address}:{self.port}"

    def await_answer(self, link):
        await_port(self, self.port)


def await_port(server, port):
    end = time.monotonic() + servers.PATIENCE
    while True:
        try:
            socket.create_connection((server.address, port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
        if server.process.poll() is not None:
            raise servers.ServerError(f"{server.name} ended with {server.process.returncode} at start: {server.said()}")
        if time.monotonic() > end:
            raise servers.ServerError(f"{server.name} does not answer: {server.said()}")


def install(modules):
    """The npm packages, into modules."""
    folder = os.path.dirname(modules)
    if not shutil.which("npm"):
        raise SystemExit("npm is not here")
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        if folder != HERE:
            shutil.copy(os.path.join(HERE, name), folder)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True)


@dataclass
class Work:
    name: str
    title: str
    arguments: list
    goal: float = 0  # times the rate of each reference; 0: none

    @property
    def idle(self):
        return "--idle" in self.arguments


def works(pairs, idle, size):
    """One pair and many, with bursts as of candidates under way and with single messages; and nobody who says anything."""
    shape = ["--size", size]
    many = f"{pairs:,} pairs"
    return [Work("one-16", "one pair, 16 messages under way each way", ["--pairs", 1, "--window", 16, *shape], FACTOR),
            Work("many-16", f"{many}, 16 under way", ["--pairs", pairs, "--window", 16, *shape], FACTOR),
            Work("one-1", "one pair, 1 under way", ["--pairs", 1, "--window", 1, *shape], FACTOR),
            Work("many-1", f"{many}, 1 under way", ["--pairs", pairs, "--window", 1, *shape], FACTOR),
            Work("idle", f"{idle:,} idle connections in rooms", ["--idle", idle])]


class Figures:
    """Results of runs: {(work, server): {round: JSON}}."""

    def __init__(self, runs):
        self.found = {}
        for run in runs:
            if "result" in run:
                self.found.setdefault((run["work"], run["server"]), {})[run["round"]] = run["result"]

    def of(self, work, server, path):
        """{round: number}"""
        found = {}
        for number, result in self.found.get((work, server), {}).items():
            for key in path.split("."):
                result = result.get(key) if isinstance(result, dict) else None
            if result is not None:
                found[number] = result
        return found

    def spread(self, work, server, path):
        return spread(self.of(work, server, path).values())

    def ratio(self, work, reference):
        ours, theirs = (self.of(work, name, "delivered_per_s") for name in ("turnpike", reference))
        return spread(ours[n] / theirs[n] for n in ours if theirs.get(n))

    def bound(self, work, server):
        """Whether the generator had nothing to wait for: then its limit may be what was measured."""
        return any(r.get("limited_by") == "generator" for r in self.found.get((work, server), {}).values())


def rate_cell(figures, work, server):
    found = figures.spread(work, server, "delivered_per_s")
    return ("≥ " if found and figures.bound(work, server) else "") + report.figure(found)


def verdict(figures, work, reference):
    ratio = figures.ratio(work.name, reference)
    if not ratio:
        return "not measured"
    if ratio["median"] >= work.goal:
        return "held" if ratio["low"] >= work.goal else "held, not in every round"
    if figures.bound(work.name, "turnpike"):
        return "not known: the generator reached its limit first"
    return f"missed by {work.goal - ratio['median']:.2f}"


def rates_table(figures, chosen, references):
    rows = []
    for work in chosen:
        if not work.idle:
            row = [work.title, rate_cell(figures, work.name, "turnpike")]
            for name in references:
                row += [rate_cell(figures, work.name, name), report.figure(figures.ratio(work.name, name)),
                        verdict(figures, work, name)]
            rows.append(row)
    head = ["messages/s", "turnpike"]
    for name in references:
        head += [name, "×", f"≥ {FACTOR} × {name}?"]
    return report.table(head, rows) if rows else ""


def details_table(figures, chosen, names):
    columns = [("latency_us.p50", "p50 µs"), ("latency_us.p99", "p99 µs"), ("server_process.cpu_us_per_message", "CPU µs/message"),
               ("server_process.user_us_per_message", "user"), ("server_process.system_us_per_message", "system"),
               ("server_process.cpu_share", "server's CPU"), ("generator_busy", "generator busy")]
    rows = [[work.title, name, *(report.figure(figures.spread(work.name, name, path)) for path, _ in columns)]
            for work in chosen if not work.idle for name in names if figures.found.get((work.name, name))]
    return report.table(["work", "server", *(title for _, title in columns)], rows) if rows else ""


def idle_table(figures, chosen, names):
    rows = []
    for work in chosen:
        for name in names if work.idle else ():
            each = figures.spread(work.name, name, "bytes_each")
            held = "" if name != "turnpike" or not each else "held" if each["median"] <= IDLE_BYTES else "missed"
            if each:
                rows.append([name, report.figure(each), report.figure(figures.spread(work.name, name, "setup_s")), held])
    return report.table(["idle", "bytes each", "set-up s", f"≤ {IDLE_BYTES:,}?"], rows) if rows else ""


def merge(documents):
    """Documents of runs as one: rounds of the same work are counted on."""
    merged = {**documents[0], "runs": [], "machines": [], "works": [], "servers": [], "missing": []}
    for document in documents:
        offset = {}
        for run in merged["runs"]:
            offset[run["work"]] = max(offset.get(run["work"], 0), run["round"] + 1)
        merged["runs"] += [{**run, "round": run["round"] + offset.get(run["work"], 0)} for run in document["runs"]]
        merged["machines"] += document["machines"]
        for key in ("works", "servers", "missing"):
            merged[key] += [item for item in document[key] if item not in merged[key]]
        for key in ("quick", "interrupted"):
            merged[key] = merged[key] or document[key]
    return merged


def write(document):
    """The report as Markdown."""
    figures, names = Figures(document["runs"]), [s["name"] for s in document["servers"]]
    chosen = [Work(**work) for work in document["works"]]
    errors = [f"- {run['server']}, {run['work']}: {run['error']}" for run in document["runs"] if "error" in run]
    parts = [("## turnpike beside other signaling servers", report.header(document)),
             ("### Relayed messages: median (lowest-highest) of the rounds", rates_table(figures, chosen, [n for n in names if n in REFERENCES])),
             ("### In detail", details_table(figures, chosen, names)),
             ("### Idle connections: user memory", idle_table(figures, chosen, names)),
             ("### What did not go as it should", "\n".join(errors) + "\n" if errors else "")]
    return "\n".join(f"{title}\n\n{text}" for title, text in parts if text)


def measure(server, place, generator, work, options):
    """The generator's JSON for one run of a fresh server."""
    arguments = [*work.arguments, "--dialect", server.dialect, "--duration", options.seconds]
    if not work.idle:
        arguments += ["--warmup", options.warmup]
    line = [generator, "signal", "--json", "--server", None, "--pid", None, *arguments]
    with server.running(place):
        line[4], line[6] = server.target(), server.pid
        done = subprocess.run([str(word) for word in line], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=120, preexec_fn=machine.in_child(place.generator_cpus))
    if done.returncode:
        raise servers.ServerError(" | ".join(done.stderr.strip().splitlines()[-3:]) or "the generator said nothing")
    return json.loads(done.stdout)
